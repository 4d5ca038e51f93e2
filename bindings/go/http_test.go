// FromResponse against a real server: bytes and validator, 304, and the time that the server asks for.

package forebay_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/forebay/forebay/bindings/go"
)

// fetching is a refresher as a user writes it.
func fetching(url string) forebay.Refresher {
	return func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
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
}

func TestFromResponseRevalidates(t *testing.T) {
	for _, header := range []struct{ answer, ask, value string }{
		{"ETag", "If-None-Match", `"v1"`},
		{"Last-Modified", "If-Modified-Since", "Wed, 21 Oct 2015 07:28:00 GMT"},
	} {
		asked := make(chan string, 2)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- r.Header.Get(header.ask)
			w.Header().Set(header.answer, header.value)
			if r.Header.Get(header.ask) != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = w.Write([]byte("body"))
		}))
		cache := newCache(t)
		got, err := cache.RefreshContext(bounded(t), models, fetching(server.URL))
		must(t, err)
		equal(t, "data", string(got.Data), "body")
		equal(t, "validator", got.Validator, header.value)
		equal(t, "asked at first", <-asked, "")
		got, err = cache.RefreshContext(bounded(t), models, fetching(server.URL))
		must(t, err)
		equal(t, "how", got.How, forebay.HowUnchanged)
		equal(t, "data", string(got.Data), "body")
		equal(t, "asked then", <-asked, header.value)
		server.Close()
	}
}

func TestFromResponseTurnsStatusesIntoFailures(t *testing.T) {
	for _, test := range []struct {
		status   int
		after    string
		want     error
		declared bool
	}{
		{http.StatusTooManyRequests, "3600", forebay.ErrRateLimited, true},
		{http.StatusTooManyRequests, "0", forebay.ErrRateLimited, true},
		{http.StatusServiceUnavailable, "", forebay.ErrUnavailable, false},
		{http.StatusUnauthorized, "", forebay.ErrUnauthorized, false},
		{http.StatusForbidden, "", forebay.ErrUnauthorized, false},
		{http.StatusInternalServerError, "", forebay.ErrRefreshFailed, false},
		{http.StatusNotFound, "", forebay.ErrRefreshFailed, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if test.after != "" {
				w.Header().Set("Retry-After", test.after)
			}
			w.WriteHeader(test.status)
		}))
		cache := newCache(t)
		_, err := cache.RefreshContext(bounded(t), models, fetching(server.URL))
		isError(t, err, test.want)
		state, err := cache.RefreshState(models)
		must(t, err)
		isError(t, state.Err, test.want)
		equal(t, "declared", state.Declared, test.declared)
		if test.after == "3600" && time.Until(state.RetryAt) < 50*time.Minute {
			t.Errorf("%d: the next attempt is at %v", test.status, state.RetryAt)
		}
		server.Close()
	}
}

func TestTheDeadlineEndsARequest(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(ended)
	}))
	defer server.Close()
	cache := newCache(t)
	source := models
	source.RefreshDeadline = 20 * time.Millisecond
	_, err := cache.RefreshContext(bounded(t), source, fetching(server.URL))
	isError(t, err, context.DeadlineExceeded)
	select {
	case <-began:
		within(t, "the request's end", ended)
	default: // the deadline was over before the server saw it
	}
}
