// The demo's Go program: one read, or one get, of the model list.
//
// It shows what a command-line tool does with a slow source, and prints what it got as one line of name=value
// pairs, like its four sisters in other languages. Usage: fetch get|read URL
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	forebay "github.com/forebay/forebay/bindings/go"
)

func main() {
	mode, url := os.Args[1], os.Args[2]
	fmt.Println("asking")
	began := time.Now()
	cache := &forebay.Cache{}
	defer cache.Close()
	models := forebay.Source{Tier: "api", Name: "models", TTL: time.Hour, MaxStale: 7 * 24 * time.Hour,
		RefreshDeadline: 20 * time.Second}

	fetch := func(ctx context.Context) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		request.Header = forebay.JobFrom(ctx).ConditionalHeaders()
		request.Header.Set("User-Agent", "go")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, err
		}
		return forebay.FromResponse(ctx, response)
	}

	var value forebay.ReadResult
	var err error
	if mode == "get" {
		value, err = cache.Get(context.Background(), models, fetch)
	} else {
		value, err = cache.Read(models)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("how=%s state=%s age_ms=%d bytes=%d us=%d error=%s\n", value.How, value.State,
		value.Age.Milliseconds(), len(value.Data), time.Since(began).Microseconds(), code(value.Err))
}

func code(err error) string {
	if err == nil {
		return "-"
	}
	var failure *forebay.Error
	if errors.As(err, &failure) {
		return failure.Code.String()
	}
	return err.Error()
}
