// The Node side of the matrix in tests/interop, whose README has the protocol. FOREBAY_MODULE names the package.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { Cache, ForebayError } = createRequire(import.meta.url)(process.env.FOREBAY_MODULE)
const cache = new Cache({ root: process.argv[2] })
let ticket

const opt = value => value ?? undefined
const data = request => Buffer.from(request.hex, 'hex')
const hex = bytes => bytes?.toString('hex') ?? null
const code = error => error?.code.replace('FOREBAY_E_', '').toLowerCase() ?? null
const source = request => cache.source(request.key, { ttl: opt(request.ttl_ms), deadline: opt(request.deadline_ms) })

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
