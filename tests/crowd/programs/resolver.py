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
    def __init__(self, root, state, clock, port):
        self.cache = forebay.Cache(root, test_clock=clock)
        self.credentials = forebay.Credentials(state, deadline=TIMEOUT, test_clock=clock)
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

    def rotate(self, key, seen, patience_ms, _fallback):
        called = []

        def exchange(job):
            called.append("x")
            previous = job.previous and json.loads(job.previous)["refresh_token"]
            where, form = ("token", f"refresh_token={previous}") if previous else ("login", "")
            return answered(urllib.request.Request(self.base + where, data=form.encode()), int(patience_ms) / 1000)

        out = {"how": None, "version": None, "data": None, "error": None}
        try:
            credential = self.credentials.rotate(key, None if seen == "-" else seen, exchange=exchange)
        except Exception as error:
            out.update(error=code(error))
        else:
            out.update(how=credential.how, version=credential.version, data=json.loads(credential.data))
        return {**out, "called": "".join(called)}


def code(error):
    return error and getattr(error, "code", type(error).__name__)


def facts(answer, retry, error, called):
    retry_at = getattr(retry, "retry_at", None)
    return {
        "how": answer and answer.how,
        "state": answer and answer.state,
        "data": answer and answer.data,
        "age_ms": answer and round((answer.age or 0) * 1000),
        "retry_at_ms": retry_at and round(retry_at.timestamp() * 1000),
        "error": code(error),
        "called": "".join(called),
    }


def main():
    member = Member(*sys.argv[1:])
    print(json.dumps({"language": "python"}), flush=True)
    for line in sys.stdin:
        verb, *words = line.split()
        print(json.dumps(getattr(member, verb)(*words)), flush=True)


if __name__ == "__main__":
    main()
