// `wrap` and `liveKey`: which calls are the same, what a wrapped function may return, and functions built on others.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Cache, LiveJob, liveKey } from 'forebay'
import { folder } from './helpers.mjs'

const invalid = { code: 'FOREBAY_E_INVALID' }

function desk() {
  const workspace = folder()
  const write = (name, text) => writeFileSync(join(workspace, name), text)
  const read = name => readFileSync(join(workspace, name), 'utf8')
  const cache = new Cache({ root: folder() })
  return { cache, live: cache.live({ workspace }), workspace, write, read }
}

test('a key is the hash of bytes and text, and of the JSON of all else', () => {
  // The BLAKE3 hash of nothing, as published.
  const nothing = 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262'
  for (const none of ['', Buffer.of(), new ArrayBuffer(0)]) assert.equal(liveKey(none), nothing)
  assert.equal(liveKey('ä'), liveKey(Buffer.from('ä')))
  assert.equal(liveKey({ b: [1, 'ä', null], a: true }), liveKey('{"a":true,"b":[1,"ä",null]}'))
  assert.equal(liveKey({ a: 1, left: undefined }), liveKey({ a: 1 }))
  assert.equal(liveKey(Object.assign(Object.create(null), { a: 1 })), liveKey({ a: 1 }))
  // By code points, as other languages sort: U+FF5E comes before U+1F600, whose UTF-16 begins with D83D.
  assert.equal(liveKey({ '😀': 1, '～': 2 }), liveKey('{"～":2,"😀":1}'))
  assert.equal(liveKey(new Date(0)), liveKey('"1970-01-01T00:00:00.000Z"'))
  assert.equal(liveKey([Buffer.from('a')]), liveKey([new Uint8Array([97])]))
  assert.notEqual(liveKey([-0]), liveKey([0]))
  assert.notEqual(liveKey(['\ud800']), liveKey(['\ud801']))
  assert.throws(() => liveKey('\ud800'), invalid)
  const cycle = []
  cycle.push(cycle)
  const lost = [
    undefined,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1n,
    Symbol('s'),
    () => 1,
    new Map(),
    new Set(),
  ]
  for (const value of [...lost, cycle, new (class Mine {})(), /x/, { [Symbol('s')]: 1 }]) {
    if (value !== undefined) assert.throws(() => liveKey({ value }), invalid, String(value))
    assert.throws(() => liveKey([value]), invalid)
  }
  // biome-ignore lint/suspicious/noSparseArray: that is the point
  assert.throws(() => liveKey([1, , 2]), invalid)
})

test('a wrapped function is called once for the same arguments and unchanged inputs', async () => {
  const { live, write, read } = desk()
  let calls = 0
  const grep = live.wrap(
    async function grep(pattern, path) {
      calls += 1
      assert.ok(this instanceof LiveJob && !this.signal.aborted)
      return {
        lines: read(path)
          .split('\n')
          .filter(line => line.includes(pattern)),
        when: new Date(0),
      }
    },
    { inputs: (_pattern, path) => [path] },
  )
  write('a', 'needle\nhay')
  const first = await grep('needle', 'a')
  // Whoever computed it gets what everybody gets.
  assert.deepEqual(first, { lines: ['needle'], when: '1970-01-01T00:00:00.000Z' })
  assert.deepEqual([await grep('needle', 'a'), calls], [first, 1])
  assert.deepEqual([(await grep('hay', 'a')).lines, calls], [['hay'], 2])
  write('a', 'hay')
  assert.deepEqual([(await grep('needle', 'a')).lines, calls], [[], 3])
  const derived = await grep.derive('needle', 'a')
  assert.deepEqual([derived.how, derived.kind, derived.key], ['fresh', 'grep', grep.key('needle', 'a')])
  assert.equal(/** @type {any} */ (derived.json()).when, first.when)
  assert.deepEqual(derived.inputs, [{ kind: 'file', name: 'a' }])
})

test('what a wrapped function may return, and how it comes back', async () => {
  const { live } = desk()
  const id = live.wrap(value => value, { kind: 'id' })
  const values = [null, true, 0, -0, -1.5, '\ud800', '', 'text\0', [], { a: [{ b: null }] }]
  for (const [index, value] of values.entries()) {
    const call = live.wrap(() => value, { kind: `value ${index}` })
    assert.deepEqual([await call(), await call()], [value, value])
    assert.equal((await call.derive()).how, 'fresh')
  }
  const made = live.wrap(
    kind => {
      if (kind === 'bytes') return Buffer.of(0, 255)
      if (kind === 'empty') return new Uint8Array()
      if (kind === 'json') return Buffer.from('[1]')
      if (kind === 'map') return new Map()
      if (kind === 'nan') return { a: [Number.NaN] }
      if (kind === 'throws') throw new RangeError('mine')
      return undefined
    },
    { kind: 'made' },
  )
  for (const _round of [1, 2]) {
    assert.deepEqual(await made('bytes'), Buffer.of(0, 255))
    assert.deepEqual(await made('empty'), Buffer.of())
    assert.deepEqual(await made('json'), Buffer.from('[1]'))
    assert.equal(await made('nothing'), undefined)
    for (const lost of ['map', 'nan']) await assert.rejects(made(lost), invalid)
    await assert.rejects(made('throws'), new RangeError('mine'))
  }
  await assert.rejects(id(Number.NaN), invalid)
  await assert.rejects(id(new Map()), invalid)
})

test('which calls are the same', async () => {
  const { cache, live, workspace } = desk()
  const one = live.wrap((...args) => args.length, { kind: 'count' })
  const key = one.key('a')
  assert.equal(one.key('a', undefined), key)
  const others = [
    one.key(),
    one.key(null),
    one.key('a', null),
    one.key(undefined, 'a'),
    one.key(['a']),
    live.wrap((...args) => args.length, { kind: 'other' }).key('a'),
    live.wrap((...args) => args.length + 0, { kind: 'count' }).key('a'),
    cache
      .live({ workspace: folder() })
      .wrap((...args) => args.length, { kind: 'count' })
      .key('a'),
  ]
  assert.equal(new Set([key, ...others]).size, others.length + 1)
  const odd = byte =>
    cache.live({ workspace: Buffer.concat([Buffer.from(`${workspace}/`), Buffer.of(byte)]) })
  const [first, second] = [0xfe, 0xff].map(byte =>
    odd(byte)
      .wrap(() => 1, { kind: 'odd' })
      .key(),
  )
  assert.notEqual(first, second)
  const again = cache
    .live({ workspace: join(workspace, '.') })
    .wrap((...args) => args.length, { kind: 'count' })
  assert.equal(again.key('a'), key)
  assert.throws(() => live.wrap(() => 1), invalid)
  // @ts-expect-error for the test
  assert.throws(() => live.wrap('grep'), invalid)
  for (const inputs of ['a', 7, [7]]) {
    // @ts-expect-error for the test
    await assert.rejects(live.wrap(() => 1, { kind: 'x', inputs })(), invalid)
  }
})

test('functions built on others are called again only where what they are built on has changed', async () => {
  const { live, write, read } = desk()
  const calls = []
  const readLines = live.wrap(
    path => {
      calls.push(`read ${path}`)
      return read(path).split('\n')
    },
    { kind: 'read', inputs: path => ({ files: [path], env: ['LANG'] }) },
  )
  const count = live.wrap(
    async path => {
      calls.push(`count ${path}`)
      return (await readLines(path)).length
    },
    { kind: 'count', upstream: async path => [await readLines.derive(path)] },
  )
  const total = live.wrap(
    async (...paths) => {
      calls.push('total')
      let sum = 0
      for (const path of paths) sum += await count(path)
      return sum
    },
    { kind: 'total', upstream: (...paths) => Promise.all(paths.map(path => count.derive(path))) },
  )
  write('a', '1\n2')
  write('b', '1')
  assert.equal(await total('a', 'b'), 3)
  assert.deepEqual(calls.splice(0).sort(), ['count a', 'count b', 'read a', 'read b', 'total'])
  assert.deepEqual([await total('a', 'b'), calls], [3, []])
  write('b', '1\n2\n3')
  assert.equal(await total('a', 'b'), 5)
  assert.deepEqual(calls.splice(0), ['read b', 'count b', 'total'])
})

test('an upstream that falls while a call looks at it is asked again', async () => {
  const { live, write } = desk()
  const base = liveKey('base')
  let looks = 0
  const call = live.wrap(() => 'made', {
    kind: 'on base',
    upstream: async () => {
      looks += 1
      const found = await live.getOrCompute(base, { files: ['a'] }, () => `base ${looks}`)
      if (looks === 1) await live.markDirty(base)
      return [found]
    },
  })
  write('a', '1')
  assert.deepEqual([await call(), looks], ['made', 2])
  // But not for ever.
  const lost = live.wrap(() => 'made', { kind: 'on nothing', upstream: () => [liveKey('nothing')] })
  await assert.rejects(lost(), { code: 'FOREBAY_E_SUPERSEDED' })
})
