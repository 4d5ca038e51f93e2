// A flight is one refresher running in this process. Callers that want the same value wait for it on a channel
// instead of in a native call, so that a thousand of them cost no thread. It is an accelerator: who holds the
// lease is decided elsewhere, and a caller looks there again whenever a flight ends.

package forebay

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// cancelPoll is how often a running refresh looks whether its result is still wanted: one system call each.
const cancelPoll = 25 * time.Millisecond

// retryPause is the pause between two tries to end a ticket whose guard another process holds.
const retryPause = 5 * time.Millisecond

type flight struct {
	done chan struct{} // closed once the ticket has ended
	lost chan struct{} // closed once the result is no longer wanted, though the refresher may still run

	value ReadResult // what was stored, and why it wasn't; set before done is closed
	ended error
	err   atomic.Pointer[error] // the refresher's own error; set before its ticket ends
}

// over reports whether the flight has nothing more to tell.
func (f *flight) over() bool {
	select {
	case <-f.done:
		return true
	case <-f.lost:
		return true
	default:
		return false
	}
}

// flights are those of one cache by source, and a count of all.
type flights struct {
	mu      sync.Mutex
	byKey   map[string]*flight
	running int
	idle    chan struct{} // closed when running falls to 0; nil while nobody asks
}

func (f *flights) get(key string) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.byKey[key]
}

func (f *flights) add(key string, one *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running++
	if key == "" {
		return
	}
	if f.byKey == nil {
		f.byKey = make(map[string]*flight)
	}
	f.byKey[key] = one
}

func (f *flights) remove(key string, one *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byKey[key] == one {
		delete(f.byKey, key)
	}
	f.running--
	if f.running == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// wait waits until none is running, or ctx ends.
func (f *flights) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.running == 0 {
		f.mu.Unlock()
		return nil
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return cancelled(ctx.Err())
	}
}

// flightKey tells sources apart as the library does: by tier, name and identity.
func (s Source) flightKey() string {
	tier, name := s.split()
	return tier + "\x00" + name + "\x00" + s.Identity
}

// launch runs a refresher in a goroutine of its own and ends its ticket. The refresher's context has the values of
// ctx, and nothing else of it.
func (h *handle) launch(ctx context.Context, ticket *Ticket, key string, fn Refresher) *flight {
	f := &flight{done: make(chan struct{}), lost: make(chan struct{})}
	h.users.Add(1)
	h.flights.add(key, f)
	go func() {
		defer h.release()
		defer close(f.done)
		defer h.flights.remove(key, f)
		defer ticket.Close()
		f.value, f.ended = ticket.perform(context.WithoutCancel(ctx), fn, f)
	}()
	return f
}

// perform runs the refresher and ends the ticket by what it returns.
func (t *Ticket) perform(values context.Context, fn Refresher, f *flight) (ReadResult, error) {
	job := &Job{lease: t}
	ctx, cancel := context.WithTimeout(context.WithValue(values, jobKey{}, job), t.Remaining())
	defer context.AfterFunc(t.handle.ended, cancel)()
	unwatch := watch(ctx, cancel, t.Cancelled, f.lost)
	data, err := call(ctx, fn)
	cancel()
	unwatch()
	end := func() (ReadResult, error) { return t.Complete(data, job.recorded()) }
	switch {
	case errors.Is(err, ErrUnchanged):
		end = func() (ReadResult, error) { return t.Unchanged(job.recorded()) }
	case err != nil:
		f.err.Store(&err)
		end = func() (ReadResult, error) { return ReadResult{}, t.Fail(err) }
	}
	value, ended := t.retried(end)
	// These leave the ticket open (unchanged, but there is nothing; a guard that could not be had): it ends here,
	// or those who wait would hear that its holder died.
	if failure, ok := ended.(*Error); ok && (failure.Code == CodeInvalid || failure.Code == CodeLockTimeout) {
		_ = t.Fail(&Failure{Code: failure.Code, Message: failure.Message}) // else it is given up, which is all that is left
	}
	return value, ended
}

// watch ends a function's context when its result is no longer wanted, and closes lost then; also when the function
// overstays its deadline, so that those who wait for it look for themselves. It goes on until what it returns is called.
func watch(ctx context.Context, cancel context.CancelFunc, unwanted func() bool, lost chan struct{}) (unwatch func()) {
	deadline, _ := ctx.Deadline()
	returned, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		poll := time.NewTicker(cancelPoll)
		defer poll.Stop()
		for {
			select {
			case <-returned:
				return
			case now := <-poll.C:
				late := now.After(deadline) // the context ends by itself
				if late || unwanted() {
					close(lost)
					if !late {
						cancel()
					}
					return
				}
			}
		}
	}()
	return func() {
		close(returned)
		<-watched
	}
}

// retried ends a ticket, again as long as another process holds the guard and the lease lasts.
func (t *Ticket) retried(end func() (ReadResult, error)) (ReadResult, error) {
	for {
		value, err := end()
		if !errors.Is(err, ErrLockTimeout) || t.Remaining() <= 0 || t.handle.ended.Err() != nil {
			return value, err
		}
		time.Sleep(retryPause)
	}
}

// call calls the refresher; a panic, or the end of its goroutine, is a failure.
func call(ctx context.Context, fn Refresher) (data []byte, err error) {
	type outcome struct {
		data []byte
		err  error
	}
	// In a goroutine of its own, because runtime.Goexit (t.FailNow in a test) cannot be recovered from.
	out := make(chan outcome, 1)
	go func() {
		result := outcome{err: errGoexit}
		defer func() {
			if value := recover(); value != nil {
				result = outcome{err: &PanicError{Value: value, Stack: debug.Stack()}}
			}
			out <- result
		}()
		data, err := fn(ctx)
		result = outcome{data, err}
	}()
	result := <-out
	return result.data, result.err
}
