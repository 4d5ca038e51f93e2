// Quotas: contexts and goroutines: what ends a fetch, what ends a wait, and what becomes of a fetch that does not return.

package forebay_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

type resolved struct {
	answer *forebay.Answer
	err    error
}

// only is a source of that fetch, and of nothing else.
func only(fetch func(context.Context) ([]byte, error)) forebay.QuotaSource {
	return forebay.QuotaSource{
		Fetch: func(ctx context.Context, _ *forebay.QuotaJob) ([]byte, error) { return fetch(ctx) },
	}
}

// begun resolves in the background, and returns once Fetch runs.
func begun(t *testing.T, ctx context.Context, q *forebay.Quota, running *held) <-chan resolved {
	t.Helper()
	done := make(chan resolved, 1)
	go func() {
		answer, err := q.Resolve(ctx, only(running.refresh(`{"by":"the first"}`)))
		done <- resolved{answer, err}
	}()
	within(t, "the fetch", running.began)
	return done
}

func TestGoroutinesShareOneFetch(t *testing.T) {
	usage := newCache(t).Quota("usage", forebay.QuotaOptions{Timeout: hang})
	const callers = 200
	var fetched atomic.Int32
	running := newHeld()
	done := make(chan resolved, callers)
	for range callers {
		go func() {
			answer, err := usage.Resolve(bounded(t), only(func(ctx context.Context) ([]byte, error) {
				fetched.Add(1)
				return running.refresh(`{}`)(ctx)
			}))
			done <- resolved{answer, err}
		}()
	}
	within(t, "the fetch", running.began)
	running.release()
	ran := 0
	for range callers {
		got := within(t, "an answer", done)
		must(t, got.err)
		equal(t, "data", string(got.answer.Data), `{}`)
		if got.answer.How == forebay.HowRan {
			ran++
		}
	}
	equal(t, "fetches", fetched.Load(), 1)
	equal(t, "callers told that they fetched", ran, 1)
}

func TestMoreQuotaWaitersThanThreadsForThem(t *testing.T) {
	cache := newCache(t)
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	defer other.Close()
	options := forebay.QuotaOptions{Timeout: hang}
	running := newHeld()
	first := begun(t, bounded(t), cache.Quota("usage", options), running)
	const callers = 100
	entering, done := make(chan struct{}, callers), make(chan resolved, callers)
	for range callers {
		go func() {
			entering <- struct{}{}
			answer, err := other.Quota("usage", options).Resolve(bounded(t), only(unexpected(t)))
			done <- resolved{answer, err}
		}()
	}
	for range callers {
		within(t, "a caller", entering)
	}
	running.release()
	must(t, within(t, "the first", first).err)
	for range callers {
		got := within(t, "an answer", done)
		must(t, got.err)
		equal(t, "data", string(got.answer.Data), `{"by":"the first"}`)
	}
}

func TestOthersAreServedStaleAtOnce(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{Timeout: hang}), newServer(t)
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
	clock.advance(time.Hour)
	running := newHeld()
	first := begun(t, bounded(t), usage, running)
	state, err := usage.Read()
	must(t, err)
	equal(t, "phase", state.Phase, forebay.PhaseRunning)
	equal(t, "holder", state.HolderPID, os.Getpid())
	got, err := usage.Resolve(bounded(t), only(unexpected(t)))
	must(t, err)
	equal(t, "how", got.How, forebay.HowStale)
	running.release()
	must(t, within(t, "the first", first).err)
}

func TestAWaitEndsWithItsContextAndTheFetchGoesOn(t *testing.T) {
	cache := newCache(t)
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	defer other.Close()
	options := forebay.QuotaOptions{Timeout: hang}
	running := newHeld()
	first := begun(t, bounded(t), cache.Quota("usage", options), running)
	// Of the same program, and of what might be another one.
	for _, cache := range []*forebay.Cache{cache, other} {
		ctx, stop := context.WithCancel(t.Context())
		second := make(chan error, 1)
		go func() {
			_, err := cache.Quota("usage", options).Resolve(ctx, only(unexpected(t)))
			second <- err
		}()
		stop()
		err := within(t, "stopping", second)
		isError(t, err, context.Canceled)
		isError(t, err, forebay.ErrCancelled)
	}
	running.release()
	got := within(t, "the first", first)
	must(t, got.err)
	equal(t, "how", got.answer.How, forebay.HowRan)
	got.answer, err = other.Quota("usage", options).Resolve(bounded(t), only(unexpected(t)))
	must(t, err)
	equal(t, "data", string(got.answer.Data), `{"by":"the first"}`)
}

func TestWaitBoundsAWait(t *testing.T) {
	cache := newCache(t)
	running := newHeld()
	first := begun(t, bounded(t), cache.Quota("usage", forebay.QuotaOptions{Timeout: hang}), running)
	for _, wait := range []time.Duration{forebay.Zero, time.Millisecond} {
		usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: hang, Wait: wait})
		_, err := usage.Resolve(bounded(t), only(unexpected(t)))
		isError(t, err, forebay.ErrTimedOut)
	}
	running.release()
	must(t, within(t, "the first", first).err)
}

func TestAFetchThatItsCallerCutsShortIsNoFailure(t *testing.T) {
	cache := newCache(t)
	usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: hang})
	ctx, stop := context.WithCancelCause(t.Context())
	running := newHeld()
	first := begun(t, ctx, usage, running)
	joined := make(chan resolved, 1)
	go func() {
		answer, err := usage.Resolve(bounded(t), only(answers(`{"by":"the next"}`)))
		joined <- resolved{answer, err}
	}()
	stop(errors.New("enough"))
	err := within(t, "stopping", first).err
	isError(t, err, context.Canceled)
	isError(t, err, forebay.ErrCancelled)
	got := within(t, "the next", joined)
	must(t, got.err)
	equal(t, "how", got.answer.How, forebay.HowRan)
	state, err := usage.Read()
	must(t, err)
	equal(t, "blocked", state.Blocked, nil)
}

func TestAContextThatHasEndedResolvesNothing(t *testing.T) {
	usage := newCache(t).Quota("usage", forebay.QuotaOptions{})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err := usage.Resolve(ctx, only(unexpected(t)))
	isError(t, err, forebay.ErrCancelled)
	isError(t, err, context.Canceled)
}

func TestATimeoutEndsTheFetchAndIsRecordedAsOne(t *testing.T) {
	cache := newCache(t)
	usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: 20 * time.Millisecond})
	_, err := usage.Resolve(bounded(t), only(newHeld().refresh("never")))
	isError(t, err, context.DeadlineExceeded)
	isError(t, err, forebay.ErrTimedOut)
	gate, err := os.ReadFile(filepath.Join(cache.Root, "usage.lock"))
	must(t, err)
	if !strings.Contains(string(gate), `"Timeout"`) {
		t.Errorf("the gate is %s", gate)
	}
}

func TestAFetchThatOverstaysItsTimeoutHoldsNobodyUp(t *testing.T) {
	cache := newCache(t)
	usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: 20 * time.Millisecond})
	running := newHeld()
	first := make(chan resolved, 1)
	go func() {
		answer, err := usage.Resolve(bounded(t), only(func(context.Context) ([]byte, error) {
			running.enter()
			<-running.let // whatever its context says
			return []byte(`{"by":"the first"}`), nil
		}))
		first <- resolved{answer, err}
	}()
	within(t, "the fetch", running.began)
	second := make(chan resolved, 1)
	go func() {
		answer, err := usage.Resolve(bounded(t), only(answers(`{"by":"the second"}`)))
		second <- resolved{answer, err}
	}()
	got := within(t, "the second", second)
	must(t, got.err)
	equal(t, "data", string(got.answer.Data), `{"by":"the second"}`)
	running.release()
	must(t, within(t, "the first", first).err)
	state, err := usage.Read()
	must(t, err)
	equal(t, "recorded", string(state.Answer.Data), `{"by":"the second"}`)
}

func TestAPanicInFetchIsAFailure(t *testing.T) {
	cache := newCache(t)
	usage := cache.Quota("usage", forebay.QuotaOptions{})
	_, err := usage.Resolve(bounded(t), only(func(context.Context) ([]byte, error) { panic(io.EOF) }))
	isError(t, err, forebay.ErrRefreshFailed)
	isError(t, err, io.EOF)
	var panicked *forebay.PanicError
	if !errors.As(err, &panicked) || !strings.Contains(string(panicked.Stack), "TestAPanicInFetch") {
		t.Fatalf("got %#v", err)
	}
	state, err := usage.Read()
	must(t, err)
	equal(t, "code", state.Blocked.Code, forebay.CodeRefreshFailed)
}

func TestAFetchThatEndsItsGoroutineGivesTheLeaseUp(t *testing.T) {
	usage := newCache(t).Quota("usage", forebay.QuotaOptions{Timeout: hang})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = usage.Resolve(t.Context(), only(func(context.Context) ([]byte, error) {
			runtime.Goexit()
			return nil, nil
		}))
	}()
	within(t, "its end", ended)
	got, err := usage.Resolve(bounded(t), only(answers(`{}`)))
	must(t, err)
	equal(t, "how", got.How, forebay.HowRan)
}

func TestClearingEndsTheFetchAndItsAnswerIsNotStored(t *testing.T) {
	cache := newCache(t)
	usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: hang})
	running := newHeld()
	done := make(chan resolved, 1)
	go func() {
		answer, err := usage.Resolve(bounded(t), only(func(ctx context.Context) ([]byte, error) {
			running.enter()
			<-ctx.Done()
			return []byte(`{"late":true}`), nil
		}))
		done <- resolved{answer, err}
	}()
	within(t, "the fetch", running.began)
	_, err := usage.Clear()
	must(t, err)
	within(t, "the fetch's end", done)
	state, err := usage.Read()
	must(t, err)
	equal(t, "answer", state.Answer, nil)
}

func TestClosingEndsAFetchAndAWait(t *testing.T) {
	cache := newCache(t)
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	options := forebay.QuotaOptions{Timeout: hang}
	first := begun(t, bounded(t), cache.Quota("usage", options), newHeld())
	second := make(chan error, 1)
	go func() {
		_, err := other.Quota("usage", options).Resolve(bounded(t), only(unexpected(t)))
		second <- err
	}()
	must(t, other.Close())
	isError(t, within(t, "closing", second), forebay.ErrClosed)
	must(t, cache.Close())
	isError(t, within(t, "closing", first).err, forebay.ErrClosed)
	_, err = cache.Quota("usage", options).Read()
	isError(t, err, forebay.ErrClosed)
}

func TestShutdownWaitsForAFetch(t *testing.T) {
	cache := newCache(t)
	running := newHeld()
	first := begun(t, bounded(t), cache.Quota("usage", forebay.QuotaOptions{Timeout: hang}), running)
	ended := make(chan error, 1)
	go func() { ended <- cache.Shutdown(bounded(t)) }()
	running.release()
	must(t, within(t, "shutting down", ended))
	got := within(t, "the first", first)
	must(t, got.err)
	equal(t, "how", got.answer.How, forebay.HowRan)
	equal(t, "error", got.answer.Err, nil)
}

func TestFunctionsMayUseTheCache(t *testing.T) {
	cache := newCache(t)
	usage, inner := cache.Quota("usage", forebay.QuotaOptions{}), cache.Quota("inner", forebay.QuotaOptions{})
	got, err := usage.Resolve(bounded(t), only(func(ctx context.Context) ([]byte, error) {
		if _, err := usage.Read(); err != nil {
			return nil, err
		}
		if _, err := cache.Put(models, []byte("x"), forebay.Commit{}); err != nil {
			return nil, err
		}
		answer, err := inner.Resolve(ctx, only(answers(`{"from":"within"}`)))
		if err != nil {
			return nil, err
		}
		return answer.Data, nil
	}))
	must(t, err)
	equal(t, "data", string(got.Data), `{"from":"within"}`)
}
