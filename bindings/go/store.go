// The calls that look at the disk or change it, and never wait for a refresh: each is one native call.

package forebay

/*
#include "forebay.h"
*/
import "C"

import "unsafe"

// call makes one native call with a pinned source.
func (c *Cache) call(
	source Source, call func(*handle, *args, *C.forebay_source_options, **C.forebay_error) C.forebay_status,
) (C.forebay_status, error) {
	h, err := c.use()
	if err != nil {
		return 0, err
	}
	defer h.release()
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	status := call(h, &a, a.source(source), &failure)
	return status, failed(status, failure, nil)
}

// Read returns what is there, without waiting for anything. It looks at the disk each time; see [Cache.Reader]
// for reading often. No value is no error: Data is nil and State StateAbsent; nor is a stale one. What is damaged
// counts as absent, and Err says so.
func (c *Cache) Read(source Source) (ReadResult, error) {
	var value *C.forebay_value
	_, err := c.call(source, func(
		h *handle, _ *args, s *C.forebay_source_options, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_read(&value, h.native, s, e)
	})
	return result(value), err
}

// Put stores a value. It always wins: a refresh that is running goes on, but what it brings is not stored.
func (c *Cache) Put(source Source, data []byte, commit Commit) (ReadResult, error) {
	var value *C.forebay_value
	_, err := c.call(source, func(
		h *handle, a *args, s *C.forebay_source_options, e **C.forebay_error,
	) C.forebay_status {
		start, size := unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))
		return C.forebay_put(&value, h.native, s, start, size, a.commit(commit), e)
	})
	return result(value), err
}

// MarkStale keeps the value but makes it stale, also what a running refresh brings. It starts nothing.
func (c *Cache) MarkStale(source Source) error {
	_, err := c.call(source, func(
		h *handle, _ *args, s *C.forebay_source_options, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_mark_stale(h.native, s, e)
	})
	return err
}

// Remove removes the value and all that is known of it, except a gate that the server declared. removed is
// false where there was nothing.
func (c *Cache) Remove(source Source) (removed bool, err error) {
	status, err := c.call(source, func(
		h *handle, _ *args, s *C.forebay_source_options, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_remove(h.native, s, e)
	})
	return err == nil && status != C.FOREBAY_ABSENT, err
}

// RefreshState returns what is known of the source's refreshes: one that runs in any process, and the last failure.
func (c *Cache) RefreshState(source Source) (RefreshState, error) {
	var info *C.forebay_refresh_info
	_, err := c.call(source, func(
		h *handle, _ *args, s *C.forebay_source_options, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_refresh_state(&info, h.native, s, e)
	})
	return refreshState(info), err
}

// refreshState copies what is known of refreshes, and frees it.
func refreshState(info *C.forebay_refresh_info) RefreshState {
	if info == nil {
		return RefreshState{}
	}
	defer C.forebay_refresh_info_free(info)
	out := RefreshState{
		InFlight:  C.forebay_refresh_info_in_flight(info) != 0,
		Failed:    C.forebay_refresh_info_failed(info) != 0,
		StartedAt: instant(C.forebay_refresh_info_started_at_ms(info)),
		Deadline:  instant(C.forebay_refresh_info_deadline_ms(info)),
		Phase:     named(phases[:], C.forebay_refresh_info_phase(info)),
		RetryAt:   instant(C.forebay_refresh_info_retry_at_ms(info)),
		Attempts:  int(C.forebay_refresh_info_attempts(info)),
		Declared:  C.forebay_refresh_info_declared(info) != 0,
		HolderPID: int(max(C.forebay_refresh_info_holder(info), 0)),
	}
	if last := C.forebay_refresh_info_last_error(info); last != nil {
		err := borrowedError(last)
		var size C.size_t
		out.Err = err
		out.LastError = copied(sized(C.forebay_error_message(last, &size), &size))
	}
	return out
}

// Why says which fact decides what a read of the source returns now: for people and logs.
func (c *Cache) Why(source Source) (Why, error) {
	var why *C.forebay_explanation
	_, err := c.call(source, func(
		h *handle, _ *args, s *C.forebay_source_options, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_why(&why, h.native, s, e)
	})
	if err != nil {
		return Why{}, err
	}
	defer C.forebay_explanation_free(why)
	var size C.size_t
	return Why{
		Text:        copied(sized(C.forebay_explanation_text(why, &size), &size)),
		CacheStatus: copied(sized(C.forebay_explanation_cache_status(why, &size), &size)),
		State:       named(states[:], C.forebay_explanation_state(why)),
		Phase:       named(phases[:], C.forebay_explanation_phase(why)),
	}, nil
}

// List returns all sources of the cache, in the order of their keys.
func (c *Cache) List() ([]Listed, error) {
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	defer h.release()
	var listing *C.forebay_listing
	var failure *C.forebay_error
	gcPoint()
	if err := failed(C.forebay_list(&listing, h.native, &failure), failure, nil); err != nil {
		return nil, err
	}
	defer C.forebay_listing_free(listing)
	out := make([]Listed, C.forebay_listing_count(listing))
	for i := range out {
		out[i] = listed(listing, C.size_t(i))
	}
	return out, nil
}

func listed(l *C.forebay_listing, i C.size_t) Listed {
	var size C.size_t
	out := Listed{
		Key:       copied(sized(C.forebay_listing_key(l, i, &size), &size)),
		Tier:      copied(sized(C.forebay_listing_tier(l, i, &size), &size)),
		Name:      copied(sized(C.forebay_listing_name(l, i, &size), &size)),
		State:     named(states[:], C.forebay_listing_state(l, i)),
		Phase:     named(phases[:], C.forebay_listing_phase(l, i)),
		Age:       duration(C.forebay_listing_age_ms(l, i)),
		Size:      int64(C.forebay_listing_size(l, i)),
		StoredAt:  instant(C.forebay_listing_stored_at_ms(l, i)),
		RetryAt:   instant(C.forebay_listing_retry_at_ms(l, i)),
		Validator: copied(sized(C.forebay_listing_validator(l, i, &size), &size)),
		Extra:     copied(sized(C.forebay_listing_extra(l, i, &size), &size)),
		Version:   versionOf(copied(sized(C.forebay_listing_version(l, i, &size), &size))),
	}
	if err := borrowedError(C.forebay_listing_error(l, i)); err != nil {
		out.Err = err
	}
	return out
}

// Prune removes the sources that are not among active, spares those that are being refreshed, and sweeps what
// dead processes left. See [Cache.PruneReport] for what it did.
func (c *Cache) Prune(active []Source) error {
	_, err := c.PruneReport(active)
	return err
}

// PruneReport is [Cache.Prune], and says what it did.
func (c *Cache) PruneReport(active []Source) (Pruned, error) {
	h, err := c.use()
	if err != nil {
		return Pruned{}, err
	}
	defer h.release()
	var a args
	defer a.free()
	keep := make([]*C.forebay_source_options, len(active), len(active)+1)
	for i, source := range active {
		keep[i] = a.source(source)
		a.pins.Pin(keep[i])
	}
	var pruned *C.forebay_pruned
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_prune(&pruned, h.native, unsafe.SliceData(keep), C.size_t(len(keep)), &failure)
	if err := failed(status, failure, nil); err != nil {
		return Pruned{}, err
	}
	defer C.forebay_pruned_free(pruned)
	out := Pruned{Swept: int(C.forebay_pruned_swept(pruned))}
	var size C.size_t
	for i := range C.forebay_pruned_removed_count(pruned) {
		out.Removed = append(out.Removed, copied(sized(C.forebay_pruned_removed_key(pruned, i, &size), &size)))
	}
	for i := range C.forebay_pruned_skipped_count(pruned) {
		out.Skipped = append(out.Skipped, Skipped{
			Key:    copied(sized(C.forebay_pruned_skipped_key(pruned, i, &size), &size)),
			Reason: copied(sized(C.forebay_pruned_skipped_reason(pruned, i, &size), &size)),
		})
	}
	return out, nil
}
