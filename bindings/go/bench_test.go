// What reading costs: go test -bench . -run '^$'. The table against other packages is scripts/bench.

package forebay_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/forebay/forebay/bindings/go"
)

func benchmarked(b *testing.B) *forebay.Cache {
	cache, err := forebay.Open(forebay.Options{Root: filepath.Join(b.TempDir(), "cache")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cache.Close() })
	if _, err := cache.Put(models, bytes.Repeat([]byte{7}, 4096), forebay.Commit{}); err != nil {
		b.Fatal(err)
	}
	return cache
}

func BenchmarkReader(b *testing.B) {
	reader, err := benchmarked(b).Reader(models)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if got, err := reader.Read(); err != nil || !got.Fresh {
			b.Fatal(got.State, err)
		}
	}
}

func BenchmarkReaderParallel(b *testing.B) {
	reader, err := benchmarked(b).Reader(models)
	if err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if got, err := reader.Read(); err != nil || !got.Fresh {
				b.Error(got.State, err)
			}
		}
	})
}

func BenchmarkReadersByKey(b *testing.B) {
	readers := benchmarked(b).Readers(models)
	key := models.Key()
	for b.Loop() {
		if got, err := readers.Get(key); err != nil || !got.Fresh {
			b.Fatal(got.State, err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	cache := benchmarked(b)
	for b.Loop() {
		if got, err := cache.Read(models); err != nil || !got.Fresh {
			b.Fatal(got.State, err)
		}
	}
}

// The original's read: ReadFile and Stat.
func BenchmarkReadFileAndStat(b *testing.B) {
	cache := benchmarked(b)
	path := filepath.Join(cache.Root, "api", "models.json")
	for b.Loop() {
		if _, err := os.ReadFile(path); err != nil {
			b.Fatal(err)
		}
		if _, err := os.Stat(path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	usage := benchmarked(b).Quota("usage", forebay.QuotaOptions{})
	source := only(func(context.Context) ([]byte, error) {
		return append(append([]byte{'"'}, bytes.Repeat([]byte{'7'}, 4096)...), '"'), nil
	})
	for b.Loop() {
		if got, err := usage.Resolve(b.Context(), source); err != nil || got.State != forebay.StateFresh {
			b.Fatal(got, err)
		}
	}
}

// heldResult is a derived result of 4 KiB that one file stands for.
func heldResult(b *testing.B) (*forebay.Live, forebay.LiveSpec) {
	folder := b.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a"), []byte("one"), 0o600); err != nil {
		b.Fatal(err)
	}
	live, err := benchmarked(b).Live(forebay.LiveOptions{Workspace: folder})
	if err != nil {
		b.Fatal(err)
	}
	spec := from(forebay.File("a"))
	if _, err := live.Persist(named("a"), bytes.Repeat([]byte{7}, 4096), spec); err != nil {
		b.Fatal(err)
	}
	return live, spec
}

func BenchmarkLiveLookup(b *testing.B) {
	live, _ := heldResult(b)
	key := named("a")
	for b.Loop() {
		if got, err := live.Lookup(key); err != nil || got.Derived == nil {
			b.Fatal(got, err)
		}
	}
}

func BenchmarkLiveGetOrCompute(b *testing.B) {
	live, spec := heldResult(b)
	key := named("a")
	for b.Loop() {
		if got, err := live.GetOrCompute(b.Context(), key, spec, answers("")); err != nil || got.How != forebay.HowFresh {
			b.Fatal(got, err)
		}
	}
}
