#!/usr/bin/env python3
"""An agent's tool calls over a source tree: it lists folders, reads files, greps them, and asks a model about each file
that matches, then about all of them. What has not changed is not done again, nor paid for, in this or any other
process; what depends on a file that was edited is.

    agent.py TREE WORD

The answer goes to standard output, then how many results of each tool are kept, and what it had to work on for this
answer. README.md says more.
"""

import asyncio
import os
import sys
from pathlib import Path

import forebay
from forebay import Input

if len(sys.argv) != 3:
    sys.exit("usage: agent.py TREE WORD")
tree, word = Path(sys.argv[1]), sys.argv[2]
model = os.environ.get("AGENT_MODEL", "stand-in")
live = forebay.Cache().live(workspace=tree)
worked = {"folder": [], "read": [], "grep": [], "describe": [], "answer": []}


@live.memo(inputs=lambda path: [Input.dir(path)])
def folder(path):
    """What is in a folder: names, those of folders with a slash. It holds while they are the same."""
    worked["folder"].append(path)
    entries = [entry for entry in os.scandir(tree / path) if entry.name not in ("node_modules", "target")]
    shown = [entry for entry in entries if entry.is_dir(follow_symlinks=False) or entry.is_file()]
    return sorted(entry.name + "/" * entry.is_dir() for entry in shown if not entry.name.startswith("."))


@live.memo(inputs=lambda path: [Input.file(path)])
def read(path):
    """The text of a file; None if it is none. It holds while the content is the same."""
    worked["read"].append(path)
    data = (tree / path).read_bytes()
    return None if b"\0" in data else data.decode(errors="replace")


@live.memo(upstream=lambda word, path: [read.call(path)])
def grep(word, path):
    """The lines of a file that have the word."""
    worked["grep"].append(path)
    lines = (read(path) or "").split("\n")
    return [f"{path}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if word in line]


@live.memo(upstream=lambda model, path: [read.call(path)])
async def describe(model, path):
    """What the model says that a file is for."""
    worked["describe"].append(path)
    return await ask(model, f"What is {path} for?\n\n{read(path)}")


@live.memo(
    upstream=lambda model, word, paths: (
        [describe.call(model, path) for path in paths] + [grep.call(word, path) for path in paths]
    )
)
async def answer(model, word, paths):
    """What the model says of the word, given the lines and the files that have it."""
    worked["answer"].append(word)
    facts = []
    for path in paths:
        facts += [f"{path}: {await describe(model, path)}", *grep(word, path)]
    return await ask(model, f"What is {word} in these files?\n\n" + "\n".join(facts))


async def ask(command, prompt):
    """Asks the model: a command that gets the prompt on its standard input, or a stand-in that costs nothing."""
    if command == "stand-in":
        question, _, *lines = prompt.split("\n")
        return f"{question} {len(lines)} lines, the first is: {(lines or ['nothing'])[0][:60]}"
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_shell(command, stdin=pipe, stdout=pipe)
    try:
        said, _ = await child.communicate(prompt.encode())
    finally:
        if child.returncode is None:  # nobody waits for it any more
            child.kill()
            await child.wait()
    if child.returncode:
        raise RuntimeError(f"the model ended with status {child.returncode}")
    return said.decode().strip()


def walk(path="."):
    """Every file below a folder."""
    for name in folder(path):
        below = name if path == "." else f"{path}/{name}".replace("//", "/")
        yield from walk(below.rstrip("/")) if name.endswith("/") else [below]


matching = [path for path in walk() if grep(word, path)]
print(asyncio.run(answer(model, word, matching)))
kept = live.known_kinds()
for name, items in worked.items():
    told = f": {', '.join(items)}" if 0 < len(items) <= 4 else ""
    print(f"{name:8} kept {kept.get(name, 0)}, worked {len(items)}{told}")
