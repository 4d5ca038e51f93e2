// The example of the README, against a server of its own so that it can be run as a test.

import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

process.env.FOREBAY_ROOT ??= mkdtempSync(join(tmpdir(), 'forebay-'))
const server = createServer((_, response) => response.setHeader('etag', '"v1"').end('["one","two"]'))
await new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(undefined)))
const URL = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/models`

// --- README
import { Cache, fromResponse } from 'forebay'

const cache = new Cache() // FOREBAY_ROOT, else the user's cache folder
const models = cache.source('api/models', { ttl: '1h', maxStale: '7d', deadline: '10s' })
const load = async job =>
  fromResponse(await fetch(URL, { signal: job.signal, headers: job.conditionalHeaders }))

const { data, state, age } = models.read() // never waits: what is there
const value = await models.get(load) // fresh: fetched by one process, for all
const soon = await models.get(load, { wait: 300 }) // fresh; after 0.3 s stale, while the refresh goes on
console.log(value.json(), value.how, soon.how)
// ---

console.log(data, state, age)
server.closeAllConnections()
server.close()
