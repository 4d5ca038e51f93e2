/**
 * The driver under `live.getOrCompute`: takes the native computation step by step, and computes between the steps, in
 * the caller's own async context. Whether anything is computed at all is the core's decision.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { invalid, native, ownOf } from './errors'
import { aborted, background, call, hold, interruptible, release } from './hub'
import { binding, type HubHandle, type InterruptHandle } from './native'
import type {
  ComputeHandle,
  DerivedFacts,
  FromFacts,
  LiveHandle,
  LiveJobHandle,
  LiveStepFacts,
} from './native-live'
import { failureOf } from './refresher'
import type { Waits } from './waits'
import { Watch } from './watch'

/** What a computation sees. */
export class LiveJob {
  readonly #held: LiveJobHandle
  readonly #watch: Watch

  /** Made by the cache only: nobody else has the handle. */
  constructor(
    held: LiveJobHandle,
    /** The key of the result. */
    readonly key: string,
  ) {
    this.#held = held
    const looks = {
      cancelled: () => binding.liveJobCancelled(held),
      remaining: () => binding.liveJobRemaining(held),
    }
    this.#watch = new Watch(`the computation of ${key}`, looks, true)
  }

  /** When it shall be done, by the cache's clock. */
  get deadline(): Date {
    return new Date(native(() => binding.liveJobDeadline(this.#held)))
  }

  /** Milliseconds until the deadline; 0 after it. */
  get remaining(): number {
    return native(() => binding.liveJobRemaining(this.#held))
  }

  /** Whether nobody waits for the result any more: the lease is over, or the cache closed. */
  get cancelled(): boolean {
    return native(() => binding.liveJobCancelled(this.#held))
  }

  /** Aborts at the deadline, or when the result is {@link cancelled}. Pass it to `fetch`, `readFile` and their like. */
  get signal(): AbortSignal {
    return this.#watch.signal
  }

  /** Rejects a second after another may have taken over. @internal */
  overdue(): Promise<never> {
    return this.#watch.overdue()
  }

  /** Ends it. @internal */
  end(): void {
    this.#watch.stop()
    binding.liveJobRelease(this.#held)
  }
}

/** A computation that runs, and those that it runs inside of. */
interface Ring {
  root: string
  key: string
  running: boolean
  outer: Ring | undefined
}

const inside = new AsyncLocalStorage<Ring>()

/** Who waits for the computation that it is part of would wait for itself. */
function refuseOwn({ root, key }: DeriveCall): void {
  for (let ring = inside.getStore(); ring !== undefined; ring = ring.outer) {
    if (ring.running && ring.key === key && ring.root === root) {
      throw invalid(`${key}: its own computation asks for it, and would wait for itself`)
    }
  }
}

/** One call: which result, from what, and whose. @internal */
export interface DeriveCall {
  handle: LiveHandle
  root: string
  waits: Waits
  key: string
  from: FromFacts
  kind: string
  /** The bytes of the result. */
  compute: (job: LiveJob) => Promise<Uint8Array>
  signal: AbortSignal | undefined
}

/** Runs one call to its end. Aborting its signal lets the caller go; a computation that runs goes on, for the others. @internal */
export async function derive(wish: DeriveCall): Promise<DerivedFacts> {
  hold()
  try {
    return await interruptible(wish.signal, interrupt => run(wish, interrupt))
  } finally {
    release()
  }
}

async function run(wish: DeriveCall, interrupt: InterruptHandle): Promise<DerivedFacts> {
  const { handle, waits, key, from, kind, signal } = wish
  const course = native(() => binding.computeBegin(handle, key, from, kind))
  const look = (wait: boolean): Promise<LiveStepFacts> =>
    background((hub, id) => binding.computeNext(hub, id, course, wait, interrupt))
  const thrown: { reason?: unknown } = {}
  try {
    for (let step = await look(false); ; ) {
      if (step.derived !== undefined) return step.derived
      // Nothing is begun for a caller who has left.
      if (signal?.aborted) throw aborted(signal)
      if (step.job !== undefined) step = await call(await compute(wish, course, step.job, thrown))
      else {
        refuseOwn(wish)
        step = await waits.share(
          `live ${key}`,
          Number.POSITIVE_INFINITY,
          () => look(true),
          () => look(false),
        )
      }
    }
  } catch (error) {
    // Whoever computed it gets what the computation threw, itself.
    throw 'reason' in thrown ? ownOf(thrown.reason, error) : error
  } finally {
    binding.computeClose(course)
  }
}

type Feed = (hub: HubHandle, id: number) => void

/** Computes; what that throws goes into `thrown`. Never rejects. */
async function compute(
  wish: DeriveCall,
  course: ComputeHandle,
  held: LiveJobHandle,
  thrown: { reason?: unknown },
): Promise<Feed> {
  const job = new LiveJob(held, wish.key)
  const { root, key } = wish
  const ring: Ring = { root, key, running: true, outer: inside.getStore() }
  try {
    const bytes = await Promise.race([inside.run(ring, wish.compute, job), job.overdue()])
    return (hub, id) => binding.computeComputed(hub, id, course, bytes)
  } catch (reason) {
    thrown.reason = reason
    const failure = failureOf(reason)
    return (hub, id) => binding.computeFailed(hub, id, course, failure)
  } finally {
    ring.running = false
    job.end()
  }
}
