// Builds the native file with cargo and puts it beside the compiled TypeScript, under the name that the loader
// looks for. FOREBAY_PROFILE is release (default) or debug; the target folder is cargo's own choice.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = join(dirname(fileURLToPath(import.meta.url)), '..')
const profile = process.env.FOREBAY_PROFILE ?? 'release'
if (profile !== 'release' && profile !== 'debug') {
  throw new Error(`FOREBAY_PROFILE is ${profile}; give release or debug`)
}

const args = ['build', '-p', 'forebay-node', '--locked', '--message-format', 'json-render-diagnostics']
if (profile === 'release') args.push('--release')
const cargo = spawnSync('cargo', args, {
  cwd: here,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
  maxBuffer: 2 ** 28,
})
if (cargo.error !== undefined) {
  throw new Error('cannot run cargo: install Rust from https://rustup.rs', { cause: cargo.error })
}
if (cargo.status !== 0) process.exit(cargo.status ?? 1)

const library = cargo.stdout
  .split('\n')
  .filter(line => line.startsWith('{'))
  .map(line => JSON.parse(line))
  .filter(message => message.reason === 'compiler-artifact' && message.target.name === 'forebay_node')
  .flatMap(message => message.filenames)
  .find(file => /\.(so|dylib|dll)$/.test(file))
if (library === undefined) throw new Error('cargo built no library forebay_node')

const require = createRequire(import.meta.url)
const { fileName } = require('../dist/loader.js')
const target = join(here, 'dist', fileName())
mkdirSync(dirname(target), { recursive: true })
// By rename: a program that has the old file mapped keeps it.
copyFileSync(library, `${target}.new`)
renameSync(`${target}.new`, target)
