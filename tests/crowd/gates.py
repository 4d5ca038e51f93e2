"""What the server says about "later", and what else goes wrong: heard by one process, it holds for all, until then and
no longer."""

import itertools
import time

from crowd import LAPSE
from expiry import TTL, numbers, ran

HOUR = 3600
# Real milliseconds after which a member gives a hanging server up, first and next time.
PATIENCE = (3000, 9000, 27_000)
# What a 429 says, and how many seconds nobody asks then: at least, at most.
LATERS = {
    "seconds": ({"retry_after": "120"}, 120, 120),
    "date": ({"retry_after_date": 120}, 60, 121),
    "zero": ({"retry_after": "0"}, 1, 1),
    "negative": ({"retry_after": "-5"}, 1, 1),
    "missing": ({}, 300, 300),
    "absurd": ({"retry_after": "99999999999999"}, 86_400, 86_400),
    "nonsense": ({"retry_after": "soon"}, 300, 300),
}
# Kind of trouble -> the codes that it may be called by.
TROUBLES = {
    "hang": {"timed_out"},
    "garbage": {"refresh_failed"},
    "truncate": None,
    "reset": None,
    "500": {"refresh_failed"},
    "503": {"unavailable"},
}


def hold_for_an_hour(crowd, names, from_now=0):
    """In steps up to 3,599 s every language asks; nobody asks the server. At 3,601 s all forty do, and one asks it."""
    for step in (1, 2, 57, 540, 1200, 1798.5, 0.5):
        from_now += step
        crowd.clock.forward(step)
        for name in names:
            answers = crowd.all_ask(name, members=crowd.one_each.values())
            assert {answer["error"] for answer in answers} == {"rate_limited"}, (name, from_now, answers)
            assert {answer["called"] for answer in answers} == {"b"}, (name, from_now, answers)
            assert crowd.asked(name) == 0, f"{name}: the server was asked after {from_now} s"
    assert from_now == HOUR - 1
    crowd.clock.forward(2)
    for name in names:
        answers = crowd.all_ask(name)
        assert crowd.asked(name) == 1, name
        ran(answers)
        assert len(numbers(answers)) == 1, name


def hang_and_hear(crowd, patience_ms):
    """Of each patient language one hangs, its lease lapses, and another is told 429, Retry-After 3600; the names. Nothing if
    the machine is so slow that one gave up before the other was told."""
    hanging, others = {}, itertools.cycle(crowd.members[1::7])
    for member in crowd.patient:
        name = f"hour-{member.language}-{patience_ms}"
        crowd.server.script(f"/{name}", "hang", {"status": 429, "retry_after": str(HOUR)}, 200)
        hanging[name] = crowd.ask_later(member, name, patience_ms=patience_ms)
    for name in hanging:
        crowd.server.requests(f"/{name}", at_least=1)
    crowd.clock.forward(LAPSE)
    told = {name: crowd.ask(next(others), name) for name in hanging}
    late = {name: answer() for name, answer in hanging.items()}
    if any("f" not in answer["called"] for answer in told.values()):
        return []
    for name in hanging:
        assert told[name]["error"] == "rate_limited", (name, told[name])
        assert late[name]["how"] is None and late[name]["error"], (name, late[name])
        assert len(crowd.server.requests(f"/{name}")) == 2, name
    return list(hanging)


def a_timeout_does_not_shorten_anothers_hour(crowd):
    """One hangs; its lease lapses; another asks and is told 429, Retry-After 3600; then the first times out."""
    names = next(filter(None, (hang_and_hear(crowd, patience_ms) for patience_ms in PATIENCE)), None)
    assert names, f"nobody could ask within {PATIENCE[-1]} ms"
    crowd.forget_requests()
    hold_for_an_hour(crowd, names)
    return f"{len(names)} languages"


def an_hour_heard_late_still_holds(crowd):
    """One is kept waiting; its lease lapses; another's connection breaks, which gates for a second; then the first is
    told 429, Retry-After 3600."""
    held, refusal = {}, {"hold": True, "status": 429, "retry_after": str(HOUR)}
    for member in crowd.patient:
        name = f"late-{member.language}"
        crowd.server.script(f"/{name}", refusal, "reset", 200)
        held[name] = crowd.ask_later(member, name)
    for name in held:
        crowd.server.requests(f"/{name}", at_least=1)
    crowd.clock.forward(LAPSE)
    for name, answer in held.items():
        failed = crowd.ask(crowd.processes[-1], name)
        assert failed["how"] is None and failed["called"] == "cfb", (name, failed)
        crowd.server.release(f"/{name}")
        told = answer()
        assert told["how"] is None, (name, told)
        assert len(crowd.server.requests(f"/{name}")) == 2, name
    crowd.forget_requests()
    hold_for_an_hour(crowd, list(held))
    return f"{len(held)} languages"


def each_way_to_say_later(crowd):
    """Seconds, a date, 0, less than that, nothing, an absurd number, nonsense: each language hears it, another sees the
    same end."""
    members = crowd.one_each
    others = itertools.cycle(members.values())
    for (kind, (says, least, most)), (language, member) in itertools.product(LATERS.items(), members.items()):
        name = f"{kind}-{language}"
        crowd.server.script(f"/{name}", {"status": 429, **says})
        heard = crowd.ask(member, name)
        assert (heard["error"], heard["called"]) == ("rate_limited", "cfb"), (name, heard)
        seen = crowd.ask(next(others), name)
        assert (seen["error"], seen["called"]) == ("rate_limited", "b"), (name, seen)
        length = (seen["retry_at_ms"] - crowd.clock.ms) / 1000
        assert least <= length <= most, f"{name}: nobody asks for {length} s"
        assert crowd.asked(name) == 1, name
    return f"{len(LATERS)} ways in {len(members)} languages"


def an_epoch_says_when(crowd):
    """A reset time as an epoch, as some servers send it in Retry-After."""
    for language, member in crowd.one_each.items():
        name = f"epoch-{language}"
        crowd.server.script(f"/{name}", {"status": 429, "retry_after": str(int(time.time()) + 120)})
        crowd.ask(member, name)
        seen = crowd.ask(crowd.processes[0], name)
        assert 60_000 <= seen["retry_at_ms"] - crowd.clock.ms <= 121_000, (name, seen)
    return f"{len(crowd.one_each)} languages"


def trouble_is_met_once_and_the_last_answer_shown(crowd):
    """A hang, garbage, half an answer, a reset, 500, 503, met by each language: it and all others show the last answer
    and say why; after a second one asks again."""
    pairs = list(itertools.product(TROUBLES, crowd.one_each.items()))
    for kind, (language, member) in pairs:
        name = f"trouble-{kind}-{language}"
        step = int(kind) if kind.isdigit() else kind
        crowd.server.script(f"/{name}", 200, step, 200)
        assert crowd.ask(member, name)["how"] == "ran"
    crowd.clock.forward(TTL)
    answers = {}
    for kind, of_kind in itertools.groupby(pairs, key=lambda pair: pair[0]):
        patience_ms = PATIENCE[0] if kind == "hang" else 60_000
        names = [(f"trouble-{kind}-{language}", member) for _, (language, member) in of_kind]
        met = {name: crowd.ask_later(member, name, patience_ms=patience_ms) for name, member in names}
        answers.update({name: answer() for name, answer in met.items()})
    for kind, (language, _) in pairs:
        name = f"trouble-{kind}-{language}"
        met, codes = answers[name], TROUBLES[kind]
        assert (met["how"], met["state"], met["called"]) == ("stale", "stale", "cf"), (name, met)
        assert met["error"] in codes if codes else met["error"], (name, met)
        for seen in crowd.all_ask(name, members=crowd.one_each.values()):
            assert (seen["how"], seen["called"], seen["data"]) == ("stale", "", met["data"]), (name, seen)
            assert seen["retry_at_ms"] == crowd.clock.ms + 1000, (name, seen)
            assert not codes or seen["error"] in codes, (name, seen)
        assert len(crowd.server.requests(f"/{name}", at_least=2)) == 2, name
    crowd.clock.forward(1)
    crowd.forget_requests()
    for kind, (language, _) in pairs:
        name = f"trouble-{kind}-{language}"
        ran(crowd.all_ask(name, members=crowd.one_each.values()))
        assert crowd.asked(name) == 1, name
    return f"{len(TROUBLES)} troubles in {len(crowd.one_each)} languages"


ALL = [
    a_timeout_does_not_shorten_anothers_hour,
    an_hour_heard_late_still_holds,
    each_way_to_say_later,
    an_epoch_says_when,
    trouble_is_met_once_and_the_last_answer_shown,
]
