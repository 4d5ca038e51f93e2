// Credentials: the state folder, where single-use credentials are kept. It opens the library's handle, and has the calls
// that only look or change; rotate.go exchanges.

package forebay

/*
#include "forebay.h"
*/
import "C"

import (
	"context"
	"runtime"
	"sync"
	"time"
	"unsafe"
)

// CredentialsOptions say where credentials are kept. The zero value opens the default state folder.
type CredentialsOptions struct {
	// Root is the folder. Empty: FOREBAY_STATE, else $XDG_STATE_HOME/forebay, else $HOME/.local/state/forebay. It is
	// made, with mode 0700, by the first write; a cache's folder is for what may be lost, and this is not it.
	Root string
	// Deadline is the time that an exchange may take. Unset: 30 s.
	Deadline time.Duration
	// TestClock is as in [Options].
	TestClock string
}

// Credentials keeps single-use credentials below one folder, shared by all processes that name it. Usable by any
// goroutine.
type Credentials struct {
	mu      sync.RWMutex // held while a native call uses the pointer
	native  *C.forebay_credentials
	cleanup runtime.Cleanup
}

// OpenCredentials opens a state folder. It writes nothing.
func OpenCredentials(options CredentialsOptions) (*Credentials, error) {
	var a args
	defer a.free()
	c := &Credentials{}
	var failure *C.forebay_error
	gcPoint()
	err := failed(C.forebay_credentials_open(&c.native, &C.forebay_credentials_options{
		struct_size: C.sizeof_forebay_credentials_options,
		root:        a.text(options.Root),
		test_clock:  a.text(options.TestClock),
		deadline_ms: millis(options.Deadline),
	}, &failure), failure, nil)
	if err != nil {
		return nil, err
	}
	// A net for programs that never close.
	c.cleanup = runtime.AddCleanup(c, func(native *C.forebay_credentials) {
		C.forebay_credentials_free(native)
	}, c.native)
	return c, nil
}

// Close makes later calls fail with [ErrClosed]. A rotation that runs goes on to its end: cutting one short could lose
// the credential. Closing again is fine.
func (c *Credentials) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.native != nil {
		c.cleanup.Stop()
		gcPoint()
		C.forebay_credentials_free(c.native)
		c.native = nil
	}
	return nil
}

// call makes one native call, unless the credentials were closed.
func (c *Credentials) call(
	call func(*args, *C.forebay_credentials, **C.forebay_error) C.forebay_status,
) (C.forebay_status, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.native == nil {
		return 0, newError(CodeClosed, "the credentials were closed", nil)
	}
	var a args
	defer a.free()
	var failure *C.forebay_error
	gcPoint()
	status := call(&a, c.native, &failure)
	runtime.KeepAlive(c)
	return status, failed(status, failure, nil)
}

// Folder returns the folder in use, which Root may have left to the environment.
func (c *Credentials) Folder() (folder string, err error) {
	_, err = c.call(func(_ *args, n *C.forebay_credentials, _ **C.forebay_error) C.forebay_status {
		var size C.size_t
		folder = copied(sized(C.forebay_credentials_root(n, &size), &size))
		return C.FOREBAY_OK
	})
	return folder, err
}

// Current returns the credential that is stored. Where none is, the error is [ErrNotFound]. It may be one that an
// exchange of unknown outcome has used up: [Credentials.State] tells.
func (c *Credentials) Current(key string) (*Credential, error) {
	var found *C.forebay_credential
	_, err := c.call(func(a *args, n *C.forebay_credentials, e **C.forebay_error) C.forebay_status {
		return C.forebay_credentials_current(&found, n, a.text(key), e)
	})
	out := credentialOf(found)
	switch {
	case err != nil:
		return nil, err
	case out == nil:
		return nil, newError(CodeNotFound, key+": no credential is stored", nil)
	}
	return out, nil
}

// Reset stores the credential of a new login, and ends an ambiguous outcome and any gate. nil forgets the credential
// instead, and the version is the zero one.
func (c *Credentials) Reset(key string, credential []byte) (Version, error) {
	var version *C.forebay_text
	_, err := c.call(func(a *args, n *C.forebay_credentials, e **C.forebay_error) C.forebay_status {
		start, size := unsafe.Pointer(unsafe.SliceData(credential)), C.size_t(len(credential))
		return C.forebay_rotate_reset(&version, n, a.text(key), start, size, e)
	})
	if version == nil {
		return "", err
	}
	defer C.forebay_text_free(version)
	return versionOf(copied(C.forebay_text_data(version), C.forebay_text_size(version))), err
}

// RotateState is what is known of a key's exchanges.
type RotateState struct {
	// Phase says whether an exchange runs, or the last one failed and the next is kept off for now.
	Phase Phase
	// AmbiguousSince is when an exchange began whose outcome is unknown: the stored credential may be used up. Zero
	// where none is.
	AmbiguousSince time.Time
	// RetryAt is when the next exchange may be made; zero if now.
	RetryAt time.Time
	// Err is the last failure, or nil.
	Err error
	// Version identifies the credential that is stored; zero where none is.
	Version Version
}

// State returns what is known of the key's exchanges, in any process.
func (c *Credentials) State(key string) (RotateState, error) {
	var info *C.forebay_rotate_info
	_, err := c.call(func(a *args, n *C.forebay_credentials, e **C.forebay_error) C.forebay_status {
		return C.forebay_rotate_state(&info, n, a.text(key), e)
	})
	if info == nil {
		return RotateState{}, err
	}
	defer C.forebay_rotate_info_free(info)
	var size C.size_t
	out := RotateState{
		Phase:          named(phases[:], C.forebay_rotate_info_phase(info)),
		AmbiguousSince: instant(C.forebay_rotate_info_ambiguous_since_ms(info)),
		RetryAt:        instant(C.forebay_rotate_info_retry_at_ms(info)),
		Version:        versionOf(copied(sized(C.forebay_rotate_info_version(info, &size), &size))),
	}
	if last := borrowedError(C.forebay_rotate_info_last_error(info)); last != nil {
		out.Err = last
	}
	return out, err
}

// Rotate is [Credentials.Rotate] in the default state folder.
func Rotate(ctx context.Context, key string, seen Version, exchange Exchange) (*Credential, error) {
	c, err := OpenCredentials(CredentialsOptions{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Rotate(ctx, key, seen, exchange)
}

// RotateReset is [Credentials.Reset] in the default state folder.
func RotateReset(key string, credential []byte) (Version, error) {
	c, err := OpenCredentials(CredentialsOptions{})
	if err != nil {
		return "", err
	}
	defer c.Close()
	return c.Reset(key, credential)
}

// DefaultStateRoot returns the state folder that is used where none is named. ok is false where the environment names
// no home.
func DefaultStateRoot() (root string, ok bool, err error) {
	var text *C.forebay_text
	var failure *C.forebay_error
	gcPoint()
	if err := failed(C.forebay_default_state_root(&text, &failure), failure, nil); err != nil || text == nil {
		return "", false, err
	}
	defer C.forebay_text_free(text)
	return copied(C.forebay_text_data(text), C.forebay_text_size(text)), true, nil
}
