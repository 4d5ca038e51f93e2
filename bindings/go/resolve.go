// Asking a quota: drives the library's state machine of one resolve, calls the source's functions when it is told to, in
// the caller's goroutine, and waits as told, but never longer than the caller's context.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
	"unsafe"
)

// Resolve returns the answer: the recorded one while it is fresh; else a new one, which one process fetches for all.
// While a gate is in force nobody is asked. Where there is no fresh answer it returns a stale one as far as MaxStale
// allows, and never after a 401 or 403; or the fallback's; How and Err say which and why. Else the error says why there
// is nothing: [ErrRateLimited], [ErrUnauthorized], [ErrUnavailable], [ErrTimedOut], [ErrNoCredentials],
// [ErrRefreshFailed], [ErrGated], with RetryAt; it unwraps to the own error of Fetch or Credentials in the caller that ran them.
//
// When ctx ends first, the error is [ErrCancelled] and ctx's. A request that ctx ends is recorded as no failure: the
// next caller makes it.
func (q *Quota) Resolve(ctx context.Context, source QuotaSource) (*Answer, error) {
	if source.Fetch == nil {
		return nil, newError(CodeInvalid, "Fetch is nil", nil)
	}
	if err := ctx.Err(); err != nil {
		return nil, cancelled(err)
	}
	h, err := q.cache.use()
	if err != nil {
		return nil, err
	}
	defer h.release()
	r, err := q.begin(h)
	if err != nil {
		return nil, err
	}
	defer r.free()
	return r.run(ctx, source)
}

// resolve is the library's state machine of one call; used by one goroutine, but for what a job looks at.
type resolve struct {
	handle *handle
	key    string    // of the flight: what the quota is called within this program
	until  time.Time // the end of a bounded wait; else zero
	own    error     // what Fetch or Credentials returned in this call

	quota  *Quota       // which has to live as long
	mu     sync.RWMutex // held while a native call uses the pointer
	native *C.forebay_resolve
}

func (q *Quota) begin(h *handle) (*resolve, error) {
	quota, err := q.open(h)
	if err != nil {
		return nil, err
	}
	r := &resolve{handle: h, quota: q, key: "\x00" + q.name + "\x00" + q.options.Identity}
	if q.options.Wait != 0 {
		r.until = time.Now().Add(max(q.options.Wait, 0))
	}
	var failure *C.forebay_error
	gcPoint()
	if err := failed(C.forebay_resolve_begin(&r.native, quota.native, &failure), failure, nil); err != nil {
		return nil, err
	}
	return r, nil
}

// free gives up a lease that was not used. What a goroutine that Fetch left behind asks its job then is answered by
// nothing.
func (r *resolve) free() {
	r.mu.Lock()
	defer r.mu.Unlock()
	gcPoint()
	C.forebay_resolve_free(r.native)
	r.native = nil
	runtime.KeepAlive(r.quota)
}

func (r *resolve) run(ctx context.Context, source QuotaSource) (*Answer, error) {
	end, err := r.handle.start(ctx)
	if err != nil {
		return nil, err
	}
	step, answer, err := r.next()
	end()
	for {
		if err != nil {
			return nil, r.withOwn(err)
		}
		switch step {
		case C.FOREBAY_STEP_DONE:
			answer.Err = r.withOwn(answer.Err)
			return answer, nil
		case C.FOREBAY_STEP_CREDENTIALS:
			err = r.credentials(ctx, source.Credentials)
		case C.FOREBAY_STEP_FETCH:
			step, answer, err = r.fetch(ctx, source.Fetch)
			continue
		case C.FOREBAY_STEP_FALLBACK:
			err = r.fallback(ctx, source.Fallback)
		default:
			err = r.waitForNews(ctx)
		}
		if err != nil {
			return nil, err
		}
		step, answer, err = r.next()
	}
}

func (r *resolve) next() (C.int32_t, *Answer, error) {
	var step C.int32_t
	var answer *C.forebay_answer
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_resolve_next(&step, &answer, r.native, &failure)
	err := failed(status, failure, nil)
	return step, answerOf(answer), err
}

// withOwn makes the error of a resolve unwrap to what this call's own function returned.
func (r *resolve) withOwn(err error) error {
	failure, ok := err.(*Error)
	if ok && r.own != nil && failure.Code != CodeClosed {
		failure.cause = r.own
	}
	return err
}

func (r *resolve) waitForNews(ctx context.Context) error {
	wait := news{
		waiters: r.handle.waiters, ended: r.handle.ended, until: r.until,
		interrupt: func() { C.forebay_resolve_interrupt(r.native) },
		native: func(timeout C.int64_t, err **C.forebay_error) C.forebay_status {
			return C.forebay_resolve_wait(r.native, timeout, err)
		},
	}
	return wait.await(ctx, r.handle.flights.get(r.key))
}

// credentials asks for the secret. The error is ctx's.
func (r *resolve) credentials(ctx context.Context, fn func(context.Context) (string, error)) error {
	if fn == nil {
		fn = func(context.Context) (string, error) { return "", nil }
	}
	secret, err := guarded("Credentials", func() (string, error) { return fn(ctx) })
	if gaveUp(ctx, err) {
		return cancelled(ctx.Err())
	}
	if err != nil {
		r.own = err
		return r.fails(err, func(f *C.forebay_failure, e **C.forebay_error) C.forebay_status {
			return C.forebay_resolve_credentials_failed(r.native, f, e)
		})
	}
	return r.answer(func(_ *args, e **C.forebay_error) C.forebay_status {
		return C.forebay_resolve_credentials(r.native, unsafe.Pointer(unsafe.StringData(secret)), C.size_t(len(secret)), e)
	})
}

// fallback asks for what is served where there is nothing better. The error is ctx's.
func (r *resolve) fallback(ctx context.Context, fn func(context.Context) ([]byte, error)) error {
	var data []byte
	var err error
	if fn != nil {
		data, err = guarded("Fallback", func() ([]byte, error) { return fn(ctx) })
	}
	if gaveUp(ctx, err) {
		return cancelled(ctx.Err())
	}
	if err != nil {
		return r.fails(err, func(f *C.forebay_failure, e **C.forebay_error) C.forebay_status {
			return C.forebay_resolve_fallback_failed(r.native, f, e)
		})
	}
	return r.answer(func(_ *args, e **C.forebay_error) C.forebay_status {
		return C.forebay_resolve_fallback(r.native, unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), e)
	})
}

// fetch asks the server, while others of this program wait for it, and returns the step after it.
func (r *resolve) fetch(ctx context.Context, fn func(context.Context, *QuotaJob) ([]byte, error)) (C.int32_t, *Answer, error) {
	f := &flight{done: make(chan struct{}), lost: make(chan struct{})}
	r.handle.flights.add(r.key, f)
	defer close(f.done)
	defer r.handle.flights.remove(r.key, f)
	job := &QuotaJob{Job: &Job{lease: r}, credential: r.credential}
	data, err := r.watched(ctx, f, job, fn)
	switch {
	case gaveUp(ctx, err):
		r.free() // before the others of this program look again
		return 0, nil, cancelled(ctx.Err())
	case err != nil && r.handle.ended.Err() != nil:
		return 0, nil, errClosed()
	case errors.Is(err, ErrUnchanged):
		err = r.answer(func(a *args, e **C.forebay_error) C.forebay_status {
			return C.forebay_resolve_unchanged(r.native, a.commit(job.recorded()), e)
		})
	case err == nil:
		err = r.answer(func(a *args, e **C.forebay_error) C.forebay_status {
			start, size := unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))
			return C.forebay_resolve_fetched(r.native, start, size, a.commit(job.recorded()), e)
		})
	default:
		r.own = err
	}
	if err != nil { // also of an answer that could not be taken: else the lease would seem abandoned
		err = r.fails(err, func(f *C.forebay_failure, e **C.forebay_error) C.forebay_status {
			return C.forebay_resolve_fetch_failed(r.native, f, e)
		})
	}
	if err != nil {
		return 0, nil, err
	}
	return r.next()
}

// watched calls Fetch with a context that ends at the deadline, and when what it brings is not wanted any more.
func (r *resolve) watched(
	ctx context.Context, f *flight, job *QuotaJob, fn func(context.Context, *QuotaJob) ([]byte, error),
) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, jobKey{}, job.Job), r.Remaining())
	defer context.AfterFunc(r.handle.ended, cancel)()
	unwatch := watch(ctx, cancel, r.cancelled, f.lost)
	defer func() { // also where Fetch ends its goroutine
		cancel()
		unwatch()
	}()
	return guarded("Fetch", func() ([]byte, error) { return fn(ctx, job) })
}

// answer gives the library what a function returned.
func (r *resolve) answer(call func(*args, **C.forebay_error) C.forebay_status) error {
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	return failed(call(&a, &failure), failure, nil)
}

// fails gives the library the error that a function returned.
func (r *resolve) fails(why error, call func(*C.forebay_failure, **C.forebay_error) C.forebay_status) error {
	return r.answer(func(a *args, e **C.forebay_error) C.forebay_status {
		return call(a.failure(timedOut(why)), e)
	})
}

// timedOut says how an error is recorded, that of a timeout as one.
func timedOut(why error) *Failure {
	out := failureOf(why)
	var network net.Error
	slow := errors.Is(why, context.DeadlineExceeded) || errors.As(why, &network) && network.Timeout()
	if slow && out.Code == CodeRefreshFailed {
		out.Code = CodeTimedOut
	}
	return out
}

// gaveUp reports whether a function failed because its caller's context ended: that says nothing of the server.
func gaveUp(ctx context.Context, err error) bool {
	ended := ctx.Err()
	return err != nil && ended != nil && (errors.Is(err, ended) || errors.Is(err, context.Cause(ctx)))
}

// guarded calls a function of the user's; a panic is its error.
func guarded[T any](who string, fn func() (T, error)) (out T, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack(), who: who}
		}
	}()
	return fn()
}

// with lends the native handle to a call, unless it was freed.
func (r *resolve) with(call func(*C.forebay_resolve)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.native != nil {
		gcPoint()
		call(r.native)
	}
}

// Key, Remaining, Previous, Validator and ConditionalHeaders are what a job tells.

func (r *resolve) Key() (key string) {
	r.with(func(*C.forebay_resolve) {
		var size C.size_t
		key = copied(sized(C.forebay_quota_key(r.quota.opened.Load().native, &size), &size))
	})
	return key
}

func (r *resolve) Remaining() (remaining time.Duration) {
	r.with(func(native *C.forebay_resolve) { remaining = duration(C.forebay_resolve_remaining_ms(native)) })
	return remaining
}

func (r *resolve) Previous() (previous []byte) {
	r.with(func(native *C.forebay_resolve) {
		var size C.size_t
		if data := C.forebay_resolve_previous(native, &size); data != nil {
			previous = copiedText(data, size)
		}
	})
	return previous
}

func (r *resolve) Validator() (validator string) {
	r.with(func(native *C.forebay_resolve) {
		var size C.size_t
		validator = copied(sized(C.forebay_resolve_validator(native, &size), &size))
	})
	return validator
}

func (r *resolve) ConditionalHeaders() http.Header {
	headers := http.Header{}
	r.with(func(native *C.forebay_resolve) {
		for i := range C.forebay_resolve_header_count(native) {
			name := C.GoString(C.forebay_resolve_header_name(native, i))
			headers.Set(name, C.GoString(C.forebay_resolve_header_value(native, i)))
		}
	})
	return headers
}

func (r *resolve) credential() (credential string) {
	r.with(func(native *C.forebay_resolve) {
		var size C.size_t
		credential = copied(sized(C.forebay_resolve_credential(native, &size), &size))
	})
	return credential
}

// cancelled reports whether the answer is no longer wanted.
func (r *resolve) cancelled() bool {
	unwanted := true
	r.with(func(native *C.forebay_resolve) { unwanted = C.forebay_resolve_cancelled(native) != 0 })
	return unwanted || r.handle.ended.Err() != nil
}
