"""The status lines of examples/status-line, run as they are, many at once: what their users see. Their clock is the real
one, so each promise has a root of its own and allows for a slow machine."""

import json
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import programs
from programs import PROGRAMS, REPO

LIMIT = 60
EXAMPLES = REPO / "examples" / "status-line"
AN_HOUR_AGO = 3600


class Desk:
    """A user's machine: a root, a token, logs, and both programs."""

    def __init__(self, server, place):
        self.server, self.place, self.allowed = server, Path(place), 0
        self.root, self.token, self.logs = (self.place / name for name in ("root", "token", "logs"))
        self.token.write_text("token-1\n")
        modules = self.place / "node_modules"
        modules.mkdir()
        (modules / "forebay").symlink_to(REPO / "bindings" / "node")
        (self.place / "usage.mjs").write_text((EXAMPLES / "usage.mjs").read_text())
        python, node = REPO / ".venv" / "bin" / "python", programs.find(shutil.which("node"))
        self.commands = {
            "python": [str(programs.find(python)), str(PROGRAMS / "starter.py"), str(EXAMPLES / "usage.py")],
            "node": [str(node), str(PROGRAMS / "starter.mjs"), str(self.place / "usage.mjs")],
        }

    def show(self, each=20, languages=("python", "node")):
        """The lines of so many status lines of each language, begun in the same moment."""
        env = programs.environment(
            FOREBAY_ROOT=self.root, USAGE_URL=self.server.url("/usage"), USAGE_TOKEN=self.token, USAGE_LOGS=self.logs
        )
        pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
        running = [
            subprocess.Popen(self.commands[language], env=env, text=True, **pipes)
            for _ in range(each)
            for language in languages
        ]
        for child in running:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
        began = time.monotonic()
        for child in running:
            child.stdin.write("\n")
            child.stdin.flush()
        lines = [self.line_of(child) for child in running]
        # The first may have been given up after two seconds, if the machine is that slow.
        self.allowed += 1 + (time.monotonic() - began) // 2
        return lines

    @staticmethod
    def line_of(child):
        try:
            out, err = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
        assert (child.returncode, err) == (0, ""), f"status {child.returncode}: {out}{err}"
        assert out.count("\n") == 1, f"not one line: {out!r}"
        return out.rstrip("\n")

    def log_tokens(self):
        """1,250 tokens in the last five hours, and more before."""
        self.logs.mkdir()
        entries = [(time.time() - AN_HOUR_AGO, 1000), (time.time(), 250), (time.time() - 8 * AN_HOUR_AGO, 9999)]
        for number, (at, tokens) in enumerate(entries):
            (self.logs / f"{number}.jsonl").write_text(json.dumps({"at": at, "tokens": tokens}) + "\n")

    def record(self, minutes_ago):
        """The record of an earlier answer, as the original program left it."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * minutes_ago))
        data = {"used": 17, "limit": 100, "window": "5h"}
        record = {"schema_version": 1, "cached_at": at, "data": data, "error": None}
        self.root.mkdir(mode=0o700)
        (self.root / "usage.json").write_text(json.dumps(record, indent=2))

    def asked_by(self, token="token-1"):
        """How often the server was asked with that token: once, unless that took so long that another had to."""
        requests = [request for request in self.server.requests("/usage") if request["token"] == token]
        assert len(requests) <= self.allowed, f"{len(requests)} requests, {self.allowed} allowed"
        self.allowed = 0
        return len(requests)


def on_a_desk(promise):
    """The promise, with a desk of its own."""

    def kept(server):
        with tempfile.TemporaryDirectory(prefix="forebay-lines-", dir=programs.SCRATCH) as place:
            return promise(Desk(server, place))

    kept.__name__, kept.__doc__ = promise.__name__, promise.__doc__
    return kept


def all_are(lines, pattern):
    for line in lines:
        assert re.fullmatch(pattern, line), f"{line!r} is not {pattern}"


@on_a_desk
def forty_status_lines_make_one_request(desk):
    """Twenty of each language begin at once, with nothing to show; then again, with an answer that is fresh."""
    all_are(desk.show(), r"42% of 5h · \d+ s ago")
    asked = desk.asked_by()
    all_are(desk.show(), r"42% of 5h · \d+ s ago")
    assert asked == desk.server.count("/usage"), "a fresh answer was asked for again"
    return f"2 times 40 processes, {asked} request"


@on_a_desk
def a_rate_limited_one_shows_the_last_answer_and_for_how_long(desk):
    """The record is an hour and a half old; one of forty is told 429, Retry-After 19,800, which is five hours and a half."""
    desk.record(minutes_ago=90)
    desk.server.script("/usage", {"status": 429, "retry_after": "19800"})
    # Whoever comes while the first is asking has nothing to add to the last answer.
    all_are(desk.show(), r"17% of 5h · 1 h ago( \(rate limited, next try in 5 h\))?")
    asked = desk.asked_by()
    all_are(desk.show(each=3), r"17% of 5h · 1 h ago \(rate limited, next try in 5 h\)")
    assert asked == desk.server.count("/usage"), "the server was asked behind its gate"
    return f"46 processes, {asked} request"


@on_a_desk
def signed_out_the_logs_are_counted_and_nobody_is_asked(desk):
    """No token: no request; first without logs, then with them; then a token is there."""
    desk.token.unlink()
    all_are(desk.show(each=3), "no usage: no credentials")
    desk.log_tokens()
    all_are(desk.show(each=3), r"1,250 tokens in 5h · local logs \(no credentials\)")
    assert desk.server.count("/usage") == 0
    desk.allowed = 0
    desk.token.write_text("token-1")
    all_are(desk.show(each=3), r"42% of 5h · \d+ s ago")
    return f"18 processes, {desk.asked_by()} request"


@on_a_desk
def a_refused_token_is_shown_and_a_new_one_used_at_once(desk):
    """The server takes the token no more: one request. A new one is there: one more."""
    desk.server.revoke("token-1")
    all_are(desk.show(), r"no usage: unauthorized, next try in [3-6] min")
    refused = desk.asked_by()
    desk.token.write_text("token-2")
    all_are(desk.show(), r"42% of 5h · \d+ s ago")
    asked = desk.asked_by("token-2")
    assert refused + asked == desk.server.count("/usage"), "the refused token was tried again"
    return f"80 processes, {refused} and {asked} request"


def whatever_happens_there_is_a_line(server):
    """Garbage, half an answer, a broken connection, 500, no answer for two seconds: a line that says so, by each
    language."""
    troubles = ["garbage", "truncate", "reset", 500, "hang"]
    for trouble in troubles:
        for language in ("python", "node"):
            server.post("/_reset")
            server.script("/usage", trouble)
            with tempfile.TemporaryDirectory(prefix="forebay-lines-", dir=programs.SCRATCH) as place:
                all_are(Desk(server, place).show(each=1, languages=[language]), "no usage: .+")
            assert server.count("/usage") <= 1, f"{trouble}, {language}"
    return f"{len(troubles)} troubles in 2 languages"


ALL = [
    forty_status_lines_make_one_request,
    a_rate_limited_one_shows_the_last_answer_and_for_how_long,
    signed_out_the_logs_are_counted_and_nobody_is_asked,
    a_refused_token_is_shown_and_a_new_one_used_at_once,
    whatever_happens_there_is_a_line,
]
