/**
 * The driver under `rotate`: takes the native rotation step by step, and runs the exchange between the steps, in the
 * caller's own async context. An exchange that was begun is brought to its end whoever has left: what it brings is
 * the only copy.
 */
import { ForebayError, native, ownOf } from './errors'
import { aborted, background, call, hold, interruptible, release } from './hub'
import { binding, type HubHandle, type InterruptHandle } from './native'
import type {
  CredentialFacts,
  CredentialsHandle,
  ExchangeHandle,
  RotateStepFacts,
  RotationHandle,
} from './native-quota'
import { type Bytes, bytesOf, failureOf } from './refresher'
import type { Waits } from './waits'
import { Watch } from './watch'

/**
 * Exchanges the credential for the next one: one process does, once. Returns the new one as bytes or text; what
 * `fromResponse` makes of an answer, of which the body counts; or another object, of which the JSON is stored.
 */
export type Exchanger = (job: Exchange) => Bytes | object | Promise<Bytes | object>

/** What an exchange sees. */
export class Exchange {
  readonly #held: ExchangeHandle
  readonly #watch: Watch

  /** Made by the credentials only: nobody else has the handle. */
  constructor(held: ExchangeHandle, key: string) {
    this.#held = held
    const looks = {
      cancelled: () => binding.exchangeCancelled(held),
      remaining: () => binding.exchangeRemaining(held),
    }
    this.#watch = new Watch(`the exchange of ${key}`, looks, true)
  }

  /** The credential to exchange; undefined at first. */
  get previous(): Buffer | undefined {
    return native(() => binding.exchangePrevious(this.#held)) ?? undefined
  }

  /** When it shall be done. */
  get deadline(): Date {
    return new Date(native(() => binding.exchangeDeadline(this.#held)))
  }

  /** Milliseconds until the deadline; 0 after it. */
  get remaining(): number {
    return native(() => binding.exchangeRemaining(this.#held))
  }

  /** Whether the exchange is no longer this process's: it was reset, or is over. */
  get cancelled(): boolean {
    return native(() => binding.exchangeCancelled(this.#held))
  }

  /**
   * Aborts at the deadline, or when the exchange is {@link cancelled}. Give it to `fetch` only if an answer after that
   * is worth nothing: a request that is broken off is ambiguous.
   */
  get signal(): AbortSignal {
    return this.#watch.signal
  }

  /** Ends it. @internal */
  end(): void {
    this.#watch.stop()
    binding.exchangeRelease(this.#held)
  }
}

/** Whose call it is. @internal */
export interface RotateCaller {
  handle: CredentialsHandle
  key: string
  waits: Waits
}

/** Runs one call to its end. Aborting `signal` lets the caller go; an exchange that runs goes on. @internal */
export function drive(
  caller: RotateCaller,
  seen: string | undefined,
  exchanger: Exchanger,
  signal: AbortSignal | undefined,
): Promise<CredentialFacts> {
  return interruptible(signal, async interrupt => {
    const course = native(() => binding.rotationBegin(caller.handle, caller.key, seen))
    hold()
    try {
      return await steps(caller, course, exchanger, signal, interrupt)
    } finally {
      binding.rotationClose(course)
      release()
    }
  })
}

async function steps(
  { key, waits }: RotateCaller,
  course: RotationHandle,
  exchanger: Exchanger,
  signal: AbortSignal | undefined,
  interrupt: InterruptHandle,
): Promise<CredentialFacts> {
  const thrown: { reason?: unknown } = {}
  const step = (wait: boolean): Promise<RotateStepFacts> =>
    background((hub, id) => binding.rotationNext(hub, id, course, wait, interrupt))
  try {
    for (let next = await step(false); ; ) {
      if (next.credential !== undefined) return next.credential
      if (next.exchange !== undefined)
        next = await call(await run(next.exchange, key, course, exchanger, thrown))
      else if (signal?.aborted) throw aborted(signal)
      else
        next = await waits.share(
          key,
          Number.POSITIVE_INFINITY,
          () => step(true),
          () => step(false),
        )
    }
  } catch (error) {
    if (!('reason' in thrown)) throw error
    throw ambiguous(error) ? withCause(error, thrown.reason) : ownOf(thrown.reason, error)
  }
}

type Feed = (hub: HubHandle, id: number) => void

/** Runs the exchange; what it throws goes into `thrown`. Never rejects. */
async function run(
  held: ExchangeHandle,
  key: string,
  course: RotationHandle,
  exchanger: Exchanger,
  thrown: { reason?: unknown },
): Promise<Feed> {
  const exchange = new Exchange(held, key)
  try {
    const bytes = secretOf(await exchanger(exchange))
    return (hub, id) => binding.rotationExchanged(hub, id, course, bytes)
  } catch (reason) {
    thrown.reason = reason
    const failure = failureOf(reason)
    return (hub, id) => binding.rotationFailed(hub, id, course, failure)
  } finally {
    exchange.end()
  }
}

/** The bytes of a credential. Its errors do not show it, and do not say that nothing was sent. */
function secretOf(made: unknown): Uint8Array {
  const bytes = bytesIn(made)
  if (bytes !== undefined && bytes.length > 0) return bytes
  const found = bytes === undefined ? kind(made) : 'an empty one'
  throw new ForebayError('FOREBAY_E_REFRESH_FAILED', `the exchange brought no credential but ${found}`)
}

function bytesIn(made: unknown): Uint8Array | undefined {
  if (typeof made === 'string' || made instanceof Uint8Array || made instanceof ArrayBuffer) {
    return bytesOf(made)
  }
  if (typeof made !== 'object' || made === null || 'unchanged' in made) return undefined
  const body = (made as { data?: unknown }).data
  if (body instanceof Uint8Array || body instanceof ArrayBuffer) return bytesOf(body)
  const text = JSON.stringify(made)
  return text === undefined ? undefined : bytesOf(text)
}

function kind(thing: unknown): string {
  return thing === null ? 'null' : typeof thing
}

function ambiguous(error: unknown): error is ForebayError {
  return error instanceof ForebayError && error.code === 'FOREBAY_E_AMBIGUOUS'
}

/** Nobody may overlook that the credential may be spent, so the caller's own exception is the cause. */
function withCause(
  { code, message, path, hint, errno, retryAt }: ForebayError,
  cause: unknown,
): ForebayError {
  return new ForebayError(code, message, { path, hint, errno, retryAt, cause })
}
