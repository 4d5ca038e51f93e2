// Command peer is the Go side of the matrix in tests/interop, whose README has the protocol.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	forebay "github.com/forebay/forebay/bindings/go"
)

type request struct {
	Op           string
	Key          string
	Hex          string
	Validator    string
	Code         string
	Message      string
	TTL          *int64 `json:"ttl_ms"`
	Deadline     int64  `json:"deadline_ms"`
	RetryAfterMs int64  `json:"retry_after_ms"`

	Name, Identity, Seen string
	JSON, Credential     *string
	RetryAfter           *string `json:"retry_after"`
	Status               int
	ForMs                int64 `json:"for_ms"`

	Of         any
	Kind       string
	Inputs     []string
	Upstreams  []forebay.LiveKey
	Revalidate bool
}

type answer map[string]any

type peer struct {
	cache       *forebay.Cache
	ticket      *forebay.Ticket
	credentials *forebay.Credentials
	work        string
	opened      *forebay.Live
}

func (r request) source() forebay.Source {
	source := forebay.ParseKey(r.Key)
	source.RefreshDeadline = millis(r.Deadline)
	if r.TTL != nil {
		source.TTL = millis(*r.TTL)
		if *r.TTL == 0 {
			source.TTL = forebay.Zero
		}
	}
	return source
}

func (r request) data() []byte {
	data, err := hex.DecodeString(r.Hex)
	if err != nil {
		panic(err)
	}
	return data
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// text is null where there is none.
func text[T ~string](t T) any {
	if t == "" {
		return nil
	}
	return t
}

func bytes(data []byte) any {
	if data == nil {
		return nil
	}
	return hex.EncodeToString(data)
}

func code(err error) any {
	var e *forebay.Error
	if errors.As(err, &e) {
		return e.Code.String()
	}
	return nil
}

func (p *peer) answer(r request) (answer, error) {
	switch r.Op {
	case "put":
		got, err := p.cache.Put(r.source(), r.data(), forebay.Commit{Validator: r.Validator})
		return answer{"version": got.Version}, err
	case "read":
		got, err := p.cache.Read(r.source())
		return answer{
			"hex": bytes(got.Data), "state": got.State, "phase": text(got.Phase), "validator": text(got.Validator),
			"version": got.Version, "error": code(got.Err),
		}, err
	case "acquire":
		got, err := p.cache.Acquire(r.source(), forebay.AcquireOptions{})
		if got.Ticket != nil {
			p.ticket = got.Ticket
			return answer{"outcome": "ticket"}, err
		}
		return answer{"outcome": got.Started}, err
	case "complete":
		got, err := p.ticket.Complete(r.data(), forebay.Commit{Validator: r.Validator})
		return answer{"version": got.Version}, err
	case "fail":
		failure := &forebay.Failure{Message: r.Message, RetryAfter: millis(r.RetryAfterMs)}
		failure.Code, _ = forebay.ParseCode(r.Code)
		return answer{}, p.ticket.Fail(failure)
	case "get":
		fetch := func(context.Context) ([]byte, error) { return r.data(), nil }
		got, err := p.cache.Get(context.Background(), r.source(), fetch)
		return answer{"hex": bytes(got.Data), "how": got.How}, err
	case "state":
		return p.state(r)
	case "mark_stale":
		return answer{}, p.cache.MarkStale(r.source())
	case "remove":
		removed, err := p.cache.Remove(r.source())
		return answer{"removed": removed}, err
	case "list":
		listed, err := p.cache.List()
		keys := make([]string, len(listed))
		for i, one := range listed {
			keys[i] = one.Key
		}
		return answer{"keys": keys}, err
	}
	return p.account(r)
}

func unknown(r request) error { return fmt.Errorf("a peer has no op %q", r.Op) }

func (p *peer) state(r request) (answer, error) {
	got, err := p.cache.RefreshState(r.source())
	out := answer{
		"phase": got.Phase, "error": code(got.Err), "message": text(got.LastError), "attempts": got.Attempts,
		"declared": got.Declared, "retry_at_ms": nil, "holder": nil,
	}
	if !got.RetryAt.IsZero() {
		out["retry_at_ms"] = got.RetryAt.UnixMilli()
	}
	if got.HolderPID != 0 {
		out["holder"] = got.HolderPID
	}
	return out, err
}

func run() error {
	cache, err := forebay.Open(forebay.Options{Root: os.Args[1]})
	if err != nil {
		return err
	}
	beside := filepath.Dir(os.Args[1])
	state := filepath.Join(beside, "state")
	credentials, err := forebay.OpenCredentials(forebay.CredentialsOptions{Root: state})
	if err != nil {
		return err
	}
	p := &peer{cache: cache, credentials: credentials, work: filepath.Join(beside, "work")}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(answer{"language": "go"}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return err
		}
		got, err := p.answer(r)
		if err != nil {
			got = answer{"error": code(err), "message": err.Error()}
		}
		if err := out.Encode(got); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: peer ROOT")
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}
