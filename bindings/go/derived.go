// Derived results as calls return them: with their bytes, listed, and why they hold or not. Plain data.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"encoding/json"
	"time"
)

// Derived is a result that holds while all that it was computed from is as it was. It belongs to the caller.
type Derived struct {
	// Key is its name.
	Key LiveKey
	// Data are its bytes.
	Data []byte
	// How says how it came to be returned: HowFresh (it was there and holds), HowRan, HowCoalesced (another computed
	// it), or HowUncoordinated: it was computed and not stored, and Err says why.
	How How
	// Kind says what kind of result it is, in the words of who computed it.
	Kind string
	// Hash is the BLAKE3 hash of Data, 64 hexadecimal digits.
	Hash string
	// ComputedAt is when it was computed.
	ComputedAt time.Time
	// Inputs are what it was computed from, in order and each once; none where it was not stored.
	Inputs []Input
	// Upstreams are the results that it is built on.
	Upstreams []LiveKey
	// Err says why it was not stored: [ErrSuperseded] where something that it was computed from changed meanwhile.
	Err error
}

// Decode decodes the result's bytes as JSON, as json.Unmarshal does.
func (d *Derived) Decode(into any) error { return json.Unmarshal(d.Data, into) }

// LookupOutcome says what a look found.
type LookupOutcome string

// The outcomes of looks.
const (
	LookupHit         LookupOutcome = "hit"         // it is there and holds
	LookupMiss        LookupOutcome = "miss"        // it is not there, or does not hold
	LookupInvalidated LookupOutcome = "invalidated" // it was there, and is gone now by this look
)

// Lookup is what a look at a derived result found.
type Lookup struct {
	// Outcome says whether it was there.
	Outcome LookupOutcome
	// Derived is the result; nil where it is no hit.
	Derived *Derived
}

// LiveListed is a derived result as [Live.List] finds it.
type LiveListed struct {
	Key       LiveKey
	Kind      string
	Size      int64 // bytes
	Inputs    []Input
	Upstreams []LiveKey
	// ComputedAt is when it was computed, and UsedAt when it was last used, as far as that is recorded.
	ComputedAt, UsedAt time.Time
}

// LiveWhy says whether a derived result holds, and what decided that.
type LiveWhy struct {
	// Holds is true where a revalidating look would find it.
	Holds bool
	// Text is a sentence.
	Text string
	// Input is the input that decided; nil where it was none.
	Input *Input
	// Upstream is the result that decided, or from whose input it was that did; empty where it was none.
	Upstream LiveKey
}

// derivedOf copies a result, and frees it.
func derivedOf(native *C.forebay_derived) *Derived {
	if native == nil {
		return nil
	}
	defer C.forebay_derived_free(native)
	var size C.size_t
	out := &Derived{
		Key:        LiveKey(copied(sized(C.forebay_derived_key(native, &size), &size))),
		Data:       copiedBytes(C.forebay_derived_data(native), C.forebay_derived_size(native)),
		How:        named(hows[:], C.forebay_derived_how(native)),
		Kind:       copied(sized(C.forebay_derived_kind(native, &size), &size)),
		Hash:       copied(sized(C.forebay_derived_hash(native, &size), &size)),
		ComputedAt: instant(C.forebay_derived_computed_at_ms(native)),
		Inputs: inputsOf(C.forebay_derived_input_count(native), func(i C.size_t) C.forebay_live_input {
			return C.forebay_derived_input(native, i)
		}),
		Upstreams: keysOf(C.forebay_derived_upstream_count(native), func(i C.size_t) *C.char {
			return C.forebay_derived_upstream(native, i)
		}),
	}
	if err := borrowedError(C.forebay_derived_error(native)); err != nil {
		out.Err = err
	}
	return out
}

// liveListed copies one row of a list.
func liveListed(l *C.forebay_live_listing, i C.size_t) LiveListed {
	var size C.size_t
	return LiveListed{
		Key:        LiveKey(copied(sized(C.forebay_live_listing_key(l, i, &size), &size))),
		Kind:       copied(sized(C.forebay_live_listing_kind(l, i, &size), &size)),
		Size:       int64(C.forebay_live_listing_size(l, i)),
		ComputedAt: instant(C.forebay_live_listing_computed_at_ms(l, i)),
		UsedAt:     instant(C.forebay_live_listing_used_at_ms(l, i)),
		Inputs: inputsOf(C.forebay_live_listing_input_count(l, i), func(at C.size_t) C.forebay_live_input {
			return C.forebay_live_listing_input(l, i, at)
		}),
		Upstreams: keysOf(C.forebay_live_listing_upstream_count(l, i), func(at C.size_t) *C.char {
			return C.forebay_live_listing_upstream(l, i, at)
		}),
	}
}
