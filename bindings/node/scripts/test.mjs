// Runs the tests, or the files named, and says at the end how many passed. Prints each failure and each file's
// name; a skipped or todo test counts as failed.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('../test/', import.meta.url))
const named = process.argv.slice(2)
const files = (named.length > 0 ? named : readdirSync(folder).filter(name => name.endsWith('.test.mjs'))).map(
  name => join(folder, name),
)
process.chdir(join(folder, '..'))

let [passed, failed] = [0, 0]
const isFile = data => files.includes(data.name)
const stream = run({ files, concurrency: 2, timeout: 600_000 })
stream.on('test:pass', data => {
  if (data.skip !== undefined || data.todo !== undefined) failed += 1
  else if (!isFile(data)) passed += 1
})
stream.on('test:fail', () => {
  failed += 1
})
stream.compose(new spec()).pipe(process.stdout, { end: false })
stream.on('end', () => {
  // After the reporter's own last lines.
  setImmediate(() => {
    process.stdout.write(`${passed} passed, ${failed} failed\n`)
    process.exitCode = failed === 0 && passed > 0 ? 0 : 1
  })
})
