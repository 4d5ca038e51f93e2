// The examples run, and say what they should; the README shows the same text.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deadline, ended, folder } from './helpers.mjs'

const EXAMPLES = new URL('../examples/', import.meta.url)
const says = {
  'readme.mjs': "[ 'one', 'two' ] ran fresh\nundefined absent undefined\n",
  'background.cjs': "refresh: started\nshown: { version: 'v7', healthy: true } true\n",
  'live.mjs': '13 characters ran fresh 1\n19 characters ran nothing that it was computed from has changed\n',
  'quota.mjs': "{ used: 7 } ran ran token 2\n{ used: 'unknown' } fallback FOREBAY_E_RATE_LIMITED 10\n",
  'tickets.mjs': 'requested: started\nthe report cooling true\nexample/report fresh 10\n',
}

test('there is an expectation for each example', () => {
  assert.deepEqual(readdirSync(EXAMPLES).sort(), Object.keys(says).sort())
})

for (const [name, text] of Object.entries(says)) {
  test(`example ${name}`, async () => {
    const child = spawn(process.execPath, [fileURLToPath(new URL(name, EXAMPLES))], {
      env: { ...process.env, FOREBAY_ROOT: folder(), FOREBAY_STATE: folder() },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const { code, stdout, stderr } = await deadline(ended(child))
    assert.deepEqual([code, stdout, stderr], [0, text, ''])
  })
}

test('the README shows the examples that are run', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  for (const name of ['readme.mjs', 'quota.mjs', 'live.mjs']) {
    const [, example] = readFileSync(new URL(name, EXAMPLES), 'utf8').split(/^\/\/ ---.*\n/m)
    assert.ok(readme.includes(example.trim()), `README.md and examples/${name} differ`)
  }
})
