/** What calls return: values with where they came from, states of refreshes, rows of a list. Facts in, classes and dates out. */
import { errorOf, type ForebayError } from './errors'
import type { ErrorFacts, ListedFacts, RefreshFacts, ValueFacts } from './native'

/** What the age of a value allows: use, use while a better one is fetched, or neither. */
export type State = ValueFacts['state']
/** How a call came by its value. */
export type How = NonNullable<ValueFacts['how']>
/** What a refresh does: nothing, run, or wait out a failure. */
export type Phase = RefreshFacts['phase']
/** What `maybeRefresh` and `requestRefresh` did. */
export type Started = 'started' | 'fresh' | 'in_flight' | 'gated'

/** A value, and where it came from. */
export class Value {
  constructor(
    /**
     * The bytes; undefined where there are none. The same `Buffer` for each reading of the same version:
     * copy it before you change it.
     */
    readonly data: Buffer | undefined,
    /** Whether it may be used: see {@link State}. `read` returns expired bytes too. */
    readonly state: State,
    /** Milliseconds since it was stored, by the cache's clock. */
    readonly age: number | undefined,
    /** Epoch milliseconds at which it was stored. */
    readonly storedMs: number | undefined,
    /** What the source said identifies this version: an ETag, a date, anything. */
    readonly validator: string | undefined,
    /** The caller's own text beside the value. */
    readonly extra: string | undefined,
    /** Opaque: differs whenever the value does. For `waitForChange` and `acquire`. */
    readonly version: string,
    /** How the call came by it; undefined for `read`. */
    readonly how: How | undefined,
    /** What the refresh does, where the call looked: always when the value is not fresh. */
    readonly phase: Phase | undefined,
    /** Why there is no better value: damage, or the failure that it is served despite of. */
    readonly error: ForebayError | undefined,
  ) {}

  /** When it was stored. */
  get storedAt(): Date | undefined {
    return this.storedMs === undefined ? undefined : new Date(this.storedMs)
  }

  /** Whether it may be used without asking anyone. */
  get fresh(): boolean {
    return this.state === 'fresh'
  }

  /** Whether a refresh is due: not fresh. */
  get stale(): boolean {
    return this.state !== 'fresh'
  }

  /**
   * The bytes as UTF-8 text; undefined where there are none.
   *
   * @example
   * console.log(models.read().text() ?? 'nothing yet')
   */
  text(): string | undefined {
    return this.data?.toString('utf8')
  }

  /**
   * The bytes parsed as JSON; undefined where there are none. Throws `SyntaxError` where they are not JSON.
   *
   * @example
   * const names = models.read().json<string[]>() ?? []
   * console.log(names.length)
   */
  json<T = unknown>(): T | undefined {
    return this.data === undefined ? undefined : (JSON.parse(this.data.toString('utf8')) as T)
  }
}

/** @internal */
export function valueFrom(
  facts: ValueFacts,
  data: Buffer | undefined = facts.data,
  cause?: unknown,
  age: number | undefined = facts.age,
): Value {
  return new Value(
    data,
    facts.state,
    age,
    facts.storedAt,
    facts.validator,
    facts.extra,
    facts.version,
    facts.how,
    facts.phase,
    facts.error === undefined ? undefined : errorOf(facts.error, cause),
  )
}

/** What is known of the refresh of a source, in this and other processes. */
export interface RefreshState {
  /** What it does. */
  phase: Phase
  /** A refresh runs, or a failure cools down (as the original's; `phase` tells which). */
  inFlight: boolean
  /** The latest attempt failed. */
  failed: boolean
  /** How it failed. */
  lastError: ForebayError | undefined
  /** When the running refresh began. */
  startedAt: Date | undefined
  /** When the running refresh shall be done. */
  deadline: Date | undefined
  /** When the next attempt may be made. */
  retryAt: Date | undefined
  /** Failed attempts in a row. */
  attempts: number
  /** The server gave `retryAt`, rather than that we guessed it. */
  declared: boolean
  /** The process that runs it. */
  holder: number | undefined
}

/** A source as `list` finds it. */
export interface Listed {
  /** `tier/name`. */
  key: string
  tier: string
  name: string
  state: State
  /** Milliseconds since it was stored. */
  age: number | undefined
  /** Bytes. */
  size: number
  storedAt: Date | undefined
  phase: Phase
  validator: string | undefined
  extra: string | undefined
  version: string
  error: ForebayError | undefined
  retryAt: Date | undefined
}

/** What `prune` did. */
export interface Pruned {
  /** The keys removed. */
  removed: string[]
  /** The keys left, with the reason. */
  skipped: { key: string; reason: string }[]
  /** How many other files were swept. */
  swept: number
}

/** Which fact decides what a source serves. */
export interface Why {
  /** A sentence. */
  text: string
  /** A `Cache-Status` line (RFC 9211). */
  cacheStatus: string
  state: State
  phase: Phase
}

const date = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms))
const error = (facts: ErrorFacts | undefined): ForebayError | undefined => facts && errorOf(facts)

/** @internal */
export function refreshStateOf(facts: RefreshFacts): RefreshState {
  return {
    phase: facts.phase,
    inFlight: facts.inFlight,
    failed: facts.failed,
    lastError: error(facts.lastError),
    startedAt: date(facts.startedAt),
    deadline: date(facts.deadline),
    retryAt: date(facts.retryAt),
    attempts: facts.attempts,
    declared: facts.declared,
    holder: facts.holder,
  }
}

/** @internal */
export function listedOf(facts: ListedFacts): Listed {
  return {
    key: facts.key,
    tier: facts.tier,
    name: facts.name,
    state: facts.state,
    age: facts.age,
    size: facts.size,
    storedAt: date(facts.storedAt),
    phase: facts.phase,
    validator: facts.validator,
    extra: facts.extra,
    version: facts.version,
    error: error(facts.error),
    retryAt: date(facts.retryAt),
  }
}
