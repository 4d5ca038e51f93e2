// Runs every scenario of tests/vectors, whose README says how. There is no way to skip one: an unknown op, field
// or expectation is a failure, and so is a number of runs that is not the number of files.
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Cache, Credentials } from 'forebay'
import { run } from './vectors/ops.mjs'
import { Stage } from './vectors/stage.mjs'

const VECTORS = new URL('../../../tests/vectors/', import.meta.url)
const json = name => JSON.parse(readFileSync(new URL(name, VECTORS), 'utf8'))
assert.ok(
  process.env.FOREBAY_ACTOR,
  'FOREBAY_ACTOR is unset: cargo build -p forebay-processes, and set it to target/debug/forebay-actor',
)

const files = readdirSync(new URL('scenarios/', VECTORS)).filter(name => name.endsWith('.json'))
let ran = 0
/** Longer than every wait of the runner's own. */
const HANG = 30_000
for (const file of files) {
  test(`scenario ${file}`, { timeout: HANG }, async () => {
    const { name, about, source, quota, steps, ...unknown } = json(`scenarios/${file}`)
    assert.deepEqual([`${name}.json`, typeof about, unknown], [file, 'string', {}])
    const stage = new Stage(source, quota)
    try {
      await run(stage, steps, '')
      ran += 1
    } finally {
      await stage.end()
    }
  })
}

test('names become the files that names.json says', async () => {
  const { names, refused, keys } = json('names.json')
  const root = mkdtempSync(join(tmpdir(), 'forebay-'))
  const cache = new Cache({ root })
  for (const { tier, name, identity, folder, stem } of names) {
    await cache.source(`${tier}/${name}`, { identity }).put('x')
    assert.ok(
      existsSync(join(root, folder, `${stem}.json`)),
      `${tier}/${name} is not at ${folder}/${stem}.json`,
    )
  }
  for (const key of refused) {
    await assert.rejects(async () => cache.source(key).put('x'), { code: 'FOREBAY_E_INVALID' })
  }
  for (const { text, tier, name } of keys) {
    await cache.source(text).put('x')
    assert.ok(
      (await cache.list()).some(row => row.tier === tier && row.name === name),
      text,
    )
  }
  rmSync(root, { recursive: true })
})

test('names of quotas and credentials become the files that names.json says', async () => {
  const { quotas, quotas_refused: refused, credentials } = json('names.json')
  assert.ok(quotas.length > 0 && refused.length > 0 && credentials.length > 0)
  const home = mkdtempSync(join(tmpdir(), 'forebay-'))
  const [root, state] = [join(home, 'root'), join(home, 'state')]
  const cache = new Cache({ root })
  for (const { name, identity, key, stem } of quotas) {
    const quota = cache.quota(name, { identity })
    await quota.resolve({ fetch: () => '{}' })
    assert.equal(quota.key, key)
    assert.ok(existsSync(join(root, `${stem}.json`)), `${key} is not at ${stem}.json`)
    assert.ok((await cache.quotas()).some(row => row.key === key && row.name === name))
  }
  for (const name of refused) {
    await assert.rejects(async () => cache.quota(name).read(), { code: 'FOREBAY_E_INVALID' })
  }
  const store = new Credentials({ state })
  for (const { key, folder, stem } of credentials) {
    await store.reset(key, 'x')
    assert.ok(existsSync(join(state, folder, `${stem}.json`)), `${key} is not at ${folder}/${stem}.json`)
  }
  rmSync(home, { recursive: true })
})

test('all scenarios ran to their end', t => {
  t.diagnostic(`${ran} scenarios`)
  assert.deepEqual([ran, files.length > 0], [files.length, true])
})
