// The ways to read that the Go binding has, as contestants.

package main

import (
	forebay "github.com/forebay/forebay/bindings/go"
)

// addForebay adds the ways to read that the Go binding has.
func addForebay(contest *contest, f *fixture, cache *forebay.Cache) error {
	readers := make([]*forebay.Reader, len(f.names))
	for at := range readers {
		reader, err := cache.Reader(f.source(at))
		if err != nil {
			return err
		}
		readers[at] = reader
	}
	contest.add("Reader", func(at int) ([]byte, bool, error) {
		got, err := readers[at].Read()
		return got.Data, got.Fresh, err
	})
	keys := make([]string, len(f.names))
	for at, name := range f.names {
		keys[at] = "bench/" + name
	}
	byKey := cache.Readers(forebay.Source{TTL: ttl})
	contest.add("Readers by key", func(at int) ([]byte, bool, error) {
		got, err := byKey.Get(keys[at])
		return got.Data, got.Fresh, err
	})
	contest.add("Cache.Read", func(at int) ([]byte, bool, error) {
		got, err := cache.Read(f.source(at))
		return got.Data, got.Fresh, err
	})
	return nil
}
