// The packed tarball, installed into an empty folder, works there: `import`, `require`, and the types.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { folder } from './helpers.mjs'

const HERE = fileURLToPath(new URL('..', import.meta.url))
let app = ''
function execute(command, args, cwd) {
  const env = { ...process.env, FOREBAY_ROOT: join(app, 'root') }
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8', env })
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`)
  return stdout
}
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
  assert.deepEqual(readdirSync(installed).sort(), [
    'LICENSE-APACHE',
    'LICENSE-MIT',
    'README.md',
    'dist',
    'package.json',
  ])
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

/** Type-checks those files of the app, strictly. */
function compile(files) {
  const tsc = join(HERE, 'node_modules/typescript/bin/tsc')
  const strict = ['--strict', '--noEmit', '--module', 'node16', '--target', 'es2022']
  const types = ['--typeRoots', join(HERE, 'node_modules/@types'), '--types', 'node']
  const lib = ['--lib', 'es2023,esnext.disposable']
  execute(process.execPath, [tsc, ...strict, ...lib, ...types, ...files], app)
}

test('a strict TypeScript program compiles there, as ES module and as CommonJS', () => {
  mkdirSync(join(app, 'node_modules/@types'), { recursive: true })
  const program = `
    import { Cache, type Credential, ForebayError, type ErrorCode, liveKey, type Refresher, rotate, unchanged, type Value } from 'forebay'
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
      const answer = await cache.quota('usage', { identity: 'me', ttl: '3m' }).resolve<{ used: number }>({
        credentials: () => 'secret',
        fetch: async ({ credential, signal }) => ({ data: { used: signal.aborted ? 0 : String(credential).length } }),
      })
      const { used }: { used: number } = answer.data
      const token: Credential = await rotate('key', { seen: undefined, exchange: ({ previous }) => previous ?? 'first' })
      const live = cache.live({ workspace: new URL('file:///nowhere'), sizeCap: 1e9 })
      const words = live.wrap(async (path: string, least: number) => path.length > least, {
        kind: 'words',
        inputs: path => ({ files: [path, Buffer.of(0xff)] }),
        upstream: async (_path, least) => [least.toFixed()],
      })
      const many: boolean = await words('notes', 3)
      const found = live.lookup(words.key('notes', 3))
      if (found.outcome === 'hit') found.derived.json<boolean>()
      else if ((await live.lookup('00', { revalidate: true })).outcome === 'miss') words.derive(String(many), 4)
      // @ts-expect-error the arguments are those of the function
      await words('notes')
      // @ts-expect-error a computation returns bytes or text
      await live.getOrCompute(liveKey('a'), { files: ['a'] }, () => ({ a: 1 }))
      // @ts-expect-error a fetch returns JSON, in { data } where it is no text
      await cache.quota().resolve({ fetch: () => ({ used }) })
      // @ts-expect-error an exchange there has to be
      await rotate('key', { seen: token })
      // @ts-expect-error there is no such option
      await source.get(refresher, { waits: 3 })
      return value.text() ?? data?.toString()
    }
  `
  for (const name of ['esm.mts', 'cjs.cts']) writeFileSync(join(app, name), program)
  compile(['esm.mts', 'cjs.cts'])
})

const PRELUDE = `
  import { readFile } from 'node:fs/promises'
  import { type Bytes, Cache, type Credential, Credentials, defaultRoot, ForebayError, fromResponse, type Live, liveKey, NotSent, type Quota, type QuotaJob, type Refresher, rotate, rotateReset, type Source, type Ticket, unchanged } from 'forebay'
  const cache = new Cache()
  const credentials = new Credentials({ state: '/nowhere' })
  declare const models: Source, source: Source, ticket: Ticket, refresher: Refresher, usage: Quota
  declare const credential: Credential, seen: Credential | undefined
  declare function askServer(job: QuotaJob<string>): Promise<{ data: unknown }>
  declare function readToken(): Promise<string>
  declare function reachable(): Promise<boolean>
  declare function exchange(): Promise<string>
  declare function fetchAll(): Promise<Bytes>
  declare function version(): Promise<string>
  declare const live: Live
  declare function search(pattern: string, path: string): Promise<string[]>
  declare function askModel(prompt: string, options: { signal: AbortSignal }): Promise<string>
  const key = liveKey('key')
  const URL = 'https://example.org/models'
  export const used = [defaultRoot, ForebayError, fromResponse, unchanged, source, ticket, refresher, fetchAll, version, URL, NotSent, rotate, rotateReset]
  export const new_ = [credentials, usage, credential, seen, askServer, readToken, reachable, exchange]
  export const derived = [readFile, live, search, askModel, key]
`

test('every example of the documentation compiles, and every call has one', () => {
  const files = readdirSync(join(HERE, 'src')).filter(name => name.endsWith('.ts'))
  const texts = files.map(name => readFileSync(join(HERE, 'src', name), 'utf8'))
  const examples = texts.flatMap(text =>
    [...text.matchAll(/@example\n((?: *\*(?!\/).*\n)+)/g)].map(([, lines]) => lines.replace(/^ *\* ?/gm, '')),
  )
  assert.ok(examples.length >= 50, `${examples.length} examples`)
  const functions = examples.map((text, index) => `export async function example${index}() {\n${text}\n}\n`)
  writeFileSync(join(app, 'examples.mts'), `${PRELUDE}\n${functions.join('\n')}`)
  compile(['examples.mts'])
  for (const name of [
    'cache.ts',
    'source.ts',
    'quota.ts',
    'credentials.ts',
    'live.ts',
    'live-inputs.ts',
    'derived.ts',
  ]) {
    const text = readFileSync(join(HERE, 'src', name), 'utf8')
    const calls = text.matchAll(/^ {2}(?:async )?(\w+)\(/gm)
    for (const [, call] of calls) {
      if (['constructor', 'look'].includes(call)) continue
      assert.ok(
        examples.some(example => example.includes(`.${call}(`)),
        `${call} of ${name} has no example`,
      )
    }
  }
})
