// Quotas against a server: what each of its answers comes to, and for how long it is left alone after that.

package forebay_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

// asking is a source as a user writes it.
func asking(url string) forebay.QuotaSource {
	return forebay.QuotaSource{
		Credentials: func(context.Context) (string, error) { return secret, nil },
		Fetch: func(ctx context.Context, job *forebay.QuotaJob) ([]byte, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return nil, err
			}
			request.Header = job.ConditionalHeaders()
			request.Header.Set("Authorization", "Bearer "+job.Credential())
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				return nil, err
			}
			return forebay.FromResponse(ctx, response)
		},
	}
}

func TestAQuotaRevalidates(t *testing.T) {
	cache, clock := newClockedCache(t)
	usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: hang})
	asked := make(chan string, 3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Authorization") + r.Header.Get("If-None-Match")
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, `{"used": 1}`)
	}))
	defer server.Close()
	got, err := usage.Resolve(bounded(t), asking(server.URL))
	must(t, err)
	equal(t, "how", got.How, forebay.HowRan)
	equal(t, "asked", <-asked, "Bearer "+secret)
	for range 2 { // the validator outlives a 304
		clock.advance(time.Hour)
		got, err = usage.Resolve(bounded(t), asking(server.URL))
		must(t, err)
		equal(t, "how", got.How, forebay.HowUnchanged)
		equal(t, "data", string(got.Data), `{"used": 1}`)
		equal(t, "asked", <-asked, "Bearer "+secret+`"v1"`)
	}
}

func TestEachAnswerOfAServerKeepsEveryoneOffForItsTime(t *testing.T) {
	for _, test := range []struct {
		status int
		after  string // a header, or none
		body   string
		want   error
		retry  time.Duration
	}{
		{http.StatusTooManyRequests, "120", "", forebay.ErrRateLimited, 2 * time.Minute},
		{http.StatusTooManyRequests, "", "", forebay.ErrRateLimited, 5 * time.Minute},
		{http.StatusTooManyRequests, "0", "", forebay.ErrRateLimited, time.Second},
		{http.StatusTooManyRequests, "99999999", "", forebay.ErrRateLimited, 24 * time.Hour},
		{http.StatusServiceUnavailable, "60", "", forebay.ErrUnavailable, time.Minute},
		{http.StatusServiceUnavailable, "", "", forebay.ErrUnavailable, time.Second},
		{http.StatusUnauthorized, "", "", forebay.ErrUnauthorized, 5 * time.Minute},
		{http.StatusForbidden, "", "", forebay.ErrUnauthorized, 5 * time.Minute},
		{http.StatusInternalServerError, "", "", forebay.ErrRefreshFailed, time.Second},
		{http.StatusOK, "", "<html>", forebay.ErrRefreshFailed, time.Second},
		{http.StatusNotModified, "", "", forebay.ErrRefreshFailed, time.Second},
	} {
		t.Run(fmt.Sprint(test.status, " ", test.after, test.body), func(t *testing.T) {
			cache, clock := newClockedCache(t)
			requests := make(chan struct{}, 2)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests <- struct{}{}
				if test.after != "" {
					w.Header().Set("Retry-After", test.after)
				}
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}))
			defer server.Close()
			usage := cache.Quota("usage", forebay.QuotaOptions{Timeout: hang})
			for range 2 { // the second only meets the gate
				_, err := usage.Resolve(bounded(t), asking(server.URL))
				isError(t, err, test.want)
				var failure *forebay.Error
				if !errors.As(err, &failure) {
					t.Fatalf("got %#v", err)
				}
				equal(t, "retry", clock.in(failure.RetryAt), test.retry)
			}
			equal(t, "requests", len(requests), 1)
			clock.advance(test.retry)
			_, err := usage.Resolve(bounded(t), asking(server.URL))
			isError(t, err, test.want)
			equal(t, "requests, after its time", len(requests), 2)
		})
	}
}
