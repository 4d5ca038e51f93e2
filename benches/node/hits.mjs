// Warm hits in Node: forebay by key and by handle against lru-cache, better-sqlite3, keyv with sqlite, and cacache.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import KeyvSqlite from '@keyv/sqlite'
import Sqlite from 'better-sqlite3'
import cacache from 'cacache'
import Keyv from 'keyv'
import { LRUCache } from 'lru-cache'
import { Contest, generator, shuffle } from './series.mjs'

const { Cache } = createRequire(import.meta.url)('../../bindings/node')

const TTL = 24 * 3600 * 1000

const { values: options } = parseArgs({
  options: { root: { type: 'string' }, rounds: { type: 'string' }, batch: { type: 'string' } },
})
const folder = join(options.root, 'plain', 'bench')
const names = readdirSync(folder).sort()
const keys = names.map(name => `bench/${name.slice(0, -'.json'.length)}`)
const wanted = names.map(name => readFileSync(join(folder, name)))
const order = shuffle(
  keys.map((_, at) => at),
  generator(7),
)
const contest = new Contest('node', Number(options.rounds ?? 15), Number(options.batch ?? 4))

// Every contestant must serve the right bytes for every key before it is timed; within a batch their lengths are
// summed, so that no call is optimised away.
async function contestant(name, get) {
  for (let at = 0; at < keys.length; at++) {
    const got = await get(keys[at])
    if (!wanted[at].equals(Buffer.from(got))) throw new Error(`${name} served a wrong value for ${keys[at]}`)
  }
  return got => {
    if (got !== 0) throw new Error(`${name} served values of a wrong length`)
  }
}

async function addSync(name, get) {
  const verify = await contestant(name, get)
  contest.add(name, batch => {
    let difference = 0
    for (let at = 0; at < batch.length; at++) {
      const which = batch[at]
      difference |= get(keys[which]).length ^ wanted[which].length
    }
    verify(difference)
  })
}

async function addAsync(name, get) {
  const verify = await contestant(name, get)
  contest.add(name, async batch => {
    let difference = 0
    for (let at = 0; at < batch.length; at++) {
      const which = batch[at]
      difference |= (await get(keys[which])).length ^ wanted[which].length
    }
    verify(difference)
  })
}

const peers = join(options.root, 'node-peers')
mkdirSync(peers, { recursive: true })

const cache = new Cache({ root: join(options.root, 'cache') })
const readers = cache.readers({ ttl: TTL })
await addSync('by key', key => readers.get(key).data)

const lru = new LRUCache({ max: 10_000, ttl: TTL })
for (const [at, key] of keys.entries()) lru.set(key, wanted[at])
await addSync('lru-cache with ttl', key => lru.get(key))

const database = new Sqlite(join(peers, 'better.sqlite'))
database.pragma('journal_mode = WAL')
database.exec('CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, value BLOB, expires INTEGER) WITHOUT ROWID')
const put = database.prepare('INSERT OR REPLACE INTO cache VALUES (?, ?, ?)')
database.transaction(() => {
  for (const [at, key] of keys.entries()) put.run(key, wanted[at], Date.now() + TTL)
})()
const get = database.prepare('SELECT value FROM cache WHERE key = ? AND expires > ?')
await addSync('better-sqlite3', key => get.get(key, Date.now()).value)

const keyv = new Keyv({ store: new KeyvSqlite(`sqlite://${join(peers, 'keyv.sqlite')}`), ttl: TTL })
for (const [at, key] of keys.entries()) await keyv.set(key, wanted[at])
await addAsync('keyv + sqlite', key => keyv.get(key))

const blobs = join(peers, 'cacache')
for (const [at, key] of keys.entries()) await cacache.put(blobs, key, wanted[at])
await addAsync('cacache', async key => (await cacache.get(blobs, key)).data)

await contest.run(order)
await keyv.disconnect()
database.close()
cache.close()
