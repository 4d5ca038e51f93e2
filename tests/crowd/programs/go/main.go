// Command resolver is the Go member of the crowd; README.md in tests/crowd has what it is asked and answers.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	forebay "github.com/forebay/forebay/bindings/go"
)

type member struct {
	cache       *forebay.Cache
	credentials *forebay.Credentials
	base        string
}

// question is one line: VERB NAME GIVEN PATIENCE_MS FALLBACK.
type question struct {
	name, given, fallback string
	patience              time.Duration
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
func asked(ctx context.Context, request *http.Request, patience time.Duration) ([]byte, error) {
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

func (m *member) fetch(ctx context.Context, credential string, q question) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, "GET", m.base+q.name, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+credential)
	return asked(ctx, request, q.patience)
}

func (m *member) resolve(q question) any {
	called := ""
	quota := m.cache.Quota(q.name, forebay.QuotaOptions{Timeout: time.Minute})
	answer, err := quota.Resolve(context.Background(), forebay.QuotaSource{
		Credentials: func(context.Context) (string, error) {
			called += "c"
			if q.given == "-" {
				return "", &forebay.Failure{Code: forebay.CodeNoCredentials, Message: "signed out"}
			}
			return q.given, nil
		},
		Fetch: func(ctx context.Context, job *forebay.QuotaJob) ([]byte, error) {
			called += "f"
			return m.fetch(ctx, job.Credential(), q)
		},
		Fallback: func(context.Context) ([]byte, error) {
			called += "b"
			if q.fallback == "-" {
				return nil, nil
			}
			return []byte(q.fallback), nil
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

// exchange asks for the next pair, or for the first one.
func (m *member) exchange(ctx context.Context, previous []byte, q question) ([]byte, error) {
	where, form := "login", url.Values{}
	if previous != nil {
		var pair struct {
			RefreshToken string `json:"refresh_token"`
		}
		if err := json.Unmarshal(previous, &pair); err != nil {
			return nil, err
		}
		where = "token"
		form.Set("refresh_token", pair.RefreshToken)
	}
	request, err := http.NewRequestWithContext(ctx, "POST", m.base+where, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	return asked(ctx, request, q.patience)
}

func (m *member) rotate(q question) any {
	called, seen := "", forebay.Version("")
	if q.given != "-" {
		seen = forebay.Version(q.given)
	}
	exchange := func(ctx context.Context, previous []byte) ([]byte, error) {
		called += "x"
		return m.exchange(ctx, previous, q)
	}
	out := map[string]any{"how": nil, "version": nil, "data": nil, "error": nil}
	credential, err := m.credentials.Rotate(context.Background(), q.name, seen, exchange)
	if err != nil {
		out["error"] = code(err)
	} else {
		out["how"], out["version"], out["data"] = credential.How, credential.Version, json.RawMessage(credential.Data())
	}
	out["called"] = called
	return out
}

func (m *member) answer(line string) (any, error) {
	words := strings.Fields(line)
	if len(words) != 5 {
		return nil, fmt.Errorf("%q is not VERB NAME GIVEN PATIENCE_MS FALLBACK", line)
	}
	patience, err := strconv.Atoi(words[3])
	q := question{words[1], words[2], words[4], time.Duration(patience) * time.Millisecond}
	if words[0] == "rotate" {
		return m.rotate(q), err
	}
	return m.resolve(q), err
}

func run() error {
	root, state, clock, port := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	cache, err := forebay.Open(forebay.Options{Root: root, TestClock: clock})
	if err != nil {
		return err
	}
	options := forebay.CredentialsOptions{Root: state, TestClock: clock, Deadline: time.Minute}
	credentials, err := forebay.OpenCredentials(options)
	if err != nil {
		return err
	}
	m := &member{cache, credentials, "http://127.0.0.1:" + port + "/"}
	fmt.Println(`{"language": "go"}`)
	out, lines := json.NewEncoder(os.Stdout), bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		answer, err := m.answer(lines.Text())
		if err != nil {
			return err
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: resolver ROOT STATE CLOCK PORT")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "resolver:", err)
		os.Exit(1)
	}
}
