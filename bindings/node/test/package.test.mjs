// The packed tarball, installed into an empty folder, works there: `import`, `require`, and the types.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { folder } from './helpers.mjs'

const HERE = fileURLToPath(new URL('..', import.meta.url))
let app = ''
const execute = (command, args, cwd) =>
  execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, FOREBAY_ROOT: join(app, 'root') },
  })
const quiet = ['--silent', '--no-audit', '--no-fund', '--offline']

before(() => {
  app = folder()
  execute('npm', ['pack', '--silent', '--pack-destination', app], HERE)
  const tarball = readdirSync(app).find(name => /^forebay-.*\.tgz$/.test(name))
  assert.ok(tarball)
  execute('npm', ['install', ...quiet, `./${tarball}`], app)
})

test('the tarball holds the package and nothing else', () => {
  const installed = join(app, 'node_modules/forebay')
  assert.deepEqual(readdirSync(installed).sort(), ['README.md', 'dist', 'package.json'])
  const files = readdirSync(join(installed, 'dist'))
  assert.equal(files.filter(name => name.endsWith('.node')).length, 1)
  for (const name of files) assert.match(name, /\.(js|mjs|d\.ts|d\.mts|node)$/)
})

test('import and require work there', () => {
  const text = `new Cache().source('a/b', { ttl: '1h' }).get(() => 'made').then(({ how, data }) => console.log(how, String(data)))`
  writeFileSync(join(app, 'one.mjs'), `import { Cache } from 'forebay'\n${text}`)
  writeFileSync(join(app, 'two.cjs'), `const { Cache } = require('forebay')\n${text}`)
  assert.equal(execute(process.execPath, ['one.mjs'], app), 'ran made\n')
  assert.equal(execute(process.execPath, ['two.cjs'], app), 'fresh made\n')
})

test('a strict TypeScript program compiles there, as ES module and as CommonJS', () => {
  mkdirSync(join(app, 'node_modules/@types'), { recursive: true })
  const program = `
    import { Cache, ForebayError, type ErrorCode, type Refresher, unchanged, type Value } from 'forebay'
    const refresher: Refresher = async job => (job.validator === 'v' ? unchanged : { data: 'x', ttl: '1h' })
    export async function main(): Promise<string | undefined> {
      const cache = new Cache({ root: '/nowhere', durability: 'full' })
      const source = cache.source('a/b', { ttl: '1h', backoff: { floor: 250, cap: '5m' } })
      const value: Value = await source.get(refresher, { wait: 300, signal: AbortSignal.timeout(5) })
      const { data }: { data: Buffer | undefined } = source.read()
      for await (const { kind } of cache.subscribe()) if (kind === 'hit') break
      const got = await source.acquire()
      if (got.outcome === 'ticket') await got.ticket.complete(new Uint8Array(3))
      else if (got.outcome === 'fresh') got.value.json<{ a: number }>()?.a.toFixed()
      else got.refresh.retryAt?.toISOString()
      try {
        cache.readers().get('a/b')
      } catch (error) {
        if (error instanceof ForebayError) { const code: ErrorCode = error.code; return code }
      }
      // @ts-expect-error a ttl is milliseconds or text
      cache.source('a/b', { ttl: true })
      // @ts-expect-error a refresher returns bytes
      await source.get(() => 7)
      // @ts-expect-error there is no such option
      await source.get(refresher, { waits: 3 })
      return value.text() ?? data?.toString()
    }
  `
  for (const name of ['esm.mts', 'cjs.cts']) writeFileSync(join(app, name), program)
  const tsc = join(HERE, 'node_modules/typescript/bin/tsc')
  const strict = ['--strict', '--noEmit', '--module', 'node16', '--target', 'es2022']
  const types = [
    '--lib',
    'es2023,esnext.disposable',
    '--typeRoots',
    join(HERE, 'node_modules/@types'),
    '--types',
    'node',
  ]
  execute(process.execPath, [tsc, ...strict, ...types, 'esm.mts', 'cjs.cts'], app)
})
