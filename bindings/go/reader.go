// Reader: one source, read often. A hit is one load from the table of generations and a look at the clock. The value
// is tagged with the number that its slot had before the disk was looked at, so that no change can hide behind it.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// lookEvery is how far behind programs that don't follow the protocol a reader may be.
const lookEvery = 100 * time.Millisecond

// Reader reads one source as [Cache.Read] does, without a system call while the value is fresh and nothing has
// changed. Changes that programs using this library make, in any process, are seen at once; those of other
// programs that write the files themselves, within 100 ms. Usable by any goroutine.
//
// Data of its results is shared and must not be changed. Hits that need no look at the disk are not counted by
// [Cache.Counters]. The file .forebay/generations must not be truncated while a Reader is in use: the process
// would be killed (SIGBUS), as with any mapped file.
type Reader struct {
	cache  *Cache
	source Source
	slot   uint32
	kept   atomic.Pointer[kept]
	closed atomic.Bool
}

// kept is a value, and for how long it may be served without another look. Immutable.
type kept struct {
	value  ReadResult
	handle *handle // of the cache that was open then
	table  *table  // nil: it may not be served again
	tag    uint64
	looked time.Duration // when it was looked at, since began
	until  time.Duration
}

// began is where a clock starts that costs less than time.Now.
var began = time.Now()

// Reader returns a reader of the source.
func (c *Cache) Reader(source Source) (*Reader, error) {
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	defer h.release()
	var a args
	defer a.free()
	var slot C.uint32_t
	var failure *C.forebay_error
	gcPoint()
	if err := failed(C.forebay_source_slot(&slot, a.source(source), &failure), failure, nil); err != nil {
		return nil, err
	}
	return &Reader{cache: c, source: source, slot: uint32(slot) % tableSlots}, nil
}

// Read returns what is there; see [Cache.Read].
func (r *Reader) Read() (ReadResult, error) {
	k := r.kept.Load()
	if k == nil || k.table == nil || k.table.load(r.slot) != k.tag || k.handle != r.cache.opened.Load() {
		return r.look(k)
	}
	now := time.Since(began)
	if now >= k.until {
		return r.look(k)
	}
	out := k.value
	out.Age += now - k.looked
	return out, nil
}

// look looks at the disk, and keeps what is there; was is what was kept before.
func (r *Reader) look(was *kept) (ReadResult, error) {
	if r.closed.Load() {
		return ReadResult{}, newError(CodeClosed, "the reader was closed", nil)
	}
	h, err := r.cache.use()
	if err != nil {
		return ReadResult{}, err
	}
	defer h.release()
	k := &kept{handle: h, table: h.mapped()}
	if k.table != nil {
		k.tag = k.table.load(r.slot)
	}
	k.looked = time.Since(began)
	var a args
	defer a.free()
	var value *C.forebay_value
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_read(&value, h.native, a.source(r.source), &failure)
	if err := failed(status, failure, nil); err != nil {
		return ReadResult{}, err
	}
	defer C.forebay_value_free(value)
	k.value = described(value)
	if k.value.State != StateAbsent {
		k.value.Data = sharedBytes(was, C.forebay_value_data(value), C.forebay_value_size(value))
	}
	fresh := instant(C.forebay_value_fresh_until_ms(value))
	if k.value.State != StateFresh || !quiet(k.tag) || fresh.IsZero() {
		k.table = nil
	}
	k.until = k.looked + min(lookEvery, time.Until(fresh))
	r.kept.Store(k)
	if r.closed.Load() {
		r.kept.Store(nil)
	}
	return k.value, nil
}

// sharedBytes returns the bytes that were kept before where they are the same, else a copy.
func sharedBytes(was *kept, data *C.uint8_t, size C.size_t) []byte {
	if was != nil && was.value.Data != nil && len(was.value.Data) == int(size) &&
		bytes.Equal(was.value.Data, unsafe.Slice((*byte)(unsafe.Pointer(data)), int(size))) {
		return was.value.Data
	}
	return copiedBytes(data, size)
}

// Close makes further reads fail with [ErrClosed], and lets go of the value. Closing again is fine.
func (r *Reader) Close() {
	r.closed.Store(true)
	r.kept.Store(nil)
}

// Readers reads many sources often, by key. Usable by any goroutine.
type Readers struct {
	cache    *Cache
	template Source

	readers sync.Map // key to *Reader
}

// Readers returns readers for any key. template gives what is not the key: TTL, MaxStale, Identity.
func (c *Cache) Readers(template Source) *Readers { return &Readers{cache: c, template: template} }

// Get reads the source with that key, tier/name; see [Reader.Read]. Each key that is asked for costs
// its value's memory until the Readers is closed.
func (r *Readers) Get(key string) (ReadResult, error) {
	if found, ok := r.readers.Load(key); ok {
		return found.(*Reader).Read()
	}
	source := r.template
	source.Tier, source.Name = "", key
	reader, err := r.cache.Reader(source)
	if err != nil {
		return ReadResult{}, err
	}
	if found, loaded := r.readers.LoadOrStore(key, reader); loaded {
		reader.Close()
		return found.(*Reader).Read()
	}
	return reader.Read()
}

// Close frees what the readers hold. They may be used again.
func (r *Readers) Close() {
	r.readers.Range(func(key, reader any) bool {
		r.readers.Delete(key)
		reader.(*Reader).Close()
		return true
	})
}
