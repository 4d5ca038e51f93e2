// Credentials: who exchanges, what an exchange's error means for the old credential, and where the secret is not.

package forebay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

const login = "github-oauth"

func newCredentials(t *testing.T) *forebay.Credentials {
	t.Helper()
	creds, _ := newClockedCredentials(t)
	return creds
}

func newClockedCredentials(t *testing.T) (*forebay.Credentials, *clock) {
	t.Helper()
	clock := newClock(t)
	return openCredentials(t, filepath.Join(t.TempDir(), "state"), clock), clock
}

func openCredentials(t *testing.T, root string, clock *clock) *forebay.Credentials {
	t.Helper()
	creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: root, TestClock: clock.path, Deadline: hang})
	must(t, err)
	t.Cleanup(func() { must(t, creds.Close()) })
	return creds
}

// gives is an exchange that has to be given that credential ("" for none), and returns the other.
func gives(t *testing.T, previous, next string) forebay.Exchange {
	return func(ctx context.Context, got []byte) ([]byte, error) {
		equal(t, "previous", string(got), previous)
		equal(t, "none before", got == nil, previous == "")
		job := forebay.JobFrom(ctx)
		equal(t, "key", job.Key(), login)
		equal(t, "previous, by the job", string(job.Previous()), previous)
		equal(t, "remaining", job.Remaining(), hang)
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > hang {
			t.Errorf("the context ends at %v", deadline)
		}
		return []byte(next), nil
	}
}

// throws is an exchange that fails so.
func throws(err error) forebay.Exchange {
	return func(context.Context, []byte) ([]byte, error) { return nil, err }
}

func noExchange(t *testing.T) forebay.Exchange {
	return func(context.Context, []byte) ([]byte, error) {
		t.Error("it was exchanged")
		return nil, errors.New("it was exchanged")
	}
}

// stored stores a credential as a login does.
func stored(t *testing.T, creds *forebay.Credentials, text string) forebay.Version {
	t.Helper()
	version, err := creds.Reset(login, []byte(text))
	must(t, err)
	return version
}

func TestOneExchangesAndTheOthersGetTheNewOne(t *testing.T) {
	creds, clock := newClockedCredentials(t)
	_, err := creds.Current(login)
	isError(t, err, forebay.ErrNotFound)
	first, err := creds.Rotate(bounded(t), login, "", gives(t, "", "one"))
	must(t, err)
	equal(t, "data", string(first.Data()), "one")
	equal(t, "how", first.How, forebay.HowRan)
	clock.advance(time.Minute)
	second, err := creds.Rotate(bounded(t), login, first.Version, gives(t, "one", "two"))
	must(t, err)
	equal(t, "text", second.Text(), "two")
	equal(t, "other version", second.Version != first.Version && second.Version != "", true)
	equal(t, "stored", clock.in(second.StoredAt), 0)
	for _, seen := range []forebay.Version{"", first.Version} {
		got, err := creds.Rotate(bounded(t), login, seen, noExchange(t))
		must(t, err)
		equal(t, "text", got.Text(), "two")
		equal(t, "how", got.How, forebay.HowCoalesced)
		equal(t, "version", got.Version, second.Version)
		equal(t, "error", got.Err, nil)
	}
	current, err := creds.Current(login)
	must(t, err)
	equal(t, "current", current.Text(), "two")
	equal(t, "its version", current.Version, second.Version)
	equal(t, "how", current.How, forebay.HowFresh)
	folder, err := creds.Folder()
	must(t, err)
	path := filepath.Join(folder, "credentials", login+".json")
	info, err := os.Stat(path)
	must(t, err)
	equal(t, "mode", info.Mode(), 0o600)
	data, err := os.ReadFile(path)
	must(t, err)
	equal(t, "the file", string(data), "two")
}

func TestASeenCredentialThatIsGoneIsNotExchangedForNothing(t *testing.T) {
	creds := newCredentials(t)
	seen := stored(t, creds, "one")
	version, err := creds.Reset(login, nil)
	must(t, err)
	equal(t, "version", version, "")
	_, err = creds.Reset(login, []byte{})
	isError(t, err, forebay.ErrInvalid)
	_, err = creds.Rotate(bounded(t), login, seen, noExchange(t))
	isError(t, err, forebay.ErrNotFound)
	got, err := creds.Rotate(bounded(t), login, "", gives(t, "", "new"))
	must(t, err)
	equal(t, "text", got.Text(), "new")
}

func TestADefiniteFailureLeavesTheCredentialAsItWas(t *testing.T) {
	for name, err := range map[string]error{
		"unauthorized":       fmt.Errorf("invalid_grant: %w", forebay.ErrUnauthorized),
		"rate limited":       &forebay.Failure{Code: forebay.CodeRateLimited, RetryAfter: time.Minute},
		"invalid":            &forebay.Failure{Code: forebay.CodeInvalid, Message: "no such client"},
		"no credentials":     forebay.ErrNoCredentials,
		"not sent":           forebay.NotSent(&net.DNSError{Err: "no such host", Name: "auth.example"}),
		"not sent, by field": &forebay.Failure{Cause: io.EOF, NotSent: true},
	} {
		t.Run(name, func(t *testing.T) {
			creds, clock := newClockedCredentials(t)
			seen := stored(t, creds, "one")
			_, got := creds.Rotate(bounded(t), login, seen, throws(err))
			isError(t, got, err)
			state, err := creds.State(login)
			must(t, err)
			equal(t, "ambiguous", state.AmbiguousSince, time.Time{})
			equal(t, "phase", state.Phase, forebay.PhaseCooling)
			equal(t, "version", state.Version, seen)
			if state.Err == nil || clock.in(state.RetryAt) <= 0 {
				t.Errorf("got %+v", state)
			}
			clock.advance(time.Hour)
			next, err := creds.Rotate(bounded(t), login, seen, gives(t, "one", "two"))
			must(t, err)
			equal(t, "text", next.Text(), "two")
		})
	}
	equal(t, "nothing was not sent", forebay.NotSent(nil), nil)
}

func TestAnUnknownOutcomeIsNeverTriedAgain(t *testing.T) {
	inner := newCache(t)
	for name, exchange := range map[string]forebay.Exchange{
		"broken connection": throws(io.ErrUnexpectedEOF),
		"a timeout":         throws(context.DeadlineExceeded),
		"unavailable":       throws(forebay.ErrUnavailable),
		"a panic":           func(context.Context, []byte) ([]byte, error) { panic("at random") },
		"nothing":           throws(nil),
		"a call beside it": func(context.Context, []byte) ([]byte, error) {
			_, err := inner.Read(forebay.Source{}) // invalid, which says nothing of the request
			return nil, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			creds, clock := newClockedCredentials(t)
			seen := stored(t, creds, "one")
			_, err := creds.Rotate(bounded(t), login, seen, exchange)
			isError(t, err, forebay.ErrAmbiguous)
			clock.advance(24 * time.Hour)
			_, err = creds.Rotate(bounded(t), login, seen, noExchange(t))
			isError(t, err, forebay.ErrAmbiguous)
			state, err := creds.State(login)
			must(t, err)
			equal(t, "ambiguous for", clock.in(state.AmbiguousSince), -24*time.Hour)
			again := stored(t, creds, "after a new login")
			got, err := creds.Rotate(bounded(t), login, again, gives(t, "after a new login", "two"))
			must(t, err)
			equal(t, "text", got.Text(), "two")
		})
	}
}

func TestTheExchangesOwnErrorIsFoundWithoutTheSecret(t *testing.T) {
	creds := newCredentials(t)
	seen := stored(t, creds, secret)
	mine := fmt.Errorf("POST https://auth.example/token?refresh_token=%s: %w", secret, io.ErrUnexpectedEOF)
	_, err := creds.Rotate(bounded(t), login, seen, throws(mine))
	isError(t, err, mine)
	isError(t, err, io.ErrUnexpectedEOF)
	_, later := creds.Rotate(bounded(t), login, seen, noExchange(t))
	state, err := creds.State(login)
	must(t, err)
	for _, text := range []string{later.Error(), fmt.Sprint(state.Err), fmt.Sprintf("%+v", state)} {
		if strings.Contains(text, secret) {
			t.Errorf("%q has the secret in it", text)
		}
	}
	folder, err := creds.Folder()
	must(t, err)
	if found := leaked(t, folder, secret); filepath.Base(found) != login+".json" {
		t.Errorf("it is in %q", found)
	}
	must(t, os.Remove(filepath.Join(folder, "credentials", login+".json")))
	if found := leaked(t, folder, secret); found != "" {
		t.Errorf("it is in %q too", found)
	}
}

func TestACredentialPrintsNothingOfItsSecret(t *testing.T) {
	creds := newCredentials(t)
	got, err := creds.Rotate(bounded(t), login, "", gives(t, "", secret))
	must(t, err)
	value := *got
	nested := struct{ within forebay.Credential }{value}
	encoded, err := json.Marshal([]any{got, value})
	must(t, err)
	var logged bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(handler).Info("rotated", "pointer", got, "value", value)
	}
	texts := []string{string(encoded), logged.String(), got.String(), got.GoString()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, one := range []any{got, value, nested, &nested, []any{value}, map[string]any{"x": value}} {
			texts = append(texts, fmt.Sprintf(verb, one))
		}
	}
	for _, text := range texts {
		for _, form := range []any{secret, fmt.Sprintf("%x", secret), strings.Trim(fmt.Sprint([]byte(secret)), "[]")} {
			if strings.Contains(text, form.(string)) {
				t.Errorf("%q has the secret in it", text)
			}
		}
	}
	data := got.Data()
	data[0] = 'X'
	equal(t, "a copy", got.Text(), secret)
	var none forebay.Credential
	equal(t, "of none", none.Text() == "" && none.Data() == nil && none.String() != "", true)
}

func TestGoroutinesShareOneExchange(t *testing.T) {
	creds := newCredentials(t)
	seen := stored(t, creds, "one")
	const callers = 100
	var exchanged atomic.Int32
	running := newHeld()
	done := make(chan string, callers)
	for range callers {
		go func() {
			got, err := creds.Rotate(bounded(t), login, seen, func(ctx context.Context, _ []byte) ([]byte, error) {
				exchanged.Add(1)
				return running.refresh("two")(ctx)
			})
			if err != nil {
				done <- err.Error()
				return
			}
			done <- got.Text()
		}()
	}
	within(t, "the exchange", running.began)
	running.release()
	for range callers {
		equal(t, "text", within(t, "a credential", done), "two")
	}
	equal(t, "exchanges", exchanged.Load(), 1)
}

func TestACallersHurryEndsItsWaitAndNoExchange(t *testing.T) {
	creds, clock := newClockedCredentials(t)
	folder, err := creds.Folder()
	must(t, err)
	other := openCredentials(t, folder, clock)
	seen := stored(t, creds, "one")
	running := newHeld()
	type key struct{}
	ctx, stop := context.WithCancel(context.WithValue(t.Context(), key{}, "a value"))
	first := make(chan string, 1)
	go func() {
		got, err := creds.Rotate(ctx, login, seen, func(ctx context.Context, _ []byte) ([]byte, error) {
			data, err := running.refresh("two")(ctx)
			equal(t, "value", ctx.Value(key{}), any("a value"))
			return data, err
		})
		if err != nil {
			first <- err.Error()
			return
		}
		first <- got.Text()
	}()
	within(t, "the exchange", running.began)
	second := make(chan error, 1)
	go func() {
		_, err := other.Rotate(ctx, login, seen, noExchange(t))
		second <- err
	}()
	state, err := other.State(login)
	must(t, err)
	equal(t, "phase", state.Phase, forebay.PhaseRunning)
	stop()
	err = within(t, "stopping", second)
	isError(t, err, context.Canceled)
	isError(t, err, forebay.ErrCancelled)
	must(t, creds.Close()) // ends no exchange either
	running.release()
	equal(t, "text", within(t, "the first", first), "two")
	_, err = other.Rotate(ctx, login, seen, noExchange(t))
	isError(t, err, forebay.ErrCancelled)
	_, err = creds.Current(login)
	isError(t, err, forebay.ErrClosed)
	_, err = creds.Rotate(bounded(t), login, seen, noExchange(t))
	isError(t, err, forebay.ErrClosed)
}

func TestAnExchangeThatEndsItsGoroutineIsAmbiguous(t *testing.T) {
	creds := newCredentials(t)
	seen := stored(t, creds, "one")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = creds.Rotate(t.Context(), login, seen, func(context.Context, []byte) ([]byte, error) {
			runtime.Goexit()
			return nil, nil
		})
	}()
	within(t, "its end", ended)
	_, err := creds.Rotate(bounded(t), login, seen, noExchange(t))
	isError(t, err, forebay.ErrAmbiguous)
}

func TestTheDefaultStateFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	t.Setenv("FOREBAY_STATE", folder)
	root, ok, err := forebay.DefaultStateRoot()
	must(t, err)
	equal(t, "root", root, folder)
	equal(t, "ok", ok, true)
	version, err := forebay.RotateReset(login, []byte("one"))
	must(t, err)
	got, err := forebay.Rotate(bounded(t), login, version, throws(nil))
	if err == nil {
		t.Errorf("got %v", got)
	}
	version, err = forebay.RotateReset(login, []byte("two"))
	must(t, err)
	got, err = forebay.Rotate(bounded(t), login, version, func(_ context.Context, previous []byte) ([]byte, error) {
		return append(previous, " and three"...), nil
	})
	must(t, err)
	equal(t, "text", got.Text(), "two and three")
	_, err = forebay.Rotate(bounded(t), "", "", noExchange(t))
	isError(t, err, forebay.ErrInvalid)
	_, err = forebay.Rotate(bounded(t), login, "", nil)
	isError(t, err, forebay.ErrInvalid)
	for _, variable := range []string{"FOREBAY_STATE", "XDG_STATE_HOME", "HOME"} {
		t.Setenv(variable, "")
	}
	_, ok, err = forebay.DefaultStateRoot()
	must(t, err)
	equal(t, "ok, nowhere", ok, false)
	_, err = forebay.RotateReset(login, nil)
	if err == nil {
		t.Error("there is a folder without a home")
	}
}
