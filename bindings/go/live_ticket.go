// LiveTicket: a computation whose inputs were looked at before it began, and that the caller makes in a way of its own. It
// takes no lease: others may compute the same meanwhile.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"runtime"
	"sync"
	"unsafe"
)

// LiveTicket is a computation that is under way. Usable by any goroutine; one commit ends it.
type LiveTicket struct {
	key     LiveKey
	mu      sync.Mutex
	native  *C.forebay_live_ticket
	cleanup runtime.Cleanup
}

// Begin looks at the inputs, before anything is computed from them. [ErrSuperseded]: a result that it is to be built on does
// not hold; compute that one first.
func (l *Live) Begin(key LiveKey, spec LiveSpec) (*LiveTicket, error) {
	t := &LiveTicket{key: key}
	_, err := l.call(func(a *args, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_begin(&t.native, n, a.liveSpec(key, spec), e)
	})
	if err != nil {
		return nil, err
	}
	// A net for callers that drop it.
	t.cleanup = runtime.AddCleanup(t, func(native *C.forebay_live_ticket) {
		C.forebay_live_ticket_free(native)
	}, t.native)
	return t, nil
}

// Key returns the key of the result.
func (t *LiveTicket) Key() LiveKey { return t.key }

// Commit stores the result, and ends the ticket whatever comes of it. [ErrSuperseded]: an input, or a result that it is
// built on, has changed since Begin, and nothing was stored. [ErrAlreadyUsed]: the ticket has ended before.
func (t *LiveTicket) Commit(data []byte) (*Derived, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.native == nil {
		return nil, newError(CodeAlreadyUsed, "the ticket has ended before", nil)
	}
	defer t.end()
	var kept *C.forebay_derived
	var failure *C.forebay_error
	gcPoint()
	start, size := unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))
	err := failed(C.forebay_live_commit(&kept, t.native, start, size, &failure), failure, nil)
	return derivedOf(kept), err
}

// Close ends the ticket; where it was not committed, nothing is stored. Closing again, or after Commit, is fine.
func (t *LiveTicket) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.native != nil {
		t.end()
	}
}

func (t *LiveTicket) end() {
	t.cleanup.Stop()
	gcPoint()
	C.forebay_live_ticket_free(t.native)
	t.native = nil
}
