// A server that limits how often it is asked, and a refresh token that it takes once: against a server of its own, so
// that it can be run as a test.

import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

process.env.FOREBAY_ROOT ??= mkdtempSync(join(tmpdir(), 'forebay-'))
process.env.FOREBAY_STATE ??= mkdtempSync(join(tmpdir(), 'forebay-'))
let served = 0
const server = createServer((request, response) => {
  if (request.url === '/token') response.end(`token ${++served}`)
  else if (served === 1) response.end('{"used":7}')
  else response.writeHead(429, { 'retry-after': '600' }).end()
})
await new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(undefined)))
const URL = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`

// --- README
import { Cache, fromResponse, rotate } from 'forebay'

const usage = new Cache().quota('usage', { identity: 'me@example.org', ttl: '3m' })
const exchange = async ({ previous }) =>
  fromResponse(await fetch(`${URL}/token`, { method: 'POST', body: previous })) // one process, once
let token = await rotate('example', { exchange }) // the stored one; exchanged only if there is none

const show = () =>
  usage.resolve({
    credentials: () => token.text, // only if the server is asked
    fetch: async ({ credential, signal, conditionalHeaders }) =>
      fromResponse(
        await fetch(URL, {
          signal, // aborts after 2 s
          headers: { ...conditionalHeaders, authorization: `Bearer ${credential}` },
        }),
      ),
    fallback: () => ({ data: { used: 'unknown' } }), // only if there is nothing else to show
  })

const first = await show()
token = await rotate('example', { seen: token, exchange }) // or what another process got meanwhile
await usage.clear()
const { data, how, error, retryAt } = await show() // a 429: nobody, in any process, asks before retryAt
// ---

console.log(first.data, first.how, token.how, token.text)
console.log(data, how, error?.code, Math.round((Number(retryAt) - Date.now()) / 60_000))
server.closeAllConnections()
server.close()
