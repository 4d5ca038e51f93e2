/**
 * `rotate`, `Credentials`, `Credential`: credentials that can be used once each, such as OAuth refresh tokens, so that
 * exactly one process uses each. What shows a credential by accident (logs, JSON, inspection) shows none.
 */
import { inspect } from 'node:util'
import { type Duration, optional } from './duration'
import { errorOf, type ForebayError, invalid, native } from './errors'
import { call } from './hub'
import { binding } from './native'
import type { CredentialFacts, CredentialsHandle, RotateStateFacts } from './native-quota'
import { type Bytes, bytesOf } from './refresher'
import { drive, type Exchanger } from './rotation'
import type { WaitOptions } from './source'
import type { How, Phase } from './value'
import { Waits } from './waits'

/** A credential. Its bytes are only where they are asked for: in `data`, `text` and `json`. */
export class Credential {
  readonly #data: Buffer
  /** Opaque: what to give as `seen` when this one does not work any more. */
  readonly version: string
  /** `ran`: exchanged by this call; `coalesced`: by another; `uncoordinated`: {@link error} says why it is not stored. */
  readonly how: How
  /** When it was stored, by the credentials' clock. */
  readonly storedAt: Date
  /** Why it could not be stored: then this is the only copy. */
  readonly error: ForebayError | undefined

  /** Made by the credentials only. */
  constructor(facts: CredentialFacts) {
    this.#data = facts.data
    this.version = facts.version
    this.how = facts.how
    this.storedAt = new Date(facts.storedAt)
    this.error = facts.error && errorOf(facts.error)
  }

  /** The bytes. */
  get data(): Buffer {
    return this.#data
  }

  /** The bytes as UTF-8 text. */
  get text(): string {
    return this.#data.toString('utf8')
  }

  /**
   * The bytes parsed as JSON. Throws where they are not JSON, without showing them.
   *
   * @example
   * const { access_token } = credential.json<{ access_token: string }>()
   * console.log(access_token.length)
   */
  json<T = unknown>(): T {
    try {
      return JSON.parse(this.text) as T
    } catch {
      // The parser's own error quotes the text.
      throw invalid('the credential is not JSON')
    }
  }

  /**
   * What `JSON.stringify` shows: all but the bytes.
   *
   * @example
   * console.log(credential.toJSON(), JSON.stringify({ credential }))
   */
  toJSON(): Record<string, unknown> {
    const { version, how, storedAt } = this
    return { data: '[credential]', version, how, storedAt }
  }

  [inspect.custom](): string {
    return `Credential ${inspect(this.toJSON())}`
  }
}

/** What is known of the rotation of one key. */
export interface RotateState {
  /** Whether it is exchanged now, or a failure cools down. */
  phase: Phase
  /** Since when nobody knows whether the credential is spent; undefined: it is not so. Only `reset` ends it. */
  ambiguousSince: Date | undefined
  /** When the next attempt may be made. */
  retryAt: Date | undefined
  /** How the last attempt failed. */
  lastError: ForebayError | undefined
  /** Of the credential that is stored. */
  version: string | undefined
}

/** Options of credentials. */
export interface CredentialsOptions {
  /** The folder; default `FOREBAY_STATE`, else `forebay` in the user's state folder. */
  state?: string | undefined
  /** How long an exchange may take; default 30 s, 0 is refused. */
  deadline?: Duration | undefined
  /** A file with the time, for tests. */
  testClock?: string | undefined
}

/** Options of `rotate`. */
export interface RotateOptions extends WaitOptions {
  /** The credential (or its version) that does not work any more; unset: there was none yet. */
  seen?: Credential | string | undefined
  /** Gets the next one. */
  exchange: Exchanger
}

/**
 * The credentials below one state folder, shared by all processes of this user.
 *
 * @example
 * const credentials = new Credentials({ deadline: '10s' })
 * const token = await credentials.rotate('github-oauth', { seen, exchange })
 */
export class Credentials {
  readonly #handle: CredentialsHandle
  readonly #waits = new Waits()

  constructor(options: CredentialsOptions = {}) {
    const { state: root, testClock } = options
    const deadline = optional(options.deadline, 'deadline')
    if (deadline === 0) throw invalid('the deadline is 0: an exchange needs time')
    this.#handle = native(() => binding.credentialsOpen({ root, testClock, deadline }))
  }

  /** The folder. */
  get root(): string {
    return binding.credentialsRoot(this.#handle)
  }

  /**
   * The credential after the one that was seen: the stored one, if it is another; else one process runs `exchange`
   * with it, and all get the new one. It is stored before anybody gets it.
   *
   * An exchange that fails for certain (`FOREBAY_E_UNAUTHORIZED`, `RATE_LIMITED`, `INVALID`, `NO_CREDENTIALS`, or
   * `NotSent`) rejects with what it threw, and may be tried again. Any other failure may have spent the credential:
   * `FOREBAY_E_AMBIGUOUS`, with what it threw as the cause, for everybody, until `reset`.
   *
   * @example
   * const token = await credentials.rotate('github-oauth', {
   *   seen,
   *   exchange: async ({ previous }) => fromResponse(await fetch(URL, { method: 'POST', body: previous })),
   * })
   * console.log(token.how, token.version)
   */
  async rotate(key: string, options: RotateOptions): Promise<Credential> {
    const { seen, exchange, signal } = options ?? {}
    if (typeof exchange !== 'function') throw invalid(`the exchange is ${typeof exchange}; give a function`)
    const version = seen instanceof Credential ? seen.version : seen
    if (version !== undefined && typeof version !== 'string') {
      throw invalid(`seen is ${typeof version}; give a Credential, or the version of one`)
    }
    const caller = { handle: this.#handle, key: checked(key), waits: this.#waits }
    return new Credential(await drive(caller, version, exchange, signal))
  }

  /**
   * The credential that is stored; undefined where there is none.
   *
   * @example
   * const token = await credentials.current('github-oauth')
   * console.log(token?.version ?? 'log in first')
   */
  async current(key: string): Promise<Credential | undefined> {
    const name = checked(key)
    const facts = await call<CredentialFacts | null>((hub, id) =>
      binding.credentialsCurrent(hub, id, this.#handle, name),
    )
    return facts === null ? undefined : new Credential(facts)
  }

  /**
   * After a new login: stores its credential, and ends ambiguity and gate. Without one it forgets what is stored.
   * Resolves to the version, for `seen`.
   *
   * @example
   * const version = await credentials.reset('github-oauth', 'the token of the new login')
   * console.log(version)
   */
  async reset(key: string, credential?: Bytes): Promise<string | undefined> {
    const name = checked(key)
    const bytes = credential === undefined ? undefined : secret(credential)
    const version = await call<string | null>((hub, id) =>
      binding.credentialsReset(hub, id, this.#handle, name, bytes),
    )
    return version ?? undefined
  }

  /**
   * What is known of the rotation of that key.
   *
   * @example
   * const { ambiguousSince, retryAt, lastError } = await credentials.state('github-oauth')
   * if (ambiguousSince !== undefined) console.log('log in again', lastError?.message, retryAt)
   */
  async state(key: string): Promise<RotateState> {
    const name = checked(key)
    const facts = await call<RotateStateFacts>((hub, id) =>
      binding.credentialsState(hub, id, this.#handle, name),
    )
    const date = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms))
    return {
      phase: facts.phase,
      ambiguousSince: date(facts.ambiguousSince),
      retryAt: date(facts.retryAt),
      lastError: facts.lastError && errorOf(facts.lastError),
      version: facts.version,
    }
  }
}

/** Of `rotate` and `rotateReset`, by their folder: calls that share it wait as one. */
const opened = new Map<string, Credentials>()

function open(state: string | undefined): Credentials {
  const folder = state ?? native(() => binding.defaultStateRoot()) ?? undefined
  const known = folder === undefined ? undefined : opened.get(folder)
  if (known !== undefined) return known
  const credentials = new Credentials({ state: folder })
  opened.set(credentials.root, credentials)
  return credentials
}

/**
 * {@link Credentials.rotate} in the user's state folder, or in `state`.
 *
 * @example
 * const exchange = async ({ previous }: { previous?: Buffer | undefined }) =>
 *   fromResponse(await fetch(URL, { method: 'POST', body: previous }))
 * let token = await rotate('github-oauth', { exchange })
 * token = await rotate('github-oauth', { seen: token, exchange })
 */
export async function rotate(
  key: string,
  options: RotateOptions & { state?: string | undefined },
): Promise<Credential> {
  return open(options?.state).rotate(key, options)
}

/**
 * {@link Credentials.reset} in the user's state folder, or in `state`.
 *
 * @example
 * await rotateReset('github-oauth', 'the token of the new login')
 */
export async function rotateReset(
  key: string,
  credential?: Bytes,
  options: { state?: string | undefined } = {},
): Promise<string | undefined> {
  return open(options.state).reset(key, credential)
}

function checked(key: string): string {
  if (typeof key === 'string') return key
  throw invalid(`the key is ${typeof key}; give text such as 'github-oauth'`)
}

/** The bytes; the error for anything else does not show it. */
function secret(credential: Bytes): Uint8Array {
  if (
    typeof credential === 'string' ||
    credential instanceof Uint8Array ||
    credential instanceof ArrayBuffer
  ) {
    return bytesOf(credential)
  }
  throw invalid(`the credential is ${typeof credential}; give a Buffer, Uint8Array, ArrayBuffer or string`)
}
