/** `Live`: results that hold while what they were computed from is as it was. All of the work is done below it. */
import { type DeriveCall, derive, type LiveJob } from './derive'
import {
  type Derived,
  derivedOf,
  type ListedDerived,
  type LiveLookup,
  type LiveWhy,
  listedDerivedOf,
  liveWhyOf,
  lookupOf,
} from './derived'
import { type Duration, optional } from './duration'
import { invalid, native } from './errors'
import { call } from './hub'
import { fromOf, keyOf, type LiveInputs, type LiveKey, type LivePath, pathOf } from './live-inputs'
import { type Arguments, type Memoized, type MemoOptions, memoized } from './memo'
import { binding, type CacheHandle } from './native'
import type {
  DerivedFacts,
  LiveHandle,
  LiveListedFacts,
  LiveTicketHandle,
  LiveWhyFacts,
  LookupFacts,
} from './native-live'
import { type Bytes, bytesOf } from './refresher'
import type { WaitOptions } from './source'
import type { Waits } from './waits'

/** The longest lease that there is, in milliseconds. */
const LONGEST = 86_400_000

/** How results are kept and computed. */
export interface LiveOptions {
  /** The folder that paths are relative to; default: the current one. */
  workspace?: LivePath | undefined
  /**
   * How long a computation shall take; after three times that, another caller may make it too. Default
   * 10 min, at most 24 h.
   */
  deadline?: Duration | undefined
  /** The most bytes that results may have, the least recently used going first; default: no limit. */
  sizeCap?: number | undefined
}

/** Options of `getOrCompute`: what the result is computed from, beside the rest. */
export interface DeriveOptions extends LiveInputs, WaitOptions {
  /** What kind of result it is, for lists; default ''. */
  kind?: string | undefined
}

/** Options of `persist`. */
export interface PersistOptions extends LiveInputs {
  /** What kind of result it is, for lists; default ''. */
  kind?: string | undefined
}

/**
 * The derived results of a cache, shared by all processes. Made by `cache.live`; cheap, and as long-lived as you like.
 * A look compares the inputs themselves, so no watcher runs, and no change is missed.
 *
 * @example
 * const live = cache.live({ workspace: '.' })
 * const grep = live.wrap(search, { inputs: (pattern, path) => [path] })
 * console.log(await grep('needle', 'notes.txt'))
 */
export class Live {
  readonly #handle: LiveHandle
  readonly #root: string
  readonly #waits: Waits
  readonly #workspace: Buffer

  /** Made by the cache only: nobody else has the handle. */
  constructor(cache: CacheHandle, options: LiveOptions, waits: Waits) {
    const { workspace, sizeCap } = options
    const facts = {
      workspace: workspace === undefined ? undefined : pathOf(workspace),
      deadline: optional(options.deadline, 'deadline'),
      sizeCap,
    }
    if (facts.deadline === 0) throw invalid('the deadline is 0: a computation needs time')
    if (facts.deadline !== undefined && facts.deadline > LONGEST) throw invalid('the deadline is over 24 h')
    this.#handle = native(() => binding.liveOpen(cache, facts))
    this.#root = native(() => binding.cacheRoot(cache))
    this.#waits = waits
    this.#workspace = native(() => binding.liveWorkspace(this.#handle))
  }

  /** The folder that paths are relative to; lossy where it is not UTF-8. */
  get workspace(): string {
    return this.#workspace.toString('utf8')
  }

  /**
   * The function, called only where no result of the same arguments holds, and then in one process for all; its `this`
   * is the {@link LiveJob}. What it returns is kept as bytes (`Uint8Array`) or as JSON, and every caller gets it as that
   * comes back; what it throws reaches its caller as itself, and is not kept. Of the function, its own text counts, not
   * that of what it calls: name the file of that as an input.
   *
   * @example
   * const grep = live.wrap(
   *   async function grep(pattern: string, path: string) {
   *     const text = await readFile(path, 'utf8')
   *     return text.split('\n').filter(line => line.includes(pattern))
   *   },
   *   { inputs: (pattern, path) => [path] },
   * )
   * console.log(await grep('needle', 'notes.txt'), (await grep.derive('needle', 'notes.txt')).how)
   */
  wrap<A extends Arguments, R>(
    fn: (this: LiveJob, ...args: A) => R | Promise<R>,
    options: MemoOptions<A> = {},
  ): Memoized<A, R> {
    const derive = (key: string, from: LiveInputs, kind: string, compute: DeriveCall['compute']) =>
      this.#derive({ key, from: fromOf(from), kind, compute, signal: undefined })
    return memoized({ workspace: this.#workspace.toString('latin1'), derive }, fn, options)
  }

  /**
   * The result, if it holds; else `compute` makes it, once for all processes. What `compute` throws reaches its caller
   * as itself, and bars nobody. A result whose inputs changed while it was computed is returned (`how` is
   * `uncoordinated`, `error` `FOREBAY_E_SUPERSEDED`), but not kept. Aborting `signal` lets this caller go.
   *
   * @example
   * const key = liveKey(['summary', 'src'])
   * const summary = await live.getOrCompute(key, { globs: ['src/*.ts'], upstream: [], kind: 'model' },
   *   async ({ signal }) => askModel('Sum src up', { signal }))
   * console.log(summary.text(), summary.how)
   */
  async getOrCompute(
    key: LiveKey,
    options: DeriveOptions,
    compute: (job: LiveJob) => Bytes | Promise<Bytes>,
  ): Promise<Derived> {
    if (typeof compute !== 'function') throw invalid(`compute is ${typeof compute}; give a function`)
    const { kind = '', signal, ...from } = options ?? {}
    const bytes = async (job: LiveJob): Promise<Uint8Array> => bytesOf(await compute(job))
    return this.#derive({ key: keyOf(key), from: fromOf(from), kind, compute: bytes, signal })
  }

  async #derive(wish: Omit<DeriveCall, 'handle' | 'root' | 'waits'>): Promise<Derived> {
    return derivedOf(await derive({ ...wish, handle: this.#handle, root: this.#root, waits: this.#waits }))
  }

  /**
   * The result, if all that is recorded of its inputs holds: at once, no file is looked at. With `revalidate`, as a
   * promise, after a look at every input, also of the results that it is built on.
   *
   * @example
   * console.log(live.lookup(key).outcome)
   * const { outcome, derived } = await live.lookup(key, { revalidate: true })
   * console.log(outcome, derived?.text())
   */
  lookup(key: LiveKey): LiveLookup
  lookup(key: LiveKey, options: { revalidate: true }): Promise<LiveLookup>
  lookup(key: LiveKey, options: { revalidate?: boolean | undefined } = {}): LiveLookup | Promise<LiveLookup> {
    const text = keyOf(key)
    if (options.revalidate !== true) return lookupOf(native(() => binding.liveLookup(this.#handle, text)))
    const found = call<LookupFacts>((hub, id) => binding.liveRevalidate(hub, id, this.#handle, text))
    return found.then(lookupOf)
  }

  /**
   * Looks at the inputs, before anything is computed from them. `commit` looks again.
   *
   * @example
   * const ticket = await live.begin(key, { files: ['notes.txt'] })
   * const derived = await ticket.commit(await readFile('notes.txt'), 'copy')
   * console.log(derived.hash)
   */
  async begin(key: LiveKey, from: LiveInputs = {}): Promise<LiveTicket> {
    const [text, facts] = [keyOf(key), fromOf(from)]
    const held = await call<LiveTicketHandle>((hub, id) =>
      binding.liveBegin(hub, id, this.#handle, text, facts),
    )
    return new LiveTicket(held, text)
  }

  /**
   * Keeps a result whose inputs are looked at only now: a change since it was computed is not noticed.
   *
   * @example
   * const derived = await live.persist(key, 'a result', { files: ['notes.txt'], kind: 'mine' })
   * console.log(derived.inputs)
   */
  async persist(key: LiveKey, data: Bytes, options: PersistOptions = {}): Promise<Derived> {
    const { kind = '', ...from } = options
    const [text, bytes, facts] = [keyOf(key), bytesOf(data), fromOf(from)]
    return derivedOf(
      await call<DerivedFacts>((hub, id) =>
        binding.livePersist(hub, id, this.#handle, text, bytes, kind, facts),
      ),
    )
  }

  /**
   * Removes the result and all that is built on it. Resolves to whether it was there.
   *
   * @example
   * if (!(await live.markDirty(key))) console.log('there was nothing')
   */
  async markDirty(key: LiveKey): Promise<boolean> {
    const text = keyOf(key)
    return call((hub, id) => binding.liveMarkDirty(hub, id, this.#handle, text))
  }

  /**
   * Removes all that is built on the result, directly and not; the result itself stays. Resolves to how many.
   *
   * @example
   * console.log(await live.invalidateUpstream(key))
   */
  async invalidateUpstream(key: LiveKey): Promise<number> {
    const text = keyOf(key)
    return call((hub, id) => binding.liveInvalidateUpstream(hub, id, this.#handle, text))
  }

  /**
   * Removes every result that was computed from the file, or from anything in the folder, and all that is built on
   * those. Resolves to how many were computed from it directly.
   *
   * @example
   * console.log(await live.invalidatePath('src'))
   */
  async invalidatePath(path: LivePath): Promise<number> {
    const name = pathOf(path)
    return call((hub, id) => binding.liveInvalidatePath(hub, id, this.#handle, name))
  }

  /**
   * Removes every result that has the tag, and all that is built on those. Resolves to how many have it.
   *
   * @example
   * console.log(await live.invalidateTag('schema'))
   */
  async invalidateTag(name: string): Promise<number> {
    return call((hub, id) => binding.liveInvalidateTag(hub, id, this.#handle, name))
  }

  /**
   * How many results there are of each kind.
   *
   * @example
   * for (const [kind, count] of await live.knownKinds()) console.log(kind, count)
   */
  async knownKinds(): Promise<Map<string, number>> {
    const kinds = await call<{ kind: string; count: number }[]>((hub, id) =>
      binding.liveKinds(hub, id, this.#handle),
    )
    return new Map(kinds.map(({ kind, count }) => [kind, count]))
  }

  /**
   * How many results there are, and how many bytes they have.
   *
   * @example
   * const { entries, bytes } = await live.size()
   * console.log(entries, bytes)
   */
  async size(): Promise<{ entries: number; bytes: number }> {
    return call((hub, id) => binding.liveSize(hub, id, this.#handle))
  }

  /**
   * All results, in the order of their keys, without their bytes.
   *
   * @example
   * for (const { key, kind, size, inputs } of await live.list()) console.log(key, kind, size, inputs.length)
   */
  async list(): Promise<ListedDerived[]> {
    const rows = await call<LiveListedFacts[]>((hub, id) => binding.liveList(hub, id, this.#handle))
    return rows.map(listedDerivedOf)
  }

  /**
   * Whether a lookup with `revalidate` would find the result, and what decides that. Removes nothing.
   *
   * @example
   * const { holds, text } = await live.why(key)
   * console.log(holds, text)
   */
  async why(key: LiveKey): Promise<LiveWhy> {
    const text = keyOf(key)
    return liveWhyOf(await call<LiveWhyFacts>((hub, id) => binding.liveWhy(hub, id, this.#handle, text)))
  }

  /**
   * Removes what does not hold any more, and files that nothing names.
   *
   * @example
   * const { results, files } = await live.gc()
   * console.log(results, files)
   */
  async gc(): Promise<{ results: number; files: number }> {
    return call((hub, id) => binding.liveGc(hub, id, this.#handle))
  }

  /**
   * Removes the least recently used results until they have at most that many bytes, never one that is being
   * computed. Resolves to how many.
   *
   * @example
   * console.log(await live.evictToCap(1_000_000))
   */
  async evictToCap(bytes: number): Promise<number> {
    return call((hub, id) => binding.liveEvict(hub, id, this.#handle, bytes))
  }
}

/** A computation whose inputs were looked at before it began. Commit it once; a ticket that is left is no harm. */
export class LiveTicket {
  readonly #held: LiveTicketHandle

  /** Made by the cache only: nobody else has the handle. */
  constructor(
    held: LiveTicketHandle,
    /** The key of the result. */
    readonly key: string,
  ) {
    this.#held = held
  }

  /**
   * Keeps the result. Rejects with `FOREBAY_E_SUPERSEDED`, and keeps nothing, where an input, or a result that it is
   * built on, has changed since `begin`.
   *
   * @example
   * const ticket = await live.begin(key, { files: ['notes.txt'] })
   * console.log((await ticket.commit('made of notes.txt', 'mine')).kind)
   */
  async commit(data: Bytes, kind = ''): Promise<Derived> {
    const bytes = bytesOf(data)
    return derivedOf(
      await call<DerivedFacts>((hub, id) => binding.liveCommit(hub, id, this.#held, bytes, kind)),
    )
  }

  /**
   * Leaves it: nothing is kept.
   *
   * @example
   * const ticket = await live.begin(key, { files: ['notes.txt'] })
   * ticket.release()
   */
  release(): void {
    binding.liveRelease(this.#held)
  }

  /** `using ticket = await live.begin(…)`: leaves it, unless it was committed. */
  [Symbol.dispose](): void {
    this.release()
  }
}
