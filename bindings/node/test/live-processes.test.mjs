// Derived results of several processes and worker threads on one directory, and how processes end meanwhile.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { Cache, liveKey } from 'forebay'
import { deadline, folder, program, started, until } from './helpers.mjs'

const quoted = JSON.stringify

/** A root, a workspace with a file, and a log that every computation adds a line to. */
function place() {
  const [root, workspace] = [folder(), folder()]
  writeFileSync(join(workspace, 'a'), 'one')
  const log = join(folder(), 'log')
  appendFileSync(log, '')
  const runs = () => readFileSync(log, 'utf8').split('\n').length - 1
  const live = new Cache({ root }).live({ workspace, deadline: '1h' })
  const text = `
    import { appendFileSync } from 'node:fs'
    import { Cache, liveKey } from 'forebay'
    const cache = new Cache({ root: ${quoted(root)} })
    const live = cache.live({ workspace: ${quoted(workspace)}, deadline: '1h' })
    const ran = () => appendFileSync(${quoted(log)}, 'ran\\n')
    const quiet = value => new Promise(resolve => setTimeout(resolve, 100, value))
    const hang = () => new Promise(() => {})
    const key = liveKey('shared')
  `
  return { root, workspace, log, runs, live, text, write: what => writeFileSync(join(workspace, 'a'), what) }
}

const key = liveKey('shared')

test('eight processes that want one result compute it once, round by round', async () => {
  const { text, runs, write } = place()
  for (const round of [1, 2, 3]) {
    write(`round ${round}`)
    const programs = Array.from({ length: 8 }, () =>
      program(`
        ${text}
        const { how, data } = await live.getOrCompute(key, { files: ['a'] }, () => {
          ran()
          return quiet('made in round ${round}')
        })
        console.log(JSON.stringify([how, String(data)]))
      `),
    )
    const found = (await Promise.all(programs)).map(({ code, stdout, stderr }) => {
      assert.equal(code, 0, stderr)
      return JSON.parse(stdout)
    })
    assert.equal(runs(), round, quoted(found))
    assert.deepEqual(new Set(found.map(([, data]) => data)), new Set([`made in round ${round}`]))
    assert.equal(found.filter(([how]) => how === 'ran').length, 1, quoted(found))
  }
})

test('six processes follow twenty edits, and each is computed once', async () => {
  const { text, runs, write } = place()
  const starting = Array.from({ length: 6 }, () =>
    started(`
      import { createInterface } from 'node:readline'
      ${text}
      console.log('running')
      for await (const edit of createInterface({ input: process.stdin })) {
        const { data } = await live.getOrCompute(key, { files: ['a'] }, () => {
          ran()
          return 'made of ' + edit
        })
        console.log(String(data))
      }
    `),
  )
  const children = await Promise.all(starting)
  const said = children.map(child => createInterface({ input: child.stdout })[Symbol.asyncIterator]())
  for (let edit = 1; edit <= 20; edit += 1) {
    write(`edit ${edit}`)
    for (const child of children) child.stdin.write(`edit ${edit}\n`)
    const lines = await deadline(Promise.all(said.map(lines => lines.next())))
    assert.deepEqual(new Set(lines.map(({ value }) => value)), new Set([`made of edit ${edit}`]))
    assert.equal(runs(), edit)
  }
  for (const child of children) child.stdin.end()
  const exits = children.map(child => child.exitCode ?? once(child, 'exit').then(([code]) => code))
  assert.deepEqual(new Set(await deadline(Promise.all(exits))), new Set([0]))
})

test('a wrapped function is called once by eight processes', async () => {
  const { text, runs } = place()
  const programs = Array.from({ length: 8 }, () =>
    program(`
      ${text}
      const ask = live.wrap(function ask(prompt) {
        ran()
        return quiet({ prompt })
      }, { inputs: ['a'] })
      console.log((await ask('why?')).prompt)
    `),
  )
  for (const { code, stdout, stderr } of await Promise.all(programs)) {
    assert.deepEqual([code, stdout], [0, 'why?\n'], stderr)
  }
  assert.equal(runs(), 1)
})

test('what one process finds changed is gone for the others, with all that is built on it', async () => {
  const { text, live, write } = place()
  const top = liveKey('top')
  await live.persist(key, 'base', { files: ['a'] })
  await live.persist(top, 'top', { upstream: [key] })
  write('changed')
  assert.equal(live.lookup(top).outcome, 'hit')
  const { stdout, stderr } = await program(
    `${text} console.log((await live.lookup(liveKey('top'), { revalidate: true })).outcome)`,
  )
  assert.equal(stdout, 'invalidated\n', stderr)
  assert.deepEqual([live.lookup(top).outcome, live.lookup(key).outcome], ['miss', 'miss'])
})

test('a process that is killed while it computes is replaced at once', async () => {
  const { text, live } = place()
  const child = await started(`
    ${text}
    live.getOrCompute(key, {}, () => {
      console.log('running')
      return hang()
    })
    setInterval(() => {}, 1000)
  `)
  const waiting = live.getOrCompute(key, {}, () => 'ours')
  let early = false
  waiting.then(() => {
    early = true
  })
  assert.equal((await live.lookup(key, { revalidate: true })).outcome, 'miss')
  assert.equal(early, false)
  child.kill('SIGKILL')
  const { how, data } = await deadline(waiting)
  assert.deepEqual([how, String(data)], ['ran', 'ours'])
})

test('a process that is killed again and again leaves nothing wrong', async () => {
  const { text, live } = place()
  for (let round = 0; round < 5; round += 1) {
    const child = await started(`
      ${text}
      console.log('running')
      for (let n = 0; ; n += 1) {
        const text = String(n).repeat(40_000)
        await live.persist(liveKey(text), text, { files: ['a'], kind: 'many' })
      }
    `)
    const before = (await live.size()).entries
    await until(async () => (await live.size()).entries > before + 3)
    child.kill('SIGKILL')
    await deadline(once(child, 'exit'))
    for (const { key } of await live.list()) {
      const found = live.lookup(key)
      // The key is the hash of the bytes.
      if (found.outcome === 'hit') assert.equal(liveKey(found.derived.data), key)
    }
    const { entries } = await live.size()
    assert.equal(await live.evictToCap(0), entries)
  }
})

test('worker threads compute once, and none keeps its thread', async () => {
  const { root, workspace, runs, log, live } = place()
  const worker = body =>
    new Worker(
      `
      const { parentPort, workerData } = require('node:worker_threads')
      const { appendFileSync } = require('node:fs')
      import('forebay').then(({ Cache, liveKey }) => {
        const live = new Cache({ root: workerData.root }).live({ workspace: workerData.workspace, deadline: '1h' })
        const key = liveKey('shared')
        const ran = () => appendFileSync(workerData.log, 'ran\\n')
        ${body}
      })`,
      { eval: true, execArgv: [], workerData: { root, workspace, log } },
    )
  const sharing = Array.from({ length: 4 }, () =>
    worker(`
      live.getOrCompute(key, { files: ['a'] }, async () => {
        ran()
        await new Promise(resolve => setTimeout(resolve, 20))
        return 'shared'
      }).then(({ data }) => parentPort.postMessage(String(data)))`),
  )
  const exits = sharing.map(one => once(one, 'exit'))
  const said = await deadline(Promise.all(sharing.map(one => once(one, 'message').then(([found]) => found))))
  assert.deepEqual([said, runs()], [['shared', 'shared', 'shared', 'shared'], 1])
  assert.deepEqual(await deadline(Promise.all(exits)), [[0], [0], [0], [0]])

  const hanging = worker(`
    live.getOrCompute(liveKey('hang'), {}, () => {
      parentPort.postMessage('running')
      return new Promise(() => {})
    })`)
  await deadline(once(hanging, 'message'))
  const waiting = live.getOrCompute(liveKey('hang'), {}, () => 'ours')
  await deadline(hanging.terminate())
  assert.equal((await deadline(waiting)).how, 'ran')
})

test('a process with everything in flight ends at once', async () => {
  const { text } = place()
  const busy = `
    ${text}
    const mine = name => liveKey(name + process.pid)
    await new Promise(entered => {
      live.getOrCompute(mine('a'), {}, () => entered() ?? hang()).catch(() => {})
    })
    live.getOrCompute(mine('a'), {}, hang).catch(() => {})
    live.begin(mine('b'), { globs: ['**'] }).catch(() => {})
    live.persist(mine('c'), Buffer.alloc(100_000), { files: ['a'] }).catch(() => {})
    live.lookup(mine('c'), { revalidate: true }).catch(() => {})
    live.gc().catch(() => {})
    process.exit(7)
  `
  const lanes = Array.from({ length: 4 }, async (_, lane) => {
    for (let round = lane; round < 50; round += 4) {
      const { code, signal, stderr } = await program(busy)
      assert.deepEqual([code, signal, stderr], [7, null, ''], `round ${round}`)
    }
  })
  await Promise.all(lanes)
})

test('what is waited for keeps the process alive; a computation whose caller has left does not', async () => {
  const { text } = place()
  const kept = await program(`
    ${text}
    const late = () => new Promise(resolve => setTimeout(resolve, 100, 'made').unref())
    console.log((await live.getOrCompute(key, {}, late)).text())
    const leaver = new AbortController()
    const left = live.getOrCompute(liveKey('left'), { signal: leaver.signal }, () => {
      setImmediate(() => leaver.abort())
      return hang()
    })
    await left.catch(({ code }) => console.log(code))
  `)
  assert.deepEqual([kept.code, kept.stdout, kept.stderr], [0, 'made\nFOREBAY_E_CANCELLED\n', ''])
})
