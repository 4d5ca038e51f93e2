// Quotas and credentials of several processes and worker threads on one directory, and how processes end meanwhile.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Cache, Credentials } from 'forebay'
import { deadline, folder, program, signalled, started, until } from './helpers.mjs'

const never = () => assert.fail('it must not be called')
const quoted = JSON.stringify

/** A server of this process. */
async function serve(answer) {
  const server = createServer(answer)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const close = () => {
    server.closeAllConnections()
    server.close()
  }
  return { url: `http://127.0.0.1:${port}/`, close }
}

/** Eight processes that resolve the same quota; what each found. */
async function eight(root, url, entered) {
  const text = `
    import { Cache, fromResponse } from 'forebay'
    const usage = new Cache({ root: ${quoted(root)} }).quota('usage', { timeout: '60s' })
    const found = await usage.resolve({
      credentials: () => 'secret',
      fetch: async ({ signal, credential }) => fromResponse(await fetch(${quoted(url)}, {
        signal, headers: { authorization: credential },
      })),
    }).then(({ data, how }) => [data, how], ({ code, retryAt }) => [code, retryAt instanceof Date])
    console.log(JSON.stringify(found))
  `
  const programs = Array.from({ length: 8 }, () => program(text, { ms: 60_000 }))
  await deadline(entered.promise, 60_000)
  const outcomes = await Promise.all(programs)
  return outcomes.map(({ code, stdout, stderr }) => {
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  })
}

test('eight processes on a cold quota ask the server once, whatever it says', async () => {
  for (const status of [200, 429]) {
    let requests = 0
    const entered = signalled()
    const { url, close } = await serve((_, response) => {
      requests += 1
      entered.resolve()
      response.writeHead(status, { 'retry-after': '3600' }).end('{"used":7}')
    })
    const found = await eight(folder(), url, entered)
    close()
    assert.equal(requests, 1, `${status}: ${quoted(found)}`)
    if (status === 200) {
      assert.deepEqual(new Set(found.map(([data]) => quoted(data))), new Set(['{"used":7}']))
      assert.equal(found.filter(([, how]) => how === 'ran').length, 1)
    } else {
      assert.deepEqual(new Set(found.map(([code]) => code)), new Set(['FOREBAY_E_RATE_LIMITED']))
      assert.ok(
        found.every(([, known]) => known),
        'each knows when to come back',
      )
    }
  }
})

test('a process that is killed in its fetch is replaced at once', async () => {
  const root = folder()
  const child = await started(`
    import { Cache } from 'forebay'
    new Cache({ root: ${quoted(root)} }).quota('usage', { timeout: '1h' }).resolve({ fetch: () => {
      console.log('running')
      return new Promise(() => {})
    } })
  `)
  const usage = new Cache({ root }).quota('usage', { timeout: '1h' })
  const waiting = usage.resolve({ fetch: () => '"ours"' })
  const { phase, holder } = await usage.read()
  assert.deepEqual([phase, holder], ['running', child.pid])
  child.kill('SIGKILL')
  const { data, how } = await deadline(waiting)
  assert.deepEqual([data, how], ['ours', 'ran'])
})

test('a thousand callers wait for another process as one, and one of them takes over', async () => {
  const [root, state] = [folder(), folder()]
  const seen = await new Credentials({ state }).reset('oauth', 'token-one')
  const child = await started(`
    import { Cache, Credentials } from 'forebay'
    const exchange = () => new Promise(resolve => process.stdin.once('data', () => resolve('token-two')))
    new Cache({ root: ${quoted(root)} }).quota('usage', { timeout: '1h' }).resolve({ fetch: () => {
      new Credentials({ state: ${quoted(state)} }).rotate('oauth', { seen: ${quoted(seen)}, exchange: job => {
        console.log('running')
        return exchange(job)
      } }).then(() => process.kill(process.pid, 'SIGKILL'))
      return new Promise(() => {})
    } })
  `)
  const [usage, credentials] = [
    new Cache({ root }).quota('usage', { timeout: '1h' }),
    new Credentials({ state }),
  ]
  let runs = 0
  const fetch = () => ({ data: ++runs })
  const resolves = Array.from({ length: 1_000 }, () => usage.resolve({ fetch }))
  const rotates = Array.from({ length: 1_000 }, () => credentials.rotate('oauth', { seen, exchange: never }))
  const impatient = new Cache({ root }).quota('usage', { wait: 20 })
  const early = Array.from({ length: 10 }, () =>
    impatient.resolve({ fetch: never }).catch(({ code }) => code),
  )
  assert.deepEqual(new Set(await deadline(Promise.all(early))), new Set(['FOREBAY_E_TIMED_OUT']))
  const tasks = readdirSync('/proc/self/task').length
  assert.ok(tasks < 60, `${tasks} threads`)
  child.stdin.write('go\n')
  const tokens = await deadline(Promise.all(rotates))
  assert.deepEqual(new Set(tokens.map(({ text, how }) => `${text} ${how}`)), new Set(['token-two coalesced']))
  const answers = await deadline(Promise.all(resolves))
  assert.deepEqual([runs, new Set(answers.map(({ data }) => data))], [1, new Set([1])])
})

test('six processes use each credential once, whatever they do at the same time', async () => {
  const state = join(folder(), 'state')
  let [valid, serial, violations] = ['token-0', 0, 0]
  const { url, close } = await serve(async (request, response) => {
    let sent = ''
    for await (const part of request) sent += part
    if (sent !== valid) {
      violations += 1
      response.writeHead(401).end()
      return
    }
    serial += 1
    valid = `token-${serial}`
    response.end(valid)
  })
  await new Credentials({ state }).reset('oauth', valid)
  const text = `
    import { Credentials, fromResponse } from 'forebay'
    const credentials = new Credentials({ state: ${quoted(state)} })
    let token = await credentials.current('oauth')
    const hows = []
    for (let round = 0; round < 10; round += 1) {
      token = await credentials.rotate('oauth', {
        seen: token,
        exchange: async ({ previous }) =>
          fromResponse(await fetch(${quoted(url)}, { method: 'POST', body: previous })),
      })
      hows.push(token.how)
    }
    console.log(JSON.stringify(hows))
  `
  const outcomes = await Promise.all(Array.from({ length: 6 }, () => program(text, { ms: 120_000 })))
  close()
  const hows = outcomes.flatMap(({ code, stdout, stderr }) => {
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout)
  })
  assert.deepEqual([hows.length, violations], [60, 0])
  assert.equal(hows.filter(how => how === 'ran').length, serial)
  assert.ok(hows.every(how => how === 'ran' || how === 'coalesced'))
  assert.equal((await new Credentials({ state }).current('oauth'))?.text, valid)
})

test('a process that is killed in its exchange leaves it ambiguous', async () => {
  const state = join(folder(), 'state')
  const credentials = new Credentials({ state })
  const seen = await credentials.reset('oauth', 'token-one')
  const child = await started(`
    import { Credentials } from 'forebay'
    new Credentials({ state: ${quoted(state)} }).rotate('oauth', { seen: ${quoted(seen)}, exchange: () => {
      console.log('running')
      return new Promise(() => {})
    } })
  `)
  const waiting = assert.rejects(credentials.rotate('oauth', { seen, exchange: never }), {
    code: 'FOREBAY_E_AMBIGUOUS',
  })
  child.kill('SIGKILL')
  await deadline(waiting)
  const { ambiguousSince, version } = await credentials.state('oauth')
  assert.ok(ambiguousSince instanceof Date)
  assert.equal(version, seen)
})

test('worker threads share a fetch, and one that is terminated gives its lease back', async () => {
  const [root, state] = [folder(), folder()]
  const worker = text =>
    new Worker(
      `const { parentPort, workerData } = require('node:worker_threads')
       const { Cache, Credentials } = require('forebay')
       const usage = new Cache({ root: workerData.root }).quota('usage', { timeout: '1h' })
       const credentials = new Credentials({ state: workerData.state })
       ${text}`,
      { eval: true, workerData: { root, state } },
    )
  const sharing = Array.from({ length: 4 }, () =>
    worker(`
      let runs = 0
      usage.resolve({ fetch: async () => {
        runs += 1
        await new Promise(resolve => setTimeout(resolve, 20))
        return { data: 'shared' }
      } }).then(({ data }) => parentPort.postMessage([data, runs]))`),
  )
  const exits = sharing.map(worker => once(worker, 'exit'))
  const said = await deadline(
    Promise.all(sharing.map(worker => once(worker, 'message').then(([found]) => found))),
  )
  assert.equal(
    said.reduce((sum, [, runs]) => sum + runs, 0),
    1,
    quoted(said),
  )
  // Nothing keeps a worker: each ends by itself.
  assert.deepEqual(await deadline(Promise.all(exits)), [[0], [0], [0], [0]])

  const usage = new Cache({ root }).quota('usage', { timeout: '1h' })
  const credentials = new Credentials({ state })
  await usage.clear()
  const hanging = worker(`
    const hang = what => () => {
      parentPort.postMessage(what)
      return new Promise(() => {})
    }
    usage.resolve({ fetch: hang('fetch') })
    credentials.rotate('oauth', { exchange: hang('exchange') })`)
  const messages = new Set()
  hanging.on('message', what => messages.add(what))
  await until(() => messages.size === 2)
  await deadline(hanging.terminate())
  assert.equal((await deadline(usage.resolve({ fetch: () => '1' }))).how, 'ran')
  await deadline(
    assert.rejects(credentials.rotate('oauth', { exchange: never }), { code: 'FOREBAY_E_AMBIGUOUS' }),
  )
})

const begin = () => `
  import { Cache, Credentials } from 'forebay'
  const cache = new Cache({ root: ${quoted(folder())} })
  const credentials = new Credentials({ state: ${quoted(folder())} })
  const quiet = value => new Promise(resolve => setTimeout(resolve, 100, value).unref())
  const hang = () => new Promise(() => {})
`

test('a process with everything in flight ends at once', async () => {
  const text = `
    ${begin()}
    const key = 'exit' + process.pid
    await new Promise(entered => {
      cache.quota(key).resolve({ fetch: () => entered() ?? hang() }).catch(() => {})
    })
    await new Promise(entered => {
      credentials.rotate(key, { exchange: () => entered() ?? hang() }).catch(() => {})
    })
    cache.quota(key).resolve({ fetch: hang }).catch(() => {})
    credentials.rotate(key, { exchange: hang }).catch(() => {})
    process.exit(7)
  `
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let round = lane; round < 50; round += 4) {
      const { code, signal, stderr } = await program(text, { ms: 60_000 })
      assert.deepEqual([code, signal, stderr], [7, null, ''], `round ${round}`)
    }
  })
  await Promise.all(lanes)
})

test('what is waited for keeps the process alive, and so does an exchange whose caller has left', async () => {
  const kept = await program(`
    ${begin()}
    console.log((await cache.quota().resolve({ fetch: () => quiet('7') })).data)
    console.log((await credentials.rotate('oauth', { exchange: () => quiet('token') })).text)
    const seen = await credentials.current('oauth')
    const leaver = new AbortController()
    const left = credentials.rotate('oauth', { seen, signal: leaver.signal, exchange: () => {
      setImmediate(() => leaver.abort())
      return quiet('next')
    } })
    await left.catch(({ code }) => console.log(code))
    process.once('beforeExit', async () => console.log((await credentials.current('oauth')).text))
  `)
  assert.deepEqual([kept.code, kept.stderr], [0, ''])
  assert.equal(kept.stdout, '7\ntoken\nFOREBAY_E_CANCELLED\nnext\n')
})

test('a fetch whose caller has left does not keep the process', async () => {
  const left = await program(`
    ${begin()}
    const leaver = new AbortController()
    const call = cache.quota('usage', { timeout: '1h' }).resolve({ signal: leaver.signal, fetch: () => {
      setImmediate(() => leaver.abort())
      return hang()
    } })
    await call.catch(({ code }) => console.log(code))
  `)
  assert.deepEqual([left.code, left.stdout, left.stderr], [0, 'FOREBAY_E_CANCELLED\n', ''])
})
