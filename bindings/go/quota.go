// Quota: one account's answer at a server that limits how often it may be asked, and the gate that keeps every process
// off it. This file has what is said of a quota, and the calls that only look at the disk or change it; resolve.go asks.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"context"
	"encoding/json"
	"runtime"
	"sync/atomic"
	"time"
)

// QuotaOptions say how long an answer of a [Quota] and its gates last. The zero value of each field means unset, and
// [Zero] says 0.
type QuotaOptions struct {
	// Identity is whose answer it is (an account, a user). Another identity has another answer and another gate.
	Identity string
	// TTL is how long an answer stays fresh. Unset: 3 min.
	TTL time.Duration
	// ErrorTTL is how long an error that the original program recorded keeps the next request off. Unset: 30 s.
	ErrorTTL time.Duration
	// RateLimited and Unauthorized are how long a 429, and a 401 or 403, keep the next request off where the server
	// names no time. Unset: 5 min.
	RateLimited, Unauthorized time.Duration
	// Timeout is the time that Fetch may take. Unset: 2 s.
	Timeout time.Duration
	// MaxStale is how long after its TTL an answer may still be served. Unset: 24 h.
	MaxStale time.Duration
	// BackoffFloor and BackoffCap bound how long other failures keep the next request off. Unset: 1 s and 3 min.
	BackoffFloor, BackoffCap time.Duration
	// Wait bounds how long a caller waits for another's request, where there is nothing that could be served
	// meanwhile. Unset: until that request ends.
	Wait time.Duration
	// Durability says what a stored answer survives. Unset: the cache's.
	Durability Durability
}

// Quota is the answer of one account at one server, shared by all processes: one of them asks, and when the server
// says "not now", it says so to all of them. Usable by any goroutine; one that is kept remembers what it read last.
type Quota struct {
	cache   *Cache
	name    string
	options QuotaOptions
	opened  atomic.Pointer[openQuota]
}

// Quota returns the quota of that name. A name that cannot be used is refused by the first call, with [ErrInvalid].
// The program that the file format comes from calls its own "usage".
func (c *Cache) Quota(name string, options QuotaOptions) *Quota {
	return &Quota{cache: c, name: name, options: options}
}

// Options returns what the quota was made with.
func (q *Quota) Options() QuotaOptions { return q.options }

// Answer is what a quota has to say.
type Answer struct {
	// Data is JSON, as Fetch or Fallback returned it. It belongs to the caller.
	Data []byte
	// How says where it came from: HowFresh, HowRan, HowUnchanged, HowCoalesced, HowStale, HowFallback; and
	// HowUncoordinated where it was fetched and could not be stored.
	How How
	// State is fresh or stale; from [Quota.Read], also expired.
	State State
	// Age is how long ago it was fetched, or last found unchanged; 0 for a fallback.
	Age time.Duration
	// CachedAt is when that was; zero for a fallback.
	CachedAt time.Time
	// RetryAt is when the server may be asked again, where a gate is in force; else zero.
	RetryAt time.Time
	// Err says why it is not better than it is: the failure or the gate behind a stale answer or a fallback, or why
	// it could not be stored; else nil. It unwraps to Fetch's or Credentials' own error in the caller that ran them.
	Err error
}

// Decode decodes the answer's JSON, as json.Unmarshal does.
func (a *Answer) Decode(into any) error { return json.Unmarshal(a.Data, into) }

// QuotaState is what is known of a quota, of whatever age.
type QuotaState struct {
	// Answer is what is recorded, or nil. Its State says what may be done with it.
	Answer *Answer
	// RecordedErr is the error that the original program recorded in place of an answer, or nil.
	RecordedErr error
	// Blocked is the gate in force, or nil.
	Blocked *Blocked
	// Phase says whether a request runs, here or in another process.
	Phase Phase
	// HolderPID is the process that runs it; 0 where none does, or it is not known.
	HolderPID int
}

// Blocked is a gate: until then, no process asks the server.
type Blocked struct {
	// Until is when it ends.
	Until time.Time
	// Code says why, and Message in words; 0 and empty where that is not known.
	Code    Code
	Message string
	// Declared is true where the server or [Quota.Block] named the time, false where it was guessed.
	Declared bool
	// Attempts counts the failures in a row.
	Attempts int
}

// QuotaKey names one quota that there is something of on disk.
type QuotaKey struct {
	// Key is the name, with ~ and the hash of the identity where it has one.
	Key string
	// Name is the name alone.
	Name string
	// IdentityHash is 16 hex digits, or empty.
	IdentityHash string
}

// call makes one native call with the quota.
func (q *Quota) call(call func(*args, *C.forebay_quota, **C.forebay_error) C.forebay_status) (C.forebay_status, error) {
	h, err := q.cache.use()
	if err != nil {
		return 0, err
	}
	defer h.release()
	quota, err := q.open(h)
	if err != nil {
		return 0, err
	}
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	status := call(&a, quota.native, &failure)
	runtime.KeepAlive(q)
	return status, failed(status, failure, nil)
}

// Key returns the quota's key: its name, with ~ and the hash of the identity where it has one.
func (q *Quota) Key() (key string, err error) {
	_, err = q.call(func(_ *args, n *C.forebay_quota, _ **C.forebay_error) C.forebay_status {
		var size C.size_t
		key = copied(sized(C.forebay_quota_key(n, &size), &size))
		return C.FOREBAY_OK
	})
	return key, err
}

// Read returns what is recorded, without asking or waiting for anybody. Nothing recorded is no error.
func (q *Quota) Read() (QuotaState, error) {
	var info *C.forebay_quota_info
	_, err := q.call(func(_ *args, n *C.forebay_quota, e **C.forebay_error) C.forebay_status {
		return C.forebay_quota_read(&info, n, e)
	})
	if info == nil {
		return QuotaState{}, err
	}
	defer C.forebay_quota_info_free(info)
	out := QuotaState{
		Answer:    borrowedAnswer(C.forebay_quota_info_answer(info)),
		Phase:     named(phases[:], C.forebay_quota_info_phase(info)),
		HolderPID: int(max(C.forebay_quota_info_holder(info), 0)),
	}
	if recorded := borrowedError(C.forebay_quota_info_recorded_error(info)); recorded != nil {
		out.RecordedErr = recorded
	}
	if until := instant(C.forebay_quota_info_blocked_until_ms(info)); !until.IsZero() {
		var size C.size_t
		out.Blocked = &Blocked{
			Until:    until,
			Code:     Code(C.forebay_quota_info_blocked_code(info)),
			Message:  copied(sized(C.forebay_quota_info_blocked_message(info, &size), &size)),
			Declared: C.forebay_quota_info_declared(info) != 0,
			Attempts: int(C.forebay_quota_info_attempts(info)),
		}
	}
	return out, err
}

// Block keeps every process off the server for that long, at most 24 h, for that reason, as if the server had said so.
// A gate that ends later stays. It returns when the gate in force ends.
func (q *Quota) Block(wait time.Duration, code Code, message string) (until time.Time, err error) {
	var ms C.int64_t
	_, err = q.call(func(a *args, n *C.forebay_quota, e **C.forebay_error) C.forebay_status {
		return C.forebay_quota_block(&ms, n, atLeast(wait), C.int32_t(code), a.text(message), e)
	})
	if err != nil {
		return time.Time{}, err
	}
	return instant(ms), nil
}

// Clear removes the answer and the gate, also one that the server declared. removed is false where there was nothing.
func (q *Quota) Clear() (removed bool, err error) {
	status, err := q.call(func(_ *args, n *C.forebay_quota, e **C.forebay_error) C.forebay_status {
		return C.forebay_quota_clear(n, e)
	})
	return err == nil && status != C.FOREBAY_ABSENT, err
}

// Quotas returns the quotas of the cache that there is an answer or a gate of, in the order of their keys.
func (c *Cache) Quotas() ([]QuotaKey, error) {
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	defer h.release()
	var listing *C.forebay_quota_listing
	var failure *C.forebay_error
	gcPoint()
	if err := failed(C.forebay_quota_list(&listing, h.native, &failure), failure, nil); err != nil {
		return nil, err
	}
	defer C.forebay_quota_listing_free(listing)
	out := make([]QuotaKey, C.forebay_quota_listing_count(listing))
	for i := range out {
		var size C.size_t
		at := C.size_t(i)
		out[i] = QuotaKey{
			Key:          copied(sized(C.forebay_quota_listing_key(listing, at, &size), &size)),
			Name:         copied(sized(C.forebay_quota_listing_name(listing, at, &size), &size)),
			IdentityHash: copied(sized(C.forebay_quota_listing_identity_hash(listing, at, &size), &size)),
		}
	}
	return out, nil
}

// answerOf copies an answer, and frees it.
func answerOf(native *C.forebay_answer) *Answer {
	defer C.forebay_answer_free(native)
	return borrowedAnswer(native)
}

// borrowedAnswer copies an answer that a handle owns.
func borrowedAnswer(native *C.forebay_answer) *Answer {
	if native == nil {
		return nil
	}
	var size C.size_t
	out := &Answer{
		Data:     copiedText(sized(C.forebay_answer_data(native, &size), &size)),
		How:      named(hows[:], C.forebay_answer_how(native)),
		State:    named(states[:], C.forebay_answer_state(native)),
		Age:      duration(C.forebay_answer_age_ms(native)),
		CachedAt: instant(C.forebay_answer_cached_at_ms(native)),
		RetryAt:  instant(C.forebay_answer_retry_at_ms(native)),
	}
	if err := borrowedError(C.forebay_answer_error(native)); err != nil {
		out.Err = err
	}
	return out
}

// QuotaSource is where a quota's answer comes from. Each function is called at most once, only if it is needed, in the
// goroutine of the call and with its context. The errors of the first two are found by errors.Is in what Resolve
// returns; a panic in a function is its error.
type QuotaSource struct {
	// Fetch asks the server, and returns JSON, or [ErrUnchanged]; [FromResponse] does it for an HTTP response. Its
	// context ends also at the quota's Timeout, and when the answer is not wanted any more. Errors are recorded as a
	// [Refresher]'s are; one that comes of the Timeout, or of any other, counts as [ErrTimedOut].
	Fetch func(ctx context.Context, job *QuotaJob) ([]byte, error)
	// Credentials returns the secret that Fetch asks with, which is never stored; only a hash of it is. nil: none.
	Credentials func(ctx context.Context) (string, error)
	// Fallback returns JSON from elsewhere (a local log) where nothing better may be served; nil where it has
	// nothing. What it returns is not stored. nil: none.
	Fallback func(ctx context.Context) ([]byte, error)
}

// QuotaJob is what Fetch sees of the request that it is. It prints nothing of the credential. A QuotaJob{} is a request
// from nothing, so that Fetch can be called by itself.
type QuotaJob struct {
	// Job tells the previous answer and its validator, and takes the new one's.
	*Job
	credential func() string // a function, so that printing a job shows no secret
}

// Credential returns what Credentials returned.
func (j *QuotaJob) Credential() string {
	if j.credential == nil {
		return ""
	}
	return j.credential()
}
