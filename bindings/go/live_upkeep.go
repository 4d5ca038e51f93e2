// What ends derived results, and what tells of all of them: each is one native call.

package forebay

/*
#include "forebay.h"
*/
import "C"

// counted makes a native call that counts.
func (l *Live) counted(call func(*args, *C.uint64_t, *C.forebay_live, **C.forebay_error) C.forebay_status) (int, error) {
	var count C.uint64_t
	_, err := l.call(func(a *args, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return call(a, &count, n, e)
	})
	return int(count), err
}

// MarkDirty removes the result and all that is built on it. removed is false where it was not there.
func (l *Live) MarkDirty(key LiveKey) (removed bool, err error) {
	status, err := l.call(func(a *args, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_mark_dirty(n, a.text(string(key)), e)
	})
	return err == nil && status != C.FOREBAY_ABSENT, err
}

// InvalidateUpstream removes all that is built on the result, directly or not, and returns how many. The result itself
// stays, unless it is built on itself.
func (l *Live) InvalidateUpstream(key LiveKey) (removed int, err error) {
	return l.counted(func(a *args, count *C.uint64_t, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_invalidate_upstream(count, n, a.text(string(key)), e)
	})
}

// InvalidatePath removes every result that was computed from the file, or from anything in the folder, and all that is
// built on those. It returns how many were computed from it directly. The path need not exist any more.
func (l *Live) InvalidatePath(path string) (removed int, err error) {
	return l.counted(func(a *args, count *C.uint64_t, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_invalidate_path(count, n, a.text(path), e)
	})
}

// InvalidateTag removes every result that has the tag as an input, and all that is built on those. It returns how many
// have it.
func (l *Live) InvalidateTag(name string) (removed int, err error) {
	return l.counted(func(a *args, count *C.uint64_t, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_invalidate_tag(count, n, a.text(name), e)
	})
}

// EvictToCap removes the least recently used results until the rest have at most that many bytes, never one that is being
// computed, and returns how many.
func (l *Live) EvictToCap(bytes int64) (evicted int, err error) {
	if bytes < 0 {
		return 0, newError(CodeInvalid, "bytes is below 0", nil)
	}
	return l.counted(func(_ *args, count *C.uint64_t, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_evict_to_cap(count, n, C.uint64_t(bytes), e)
	})
}

// GC removes what does not hold any more, by what is recorded, and files that nothing names. It returns how many of each.
func (l *Live) GC() (results, files int, err error) {
	var swept C.uint64_t
	results, err = l.counted(func(_ *args, count *C.uint64_t, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_gc(count, &swept, n, e)
	})
	return results, int(swept), err
}

// EntryCount returns how many results there are, also those that do not hold and were not removed yet.
func (l *Live) EntryCount() (int, error) {
	return l.counted(func(_ *args, count *C.uint64_t, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_entry_count(count, n, e)
	})
}

// TotalBytes returns how many bytes they have.
func (l *Live) TotalBytes() (int64, error) {
	bytes, err := l.counted(func(_ *args, count *C.uint64_t, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_total_bytes(count, n, e)
	})
	return int64(bytes), err
}

// KnownKinds returns the kinds of results that there are, and how many of each.
func (l *Live) KnownKinds() (map[string]int, error) {
	var kinds *C.forebay_live_kinds
	_, err := l.call(func(_ *args, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_known_kinds(&kinds, n, e)
	})
	if err != nil {
		return nil, err
	}
	defer C.forebay_live_kinds_free(kinds)
	out := make(map[string]int)
	for i := range C.forebay_live_kinds_count(kinds) {
		var size C.size_t
		name := copied(sized(C.forebay_live_kinds_name(kinds, i, &size), &size))
		out[name] = int(C.forebay_live_kinds_entries(kinds, i))
	}
	return out, nil
}

// List returns all results in the order of their keys, also those that do not hold and were not removed yet.
func (l *Live) List() ([]LiveListed, error) {
	var listing *C.forebay_live_listing
	_, err := l.call(func(_ *args, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_list(&listing, n, e)
	})
	if err != nil {
		return nil, err
	}
	defer C.forebay_live_listing_free(listing)
	out := make([]LiveListed, C.forebay_live_listing_count(listing))
	for i := range out {
		out[i] = liveListed(listing, C.size_t(i))
	}
	return out, nil
}
