/** `Reader` and `Readers`: reading the same sources over and over. */
import type { Source } from './source'
import type { Value } from './value'

/**
 * Readers of many sources, by key. A value is looked up on the disk again once anything that follows the
 * protocol has changed it, and every 100 ms for whatever does not; until then the same `Buffer` is returned.
 * Values stay in memory for as long as this does.
 *
 * @example
 * const readers = cache.readers({ ttl: '1h' })
 * const { data, state } = readers.get('api/models')
 */
export class Readers {
  readonly #open: (key: string) => Source
  readonly #sources = new Map<string, Source>()

  /** Made by the cache only: nobody else has the handle. */
  constructor(open: (key: string) => Source) {
    this.#open = open
  }

  /** The value of that key: synchronous, and as {@link Source.read} in all else. */
  get(key: string): Value {
    let source = this.#sources.get(key)
    if (source === undefined) {
      source = this.#open(key)
      this.#sources.set(key, source)
    }
    return source.read()
  }
}

/** A reader of one source. */
export class Reader {
  readonly #readers: Readers
  /** `tier/name` as given. */
  readonly key: string

  /** Made by the cache only: nobody else has the handle. */
  constructor(readers: Readers, key: string) {
    this.#readers = readers
    this.key = key
  }

  /** The value: synchronous. */
  read(): Value {
    return this.#readers.get(this.key)
  }
}
