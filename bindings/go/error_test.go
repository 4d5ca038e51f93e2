// Errors: the table against the one that all languages share, and what errors.Is and errors.As find.

package forebay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/forebay/forebay/bindings/go"
)

func sentinels() []error {
	return []error{
		forebay.ErrInvalid, forebay.ErrClosed, forebay.ErrNotFound, forebay.ErrTimedOut, forebay.ErrGated,
		forebay.ErrRefreshFailed, forebay.ErrRateLimited, forebay.ErrUnauthorized, forebay.ErrUnavailable,
		forebay.ErrNoCredentials, forebay.ErrCancelled, forebay.ErrLockTimeout, forebay.ErrLeaseLost,
		forebay.ErrHolderDied, forebay.ErrSuperseded, forebay.ErrInProgress, forebay.ErrMismatch,
		forebay.ErrAmbiguous, forebay.ErrFull, forebay.ErrAlreadyUsed, forebay.ErrTooManyLeases,
		forebay.ErrDamaged, forebay.ErrUnsafeRoot, forebay.ErrUnsupportedFS, forebay.ErrUnsupported,
		forebay.ErrNewerFormat, forebay.ErrNoSpace, forebay.ErrPermission, forebay.ErrIO, forebay.ErrPanic,
	}
}

func TestEveryCodeOfTheSharedTableHasTextNumberAndSentinel(t *testing.T) {
	text, err := os.ReadFile("../../tests/vectors/error_codes.json")
	must(t, err)
	table, err := readCodes(text)
	must(t, err)
	if len(table) < 30 {
		t.Fatalf("the table has %d codes only", len(table))
	}
	equal(t, "sentinels", len(sentinels()), len(table))
	for name, number := range table {
		code, ok := forebay.ParseCode(name)
		if !ok {
			t.Errorf("there is no code %s", name)
			continue
		}
		equal(t, name, int(code), number)
		equal(t, "text of", code.String(), name)
		found := 0
		for _, sentinel := range sentinels() {
			if errors.Is(&forebay.Error{Code: code}, sentinel) {
				found++
				equal(t, "text", sentinel.Error(), "forebay: "+strings.ReplaceAll(name, "_", " "))
			}
		}
		equal(t, "sentinels of "+name, found, 1)
	}
	if _, ok := forebay.ParseCode("RateLimited"); ok {
		t.Error("an original's name is no code")
	}
	equal(t, "an unknown number", forebay.Code(-99).String(), "code(-99)")
}

// readCodes reads the shared table.
func readCodes(text []byte) (map[string]int, error) {
	var table struct {
		Codes []struct {
			Code   string
			Number int
		}
	}
	if err := json.Unmarshal(text, &table); err != nil {
		return nil, err
	}
	out := make(map[string]int)
	for _, code := range table.Codes {
		out[code.Code] = code.Number
	}
	return out, nil
}

func TestARefreshersErrorComesBackAsItself(t *testing.T) {
	cache := newCache(t)
	mine := fmt.Errorf("while fetching: %w", io.ErrUnexpectedEOF)
	_, err := cache.RefreshContext(bounded(t), models, fails(mine))
	isError(t, err, forebay.ErrRefreshFailed)
	isError(t, err, io.ErrUnexpectedEOF)
	var failure *forebay.Error
	if !errors.As(err, &failure) || failure.Code != forebay.CodeRefreshFailed {
		t.Fatalf("got %#v", err)
	}
	if !strings.Contains(err.Error(), mine.Error()) {
		t.Errorf("%q doesn't say %q", err, mine)
	}
	if got := cache.Refresh(models, fails(mine)); got != mine {
		t.Errorf("Refresh: got %v, want the error as it is", got)
	}
	other, err := forebay.Open(forebay.Options{Root: cache.Root})
	must(t, err)
	defer other.Close()
	state, err := other.RefreshState(models)
	must(t, err)
	equal(t, "text elsewhere", state.LastError, mine.Error())
	isError(t, state.Err, forebay.ErrRefreshFailed)
}

func TestAPanicIsAFailedRefresh(t *testing.T) {
	cache := newCache(t)
	_, err := cache.RefreshContext(bounded(t), models, func(context.Context) ([]byte, error) { panic(io.EOF) })
	isError(t, err, forebay.ErrRefreshFailed)
	isError(t, err, io.EOF)
	var panicked *forebay.PanicError
	if !errors.As(err, &panicked) || !strings.Contains(string(panicked.Stack), "TestAPanicIsAFailedRefresh") {
		t.Fatalf("got %#v", err)
	}
	_, err = cache.RefreshContext(bounded(t), models, func(context.Context) ([]byte, error) { panic("at random") })
	if !strings.Contains(err.Error(), "at random") {
		t.Errorf("%q doesn't say what was given to panic", err)
	}
	state, err := cache.RefreshState(models)
	must(t, err)
	equal(t, "failed", state.Failed, true)
	equal(t, "attempts", state.Attempts, 2)
}

func TestEndingTheGoroutineIsAFailedRefresh(t *testing.T) {
	cache := newCache(t)
	probe := &testing.T{}
	_, err := cache.RefreshContext(bounded(t), models, func(context.Context) ([]byte, error) {
		probe.SkipNow()
		return nil, nil
	})
	isError(t, err, forebay.ErrRefreshFailed)
}

func TestSystemErrorsNamePathRemedyAndErrno(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	cache := &forebay.Cache{Root: filepath.Join(file, "below")}
	_, err := cache.Put(models, []byte("x"), forebay.Commit{})
	var failure *forebay.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
	isError(t, err, syscall.ENOTDIR)
	equal(t, "errno", failure.Errno, int(syscall.ENOTDIR))
	if !strings.Contains(err.Error(), file) {
		t.Errorf("%q doesn't name %s", err, file)
	}
}

func TestArgumentsThatCannotBeUsedAreErrors(t *testing.T) {
	cache := newCache(t)
	ctx := bounded(t)
	for name, source := range map[string]forebay.Source{
		"no name":            {Tier: "a", TTL: 1},
		"too long":           {Tier: "a", Name: strings.Repeat("x", 5000)},
		"not UTF-8":          {Tier: "a", Name: "\xff"},
		"deadline of 0":      {Tier: "a", Name: "b", RefreshDeadline: forebay.Zero},
		"unknown durability": {Tier: "a", Name: "b", Durability: "eternal"},
	} {
		_, err := cache.Get(ctx, source, unexpected(t))
		if !errors.Is(err, forebay.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"Refresh":          cache.Refresh(models, nil),
		"MaybeRefreshSync": cache.MaybeRefreshSync(models, nil),
		"options":          func() error { _, err := forebay.Open(forebay.Options{Durability: "eternal"}); return err }(),
	} {
		if !errors.Is(err, forebay.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	cache.MaybeRefresh(models, nil)
}
