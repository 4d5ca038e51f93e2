// Ticket: the right to refresh one source, until its deadline. For programs that do the work elsewhere than in a
// Refresher; every other call that refreshes is sugar over it.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// Ticket is the right to refresh one source. It ends by Complete, Unchanged, Fail or Run; Close without one of
// them gives it up, and whoever wants the value next may try at once. A ticket that is neither ended nor closed
// is given up when it is collected, or at its deadline, or when the process ends. Usable by any goroutine.
type Ticket struct {
	handle *handle

	mu      sync.RWMutex // held while a native call uses the pointer
	native  *C.forebay_ticket
	cleanup runtime.Cleanup
}

// ownedTicket owns both things that a ticket needs, so that its cleanup doesn't keep the ticket alive.
type ownedTicket struct {
	handle *handle
	native *C.forebay_ticket
}

func (o ownedTicket) free() {
	gcPoint()
	C.forebay_ticket_free(o.native)
	o.handle.release()
}

// newTicket takes over the native ticket, and a use of the handle of its own.
func newTicket(h *handle, native *C.forebay_ticket) *Ticket {
	h.users.Add(1)
	t := &Ticket{handle: h, native: native}
	t.cleanup = runtime.AddCleanup(t, ownedTicket.free, ownedTicket{h, native})
	return t
}

// AcquireOptions say when Acquire hands out a ticket. The zero value: whenever nobody else holds one, and no gate
// is in force.
type AcquireOptions struct {
	// Deadline is the time that the refresh may take. Unset: the source's.
	Deadline time.Duration
	// UnlessFresh hands out none while the value is fresh.
	UnlessFresh bool
	// UnlessChangedSince hands out none where the value's version is another: the caller was overtaken.
	UnlessChangedSince *Version
	// Force passes a gate that was guessed; OverrideGate also one that the server declared.
	Force, OverrideGate bool
}

// Acquired is what Acquire found. Either Ticket is set, or Started says why not: StartedFresh with Value, or
// StartedInFlight and StartedGated with State.
type Acquired struct {
	Started Started
	Ticket  *Ticket
	Value   ReadResult
	State   RefreshState
}

// Started says what a call that may start a refresh did.
type Started string

// What such a call did.
const (
	StartedNow      Started = "started"   // the refresh was begun
	StartedFresh    Started = "fresh"     // not: the value is fresh
	StartedInFlight Started = "in_flight" // not: it is running already, here or in another process
	StartedGated    Started = "gated"     // not: a gate forbids the next attempt for now
)

func startedBy(status C.forebay_status) Started {
	switch status {
	case C.FOREBAY_FRESH:
		return StartedFresh
	case C.FOREBAY_IN_FLIGHT:
		return StartedInFlight
	case C.FOREBAY_GATED:
		return StartedGated
	}
	return StartedNow
}

// Acquire asks for the right to refresh the source, without waiting for anybody.
func (c *Cache) Acquire(source Source, options AcquireOptions) (Acquired, error) {
	h, err := c.use()
	if err != nil {
		return Acquired{}, err
	}
	defer h.release()
	var a args
	defer a.free()
	native := &C.forebay_acquire_options{
		struct_size:   C.sizeof_forebay_acquire_options,
		deadline_ms:   millis(options.Deadline),
		unless_fresh:  truth(options.UnlessFresh),
		force:         truth(options.Force),
		override_gate: truth(options.OverrideGate),
	}
	if options.UnlessChangedSince != nil {
		native.unless_changed_since = a.text(options.UnlessChangedSince.text())
	}
	var ticket *C.forebay_ticket
	var value *C.forebay_value
	var info *C.forebay_refresh_info
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_acquire(&ticket, &value, &info, h.native, a.source(source), native, &failure)
	if err := failed(status, failure, nil); err != nil {
		return Acquired{}, err
	}
	out := Acquired{Started: startedBy(status), Value: result(value), State: refreshState(info)}
	if ticket != nil {
		out.Ticket = newTicket(h, ticket)
	}
	return out, nil
}

// RequestRefresh takes the lease now, unless the value is fresh, and queues its ticket for [Cache.NextRefresh].
func (c *Cache) RequestRefresh(source Source) (Started, error) {
	h, err := c.use()
	if err != nil {
		return "", err
	}
	defer h.release()
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_request_refresh(h.native, a.source(source), &failure)
	if err := failed(status, failure, nil); err != nil {
		return "", err
	}
	return startedBy(status), nil
}

// NextRefresh waits for the next ticket that [Cache.RequestRefresh] queued, until ctx ends.
func (c *Cache) NextRefresh(ctx context.Context) (*Ticket, error) {
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	defer h.release()
	var ticket *C.forebay_ticket
	err = h.interruptible(ctx, func(
		timeout C.int64_t, i *C.forebay_interrupt, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_next_refresh(&ticket, h.native, timeout, i, e)
	})
	if ticket != nil {
		return newTicket(h, ticket), nil
	}
	return nil, err
}

// Close gives the ticket up if it hasn't ended, and frees it. Closing again is fine.
func (t *Ticket) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.native == nil {
		return
	}
	t.cleanup.Stop()
	ownedTicket{t.handle, t.native}.free()
	t.native = nil
}

// Key returns the source's key, tier/name.
func (t *Ticket) Key() (key string) {
	t.with(func(native *C.forebay_ticket) {
		var size C.size_t
		key = copied(sized(C.forebay_ticket_key(native, &size), &size))
	})
	return key
}

// Token returns the lease's fencing token: greater than that of any lease on the source before it.
func (t *Ticket) Token() (token uint64) {
	t.with(func(native *C.forebay_ticket) { token = uint64(C.forebay_ticket_token(native)) })
	return token
}

// Deadline returns when the refresh should be done, by the cache's clock.
func (t *Ticket) Deadline() (deadline time.Time) {
	t.with(func(native *C.forebay_ticket) { deadline = instant(C.forebay_ticket_deadline_ms(native)) })
	return deadline
}

// Remaining returns how much of the deadline is left; 0 once it is over.
func (t *Ticket) Remaining() (remaining time.Duration) {
	t.with(func(native *C.forebay_ticket) { remaining = duration(C.forebay_ticket_remaining_ms(native)) })
	return remaining
}

// Cancelled reports whether the result is no longer wanted: the value was put or removed meanwhile, the lease is
// over, the ticket or the cache was closed. It costs one system call.
func (t *Ticket) Cancelled() bool {
	unwanted := true
	t.with(func(native *C.forebay_ticket) { unwanted = C.forebay_ticket_cancelled(native) != 0 })
	return unwanted || t.handle.ended.Err() != nil
}

// Previous returns a copy of the value that is to be replaced, fresh or not; nil where there is none.
func (t *Ticket) Previous() (previous []byte) {
	t.with(func(native *C.forebay_ticket) {
		var size C.size_t
		if data := C.forebay_ticket_previous(native, &size); data != nil {
			previous = copiedBytes(data, size)
		}
	})
	return previous
}

// PreviousStoredAt returns when that value was stored; the zero time where there is none.
func (t *Ticket) PreviousStoredAt() (at time.Time) {
	t.with(func(native *C.forebay_ticket) { at = instant(C.forebay_ticket_previous_stored_at_ms(native)) })
	return at
}

// Validator returns that value's validator, or "".
func (t *Ticket) Validator() (validator string) {
	t.with(func(native *C.forebay_ticket) {
		var size C.size_t
		validator = copied(sized(C.forebay_ticket_validator(native, &size), &size))
	})
	return validator
}

// ConditionalHeaders returns the headers that make a request conditional on that validator. Never nil.
func (t *Ticket) ConditionalHeaders() http.Header {
	headers := http.Header{}
	t.with(func(native *C.forebay_ticket) {
		for i := range C.forebay_ticket_header_count(native) {
			name := C.GoString(C.forebay_ticket_header_name(native, i))
			headers.Set(name, C.GoString(C.forebay_ticket_header_value(native, i)))
		}
	})
	return headers
}

// Complete stores data as the new value, and ends the ticket. [ErrSuperseded] and [ErrLeaseLost]: nothing was
// stored. [ErrLockTimeout]: nothing was stored yet, and it may be called again with the same data.
func (t *Ticket) Complete(data []byte, commit Commit) (ReadResult, error) {
	return t.store(func(a *args, value **C.forebay_value, n *C.forebay_ticket, e **C.forebay_error) C.forebay_status {
		size := C.size_t(len(data))
		return C.forebay_ticket_complete(value, n, unsafe.Pointer(unsafe.SliceData(data)), size, a.commit(commit), e)
	})
}

// Unchanged says that the previous value is still the same: it is fresh again, and the ticket ends. A commit's
// fields that are unset stay as they were.
func (t *Ticket) Unchanged(commit Commit) (ReadResult, error) {
	return t.store(func(a *args, value **C.forebay_value, n *C.forebay_ticket, e **C.forebay_error) C.forebay_status {
		return C.forebay_ticket_unchanged(value, n, a.commit(commit), e)
	})
}

type storing func(*args, **C.forebay_value, *C.forebay_ticket, **C.forebay_error) C.forebay_status

func (t *Ticket) store(call storing) (out ReadResult, err error) {
	err = t.use(func(native *C.forebay_ticket) error {
		var a args
		defer a.free()
		var value *C.forebay_value
		var failure *C.forebay_error
		status := call(&a, &value, native, &failure)
		out = result(value)
		err := failed(status, failure, nil)
		if err == nil && status == C.FOREBAY_SUPERSEDED {
			return newError(CodeSuperseded, "a newer value was put meanwhile: nothing was stored", nil)
		}
		return err
	})
	return out, err
}

// Fail records why there is no new value, keeps the previous one, and ends the ticket. A [Failure], or one of
// the sentinels that [ErrInvalid] lists, says more than any other error.
func (t *Ticket) Fail(why error) error {
	if why == nil {
		return newError(CodeInvalid, "Fail was given no error", nil)
	}
	return t.use(func(native *C.forebay_ticket) error {
		var a args
		defer a.free()
		var failing *C.forebay_error
		return failed(C.forebay_ticket_fail(native, a.failure(failureOf(why)), &failing), failing, nil)
	})
}

// Renew moves the deadline to d from now.
func (t *Ticket) Renew(d time.Duration) error {
	return t.use(func(native *C.forebay_ticket) error {
		var failure *C.forebay_error
		return failed(C.forebay_ticket_renew(native, atLeast(d), &failure), failure, nil)
	})
}

// Run runs the refresher in a goroutine of its own, as the cache's other calls do, ends the ticket by what it
// returns, and waits for that. The error is the refresher's own where it failed.
func (t *Ticket) Run(fn Refresher) (ReadResult, error) {
	if fn == nil {
		return ReadResult{}, errNoRefresher
	}
	f := t.handle.launch(context.Background(), t, "", fn)
	<-f.done
	if own := f.err.Load(); own != nil {
		return ReadResult{}, *own
	}
	return f.value, f.ended
}

// use makes a native call that changes something, unless the ticket or the cache was closed.
func (t *Ticket) use(call func(*C.forebay_ticket) error) (err error) {
	if t.handle.ended.Err() != nil {
		return errClosed()
	}
	err = newError(CodeAlreadyUsed, "the ticket was closed", nil)
	t.with(func(native *C.forebay_ticket) { err = call(native) })
	return err
}

// with lends the native ticket to a call, unless it was freed.
func (t *Ticket) with(call func(*C.forebay_ticket)) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if t.native != nil {
		gcPoint()
		call(t.native)
		runtime.KeepAlive(t)
	}
}
