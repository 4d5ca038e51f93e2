/**
 * The event loop's end of the native hub: a promise per submitted call, and the one handle that keeps the
 * process alive while a foreground call is pending. The native side never does: a program whose background
 * refreshes are all that is left may end.
 */
import { errorOf, ForebayError, native } from './errors'
import { binding, type HubHandle, type InterruptHandle, type Outcome } from './native'

interface Pending {
  resolve(value: never): void
  reject(error: unknown): void
}

const pending = new Map<number, Pending>()
const hub = binding.hubOpen(settle)
// Never fires within the life of a process that anyone waits for; referenced only while calls are pending.
const anchor = setInterval(() => {}, 0x7fff_ffff)
anchor.unref()
let lastId = 0
let holding = 0

function settle(): void {
  for (const outcome of binding.hubTake(hub)) deliver(outcome)
}

function deliver({ id, error, value }: Outcome): void {
  const call = pending.get(id)
  pending.delete(id)
  if (error !== undefined) call?.reject(errorOf(error))
  else call?.resolve(value as never)
}

/** Keeps the process alive until the matching {@link release}. @internal */
export function hold(): void {
  if (holding++ === 0) anchor.ref()
}

/** Ends one {@link hold}. @internal */
export function release(): void {
  if (--holding === 0) anchor.unref()
}

/** Submits a native call that keeps the process alive until it has ended. @internal */
export function call<T>(start: (hub: HubHandle, id: number) => void): Promise<T> {
  hold()
  return background<T>(start).finally(release)
}

/** Submits a native call that does not keep the process alive. @internal */
export function background<T>(start: (hub: HubHandle, id: number) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    do lastId = (lastId + 1) >>> 0
    while (pending.has(lastId))
    const id = lastId
    native(() => start(hub, id))
    pending.set(id, { resolve, reject })
  })
}

/** The error of a call whose signal was aborted. @internal */
export function aborted(signal: AbortSignal): ForebayError {
  return new ForebayError('FOREBAY_E_CANCELLED', 'the call was cancelled', { cause: signal.reason })
}

/**
 * `work` with a flag for its waits, until `signal` aborts: then the caller is let go at once, and the flag ends
 * the native wait. What `work` has set going elsewhere goes on. @internal
 */
export function interruptible<T>(
  signal: AbortSignal | undefined,
  work: (interrupt: InterruptHandle) => Promise<T>,
): Promise<T> {
  if (signal?.aborted) return Promise.reject(aborted(signal))
  const interrupt = binding.interruptNew()
  const done = work(interrupt)
  if (signal === undefined) return done
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => {
      binding.interruptSet(interrupt)
      reject(aborted(signal))
    }
    signal.addEventListener('abort', abort, { once: true })
    const leave = (): void => signal.removeEventListener('abort', abort)
    done.then(
      value => {
        leave()
        resolve(value)
      },
      error => {
        leave()
        reject(error)
      },
    )
  })
}
