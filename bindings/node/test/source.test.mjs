// The calls on one source that run no refresher, and those on the whole cache.
import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Cache, defaultRoot, Value } from 'forebay'
import { folder, stage, until } from './helpers.mjs'

test('reading what is not there is no error, and writes nothing', () => {
  const { cache, root } = stage()
  const value = cache.source('api/models', { ttl: '1h' }).read()
  assert.ok(value instanceof Value)
  assert.deepEqual(
    [value.data, value.state, value.age, value.storedAt],
    [undefined, 'absent', undefined, undefined],
  )
  assert.deepEqual(
    [value.fresh, value.stale, value.text(), value.json()],
    [false, true, undefined, undefined],
  )
  assert.equal(existsSync(root), false)
})

test('a value is what was put, with its age and validator', async () => {
  const { cache, root, advance, now } = stage()
  const source = cache.source('api/models', { ttl: '90s', maxStale: '1h' })
  const put = await source.put('{"a":1}', { validator: '"v1"', extra: 'note' })
  assert.equal(put.state, 'fresh')
  advance(1_500)
  const value = source.read()
  assert.deepEqual([value.text(), value.json(), value.state], ['{"a":1}', { a: 1 }, 'fresh'])
  assert.deepEqual([value.age, value.validator, value.extra], [1_500, '"v1"', 'note'])
  assert.deepEqual(value.storedAt, new Date(now() - 1_500))
  assert.equal(value.version, put.version)
  assert.equal(readFileSync(join(root, 'api/models.json'), 'utf8'), '{"a":1}')
  advance(90_000)
  assert.equal(source.read().state, 'stale')
  advance(3_600_000)
  const expired = source.read()
  assert.deepEqual([expired.state, expired.text()], ['expired', '{"a":1}'])
})

test('each kind of bytes is stored as it is, and the caller may change its own afterwards', async () => {
  const { cache } = stage()
  const source = cache.source('bytes', { ttl: 1000 })
  const all = Uint8Array.from({ length: 256 }, (_, index) => index)
  for (const data of [all, all.buffer, Buffer.from(all), new Uint8Array(all.buffer, 0, 256)]) {
    await source.put(data)
    assert.deepEqual(new Uint8Array(source.read().data), all)
  }
  const mine = Buffer.from('before')
  const putting = source.put(mine)
  mine.fill(0)
  await putting
  assert.equal(source.read().text(), 'before')
  await source.put('')
  assert.deepEqual([source.read().data?.length, source.read().state], [0, 'fresh'])
  await source.put('ünïcödé')
  assert.equal(source.read().text(), 'ünïcödé')
  const large = Buffer.alloc(64 << 20, 7)
  await source.put(large)
  assert.ok(source.read().data?.equals(large))
})

test('the same buffer is returned while the value is the same, and another after it changed', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: 1000 })
  await source.put('one')
  const first = source.read().data
  assert.equal(source.read().data, first)
  assert.equal((await source.get(() => 'never')).data, first)
  await source.put('two')
  assert.notEqual(source.read().data, first)
  assert.equal(source.read().text(), 'two')
  assert.equal(first?.toString(), 'one')
})

test('durations are milliseconds or text, and nonsense is refused where it is given', async () => {
  const { cache, advance } = stage()
  for (const ttl of [90_000, '90s', '1m30s', '90000ms', '0.025h']) {
    const source = cache.source('api/models', { ttl })
    await source.put('x')
    advance(89_999)
    assert.equal(source.read().state, 'fresh', String(ttl))
    advance(1)
    assert.equal(source.read().state, 'stale', String(ttl))
  }
  const refused = { code: 'FOREBAY_E_INVALID' }
  for (const ttl of /** @type {any[]} */ ([-1, Number.NaN, '', '90', '1x', 'h1', null, {}])) {
    assert.throws(() => cache.source('api/models', { ttl }), refused, String(ttl))
  }
  assert.throws(() => cache.source('api/models', { deadline: 0 }), refused)
  for (const key of ['', '/x', 'x/', 'a/'.padEnd(5000, 'n'), undefined]) {
    assert.throws(() => cache.source(/** @type {string} */ (key)), refused, String(key))
  }
  const forever = cache.source('api/models', { ttl: 1, maxStale: Number.POSITIVE_INFINITY })
  advance(1e12)
  assert.equal(forever.read().state, 'stale')
})

test('a clock that is set back makes what was stale fresh again', async () => {
  const { cache, advance } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  await source.put('x')
  const { data } = source.read()
  for (const [ms, state, age] of /** @type {const} */ ([
    [5_000, 'fresh', 5_000],
    [5_000, 'stale', 10_000],
    [1_000, 'stale', 11_000],
    [-7_000, 'fresh', 4_000],
    [1_000, 'fresh', 5_000],
  ])) {
    advance(ms)
    const value = source.read()
    assert.deepEqual([value.state, value.age, value.text()], [state, age, 'x'])
    assert.equal(value.data, data)
  }
})

test('an identity has a record of its own', async () => {
  const { cache } = stage()
  const mine = cache.source('api/usage', { ttl: 1000, identity: 'me' })
  const yours = cache.source('api/usage', { ttl: 1000, identity: 'you' })
  await mine.put('mine')
  assert.deepEqual([mine.read().text(), yours.read().state], ['mine', 'absent'])
  assert.notEqual(mine.key, yours.key)
  assert.match(mine.key, /^api\/usage~[0-9a-f]{16}$/)
})

test('marking stale and removing are seen at once', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '1h' })
  await source.put('x')
  await source.markStale()
  assert.deepEqual([source.read().state, source.read().text()], ['stale', 'x'])
  assert.equal(await source.remove(), true)
  assert.equal(await source.remove(), false)
  assert.equal(source.read().state, 'absent')
})

test('damage is told, not thrown', async () => {
  const { cache, root } = stage()
  const source = cache.source('api/models', { ttl: '1h' })
  await source.put('value')
  const { atime, mtime } = statSync(join(root, 'api/models.json'))
  writeFileSync(join(root, 'api/models.json'), 'valve')
  utimesSync(join(root, 'api/models.json'), atime, mtime)
  const value = source.read()
  assert.deepEqual([value.state, value.data, value.error?.code], ['absent', undefined, 'FOREBAY_E_DAMAGED'])
})

test('list and prune name what they found and did', async () => {
  const { cache, advance } = stage()
  await cache.source('api/models', { ttl: '1h' }).put('12345', { validator: '"v"' })
  await cache.source('other').put('')
  advance(250)
  const rows = await cache.list()
  assert.deepEqual(rows.map(row => row.key).sort(), ['api/models', 'default/other'])
  const models = rows.find(row => row.tier === 'api')
  assert.deepEqual(
    [models?.name, models?.size, models?.age, models?.validator, models?.phase],
    ['models', 5, 250, '"v"', 'idle'],
  )
  const held = await cache.source('held').acquire()
  assert.equal(held.outcome, 'ticket')
  const pruned = await cache.prune([cache.source('api/models')])
  assert.deepEqual(pruned.removed, ['default/other'])
  assert.deepEqual(
    pruned.skipped.map(({ key }) => key),
    ['default/held'],
  )
  assert.equal((await cache.prune(['api/models'])).removed.length, 0)
  assert.equal(cache.source('api/models').read().text(), '12345')
})

test('why and refreshState explain', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '1h', deadline: '5s' })
  assert.equal((await source.why()).state, 'absent')
  await source.put('x')
  const why = await source.why()
  assert.deepEqual([why.state, why.phase], ['fresh', 'idle'])
  assert.match(why.cacheStatus, /^forebay;/i)
  assert.ok(why.text.length > 10)
  assert.equal((await source.refreshState()).phase, 'idle')
  const got = await source.acquire()
  assert.equal(got.outcome, 'ticket')
  const running = await source.refreshState()
  assert.deepEqual([running.phase, running.inFlight, running.holder], ['running', true, process.pid])
  assert.equal(Number(running.deadline) - Number(running.startedAt), 5_000)
})

test('counters count', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '1h' })
  source.read()
  await source.put('x')
  source.read()
  const { hit, miss, refresh_started: started } = cache.counters()
  assert.deepEqual([hit, miss, started], [1, 1, 0])
  await source.get(() => assert.fail('it is fresh'))
  assert.equal(cache.counters().hit, 2)
  const events = cache.subscribe()
  await source.get(() => assert.fail('it is fresh'))
  assert.equal(cache.counters().hit, 3)
  assert.deepEqual((await events.next()).value, { kind: 'hit', key: 'api/models', code: undefined })
  await cache.source('api/other', { ttl: '1h' }).get(() => 'x')
  assert.equal(cache.counters().hit, 3)
})

test('a reader sees what follows the protocol at once, and keeps its buffer until then', async () => {
  const root = folder()
  const [cache, other] = [new Cache({ root }), new Cache({ root, durability: 'none' })]
  const readers = cache.readers({ ttl: '1h' })
  const reader = cache.reader('api/models', { ttl: '1h' })
  assert.deepEqual([readers.get('api/models').state, reader.read().state], ['absent', 'absent'])
  for (let round = 0; round < 200; round += 1) {
    await other.source('api/models').put(`round ${round}`, { validator: `${round}` })
    const [one, same] = [readers.get('api/models'), readers.get('api/models')]
    assert.deepEqual([one.text(), one.validator, one.state], [`round ${round}`, `${round}`, 'fresh'])
    assert.equal(same.data, one.data)
    assert.equal(reader.read().text(), `round ${round}`)
  }
  await other.source('api/models').markStale()
  assert.deepEqual([readers.get('api/models').state, reader.read().state], ['stale', 'stale'])
  await other.source('api/models').remove()
  assert.deepEqual([readers.get('api/models').state, reader.read().state], ['absent', 'absent'])
  assert.ok(cache.counters().hit >= 400)
})

test('a reader looks at the clock and the disk in time, also after a burst of reads', async () => {
  const root = folder()
  const cache = new Cache({ root })
  const readers = cache.readers({ ttl: '1h' })
  const short = cache.readers({ ttl: 200 })
  const burst = readers => {
    let last
    for (let round = 0; round < 5_000; round += 1) last = readers.get('api/models')
    return last
  }
  await cache.source('api/models').put('ours')
  assert.equal(burst(readers).text(), 'ours')
  const { data, age, version } = readers.get('api/models')
  await until(() => burst(readers).age > age + 20)
  assert.equal(burst(readers).data, data)
  await until(() => burst(short).state === 'stale')
  assert.equal(readers.get('api/models').state, 'fresh')
  // By someone who knows nothing of forebay.
  writeFileSync(join(root, 'api/models.json'), 'theirs')
  await until(() => burst(readers).text() === 'theirs')
  assert.notEqual(readers.get('api/models').version, version)
  // The table is only an accelerator.
  rmSync(join(root, '.forebay/generations'))
  await new Cache({ root }).source('api/models').put('again')
  await until(() => burst(readers).text() === 'again')
})

test('a closed cache says so to every call, and closing twice is fine', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: 1 })
  const readers = cache.readers()
  await source.put('x')
  readers.get('api/models')
  await cache.close()
  await cache.close()
  assert.equal(cache.closed, true)
  const closed = { name: 'ForebayError', code: 'FOREBAY_E_CLOSED' }
  assert.throws(() => source.read(), closed)
  assert.throws(() => readers.get('api/models'), closed)
  for (const call of [
    () => source.get(() => 'x'),
    () => source.refresh(() => 'x'),
    () => source.maybeRefresh(() => 'x'),
    () => source.maybeRefreshSync(() => 'x'),
    () => source.put('x'),
    () => source.markStale(),
    () => source.remove(),
    () => source.refreshState(),
    () => source.why(),
    () => source.acquire(),
    () => source.requestRefresh(),
    () => source.waitForChange('0'),
    () => cache.list(),
    () => cache.prune([]),
    () => cache.nextRefresh(),
  ]) {
    await assert.rejects(call, closed, String(call))
  }
})

test('the root is FOREBAY_ROOT, else the user’s cache folder', () => {
  const root = folder()
  const before = process.env.FOREBAY_ROOT
  process.env.FOREBAY_ROOT = root
  try {
    assert.equal(new Cache().root, root)
  } finally {
    if (before === undefined) delete process.env.FOREBAY_ROOT
    else process.env.FOREBAY_ROOT = before
  }
  assert.match(defaultRoot('my-app') ?? 'none', /my-app$|^none$/)
})

test('a value in memory needs no disk', async () => {
  const cache = new Cache({ memory: true })
  const source = cache.source('api/models', { ttl: '1h' })
  assert.equal((await source.get(() => 'made')).how, 'ran')
  assert.equal(source.read().text(), 'made')
})
