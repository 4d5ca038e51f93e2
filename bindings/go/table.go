// The table of generations, read without the library: a number per slot of keys, in a file that all processes map,
// which moves with every change (docs/protocol.md, Shared-memory table). It only says whether something may have
// changed; it knows nothing of values.

package forebay

import (
	"encoding/binary"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"unsafe"
)

const (
	tableVersion = 1
	tableSlots   = 8192
	tableHeader  = 64
	tableStride  = 64
	tableSize    = tableHeader + tableStride*tableSlots
)

// table is a mapped table. It is unmapped when it is collected, so never while a number is being loaded.
type table struct {
	data     []byte
	dev, ino uint64
}

// tablePath is where the table of a cache is.
func tablePath(root string) string { return filepath.Join(root, ".forebay", "generations") }

// openTable maps the table, or returns nil where none is there, or not one that this code can read.
func openTable(path string) *table {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	var stat syscall.Stat_t
	if syscall.Fstat(fd, &stat) != nil || stat.Size != tableSize || stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return nil
	}
	data, err := syscall.Mmap(fd, 0, tableSize, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil
	}
	t := &table{data: data, dev: uint64(stat.Dev), ino: stat.Ino}
	runtime.AddCleanup(t, func(data []byte) { _ = syscall.Munmap(data) }, data)
	known := string(data[:8]) == "forebay\x00" &&
		binary.LittleEndian.Uint32(data[8:]) == tableVersion && binary.LittleEndian.Uint32(data[12:]) == tableSlots
	if !known || binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		return nil
	}
	return t
}

// current reports whether this is still the table that others find there.
func (t *table) current(path string) bool {
	var stat syscall.Stat_t
	return syscall.Lstat(path, &stat) == nil && uint64(stat.Dev) == t.dev && stat.Ino == t.ino
}

// load returns the slot's number and its complement, as one. slot is below tableSlots.
func (t *table) load(slot uint32) uint64 {
	pair := atomic.LoadUint64((*uint64)(unsafe.Pointer(&t.data[tableHeader+tableStride*int(slot)])))
	runtime.KeepAlive(t)
	return pair
}

// quiet reports whether the pair is whole, and no change is under way: only then may a value be tagged with it.
func quiet(pair uint64) bool { return uint32(pair) == ^uint32(pair>>32) && pair&1 == 0 }

// mapped returns the table that is there now, or nil.
func (h *handle) mapped() *table {
	if h.memory || h.clock {
		return nil // no folder; or a clock that this code doesn't read
	}
	path := tablePath(h.root())
	if t := h.table.Load(); t != nil && t.current(path) {
		return t
	}
	t := openTable(path)
	h.table.Store(t)
	return t
}
