/** What a refresher is and may return, and how that becomes bytes and facts for the store. It knows nothing of leases. */
import { type Duration, endless, optional } from './duration'
import { ForebayError, invalid, NotSent, textOf } from './errors'
import type { CommitFacts, FailureFacts } from './native'
import type { Job } from './ticket'

/** Bytes, or text that is stored as UTF-8. They are copied. */
export type Bytes = Uint8Array | ArrayBuffer | string

/** What may go with the bytes of a value. */
export interface CommitOptions {
  /** What identifies this version to the server: an ETag, a Last-Modified date, or anything of yours. */
  validator?: string | undefined
  /** How long it is fresh; goes before the source's own. */
  ttl?: Duration | undefined
  /** How long after that it may be served; goes before the source's own. */
  maxStale?: Duration | undefined
  /** Text of yours that is kept beside the value. */
  extra?: string | undefined
}

/** Bytes, with what goes with them. */
export interface Fetched extends CommitOptions {
  data: Bytes
}

/** The source says that what is there is still right (an HTTP 304). */
export interface Unchanged extends CommitOptions {
  readonly unchanged: true
}

/**
 * What a refresher returns when the source says that what is there is still right.
 *
 * @example
 * await source.get(async job => ((await version()) === job.validator ? unchanged : fetchAll()))
 */
export const unchanged: Unchanged = Object.freeze({ unchanged: true })

/** What a refresher may return. */
export type Result = Bytes | Fetched | Unchanged

/** Makes a value. What it throws reaches whoever called, as itself; others get its code and text. */
export type Refresher = (job: Job) => Result | Promise<Result>

/** @internal */
export function bytesOf(data: Bytes): Uint8Array {
  if (typeof data === 'string') return Buffer.from(data, 'utf8')
  if (data instanceof Uint8Array) return data
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  throw invalid(`a value is ${describe(data)}; give a Buffer, Uint8Array, ArrayBuffer or string`)
}

/** @internal */
export function commitOf(options: CommitOptions): CommitFacts {
  return {
    validator: options.validator,
    ttl: optional(options.ttl, 'ttl'),
    maxStale: endless(options.maxStale, 'maxStale'),
    extra: options.extra,
  }
}

/** What a refresher returned: bytes, or none for "unchanged". @internal */
export function resultOf(result: Result): { bytes: Uint8Array | undefined; commit: CommitFacts } {
  if (typeof result === 'object' && result !== null) {
    if ('unchanged' in result && result.unchanged === true) {
      return { bytes: undefined, commit: commitOf(result) }
    }
    if ('data' in result) return { bytes: bytesOf(result.data), commit: commitOf(result) }
  }
  return { bytes: bytesOf(result as Bytes), commit: {} }
}

/** The failure that others are told of, for anything that a callback may throw. @internal */
export function failureOf(thrown: unknown): FailureFacts {
  if (!(thrown instanceof ForebayError)) return { code: 'refresh_failed', message: describe(thrown) }
  const { message, retryAfter } = thrown
  return { code: textOf(thrown.code), message, retryAfter, notSent: thrown instanceof NotSent }
}

function describe(thing: unknown): string {
  try {
    return String(thing)
  } catch {
    return Object.prototype.toString.call(thing)
  }
}
