// Native waits that a context ends. A wait blocks a thread of its own until there is news.

package forebay

/*
#include "forebay.h"
*/
import "C"

import "context"

// waitForEver is a native timeout that doesn't end by itself.
const waitForEver = -1

// waiting is a native call that waits for timeout milliseconds at most, and until the interrupt is set.
type waiting func(timeout C.int64_t, interrupt *C.forebay_interrupt, err **C.forebay_error) C.forebay_status

// interruptible makes a native call that waits, and ends it when ctx ends or the cache is closed. It returns the
// call's error, or that of what ended it. Where ctx has ended already, the call only looks.
func (h *handle) interruptible(ctx context.Context, call waiting) error {
	var failure *C.forebay_error
	if ended := ctx.Err(); ended != nil {
		gcPoint()
		status := call(0, nil, &failure)
		if err := failed(status, failure, nil); err != nil || status == C.FOREBAY_OK {
			return err
		}
		return cancelled(ended)
	}
	var interrupt *C.forebay_interrupt
	gcPoint()
	if err := failed(C.forebay_interrupt_new(&interrupt, &failure), failure, nil); err != nil {
		return err
	}
	defer C.forebay_interrupt_free(interrupt)
	set := func() { C.forebay_interrupt_set(interrupt) }
	var status C.forebay_status
	whileWatching(h.ended, set, func() {
		whileWatching(ctx, set, func() {
			gcPoint()
			status = call(waitForEver, interrupt, &failure)
		})
	})
	err := failed(status, failure, nil)
	switch {
	case status != C.FOREBAY_E_CANCELLED:
		return err
	case h.ended.Err() != nil:
		return errClosed()
	case ctx.Err() != nil:
		return cancelled(ctx.Err())
	}
	return err
}

// whileWatching makes a native call that interrupt ends when ctx does. Once it returns, interrupt isn't running.
func whileWatching(ctx context.Context, interrupt, call func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		interrupt()
		close(done)
	})
	call()
	if !stop() {
		<-done
	}
}

// WaitForChange waits until the source's value is another than since, and returns its version; the zero Version
// where it was removed. Whether the value was fetched, put, marked stale or removed, here or elsewhere, doesn't
// matter. When ctx ends first, the error is [ErrCancelled] and ctx's.
func (c *Cache) WaitForChange(ctx context.Context, source Source, since Version) (Version, error) {
	h, err := c.use()
	if err != nil {
		return "", err
	}
	defer h.release()
	var a args
	defer a.free()
	var version *C.forebay_text
	err = h.interruptible(ctx, func(
		timeout C.int64_t, i *C.forebay_interrupt, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_wait_for_change(&version, h.native, a.source(source), a.text(since.text()), timeout, i, e)
	})
	if version == nil {
		return "", err
	}
	defer C.forebay_text_free(version)
	return versionOf(copied(C.forebay_text_data(version), C.forebay_text_size(version))), nil
}

// versionOf is a version as the library writes it.
func versionOf(text string) Version {
	if text == "0" {
		return ""
	}
	return Version(text)
}
