// The Go runner of tests/vectors/scenarios, whose README says what each step means. What doesn't hold, and any op,
// field or expectation that it doesn't know, is a panic with a broken, which the step's place is added to.

package forebay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

type (
	object = map[string]any
	broken struct{ why string }
	stage  struct {
		dir, root, program string
		defaults, quota    object // of a source's fields, and a quota's
		now                time.Time
		boot               time.Duration
		caches             map[string]*forebay.Cache
		credentials        map[string]*forebay.Credentials
		readers            map[string]*forebay.Reader
		tickets            map[string]*forebay.Ticket
		actors             map[string]*actor
		running            map[string]chan func() object
		mu                 sync.Mutex // of what follows: steps inside a refresher use it too
		saved              map[string]forebay.Version
		holds              map[string]*held
		inside             any // what went wrong inside a refresher
	}
)

const limit = 20 * time.Second

func breaks(format string, args ...any) { panic(broken{fmt.Sprintf(format, args...)}) }

func try(err error) {
	if err != nil {
		breaks("%v", err)
	}
}

// run runs steps in order; prefix is where they stand.
func (s *stage) run(steps []any, prefix string) {
	for i, step := range steps {
		func() {
			f := step.(object)
			place, op := prefix+strconv.Itoa(i), need[string](f, "do")
			defer func() {
				switch why := recover().(type) {
				case nil:
				case broken:
					if !strings.HasPrefix(why.why, "step ") {
						why.why = fmt.Sprintf("step %s, %s: %s", place, op, why.why)
					}
					panic(why)
				default:
					panic(why)
				}
			}()
			s.step(op, f, place)
		}()
	}
}

// step runs one step, or begins it in the background, and judges what it found.
func (s *stage) step(op string, f object, place string) {
	delete(f, "note")
	expect, save, background := take[object](f, "expect"), take[string](f, "save"), ""
	if op != "join" {
		background = take[string](f, "background")
	}
	run := s.prepare(op, f, place)
	finish(f)
	if background != "" {
		if expect != nil || save != "" || !slices.Contains(inBackground, op) || s.running[background] != nil {
			breaks("it cannot run so in the background")
		}
		done := make(chan func() object, 1)
		s.running[background] = done
		go func() {
			var found object
			defer func() {
				why := recover()
				done <- func() object {
					if why != nil {
						panic(why)
					}
					return found
				}
			}()
			found = run()
		}()
		return
	}
	found := run()
	s.mu.Lock()
	inside := s.inside
	s.mu.Unlock()
	if inside != nil {
		panic(inside)
	}
	s.compare(op, expect, found)
	if save != "" {
		version, ok := found["version"].(forebay.Version)
		if !ok {
			breaks("it gave no value whose version could be saved")
		}
		s.mu.Lock()
		s.saved[save] = version
		s.mu.Unlock()
	}
}

func (s *stage) version(name string) forebay.Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	version, ok := s.saved[name]
	if !ok {
		breaks("no version %q was saved", name)
	}
	return version
}

// compare judges what a step found.
func (s *stage) compare(op string, expect, found object) {
	if found["fails"] != nil && expect["fails"] == nil {
		breaks("it failed: %.400v", found)
	}
	if _, given := expect["outcome"]; op == "acquire" && !given && found["fails"] == nil && found["outcome"] != "ticket" {
		breaks("there is no ticket: %.400v", found)
	}
	for name, want := range expect {
		if !s.matches(name, want, found) {
			breaks("expected %s %.200v, found %.400v", name, want, found)
		}
	}
}

func (s *stage) matches(name string, want any, found object) bool {
	if name == "same_version" || name == "other_version" {
		return (found["version"] == s.version(want.(string))) == (name == "same_version")
	}
	field := name
	switch name {
	case "lacks":
		field = "json"
	case "silent":
		said, _ := found["says"].(string)
		return !strings.Contains(said, want.(string))
	}
	have, ok := found[field]
	if !ok {
		return false
	}
	list, isList := want.([]any)
	switch name {
	case "called":
		return reflect.DeepEqual(want, have)
	case "data", "previous", "credential":
		if want == nil || have == nil {
			return want == have
		}
		return string(bytesOf(want)) == have
	case "says":
		return strings.Contains(have.(string), want.(string))
	case "how", "outcome", "fails", "state":
		return want == have || isList && slices.Contains(list, have)
	case "list":
		return s.lists(list, have.([]any))
	case "removed_keys", "skipped_keys", "keys", "files":
		return slices.Equal(sorted(list), sorted(have.([]any)))
	case "json":
		return subset(want, have)
	case "lacks":
		return !slices.ContainsFunc(list, func(field any) bool { return have.(object)[field.(string)] != nil })
	}
	if number, ok := have.(float64); ok && isList && len(list) == 2 {
		return list[0].(float64) <= number && number <= list[1].(float64)
	}
	return !isList && want == have
}

func (s *stage) lists(want, have []any) bool {
	for _, one := range want {
		expect := one.(object)
		key := need[string](expect, "key")
		at := slices.IndexFunc(have, func(found any) bool { return found.(object)["key"] == key })
		if at < 0 {
			return false
		}
		s.compare("list", expect, have[at].(object))
	}
	return len(want) == len(have)
}

// subset reports whether have has what want has, objects within likewise.
func subset(want, have any) bool {
	fields, ok := want.(object)
	if !ok {
		return reflect.DeepEqual(want, have)
	}
	found, ok := have.(object)
	for name, want := range fields {
		have, there := found[name]
		ok = ok && there && subset(want, have)
	}
	return ok
}

func sorted(list []any) []string {
	out := make([]string, len(list))
	for i, one := range list {
		out[i] = one.(string)
	}
	slices.Sort(out)
	return out
}

// in is how many milliseconds from now that is; nil for the zero time.
func (s *stage) in(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return float64(at.Sub(s.now).Milliseconds())
}

func orNil[T ~string](text T) any {
	if text == "" {
		return nil
	}
	return string(text)
}

func codeOf(err error) any {
	var failure *forebay.Error
	if errors.As(err, &failure) {
		return failure.Code.String()
	}
	return nil
}

// found is what a call found: its error, or what of makes of its result.
func (s *stage) found(err error, of func() object) object {
	if err == nil {
		return of()
	}
	out := object{"fails": codeOf(err), "says": err.Error()}
	var failure *forebay.Error
	if errors.As(err, &failure) {
		out["retry_in_ms"] = s.in(failure.RetryAt)
	}
	return out
}

func nothing() object { return object{} }

func (s *stage) value(v forebay.ReadResult, err error) object {
	return s.found(err, func() object {
		out := object{
			"data": nil, "state": string(v.State), "how": orNil(v.How), "phase": orNil(v.Phase), "age_ms": nil,
			"validator": orNil(v.Validator), "error": codeOf(v.Err), "says": fmt.Sprint(v.Err), "version": v.Version,
		}
		if v.Data != nil {
			out["data"], out["age_ms"] = string(v.Data), float64(v.Age.Milliseconds())
		}
		return out
	})
}

func (s *stage) state(r forebay.RefreshState, err error) object {
	return s.found(err, func() object {
		return object{
			"phase": string(r.Phase), "in_flight": r.InFlight, "failed": r.Failed, "error": codeOf(r.Err),
			"says": fmt.Sprint(r.Err), "attempts": float64(r.Attempts), "declared": r.Declared,
			"retry_in_ms": s.in(r.RetryAt), "deadline_in_ms": s.in(r.Deadline), "holder": holder(r.HolderPID),
		}
	})
}

func TestVectors(t *testing.T) {
	program := os.Getenv("FOREBAY_ACTOR")
	if program == "" {
		t.Fatal("FOREBAY_ACTOR is not set: cargo build -p forebay-processes, and name target/debug/forebay-actor")
	}
	files, err := filepath.Glob("../../tests/vectors/scenarios/*.json")
	must(t, err)
	ran := 0
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			ran++
			text, err := os.ReadFile(path)
			must(t, err)
			var file object
			must(t, json.Unmarshal(text, &file))
			defer func() {
				if why := recover(); why != nil {
					t.Fatalf("%v", why)
				}
			}()
			if need[string](file, "name") != name || need[string](file, "about") == "" {
				breaks("it calls itself something else, or nothing")
			}
			s := newStage(program, need[object](file, "source"), take[object](file, "quota"))
			defer s.end()
			steps := need[[]any](file, "steps")
			finish(file)
			s.run(steps, "")
		})
	}
	if ran == 0 || ran != len(files) {
		t.Fatalf("%d of %d scenarios ran", ran, len(files))
	}
	t.Logf("%d scenarios ran", ran)
}
