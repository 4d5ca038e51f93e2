/**
 * `wrap`: a function whose results are kept by its arguments. It knows how calls become keys and results bytes; not
 * how anything is kept.
 */
import type { LiveJob } from './derive'
import type { Derived } from './derived'
import { ForebayError, invalid } from './errors'
import { jsonOf } from './json'
import { type LiveInputs, type LiveKey, type LivePath, liveKey } from './live-inputs'

/** What a call is computed from: inputs by their kinds, or a list in which text is as of `inputs`. */
export type MemoInputs = LiveInputs | Iterable<LivePath>

/** What a function takes. */
// biome-ignore lint/suspicious/noExplicitAny: so that a function may be wrapped whose parameters are not typed
export type Arguments = any[]

/** Options of `wrap`. The functions get the arguments of the call, and may be async. */
export interface MemoOptions<A extends Arguments> {
  /** What the result is computed from; default: the arguments only. */
  inputs?: MemoInputs | ((...args: A) => MemoInputs | Promise<MemoInputs>) | undefined
  /** The results that it is computed from. As a function, it may compute them, and is called before each look. */
  upstream?: Iterable<LiveKey> | ((...args: A) => Iterable<LiveKey> | Promise<Iterable<LiveKey>>) | undefined
  /** What kind of result it is, for lists; default: the function's name. Also part of the key. */
  kind?: string | undefined
}

/** A function whose results are kept. */
export interface Memoized<A extends Arguments, R> {
  /** The result, as it comes back from JSON; bytes as a `Buffer`. */
  (...args: A): Promise<R>
  /** The same, with how the call came by it. */
  derive(...args: A): Promise<Derived>
  /** The key of the result: of kind and text of the function, of the workspace, and of the JSON of the arguments. */
  key(...args: A): string
}

/** Where results are kept. @internal */
export interface Keeper {
  /** Its folder, each byte as one character. */
  workspace: string
  derive(
    key: string,
    from: LiveInputs,
    kind: string,
    compute: (job: LiveJob) => Promise<Uint8Array>,
  ): Promise<Derived>
}

/** How often a call begins again whose upstream fell while it looked. */
const TRIES = 5

/** @internal */
export function memoized<A extends Arguments, R>(
  keeper: Keeper,
  fn: (this: LiveJob, ...args: A) => R | Promise<R>,
  options: MemoOptions<A>,
): Memoized<A, R> {
  if (typeof fn !== 'function') throw invalid(`that is ${typeof fn}; give a function`)
  const { kind = fn.name } = options
  if (typeof kind !== 'string' || kind === '') throw invalid('the function has no name: give a kind')
  const text = Function.prototype.toString.call(fn)

  const key = (...args: A): string => liveKey({ kind, text, workspace: keeper.workspace, args: spread(args) })
  const once = async (args: A, ran: { yes: boolean }): Promise<Derived> => {
    const upstream = await given(options.upstream, args)
    const from = fromList(await given(options.inputs, args))
    return keeper.derive(
      key(...args),
      { ...from, upstream: [...(from.upstream ?? []), ...(upstream ?? [])] },
      kind,
      async job => {
        ran.yes = true
        return pack(await fn.apply(job, args), kind)
      },
    )
  }
  const derive = async (...args: A): Promise<Derived> => {
    for (let tries = 1; ; tries += 1) {
      const ran = { yes: false }
      try {
        return await once(args, ran)
      } catch (error) {
        const fell = error instanceof ForebayError && error.code === 'FOREBAY_E_SUPERSEDED' && !ran.yes
        if (!fell || tries >= TRIES || typeof options.upstream !== 'function') throw error
      }
    }
  }
  const memo = async (...args: A): Promise<R> => unpack((await derive(...args)).data) as R
  return Object.assign(memo, { derive, key })
}

/** The arguments so that one left out and one that is undefined are the same, and neither is null. */
function spread(args: unknown[]): unknown[][] {
  const all = args.map(arg => (arg === undefined ? [] : [arg]))
  while (all.at(-1)?.length === 0) all.pop()
  return all
}

async function given<A extends Arguments, T>(
  option: T | ((...args: A) => T | Promise<T>) | undefined,
  args: A,
): Promise<T | undefined> {
  return typeof option === 'function' ? await (option as (...args: A) => T | Promise<T>)(...args) : option
}

function fromList(from: MemoInputs | undefined): LiveInputs {
  if (from === undefined) return {}
  if (typeof from === 'string') throw invalid('inputs is no list: give [ … ]')
  if (typeof from !== 'object' || from === null)
    throw invalid(`inputs is ${typeof from}; give a list or { … }`)
  if (!(Symbol.iterator in from)) return from
  const all = [...(from as Iterable<LivePath>)]
  const isText = (one: LivePath): one is string => typeof one === 'string'
  return { inputs: all.filter(isText), files: all.filter(one => !isText(one)) }
}

/** No JSON begins with this byte: what begins with it is bytes. */
const BYTES = 0

/** A result as it is kept: JSON, or a zero and its bytes; nothing at all for undefined. */
function pack(result: unknown, kind: string): Uint8Array {
  if (result === undefined) return new Uint8Array()
  if (result instanceof Uint8Array) return Buffer.concat([Buffer.of(BYTES), result])
  return Buffer.from(jsonOf(result, `the result of ${kind}`, false))
}

function unpack(data: Buffer): unknown {
  if (data.length === 0) return undefined
  return data[0] === BYTES ? data.subarray(1) : JSON.parse(data.toString('utf8'))
}
