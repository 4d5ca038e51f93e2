/** What calls on a quota return: answers with where they came from, and what is recorded. Facts in, classes and dates out. */
import { codeOf, type ErrorCode, errorOf, type ForebayError } from './errors'
import type { AnswerFacts, QuotaStateFacts } from './native-quota'
import type { How, Phase, State } from './value'

/** What `resolve` brought. */
export class Answer<T = unknown> {
  constructor(
    /** The JSON value. */
    readonly data: T,
    /** Its text, as it was fetched: for numbers that JavaScript would round. */
    readonly raw: string,
    /**
     * How the call came by it: `fresh` (recorded, young enough), `ran` and `unchanged` (fetched now), `coalesced`
     * (fetched by another caller, whom this one waited for), `stale` and `fallback` ({@link error} says why),
     * `uncoordinated` (fetched, but it could not be recorded).
     */
    readonly how: How,
    /** What its age allows. */
    readonly state: State,
    /** Milliseconds since it was fetched, by the cache's clock; 0 of a fallback. */
    readonly age: number,
    /** When it was fetched; undefined of a fallback. */
    readonly cachedAt: Date | undefined,
    /** When the gate in force ends: nobody asks the server before. */
    readonly retryAt: Date | undefined,
    /** Why it is not better: the failure, or what the gate is there for. */
    readonly error: ForebayError | undefined,
  ) {}

  /** Whether it may be used without a second thought. */
  get fresh(): boolean {
    return this.state === 'fresh'
  }
}

/** Why nobody asks the server, and until when. */
export interface Blocked {
  /** When it ends. */
  until: Date
  /** What it is there for, where that is known. */
  code: ErrorCode | undefined
  /** The failure in words, or what `block` was given. */
  message: string
  /** The server (or `block`) gave the time, rather than that we guessed it. */
  declared: boolean
  /** Failed attempts in a row. */
  attempts: number
}

/** What is recorded of a quota, for all processes. */
export interface QuotaState<T = unknown> {
  /** What was fetched last, whatever its age. */
  answer: Answer<T> | undefined
  /** The error that is recorded in its stead (by programs of the original's kind). */
  recordedError: ForebayError | undefined
  /** The gate in force. */
  blocked: Blocked | undefined
  /** Whether somebody fetches, or a failure cools down. */
  phase: Phase
  /** The process that fetches. */
  holder: number | undefined
}

/** One quota as `cache.quotas` lists it. */
export interface ListedQuota {
  /** The name, with `~` and the hash of the identity where there is one. */
  key: string
  name: string
  /** 16 hexadecimal digits; undefined without an identity. */
  identityHash: string | undefined
}

const date = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms))

/** The answer of those facts; `cause` is what the caller's own callback threw. @internal */
export function answerOf<T>(facts: AnswerFacts, cause?: unknown): Answer<T> {
  return new Answer<T>(
    JSON.parse(facts.data) as T,
    facts.data,
    facts.how,
    facts.state,
    facts.age,
    date(facts.cachedAt),
    date(facts.retryAt),
    facts.error && errorOf(facts.error, cause),
  )
}

/** @internal */
export function quotaStateOf<T>(facts: QuotaStateFacts): QuotaState<T> {
  const { answer, recordedError, blocked, phase, holder } = facts
  return {
    answer: answer && answerOf<T>(answer),
    recordedError: recordedError && errorOf(recordedError),
    blocked: blocked && {
      until: new Date(blocked.until),
      code: blocked.code === undefined ? undefined : codeOf(blocked.code),
      message: blocked.message,
      declared: blocked.declared,
      attempts: blocked.attempts,
    },
    phase,
    holder,
  }
}
