// Package forebay caches slow answers on disk, for many short-lived processes in any language: reading never
// waits, a refresh runs once, in one process, for all of them, and a failure keeps all of them off for a while.
//
// The zero [Cache] is ready to use:
//
//	cache := &forebay.Cache{Root: dir}
//	src := forebay.Source{Tier: "api", Name: "models", TTL: time.Hour, RefreshDeadline: 10 * time.Second}
//	got, err := cache.Get(ctx, src, fetch, forebay.Wait(300*time.Millisecond))
//
// # Coming from discoverycache
//
// Cache, Source, ReadResult, RefreshState, Refresher, and the methods Read, Refresh, MaybeRefresh,
// MaybeRefreshSync, RefreshState and Prune have the names and signatures of the original package, and read the
// files that it wrote. What is new has other names. [Cache.Refresh] and [Cache.MaybeRefreshSync] return the
// refresher's own error as it is, as the original did; every other error is an [*Error].
//
// # Refreshers
//
// A [Refresher] runs in a goroutine of its own. Its context ends at the source's RefreshDeadline, or when what
// it fetches is no longer wanted (the value was put or removed, the lease is over, the cache was closed); never
// with the context of the caller, because others may be waiting for the same refresh. It does have the values of
// that context. [JobFrom] gives it the previous value, and takes the new one's validator; [ErrUnchanged] says that
// the value is still the same; [FromResponse] does both for an HTTP response; a [Failure] carries the server's
// Retry-After. A panic in a refresher is a failed refresh.
//
// # Quotas and credentials
//
// [Quota] is the answer of a server that limits how often it may be asked: [Quota.Resolve] asks it at most once for
// all processes, and keeps all of them off when it says so. [Rotate] exchanges a credential that works once, in one
// process, and gives the others its successor.
//
// # Derived results
//
// [Live] has results that hold while what they were computed from does: files, folders, patterns, variables, other
// results. [Live.GetOrCompute] returns such a result, or computes it, in one process for all. The context of the function
// that computes ends with that of its caller, and at the Deadline.
//
// # Threads, fork and exit
//
// Everything here may be used by any number of goroutines, except where it says otherwise. A program may end at
// any time: a refresh that was running is settled by the next process that needs the value.
package forebay
