/**
 * `Job` and `Ticket`: the right to make the next value. A job is what a refresher sees of it; a ticket, from
 * `acquire` and `nextRefresh`, is ended by hand. Both watch, while they are held, whether the work is still
 * wanted, on a timer that does not keep the process alive.
 */
import { type Duration, millis, optional } from './duration'
import { native } from './errors'
import { call } from './hub'
import { binding, type TicketFacts, type TicketHandle } from './native'
import { type Bytes, bytesOf, type CommitOptions, commitOf, failureOf } from './refresher'
import { type RefreshState, type Value, valueFrom } from './value'
import { Watch } from './watch'

/** What a refresher sees of its refresh. */
export class Job {
  /** @internal */
  readonly held: TicketHandle
  readonly #watch: Watch
  #facts: TicketFacts

  /** Made by the cache only: nobody else has the handle. */
  constructor(held: TicketHandle) {
    this.held = held
    this.#facts = native(() => binding.ticketFacts(held))
    const looks = {
      cancelled: () => binding.ticketCancelled(held),
      remaining: () => binding.ticketRemaining(held),
    }
    this.#watch = new Watch(`the refresh of ${this.key}`, looks, true)
  }

  /** `tier/name`. */
  get key(): string {
    return this.#facts.key
  }

  /** When the work shall be done, by the cache's clock. */
  get deadline(): Date {
    return new Date(this.#facts.deadline)
  }

  /** Milliseconds until the deadline; 0 after it. */
  get remaining(): number {
    return native(() => binding.ticketRemaining(this.held))
  }

  /** Whether nobody wants the result any more: a value was put, it was removed, the lease is over, the cache closed. */
  get cancelled(): boolean {
    return native(() => binding.ticketCancelled(this.held))
  }

  /** Aborts at the deadline, or as soon as the work is {@link cancelled}. Pass it to `fetch`. */
  get signal(): AbortSignal {
    return this.#watch.signal
  }

  /** The bytes that were there when the refresh began. */
  get previous(): Buffer | undefined {
    return native(() => binding.ticketPrevious(this.held)) ?? undefined
  }

  /** The validator that goes with {@link previous}. */
  get validator(): string | undefined {
    return this.#facts.validator
  }

  /** The headers of a conditional request for it: `If-None-Match` or `If-Modified-Since`, or none. */
  get conditionalHeaders(): Record<string, string> {
    return Object.fromEntries(this.#facts.headers.map(({ name, value }) => [name, value]))
  }

  /** Rejects a second after the lease was over: nothing can be stored any more. @internal */
  overdue(): Promise<never> {
    return this.#watch.overdue()
  }

  /** Stops watching: before an end, because a ticket that has ended looks cancelled. @internal */
  unwatch(): void {
    this.#watch.stop()
  }

  /** Reads the facts anew, after `renew`. @internal */
  protected again(): void {
    this.#facts = native(() => binding.ticketFacts(this.held))
  }
}

/**
 * A lease held by hand: do the work anywhere, then `complete`, `unchanged` or `fail` it, once. `release` gives
 * it back undone; so does `using`.
 *
 * @example
 * const got = await source.acquire()
 * if (got.outcome === 'ticket') await got.ticket.complete('bytes', { validator: '"v2"' })
 */
export class Ticket extends Job {
  /** The fencing token: greater than that of every earlier lease and value of this key. */
  get token(): string {
    return native(() => binding.ticketFacts(this.held)).token
  }

  /**
   * Stores the bytes. Rejects with `FOREBAY_E_LEASE_LOST` or `FOREBAY_E_SUPERSEDED` where nothing was stored.
   *
   * @example
   * await ticket.complete('bytes', { validator: '"v2"', ttl: '1h' })
   */
  async complete(data: Bytes, options: CommitOptions = {}): Promise<Value> {
    this.unwatch()
    const [bytes, commit] = [bytesOf(data), commitOf(options)]
    return valueFrom(await call((hub, id) => binding.ticketComplete(hub, id, this.held, bytes, commit)))
  }

  /**
   * Keeps the bytes that are there, as new.
   *
   * @example
   * await ticket.unchanged({ ttl: '1h' })
   */
  async unchanged(options: CommitOptions = {}): Promise<Value> {
    this.unwatch()
    const commit = commitOf(options)
    return valueFrom(await call((hub, id) => binding.ticketUnchanged(hub, id, this.held, commit)))
  }

  /**
   * Records a failure; all processes wait until it has cooled down, at least for `retryAfter`.
   *
   * @example
   * await ticket.fail(new Error('HTTP 500'), { retryAfter: '30s' })
   */
  async fail(reason: unknown, options: { retryAfter?: Duration } = {}): Promise<void> {
    this.unwatch()
    const failure = failureOf(reason)
    const retryAfter = optional(options.retryAfter, 'retryAfter') ?? failure.retryAfter
    await call((hub, id) => binding.ticketFail(hub, id, this.held, { ...failure, retryAfter }))
  }

  /**
   * Moves the deadline to that long from now.
   *
   * @example
   * await ticket.renew('1m')
   */
  async renew(length: Duration): Promise<void> {
    const ms = millis(length, 'the new deadline')
    await call((hub, id) => binding.ticketRenew(hub, id, this.held, ms))
    this.again()
  }

  /**
   * Gives the lease back without a result; the next caller may take it at once. After an end it does nothing.
   *
   * @example
   * ticket.release()
   */
  release(): void {
    this.unwatch()
    binding.ticketRelease(this.held)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}

/** What `acquire` brought. */
export type Acquired =
  | { outcome: 'ticket'; ticket: Ticket }
  | { outcome: 'fresh'; value: Value }
  | { outcome: 'in_flight' | 'gated'; refresh: RefreshState }
