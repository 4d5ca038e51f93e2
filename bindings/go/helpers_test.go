// What the tests share: a cache in a folder of its own, a clock that a test moves, and waits with a deadline.

package forebay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

// hang is how long a test waits for what must happen; only a hang takes that long.
const hang = time.Minute

var models = forebay.Source{Tier: "api", Name: "models", TTL: time.Hour, RefreshDeadline: hang}

// clock is a file that stands for the clock of every cache that names it.
type clock struct {
	t          *testing.T
	path       string
	wall, boot time.Duration
}

func newClock(t *testing.T) *clock {
	c := &clock{
		t: t, path: filepath.Join(t.TempDir(), "clock.json"),
		wall: time.Duration(time.Now().UnixMilli()) * time.Millisecond, boot: time.Hour, // whole, as the library tells times
	}
	c.advance(0)
	return c
}

func (c *clock) advance(d time.Duration) {
	c.t.Helper()
	c.wall += d
	c.boot += d
	must(c.t, writeJSON(c.path, map[string]string{
		"wall_ns": strconv.FormatInt(int64(c.wall), 10), "boot_ns": strconv.FormatInt(int64(c.boot), 10),
	}))
}

// writeJSON writes a file whole, or not at all.
func writeJSON(path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// newCache opens a cache in a new folder, which is closed at the end of the test.
func newCache(t *testing.T) *forebay.Cache {
	t.Helper()
	cache, err := forebay.Open(forebay.Options{Root: filepath.Join(t.TempDir(), "cache")})
	must(t, err)
	t.Cleanup(func() { must(t, cache.Close()) })
	return cache
}

func newClockedCache(t *testing.T) (*forebay.Cache, *clock) {
	t.Helper()
	clock := newClock(t)
	cache, err := forebay.Open(forebay.Options{Root: filepath.Join(t.TempDir(), "cache"), TestClock: clock.path})
	must(t, err)
	t.Cleanup(func() { must(t, cache.Close()) })
	return cache, clock
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func isError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

// bounded ends with the test, and at the latest when it hangs.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	t.Cleanup(cancel)
	return ctx
}

// within fails the test unless the channel is closed or has something to receive.
func within[T any](t *testing.T, what string, channel <-chan T) T {
	t.Helper()
	select {
	case got := <-channel:
		return got
	case <-time.After(hang):
		t.Fatalf("%s: nothing after %v", what, hang)
		panic("unreachable")
	}
}

// until looks again until the condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(hang)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, hang)
		}
		time.Sleep(time.Millisecond)
	}
}

// answers is a refresher that returns that text.
func answers(text string) forebay.Refresher {
	return func(context.Context) ([]byte, error) { return []byte(text), nil }
}

// fails is a refresher that returns that error.
func fails(err error) forebay.Refresher {
	return func(context.Context) ([]byte, error) { return nil, err }
}

// unexpected is a refresher that must not run.
func unexpected(t *testing.T) forebay.Refresher {
	return func(context.Context) ([]byte, error) {
		t.Error("the refresher ran")
		return nil, fmt.Errorf("the refresher of %s ran", t.Name())
	}
}

// held is where a refresher waits: it says when it began, and ends when it is let go, or cancelled.
type held struct {
	began, let     chan struct{}
	enter, release func()
}

func newHeld() *held {
	h := &held{began: make(chan struct{}), let: make(chan struct{})}
	h.enter = sync.OnceFunc(func() { close(h.began) })
	h.release = sync.OnceFunc(func() { close(h.let) })
	return h
}

func (h *held) refresh(text string) forebay.Refresher {
	return func(ctx context.Context) ([]byte, error) {
		h.enter()
		select {
		case <-h.let:
			return []byte(text), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
