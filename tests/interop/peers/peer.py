"""The Python side of the matrix in tests/interop, whose README has the protocol."""

import functools
import json
import pathlib
import sys
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import forebay

EPOCH = datetime.fromtimestamp(0, timezone.utc)


def seconds(ms):
    return None if ms is None else ms / 1000


def hexed(data):
    return None if data is None else data.hex()


def code(error):
    return None if error is None else error.code


def epoch_ms(at):
    return None if at is None else (at - EPOCH) // timedelta(milliseconds=1)


def derived(found):
    return {
        "hex": found.data.hex(),
        "how": found.how,
        "kind": found.kind,
        "inputs": [str(each) for each in found.inputs],
        "upstreams": list(found.upstreams),
        "error": code(found.error),
    }


class Peer:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.cache = forebay.Cache(root)
        self.ticket = None
        self.credentials = forebay.Credentials(pathlib.Path(root).with_name("state"))

    def source(self, request):
        ttl, deadline = seconds(request.get("ttl_ms")), seconds(request.get("deadline_ms"))
        return self.cache.source(request["key"], ttl=ttl, deadline=deadline)

    def op_put(self, request):
        value = self.source(request).put(bytes.fromhex(request["hex"]), validator=request["validator"])
        return {"version": value.version}

    def op_read(self, request):
        value = self.source(request).read()
        return {
            "hex": hexed(value.data),
            "state": value.state,
            "phase": value.phase,
            "validator": value.validator,
            "version": value.version,
            "error": code(value.error),
        }

    def op_acquire(self, request):
        acquired = self.source(request).acquire()
        self.ticket = acquired.ticket or self.ticket
        return {"outcome": acquired.outcome}

    def op_complete(self, request):
        value = self.ticket.complete(bytes.fromhex(request["hex"]), validator=request["validator"])
        return {"version": value.version}

    def op_fail(self, request):
        retry_after = seconds(request["retry_after_ms"])
        self.ticket.fail(request["code"], request["message"], retry_after=retry_after)
        return {}

    def op_state(self, request):
        state = self.source(request).refresh_state()
        return {
            "phase": state.phase,
            "error": code(state.last_error),
            "message": None if state.last_error is None else state.last_error.message,
            "attempts": state.attempts,
            "declared": state.declared,
            "retry_at_ms": epoch_ms(state.retry_at),
            "holder": state.holder,
        }

    def op_get(self, request):
        value = self.source(request).get(lambda job: bytes.fromhex(request["hex"]))
        return {"hex": hexed(value.data), "how": value.how}

    def op_mark_stale(self, request):
        self.source(request).mark_stale()
        return {}

    def op_remove(self, request):
        return {"removed": self.source(request).remove()}

    def op_list(self, request):
        return {"keys": [row.key for row in self.cache.list()]}

    def quota(self, request):
        return self.cache.quota(request["name"], identity=request["identity"])

    def op_quota_resolve(self, request):
        def fetch(job):
            if request["json"] is not None:
                return request["json"].encode()
            after = request["retry_after"]
            headers = {} if after is None else {"retry-after": after}
            response = SimpleNamespace(status_code=request["status"], headers=headers, content=b"")
            return forebay.from_response(response)

        secret = request["credential"]
        credentials = None if secret is None else lambda: secret
        answer = self.quota(request).resolve(fetch, credentials, lambda: None)
        return {
            "json": answer.raw.decode(),
            "how": answer.how,
            "error": code(answer.error),
            "retry_at_ms": epoch_ms(answer.retry_at),
        }

    def op_quota_read(self, request):
        state = self.quota(request).read()
        answer, blocked = state.answer, state.blocked
        return {
            "json": answer and answer.raw.decode(),
            "state": answer and answer.state,
            "cached_at_ms": answer and epoch_ms(answer.cached_at),
            "blocked_until_ms": blocked and epoch_ms(blocked.until),
            **{name: blocked and getattr(blocked, name) for name in ("error", "message", "declared", "attempts")},
        }

    def op_quota_block(self, request):
        until = self.quota(request).block(seconds(request["for_ms"]), request["code"], request["message"])
        return {"until_ms": epoch_ms(until)}

    def op_quota_clear(self, request):
        return {"cleared": self.quota(request).clear()}

    def op_quotas(self, request):
        return {"keys": [str(key) for key in self.cache.quotas()]}

    def op_rotate(self, request):
        given = []

        def exchange(job):
            given.append(job.previous)
            if request["hex"] is None:
                raise forebay.Failure(request["code"], request["message"])
            return bytes.fromhex(request["hex"])

        got = self.credentials.rotate(request["key"], request["seen"], exchange=exchange)
        previous = given[0] if given else None
        return {"hex": got.data.hex(), "how": got.how, "version": got.version, "previous": hexed(previous)}

    def op_rotate_current(self, request):
        got = self.credentials.current(request["key"])
        return {"hex": got and got.data.hex(), "version": got and got.version}

    def op_rotate_reset(self, request):
        data = None if request["hex"] is None else bytes.fromhex(request["hex"])
        return {"version": self.credentials.reset(request["key"], data)}

    def op_rotate_state(self, request):
        state = self.credentials.state(request["key"])
        return {
            "phase": state.phase,
            "ambiguous_since_ms": epoch_ms(state.ambiguous_since),
            "error": code(state.last_error),
            "version": state.version,
        }

    @functools.cached_property
    def live(self):
        return self.cache.live(workspace=self.root.with_name("work"))

    def op_live_key(self, request):
        return {"key": forebay.live_key(request["of"])}

    def op_live_get(self, request):
        key, inputs, upstream = (request[name] for name in ("key", "inputs", "upstreams"))
        data = bytes.fromhex(request["hex"])
        found = self.live.get_or_compute(
            key, lambda job: data, inputs=inputs, upstream=upstream, kind=request["kind"]
        )
        return derived(found)

    def op_live_lookup(self, request):
        found = self.live.lookup(request["key"], revalidate=request["revalidate"])
        return {"outcome": found.outcome, **(derived(found.hit) if found else {})}

    def op_live_why(self, request):
        why = self.live.why(request["key"])
        return {"holds": why.holds, "input": why.input and str(why.input), "upstream": why.upstream}

    def op_live_tag(self, request):
        return {"removed": self.live.invalidate_tag(request["name"])}

    def answer(self, request):
        try:
            return getattr(self, f"op_{request['op']}")(request)
        except forebay.Error as error:
            return {"error": error.code, "message": str(error)}


def main():
    peer = Peer(sys.argv[1])
    print(json.dumps({"language": "python"}), flush=True)
    for line in sys.stdin:
        print(json.dumps(peer.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
