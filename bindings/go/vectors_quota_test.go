// The ops on quotas and credentials of the runner in vectors_test.go.

package forebay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

// returns is what a function returns; nil for one that has nothing.
func returns(value any) forebay.Refresher {
	if value == nil {
		return func(context.Context) ([]byte, error) { return nil, nil }
	}
	data := bytesOf(value)
	return func(context.Context) ([]byte, error) { return slices.Clone(data), nil }
}

// responds is what an HTTP answer comes to.
func responds(status int, retryAfter string) forebay.Refresher {
	return func(ctx context.Context) ([]byte, error) {
		response := &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{}, Body: http.NoBody}
		if retryAfter != "" {
			response.Header.Set("Retry-After", retryAfter)
		}
		return forebay.FromResponse(ctx, response)
	}
}

// callees are the functions of one step, and what became of them.
type callees struct {
	*stage
	called []any  // those that were called, in order
	thrown error  // what the first of them that failed threw, where it did throw
	failed bool   // one has failed
	job    object // what the step's job told
}

// callee takes a function of the step; nil where it has none.
func (c *callees) callee(f object, name, place string) forebay.Refresher {
	described := take[object](f, name)
	if described == nil {
		return nil
	}
	thrown, ran := errors.New(fmt.Sprint(described["throws"])), false
	throws := described["throws"] != nil
	run := c.refresher(described, place+"."+name, &ran, thrown)
	return func(ctx context.Context) ([]byte, error) {
		c.mu.Lock()
		if slices.Contains(c.called, any(name)) {
			c.inside = broken{name + " was called twice"}
		}
		c.called = append(c.called, name)
		c.mu.Unlock()
		data, err := run(ctx)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err != nil && !errors.Is(err, forebay.ErrUnchanged) && !c.failed && name != "fallback" {
			c.failed = true
			if throws {
				c.thrown = thrown
			}
		}
		return data, err
	}
}

// told adds what the functions of a step were told to what its call found.
func (c *callees) told(out object, err error) object {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.thrown != nil && err != nil && !errors.Is(err, c.thrown) {
		breaks("the function's own error did not come back: %v", err)
	}
	out["called"], out["ran"] = append([]any{}, c.called...), len(c.called) > 0
	for name, value := range c.job {
		out[name] = value
	}
	return out
}

// saw remembers what a job tells.
func (c *callees) saw(job *forebay.Job, credential any) {
	told := object{
		"previous": nil, "validator": orNil(job.Validator()), "remaining_ms": float64(job.Remaining().Milliseconds()),
		"credential": credential,
	}
	if previous := job.Previous(); previous != nil {
		told["previous"] = string(previous)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.job = told
}

func (s *stage) quotaOf(f object) *forebay.Quota {
	cache := s.cacheOf(f)
	for name, value := range s.quota {
		if _, own := f[name]; !own {
			f[name] = value
		}
	}
	name := "usage"
	if _, given := f["name"]; given {
		name = take[string](f, "name")
	}
	options := forebay.QuotaOptions{
		Identity: take[string](f, "identity"), TTL: ms(f, "ttl_ms"), ErrorTTL: ms(f, "error_ttl_ms"),
		RateLimited: ms(f, "rate_limited_ms"), Unauthorized: ms(f, "unauthorized_ms"), Timeout: ms(f, "timeout_ms"),
		MaxStale: ms(f, "max_stale_ms"), Wait: ms(f, "wait_ms"),
	}
	if pair := take[[]any](f, "backoff_ms"); pair != nil {
		f["floor"], f["cap"] = pair[0], pair[1]
		options.BackoffFloor, options.BackoffCap = ms(f, "floor"), ms(f, "cap")
	}
	return cache.Quota(name, options)
}

func (s *stage) prepareQuota(op string, f object, place string) func() object {
	if op == "quotas" {
		cache := s.cacheOf(f)
		return func() object {
			keys, err := cache.Quotas()
			return s.found(err, func() object {
				out := []any{}
				for _, key := range keys {
					out = append(out, key.Key)
				}
				return object{"keys": out}
			})
		}
	}
	quota := s.quotaOf(f)
	switch op {
	case "quota_resolve":
		return s.prepareResolve(quota, f, place)
	case "quota_block":
		wait := time.Duration(need[float64](f, "for_ms")) * time.Millisecond
		code, ok := forebay.ParseCode(need[string](f, "code"))
		message := need[string](f, "message")
		if !ok {
			breaks("no such code")
		}
		return func() object {
			until, err := quota.Block(wait, code, message)
			return s.found(err, func() object { return object{"retry_in_ms": s.in(until)} })
		}
	case "quota_clear":
		return func() object {
			cleared, err := quota.Clear()
			return s.found(err, func() object { return object{"cleared": cleared} })
		}
	}
	return func() object {
		state, err := quota.Read()
		return s.found(err, func() object { return s.quotaState(state) })
	}
}

func (s *stage) prepareResolve(quota *forebay.Quota, f object, place string) func() object {
	c := &callees{stage: s}
	credentials, fetch, fallback := c.callee(f, "credentials", place), c.callee(f, "fetch", place), c.callee(f, "fallback", place)
	if fetch == nil {
		breaks(`it has no "fetch"`)
	}
	source := forebay.QuotaSource{
		Fetch: func(ctx context.Context, job *forebay.QuotaJob) ([]byte, error) {
			c.saw(job.Job, job.Credential())
			return fetch(ctx)
		},
		Fallback: fallback,
	}
	if credentials != nil {
		source.Credentials = func(ctx context.Context) (string, error) {
			data, err := credentials(ctx)
			return string(data), err
		}
	}
	return func() object {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		answer, err := quota.Resolve(ctx, source)
		return c.told(s.found(err, func() object { return s.answer(answer) }), err)
	}
}

func (s *stage) answer(a *forebay.Answer) object {
	if a == nil {
		return object{"data": nil, "json": nil, "state": "absent"}
	}
	out := object{
		"data": string(a.Data), "state": string(a.State), "how": orNil(a.How), "age_ms": float64(a.Age.Milliseconds()),
		"cached_in_ms": s.in(a.CachedAt), "retry_in_ms": s.in(a.RetryAt), "error": codeOf(a.Err), "says": fmt.Sprint(a.Err),
	}
	var decoded any
	try(json.Unmarshal(a.Data, &decoded))
	out["json"] = decoded
	return out
}

func (s *stage) quotaState(state forebay.QuotaState) object {
	out := s.answer(state.Answer)
	out["recorded_error"], out["phase"] = codeOf(state.RecordedErr), string(state.Phase)
	out["retry_in_ms"], out["error"], out["holder"] = nil, nil, holder(state.HolderPID)
	said := fmt.Sprint(state.RecordedErr)
	if gate := state.Blocked; gate != nil {
		out["retry_in_ms"], out["declared"], out["attempts"] = s.in(gate.Until), gate.Declared, float64(gate.Attempts)
		if gate.Code != 0 {
			out["error"] = gate.Code.String()
		}
		said += " " + gate.Message
	}
	out["says"] = said
	return out
}

// holder says who that process is.
func holder(pid int) any {
	switch pid {
	case 0:
		return nil
	case os.Getpid():
		return "self"
	}
	return "other"
}

func (s *stage) credentialsOf(f object) *forebay.Credentials {
	name := "a"
	if _, given := f["creds"]; given {
		name = take[string](f, "creds")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.credentials[name] == nil {
		creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{
			Root: filepath.Join(s.dir, "state"), TestClock: filepath.Join(s.dir, "clock"),
		})
		try(err)
		s.credentials[name] = creds
	}
	return s.credentials[name]
}

func (s *stage) prepareRotate(op string, f object, place string) func() object {
	creds, key := s.credentialsOf(f), need[string](f, "key")
	switch op {
	case "rotate_current":
		return func() object {
			current, err := creds.Current(key)
			if errors.Is(err, forebay.ErrNotFound) {
				return object{"data": nil}
			}
			return s.found(err, func() object { return s.credential(current) })
		}
	case "rotate_reset":
		var data []byte
		if given := take[any](f, "data"); given != nil {
			data = bytesOf(given)
		}
		return func() object {
			version, err := creds.Reset(key, data)
			return s.found(err, func() object {
				if version == "" {
					return object{"version": nil}
				}
				return object{"version": version}
			})
		}
	case "rotate_state":
		return func() object {
			state, err := creds.State(key)
			return s.found(err, func() object {
				return object{
					"phase": string(state.Phase), "ambiguous_for_ms": s.since(state.AmbiguousSince),
					"retry_in_ms": s.in(state.RetryAt), "error": codeOf(state.Err), "says": fmt.Sprint(state.Err),
					"version": state.Version,
				}
			})
		}
	}
	c, seen := &callees{stage: s}, forebay.Version("")
	if name := take[string](f, "seen"); name != "" {
		seen = s.version(name)
	}
	exchange := c.callee(f, "exchange", place)
	if exchange == nil {
		breaks(`it has no "exchange"`)
	}
	return func() object {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		got, err := creds.Rotate(ctx, key, seen, func(ctx context.Context, previous []byte) ([]byte, error) {
			c.saw(forebay.JobFrom(ctx), nil)
			return exchange(ctx)
		})
		return c.told(s.found(err, func() object { return s.credential(got) }), err)
	}
}

func (s *stage) credential(c *forebay.Credential) object {
	return object{
		"data": c.Text(), "how": orNil(c.How), "age_ms": s.since(c.StoredAt), "error": codeOf(c.Err),
		"says": fmt.Sprint(c.Err), "version": c.Version,
	}
}

// since is how many milliseconds ago that was; nil for the zero time.
func (s *stage) since(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return float64(s.now.Sub(at).Milliseconds())
}
