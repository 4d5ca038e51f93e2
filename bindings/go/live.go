// Live: results that hold while what they were computed from is as it was. This file opens it, and has the calls that look
// at results and keep them; live_compute.go computes, live_upkeep.go removes and lists.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"runtime"
	"time"
	"unsafe"
)

// LiveOptions say how derived results are looked at and computed.
type LiveOptions struct {
	// Workspace is the folder that paths are relative to. Empty: the current one, as it is when Live is called.
	Workspace string
	// Deadline is the time that a computation may take before another may make it too. Unset: 10 min.
	Deadline time.Duration
	// SizeCap is the most bytes that results may have; the least recently used go first. Unset: no limit.
	SizeCap int64
}

// Live has the derived results of a cache: each holds while all that it was computed from is as it was, and is shared by
// all processes. Nothing watches: a look compares. Usable by any goroutine; it ends with its cache, or when nobody uses it.
type Live struct {
	cache  *Cache
	opened *openLive
}

// LiveSpec says what a derived result is computed from. The zero value is a result that depends on its key alone.
type LiveSpec struct {
	// Inputs are looked at before a computation begins, and again when it ends.
	Inputs []Input
	// Upstreams are the results that this one is built on: it holds only as long as they do.
	Upstreams []LiveKey
	// Kind says what kind of result it is, for those who list them: any text.
	Kind string
}

// openLive is the library's side. Valid as long as both the Live and a use of the handle are held.
type openLive struct {
	handle *handle
	native *C.forebay_live
}

func (o *openLive) free() {
	gcPoint()
	C.forebay_live_free(o.native)
}

// Live returns the cache's derived results. It writes nothing.
func (c *Cache) Live(options LiveOptions) (*Live, error) {
	if options.SizeCap < 0 {
		return nil, newError(CodeInvalid, "SizeCap is below 0: give bytes, or 0 for no limit", nil)
	}
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	defer h.release()
	var a args
	defer a.free()
	size := C.int64_t(options.SizeCap)
	if size == 0 {
		size = -1
	}
	opened := &openLive{handle: h}
	var failure *C.forebay_error
	gcPoint()
	err = failed(C.forebay_live_open(&opened.native, h.native, &C.forebay_live_options{
		struct_size: C.sizeof_forebay_live_options,
		workspace:   a.text(options.Workspace),
		deadline_ms: millis(options.Deadline),
		size_cap:    size,
	}, &failure), failure, nil)
	if err != nil {
		return nil, err
	}
	h.owned.add(opened)
	live := &Live{cache: c, opened: opened}
	runtime.AddCleanup(live, func(o *openLive) { o.handle.owned.free(o) }, opened)
	return live, nil
}

// liveCall is a native call with the library's side.
type liveCall func(*args, *C.forebay_live, **C.forebay_error) C.forebay_status

// call makes one native call, unless the cache was closed.
func (l *Live) call(call liveCall) (C.forebay_status, error) {
	h, err := l.cache.use()
	if err != nil {
		return 0, err
	}
	defer h.release()
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	status := call(&a, l.opened.native, &failure)
	runtime.KeepAlive(l)
	return status, failed(status, failure, nil)
}

// Lookup returns the result, if all that is recorded of what it was computed from still holds. It looks at no input: see
// [Live.LookupRevalidate]. A miss is no error.
func (l *Live) Lookup(key LiveKey) (Lookup, error) {
	return l.look(func(
		a *args, n *C.forebay_live, out **C.forebay_derived, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_live_lookup(out, n, a.text(string(key)), e)
	})
}

// LookupRevalidate returns the result, after a look at every input of it and of what it is built on. What has changed, is
// gone or cannot be read ends the result, and all that is built on it, for every process; the one look that finds it so
// says LookupInvalidated.
func (l *Live) LookupRevalidate(key LiveKey) (Lookup, error) {
	return l.look(func(
		a *args, n *C.forebay_live, out **C.forebay_derived, e **C.forebay_error,
	) C.forebay_status {
		return C.forebay_live_lookup_revalidate(out, n, a.text(string(key)), e)
	})
}

func (l *Live) look(
	look func(*args, *C.forebay_live, **C.forebay_derived, **C.forebay_error) C.forebay_status,
) (Lookup, error) {
	var found *C.forebay_derived
	status, err := l.call(func(a *args, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return look(a, n, &found, e)
	})
	out := Lookup{Outcome: LookupMiss, Derived: derivedOf(found)}
	switch {
	case err != nil:
		return Lookup{}, err
	case status == C.FOREBAY_INVALIDATED:
		out.Outcome = LookupInvalidated
	case out.Derived != nil:
		out.Outcome = LookupHit
	}
	return out, nil
}

// Persist keeps a result that was computed before. Its inputs are looked at only now, so that a change since then is not
// noticed: [Live.Begin] notices it. [ErrSuperseded]: a result that it is built on does not hold, and nothing was stored.
func (l *Live) Persist(key LiveKey, data []byte, spec LiveSpec) (*Derived, error) {
	var kept *C.forebay_derived
	_, err := l.call(func(a *args, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		start, size := unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data))
		return C.forebay_live_persist(&kept, n, a.liveSpec(key, spec), start, size, e)
	})
	return derivedOf(kept), err
}

// Why says whether [Live.LookupRevalidate] would find the result, and what decides that. It removes nothing.
func (l *Live) Why(key LiveKey) (LiveWhy, error) {
	var why *C.forebay_live_explanation
	_, err := l.call(func(a *args, n *C.forebay_live, e **C.forebay_error) C.forebay_status {
		return C.forebay_live_why(&why, n, a.text(string(key)), e)
	})
	if err != nil {
		return LiveWhy{}, err
	}
	defer C.forebay_live_explanation_free(why)
	var size C.size_t
	out := LiveWhy{
		Holds:    C.forebay_live_explanation_holds(why) != 0,
		Text:     copied(sized(C.forebay_live_explanation_text(why, &size), &size)),
		Upstream: LiveKey(copied(sized(C.forebay_live_explanation_upstream(why, &size), &size))),
	}
	if input, there := inputOf(C.forebay_live_explanation_input(why)); there {
		out.Input = &input
	}
	return out, nil
}
