// Cache: a root folder and the handle on it. It opens the library's cache on first use, counts who is using it,
// and closes it. It knows nothing of sources.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"context"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Cache keeps values below one folder. The zero value is ready to use, and opens the folder on the first call;
// opening writes nothing and takes no lock. Any number of Caches, in any number of processes, may share a
// folder; within a process, one Cache for it is the cheapest. Must not be copied after first use.
type Cache struct {
	// Root is the folder. Empty: FOREBAY_ROOT, else $XDG_CACHE_HOME/forebay, else $HOME/.cache/forebay. It is
	// made, with mode 0700, by the first write; one that others may write to is refused.
	Root string

	mu       sync.Mutex
	opened   atomic.Pointer[handle]
	closed   bool
	options  Options
	cleanup  runtime.Cleanup
	waitHook func(Source)
}

// Options say how a cache is opened. The zero value opens the default root.
type Options struct {
	// Root is as in [Cache].
	Root string
	// Durability is what stored values survive where a Source says nothing. Unset: DurabilityData.
	Durability Durability
	// Memory keeps values in this process only, without a folder: for tests, and where there is no disk.
	Memory bool
	// TestClock is a file that stands for the clock: JSON {"wall_ns":"…","boot_ns":"…"}, replaced by rename. All
	// processes that name it move together, so that a test can age a value without waiting.
	TestClock string
}

// Open returns a cache, and the error that a zero Cache would return from its first call.
func Open(options Options) (*Cache, error) {
	c := &Cache{Root: options.Root, options: options}
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	h.release()
	return c, nil
}

// handle is the library's cache with a count of its users, so that closing never pulls it from under a call.
type handle struct {
	native *C.forebay_cache
	users  atomic.Int64 // the Cache itself is one; freed at 0
	memory bool
	clock  bool

	ended   context.Context // done once the cache is closed
	end     context.CancelFunc
	flights flights
	owned   owned
	table   atomic.Pointer[table]
	waiters chan struct{} // one place for each thread that may block in a native wait
	starts  chan struct{} // one for each that may begin an attempt
}

// maxWaiters bounds the threads that callers who wait for other processes block; further ones poll.
const maxWaiters = 16

// maxStarts bounds the callers that begin at once, and startWait how long one waits for its turn: a crowd that
// arrives together would fight for the guard of one source, each on a thread of its own, where after the first few
// there is a refresh to join.
const (
	maxStarts = 8
	startWait = 100 * time.Millisecond
)

// start waits for a turn to begin, and returns what ends it. The error is ctx's.
func (h *handle) start(ctx context.Context) (end func(), err error) {
	end = func() { <-h.starts }
	select {
	case h.starts <- struct{}{}:
		return end, nil
	default:
	}
	timer := time.NewTimer(startWait)
	defer timer.Stop()
	select {
	case h.starts <- struct{}{}:
		return end, nil
	case <-timer.C: // those before are stuck on something: its error is the caller's too
		return func() {}, nil
	case <-ctx.Done():
		return nil, cancelled(ctx.Err())
	}
}

// use returns the handle, opening it if need be; the caller must release it.
func (c *Cache) use() (*handle, error) {
	if h := c.opened.Load(); h != nil && h.retain() {
		return h, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosed()
	}
	if h := c.opened.Load(); h != nil {
		h.users.Add(1)
		return h, nil
	}
	h, err := open(c.Root, c.options)
	if err != nil {
		return nil, err
	}
	// A net for programs that never close, as the original's had nothing to close.
	c.cleanup = runtime.AddCleanup(c, (*handle).release, h)
	h.users.Add(1)
	c.opened.Store(h)
	return h, nil
}

func open(root string, options Options) (*handle, error) {
	var a args
	defer a.free()
	durability, ok := durabilities[options.Durability]
	if !ok {
		durability = invalidDurability
	}
	native := &C.forebay_cache_options{
		struct_size: C.sizeof_forebay_cache_options,
		root:        a.text(root),
		test_clock:  a.text(options.TestClock),
		durability:  durability,
		memory:      truth(options.Memory),
	}
	clock := options.TestClock != "" || os.Getenv("FOREBAY_TEST_CLOCK") != ""
	h := &handle{
		memory: options.Memory, clock: clock,
		waiters: make(chan struct{}, maxWaiters), starts: make(chan struct{}, maxStarts),
	}
	var err *C.forebay_error
	gcPoint()
	if err := failed(C.forebay_open(&h.native, native, &err), err, nil); err != nil {
		return nil, err
	}
	h.users.Store(1)
	h.ended, h.end = context.WithCancel(context.Background())
	return h, nil
}

func errClosed() error { return newError(CodeClosed, "the cache was closed", nil) }

// retain adds a user, unless the last one has gone.
func (h *handle) retain() bool {
	for {
		users := h.users.Load()
		if users == 0 {
			return false
		}
		if h.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

func (h *handle) release() {
	if h.users.Add(-1) == 0 {
		h.end()
		h.owned.freeAll()
		gcPoint()
		C.forebay_cache_free(h.native)
	}
}

// Close ends the cache: calls that wait, and all later ones, fail with [ErrClosed], and the contexts of running
// refreshers, fetches and computations end. It waits for nothing; the next process that needs a value settles what was begun. Closing
// again is fine. See [Cache.Shutdown].
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	h := c.opened.Swap(nil)
	c.mu.Unlock()
	if h == nil {
		return nil
	}
	c.cleanup.Stop()
	defer h.release()
	// First: a refresher that ends because of the closing must not set a gate by that.
	defer h.end()
	var err *C.forebay_error
	gcPoint()
	return failed(C.forebay_close(h.native, -1, &err), err, nil)
}

// Shutdown waits until no refresher, no quota's Fetch and no computation of this cache is running, or ctx ends, and closes
// it. The error is ctx's where it ended first.
func (c *Cache) Shutdown(ctx context.Context) error {
	var waited error
	if h := c.opened.Load(); h != nil && h.retain() {
		waited = h.flights.wait(ctx)
		h.release()
	}
	if err := c.Close(); err != nil {
		return err
	}
	return waited
}

// Folder returns the folder in use, which Root may have left to the environment; empty where there is none
// (Options.Memory).
func (c *Cache) Folder() (string, error) {
	h, err := c.use()
	if err != nil {
		return "", err
	}
	defer h.release()
	return h.root(), nil
}

func (h *handle) root() string {
	var size C.size_t
	return copied(sized(C.forebay_cache_root(h.native, &size), &size))
}
