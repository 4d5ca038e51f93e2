// The agent of examples/agent over a copy of this package's sources: one edit, and exactly what depends on it is done again.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deadline, ended, folder } from './helpers.mjs'

const HERE = fileURLToPath(new URL('..', import.meta.url))

/** A program folder with the package, as a user has it, and a tree. */
function desk() {
  const [app, tree, root] = [folder(), folder(), folder()]
  mkdirSync(join(app, 'node_modules'))
  symlinkSync(HERE, join(app, 'node_modules/forebay'))
  cpSync(join(HERE, '../../examples/agent/agent.mjs'), join(app, 'agent.mjs'))
  cpSync(join(HERE, 'src'), join(tree, 'src'), { recursive: true })
  writeFileSync(join(tree, 'notes'), 'nothing of interest\n')
  const edit = (path, from, to) => {
    const text = readFileSync(join(tree, path), 'utf8')
    assert.ok(text.includes(from))
    writeFileSync(join(tree, path), text.replace(from, to))
  }
  const run = async (word, env = {}) => {
    const child = spawn(process.execPath, [join(app, 'agent.mjs'), tree, word], {
      env: { ...process.env, FOREBAY_ROOT: root, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { code, stdout, stderr } = await deadline(ended(child))
    assert.deepEqual([code, stderr], [0, ''])
    const rows = [...stdout.matchAll(/^(\w+) +kept (\d+), worked (\d+)(?:: (.*))?$/gm)]
    const numbers = index => Object.fromEntries(rows.map(row => [row[1], Number(row[index])]))
    return {
      answer: stdout.split('\n')[0],
      kept: numbers(2),
      worked: numbers(3),
      on: Object.fromEntries(rows.map(row => [row[1], row[4]])),
    }
  }
  return { tree, edit, run }
}

const nothing = { folder: 0, read: 0, grep: 0, describe: 0, answer: 0 }

test('editing one file has exactly what depends on it done again', async () => {
  const { tree, edit, run } = desk()
  const sources = readdirSync(join(tree, 'src'))
  const matching = sources.filter(name =>
    readFileSync(join(tree, 'src', name), 'utf8').includes('AbortSignal'),
  )
  assert.ok(matching.length > 3 && matching.length < sources.length)
  const files = sources.length + 1
  const all = { folder: 2, read: files, grep: files, describe: matching.length, answer: 1 }

  const first = await run('AbortSignal')
  assert.deepEqual([first.worked, first.kept], [all, all])
  assert.match(first.answer, /^What is AbortSignal in these files\? \d+ lines/)
  const second = await run('AbortSignal')
  assert.deepEqual([second.worked, second.answer], [nothing, first.answer])

  // A file that has the word: it is read, searched and described again, and the question asked again.
  edit('src/waits.ts', '/**', '/** The AbortSignal has no part in this.')
  const { worked, on, answer } = await run('AbortSignal')
  assert.deepEqual(worked, { ...nothing, read: 1, grep: 1, describe: 1, answer: 1 })
  const edited = 'src/waits.ts'
  assert.deepEqual(on, {
    folder: undefined,
    read: edited,
    grep: edited,
    describe: edited,
    answer: 'AbortSignal',
  })
  assert.notEqual(answer, first.answer)
  // One that has not: the model hears nothing of it.
  edit('notes', 'nothing', 'hardly anything')
  assert.deepEqual((await run('AbortSignal')).worked, { ...nothing, read: 1, grep: 1 })
  // The same content is no change.
  edit('notes', 'hardly', 'hardly')
  assert.deepEqual((await run('AbortSignal')).worked, nothing)
  writeFileSync(join(tree, 'src/new.ts'), '// AbortSignal\n')
  const added = { ...nothing, folder: 1, read: 1, grep: 1, describe: 1, answer: 1 }
  assert.deepEqual((await run('AbortSignal')).worked, added)
  rmSync(join(tree, 'src/new.ts'))
  const removed = await run('AbortSignal')
  assert.deepEqual([removed.worked, removed.answer], [{ ...nothing, folder: 1 }, answer])
  // Another word: nothing is read again.
  const other = await run('no such word')
  assert.deepEqual(other.worked, { ...nothing, grep: files, answer: 1 })
})

test('eight agents at once read, search and ask once', async () => {
  const { run } = desk()
  const found = await Promise.all(Array.from({ length: 8 }, () => run('AbortSignal')))
  assert.equal(new Set(found.map(({ answer }) => answer)).size, 1)
  const { kept } = await run('AbortSignal')
  for (const name of Object.keys(nothing)) {
    const worked = found.reduce((sum, one) => sum + one.worked[name], 0)
    assert.equal(worked, kept[name], name)
  }
})

test('the model is a command; it is asked again where it is another', async () => {
  const { run } = desk()
  const stand = await run('AbortSignal')
  const first = await run('AbortSignal', { AGENT_MODEL: 'wc -l' })
  assert.match(first.answer, /^\d+$/)
  assert.deepEqual(first.worked, { ...nothing, describe: stand.worked.describe, answer: 1 })
  assert.deepEqual((await run('AbortSignal', { AGENT_MODEL: 'wc -l' })).worked, nothing)
})
