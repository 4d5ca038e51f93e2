// What ends a computation and who waits for it, what its error becomes, and which goroutine computes.

package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

// derived is what a call in a goroutine of its own returned.
type derived struct {
	got *forebay.Derived
	err error
}

// going makes the call in a goroutine.
func (w *workspace) going(ctx context.Context, key forebay.LiveKey, fn forebay.Refresher) <-chan derived {
	out := make(chan derived, 1)
	go func() {
		got, err := w.GetOrCompute(ctx, key, forebay.LiveSpec{}, fn)
		out <- derived{got, err}
	}()
	return out
}

func TestAComputationEndsWithItsCallersContextAndTheNextComputes(t *testing.T) {
	w := newWorkspace(t)
	key, running := named("hurried"), newHeld()
	ctx, cancel := context.WithCancel(bounded(t))
	first := w.going(ctx, key, running.refresh("never"))
	within(t, "beginning", running.began)
	second := w.going(bounded(t), key, answers("of the second"))
	cancel()
	ended := within(t, "the first", first)
	isError(t, ended.err, forebay.ErrCancelled)
	isError(t, ended.err, context.Canceled)
	next := within(t, "the second", second)
	must(t, next.err)
	equal(t, "how", next.got.How, forebay.HowRan)
	_, err := w.GetOrCompute(ctx, key, forebay.LiveSpec{}, unexpected(t))
	isError(t, err, forebay.ErrCancelled)
}

func TestWaitingEndsWithTheCallersContextAndTheComputationGoesOn(t *testing.T) {
	w := newWorkspace(t)
	key, running := named("slow"), newHeld()
	first := w.going(bounded(t), key, running.refresh("at last"))
	within(t, "beginning", running.began)
	ctx, cancel := context.WithTimeout(bounded(t), time.Millisecond)
	defer cancel()
	_, err := w.GetOrCompute(ctx, key, forebay.LiveSpec{}, unexpected(t))
	isError(t, err, forebay.ErrCancelled)
	isError(t, err, context.DeadlineExceeded)
	running.release()
	done := within(t, "the first", first)
	must(t, done.err)
	equal(t, "data", string(done.got.Data), "at last")
}

func TestAResultThatComesAfterItsCallersEndIsKept(t *testing.T) {
	w := newWorkspace(t)
	ctx, cancel := context.WithCancel(bounded(t))
	got, err := w.GetOrCompute(ctx, named("late"), forebay.LiveSpec{}, func(context.Context) ([]byte, error) {
		cancel()
		return []byte("paid for"), nil
	})
	must(t, err)
	equal(t, "how", got.How, forebay.HowRan)
	w.holds("it", named("late"), true)
}

func TestAComputationsContextEndsAtTheDeadline(t *testing.T) {
	w := newWorkspace(t)
	live, err := w.cache.Live(forebay.LiveOptions{Deadline: 50 * time.Millisecond})
	must(t, err)
	_, err = live.GetOrCompute(bounded(t), named("slow"), forebay.LiveSpec{}, newHeld().refresh("never"))
	isError(t, err, forebay.ErrTimedOut)
	isError(t, err, context.DeadlineExceeded)
}

func TestAfterTheDeadlineAnotherComputesThoughTheFirstStillDoes(t *testing.T) {
	w := newWorkspace(t)
	live, err := w.cache.Live(forebay.LiveOptions{Deadline: 50 * time.Millisecond})
	must(t, err)
	hasty := &workspace{live, t, w.cache, w.path}
	key, running := named("stuck"), newHeld()
	first := hasty.going(bounded(t), key, func(context.Context) ([]byte, error) {
		running.enter()
		<-running.let // whatever its context says
		return []byte("of the first"), nil
	})
	within(t, "beginning", running.began)
	second := within(t, "the second", w.going(bounded(t), key, answers("of the second")))
	must(t, second.err)
	equal(t, "how", second.got.How, forebay.HowRan)
	running.release()
	must(t, within(t, "the first", first).err)
}

func TestManyGoroutinesComputeOnce(t *testing.T) {
	w := newWorkspace(t)
	key, running := named("shared"), newHeld()
	first := w.going(bounded(t), key, running.refresh("one"))
	within(t, "beginning", running.began)
	var others []<-chan derived
	for range 60 {
		others = append(others, w.going(bounded(t), key, unexpected(t)))
	}
	running.release()
	must(t, within(t, "the first", first).err)
	for _, other := range others {
		got := within(t, "another", other)
		must(t, got.err)
		equal(t, "data", string(got.got.Data), "one")
		if how := got.got.How; how != forebay.HowCoalesced && how != forebay.HowFresh {
			t.Errorf("how: %v", how)
		}
	}
}

func TestWhoWaitsIsToldThatAnotherComputed(t *testing.T) {
	w := newWorkspace(t)
	key, running := named("waited for"), newHeld()
	first := w.going(bounded(t), key, running.refresh("one"))
	within(t, "beginning", running.began)
	before, err := w.cache.Counters()
	must(t, err)
	waiting := w.going(bounded(t), key, unexpected(t))
	until(t, "the second look", func() bool {
		now, err := w.cache.Counters()
		must(t, err)
		return now[forebay.EventMiss] > before[forebay.EventMiss] // what comes after it is not found fresh
	})
	running.release()
	must(t, within(t, "the first", first).err)
	got := within(t, "who waited", waiting)
	must(t, got.err)
	equal(t, "how", got.got.How, forebay.HowCoalesced)
}

type unreadable struct{ line int }

func (u *unreadable) Error() string { return fmt.Sprint("line ", u.line, " is unreadable") }

func TestAComputationsErrorIsItsCallersAndBarsNobody(t *testing.T) {
	w := newWorkspace(t)
	key := named("failing")
	_, err := w.GetOrCompute(bounded(t), key, forebay.LiveSpec{}, fails(fmt.Errorf("parsing: %w", &unreadable{7})))
	isError(t, err, forebay.ErrRefreshFailed)
	var own *unreadable
	if !errors.As(err, &own) || own.line != 7 {
		t.Errorf("got %v", err)
	}
	equal(t, "text", err.Error(), "forebay: parsing: line 7 is unreadable")
	_, err = w.GetOrCompute(bounded(t), key, forebay.LiveSpec{}, fails(forebay.ErrRateLimited))
	isError(t, err, forebay.ErrRateLimited)
	_, err = w.GetOrCompute(bounded(t), key, forebay.LiveSpec{}, func(context.Context) ([]byte, error) { panic(own) })
	var panicked *forebay.PanicError
	if !errors.As(err, &panicked) || panicked.Value != own || !errors.Is(err, own) {
		t.Errorf("got %v", err)
	}
	equal(t, "text", panicked.Error(), "the computation panicked: line 7 is unreadable")
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = w.GetOrCompute(bounded(t), key, forebay.LiveSpec{}, func(context.Context) ([]byte, error) {
			runtime.Goexit()
			return nil, nil
		})
	}()
	within(t, "the end of its goroutine", gone)
	equal(t, "how", w.get(key, forebay.LiveSpec{}, "at last").How, forebay.HowRan)
}

func TestAComputationMayAskForOthersAndNotForItself(t *testing.T) {
	w := newWorkspace(t)
	outer, inner := named("outer"), named("inner")
	got, err := w.GetOrCompute(bounded(t), outer, forebay.LiveSpec{}, func(ctx context.Context) ([]byte, error) {
		job := forebay.JobFrom(ctx)
		equal(t, "key", job.Key(), string(outer))
		equal(t, "remaining", job.Remaining() > 0 && job.Remaining() <= hang, true)
		equal(t, "nothing before", job.Previous() == nil && job.Validator() == "" && len(job.ConditionalHeaders()) == 0, true)
		below, err := w.GetOrCompute(ctx, inner, forebay.LiveSpec{}, func(ctx context.Context) ([]byte, error) {
			_, err := w.GetOrCompute(ctx, outer, forebay.LiveSpec{}, unexpected(t))
			isError(t, err, forebay.ErrInvalid)
			return []byte("below"), nil
		})
		if err != nil {
			return nil, err
		}
		equal(t, "the inner one's job", forebay.JobFrom(ctx).Key(), string(outer))
		return append(below.Data, " and above"...), nil
	})
	must(t, err)
	equal(t, "data", string(got.Data), "below and above")
}

func TestClosingEndsComputationsAndShutdownWaitsForThem(t *testing.T) {
	closing, waiting := newWorkspace(t), newWorkspace(t)
	running, other := newHeld(), newHeld()
	first := closing.going(bounded(t), named("x"), running.refresh("never"))
	within(t, "beginning", running.began)
	second := closing.going(bounded(t), named("x"), func(context.Context) ([]byte, error) { return nil, errors.New("closed") })
	must(t, closing.cache.Close())
	isError(t, within(t, "who computed", first).err, forebay.ErrClosed)
	isError(t, within(t, "who waited", second).err, forebay.ErrClosed)

	third := waiting.going(bounded(t), named("x"), other.refresh("one"))
	within(t, "beginning", other.began)
	stopped := make(chan error, 1)
	go func() { stopped <- waiting.cache.Shutdown(bounded(t)) }()
	other.release()
	must(t, within(t, "the third", third).err)
	must(t, within(t, "the shutdown", stopped))
}
