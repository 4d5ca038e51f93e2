// Derived results: what they hold on, what ends them, and what calls tell of them.

package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

// workspace is a cache's derived results, with a folder of inputs.
type workspace struct {
	*forebay.Live
	t     *testing.T
	cache *forebay.Cache
	path  string
}

func newWorkspace(t *testing.T) *workspace {
	t.Helper()
	cache, path := newCache(t), t.TempDir()
	live, err := cache.Live(forebay.LiveOptions{Workspace: path, Deadline: hang})
	must(t, err)
	return &workspace{live, t, cache, path}
}

func (w *workspace) write(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.path, name)
	must(w.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(w.t, os.WriteFile(path, []byte(text), 0o600))
}

// get computes that text, if it has to, and says how the result came.
func (w *workspace) get(key forebay.LiveKey, spec forebay.LiveSpec, text string) *forebay.Derived {
	w.t.Helper()
	got, err := w.GetOrCompute(bounded(w.t), key, spec, answers(text))
	must(w.t, err)
	return got
}

// holds fails the test unless a look at all inputs finds the result, or not.
func (w *workspace) holds(what string, key forebay.LiveKey, want bool) {
	w.t.Helper()
	why, err := w.Why(key)
	must(w.t, err)
	equal(w.t, what+", by why", why.Holds, want)
	found, err := w.LookupRevalidate(key)
	must(w.t, err)
	equal(w.t, what, found.Derived != nil, want)
}

// named is the key of a text.
func named(text string) forebay.LiveKey { return forebay.LiveKeyFromBytes([]byte(text)) }

// from is a spec of inputs only.
func from(inputs ...forebay.Input) forebay.LiveSpec { return forebay.LiveSpec{Inputs: inputs} }

func TestAResultHoldsWhileItsInputsDo(t *testing.T) {
	w := newWorkspace(t)
	w.write("notes", "one two")
	key := named("words of notes")
	spec := forebay.LiveSpec{Inputs: []forebay.Input{forebay.File("notes"), forebay.Env("FOREBAY_GO_TEST")}, Kind: "words"}
	before := time.Now().Truncate(time.Millisecond)
	first := w.get(key, spec, "2")
	equal(t, "how", first.How, forebay.HowRan)
	second := w.get(key, spec, "not computed")
	equal(t, "how", second.How, forebay.HowFresh)
	for _, got := range []*forebay.Derived{first, second} {
		equal(t, "data", string(got.Data), "2")
		equal(t, "key", got.Key, key)
		equal(t, "kind", got.Kind, "words")
		equal(t, "hash", got.Hash, string(forebay.LiveKeyFromBytes([]byte("2"))))
		equal(t, "error", got.Err, nil)
		equal(t, "upstreams", len(got.Upstreams), 0)
		if !reflect.DeepEqual(got.Inputs, spec.Inputs) {
			t.Errorf("inputs: %v", got.Inputs)
		}
		if got.ComputedAt.Before(before) || got.ComputedAt.After(time.Now()) {
			t.Errorf("computed at %v", got.ComputedAt)
		}
	}
	equal(t, "same time", second.ComputedAt, first.ComputedAt)
	var number int
	must(t, second.Decode(&number))
	equal(t, "decoded", number, 2)

	w.write("notes", "one two three")
	found, err := w.Lookup(key)
	must(t, err)
	equal(t, "a look that trusts", found.Outcome, forebay.LookupHit)
	why, err := w.Why(key)
	must(t, err)
	equal(t, "holds", why.Holds, false)
	equal(t, "because of", *why.Input, forebay.File("notes"))
	equal(t, "says so", strings.Contains(why.Text, "file:notes"), true)
	for _, want := range []forebay.LookupOutcome{forebay.LookupInvalidated, forebay.LookupMiss} {
		found, err = w.LookupRevalidate(key)
		must(t, err)
		equal(t, "outcome", found.Outcome, want)
		equal(t, "none", found.Derived == nil, true)
	}
	equal(t, "again", string(w.get(key, spec, "3").Data), "3")
	t.Setenv("FOREBAY_GO_TEST", "set")
	equal(t, "another variable", w.get(key, spec, "4").How, forebay.HowRan)
}

func TestEachKindOfInputEndsAResultWhenItChanges(t *testing.T) {
	identity := forebay.Source{Tier: "api", Name: "mine", Identity: "me@example.com"}
	for _, row := range []struct {
		input  forebay.Input
		change func(*workspace)
	}{
		{forebay.File("src/a"), func(w *workspace) { w.write("src/a", "other") }},
		{forebay.File("none"), func(w *workspace) { w.write("none", "") }},
		{forebay.Dir("src"), func(w *workspace) { w.write("src/new", "") }},
		{forebay.Glob("**/*.go"), func(w *workspace) { w.write("src/deep/x.go", "") }},
		{forebay.Absent(".skip"), func(w *workspace) { w.write(".skip", "") }},
		{forebay.Stat("src/a"), func(w *workspace) { w.write("src/a", "longer than before") }},
		{forebay.Env("FOREBAY_GO_TEST"), func(w *workspace) { must(w.t, os.Unsetenv("FOREBAY_GO_TEST")) }},
		{forebay.Tag("schema"), func(w *workspace) { _, err := w.InvalidateTag("schema"); must(w.t, err) }},
		{forebay.SourceInput(models), func(w *workspace) { put(w, models) }},
		{forebay.ParseInput("source:api/models"), func(w *workspace) { put(w, models) }},
		{forebay.SourceInput(identity), func(w *workspace) { put(w, identity) }},
		{forebay.File("caf\xe9"), func(w *workspace) { w.write("caf\xe9", "other") }},
		{forebay.Input{Name: "src/"}, func(w *workspace) { must(w.t, os.Remove(filepath.Join(w.path, "src/a"))) }},
	} {
		t.Run(row.input.String(), func(t *testing.T) {
			w := newWorkspace(t)
			w.write("src/a", "one")
			w.write("other", "one")
			w.write("caf\xe9", "one")
			t.Setenv("FOREBAY_GO_TEST", "one")
			key := named("result")
			got := w.get(key, from(row.input), "one")
			if row.input.Kind != "" {
				equal(t, "input", got.Inputs[0], row.input)
			}
			w.write("other", "two")
			w.holds("before", key, true)
			row.change(w)
			w.holds("after", key, false)
		})
	}
}

func put(w *workspace, source forebay.Source) {
	_, err := w.cache.Put(source, []byte("new"), forebay.Commit{})
	must(w.t, err)
}

func TestInputsAreReadAndWrittenAsText(t *testing.T) {
	for text, want := range map[string]forebay.Input{
		"src/a.go": forebay.File("src/a.go"), "file:a*": forebay.File("a*"), "src/": forebay.Dir("src/"),
		"dir:src": forebay.Dir("src"), "src/**/*.go": forebay.Glob("src/**/*.go"), "glob:a": forebay.Glob("a"),
		"absent:x": forebay.Absent("x"), "stat:a:b": forebay.Stat("a:b"), "env:LANG": forebay.Env("LANG"),
		"source:api/models": forebay.SourceInput(models), "tag:": forebay.Tag(""), "": forebay.File(""),
	} {
		equal(t, text, forebay.ParseInput(text), want)
		equal(t, text+", again", forebay.ParseInput(want.String()), want)
	}
	w := newWorkspace(t)
	for _, input := range []forebay.Input{
		forebay.ParseInput("caf\xe9"), {Kind: "volume", Name: "a"}, forebay.Env("caf\xe9"), forebay.Glob("["),
		forebay.SourceInput(forebay.Source{Tier: "a/b", Name: "c"}),
	} {
		_, err := w.Begin(named("odd"), from(input))
		isError(t, err, forebay.ErrInvalid)
	}
}

func TestAResultMayHaveManyInputs(t *testing.T) {
	w := newWorkspace(t)
	var inputs []forebay.Input
	for i := range 300 {
		inputs = append(inputs, forebay.File(fmt.Sprintf("folder/%03d", i)))
	}
	inputs = append(inputs, forebay.Tag(""), forebay.Tag("last"), forebay.Tag("last"))
	got := w.get(named("many"), from(inputs...), "one")
	if want := inputs[:len(inputs)-1]; !reflect.DeepEqual(got.Inputs, want) {
		t.Errorf("inputs: %v", got.Inputs)
	}
	w.write("folder/299", "")
	w.holds("it", named("many"), false)
}

func TestWhatIsBuiltOnAResultEndsWithIt(t *testing.T) {
	w := newWorkspace(t)
	w.write("a", "needle")
	read, answer, report := named("read"), named("answer"), named("report")
	on := func(keys ...forebay.LiveKey) forebay.LiveSpec {
		return forebay.LiveSpec{Upstreams: keys, Kind: "built"}
	}
	_, err := w.GetOrCompute(bounded(t), answer, on(read), answers("too early"))
	isError(t, err, forebay.ErrSuperseded)
	_, err = w.Begin(answer, on(read))
	isError(t, err, forebay.ErrSuperseded)
	build := func() {
		w.get(read, from(forebay.File("a")), "needle")
		w.get(answer, on(read), "there is a needle")
		w.get(report, on(read, answer), "done")
	}
	build()
	found, err := w.LookupRevalidate(report)
	must(t, err)
	keys := found.Derived.Upstreams
	equal(t, "upstreams", len(keys) == 2 && slices.Contains(keys, read) && slices.Contains(keys, answer), true)

	w.write("a", "hay")
	why, err := w.Why(answer)
	must(t, err)
	equal(t, "because of", *why.Input, forebay.File("a"))
	equal(t, "of", why.Upstream, read)
	w.holds("the last", report, false)

	for what, end := range map[string]func() (int, error){
		"upstream": func() (int, error) { return w.InvalidateUpstream(read) },
		"path":     func() (int, error) { return w.InvalidatePath("a") },
		"folder":   func() (int, error) { return w.InvalidatePath(w.path) },
	} {
		build()
		removed, err := end()
		must(t, err)
		equal(t, what+": removed", removed, map[bool]int{true: 2, false: 1}[what == "upstream"])
		w.holds(what+": the first", read, what == "upstream")
		w.holds(what+": the last", report, false)
	}
	build()
	removed, err := w.MarkDirty(read)
	must(t, err)
	equal(t, "dirty", removed, true)
	removed, err = w.MarkDirty(read)
	must(t, err)
	equal(t, "dirty again", removed, false)
	w.holds("after that", report, false)
}

func TestATicketIsRefusedWhenAnInputHasChangedSinceItBegan(t *testing.T) {
	w := newWorkspace(t)
	w.write("a", "one")
	key, spec := named("ticket"), forebay.LiveSpec{Inputs: []forebay.Input{forebay.File("a")}, Kind: "own way"}
	ticket, err := w.Begin(key, spec)
	must(t, err)
	equal(t, "key", ticket.Key(), key)
	w.write("a", "two")
	_, err = ticket.Commit([]byte("of one"))
	isError(t, err, forebay.ErrSuperseded)
	_, err = ticket.Commit([]byte("of one"))
	isError(t, err, forebay.ErrAlreadyUsed)
	w.holds("refused", key, false)

	ticket, err = w.Begin(key, spec)
	must(t, err)
	got, err := ticket.Commit([]byte("of two"))
	must(t, err)
	ticket.Close()
	equal(t, "how", got.How, forebay.HowRan)
	equal(t, "kind", got.Kind, "own way")
	w.holds("kept", key, true)

	ticket, err = w.Begin(named("dropped"), spec)
	must(t, err)
	ticket.Close()
	ticket.Close()
	_, err = ticket.Commit(nil)
	isError(t, err, forebay.ErrAlreadyUsed)
	w.holds("dropped", named("dropped"), false)

	_, err = w.Persist(key, nil, spec)
	must(t, err)
	found, err := w.Lookup(key)
	must(t, err)
	equal(t, "empty, and there", found.Derived.Data != nil && len(found.Derived.Data) == 0, true)
}

func TestAResultWhoseInputChangedMeanwhileIsReturnedAndNotKept(t *testing.T) {
	w := newWorkspace(t)
	w.write("a", "one")
	key := named("raced")
	got, err := w.GetOrCompute(bounded(t), key, from(forebay.File("a")), func(context.Context) ([]byte, error) {
		w.write("a", "two")
		return []byte("of which?"), nil
	})
	must(t, err)
	equal(t, "data", string(got.Data), "of which?")
	equal(t, "how", got.How, forebay.HowUncoordinated)
	isError(t, got.Err, forebay.ErrSuperseded)
	w.holds("afterwards", key, false)
}

func TestAllResultsAreListedCountedAndEvicted(t *testing.T) {
	w := newWorkspace(t)
	w.write("a", "one")
	for _, text := range []string{"first", "second", "third"} {
		w.get(named(text), forebay.LiveSpec{Inputs: []forebay.Input{forebay.File("a")}, Kind: text[:1]}, text)
	}
	w.get(named("fourth"), forebay.LiveSpec{Upstreams: []forebay.LiveKey{named("third")}, Kind: "f"}, strings.Repeat("4", 100<<10))
	kinds, err := w.KnownKinds()
	must(t, err)
	if !reflect.DeepEqual(kinds, map[string]int{"f": 2, "s": 1, "t": 1}) {
		t.Errorf("kinds: %v", kinds)
	}
	count, err := w.EntryCount()
	must(t, err)
	equal(t, "entries", count, 4)
	bytes, err := w.TotalBytes()
	must(t, err)
	equal(t, "bytes", bytes, 5+6+5+100<<10)
	all, err := w.List()
	must(t, err)
	sorted := slices.IsSortedFunc(all, func(a, b forebay.LiveListed) int { return strings.Compare(string(a.Key), string(b.Key)) })
	equal(t, "listed, in order", len(all) == 4 && sorted, true)
	for _, one := range all {
		equal(t, "times", one.ComputedAt.IsZero() || one.UsedAt.IsZero(), false)
		if one.Key == named("fourth") {
			equal(t, "size", one.Size, 100<<10)
			equal(t, "upstream", one.Upstreams[0], named("third"))
		} else {
			equal(t, "input", one.Inputs[0], forebay.File("a"))
		}
	}
	for _, text := range []string{"first", "second"} { // so that the others were used less recently
		w.holds("before", named(text), true)
	}
	evicted, err := w.EvictToCap(20)
	must(t, err)
	equal(t, "evicted", evicted, 2)
	w.holds("evicted", named("fourth"), false)
	w.holds("kept", named("second"), true)
	_, err = w.InvalidatePath("a")
	must(t, err)
	_, _, err = w.GC()
	must(t, err)
	results, files, err := w.GC()
	must(t, err)
	equal(t, "nothing left to collect", results+files, 0)
	count, err = w.EntryCount()
	must(t, err)
	equal(t, "entries left", count, 0)
}

func TestOddLiveCallsAreRefused(t *testing.T) {
	w := newWorkspace(t)
	upper := forebay.LiveKey(strings.ToUpper(string(named("x"))))
	for _, key := range []forebay.LiveKey{"", "abc", upper} {
		_, err := w.GetOrCompute(bounded(t), key, forebay.LiveSpec{}, unexpected(t))
		isError(t, err, forebay.ErrInvalid)
		_, err = w.Lookup(key)
		isError(t, err, forebay.ErrInvalid)
		_, err = w.Begin(named("x"), forebay.LiveSpec{Upstreams: []forebay.LiveKey{key}})
		isError(t, err, forebay.ErrInvalid)
	}
	_, err := w.GetOrCompute(bounded(t), named("x"), forebay.LiveSpec{}, nil)
	isError(t, err, forebay.ErrInvalid)
	_, err = w.EvictToCap(-1)
	isError(t, err, forebay.ErrInvalid)
	_, err = w.cache.Live(forebay.LiveOptions{SizeCap: -1})
	isError(t, err, forebay.ErrInvalid)
	hurried, err := w.cache.Live(forebay.LiveOptions{Deadline: forebay.Zero})
	if err == nil {
		_, err = hurried.GetOrCompute(bounded(t), named("x"), forebay.LiveSpec{}, unexpected(t))
	}
	isError(t, err, forebay.ErrInvalid)
	memory, err := forebay.Open(forebay.Options{Memory: true})
	must(t, err)
	defer memory.Close()
	live, err := memory.Live(forebay.LiveOptions{})
	if err == nil {
		_, err = live.Lookup(named("x"))
	}
	isError(t, err, forebay.ErrUnsupported)
}

func TestAResultIsNotKeptBeyondTheSizeCap(t *testing.T) {
	cache := newCache(t)
	live, err := cache.Live(forebay.LiveOptions{Workspace: t.TempDir(), SizeCap: 10})
	must(t, err)
	for _, text := range []string{"first.", "second"} {
		_, err := live.GetOrCompute(bounded(t), named(text), forebay.LiveSpec{}, answers(text))
		must(t, err)
	}
	bytes, err := live.TotalBytes()
	must(t, err)
	equal(t, "bytes", bytes, 6)
}

func TestAClosedCacheHasNoDerivedResults(t *testing.T) {
	w := newWorkspace(t)
	ticket, err := w.Begin(named("x"), forebay.LiveSpec{})
	must(t, err)
	must(t, w.cache.Close())
	_, err = w.GetOrCompute(bounded(t), named("x"), forebay.LiveSpec{}, unexpected(t))
	isError(t, err, forebay.ErrClosed)
	_, err = w.List()
	isError(t, err, forebay.ErrClosed)
	_, err = w.cache.Live(forebay.LiveOptions{})
	isError(t, err, forebay.ErrClosed)
	_, err = ticket.Commit([]byte("too late"))
	if !errors.Is(err, forebay.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
