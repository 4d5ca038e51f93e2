/**
 * `ForebayError`: what goes wrong, under the codes that every language shares. The native part reports plain
 * facts; the class is rebuilt here, so that `instanceof`, `code` and `cause` are what JavaScript expects. This
 * file knows nothing of caches.
 */
import type { ErrorFacts } from './native'

/** Every code that an error can have. */
export const ERROR_CODES = [
  'FOREBAY_E_INVALID',
  'FOREBAY_E_CLOSED',
  'FOREBAY_E_NOT_FOUND',
  'FOREBAY_E_TIMED_OUT',
  'FOREBAY_E_GATED',
  'FOREBAY_E_REFRESH_FAILED',
  'FOREBAY_E_RATE_LIMITED',
  'FOREBAY_E_UNAUTHORIZED',
  'FOREBAY_E_UNAVAILABLE',
  'FOREBAY_E_NO_CREDENTIALS',
  'FOREBAY_E_CANCELLED',
  'FOREBAY_E_LOCK_TIMEOUT',
  'FOREBAY_E_LEASE_LOST',
  'FOREBAY_E_HOLDER_DIED',
  'FOREBAY_E_SUPERSEDED',
  'FOREBAY_E_IN_PROGRESS',
  'FOREBAY_E_MISMATCH',
  'FOREBAY_E_AMBIGUOUS',
  'FOREBAY_E_FULL',
  'FOREBAY_E_ALREADY_USED',
  'FOREBAY_E_TOO_MANY_LEASES',
  'FOREBAY_E_DAMAGED',
  'FOREBAY_E_UNSAFE_ROOT',
  'FOREBAY_E_UNSUPPORTED_FS',
  'FOREBAY_E_UNSUPPORTED',
  'FOREBAY_E_NEWER_FORMAT',
  'FOREBAY_E_NO_SPACE',
  'FOREBAY_E_PERMISSION',
  'FOREBAY_E_IO',
  'FOREBAY_E_PANIC',
] as const

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** What a {@link ForebayError} may be given beside code and message. */
export interface ForebayErrorOptions {
  /** What caused it. */
  cause?: unknown
  /** The file or folder that it is about. */
  path?: string | undefined
  /** What to do next. */
  hint?: string | undefined
  /** The system's error number. */
  errno?: number | undefined
  /** When the next attempt may be made. */
  retryAt?: Date | undefined
  /** For refreshers: how many milliseconds nobody, in any process, shall try again. */
  retryAfter?: number | undefined
}

/**
 * A failure. A refresher may throw one of its own: its code and `retryAfter` become the gate that all
 * processes respect.
 *
 * @example
 * throw new ForebayError('FOREBAY_E_RATE_LIMITED', 'the quota is used up', { retryAfter: 60_000 })
 */
export class ForebayError extends Error {
  /** Which kind of failure. */
  readonly code: ErrorCode
  /** The file or folder that it is about. */
  readonly path: string | undefined
  /** What to do next. */
  readonly hint: string | undefined
  /** The system's error number, where a system call failed. */
  readonly errno: number | undefined
  /** When the next attempt may be made. Of one that a callback threw: filled in before its caller gets it. */
  readonly retryAt: Date | undefined
  /** How many milliseconds nobody shall try again: what a refresher says of its server. */
  readonly retryAfter: number | undefined

  constructor(code: ErrorCode, message: string, options: ForebayErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    // As `fetch` and the timers do, so that one test finds cancellation whoever reports it.
    this.name = code === 'FOREBAY_E_CANCELLED' ? 'AbortError' : 'ForebayError'
    this.code = code
    this.path = options.path
    this.hint = options.hint
    this.errno = options.errno
    this.retryAt = options.retryAt
    this.retryAfter = options.retryAfter
  }
}

/**
 * For an exchange that `rotate` runs: the request certainly did not reach the server, so that the credential is as
 * good as before. `reason` is what went wrong, or a text. Without it, a failure that could have come after the
 * request is `FOREBAY_E_AMBIGUOUS`, and nobody tries again.
 *
 * @example
 * const exchange = async () => {
 *   if (!(await reachable())) throw new NotSent('the server is not reachable')
 *   return (await fetch(URL, { method: 'POST' })).text()
 * }
 * await rotate('github-oauth', { seen, exchange })
 */
export class NotSent extends ForebayError {
  constructor(reason: unknown, options: { retryAfter?: number | undefined } = {}) {
    const known = reason instanceof ForebayError ? reason : undefined
    const message = reason instanceof Error ? reason.message : String(reason)
    super(known?.code ?? 'FOREBAY_E_REFRESH_FAILED', message, {
      retryAfter: options.retryAfter ?? known?.retryAfter,
      ...(reason instanceof Error ? { cause: reason } : {}),
    })
    this.name = 'NotSent'
  }
}

/** `gated` → `FOREBAY_E_GATED`. @internal */
export function codeOf(text: string): ErrorCode {
  return `FOREBAY_E_${text.toUpperCase()}` as ErrorCode
}

/** `FOREBAY_E_GATED` → `gated`. @internal */
export function textOf(code: ErrorCode): string {
  return code.slice('FOREBAY_E_'.length).toLowerCase()
}

/** The error that the facts describe; `cause` goes before the facts' own. @internal */
export function errorOf(facts: ErrorFacts, cause?: unknown): ForebayError {
  const options: ForebayErrorOptions = {
    path: facts.path,
    hint: facts.hint,
    errno: facts.errno,
    retryAt: facts.retryAt === undefined ? undefined : new Date(facts.retryAt),
  }
  if (cause !== undefined) options.cause = cause
  else if (facts.cause != null) options.cause = new Error(facts.cause)
  return new ForebayError(codeOf(facts.code), facts.message, options)
}

/**
 * What a caller gets whose own callback threw `thrown`: that, itself. One of ours is told when the next attempt may be
 * made, which whoever threw it did not know. @internal
 */
export function ownOf(thrown: unknown, error: unknown): unknown {
  const told = thrown instanceof ForebayError && thrown.retryAt === undefined && error instanceof ForebayError
  if (told && error.retryAt !== undefined) Reflect.set(thrown, 'retryAt', error.retryAt)
  return thrown
}

/** What a synchronous native function threw, as a `ForebayError`. @internal */
export function thrownOf(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof ForebayError) return thrown
  if (thrown.message.startsWith('{"forebay":')) {
    const facts = JSON.parse(thrown.message).forebay as Record<string, unknown>
    for (const name of Object.keys(facts)) if (facts[name] === null) delete facts[name]
    return errorOf(facts as unknown as ErrorFacts)
  }
  const code = (thrown as { code?: unknown }).code
  const wrongType = typeof code === 'string' && /^(InvalidArg|\w+Expected)$/.test(code)
  return wrongType ? new ForebayError('FOREBAY_E_INVALID', thrown.message, { cause: thrown }) : thrown
}

/** Calls a synchronous native function. @internal */
export function native<T>(call: () => T): T {
  try {
    return call()
  } catch (thrown) {
    throw thrownOf(thrown)
  }
}

/** An argument that cannot be used. @internal */
export function invalid(message: string): ForebayError {
  return new ForebayError('FOREBAY_E_INVALID', message)
}
