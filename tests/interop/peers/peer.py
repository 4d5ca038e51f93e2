"""The Python side of the matrix in tests/interop, whose README has the protocol."""

import json
import sys

import forebay


def seconds(ms):
    return None if ms is None else ms / 1000


def hexed(data):
    return None if data is None else data.hex()


def code(error):
    return None if error is None else error.code


class Peer:
    def __init__(self, root):
        self.cache = forebay.Cache(root)
        self.ticket = None

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
            "retry_at_ms": None if state.retry_at is None else round(state.retry_at.timestamp() * 1000),
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
