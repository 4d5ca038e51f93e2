"""The agent of examples/agent over a copy of the core's sources: one edit has exactly what depends on it done again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import HANG

REPO = Path(__file__).parents[3]
WORD = "Superseded"
TOOLS = ("folder", "read", "grep", "describe", "answer")
NOTHING = dict.fromkeys(TOOLS, 0)


@dataclass
class Told:
    """What one run said."""

    answer: str
    kept: dict[str, int]
    worked: dict[str, int]
    items: dict[str, str]


class Desk:
    """A tree and a root, and the agent at work on them."""

    def __init__(self, place: Path) -> None:
        self.tree = place / "tree"
        self._root = place / "agent-root"
        shutil.copytree(REPO / "core" / "src", self.tree)

    def start(self, word: str = WORD, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(REPO / "examples" / "agent" / "agent.py"), str(self.tree), word],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FOREBAY_ROOT": str(self._root), **env},
        )

    def run(self, word: str = WORD, **env: str) -> Told:
        return self.told(self.start(word, **env))

    @staticmethod
    def told(agent: subprocess.Popen[str]) -> Told:
        out, err = agent.communicate(timeout=HANG)
        assert (agent.returncode, err) == (0, "")
        rows = re.findall(r"^(\w+) +kept (\d+), worked (\d+)(?:: (.*))?$", out, re.MULTILINE)
        assert [row[0] for row in rows] == list(TOOLS)
        kept, worked = ({row[0]: int(row[at]) for row in rows} for at in (1, 2))
        return Told(out.split("\n")[0], kept, worked, {row[0]: row[3] for row in rows if row[3]})

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.tree)) for path in self.tree.rglob("*") if path.is_file())

    def matching(self) -> list[str]:
        return [path for path in self.files() if WORD in (self.tree / path).read_text()]

    def append(self, path: str, text: str) -> None:
        with (self.tree / path).open("a") as file:
            file.write(text)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_editing_one_file_has_exactly_what_depends_on_it_done_again(desk: Desk) -> None:
    files, matching = desk.files(), desk.matching()
    assert 3 < len(matching) < len(files)
    folders = 1 + sum(path.is_dir() for path in desk.tree.rglob("*"))
    everything = dict(zip(TOOLS, (folders, len(files), len(files), len(matching), 1), strict=True))
    first = desk.run()
    assert first.worked == first.kept == everything
    assert first.answer.startswith(f"What is {WORD} in these files?")
    second = desk.run()
    assert (second.worked, second.answer, second.items) == (NOTHING, first.answer, {})

    # A file that has the word: it is read, searched and described again, and the question is asked again.
    edited = matching[2]
    desk.append(edited, f"// {WORD} once more\n")
    third = desk.run()
    assert third.items == {"read": edited, "grep": edited, "describe": edited, "answer": WORD}
    assert third.worked == {**NOTHING, "read": 1, "grep": 1, "describe": 1, "answer": 1}
    assert third.answer != first.answer
    # One that has not: the model hears nothing of it.
    other = next(path for path in files if path not in matching)
    desk.append(other, "// nothing\n")
    assert desk.run().items == {"read": other, "grep": other}
    # The same content is no change.
    path = desk.tree / edited
    path.write_text(path.read_text())
    assert desk.run().worked == NOTHING
    # A new file, and it is gone again: what was said before still holds.
    (desk.tree / "live" / "new.rs").write_text(f"// {WORD}\n")
    new = "live/new.rs"
    assert desk.run().items == {"folder": "live", "read": new, "grep": new, "describe": new, "answer": WORD}
    (desk.tree / new).unlink()
    again = desk.run()
    assert (again.items, again.answer) == ({"folder": "live"}, third.answer)
    # Another word: nothing is read again.
    assert desk.run("no such word").worked == {**NOTHING, "grep": len(files), "answer": 1}


def test_several_agents_at_once_work_once(desk: Desk) -> None:
    told = [desk.told(agent) for agent in [desk.start() for _ in range(4)]]
    assert len({one.answer for one in told}) == 1
    kept = desk.run().kept
    assert {tool: sum(one.worked[tool] for one in told) for tool in TOOLS} == kept


def test_the_model_is_a_command_and_another_one_is_asked_again(desk: Desk) -> None:
    described = desk.run().worked["describe"]
    first = desk.run(AGENT_MODEL="wc -l")
    assert first.answer.strip().isdigit()
    assert first.worked == {**NOTHING, "describe": described, "answer": 1}
    assert desk.run(AGENT_MODEL="wc -l").worked == NOTHING


def test_a_model_that_fails_is_asked_again(desk: Desk) -> None:
    agent = desk.start(AGENT_MODEL="cat >/dev/null; exit 3")
    _, err = agent.communicate(timeout=HANG)
    assert agent.returncode == 1
    assert err.splitlines()[-1] == "RuntimeError: the model ended with status 3"
    told = desk.run(AGENT_MODEL="wc -l")
    assert told.worked == {**NOTHING, "describe": len(desk.matching()), "answer": 1}
