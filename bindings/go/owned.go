// What has to be freed with a cache at the latest: the library's handles behind objects that nobody closes. It knows not
// what they are.

package forebay

import "sync"

// native is a handle of the library's, freed once.
type native interface{ free() }

// owned are those of one cache that were not freed yet.
type owned struct {
	mu  sync.Mutex
	all map[native]struct{}
}

func (o *owned) add(one native) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all == nil {
		o.all = make(map[native]struct{})
	}
	o.all[one] = struct{}{}
}

// free frees it, unless that was done before.
func (o *owned) free(one native) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, open := o.all[one]; open {
		delete(o.all, one)
		one.free()
	}
}

// freeAll frees all that are left.
func (o *owned) freeAll() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for one := range o.all {
		one.free()
	}
	o.all = nil
}
