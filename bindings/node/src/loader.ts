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
export function load(folder: string, name: string = fileName()): unknown {
  const path = join(folder, name)
  const here = `${process.platform} ${process.arch}, Node ${process.version}`
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

function loadError(message: string, cause?: unknown): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause })
  return Object.assign(error, { code: 'FOREBAY_E_UNSUPPORTED' })
}
