// What a look at a source tells: the value with its age and state, and what is known of refreshes. Plain data.

package forebay

import "time"

// State says what may be done with a value.
type State string

// The states.
const (
	StateFresh   State = "fresh"   // younger than its TTL: may be used without asking anyone
	StateStale   State = "stale"   // beyond its TTL, and may be served while a refresh is made
	StateExpired State = "expired" // beyond MaxStale: may not be served any more
	StateAbsent  State = "absent"  // there is nothing
)

// How says where the value of a call came from.
type How string

// The ways. Read and Put leave How empty.
const (
	HowFresh         How = "fresh"         // it was fresh: nothing was done
	HowRan           How = "ran"           // a refresh here brought it
	HowUnchanged     How = "unchanged"     // a refresh here found that it is still the same
	HowCoalesced     How = "coalesced"     // a refresh that another caller or process ran brought it
	HowStale         How = "stale"         // it is stale: a gate is in force, or the refresh is not done
	HowFallback      How = "fallback"      // it came from a fallback
	HowUncoordinated How = "uncoordinated" // the refresher returned it, and it could not be stored
)

// Phase says what a source's refresh is doing.
type Phase string

// The phases. Empty where the call had no reason to look.
const (
	PhaseIdle    Phase = "idle"    // nothing runs
	PhaseRunning Phase = "running" // a refresh runs, here or in another process
	PhaseCooling Phase = "cooling" // it failed, and the next attempt is kept off for now
)

// Version identifies a value: it differs whenever the value does. Opaque; never a time. The zero Version
// belongs to a source without a value.
type Version string

// text is the version as the library writes it.
func (v Version) text() string {
	if v == "" {
		return "0"
	}
	return string(v)
}

// ReadResult is a value as it was found. Its first four fields are those of the original package.
type ReadResult struct {
	// Data is the value; nil where there is none. It belongs to the caller, except from a [Reader].
	Data []byte
	// Age is how long ago the value was stored or last found unchanged; 0 where there is none.
	Age time.Duration
	// Fresh is true where the value is younger than its TTL.
	Fresh bool
	// Stale is !Fresh: also true where there is no value.
	Stale bool

	// State is fresh, stale, expired or absent.
	State State
	// StoredAt is when the value was stored; zero where there is none.
	StoredAt time.Time
	// Validator is what the server said identifies this version, or empty.
	Validator string
	// Extra is text that was stored beside the value, or empty.
	Extra string
	// Version identifies the value.
	Version Version
	// How says where the value came from; empty from Read and Put.
	How How
	// Phase says what the source's refresh is doing; always there where the value isn't fresh.
	Phase Phase
	// Err says why the value is not better than it is: the last refresh failed, a gate is in force, or what is on
	// disk is damaged; else nil.
	Err error
}

// RefreshState is what is known of a source's refreshes. Its first five fields are those of the original package.
type RefreshState struct {
	// InFlight is true while a refresh runs and, as in the original, while a failed one cools down; see Phase.
	InFlight bool
	// Failed is true where the last refresh failed.
	Failed bool
	// LastError is the text of the last failure.
	LastError string
	// StartedAt and Deadline belong to the refresh that is running; zero where none is.
	StartedAt, Deadline time.Time

	// Phase tells a running refresh from one that cools down.
	Phase Phase
	// Err is the last failure, or nil.
	Err error
	// RetryAt is when the next attempt may be made; zero if now.
	RetryAt time.Time
	// Attempts counts the failures in a row.
	Attempts int
	// Declared is true where the server gave RetryAt, false where it was guessed.
	Declared bool
	// HolderPID is the process that runs the refresh; 0 where none does, or it is not known.
	HolderPID int
}

// Listed is one source as List finds it.
type Listed struct {
	// Key is tier/name, with ~ and the hash of the identity where the source has one.
	Key              string
	Tier, Name       string
	State            State
	Age              time.Duration
	Size             int64 // bytes
	StoredAt         time.Time
	Phase            Phase
	Validator, Extra string
	Version          Version
	Err              error     // the last failure, or damage
	RetryAt          time.Time // zero if now
}

// Pruned is what PruneReport did.
type Pruned struct {
	// Removed are the keys of the sources that are gone.
	Removed []string
	// Skipped are those that were to go and did not, each with the reason.
	Skipped []Skipped
	// Swept counts the orphaned side files and temporary files that were removed.
	Swept int
}

// Skipped is a source that PruneReport left alone.
type Skipped struct{ Key, Reason string }

// Why says which fact decided what a read of the source would return now.
type Why struct {
	// Text is a sentence.
	Text string
	// CacheStatus is the same as a Cache-Status line (RFC 9211).
	CacheStatus string
	State       State
	Phase       Phase
}
