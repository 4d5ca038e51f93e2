"""The demo's Python program: one read, or one get, of the model list.

It shows what a command-line tool does with a slow source, and prints what it got as one line of `name=value`
pairs, like its four sisters in other languages. Usage: fetch.py get|read URL
"""

import sys
import time

import forebay
import httpx


def main() -> int:
    mode, url = sys.argv[1:]
    print("asking", flush=True)
    began = time.perf_counter()
    cache = forebay.Cache()
    models = cache.source("api/models", ttl="1h", max_stale="7d", deadline="20s")

    def fetch(job: forebay.Job) -> object:
        headers = {"User-Agent": "python", **job.conditional_headers}
        return forebay.from_response(httpx.get(url, headers=headers, timeout=job.remaining))

    value = models.get(fetch) if mode == "get" else models.read()
    micros = (time.perf_counter() - began) * 1e6
    error = value.error.code if value.error else "-"
    print(
        f"how={value.how or '-'} state={value.state} age_ms={(value.age or 0) * 1000:.0f} "
        f"bytes={len(value.data or b'')} us={micros:.0f} error={error}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
