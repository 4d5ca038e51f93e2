/**
 * `Watch`: whether work under a lease is still wanted, as a signal for those who do it and as a deadline for those
 * who wait for them. It looks on a timer that does not keep the process alive, and only once somebody asked. It
 * does not know what the work is.
 */
import { ForebayError } from './errors'

/** How often the lease is looked at; one system call each. */
const LOOK_MS = 25
/** How long after the end of its time work is waited for. */
const GRACE_MS = 1000

/** The native looks at the work. They throw once it is over. @internal */
export interface Watched {
  /** Whether its result would not be stored any more. */
  cancelled(): boolean
  /** Milliseconds until its deadline; 0 after it. */
  remaining(): number
}

/** @internal */
export class Watch {
  readonly #what: string
  readonly #work: Watched
  /** Whether a result is of use past the deadline, until somebody else has the lease. */
  readonly #lasting: boolean
  #controller: AbortController | undefined
  #timer: NodeJS.Timeout | undefined
  #overdue: ((error: ForebayError) => void) | undefined
  #overSince: number | undefined

  constructor(what: string, work: Watched, lasting: boolean) {
    this.#what = what
    this.#work = work
    this.#lasting = lasting
  }

  /** Aborts at the deadline, or as soon as the work is not wanted any more. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    this.#start()
    return this.#controller.signal
  }

  /** Rejects a second after the result has become useless. */
  overdue(): Promise<never> {
    return new Promise<never>((_, reject) => {
      this.#overdue = reject
      this.#start()
    })
  }

  /** Stops watching: work that has ended looks cancelled. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#overdue = undefined
  }

  #start(): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#look(), LOOK_MS)
    this.#timer.unref()
    this.#look()
  }

  #look(): void {
    let cancelled = true
    let late = true
    try {
      cancelled = this.#work.cancelled()
      late = this.#work.remaining() <= 0
    } catch {
      // Released: nobody waits for it any more.
      this.stop()
    }
    if (cancelled) this.#abort('FOREBAY_E_CANCELLED', `${this.#what} is no longer wanted`)
    else if (late) this.#abort('FOREBAY_E_TIMED_OUT', `${this.#what} has passed its deadline`)
    if (late && (cancelled || !this.#lasting)) this.#leave()
  }

  /** Work that is about to return still brings its caller the result. */
  #leave(): void {
    this.#overSince ??= performance.now()
    if (performance.now() - this.#overSince < GRACE_MS) return
    this.#overdue?.(new ForebayError('FOREBAY_E_TIMED_OUT', `${this.#what} outlived its lease`))
    this.stop()
  }

  #abort(code: 'FOREBAY_E_CANCELLED' | 'FOREBAY_E_TIMED_OUT', message: string): void {
    if (this.#controller?.signal.aborted === false) this.#controller.abort(new ForebayError(code, message))
  }
}
