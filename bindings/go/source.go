// Source: what is cached, and for how long it may be used. Plain data; it knows nothing of disks.

package forebay

import (
	"strings"
	"time"
)

// Zero says 0 in a duration of a [Source] or [Commit], where a plain 0 means unset: MaxStale: Zero serves
// nothing stale. (Any negative duration does.)
const Zero time.Duration = -1

// DefaultTier is the tier of a Source that names none, neither in Tier nor in Name.
const DefaultTier = "default"

// DefaultDeadline is the refresh deadline of a Source that sets none.
const DefaultDeadline = 30 * time.Second

// Source describes one value that is kept, and how. The zero value of each field but Name means unset.
// Sources are compared by Tier, Name and Identity; two processes that name the same ones share the value.
type Source struct {
	// Tier groups sources: a folder below the root. Unset: Name is a whole key, tier/name, which is split at its
	// first slash; without one the tier is "default".
	Tier string
	// Name names the source within its tier. Any non-empty UTF-8 of up to 4096 bytes.
	Name string
	// TTL is how long a value stays fresh. Unset: what was recorded when it was stored, else nothing is fresh.
	TTL time.Duration
	// RefreshDeadline is the time that a refresh may take. Unset: 30 s. It bounds the refresher's context, and
	// how long others wait for a process that stopped.
	RefreshDeadline time.Duration

	// MaxStale is how long after its TTL a value may still be served. Unset: without end.
	MaxStale time.Duration
	// StaleIfError is the same after a refresh that failed. Unset: as MaxStale.
	StaleIfError time.Duration
	// Identity is whose answer it is (an account, a user). Another identity has another value and another gate.
	Identity string
	// Durability says what a stored value survives. Unset: the cache's.
	Durability Durability
	// BackoffFloor and BackoffCap bound how long failures keep the next attempt off. Unset: 250 ms, and the
	// smaller of TTL and 5 min.
	BackoffFloor, BackoffCap time.Duration
}

// Key returns tier/name, the source's key as every language writes it.
func (s Source) Key() string {
	tier, name := s.split()
	return tier + "/" + name
}

func (s Source) split() (tier, name string) {
	if s.Tier != "" {
		return s.Tier, s.Name
	}
	if tier, name, found := strings.Cut(s.Name, "/"); found {
		return tier, name
	}
	return DefaultTier, s.Name
}

// ParseKey returns the source with that key, split at the first slash; the other fields are unset. It is what
// Source{Name: key} means too, with the tier and the name apart.
func ParseKey(key string) Source {
	if tier, name := (Source{Name: key}).split(); tier != "" {
		return Source{Tier: tier, Name: name}
	}
	return Source{Name: key} // no key: the first call says so
}

// Durability says what a stored value survives.
type Durability string

// The durabilities.
const (
	// DurabilityNone survives the end of the process, not a power loss.
	DurabilityNone Durability = "none"
	// DurabilityData never leaves a damaged value after a power loss; the last values may be missing. The default.
	DurabilityData Durability = "data"
	// DurabilityFull survives a power loss from the moment the call returns.
	DurabilityFull Durability = "full"
)

// Commit is what is recorded beside a value when it is stored. The zero value records nothing but the time.
type Commit struct {
	// Validator is what the server said identifies this version: an ETag, a date, or the caller's own.
	Validator string
	// TTL and MaxStale go before those of any Source with which the value is read. Unset: the Source's.
	TTL, MaxStale time.Duration
	// Extra is text of the caller's own.
	Extra string
}
