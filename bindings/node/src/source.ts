/** `Source`: one key of a cache, with the lifetimes that its callers agree on. All of the work is done below it. */
import { drive, type Reached, start } from './attempt'
import { type Duration, endless, millis, optional } from './duration'
import { invalid, native } from './errors'
import { call, interruptible } from './hub'
import {
  type AcquiredFacts,
  binding,
  type ModeFacts,
  type RefreshFacts,
  type SourceFacts,
  type SourceHandle,
  type ValueFacts,
} from './native'
import type { Shelf } from './readers'
import { type Bytes, bytesOf, type CommitOptions, commitOf, type Refresher } from './refresher'
import { type Acquired, Ticket } from './ticket'
import { type RefreshState, refreshStateOf, type Started, Value, valueFrom, type Why } from './value'
import type { Waits } from './waits'

/** How a commit reaches the disk: not flushed, the data flushed (default), or folder and marker too. */
export type Durability = 'none' | 'data' | 'full'

/** What the callers of a source agree on. Unset: what is recorded beside the value, else the default. */
export interface SourceOptions {
  /** How long a value is fresh. Without any, nothing is. */
  ttl?: Duration | undefined
  /** How long after that it may still be served; unset or `Infinity`: without end. */
  maxStale?: Duration | undefined
  /** The same after a failed refresh; unset: as `maxStale`. */
  staleIfError?: Duration | undefined
  /** How long a refresh may take; default 30 s, 0 is refused. */
  deadline?: Duration | undefined
  /** Whose answer it is (an account, a user): another identity, another record. */
  identity?: string | undefined
  /** Default: the cache's. */
  durability?: Durability | undefined
  /** How long a failure cools down: doubling from `floor` to `cap`. */
  backoff?: { floor: Duration; cap: Duration } | undefined
}

/** How a call waits. */
export interface WaitOptions {
  /** Aborting lets this caller go, with `FOREBAY_E_CANCELLED`; the refresh goes on for the others. */
  signal?: AbortSignal | undefined
}

/** Options of `get`. */
export interface GetOptions extends WaitOptions {
  /** How long to wait before a stale value will do; unset or `Infinity`: until the refresh is done; 0: not at all. */
  wait?: Duration | undefined
}

/** Options of `refresh`. */
export interface RefreshOptions extends WaitOptions {
  /** A refresh that ended after this instant will do. */
  minFreshAt?: Date | number | undefined
  /** Pass a gate that the server declared, too. */
  overrideGate?: boolean | undefined
}

/** Options of `acquire`. */
export interface AcquireOptions {
  /** Instead of the source's own. */
  deadline?: Duration | undefined
  /** No ticket if the value is fresh. */
  unlessFresh?: boolean | undefined
  /** No ticket if the version is another one than this. */
  unlessChangedSince?: string | undefined
  /** Pass every gate. */
  overrideGate?: boolean | undefined
  /** Pass a gate that was only guessed. */
  force?: boolean | undefined
}

/**
 * One key of a cache. Made by `cache.source`; cheap, and as long-lived as you like.
 *
 * @example
 * const models = cache.source('api/models', { ttl: '1h', maxStale: '7d' })
 * const { data, state, age } = models.read()
 */
export class Source {
  /** @internal */
  readonly handle: SourceHandle
  /** @internal */
  readonly waits: Waits
  /** `tier/name`, with a hash of the identity where there is one. */
  readonly key: string
  readonly #shelf: Shelf
  #lastRead: ValueFacts | undefined
  #lastVersion: string | undefined
  #lastData: WeakRef<Buffer> | undefined

  /** Made by the cache only: nobody else has the handle. */
  constructor(handle: SourceHandle, waits: Waits, shelf: Shelf) {
    this.handle = handle
    this.waits = waits
    this.#shelf = shelf
    this.key = native(() => binding.sourceKey(handle))
  }

  /**
   * What is on the disk, and whether it may be used. Never waits for a refresh. Nothing there, and damage, are
   * not errors: see `state` and `error`.
   *
   * @example
   * const { data, state, age } = models.read()
   * if (state === 'absent') console.log('nothing yet')
   * else console.log(data?.length, age)
   */
  read(): Value {
    return this.look(false).value
  }

  /** A read, and until when the value stays fresh; `quiet`: not counted. @internal */
  look(quiet: boolean): { value: Value; freshUntil: number | undefined } {
    const last = this.#lastRead
    const data = last?.version === this.#lastVersion ? this.#lastData?.deref() : undefined
    const known = data && last?.version
    const facts = native(() => binding.sourceRead(this.handle, known, quiet))
    if (typeof facts === 'number') {
      // Fresh, and nothing changed but its age. (What was stale turns fresh when the clock is set back.)
      if (last?.state === 'fresh')
        return { value: valueFrom(last, data, undefined, facts), freshUntil: last.freshUntil }
      this.#lastRead = undefined
      return this.look(quiet)
    }
    const value = facts.same ? valueFrom(facts, data) : this.#value(facts)
    // Without the bytes: who wants to keep them, keeps them.
    facts.data = undefined
    this.#lastRead = facts
    return { value, freshUntil: facts.freshUntil }
  }

  /**
   * A fresh value; or, if it takes longer than `wait`, a stale one within `maxStale` while the refresh goes on;
   * or an error: `FOREBAY_E_TIMED_OUT`, `FOREBAY_E_GATED`, or what the refresher threw. Never a success without
   * data.
   *
   * @example
   * const { data } = await models.get(async job => fromResponse(await fetch(URL, { signal: job.signal })), { wait: 300 })
   */
  async get(refresher: Refresher, options: GetOptions = {}): Promise<Value> {
    const wait = endless(options.wait, 'wait')
    const fetch = checked(refresher)
    return this.#hit(options) ?? this.#drive({ call: 'get', wait }, fetch, options)
  }

  /**
   * Refreshes now, whatever the age, or joins a refresh in flight in this or another process.
   *
   * @example
   * const { how } = await models.refresh(refresher, { minFreshAt: Date.now() - 60_000 })
   * if (how === 'coalesced') console.log('another one fetched it')
   */
  async refresh(refresher: Refresher, options: RefreshOptions = {}): Promise<Value> {
    const { minFreshAt, overrideGate } = options
    const mode: ModeFacts = { call: 'refresh', minFreshAt: minFreshAt && +minFreshAt, overrideGate }
    return this.#drive(mode, refresher, options)
  }

  /**
   * Refreshes in the background if the value is not fresh. Resolves as soon as it is clear whether.
   *
   * @example
   * const started = await models.maybeRefresh(refresher)
   * if (started === 'gated') console.log((await models.refreshState()).retryAt)
   */
  async maybeRefresh(refresher: Refresher): Promise<Started> {
    return start(this.handle, checked(refresher))
  }

  /**
   * Refreshes if the value is not fresh, and waits for it; while a failure cools down, what there is.
   *
   * @example
   * const { phase, error } = await models.maybeRefreshSync(refresher)
   * if (phase === 'cooling') console.log(error?.message)
   */
  async maybeRefreshSync(refresher: Refresher, options: WaitOptions = {}): Promise<Value> {
    return this.#drive({ call: 'maybe_refresh_sync' }, refresher, options)
  }

  /**
   * Stores bytes that did not come from a refresh. It always wins over a refresh in flight.
   *
   * @example
   * await models.put(JSON.stringify(['one']), { validator: '"v2"', ttl: '1h' })
   */
  async put(data: Bytes, options: CommitOptions = {}): Promise<Value> {
    const [bytes, commit] = [bytesOf(data), commitOf(options)]
    return this.#value(await call((hub, id) => binding.sourcePut(hub, id, this.handle, bytes, commit)))
  }

  /**
   * Marks what is there stale, for every process. A refresh in flight goes on; what it brings is stale too.
   *
   * @example
   * await models.markStale()
   */
  async markStale(): Promise<void> {
    await call((hub, id) => binding.sourceMarkStale(hub, id, this.handle))
  }

  /**
   * Removes the value and all that is known of it. Resolves to whether there was something.
   *
   * @example
   * if (!(await models.remove())) console.log('there was nothing')
   */
  async remove(): Promise<boolean> {
    return call((hub, id) => binding.sourceRemove(hub, id, this.handle))
  }

  /**
   * What the refresh of this source does, in whatever process.
   *
   * @example
   * const { phase, holder, deadline } = await models.refreshState()
   * if (phase === 'running') console.log('process', holder, 'until', deadline)
   */
  async refreshState(): Promise<RefreshState> {
    const facts = await call<RefreshFacts>((hub, id) => binding.sourceRefreshState(hub, id, this.handle))
    return refreshStateOf(facts)
  }

  /**
   * Which fact decides what is served.
   *
   * @example
   * const { text, cacheStatus } = await models.why()
   * console.log(text, cacheStatus)
   */
  async why(): Promise<Why> {
    return call((hub, id) => binding.sourceWhy(hub, id, this.handle))
  }

  /**
   * Waits for another version than `since`. Resolves to it, or to undefined when `timeout` is over.
   *
   * @example
   * let version: string | undefined = models.read().version
   * while ((version = await models.waitForChange(version)) !== undefined) console.log(models.read().text())
   */
  async waitForChange(
    since: string,
    options: WaitOptions & { timeout?: Duration | undefined } = {},
  ): Promise<string | undefined> {
    const until = performance.now() + (endless(options.timeout, 'timeout') ?? Number.POSITIVE_INFINITY)
    return interruptible(options.signal, async interrupt => {
      const ask = (ms: number | undefined): Promise<string | null> =>
        call((hub, id) => binding.sourceWaitForChange(hub, id, this.handle, since, ms, interrupt))
      const left = (): number => Math.max(0, until - performance.now())
      const look = (): Promise<string | null> => ask(0)
      const wait = (): Promise<string | null> => ask(left() === Number.POSITIVE_INFINITY ? undefined : left())
      for (let version = await look(); ; ) {
        if (version !== null) return version
        if (left() === 0) return undefined
        version = await this.waits.share(`change of ${this.key}`, until, wait, look)
      }
    })
  }

  /**
   * Takes the lease, to do the work by hand; or says why not.
   *
   * @example
   * const got = await models.acquire({ unlessFresh: true })
   * if (got.outcome === 'ticket') await got.ticket.complete('bytes')
   * else if (got.outcome === 'gated') console.log(got.refresh.retryAt)
   */
  async acquire(options: AcquireOptions = {}): Promise<Acquired> {
    const wish = { ...options, deadline: optional(options.deadline, 'deadline') }
    const got = await call<AcquiredFacts>((hub, id) => binding.sourceAcquire(hub, id, this.handle, wish))
    switch (got.outcome) {
      case 'ticket':
        return { outcome: 'ticket', ticket: new Ticket(got.ticket as NonNullable<typeof got.ticket>) }
      case 'fresh':
        return { outcome: 'fresh', value: this.#value(got.value as ValueFacts) }
      default:
        return { outcome: got.outcome, refresh: refreshStateOf(got.refresh as RefreshFacts) }
    }
  }

  /**
   * Takes the lease if the value is not fresh, and queues its ticket for `cache.nextRefresh`.
   *
   * @example
   * if ((await models.requestRefresh()) === 'started') await (await cache.nextRefresh())?.complete('bytes')
   */
  async requestRefresh(): Promise<Started> {
    return call((hub, id) => binding.sourceRequestRefresh(hub, id, this.handle))
  }

  /** What `get` returns where nothing is to be done: a look in place costs a tenth of a way through a thread. */
  #hit({ signal }: WaitOptions): Value | undefined {
    if (signal?.aborted || this.#shelf.heard) return undefined
    const { data, state, age, storedMs, validator, extra, version, phase } = this.look(true).value
    if (state !== 'fresh') return undefined
    this.#shelf.hits += 1
    return new Value(data, state, age, storedMs, validator, extra, version, 'fresh', phase, undefined)
  }

  async #drive(mode: ModeFacts, refresher: Refresher, { signal }: WaitOptions): Promise<Value> {
    const reached: Reached = await drive(this, mode, checked(refresher), signal)
    return this.#value(reached.facts, reached.thrown)
  }

  /** The value of those facts, with the buffer that was handed out for the same version before. */
  #value(facts: ValueFacts, thrown?: unknown): Value {
    const { data, version } = facts
    if (data === undefined || facts.how === 'uncoordinated') return valueFrom(facts, data, thrown)
    const last = version === this.#lastVersion ? this.#lastData?.deref() : undefined
    if (last !== undefined) return valueFrom(facts, last, thrown)
    this.#lastVersion = version
    this.#lastData = new WeakRef(data)
    return valueFrom(facts, data, thrown)
  }
}

function checked(refresher: Refresher): Refresher {
  if (typeof refresher !== 'function') throw invalid(`the refresher is ${typeof refresher}; give a function`)
  return refresher
}

/** @internal */
export function sourceFacts(options: SourceOptions): SourceFacts {
  const { backoff } = options
  const deadline = optional(options.deadline, 'deadline')
  if (deadline === 0) throw invalid('the deadline is 0: a refresh needs time')
  return {
    ttl: optional(options.ttl, 'ttl'),
    maxStale: endless(options.maxStale, 'maxStale'),
    staleIfError: endless(options.staleIfError, 'staleIfError'),
    deadline,
    identity: options.identity,
    durability: options.durability,
    backoffFloor: backoff && millis(backoff.floor, 'backoff.floor'),
    backoffCap: backoff && millis(backoff.cap, 'backoff.cap'),
  }
}
