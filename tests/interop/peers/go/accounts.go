// What the peer does with quotas and rotated credentials.

package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	forebay "github.com/forebay/forebay/bindings/go"
)

// epoch is null where there is no such time.
func epoch(at time.Time) any {
	if at.IsZero() {
		return nil
	}
	return at.UnixMilli()
}

func (p *peer) quota(r request) *forebay.Quota {
	return p.cache.Quota(r.Name, forebay.QuotaOptions{Identity: r.Identity})
}

func (p *peer) resolve(r request) (answer, error) {
	source := forebay.QuotaSource{
		Fetch: func(ctx context.Context, _ *forebay.QuotaJob) ([]byte, error) {
			if r.JSON != nil {
				return []byte(*r.JSON), nil
			}
			header := http.Header{}
			if r.RetryAfter != nil {
				header.Set("Retry-After", *r.RetryAfter)
			}
			return forebay.FromResponse(ctx, &http.Response{StatusCode: r.Status, Header: header, Body: http.NoBody})
		},
		Fallback: func(context.Context) ([]byte, error) { return nil, nil },
	}
	if r.Credential != nil {
		source.Credentials = func(context.Context) (string, error) { return *r.Credential, nil }
	}
	got, err := p.quota(r).Resolve(context.Background(), source)
	if err != nil {
		return nil, err
	}
	return answer{"json": string(got.Data), "how": got.How, "error": code(got.Err), "retry_at_ms": epoch(got.RetryAt)}, nil
}

func (p *peer) look(r request) (answer, error) {
	got, err := p.quota(r).Read()
	out := answer{
		"json": nil, "state": nil, "cached_at_ms": nil,
		"blocked_until_ms": nil, "error": nil, "message": nil, "declared": nil, "attempts": nil,
	}
	if a := got.Answer; a != nil {
		out["json"], out["state"], out["cached_at_ms"] = string(a.Data), a.State, epoch(a.CachedAt)
	}
	if b := got.Blocked; b != nil {
		out["blocked_until_ms"], out["message"] = epoch(b.Until), b.Message
		out["declared"], out["attempts"] = b.Declared, b.Attempts
		if b.Code != 0 {
			out["error"] = b.Code.String()
		}
	}
	return out, err
}

func (p *peer) account(r request) (answer, error) {
	switch r.Op {
	case "quota_resolve":
		return p.resolve(r)
	case "quota_read":
		return p.look(r)
	case "quota_block":
		reason, _ := forebay.ParseCode(r.Code)
		until, err := p.quota(r).Block(millis(r.ForMs), reason, r.Message)
		return answer{"until_ms": epoch(until)}, err
	case "quota_clear":
		cleared, err := p.quota(r).Clear()
		return answer{"cleared": cleared}, err
	case "quotas":
		listed, err := p.cache.Quotas()
		keys := make([]string, len(listed))
		for i, one := range listed {
			keys[i] = one.Key
		}
		return answer{"keys": keys}, err
	}
	return p.credential(r)
}

func (p *peer) credential(r request) (answer, error) {
	switch strings.TrimPrefix(r.Op, "rotate") {
	case "":
		var given []byte
		got, err := p.credentials.Rotate(context.Background(), r.Key, forebay.Version(r.Seen), func(_ context.Context, previous []byte) ([]byte, error) {
			given = previous
			if r.Code != "" {
				failure := &forebay.Failure{Message: r.Message}
				failure.Code, _ = forebay.ParseCode(r.Code)
				return nil, failure
			}
			return r.data(), nil
		})
		if err != nil {
			return nil, err
		}
		return answer{"hex": bytes(got.Data()), "how": got.How, "version": got.Version, "previous": bytes(given)}, nil
	case "_current":
		got, err := p.credentials.Current(r.Key)
		if errors.Is(err, forebay.ErrNotFound) {
			return answer{"hex": nil, "version": nil}, nil
		}
		if err != nil {
			return nil, err
		}
		return answer{"hex": bytes(got.Data()), "version": got.Version}, nil
	case "_reset":
		var data []byte
		if r.Hex != "" {
			data = r.data()
		}
		version, err := p.credentials.Reset(r.Key, data)
		return answer{"version": text(version)}, err
	case "_state":
		got, err := p.credentials.State(r.Key)
		return answer{
			"phase": got.Phase, "ambiguous_since_ms": epoch(got.AmbiguousSince), "error": code(got.Err),
			"version": text(got.Version),
		}, err
	}
	return p.derivedOp(r)
}
