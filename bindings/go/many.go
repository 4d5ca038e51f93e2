// Many sources at once, and many keys read often. Loops over the calls for one source; no native code of its own.

package forebay

import (
	"context"
	"sync"
)

// Item is one source that RefreshMany refreshes, and how.
type Item struct {
	Source    Source
	Refresher Refresher
}

// Outcome is what RefreshMany has of one item: a value, or an error.
type Outcome struct {
	Value ReadResult
	Err   error
}

// Progress is told after each item.
type Progress struct {
	// Done of Total items are finished, this one included.
	Done, Total int
	Source      Source
	Outcome     Outcome
}

// RefreshMany refreshes all items as [Cache.RefreshContext] does, at most concurrency at a time (0: 8), and
// returns their outcomes in order. One that fails stops no other. progress, where it isn't nil, is called by one
// goroutine at a time. When ctx ends, the items that are not done get [ErrCancelled].
func (c *Cache) RefreshMany(ctx context.Context, items []Item, concurrency int, progress func(Progress)) []Outcome {
	if concurrency <= 0 {
		concurrency = defaultConcurrency
	}
	out := make([]Outcome, len(items))
	work := make(chan int)
	finished := make(chan int)
	var workers sync.WaitGroup
	for range min(concurrency, len(items)) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range work {
				out[i].Value, out[i].Err = c.RefreshContext(ctx, items[i].Source, items[i].Refresher)
				finished <- i
			}
		}()
	}
	go func() {
		for i := range items {
			work <- i
		}
		close(work)
		workers.Wait()
		close(finished)
	}()
	done := 0
	for i := range finished {
		done++
		if progress != nil {
			progress(Progress{Done: done, Total: len(items), Source: items[i].Source, Outcome: out[i]})
		}
	}
	return out
}

const defaultConcurrency = 8
