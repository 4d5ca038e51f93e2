// An example of every public function; module_test.go sees to it that none is missing. They are run, and compared
// with their output.

package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

// A folder for the examples; a program names its own, or none.
var dir, _ = os.MkdirTemp("", "forebay-example-")

// check ends an example that didn't work; a program does better.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

func Example() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "models", TTL: time.Hour, RefreshDeadline: 10 * time.Second}
	fetch := func(ctx context.Context) ([]byte, error) { return []byte("a slow answer"), nil }

	got, err := cache.Get(context.Background(), src, fetch, forebay.Wait(300*time.Millisecond))
	check(err)
	fmt.Println(string(got.Data), got.How)
	got, err = cache.Read(src) // never waits
	check(err)
	fmt.Println(got.State)
	// Output:
	// a slow answer ran
	// fresh
}

func ExampleOpen() {
	cache, err := forebay.Open(forebay.Options{Root: dir, Durability: forebay.DurabilityFull})
	check(err) // the error that a Cache{} would give at its first call
	defer cache.Close()
	folder, err := cache.Folder()
	check(err)
	fmt.Println(folder == dir)
	// Output: true
}

func ExampleCache_Read() {
	cache := &forebay.Cache{Root: dir}
	got, err := cache.Read(forebay.Source{Tier: "api", Name: "nothing yet", TTL: time.Hour})
	fmt.Println(got.Data == nil, got.Stale, got.State, err)
	// Output: true true absent <nil>
}

func ExampleCache_Refresh() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "refreshed", TTL: time.Hour}
	err := cache.Refresh(src, func(ctx context.Context) ([]byte, error) {
		return nil, errors.New("no network")
	})
	state, _ := cache.RefreshState(src)
	fmt.Println(err, state.Failed, state.LastError, state.Phase)
	// Output: no network true no network cooling
}

func ExampleCache_RefreshContext() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "now", TTL: time.Hour}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // of waiting, not of the refresh
	defer cancel()
	fetch := func(ctx context.Context) ([]byte, error) { return []byte("now"), nil }
	// A button pressed by ten people within a minute is one request.
	recent := forebay.MinFreshAt(time.Now().Add(-time.Minute))
	got, err := cache.RefreshContext(ctx, src, fetch, recent, forebay.OverrideGate())
	check(err)
	again, err := cache.RefreshContext(ctx, src, fetch, recent)
	check(err)
	fmt.Println(got.How, again.How)
	// Output: ran fresh
}

func ExampleCache_MaybeRefresh() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "status line", TTL: time.Minute}
	got, err := cache.Read(src)
	check(err)
	if got.Stale {
		cache.MaybeRefresh(src, func(ctx context.Context) ([]byte, error) { return []byte("for the next time"), nil })
	}
	fmt.Println(got.State)
	check(cache.Shutdown(context.Background())) // or end: the next process does it then
	// Output: absent
}

func ExampleCache_StartRefresh() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "started", TTL: time.Hour}
	fetch := func(ctx context.Context) ([]byte, error) { return []byte("x"), nil }
	first, err := cache.StartRefresh(src, fetch)
	check(err)
	_, err = cache.RefreshIfStale(context.Background(), src, fetch) // joins the one that runs
	check(err)
	second, err := cache.StartRefresh(src, fetch)
	check(err)
	fmt.Println(first, second)
	// Output: started fresh
}

func ExampleCache_MaybeRefreshSync() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "preflight", TTL: time.Hour}
	for range 2 {
		check(cache.MaybeRefreshSync(src, func(ctx context.Context) ([]byte, error) {
			fmt.Println("fetching")
			return []byte("x"), nil
		}))
	}
	// Output: fetching
}

func ExampleCache_RefreshIfStale() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "failing", TTL: time.Hour}
	fail := func(ctx context.Context) ([]byte, error) { return nil, forebay.ErrUnauthorized }
	_, err := cache.RefreshIfStale(context.Background(), src, fail)
	fmt.Println(errors.Is(err, forebay.ErrUnauthorized))
	got, err := cache.RefreshIfStale(context.Background(), src, fail) // not tried again so soon
	fmt.Println(got.State, got.Phase, err)
	// Output:
	// true
	// absent cooling <nil>
}

func ExampleCache_Get() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "served stale", TTL: time.Hour, MaxStale: 24 * time.Hour}
	_, err := cache.Put(src, []byte("yesterday's"), forebay.Commit{})
	check(err)
	check(cache.MarkStale(src))
	got, err := cache.Get(context.Background(), src, func(ctx context.Context) ([]byte, error) {
		return nil, errors.New("HTTP 500")
	})
	check(err)
	fmt.Println(string(got.Data), got.How, got.Err != nil)
	// Output: yesterday's stale true
}

func ExampleCache_RefreshState() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "limited", TTL: time.Hour}
	_ = cache.Refresh(src, func(ctx context.Context) ([]byte, error) {
		return nil, &forebay.Failure{Code: forebay.CodeRateLimited, Message: "slow down", RetryAfter: time.Hour}
	})
	state, err := cache.RefreshState(src)
	check(err)
	fmt.Println(state.Phase, state.Declared, state.LastError, time.Until(state.RetryAt).Round(time.Minute))
	// Output: cooling true slow down 1h0m0s
}

func ExampleCache_Prune() {
	cache, err := forebay.Open(forebay.Options{Memory: true})
	check(err)
	defer cache.Close()
	_, err = cache.Put(forebay.Source{Name: "api/old"}, []byte("x"), forebay.Commit{})
	check(err)
	check(cache.Prune([]forebay.Source{{Name: "api/models"}}))
	listed, err := cache.List()
	fmt.Println(len(listed), err)
	// Output: 0 <nil>
}

func ExampleCache_PruneReport() {
	cache, err := forebay.Open(forebay.Options{Root: dir + "/pruned"})
	check(err)
	defer cache.Close()
	for _, name := range []string{"api/models", "api/old"} {
		_, err := cache.Put(forebay.Source{Name: name}, []byte("x"), forebay.Commit{})
		check(err)
	}
	pruned, err := cache.PruneReport([]forebay.Source{{Name: "api/models"}})
	check(err)
	fmt.Println(pruned.Removed, pruned.Skipped)
	// Output: [api/old] []
}

func ExampleCache_Put() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "put", TTL: time.Hour}
	_, err := cache.Put(src, []byte("known already"), forebay.Commit{Validator: `"v1"`})
	check(err)
	check(cache.MarkStale(src))
	got, err := cache.Read(src)
	check(err)
	removed, err := cache.Remove(src)
	fmt.Println(got.State, got.Validator, removed, err)
	// Output: stale "v1" true <nil>
}

func ExampleCache_List() {
	cache, err := forebay.Open(forebay.Options{Root: dir + "/listed"})
	check(err)
	defer cache.Close()
	src := forebay.Source{Tier: "api", Name: "models", TTL: time.Hour}
	_, err = cache.Put(src, []byte("four"), forebay.Commit{TTL: time.Hour})
	check(err)
	listed, err := cache.List()
	check(err)
	for _, one := range listed {
		fmt.Println(one.Key == src.Key(), one.Key, one.State, one.Size)
	}
	// Output: true api/models fresh 4
}

func ExampleCache_Why() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "why", TTL: time.Hour}
	_, err := cache.Put(src, []byte("x"), forebay.Commit{})
	check(err)
	why, err := cache.Why(src)
	check(err)
	fmt.Println(why.State, why.Text != "", why.CacheStatus != "")
	// Output: fresh true true
}

func ExampleCache_WaitForChange() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "watched", TTL: time.Hour}
	got, err := cache.Read(src)
	check(err)
	go func() {
		_, err := cache.Put(src, []byte("news"), forebay.Commit{}) // in any process
		check(err)
	}()
	_, err = cache.WaitForChange(context.Background(), src, got.Version)
	check(err)
	got, err = cache.Read(src)
	fmt.Println(string(got.Data), err)
	// Output: news <nil>
}

func ExampleCache_Acquire() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "by ticket", TTL: time.Hour}
	acquired, err := cache.Acquire(src, forebay.AcquireOptions{UnlessFresh: true})
	check(err)
	if acquired.Ticket == nil {
		fmt.Println("not now:", acquired.Started)
		return
	}
	ticket := acquired.Ticket
	defer ticket.Close() // gives it up, unless it has ended
	fmt.Println(ticket.Key(), ticket.Previous() == nil, ticket.PreviousStoredAt().IsZero(), ticket.Validator() == "",
		len(ticket.ConditionalHeaders()), ticket.Token() > 0, ticket.Cancelled(), ticket.Remaining() > 0,
		time.Until(ticket.Deadline()) > 0)
	check(ticket.Renew(time.Minute)) // it takes longer than thought
	_, err = ticket.Complete([]byte("done"), forebay.Commit{})
	fmt.Println(err)
	// Output:
	// api/by ticket true true true 0 true false true true
	// <nil>
}

func ExampleTicket_Unchanged() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "unchanged", TTL: time.Hour}
	_, err := cache.Put(src, []byte("the same"), forebay.Commit{})
	check(err)
	check(cache.MarkStale(src))
	acquired, err := cache.Acquire(src, forebay.AcquireOptions{})
	check(err)
	got, err := acquired.Ticket.Unchanged(forebay.Commit{})
	fmt.Println(string(got.Data), got.State, err)
	// Output: the same fresh <nil>
}

func ExampleTicket_Fail() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "failed", TTL: time.Hour}
	acquired, err := cache.Acquire(src, forebay.AcquireOptions{})
	check(err)
	check(acquired.Ticket.Fail(errors.New("no network")))
	again, err := cache.Acquire(src, forebay.AcquireOptions{})
	fmt.Println(again.Started, again.State.LastError, err)
	// Output: gated no network <nil>
}

func ExampleCache_NextRefresh() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "queued", TTL: time.Hour}
	started, err := cache.RequestRefresh(src)
	check(err)
	ticket, err := cache.NextRefresh(context.Background()) // a loop of the program's own
	check(err)
	got, err := ticket.Run(func(ctx context.Context) ([]byte, error) { return []byte("done"), nil })
	fmt.Println(started, string(got.Data), err)
	// Output: started done <nil>
}

func ExampleCache_RefreshMany() {
	cache := &forebay.Cache{Root: dir}
	var items []forebay.Item
	for _, name := range []string{"one", "two", "three"} {
		items = append(items, forebay.Item{
			Source:    forebay.Source{Tier: "many", Name: name, TTL: time.Hour},
			Refresher: func(ctx context.Context) ([]byte, error) { return []byte(name), nil },
		})
	}
	outcomes := cache.RefreshMany(context.Background(), items, 2, func(p forebay.Progress) {
		fmt.Printf("%d of %d\n", p.Done, p.Total)
	})
	fmt.Println(string(outcomes[2].Value.Data), outcomes[2].Err)
	// Output:
	// 1 of 3
	// 2 of 3
	// 3 of 3
	// three <nil>
}

func ExampleCache_Reader() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "hot", TTL: time.Hour}
	_, err := cache.Put(src, []byte("x"), forebay.Commit{})
	check(err)
	reader, err := cache.Reader(src)
	check(err)
	defer reader.Close()
	for range 1000 {
		_, err = reader.Read() // no system call while nothing changes
	}
	fmt.Println(err)
	// Output: <nil>
}

func ExampleCache_Readers() {
	cache := &forebay.Cache{Root: dir}
	_, err := cache.Put(forebay.Source{Name: "api/by key"}, []byte("x"), forebay.Commit{})
	check(err)
	readers := cache.Readers(forebay.Source{TTL: time.Hour})
	defer readers.Close()
	got, err := readers.Get("api/by key")
	fmt.Println(string(got.Data), got.State, err)
	// Output: x fresh <nil>
}

func ExampleCache_Subscribe() {
	cache, err := forebay.Open(forebay.Options{Root: dir + "/events"})
	check(err)
	events, err := cache.Subscribe(context.Background())
	check(err)
	check(cache.Refresh(forebay.Source{Name: "api/models"}, func(context.Context) ([]byte, error) { return nil, nil }))
	for event := range events {
		fmt.Println(event.Kind, event.Key)
		if event.Kind == forebay.EventRefreshSucceeded {
			break
		}
	}
	counters, err := cache.Counters()
	check(err)
	fmt.Println(counters[forebay.EventRefreshSucceeded])
	check(cache.Close())
	// Output:
	// refresh_started api/models
	// refresh_succeeded api/models
	// 1
}

func ExampleCache_SetWaitForRefreshHookForTesting() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "joined", TTL: time.Hour}
	acquired, err := cache.Acquire(src, forebay.AcquireOptions{})
	check(err)
	cache.SetWaitForRefreshHookForTesting(func(src forebay.Source) {
		fmt.Println("waits for", src.Key())
		_, err := acquired.Ticket.Complete([]byte("theirs"), forebay.Commit{})
		check(err)
	})
	check(cache.Refresh(src, func(context.Context) ([]byte, error) { panic("not called") }))
	// Output: waits for api/joined
}

func ExampleFromResponse() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "models")
	}))
	defer server.Close()
	fetch := func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			return nil, err
		}
		request.Header = forebay.JobFrom(ctx).ConditionalHeaders()
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		return forebay.FromResponse(ctx, response)
	}
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "over http", TTL: time.Hour}
	for range 2 {
		got, err := cache.RefreshContext(context.Background(), src, fetch)
		fmt.Println(string(got.Data), got.How, got.Validator, err)
	}
	// Output:
	// models ran "v1" <nil>
	// models unchanged "v1" <nil>
}

func ExampleJobFrom() {
	cache := &forebay.Cache{Root: dir}
	src := forebay.Source{Tier: "api", Name: "counted"}
	count := func(ctx context.Context) ([]byte, error) {
		job := forebay.JobFrom(ctx)
		job.SetValidator("mine")
		job.SetTTL(time.Hour) // what the server says goes before the source's
		job.SetMaxStale(24 * time.Hour)
		job.SetExtra("text beside it")
		fmt.Printf("%s: %q %q %v\n", job.Key(), job.Previous(), job.Validator(), job.Remaining() > 0)
		return append(job.Previous(), '+'), nil
	}
	for range 2 {
		check(cache.Refresh(src, count))
	}
	// Output:
	// api/counted: "" "" true
	// api/counted: "+" "mine" true
}

func ExampleError() {
	cache := &forebay.Cache{Root: dir}
	_, err := cache.Read(forebay.Source{})
	var failure *forebay.Error
	fmt.Println(errors.Is(err, forebay.ErrInvalid), errors.As(err, &failure), failure.Code)
	code, ok := forebay.ParseCode("rate_limited")
	fmt.Println(code == forebay.CodeRateLimited, ok)
	// Output:
	// true true invalid
	// true true
}

func ExampleParseKey() {
	src := forebay.ParseKey("api/models")
	fmt.Println(src.Tier, src.Name, forebay.ParseKey("models").Key())
	// Output: api models default/models
}

func ExampleParseDuration() {
	d, err := forebay.ParseDuration("1h30m")
	check(err)
	text, err := forebay.FormatDuration(d)
	fmt.Println(d, text, err)
	// Output: 1h30m0s 1h30m <nil>
}

func ExampleDefaultRoot() {
	root, ok, err := forebay.DefaultRoot("my-program")
	fmt.Println(!ok || root != "", err, forebay.LibraryVersion() != "")
	// Output: true <nil> true
}
