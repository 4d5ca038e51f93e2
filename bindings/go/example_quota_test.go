// Examples of quotas and credentials; see example_test.go.

package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

func ExampleQuota_Resolve() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("asked with", r.Header.Get("Authorization"))
		fmt.Fprint(w, `{"used": 7}`)
	}))
	defer server.Close()
	cache := &forebay.Cache{Root: dir}
	usage := cache.Quota("example", forebay.QuotaOptions{Identity: "me@example.com", TTL: time.Minute})
	source := forebay.QuotaSource{ // each is called only if it is needed
		Credentials: func(ctx context.Context) (string, error) { return "my token", nil },
		Fetch: func(ctx context.Context, job *forebay.QuotaJob) ([]byte, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				return nil, err
			}
			request.Header = job.ConditionalHeaders()
			request.Header.Set("Authorization", "Bearer "+job.Credential())
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return nil, err
			}
			return forebay.FromResponse(ctx, response) // 429, Retry-After and so on keep off every process
		},
		Fallback: func(ctx context.Context) ([]byte, error) { return []byte(`{"used": null}`), nil },
	}
	for range 2 {
		answer, err := usage.Resolve(context.Background(), source)
		check(err)
		var decoded struct{ Used int }
		check(answer.Decode(&decoded))
		fmt.Println(decoded.Used, answer.How, answer.State)
	}
	// Output:
	// asked with Bearer my token
	// 7 ran fresh
	// 7 fresh fresh
}

func ExampleQuota_Read() {
	cache := &forebay.Cache{Root: dir}
	usage := cache.Quota("limited", forebay.QuotaOptions{})
	_, err := usage.Resolve(context.Background(), forebay.QuotaSource{
		Fetch: func(ctx context.Context, job *forebay.QuotaJob) ([]byte, error) {
			return nil, &forebay.Failure{Code: forebay.CodeRateLimited, Message: "slow down", RetryAfter: time.Hour}
		},
	})
	var failure *forebay.Error
	fmt.Println(errors.As(err, &failure), failure.Code, time.Until(failure.RetryAt).Round(time.Minute))
	state, err := usage.Read() // asks nobody
	check(err)
	fmt.Println(state.Answer == nil, state.Blocked.Code, state.Blocked.Declared, state.Phase)
	// Output:
	// true rate_limited 1h0m0s
	// true rate_limited true cooling
}

func ExampleQuota_Block() {
	cache := &forebay.Cache{Root: dir}
	usage := cache.Quota("blocked", forebay.QuotaOptions{Identity: "me@example.com"})
	until, err := usage.Block(time.Hour, forebay.CodeRateLimited, "the server said so in a mail")
	check(err)
	key, err := usage.Key()
	check(err)
	fmt.Println(usage.Options().Identity, len(key), time.Until(until).Round(time.Minute))
	cleared, err := usage.Clear()
	fmt.Println(cleared, err)
	// Output:
	// me@example.com 24 1h0m0s
	// true <nil>
}

func ExampleCache_Quotas() {
	cache, err := forebay.Open(forebay.Options{Root: dir + "/quotas"})
	check(err)
	defer cache.Close()
	_, err = cache.Quota("usage", forebay.QuotaOptions{}).Block(time.Minute, forebay.CodeUnavailable, "")
	check(err)
	keys, err := cache.Quotas()
	fmt.Println(keys[0].Key, err)
	// Output: usage <nil>
}

func ExampleCredentials_Rotate() {
	creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: dir + "/state"})
	check(err)
	defer creds.Close()
	login, err := creds.Reset("github-oauth", []byte("the token of a login"))
	check(err)
	exchange := func(ctx context.Context, previous []byte) ([]byte, error) { // by one process among all
		fmt.Printf("exchanging %q\n", previous)
		return []byte("its successor"), nil
	}
	for range 2 { // the second caller had seen the old one too
		token, err := creds.Rotate(context.Background(), "github-oauth", login, exchange)
		check(err)
		fmt.Println(token.Text(), len(token.Data()), token.How)
	}
	current, err := creds.Current("github-oauth")
	check(err)
	folder, err := creds.Folder()
	fmt.Println(current.Version != login, folder == dir+"/state", err)
	fmt.Println(strings.Contains(fmt.Sprint(current), current.Text())) // printing one shows no secret
	// Output:
	// exchanging "the token of a login"
	// its successor 13 ran
	// its successor 13 coalesced
	// true true <nil>
	// false
}

func ExampleRotate() {
	check(os.Setenv("FOREBAY_STATE", dir+"/default state")) // a program leaves that to its user
	server := httptest.NewServer(nil)
	server.Close() // a server that is down
	exchange := func(ctx context.Context, previous []byte) ([]byte, error) {
		response, err := http.PostForm(server.URL, url.Values{"refresh_token": {string(previous)}})
		if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
			return nil, forebay.NotSent(err) // so the token is still good
		}
		if err != nil {
			return nil, err // who knows: forebay.ErrAmbiguous for everyone, until a new login
		}
		return forebay.FromResponse(ctx, response)
	}
	version, err := forebay.RotateReset("my-oauth", []byte("the token of a login"))
	check(err)
	_, err = forebay.Rotate(context.Background(), "my-oauth", version, exchange)
	fmt.Println(err != nil, errors.Is(err, forebay.ErrAmbiguous))
	root, ok, err := forebay.DefaultStateRoot()
	fmt.Println(root == dir+"/default state", ok, err)
	// Output:
	// true false
	// true true <nil>
}

func ExampleCredentials_State() {
	creds, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: dir + "/state"})
	check(err)
	defer creds.Close()
	_, err = creds.Rotate(context.Background(), "broken", "", func(context.Context, []byte) ([]byte, error) {
		return nil, errors.New("connection reset") // after the request was sent
	})
	fmt.Println(errors.Is(err, forebay.ErrAmbiguous))
	state, err := creds.State("broken")
	check(err)
	fmt.Println(state.AmbiguousSince.IsZero())
	_, err = creds.Reset("broken", []byte("the token of a new login"))
	check(err)
	state, err = creds.State("broken")
	fmt.Println(state.AmbiguousSince.IsZero(), err)
	// Output:
	// true
	// false
	// true <nil>
}
