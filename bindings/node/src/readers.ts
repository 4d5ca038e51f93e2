/**
 * `Reader` and `Readers`: reading the same sources over and over, without a native call while nothing changed.
 *
 * Every change of a key moves a number in a table that all processes map. A value is tagged with the number that
 * was there *before* its files were looked at; while the number stands, the value does (docs/protocol.md,
 * Shared-memory table: the order is what makes it right). For writers that do not follow the protocol, and for a
 * table that was replaced, the disk is looked at every 100 ms all the same.
 */
import { ForebayError, native } from './errors'
import { binding, type CacheHandle, type TableHandle } from './native'
import type { Source } from './source'
import { Value } from './value'

/** How far behind writers that do not follow the protocol a reader may be. */
const LOOK_EVERY = 100
/** Where no table is: an odd number, which is no tag. */
const NO_WORDS = new Int32Array([1])
/** How many reads in a row may share one look at the clock. */
const BURST = 32

/** Times here are milliseconds since this instant: small integers, which V8 keeps in the object (for 24 days). */
const START = Date.now()

let clock = -1
let left = 0
let ending = false

/**
 * The time for a read. A look at the clock costs more than all else in a hit, so a burst of
 * reads within one synchronous section shares it: where the last {@link BURST} took no more than a millisecond, so
 * may the next; the end of the section ends the burst.
 */
function time(): number {
  if (left > 0) {
    left -= 1
    return clock
  }
  return tick()
}

function tick(): number {
  const now = Date.now() - START
  const quick = now === clock || now === clock + 1
  clock = now
  if (quick) {
    left = BURST
    if (!ending) {
      ending = true
      queueMicrotask(end)
    }
  }
  return now
}

function end(): void {
  left = 0
  ending = false
}

/** What all sources and readers of a cache share. @internal */
export class Shelf {
  /** Hits that the native part does not know of. */
  hits = 0
  closed = false
  /** Someone listens to events: then every hit has to be one. */
  heard = false
  readonly #cache: CacheHandle
  readonly #realClock: boolean
  #table: TableHandle | undefined
  #words: Int32Array = NO_WORDS
  #checked = -1

  constructor(cache: CacheHandle, realClock: boolean) {
    this.#cache = cache
    this.#realClock = realClock
  }

  /** The numbers of the table that writers use: looked for once a millisecond at most. */
  words(now: number): Int32Array {
    if (!this.#realClock) return NO_WORDS
    if (now === this.#checked && this.#table !== undefined) return this.#words
    this.#checked = now
    if (this.#table === undefined || !binding.tableIsCurrent(this.#table)) {
      const found = native(() => binding.tableOpen(this.#cache))
      this.#table = found?.table
      this.#words = found === null ? NO_WORDS : new Int32Array(found.memory)
    }
    return this.#words
  }
}

/** A reader of one source: the fast way to read it often. Made by `cache.reader`. */
export class Reader {
  readonly #source: Source
  readonly #shelf: Shelf
  readonly #word: number
  #value: Value | undefined
  #words: Int32Array = NO_WORDS
  #index = 0
  #tag = 0
  /** The value may be returned in [since, until). */
  #since = 0
  #until = 0
  /** When the age of `value` was counted. */
  #at = 0

  /** Made by the cache only: nobody else has a shelf. */
  constructor(source: Source, shelf: Shelf) {
    this.#source = source
    this.#shelf = shelf
    this.#word = native(() => binding.sourceWord(source.handle))
  }

  /** `tier/name`. */
  get key(): string {
    return this.#source.key
  }

  /**
   * The value, as {@link Source.read} gives it: at once for changes that follow the protocol, at most 100 ms
   * behind others. Synchronous.
   */
  read(): Value {
    const now = time()
    if (
      now < this.#until &&
      now >= this.#since &&
      Atomics.load(this.#words, this.#index) === this.#tag &&
      !this.#shelf.closed
    ) {
      this.#shelf.hits += 1
      return now === this.#at ? (this.#value as Value) : this.#aged(now)
    }
    return this.#look(Date.now() - START)
  }

  /** The same value, older. */
  #aged(now: number): Value {
    const { data, state, age, storedMs, validator, extra, version, how, phase, error } = this.#value as Value
    const older = (age as number) + now - this.#at
    this.#value = new Value(data, state, older, storedMs, validator, extra, version, how, phase, error)
    this.#at = now
    return this.#value
  }

  #look(now: number): Value {
    if (this.#shelf.closed) throw new ForebayError('FOREBAY_E_CLOSED', 'the cache is closed')
    const words = this.#shelf.words(now)
    const index = words === NO_WORDS ? 0 : this.#word
    // Before the look: see the top of this file.
    const tag = Atomics.load(words, index)
    const { value, freshUntil } = this.#source.look(false)
    this.#value = value
    this.#words = words
    this.#index = index
    this.#tag = tag
    this.#at = this.#since = now
    // An odd number says that a change is under way: look again next time.
    const kept = (tag & 1) === 0 && freshUntil !== undefined && value.error === undefined
    this.#until = kept ? Math.min(now + LOOK_EVERY, Math.floor(freshUntil) - START) : 0
    return value
  }
}

/**
 * Readers of many sources, by key. Values stay in memory for as long as this does; the same `Buffer` is returned
 * until a value changes.
 *
 * @example
 * const readers = cache.readers({ ttl: '1h' })
 * const { data, state } = readers.get('api/models')
 */
export class Readers {
  readonly #open: (key: string) => Reader
  readonly #readers = new Map<string, Reader>()

  /** Made by the cache only. */
  constructor(open: (key: string) => Reader) {
    this.#open = open
  }

  /** The value of that key: see {@link Reader.read}. */
  get(key: string): Value {
    const reader = this.#readers.get(key)
    return reader === undefined ? this.#add(key).read() : reader.read()
  }

  #add(key: string): Reader {
    const reader = this.#open(key)
    this.#readers.set(key, reader)
    return reader
  }
}
