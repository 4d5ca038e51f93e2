/**
 * Which native file it is and how it is loaded. A loader of our own, because a failure to load must show the
 * system's real reason, not "cannot find module".
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The name of the native file for a platform, such as `forebay.linux-x64-gnu.node`. @internal */
export function fileName(
  platform: string = process.platform,
  arch: string = process.arch,
  musl: boolean = isMusl(),
): string {
  const libc = platform === 'linux' ? (musl ? '-musl' : '-gnu') : ''
  return `forebay.${platform}-${arch}${libc}.node`
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  const header = (process.report?.getReport() as { header?: { glibcVersionRuntime?: string } })?.header
  return header?.glibcVersionRuntime === undefined
}

/** Loads the native file of that folder. The error says what the system said. @internal */
export function load(folder: string): unknown {
  const here = `${process.platform} ${process.arch}, Node ${process.version}`
  const name = pick(folder)
  const path = join(folder, name)
  if (!existsSync(path)) {
    const others = readdirSync(folder).filter(file => file.endsWith('.node'))
    const found = others.length === 0 ? 'none' : others.join(', ')
    throw loadError(
      `forebay: there is no native file ${path} for this platform (${here}); present: ${found}. ` +
        'Install the package for this platform, or build it with `npm run build` in bindings/node',
    )
  }
  const module = { exports: {} as unknown }
  try {
    process.dlopen(module, path)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw loadError(`forebay: cannot load ${path} (${here}): ${reason}`, cause)
  }
  return module.exports
}

/** Which C library it is takes milliseconds to find out: asked only where there is a choice. */
function pick(folder: string): string {
  const { platform, arch } = process
  const names = new Set([fileName(platform, arch, false), fileName(platform, arch, true)])
  const there = [...names].filter(name => existsSync(join(folder, name)))
  return there.length === 1 ? (there[0] as string) : fileName()
}

function loadError(message: string, cause?: unknown): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause })
  return Object.assign(error, { code: 'FOREBAY_E_UNSUPPORTED' })
}
