// Quotas: which callbacks a resolve calls, what it returns, and what it leaves for the next caller.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Answer, ForebayError, fromResponse, Quota, QuotaJob, unchanged } from 'forebay'
import { deadline, signalled, stage } from './helpers.mjs'

const never = () => assert.fail('it must not be called')
const idle = { fetch: never, credentials: never, fallback: never }
const status = (code, headers = {}) => fromResponse(new Response(null, { status: code, headers }))
const data = value => () => ({ data: value })
/** What a call rejects with. */
const failing = promise =>
  promise.then(
    () => assert.fail('it succeeded'),
    error => error,
  )

test('a resolve fetches once, and then calls nothing while the answer is fresh', async () => {
  const { cache, root, advance, now } = stage()
  const usage = cache.quota()
  assert.ok(usage instanceof Quota)
  const order = []
  const made = await usage.resolve({
    credentials: () => order.push('credentials') && 'secret',
    fetch: async () => order.push('fetch') && { data: { used: 7 } },
    fallback: never,
  })
  assert.ok(made instanceof Answer)
  assert.deepEqual(order, ['credentials', 'fetch'])
  assert.deepEqual([made.data, made.raw, made.how, made.state], [{ used: 7 }, '{"used":7}', 'ran', 'fresh'])
  assert.deepEqual(
    [made.age, made.cachedAt, made.retryAt, made.error],
    [0, new Date(now()), undefined, undefined],
  )
  advance(179_000)
  const fresh = await cache.quota('usage').resolve(idle)
  assert.deepEqual([fresh.data, fresh.how, fresh.age, fresh.fresh], [{ used: 7 }, 'fresh', 179_000, true])
  assert.deepEqual(fresh.cachedAt, made.cachedAt)
  advance(1_000)
  assert.equal((await usage.resolve({ fetch: () => '{"used":8}' })).raw, '{"used":8}')
  const record = JSON.parse(readFileSync(join(root, 'usage.json'), 'utf8'))
  assert.deepEqual([record.schema_version, record.data, record.error], [1, { used: 8 }, null])
})

test('each kind of JSON is recorded as it is, digits and all', async () => {
  const { cache, advance } = stage()
  const usage = cache.quota()
  const text = '{"big":12345678901234567890,"small":1.10}'
  for (const [result, raw] of /** @type {const} */ ([
    [text, text],
    [Buffer.from(text), text],
    [new Uint8Array(Buffer.from('[1]')).buffer, '[1]'],
    [{ data: Buffer.from(text) }, text],
    [{ data: 'text' }, '"text"'],
    [{ data: ['ünïcödé'], ttl: '1h' }, '["ünïcödé"]'],
    [{ data: 7 }, '7'],
  ])) {
    await usage.clear()
    await usage.resolve({ fetch: () => result })
    const found = await usage.resolve(idle)
    assert.deepEqual([found.raw, found.data], [raw, JSON.parse(raw)])
  }
  await usage.clear()
  await usage.resolve({ fetch: () => ({ data: [], ttl: '1h' }) })
  advance(3_599_000)
  assert.equal((await usage.resolve(idle)).how, 'fresh', 'the ttl that the fetch returned goes first')
})

test('a job says what the fetch needs to know, and unchanged keeps the answer', async () => {
  const { cache, advance, now } = stage()
  const usage = cache.quota('usage', { timeout: '4s' })
  const credential = { token: 'the whole secret' }
  await usage.resolve({
    credentials: async () => credential,
    fetch: job => {
      assert.ok(job instanceof QuotaJob)
      assert.equal(job.credential, credential)
      assert.deepEqual([job.deadline, job.remaining], [new Date(now() + 4_000), 4_000])
      assert.deepEqual([job.previous, job.previousRaw, job.validator], [undefined, undefined, undefined])
      assert.deepEqual([job.conditionalHeaders, job.cancelled, job.signal.aborted], [{}, false, false])
      assert.equal(inspect(job, { depth: 9, showHidden: true }).includes('whole'), false)
      assert.equal(JSON.stringify(job), '{}')
      return { data: { used: 1 }, validator: '"v1"' }
    },
  })
  advance(200_000)
  const same = await usage.resolve({
    fetch: ({ previous, previousRaw, validator, conditionalHeaders, credential: none }) => {
      assert.deepEqual([previous, previousRaw, validator], [{ used: 1 }, '{"used":1}', '"v1"'])
      assert.deepEqual([conditionalHeaders, none], [{ 'If-None-Match': '"v1"' }, undefined])
      return unchanged
    },
  })
  assert.deepEqual([same.data, same.how, same.age], [{ used: 1 }, 'unchanged', 0])
})

test('after a 429 nobody asks before its time: stale, fallback, or the recorded error', async () => {
  const { cache, root, advance, now } = stage()
  const usage = cache.quota('usage', { identity: 'me' })
  await usage.resolve({ fetch: data('first') })
  advance(200_000)
  const limited = await usage.resolve({
    credentials: () => 'secret',
    fetch: () => status(429, { 'retry-after': '600' }),
    fallback: never,
  })
  assert.deepEqual(
    [limited.data, limited.how, limited.state, limited.age],
    ['first', 'stale', 'stale', 200_000],
  )
  assert.deepEqual(limited.retryAt, new Date(now() + 600_000))
  assert.equal(limited.error?.code, 'FOREBAY_E_RATE_LIMITED')
  assert.ok(limited.error?.cause instanceof ForebayError, 'what the own fetch threw')
  const again = await cache.quota('usage', { identity: 'me' }).resolve(idle)
  assert.deepEqual([again.how, again.error?.code], ['stale', 'FOREBAY_E_RATE_LIMITED'])
  assert.ok(readdirSync(root).some(name => /^usage~[0-9a-f]{16}\.lock$/.test(name)))

  const other = cache.quota('usage', { identity: 'you' })
  const mine = await failing(other.resolve({ fetch: () => status(429) }))
  assert.deepEqual(
    [mine.code, mine.retryAt],
    ['FOREBAY_E_RATE_LIMITED', new Date(now() + 300_000)],
    'its own, told when to come back',
  )
  const theirs = await failing(other.resolve({ ...idle, fallback: undefined }))
  assert.deepEqual([theirs.code, theirs.retryAt], ['FOREBAY_E_RATE_LIMITED', new Date(now() + 300_000)])
  const shown = await other.resolve({ ...idle, fallback: async () => ({ data: { used: 0 } }) })
  assert.deepEqual([shown.data, shown.how, shown.cachedAt], [{ used: 0 }, 'fallback', undefined])
  assert.deepEqual([shown.error?.code, shown.retryAt], ['FOREBAY_E_RATE_LIMITED', new Date(now() + 300_000)])
  advance(300_001)
  assert.equal((await other.resolve({ fetch: data(1) })).how, 'ran')
})

test('what fails otherwise cools down, twice as long each time', async () => {
  const { cache, advance, now } = stage()
  const usage = cache.quota()
  let runs = 0
  const broken = new TypeError('fetch failed')
  const fetch = () => {
    runs += 1
    throw broken
  }
  for (const wait of [1_000, 2_000, 4_000]) {
    assert.equal(await failing(usage.resolve({ fetch })), broken, 'the very exception')
    const { retryAt, code } = await failing(usage.resolve(/** @type {any} */ ({ fetch: never })))
    assert.deepEqual([retryAt, code], [new Date(now() + wait), 'FOREBAY_E_REFRESH_FAILED'])
    advance(wait + 1)
  }
  assert.equal(runs, 3)
  const unavailable = await failing(usage.resolve({ fetch: () => status(503, { 'retry-after': '60' }) }))
  assert.equal(unavailable.code, 'FOREBAY_E_UNAVAILABLE')
  assert.deepEqual((await usage.read()).blocked?.until, new Date(now() + 60_000))
})

test('a 401 hides the answer and bars that credential only', async () => {
  const { cache, root, advance } = stage()
  const usage = cache.quota()
  await usage.resolve({ credentials: () => 'the old login', fetch: data('private') })
  advance(200_000)
  const refused = await failing(
    usage.resolve({ credentials: () => 'the old login', fetch: () => status(401) }),
  )
  assert.equal(refused.code, 'FOREBAY_E_UNAUTHORIZED')
  assert.equal((await usage.read()).answer, undefined, 'the record is gone')
  const barred = await failing(usage.resolve({ credentials: () => 'the old login', fetch: never }))
  assert.equal(barred.code, 'FOREBAY_E_UNAUTHORIZED')
  const after = await usage.resolve({ credentials: () => 'a new login', fetch: data('new') })
  assert.deepEqual([after.data, after.how], ['new', 'ran'])
  const files = readdirSync(root).filter(name => name.startsWith('usage'))
  assert.ok(files.length > 0)
  for (const name of files) assert.doesNotMatch(readFileSync(join(root, name), 'utf8'), /login/)
})

test('credentials that fail set no gate; the fallback is asked, and never hides why', async () => {
  const { cache } = stage()
  const usage = cache.quota()
  const locked = new Error('the keyring is locked')
  const credentials = async () => {
    throw locked
  }
  assert.equal(await failing(usage.resolve({ credentials, fetch: never })), locked)
  for (const fallback of [
    () => undefined,
    async () => null,
    () => {
      throw new Error('the fallback has its own trouble')
    },
    () => /** @type {any} */ (7),
  ]) {
    assert.equal(await failing(usage.resolve({ credentials, fetch: never, fallback })), locked)
  }
  const shown = await usage.resolve({ credentials, fetch: never, fallback: () => '[1]' })
  assert.deepEqual([shown.data, shown.how], [[1], 'fallback'])
  assert.deepEqual([shown.error?.code, shown.error?.cause], ['FOREBAY_E_NO_CREDENTIALS', locked])
  const empty = await failing(usage.resolve({ credentials: () => undefined, fetch: never }))
  assert.equal(empty.code, 'FOREBAY_E_NO_CREDENTIALS')
  assert.equal((await usage.read()).blocked, undefined)
})

test('what is no JSON is a failed fetch, and odd results say what to give', async () => {
  const { cache } = stage()
  for (const [index, odd] of [
    undefined,
    null,
    7,
    { used: 1 },
    { data: undefined },
    { data: 1, odd: 2 },
  ].entries()) {
    const error = await failing(cache.quota(`odd${index}`).resolve({ fetch: () => /** @type {any} */ (odd) }))
    assert.equal(error.code, 'FOREBAY_E_INVALID', inspect(odd))
  }
  const torn = await failing(cache.quota('torn').resolve({ fetch: () => '{"a":' }))
  assert.ok(torn instanceof ForebayError)
  assert.equal(torn.code, 'FOREBAY_E_REFRESH_FAILED')
  const none = await failing(cache.quota('none').resolve({ fetch: data(null) }))
  assert.equal(none.code, 'FOREBAY_E_REFRESH_FAILED')
  const huge = await failing(cache.quota('huge').resolve({ fetch: () => ({ data: 1n }) }))
  assert.ok(huge instanceof TypeError, 'what JSON.stringify threw')
  const usage = cache.quota()
  for (const wrong of [
    undefined,
    {},
    { fetch: 7 },
    { fetch: never, fallback: 7 },
    { fetch: never, credentials: 'x' },
  ]) {
    assert.equal((await failing(usage.resolve(/** @type {any} */ (wrong)))).code, 'FOREBAY_E_INVALID')
  }
  for (const [name, options] of [
    ['', {}],
    [7, {}],
    ['usage', { timeout: 0 }],
    ['usage', { ttl: 'soon' }],
    ['usage', { durability: 'maybe' }],
    ['usage', { identity: 7 }],
  ]) {
    assert.throws(() => cache.quota(/** @type {any} */ (name), /** @type {any} */ (options)), {
      code: 'FOREBAY_E_INVALID',
    })
  }
})

test('the signal aborts at the timeout, and a fetch that does not listen is left behind', async () => {
  const { cache, advance } = stage()
  const [entered, deaf] = [signalled(), signalled()]
  const call = cache.quota('listening').resolve({
    fetch: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        entered.resolve()
      }),
  })
  const outcome = failing(call)
  await entered.promise
  advance(2_001)
  const error = await deadline(outcome)
  assert.equal(error.code, 'FOREBAY_E_TIMED_OUT')
  const { blocked } = await cache.quota('listening').read()
  assert.equal(blocked?.code, 'FOREBAY_E_TIMED_OUT')
  const left = failing(
    cache
      .quota('deaf')
      .resolve({ fetch: () => /** @type {any} */ (deaf.resolve() ?? new Promise(() => {})) }),
  )
  await deaf.promise
  advance(2_001)
  assert.equal((await deadline(left)).code, 'FOREBAY_E_TIMED_OUT')
})

test('a hundred callers share one fetch, and a caller who leaves does not end it', async () => {
  const { cache } = stage()
  const usage = cache.quota()
  const [entered, gate] = [signalled(), signalled()]
  const leaver = new AbortController()
  const running = usage.resolve({
    signal: leaver.signal,
    fetch: async ({ signal }) => {
      entered.resolve()
      await gate.promise
      assert.equal(signal.aborted, false, 'the caller left, the answer is still wanted')
      return { data: 'shared' }
    },
  })
  const gone = failing(running)
  await entered.promise
  const waiter = new AbortController()
  const waiting = failing(usage.resolve({ fetch: never, signal: waiter.signal }))
  const others = Array.from({ length: 100 }, () => usage.resolve({ fetch: never }))
  const reason = new Error('my reason')
  leaver.abort(reason)
  waiter.abort(reason)
  for (const error of await deadline(Promise.all([gone, waiting]))) {
    assert.deepEqual([error.code, error.name, error.cause], ['FOREBAY_E_CANCELLED', 'AbortError', reason])
  }
  gate.resolve()
  const answers = await deadline(Promise.all(others))
  // One whose first look came after the answer finds it fresh.
  for (const { data, how } of answers) {
    assert.ok(data === 'shared' && ['coalesced', 'fresh'].includes(how), `${data} ${how}`)
  }
  const late = failing(usage.resolve({ ...idle, signal: AbortSignal.abort() }))
  assert.equal((await late).code, 'FOREBAY_E_CANCELLED')
})

test('while another fetches, what is there is shown; with nothing there one waits for so long', async () => {
  const { cache, advance } = stage()
  const usage = cache.quota('usage', { wait: 50 })
  const [entered, gate] = [signalled(), signalled()]
  const fetch = async () => {
    entered.resolve()
    await gate.promise
    return { data: 'new' }
  }
  const running = usage.resolve({ fetch })
  await entered.promise
  assert.equal(
    (await failing(usage.resolve(/** @type {any} */ ({ fetch: never })))).code,
    'FOREBAY_E_TIMED_OUT',
  )
  const { phase, holder } = await usage.read()
  assert.deepEqual([phase, holder], ['running', process.pid])
  gate.resolve()
  assert.equal((await running).how, 'ran')
  advance(200_000)
  const [second, hold] = [signalled(), signalled()]
  const slow = usage.resolve({
    fetch: async () => {
      second.resolve()
      await hold.promise
      return { data: 'newer' }
    },
  })
  await second.promise
  const shown = await usage.resolve({ fetch: never })
  assert.deepEqual([shown.data, shown.how], ['new', 'stale'])
  hold.resolve()
  assert.equal((await slow).data, 'newer')
})

test('async context is the caller’s, in each callback and after the call', async () => {
  const { cache } = stage()
  const context = new AsyncLocalStorage()
  const seen = []
  const look = name => seen.push([context.getStore(), name])
  const call = name =>
    context.run(name, async () => {
      const limited = new ForebayError('FOREBAY_E_RATE_LIMITED', 'slow down')
      await cache.quota(name).resolve({
        credentials: async () => look(name),
        fetch: async () => look(name) && Promise.reject(limited),
        fallback: async () => ({ data: look(name) }),
      })
      look(name)
    })
  await deadline(Promise.all(['one', 'two', 'three'].map(call)))
  assert.equal(seen.length, 12)
  for (const [store, name] of seen) assert.equal(store, name)
})

test('read, block, clear and the list', async () => {
  const { cache, now, advance } = stage()
  const usage = cache.quota('usage', { identity: 'me' })
  assert.deepEqual(await usage.read(), {
    answer: undefined,
    recordedError: undefined,
    blocked: undefined,
    phase: 'idle',
    holder: undefined,
  })
  assert.deepEqual(await cache.quotas(), [])
  assert.equal(await usage.clear(), false)
  await usage.resolve({ fetch: data(1) })
  const until = await usage.block('5m', { message: 'the bill is due' })
  assert.deepEqual(until, new Date(now() + 300_000))
  assert.deepEqual(await usage.block(1_000), until, 'a later end stays')
  const state = await usage.read()
  assert.equal(state.answer?.data, 1)
  assert.deepEqual(state.blocked?.until, until)
  assert.deepEqual([state.blocked?.code, state.blocked?.declared], ['FOREBAY_E_RATE_LIMITED', true])
  assert.match(state.blocked?.message ?? '', /the bill is due/)
  advance(200_000)
  assert.equal((await usage.resolve(idle)).how, 'stale')
  const [row] = await cache.quotas()
  assert.deepEqual(row, { key: usage.key, name: 'usage', identityHash: usage.key.split('~')[1] })
  assert.match(usage.key, /^usage~[0-9a-f]{16}$/)
  assert.equal(await usage.clear(), true)
  assert.equal((await usage.resolve({ fetch: data(2) })).how, 'ran')
  await assert.rejects(usage.block(1, { code: /** @type {any} */ ('FOREBAY_E_ODD') }), {
    code: 'FOREBAY_E_INVALID',
  })
  await cache.close()
  assert.equal((await failing(usage.resolve(idle))).code, 'FOREBAY_E_CLOSED')
})
