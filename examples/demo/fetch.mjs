// The demo's Node program: one read, or one get, of the model list.
//
// It shows what a command-line tool does with a slow source, and prints what it got as one line of name=value
// pairs, like its four sisters in other languages. Usage: fetch.mjs get|read URL
import { Cache, fromResponse } from 'forebay'

const [mode, url] = process.argv.slice(2)
console.log('asking')
const began = performance.now()
const models = new Cache().source('api/models', { ttl: '1h', maxStale: '7d', deadline: '20s' })

async function fetchModels(job) {
  const headers = { 'User-Agent': 'node', ...job.conditionalHeaders }
  return fromResponse(await fetch(url, { headers, signal: job.signal }))
}

const value = mode === 'get' ? await models.get(fetchModels) : models.read()
const micros = (performance.now() - began) * 1000
console.log(
  `how=${value.how ?? '-'} state=${value.state} age_ms=${Math.round(value.age ?? 0)} ` +
    `bytes=${value.data?.length ?? 0} us=${Math.round(micros)} error=${value.error?.code ?? '-'}`,
)
