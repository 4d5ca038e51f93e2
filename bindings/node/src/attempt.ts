/**
 * The driver under `get`, `refresh` and their kin: takes the native attempt step by step, and runs the
 * refresher between the steps, in the caller's own async context. It knows when to run and when to wait, not
 * what a source is.
 */
import { ForebayError, native, ownOf } from './errors'
import { background, call, hold, interruptible, release } from './hub'
import {
  binding,
  type CourseHandle,
  type HubHandle,
  type InterruptHandle,
  type ModeFacts,
  type NextFacts,
  type SourceHandle,
  type TicketHandle,
  type ValueFacts,
} from './native'
import { failureOf, type Refresher, resultOf } from './refresher'
import { Job } from './ticket'
import type { Waits } from './waits'

/** A value, and what the caller's own refresher threw on the way to it. @internal */
export interface Reached {
  facts: ValueFacts
  thrown: unknown
}

interface Thrown {
  reason?: unknown
}

/** Whose call it is. @internal */
export interface Caller {
  handle: SourceHandle
  key: string
  waits: Waits
}

/** Runs one call to its end. Aborting `signal` lets the caller go; a refresh that runs goes on. @internal */
export async function drive(
  caller: Caller,
  mode: ModeFacts,
  refresher: Refresher,
  signal: AbortSignal | undefined,
): Promise<Reached> {
  const course = native(() => binding.attemptBegin(caller.handle, mode))
  hold()
  try {
    return await interruptible(signal, interrupt => steps(caller, course, mode.wait, refresher, interrupt))
  } finally {
    binding.attemptClose(course)
    release()
  }
}

async function steps(
  { key, waits }: Caller,
  course: CourseHandle,
  soft: number | undefined,
  refresher: Refresher,
  interrupt: InterruptHandle,
): Promise<Reached> {
  const thrown: Thrown = {}
  const until = performance.now() + (soft ?? Number.POSITIVE_INFINITY)
  const look = (): Promise<NextFacts> => step(course, false, interrupt, thrown)
  const wait = (): Promise<NextFacts> => step(course, true, interrupt, thrown)
  for (let next = await look(); ; ) {
    if (next.value !== undefined) return { facts: next.value, thrown: thrown.reason }
    if (next.ticket !== undefined) {
      const work = run(next.ticket, refresher, thrown)
      // With a soft wait the refresh runs beside the wait, and outlives it.
      if (soft === undefined) {
        await work
        next = await look()
        continue
      }
    }
    next = await waits.share(key, until, wait, look)
  }
}

async function step(
  course: CourseHandle,
  wait: boolean,
  interrupt: InterruptHandle,
  thrown: Thrown,
): Promise<NextFacts> {
  try {
    return await background((hub, id) => binding.attemptNext(hub, id, course, wait, interrupt))
  } catch (error) {
    // Whoever ran the refresher gets what it threw, itself.
    throw 'reason' in thrown ? ownOf(thrown.reason, error) : error
  }
}

/** Starts a background refresh where one is due, and says what became of that. @internal */
export async function start(
  source: SourceHandle,
  refresher: Refresher,
): Promise<'started' | 'fresh' | 'in_flight' | 'gated'> {
  const course = native(() => binding.attemptBegin(source, { call: 'maybe_refresh' }))
  const interrupt = binding.interruptNew()
  const next = await call<NextFacts>((hub, id) => binding.attemptNext(hub, id, course, false, interrupt))
  binding.attemptClose(course)
  if (next.ticket !== undefined) {
    void run(next.ticket, refresher, {})
    return 'started'
  }
  if (next.value?.state === 'fresh') return 'fresh'
  return next.value?.phase === 'cooling' ? 'gated' : 'in_flight'
}

/** Runs the refresher and ends its ticket; what it throws goes into `thrown`. Never rejects. */
async function run(held: TicketHandle, refresher: Refresher, thrown: Thrown): Promise<void> {
  const job = new Job(held)
  try {
    const result = await made(job, refresher, thrown)
    // A ticket that has ended looks cancelled: nobody shall hear of that.
    job.unwatch()
    if (result === undefined) return await fail(held, thrown.reason)
    const { bytes, commit } = result
    const error = await end(held, (hub, id) =>
      bytes === undefined
        ? binding.ticketUnchanged(hub, id, held, commit)
        : binding.ticketComplete(hub, id, held, bytes, commit),
    )
    // These leave the ticket open; what ended it is the attempt's to report.
    const open = ['FOREBAY_E_INVALID', 'FOREBAY_E_LOCK_TIMEOUT']
    if (error instanceof ForebayError && open.includes(error.code)) {
      thrown.reason = error
      await fail(held, error)
    }
  } finally {
    job.unwatch()
    binding.ticketRelease(held)
  }
}

/** What the refresher returned; undefined if it threw. */
async function made(
  job: Job,
  refresher: Refresher,
  thrown: Thrown,
): Promise<ReturnType<typeof resultOf> | undefined> {
  try {
    return resultOf(await Promise.race([refresher(job), job.overdue()]))
  } catch (reason) {
    thrown.reason = reason
    return undefined
  }
}

async function fail(held: TicketHandle, reason: unknown): Promise<void> {
  const failure = failureOf(reason)
  await end(held, (hub, id) => binding.ticketFail(hub, id, held, failure))
}

/** Ends the ticket, again while only the guard cannot be had. Resolves to the error where it could not be ended. */
async function end(held: TicketHandle, how: (hub: HubHandle, id: number) => void): Promise<unknown> {
  for (;;) {
    try {
      await call(how)
      return undefined
    } catch (error) {
      const busy = error instanceof ForebayError && error.code === 'FOREBAY_E_LOCK_TIMEOUT'
      if (!busy || binding.ticketCancelled(held)) return error
    }
  }
}
