// What the tests share: folders that go away, a clock that moves by hand, waits that end, programs of their own.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after } from 'node:test'
import { Cache } from 'forebay'

/** Only a hang is longer than this. */
export const LIMIT = 60_000

const folders = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** An empty folder, removed after the tests of the file. */
export function folder() {
  const made = mkdtempSync(join(tmpdir(), 'forebay-'))
  folders.push(made)
  return made
}

/** A cache in an empty folder, with a clock that `advance` moves. */
export function stage() {
  const home = folder()
  const root = join(home, 'root')
  const testClock = join(home, 'clock')
  let [wall, boot] = [1_700_000_000_000_000_000n, 1_000_000_000_000n]
  const advance = ms => {
    wall += BigInt(ms) * 1_000_000n
    boot += BigInt(ms) * 1_000_000n
    writeFileSync(`${testClock}.new`, JSON.stringify({ wall_ns: `${wall}`, boot_ns: `${boot}` }))
    renameSync(`${testClock}.new`, testClock)
  }
  advance(0)
  return {
    cache: new Cache({ root, testClock }),
    root,
    testClock,
    advance,
    now: () => Number(wall / 1_000_000n),
  }
}

/** The promise's result, or a failure when the time is over. */
export function deadline(promise, ms = LIMIT, message = 'it hangs') {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), ms)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Looks until the condition holds. */
export async function until(condition, ms = LIMIT) {
  const end = Date.now() + ms
  while (!(await condition())) {
    assert.ok(Date.now() < end, `it never came true: ${condition}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** A promise that is settled from outside. */
export function signalled() {
  /** @type {(value?: unknown) => void} */
  let resolve = () => {}
  const promise = new Promise(settle => {
    resolve = settle
  })
  return { promise, resolve }
}

/** Runs a program (text of an ES module) in a Node of its own, and gives how it ended. */
export async function program(text, { args = [], ms = LIMIT, env = {}, flags = [] } = {}) {
  const child = spawn(process.execPath, [...flags, '--input-type=module', '-e', text, '--', ...args], {
    cwd: new URL('.', import.meta.url),
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  return deadline(ended(child), ms, 'the program did not end').finally(() => child.kill('SIGKILL'))
}

/** What a child wrote, and how it ended. */
export function ended(child) {
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
}

/** A program in a process of its own that says a line once it is where it should be. */
export async function started(text) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    cwd: new URL('.', import.meta.url),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const { value } = await deadline(createInterface({ input: child.stdout })[Symbol.asyncIterator]().next())
  assert.equal(value, 'running')
  return child
}
