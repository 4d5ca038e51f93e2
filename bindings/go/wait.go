// How a caller waits for what another does: on a channel where that other is a goroutine of this program, else in a
// native call, of which only a few run at once, because each blocks a thread. It knows not what is waited for.

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

const (
	// waitSlice bounds one native wait: a caller looks again that often even if nothing wakes it.
	waitSlice = 100 * time.Millisecond
	// pollPause is how often a caller looks who found no thread free to wait on.
	pollPause = 25 * time.Millisecond
)

// news is what a caller waits for: the next step of something that the library decides.
type news struct {
	waiters   chan struct{}   // one place for each thread that may block
	ended     context.Context // done once what was opened is closed
	until     time.Time       // the end of a bounded wait; else zero
	native    func(timeout C.int64_t, err **C.forebay_error) C.forebay_status
	interrupt func() // ends the native wait
}

// await returns when there may be news. local is who works on it in this program, or nil. The error is ctx's.
func (n news) await(ctx context.Context, local *flight) error {
	if local != nil && !local.over() && (n.until.IsZero() || time.Until(n.until) > 0) {
		return n.listen(ctx, local.done, local.lost, 0)
	}
	select {
	case n.waiters <- struct{}{}:
		defer func() { <-n.waiters }()
		return n.block(ctx)
	default:
		return n.listen(ctx, nil, nil, pollPause)
	}
}

// listen waits for either channel, the end of a bounded wait, or, if it isn't 0, for pause.
func (n news) listen(ctx context.Context, done, lost <-chan struct{}, pause time.Duration) error {
	if !n.until.IsZero() {
		left := max(time.Until(n.until), time.Millisecond)
		if pause == 0 || left < pause {
			pause = left
		}
	}
	var timer <-chan time.Time
	if pause > 0 {
		timer = time.After(pause)
	}
	select {
	case <-done:
	case <-lost:
	case <-timer:
	case <-n.ended.Done():
	case <-ctx.Done():
		return cancelled(ctx.Err())
	}
	return nil
}

// block waits in a native call.
func (n news) block(ctx context.Context) error {
	var failure *C.forebay_error
	var status C.forebay_status
	whileWatching(ctx, n.interrupt, func() {
		gcPoint()
		status = n.native(atLeast(waitSlice), &failure)
	})
	err := failed(status, failure, nil)
	if ended := ctx.Err(); ended != nil {
		return cancelled(ended)
	}
	if errors.Is(err, ErrCancelled) {
		return nil
	}
	return err
}
