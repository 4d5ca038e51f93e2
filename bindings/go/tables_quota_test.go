// What the tables of tests/vectors say of quotas and credentials: the names of their files, and the defaults, which are
// told by what they do.

package forebay_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

func TestNamesOfQuotasAndCredentialsAreThoseOfTheTable(t *testing.T) {
	var table struct {
		Quotas        []struct{ Name, Identity, Key, Stem string }
		QuotasRefused []string `json:"quotas_refused"`
		Credentials   []struct{ Key, Folder, Stem string }
	}
	readTable(t, "names.json", &table)
	if len(table.Quotas) == 0 || len(table.QuotasRefused) == 0 || len(table.Credentials) == 0 {
		t.Fatal("the table is empty")
	}
	for _, row := range table.Quotas {
		cache := newCache(t)
		usage := cache.Quota(row.Name, forebay.QuotaOptions{Identity: row.Identity})
		_, err := usage.Resolve(bounded(t), only(answers(`{}`)))
		must(t, err)
		if _, err := os.Stat(filepath.Join(cache.Root, row.Stem+".json")); err != nil {
			t.Errorf("%q of %q: %v", row.Name, row.Identity, err)
		}
		key, err := usage.Key()
		must(t, err)
		equal(t, "key", key, row.Key)
		listed, err := cache.Quotas()
		must(t, err)
		if len(listed) != 1 || listed[0].Key != row.Key || listed[0].Name != row.Name {
			t.Errorf("%q is listed as %+v", row.Key, listed)
		}
	}
	for _, name := range table.QuotasRefused {
		_, err := newCache(t).Quota(name, forebay.QuotaOptions{}).Read()
		isError(t, err, forebay.ErrInvalid)
	}
	creds := newCredentials(t)
	folder, err := creds.Folder()
	must(t, err)
	for _, row := range table.Credentials {
		_, err := creds.Reset(row.Key, []byte("one"))
		must(t, err)
		if _, err := os.Stat(filepath.Join(folder, row.Folder, row.Stem+".json")); err != nil {
			t.Errorf("%q: %v", row.Key, err)
		}
	}
}

func TestDefaultsOfQuotasAreThoseOfTheTable(t *testing.T) {
	var table struct {
		Quota struct {
			TTL          time.Duration    `json:"ttl_ms"`
			Timeout      time.Duration    `json:"timeout_ms"`
			MaxStale     time.Duration    `json:"max_stale_ms"`
			RateLimited  time.Duration    `json:"rate_limited_ms"`
			Unauthorized time.Duration    `json:"unauthorized_ms"`
			Backoff      [2]time.Duration `json:"backoff_ms"`
		}
	}
	readTable(t, "defaults.json", &table)
	is := table.Quota
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	from.job = func(job *forebay.QuotaJob) { equal(t, "timeout", job.Remaining(), is.Timeout*time.Millisecond) }
	from.answers(usage, forebay.HowRan, from.body, "credentials fetch")
	clock.advance(is.TTL*time.Millisecond - time.Millisecond)
	from.answers(usage, forebay.HowFresh, from.body, "")
	clock.advance(time.Millisecond)
	retries := func(what string, err error, want time.Duration) {
		t.Helper()
		from.err = err
		_, _ = usage.Resolve(bounded(t), from.source())
		state, err := usage.Read()
		must(t, err)
		equal(t, what, clock.in(state.Blocked.Until), want*time.Millisecond)
		clock.advance(want * time.Millisecond)
	}
	retries("backoff, first", forebay.ErrRefreshFailed, is.Backoff[0])
	for range 10 {
		clock.advance(is.Backoff[1] * time.Millisecond)
		_, _ = usage.Resolve(bounded(t), from.source())
	}
	clock.advance(is.Backoff[1] * time.Millisecond)
	retries("backoff, at last", forebay.ErrRefreshFailed, is.Backoff[1])
	retries("rate limited", forebay.ErrRateLimited, is.RateLimited)
	state, err := usage.Read()
	must(t, err)
	clock.advance((is.TTL+is.MaxStale)*time.Millisecond - state.Answer.Age)
	state, err = usage.Read()
	must(t, err)
	equal(t, "at the end of max stale", state.Answer.State, forebay.StateStale)
	clock.advance(time.Millisecond)
	state, err = usage.Read()
	must(t, err)
	equal(t, "beyond it", state.Answer.State, forebay.StateExpired)
	retries("unauthorized", forebay.ErrUnauthorized, is.Unauthorized)
}

func TestDefaultsOfCredentialsAreThoseOfTheTable(t *testing.T) {
	var table struct {
		Credentials struct {
			Deadline time.Duration `json:"deadline_ms"`
		}
	}
	readTable(t, "defaults.json", &table)
	creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{
		Root: filepath.Join(t.TempDir(), "state"), TestClock: newClock(t).path,
	})
	must(t, err)
	defer creds.Close()
	_, err = creds.Rotate(bounded(t), login, "", func(ctx context.Context, _ []byte) ([]byte, error) {
		equal(t, "deadline", forebay.JobFrom(ctx).Remaining(), table.Credentials.Deadline*time.Millisecond)
		return []byte("one"), nil
	})
	must(t, err)
}
