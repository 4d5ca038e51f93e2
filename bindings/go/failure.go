// How a refresher says what happened: unchanged, or failed with a code and the time that the server asked for.
// It knows nothing of the cache; the caller of a refresher turns what it finds here into the ticket's end.

package forebay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// ErrUnchanged is what a refresher returns where the value is still the same (HTTP 304): it is fresh again, and
// nothing is rewritten. Wrapping it is fine.
var ErrUnchanged = errors.New("forebay: unchanged")

// Failure is a refresher's error that says more than its text. Any other error counts as refresh_failed, with
// a guessed time until the next attempt. errors.Is finds Cause and the sentinel of Code.
type Failure struct {
	// Code is the kind of failure; 0 is CodeRefreshFailed. With CodeRateLimited, CodeUnauthorized and
	// CodeUnavailable all sources of the same identity can tell why.
	Code Code
	// Message is kept in the gate, for every process to show. Empty: the text of Cause.
	Message string
	// RetryAfter is how long the server asked to be left alone; 0 where it didn't say, [Zero] where it said 0.
	RetryAfter time.Duration
	// NotSent says that the request certainly did not reach the server; see [NotSent].
	NotSent bool
	// Cause is the error behind it, or nil.
	Cause error
}

// NotSent returns err as the error of a request that certainly did not reach the server (no address was found, no
// connection made). From an exchange of [Rotate] that means that the old credential is still good; for everything else it
// changes nothing. errors.Is finds what it finds in err. nil stays nil.
func NotSent(err error) error {
	if err == nil {
		return nil
	}
	failure := *failureOf(err)
	failure.NotSent = true
	return &failure
}

// Error returns the message, or the text of the cause, or that of the code.
func (f *Failure) Error() string {
	switch {
	case f.Message != "":
		return f.Message
	case f.Cause != nil:
		return f.Cause.Error()
	}
	return sentinelOf(f.code()).Error()
}

// Unwrap returns the cause and the sentinel of the code.
func (f *Failure) Unwrap() []error {
	if f.Cause == nil {
		return []error{sentinelOf(f.code())}
	}
	return []error{f.Cause, sentinelOf(f.code())}
}

func (f *Failure) code() Code {
	if sentinelOf(f.Code) == nil {
		return CodeRefreshFailed
	}
	return f.Code
}

// failureOf says how a refresher's error is recorded.
func failureOf(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		return &Failure{
			Code: failure.code(), Message: err.Error(), RetryAfter: failure.RetryAfter, NotSent: failure.NotSent, Cause: err,
		}
	}
	for _, is := range []error{ErrRateLimited, ErrUnauthorized, ErrUnavailable, ErrNoCredentials} {
		if errors.Is(err, is) {
			return &Failure{Code: is.(*sentinel).code, Message: err.Error(), Cause: err}
		}
	}
	return &Failure{Code: CodeRefreshFailed, Message: err.Error(), Cause: err}
}

// PanicError is the error of a refresher, or another function of the caller's, that panicked; for the caller that ran it.
type PanicError struct {
	// Value is what was given to panic.
	Value any
	// Stack is the stack of the goroutine, as debug.Stack gives it.
	Stack []byte

	who string // empty: the refresher
}

// Error returns the panic's value as text.
func (p *PanicError) Error() string {
	who := p.who
	if who == "" {
		who = "the refresher"
	}
	return fmt.Sprintf("%s panicked: %v", who, p.Value)
}

// Unwrap returns the panic's value where it was an error, else nil.
func (p *PanicError) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

var errGoexit = errors.New("the refresher ended its goroutine (runtime.Goexit)")

// maxBody bounds what FromResponse reads: 1 GiB.
const maxBody = 1 << 30

// FromResponse turns an HTTP response into what a refresher returns, and closes its body: 2xx is the body, and
// its ETag or Last-Modified becomes the value's validator; 304 is [ErrUnchanged]; 401 and 403 are
// [ErrUnauthorized], 429 [ErrRateLimited] and 503 [ErrUnavailable], with the server's Retry-After; anything
// else is [ErrRefreshFailed]. ctx is the refresher's: where it isn't, the validator is dropped.
func FromResponse(ctx context.Context, response *http.Response) ([]byte, error) {
	defer response.Body.Close()
	status := response.StatusCode
	if status == http.StatusNotModified {
		return nil, ErrUnchanged
	}
	if status < 200 || status > 299 {
		return nil, failureFromStatus(status, response.Header.Get("Retry-After"))
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the body of %s: %w", response.Status, err)
	}
	if len(data) > maxBody {
		return nil, fmt.Errorf("the body of %s is over %d bytes", response.Status, maxBody)
	}
	validator := response.Header.Get("ETag")
	if validator == "" {
		validator = response.Header.Get("Last-Modified")
	}
	JobFrom(ctx).SetValidator(validator)
	return data, nil
}
