// The ground of the binding: how Go's arguments become those of forebay.h, and what comes back becomes Go's.
// Every native call is bracketed the same way: arguments are pinned by an args, which the caller frees; results
// are copied into Go at once and freed. It knows no call by name.

package forebay

/*
#cgo pkg-config: forebay
#include "forebay.h"
*/
import "C"

import (
	"math"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// args lends Go memory to one native call.
type args struct{ pins runtime.Pinner }

func (a *args) free() { a.pins.Unpin() }

func (a *args) text(text string) C.forebay_slice {
	if text == "" {
		return C.forebay_slice{}
	}
	data := unsafe.StringData(text)
	a.pins.Pin(data)
	return C.forebay_slice{data: (*C.char)(unsafe.Pointer(data)), size: C.size_t(len(text))}
}

func (a *args) source(s Source) *C.forebay_source_options {
	durability, ok := durabilities[s.Durability]
	if !ok {
		durability = invalidDurability
	}
	return &C.forebay_source_options{
		struct_size:       C.sizeof_forebay_source_options,
		key:               a.text(s.Name),
		tier:              a.text(s.Tier),
		identity:          a.text(s.Identity),
		ttl_ms:            millis(s.TTL),
		max_stale_ms:      millis(s.MaxStale),
		stale_if_error_ms: millis(s.StaleIfError),
		deadline_ms:       millis(s.RefreshDeadline),
		backoff_floor_ms:  millis(s.BackoffFloor),
		backoff_cap_ms:    millis(s.BackoffCap),
		durability:        durability,
	}
}

func (a *args) commit(c Commit) *C.forebay_commit {
	return &C.forebay_commit{
		struct_size:  C.sizeof_forebay_commit,
		validator:    a.text(c.Validator),
		extra:        a.text(c.Extra),
		ttl_ms:       millis(c.TTL),
		max_stale_ms: millis(c.MaxStale),
	}
}

func (a *args) failure(f *Failure) *C.forebay_failure {
	return &C.forebay_failure{
		struct_size:    C.sizeof_forebay_failure,
		message:        a.text(f.Message),
		retry_after_ms: millis(f.RetryAfter),
		code:           C.int32_t(f.Code),
		not_sent:       truth(f.NotSent),
	}
}

// invalidDurability is a number that no durability has, so that the library refuses it.
const invalidDurability = 99

var durabilities = map[Durability]C.int32_t{
	"":             -1,
	DurabilityNone: C.FOREBAY_DURABILITY_NONE,
	DurabilityData: C.FOREBAY_DURABILITY_DATA,
	DurabilityFull: C.FOREBAY_DURABILITY_FULL,
}

// millis is a duration of a Source as the library takes it: -1 for unset, 0 for [Zero], and never rounded down
// to 0, which would mean something else.
func millis(d time.Duration) C.int64_t {
	switch {
	case d == 0:
		return -1
	case d < 0:
		return 0
	}
	return atLeast(d)
}

// atLeast is a duration in milliseconds, rounded up; 0 for none or less.
func atLeast(d time.Duration) C.int64_t {
	if d <= 0 {
		return 0
	}
	ms := d / time.Millisecond
	if d%time.Millisecond != 0 {
		ms++
	}
	return C.int64_t(ms)
}

func duration(ms C.int64_t) time.Duration {
	if ms <= 0 {
		return 0
	}
	if int64(ms) > math.MaxInt64/int64(time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

// instant is a stamp of the library; -1 is the zero time.
func instant(ms C.int64_t) time.Time {
	if ms == -1 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

func truth(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}

// copied is text that the library lends, as a string of ours.
func copied(data *C.char, size C.size_t) string {
	if data == nil {
		return ""
	}
	return string(unsafe.Slice((*byte)(unsafe.Pointer(data)), int(size)))
}

// copiedText is text that the library lends, as bytes of ours.
func copiedText(data *C.char, size C.size_t) []byte {
	return copiedBytes((*C.uint8_t)(unsafe.Pointer(data)), size)
}

func copiedBytes(data *C.uint8_t, size C.size_t) []byte {
	out := make([]byte, int(size))
	if size > 0 {
		copy(out, unsafe.Slice((*byte)(unsafe.Pointer(data)), int(size)))
	}
	return out
}

// failed turns what a native call returned into an error, and frees what it wrote to err. cause is what the
// error unwraps to, or nil.
func failed(status C.forebay_status, err *C.forebay_error, cause error) error {
	if err != nil {
		defer C.forebay_error_free(err)
	}
	if status >= 0 {
		return nil
	}
	out := borrowedError(err)
	if out == nil {
		out = newError(Code(status), "", nil)
	}
	if cause != nil {
		out.cause = cause
	}
	return out
}

// borrowedError copies an error that a handle owns.
func borrowedError(err *C.forebay_error) *Error {
	if err == nil {
		return nil
	}
	var size C.size_t
	text := C.forebay_error_text(err, &size)
	out := &Error{
		Code:    Code(C.forebay_error_code(err)),
		Message: copied(text, size),
		Errno:   int(C.forebay_error_os(err)),
		RetryAt: instant(C.forebay_error_retry_at_ms(err)),
	}
	if out.Errno != 0 {
		out.cause = syscall.Errno(out.Errno)
	}
	return out
}

var (
	states = [...]State{
		C.FOREBAY_STATE_FRESH: StateFresh, C.FOREBAY_STATE_STALE: StateStale,
		C.FOREBAY_STATE_EXPIRED: StateExpired, C.FOREBAY_STATE_ABSENT: StateAbsent,
	}
	hows = [...]How{
		C.FOREBAY_HOW_FRESH: HowFresh, C.FOREBAY_HOW_RAN: HowRan, C.FOREBAY_HOW_UNCHANGED: HowUnchanged,
		C.FOREBAY_HOW_COALESCED: HowCoalesced, C.FOREBAY_HOW_STALE: HowStale,
		C.FOREBAY_HOW_FALLBACK: HowFallback, C.FOREBAY_HOW_UNCOORDINATED: HowUncoordinated,
	}
	phases = [...]Phase{
		C.FOREBAY_PHASE_IDLE: PhaseIdle, C.FOREBAY_PHASE_RUNNING: PhaseRunning,
		C.FOREBAY_PHASE_COOLING: PhaseCooling,
	}
)

// named is the name at that number, or none where the library has no such number or says -1.
func named[T ~string](names []T, number C.int32_t) T {
	if number < 0 || int(number) >= len(names) {
		return ""
	}
	return names[number]
}

// result copies a value and frees it.
func result(value *C.forebay_value) ReadResult {
	if value == nil {
		return ReadResult{Stale: true, State: StateAbsent}
	}
	defer C.forebay_value_free(value)
	out := described(value)
	if out.State != StateAbsent {
		out.Data = copiedBytes(C.forebay_value_data(value), C.forebay_value_size(value))
	}
	return out
}

// described copies everything but the bytes.
func described(value *C.forebay_value) ReadResult {
	out := ReadResult{
		State: named(states[:], C.forebay_value_state(value)),
		How:   named(hows[:], C.forebay_value_how(value)),
		Phase: named(phases[:], C.forebay_value_phase(value)),
	}
	out.Fresh = out.State == StateFresh
	out.Stale = !out.Fresh
	if err := borrowedError(C.forebay_value_error(value)); err != nil {
		out.Err = err
	}
	if out.State == StateAbsent {
		return out
	}
	var size C.size_t
	out.Age = duration(C.forebay_value_age_ms(value))
	out.StoredAt = instant(C.forebay_value_stored_at_ms(value))
	out.Validator = copied(sized(C.forebay_value_validator(value, &size), &size))
	out.Extra = copied(sized(C.forebay_value_extra(value, &size), &size))
	out.Version = versionOf(copied(sized(C.forebay_value_version(value, &size), &size)))
	return out
}

// sized pairs a lent text with the size that was written beside it.
func sized(text *C.char, size *C.size_t) (*C.char, C.size_t) { return text, *size }
