/** What a derived result is computed from, as users write it and as the native part takes it; and keys. It looks at nothing. */
import { fileURLToPath } from 'node:url'
import { Derived, type LiveInput } from './derived'
import { invalid, native } from './errors'
import { jsonOf } from './json'
import { binding } from './native'
import type { FromFacts, InputFacts } from './native-live'
import { type Bytes, bytesOf } from './refresher'
import { Source } from './source'

/** A path: text, a `file:` URL, or bytes, which need not be UTF-8. Relative ones are of the workspace. */
export type LivePath = string | Uint8Array | URL

/** The name of a result: 64 lower-case hex digits, as `liveKey` makes them; or a result itself. */
export type LiveKey = string | Derived

/** What a result is computed from: it holds while all of these are as they were. */
export interface LiveInputs {
  /** Files, by content; also that one is not there. */
  files?: Iterable<LivePath> | undefined
  /** Patterns (`*`, `**`, `?`, `[ab]`, `{a,b}`): which files match, and their contents. */
  globs?: Iterable<string> | undefined
  /** Folders: the names and kinds of what is in them, not below. */
  dirs?: Iterable<LivePath> | undefined
  /** Paths where nothing is. */
  absent?: Iterable<LivePath> | undefined
  /** Files, by size and time of change only. */
  stats?: Iterable<LivePath> | undefined
  /** Variables of the process (not of a worker's copy of them); only a hash of the value is kept. */
  env?: Iterable<string> | undefined
  /** Names that `invalidateTag` moves. */
  tags?: Iterable<string> | undefined
  /** Sources of the same cache, by their version. */
  sources?: Iterable<Source | string> | undefined
  /** Any of these as text (`file:src/a.ts`, `glob:…`, `dir:…`, `absent:…`, `stat:…`, `env:…`, `source:…`, `tag:…`). */
  inputs?: Iterable<string | LiveInput> | undefined
  /** Other results: this one holds only as long as they do. */
  upstream?: Iterable<LiveKey> | undefined
}

/**
 * The key of anything: of bytes and text their BLAKE3 hash (text as UTF-8), of other values that of their JSON, with
 * sorted names and without spaces. Throws `FOREBAY_E_INVALID` for what JSON would lose: `undefined` in a list, `NaN`,
 * maps, sets, functions.
 *
 * @example
 * const key = liveKey({ tool: 'grep', pattern: 'needle', path: 'src' })
 * console.log(key === liveKey({ path: 'src', pattern: 'needle', tool: 'grep' }), key.length)
 */
export function liveKey(value: Bytes | unknown): string {
  // As UTF-8, all halves of pairs are one and the same.
  if (typeof value === 'string' && /\p{Surrogate}/u.test(value))
    throw invalid('the key is no well-formed text')
  const bytes =
    typeof value === 'string' || value instanceof Uint8Array || value instanceof ArrayBuffer
      ? bytesOf(value)
      : bytesOf(jsonOf(value, 'the value of a key', true))
  return native(() => binding.liveKey(bytes))
}

/** @internal */
export function keyOf(key: LiveKey): string {
  if (key instanceof Derived) return key.key
  if (typeof key === 'string') return key
  throw invalid(`the key is ${typeof key}; make one with liveKey`)
}

/** @internal */
export function pathOf(path: LivePath): string | Uint8Array {
  if (path instanceof URL) return fileURLToPath(path)
  if (typeof path === 'string' || path instanceof Uint8Array) return path
  throw invalid(`a path is ${typeof path}; give text, a Buffer or a file: URL`)
}

const PATHS = { files: 'file', dirs: 'dir', absent: 'absent', stats: 'stat' } as const
const TEXTS = { globs: 'glob', env: 'env', tags: 'tag' } as const

/** A text or bytes alone would be taken apart into characters. */
function many<T>(given: Iterable<T> | undefined, name: string): T[] {
  if (given === undefined) return []
  if (typeof given === 'string' || given instanceof Uint8Array || !(Symbol.iterator in Object(given))) {
    throw invalid(`${name} is no list: give [ … ]`)
  }
  return [...given]
}

function textOf(text: unknown, name: string): string {
  if (typeof text === 'string') return text
  throw invalid(`${name} has a ${typeof text}; give text`)
}

function anyOf(input: string | LiveInput): InputFacts {
  if (typeof input === 'string') return { name: input }
  if (typeof input === 'object' && input !== null) {
    const { kind, name } = input
    const named = typeof name === 'string' || name instanceof Uint8Array
    if (typeof kind === 'string' && named)
      return { kind, name: typeof name === 'string' ? name : buffer(name) }
  }
  throw invalid('inputs has something else than text and { kind, name }')
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** @internal */
export function fromOf(from: LiveInputs): FromFacts {
  const inputs: InputFacts[] = many(from.inputs, 'inputs').map(anyOf)
  for (const [list, kind] of Object.entries(PATHS)) {
    for (const path of many(from[list as keyof typeof PATHS], list)) {
      const name = pathOf(path)
      inputs.push({ kind, name: typeof name === 'string' ? name : buffer(name) })
    }
  }
  for (const [list, kind] of Object.entries(TEXTS)) {
    for (const name of many(from[list as keyof typeof TEXTS], list)) {
      inputs.push({ kind, name: textOf(name, list) })
    }
  }
  for (const source of many(from.sources, 'sources')) {
    inputs.push({ kind: 'source', name: source instanceof Source ? source.key : textOf(source, 'sources') })
  }
  return { inputs, upstream: many(from.upstream, 'upstream').map(keyOf) }
}
