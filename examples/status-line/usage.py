#!/usr/bin/env python3
"""A status line: how much of an account's allowance is used, as often as a prompt, an editor or an agent asks.

    42% of 5h · 3 min ago

A hundred of these may run at once: one asks the server, at most every three minutes, and when the server says
"later" none does until then. Something is always shown: the last answer with its age, else what local logs tell,
else why there is nothing. The token is read only when the server is asked. README.md has the settings.
"""

import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

import forebay

URL = os.environ.get("USAGE_URL", "https://api.example.com/usage")
TOKEN = Path(os.environ.get("USAGE_TOKEN", "~/.config/usage/token")).expanduser()
LOGS = Path(os.environ.get("USAGE_LOGS", "~/.local/share/usage")).expanduser()


def read_token():
    """The secret, from a file that only its owner can read."""
    try:
        return TOKEN.read_text().strip()
    except FileNotFoundError:
        raise forebay.NoCredentials("not signed in") from None


def ask_server(job):
    """One request. What it is answered with (429, 401, 503, Retry-After) holds for every process."""
    headers = {"Authorization": f"Bearer {job.credential}", **job.conditional_headers}
    request = urllib.request.Request(URL, headers=headers)
    try:
        return forebay.from_response(urllib.request.urlopen(request, timeout=job.remaining))
    except urllib.error.HTTPError as answer:
        return forebay.from_response(answer)


def count_logs():
    """What the local logs tell, where the server tells nothing: lines of `{"at": SECONDS, "tokens": N}`."""
    since = time.time() - 5 * 3600
    entries = [json.loads(line) for log in LOGS.glob("*.jsonl") for line in log.read_text().splitlines()]
    tokens = sum(entry["tokens"] for entry in entries if entry["at"] >= since)
    return {"tokens": tokens, "window": "5h"} if entries else None


def span(seconds):
    """A length of time, as a person says it."""
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 60 else f"{minutes} min" if minutes < 60 else f"{minutes // 60} h"


def why(error):
    """What went wrong, in a few words, and when the next attempt will be made."""
    if not isinstance(error, forebay.Error):
        return str(error) or type(error).__name__
    said = error.code.replace("_", " ")
    return f"{said}, next try in {span(error.retry_at.timestamp() - time.time())}" if error.retry_at else said


def line():
    """The one line."""
    usage = forebay.Cache().quota("usage", identity=os.environ.get("USAGE_ACCOUNT"))
    try:
        answer = usage.resolve(ask_server, read_token, count_logs)
    except Exception as error:  # whatever it was, a status line says it in a line
        return f"no usage: {why(error)}"
    data, doubt = answer.data, f" ({why(answer.error)})" if answer.error else ""
    if answer.how == "fallback":
        return f"{data['tokens']:,} tokens in {data['window']} · local logs{doubt}"
    return f"{100 * data['used'] / data['limit']:.0f}% of {data['window']} · {span(answer.age)} ago{doubt}"


if __name__ == "__main__":
    print(line())
