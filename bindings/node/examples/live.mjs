// Results that hold while their inputs do: in a folder of its own, with a model of its own, so that it can be run as a
// test.

import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

process.env.FOREBAY_ROOT ??= mkdtempSync(join(tmpdir(), 'forebay-'))
process.chdir(mkdtempSync(join(tmpdir(), 'forebay-')))
writeFileSync('notes.txt', 'hay\na needle\n')
let asked = 0
const askModel = async (/** @type {string} */ prompt, /** @type {{ signal: AbortSignal }} */ { signal }) => {
  signal.throwIfAborted()
  asked += 1
  return `${prompt.length} characters`
}

// --- README
import { readFile } from 'node:fs/promises'
import { Cache, liveKey } from 'forebay'

const live = new Cache().live({ workspace: '.' })

const grep = live.wrap(
  async function grep(word, path) {
    return (await readFile(path, 'utf8')).split('\n').filter(line => line.includes(word))
  },
  { inputs: (_word, path) => ({ files: [path] }) }, // computed again when, and only when, its content has changed
)

const ask = async () =>
  live.getOrCompute(
    liveKey({ tool: 'ask', model: 'm1', about: 'needle' }),
    { upstream: [await grep.derive('needle', 'notes.txt')], kind: 'model' }, // built on what grep found
    async ({ signal }) => askModel(`Why ${await grep('needle', 'notes.txt')}?`, { signal }),
  )

const first = await ask()
const second = await ask() // nobody is asked, in this or any other process
// ---

console.log(first.text(), first.how, second.how, asked)
writeFileSync('notes.txt', 'hay\nanother needle\n')
const third = await ask()
console.log(third.text(), third.how, (await live.why(third)).text)
