"""`Crowd`: forty processes of six languages on one root, one clock that all of them read, and one server. It asks them
all at once and collects what each says. It asserts nothing but that they answer."""

import itertools
import json
import queue
import subprocess
import tempfile
import threading
from pathlib import Path

import programs

# Seconds; only something that hangs takes as long.
LIMIT = 60
SECOND = 1_000_000_000
# Beyond every lease of a minute, with whatever grace.
LAPSE = 600


class Problem(Exception):
    """A process that ended, or said nothing, or not what it should."""


class Clock:
    """The time of all processes of the crowd: a file, replaced whole."""

    def __init__(self, path):
        self.path = path
        self.ns = 1_800_000_000 * SECOND
        self.forward(0)

    def forward(self, seconds):
        """Moves it; thousandths of a second count exactly."""
        self.ns += round(seconds * 1000) * (SECOND // 1000)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"wall_ns": str(self.ns), "boot_ns": str(self.ns - 1_700_000_000 * SECOND)}))
        new.replace(self.path)

    @property
    def ms(self):
        return self.ns // 1_000_000


class Member:
    """A process that answers each line with a line."""

    def __init__(self, language, command, where, **variables):
        self.language, self.variables = language, variables
        self.command = [str(word) for word in (*command, *where)]
        self.begin()

    def begin(self):
        env = programs.environment(**self.variables)
        self.child = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.lines = queue.Queue()
        threading.Thread(target=self._listen, args=(self.child.stdout, self.lines), daemon=True).start()

    @staticmethod
    def _listen(out, lines):
        for line in out:
            lines.put(line)
        lines.put(None)

    def next(self):
        try:
            line = self.lines.get(timeout=LIMIT)
        except queue.Empty:
            raise Problem(f"{self.language}: no answer in {LIMIT} s") from None
        if line is None:
            raise Problem(f"{self.language}: it ended, status {self.child.wait()}")
        return json.loads(line)

    def ask_later(self, verb, name, given, patience_ms, fallback):
        self.child.stdin.write(f"{verb} {name} {given} {patience_ms} {fallback}\n")
        self.child.stdin.flush()
        return self.next

    def kill(self):
        """Kills it, and starts another in its place."""
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.begin()
        self.next()

    def close(self):
        self.child.stdin.close()
        try:
            status = self.child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.child.kill()
            raise Problem(f"{self.language}: it did not end with its input") from None
        if status:
            raise Problem(f"{self.language}: it ended with status {status}")


class Command:
    """The `forebay` command, which is a process of its own for each question."""

    language = "command"
    # The secret as all others have it: another text would be another credential.
    CREDENTIALS = 'printf c >> "$CALLED"; test "$TOKEN" != - && printf %s "$TOKEN"'
    ASK = """printf f >> "$CALLED"
        printf 'Authorization: Bearer %s' "$(cat)" | curl -si --max-time "$PATIENCE" -A command -H @- "$URL"
        status=$?
        exit $((status == 28 ? 124 : status))"""
    FALLBACK = 'printf b >> "$CALLED"; test "$FALLBACK" = - || printf %s "$FALLBACK"'
    EXCHANGE = r"""printf x >> "$CALLED"
        token=$(sed -n 's/.*"refresh_token": "\([^"]*\)".*/\1/p')
        test "$token" && path=token || path=login
        exec curl -si --max-time "$PATIENCE" -A command -d "refresh_token=$token" "$BASE$path"
        """

    def __init__(self, command, where):
        self.command = str(command[0])
        self.root, self.state, self.clock, port = where
        self.base, self.numbers = f"http://127.0.0.1:{port}/", itertools.count()

    def resolve(self, name, given):
        words = ["--root", self.root, "quota", "resolve", "--timeout", "60s", "--json", name]
        words += ["--credentials", self.CREDENTIALS, "--fallback", self.FALLBACK]
        return [*words, "--", "sh", "-c", self.ASK]

    def rotate(self, name, given):
        words = ["rotate", "--state", self.state, "--deadline", "60s", "--json", name]
        words += [] if given == "-" else ["--seen", given]
        return [*words, "--", "sh", "-c", self.EXCHANGE]

    def ask_later(self, verb, name, given, patience_ms, fallback):
        called = self.clock.with_name(f"called-{id(self)}-{next(self.numbers)}")
        env = {"TOKEN": given, "FALLBACK": fallback, "PATIENCE": int(patience_ms) / 1000, "CALLED": called}
        child = subprocess.Popen(
            [self.command, *getattr(self, verb)(name, given)],
            env=programs.environment(**env, BASE=self.base, URL=self.base + name, FOREBAY_TEST_CLOCK=self.clock),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

        def answer():
            try:
                out, err = child.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                child.kill()
                raise Problem(f"command: no answer in {LIMIT} s") from None
            try:
                # What is no answer is said on standard error.
                said = json.loads(out or err)
            except ValueError:
                raise Problem(f"command: status {child.returncode}: {out!r}, {err.decode()}") from None
            return facts(said, called)

        return answer

    def close(self):
        """Nothing runs between two questions."""


def facts(said, called):
    """What the command says in JSON, as the other members have it."""
    error = said.get("error") or {}
    found = {name: said.get(name) for name in ("how", "state", "data", "age_ms", "version")}
    if found["version"]:
        # A credential is any bytes to the command.
        found["data"] = json.loads(found["data"])
    retry_at = said.get("retry_at_ms") or error.get("retry_at_ms")
    found.update(retry_at_ms=retry_at, error=error.get("code"), called=called.read_text() if called.exists() else "")
    called.unlink(missing_ok=True)
    return found


class Crowd:
    """All of them, in a folder of their own; `variables` are in their environment."""

    def __init__(self, commands, server, shares=None, **variables):
        self.server = server
        self.folder = tempfile.TemporaryDirectory(prefix="forebay-crowd-", dir=programs.SCRATCH)
        place = Path(self.folder.name)
        self.clock = Clock(place / "clock.json")
        where = (place / "root", place / "state", self.clock.path, server.base.rpartition(":")[2])
        self.members = []
        for language, count in (shares or programs.SHARES).items():
            command = commands[language]
            for _ in range(count):
                known = language != "command"
                member = Member(language, command, where, **variables) if known else Command(command, where)
                self.members.append(member)
        for member in self.processes:
            if member.next() != {"language": member.language}:
                raise Problem(f"{member.language}: it did not say its language")

    @property
    def processes(self):
        """Those that live on between two questions."""
        return [member for member in self.members if isinstance(member, Member)]

    @property
    def one_each(self):
        """Language -> a member."""
        return {member.language: member for member in reversed(self.members)}

    @property
    def patient(self):
        """One each of the languages whose fetch goes on where its lease is lost. Node, Go and the command end it then."""
        return [member for language, member in self.one_each.items() if language in ("python", "c", "rust")]

    def ask_later(self, member, name, credential="token", patience_ms=60_000, fallback="-", verb="resolve"):
        return member.ask_later(verb, name, credential, patience_ms, fallback)

    def ask(self, member, name, **more):
        return self.ask_later(member, name, **more)()

    def all_ask(self, name, members=None, **more):
        """They ask at once; what each says."""
        answers = [self.ask_later(member, name, **more) for member in members or self.members]
        return [answer() for answer in answers]

    def all_rotate(self, key, seen="-", **more):
        """They rotate at once; what each says."""
        return self.all_ask(key, verb="rotate", credential=seen, **more)

    def asked(self, name):
        """How often the server was asked for it since the requests were forgotten last; they are now."""
        count = self.server.count(f"/{name}")
        self.forget_requests()
        return count

    def forget_requests(self):
        self.server.post("/_set", clear_log=True)

    def close(self):
        """Ends them all; each has to go with its input."""
        try:
            for member in self.members:
                member.close()
        finally:
            self.folder.cleanup()

    def give_up(self):
        """Ends them all, whatever they are at."""
        for member in self.processes:
            member.child.kill()
            member.child.wait()
        self.folder.cleanup()
