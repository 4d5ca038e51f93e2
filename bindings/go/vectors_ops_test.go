// The ops of the runner in vectors_test.go: how a step's fields become a call, and what came of it an object.

package forebay_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

type source struct {
	*forebay.Cache
	forebay.Source
}

// take takes a field that has to be of that type; the zero value where it isn't there.
func take[T any](f object, name string) T {
	value, found := f[name]
	delete(f, name)
	out, ok := value.(T)
	if found && !ok {
		breaks("%q is %v", name, value)
	}
	return out
}

func need[T any](f object, name string) T {
	if _, found := f[name]; !found {
		breaks("it has no %q", name)
	}
	return take[T](f, name)
}

func finish(f object) {
	for name := range f {
		breaks("unknown field %q", name)
	}
}

// ms takes a duration as a Source has it: 0 is unset, Zero is 0.
func ms(f object, name string) time.Duration {
	_, found := f[name]
	if d := time.Duration(take[float64](f, name)) * time.Millisecond; d != 0 || !found {
		return d
	}
	return forebay.Zero
}

func bytesOf(value any) []byte {
	switch v := value.(type) {
	case string:
		return []byte(v)
	case object:
		if fill, ok := v["fill"].([]any); ok {
			return slices.Repeat([]byte{byte(fill[0].(float64))}, int(fill[1].(float64)))
		}
		out, err := hex.DecodeString(need[string](v, "hex"))
		try(err)
		return out
	}
	breaks("%v is not bytes", value)
	return nil
}

func commitOf(f object) forebay.Commit {
	c := take[object](f, "commit")
	defer finish(c)
	return forebay.Commit{Validator: take[string](c, "validator"), TTL: ms(c, "ttl_ms"), MaxStale: ms(c, "max_stale_ms")}
}

func failureOf(f object) error {
	code, ok := forebay.ParseCode(need[string](f, "code"))
	if !ok {
		breaks("no such code")
	}
	return &forebay.Failure{Code: code, Message: need[string](f, "message"), RetryAfter: ms(f, "retry_after_ms"), NotSent: take[bool](f, "not_sent")}
}

func (s *stage) source(cache *forebay.Cache, f object) source {
	for name, value := range s.defaults {
		if _, own := f[name]; !own {
			f[name] = value
		}
	}
	out := forebay.Source{
		Name: need[string](f, "key"), TTL: ms(f, "ttl_ms"), RefreshDeadline: ms(f, "deadline_ms"),
		MaxStale: ms(f, "max_stale_ms"), StaleIfError: ms(f, "stale_if_error_ms"), Identity: take[string](f, "identity"),
	}
	if pair := take[[]any](f, "backoff_ms"); pair != nil {
		f["floor"], f["cap"] = pair[0], pair[1]
		out.BackoffFloor, out.BackoffCap = ms(f, "floor"), ms(f, "cap")
	}
	return source{cache, out}
}

func (s *stage) hold(name string) *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds[name] == nil {
		s.holds[name] = newHeld()
	}
	return s.holds[name]
}

func await[T any](what string, channel <-chan T) (got T) {
	select {
	case got = <-channel:
	case <-time.After(limit):
		breaks("%s: nothing after %v", what, limit)
	}
	return got
}

// refresher is one as f describes it; it sets ran, and throws that error where it is to throw one.
func (s *stage) refresher(f object, place string, ran *bool, thrown error) forebay.Refresher {
	during, hold, end := take[[]any](f, "during"), take[string](f, "hold"), forebay.Refresher(nil)
	commit := commitOf(f)
	switch {
	case f["fails"] != nil:
		failure := take[object](f, "fails")
		end = fails(failureOf(failure))
		finish(failure)
	case f["throws"] != nil:
		end = fails(thrown)
		delete(f, "throws")
	case take[bool](f, "unchanged"):
		end = fails(forebay.ErrUnchanged)
	case f["status"] != nil:
		end = responds(int(take[float64](f, "status")), take[string](f, "retry_after"))
	default:
		value, given := f["returns"]
		if delete(f, "returns"); !given {
			breaks("a function does nothing")
		}
		end = returns(value)
	}
	finish(f)
	return func(ctx context.Context) ([]byte, error) {
		s.mu.Lock()
		*ran = true
		s.mu.Unlock()
		defer func() {
			if why := recover(); why != nil {
				s.mu.Lock()
				s.inside = why
				s.mu.Unlock()
			}
		}()
		s.run(during, place+".during.")
		if hold != "" {
			s.hold(hold).enter()
			await("release of "+hold, s.hold(hold).let)
		}
		job := forebay.JobFrom(ctx)
		job.SetValidator(commit.Validator)
		job.SetTTL(commit.TTL)
		job.SetMaxStale(commit.MaxStale)
		return end(ctx)
	}
}

var inBackground = []string{"refresh", "get", "maybe_refresh_sync", "wait_for_change", "quota_resolve", "rotate"}

// prepare takes a step's fields, and returns what runs it.
func (s *stage) prepare(op string, f object, place string) func() object {
	switch op {
	case "open", "close", "list", "prune":
		return s.prepareWhole(op, f)
	case "refresh", "get", "maybe_refresh", "maybe_refresh_sync":
		return s.prepareRefresh(op, f, place)
	case "ticket", "complete", "unchanged", "fail", "renew", "drop":
		return s.prepareTicket(op, f)
	case "read", "load", "put", "mark_stale", "remove", "refresh_state", "wait_for_change", "acquire", "why", "idle":
		return s.preparePlain(op, f)
	case "actor", "tell", "kill":
		return s.prepareActor(op, f)
	case "quota_resolve", "quota_read", "quota_block", "quota_clear", "quotas":
		return s.prepareQuota(op, f, place)
	case "rotate", "rotate_current", "rotate_reset", "rotate_state":
		return s.prepareRotate(op, f, place)
	case "files":
		root := s.below(f)
		return func() object { return object{"files": walk(root)} }
	case "join":
		name := need[string](f, "background")
		return func() object {
			running := s.running[name]
			if running == nil {
				breaks("no %q runs", name)
			}
			delete(s.running, name)
			return await(name, running)()
		}
	case "entered", "release":
		hold := s.hold(need[string](f, "hold"))
		return func() object {
			if op == "entered" {
				await("the refresher", hold.began)
			} else {
				hold.release()
			}
			return nothing()
		}
	case "advance":
		both, wall := take[float64](f, "ms"), take[float64](f, "wall_ms")
		return func() object {
			s.advance(time.Duration(both)*time.Millisecond, time.Duration(wall)*time.Millisecond)
			return nothing()
		}
	}
	return s.prepareFile(op, f)
}

func (s *stage) cacheOf(f object) *forebay.Cache {
	name := "a"
	if _, given := f["cache"]; given {
		name = take[string](f, "cache")
	}
	if s.caches[name] == nil {
		breaks("no cache %q was opened", name)
	}
	return s.caches[name]
}

func (s *stage) prepareWhole(op string, f object) func() object {
	if op == "open" {
		name, durability := need[string](f, "cache"), forebay.Durability(take[string](f, "durability"))
		return func() object { return s.found(s.open(name, durability), nothing) }
	}
	cache := s.cacheOf(f)
	switch op {
	case "close":
		return func() object { return s.found(cache.Close(), nothing) }
	case "list":
		return func() object {
			listed, err := cache.List()
			return s.found(err, func() object {
				out := []any{}
				for _, one := range listed {
					out = append(out, object{
						"key": one.Key, "state": string(one.State), "age_ms": float64(one.Age.Milliseconds()),
						"size": float64(one.Size), "phase": string(one.Phase), "validator": orNil(one.Validator),
						"error": codeOf(one.Err),
					})
				}
				return object{"list": out}
			})
		}
	}
	var keep []forebay.Source
	for _, key := range need[[]any](f, "keep") {
		keep = append(keep, forebay.Source{Name: key.(string)})
	}
	return func() object {
		pruned, err := cache.PruneReport(keep)
		return s.found(err, func() object {
			removed, skipped := []any{}, []any{}
			for _, key := range pruned.Removed {
				removed = append(removed, key)
			}
			for _, one := range pruned.Skipped {
				skipped = append(skipped, one.Key)
			}
			return object{"removed_keys": removed, "skipped_keys": skipped}
		})
	}
}

func (s *stage) prepareRefresh(op string, f object, place string) func() object {
	source := s.source(s.cacheOf(f), f)
	fn := need[object](f, "fn")
	throws, thrown, ran := fn["throws"] != nil, errors.New(fmt.Sprint(fn["throws"])), false
	refresher := s.refresher(fn, place, &ran, thrown)
	var refreshing []forebay.RefreshOption
	var getting []forebay.GetOption
	if _, given := f["min_fresh_in_ms"]; given && op == "refresh" {
		at := s.now.Add(time.Duration(take[float64](f, "min_fresh_in_ms")) * time.Millisecond)
		refreshing = append(refreshing, forebay.MinFreshAt(at))
	}
	if op == "refresh" && take[bool](f, "override_gate") {
		refreshing = append(refreshing, forebay.OverrideGate())
	}
	if _, given := f["wait_ms"]; given && op == "get" {
		getting = append(getting, forebay.Wait(time.Duration(take[float64](f, "wait_ms"))*time.Millisecond))
	}
	return func() (out object) {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		var value forebay.ReadResult
		var err error
		switch op {
		case "refresh":
			value, err = source.RefreshContext(ctx, source.Source, refresher, refreshing...)
		case "get":
			value, err = source.Get(ctx, source.Source, refresher, getting...)
		case "maybe_refresh_sync":
			value, err = source.RefreshIfStale(ctx, source.Source, refresher)
		default:
			started, err := source.StartRefresh(source.Source, refresher)
			out = s.found(err, func() object { return object{"outcome": string(started)} })
		}
		if out == nil {
			out = s.value(value, err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		out["ran"] = ran
		if throws && err != nil && !errors.Is(err, thrown) {
			breaks("the refresher's own error did not come back: %v", err)
		}
		return out
	}
}

func (s *stage) prepareTicket(op string, f object) func() object {
	name := need[string](f, "ticket")
	ticket := s.tickets[name]
	if ticket == nil {
		breaks("there is no ticket %q", name)
	}
	switch op {
	case "complete":
		data, commit := bytesOf(need[any](f, "data")), commitOf(f)
		return func() object { return s.value(ticket.Complete(data, commit)) }
	case "unchanged":
		commit := commitOf(f)
		return func() object { return s.value(ticket.Unchanged(commit)) }
	case "fail":
		failure := failureOf(f)
		return func() object { return s.found(ticket.Fail(failure), nothing) }
	case "renew":
		d := time.Duration(need[float64](f, "ms")) * time.Millisecond
		return func() object { return s.found(ticket.Renew(d), nothing) }
	case "drop":
		return func() object {
			ticket.Close()
			delete(s.tickets, name)
			return nothing()
		}
	}
	return func() object {
		out := object{
			"cancelled": ticket.Cancelled(), "previous": nil, "validator": orNil(ticket.Validator()),
			"remaining_ms": float64(ticket.Remaining().Milliseconds()),
		}
		if previous := ticket.Previous(); previous != nil {
			out["previous"] = string(previous)
		}
		return out
	}
}

func (s *stage) preparePlain(op string, f object) func() object {
	source := s.source(s.cacheOf(f), f)
	switch op {
	case "read":
		return func() object { return s.value(source.Read(source.Source)) }
	case "load":
		name := need[string](f, "reader")
		return func() object {
			if s.readers[name] == nil {
				reader, err := source.Reader(source.Source)
				if err != nil {
					return s.found(err, nothing)
				}
				s.readers[name] = reader
			}
			return s.value(s.readers[name].Read())
		}
	case "put":
		data, commit := bytesOf(need[any](f, "data")), commitOf(f)
		return func() object { return s.value(source.Put(source.Source, data, commit)) }
	case "mark_stale":
		return func() object { return s.found(source.MarkStale(source.Source), nothing) }
	case "remove":
		return func() object {
			removed, err := source.Remove(source.Source)
			return s.found(err, func() object { return object{"removed": removed} })
		}
	case "refresh_state":
		return func() object { return s.state(source.RefreshState(source.Source)) }
	case "why":
		return func() object {
			why, err := source.Why(source.Source)
			return s.found(err, func() object {
				return object{"state": string(why.State), "phase": orNil(why.Phase), "says": why.Text}
			})
		}
	case "idle":
		return func() object {
			s.idle(source)
			return nothing()
		}
	case "acquire":
		return s.prepareAcquire(source, f)
	}
	since, timeout := s.version(need[string](f, "since")), limit
	if _, given := f["timeout_ms"]; given {
		timeout = time.Duration(take[float64](f, "timeout_ms")) * time.Millisecond
	}
	return func() object {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		_, err := source.WaitForChange(ctx, source.Source, since)
		if errors.Is(err, context.DeadlineExceeded) {
			return object{"changed": false}
		}
		return s.found(err, func() object { return object{"changed": true} })
	}
}

func (s *stage) prepareAcquire(source source, f object) func() object {
	name := need[string](f, "ticket")
	options := forebay.AcquireOptions{
		UnlessFresh: take[bool](f, "unless_fresh"), Force: take[bool](f, "force"), OverrideGate: take[bool](f, "override_gate"),
	}
	if since := take[string](f, "since"); since != "" {
		version := s.version(since)
		options.UnlessChangedSince = &version
	}
	return func() object {
		acquired, err := source.Acquire(source.Source, options)
		return s.found(err, func() object {
			out := object{"outcome": string(acquired.Started)}
			switch acquired.Started {
			case forebay.StartedNow:
				out["outcome"], s.tickets[name] = "ticket", acquired.Ticket
			case forebay.StartedFresh:
				out = s.value(acquired.Value, nil)
				out["outcome"] = "fresh"
			default:
				out = s.state(acquired.State, nil)
				out["outcome"] = string(acquired.Started)
			}
			return out
		})
	}
}

// idle looks until no refresh runs, each time woken by a change or after 25 ms.
func (s *stage) idle(source source) {
	for end := time.Now().Add(limit); ; {
		state, err := source.RefreshState(source.Source)
		try(err)
		if state.Phase != forebay.PhaseRunning {
			return
		}
		if time.Now().After(end) {
			breaks("a refresh is still running")
		}
		value, err := source.Read(source.Source)
		try(err)
		ctx, cancel := context.WithTimeout(context.Background(), 25*time.Millisecond)
		_, err = source.WaitForChange(ctx, source.Source, value.Version)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			try(err)
		}
	}
}
