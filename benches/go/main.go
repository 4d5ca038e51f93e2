// Command hits measures warm hits in Go: forebay's reader and Cache.Read against the original discovery cache's
// way to read, which is to read the file and then stat it. It prints JSON lines for scripts/bench.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	forebay "github.com/forebay/forebay/bindings/go"
)

const ttl = 24 * time.Hour

// fixture is what `forebay-bench fixture` left in the folder.
type fixture struct {
	names  []string
	paths  []string
	values [][]byte
	order  []int
}

func load(root string) (*fixture, error) {
	paths, err := filepath.Glob(filepath.Join(root, "plain", "bench", "*.json"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no values below %s: run forebay-bench fixture first", root)
	}
	sort.Strings(paths)
	f := &fixture{paths: paths}
	for _, path := range paths {
		value, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f.values = append(f.values, value)
		f.names = append(f.names, strings.TrimSuffix(filepath.Base(path), ".json"))
	}
	f.order = rand.New(rand.NewSource(7)).Perm(len(paths))
	return f, nil
}

// original reads as the original does: the bytes first, then their age.
func original(path string) ([]byte, bool, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, false, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	return data, time.Since(info.ModTime()) < ttl, nil
}

func (f *fixture) source(at int) forebay.Source {
	return forebay.Source{Tier: "bench", Name: f.names[at], TTL: ttl}
}

func run() error {
	root := flag.String("root", "", "the folder with the fixture")
	rounds := flag.Int("rounds", 15, "how many rounds")
	batch := flag.Float64("batch", 4, "milliseconds that a batch should take")
	flag.Parse()
	f, err := load(*root)
	if err != nil {
		return err
	}
	cache := &forebay.Cache{Root: filepath.Join(*root, "cache")}
	defer func() { _ = cache.Close() }()
	contest := &contest{group: "go", rounds: *rounds, aim: time.Duration(*batch * float64(time.Millisecond))}
	if err := addForebay(contest, f, cache); err != nil {
		return err
	}
	contest.add("the original's stat + ReadFile", func(at int) ([]byte, bool, error) { return original(f.paths[at]) })
	return contest.run(f)
}

// verify reads every key once: no figure for wrong values.
func (f *fixture) verify(name string, get func(int) ([]byte, bool, error)) error {
	for at, want := range f.values {
		got, fresh, err := get(at)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !fresh || !bytes.Equal(got, want) {
			return fmt.Errorf("%s served a wrong value for %s", name, f.names[at])
		}
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
