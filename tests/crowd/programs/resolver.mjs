// The Node member of the crowd; README.md in tests/crowd has what it is asked and answers. FOREBAY_MODULE names the
// package.

import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const { Cache, ForebayError, fromResponse } = createRequire(import.meta.url)(process.env.FOREBAY_MODULE)
const [root, testClock, port] = process.argv.slice(2)
const cache = new Cache({ root, testClock })
const code = error => error && (error.code?.replace('FOREBAY_E_', '').toLowerCase() ?? error.name)

async function answered(url, headers, patience) {
  try {
    return await fromResponse(await fetch(url, { headers, signal: AbortSignal.timeout(patience) }))
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
      return answered(`http://127.0.0.1:${port}/${name}`, headers, Number(patience))
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

const write = answer => process.stdout.write(`${JSON.stringify(answer)}\n`)
write({ language: 'node' })
for await (const line of createInterface({ input: process.stdin })) {
  write(await resolve(...line.split(' ')))
}
