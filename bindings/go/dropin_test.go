// The original package's API: its names, its types, its signatures, and what a program that uses it relies on. The
// import is all that such a program changes.

package forebay_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	discoverycache "github.com/forebay/forebay/bindings/go"
)

var (
	_ func(*discoverycache.Cache, discoverycache.Source) (discoverycache.ReadResult, error) = (*discoverycache.Cache).Read

	_ func(*discoverycache.Cache, discoverycache.Source, discoverycache.Refresher) error = (*discoverycache.Cache).Refresh
	_ func(*discoverycache.Cache, discoverycache.Source, discoverycache.Refresher)       = (*discoverycache.Cache).MaybeRefresh
	_ func(*discoverycache.Cache, discoverycache.Source, discoverycache.Refresher) error = (*discoverycache.Cache).MaybeRefreshSync

	_ func(*discoverycache.Cache, discoverycache.Source) (discoverycache.RefreshState, error) = (*discoverycache.Cache).RefreshState
	_ func(*discoverycache.Cache, []discoverycache.Source) error                              = (*discoverycache.Cache).Prune
	_ func(*discoverycache.Cache, func(discoverycache.Source))                                = (*discoverycache.Cache).SetWaitForRefreshHookForTesting

	_ discoverycache.Refresher = func(context.Context) ([]byte, error) { return nil, nil }
	_                          = discoverycache.RefreshState{} == discoverycache.RefreshState{}
	_                          = map[discoverycache.Source]int{}
)

// aSource is one as the original's users write it.
func aSource(name string) discoverycache.Source {
	return discoverycache.Source{
		Tier: "discovery", Name: name, TTL: time.Hour, RefreshDeadline: 10 * time.Second,
	}
}

func TestDropInReadWithoutAValue(t *testing.T) {
	cache := &discoverycache.Cache{Root: t.TempDir()}
	got, err := cache.Read(aSource("empty"))
	must(t, err)
	if got.Data != nil || got.Fresh || !got.Stale || got.Age != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestDropInRefreshThenRead(t *testing.T) {
	cache := &discoverycache.Cache{Root: t.TempDir()}
	source := aSource("openrouter")
	must(t, cache.Refresh(source, func(ctx context.Context) ([]byte, error) {
		deadline, ok := ctx.Deadline()
		if left := time.Until(deadline); !ok || left > 10*time.Second || left < 0 {
			t.Errorf("the context ends in %v", left)
		}
		return []byte(`{"models":[]}`), nil
	}))
	got, err := cache.Read(source)
	must(t, err)
	equal(t, "data", string(got.Data), `{"models":[]}`)
	equal(t, "fresh", got.Fresh, true)
	equal(t, "stale", got.Stale, false)
	text, err := os.ReadFile(filepath.Join(cache.Root, "discovery", "openrouter.json"))
	must(t, err)
	equal(t, "the file", string(text), `{"models":[]}`)
}

func TestDropInReadsWhatTheOriginalWrote(t *testing.T) {
	cache := &discoverycache.Cache{Root: t.TempDir()}
	source := aSource("written-by-the-original")
	path := filepath.Join(cache.Root, "discovery", source.Name+".json")
	must(t, os.MkdirAll(filepath.Dir(path), 0o750))
	must(t, os.WriteFile(path, []byte("{}"), 0o600))
	got, err := cache.Read(source)
	must(t, err)
	equal(t, "fresh", got.Fresh, true)
	past := time.Now().Add(-2 * time.Hour)
	must(t, os.Chtimes(path, past, past))
	got, err = cache.Read(source)
	must(t, err)
	equal(t, "data", string(got.Data), "{}")
	equal(t, "stale", got.Stale, true)
	if got.Age < 2*time.Hour || got.Age > 3*time.Hour {
		t.Errorf("age %v", got.Age)
	}
}

func TestDropInHonoursAMarkerOfTheOriginal(t *testing.T) {
	cache := &discoverycache.Cache{Root: t.TempDir()}
	source := aSource("refreshed-by-the-original")
	dir := filepath.Join(cache.Root, "discovery")
	must(t, os.MkdirAll(dir, 0o750))
	must(t, os.WriteFile(filepath.Join(dir, source.Name+".json"), []byte("{}"), 0o600))
	must(t, writeJSON(filepath.Join(dir, source.Name+".refreshing"), map[string]any{
		"pid": os.Getpid(), "started_at": time.Now().UTC(), "deadline": time.Now().UTC().Add(30 * time.Second),
	}))
	state, err := cache.RefreshState(source)
	must(t, err)
	if !state.InFlight || state.Failed || state.StartedAt.IsZero() || !state.Deadline.After(state.StartedAt) {
		t.Errorf("got %+v", state)
	}
	must(t, cache.Prune(nil))
	got, err := cache.Read(source)
	must(t, err)
	if got.Data == nil {
		t.Error("Prune removed what is being refreshed")
	}
}

func TestDropInDeadlineReachesTheRefresher(t *testing.T) {
	cache := &discoverycache.Cache{Root: t.TempDir()}
	source := aSource("deadline")
	source.RefreshDeadline = 20 * time.Millisecond
	err := cache.Refresh(source, func(ctx context.Context) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	isError(t, err, context.DeadlineExceeded)
}

func TestDropInFailureCoolsDownAndIsForgottenAfterASuccess(t *testing.T) {
	clock := newClock(t)
	cache, err := discoverycache.Open(discoverycache.Options{Root: t.TempDir(), TestClock: clock.path})
	must(t, err)
	defer cache.Close()
	source := aSource("failing")
	boom := errors.New("boom")
	if err := cache.MaybeRefreshSync(source, fails(boom)); err != boom {
		t.Fatalf("got %v", err)
	}
	state, err := cache.RefreshState(source)
	must(t, err)
	if !state.Failed || !state.InFlight || state.LastError != "boom" || state.Phase != discoverycache.PhaseCooling {
		t.Errorf("after the failure: %+v", state)
	}
	must(t, cache.MaybeRefreshSync(source, unexpected(t)))
	clock.advance(time.Second)
	must(t, cache.MaybeRefreshSync(source, answers("{}")))
	state, err = cache.RefreshState(source)
	must(t, err)
	if state.Failed || state.InFlight {
		t.Errorf("after the success: %+v", state)
	}
	must(t, cache.MaybeRefreshSync(source, unexpected(t)))
}

// D2: a forced refresh while a failure cools down runs at once, or says why not.
func TestDropInForcedRefreshRunsWhileCoolingDown(t *testing.T) {
	cache := &discoverycache.Cache{Root: t.TempDir()}
	source := aSource("forced")
	_ = cache.Refresh(source, fails(errors.New("boom")))
	must(t, cache.Refresh(source, answers("now")))
	got, err := cache.Read(source)
	must(t, err)
	equal(t, "data", string(got.Data), "now")
}

// D1: on a cold cache, where not even the folder is there.
func TestDropInMaybeRefreshOnAColdCache(t *testing.T) {
	cache := &discoverycache.Cache{Root: filepath.Join(t.TempDir(), "not", "there")}
	source := aSource("cold")
	cache.MaybeRefresh(source, answers("{}"))
	until(t, "the value", func() bool {
		got, err := cache.Read(source)
		must(t, err)
		return got.Fresh
	})
	cache.MaybeRefresh(source, unexpected(t))
}

func TestDropInPrune(t *testing.T) {
	cache := &discoverycache.Cache{Root: t.TempDir()}
	active, old := aSource("active"), aSource("old")
	must(t, cache.Refresh(active, answers("{}")))
	must(t, cache.Refresh(old, answers("{}")))
	must(t, cache.Prune([]discoverycache.Source{{Tier: active.Tier, Name: active.Name}}))
	got, err := cache.Read(active)
	must(t, err)
	equal(t, "active", string(got.Data), "{}")
	got, err = cache.Read(old)
	must(t, err)
	if got.Data != nil {
		t.Error("the other is still there")
	}
}

// D13: who joins gets what the other one's refresher brought.
func TestDropInRefreshJoins(t *testing.T) {
	cache := &discoverycache.Cache{Root: t.TempDir()}
	source := aSource("joined")
	joined := make(chan discoverycache.Source, 1)
	cache.SetWaitForRefreshHookForTesting(func(source discoverycache.Source) { joined <- source })
	running := newHeld()
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- cache.Refresh(source, running.refresh("{}")) }()
	within(t, "the first refresh", running.began)
	go func() { second <- cache.Refresh(source, unexpected(t)) }()
	equal(t, "joined", within(t, "the second", joined), source)
	running.release()
	must(t, within(t, "the first", first))
	must(t, within(t, "the second", second))
}
