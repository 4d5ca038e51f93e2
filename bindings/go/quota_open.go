// The library's side of a Quota: opened by its first call, kept because it remembers what it read last, and freed with the
// Quota or with the cache, whichever goes first.

package forebay

/*
#include "forebay.h"
*/
import "C"

import "runtime"

// openQuota is the library's quota. Valid as long as both the Quota and a use of the handle are held.
type openQuota struct {
	handle *handle
	native *C.forebay_quota
}

// open returns the library's quota. The caller holds a use of h.
func (q *Quota) open(h *handle) (*openQuota, error) {
	if known := q.opened.Load(); known != nil {
		return known, nil
	}
	one := &openQuota{handle: h}
	if err := one.begin(q); err != nil {
		return nil, err
	}
	h.owned.add(one)
	if !q.opened.CompareAndSwap(nil, one) {
		one.close()
		return q.opened.Load(), nil
	}
	runtime.AddCleanup(q, (*openQuota).close, one)
	return one, nil
}

func (o *openQuota) begin(q *Quota) error {
	var a args
	defer a.free()
	durability, ok := durabilities[q.options.Durability]
	if !ok {
		durability = invalidDurability
	}
	var failure *C.forebay_error
	gcPoint()
	return failed(C.forebay_quota_open(&o.native, o.handle.native, &C.forebay_quota_options{
		struct_size:      C.sizeof_forebay_quota_options,
		name:             a.text(q.name),
		identity:         a.text(q.options.Identity),
		ttl_ms:           millis(q.options.TTL),
		error_ttl_ms:     millis(q.options.ErrorTTL),
		rate_limited_ms:  millis(q.options.RateLimited),
		unauthorized_ms:  millis(q.options.Unauthorized),
		timeout_ms:       millis(q.options.Timeout),
		max_stale_ms:     millis(q.options.MaxStale),
		backoff_floor_ms: millis(q.options.BackoffFloor),
		backoff_cap_ms:   millis(q.options.BackoffCap),
		wait_ms:          millis(q.options.Wait),
		durability:       durability,
	}, &failure), failure, nil)
}

func (o *openQuota) free() {
	gcPoint()
	C.forebay_quota_free(o.native)
}

// close frees the quota, unless its cache has.
func (o *openQuota) close() { o.handle.owned.free(o) }
