// Credentials that can be used once: who exchanges, what a failure means, and that nothing shows a secret.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import {
  Credential,
  Credentials,
  Exchange,
  ForebayError,
  fromResponse,
  NotSent,
  rotate,
  rotateReset,
} from 'forebay'
import { deadline, folder, program, signalled, stage } from './helpers.mjs'

const never = () => assert.fail('it must not be called')
const failing = promise =>
  promise.then(
    () => assert.fail('it succeeded'),
    error => error,
  )

/** Credentials in an empty folder, with a clock that `advance` moves. */
function vault(options = {}) {
  const { testClock, advance, now } = stage()
  const state = join(folder(), 'state')
  return { state, advance, now, credentials: new Credentials({ state, testClock, ...options }), testClock }
}

test('the first rotation makes a credential, the next exchanges it, and who is late gets the new one', async () => {
  const { credentials, state, advance, now } = vault({ deadline: '10s' })
  assert.equal(credentials.root, state)
  assert.equal(await credentials.current('oauth'), undefined)
  const first = await credentials.rotate('oauth', {
    exchange: async job => {
      assert.ok(job instanceof Exchange)
      assert.deepEqual(
        [job.previous, job.deadline, job.remaining],
        [undefined, new Date(now() + 10_000), 10_000],
      )
      assert.deepEqual([job.cancelled, job.signal.aborted], [false, false])
      return 'token-one'
    },
  })
  assert.ok(first instanceof Credential)
  assert.deepEqual([first.text, first.how, first.error], ['token-one', 'ran', undefined])
  assert.deepEqual([first.data, first.storedAt], [Buffer.from('token-one'), new Date(now())])
  advance(5_000)
  const second = await credentials.rotate('oauth', {
    seen: first,
    exchange: ({ previous }) => Buffer.from(`${previous} and two`),
  })
  assert.deepEqual([second.text, second.how], ['token-one and two', 'ran'])
  assert.notEqual(second.version, first.version)
  for (const seen of [first, first.version, undefined]) {
    const late = await credentials.rotate('oauth', { seen, exchange: never })
    assert.deepEqual([late.text, late.how, late.version], [second.text, 'coalesced', second.version])
  }
  const stored = await credentials.current('oauth')
  assert.deepEqual(
    [stored?.text, stored?.version, stored?.storedAt],
    [second.text, second.version, new Date(now())],
  )
  const file = join(state, 'credentials/oauth.json')
  assert.deepEqual([readFileSync(file, 'utf8'), statSync(file).mode & 0o777], ['token-one and two', 0o600])
  assert.equal((await credentials.state('oauth')).version, second.version)
})

test('what an exchange brings is kept whatever its kind, and nothing at all is never taken for a refusal', async () => {
  const { credentials } = vault()
  const token = { access_token: 'a', refresh_token: 'b', data: 'c' }
  const body = Buffer.from('from a response')
  for (const [index, [made, text]] of [
    [token, JSON.stringify(token)],
    [new Uint8Array(body).buffer, 'from a response'],
    [await fromResponse(new Response(body, { headers: { etag: '"v1"' } })), 'from a response'],
  ].entries()) {
    const stored = await credentials.rotate(`kind/${index}`, { exchange: () => /** @type {any} */ (made) })
    assert.equal(stored.text, text)
  }
  assert.deepEqual((await credentials.current('kind/0'))?.json(), token)
  for (const [index, odd] of [
    undefined,
    null,
    7,
    '',
    { data: Buffer.alloc(0) },
    { unchanged: true },
  ].entries()) {
    const error = await failing(
      credentials.rotate(`odd/${index}`, { exchange: () => /** @type {any} */ (odd) }),
    )
    assert.equal(error.code, 'FOREBAY_E_AMBIGUOUS', inspect(odd))
    assert.match(error.cause.message, /brought no credential/)
  }
})

test('a definite failure is thrown as it is, cools down, and may be tried again', async () => {
  const { credentials, advance, now } = vault()
  const seen = await credentials.reset('oauth', 'token-one')
  for (const thrown of [
    new ForebayError('FOREBAY_E_RATE_LIMITED', 'slow down', { retryAfter: 60_000 }),
    new NotSent('no network', { retryAfter: 60_000 }),
    new NotSent(new TypeError('no network'), { retryAfter: 60_000 }),
    new NotSent(new ForebayError('FOREBAY_E_UNAVAILABLE', 'later', { retryAfter: 60_000 })),
  ]) {
    const exchange = () => {
      throw thrown
    }
    assert.equal(await failing(credentials.rotate('oauth', { seen, exchange })), thrown)
    const held = await failing(credentials.rotate('oauth', { seen, exchange: never }))
    assert.deepEqual(held.retryAt, new Date(now() + 60_000), held.message)
    const { phase, ambiguousSince, retryAt, version } = await credentials.state('oauth')
    assert.deepEqual([phase, ambiguousSince, retryAt], ['cooling', undefined, new Date(now() + 60_000)])
    assert.equal(version, seen, 'the credential is as it was')
    advance(60_001)
  }
  const again = await credentials.rotate('oauth', { seen, exchange: () => 'token-two' })
  assert.deepEqual([again.text, again.how], ['token-two', 'ran'])
})

test('NotSent carries what it wraps', () => {
  const cause = new ForebayError('FOREBAY_E_UNAVAILABLE', 'later', { retryAfter: 5 })
  const wrapped = new NotSent(cause)
  assert.ok(wrapped instanceof ForebayError && wrapped instanceof Error)
  assert.deepEqual([wrapped.code, wrapped.message, wrapped.retryAfter], [cause.code, 'later', 5])
  assert.deepEqual([wrapped.cause, wrapped.name], [cause, 'NotSent'])
  const text = new NotSent('a text', { retryAfter: 7 })
  assert.deepEqual([text.message, text.retryAfter, 'cause' in text], ['a text', 7, false])
})

test('any other failure is ambiguous for everybody, until a reset', async () => {
  const { credentials, state, advance, now, testClock } = vault()
  const seen = await credentials.reset('oauth', 'token-one')
  const broken = new TypeError('fetch failed')
  const error = await failing(credentials.rotate('oauth', { seen, exchange: () => Promise.reject(broken) }))
  assert.ok(error instanceof ForebayError)
  assert.deepEqual([error.code, error.cause], ['FOREBAY_E_AMBIGUOUS', broken])
  const since = new Date(now())
  advance(86_400_000)
  const other = new Credentials({ state, testClock })
  const theirs = await failing(other.rotate('oauth', { seen, exchange: never }))
  assert.equal(theirs.code, 'FOREBAY_E_AMBIGUOUS')
  const { ambiguousSince, lastError } = await other.state('oauth')
  assert.deepEqual(ambiguousSince, since)
  assert.match(lastError?.message ?? '', /fetch failed/)
  const fresh = await other.reset('oauth', Buffer.from('a new login'))
  assert.equal((await credentials.state('oauth')).ambiguousSince, undefined)
  const next = await credentials.rotate('oauth', {
    seen: fresh,
    exchange: ({ previous }) => `after ${previous}`,
  })
  assert.equal(next.text, 'after a new login')
  assert.equal(await credentials.reset('oauth'), undefined)
  assert.equal(await credentials.current('oauth'), undefined)
  const gone = await failing(credentials.rotate('oauth', { seen: next, exchange: never }))
  assert.equal(gone.code, 'FOREBAY_E_NOT_FOUND')
})

test('a hundred callers exchange once; who leaves is let go, and the exchange is brought to its end', async () => {
  const { credentials } = vault()
  const seen = await credentials.reset('oauth', 'token-one')
  const [entered, gate] = [signalled(), signalled()]
  const leaver = new AbortController()
  const running = credentials.rotate('oauth', {
    seen,
    signal: leaver.signal,
    exchange: async ({ signal }) => {
      entered.resolve()
      await gate.promise
      assert.equal(signal.aborted, false)
      return 'token-two'
    },
  })
  const gone = failing(running)
  await entered.promise
  const waiting = Array.from({ length: 99 }, () => credentials.rotate('oauth', { seen, exchange: never }))
  const { phase } = await credentials.state('oauth')
  assert.equal(phase, 'running')
  leaver.abort()
  assert.equal((await deadline(gone)).code, 'FOREBAY_E_CANCELLED')
  gate.resolve()
  const got = await deadline(Promise.all(waiting))
  assert.deepEqual(new Set(got.map(({ text, how }) => `${text} ${how}`)), new Set(['token-two coalesced']))
  const aborted = credentials.rotate('oauth', { seen, exchange: never, signal: AbortSignal.abort() })
  assert.equal((await failing(aborted)).code, 'FOREBAY_E_CANCELLED')
})

test('an exchange is told of its deadline, and what it brings after that is not thrown away', async () => {
  const { credentials, advance } = vault({ deadline: '10s' })
  const [entered, aborted] = [signalled(), signalled()]
  const call = credentials.rotate('late', {
    exchange: async ({ signal }) => {
      signal.addEventListener('abort', () => aborted.resolve(signal.reason))
      entered.resolve()
      const reason = /** @type {any} */ (await aborted.promise)
      assert.equal(reason.code, 'FOREBAY_E_TIMED_OUT')
      return 'the only copy'
    },
  })
  await entered.promise
  advance(10_001)
  assert.equal((await deadline(call)).text, 'the only copy')
})

test('a login during an exchange wins, and the exchange’s caller is told that it has the only copy', async () => {
  const { credentials } = vault()
  const seen = await credentials.reset('oauth', 'token-one')
  const aborted = signalled()
  const only = await deadline(
    credentials.rotate('oauth', {
      seen,
      exchange: async job => {
        job.signal.addEventListener('abort', () => aborted.resolve(job.signal.reason))
        await credentials.reset('oauth', 'a new login')
        const reason = /** @type {any} */ (await aborted.promise)
        assert.deepEqual([reason.code, job.cancelled], ['FOREBAY_E_CANCELLED', true])
        return 'token-two'
      },
    }),
  )
  assert.deepEqual([only.text, only.how], ['token-two', 'uncoordinated'])
  assert.ok(only.error instanceof ForebayError)
  assert.equal((await credentials.current('oauth'))?.text, 'a new login')
})

test('nothing shows a secret: no inspection, no JSON, no error, no file but its own', async () => {
  const { credentials, state } = vault()
  const secret = JSON.stringify({ refresh_token: 'very-secret-token' })
  const seen = await credentials.reset('oauth', secret)
  const jobs = []
  const error = await failing(
    credentials.rotate('oauth', {
      seen,
      exchange: job => {
        jobs.push(inspect(job, { depth: 9, showHidden: true }), JSON.stringify(job), `${job}`)
        throw new Error(`bad token: very-secret-token of ${secret}`)
      },
    }),
  )
  const { lastError } = await credentials.state('oauth')
  const current = await credentials.current('oauth')
  assert.equal(current?.text, secret)
  const shown = [
    ...jobs,
    error.message,
    lastError?.message,
    inspect(lastError),
    inspect(current, { depth: 9, showHidden: true }),
    JSON.stringify({ current }),
    `${current}`,
    inspect(credentials, { depth: 9, showHidden: true }),
  ]
  for (const text of shown) assert.doesNotMatch(text ?? '', /very-secret/)
  assert.match(error.message + lastError?.message, /\[credential\]/)
  assert.match(JSON.stringify(current), /"\[credential\]"/)
  for (const name of readdirSync(state, { recursive: true, encoding: 'utf8' })) {
    const file = join(state, name)
    if (!statSync(file).isFile() || name === join('credentials', 'oauth.json')) continue
    assert.doesNotMatch(readFileSync(file, 'latin1'), /very-secret/, name)
  }
  await credentials.reset('oauth', 'not JSON: very-secret')
  const plain = await credentials.current('oauth')
  assert.throws(
    () => plain?.json(),
    ({ code, message, cause }) => {
      assert.deepEqual([code, /very-secret/.test(message), cause], ['FOREBAY_E_INVALID', false, undefined])
      return true
    },
  )
  const list = /** @type {any} */ (['very-secret'])
  for (const call of [
    credentials.reset('oauth', list),
    credentials.rotate('oauth', { seen: list, exchange: never }),
  ]) {
    const { code, message } = await failing(call)
    assert.deepEqual([code, /very-secret/.test(message)], ['FOREBAY_E_INVALID', false])
  }
})

test('wrong arguments are errors that say what to give', async () => {
  const { credentials } = vault()
  for (const options of [
    undefined,
    {},
    { exchange: 7 },
    { exchange: never, seen: 7 },
    { exchange: never, seen: 'x y' },
  ]) {
    const error = await failing(credentials.rotate('oauth', /** @type {any} */ (options)))
    assert.equal(error.code, 'FOREBAY_E_INVALID', inspect(options))
  }
  for (const key of [undefined, 7, '', 'a/', '/a']) {
    const odd = /** @type {any} */ (key)
    for (const call of [
      () => credentials.rotate(odd, { exchange: never }),
      () => credentials.current(odd),
      () => credentials.reset(odd, 'x'),
      () => credentials.state(odd),
      () => rotate(odd, { exchange: never, state: credentials.root }),
    ]) {
      assert.equal((await failing(call())).code, 'FOREBAY_E_INVALID', String(key))
    }
  }
  assert.throws(() => new Credentials({ deadline: 0 }), { code: 'FOREBAY_E_INVALID' })
  assert.throws(() => new Credentials(/** @type {any} */ ({ state: 7 })), { code: 'FOREBAY_E_INVALID' })
})

test('rotate and rotateReset use the state folder that is named, or FOREBAY_STATE', async () => {
  const state = join(folder(), 'state')
  const version = await rotateReset('github/oauth', 'token-one', { state })
  const token = await rotate('github/oauth', { seen: version, exchange: () => 'token-two', state })
  assert.equal(token.how, 'ran')
  assert.equal(readFileSync(join(state, 'github/oauth.json'), 'utf8'), 'token-two')
  const text = `
    import { Credentials, rotate } from 'forebay'
    const seen = ${JSON.stringify(version)}
    const token = await rotate('github/oauth', { seen, exchange: () => { throw new Error('no') } })
    console.log(token.text, token.how, new Credentials().root)
  `
  const { stdout, stderr } = await program(text, { env: { FOREBAY_STATE: state } })
  assert.deepEqual([stdout, stderr], [`token-two coalesced ${state}\n`, ''])
  assert.equal(await rotateReset('github/oauth', undefined, { state }), undefined)
})
