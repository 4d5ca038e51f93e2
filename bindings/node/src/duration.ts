/** Durations as users write them: milliseconds, or text such as `1h30m`. The text is parsed where every language's is. */
import { invalid, native } from './errors'
import { binding } from './native'

/** Milliseconds, or text such as `250ms`, `90s`, `1h30m`, `7d` (units ms, s, m, h, d, w). */
export type Duration = number | string

/** The milliseconds of a duration; `what` names the option in the error. @internal */
export function millis(duration: Duration, what: string): number {
  if (typeof duration === 'string') return native(() => binding.parseDuration(duration))
  if (typeof duration === 'number' && duration >= 0 && Number.isFinite(duration)) return duration
  throw invalid(`${what} is ${String(duration)}; give milliseconds or text such as '1h30m'`)
}

/** The same for an option that may be unset. @internal */
export function optional(duration: Duration | undefined, what: string): number | undefined {
  return duration === undefined ? undefined : millis(duration, what)
}

/** The same for an option whose lack means without end, as `Infinity` does. @internal */
export function endless(duration: Duration | undefined, what: string): number | undefined {
  return duration === Number.POSITIVE_INFINITY ? undefined : optional(duration, what)
}
