// Exchanging a single-use credential for its successor: drives the library's state machine of one rotation. What it has
// to take care of is that an exchange, once begun, runs to its end: nobody else may try it again.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
	"unsafe"
)

// Exchange gives a server the previous credential, which works once, and returns the next one; previous is nil where
// none is stored. It returns at once with what the server sent: what it does after that may fail, and lose it.
//
// ctx ends at the deadline, and has the values of the caller's context, not its end: a caller's hurry must not cost the
// credential. [JobFrom] tells how much time is left.
//
// An error leaves open whether the server has used the previous credential up, unless it is (or wraps) one that says
// otherwise: [ErrUnauthorized], [ErrRateLimited] or [ErrNoCredentials], a [Failure] with one of their codes or
// CodeInvalid, or what [NotSent] returns. (An OAuth server's 400 invalid_grant is ErrUnauthorized.)
type Exchange func(ctx context.Context, previous []byte) ([]byte, error)

// Rotate returns the credential that is to be used after the one whose version is seen; the zero Version where the
// caller has none. Where another one is stored already, that is returned; else exactly one caller among all processes
// runs exchange, and all of them get what it brought, which is on the disk before anyone sees it.
//
// [ErrAmbiguous]: an exchange began and its outcome is not known. Nobody tries again by himself: log in anew, and
// [Credentials.Reset]. [ErrNotFound]: a version was seen, and nothing is stored. [ErrGated]: the last exchange failed, and
// RetryAt says when the next may be made. The error of this call's own exchange is found by errors.Is in what is
// returned; its text may have the secret in it, and the text of what is returned does not.
//
// When ctx ends first, the error is [ErrCancelled] and ctx's; an exchange that runs here is waited for all the same.
func (c *Credentials) Rotate(ctx context.Context, key string, seen Version, exchange Exchange) (*Credential, error) {
	if exchange == nil {
		return nil, newError(CodeInvalid, "the exchange is nil", nil)
	}
	if err := ctx.Err(); err != nil {
		return nil, cancelled(err)
	}
	r := &rotation{key: key}
	_, err := c.call(func(a *args, n *C.forebay_credentials, e **C.forebay_error) C.forebay_status {
		return C.forebay_rotation_begin(&r.native, n, a.text(key), a.text(string(seen)), e)
	})
	if err != nil {
		return nil, err
	}
	defer r.free()
	return r.run(ctx, exchange)
}

// rotating has one place for each thread that may block in a rotation's native wait.
var rotating = make(chan struct{}, maxWaiters)

// rotation is the library's state machine of one call; used by one goroutine, but for what a job looks at.
type rotation struct {
	key string
	own error // what the exchange returned in this call

	mu     sync.RWMutex // held while a native call uses the pointer
	native *C.forebay_rotation
}

func (r *rotation) free() {
	r.mu.Lock()
	defer r.mu.Unlock()
	gcPoint()
	C.forebay_rotation_free(r.native)
	r.native = nil
}

func (r *rotation) run(ctx context.Context, exchange Exchange) (*Credential, error) {
	for {
		step, credential, err := r.next()
		if err != nil {
			return nil, r.withOwn(err)
		}
		switch step {
		case C.FOREBAY_STEP_DONE:
			return credential, nil
		case C.FOREBAY_STEP_EXCHANGE:
			err = r.exchange(ctx, exchange)
		default:
			err = r.waitForNews(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
}

func (r *rotation) next() (C.int32_t, *Credential, error) {
	var step C.int32_t
	var credential *C.forebay_credential
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_rotation_next(&step, &credential, r.native, &failure)
	err := failed(status, failure, nil)
	return step, credentialOf(credential), err
}

func (r *rotation) withOwn(err error) error {
	if failure, ok := err.(*Error); ok && r.own != nil {
		failure.cause = r.own
	}
	return err
}

func (r *rotation) waitForNews(ctx context.Context) error {
	wait := news{
		waiters: rotating, ended: context.Background(),
		interrupt: func() { C.forebay_rotation_interrupt(r.native) },
		native: func(timeout C.int64_t, err **C.forebay_error) C.forebay_status {
			return C.forebay_rotation_wait(r.native, timeout, err)
		},
	}
	return wait.await(ctx, nil)
}

// exchange runs the caller's function, and tells the library how it ended.
func (r *rotation) exchange(ctx context.Context, fn Exchange) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.Remaining())
	defer cancel()
	ctx = context.WithValue(ctx, jobKey{}, &Job{lease: r})
	data, err := guarded("the exchange", func() ([]byte, error) { return fn(ctx, r.Previous()) })
	var why *Failure
	if err == nil {
		err = r.answer(func(_ *args, e **C.forebay_error) C.forebay_status {
			return C.forebay_rotation_exchanged(r.native, unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), e)
		})
		if err == nil {
			return nil
		}
		// The server was asked, whatever is wrong with what came of it.
		why = &Failure{Code: CodeRefreshFailed, Message: err.Error()}
	} else {
		r.own = err
		why = exchangeFailure(err)
	}
	return r.answer(func(a *args, e **C.forebay_error) C.forebay_status {
		return C.forebay_rotation_failed(r.native, a.failure(why), e)
	})
}

// exchangeFailure says how an exchange's error is recorded. An error of forebay's own, from a call that the exchange
// made beside the request, says nothing of the request, whatever its code.
func exchangeFailure(err error) *Failure {
	var said *Failure
	var ours *Error
	if !errors.As(err, &said) && errors.As(err, &ours) {
		return &Failure{Code: CodeRefreshFailed, Message: err.Error(), Cause: err}
	}
	return timedOut(err)
}

// answer gives the library what the exchange returned.
func (r *rotation) answer(call func(*args, **C.forebay_error) C.forebay_status) error {
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	return failed(call(&a, &failure), failure, nil)
}

// with lends the native handle to a call, unless it was freed.
func (r *rotation) with(call func(*C.forebay_rotation)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.native != nil {
		gcPoint()
		call(r.native)
	}
}

// Key, Remaining, Previous, Validator and ConditionalHeaders are what a job tells.

func (r *rotation) Key() string { return r.key }

func (r *rotation) Remaining() (remaining time.Duration) {
	r.with(func(native *C.forebay_rotation) { remaining = duration(C.forebay_rotation_remaining_ms(native)) })
	return remaining
}

func (r *rotation) Previous() (previous []byte) {
	r.with(func(native *C.forebay_rotation) {
		var size C.size_t
		if data := C.forebay_rotation_previous(native, &size); data != nil {
			previous = copiedText(data, size)
		}
	})
	return previous
}

func (r *rotation) Validator() string { return "" }

func (r *rotation) ConditionalHeaders() http.Header { return http.Header{} }
