// Credential: a secret that works once, as it is stored. It says what is known of it, and prints none of it. Plain data; it
// knows nothing of disks.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"time"
)

// Credential is a single-use secret (an OAuth refresh token, with what came with it). Printing one, with any verb, or
// encoding it as JSON, shows all but the secret.
type Credential struct {
	// Version identifies it; it is what the next [Rotate] is given as seen.
	Version Version
	// StoredAt is when it was stored.
	StoredAt time.Time
	// How is HowRan where this call exchanged it, HowCoalesced where another had done so, and HowUncoordinated where
	// it was exchanged here and could not be stored: this is the only copy then. HowFresh from Current.
	How How
	// Err says why it could not be stored; else nil.
	Err error

	// A function, because fmt prints fields of structs within structs without asking their methods.
	secret func() []byte
}

// Data returns a copy of the secret, as it was stored.
func (c Credential) Data() []byte {
	if c.secret == nil {
		return nil
	}
	return slices.Clone(c.secret())
}

// Text returns the secret as text.
func (c Credential) Text() string { return string(c.Data()) }

// String says what is known of the credential, without the secret.
func (c Credential) String() string {
	return fmt.Sprintf("credential(version %s, %s, [credential])", c.Version, c.How)
}

// GoString is String: the secret is not in it.
func (c Credential) GoString() string { return c.String() }

// Format writes String, whatever the verb.
func (c Credential) Format(state fmt.State, _ rune) { fmt.Fprint(state, c.String()) }

// credentialOf copies a credential, and frees it.
func credentialOf(native *C.forebay_credential) *Credential {
	if native == nil {
		return nil
	}
	defer C.forebay_credential_free(native)
	var size C.size_t
	data := copiedText(sized(C.forebay_credential_data(native, &size), &size))
	out := &Credential{
		Version:  versionOf(copied(sized(C.forebay_credential_version(native, &size), &size))),
		StoredAt: instant(C.forebay_credential_stored_at_ms(native)),
		How:      named(hows[:], C.forebay_credential_how(native)),
		secret:   func() []byte { return data },
	}
	if err := borrowedError(C.forebay_credential_error(native)); err != nil {
		out.Err = err
	}
	return out
}
