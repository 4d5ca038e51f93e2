"""Credentials that the server does not take any more, and new logins: a refused token is tried once, a new one is used
at once, and what is late for the old one does not touch what was got with the new."""

from crowd import LAPSE
from expiry import JUST, TTL, nobody_asks, numbers, ran


def a_revoked_token_is_tried_once_and_a_new_login_used_at_once(crowd):
    """Forty processes with a revoked token: one request, and for 300 s none. The clock stands still, a new login is
    there: one request, with it, and all forty have the answer. 30 storms."""
    round_count = 30
    for number in range(round_count):
        name, old, new = f"storm-{number}", f"old-{number}", f"new-{number}"
        ran(crowd.all_ask(name, credential=old))
        crowd.clock.forward(TTL)
        crowd.asked(name)
        crowd.server.revoke(old)
        for answer in crowd.all_ask(name, credential=old):
            seen = (answer["how"], answer["error"])
            assert seen in {("stale", None), (None, "unauthorized")}, (name, answer)
        requests = crowd.server.requests(f"/{name}")
        assert len(requests) == 1, f"a revoked token was tried again: {requests}"
        crowd.forget_requests()
        crowd.clock.forward(300 - JUST)
        for answer in nobody_asks(crowd, name, None, credential=old):
            assert answer["error"] == "unauthorized" and "f" not in answer["called"], (name, answer)
        answers = crowd.all_ask(name, credential=new)
        requests = crowd.server.requests(f"/{name}")
        assert [request["token"] for request in requests] == [new], (name, requests)
        ran(answers)
        assert len(numbers(answers)) == 1, (name, numbers(answers))
        crowd.asked(name)
        nobody_asks(crowd, name, "fresh", credential=new)
    return f"{round_count} storms"


def a_revoked_token_is_tried_again_after_its_time(crowd):
    """After the 300 s it is tried again, once."""
    name = "again"
    crowd.server.script(f"/{name}", 403)
    for _ in range(3):
        answers = crowd.all_ask(name)
        assert {answer["error"] for answer in answers} == {"unauthorized"}, answers
        assert crowd.asked(name) == 1
        crowd.clock.forward(300)
    return "3 times"


def a_late_refusal_of_the_old_token_leaves_what_the_new_one_got(crowd):
    """One asks with the old token and is kept waiting; its lease lapses; another gets an answer with the new one; then the
    first is told 401."""
    for member in crowd.patient:
        name = f"late-refusal-{member.language}"
        crowd.server.script(f"/{name}", {"hold": True, "status": 401}, 200)
        late = crowd.ask_later(member, name, credential="old")
        crowd.server.requests(f"/{name}", at_least=1)
        crowd.clock.forward(LAPSE)
        got = crowd.ask(crowd.processes[-1], name, credential="new")
        assert got["how"] == "ran", (name, got)
        crowd.server.release(f"/{name}")
        late()
        assert len(crowd.server.requests(f"/{name}")) == 2, name
        crowd.asked(name)
        answers = nobody_asks(crowd, name, "fresh", credential="new")
        assert numbers(answers) == {got["data"]["n"]}, name
    return f"{len(crowd.patient)} languages"


def nobody_signed_in_asks_nobody_and_gates_nobody(crowd):
    """Without credentials: the fallback, or that error, and no request; whoever has them asks at once."""
    name = "signed-out"
    answers = nobody_asks(crowd, name, "fallback", credential="-", fallback='{"n":-1}')
    assert {answer["error"] for answer in answers} == {"no_credentials"}
    assert numbers(answers) == {-1}
    answers = nobody_asks(crowd, name, None, credential="-")
    assert {(answer["error"], answer["called"]) for answer in answers} == {("no_credentials", "cb")}
    answers = crowd.all_ask(name)
    ran(answers)
    assert crowd.asked(name) == 1
    nobody_asks(crowd, name, "fresh", credential="-")
    return "40 processes"


ALL = [
    a_revoked_token_is_tried_once_and_a_new_login_used_at_once,
    a_revoked_token_is_tried_again_after_its_time,
    a_late_refusal_of_the_old_token_leaves_what_the_new_one_got,
    nobody_signed_in_asks_nobody_and_gates_nobody,
]
