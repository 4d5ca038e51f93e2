/** The event stream of a cache: what happened on its handle in this process, as an async iterator. */
import { codeOf, type ErrorCode } from './errors'
import { background, hold, release } from './hub'
import { binding, type CacheHandle, type EventsHandle, type InterruptHandle } from './native'

/** Every kind of event. */
export type EventKind =
  | 'hit'
  | 'stale_served'
  | 'miss'
  | 'refresh_started'
  | 'refresh_succeeded'
  | 'refresh_unchanged'
  | 'refresh_failed'
  | 'coalesced'
  | 'lease_lost'
  | 'gated'
  | 'invalidated'
  | 'evicted'
  | 'replayed'
  | 'damaged'

/** One thing that happened. */
export interface CacheEvent {
  kind: EventKind
  /** `tier/name`. */
  key: string
  /** The failure, where it is one. */
  code: ErrorCode | undefined
}

/** Options of `subscribe`. */
export interface SubscribeOptions {
  /** Whether waiting for the next event keeps the process alive; default true. */
  ref?: boolean | undefined
}

/**
 * Events since it was made, in order. It ends when the cache is closed, or by `return` (which leaving a
 * `for await` loop calls).
 *
 * @example
 * for await (const { kind, key } of cache.subscribe()) if (kind === 'refresh_failed') console.log(key)
 */
export class Events implements AsyncIterableIterator<CacheEvent> {
  readonly #cache: CacheHandle
  readonly #events: EventsHandle
  readonly #interrupt: InterruptHandle = binding.interruptNew()
  readonly #ref: boolean
  #ended = false
  #turn: Promise<unknown> = Promise.resolve()

  /** Made by the cache only: nobody else has the handle. */
  constructor(cache: CacheHandle, options: SubscribeOptions) {
    this.#cache = cache
    this.#events = binding.cacheSubscribe(cache)
    this.#ref = options.ref ?? true
  }

  /** How many events were dropped because nobody fetched them: 4,096 are kept. */
  get dropped(): number {
    return binding.eventsDropped(this.#events)
  }

  /** The next event. Calls that overlap are served in turn. */
  next(): Promise<IteratorResult<CacheEvent, undefined>> {
    const next = this.#turn.then(() => this.#next())
    this.#turn = next.catch(() => {})
    return next
  }

  /** Ends the stream; a pending `next` is done within 25 ms. */
  async return(): Promise<IteratorResult<CacheEvent, undefined>> {
    this.#ended = true
    binding.interruptSet(this.#interrupt)
    return { done: true, value: undefined }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #next(): Promise<IteratorResult<CacheEvent, undefined>> {
    if (this.#ended) return { done: true, value: undefined }
    if (this.#ref) hold()
    try {
      const facts = await background<{ kind: EventKind; key: string; code?: string } | null>((hub, id) =>
        binding.eventsNext(hub, id, this.#cache, this.#events, this.#interrupt),
      )
      if (facts === null) {
        this.#ended = true
        return { done: true, value: undefined }
      }
      const code = facts.code === undefined ? undefined : codeOf(facts.code)
      return { done: false, value: { kind: facts.kind, key: facts.key, code } }
    } finally {
      if (this.#ref) release()
    }
  }
}
