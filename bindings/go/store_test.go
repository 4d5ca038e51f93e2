// The calls that look or change and never wait for a refresh, and the waits for changes and events.

package forebay_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

func TestPutReadMarkStaleRemove(t *testing.T) {
	cache, clock := newClockedCache(t)
	put, err := cache.Put(models, []byte("one"), forebay.Commit{Validator: "v1", Extra: "x", MaxStale: time.Hour})
	must(t, err)
	clock.advance(time.Minute)
	got, err := cache.Read(models)
	must(t, err)
	equal(t, "data", string(got.Data), "one")
	equal(t, "state", got.State, forebay.StateFresh)
	equal(t, "age", got.Age, time.Minute)
	equal(t, "validator", got.Validator, "v1")
	equal(t, "extra", got.Extra, "x")
	equal(t, "version", got.Version, put.Version)
	equal(t, "stored at", got.StoredAt.UnixMilli(), (clock.wall - time.Minute).Milliseconds())
	must(t, cache.MarkStale(models))
	got, err = cache.Read(models)
	must(t, err)
	equal(t, "marked", got.State, forebay.StateStale)
	equal(t, "phase", got.Phase, forebay.PhaseIdle)
	clock.advance(3 * time.Hour)
	got, err = cache.Read(models)
	must(t, err)
	equal(t, "beyond the recorded max stale", got.State, forebay.StateExpired)
	removed, err := cache.Remove(models)
	must(t, err)
	equal(t, "removed", removed, true)
	removed, err = cache.Remove(models)
	must(t, err)
	equal(t, "removed again", removed, false)
	got, err = cache.Read(models)
	must(t, err)
	if got.Data != nil || got.State != forebay.StateAbsent || got.Version != "" || !got.Stale {
		t.Errorf("got %+v", got)
	}
}

func TestValuesOfAnySizeAreKeptAsTheyAre(t *testing.T) {
	cache := newCache(t)
	for _, data := range [][]byte{nil, {}, {0}, []byte("\xff\x00\n"), bytes.Repeat([]byte{7}, 5<<20)} {
		_, err := cache.Put(models, data, forebay.Commit{})
		must(t, err)
		got, err := cache.Read(models)
		must(t, err)
		if got.Data == nil || !bytes.Equal(got.Data, data) {
			t.Errorf("%d bytes came back as %d", len(data), len(got.Data))
		}
	}
}

func TestDamageIsAbsentAndSaysSo(t *testing.T) {
	cache := newCache(t)
	_, err := cache.Put(models, []byte("whole"), forebay.Commit{})
	must(t, err)
	path := filepath.Join(cache.Root, "api", "models.json")
	info, err := os.Stat(path)
	must(t, err)
	must(t, os.WriteFile(path, []byte("wXole"), 0o600))
	must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	got, err := cache.Read(models)
	must(t, err)
	equal(t, "state", got.State, forebay.StateAbsent)
	isError(t, got.Err, forebay.ErrDamaged)
}

func TestIdentitiesAndKeysAreApart(t *testing.T) {
	cache := newCache(t)
	mine, yours := models, models
	mine.Identity, yours.Identity = "me", "you"
	_, err := cache.Put(mine, []byte("mine"), forebay.Commit{})
	must(t, err)
	got, err := cache.Read(yours)
	must(t, err)
	equal(t, "yours", got.State, forebay.StateAbsent)
	got, err = cache.Read(mine)
	must(t, err)
	equal(t, "mine", string(got.Data), "mine")
	for source, key := range map[forebay.Source]string{
		{Tier: "a", Name: "b"}: "a/b", {Name: "b"}: "default/b", {Name: "a/b/c"}: "a/b/c", {Tier: "a", Name: "b/c"}: "a/b/c",
	} {
		equal(t, "key", source.Key(), key)
	}
	_, err = cache.Put(forebay.Source{Tier: "a/b", Name: "c"}, []byte("1"), forebay.Commit{})
	must(t, err)
	got, err = cache.Read(forebay.Source{Name: "a/b/c"})
	must(t, err)
	equal(t, "another tier", got.State, forebay.StateAbsent)
	_, err = cache.Read(forebay.Source{Name: "/c"})
	isError(t, err, forebay.ErrInvalid)
}

func TestListAndPrune(t *testing.T) {
	cache, clock := newClockedCache(t)
	for _, name := range []string{"one", "two", "three"} {
		_, err := cache.Put(forebay.Source{Tier: "t", Name: name, TTL: time.Hour}, []byte(name), forebay.Commit{})
		must(t, err)
	}
	clock.advance(time.Second)
	ticket, err := cache.Acquire(forebay.Source{Tier: "t", Name: "two"}, forebay.AcquireOptions{})
	must(t, err)
	defer ticket.Ticket.Close()
	listed, err := cache.List()
	must(t, err)
	equal(t, "listed", len(listed), 3)
	for _, one := range listed {
		equal(t, "key", one.Key, "t/"+one.Name)
		equal(t, "size", one.Size, int64(len(one.Name)))
		equal(t, "age", one.Age, time.Second)
		equal(t, one.Key, one.Phase == forebay.PhaseRunning, one.Name == "two")
	}
	pruned, err := cache.PruneReport([]forebay.Source{{Name: "t/three"}})
	must(t, err)
	equal(t, "removed", strings.Join(pruned.Removed, " "), "t/one")
	equal(t, "skipped", len(pruned.Skipped), 1)
	equal(t, "skipped", pruned.Skipped[0].Key, "t/two")
	if pruned.Skipped[0].Reason == "" {
		t.Error("no reason is given")
	}
}

func TestWhyNamesTheFactThatDecided(t *testing.T) {
	cache := newCache(t)
	_, err := cache.Put(models, []byte("one"), forebay.Commit{})
	must(t, err)
	why, err := cache.Why(models)
	must(t, err)
	equal(t, "state", why.State, forebay.StateFresh)
	if why.Text == "" || !strings.Contains(why.CacheStatus, "hit") {
		t.Errorf("got %+v", why)
	}
}

func TestWaitForChange(t *testing.T) {
	cache := newCache(t)
	ctx := bounded(t)
	one, err := cache.Put(models, []byte("one"), forebay.Commit{})
	must(t, err)
	type change struct {
		version forebay.Version
		err     error
	}
	changed := make(chan change, 1)
	wait := func(ctx context.Context, since forebay.Version) {
		version, err := cache.WaitForChange(ctx, models, since)
		changed <- change{version, err}
	}
	go wait(ctx, one.Version)
	two, err := cache.Put(models, []byte("two"), forebay.Commit{})
	must(t, err)
	got := within(t, "the change", changed)
	must(t, got.err)
	equal(t, "version", got.version, two.Version)

	go wait(ctx, "")
	got = within(t, "what had changed before", changed)
	must(t, got.err)
	equal(t, "version", got.version, two.Version)

	brief, stop := context.WithCancel(ctx)
	go wait(brief, two.Version)
	stop()
	isError(t, within(t, "stopping", changed).err, context.Canceled)

	go wait(ctx, two.Version)
	_, err = cache.Remove(models)
	must(t, err)
	got = within(t, "the removal", changed)
	must(t, got.err)
	equal(t, "version", got.version, "")
	_, err = cache.WaitForChange(ctx, models, "no version")
	isError(t, err, forebay.ErrInvalid)
}

func TestEventsAndCounters(t *testing.T) {
	cache := newCache(t)
	ctx, stop := context.WithCancel(t.Context())
	events, err := cache.Subscribe(ctx)
	must(t, err)
	must(t, cache.Refresh(models, answers("one")))
	_, err = cache.Read(models)
	must(t, err)
	seen := map[forebay.EventKind]bool{}
	for !seen[forebay.EventHit] {
		event := within(t, "an event", events)
		equal(t, "key", event.Key, "api/models")
		seen[event.Kind] = true
	}
	for _, kind := range []forebay.EventKind{forebay.EventRefreshStarted, forebay.EventRefreshSucceeded} {
		equal(t, string(kind), seen[kind], true)
	}
	stop()
	for range events {
	}
	counters, err := cache.Counters()
	must(t, err)
	equal(t, "refreshes", counters[forebay.EventRefreshSucceeded], 1)
	equal(t, "hits", counters[forebay.EventHit], 1)
	events, err = cache.Subscribe(t.Context())
	must(t, err)
	must(t, cache.Close())
	for range events {
	}
}

func TestACacheInMemoryHasNoFolder(t *testing.T) {
	cache, err := forebay.Open(forebay.Options{Memory: true})
	must(t, err)
	defer cache.Close()
	must(t, cache.Refresh(models, answers("one")))
	got, err := cache.Read(models)
	must(t, err)
	equal(t, "data", string(got.Data), "one")
	folder, err := cache.Folder()
	must(t, err)
	equal(t, "folder", folder, "")
}

func TestTheRootComesFromTheEnvironment(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cache")
	t.Setenv("FOREBAY_ROOT", root)
	cache := &forebay.Cache{}
	defer cache.Close()
	folder, err := cache.Folder()
	must(t, err)
	equal(t, "folder", folder, root)
	if _, err := os.Stat(root); err == nil {
		t.Error("opening made the folder")
	}
	t.Setenv("XDG_CACHE_HOME", "/x")
	app, ok, err := forebay.DefaultRoot("app")
	must(t, err)
	equal(t, "of an app", app, "/x/app")
	equal(t, "found", ok, true)
}

func TestDurationsAsText(t *testing.T) {
	for text, want := range map[string]time.Duration{"1h30m": 90 * time.Minute, "250ms": 250 * time.Millisecond, "2w": 336 * time.Hour} {
		got, err := forebay.ParseDuration(text)
		must(t, err)
		equal(t, text, got, want)
	}
	_, err := forebay.ParseDuration("90")
	isError(t, err, forebay.ErrInvalid)
	text, err := forebay.FormatDuration(90 * time.Minute)
	must(t, err)
	equal(t, "text", text, "1h30m")
	equal(t, "version", strings.Count(forebay.LibraryVersion(), "."), 2)
}
