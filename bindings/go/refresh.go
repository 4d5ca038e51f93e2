// The calls that refresh: each drives the library's state machine of one attempt, runs the refresher when it is
// told to, and waits as told, but never longer than its caller's context.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"context"
	"errors"
	"time"
)

// Refresh makes a new value now, whatever the age of the one that is there. Where a refresh is running already,
// here or in another process, it waits for that one and returns its outcome instead. It passes a gate that was
// guessed, and fails with [ErrGated] at one that the server declared. The refresher's own error is returned as
// it is. See [Cache.RefreshContext] for the value itself, and to wait with a context.
func (c *Cache) Refresh(source Source, fn Refresher) error {
	_, err := c.RefreshContext(context.Background(), source, fn)
	return unwrapOwn(err)
}

// MaybeRefresh starts a refresh in the background unless the value is fresh, a refresh is running, or a gate is
// in force. The lease is taken before it returns. Nothing is reported: see [Cache.StartRefresh].
func (c *Cache) MaybeRefresh(source Source, fn Refresher) { _, _ = c.StartRefresh(source, fn) }

// MaybeRefreshSync refreshes as [Cache.Refresh] does, unless the value is fresh. While a failed refresh cools
// down it returns nil at once, and the value stays as it is: see [Cache.RefreshIfStale], which tells.
func (c *Cache) MaybeRefreshSync(source Source, fn Refresher) error {
	_, err := c.RefreshIfStale(context.Background(), source, fn)
	return unwrapOwn(err)
}

// RefreshOption changes what RefreshContext does.
type RefreshOption func(*attemptOptions)

// MinFreshAt makes a refresh that ended after that instant do instead of a new one.
func MinFreshAt(at time.Time) RefreshOption {
	return func(o *attemptOptions) { o.minFreshAt = at }
}

// OverrideGate makes RefreshContext pass a gate that the server declared.
func OverrideGate() RefreshOption { return func(o *attemptOptions) { o.overrideGate = true } }

// GetOption changes what Get does.
type GetOption func(*attemptOptions)

// Wait bounds how long Get waits for a refresh before it serves what it may, stale; the refresh goes on. 0 waits
// for nothing.
func Wait(d time.Duration) GetOption {
	return func(o *attemptOptions) { o.bounded, o.wait = true, max(d, 0) }
}

// Get returns a fresh value, refreshing it if need be; or, where that isn't done within Wait, is gated, or fails,
// a stale one as far as MaxStale and StaleIfError allow; or an error, never a result without a value. How says
// which, and Err why a refresh failed whose stale value is served. Where there is nothing to return: [ErrTimedOut],
// [ErrGated], or the failure. When ctx ends first, the error is [ErrCancelled] and ctx's, and a refresh that was begun goes on.
func (c *Cache) Get(ctx context.Context, source Source, fn Refresher, options ...GetOption) (ReadResult, error) {
	o := attemptOptions{mode: C.FOREBAY_MODE_GET}
	for _, option := range options {
		option(&o)
	}
	return c.attempt(ctx, source, fn, o)
}

// RefreshContext is [Cache.Refresh] with the new value, and with a context for waiting. When ctx ends first, the
// error is [ErrCancelled] and ctx's, and the refresh goes on for others. The refresher sees
// the values of ctx, never its end.
func (c *Cache) RefreshContext(
	ctx context.Context, source Source, fn Refresher, options ...RefreshOption,
) (ReadResult, error) {
	o := attemptOptions{mode: C.FOREBAY_MODE_REFRESH}
	for _, option := range options {
		option(&o)
	}
	return c.attempt(ctx, source, fn, o)
}

// RefreshIfStale is [Cache.MaybeRefreshSync] with the value, and with a context for waiting. While a failed
// refresh cools down it returns what there is at once: Phase is PhaseCooling, and State may be StateAbsent.
func (c *Cache) RefreshIfStale(ctx context.Context, source Source, fn Refresher) (ReadResult, error) {
	return c.attempt(ctx, source, fn, attemptOptions{mode: C.FOREBAY_MODE_MAYBE_REFRESH_SYNC})
}

// StartRefresh is [Cache.MaybeRefresh], and says what it did. How the refresh ends is seen by RefreshState.
func (c *Cache) StartRefresh(source Source, fn Refresher) (Started, error) {
	if fn == nil {
		return "", errNoRefresher
	}
	h, err := c.use()
	if err != nil {
		return "", err
	}
	defer h.release()
	a, err := h.begin(source, attemptOptions{mode: C.FOREBAY_MODE_MAYBE_REFRESH})
	if err != nil {
		return "", err
	}
	defer a.free()
	end, err := h.start(context.Background())
	if err != nil {
		return "", err
	}
	next, err := a.next()
	end()
	switch {
	case err != nil:
		return "", err
	case next.ticket != nil:
		h.launch(context.Background(), next.ticket, source.flightKey(), fn)
		return StartedNow, nil
	case next.wait || next.value.Phase == PhaseRunning:
		return StartedInFlight, nil
	case next.value.Fresh:
		return StartedFresh, nil
	}
	return StartedGated, nil
}

var errNoRefresher error = newError(CodeInvalid, "the refresher is nil", nil)

// unwrapOwn returns the refresher's own error where the caller ran it.
func unwrapOwn(err error) error {
	var found *Error
	if errors.As(err, &found) && found.own {
		return found.cause
	}
	return err
}

type attemptOptions struct {
	mode         C.int32_t
	wait         time.Duration
	bounded      bool // wait is given
	minFreshAt   time.Time
	overrideGate bool
}

// attempt drives one attempt to its end, or until ctx ends.
func (c *Cache) attempt(ctx context.Context, source Source, fn Refresher, o attemptOptions) (ReadResult, error) {
	if fn == nil {
		return ReadResult{}, errNoRefresher
	}
	if err := ctx.Err(); err != nil {
		return ReadResult{}, cancelled(err)
	}
	h, err := c.use()
	if err != nil {
		return ReadResult{}, err
	}
	defer h.release()
	a, err := h.begin(source, o)
	if err != nil {
		return ReadResult{}, err
	}
	defer a.free()
	var own *flight
	end, err := h.start(ctx)
	if err != nil {
		return ReadResult{}, err
	}
	for waits := 0; ; waits++ {
		next, err := a.next()
		if waits == 0 {
			end()
		}
		switch {
		case err != nil:
			return ReadResult{}, withOwn(err, own)
		case next.ticket != nil:
			own = h.launch(ctx, next.ticket, source.flightKey(), fn)
		case !next.wait:
			next.value.Err = withOwn(next.value.Err, own)
			return next.value, nil
		case own == nil && waits == 0 && c.waitHook != nil:
			c.waitHook(source)
		}
		if err := a.waitForNews(ctx, own, source.flightKey()); err != nil {
			return ReadResult{}, err
		}
	}
}

// withOwn makes the error of a refresh unwrap to the error of the refresher that was run for it here.
func withOwn(err error, own *flight) error {
	failure, ok := err.(*Error)
	if !ok || own == nil || failure.Code == CodeClosed {
		return err
	}
	if cause := own.err.Load(); cause != nil {
		failure.cause, failure.own = *cause, true
	}
	return failure
}

// attempt is the library's state machine of one call; used by one goroutine.
type attempt struct {
	handle *handle
	native *C.forebay_attempt
	until  time.Time // the end of a bounded wait; else zero
}

// step is what an attempt wants next: a ticket to be worked on, a wait, or neither, and it is over.
type step struct {
	ticket *Ticket
	wait   bool
	value  ReadResult
}

func (h *handle) begin(source Source, o attemptOptions) (*attempt, error) {
	var args args
	defer args.free()
	options := &C.forebay_attempt_options{
		struct_size:     C.sizeof_forebay_attempt_options,
		wait_ms:         -1,
		min_fresh_at_ms: -1,
		mode:            o.mode,
		override_gate:   truth(o.overrideGate),
	}
	a := &attempt{handle: h}
	if o.bounded {
		options.wait_ms = atLeast(o.wait)
		a.until = time.Now().Add(o.wait)
	}
	if !o.minFreshAt.IsZero() {
		options.min_fresh_at_ms = C.int64_t(o.minFreshAt.UnixMilli())
	}
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_attempt_begin(&a.native, h.native, args.source(source), options, &failure)
	if err := failed(status, failure, nil); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *attempt) free() {
	gcPoint()
	C.forebay_attempt_free(a.native)
}

func (a *attempt) next() (step, error) {
	var kind C.int32_t
	var value *C.forebay_value
	var ticket *C.forebay_ticket
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_attempt_next(&kind, &value, &ticket, a.native, &failure)
	if err := failed(status, failure, nil); err != nil {
		C.forebay_value_free(value)
		return step{}, err
	}
	switch kind {
	case C.FOREBAY_STEP_RUN:
		return step{ticket: newTicket(a.handle, ticket)}, nil
	case C.FOREBAY_STEP_WAIT:
		return step{wait: true}, nil
	}
	return step{value: result(value)}, nil
}

// waitForNews returns when next may have something to say. The error is ctx's.
func (a *attempt) waitForNews(ctx context.Context, own *flight, key string) error {
	local := own
	if local == nil {
		local = a.handle.flights.get(key)
	}
	wait := news{
		waiters: a.handle.waiters, ended: a.handle.ended, until: a.until,
		interrupt: func() { C.forebay_attempt_interrupt(a.native) },
		native: func(timeout C.int64_t, err **C.forebay_error) C.forebay_status {
			return C.forebay_attempt_wait(a.native, timeout, err)
		},
	}
	return wait.await(ctx, local)
}

// SetWaitForRefreshHookForTesting makes hook run when a call begins to wait for a refresh that another caller
// runs. As in the original package; for tests, and before the cache is used.
func (c *Cache) SetWaitForRefreshHookForTesting(hook func(Source)) { c.waitHook = hook }
