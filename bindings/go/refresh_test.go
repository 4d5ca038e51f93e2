// Refreshing: one run for all, waits that a context ends, and what a refresher sees and says.

package forebay_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

type answer struct {
	value forebay.ReadResult
	err   error
}

func TestAThousandGoroutinesShareOneRefresh(t *testing.T) {
	cache := newCache(t)
	const callers = 1000
	var runs atomic.Int32
	running := newHeld()
	answers := make(chan answer, callers)
	for range callers {
		go func() {
			value, err := cache.Get(bounded(t), models, func(ctx context.Context) ([]byte, error) {
				runs.Add(1)
				return running.refresh("one")(ctx)
			})
			answers <- answer{value, err}
		}()
	}
	within(t, "the refresh", running.began)
	running.release()
	ran := 0
	for range callers {
		got := within(t, "an answer", answers)
		must(t, got.err)
		equal(t, "data", string(got.value.Data), "one")
		if got.value.How == forebay.HowRan {
			ran++
		}
	}
	equal(t, "refreshers run", runs.Load(), 1)
	equal(t, "callers told that they ran it", ran, 1)
}

func TestACallerThatStopsWaitingLeavesTheRefreshToTheOthers(t *testing.T) {
	cache := newCache(t)
	running := newHeld()
	joined := make(chan forebay.Source, 2)
	cache.SetWaitForRefreshHookForTesting(func(source forebay.Source) { joined <- source })
	var seen error
	impatient, stop := context.WithCancel(t.Context())
	first, second, third := make(chan answer, 1), make(chan answer, 1), make(chan answer, 1)
	go func() {
		value, err := cache.Get(impatient, models, func(ctx context.Context) ([]byte, error) {
			data, err := running.refresh("one")(ctx)
			seen = ctx.Err()
			return data, err
		})
		first <- answer{value, err}
	}()
	within(t, "the refresh", running.began)
	for _, done := range []chan answer{second, third} {
		ctx := bounded(t)
		if done == second {
			ctx = impatient
		}
		go func() {
			value, err := cache.RefreshContext(ctx, models, unexpected(t))
			done <- answer{value, err}
		}()
		within(t, "joining", joined)
	}
	stop()
	for _, done := range []chan answer{first, second} {
		got := within(t, "stopping", done)
		isError(t, got.err, context.Canceled)
		isError(t, got.err, forebay.ErrCancelled)
	}
	running.release()
	got := within(t, "the third", third)
	must(t, got.err)
	equal(t, "data", string(got.value.Data), "one")
	equal(t, "how", got.value.How, forebay.HowCoalesced)
	if seen != nil {
		t.Errorf("the refresher's context ended: %v", seen)
	}
}

func TestWaitsForAnotherProcessEndWithTheContext(t *testing.T) {
	cache := newCache(t)
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	defer other.Close()
	acquired, err := other.Acquire(models, forebay.AcquireOptions{})
	must(t, err)
	defer acquired.Ticket.Close()
	joined := make(chan forebay.Source, 1)
	cache.SetWaitForRefreshHookForTesting(func(source forebay.Source) { joined <- source })
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := cache.Get(ctx, models, unexpected(t))
		done <- err
	}()
	within(t, "joining", joined)
	stop(errors.New("enough"))
	isError(t, within(t, "stopping", done), context.Canceled)

	go func() {
		_, err := cache.Get(bounded(t), models, unexpected(t))
		done <- err
	}()
	within(t, "joining", joined)
	must(t, cache.Close())
	isError(t, within(t, "closing", done), forebay.ErrClosed)
}

func TestMoreWaitersThanThreadsForThem(t *testing.T) {
	cache := newCache(t)
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	defer other.Close()
	acquired, err := other.Acquire(models, forebay.AcquireOptions{})
	must(t, err)
	const callers = 100
	joined := make(chan forebay.Source, callers)
	cache.SetWaitForRefreshHookForTesting(func(source forebay.Source) { joined <- source })
	done := make(chan answer, callers)
	for range callers {
		go func() {
			value, err := cache.Get(bounded(t), models, unexpected(t))
			done <- answer{value, err}
		}()
	}
	for range callers {
		within(t, "joining", joined)
	}
	_, err = acquired.Ticket.Complete([]byte("theirs"), forebay.Commit{})
	must(t, err)
	for range callers {
		got := within(t, "an answer", done)
		must(t, got.err)
		equal(t, "data", string(got.value.Data), "theirs")
	}
}

func TestGetServesStaleWhenTheWaitIsOver(t *testing.T) {
	cache, clock := newClockedCache(t)
	_, err := cache.Put(models, []byte("old"), forebay.Commit{})
	must(t, err)
	clock.advance(2 * time.Hour)
	running := newHeld()
	got, err := cache.Get(bounded(t), models, running.refresh("new"), forebay.Wait(0))
	must(t, err)
	equal(t, "data", string(got.Data), "old")
	equal(t, "state", got.State, forebay.StateStale)
	equal(t, "how", got.How, forebay.HowStale)
	equal(t, "phase", got.Phase, forebay.PhaseRunning)
	within(t, "the refresh", running.began)

	source := models
	source.MaxStale = time.Minute
	_, err = cache.Get(bounded(t), source, unexpected(t), forebay.Wait(time.Millisecond))
	isError(t, err, forebay.ErrTimedOut)

	running.release()
	got, err = cache.Get(bounded(t), models, unexpected(t))
	must(t, err)
	equal(t, "data", string(got.Data), "new")
}

func TestGetServesStaleAfterAFailureAndSaysWhy(t *testing.T) {
	cache, clock := newClockedCache(t)
	_, err := cache.Put(models, []byte("old"), forebay.Commit{})
	must(t, err)
	clock.advance(2 * time.Hour)
	boom := errors.New("boom")
	got, err := cache.Get(bounded(t), models, fails(boom))
	must(t, err)
	equal(t, "data", string(got.Data), "old")
	isError(t, got.Err, forebay.ErrRefreshFailed)
	isError(t, got.Err, boom)
	source := models
	source.StaleIfError = forebay.Zero
	clock.advance(time.Hour)
	_, err = cache.Get(bounded(t), source, fails(boom))
	isError(t, err, boom)
}

func TestARefresherThatOverstaysItsDeadlineHoldsNobodyUp(t *testing.T) {
	cache := newCache(t)
	source := models
	source.RefreshDeadline = 20 * time.Millisecond
	running := newHeld()
	cache.MaybeRefresh(source, func(context.Context) ([]byte, error) {
		running.enter()
		<-running.let // whatever its context says
		return []byte("late"), nil
	})
	within(t, "the refresh", running.began)
	got, err := cache.Get(bounded(t), source, answers("in time"))
	must(t, err)
	equal(t, "data", string(got.Data), "in time")
	running.release()
	must(t, cache.Shutdown(bounded(t)))
}

func TestMaxStaleOfZeroServesNothingStale(t *testing.T) {
	cache, clock := newClockedCache(t)
	source := models
	source.MaxStale = forebay.Zero
	_, err := cache.Put(source, []byte("old"), forebay.Commit{})
	must(t, err)
	clock.advance(2 * time.Hour)
	got, err := cache.Read(source)
	must(t, err)
	equal(t, "state", got.State, forebay.StateExpired)
	equal(t, "data", string(got.Data), "old")
}

func TestARefresherSeesWhatWasAndSaysWhatIs(t *testing.T) {
	cache := newCache(t)
	ctx := bounded(t)
	_, err := cache.RefreshContext(ctx, models, func(ctx context.Context) ([]byte, error) {
		job := forebay.JobFrom(ctx)
		if job.Previous() != nil || job.Validator() != "" || len(job.ConditionalHeaders()) != 0 {
			t.Errorf("something was there: %q %q", job.Previous(), job.Validator())
		}
		equal(t, "key", job.Key(), "api/models")
		if left := job.Remaining(); left <= 0 || left > models.RefreshDeadline {
			t.Errorf("remaining %v", left)
		}
		job.SetValidator(`"v1"`)
		job.SetTTL(time.Minute)
		job.SetMaxStale(time.Minute)
		job.SetExtra("beside it")
		return []byte("one"), nil
	})
	must(t, err)
	got, err := cache.RefreshContext(ctx, models, func(ctx context.Context) ([]byte, error) {
		job := forebay.JobFrom(ctx)
		equal(t, "previous", string(job.Previous()), "one")
		equal(t, "validator", job.Validator(), `"v1"`)
		equal(t, "header", job.ConditionalHeaders().Get("If-None-Match"), `"v1"`)
		return nil, forebay.ErrUnchanged
	})
	must(t, err)
	equal(t, "how", got.How, forebay.HowUnchanged)
	equal(t, "data", string(got.Data), "one")
	equal(t, "validator", got.Validator, `"v1"`)
	equal(t, "extra", got.Extra, "beside it")
}

func TestARefresherSeesTheValuesOfTheContextAndNotItsEnd(t *testing.T) {
	cache := newCache(t)
	type key struct{}
	ctx, stop := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	running := newHeld()
	seen := make(chan error, 1)
	done := make(chan error, 1)
	go func() {
		_, err := cache.Get(ctx, models, func(ctx context.Context) ([]byte, error) {
			equal(t, "the value", ctx.Value(key{}), any("value"))
			_, err := running.refresh("one")(ctx)
			seen <- ctx.Err()
			return nil, err
		})
		done <- err
	}()
	within(t, "the refresh", running.began)
	stop()
	isError(t, within(t, "stopping", done), context.Canceled)
	running.release()
	must(t, within(t, "the refresh's end", seen))
	must(t, cache.Shutdown(bounded(t)))
}

func TestUnchangedWithoutAValueIsAnError(t *testing.T) {
	cache := newCache(t)
	_, err := cache.RefreshContext(bounded(t), models, fails(forebay.ErrUnchanged))
	isError(t, err, forebay.ErrInvalid)
	state, err := cache.RefreshState(models)
	must(t, err)
	equal(t, "failed", state.Failed, true)
}

func TestAContextThatHasEndedBeginsNothing(t *testing.T) {
	cache := newCache(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := cache.Get(ctx, models, unexpected(t))
	isError(t, err, context.Canceled)
	items := []forebay.Item{{Source: models, Refresher: unexpected(t)}}
	isError(t, cache.RefreshMany(ctx, items, 1, nil)[0].Err, forebay.ErrCancelled)
	must(t, cache.Shutdown(bounded(t)))
}

func TestWithoutAJobARefresherStillRuns(t *testing.T) {
	job := forebay.JobFrom(t.Context())
	job.SetValidator("x")
	job.SetTTL(1)
	if job.Previous() != nil || job.Validator() != "" || job.Key() != "" || job.Remaining() != 0 {
		t.Error("a job from nothing has something")
	}
	if headers := job.ConditionalHeaders(); headers == nil || len(headers) != 0 {
		t.Errorf("got %v", headers)
	}
}

func TestAPutCancelsTheRefresherAndWins(t *testing.T) {
	cache := newCache(t)
	running := newHeld()
	done := make(chan answer, 1)
	go func() {
		value, err := cache.RefreshContext(bounded(t), models, func(ctx context.Context) ([]byte, error) {
			running.enter()
			<-ctx.Done()
			return []byte("late"), nil
		})
		done <- answer{value, err}
	}()
	within(t, "the refresh", running.began)
	_, err := cache.Put(models, []byte("put"), forebay.Commit{})
	must(t, err)
	within(t, "the refresh's end", done)
	got, err := cache.Read(models)
	must(t, err)
	equal(t, "data", string(got.Data), "put")
}

func TestARefresherMayUseTheCache(t *testing.T) {
	cache := newCache(t)
	other := forebay.Source{Tier: "api", Name: "other", TTL: time.Hour}
	got, err := cache.Get(bounded(t), models, func(ctx context.Context) ([]byte, error) {
		if _, err := cache.Read(models); err != nil {
			return nil, err
		}
		started, err := cache.StartRefresh(models, unexpected(t))
		if err != nil || started != forebay.StartedInFlight {
			t.Errorf("the same source: %v %v", started, err)
		}
		inner, err := cache.Get(ctx, other, answers("inner"))
		return append(inner.Data, " and outer"...), err
	})
	must(t, err)
	equal(t, "data", string(got.Data), "inner and outer")
}

func TestStartRefreshSaysWhatItDid(t *testing.T) {
	cache, clock := newClockedCache(t)
	is := func(what string, want forebay.Started, fn forebay.Refresher) {
		t.Helper()
		got, err := cache.StartRefresh(models, fn)
		must(t, err)
		equal(t, what, got, want)
	}
	running := newHeld()
	is("cold", forebay.StartedNow, running.refresh("one"))
	is("running", forebay.StartedInFlight, unexpected(t))
	running.release()
	until(t, "the value", func() bool {
		got, err := cache.Read(models)
		must(t, err)
		return got.Fresh
	})
	is("fresh", forebay.StartedFresh, unexpected(t))
	clock.advance(2 * time.Hour)
	slow := &forebay.Failure{Code: forebay.CodeRateLimited, Message: "slow down", RetryAfter: time.Minute}
	is("stale", forebay.StartedNow, fails(slow))
	until(t, "the gate", func() bool {
		state, err := cache.RefreshState(models)
		must(t, err)
		return state.Phase == forebay.PhaseCooling
	})
	is("cooling", forebay.StartedGated, unexpected(t))
	state, err := cache.RefreshState(models)
	must(t, err)
	isError(t, state.Err, forebay.ErrRateLimited)
	equal(t, "declared", state.Declared, true)
	equal(t, "text", state.LastError, "slow down")
	_, err = cache.RefreshContext(bounded(t), models, unexpected(t))
	isError(t, err, forebay.ErrGated)
	var gated *forebay.Error
	if !errors.As(err, &gated) || gated.RetryAt.IsZero() {
		t.Errorf("got %#v", err)
	}
	_, err = cache.RefreshContext(bounded(t), models, answers("two"), forebay.OverrideGate())
	must(t, err)
}

func TestMinFreshAtSparesASecondRefresh(t *testing.T) {
	cache, clock := newClockedCache(t)
	began := time.Unix(0, int64(clock.wall))
	clock.advance(time.Second)
	must(t, cache.Refresh(models, answers("one")))
	got, err := cache.RefreshContext(bounded(t), models, unexpected(t), forebay.MinFreshAt(began))
	must(t, err)
	equal(t, "data", string(got.Data), "one")
	got, err = cache.RefreshContext(bounded(t), models, answers("two"))
	must(t, err)
	equal(t, "data", string(got.Data), "two")
}

func TestRefreshManyKeepsTheOrderAndGoesOnAfterAFailure(t *testing.T) {
	cache := newCache(t)
	boom := errors.New("boom")
	var items []forebay.Item
	for _, name := range []string{"a", "b", "c", "d"} {
		fn := answers(name)
		if name == "b" {
			fn = fails(boom)
		}
		items = append(items, forebay.Item{Source: forebay.Source{Tier: "many", Name: name, TTL: 1}, Refresher: fn})
	}
	var progress []int
	outcomes := cache.RefreshMany(bounded(t), items, 2, func(p forebay.Progress) {
		progress = append(progress, p.Done)
		equal(t, "total", p.Total, 4)
		if p.Source.Name == "b" {
			isError(t, p.Outcome.Err, boom)
		}
	})
	equal(t, "progress", len(progress), 4)
	equal(t, "last", progress[3], 4)
	for i, outcome := range outcomes {
		if i == 1 {
			isError(t, outcome.Err, boom)
			continue
		}
		must(t, outcome.Err)
		equal(t, "data", string(outcome.Value.Data), items[i].Source.Name)
	}
	equal(t, "of none", len(cache.RefreshMany(bounded(t), nil, 0, nil)), 0)
}

func TestShutdownWaitsForRefreshers(t *testing.T) {
	cache := newCache(t)
	running := newHeld()
	cache.MaybeRefresh(models, running.refresh("one"))
	within(t, "the refresh", running.began)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	defer other.Close()
	var ended sync.WaitGroup
	ended.Add(1)
	go func() {
		defer ended.Done()
		must(t, cache.Shutdown(bounded(t)))
	}()
	running.release()
	ended.Wait()
	got, err := other.Read(models)
	must(t, err)
	equal(t, "data", string(got.Data), "one")
	_, err = cache.Read(models)
	isError(t, err, forebay.ErrClosed)

	running = newHeld()
	other.MaybeRefresh(forebay.Source{Name: "other", TTL: 1}, running.refresh("never"))
	within(t, "the refresh", running.began)
	isError(t, other.Shutdown(ctx), context.Canceled)
	_, err = other.Read(models)
	isError(t, err, forebay.ErrClosed)
}

func TestCloseEndsTheRefreshersContext(t *testing.T) {
	cache := newCache(t)
	ended := make(chan error, 1)
	running := newHeld()
	cache.MaybeRefresh(models, func(ctx context.Context) ([]byte, error) {
		running.enter()
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	})
	within(t, "the refresh", running.began)
	must(t, cache.Close())
	must(t, cache.Close())
	isError(t, within(t, "the refresh's end", ended), context.Canceled)
}
