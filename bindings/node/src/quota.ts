/** `Quota`: one account's usage, and the gate that all processes respect. All of the work is done below it. */
import { type Answer, answerOf, type QuotaState, quotaStateOf } from './answer'
import { type Duration, endless, millis, optional } from './duration'
import { type ErrorCode, invalid, native, textOf } from './errors'
import { call } from './hub'
import { binding } from './native'
import type { QuotaFacts, QuotaHandle, QuotaStateFacts } from './native-quota'
import { type QuotaSource, resolve } from './resolve'
import type { Durability, WaitOptions } from './source'
import type { Waits } from './waits'

/** What the callers of a quota agree on. */
export interface QuotaOptions {
  /** Whose usage it is (an account): another identity, another record, and another gate. */
  identity?: string | undefined
  /** How long an answer is fresh; default 3 min. */
  ttl?: Duration | undefined
  /** How long an error that a program of the original's kind has recorded bars everyone; default 30 s. */
  errorTtl?: Duration | undefined
  /** How long a 429 without `Retry-After` bars everyone; default 5 min. */
  rateLimited?: Duration | undefined
  /** How long a 401 or 403 bars this credential; default 5 min. */
  unauthorized?: Duration | undefined
  /** How long a fetch may take; default 2 s, 0 is refused. */
  timeout?: Duration | undefined
  /** How long after `ttl` an answer may still be shown; default 24 h. */
  maxStale?: Duration | undefined
  /** How long other failures cool down: doubling from `floor` to `cap`; default 1 s to 3 min. */
  backoff?: { floor: Duration; cap: Duration } | undefined
  /** How long to wait for another's fetch where there is nothing to show; unset or `Infinity`: until it ends. */
  wait?: Duration | undefined
  /** Default: the cache's. */
  durability?: Durability | undefined
}

/** Options of `resolve`, beside its callbacks. */
export interface ResolveOptions<C = unknown> extends QuotaSource<C>, WaitOptions {}

/**
 * The last answer of a rate-limited server, and a gate: after a 429 no process asks again before its time. Made by
 * `cache.quota`; cheap, and as long-lived as you like.
 *
 * @example
 * const usage = cache.quota('usage', { identity: 'me@example.org' })
 * const { data, how, age } = await usage.resolve({ fetch: askServer, credentials: readToken })
 */
export class Quota {
  readonly #handle: QuotaHandle
  readonly #waits: Waits
  readonly #wait: number | undefined
  /** The name, with `~` and a hash of the identity where there is one. */
  readonly key: string

  /** Made by the cache only: nobody else has the handle. */
  constructor(handle: QuotaHandle, waits: Waits, wait: number | undefined) {
    this.#handle = handle
    this.#waits = waits
    this.#wait = wait
    this.key = native(() => binding.quotaKey(handle))
  }

  /**
   * What there is to show. A fresh answer, without a call; behind a gate what is recorded, or the fallback, without
   * credentials or fetch; else one process fetches, for all. Rejects only where nothing can be shown: with what the
   * caller's own `fetch` or `credentials` threw, else with what others recorded (`FOREBAY_E_RATE_LIMITED`,
   * `FOREBAY_E_UNAUTHORIZED`, …; `retryAt` says when to come back). Aborting `signal` lets this caller go.
   *
   * @example
   * const { data, how, age, retryAt, error } = await usage.resolve({
   *   credentials: () => readToken(),
   *   fetch: async ({ credential, signal, conditionalHeaders }) =>
   *     fromResponse(await fetch(URL, {
   *       signal, headers: { ...conditionalHeaders, authorization: `Bearer ${credential}` },
   *     })),
   *   fallback: () => ({ data: { used: 0 } }),
   * })
   * console.log(data, how, age, retryAt, error?.code)
   */
  async resolve<T = unknown, C = unknown>(options: ResolveOptions<C>): Promise<Answer<T>> {
    const { fetch, credentials, fallback, signal } = options ?? {}
    if (typeof fetch !== 'function') throw invalid(`fetch is ${typeof fetch}; give a function`)
    for (const [name, given] of Object.entries({ credentials, fallback })) {
      if (given !== undefined && typeof given !== 'function') {
        throw invalid(`${name} is ${typeof given}; give a function`)
      }
    }
    const caller = { handle: this.#handle, key: this.key, wait: this.#wait, waits: this.#waits }
    const { facts, thrown } = await resolve(caller, { fetch, credentials, fallback }, signal)
    return answerOf<T>(facts, thrown)
  }

  /**
   * What is recorded, whatever its age, and the gate. Touches nothing.
   *
   * @example
   * const { answer, blocked } = await usage.read()
   * console.log(answer?.data, blocked?.until, blocked?.message)
   */
  async read<T = unknown>(): Promise<QuotaState<T>> {
    return quotaStateOf<T>(await call<QuotaStateFacts>((hub, id) => binding.quotaRead(hub, id, this.#handle)))
  }

  /**
   * Bars every process for that long, 24 h at most; a later end stays. Resolves to when the gate in force ends.
   *
   * @example
   * const until = await usage.block('5m', { message: 'the bill is due' })
   * console.log(until.toISOString())
   */
  async block(wait: Duration, options: { code?: ErrorCode; message?: string } = {}): Promise<Date> {
    const { code = 'FOREBAY_E_RATE_LIMITED', message = '' } = options
    const ms = millis(wait, 'the time to block')
    const until = await call<number>((hub, id) =>
      binding.quotaBlock(hub, id, this.#handle, ms, textOf(code), message),
    )
    return new Date(until)
  }

  /**
   * Removes record and gate, also one that the server declared. Resolves to whether there was anything.
   *
   * @example
   * if (!(await usage.clear())) console.log('there was nothing')
   */
  async clear(): Promise<boolean> {
    return call((hub, id) => binding.quotaClear(hub, id, this.#handle))
  }
}

/** @internal */
export function quotaFacts(options: QuotaOptions): QuotaFacts {
  const { backoff } = options
  const timeout = optional(options.timeout, 'timeout')
  if (timeout === 0) throw invalid('the timeout is 0: a fetch needs time')
  return {
    identity: options.identity,
    ttl: optional(options.ttl, 'ttl'),
    errorTtl: optional(options.errorTtl, 'errorTtl'),
    rateLimited: optional(options.rateLimited, 'rateLimited'),
    unauthorized: optional(options.unauthorized, 'unauthorized'),
    timeout,
    maxStale: optional(options.maxStale, 'maxStale'),
    backoffFloor: backoff && millis(backoff.floor, 'backoff.floor'),
    backoffCap: backoff && millis(backoff.cap, 'backoff.cap'),
    wait: endless(options.wait, 'wait'),
    durability: options.durability,
  }
}
