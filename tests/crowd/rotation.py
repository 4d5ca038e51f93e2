"""Refresh tokens that the server takes once: forty processes find theirs used up at once, one exchanges it, and all have
the new one. Where it is not known whether the server has exchanged it, nobody tries again."""

from collections import Counter

from crowd import Member

HOUR = 3600
# What the server does with the exchange -> whether it has used the token up: the client cannot know.
UNKNOWN = {
    "reset": "reset",
    "cut-short": "truncate",
    "500": {"status": 500, "process": True},
    "not-processed": {"do": "reset", "process": False},
}


def used_once(crowd):
    """That no token was sent twice."""
    tokens = crowd.server.log()["tokens"]
    assert (tokens["violations"], tokens["unknown"]) == ([], 0), tokens


def exchanged(answers):
    """That one ran and all have what it got; its version."""
    hows = Counter(answer["how"] for answer in answers)
    assert hows == {"ran": 1, "coalesced": len(answers) - 1}, (dict(hows), {answer["error"] for answer in answers})
    [version] = {answer["version"] for answer in answers}
    pairs = {answer["data"]["refresh_token"] for answer in answers if answer["data"]}
    assert len(pairs) == 1, pairs
    assert sorted("".join(answer["called"] for answer in answers)) == ["x"]
    return version


def one_of_forty_exchanges_and_all_have_the_new_one(crowd):
    """The first login, and then again and again with the version that all have. 100 rounds."""
    round_count = 100
    version = exchanged(crowd.all_rotate("oauth"))
    for number in range(round_count):
        crowd.forget_requests()
        newer = exchanged(crowd.all_rotate("oauth", version))
        assert crowd.asked("token") == 1, f"round {number}"
        late = crowd.all_rotate("oauth", version)
        assert {(answer["how"], answer["version"]) for answer in late} == {("coalesced", newer)}, f"round {number}"
        assert crowd.asked("token") == 0, f"round {number}: who came late exchanged it again"
        version = newer
    used_once(crowd)
    return f"{round_count} rounds"


def nobody_tries_again(crowd, key, version):
    """All say `ambiguous`, now and in a month, and the server hears nothing."""
    crowd.forget_requests()
    for _ in range(2):
        answers = crowd.all_rotate(key, version)
        assert {(answer["error"], answer["called"]) for answer in answers} == {("ambiguous", "")}, (key, answers)
        crowd.clock.forward(30 * 24 * HOUR)
    assert crowd.asked("token") == 0, f"{key}: it was tried again"


def an_unknown_outcome_is_never_tried_again(crowd):
    """The connection breaks, before or after the server took the token; half an answer; a 500 from in between."""
    for number, (key, step) in enumerate(UNKNOWN.items()):
        version = exchanged(crowd.all_rotate(key))
        crowd.forget_requests()
        crowd.server.script("/token", step, 200)
        answers = crowd.all_rotate(key, version)
        assert crowd.asked("token") == 1, key
        assert "x" in {answer["called"] for answer in answers}, key
        assert all(answer["how"] is None for answer in answers), (key, answers)
        nobody_tries_again(crowd, key, version)
    used_once(crowd)
    return f"{len(UNKNOWN)} ways"


def a_killed_exchange_is_never_tried_again(crowd):
    """The one that exchanges is killed while the server thinks, in each language that lives that long."""
    holders = [member for member in crowd.one_each.values() if isinstance(member, Member)]
    for holder in holders:
        key = f"killed-{holder.language}"
        version = exchanged(crowd.all_rotate(key))
        crowd.forget_requests()
        crowd.server.script("/token", {"hold": True}, 200)
        crowd.ask_later(holder, key, verb="rotate", credential=version)
        crowd.server.requests("/token", at_least=1)
        others = [member for member in crowd.members if member is not holder]
        answers = [crowd.ask_later(member, key, verb="rotate", credential=version) for member in others]
        holder.kill()
        assert {answer()["error"] for answer in answers} == {"ambiguous"}, key
        crowd.server.release("/token")
        assert crowd.asked("token") == 1, f"{key}: it was tried again"
        nobody_tries_again(crowd, key, version)
    used_once(crowd)
    return f"{len(holders)} languages"


def a_refusal_leaves_the_token_as_it_was(crowd):
    """429, Retry-After 60: nobody tries for 60 s, then one does, with the same token, and all have the new one."""
    version = exchanged(crowd.all_rotate("refused"))
    for _ in range(5):
        crowd.forget_requests()
        crowd.server.script("/token", {"status": 429, "retry_after": "60"}, 200)
        # Who waits for the one that is refused gets its failure; who comes later, that it is barred.
        for allowed, wait in (({"rate_limited", "gated"}, 59.999), ({"gated"}, 0.001)):
            answers = crowd.all_rotate("refused", version)
            codes = {(member.language, answer["error"]) for member, answer in zip(crowd.members, answers, strict=True)}
            assert {code for _, code in codes} <= allowed, codes
            assert crowd.server.count("/token") == 1, "it was tried again before its time"
            crowd.clock.forward(wait)
        version = exchanged(crowd.all_rotate("refused", version))
        assert crowd.asked("token") == 2
    used_once(crowd)
    return "5 rounds"


ALL = [
    one_of_forty_exchanges_and_all_have_the_new_one,
    an_unknown_outcome_is_never_tried_again,
    a_killed_exchange_is_never_tried_again,
    a_refusal_leaves_the_token_as_it_was,
]
