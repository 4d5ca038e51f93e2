// What is left behind: no descriptor, goroutine, thread or memory of what was closed.

package forebay_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/forebay/forebay/bindings/go"
)

// descriptors counts this process's, where the system can tell.
func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/dev/fd")
	must(t, err)
	return len(entries)
}

// resident is this process's memory in bytes, where /proc tells; else 0.
func resident(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if os.IsNotExist(err) {
		return 0
	}
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	var kilobytes int
	_, err = fmt.Sscan(rest, &kilobytes)
	must(t, err)
	return kilobytes << 10
}

// use does a little of everything with a cache of its own.
func use(t *testing.T, root string) {
	cache, err := forebay.Open(forebay.Options{Root: root})
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	events, err := cache.Subscribe(ctx)
	must(t, err)
	must(t, cache.Refresh(models, answers("one")))
	_ = cache.Refresh(models, func(context.Context) ([]byte, error) { panic("at random") })
	acquired, err := cache.Acquire(models, forebay.AcquireOptions{Force: true})
	must(t, err)
	value, err := acquired.Ticket.Complete([]byte("two"), forebay.Commit{})
	must(t, err)
	acquired.Ticket.Close()
	dropped, err := cache.Acquire(models, forebay.AcquireOptions{})
	must(t, err)
	dropped.Ticket.Close()
	reader, err := cache.Reader(models)
	must(t, err)
	_, err = reader.Read()
	must(t, err)
	useQuota(t, cache)
	useLive(t, cache)
	done := make(chan error, 1)
	go func() {
		_, err := cache.WaitForChange(ctx, models, value.Version)
		done <- err
	}()
	stop()
	isError(t, within(t, "stopping", done), context.Canceled)
	for range events {
	}
	must(t, cache.Close())
}

// useQuota does a little of everything with a quota and with credentials.
func useQuota(t *testing.T, cache *forebay.Cache) {
	usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: hang})
	_, err := usage.Clear()
	must(t, err)
	_, err = usage.Resolve(t.Context(), only(answers(`{}`)))
	must(t, err)
	_, err = usage.Read()
	must(t, err)
	_, err = cache.Quotas()
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	dropped := cache.Quota("dropped", forebay.QuotaOptions{Timeout: hang})
	_, err = dropped.Clear() // a second one in a row would set a gate
	must(t, err)
	_, err = dropped.Resolve(ctx, only(func(ctx context.Context) ([]byte, error) {
		stop()
		return nil, ctx.Err()
	}))
	isError(t, err, context.Canceled)
	creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: cache.Root + "-state"})
	must(t, err)
	seen := stored(t, creds, "one")
	_, err = creds.Rotate(t.Context(), login, seen, func(context.Context, []byte) ([]byte, error) { panic("at random") })
	isError(t, err, forebay.ErrAmbiguous)
	must(t, creds.Close())
}

// useLive does a little of everything with derived results.
func useLive(t *testing.T, cache *forebay.Cache) {
	live, err := cache.Live(forebay.LiveOptions{Workspace: cache.Root})
	must(t, err)
	spec := forebay.LiveSpec{Inputs: []forebay.Input{forebay.File("none"), forebay.Tag("all")}, Kind: "leaks"}
	_, err = live.GetOrCompute(t.Context(), named("a"), spec, answers(strings.Repeat("large", 20<<10)))
	must(t, err)
	_, err = live.GetOrCompute(t.Context(), named("b"), spec, func(context.Context) ([]byte, error) { panic("at random") })
	isError(t, err, forebay.ErrRefreshFailed)
	ctx, stop := context.WithCancel(t.Context())
	_, err = live.GetOrCompute(ctx, named("c"), spec, func(ctx context.Context) ([]byte, error) {
		stop()
		return nil, ctx.Err()
	})
	isError(t, err, context.Canceled)
	_, err = live.LookupRevalidate(named("a"))
	must(t, err)
	ticket, err := live.Begin(named("d"), forebay.LiveSpec{Upstreams: []forebay.LiveKey{named("a")}})
	must(t, err)
	_, err = ticket.Commit([]byte("built on it"))
	must(t, err)
	ticket, err = live.Begin(named("d"), spec)
	must(t, err)
	ticket.Close()
	_, err = live.List()
	must(t, err)
	_, err = live.KnownKinds()
	must(t, err)
	_, err = live.Why(named("d"))
	must(t, err)
	_, err = live.InvalidateTag("all")
	must(t, err)
}

func TestNothingIsLeftOpen(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cache")
	use(t, root)
	fds, goroutines := descriptors(t), runtime.NumGoroutine()
	for range 20 {
		use(t, root)
	}
	until(t, "as few descriptors and goroutines as before", func() bool {
		return descriptors(t) <= fds && runtime.NumGoroutine() <= goroutines
	})
}

func TestACacheThatIsForgottenIsClosedByTheCollector(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cache")
	before := descriptors(t)
	for range 20 {
		must(t, (&forebay.Cache{Root: root}).Refresh(models, answers("one")))
	}
	until(t, "as few descriptors as before", func() bool {
		runtime.GC()
		return descriptors(t) <= before
	})
}

func TestQuotasGoBeforeTheirCacheAndAfterIt(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cache")
	var left []*forebay.Quota
	for i := range 20 {
		cache, err := forebay.Open(forebay.Options{Root: root})
		must(t, err)
		for range 20 { // most are collected while the cache is open
			usage := cache.Quota("usage", forebay.QuotaOptions{})
			_, err := usage.Resolve(t.Context(), only(answers(`{}`)))
			must(t, err)
			if i == 0 {
				left = append(left, usage)
			}
		}
		runtime.GC()
		must(t, cache.Close())
		runtime.GC()
	}
	for _, one := range left {
		_, err := one.Read()
		isError(t, err, forebay.ErrClosed)
	}
}

func TestDerivedResultsGoBeforeTheirCacheAndAfterIt(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cache")
	var left []*forebay.Live
	var tickets []*forebay.LiveTicket
	for i := range 8 {
		cache, err := forebay.Open(forebay.Options{Root: root})
		must(t, err)
		for range 5 { // most are collected while the cache is open
			live, err := cache.Live(forebay.LiveOptions{})
			must(t, err)
			_, err = live.GetOrCompute(t.Context(), named("a"), forebay.LiveSpec{}, answers("a"))
			must(t, err)
			ticket, err := live.Begin(named("b"), forebay.LiveSpec{})
			must(t, err)
			if i == 0 {
				left, tickets = append(left, live), append(tickets, ticket)
			}
		}
		runtime.GC()
		must(t, cache.Close())
		runtime.GC()
	}
	for i, one := range left {
		_, err := one.Lookup(named("a"))
		isError(t, err, forebay.ErrClosed)
		_, err = tickets[i].Commit(nil)
		isError(t, err, forebay.ErrClosed)
	}
}

func TestReadingDoesNotGrow(t *testing.T) {
	cache := newCache(t)
	const size, reads = 256 << 10, 2000 // 500 MB, if each were kept
	_, err := cache.Put(models, bytes.Repeat([]byte{7}, size), forebay.Commit{})
	must(t, err)
	_, err = cache.Read(models)
	must(t, err)
	before := resident(t)
	for range reads {
		_, err := cache.Read(models)
		must(t, err)
		_, err = cache.Get(t.Context(), models, unexpected(t))
		must(t, err)
	}
	if grown := resident(t) - before; grown > size*reads/2 {
		t.Errorf("%d bytes more than before", grown)
	}
}

func TestAValueOf64MiB(t *testing.T) {
	cache := newCache(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	got, err := cache.RefreshContext(bounded(t), models, func(context.Context) ([]byte, error) { return data, nil })
	must(t, err)
	equal(t, "returned", bytes.Equal(got.Data, data), true)
	got, err = cache.Read(models)
	must(t, err)
	equal(t, "read", bytes.Equal(got.Data, data), true)
	_, err = cache.RefreshContext(bounded(t), models, answers(""))
	must(t, err)
	got, err = cache.Read(models)
	must(t, err)
	equal(t, "emptied", got.Data != nil && len(got.Data) == 0 && got.Fresh, true)
}
