// Rules that are the library's, so that they are the same in every language: what an HTTP status means, how a
// duration is written, where caches live. None needs a cache.

package forebay

/*
#include "forebay.h"
*/
import "C"

import "time"

// failureFromStatus is what an HTTP status and a Retry-After header say went wrong; the rule is the library's,
// so that it is the same in every language.
func failureFromStatus(status int, retryAfter string) error {
	var a args
	defer a.free()
	var code C.int32_t
	var after C.int64_t
	var message *C.forebay_text
	var failure *C.forebay_error
	gcPoint()
	err := failed(C.forebay_failure_from_status(
		&code, &after, &message, C.int32_t(status), a.text(retryAfter), &failure), failure, nil)
	if err != nil {
		return err
	}
	defer C.forebay_text_free(message)
	out := &Failure{Code: Code(code), Message: copied(C.forebay_text_data(message), C.forebay_text_size(message))}
	switch {
	case after == 0:
		out.RetryAfter = Zero
	case after > 0:
		out.RetryAfter = duration(after)
	}
	return out
}

// ParseDuration reads a duration as the command and every language write it: 1h30m, 90s, 250ms, 7d, 2w. A number
// without a unit is refused with [ErrInvalid].
func ParseDuration(text string) (time.Duration, error) {
	var a args
	defer a.free()
	var ms C.int64_t
	var failure *C.forebay_error
	gcPoint()
	err := failed(C.forebay_parse_duration(&ms, a.text(text), &failure), failure, nil)
	return duration(ms), err
}

// FormatDuration writes a duration as [ParseDuration] reads it, in whole milliseconds.
func FormatDuration(d time.Duration) (string, error) {
	var text *C.forebay_text
	var failure *C.forebay_error
	gcPoint()
	if err := failed(C.forebay_format_duration(&text, atLeast(d), &failure), failure, nil); err != nil {
		return "", err
	}
	defer C.forebay_text_free(text)
	return copied(C.forebay_text_data(text), C.forebay_text_size(text)), nil
}

// DefaultRoot returns the cache folder of a program that wants one of its own: $XDG_CACHE_HOME/app, else
// $HOME/.cache/app. ok is false where neither is set.
func DefaultRoot(app string) (root string, ok bool, err error) {
	var a args
	defer a.free()
	var text *C.forebay_text
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_default_root(&text, a.text(app), &failure)
	if err := failed(status, failure, nil); err != nil || text == nil {
		return "", false, err
	}
	defer C.forebay_text_free(text)
	return copied(C.forebay_text_data(text), C.forebay_text_size(text)), true, nil
}

// LibraryVersion returns the version of the library that is loaded, such as "0.1.0".
func LibraryVersion() string { return C.GoString(C.forebay_version()) }
