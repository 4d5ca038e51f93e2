// Other processes: programs that end while they refresh, that are killed, that start others while they hold a lease,
// and that race. Each is this test's own program, told by an environment variable what to be.

package forebay_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

const (
	roleVariable = "FOREBAY_GO_TEST_ROLE"
	rootVariable = "FOREBAY_GO_TEST_ROOT"
)

func TestMain(m *testing.M) {
	role, isChild := roles[os.Getenv(roleVariable)]
	if !isChild {
		os.Exit(m.Run())
	}
	role(&forebay.Cache{Root: os.Getenv(rootVariable)})
}

// roles are what this program may be told to be. What a child cannot do ends it with a panic, so with a status.
var roles = map[string]func(*forebay.Cache){
	"refreshes, and main returns": func(cache *forebay.Cache) {
		running := newHeld()
		cache.MaybeRefresh(numbered(os.Getpid()), running.refresh("never"))
		<-running.began
		fmt.Println("began")
	},
	"refreshes, and exits": func(cache *forebay.Cache) {
		running := newHeld()
		go func() { _ = cache.Refresh(numbered(os.Getpid()), running.refresh("never")) }()
		<-running.began
		fmt.Println("began")
		os.Exit(0)
	},
	"waits for another, and main returns": func(cache *forebay.Cache) {
		joined := make(chan forebay.Source, 1)
		cache.SetWaitForRefreshHookForTesting(func(source forebay.Source) { joined <- source })
		go func() { _ = cache.Refresh(models, answers("never")) }()
		<-joined
		fmt.Println("began")
	},
	"sits": func(*forebay.Cache) {
		fmt.Println("began")
		_, _ = io.Copy(io.Discard, os.Stdin)
	},
	"holds a lease and starts another": func(cache *forebay.Cache) {
		acquired, err := cache.Acquire(models, forebay.AcquireOptions{})
		if err != nil || acquired.Ticket == nil {
			panic(fmt.Sprint(acquired.Started, err))
		}
		other := child("sits", cache.Root)
		other.Stdin = os.Stdin
		if err := other.Start(); err != nil {
			panic(err)
		}
		fmt.Println("began")
		select {}
	},
	"refreshes": func(cache *forebay.Cache) {
		got, err := cache.RefreshContext(context.Background(), models, func(context.Context) ([]byte, error) {
			log, err := os.OpenFile(filepath.Join(cache.Root, "..", "runs"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				return nil, err
			}
			defer log.Close()
			fmt.Fprintln(log, os.Getpid())
			// Until all have begun: each of them wrote a file before.
			for begun := 0; begun < racers; {
				files, err := filepath.Glob(filepath.Join(cache.Root, "..", "racer-*"))
				if err != nil {
					return nil, err
				}
				begun = len(files)
				time.Sleep(time.Millisecond)
			}
			return []byte("one"), nil
		}, forebay.MinFreshAt(time.Now().Add(-time.Minute)))
		if err != nil {
			panic(err)
		}
		fmt.Println(got.How, string(got.Data))
	},
}

const racers = 8

// numbered is a source of one child's own: after two that end before their refresh does, the next would be kept off
// for a while.
func numbered(pid int) forebay.Source {
	return forebay.Source{Tier: "child", Name: fmt.Sprint(pid), TTL: time.Hour, RefreshDeadline: hang}
}

func child(role, root string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	// The race detector makes a program sleep for a second before it ends, unless told otherwise.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, rootVariable+"="+root, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// started starts a child, and returns once it has said that it began; what it reads ends with stop.
func started(t *testing.T, role, root string) (cmd *exec.Cmd, stop func()) {
	t.Helper()
	cmd = child(role, root)
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "began\n" {
		t.Fatalf("%s: it said %q (%v)", role, line, err)
	}
	stop = sync.OnceFunc(func() { in.Close() })
	t.Cleanup(stop)
	return cmd, stop
}

func TestAProgramMayEndWhileItRefreshes(t *testing.T) {
	for _, role := range []string{"refreshes, and main returns", "refreshes, and exits", "waits for another, and main returns"} {
		t.Run(role, func(t *testing.T) {
			cache := newCache(t)
			if strings.HasPrefix(role, "waits") {
				acquire(t, cache, forebay.AcquireOptions{})
			}
			for range 50 {
				cmd := child(role, cache.Root)
				ends(t, cmd)
				got, err := cache.Get(bounded(t), numbered(cmd.Process.Pid), answers("after it"))
				must(t, err)
				equal(t, "how", got.How, forebay.HowRan)
			}
		})
	}
}

// ends fails the test unless the program ends by itself, with status 0, within 5 s.
func ends(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	done := make(chan error, 1)
	var out strings.Builder
	cmd.Stdout = &out
	must(t, cmd.Start())
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil || out.String() != "began\n" {
			t.Fatalf("it ended with %v, and said %q", err, &out)
		}
	case <-time.After(5 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatal("it did not end")
	}
}

func TestALeaseIsNotInheritedByAProgramThatIsStarted(t *testing.T) {
	cache := newCache(t)
	ticket := acquire(t, cache, forebay.AcquireOptions{})
	cmd, stop := started(t, "sits", cache.Root)
	found, err := cache.Acquire(models, forebay.AcquireOptions{})
	must(t, err)
	equal(t, "while it is held", found.Started, forebay.StartedInFlight)
	ticket.Close()
	acquire(t, cache, forebay.AcquireOptions{}).Close()
	stop()
	must(t, cmd.Wait())
}

func TestAKilledHolderIsReplacedAtOnceThoughItsChildLives(t *testing.T) {
	cache := newCache(t)
	cmd, _ := started(t, "holds a lease and starts another", cache.Root)
	done := make(chan answer, 1)
	joined := make(chan forebay.Source, 1)
	cache.SetWaitForRefreshHookForTesting(func(source forebay.Source) { joined <- source })
	go func() {
		value, err := cache.Get(bounded(t), models, answers("mine"))
		done <- answer{value, err}
	}()
	within(t, "joining", joined)
	must(t, cmd.Process.Kill())
	var killed *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &killed) {
		t.Fatalf("got %v", err)
	}
	got := within(t, "the take-over", done)
	must(t, got.err)
	equal(t, "how", got.value.How, forebay.HowRan)
}

func TestProcessesRaceForOneRefresh(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "cache")
	type output struct {
		text string
		err  error
	}
	outputs := make(chan output, racers)
	for i := range racers {
		go func() {
			must(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("racer-", i)), nil, 0o600))
			text, err := child("refreshes", root).Output()
			outputs <- output{string(text), err}
		}()
	}
	ran := 0
	for range racers {
		got := within(t, "a racer", outputs)
		must(t, got.err)
		if strings.HasPrefix(got.text, "ran ") {
			ran++
		}
		if !strings.HasSuffix(got.text, " one\n") {
			t.Errorf("it said %q", got.text)
		}
	}
	equal(t, "racers that ran the refresher", ran, 1)
	runs, err := os.ReadFile(filepath.Join(dir, "runs"))
	must(t, err)
	equal(t, "runs of the refresher", strings.Count(string(runs), "\n"), 1)
}
