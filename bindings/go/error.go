// What can go wrong, under names and numbers that every language shares. Each code has a sentinel for
// errors.Is; each error is an *Error that carries the rest. This file knows nothing of caches.

package forebay

import (
	"fmt"
	"strings"
	"time"
)

// Code says what kind of failure an [Error] is. Numbers and texts never change.
type Code int32

// The codes. Their texts are the same in every language, in gates on disk and in the command's JSON.
const (
	CodeInvalid       Code = -1  // an argument is not usable: an empty name, a malformed duration
	CodeClosed        Code = -2  // the cache was closed
	CodeNotFound      Code = -3  // there is nothing under that key
	CodeTimedOut      Code = -4  // the wait ended before there was anything to return
	CodeGated         Code = -5  // a gate forbids the next attempt for now, and nothing may be served
	CodeRefreshFailed Code = -6  // the refresher failed, here or in the process that ran it
	CodeRateLimited   Code = -7  // the server said that there were too many requests (429)
	CodeUnauthorized  Code = -8  // the server refused the credentials (401, 403)
	CodeUnavailable   Code = -9  // the server is unavailable for now (503)
	CodeNoCredentials Code = -10 // there are no credentials to try with
	CodeCancelled     Code = -11 // the caller's context ended; a refresh may still be running
	CodeLockTimeout   Code = -12 // a guard lock could not be had in time
	CodeLeaseLost     Code = -13 // the lease is no longer ours: nothing was written
	CodeHolderDied    Code = -14 // the process that ran the refresh died before it ended
	CodeSuperseded    Code = -15 // a newer value was put meanwhile: nothing was written
	CodeInProgress    Code = -16 // the command is being run by another caller
	CodeMismatch      Code = -17 // the key was used before with another request
	CodeAmbiguous     Code = -18 // the effect was begun and its outcome is unknown
	CodeFull          Code = -19 // there is no room for another record
	CodeAlreadyUsed   Code = -20 // the ticket has been completed or failed before
	CodeTooManyLeases Code = -21 // this process holds as many leases as it may (256)
	CodeDamaged       Code = -22 // what is on disk is not what was written
	CodeUnsafeRoot    Code = -23 // the root's owner or mode lets others change it
	CodeUnsupportedFS Code = -24 // the file system is remote or not known to be local
	CodeUnsupported   Code = -25 // this build or platform cannot do that
	CodeNewerFormat   Code = -26 // the root was written by a newer major version
	CodeNoSpace       Code = -27 // the disk or the quota is full
	CodePermission    Code = -28 // the system refused access
	CodeIO            Code = -29 // the system reported another error
	CodePanic         Code = -30 // a bug of ours was contained
)

// A sentinel is one of the Err variables: it stands for every error of its code.
type sentinel struct{ code Code }

func (s *sentinel) Error() string { return "forebay: " + strings.ReplaceAll(s.code.String(), "_", " ") }

// One sentinel per code, for errors.Is. A refresher may also return (or wrap) ErrRateLimited, ErrUnauthorized,
// ErrUnavailable and ErrNoCredentials, so that the failure is recorded under that code.
var (
	ErrInvalid       error = &sentinel{CodeInvalid}
	ErrClosed        error = &sentinel{CodeClosed}
	ErrNotFound      error = &sentinel{CodeNotFound}
	ErrTimedOut      error = &sentinel{CodeTimedOut}
	ErrGated         error = &sentinel{CodeGated}
	ErrRefreshFailed error = &sentinel{CodeRefreshFailed}
	ErrRateLimited   error = &sentinel{CodeRateLimited}
	ErrUnauthorized  error = &sentinel{CodeUnauthorized}
	ErrUnavailable   error = &sentinel{CodeUnavailable}
	ErrNoCredentials error = &sentinel{CodeNoCredentials}
	ErrCancelled     error = &sentinel{CodeCancelled}
	ErrLockTimeout   error = &sentinel{CodeLockTimeout}
	ErrLeaseLost     error = &sentinel{CodeLeaseLost}
	ErrHolderDied    error = &sentinel{CodeHolderDied}
	ErrSuperseded    error = &sentinel{CodeSuperseded}
	ErrInProgress    error = &sentinel{CodeInProgress}
	ErrMismatch      error = &sentinel{CodeMismatch}
	ErrAmbiguous     error = &sentinel{CodeAmbiguous}
	ErrFull          error = &sentinel{CodeFull}
	ErrAlreadyUsed   error = &sentinel{CodeAlreadyUsed}
	ErrTooManyLeases error = &sentinel{CodeTooManyLeases}
	ErrDamaged       error = &sentinel{CodeDamaged}
	ErrUnsafeRoot    error = &sentinel{CodeUnsafeRoot}
	ErrUnsupportedFS error = &sentinel{CodeUnsupportedFS}
	ErrUnsupported   error = &sentinel{CodeUnsupported}
	ErrNewerFormat   error = &sentinel{CodeNewerFormat}
	ErrNoSpace       error = &sentinel{CodeNoSpace}
	ErrPermission    error = &sentinel{CodePermission}
	ErrIO            error = &sentinel{CodeIO}
	ErrPanic         error = &sentinel{CodePanic}
)

var codes = []struct {
	code Code
	text string
	is   error
}{
	{CodeInvalid, "invalid", ErrInvalid},
	{CodeClosed, "closed", ErrClosed},
	{CodeNotFound, "not_found", ErrNotFound},
	{CodeTimedOut, "timed_out", ErrTimedOut},
	{CodeGated, "gated", ErrGated},
	{CodeRefreshFailed, "refresh_failed", ErrRefreshFailed},
	{CodeRateLimited, "rate_limited", ErrRateLimited},
	{CodeUnauthorized, "unauthorized", ErrUnauthorized},
	{CodeUnavailable, "unavailable", ErrUnavailable},
	{CodeNoCredentials, "no_credentials", ErrNoCredentials},
	{CodeCancelled, "cancelled", ErrCancelled},
	{CodeLockTimeout, "lock_timeout", ErrLockTimeout},
	{CodeLeaseLost, "lease_lost", ErrLeaseLost},
	{CodeHolderDied, "holder_died", ErrHolderDied},
	{CodeSuperseded, "superseded", ErrSuperseded},
	{CodeInProgress, "in_progress", ErrInProgress},
	{CodeMismatch, "mismatch", ErrMismatch},
	{CodeAmbiguous, "ambiguous", ErrAmbiguous},
	{CodeFull, "full", ErrFull},
	{CodeAlreadyUsed, "already_used", ErrAlreadyUsed},
	{CodeTooManyLeases, "too_many_leases", ErrTooManyLeases},
	{CodeDamaged, "damaged", ErrDamaged},
	{CodeUnsafeRoot, "unsafe_root", ErrUnsafeRoot},
	{CodeUnsupportedFS, "unsupported_fs", ErrUnsupportedFS},
	{CodeUnsupported, "unsupported", ErrUnsupported},
	{CodeNewerFormat, "newer_format", ErrNewerFormat},
	{CodeNoSpace, "no_space", ErrNoSpace},
	{CodePermission, "permission", ErrPermission},
	{CodeIO, "io", ErrIO},
	{CodePanic, "panic", ErrPanic},
}

// String returns the code's text, such as "rate_limited".
func (c Code) String() string {
	for _, known := range codes {
		if known.code == c {
			return known.text
		}
	}
	return fmt.Sprintf("code(%d)", int32(c))
}

// ParseCode returns the code with that text; ok is false where there is none.
func ParseCode(text string) (code Code, ok bool) {
	for _, known := range codes {
		if known.text == text {
			return known.code, true
		}
	}
	return 0, false
}

func sentinelOf(code Code) error {
	for _, known := range codes {
		if known.code == code {
			return known.is
		}
	}
	return nil
}

// Error is every error that this package returns, except for a refresher's own from the four calls of the
// original package. errors.Is finds the sentinel of its code, and what caused it: the refresher's own error in
// the caller that ran the refresher, the context's error in one that stopped waiting, the system's errno.
// It is immutable and may be used by any goroutine.
type Error struct {
	// Code says what kind of failure it is.
	Code Code
	// Message says what happened, where, and what to do next.
	Message string
	// Errno is the system's error number, or 0.
	Errno int
	// RetryAt is when the next attempt may be made, or the zero time.
	RetryAt time.Time

	cause error
	own   bool // cause is the error of the refresher that the caller ran
}

// Error returns the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return sentinelOf(e.Code).Error()
	}
	return "forebay: " + e.Message
}

// Is reports whether target is the sentinel of the error's code.
func (e *Error) Is(target error) bool {
	s, ok := target.(*sentinel)
	return ok && s.code == e.Code
}

// Unwrap returns what caused the error, or nil.
func (e *Error) Unwrap() error { return e.cause }

func newError(code Code, message string, cause error) *Error {
	return &Error{Code: code, Message: message, cause: cause}
}

// cancelled is the error of a caller whose context ended while it waited.
func cancelled(cause error) *Error {
	return newError(CodeCancelled, "stopped waiting: "+cause.Error(), cause)
}
