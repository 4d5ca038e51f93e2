"""That the crowd would notice: the same promises, with forty processes that break a rule of the protocol (test builds do,
where FOREBAY_BREAK names it). A harness that passes those finds nothing."""

import expiry
import rotation
from crowd import Crowd

# Rule -> the promise that has to be found broken.
RULES = {
    # Two decide at once that nobody is at it.
    "guard": expiry.at_the_second_of_expiry_one_asks,
    # One that is at it is taken for dead.
    "liveness": expiry.at_the_second_of_expiry_one_asks,
    # That an exchange was begun is not on the disk when it is sent.
    "start-unmarked": rotation.a_killed_exchange_is_never_tried_again,
    # It is there, and nobody minds.
    "started-ignored": rotation.an_unknown_outcome_is_never_tried_again,
}


def a_broken_rule_is_noticed(server, commands):
    """Forty processes that break it break the promise, and that is seen."""
    for rule, promise in RULES.items():
        server.post("/_reset")
        crowd = Crowd(commands, server, {"rust": 40}, FOREBAY_BREAK=rule)
        try:
            promise(crowd)
        except AssertionError:
            continue
        finally:
            crowd.give_up()
        raise AssertionError(f"without {rule} {promise.__name__} was kept all the same")
    return ", ".join(RULES)
