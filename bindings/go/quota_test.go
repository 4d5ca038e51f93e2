// Quotas: which of a source's functions are called, what is served while a gate is in force, and what an error says.

package forebay_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

const secret = "sk-very-secret"

// server is a quota's source that counts what is called.
type server struct {
	t      *testing.T
	called []string
	job    func(*forebay.QuotaJob)

	body     string
	err      error
	secret   string
	noSecret error
	local    string
	noLocal  error
}

func newServer(t *testing.T) *server { return &server{t: t, body: `{"used":1}`, secret: secret} }

func (s *server) source() forebay.QuotaSource {
	return forebay.QuotaSource{
		Credentials: func(context.Context) (string, error) {
			s.called = append(s.called, "credentials")
			return s.secret, s.noSecret
		},
		Fetch: func(ctx context.Context, job *forebay.QuotaJob) ([]byte, error) {
			s.called = append(s.called, "fetch")
			equal(s.t, "credential", job.Credential(), s.secret)
			if s.job != nil {
				s.job(job)
			}
			if s.err != nil {
				return nil, s.err
			}
			return []byte(s.body), nil
		},
		Fallback: func(context.Context) ([]byte, error) {
			s.called = append(s.called, "fallback")
			if s.local == "" {
				return nil, s.noLocal
			}
			return []byte(s.local), s.noLocal
		},
	}
}

// calls is what was called since it was asked last.
func (s *server) calls() string {
	out := strings.Join(s.called, " ")
	s.called = nil
	return out
}

// answers resolves, and fails the test unless that brings an answer so.
func (s *server) answers(q *forebay.Quota, how forebay.How, data, calls string) *forebay.Answer {
	s.t.Helper()
	got, err := q.Resolve(bounded(s.t), s.source())
	must(s.t, err)
	equal(s.t, "how", got.How, how)
	equal(s.t, "data", string(got.Data), data)
	equal(s.t, "called", s.calls(), calls)
	return got
}

// refuses resolves, and fails the test unless that fails so.
func (s *server) refuses(q *forebay.Quota, want error, calls string) *forebay.Error {
	s.t.Helper()
	got, err := q.Resolve(bounded(s.t), s.source())
	if got != nil {
		s.t.Errorf("there is an answer: %s", got.Data)
	}
	isError(s.t, err, want)
	equal(s.t, "called", s.calls(), calls)
	var failure *forebay.Error
	if !errors.As(err, &failure) {
		s.t.Fatalf("got %#v", err)
	}
	if strings.Contains(err.Error(), secret) {
		s.t.Errorf("%q has the secret in it", err)
	}
	return failure
}

// in is how long after the clock's now that is.
func (c *clock) in(at time.Time) time.Duration {
	if at.IsZero() {
		return 0
	}
	return time.Duration(at.UnixNano()) - c.wall
}

func TestAFreshAnswerAsksNobody(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	got := from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
	equal(t, "state", got.State, forebay.StateFresh)
	clock.advance(179 * time.Second)
	got = from.answers(usage, forebay.HowFresh, `{"used":1}`, "")
	equal(t, "age", got.Age, 179*time.Second)
	equal(t, "cached", clock.in(got.CachedAt), -179*time.Second)
	equal(t, "retry", got.RetryAt, time.Time{})
	equal(t, "error", got.Err, nil)
	var decoded struct{ Used int }
	must(t, got.Decode(&decoded))
	equal(t, "used", decoded.Used, 1)
	clock.advance(2 * time.Second)
	from.body = `{"used":2}`
	from.answers(usage, forebay.HowRan, `{"used":2}`, "credentials fetch")
}

func TestTheJobTellsWhatWasAndTakesWhatIs(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{Identity: "me"}), newServer(t)
	key, err := usage.Key()
	must(t, err)
	var left *forebay.QuotaJob
	from.job = func(job *forebay.QuotaJob) {
		left = job
		equal(t, "key", job.Key(), key)
		equal(t, "previous", job.Previous() == nil, true)
		equal(t, "validator", job.Validator(), "")
		equal(t, "headers", len(job.ConditionalHeaders()), 0)
		equal(t, "remaining", job.Remaining(), 2*time.Second)
		job.SetValidator(`"v1"`)
	}
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
	if left.Credential() != "" || left.Previous() != nil || left.Remaining() != 0 || left.Key() != "" {
		t.Error("a job outlives its fetch")
	}
	clock.advance(time.Hour)
	from.err = forebay.ErrUnchanged
	from.job = func(job *forebay.QuotaJob) {
		equal(t, "previous", string(job.Previous()), `{"used":1}`)
		equal(t, "validator", job.Validator(), `"v1"`)
		equal(t, "header", job.ConditionalHeaders().Get("If-None-Match"), `"v1"`)
	}
	got := from.answers(usage, forebay.HowUnchanged, `{"used":1}`, "credentials fetch")
	equal(t, "age", got.Age, 0)
	from.answers(usage, forebay.HowFresh, `{"used":1}`, "")
	if empty := (&forebay.QuotaJob{}); empty.Credential() != "" || empty.Previous() != nil {
		t.Error("a job from nothing has something")
	}
}

func TestBehindAGateTheLastAnswerIsServedStale(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
	clock.advance(10 * time.Minute)
	from.err = &forebay.Failure{Code: forebay.CodeRateLimited, Message: "slow down", RetryAfter: time.Hour}
	got := from.answers(usage, forebay.HowStale, `{"used":1}`, "credentials fetch")
	equal(t, "state", got.State, forebay.StateStale)
	equal(t, "age", got.Age, 10*time.Minute)
	equal(t, "retry", clock.in(got.RetryAt), time.Hour)
	isError(t, got.Err, forebay.ErrRateLimited)
	isError(t, got.Err, from.err)
	clock.advance(59 * time.Minute)
	got = from.answers(usage, forebay.HowStale, `{"used":1}`, "")
	equal(t, "retry", clock.in(got.RetryAt), time.Minute)
	isError(t, got.Err, forebay.ErrRateLimited)
	if errors.Is(got.Err, from.err) {
		t.Error("who only met the gate got another call's error")
	}
	clock.advance(2 * time.Minute)
	from.err = nil
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
	state, err := usage.Read()
	must(t, err)
	equal(t, "blocked", state.Blocked, nil)
}

func TestMaxStaleBoundsWhatIsServed(t *testing.T) {
	cache, clock := newClockedCache(t)
	from := newServer(t)
	usage := cache.Quota("usage", forebay.QuotaOptions{TTL: time.Minute, MaxStale: forebay.Zero})
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
	clock.advance(2 * time.Minute)
	from.err = forebay.ErrUnavailable
	from.refuses(usage, forebay.ErrUnavailable, "credentials fetch fallback")
	state, err := usage.Read()
	must(t, err)
	equal(t, "state", state.Answer.State, forebay.StateExpired)
	equal(t, "data", string(state.Answer.Data), `{"used":1}`)
}

func TestWithNothingToServeTheFallbackIsAndThenTheError(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	from.err = &forebay.Failure{Code: forebay.CodeUnavailable, RetryAfter: time.Minute, Cause: io.ErrUnexpectedEOF}
	failure := from.refuses(usage, io.ErrUnexpectedEOF, "credentials fetch fallback")
	equal(t, "code", failure.Code, forebay.CodeUnavailable)
	equal(t, "retry", clock.in(failure.RetryAt), time.Minute)
	failure = from.refuses(usage, forebay.ErrUnavailable, "fallback")
	equal(t, "retry, to the next", clock.in(failure.RetryAt), time.Minute)
	from.noLocal = errors.New("no log")
	failure = from.refuses(usage, forebay.ErrUnavailable, "fallback")
	if errors.Is(failure, from.noLocal) {
		t.Error("the fallback's error hides the first one")
	}
	from.local, from.noLocal = `{"used":0}`, nil
	got := from.answers(usage, forebay.HowFallback, `{"used":0}`, "fallback")
	equal(t, "cached at", got.CachedAt, time.Time{})
	isError(t, got.Err, forebay.ErrUnavailable)
	none := from.source()
	none.Fallback = nil
	_, err := usage.Resolve(bounded(t), none)
	isError(t, err, forebay.ErrUnavailable)
}

func TestARefusedCredentialTakesTheAnswerAlongAndAnotherOpensTheGate(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
	clock.advance(10 * time.Minute)
	from.err = forebay.ErrUnauthorized
	failure := from.refuses(usage, forebay.ErrUnauthorized, "credentials fetch fallback")
	equal(t, "retry", clock.in(failure.RetryAt), 5*time.Minute)
	state, err := usage.Read()
	must(t, err)
	equal(t, "answer", state.Answer, nil)
	equal(t, "code", state.Blocked.Code, forebay.CodeUnauthorized)
	from.refuses(usage, forebay.ErrUnauthorized, "credentials fallback")
	from.secret, from.err = "another", nil
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
}

func TestCredentialsThatFailSetNoGate(t *testing.T) {
	cache := newCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	from.noSecret = errors.New("the keychain is locked")
	from.refuses(usage, from.noSecret, "credentials fallback")
	from.local = `{}`
	got := from.answers(usage, forebay.HowFallback, `{}`, "credentials fallback")
	isError(t, got.Err, from.noSecret)
	state, err := usage.Read()
	must(t, err)
	equal(t, "blocked", state.Blocked, nil)
	from.noSecret = nil
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
}

func TestWithoutCredentialsFetchGetsNone(t *testing.T) {
	usage := newCache(t).Quota("usage", forebay.QuotaOptions{})
	got, err := usage.Resolve(bounded(t), forebay.QuotaSource{
		Fetch: func(_ context.Context, job *forebay.QuotaJob) ([]byte, error) {
			equal(t, "credential", job.Credential(), "")
			return []byte(`[1, 2]`), nil
		},
	})
	must(t, err)
	equal(t, "data", string(got.Data), `[1, 2]`)
	_, err = usage.Resolve(bounded(t), forebay.QuotaSource{})
	isError(t, err, forebay.ErrInvalid)
}

func TestWhatIsNotJSONIsAFailure(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	for _, body := range []string{"", "<html>", "{"} {
		from.body = body
		failure := from.refuses(usage, forebay.ErrRefreshFailed, "credentials fetch fallback")
		if clock.in(failure.RetryAt) <= 0 {
			t.Errorf("%q: no gate", body)
		}
		clock.advance(time.Hour)
	}
}

func TestUnchangedWithoutAnAnswerIsAFailure(t *testing.T) {
	usage, from := newCache(t).Quota("usage", forebay.QuotaOptions{}), newServer(t)
	from.err = forebay.ErrUnchanged
	if _, err := usage.Resolve(bounded(t), from.source()); err == nil {
		t.Error("there is an answer")
	}
	state, err := usage.Read()
	must(t, err)
	equal(t, "phase", state.Phase == forebay.PhaseRunning, false)
}

func TestBlockAndClear(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	until, err := usage.Block(time.Hour, forebay.CodeRateLimited, "by hand")
	must(t, err)
	equal(t, "until", clock.in(until), time.Hour)
	until, err = usage.Block(time.Minute, forebay.CodeUnavailable, "sooner")
	must(t, err)
	equal(t, "merged to the later", clock.in(until), time.Hour)
	failure := from.refuses(usage, forebay.ErrRateLimited, "fallback")
	if !strings.Contains(failure.Error(), "by hand") {
		t.Errorf("%q doesn't say why", failure)
	}
	state, err := usage.Read()
	must(t, err)
	equal(t, "until", clock.in(state.Blocked.Until), time.Hour)
	equal(t, "code", state.Blocked.Code, forebay.CodeRateLimited)
	equal(t, "message", state.Blocked.Message, "by hand")
	equal(t, "declared", state.Blocked.Declared, true)
	equal(t, "phase", state.Phase, forebay.PhaseCooling)
	for _, want := range []bool{true, false} {
		cleared, err := usage.Clear()
		must(t, err)
		equal(t, "cleared", cleared, want)
	}
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
}

func TestIdentitiesAreApartAndListed(t *testing.T) {
	cache := newCache(t)
	from := newServer(t)
	for _, identity := range []string{"", "me", "you"} {
		from.body = `"` + identity + `"`
		usage := cache.Quota("usage", forebay.QuotaOptions{Identity: identity})
		equal(t, "options", usage.Options().Identity, identity)
		from.answers(usage, forebay.HowRan, from.body, "credentials fetch")
	}
	listed, err := cache.Quotas()
	must(t, err)
	equal(t, "listed", len(listed), 3)
	for _, one := range listed {
		equal(t, "name", one.Name, "usage")
		stem := one.Name
		if one.IdentityHash != "" {
			equal(t, "hash", len(one.IdentityHash), 16)
			stem += "~" + one.IdentityHash
		}
		equal(t, "key", one.Key, stem)
		_, err := os.Stat(filepath.Join(cache.Root, stem+".json"))
		must(t, err)
	}
	_, err = cache.Quota("", forebay.QuotaOptions{}).Read()
	isError(t, err, forebay.ErrInvalid)
	_, err = cache.Quota("", forebay.QuotaOptions{}).Resolve(bounded(t), from.source())
	isError(t, err, forebay.ErrInvalid)
	_, err = cache.Quota("usage", forebay.QuotaOptions{Durability: "eternal"}).Clear()
	isError(t, err, forebay.ErrInvalid)
}

func TestTheFilesAreTheOriginals(t *testing.T) {
	cache, clock := newClockedCache(t)
	must(t, os.MkdirAll(cache.Root, 0o700))
	written := time.Unix(0, int64(clock.wall)).UTC().Format(time.RFC3339)
	must(t, os.WriteFile(filepath.Join(cache.Root, "usage.json"), []byte(
		`{"schema_version":1,"cached_at":"`+written+`","data":{"five_hour": {"utilization": 7}},"error":null}`), 0o600))
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	got := from.answers(usage, forebay.HowFresh, `{"five_hour": {"utilization": 7}}`, "")
	equal(t, "state", got.State, forebay.StateFresh)
	clock.advance(time.Hour)
	from.err = &forebay.Failure{Code: forebay.CodeRateLimited, RetryAfter: time.Hour}
	from.answers(usage, forebay.HowStale, `{"five_hour": {"utilization": 7}}`, "credentials fetch")
	gate, err := os.ReadFile(filepath.Join(cache.Root, "usage.lock"))
	must(t, err)
	if !strings.Contains(string(gate), `"RateLimited"`) || !strings.Contains(string(gate), `"blocked_until"`) {
		t.Errorf("the gate is %s", gate)
	}
}

// leaked names a file below the folder that has the text in it, or "".
func leaked(t *testing.T, folder, text string) string {
	found := ""
	must(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), text) {
			found = path
		}
		return err
	}))
	return found
}

func TestACredentialIsNotOnTheDisk(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage, from := cache.Quota("usage", forebay.QuotaOptions{}), newServer(t)
	from.answers(usage, forebay.HowRan, `{"used":1}`, "credentials fetch")
	clock.advance(time.Hour)
	from.err = forebay.ErrUnauthorized
	from.refuses(usage, forebay.ErrUnauthorized, "credentials fetch fallback")
	if found := leaked(t, cache.Root, secret); found != "" {
		t.Errorf("it is in %s", found)
	}
}
