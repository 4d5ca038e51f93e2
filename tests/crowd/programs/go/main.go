// Command resolver is the Go member of the crowd; README.md in tests/crowd has what it is asked and answers.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	forebay "github.com/forebay/forebay/bindings/go"
)

type member struct {
	cache *forebay.Cache
	base  string
}

type facts struct {
	How       any    `json:"how"`
	State     any    `json:"state"`
	Data      any    `json:"data"`
	AgeMs     any    `json:"age_ms"`
	RetryAtMs any    `json:"retry_at_ms"`
	Error     any    `json:"error"`
	Called    string `json:"called"`
}

func code(err error) any {
	var known *forebay.Error
	if errors.As(err, &known) {
		return known.Code.String()
	}
	var failure *forebay.Failure
	if errors.As(err, &failure) {
		return failure.Code.String()
	}
	if err != nil {
		return err.Error()
	}
	return nil
}

// asked is one request, and what it means that there is no answer.
func asked(ctx context.Context, url, credential string, patience time.Duration) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+credential)
	request.Header.Set("User-Agent", "go")
	client := http.Client{Timeout: patience}
	response, err := client.Do(request)
	if err != nil {
		if os.IsTimeout(err) {
			return nil, &forebay.Failure{Code: forebay.CodeTimedOut, Message: "the server does not answer"}
		}
		return nil, err
	}
	return forebay.FromResponse(ctx, response)
}

func (m *member) resolve(name, credential string, patience time.Duration, fallback string) facts {
	called := ""
	quota := m.cache.Quota(name, forebay.QuotaOptions{Timeout: time.Minute})
	answer, err := quota.Resolve(context.Background(), forebay.QuotaSource{
		Credentials: func(context.Context) (string, error) {
			called += "c"
			if credential == "-" {
				return "", &forebay.Failure{Code: forebay.CodeNoCredentials, Message: "signed out"}
			}
			return credential, nil
		},
		Fetch: func(ctx context.Context, job *forebay.QuotaJob) ([]byte, error) {
			called += "f"
			return asked(ctx, m.base+name, job.Credential(), patience)
		},
		Fallback: func(context.Context) ([]byte, error) {
			called += "b"
			if fallback == "-" {
				return nil, nil
			}
			return []byte(fallback), nil
		},
	})
	if err != nil {
		out := facts{Error: code(err), Called: called}
		var known *forebay.Error
		if errors.As(err, &known) && !known.RetryAt.IsZero() {
			out.RetryAtMs = known.RetryAt.UnixMilli()
		}
		return out
	}
	out := facts{How: answer.How, State: answer.State, Data: json.RawMessage(answer.Data), Called: called}
	out.AgeMs, out.Error = answer.Age.Milliseconds(), code(answer.Err)
	if !answer.RetryAt.IsZero() {
		out.RetryAtMs = answer.RetryAt.UnixMilli()
	}
	return out
}

func run() error {
	cache, err := forebay.Open(forebay.Options{Root: os.Args[1], TestClock: os.Args[2]})
	if err != nil {
		return err
	}
	m := &member{cache: cache, base: "http://127.0.0.1:" + os.Args[3] + "/"}
	fmt.Println(`{"language": "go"}`)
	out, lines := json.NewEncoder(os.Stdout), bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		patience, err := strconv.Atoi(words[2])
		if err != nil {
			return err
		}
		if err := out.Encode(m.resolve(words[0], words[1], time.Duration(patience)*time.Millisecond, words[3])); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: resolver ROOT CLOCK PORT")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "resolver:", err)
		os.Exit(1)
	}
}
