/**
 * The driver under `quota.resolve`: takes the native resolve step by step, and calls what each step wants in the
 * caller's own async context. Which callback is called, and whether at all, is the core's decision.
 */
import { type ErrorCode, ForebayError, invalid, native, ownOf } from './errors'
import { aborted, background, call, hold, interruptible, release } from './hub'
import { binding, type CommitFacts, type HubHandle, type InterruptHandle } from './native'
import type {
  AnswerFacts,
  QuotaHandle,
  QuotaJobFacts,
  QuotaJobHandle,
  ResolveHandle,
  StepFacts,
} from './native-quota'
import { type Bytes, bytesOf, type CommitOptions, commitOf, failureOf, type Unchanged } from './refresher'
import type { Waits } from './waits'
import { Watch } from './watch'

/**
 * Text or bytes that are JSON; or `{ data }`, with any value that `JSON.stringify` takes, text too. (Bytes there are
 * JSON as well: so it is with `fromResponse`.)
 */
export type Json = Bytes | { data: unknown }

/** What `fetch` may return: {@link Json}, with what goes with it; or `unchanged`. */
export type Usage = Bytes | ({ data: unknown } & CommitOptions) | Unchanged

/** What `resolve` may call: each at most once, and only if it is needed. All may be async. */
export interface QuotaSource<C = unknown> {
  /** Asks the server. What it throws reaches its caller as itself, unless there is something else to show. */
  fetch: (job: QuotaJob<C>) => Usage | Promise<Usage>
  /**
   * Reads the secret that `fetch` needs: bytes or text, or another value, of which the JSON counts. Only its hash is
   * recorded. Throwing, and returning nothing, means that there is none.
   */
  credentials?: (() => C | Promise<C>) | undefined
  /** What can be said without the server; undefined or null where there is nothing. */
  fallback?: (() => Json | undefined | null | Promise<Json | undefined | null>) | undefined
}

/** What `fetch` sees. */
export class QuotaJob<C = unknown> {
  readonly #held: QuotaJobHandle
  readonly #facts: QuotaJobFacts
  readonly #credential: C
  readonly #watch: Watch

  /** Made by the cache only: nobody else has the handle. */
  constructor(held: QuotaJobHandle, key: string, credential: C) {
    this.#held = held
    this.#facts = native(() => binding.quotaJobFacts(held))
    this.#credential = credential
    const looks = {
      cancelled: () => binding.quotaJobCancelled(held),
      remaining: () => binding.quotaJobRemaining(held),
    }
    this.#watch = new Watch(`the fetch of ${key}`, looks, false)
  }

  /** What `credentials` returned. */
  get credential(): C {
    return this.#credential
  }

  /** When it shall be done, by the cache's clock. */
  get deadline(): Date {
    return new Date(this.#facts.deadline)
  }

  /** Milliseconds until the deadline; 0 after it. */
  get remaining(): number {
    return native(() => binding.quotaJobRemaining(this.#held))
  }

  /** Whether nobody wants the result any more: the quota was cleared, the lease is over, the cache closed. */
  get cancelled(): boolean {
    return native(() => binding.quotaJobCancelled(this.#held))
  }

  /** Aborts at the deadline, or as soon as the result is not wanted any more. Pass it to `fetch`. */
  get signal(): AbortSignal {
    return this.#watch.signal
  }

  /** The JSON value that is recorded. */
  get previous(): unknown {
    return this.#facts.previous === undefined ? undefined : JSON.parse(this.#facts.previous)
  }

  /** The text of {@link previous}. */
  get previousRaw(): string | undefined {
    return this.#facts.previous
  }

  /** The validator that goes with {@link previous}. */
  get validator(): string | undefined {
    return this.#facts.validator
  }

  /** The headers of a conditional request for it: `If-None-Match` or `If-Modified-Since`, or none. */
  get conditionalHeaders(): Record<string, string> {
    return Object.fromEntries(this.#facts.headers.map(({ name, value }) => [name, value]))
  }

  /** Rejects a second after the deadline. @internal */
  overdue(): Promise<never> {
    return this.#watch.overdue()
  }

  /** Ends it. @internal */
  end(): void {
    this.#watch.stop()
    binding.quotaJobRelease(this.#held)
  }
}

/** An answer, and what a callback of the caller's own threw on the way to it. @internal */
export interface Resolved {
  facts: AnswerFacts
  thrown: unknown
}

/** Whose call it is; `wait` in milliseconds. @internal */
export interface ResolveCaller {
  handle: QuotaHandle
  key: string
  wait: number | undefined
  waits: Waits
}

/** Runs one call to its end. Aborting `signal` lets the caller go; a fetch that runs goes on, for the others. @internal */
export async function resolve<C>(
  caller: ResolveCaller,
  source: QuotaSource<C>,
  signal: AbortSignal | undefined,
): Promise<Resolved> {
  hold()
  try {
    return await interruptible(signal, interrupt => new Run(caller, source, signal, interrupt).end())
  } finally {
    release()
  }
}

type Feed = (hub: HubHandle, id: number) => void

class Run<C> {
  readonly #caller: ResolveCaller
  readonly #source: QuotaSource<C>
  readonly #signal: AbortSignal | undefined
  readonly #interrupt: InterruptHandle
  readonly #course: ResolveHandle
  #credential: C | undefined
  #thrown: { reason?: unknown } = {}

  constructor(
    caller: ResolveCaller,
    source: QuotaSource<C>,
    signal: AbortSignal | undefined,
    interrupt: InterruptHandle,
  ) {
    this.#caller = caller
    this.#source = source
    this.#signal = signal
    this.#interrupt = interrupt
    this.#course = native(() => binding.resolveBegin(caller.handle))
  }

  async end(): Promise<Resolved> {
    try {
      const { key, wait, waits } = this.#caller
      const until = performance.now() + (wait ?? Number.POSITIVE_INFINITY)
      for (let step = await this.#look(false); ; ) {
        if (step.answer !== undefined) return { facts: step.answer, thrown: this.#thrown.reason }
        this.#stay()
        if (step.want !== undefined) {
          const feed = await this.#work(step)
          // What was fetched is recorded, for the others.
          if (step.want !== 'fetch') this.#stay()
          step = await call(feed)
        } else
          step = await waits.share(
            `quota ${key}`,
            until,
            () => this.#look(true),
            () => this.#look(false),
          )
      }
    } catch (error) {
      // Whoever called it gets what it threw, itself.
      throw 'reason' in this.#thrown ? ownOf(this.#thrown.reason, error) : error
    } finally {
      binding.resolveClose(this.#course)
    }
  }

  #look(wait: boolean): Promise<StepFacts> {
    return background((hub, id) => binding.resolveNext(hub, id, this.#course, wait, this.#interrupt))
  }

  /** Nothing is begun for a caller who has left. */
  #stay(): void {
    if (this.#signal?.aborted) throw aborted(this.#signal)
  }

  #work({ want, job }: StepFacts): Promise<Feed> {
    if (want === 'credentials') return this.#credentials()
    return want === 'fetch' ? this.#fetch(job as QuotaJobHandle) : this.#fallback()
  }

  async #credentials(): Promise<Feed> {
    try {
      const { credentials } = this.#source
      this.#credential = await credentials?.()
      const secret = credentials === undefined ? new Uint8Array() : secretOf(this.#credential)
      return (hub, id) => binding.resolveCredentials(hub, id, this.#course, secret)
    } catch (reason) {
      this.#thrown.reason = reason
      const failure = failureOf(reason)
      return (hub, id) => binding.resolveCredentialsFailed(hub, id, this.#course, failure)
    }
  }

  async #fetch(held: QuotaJobHandle): Promise<Feed> {
    const job = new QuotaJob<C>(held, this.#caller.key, this.#credential as C)
    try {
      const { bytes, commit } = usageOf(await Promise.race([this.#source.fetch(job), job.overdue()]))
      return (hub, id) => binding.resolveFetched(hub, id, this.#course, bytes, commit)
    } catch (reason) {
      this.#thrown.reason = reason
      const failure = failureOf(reason)
      return (hub, id) => binding.resolveFetchFailed(hub, id, this.#course, failure)
    } finally {
      job.end()
    }
  }

  async #fallback(): Promise<Feed> {
    try {
      const found = await this.#source.fallback?.()
      const bytes = found === undefined || found === null ? undefined : usageOf(found).bytes
      return (hub, id) => binding.resolveFallback(hub, id, this.#course, bytes)
    } catch (reason) {
      const failure = failureOf(reason)
      return (hub, id) => binding.resolveFallbackFailed(hub, id, this.#course, failure)
    }
  }
}

/** The bytes of a secret. Its errors do not show it. */
function secretOf(credential: unknown): Uint8Array {
  const code: ErrorCode = 'FOREBAY_E_NO_CREDENTIALS'
  if (credential === undefined || credential === null) {
    throw new ForebayError(code, '`credentials` returned nothing')
  }
  if (
    typeof credential === 'string' ||
    credential instanceof Uint8Array ||
    credential instanceof ArrayBuffer
  ) {
    return bytesOf(credential)
  }
  const text = JSON.stringify(credential)
  if (text === undefined) throw new ForebayError(code, `\`credentials\` returned a ${typeof credential}`)
  return bytesOf(text)
}

const KNOWN = ['data', 'validator', 'ttl', 'maxStale', 'extra', 'unchanged']

/** What `fetch` returned: the text of JSON, or none for "unchanged". */
function usageOf(result: Usage): { bytes: Uint8Array | undefined; commit: CommitFacts } {
  if (typeof result !== 'object' || result === null) return { bytes: textOf(result), commit: {} }
  if (result instanceof Uint8Array || result instanceof ArrayBuffer) {
    return { bytes: bytesOf(result), commit: {} }
  }
  const odd = Object.keys(result).filter(name => !KNOWN.includes(name))
  if (odd.length > 0)
    throw invalid(`the result has ${odd.join(', ')}; give { data: … }, with the value inside`)
  if ('unchanged' in result) return { bytes: undefined, commit: commitOf(result) }
  return { bytes: jsonOf(result.data), commit: commitOf(result) }
}

function textOf(result: unknown): Uint8Array {
  if (typeof result === 'string') return bytesOf(result)
  throw invalid(`the result is ${typeof result}; give the text of JSON, its bytes, or { data: … }`)
}

function jsonOf(data: unknown): Uint8Array {
  if (data instanceof Uint8Array || data instanceof ArrayBuffer) return bytesOf(data)
  const text = JSON.stringify(data)
  if (text === undefined) throw invalid(`the data is ${typeof data}, which is no JSON`)
  return bytesOf(text)
}
