// With -tags forebay_gcstress the garbage collector runs before each native call, so that a handle that is
// freed while it is in use, or memory that C was lent too short, is found by the tests rather than by a user.

//go:build forebay_gcstress

package forebay

import "runtime"

func gcPoint() { runtime.GC() }
