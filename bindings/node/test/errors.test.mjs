// Codes, causes, and what is said when the native file cannot be loaded.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { Cache, ERROR_CODES, ForebayError, fromResponse } from 'forebay'
import { folder, stage } from './helpers.mjs'

const require = createRequire(import.meta.url)
const { binding } = require('../dist/native.js')
const { fileName, load } = require('../dist/loader.js')

test('the codes are exactly those that every language has', () => {
  const table = new URL('../../../tests/vectors/error_codes.json', import.meta.url)
  const { codes } = JSON.parse(readFileSync(table, 'utf8'))
  assert.ok(codes.length >= 30)
  assert.deepEqual(
    ERROR_CODES,
    codes.map(({ node }) => node),
  )
  assert.deepEqual(
    binding.errorCodes(),
    codes.map(({ code, number }) => ({ text: code, number })),
  )
  for (const { code, node } of codes) assert.equal(node, `FOREBAY_E_${code.toUpperCase()}`)
})

test('each code survives the way through a gate and back', async () => {
  const { cache } = stage()
  for (const code of ERROR_CODES) {
    const source = cache.source(`code/${code.toLowerCase()}`, {
      ttl: '1h',
      backoff: { floor: '1h', cap: '1h' },
    })
    const thrown = new ForebayError(code, `it was ${code}`)
    assert.equal(await source.refresh(() => Promise.reject(thrown)).catch(error => error), thrown)
    const { lastError } = await source.refreshState()
    assert.equal(lastError?.code, code)
    assert.match(lastError?.message ?? '', new RegExp(`it was ${code}`))
  }
})

test('import and require give the same classes', async () => {
  const imported = Object.entries(await import('forebay')).filter(
    ([name]) => !/^(default|module\.exports|__esModule)$/.test(name),
  )
  const required = require('forebay')
  assert.ok(imported.length >= 12)
  assert.deepEqual(imported.map(([name]) => name).sort(), Object.keys(required).sort())
  for (const [name, thing] of imported) assert.equal(thing, required[name], name)
})

test('an error names the path, the reason, and what to do', async () => {
  const root = folder()
  writeFileSync(join(root, 'file'), '')
  const open = async () => new Cache({ root: join(root, 'file') }).source('api/models').put('x')
  const error = await open().then(
    () => assert.fail('a file is no folder'),
    reason => reason,
  )
  assert.ok(error instanceof ForebayError && error instanceof Error)
  assert.equal(error.name, 'ForebayError')
  assert.ok(ERROR_CODES.includes(error.code))
  assert.ok(error.message.includes(join(root, 'file')), error.message)
  assert.equal(typeof error.path, 'string')
  assert.ok(error.stack?.includes('ForebayError'))
})

test('wrong arguments to the native part are errors, not crashes', () => {
  for (const call of [
    () => new Cache(/** @type {any} */ ({ root: 7 })),
    () => new Cache(/** @type {any} */ ({ durability: 'maybe' })),
    () => stage().cache.source('a', /** @type {any} */ ({ durability: 'maybe' })),
    () => stage().cache.source('a', /** @type {any} */ ({ identity: 7 })),
  ]) {
    assert.throws(call, { code: 'FOREBAY_E_INVALID' }, String(call))
  }
})

test('a native file that is missing or broken is named with the system’s own reason', () => {
  const home = folder()
  assert.throws(
    () => load(home),
    error => {
      assert.ok(error instanceof Error)
      assert.match(error.message, /there is no native file .*present: none/)
      assert.ok(error.message.includes(fileName()) && error.message.includes(process.version))
      return true
    },
  )
  writeFileSync(join(home, 'forebay.plan9-mips.node'), '')
  assert.throws(() => load(home), /present: forebay\.plan9-mips\.node/)
  writeFileSync(join(home, fileName()), 'not a shared object')
  assert.throws(
    () => load(home),
    error => {
      assert.ok(error instanceof Error && error.cause instanceof Error)
      assert.match(error.message, /cannot load .*: .*(file too short|invalid ELF header)/)
      assert.ok(error.message.includes(error.cause.message))
      return true
    },
  )
  mkdirSync(join(home, 'other'))
  assert.deepEqual(
    [fileName('linux', 'x64', true), fileName('linux', 'arm64', false), fileName('darwin', 'arm64', false)],
    ['forebay.linux-x64-musl.node', 'forebay.linux-arm64-gnu.node', 'forebay.darwin-arm64.node'],
  )
})

test('fromResponse turns each status into what the refresh needs to know', async () => {
  const ok = await fromResponse(new Response('body', { status: 200, headers: { etag: '"v1"' } }))
  assert.ok('data' in ok)
  assert.deepEqual([ok.data.toString(), ok.validator], ['body', '"v1"'])
  const date = 'Sat, 21 Nov 2026 10:00:00 GMT'
  const dated = await fromResponse(new Response('', { status: 203, headers: { 'last-modified': date } }))
  assert.equal(dated.validator, date)
  assert.equal((await fromResponse(new Response('x'))).validator, undefined)
  const same = await fromResponse(new Response(null, { status: 304 }))
  assert.ok('unchanged' in same)
  for (const [status, code, header, retryAfter] of /** @type {const} */ ([
    [401, 'FOREBAY_E_UNAUTHORIZED', undefined, undefined],
    [403, 'FOREBAY_E_UNAUTHORIZED', undefined, undefined],
    [429, 'FOREBAY_E_RATE_LIMITED', '120', 120_000],
    [503, 'FOREBAY_E_UNAVAILABLE', '2', 2_000],
    [500, 'FOREBAY_E_REFRESH_FAILED', undefined, undefined],
    [404, 'FOREBAY_E_REFRESH_FAILED', undefined, undefined],
  ])) {
    const response = new Response('text', { status, headers: header ? { 'retry-after': header } : {} })
    await assert.rejects(fromResponse(response), error => {
      assert.ok(error instanceof ForebayError)
      assert.deepEqual([error.code, error.retryAfter], [code, retryAfter], `${status}`)
      assert.match(error.message, new RegExp(`${status}`))
      return true
    })
    assert.equal(response.bodyUsed, true, 'the body is let go')
  }
})
