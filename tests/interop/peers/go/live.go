// What the peer does with derived results.

package main

import (
	"context"

	forebay "github.com/forebay/forebay/bindings/go"
)

// open opens them at the first request, below the workspace beside the root.
func (p *peer) open() (live *forebay.Live, err error) {
	if p.opened == nil {
		p.opened, err = p.cache.Live(forebay.LiveOptions{Workspace: p.work})
	}
	return p.opened, err
}

func derived(found *forebay.Derived) answer {
	inputs := make([]string, len(found.Inputs))
	for i, input := range found.Inputs {
		inputs[i] = input.String()
	}
	return answer{
		"hex": bytes(found.Data), "how": found.How, "kind": found.Kind, "inputs": inputs,
		"upstreams": found.Upstreams, "error": code(found.Err),
	}
}

func (p *peer) derive(live *forebay.Live, r request) (answer, error) {
	spec := forebay.LiveSpec{Upstreams: r.Upstreams, Kind: r.Kind}
	for _, input := range r.Inputs {
		spec.Inputs = append(spec.Inputs, forebay.ParseInput(input))
	}
	compute := func(context.Context) ([]byte, error) { return r.data(), nil }
	found, err := live.GetOrCompute(context.Background(), forebay.LiveKey(r.Key), spec, compute)
	if err != nil {
		return nil, err
	}
	return derived(found), nil
}

func look(live *forebay.Live, r request) (answer, error) {
	lookup := live.Lookup
	if r.Revalidate {
		lookup = live.LookupRevalidate
	}
	found, err := lookup(forebay.LiveKey(r.Key))
	out := answer{}
	if found.Derived != nil {
		out = derived(found.Derived)
	}
	out["outcome"] = found.Outcome
	return out, err
}

func (p *peer) derivedOp(r request) (answer, error) {
	live, err := p.open()
	if err != nil {
		return nil, err
	}
	switch r.Op {
	case "live_key":
		key, err := forebay.LiveKeyOf(r.Of)
		return answer{"key": key}, err
	case "live_get":
		return p.derive(live, r)
	case "live_lookup":
		return look(live, r)
	case "live_why":
		why, err := live.Why(forebay.LiveKey(r.Key))
		out := answer{"holds": why.Holds, "input": nil, "upstream": text(why.Upstream)}
		if why.Input != nil {
			out["input"] = why.Input.String()
		}
		return out, err
	case "live_tag":
		removed, err := live.InvalidateTag(r.Name)
		return answer{"removed": removed}, err
	}
	return nil, unknown(r)
}
