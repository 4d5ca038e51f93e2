// Several processes and worker threads on one directory.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire, Module } from 'node:module'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Cache, ForebayError } from 'forebay'
import { deadline, folder, program, signalled, until } from './helpers.mjs'

const require = createRequire(import.meta.url)
const { binding } = require('../dist/native.js')

/** A process that takes the lease of `key`, says so, and waits to be told how to end it. */
function holder(root, key) {
  const text = `
    import { Cache } from 'forebay'
    import { createRequire, Module } from 'node:module'
import { createInterface } from 'node:readline'
    const source = new Cache({ root: ${JSON.stringify(root)} }).source(${JSON.stringify(key)}, { ttl: '1h' })
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
    const outcome = source.refresh(async () => {
      console.log('running')
      const { value } = await lines.next()
      if (value === 'fail') throw new Error('failed over there')
      return value
    })
    await outcome.catch(() => {})
    process.exit(0)
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    cwd: new URL('.', import.meta.url),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return deadline(lines.next()).then(({ value }) => {
    assert.equal(value, 'running')
    return child
  })
}

test('eight processes on a cold source fetch once', async () => {
  const root = folder()
  let requests = 0
  const [first, gate] = [signalled(), signalled()]
  const server = createServer(async (_, response) => {
    requests += 1
    first.resolve()
    await gate.promise
    response.setHeader('etag', '"v1"').end('the models')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}/`
  const text = `
    import { Cache, fromResponse } from 'forebay'
    const source = new Cache({ root: ${JSON.stringify(root)} }).source('api/models', { ttl: '1h' })
    const value = await source.get(async job =>
      fromResponse(await fetch(${JSON.stringify(url)}, { signal: job.signal, headers: job.conditionalHeaders })))
    console.log(JSON.stringify([value.text(), value.how, value.validator]))
  `
  const programs = Array.from({ length: 8 }, () => program(text))
  await deadline(first.promise)
  gate.resolve()
  const outcomes = await Promise.all(programs)
  server.closeAllConnections()
  server.close()
  const found = outcomes.map(({ code, stdout, stderr }) => {
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  })
  assert.equal(requests, 1)
  for (const [text, , validator] of found) assert.deepEqual([text, validator], ['the models', '"v1"'])
  assert.equal(found.filter(([, how]) => how === 'ran').length, 1)
})

test('a waiter gets what another process made, or why it failed', async () => {
  const root = folder()
  const cache = new Cache({ root })
  for (const [key, line] of [
    ['api/made', 'theirs'],
    ['api/failed', 'fail'],
  ]) {
    const source = cache.source(key, { ttl: '1h' })
    const child = await holder(root, key)
    assert.equal(await source.maybeRefresh(() => assert.fail('it is in flight')), 'in_flight')
    const outcome = source
      .refresh(() => assert.fail('it is in flight'))
      .then(
        value => [value.text(), value.how],
        error => error,
      )
    child.stdin.write(`${line}\n`)
    const found = await deadline(outcome)
    if (line === 'theirs') assert.deepEqual(found, ['theirs', 'coalesced'])
    else {
      assert.ok(found instanceof ForebayError)
      assert.equal(found.code, 'FOREBAY_E_REFRESH_FAILED')
      assert.match(found.message, /failed over there/)
    }
  }
})

test('a thousand callers wait for another process as one, each for as long as it likes', async () => {
  const root = folder()
  const source = new Cache({ root }).source('api/models', { ttl: '1h' })
  const child = await holder(root, 'api/models')
  const leaver = new AbortController()
  const never = () => assert.fail('it is in flight')
  // The first leads the wait, and leaves; so does the first to follow it.
  const left = [1, 2].map(() => source.get(never, { signal: leaver.signal }).catch(error => error.code))
  const soft = Array.from({ length: 10 }, () => source.get(never, { wait: 50 }).catch(error => error.code))
  const calls = Array.from({ length: 1_000 }, () => source.get(never))
  const changes = Array.from({ length: 100 }, () => source.waitForChange('0'))
  const late = Array.from({ length: 10 }, () => source.waitForChange('0', { timeout: 50 }))
  assert.deepEqual(new Set(await deadline(Promise.all(soft))), new Set(['FOREBAY_E_TIMED_OUT']))
  assert.deepEqual(new Set(await deadline(Promise.all(late))), new Set([undefined]))
  leaver.abort()
  assert.deepEqual(await deadline(Promise.all(left)), ['FOREBAY_E_CANCELLED', 'FOREBAY_E_CANCELLED'])
  const tasks = readdirSync('/proc/self/task').length
  assert.ok(tasks < 60, `${tasks} threads`)
  child.stdin.write('theirs\n')
  const values = await deadline(Promise.all(calls))
  assert.deepEqual(
    new Set(values.map(value => `${value.text()} ${value.how}`)),
    new Set(['theirs coalesced']),
  )
  assert.deepEqual(new Set(await deadline(Promise.all(changes))), new Set([source.read().version]))
})

test('a killed holder is replaced at once', async () => {
  const root = folder()
  const source = new Cache({ root }).source('api/models', { ttl: '1h' })
  const child = await holder(root, 'api/models')
  const waiting = source.get(() => 'ours')
  assert.equal((await source.refreshState()).holder, child.pid)
  child.kill('SIGKILL')
  const value = await deadline(waiting)
  assert.deepEqual([value.text(), value.how], ['ours', 'ran'])
})

test('a change in another process is seen by waiters and readers here', async () => {
  const root = folder()
  const cache = new Cache({ root })
  const source = cache.source('api/models', { ttl: '1h' })
  const reader = cache.reader('api/models', { ttl: '1h' })
  await source.put('ours')
  assert.equal(reader.read().text(), 'ours')
  const waiting = source.waitForChange(source.read().version)
  const done = program(`
    import { Cache } from 'forebay'
    await new Cache({ root: ${JSON.stringify(root)} }).source('api/models').put('theirs')
  `)
  assert.equal(await deadline(waiting), source.read().version)
  assert.equal(reader.read().text(), 'theirs')
  assert.equal((await done).code, 0)
})

const WORKER = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { Cache } = require('forebay')
  const source = new Cache({ root: workerData.root }).source('api/models', { ttl: '1h' })
  let runs = 0
  source.get(async () => {
    runs += 1
    await new Promise(resolve => setTimeout(resolve, 20))
    return 'from a worker'
  }).then(value => parentPort.postMessage([value.text(), value.how, runs]))
`

test('worker threads and the main thread share one refresh', async () => {
  const root = folder()
  const workers = Array.from({ length: 4 }, () => new Worker(WORKER, { eval: true, workerData: { root } }))
  const exits = workers.map(worker => once(worker, 'exit'))
  const said = await deadline(
    Promise.all(workers.map(worker => once(worker, 'message').then(([said]) => said))),
  )
  const runs = said.reduce((sum, [, , runs]) => sum + runs, 0)
  assert.equal(runs, 1, JSON.stringify(said))
  for (const [text] of said) assert.equal(text, 'from a worker')
  // Nothing keeps a worker: each ends by itself.
  assert.deepEqual(await deadline(Promise.all(exits)), [[0], [0], [0], [0]])
  assert.equal(new Cache({ root }).source('api/models', { ttl: '1h' }).read().text(), 'from a worker')
})

test('a worker that is terminated while it waits gives its leases back, and the process goes on', async () => {
  const root = folder()
  const text = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { Cache } = require('forebay')
    const cache = new Cache({ root: workerData.root })
    cache.source('api/held').refresh(() => { parentPort.postMessage('held'); return new Promise(() => {}) })
    cache.source('api/free').waitForChange('0')
    cache.nextRefresh()
    cache.subscribe().next()
  `
  for (let round = 0; round < 10; round += 1) {
    const worker = new Worker(text, { eval: true, workerData: { root } })
    await deadline(once(worker, 'message'))
    await deadline(worker.terminate())
    const source = new Cache({ root }).source('api/held')
    await until(async () => (await source.refreshState()).phase !== 'running')
  }
})

const WRITER = `
  const { workerData } = require('node:worker_threads')
  const { Cache } = require('forebay')
  const { root, done, last } = workerData
  const source = new Cache({ root, durability: 'none' }).source('api/models')
  ;(async () => {
    for (let number = 1; number <= last; number += 1) {
      await source.put(String(number))
      Atomics.store(done, 0, number)
    }
  })()
`

/** Reads beside a writer until it is done; the first value that is older than it may be, if there is one. */
async function race(root, readers) {
  const [last, done] = [1_000, new Int32Array(new SharedArrayBuffer(4))]
  await new Cache({ root }).source('api/models').put('0')
  readers.get('api/models')
  const worker = new Worker(WRITER, { eval: true, workerData: { root, done, last } })
  const exit = once(worker, 'exit')
  const end = Date.now() + 60_000
  let newest = 0
  while (newest < last) {
    const stored = Atomics.load(done, 0)
    for (let round = 0; round < 100; round += 1) {
      const found = Number(readers.get('api/models').text())
      if (found < stored || found < newest) {
        await worker.terminate()
        return `${found} was read after ${stored} was stored and ${newest} read`
      }
      newest = found
    }
    assert.ok(Date.now() < end, `it hangs at ${newest}`)
    // The worker needs this thread now and then, to start.
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.deepEqual(await deadline(exit), [0])
  return undefined
}

test('a reader never returns a value older than the last that was stored before it looked', async () => {
  const root = folder()
  const cache = new Cache({ root })
  assert.equal(await race(root, cache.readers({ ttl: '1h' })), undefined)
  assert.ok(cache.counters().hit > 1_000)
})

test('the same race catches a reader that tags its value too late', async () => {
  const root = folder()
  const file = require.resolve('../dist/readers.js')
  const tag = /\n *const tag = Atomics\.load\(words, index\);/
  const text = readFileSync(file, 'utf8')
  const look = 'this.#source.look(false);'
  assert.ok(tag.test(text) && text.includes(look))
  const late = /** @type {any} */ (new Module(file))
  late.filename = file
  late._compile(text.replace(tag, '').replace(look, look + text.match(tag)?.[0]), file)
  const cache = new Cache({ root })
  const shelf = new late.exports.Shelf(binding.cacheOpen({ root }), true)
  const readers = () =>
    new late.exports.Readers(key => new late.exports.Reader(cache.source(key, { ttl: '1h' }), shelf))
  let caught
  for (let round = 0; caught === undefined && round < 20; round += 1) caught = await race(root, readers())
  assert.match(caught ?? '', /was read after/)
})
