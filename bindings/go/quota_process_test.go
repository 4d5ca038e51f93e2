// Quotas and credentials among processes: each is this test's own program (process_test.go), and all ask one server,
// which counts.

package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

const urlVariable = "FOREBAY_GO_TEST_URL"

func init() {
	roles["resolves"] = func(cache *forebay.Cache) {
		_, _ = io.Copy(io.Discard, os.Stdin) // until all have begun
		usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: hang})
		got, err := usage.Resolve(context.Background(), forebay.QuotaSource{
			Fetch:       func(ctx context.Context, job *forebay.QuotaJob) ([]byte, error) { return ask(ctx, job.Credential()) },
			Credentials: func(context.Context) (string, error) { return secret, nil },
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(got.How, string(got.Data))
	}
	roles["fetches, and main returns"] = func(cache *forebay.Cache) {
		running := newHeld()
		usage := numberedQuota(cache, os.Getpid())
		go func() { _, _ = usage.Resolve(context.Background(), only(running.refresh("never"))) }()
		<-running.began
		fmt.Println("began")
	}
	roles["exchanges for ever"] = func(cache *forebay.Cache) {
		creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: cache.Root})
		if err != nil {
			panic(err)
		}
		current, err := creds.Current(login)
		if err != nil {
			panic(err)
		}
		_, err = creds.Rotate(context.Background(), login, current.Version, func(context.Context, []byte) ([]byte, error) {
			fmt.Println("began")
			select {}
		})
		panic(err)
	}
	roles["rotates"] = func(cache *forebay.Cache) {
		_, _ = io.Copy(io.Discard, os.Stdin)
		creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: cache.Root})
		if err != nil {
			panic(err)
		}
		current, err := creds.Current(login)
		for range rotations {
			if err != nil {
				panic(err)
			}
			current, err = creds.Rotate(context.Background(), login, current.Version,
				func(ctx context.Context, previous []byte) ([]byte, error) { return ask(ctx, string(previous)) })
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(current.How, current.Text())
	}
}

// rotations is how often each racer rotates.
const rotations = 20

// numberedQuota is a quota of one child's own: after two that end before their fetch does, the next would be kept off
// for a while.
func numberedQuota(cache *forebay.Cache, pid int) *forebay.Quota {
	return cache.Quota(fmt.Sprint("child ", pid), forebay.QuotaOptions{Timeout: hang})
}

// ask posts a secret to the test's server.
func ask(ctx context.Context, secret string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, os.Getenv(urlVariable), strings.NewReader(secret))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	return forebay.FromResponse(ctx, response)
}

// race starts as many racers of a role as there are, lets them all go at once, and returns what each of them said.
func race(t *testing.T, role, root string, serve http.HandlerFunc) []string {
	t.Helper()
	server := httptest.NewServer(serve)
	defer server.Close()
	t.Setenv(urlVariable, server.URL)
	type racer struct {
		start io.Closer
		wait  func() error
		out   *strings.Builder
	}
	var all []racer
	for range racers {
		cmd, out := child(role, root), &strings.Builder{}
		start, err := cmd.StdinPipe()
		must(t, err)
		cmd.Stdout = out
		must(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test fails
		all = append(all, racer{start, cmd.Wait, out})
	}
	for _, one := range all {
		must(t, one.start.Close())
	}
	var said []string
	for _, one := range all {
		done := make(chan error, 1)
		go func() { done <- one.wait() }()
		must(t, within(t, "a racer", done))
		said = append(said, strings.TrimSpace(one.out.String()))
	}
	return said
}

func TestProcessesMakeOneRequestAtTheSecondOfExpiry(t *testing.T) {
	root := filepath.Join(t.TempDir(), "cache")
	must(t, os.MkdirAll(root, 0o700))
	// What was recorded yesterday may be served for a day after its TTL: these have nothing to serve.
	expired := time.Now().Add(-48 * time.Hour).UTC().Format(time.RFC3339)
	must(t, os.WriteFile(filepath.Join(root, "usage.json"),
		[]byte(`{"schema_version":1,"cached_at":"`+expired+`","data":{"used":0},"error":null}`), 0o600))
	var mu sync.Mutex
	requests := 0
	said := race(t, "resolves", root, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		fmt.Fprintf(w, `{"used":%d}`, requests)
	})
	equal(t, "requests", requests, 1)
	ran := 0
	for _, text := range said {
		if strings.HasPrefix(text, "ran ") {
			ran++
		}
		if !strings.HasSuffix(text, ` {"used":1}`) {
			t.Errorf("it said %q", text)
		}
	}
	equal(t, "racers that fetched", ran, 1)
}

func TestProcessesUseEachCredentialOnce(t *testing.T) {
	root := filepath.Join(t.TempDir(), "state")
	creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: root})
	must(t, err)
	defer creds.Close()
	_, err = creds.Reset(login, []byte("token-0"))
	must(t, err)
	var mu sync.Mutex
	next, used := 0, map[string]int{}
	race(t, "rotates", root, func(w http.ResponseWriter, r *http.Request) {
		token, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		used[string(token)]++
		if err != nil || string(token) != fmt.Sprint("token-", next) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next++
		fmt.Fprint(w, "token-", next)
	})
	equal(t, "different tokens", len(used), next)
	for token, times := range used {
		equal(t, "uses of "+token, times, 1)
	}
	if next < rotations {
		t.Errorf("there were %d rotations, and each racer saw at least %d", next, rotations)
	}
	last, err := creds.Current(login)
	must(t, err)
	equal(t, "the last", last.Text(), fmt.Sprint("token-", next))
}

func TestAProgramMayEndWhileItFetches(t *testing.T) {
	cache := newCache(t)
	for range 20 {
		cmd := child("fetches, and main returns", cache.Root)
		ends(t, cmd)
		got, err := numberedQuota(cache, cmd.Process.Pid).Resolve(bounded(t), only(answers(`"after it"`)))
		must(t, err)
		equal(t, "how", got.How, forebay.HowRan)
	}
}

func TestAProgramThatIsKilledWhileItExchangesIsReported(t *testing.T) {
	root := filepath.Join(t.TempDir(), "state")
	creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: root})
	must(t, err)
	defer creds.Close()
	seen, err := creds.Reset(login, []byte("one"))
	must(t, err)
	cmd, _ := started(t, "exchanges for ever", root)
	state, err := creds.State(login)
	must(t, err)
	equal(t, "phase", state.Phase, forebay.PhaseRunning)
	waiting := make(chan error, 1)
	go func() {
		_, err := creds.Rotate(bounded(t), login, seen, noExchange(t))
		waiting <- err
	}()
	must(t, cmd.Process.Kill())
	var killed *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &killed) {
		t.Fatalf("got %v", err)
	}
	isError(t, within(t, "who waited", waiting), forebay.ErrAmbiguous)
	state, err = creds.State(login)
	must(t, err)
	equal(t, "since", state.AmbiguousSince.IsZero(), false)
	current, err := creds.Current(login)
	must(t, err)
	equal(t, "still there", current.Text(), "one")
	seen, err = creds.Reset(login, []byte("of a new login"))
	must(t, err)
	got, err := creds.Rotate(bounded(t), login, seen, func(context.Context, []byte) ([]byte, error) { return []byte("two"), nil })
	must(t, err)
	equal(t, "text", got.Text(), "two")
}
