// What happens before each native call: nothing. See gcstress_on.go.

//go:build !forebay_gcstress

package forebay

func gcPoint() {}
