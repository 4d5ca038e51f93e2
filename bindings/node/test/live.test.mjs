// Derived results in one process: what they are computed from, what ends them, what is kept of them.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Cache, Derived, ForebayError, LiveTicket, liveKey } from 'forebay'
import { deadline, folder, signalled, stage, until } from './helpers.mjs'

const never = () => assert.fail('it must not be called')

/** A cache and a workspace with some files. */
function desk(options = {}) {
  const workspace = folder()
  const write = (name, text) => writeFileSync(join(workspace, name), text)
  mkdirSync(join(workspace, 'src'))
  write('a', 'one')
  write('src/b', 'two')
  const cache = new Cache({ root: folder() })
  return { cache, live: cache.live({ workspace, ...options }), workspace, write }
}

/** `hit`, `miss` or `invalidated`, after a look at the inputs. */
const look = async (live, key) => (await live.lookup(key, { revalidate: true })).outcome

test('a result is computed once, and again when its file has changed', async () => {
  const { live, write } = desk()
  const key = liveKey('words of a')
  let runs = 0
  const get = () => live.getOrCompute(key, { files: ['a'], kind: 'words' }, () => `run ${++runs}`)
  const before = Date.now()
  const first = await get()
  assert.ok(first instanceof Derived)
  assert.deepEqual([first.text(), first.how, first.kind, first.key], ['run 1', 'ran', 'words', key])
  assert.deepEqual(
    [first.inputs, first.upstream, first.error],
    [[{ kind: 'file', name: 'a' }], [], undefined],
  )
  // The key of bytes is their hash.
  assert.equal(first.hash, liveKey('run 1'))
  assert.ok(first.computedAt.getTime() >= before - 1000 && first.computedAt <= new Date())
  assert.deepEqual([(await get()).how, runs], ['fresh', 1])
  write('a', 'other')
  const third = await get()
  assert.deepEqual([third.how, third.text()], ['ran', 'run 2'])
})

test('each kind of input ends a result when it changes, and only then', async () => {
  const { cache, live, workspace, write } = desk()
  const source = cache.source('api/models')
  await source.put('v1')
  const old = new Date(2001, 0)
  const at = name => join(workspace, name)
  /** @type {[import('forebay').LiveInputs, () => unknown, string][]} */
  const kinds = [
    [{ files: ['a'] }, () => write('a', 'changed'), 'file'],
    [{ files: [pathToFileURL(at('a'))] }, () => write('a', 'changed again'), 'file'],
    [{ files: ['src/not there'] }, () => write('src/not there', ''), 'file'],
    [{ globs: ['**/*.ts'] }, () => write('src/new.ts', ''), 'glob'],
    [{ dirs: ['src'] }, () => rmSync(at('src/b')), 'dir'],
    [{ absent: ['skip'] }, () => write('skip', ''), 'absent'],
    [{ stats: ['a'] }, () => utimesSync(at('a'), old, old), 'stat'],
    [{ env: ['FOREBAY_TEST_LIVE'] }, () => Reflect.set(process.env, 'FOREBAY_TEST_LIVE', 'set'), 'env'],
    [{ sources: [source] }, () => source.put('v2'), 'source'],
    [{ sources: ['api/models'] }, () => source.put('v3'), 'source'],
    [{ inputs: ['src/*.md'] }, () => write('src/c.md', ''), 'glob'],
    [{ inputs: ['dir:src', 'a'] }, () => write('src/d', ''), 'dir'],
    [{ inputs: [{ kind: 'absent', name: 'none' }] }, () => write('none', ''), 'absent'],
  ]
  for (const [from, change, kind] of kinds) {
    const key = liveKey(Object.keys(from)[0] + kind)
    const kept = await live.persist(key, 'x', from)
    assert.ok(
      kept.inputs.some(input => input.kind === kind),
      kind,
    )
    write('nobody asked for this', `${kind}`)
    assert.equal(await look(live, key), 'hit', kind)
    assert.equal((await live.why(key)).holds, true)
    await change()
    const why = await live.why(key)
    assert.deepEqual([why.holds, why.input?.kind], [false, kind])
    assert.match(why.text, /changed/)
    assert.deepEqual([await look(live, key), await look(live, key)], ['invalidated', 'miss'], kind)
  }
  delete process.env.FOREBAY_TEST_LIVE
})

test('paths may be bytes that are not UTF-8', async () => {
  const { live, workspace } = desk()
  const path = Buffer.concat([Buffer.from(`${workspace}/src/`), Buffer.of(0xff, 0x61, 0xfe)])
  const name = Buffer.concat([Buffer.from('src/'), Buffer.of(0xff, 0x61, 0xfe)])
  writeFileSync(path, 'one')
  const key = liveKey('bytes')
  const kept = await live.persist(key, 'x', { files: [path], inputs: [{ kind: 'stat', name }] })
  assert.deepEqual(kept.inputs, [
    { kind: 'file', name },
    { kind: 'stat', name },
  ])
  assert.equal(await look(live, key), 'hit')
  writeFileSync(path, 'another')
  assert.equal(await look(live, key), 'invalidated')
  // What is listed goes in again.
  await live.persist(key, 'x', { inputs: kept.inputs })
  assert.equal(await live.invalidatePath(name), 1)
  assert.equal(live.lookup(key).outcome, 'miss')
  await assert.rejects(live.persist(key, 'x', { inputs: [{ kind: 'tag', name }] }), {
    code: 'FOREBAY_E_INVALID',
  })
})

test('a plain lookup is synchronous and looks at no file', async () => {
  const { live, write } = desk()
  const key = liveKey('plain')
  assert.deepEqual(live.lookup(key), { outcome: 'miss' })
  await live.persist(key, Buffer.of(0, 255), { files: ['a'] })
  write('a', 'changed')
  const found = live.lookup(key)
  assert.equal(found.outcome, 'hit')
  assert.deepEqual(found.derived?.data, Buffer.of(0, 255))
  assert.equal(await look(live, key), 'invalidated')
  assert.equal(live.lookup(key).outcome, 'miss')
})

test('what is built on a result goes with it', async () => {
  const { live, write } = desk()
  const [read, grep, answer] = ['read', 'grep', 'answer'].map(name => liveKey(name))
  const build = async () => {
    const base = await live.persist(read, 'text', { files: ['a'], tags: ['t'] })
    await live.persist(grep, 'lines', { upstream: [base] })
    const top = await live.persist(answer, 'yes', { upstream: [grep], files: ['src/b'] })
    assert.deepEqual(top.upstream, [grep])
  }
  const there = () => [read, grep, answer].map(key => live.lookup(key).outcome === 'hit')
  await build()
  assert.deepEqual([await live.invalidateUpstream(read), there()], [2, [true, false, false]])
  await build()
  assert.deepEqual([await live.markDirty(grep), there()], [true, [true, false, false]])
  assert.equal(await live.markDirty(grep), false)
  await build()
  assert.deepEqual([await live.invalidatePath('src'), there()], [1, [true, true, false]])
  await build()
  assert.deepEqual([await live.invalidateTag('t'), there()], [1, [false, false, false]])
  await build()
  write('a', 'changed')
  const why = await live.why(answer)
  assert.deepEqual([why.holds, why.upstream, why.input], [false, read, { kind: 'file', name: 'a' }])
  assert.equal(await look(live, answer), 'invalidated')
  assert.deepEqual(there(), [false, false, false])
  // Nothing can be built on what is not there.
  const missing = { code: 'FOREBAY_E_SUPERSEDED' }
  await assert.rejects(live.getOrCompute(answer, { upstream: [grep] }, never), missing)
  await assert.rejects(live.begin(answer, { upstream: [grep] }), missing)
})

test('a ticket is committed once, unless an input has changed', async () => {
  const { live, write } = desk()
  const key = liveKey('ticket')
  const ticket = await live.begin(key, { files: ['a'] })
  assert.ok(ticket instanceof LiveTicket)
  assert.equal(ticket.key, key)
  const kept = await ticket.commit('made', 'mine')
  assert.deepEqual([kept.text(), kept.kind, kept.how], ['made', 'mine', 'ran'])
  await assert.rejects(ticket.commit('again'), { code: 'FOREBAY_E_ALREADY_USED' })
  const late = await live.begin(key, { files: ['a'] })
  write('a', 'changed meanwhile')
  await assert.rejects(late.commit('of the old'), { code: 'FOREBAY_E_SUPERSEDED' })
  const left = await live.begin(liveKey('left'))
  left.release()
  await assert.rejects(left.commit('x'), { code: 'FOREBAY_E_ALREADY_USED' })
  assert.equal(live.lookup(liveKey('left')).outcome, 'miss')
})

test('a change while it is computed is never blessed', async () => {
  const { live, write } = desk()
  const key = liveKey('blessed')
  const derived = await live.getOrCompute(key, { files: ['a'] }, () => {
    write('a', 'changed meanwhile')
    return 'of the old'
  })
  assert.deepEqual(
    [derived.text(), derived.how, derived.error?.code],
    ['of the old', 'uncoordinated', 'FOREBAY_E_SUPERSEDED'],
  )
  assert.equal(live.lookup(key).outcome, 'miss')
})

test('kinds, sizes, the list, and room', async () => {
  const { cache, live, workspace } = desk()
  for (const name of ['1', '2', '3']) await live.persist(liveKey(name), 'x'.repeat(100), { kind: 'text' })
  await live.persist(liveKey('4'), Buffer.alloc(100_000), { kind: 'large', files: ['a'], tags: ['t'] })
  assert.deepEqual(
    [...(await live.knownKinds())],
    [
      ['large', 1],
      ['text', 3],
    ],
  )
  assert.deepEqual(await live.size(), { entries: 4, bytes: 100_300 })
  const rows = await live.list()
  assert.deepEqual(
    rows.map(({ key }) => key),
    rows.map(({ key }) => key).sort(),
  )
  const large = rows.find(({ kind }) => kind === 'large')
  assert.deepEqual([large?.key, large?.size, large?.upstream], [liveKey('4'), 100_000, []])
  assert.deepEqual(large?.inputs, [
    { kind: 'file', name: 'a' },
    { kind: 'tag', name: 't' },
  ])
  assert.ok(large?.computedAt instanceof Date && large.usedAt >= large.computedAt)
  live.lookup(liveKey('1'))
  assert.equal(await live.evictToCap(100), 3)
  assert.equal(live.lookup(liveKey('1')).outcome, 'hit')
  assert.deepEqual(await live.gc(), { results: 0, files: 1 })
  const capped = cache.live({ workspace, sizeCap: 150 })
  await capped.getOrCompute(liveKey('5'), {}, () => 'y'.repeat(100))
  assert.deepEqual(await capped.size(), { entries: 1, bytes: 100 })
})

test('what a computation throws reaches its caller as itself, and bars nobody', async () => {
  const { live } = desk()
  const key = liveKey('throws')
  for (const thrown of [
    new TypeError('mine'),
    new ForebayError('FOREBAY_E_RATE_LIMITED', 'later'),
    'text',
    undefined,
  ]) {
    const got = await live.getOrCompute(key, {}, () => Promise.reject(thrown)).then(never, error => error)
    assert.equal(got, thrown)
  }
  const odd = /** @type {any} */ (() => 7)
  await assert.rejects(live.getOrCompute(key, {}, odd), { code: 'FOREBAY_E_INVALID' })
  assert.equal((await live.getOrCompute(key, {}, () => 'made')).how, 'ran')
})

test('what cannot be used is refused before anything is called', async () => {
  const { cache, live } = desk()
  const invalid = { code: 'FOREBAY_E_INVALID' }
  const key = liveKey('key')
  for (const bad of ['', 'abc', key.toUpperCase(), `${key}0`, 7, undefined]) {
    // @ts-expect-error for the test
    assert.throws(() => live.lookup(bad), invalid)
    // @ts-expect-error for the test
    await assert.rejects(live.getOrCompute(bad, {}, never), invalid)
  }
  const froms = [
    { files: 'a' },
    { files: [7] },
    { globs: [Buffer.of(1)] },
    { tags: 7 },
    { sources: [cache] },
    { inputs: [{ kind: 'what', name: 'x' }] },
    { inputs: [{ name: 'x' }] },
    { upstream: ['not a key'] },
    { upstream: key },
  ]
  // @ts-expect-error for the test
  for (const from of froms) await assert.rejects(live.getOrCompute(key, from, never), invalid)
  // @ts-expect-error for the test
  await assert.rejects(live.getOrCompute(key, {}), invalid)
  for (const options of [
    { deadline: 0 },
    { deadline: 'soon' },
    { deadline: '25h' },
    { sizeCap: -1 },
    { sizeCap: Number.NaN },
    { workspace: 7 },
  ]) {
    // @ts-expect-error for the test
    assert.throws(() => cache.live(options), invalid)
  }
  await assert.rejects(live.evictToCap(-1), invalid)
  const memory = new Cache({ memory: true }).live()
  assert.throws(() => memory.lookup(key), { code: 'FOREBAY_E_UNSUPPORTED' })
  await cache.close()
  assert.throws(() => live.lookup(key), { code: 'FOREBAY_E_CLOSED' })
  await assert.rejects(live.getOrCompute(key, {}, never), { code: 'FOREBAY_E_CLOSED' })
})

test('a thousand callers of one process compute once', async () => {
  const { live } = desk()
  const gate = signalled()
  let runs = 0
  const calls = Array.from({ length: 1000 }, () =>
    live.getOrCompute(liveKey('shared'), { files: ['a'] }, async () => {
      runs += 1
      await gate.promise
      return 'shared'
    }),
  )
  await until(() => runs > 0)
  gate.resolve()
  const all = await deadline(Promise.all(calls))
  assert.equal(runs, 1)
  assert.ok(all.every(derived => derived.text() === 'shared'))
  assert.equal(all.filter(({ how }) => how === 'ran').length, 1)
})

test('the signal of a computation aborts at the deadline, and another takes over', async () => {
  const { cache, advance } = stage()
  const live = cache.live({ workspace: folder(), deadline: '5m' })
  const key = liveKey('late')
  const [entered, aborted] = [signalled(), signalled()]
  const first = live.getOrCompute(key, {}, async job => {
    assert.ok(job.remaining > 299_000 && job.remaining <= 300_000 && !job.cancelled)
    assert.equal(job.deadline.getTime(), 1_700_000_000_000 + 300_000)
    assert.equal(job.key, key)
    job.signal.addEventListener('abort', () => aborted.resolve(job.signal.reason))
    entered.resolve()
    return new Promise(() => {})
  })
  first.catch(() => {})
  await deadline(entered.promise)
  advance(299_000)
  const second = live.getOrCompute(key, {}, () => 'in its stead')
  advance(2_000)
  const reason = await deadline(aborted.promise)
  assert.deepEqual([reason.code, live.lookup(key).outcome], ['FOREBAY_E_TIMED_OUT', 'miss'])
  // It has three times that: a result that comes late is better than two.
  advance(600_000)
  assert.equal((await deadline(second)).how, 'ran')
  // Who ignores the signal does not keep its caller for ever.
  await deadline(assert.rejects(first, { code: 'FOREBAY_E_TIMED_OUT' }))
})

test('aborting a call lets its caller go; the computation goes on for the others', async () => {
  const { live } = desk()
  const key = liveKey('left')
  const [entered, gate] = [signalled(), signalled()]
  const leaver = new AbortController()
  const left = live.getOrCompute(key, { signal: leaver.signal }, async () => {
    entered.resolve()
    await gate.promise
    return 'made'
  })
  await deadline(entered.promise)
  const other = live.getOrCompute(key, {}, never)
  leaver.abort('enough')
  await assert.rejects(left, { code: 'FOREBAY_E_CANCELLED', name: 'AbortError', cause: 'enough' })
  gate.resolve()
  assert.equal((await deadline(other)).text(), 'made')
  const none = live.getOrCompute(liveKey('x'), { signal: AbortSignal.abort() }, never)
  await assert.rejects(none, { code: 'FOREBAY_E_CANCELLED' })
})

test('a computation runs in the async context of its caller', async () => {
  const { live } = desk()
  const context = new AsyncLocalStorage()
  const names = ['one', 'two', 'three']
  const found = await Promise.all(
    names.map(name =>
      context.run(name, () => live.getOrCompute(liveKey(name), {}, () => String(context.getStore()))),
    ),
  )
  assert.deepEqual(
    found.map(derived => derived.text()),
    names,
  )
})

test('a computation that asks for its own result is told so', async () => {
  const { cache, live } = desk()
  const own = { code: 'FOREBAY_E_INVALID', message: /its own computation asks for it/ }
  const [one, two] = [liveKey('one'), liveKey('two')]
  await deadline(
    assert.rejects(
      live.getOrCompute(one, {}, async () => (await live.getOrCompute(one, {}, never)).data),
      own,
    ),
  )
  // Through another, and by another handle of the same folder.
  const again = new Cache({ root: cache.root }).live()
  const round = live.getOrCompute(
    one,
    {},
    async () =>
      (await live.getOrCompute(two, {}, async () => (await again.getOrCompute(one, {}, never)).data)).data,
  )
  await deadline(assert.rejects(round, own))
  const count = live.wrap(async n => (n === 0 ? 0 : 1 + (await count(n - 1))), { kind: 'count' })
  assert.equal(await deadline(count(20)), 20)
  // What it has set going may ask for it once it is over.
  const [over, entered, gate] = [signalled(), signalled(), signalled()]
  let asking
  await live.getOrCompute(one, {}, () => {
    asking = over.promise.then(() => live.getOrCompute(one, {}, never))
    return 'first'
  })
  await live.markDirty(one)
  const second = live.getOrCompute(one, {}, async () => {
    entered.resolve()
    await gate.promise
    return 'second'
  })
  await deadline(entered.promise)
  over.resolve()
  setTimeout(gate.resolve, 20)
  const found = await deadline(Promise.all([second, asking]))
  assert.deepEqual(
    found.map(derived => derived.text()),
    ['second', 'second'],
  )
})

test('the event loop turns while inputs are looked at', async () => {
  const { live, write } = desk()
  for (let file = 0; file < 40; file += 1) write(`big${file}`, 'x'.repeat(1 << 20))
  let turns = 0
  const ticking = setInterval(() => (turns += 1))
  await live.persist(liveKey('big'), 'x', { globs: ['big*'] })
  clearInterval(ticking)
  assert.ok(turns > 0, 'the look was made on the main thread')
})
