"""The Python member of the crowd; README.md in tests/crowd has what it is asked and answers."""

import json
import sys
import urllib.error
import urllib.request

import forebay

TIMEOUT = 60


def answered(request, patience):
    """The server's answer, or what it means that there is none."""
    try:
        return forebay.from_response(urllib.request.urlopen(request, timeout=patience))
    except urllib.error.HTTPError as refused:
        with refused:
            return forebay.from_response(refused)
    except TimeoutError:
        raise forebay.TimedOut("the server does not answer") from None


class Member:
    def __init__(self, root, clock, port):
        self.cache = forebay.Cache(root, test_clock=clock)
        self.base = f"http://127.0.0.1:{port}/"

    def resolve(self, name, credential, patience_ms, fallback):
        called = []

        def credentials():
            called.append("c")
            if credential == "-":
                raise forebay.NoCredentials("signed out")
            return credential

        def fetch(job):
            called.append("f")
            headers = {"Authorization": f"Bearer {job.credential}", "User-Agent": "python"}
            return answered(urllib.request.Request(self.base + name, headers=headers), int(patience_ms) / 1000)

        def made():
            called.append("b")
            return None if fallback == "-" else json.loads(fallback)

        quota = self.cache.quota(name, timeout=TIMEOUT)
        try:
            answer = quota.resolve(fetch, credentials, made)
        except Exception as error:
            return facts(None, error, error, called)
        return facts(answer, answer, answer.error, called)


def facts(answer, retry, error, called):
    retry_at = getattr(retry, "retry_at", None)
    return {
        "how": answer and answer.how,
        "state": answer and answer.state,
        "data": answer and answer.data,
        "age_ms": answer and round((answer.age or 0) * 1000),
        "retry_at_ms": retry_at and round(retry_at.timestamp() * 1000),
        "error": error and getattr(error, "code", type(error).__name__),
        "called": "".join(called),
    }


def main():
    member = Member(*sys.argv[1:])
    print(json.dumps({"language": "python"}), flush=True)
    for line in sys.stdin:
        print(json.dumps(member.resolve(*line.split())), flush=True)


if __name__ == "__main__":
    main()
