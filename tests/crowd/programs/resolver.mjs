// The Node member of the crowd; README.md in tests/crowd has what it is asked and answers. FOREBAY_MODULE names the
// package.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { Cache, Credentials, ForebayError, fromResponse } = createRequire(import.meta.url)(
  process.env.FOREBAY_MODULE,
)
const [root, state, testClock, port] = process.argv.slice(2)
const cache = new Cache({ root, testClock })
const credentials = new Credentials({ state, testClock, deadline: 60_000 })
const code = error => error && (error.code?.replace('FOREBAY_E_', '').toLowerCase() ?? error.name)

async function answered(path, options, patience) {
  try {
    const signal = AbortSignal.timeout(Number(patience))
    return await fromResponse(await fetch(`http://127.0.0.1:${port}/${path}`, { ...options, signal }))
  } catch (error) {
    if (error.name === 'TimeoutError')
      throw new ForebayError('FOREBAY_E_TIMED_OUT', 'the server does not answer')
    throw error
  }
}

async function resolve(name, credential, patience, fallback) {
  let called = ''
  const quota = cache.quota(name, { timeout: 60_000 })
  const source = {
    async credentials() {
      called += 'c'
      if (credential === '-') throw new ForebayError('FOREBAY_E_NO_CREDENTIALS', 'signed out')
      return credential
    },
    fetch(job) {
      called += 'f'
      const headers = { authorization: `Bearer ${job.credential}`, 'user-agent': 'node' }
      return answered(name, { headers }, patience)
    },
    fallback() {
      called += 'b'
      return fallback === '-' ? undefined : { data: JSON.parse(fallback) }
    },
  }
  try {
    const { how, state, data, age, retryAt, error } = await quota.resolve(source)
    const retry = retryAt?.getTime() ?? null
    return {
      how,
      state,
      data,
      age_ms: Math.round(age),
      retry_at_ms: retry,
      error: code(error) ?? null,
      called,
    }
  } catch (error) {
    const none = { how: null, state: null, data: null, age_ms: null }
    return { ...none, retry_at_ms: error.retryAt?.getTime() ?? null, error: code(error), called }
  }
}

async function rotate(key, seen, patience) {
  let called = ''
  const exchange = ({ previous }) => {
    called += 'x'
    const token = previous && JSON.parse(previous).refresh_token
    const body = token ? `refresh_token=${token}` : ''
    return answered(token ? 'token' : 'login', { method: 'POST', body }, patience)
  }
  try {
    const credential = await credentials.rotate(key, { seen: seen === '-' ? undefined : seen, exchange })
    return { how: credential.how, version: credential.version, data: credential.json(), error: null, called }
  } catch (error) {
    return { how: null, version: null, data: null, error: code(error), called }
  }
}

const verbs = { resolve, rotate }
const write = answer => process.stdout.write(`${JSON.stringify(answer)}\n`)
write({ language: 'node' })
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...words] = line.split(' ')
  write(await verbs[verb](...words))
}
