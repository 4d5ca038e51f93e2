// Derived results among processes: each is this test's own program (process_test.go); what they compute is asked of one
// server, which counts.

package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/forebay/forebay/bindings/go"
)

// liveIn is the derived results of a cache, whose workspace is beside its root.
func liveIn(cache *forebay.Cache) *forebay.Live {
	live, err := cache.Live(forebay.LiveOptions{Workspace: filepath.Join(cache.Root, "..", "workspace")})
	if err != nil {
		panic(err)
	}
	return live
}

var (
	shared  = named("shared")
	ofInput = forebay.LiveSpec{Inputs: []forebay.Input{forebay.File("a")}, Kind: "shared"}
)

func init() {
	roles["computes"] = func(cache *forebay.Cache) {
		live := liveIn(cache)
		_, _ = io.Copy(io.Discard, os.Stdin) // until all have begun
		got, err := live.GetOrCompute(context.Background(), shared, ofInput,
			func(ctx context.Context) ([]byte, error) { return ask(ctx, "compute it") })
		if err != nil {
			panic(err)
		}
		fmt.Println(got.How, string(got.Data))
	}
	roles["computes, and main returns"] = func(cache *forebay.Cache) {
		live, running := liveIn(cache), newHeld()
		go func() { _, _ = live.GetOrCompute(context.Background(), shared, ofInput, running.refresh("never")) }()
		<-running.began
		fmt.Println("began")
	}
	roles["computes for ever"] = func(cache *forebay.Cache) {
		_, err := liveIn(cache).GetOrCompute(context.Background(), shared, ofInput, func(context.Context) ([]byte, error) {
			fmt.Println("began")
			select {}
		})
		panic(err)
	}
	roles["looks"] = func(cache *forebay.Cache) {
		found, err := liveIn(cache).LookupRevalidate(named("top"))
		if err != nil {
			panic(err)
		}
		fmt.Println(found.Outcome)
	}
}

// newSharedWorkspace is one that children find beside the root of its cache.
func newSharedWorkspace(t *testing.T) *workspace {
	cache := newCache(t)
	path := filepath.Join(cache.Root, "..", "workspace")
	must(t, os.MkdirAll(path, 0o700))
	w := &workspace{liveIn(cache), t, cache, path}
	w.write("a", "one")
	return w
}

func TestProcessesComputeAResultOnceForEachChange(t *testing.T) {
	w := newSharedWorkspace(t)
	for round := range 3 {
		w.write("a", fmt.Sprint("round ", round))
		var requests atomic.Int64
		said := race(t, "computes", w.cache.Root, func(out http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(out, "round %d, request %d", round, requests.Add(1))
		})
		equal(t, "requests", requests.Load(), 1)
		ran := 0
		for _, text := range said {
			if strings.HasPrefix(text, "ran ") {
				ran++
			}
			if !strings.HasSuffix(text, fmt.Sprintf(" round %d, request 1", round)) {
				t.Errorf("it said %q", text)
			}
		}
		equal(t, "racers that computed", ran, 1)
	}
}

func TestAProgramMayEndWhileItComputes(t *testing.T) {
	w := newSharedWorkspace(t)
	for range 20 {
		ends(t, child("computes, and main returns", w.cache.Root))
		equal(t, "how", w.get(shared, ofInput, "after it").How, forebay.HowRan)
		_, err := w.MarkDirty(shared)
		must(t, err)
	}
}

func TestAProgramThatIsKilledWhileItComputesIsReplacedAtOnce(t *testing.T) {
	w := newSharedWorkspace(t)
	cmd, _ := started(t, "computes for ever", w.cache.Root)
	before, err := w.cache.Counters()
	must(t, err)
	waiting := make(chan derived, 1)
	go func() {
		got, err := w.GetOrCompute(bounded(t), shared, ofInput, answers("ours"))
		waiting <- derived{got, err}
	}()
	until(t, "a look", func() bool {
		now, err := w.cache.Counters()
		must(t, err)
		return now[forebay.EventMiss] > before[forebay.EventMiss]
	})
	must(t, cmd.Process.Kill())
	var killed *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &killed) {
		t.Fatalf("got %v", err)
	}
	got := within(t, "who waited", waiting)
	must(t, got.err)
	equal(t, "how", got.got.How, forebay.HowRan)
	equal(t, "data", string(got.got.Data), "ours")
}

func TestWhatOneProgramFindsChangedIsGoneInTheOthers(t *testing.T) {
	w := newSharedWorkspace(t)
	w.get(shared, ofInput, "base")
	w.get(named("top"), forebay.LiveSpec{Upstreams: []forebay.LiveKey{shared}}, "top")
	w.write("a", "two")
	found, err := w.Lookup(named("top"))
	must(t, err)
	equal(t, "before", found.Outcome, forebay.LookupHit)
	said, err := child("looks", w.cache.Root).Output()
	must(t, err)
	equal(t, "it said", string(said), "invalidated\n")
	for _, key := range []forebay.LiveKey{shared, named("top")} {
		found, err := w.Lookup(key)
		must(t, err)
		equal(t, "after", found.Outcome, forebay.LookupMiss)
	}
}
