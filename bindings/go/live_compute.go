// Computing a derived result: drives the library's state machine of one call, runs the caller's function when it is told to,
// in the caller's goroutine, and waits as told, but never longer than the caller's context.

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
	"sync/atomic"
	"time"
	"unsafe"
)

// GetOrCompute returns the result, if it holds, after a look at its inputs; else one process of all computes it, and the
// others wait, and get what it computed.
//
// compute runs in this goroutine, at most once. Its context ends with ctx, at the Deadline, and when the result is not
// wanted any more; [JobFrom] tells how much time is left, and what is set there counts for nothing. It must not ask for the
// same result: with its context, that is refused with [ErrInvalid]. Its error, or its panic as a [PanicError], is found by
// errors.Is and errors.As in what is returned; it bars nobody: the next caller computes at once.
//
// With HowUncoordinated the result was computed and is not kept, as Err says: [ErrSuperseded] where an input changed
// meanwhile, so that nobody knows which of the two contents it saw. The call itself fails with ErrSuperseded where one of
// spec.Upstreams does not hold: compute that one first. When ctx ends first, the error is [ErrCancelled] and ctx's.
func (l *Live) GetOrCompute(
	ctx context.Context, key LiveKey, spec LiveSpec, compute func(ctx context.Context) ([]byte, error),
) (*Derived, error) {
	if compute == nil {
		return nil, newError(CodeInvalid, "the function that computes is nil", nil)
	}
	if err := ctx.Err(); err != nil {
		return nil, cancelled(err)
	}
	h, err := l.cache.use()
	if err != nil {
		return nil, err
	}
	defer h.release()
	c := &computation{handle: h, key: key, live: l}
	if c.asksForItself(ctx) {
		return nil, newError(CodeInvalid, string(key)+": the result's own computation asks for it: it would wait for itself", nil)
	}
	if err := c.begin(spec); err != nil {
		return nil, err
	}
	defer c.free()
	return c.run(ctx, compute)
}

// computation is the library's state machine of one call; used by one goroutine, but for what a job looks at.
type computation struct {
	handle *handle
	key    LiveKey
	own    error // what the function returned in this call

	live   *Live        // which has to live as long
	outer  *computation // the one whose function made this call
	over   atomic.Bool
	mu     sync.RWMutex // held while a native call uses the pointer
	native *C.forebay_compute
}

type computingKey struct{}

// asksForItself reports whether the call comes from the function that computes the same result.
func (c *computation) asksForItself(ctx context.Context) bool {
	c.outer, _ = ctx.Value(computingKey{}).(*computation)
	for one := c.outer; one != nil; one = one.outer {
		if one.handle == c.handle && one.key == c.key && !one.over.Load() {
			return true
		}
	}
	return false
}

func (c *computation) begin(spec LiveSpec) error {
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	return failed(C.forebay_compute_begin(
		&c.native, c.live.opened.native, a.liveSpec(c.key, spec), &failure), failure, nil)
}

// free gives up a lease that was not used. What a goroutine that the function left behind asks its job then is answered
// by nothing.
func (c *computation) free() {
	c.over.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	gcPoint()
	C.forebay_compute_free(c.native)
	c.native = nil
	runtime.KeepAlive(c.live)
}

func (c *computation) run(ctx context.Context, fn func(context.Context) ([]byte, error)) (*Derived, error) {
	for {
		end, err := c.handle.start(ctx)
		if err != nil {
			return nil, err
		}
		step, derived, err := c.next()
		end()
		if err == nil && step == C.FOREBAY_STEP_COMPUTE {
			step, derived, err = c.compute(ctx, fn)
		}
		if err != nil {
			return nil, c.withOwn(err)
		}
		if step == C.FOREBAY_STEP_DONE {
			return derived, nil
		}
		if err := c.waitForNews(ctx); err != nil {
			return nil, err
		}
	}
}

func (c *computation) next() (C.int32_t, *Derived, error) {
	var step C.int32_t
	var derived *C.forebay_derived
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_compute_next(&step, &derived, c.native, &failure)
	err := failed(status, failure, nil)
	return step, derivedOf(derived), err
}

// withOwn makes the error of a computation unwrap to what this call's own function returned.
func (c *computation) withOwn(err error) error {
	failure, ok := err.(*Error)
	if ok && c.own != nil && failure.Code != CodeClosed && failure.Code != CodeCancelled {
		failure.cause = c.own
	}
	return err
}

// flightKey is what the computation is called within this program. No key of a source or quota begins so.
func (c *computation) flightKey() string { return "\x01" + string(c.key) }

func (c *computation) waitForNews(ctx context.Context) error {
	wait := news{
		waiters: c.handle.waiters, ended: c.handle.ended,
		interrupt: func() { C.forebay_compute_interrupt(c.native) },
		native: func(timeout C.int64_t, err **C.forebay_error) C.forebay_status {
			return C.forebay_compute_wait(c.native, timeout, err)
		},
	}
	return wait.await(ctx, c.handle.flights.get(c.flightKey()))
}

// compute runs the caller's function, while others of this program wait for it, and returns the step after it.
func (c *computation) compute(
	ctx context.Context, fn func(context.Context) ([]byte, error),
) (C.int32_t, *Derived, error) {
	f := &flight{done: make(chan struct{}), lost: make(chan struct{})}
	c.handle.flights.add(c.flightKey(), f)
	defer close(f.done)
	defer c.handle.flights.remove(c.flightKey(), f)
	data, err := c.watched(ctx, f, fn)
	switch {
	case gaveUp(ctx, err):
		c.free() // before the others of this program look again
		return 0, nil, cancelled(ctx.Err())
	case err != nil && c.handle.ended.Err() != nil:
		return 0, nil, errClosed()
	case err == nil:
		err = c.answer(func(_ *args, e **C.forebay_error) C.forebay_status {
			return C.forebay_compute_computed(c.native, unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), e)
		})
	default:
		c.own = err
		why := timedOut(err)
		err = c.answer(func(a *args, e **C.forebay_error) C.forebay_status {
			return C.forebay_compute_failed(c.native, a.failure(why), e)
		})
	}
	if err != nil {
		return 0, nil, err
	}
	return c.next()
}

// watched calls the function with a context that ends at the deadline, and when the result is not wanted any more.
func (c *computation) watched(
	ctx context.Context, f *flight, fn func(context.Context) ([]byte, error),
) ([]byte, error) {
	ctx = context.WithValue(context.WithValue(ctx, computingKey{}, c), jobKey{}, &Job{lease: c})
	ctx, cancel := context.WithTimeout(ctx, c.Remaining())
	defer context.AfterFunc(c.handle.ended, cancel)()
	unwatch := watch(ctx, cancel, c.cancelled, f.lost)
	defer func() { // also where the function ends its goroutine
		cancel()
		unwatch()
	}()
	return guarded("the computation", func() ([]byte, error) { return fn(ctx) })
}

// answer gives the library what the function returned.
func (c *computation) answer(call func(*args, **C.forebay_error) C.forebay_status) error {
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	return failed(call(&a, &failure), failure, nil)
}

// with lends the native handle to a call, unless it was freed.
func (c *computation) with(call func(*C.forebay_compute)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.native != nil {
		gcPoint()
		call(c.native)
	}
}

// cancelled reports whether the result is no longer wanted.
func (c *computation) cancelled() bool {
	unwanted := true
	c.with(func(native *C.forebay_compute) { unwanted = C.forebay_compute_cancelled(native) != 0 })
	return unwanted || c.handle.ended.Err() != nil
}

// Key, Remaining, Previous, Validator and ConditionalHeaders are what a job tells. A computation has nothing before it.

func (c *computation) Key() string { return string(c.key) }

func (c *computation) Remaining() (remaining time.Duration) {
	c.with(func(native *C.forebay_compute) { remaining = duration(C.forebay_compute_remaining_ms(native)) })
	return remaining
}

func (c *computation) Previous() []byte { return nil }

func (c *computation) Validator() string { return "" }

func (c *computation) ConditionalHeaders() http.Header { return http.Header{} }
