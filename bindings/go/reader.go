// Reader: one source, read often. A hit costs no system call.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"runtime"
	"sync"
)

// Reader reads one source as [Cache.Read] does, without a system call while nothing has changed. Changes that
// programs using this library make, in any process, are seen at once; those of other programs that write the
// files themselves, within 100 ms. Usable by any goroutine.
//
// Data of its results is shared and must not be changed. Hits that need no look at the disk are not counted by
// [Cache.Counters]. The file .forebay/generations must not be truncated while a Reader is in use: the process
// would be killed (SIGBUS), as with any mapped file.
type Reader struct {
	handle *handle

	mu      sync.RWMutex
	native  *C.forebay_reader
	cleanup runtime.Cleanup
	last    ReadResult
}

// Reader returns a reader of the source. It holds a little memory until it is closed or collected.
func (c *Cache) Reader(source Source) (*Reader, error) {
	h, err := c.use()
	if err != nil {
		return nil, err
	}
	var a args
	defer a.free()
	r := &Reader{handle: h}
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_reader_open(&r.native, h.native, a.source(source), &failure)
	if err := failed(status, failure, nil); err != nil {
		h.release()
		return nil, err
	}
	r.cleanup = runtime.AddCleanup(r, ownedReader.free, ownedReader{h, r.native})
	return r, nil
}

type ownedReader struct {
	handle *handle
	native *C.forebay_reader
}

func (o ownedReader) free() {
	gcPoint()
	C.forebay_reader_free(o.native)
	o.handle.release()
}

// Read returns what is there; see [Cache.Read].
func (r *Reader) Read() (ReadResult, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.native == nil {
		return ReadResult{}, newError(CodeClosed, "the reader was closed", nil)
	}
	var value *C.forebay_value
	var failure *C.forebay_error
	gcPoint()
	status := C.forebay_reader_value(&value, r.native, &failure)
	runtime.KeepAlive(r)
	return result(value), failed(status, failure, nil)
}

// Close frees the reader. Closing again is fine.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.native == nil {
		return
	}
	r.cleanup.Stop()
	ownedReader{r.handle, r.native}.free()
	r.native = nil
}

// Readers reads many sources often, by key. Usable by any goroutine.
type Readers struct {
	cache    *Cache
	template Source

	readers sync.Map // key to *Reader
}

// Readers returns readers for any key. template gives what is not the key: TTL, MaxStale, Identity.
func (c *Cache) Readers(template Source) *Readers { return &Readers{cache: c, template: template} }

// Get reads the source with that key, tier/name; see [Reader.Read]. Each key that is asked for costs a little
// memory until the Readers is closed.
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
