/**
 * JSON that loses nothing: what goes in comes out equal, or it is refused. For keys (another value, another key) and for
 * results (who computed it gets what everyone else gets).
 */
import { invalid } from './errors'

/** How deep values may go: far less than what ends the stack. */
const DEPTH = 500

/**
 * The JSON of `value`, with sorted names where `sorted`. `what` names the value in the error. Properties that are
 * undefined are left out, and `toJSON` is respected, as by `JSON.stringify`. @internal
 */
export function jsonOf(value: unknown, what: string, sorted: boolean): string {
  return write(value, '', { what, sorted, depth: 0 })
}

interface How {
  what: string
  sorted: boolean
  depth: number
}

function write(given: unknown, name: string, how: How): string {
  const value = plain(given, name)
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value)
    case 'number':
      if (Number.isFinite(value)) return Object.is(value, -0) ? '-0' : JSON.stringify(value)
      throw lost(how, String(value))
    case 'object':
      if (value === null) return 'null'
      if (how.depth >= DEPTH) throw lost(how, `more than ${DEPTH} levels, or itself inside`)
      return inside(value, { ...how, depth: how.depth + 1 })
    default:
      throw lost(how, value === undefined ? 'undefined' : `a ${typeof value}`)
  }
}

function plain(value: unknown, name: string): unknown {
  const bytes = value instanceof Uint8Array && !Buffer.isBuffer(value) ? Buffer.from(value) : value
  const own = (bytes as { toJSON?: unknown } | null | undefined)?.toJSON
  return typeof own === 'function' ? own.call(bytes, name) : bytes
}

function inside(value: object, how: How): string {
  if (Array.isArray(value)) {
    // By index: `map` would leave holes out.
    return `[${Array.from(value, (one, index) => write(one, String(index), how)).join(',')}]`
  }
  const kind: unknown = Object.getPrototypeOf(value)
  // An object of another realm is plain too: its prototype has none.
  if (kind !== null && Object.getPrototypeOf(kind) !== null) {
    throw lost(how, `a ${value.constructor?.name ?? 'thing of a class'}`)
  }
  if (Object.getOwnPropertySymbols(value).length > 0) throw lost(how, 'a symbol')
  const names = Object.keys(value).filter(name => (value as Record<string, unknown>)[name] !== undefined)
  if (how.sorted) names.sort(byCodePoints)
  const parts = names.map(
    name => `${JSON.stringify(name)}:${write((value as Record<string, unknown>)[name], name, how)}`,
  )
  return `{${parts.join(',')}}`
}

/** As other languages sort text; `sort` alone goes by UTF-16. */
function byCodePoints(one: string, two: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(two))
}

function lost({ what }: How, thing: string): Error {
  return invalid(`${what} holds ${thing}, which JSON would lose`)
}
