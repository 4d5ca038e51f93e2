// Calls that run a refresher: who runs it, what it gets, what comes of what it returns and throws.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import { Cache, ForebayError, Job, unchanged } from 'forebay'
import { deadline, folder, signalled, stage, until } from './helpers.mjs'

const never = () => assert.fail('the refresher must not run')

test('get runs the refresher once, and then not while the value is fresh', async () => {
  const { cache, advance } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  const made = await source.get(async () => 'one')
  assert.deepEqual([made.text(), made.how, made.state], ['one', 'ran', 'fresh'])
  const hit = await source.get(never)
  assert.deepEqual([hit.text(), hit.how], ['one', 'fresh'])
  advance(10_000)
  assert.equal((await source.get(() => ({ data: Buffer.from('two') }))).text(), 'two')
  assert.equal((await source.maybeRefreshSync(never)).how, 'fresh')
  assert.equal(await source.maybeRefresh(never), 'fresh')
})

test('a hundred callers at once share one run', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  const gate = signalled()
  let runs = 0
  const calls = Array.from({ length: 100 }, () =>
    source.get(async () => {
      runs += 1
      await gate.promise
      return 'shared'
    }),
  )
  await until(() => runs > 0)
  gate.resolve()
  const values = await deadline(Promise.all(calls))
  assert.deepEqual([runs, new Set(values.map(value => value.text()))], [1, new Set(['shared'])])
  const hows = values.map(value => value.how)
  assert.equal(hows.filter(how => how === 'ran').length, 1)
  assert.equal(new Set(values.map(value => value.data)).size, 1)
})

test('a job says what the refresher needs to know', async () => {
  const { cache, advance, now } = stage()
  const source = cache.source('api/models', { ttl: '1s', deadline: '8s' })
  await source.put('old', { validator: '"v1"' })
  advance(5_000)
  const value = await source.get(job => {
    assert.ok(job instanceof Job)
    assert.deepEqual([job.key, job.previous?.toString(), job.validator], ['api/models', 'old', '"v1"'])
    assert.deepEqual(job.conditionalHeaders, { 'If-None-Match': '"v1"' })
    assert.deepEqual([job.deadline, job.remaining], [new Date(now() + 8_000), 8_000])
    assert.deepEqual([job.cancelled, job.signal.aborted, job.signal], [false, false, job.signal])
    return { data: 'new', validator: 'Sat, 21 Nov 2026 10:00:00 GMT', ttl: '1h', maxStale: '2h' }
  })
  assert.deepEqual([value.text(), value.validator], ['new', 'Sat, 21 Nov 2026 10:00:00 GMT'])
  advance(3_599_000)
  assert.equal(source.read().state, 'fresh', 'the ttl that the refresher returned goes first')
  await source.refresh(job => {
    assert.deepEqual(job.conditionalHeaders, { 'If-Modified-Since': 'Sat, 21 Nov 2026 10:00:00 GMT' })
    return unchanged
  })
  const first = cache.source('api/first')
  await first.get(job => {
    assert.deepEqual([job.previous, job.validator, job.conditionalHeaders], [undefined, undefined, {}])
    return ''
  })
})

test('unchanged keeps the bytes and makes them fresh', async () => {
  const { cache, advance } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  const before = await source.put('kept', { validator: '"v1"' })
  advance(60_000)
  const value = await source.get(() => unchanged)
  assert.deepEqual([value.text(), value.how, value.state, value.age], ['kept', 'unchanged', 'fresh', 0])
  assert.equal(value.validator, '"v1"')
  assert.notEqual(value.version, before.version)
})

test('what the refresher throws reaches its caller as itself, and others as code and text', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  const thrown = new TypeError('boom')
  const [entered, gate] = [signalled(), signalled()]
  const runner = source.refresh(async () => {
    entered.resolve()
    await gate.promise
    throw thrown
  })
  await entered.promise
  const joiner = source.refresh(never)
  const outcomes = Promise.allSettled([runner, joiner])
  await until(async () => (await source.refreshState()).phase === 'running')
  gate.resolve()
  const [ran, joined] = await deadline(outcomes)
  assert.equal(ran.status === 'rejected' && ran.reason, thrown)
  const reason = joined.status === 'rejected' ? joined.reason : undefined
  assert.ok(reason instanceof ForebayError)
  assert.equal(reason.code, 'FOREBAY_E_REFRESH_FAILED')
  assert.match(reason.message, /boom/)
  for (const odd of [undefined, null, 'text', 7, Symbol('s'), Object.create(null)]) {
    const outcome = await cache
      .source(`odd/${typeof odd}-${odd === null}`)
      .refresh(() => Promise.reject(odd))
      .then(
        () => 'resolved',
        error => error === odd,
      )
    assert.equal(outcome, true, typeof odd)
  }
  await assert.rejects(
    cache.source('odd/sync').refresh(() => {
      throw thrown
    }),
    error => error === thrown,
  )
})

test('a failure within staleIfError serves the old value, and tells why', async () => {
  const { cache, advance } = stage()
  const source = cache.source('api/models', { ttl: '10s', staleIfError: '1h' })
  await source.put('old')
  advance(20_000)
  const thrown = new ForebayError('FOREBAY_E_RATE_LIMITED', 'slow down', { retryAfter: 60_000 })
  const value = await source.get(() => {
    throw thrown
  })
  assert.deepEqual([value.text(), value.state, value.phase], ['old', 'stale', 'cooling'])
  assert.equal(value.error?.code, 'FOREBAY_E_RATE_LIMITED')
  assert.match(value.error?.message ?? '', /slow down/)
  assert.equal(value.error?.cause, thrown)
  const state = await source.refreshState()
  assert.deepEqual([state.failed, state.declared, state.attempts], [true, true, 1])
  assert.equal(state.lastError?.code, 'FOREBAY_E_RATE_LIMITED')
  assert.equal(await source.maybeRefresh(never), 'gated')
  assert.equal((await source.maybeRefreshSync(never)).text(), 'old')
  await assert.rejects(source.refresh(never), error => {
    assert.ok(error instanceof ForebayError)
    return error.code === 'FOREBAY_E_GATED' && error.retryAt instanceof Date
  })
  assert.equal((await source.refresh(() => 'new', { overrideGate: true })).text(), 'new')
})

test('a soft wait returns the stale value while the refresh goes on', async () => {
  const root = folder()
  const source = new Cache({ root }).source('api/models', { ttl: 0 })
  await source.put('old')
  const gate = signalled()
  const value = await source.get(() => gate.promise.then(() => ({ data: 'new', ttl: '1h' })), { wait: 20 })
  assert.deepEqual([value.text(), value.how, value.phase], ['old', 'stale', 'running'])
  gate.resolve()
  await until(() => source.read().text() === 'new')
  assert.equal((await source.get(never, { wait: 20 })).text(), 'new')
  const nothing = new Cache({ root }).source('api/none', { ttl: '1h' })
  const later = signalled()
  await assert.rejects(
    nothing.get(() => later.promise.then(() => 'late'), { wait: 0 }),
    { code: 'FOREBAY_E_TIMED_OUT' },
  )
  later.resolve()
  assert.equal((await deadline(nothing.get(never))).text(), 'late')
  const quick = new Cache({ root }).source('api/quick', { ttl: '1h' })
  assert.equal((await quick.get(async () => 'in time', { wait: '10s' })).how, 'ran')
  const thrown = new Error('at once')
  await assert.rejects(
    new Cache({ root }).source('api/fails').get(() => Promise.reject(thrown), { wait: '10s' }),
    error => error === thrown,
  )
})

test('maybeRefresh says what it did, and its failures are in the gate', async () => {
  const { cache, advance } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  const gate = signalled()
  assert.equal(await source.maybeRefresh(() => gate.promise.then(() => 'made')), 'started')
  assert.equal(await source.maybeRefresh(never), 'in_flight')
  gate.resolve()
  await until(() => source.read().fresh)
  advance(10_000)
  assert.equal(await source.maybeRefresh(() => Promise.reject(new Error('down'))), 'started')
  await until(async () => (await source.refreshState()).failed)
  assert.match((await source.refreshState()).lastError?.message ?? '', /down/)
  assert.equal(source.read().text(), 'made')
})

test('minFreshAt is satisfied by a refresh that ended after it', async () => {
  const { cache, advance, now } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  await source.refresh(() => 'one')
  advance(5)
  assert.equal((await source.refresh(never, { minFreshAt: new Date(now() - 6) })).text(), 'one')
  assert.equal((await source.refresh(() => 'two', { minFreshAt: now() - 5 })).text(), 'two')
})

test('a cancelled caller is let go at once, and the refresh goes on for the others', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '10s' })
  const [entered, gate] = [signalled(), signalled()]
  const [runner, waiter] = [new AbortController(), new AbortController()]
  const running = source.get(
    async job => {
      entered.resolve()
      await gate.promise
      assert.equal(job.signal.aborted, false, 'the callers left, the work is still wanted')
      return 'made'
    },
    { signal: runner.signal },
  )
  await entered.promise
  const waiting = source.get(never, { signal: waiter.signal })
  const other = source.get(never)
  const reason = new Error('my reason')
  const outcomes = Promise.allSettled([running, waiting])
  waiter.abort(reason)
  runner.abort(reason)
  for (const outcome of await deadline(outcomes)) {
    const error = outcome.status === 'rejected' ? outcome.reason : undefined
    assert.ok(error instanceof ForebayError)
    assert.deepEqual([error.code, error.name, error.cause], ['FOREBAY_E_CANCELLED', 'AbortError', reason])
  }
  gate.resolve()
  assert.equal((await deadline(other)).text(), 'made')
  const gone = AbortSignal.abort()
  await assert.rejects(source.refresh(never, { signal: gone }), { code: 'FOREBAY_E_CANCELLED' })
  await assert.rejects(source.waitForChange('0', { signal: gone }), { code: 'FOREBAY_E_CANCELLED' })
})

test('one signal serves many calls, and no listener stays behind', async () => {
  const { cache } = stage()
  const controller = new AbortController()
  let [added, removed] = [0, 0]
  const { addEventListener: add, removeEventListener: remove } = controller.signal
  Object.assign(controller.signal, {
    addEventListener: (...args) => {
      added += 1
      return Reflect.apply(add, controller.signal, args)
    },
    removeEventListener: (...args) => {
      removed += 1
      return Reflect.apply(remove, controller.signal, args)
    },
  })
  for (let round = 0; round < 20; round += 1) {
    await cache.source(`many/${round}`, { ttl: '1h' }).get(() => 'x', { signal: controller.signal })
  }
  assert.deepEqual([added, removed], [20, 20])
})

test('the job’s signal aborts when a put makes the work pointless, at the deadline, and on close', async () => {
  const { cache, advance } = stage()
  const aborts = async (source, act) => {
    const entered = signalled()
    const call = source.refresh(
      job =>
        new Promise((_, reject) => {
          job.signal.addEventListener('abort', () => reject(job.signal.reason))
          entered.resolve()
        }),
    )
    const outcome = call.then(
      value => value,
      error => error,
    )
    await entered.promise
    await act()
    return deadline(outcome)
  }
  const put = await aborts(cache.source('a/put', { ttl: '1h' }), () => cache.source('a/put').put('mine'))
  assert.equal(put.code, 'FOREBAY_E_CANCELLED')
  assert.equal(cache.source('a/put').read().text(), 'mine')
  const late = await aborts(cache.source('a/late', { deadline: '10s' }), () => advance(10_001))
  assert.equal(late.code, 'FOREBAY_E_TIMED_OUT')
  const closed = await aborts(cache.source('a/close'), () => cache.close())
  assert.ok(['FOREBAY_E_CANCELLED', 'FOREBAY_E_CLOSED'].includes(closed.code), closed.code)
})

test('a refresher that never ends is left behind when its lease is over', async () => {
  const { cache, advance } = stage()
  const source = cache.source('api/models', { ttl: '1h', deadline: '10s' })
  const entered = signalled()
  const call = source.refresh(() => {
    entered.resolve()
    return new Promise(() => {})
  })
  const outcome = assert.rejects(call, { code: 'FOREBAY_E_TIMED_OUT' })
  await entered.promise
  advance(31_000)
  await deadline(outcome)
  assert.equal((await source.refresh(() => 'next')).text(), 'next')
})

test('the cache may be used from inside a refresher, the same key too', async () => {
  const { cache } = stage()
  const source = cache.source('api/models', { ttl: '1h' })
  await source.put('old')
  const value = await deadline(
    source.refresh(async () => {
      assert.equal(source.read().text(), 'old')
      assert.equal(await source.maybeRefresh(never), 'fresh')
      await source.markStale()
      assert.equal(await source.maybeRefresh(never), 'in_flight')
      const inner = await source.get(never, { wait: 0 })
      assert.deepEqual([inner.text(), inner.how], ['old', 'stale'])
      return (await cache.source('api/other', { ttl: '1h' }).get(() => 'nested')).text() ?? ''
    }),
  )
  assert.equal(value.text(), 'nested')
})

test('a refresher that returns no bytes is an error that says so', async () => {
  const { cache } = stage()
  for (const [index, odd] of [undefined, null, 7, {}, { data: 7 }, [1]].entries()) {
    const source = cache.source(`odd/${index}`)
    await assert.rejects(source.refresh(/** @type {any} */ (() => odd)), { code: 'FOREBAY_E_INVALID' })
  }
  const source = cache.source('odd/function')
  await assert.rejects(source.get(/** @type {any} */ ('text')), { code: 'FOREBAY_E_INVALID' })
})

test('async context is the caller’s, in refreshers and after each call', async () => {
  const { cache } = stage()
  const context = new AsyncLocalStorage()
  const seen = []
  const call = name =>
    context.run(name, async () => {
      const source = cache.source(`context/${name}`, { ttl: 0 })
      await source.get(async () => {
        seen.push(['get', context.getStore(), name])
        await new Promise(resolve => setImmediate(resolve))
        seen.push(['later', context.getStore(), name])
        return 'x'
      })
      seen.push(['after', context.getStore(), name])
      const done = signalled()
      await source.get(
        () => {
          seen.push(['soft', context.getStore(), name])
          done.resolve()
          return 'y'
        },
        { wait: 0 },
      )
      await done.promise
      const background = signalled()
      await source.maybeRefresh(() => {
        seen.push(['background', context.getStore(), name])
        background.resolve()
        return 'z'
      })
      await Promise.race([background.promise, new Promise(resolve => setTimeout(resolve, 100))])
    })
  await deadline(Promise.all(['one', 'two', 'three'].map(call)))
  assert.ok(seen.length >= 12)
  for (const [where, store, name] of seen) assert.equal(store, name, where)
})

test('refreshMany keeps to its concurrency, reports progress, and settles each by itself', async () => {
  const { cache } = stage()
  let [running, most] = [0, 0]
  const items = Array.from({ length: 20 }, (_, index) => {
    const refresher = async () => {
      running += 1
      most = Math.max(most, running)
      await new Promise(resolve => setImmediate(resolve))
      running -= 1
      if (index === 7) throw new Error('seven')
      return `${index}`
    }
    return /** @type {const} */ ([cache.source(`many/${index}`, { ttl: '1h' }), refresher])
  })
  const progress = []
  const results = await cache.refreshMany(items, { concurrency: 3, progress: step => progress.push(step) })
  assert.deepEqual([results.length, most <= 3, most > 1], [20, true, true])
  for (const [index, result] of results.entries()) {
    if (index === 7) assert.equal(result.status === 'rejected' && result.reason.message, 'seven')
    else assert.equal(result.status === 'fulfilled' && result.value.text(), `${index}`)
  }
  assert.deepEqual(
    progress.map(({ done, total }) => [done, total]),
    items.map((_, index) => [index + 1, 20]),
  )
  assert.equal(new Set(progress.map(({ key }) => key)).size, 20)
  await assert.rejects(cache.refreshMany([], { concurrency: 0 }), { code: 'FOREBAY_E_INVALID' })
  assert.deepEqual(await cache.refreshMany([]), [])
})
