// Job: what a refresher sees of the refresh that it is: the previous value and its validator, and what is to be
// recorded beside the new one. It rides in the refresher's context, so that Refresher keeps the original's type. It
// knows neither tickets nor quotas, only what both can tell.

package forebay

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// Refresher makes a new value: a slow call, a request. It is never called while anything of this package is
// locked, so it may use the cache. See the package's documentation for its context, and [JobFrom] for more.
type Refresher func(ctx context.Context) ([]byte, error)

type jobKey struct{}

// Job belongs to one running refresh. A nil Job is a refresh from nothing: its methods return nothing and set
// nothing, so that a refresher can be called by itself. Usable by any goroutine.
type Job struct {
	lease lease

	mu     sync.Mutex
	commit Commit
}

// lease is what a job looks at: a ticket, or what a quota knows while it fetches.
type lease interface {
	Key() string
	Remaining() time.Duration
	Previous() []byte
	Validator() string
	ConditionalHeaders() http.Header
}

// JobFrom returns the job of the refresher, of the quota's Fetch or of the computation that was given ctx; nil where ctx is
// none of theirs.
func JobFrom(ctx context.Context) *Job {
	job, _ := ctx.Value(jobKey{}).(*Job)
	return job
}

// Key returns the source's key, tier/name; of a quota or a derived result, its key.
func (j *Job) Key() string {
	if j == nil {
		return ""
	}
	return j.lease.Key()
}

// Remaining returns how much of the deadline is left; 0 once it is over. The refresher's context ends then.
func (j *Job) Remaining() time.Duration {
	if j == nil {
		return 0
	}
	return j.lease.Remaining()
}

// Previous returns a copy of the value that is to be replaced, fresh or not; nil where there is none.
func (j *Job) Previous() []byte {
	if j == nil {
		return nil
	}
	return j.lease.Previous()
}

// Validator returns the previous value's validator, or "".
func (j *Job) Validator() string {
	if j == nil {
		return ""
	}
	return j.lease.Validator()
}

// ConditionalHeaders returns the headers that make a request conditional on the previous value's validator:
// If-None-Match for an ETag, If-Modified-Since for a date, else none. Never nil, and the caller's own.
func (j *Job) ConditionalHeaders() http.Header {
	if j == nil {
		return http.Header{}
	}
	return j.lease.ConditionalHeaders()
}

// SetValidator records what identifies the new value: an ETag, an HTTP date, or anything. The last call counts.
func (j *Job) SetValidator(validator string) {
	j.set(func(c *Commit) { c.Validator = validator })
}

// SetTTL records how long the new value stays fresh, for every reader. It goes before any Source's TTL.
func (j *Job) SetTTL(ttl time.Duration) { j.set(func(c *Commit) { c.TTL = ttl }) }

// SetMaxStale records how long after its TTL the new value may be served. It goes before any Source's MaxStale.
func (j *Job) SetMaxStale(maxStale time.Duration) {
	j.set(func(c *Commit) { c.MaxStale = maxStale })
}

// SetExtra records text of the caller's own beside the new value.
func (j *Job) SetExtra(extra string) { j.set(func(c *Commit) { c.Extra = extra }) }

func (j *Job) set(change func(*Commit)) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.commit)
}

func (j *Job) recorded() Commit {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.commit
}
