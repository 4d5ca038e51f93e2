// Readers: what they see of changes, by whomever they are made.

package forebay_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

func reads(t *testing.T, reader *forebay.Reader, data string, state forebay.State) {
	t.Helper()
	got, err := reader.Read()
	must(t, err)
	if string(got.Data) != data || got.State != state || got.Fresh != (state == forebay.StateFresh) || got.Stale == got.Fresh {
		t.Errorf("got %q %s, want %q %s", got.Data, got.State, data, state)
	}
}

func TestAReaderSeesEachChangeAtOnce(t *testing.T) {
	cache := newCache(t)
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	defer other.Close()
	reader, err := cache.Reader(models)
	must(t, err)
	defer reader.Close()
	reads(t, reader, "", forebay.StateAbsent)
	for i := range 200 {
		data := fmt.Sprint("value ", i)
		_, err := other.Put(models, []byte(data), forebay.Commit{})
		must(t, err)
		reads(t, reader, data, forebay.StateFresh)
		reads(t, reader, data, forebay.StateFresh)
	}
	must(t, other.MarkStale(models))
	reads(t, reader, "value 199", forebay.StateStale)
	_, err = other.Remove(models)
	must(t, err)
	reads(t, reader, "", forebay.StateAbsent)
	must(t, other.Refresh(models, answers("again")))
	reads(t, reader, "again", forebay.StateFresh)
	must(t, os.RemoveAll(cache.Root))
	until(t, "the removed root", func() bool {
		got, err := reader.Read()
		must(t, err)
		return got.State == forebay.StateAbsent
	})
	_, err = other.Put(models, []byte("anew"), forebay.Commit{})
	must(t, err)
	until(t, "the new root", func() bool {
		got, err := reader.Read()
		must(t, err)
		return string(got.Data) == "anew"
	})
}

func TestAReaderSeesTheClock(t *testing.T) {
	cache, clock := newClockedCache(t)
	reader, err := cache.Reader(models)
	must(t, err)
	defer reader.Close()
	_, err = cache.Put(models, []byte("one"), forebay.Commit{})
	must(t, err)
	reads(t, reader, "one", forebay.StateFresh)
	clock.advance(models.TTL - time.Millisecond)
	reads(t, reader, "one", forebay.StateFresh)
	clock.advance(time.Millisecond)
	reads(t, reader, "one", forebay.StateStale)
}

func TestAReaderSeesAValueBecomeStale(t *testing.T) {
	cache := newCache(t)
	source := models
	source.TTL = 30 * time.Millisecond
	reader, err := cache.Reader(source)
	must(t, err)
	defer reader.Close()
	_, err = cache.Put(source, []byte("one"), forebay.Commit{})
	must(t, err)
	until(t, "staleness", func() bool {
		before := time.Now()
		got, err := reader.Read()
		must(t, err)
		if got.Fresh && before.Sub(got.StoredAt) > source.TTL+time.Millisecond {
			t.Errorf("fresh at an age of %v", before.Sub(got.StoredAt))
		}
		return got.Stale
	})
}

func TestAReaderSeesForeignWritersSoon(t *testing.T) {
	cache := newCache(t)
	reader, err := cache.Reader(models)
	must(t, err)
	defer reader.Close()
	_, err = cache.Put(models, []byte("ours"), forebay.Commit{})
	must(t, err)
	reads(t, reader, "ours", forebay.StateFresh)
	path := filepath.Join(cache.Root, "api", "models.json")
	must(t, os.WriteFile(path+".tmp", []byte("theirs"), 0o600))
	must(t, os.Rename(path+".tmp", path))
	until(t, "the foreign value", func() bool {
		got, err := reader.Read()
		must(t, err)
		return string(got.Data) == "theirs"
	})
}

// A reader never goes back to an older value, and never past what was acknowledged before it began to read.
func TestReadersBesideAWriterAreCoherent(t *testing.T) {
	cache := newCache(t)
	other, err := forebay.Open(forebay.Options{Root: cache.Root, Durability: forebay.DurabilityNone})
	must(t, err)
	defer other.Close()
	reader, err := cache.Reader(models)
	must(t, err)
	defer reader.Close()
	const commits = 500
	var acknowledged atomic.Int64
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			var last int64
			for {
				select {
				case <-stop:
					return
				default:
				}
				floor := acknowledged.Load()
				got, err := reader.Read()
				var number int64
				if err == nil && got.Data != nil {
					_, err = fmt.Sscan(string(got.Data), &number)
				}
				if err != nil || number < floor || number < last {
					t.Errorf("read %q (%v) after %d was acknowledged and %d seen", got.Data, err, floor, last)
					return
				}
				last = number
			}
		}()
	}
	for i := int64(1); i <= commits; i++ {
		_, err := other.Put(models, fmt.Append(nil, i), forebay.Commit{})
		must(t, err)
		acknowledged.Store(i)
	}
	close(stop)
	readers.Wait()
}

func TestReadersByKey(t *testing.T) {
	cache := newCache(t)
	readers := cache.Readers(forebay.Source{TTL: time.Hour})
	defer readers.Close()
	for range 2 {
		for _, key := range []string{"a/one", "a/two", "three"} {
			_, err := cache.Put(forebay.Source{Name: key}, []byte(key), forebay.Commit{})
			must(t, err)
			got, err := readers.Get(key)
			must(t, err)
			equal(t, "data", string(got.Data), key)
			equal(t, "fresh", got.Fresh, true)
		}
	}
	_, err := readers.Get("")
	isError(t, err, forebay.ErrInvalid)
	mine := cache.Readers(forebay.Source{TTL: time.Hour, Identity: "me"})
	defer mine.Close()
	got, err := mine.Get("a/one")
	must(t, err)
	equal(t, "another identity", got.State, forebay.StateAbsent)
}

func TestAClosedReaderSaysSo(t *testing.T) {
	cache := newCache(t)
	reader, err := cache.Reader(models)
	must(t, err)
	second, err := cache.Reader(models)
	must(t, err)
	_, err = cache.Put(models, []byte("one"), forebay.Commit{})
	must(t, err)
	reads(t, second, "one", forebay.StateFresh)
	reader.Close()
	reader.Close()
	_, err = reader.Read()
	isError(t, err, forebay.ErrClosed)
	must(t, cache.Close())
	_, err = second.Read()
	isError(t, err, forebay.ErrClosed)
	second.Close()
	_, err = cache.Reader(models)
	isError(t, err, forebay.ErrClosed)
	_, err = cache.Readers(models).Get("a/b")
	isError(t, err, forebay.ErrClosed)
}
