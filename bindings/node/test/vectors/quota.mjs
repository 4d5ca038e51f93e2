// The ops on quotas and credentials, and their callees: the functions that a step says what they do. Each op takes
// its fields first, as those of ops.mjs, and gives the call that it stands for.
import assert from 'node:assert/strict'
import { fromResponse, NotSent, unchanged } from 'forebay'
import { commit, error, run } from './ops.mjs'
import { bytes, Fields, hex } from './stage.mjs'

const CALLEES = ['credentials', 'fetch', 'fallback']

/** What the callees of one call did: which were called, what they threw and were given, and a step of theirs that failed. */
const nothing = () => ({ called: [], thrown: {}, given: {}, failed: undefined })

function callee(name, stage, spec, place, seen) {
  const fields = new Fields(spec)
  const [during, hold] = [fields.take('during') ?? [], fields.take('hold')]
  const end = ending(name, fields, seen)
  fields.finish()
  return async job => {
    assert.ok(!seen.called.includes(name), `${name} is called again`)
    seen.called.push(name)
    if (name === 'fetch') {
      seen.given = {
        credential: hex(Buffer.from(job.credential ?? '')),
        previous: hex(job.previousRaw),
        validator: job.validator ?? null,
        remaining_ms: Math.trunc(job.remaining),
      }
    } else if (name === 'exchange') {
      seen.given = { previous: hex(job.previous), remaining_ms: Math.trunc(job.remaining) }
    }
    await run(stage, during, `${place}.during.`).catch(failed => {
      seen.failed = failed
    })
    if (hold !== undefined) {
      stage.hold(hold).enter()
      await stage.hold(hold).released
    }
    return end()
  }
}

function ending(name, fields, seen) {
  const throwing = thrown => () => {
    seen.thrown[name] = thrown
    throw thrown
  }
  const [fails, throws] = [fields.take('fails'), fields.take('throws')]
  if (fails !== undefined) return throwing(failure(name, fails))
  if (throws !== undefined) return throwing(new TypeError(throws))
  if (name !== 'fetch') {
    const returns = fields.need('returns')
    return () => (returns === null ? undefined : bytes(returns))
  }
  const [status, after] = [fields.take('status'), fields.take('retry_after')]
  if (status !== undefined) {
    const headers = after === undefined ? {} : { 'retry-after': after }
    return () => fromResponse(new Response(null, { status, headers })).catch(thrown => throwing(thrown)())
  }
  const [returns, same, options] = [fields.take('returns'), fields.take('unchanged'), commit(fields)]
  assert.ok(returns !== undefined || same, 'a fetch has to say what it does')
  return () => (same ? { ...unchanged, ...options } : { data: bytes(returns), ...options })
}

function failure(name, { not_sent, ...spec }) {
  assert.ok(not_sent === undefined || name === 'exchange', 'only an exchange knows whether it was sent')
  const own = error(/** @type {any} */ (spec))
  return not_sent ? new NotSent(own) : own
}

function quota(stage, fields, cache) {
  for (const [name, value] of Object.entries(stage.quotaDefaults)) fields.left[name] ??= value
  const [name, backoff] = [fields.take('name'), fields.take('backoff_ms')]
  const options = {
    identity: fields.take('identity'),
    ttl: fields.take('ttl_ms'),
    errorTtl: fields.take('error_ttl_ms'),
    rateLimited: fields.take('rate_limited_ms'),
    unauthorized: fields.take('unauthorized_ms'),
    timeout: fields.take('timeout_ms'),
    maxStale: fields.take('max_stale_ms'),
    backoff: backoff && { floor: backoff[0], cap: backoff[1] },
    wait: fields.take('wait_ms'),
  }
  const from = stage.named('caches', cache)
  // When the step runs: a bad name or option is that step's failure.
  return () => from.quota(name, options)
}

/** What became of a call with callees, whose errors have to be the ones that it threw. */
async function outcome(stage, seen, call, own) {
  let found
  try {
    found = await call()
  } catch (thrown) {
    const mine = own(seen.thrown)
    // An exchange may have spent its credential: then that is said, and the host's error is the cause.
    if (mine !== undefined && codeOf(thrown) !== 'FOREBAY_E_AMBIGUOUS') assert.equal(thrown, mine)
    else if (mine !== undefined) assert.equal(thrown.cause, mine)
    found = stage.ofError(thrown)
  }
  if (seen.failed) throw seen.failed
  return { ...found, ...seen.given }
}
const codeOf = thrown => thrown?.code

export const quotas = {
  quota_resolve(stage, fields, cache, place) {
    const [of, seen] = [quota(stage, fields, cache), nothing()]
    const callees = {}
    for (const name of CALLEES) {
      const spec = name === 'fetch' ? fields.need(name) : fields.take(name)
      if (spec !== undefined) callees[name] = callee(name, stage, spec, place, seen)
    }
    const call = async () => stage.ofAnswer(await of().resolve(callees))
    return async () => {
      const found = await outcome(stage, seen, call, ({ credentials, fetch }) => credentials ?? fetch)
      return { ...found, called: CALLEES.filter(name => seen.called.includes(name)) }
    }
  },
  quota_read(stage, fields, cache) {
    const of = quota(stage, fields, cache)
    return async () => stage.ofQuota(await of().read())
  },
  quota_block(stage, fields, cache) {
    const of = quota(stage, fields, cache)
    const [wait, text, message] = [fields.need('for_ms'), fields.need('code'), fields.need('message')]
    const code = /** @type {any} */ (`FOREBAY_E_${text.toUpperCase()}`)
    return async () => ({ retry_in_ms: stage.until(await of().block(wait, { code, message })) })
  },
  quota_clear(stage, fields, cache) {
    const of = quota(stage, fields, cache)
    return async () => ({ cleared: await of().clear() })
  },
  quotas: (stage, _, cache) => async () => {
    const rows = await stage.named('caches', cache).quotas()
    return { keys: rows.map(({ key }) => key) }
  },
}

const onKey = act => (stage, fields, _cache, place) => {
  const [name, key] = [fields.take('creds') ?? 'a', fields.need('key')]
  return act(() => stage.creds(name), key, fields, stage, place)
}

export const credentials = {
  rotate: onKey((of, key, fields, stage, place) => {
    const [seen, since] = [nothing(), fields.take('seen')]
    const exchange = callee('exchange', stage, fields.need('exchange'), place, seen)
    const call = async () => {
      const version = since === undefined ? undefined : stage.named('saved', since)
      return stage.ofCredential(await of().rotate(key, { seen: version, exchange }))
    }
    return async () => {
      const found = await outcome(stage, seen, call, thrown => thrown.exchange)
      return { ...found, ran: seen.called.length > 0 }
    }
  }),
  rotate_current: onKey((of, key, _, stage) => async () => stage.ofCredential(await of().current(key))),
  rotate_reset: onKey((of, key, fields) => {
    const data = fields.take('data')
    return async () => ({ version: await of().reset(key, data === undefined ? undefined : bytes(data)) })
  }),
  rotate_state: onKey((of, key, _, stage) => async () => stage.ofRotation(await of().state(key))),
}
