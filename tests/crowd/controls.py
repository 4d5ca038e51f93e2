"""That the crowd would notice: the same promises, with forty processes that break a rule of the protocol (test builds do,
where FOREBAY_BREAK names it). A harness that passes those finds nothing."""

import expiry
from crowd import Crowd

# Rule -> what it comes to.
RULES = {
    "guard": "two decide at once that nobody is at it",
    "liveness": "one that is at it is taken for dead",
}


def a_broken_rule_is_noticed(server, commands):
    """Without the guard, and without regard for who is alive, more than one of forty asks at the second of expiry."""
    for rule in RULES:
        server.post("/_reset")
        crowd = Crowd(commands, server, {"rust": 40}, FOREBAY_BREAK=rule)
        try:
            expiry.at_the_second_of_expiry_one_asks(crowd)
        except AssertionError:
            continue
        finally:
            crowd.give_up()
        raise AssertionError(f"without {rule} the promise was kept all the same")
    return ", ".join(RULES)
