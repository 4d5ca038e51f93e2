/** What calls on derived results return: results with where they came from, rows of a list. Facts in, classes and dates out. */
import { errorOf, type ForebayError } from './errors'
import type { DerivedFacts, InputFacts, LiveListedFacts, LiveWhyFacts, LookupFacts } from './native-live'

/** What an input is. */
export type LiveInputKind = 'file' | 'dir' | 'glob' | 'absent' | 'stat' | 'env' | 'source' | 'tag'

/** One thing that a result was computed from. */
export interface LiveInput {
  kind: LiveInputKind
  /** The path (a `Buffer` if it is no UTF-8), pattern, variable, key or tag. Paths inside the workspace are relative. */
  name: string | Uint8Array
}

/** How a call came by a result. */
export type LiveHow = 'fresh' | 'ran' | 'coalesced' | 'uncoordinated'

/** A result of a computation. */
export class Derived {
  constructor(
    /** 64 hex digits. */
    readonly key: string,
    /** The bytes, a copy of the caller's own. */
    readonly data: Buffer,
    /** What kind of result it is, as whoever computed it said. */
    readonly kind: string,
    /** The BLAKE3 hash of the bytes, in hex. */
    readonly hash: string,
    /**
     * How the call came by it: `fresh` (it was there, and holds), `ran`, `coalesced` (another caller computed it, for
     * whom this one waited), `uncoordinated` (computed, but not kept: {@link error} says why).
     */
    readonly how: LiveHow,
    /** What it was computed from. */
    readonly inputs: LiveInput[],
    /** The keys of the results that it was computed from. */
    readonly upstream: string[],
    /** When it was computed. */
    readonly computedAt: Date,
    /** Why it was not kept: `FOREBAY_E_SUPERSEDED` where an input changed while it was computed. */
    readonly error: ForebayError | undefined,
  ) {}

  /**
   * The bytes as UTF-8 text.
   *
   * @example
   * const found = live.lookup(key)
   * if (found.outcome === 'hit') console.log(found.derived.text())
   */
  text(): string {
    return this.data.toString('utf8')
  }

  /**
   * The bytes parsed as JSON. Throws `SyntaxError` where they are not JSON.
   *
   * @example
   * const found = live.lookup(key)
   * const lines = found.outcome === 'hit' ? found.derived.json<string[]>() : []
   * console.log(lines.length)
   */
  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T
  }
}

/** What `lookup` found. */
export type LiveLookup =
  | { outcome: 'hit'; derived: Derived }
  /** `invalidated`: something that it was computed from has changed, and it is gone, with all that was built on it. */
  | { outcome: 'miss' | 'invalidated'; derived?: undefined }

/** One result as `list` finds it, without its bytes. */
export interface ListedDerived {
  key: string
  kind: string
  /** Bytes. */
  size: number
  inputs: LiveInput[]
  upstream: string[]
  computedAt: Date
  /** When it was last used, as far as that is recorded. */
  usedAt: Date
}

/** Whether a result holds, and what decides that. */
export interface LiveWhy {
  /** Whether a lookup with `revalidate` would find it. */
  holds: boolean
  /** A sentence. */
  text: string
  /** The input that decided. */
  input: LiveInput | undefined
  /** The result that decided, of those that it is built on. */
  upstream: string | undefined
}

function inputOf({ kind, name }: InputFacts): LiveInput {
  return { kind: kind as LiveInputKind, name }
}

/** The result of those facts. @internal */
export function derivedOf(facts: DerivedFacts): Derived {
  return new Derived(
    facts.key,
    facts.data,
    facts.kind,
    facts.hash,
    facts.how as LiveHow,
    facts.inputs.map(inputOf),
    facts.upstream,
    new Date(facts.computedAt),
    facts.error && errorOf(facts.error),
  )
}

/** @internal */
export function lookupOf({ outcome, derived }: LookupFacts): LiveLookup {
  if (derived !== undefined) return { outcome: 'hit', derived: derivedOf(derived) }
  return { outcome: outcome === 'invalidated' ? 'invalidated' : 'miss' }
}

/** @internal */
export function listedDerivedOf(facts: LiveListedFacts): ListedDerived {
  const { key, kind, size, inputs, upstream, computedAt, usedAt } = facts
  return {
    key,
    kind,
    size,
    inputs: inputs.map(inputOf),
    upstream,
    computedAt: new Date(computedAt),
    usedAt: new Date(usedAt),
  }
}

/** @internal */
export function liveWhyOf({ holds, text, input, upstream }: LiveWhyFacts): LiveWhy {
  return { holds, text, input: input && inputOf(input), upstream }
}
