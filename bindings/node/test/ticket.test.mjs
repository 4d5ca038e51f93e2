// Leases held by hand, the queue of requested refreshes, waiting for a change, and the event stream.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cache, Ticket } from 'forebay'
import { deadline, folder, stage, until } from './helpers.mjs'

async function take(source, options) {
  const got = await source.acquire(options)
  assert.equal(got.outcome, 'ticket', JSON.stringify(got))
  return /** @type {import('forebay').Ticket} */ (got.ticket)
}

test('a ticket is the right to store, once', async () => {
  const { cache, now } = stage()
  const source = cache.source('api/models', { ttl: '10s', deadline: '5s' })
  const ticket = await take(source)
  assert.ok(ticket instanceof Ticket)
  assert.deepEqual([ticket.key, ticket.remaining, ticket.cancelled], ['api/models', 5_000, false])
  assert.deepEqual(ticket.deadline, new Date(now() + 5_000))
  assert.match(ticket.token, /^[1-9]\d{15,18}$/)
  const other = await source.acquire()
  assert.equal(other.outcome, 'in_flight')
  assert.equal(other.outcome === 'in_flight' && other.refresh.holder, process.pid)
  const value = await ticket.complete('bytes', { validator: '"v1"' })
  assert.deepEqual([value.text(), value.validator, source.read().text()], ['bytes', '"v1"', 'bytes'])
  await assert.rejects(ticket.complete('again'), { code: 'FOREBAY_E_ALREADY_USED' })
  await assert.rejects(ticket.fail(new Error('late')), { code: 'FOREBAY_E_ALREADY_USED' })
  const fresh = await source.acquire({ unlessFresh: true })
  assert.equal(fresh.outcome === 'fresh' && fresh.value.text(), 'bytes')
  const changed = await source.acquire({ unlessChangedSince: '1' })
  assert.equal(changed.outcome, 'fresh')
  const next = await take(source, { unlessChangedSince: value.version, deadline: '1m' })
  assert.deepEqual([next.previous?.toString(), next.validator, next.remaining], ['bytes', '"v1"', 60_000])
  assert.equal((await next.unchanged({ ttl: '1h' })).text(), 'bytes')
})

test('a failure closes the gate, and force and overrideGate pass it', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { backoff: { floor: '10s', cap: '10s' } })
  await (await take(source)).fail(new Error('guessed'))
  const gated = await source.acquire()
  assert.equal(gated.outcome, 'gated')
  assert.match((gated.outcome === 'gated' && gated.refresh.lastError?.message) || '', /guessed/)
  await (await take(source, { force: true })).fail('declared', { retryAfter: '1h' })
  assert.equal((await source.acquire({ force: true })).outcome, 'gated')
  await (await take(source, { overrideGate: true })).complete('x')
  assert.equal((await source.refreshState()).phase, 'idle')
})

test('renew moves the deadline, and release gives the lease back at once', async () => {
  const { cache, advance } = stage()
  const source = cache.source('api/models', { deadline: '5s' })
  const ticket = await take(source)
  advance(4_000)
  await ticket.renew('20s')
  assert.equal(ticket.remaining, 20_000)
  assert.equal(ticket.deadline.getTime() - (await source.refreshState()).deadline?.getTime(), 0)
  ticket.release()
  ticket.release()
  assert.throws(() => ticket.remaining, { code: 'FOREBAY_E_ALREADY_USED' })
  await assert.rejects(async () => ticket.complete('x'), { code: 'FOREBAY_E_ALREADY_USED' })
  const next = await take(source)
  next[Symbol.dispose]()
  assert.equal((await source.refreshState()).phase === 'running', false)
})

test('a ticket whose lease was lost or superseded stores nothing', async () => {
  const { cache, advance } = stage()
  const source = cache.source('api/models', { ttl: '1h', deadline: '5s' })
  const late = await take(source)
  advance(16_000)
  const winner = await take(source)
  assert.equal(late.cancelled, true)
  await assert.rejects(late.complete('late'), { code: 'FOREBAY_E_LEASE_LOST' })
  await source.put('put')
  assert.deepEqual([winner.cancelled, winner.signal.aborted], [true, true])
  await assert.rejects(winner.complete('won'), { code: 'FOREBAY_E_SUPERSEDED' })
  assert.equal(source.read().text(), 'put')
})

test('requested refreshes are pulled by whoever does the work', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  assert.equal(await cache.nextRefresh({ timeout: 0 }), undefined)
  const waiting = cache.nextRefresh()
  assert.equal(await source.requestRefresh(), 'started')
  assert.equal(await source.requestRefresh(), 'in_flight')
  const ticket = await deadline(waiting)
  assert.equal(ticket?.key, 'api/models')
  await ticket?.complete('pulled')
  assert.equal(await source.requestRefresh(), 'fresh')
  assert.equal(source.read().text(), 'pulled')
  const controller = new AbortController()
  const cancelled = assert.rejects(cache.nextRefresh({ signal: controller.signal }), {
    code: 'FOREBAY_E_CANCELLED',
  })
  controller.abort()
  await deadline(cancelled)
  const closing = assert.rejects(deadline(cache.nextRefresh()), { code: 'FOREBAY_E_CLOSED' })
  await cache.close()
  await closing
})

test('waitForChange resolves to the new version, or to none', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  const { version } = source.read()
  assert.equal(await source.waitForChange(version, { timeout: 5 }), undefined)
  const waiting = source.waitForChange(version)
  const put = await source.put('x')
  assert.equal(await deadline(waiting), put.version)
  assert.equal(await source.waitForChange(version), put.version)
  const controller = new AbortController()
  const cancelled = source.waitForChange(put.version, { signal: controller.signal })
  controller.abort()
  await assert.rejects(deadline(cancelled), { code: 'FOREBAY_E_CANCELLED' })
  await assert.rejects(source.waitForChange('nonsense'), { code: 'FOREBAY_E_INVALID' })
})

test('a hundred waits at once block neither the event loop nor libuv’s threads', async () => {
  const root = folder()
  const cache = new Cache({ root })
  const sources = Array.from({ length: 120 }, (_, index) => cache.source(`many/${index}`, { ttl: '1h' }))
  const waits = sources.map(source => source.waitForChange(source.read().version))
  // libuv has four threads: this would hang if waits took them.
  const { readFile } = await import('node:fs/promises')
  assert.ok((await deadline(readFile(new URL(import.meta.url)))).length > 0)
  await Promise.all(sources.map(source => source.put('x')))
  const versions = await deadline(Promise.all(waits))
  assert.ok(versions.every(version => version !== undefined))
})

test('subscribe tells what happens, in order, until it is left or the cache closed', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '1h' })
  const events = cache.subscribe()
  const told = (async () => {
    const kinds = []
    for await (const { kind, key } of events) {
      assert.equal(key, 'api/models')
      kinds.push(kind)
      if (kind === 'refresh_failed') break
    }
    return kinds
  })()
  await source.get(() => 'x')
  source.read()
  await source.refresh(() => Promise.reject(new Error('down'))).catch(() => {})
  const kinds = await deadline(told)
  const order = ['refresh_started', 'refresh_succeeded', 'hit', 'refresh_failed']
  const at = order.map(kind => kinds.indexOf(kind))
  assert.ok(!at.includes(-1), `${kinds}`)
  assert.deepEqual(
    at,
    [...at].sort((one, other) => one - other),
    `${kinds}`,
  )
  assert.deepEqual(await events.next(), { done: true, value: undefined })
  const rest = cache.subscribe()
  const [first, second] = [rest.next(), rest.next()]
  await cache.close()
  assert.deepEqual(
    (await deadline(Promise.all([first, second]))).map(({ done }) => done),
    [true, true],
  )
})

test('an event carries its failure’s code, and a slow listener loses the oldest', async () => {
  const { cache } = stage()
  const source = cache.source('api/models')
  const events = cache.subscribe()
  await (await take(source)).fail(new Error('down'))
  let failed
  await until(async () => {
    const { value } = await events.next()
    if (value?.kind === 'refresh_failed') failed = value
    return failed !== undefined
  })
  assert.deepEqual(failed, { kind: 'refresh_failed', key: 'api/models', code: 'FOREBAY_E_REFRESH_FAILED' })
  for (let round = 0; round < 5_000; round += 1) source.read()
  assert.ok(events.dropped > 0)
  await events[Symbol.asyncDispose]()
})

test('disposal closes', async () => {
  const one = new Cache({ root: folder() })
  one[Symbol.dispose]()
  assert.equal(one.closed, true)
  const other = new Cache({ root: folder() })
  const source = other.source('api/models', { ttl: '1h' })
  await source.maybeRefresh(() => new Promise(resolve => setTimeout(() => resolve('drained'), 50)))
  await other[Symbol.asyncDispose]()
  assert.equal(other.closed, true)
  const again = new Cache({ root: other.root })
  assert.equal(again.source('api/models', { ttl: '1h' }).read().text(), 'drained')
})
