"""Every language reads the golden roots, which earlier processes left, takes over what a killed one held, and writes on;
but for a credential that was lost with a killed process, which it must not touch before a new login."""

import json
import pathlib
import tarfile
import tempfile

import peers
from cases import look, refused, resolve, rotate, same

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden"
# Longer than any of this lasts; the values are as old as the root.
AGES_MS = 5_000_000_000_000


def read(peer, row):
    """One row of the table: what is read of a key, and the state of its refresh."""
    found = peer.ask(op="read", key=row["key"], ttl_ms=AGES_MS)
    same(found, hex=row["hex"], state=row["state"], validator=row["validator"])
    if row["version"] is not None:
        same(found, version=row["version"])
    state = peer.ask(op="state", key=row["key"])
    same(state, phase=row["phase"], error=row["error"], attempts=row["attempts"], holder=None)


def go_on(peer):
    """What a killed holder left bars nobody, and writing goes on."""
    same(peer.ask(op="get", key="api/orphan", ttl_ms=0, hex="6e6577"), hex="6e6577", how="ran")
    same(peer.ask(op="read", key="api/orphan", ttl_ms=AGES_MS), hex="6e6577", state="fresh")
    version = peer.ask(op="put", key="api/models", hex="02", validator=None, ttl_ms=AGES_MS)["version"]
    same(peer.ask(op="read", key="api/models", ttl_ms=AGES_MS), hex="02", state="fresh", version=version)


def read_values(peer, rows):
    """The golden root with values."""
    for row in rows:
        read(peer, row)
    keys = sorted(row["key"] for row in rows)
    assert sorted(peer.ask(op="list")["keys"]) == keys, "other keys are listed"
    go_on(peer)


def compact(text):
    """JSON without the spaces that are not in a text of it: the command prints it in one line."""
    return text and json.dumps(json.loads(text, parse_float=str, parse_int=str), separators=(",", ":"))


def read_quotas(peer, rows):
    """The records, which are years old, and the gates, which are over; then the next fetch."""
    for row in rows:
        found = look(peer, row["name"], row["identity"])
        assert compact(found["json"]) == compact(row["json"]), f"{row['name']}: found {found}"
        same(found, cached_at_ms=row["cached_at_ms"], blocked_until_ms=None)
        same(found, state="expired" if row["json"] else None)
    # One whose gate is over, and that never had a record, is none any more.
    recorded = sum(row["json"] is not None for row in rows)
    found = peer.ask(op="quotas")["keys"]
    assert len(found) == recorded, f"{recorded} have a record, listed are {found}"
    for name in ("usage", "original", "limited", "blocked"):
        same(resolve(peer, name, '{"new":1}'), json='{"new":1}', how="ran", error=None)
        same(look(peer, name), json='{"new":1}', state="fresh")


def read_credentials(peer, rows):
    """The credentials, and their next exchange; the one that was lost is not exchanged before a new login."""
    for row in rows:
        if row["ambiguous"]:
            refused("ambiguous", rotate, peer, row["key"], "ff", seen=row["version"])
            same(peer.ask(op="rotate_reset", key=row["key"], hex=None), version=None)
            same(rotate(peer, row["key"], "6c6f67696e"), hex="6c6f67696e", how="ran", previous=None)
        else:
            same(peer.ask(op="rotate_current", key=row["key"]), hex=row["hex"], version=row["version"])
            same(rotate(peer, row["key"], "ff", seen=row["version"]), hex="ff", how="ran", previous=row["hex"])


def read_accounts(peer, tables):
    """The golden roots with quotas and credentials."""
    read_quotas(peer, tables["quotas"])
    read_credentials(peer, tables["credentials"])


def check(language, archive):
    """Why that language does not read that root, or None."""
    table = json.loads(archive.with_suffix("").with_suffix(".json").read_text())
    accounts = archive.name.endswith("-accounts.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        root = folder / "root"
        root.mkdir(mode=0o700)
        with tarfile.open(archive) as tar:
            tar.extractall(folder if accounts else root, filter="data")
        peer = None
        try:
            peer = language.open(root)
            (read_accounts if accounts else read_values)(peer, table)
        except (peers.Problem, AssertionError) as why:
            return str(why)
        finally:
            if peer is not None:
                peer.close()
    return None


def run(languages):
    """For each golden root and language, why it failed, or None."""
    archives = sorted(FOLDER.glob("v*.tar.gz"))
    if not archives:
        return {("no golden root", language.name): "missing" for language in languages}
    return {
        (archive.name.split(".")[0], language.name): check(language, archive)
        for archive in archives
        for language in languages
    }
