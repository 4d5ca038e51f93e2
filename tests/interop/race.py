"""Eight processes in five languages race for the same refresh, again and again.

Each round begins with a notice, so that the value is stale; then all eight `get` at once. Exactly one of them may
run its refresher, all have to get that one's bytes, and what is read after that by each is the same, whole and fresh.
In every twentieth round one of them holds the lease when the others ask, and is killed: exactly one of those who wait
takes over.

Then they race for a quota that has just been cleared, and for the next credential: exactly one may fetch, exactly one
may exchange what all have seen, and all get that one's."""

import collections
import pathlib
import tempfile

import peers
from cases import same

ROUNDS = 2000
KILL_EACH = 20
# Each of these begins with nothing, and stores with every flush that there is.
ACCOUNT_ROUNDS = 300
KEY = "race/value"
HOUR = 3_600_000
# Who takes part: the shell has no process of its own that could wait in line.
RACERS = ("rust", "rust", "c", "c", "python", "node", "go", "go")


def payload(number, racer):
    """Bytes that tell round and racer anywhere in them, so that a mixture shows."""
    return (number.to_bytes(3, "big") + bytes([racer])).hex() * 256


def kill_holder(racers, number, by_name, root):
    """The holder of the lease, killed once the others have asked; it begins anew for the next round."""
    index = number // KILL_EACH % len(racers)
    holder = racers[index]
    same(holder.ask(op="acquire", key=KEY, deadline_ms=60_000), outcome="ticket")

    def kill():
        holder.kill()
        holder.close()
        racers[index] = by_name[RACERS[index]].open(root)

    return index, kill


def play(racers, number, by_name, root):
    """One round; who ran."""
    racers[number % len(racers)].ask(op="mark_stale", key=KEY)
    holder, kill = None, None
    if number % KILL_EACH == 0:
        holder, kill = kill_holder(racers, number, by_name, root)
    answers = {
        index: racer.ask_later(op="get", key=KEY, ttl_ms=HOUR, hex=payload(number, index))
        for index, racer in enumerate(racers)
        if index != holder
    }
    if kill:
        kill()
    got = {index: answer() for index, answer in answers.items()}
    ran = [index for index, found in got.items() if found["how"] == "ran"]
    assert len(ran) == 1, f"round {number}: {len(ran)} ran: {[found['how'] for found in got.values()]}"
    wanted = payload(number, ran[0])
    looks = [racer.ask_later(op="read", key=KEY, ttl_ms=HOUR) for racer in racers]
    seen = [look() for look in looks]
    for index, found in got.items():
        assert found["hex"] == wanted, f"round {number}: racer {index} got {found['how']} {found['hex'][:16]}"
    for index, found in enumerate(seen):
        assert found["hex"] == wanted, f"round {number}: racer {index} read {found['hex'] and found['hex'][:16]}"
        assert found["state"] == "fresh", f"round {number}: racer {index} read {found['state']}"
    assert len({found["version"] for found in seen}) == 1, f"round {number}: versions differ"
    return ran[0]


def all_at_once(racers, request):
    """What each racer answers to its own request, all being asked before any is heard."""
    answers = [racer.ask_later(**request(index)) for index, racer in enumerate(racers)]
    return [answer() for answer in answers]


def play_quota(racers, number):
    """One round for a quota; who fetched."""
    same(racers[number % len(racers)].ask(op="quota_clear", name="race", identity=None), cleared=number > 1)
    request = {"op": "quota_resolve", "name": "race", "identity": None, "status": None, "retry_after": None}
    data = [f'{{"round":{number},"racer":{index}}}' for index in range(len(racers))]
    got = all_at_once(racers, lambda index: {**request, "credential": "secret", "json": data[index]})
    ran = [index for index, found in enumerate(got) if found["how"] == "ran"]
    assert len(ran) == 1, f"quota, round {number}: {len(ran)} fetched: {[found['how'] for found in got]}"
    for index, found in enumerate(got):
        assert found["json"] == data[ran[0]], f"quota, round {number}: racer {index} got {found}"
        assert found["how"] in ("ran", "coalesced", "fresh"), f"quota, round {number}: racer {index} got {found}"
    return ran[0]


def play_credential(racers, number, seen):
    """One round for a credential: who exchanged it, and the version after."""
    request = {"op": "rotate", "key": "race", "seen": seen, "code": None, "message": ""}
    got = all_at_once(racers, lambda index: {**request, "hex": payload(number, index)})
    ran = [index for index, found in enumerate(got) if found["how"] == "ran"]
    assert len(ran) == 1, f"credential, round {number}: {len(ran)} exchanged it: {[found['how'] for found in got]}"
    for index, found in enumerate(got):
        assert found["hex"] == payload(number, ran[0]), f"credential, round {number}: racer {index} got another's"
    assert len({found["version"] for found in got}) == 1, f"credential, round {number}: versions differ"
    return ran[0], got[0]["version"]


def play_accounts(racers):
    """All rounds for a quota and a credential."""
    version = None
    for number in range(1, ACCOUNT_ROUNDS + 1):
        play_quota(racers, number)
        _, version = play_credential(racers, number, version)


def run(languages):
    """All rounds; how often each racer ran, or why it failed."""
    by_name = {language.name: language for language in languages}
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "root"
        racers = [by_name[name].open(root) for name in RACERS]
        try:
            racers[0].ask(op="put", key=KEY, hex=payload(0, 0), validator=None, ttl_ms=HOUR)
            won = collections.Counter()
            for number in range(1, ROUNDS + 1):
                won[RACERS[play(racers, number, by_name, root)]] += 1
            play_accounts(racers)
            each = ", ".join(f"{name} {won[name]}" for name in sorted(won))
            told = f"{ROUNDS} rounds, {ROUNDS // KILL_EACH} with a killed holder, one run each: {each}"
            return f"{told}; {ACCOUNT_ROUNDS} for a quota and for a credential, one fetch, one exchange each", None
        except (peers.Problem, AssertionError) as why:
            return None, str(why)
        finally:
            for racer in racers:
                racer.close()
