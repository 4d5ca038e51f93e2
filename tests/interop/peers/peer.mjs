// The Node side of the matrix in tests/interop, whose README has the protocol. FOREBAY_MODULE names the package.

import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

const { Cache, Credentials, ForebayError, fromResponse, liveKey } = createRequire(import.meta.url)(process.env.FOREBAY_MODULE)
const cache = new Cache({ root: process.argv[2] })
const credentials = new Credentials({ state: join(dirname(process.argv[2]), 'state') })
let ticket
let opened
const live = () => (opened ??= cache.live({ workspace: join(dirname(process.argv[2]), 'work') }))

const opt = value => value ?? undefined
const data = request => Buffer.from(request.hex, 'hex')
const hex = bytes => bytes?.toString('hex') ?? null
const code = error => error?.code.replace('FOREBAY_E_', '').toLowerCase() ?? null
const source = request => cache.source(request.key, { ttl: opt(request.ttl_ms), deadline: opt(request.deadline_ms) })

const quota = ({ name, identity }) => cache.quota(name, { identity: opt(identity) })
const failure = ({ code, message }) => new ForebayError(`FOREBAY_E_${code.toUpperCase()}`, message)

const text = input => input && `${input.kind}:${input.name}`
const derived = ({ data, how, kind, inputs, upstream, error }) => ({
  hex: hex(data), how, kind, inputs: inputs.map(text), upstreams: upstream, error: code(error),
})

function held() {
  if (!ticket) throw new ForebayError('FOREBAY_E_INVALID', 'this peer holds no ticket')
  return ticket
}

const ops = {
  async put(request) {
    return { version: (await source(request).put(data(request), { validator: opt(request.validator) })).version }
  },
  async read(request) {
    const { data, state, phase, validator, version, error } = source(request).read()
    return { hex: hex(data), state, phase: phase ?? null, validator: validator ?? null, version, error: code(error) }
  },
  async acquire(request) {
    const got = await source(request).acquire()
    if (got.outcome === 'ticket') ticket = got.ticket
    return { outcome: got.outcome }
  },
  async complete(request) {
    return { version: (await held().complete(data(request), { validator: opt(request.validator) })).version }
  },
  async fail({ code, message, retry_after_ms: retryAfter }) {
    await held().fail(new ForebayError(`FOREBAY_E_${code.toUpperCase()}`, message, { retryAfter: opt(retryAfter) }))
    return {}
  },
  async state(request) {
    const { phase, lastError, attempts, declared, retryAt, holder } = await source(request).refreshState()
    const message = lastError?.message ?? null
    return { phase, error: code(lastError), message, attempts, declared, retry_at_ms: retryAt?.getTime() ?? null, holder: holder ?? null }
  },
  async get(request) {
    const { data: bytes, how } = await source(request).get(() => data(request))
    return { hex: hex(bytes), how }
  },
  async mark_stale(request) {
    await source(request).markStale()
    return {}
  },
  async remove(request) {
    return { removed: await source(request).remove() }
  },
  async list() {
    return { keys: (await cache.list()).map(one => one.key) }
  },
  async quota_resolve(request) {
    const { json, status, retry_after: after, credential } = request
    const headers = after === null ? {} : { 'retry-after': after }
    const fetch = () => (json === null ? fromResponse(new Response('', { status, headers })) : Buffer.from(json))
    const given = credential === null ? {} : { credentials: () => credential }
    const { raw, how, error, retryAt } = await quota(request).resolve({ fetch, fallback: () => undefined, ...given })
    return { json: raw, how, error: code(error), retry_at_ms: retryAt?.getTime() ?? null }
  },
  async quota_read(request) {
    const { answer, blocked } = await quota(request).read()
    return {
      json: answer?.raw ?? null, state: answer?.state ?? null, cached_at_ms: answer?.cachedAt?.getTime() ?? null,
      blocked_until_ms: blocked?.until.getTime() ?? null, error: code(blocked?.code && blocked),
      message: blocked?.message ?? null, declared: blocked?.declared ?? null, attempts: blocked?.attempts ?? null,
    }
  },
  async quota_block(request) {
    const { code, message } = failure(request)
    return { until_ms: (await quota(request).block(request.for_ms, { code, message })).getTime() }
  },
  async quota_clear(request) {
    return { cleared: await quota(request).clear() }
  },
  async quotas() {
    return { keys: (await cache.quotas()).map(one => one.key) }
  },
  async rotate(request) {
    let given
    const exchange = ({ previous }) => {
      given = previous
      if (request.hex === null) throw failure(request)
      return data(request)
    }
    const { data: bytes, how, version } = await credentials.rotate(request.key, { seen: opt(request.seen), exchange })
    return { hex: hex(bytes), how, version, previous: hex(given) }
  },
  async rotate_current({ key }) {
    const got = await credentials.current(key)
    return { hex: hex(got?.data), version: got?.version ?? null }
  },
  async rotate_reset(request) {
    return { version: (await credentials.reset(request.key, request.hex === null ? undefined : data(request))) ?? null }
  },
  async rotate_state({ key }) {
    const { phase, ambiguousSince, lastError, version } = await credentials.state(key)
    return { phase, ambiguous_since_ms: ambiguousSince?.getTime() ?? null, error: code(lastError), version: version ?? null }
  },
  async live_key({ of }) {
    return { key: liveKey(of) }
  },
  async live_get(request) {
    const { key, inputs, upstreams: upstream, kind } = request
    return derived(await live().getOrCompute(key, { inputs, upstream, kind }, () => data(request)))
  },
  async live_lookup({ key, revalidate }) {
    const { outcome, derived: found } = await live().lookup(key, { revalidate })
    return { outcome, ...(found && derived(found)) }
  },
  async live_why({ key }) {
    const { holds, input, upstream } = await live().why(key)
    return { holds, input: text(input) ?? null, upstream: upstream ?? null }
  },
  async live_tag({ name }) {
    return { removed: await live().invalidateTag(name) }
  },
}

async function answer(request) {
  try {
    return await ops[request.op](request)
  } catch (error) {
    if (!(error instanceof ForebayError)) throw error
    return { error: code(error), message: error.message }
  }
}

const write = answer => process.stdout.write(`${JSON.stringify(answer)}\n`)
write({ language: 'node' })
for await (const line of createInterface({ input: process.stdin })) {
  write(await answer(JSON.parse(line)))
}
