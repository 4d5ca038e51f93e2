// Examples of derived results; see example_test.go.

package forebay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

// exampleLive is a new folder with one file, and the derived results of a cache of its own.
func exampleLive(file, text string) (*forebay.Live, string) {
	folder, err := os.MkdirTemp(dir, "workspace-")
	check(err)
	check(os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600))
	cache := &forebay.Cache{Root: filepath.Join(folder, ".cache")}
	live, err := cache.Live(forebay.LiveOptions{Workspace: folder, Deadline: time.Minute, SizeCap: 1 << 30})
	check(err)
	return live, folder
}

func ExampleLive_GetOrCompute() {
	live, folder := exampleLive("notes.txt", "one two")
	path := filepath.Join(folder, "notes.txt")
	// All that the result depends on beside its inputs: the work, its version, its arguments.
	key, err := forebay.LiveKeyOf([]any{"words", 1, "notes.txt"})
	check(err)
	spec := forebay.LiveSpec{Inputs: []forebay.Input{forebay.File("notes.txt")}, Kind: "words"}
	words := func() *forebay.Derived {
		got, err := live.GetOrCompute(context.Background(), key, spec, func(ctx context.Context) ([]byte, error) {
			text, err := os.ReadFile(path)
			return fmt.Append(nil, len(bytes.Fields(text))), err
		})
		check(err)
		return got
	}
	for range 2 { // computed once, by one process among all
		got := words()
		fmt.Println(string(got.Data), got.How)
	}
	check(os.WriteFile(path, []byte("one two three"), 0o600))
	var count int
	check(words().Decode(&count)) // computed again, because the file's content has changed
	fmt.Println(count)
	// Output:
	// 2 ran
	// 2 fresh
	// 3
}

func ExampleLive_Lookup() {
	live, folder := exampleLive("a.txt", "needle")
	read := forebay.LiveKeyFromBytes([]byte("read a.txt"))
	answer := forebay.LiveKeyFromBytes([]byte("answer about a.txt"))
	_, err := live.Persist(read, []byte("needle"), forebay.LiveSpec{Inputs: []forebay.Input{forebay.ParseInput("a.txt")}})
	check(err)
	_, err = live.Persist(answer, []byte("it holds a needle"), forebay.LiveSpec{Upstreams: []forebay.LiveKey{read}})
	check(err)

	check(os.WriteFile(filepath.Join(folder, "a.txt"), []byte("hay"), 0o600))
	trusting, err := live.Lookup(answer) // looks at no file
	check(err)
	why, err := live.Why(answer)
	check(err)
	fmt.Println(trusting.Outcome, why.Holds, why.Input, why.Upstream == read)
	careful, err := live.LookupRevalidate(answer) // looks at all that it is built on
	check(err)
	fmt.Println(careful.Outcome, careful.Derived == nil)
	// Output:
	// hit false file:a.txt true
	// invalidated true
}

func ExampleLive_Begin() {
	live, folder := exampleLive("a.txt", "one")
	key := forebay.LiveKeyFromBytes([]byte("upper a.txt"))
	ticket, err := live.Begin(key, forebay.LiveSpec{Inputs: []forebay.Input{forebay.File("a.txt")}})
	check(err)
	defer ticket.Close()
	check(os.WriteFile(filepath.Join(folder, "a.txt"), []byte("two"), 0o600)) // by another program
	_, err = ticket.Commit([]byte("ONE"))
	fmt.Println(ticket.Key() == key, errors.Is(err, forebay.ErrSuperseded))
	// Output: true true
}

func ExampleLive_InvalidatePath() {
	live, _ := exampleLive("a.txt", "one")
	file := forebay.LiveSpec{Inputs: []forebay.Input{forebay.File("a.txt"), forebay.Tag("schema")}}
	base, top := forebay.LiveKeyFromBytes([]byte("base")), forebay.LiveKeyFromBytes([]byte("top"))
	build := func() {
		_, err := live.Persist(base, []byte("of the file"), file)
		check(err)
		_, err = live.Persist(top, []byte("of that"), forebay.LiveSpec{Upstreams: []forebay.LiveKey{base}})
		check(err)
	}
	build()
	fmt.Println(live.InvalidatePath("a.txt")) // an editor knows that it has changed
	build()
	fmt.Println(live.InvalidateTag("schema"))
	build()
	fmt.Println(live.InvalidateUpstream(base)) // what is built on it; itself it stays
	fmt.Println(live.MarkDirty(base))
	fmt.Println(live.MarkDirty(base))
	// Output:
	// 1 <nil>
	// 1 <nil>
	// 1 <nil>
	// true <nil>
	// false <nil>
}

func ExampleLive_List() {
	live, _ := exampleLive("a.txt", "one")
	_, err := live.Persist(forebay.LiveKeyFromBytes([]byte("a")), []byte("answer"), forebay.LiveSpec{
		Inputs: []forebay.Input{forebay.File("a.txt"), forebay.Env("LANG")}, Kind: "model",
	})
	check(err)
	all, err := live.List()
	check(err)
	for _, one := range all {
		fmt.Println(one.Kind, one.Size, one.Inputs)
	}
	fmt.Println(live.KnownKinds())
	fmt.Println(live.EntryCount())
	fmt.Println(live.TotalBytes())
	fmt.Println(live.EvictToCap(5)) // the least recently used first
	fmt.Println(live.EntryCount())
	_, _, err = live.GC() // what does not hold any more, and files that nothing names
	fmt.Println(err)
	// Output:
	// model 6 [file:a.txt env:LANG]
	// map[model:1] <nil>
	// 1 <nil>
	// 6 <nil>
	// 1 <nil>
	// 0 <nil>
	// <nil>
}

func ExampleParseInput() {
	models := forebay.Source{Tier: "api", Name: "models"}
	for _, input := range []forebay.Input{
		forebay.ParseInput("src/**/*.go"), forebay.ParseInput("src/"), forebay.ParseInput("go.mod"),
		forebay.Dir("src"), forebay.Glob("*.md"), forebay.Absent(".skip"), forebay.Stat("big.bin"),
		forebay.SourceInput(models), forebay.Tag("schema"),
	} {
		fmt.Println(input)
	}
	// Output:
	// glob:src/**/*.go
	// dir:src/
	// file:go.mod
	// dir:src
	// glob:*.md
	// absent:.skip
	// stat:big.bin
	// source:api/models
	// tag:schema
}
