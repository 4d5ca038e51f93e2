// Tickets: the right to refresh, for programs that do the work elsewhere.

package forebay_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

func acquire(t *testing.T, cache *forebay.Cache, options forebay.AcquireOptions) *forebay.Ticket {
	t.Helper()
	acquired, err := cache.Acquire(models, options)
	must(t, err)
	if acquired.Ticket == nil {
		t.Fatalf("no ticket: %s, %+v", acquired.Started, acquired.State)
	}
	t.Cleanup(acquired.Ticket.Close)
	return acquired.Ticket
}

func TestATicketFromBeginningToEnd(t *testing.T) {
	cache := newCache(t)
	first := acquire(t, cache, forebay.AcquireOptions{})
	equal(t, "key", first.Key(), "api/models")
	equal(t, "cancelled", first.Cancelled(), false)
	if first.Previous() != nil || first.Validator() != "" || !first.PreviousStoredAt().IsZero() {
		t.Error("something was there")
	}
	if left := first.Remaining(); left <= 0 || left > models.RefreshDeadline || time.Until(first.Deadline()) <= 0 {
		t.Errorf("remaining %v, deadline %v", left, first.Deadline())
	}
	found, err := cache.Acquire(models, forebay.AcquireOptions{})
	must(t, err)
	equal(t, "a second", found.Started, forebay.StartedInFlight)
	equal(t, "phase", found.State.Phase, forebay.PhaseRunning)
	must(t, first.Renew(2*hang))
	if left := first.Remaining(); left <= models.RefreshDeadline {
		t.Errorf("remaining %v after renewal", left)
	}
	value, err := first.Complete([]byte("one"), forebay.Commit{Validator: "v1", Extra: "x"})
	must(t, err)
	equal(t, "data", string(value.Data), "one")
	_, err = first.Complete([]byte("two"), forebay.Commit{})
	isError(t, err, forebay.ErrAlreadyUsed)
	isError(t, first.Fail(errors.New("late")), forebay.ErrAlreadyUsed)

	found, err = cache.Acquire(models, forebay.AcquireOptions{UnlessFresh: true})
	must(t, err)
	equal(t, "unless fresh", found.Started, forebay.StartedFresh)
	equal(t, "data", string(found.Value.Data), "one")
	found, err = cache.Acquire(models, forebay.AcquireOptions{UnlessChangedSince: new(forebay.Version)})
	must(t, err)
	equal(t, "overtaken", found.Started, forebay.StartedFresh)

	second := acquire(t, cache, forebay.AcquireOptions{UnlessChangedSince: &value.Version, Deadline: time.Second})
	equal(t, "previous", string(second.Previous()), "one")
	equal(t, "validator", second.Validator(), "v1")
	if second.Token() <= first.Token() || second.PreviousStoredAt().IsZero() || second.Remaining() > time.Second {
		t.Errorf("token %d after %d", second.Token(), first.Token())
	}
	_, err = second.Unchanged(forebay.Commit{})
	must(t, err)
	isError(t, acquire(t, cache, forebay.AcquireOptions{}).Fail(nil), forebay.ErrInvalid)
}

func TestAFailedTicketSetsAGate(t *testing.T) {
	cache := newCache(t)
	slow := &forebay.Failure{Code: forebay.CodeUnavailable, RetryAfter: time.Hour, Cause: errors.New("down")}
	must(t, acquire(t, cache, forebay.AcquireOptions{}).Fail(slow))
	found, err := cache.Acquire(models, forebay.AcquireOptions{Force: true})
	must(t, err)
	equal(t, "declared", found.Started, forebay.StartedGated)
	isError(t, found.State.Err, forebay.ErrUnavailable)
	equal(t, "text", found.State.LastError, "down")
	acquire(t, cache, forebay.AcquireOptions{OverrideGate: true})
}

func TestAClosedTicketIsGivenUpAndSaysSo(t *testing.T) {
	cache := newCache(t)
	ticket := acquire(t, cache, forebay.AcquireOptions{})
	ticket.Close()
	ticket.Close()
	_, err := ticket.Complete(nil, forebay.Commit{})
	isError(t, err, forebay.ErrAlreadyUsed)
	isError(t, ticket.Renew(time.Second), forebay.ErrAlreadyUsed)
	equal(t, "cancelled", ticket.Cancelled(), true)
	equal(t, "key", ticket.Key(), "")
	acquire(t, cache, forebay.AcquireOptions{})
}

func TestATicketOfAClosedCacheWritesNothing(t *testing.T) {
	cache := newCache(t)
	ticket := acquire(t, cache, forebay.AcquireOptions{})
	must(t, cache.Close())
	equal(t, "cancelled", ticket.Cancelled(), true)
	_, err := ticket.Complete([]byte("late"), forebay.Commit{})
	isError(t, err, forebay.ErrClosed)
	isError(t, ticket.Fail(errors.New("late")), forebay.ErrClosed)
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	defer other.Close()
	state, err := other.RefreshState(models)
	must(t, err)
	equal(t, "phase", state.Phase, forebay.PhaseRunning)
	ticket.Close()
	got, err := other.Get(bounded(t), models, answers("at once"))
	must(t, err)
	equal(t, "how", got.How, forebay.HowRan)
}

func TestAForgottenTicketIsGivenUpByTheCollector(t *testing.T) {
	cache := newCache(t)
	func() {
		found, err := cache.Acquire(models, forebay.AcquireOptions{})
		must(t, err)
		equal(t, "acquired", found.Started, forebay.StartedNow)
	}()
	until(t, "the lease's end", func() bool {
		runtime.GC()
		found, err := cache.Acquire(models, forebay.AcquireOptions{})
		must(t, err)
		if found.Ticket != nil {
			found.Ticket.Close()
		}
		return found.Started == forebay.StartedNow
	})
}

func TestQueuedRefreshesArePulled(t *testing.T) {
	cache := newCache(t)
	ctx := bounded(t)
	pulled := make(chan string, 1)
	go func() {
		ticket, err := cache.NextRefresh(ctx)
		if err != nil {
			pulled <- err.Error()
			return
		}
		defer ticket.Close()
		value, err := ticket.Run(func(ctx context.Context) ([]byte, error) {
			return []byte("pulled for " + forebay.JobFrom(ctx).Key()), nil
		})
		must(t, err)
		pulled <- string(value.Data)
	}()
	started, err := cache.RequestRefresh(models)
	must(t, err)
	equal(t, "requested", started, forebay.StartedNow)
	equal(t, "value", within(t, "the pull", pulled), "pulled for api/models")
	started, err = cache.RequestRefresh(models)
	must(t, err)
	equal(t, "requested again", started, forebay.StartedFresh)

	brief, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		_, err := cache.NextRefresh(brief)
		done <- err
	}()
	stop()
	isError(t, within(t, "stopping", done), context.Canceled)
	go func() {
		_, err := cache.NextRefresh(ctx)
		done <- err
	}()
	must(t, cache.Close())
	isError(t, within(t, "closing", done), forebay.ErrClosed)
}

func TestRunningATicketThatFailsGivesTheRefreshersError(t *testing.T) {
	cache := newCache(t)
	boom := errors.New("boom")
	_, err := acquire(t, cache, forebay.AcquireOptions{}).Run(fails(boom))
	if err != boom {
		t.Errorf("got %v", err)
	}
	_, err = acquire(t, cache, forebay.AcquireOptions{Force: true}).Run(nil)
	isError(t, err, forebay.ErrInvalid)
}
