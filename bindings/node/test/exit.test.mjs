// A process with a refresh in flight ends at once and cleanly, however it ends: fifty times each.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder, program } from './helpers.mjs'

const ROUNDS = 50
/** Far beyond what a process needs to start and end; only a hang or the refresher's own minute is longer. */
const AT_ONCE = 15_000

const begin = root => `
  import { Cache } from 'forebay'
  const cache = new Cache({ root: ${JSON.stringify(root)} })
  const never = () => new Promise(() => {})
  const slow = () => new Promise(resolve => setTimeout(resolve, 60_000, 'late').unref())
`

/** Every way of having something in flight. */
const busy = `
  const running = new Promise(entered => {
    cache.source('exit/' + process.pid + 'a').refresh(() => { entered(); return never() }).catch(() => {})
  })
  cache.source('exit/' + process.pid + 'b').get(slow, { wait: 60_000 }).catch(() => {})
  cache.source('exit/' + process.pid + 'c').maybeRefresh(slow)
  cache.source('exit/' + process.pid + 'd').waitForChange('0').catch(() => {})
  cache.nextRefresh().catch(() => {})
  cache.subscribe().next()
  await running
`

async function rounds(text, status = 0) {
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let round = lane; round < ROUNDS; round += 4) {
      const { code, signal, stderr } = await program(text, { ms: AT_ONCE })
      assert.deepEqual([code, signal, stderr], [status, null, ''], `round ${round}`)
    }
  })
  await Promise.all(lanes)
}

test('the main program ends while background refreshes run', async () => {
  await rounds(`
    ${begin(folder())}
    if (await cache.source('exit/' + process.pid).maybeRefresh(slow) !== 'started') process.exit(3)
    cache.subscribe({ ref: false }).next()
    const soft = cache.source('exit/soft' + process.pid).get(slow, { wait: 1 })
    if ((await soft.catch(error => error.code)) !== 'FOREBAY_E_TIMED_OUT') process.exit(4)
  `)
})

test('process.exit while everything is in flight', async () => {
  await rounds(`${begin(folder())} ${busy} process.exit(7)`, 7)
})

test('an uncaught error while everything is in flight', async () => {
  const root = folder()
  for (let round = 0; round < 5; round += 1) {
    const { code, signal, stderr } = await program(`${begin(root)} ${busy} throw new Error('mine')`, {
      ms: AT_ONCE,
    })
    assert.deepEqual([code, signal], [1, null], stderr)
    assert.match(stderr, /Error: mine/)
  }
})

test('worker.terminate while everything is in flight, and the main program ends', async () => {
  const worker = `
    const { parentPort, workerData } = require('node:worker_threads')
    import('forebay').then(async ({ Cache }) => {
      const cache = new Cache({ root: workerData })
      const never = () => new Promise(() => {})
      const slow = () => new Promise(resolve => setTimeout(resolve, 60_000, 'late').unref())
      ${busy}
      parentPort.postMessage('busy')
    })
  `
  await rounds(`
    import { Worker } from 'node:worker_threads'
    const worker = new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: [], workerData: ${JSON.stringify(folder())} })
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await worker.terminate()
  `)
})

test('process.exit inside a worker, and in the main thread while a worker waits', async () => {
  const worker = `
    const { parentPort, workerData } = require('node:worker_threads')
    import('forebay').then(async ({ Cache }) => {
      const cache = new Cache({ root: workerData.root })
      const never = () => new Promise(() => {})
      const slow = never
      ${busy}
      if (workerData.exits) process.exit(5)
      parentPort.postMessage('busy')
    })
  `
  const start = exits => `
    import { Worker } from 'node:worker_threads'
    const workerData = { root: ${JSON.stringify(folder())}, exits: ${exits} }
    const worker = new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: [], workerData })
  `
  await rounds(`${start(true)} process.exit(await new Promise(resolve => worker.once('exit', resolve)))`, 5)
  await rounds(
    `${start(false)} await new Promise(resolve => worker.once('message', resolve)); process.exit(6)`,
    6,
  )
})

test('a foreground call keeps the process alive until it is done, whatever else ends', async () => {
  const { code, stdout, stderr } = await program(`
    ${begin(folder())}
    const source = cache.source('exit/foreground', { ttl: '1h' })
    const quiet = () => new Promise(resolve => setTimeout(resolve, 100, 'made').unref())
    const value = await source.get(quiet)
    console.log(value.text())
    setTimeout(() => source.put('changed'), 50)
    await source.waitForChange(value.version)
    console.log(source.read().text())
  `)
  assert.deepEqual([code, stdout, stderr], [0, 'made\nchanged\n', ''])
})

test('a background refresh whose work is done is stored before the process ends', async () => {
  const { code, stdout, stderr } = await program(`
    ${begin(folder())}
    const source = cache.source('exit/background', { ttl: '1h' })
    await source.maybeRefresh(async () => 'stored')
    process.on('exit', () => console.log(source.read().text()))
  `)
  assert.deepEqual([code, stdout, stderr], [0, 'stored\n', ''])
})
