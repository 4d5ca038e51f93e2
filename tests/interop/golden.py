"""Every language reads the golden roots, which earlier processes left, takes over what a killed one held, and writes on."""

import json
import pathlib
import tarfile
import tempfile

import peers
from cases import same

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


def check(language, archive):
    """Why that language does not read that root, or None."""
    rows = json.loads(archive.with_suffix("").with_suffix(".json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder) / "root"
        root.mkdir(mode=0o700)
        with tarfile.open(archive) as tar:
            tar.extractall(root, filter="data")
        peer = None
        try:
            peer = language.open(root)
            for row in rows:
                read(peer, row)
            keys = sorted(row["key"] for row in rows)
            assert sorted(peer.ask(op="list")["keys"]) == keys, "other keys are listed"
            go_on(peer)
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
