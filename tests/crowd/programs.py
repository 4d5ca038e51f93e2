"""The crowd's programs: how each language's is built and started. tests/interop builds the same way, and its builder is
used here. It knows nothing of what they are asked."""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPO = HERE.parent.parent
sys.path.insert(0, str(REPO / "tests" / "interop"))

from peers import PREFIX, TARGET, build, find

PROGRAMS = HERE / "programs"
BUILT = TARGET / "crowd"
# Roots are in memory where there is such a folder: what is looked for are races, and those need no disk.
MEMORY = Path("/dev/shm")
SCRATCH = MEMORY if MEMORY.is_dir() else None
# How many of each are among the forty. A command is a new process each time that it asks.
SHARES = {"python": 7, "node": 7, "go": 7, "c": 7, "rust": 7, "command": 5}


def build_c():
    flags = build("the C resolver", ["pkg-config", "--cflags", "--libs", "forebay"])
    warnings = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    source, program = PROGRAMS / "resolver.c", BUILT / "resolver-c"
    build("the C resolver", ["cc", *warnings, "-o", str(program), str(source), *flags])
    return [program]


def build_go():
    build("the Go resolver", ["go", "build", "-o", str(BUILT / "resolver-go"), "."], PROGRAMS / "go")
    return [BUILT / "resolver-go"]


def build_cargo(name, *packages):
    """A program of the workspace. It is copied, since others build there too."""
    build(name, ["cargo", "build", "--quiet", "--locked", *packages])
    shutil.copy2(TARGET / "debug" / name, BUILT / f"{name}.new")
    os.replace(BUILT / f"{name}.new", BUILT / name)
    return [BUILT / name]


def build_command():
    """The command, with the test clock."""
    find(shutil.which("curl"))
    return build_cargo("forebay", "-p", "forebay-cli", "--features", "forebay-cli/testing")


LANGUAGES = {
    "python": lambda: [find(REPO / ".venv" / "bin" / "python"), PROGRAMS / "resolver.py"],
    "node": lambda: [find(shutil.which("node")), PROGRAMS / "resolver.mjs"],
    "go": build_go,
    "c": build_c,
    "rust": lambda: build_cargo("forebay-resolver", "-p", "forebay-processes"),
    "command": build_command,
}


def build_all():
    """Language -> how its program is started; one that is missing ends the run."""
    BUILT.mkdir(parents=True, exist_ok=True)
    return {language: LANGUAGES[language]() for language in SHARES}


def environment(**more):
    """What all of them run with; nothing of the user's own cache or credentials."""
    own = {"LD_LIBRARY_PATH": PREFIX / "lib", "FOREBAY_MODULE": REPO / "bindings" / "node", **more}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FOREBAY_", "USAGE_"))}
    return {**kept, **{name: str(value) for name, value in own.items()}}
