/** `Cache`: one directory of values, shared with every other process that opens it. */
import type { ListedQuota } from './answer'
import { type Duration, endless, optional } from './duration'
import { invalid, native } from './errors'
import { type EventKind, Events, type SubscribeOptions } from './events'
import { call, interruptible } from './hub'
import { Live, type LiveOptions } from './live'
import { binding, type CacheHandle, type ListedFacts, type TicketHandle } from './native'
import type { QuotaRowFacts } from './native-quota'
import { Quota, type QuotaOptions, quotaFacts } from './quota'
import { Reader, Readers, Shelf } from './readers'
import type { Refresher } from './refresher'
import { type Durability, Source, type SourceOptions, sourceFacts, type WaitOptions } from './source'
import { Ticket } from './ticket'
import { type Listed, listedOf, type Pruned, type Value } from './value'
import { Waits } from './waits'

/** How long `await using` waits for running refreshes. */
const DISPOSE_DRAIN = 5_000

/** Options of a cache. */
export interface CacheOptions {
  /** The folder; default `FOREBAY_ROOT`, else `forebay` in the user's cache folder. */
  root?: string | undefined
  /** Of sources that set none; default `data`. */
  durability?: Durability | undefined
  /** A file with the time, for tests: all processes that name it move together. */
  testClock?: string | undefined
  /** Values in this process only, no disk. */
  memory?: boolean | undefined
}

/** How far `refreshMany` is. */
export interface Progress {
  done: number
  total: number
  /** The source that has just ended. */
  key: string
  result: PromiseSettledResult<Value>
}

/** Options of `refreshMany`. */
export interface ManyOptions extends WaitOptions {
  /** How many refreshes run at once; default 8. */
  concurrency?: number | undefined
  /** Called after each one. */
  progress?: ((progress: Progress) => void) | undefined
}

/**
 * A directory of values, shared with every process that opens it, in whatever language. Opening takes no lock
 * and writes nothing.
 *
 * @example
 * const cache = new Cache()
 * const models = cache.source('api/models', { ttl: '1h', maxStale: '7d' })
 */
export class Cache {
  readonly #handle: CacheHandle
  readonly #shelf: Shelf
  readonly #waits = new Waits()

  constructor(options: CacheOptions = {}) {
    const { root, durability, testClock, memory } = options
    this.#handle = native(() => binding.cacheOpen({ root, durability, testClock, memory }))
    this.#shelf = new Shelf(this.#handle, testClock === undefined && memory !== true)
  }

  /** The folder. */
  get root(): string {
    return binding.cacheRoot(this.#handle)
  }

  /** Whether it was closed: then every call is `FOREBAY_E_CLOSED`. */
  get closed(): boolean {
    return binding.cacheIsClosed(this.#handle)
  }

  /**
   * The source of that key: `tier/name`, or a name in the tier `default`.
   *
   * @example
   * const mine = cache.source('api/usage', { ttl: '5m', maxStale: '1d', identity: 'me@example.org' })
   * mine.read()
   */
  source(key: string, options: SourceOptions = {}): Source {
    if (typeof key !== 'string') throw invalid(`the key is ${typeof key}; give text such as 'api/models'`)
    const facts = sourceFacts(options)
    return new Source(
      native(() => binding.sourceOpen(this.#handle, key, facts)),
      this.#waits,
      this.#shelf,
    )
  }

  /**
   * The quota of that name: a record and a gate for all processes, and for each identity others.
   *
   * @example
   * const usage = cache.quota('usage', { identity: 'me@example.org', ttl: '3m' })
   * console.log(usage.key)
   */
  quota(name = 'usage', options: QuotaOptions = {}): Quota {
    if (typeof name !== 'string') throw invalid(`the name is ${typeof name}; give text such as 'usage'`)
    const facts = quotaFacts(options)
    return new Quota(
      native(() => binding.quotaOpen(this.#handle, name, facts)),
      this.#waits,
      facts.wait,
    )
  }

  /**
   * The derived results of this cache, with paths relative to `workspace`.
   *
   * @example
   * const live = cache.live({ workspace: '.', sizeCap: 1_000_000_000 })
   * console.log(live.workspace)
   */
  live(options: LiveOptions = {}): Live {
    return new Live(this.#handle, options, this.#waits)
  }

  /**
   * All quotas that have a record or a gate.
   *
   * @example
   * for (const { key, name, identityHash } of await cache.quotas()) console.log(key, name, identityHash)
   */
  async quotas(): Promise<ListedQuota[]> {
    const rows = await call<QuotaRowFacts[]>((hub, id) => binding.cacheQuotas(hub, id, this.#handle))
    return rows.map(({ key, name, identityHash }) => ({ key, name, identityHash }))
  }

  /**
   * All sources that have a value, a refresh or a failure.
   *
   * @example
   * for (const { key, state, age, size } of await cache.list()) console.log(key, state, age, size)
   */
  async list(): Promise<Listed[]> {
    const rows = await call<ListedFacts[]>((hub, id) => binding.cacheList(hub, id, this.#handle))
    return rows.map(listedOf)
  }

  /**
   * Removes every source but those, and sweeps what the dead left.
   *
   * @example
   * const { removed, skipped } = await cache.prune([models, 'api/usage'])
   * console.log(removed.length, skipped)
   */
  async prune(keep: Iterable<Source | string>): Promise<Pruned> {
    const sources = Array.from(keep, one => (typeof one === 'string' ? this.source(one) : one).handle)
    return call((hub, id) => binding.cachePrune(hub, id, this.#handle, sources))
  }

  /**
   * The next ticket that `source.requestRefresh` queued, for a program that does its background work in one
   * place. Resolves to undefined when `timeout` is over.
   *
   * @example
   * const ticket = await cache.nextRefresh({ timeout: '10s' })
   * await ticket?.complete(await fetchAll())
   */
  async nextRefresh(
    options: WaitOptions & { timeout?: Duration | undefined } = {},
  ): Promise<Ticket | undefined> {
    const timeout = endless(options.timeout, 'timeout')
    const held = await interruptible(options.signal, interrupt =>
      call<TicketHandle | null>((hub, id) =>
        binding.cacheNextRefresh(hub, id, this.#handle, timeout, interrupt),
      ),
    )
    return held === null ? undefined : new Ticket(held)
  }

  /**
   * Refreshes many sources, a few at a time. Resolves to one result per item, in their order, as
   * `Promise.allSettled` does.
   *
   * @example
   * const results = await cache.refreshMany([[models, refresher]], { progress: ({ done, total }) => console.log(done, total) })
   * console.log(results.filter(({ status }) => status === 'rejected').length)
   */
  async refreshMany(
    items: Iterable<readonly [Source, Refresher]>,
    options: ManyOptions = {},
  ): Promise<PromiseSettledResult<Value>[]> {
    const { concurrency = 8, progress, signal } = options
    if (!Number.isInteger(concurrency) || concurrency < 1) throw invalid(`concurrency is ${concurrency}`)
    const work = [...items]
    const results: PromiseSettledResult<Value>[] = new Array(work.length)
    const entries = work.entries()
    let done = 0
    const lane = async (): Promise<void> => {
      // One iterator for all lanes: each takes the next item that nobody has taken.
      for (const [index, [source, refresher]] of entries) {
        const [result] = await Promise.allSettled([source.refresh(refresher, { signal })])
        results[index] = result
        done += 1
        progress?.({ done, total: work.length, key: source.key, result })
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, work.length) }, lane))
    return results
  }

  /**
   * A reader of one source: the fast way to read it often.
   *
   * @example
   * const reader = cache.reader('api/models', { ttl: '1h' })
   * console.log(reader.read().text())
   */
  reader(key: string, options: SourceOptions = {}): Reader {
    return new Reader(this.source(key, options), this.#shelf)
  }

  /**
   * Readers of many sources that share options, by key.
   *
   * @example
   * const readers = cache.readers({ ttl: '1h' })
   * console.log(readers.get('api/models').text(), readers.get('api/usage').state)
   */
  readers(options: SourceOptions = {}): Readers {
    return new Readers(key => this.reader(key, options))
  }

  /**
   * How often each kind of event happened on this handle. Hits of readers are counted, not told as events.
   *
   * @example
   * const { hit, miss } = cache.counters()
   * console.log(hit / (hit + miss))
   */
  counters(): Record<EventKind, number> {
    const counts = binding.cacheCounters(this.#handle).map(({ kind, count }) => [kind, count])
    const counters = Object.fromEntries(counts) as Record<EventKind, number>
    counters.hit += this.#shelf.hits
    return counters
  }

  /**
   * What happens on this handle from now on.
   *
   * @example
   * for await (const { kind, key, code } of cache.subscribe()) console.log(kind, key, code)
   */
  subscribe(options: SubscribeOptions = {}): Events {
    this.#shelf.heard = true
    return new Events(this.#handle, options)
  }

  /**
   * Closes the cache. Running refreshes are cancelled; with `drain` they first get that long to end.
   *
   * @example
   * await cache.close({ drain: '5s' })
   */
  async close(options: { drain?: Duration | undefined } = {}): Promise<void> {
    const drain = optional(options.drain, 'drain')
    await call((hub, id) => binding.cacheClose(hub, id, this.#handle, drain))
    this.#shelf.closed = true
  }

  /** `using cache = new Cache()`: closes at once. */
  [Symbol.dispose](): void {
    this.#shelf.closed = true
    native(() => binding.cacheCloseNow(this.#handle))
  }

  /** `await using cache = new Cache()`: closes once running refreshes have ended, after 5 s at most. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ drain: DISPOSE_DRAIN })
  }
}

/**
 * The folder that a program of that name would keep a cache of its own in; undefined where there is no home.
 *
 * @example
 * const mine = new Cache({ root: defaultRoot('my-app') })
 * console.log(mine.root)
 */
export function defaultRoot(app: string): string | undefined {
  return native(() => binding.defaultRoot(app)) ?? undefined
}
