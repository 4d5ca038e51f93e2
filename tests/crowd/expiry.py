"""The second at which an answer expires: forty processes ask at once, and the server is asked by one, again and again.
Each round has its own kind of end; what is checked is the server's count, and that nobody is shown a mixture."""

from collections import Counter

from crowd import LAPSE, Member

TTL = 180
MAX_STALE = 24 * 3600
# In ttl's and gates' last millisecond nobody asks, in the next one does.
JUST = 0.001


def ran(answers, wanted=1):
    """That so many fetched themselves."""
    hows = Counter(answer["how"] for answer in answers)
    assert hows["ran"] == wanted, f"{hows['ran']} ran: {dict(hows)}"


def numbers(answers):
    """Which of the server's answers they were shown."""
    return {answer["data"]["n"] if answer["data"] else answer["error"] for answer in answers}


def nobody_asks(crowd, name, how, **more):
    """All forty ask, and none of them the server; their answers."""
    answers = crowd.all_ask(name, **more)
    assert crowd.asked(name) == 0, "the server was asked"
    hows = {answer["how"] for answer in answers}
    assert hows == {how}, f"expected {how}, found {hows}"
    return answers


def at_the_second_of_expiry_one_asks(crowd):
    """An answer is fresh for 180 s to the millisecond; then one of forty asks, and the others show the last answer or
    the new one, and none waits in vain. 300 rounds."""
    name, round_count = "expiry", 300
    ran(crowd.all_ask(name))
    assert crowd.asked(name) == 1
    for number in range(round_count):
        crowd.clock.forward(TTL - JUST)
        before = nobody_asks(crowd, name, "fresh", members=crowd.processes if number % 4 else None)
        assert {answer["age_ms"] for answer in before} == {179_999}
        crowd.clock.forward(JUST)
        answers = crowd.all_ask(name)
        assert crowd.asked(name) == 1, f"round {number}"
        ran(answers)
        old, [new] = numbers(before), {answer["data"]["n"] for answer in answers if answer["how"] == "ran"}
        for answer in answers:
            assert answer["error"] is None, answer
            wanted = old if answer["how"] == "stale" else {new}
            assert {answer["data"]["n"]} == wanted, f"round {number}: {answer}, the new one is {new}"
    return f"{round_count} rounds"


def where_nothing_may_be_shown_one_asks_for_all(crowd):
    """Beyond max_stale all forty have to wait for the one that asks, and all get what it got. 200 rounds."""
    name, round_count = "cold", 200
    for number in range(round_count):
        answers = crowd.all_ask(name)
        assert crowd.asked(name) == 1, f"round {number}"
        ran(answers)
        assert len(numbers(answers)) == 1, f"round {number}: {numbers(answers)}"
        assert {answer["how"] for answer in answers} <= {"ran", "coalesced", "fresh"}, f"round {number}"
        crowd.clock.forward(TTL + MAX_STALE + 1)
    return f"{round_count} rounds"


def at_the_end_of_a_gate_one_asks(crowd):
    """A gate ends in the same millisecond for all, with an answer that expired long ago and without any. 30 rounds of
    each."""
    round_count = 30
    refusal = {"status": 429, "retry_after": "60"}
    for number in range(2 * round_count):
        name, has_data = f"gate-{number}", number % 2 == 1
        crowd.server.script(f"/{name}", *([200] if has_data else []), refusal, 200)
        if has_data:
            ran(crowd.all_ask(name, members=crowd.processes))
            crowd.clock.forward(TTL)
            crowd.asked(name)
        refused = crowd.all_ask(name)
        assert crowd.asked(name) == 1, f"round {number}"
        ran(refused, 0)
        crowd.clock.forward(60 - JUST)
        barred = nobody_asks(crowd, name, "stale" if has_data else None)
        assert {(answer["error"], answer["called"]) for answer in barred} == {("rate_limited", "" if has_data else "b")}
        crowd.clock.forward(JUST)
        answers = crowd.all_ask(name)
        assert crowd.asked(name) == 1, f"round {number}"
        ran(answers)
        assert has_data or len(numbers(answers)) == 1, f"round {number}: {numbers(answers)}"
    return f"{2 * round_count} rounds"


def a_killed_one_is_replaced_by_one(crowd):
    """The one that asks is killed while the server thinks; of the others that wait, one asks again. 35 rounds."""
    name, round_count = "killed", 35
    holders = [member for member in crowd.members if isinstance(member, Member)]
    for number in range(round_count):
        crowd.server.script(f"/{name}", {"hold": True}, 200)
        holder = holders[(number * 8) % len(holders)]
        crowd.ask_later(holder, name)
        crowd.server.requests(f"/{name}", at_least=1)
        answers = [crowd.ask_later(member, name) for member in crowd.members if member is not holder]
        holder.kill()
        answers = [answer() for answer in answers]
        crowd.server.release(f"/{name}")
        assert crowd.asked(name) == 2, f"round {number}"
        ran(answers)
        assert len(numbers(answers)) == 1, f"round {number}: {numbers(answers)}"
        crowd.clock.forward(TTL + MAX_STALE + LAPSE)
    return f"{round_count} rounds"


ALL = [
    at_the_second_of_expiry_one_asks,
    where_nothing_may_be_shown_one_asks_for_all,
    at_the_end_of_a_gate_one_asks,
    a_killed_one_is_replaced_by_one,
]
