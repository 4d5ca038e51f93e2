// The tables of tests/vectors that every binding is compared with: names, and defaults and words. That of the error codes
// is in error_test.go.

package forebay_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

func readTable(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../tests/vectors", name))
	must(t, err)
	must(t, json.Unmarshal(text, into))
}

func TestNamesAreThoseOfTheTable(t *testing.T) {
	var table struct {
		Names   []struct{ Tier, Name, Identity, Folder, Stem string }
		Refused []string
		Keys    []struct{ Text, Tier, Name string }
	}
	readTable(t, "names.json", &table)
	if len(table.Names) == 0 || len(table.Refused) == 0 || len(table.Keys) == 0 {
		t.Fatalf("the table is empty: %+v", table)
	}
	cache := newCache(t)
	for _, row := range table.Names {
		_, err := cache.Put(forebay.Source{Tier: row.Tier, Name: row.Name, Identity: row.Identity}, []byte("x"), forebay.Commit{})
		must(t, err)
		if _, err := os.Stat(filepath.Join(cache.Root, row.Folder, row.Stem+".json")); err != nil {
			t.Errorf("%q / %q: %v", row.Tier, row.Name, err)
		}
	}
	for _, key := range table.Refused {
		for _, source := range []forebay.Source{{Name: key}, forebay.ParseKey(key)} {
			_, err := cache.Put(source, []byte("x"), forebay.Commit{})
			isError(t, err, forebay.ErrInvalid)
		}
	}
	for _, row := range table.Keys {
		source := forebay.ParseKey(row.Text)
		equal(t, "tier of "+row.Text, source.Tier, row.Tier)
		equal(t, "name of "+row.Text, source.Name, row.Name)
	}
}

func TestDefaultsAndWordsAreThoseOfTheTable(t *testing.T) {
	var table struct {
		States, Hows, Phases, Events, Started, Durabilities []string
		Options                                             struct {
			Tier       string
			Durability forebay.Durability
			Deadline   time.Duration `json:"deadline_ms"`
		}
	}
	readTable(t, "defaults.json", &table)
	equal(t, "tier", forebay.DefaultTier, table.Options.Tier)
	equal(t, "deadline", forebay.DefaultDeadline, table.Options.Deadline*time.Millisecond)
	equal(t, "durability", forebay.DurabilityData, table.Options.Durability)
	for what, words := range map[string][2][]string{
		"states": {table.States, texts(forebay.StateFresh, forebay.StateStale, forebay.StateExpired, forebay.StateAbsent)},
		"hows": {table.Hows, texts(forebay.HowFresh, forebay.HowRan, forebay.HowUnchanged, forebay.HowCoalesced,
			forebay.HowStale, forebay.HowFallback, forebay.HowUncoordinated)},
		"phases": {table.Phases, texts(forebay.PhaseIdle, forebay.PhaseRunning, forebay.PhaseCooling)},
		"started": {table.Started, texts(forebay.StartedNow, forebay.StartedFresh, forebay.StartedInFlight,
			forebay.StartedGated)},
		"durabilities": {table.Durabilities, texts(forebay.DurabilityNone, forebay.DurabilityData, forebay.DurabilityFull)},
	} {
		if !reflect.DeepEqual(words[0], words[1]) {
			t.Errorf("%s: the table has %q, Go %q", what, words[0], words[1])
		}
	}
	counters, err := newCache(t).Counters()
	must(t, err)
	equal(t, "kinds of events", len(counters), len(table.Events))
	for _, kind := range table.Events {
		if _, known := counters[forebay.EventKind(kind)]; !known {
			t.Errorf("there is no event %s", kind)
		}
	}
	acquired, err := newCache(t).Acquire(forebay.Source{Name: "unset"}, forebay.AcquireOptions{})
	must(t, err)
	defer acquired.Ticket.Close()
	if left := acquired.Ticket.Remaining(); left > forebay.DefaultDeadline || left < forebay.DefaultDeadline/2 {
		t.Errorf("a ticket without a deadline has %v", left)
	}
}

func texts[T ~string](all ...T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = string(one)
	}
	return out
}
