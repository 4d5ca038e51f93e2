#!/usr/bin/env node
// An agent's tool calls over a source tree: it lists folders, reads files, greps them, and asks a model about each file
// that matches, then about all of them. What has not changed is not done again, nor paid for, in this or any other
// process; what depends on a file that was edited is.
//
//     agent.mjs TREE WORD
//
// The answer goes to standard output, then how many results of each tool are kept, and what it had to work on for this
// answer. README.md says more.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { Cache } from 'forebay'

const [tree, word] = process.argv.slice(2)
if (tree === undefined || word === undefined) {
  console.error('usage: agent.mjs TREE WORD')
  process.exit(2)
}
const model = process.env.AGENT_MODEL ?? 'stand-in'
const live = new Cache().live({ workspace: tree })
const worked = { folder: [], read: [], grep: [], describe: [], answer: [] }

/** What is in a folder: names, those of folders with a slash. It holds while they are the same. */
const folder = live.wrap(
  async function folder(path) {
    worked.folder.push(path)
    const found = await readdir(join(tree, path), { withFileTypes: true })
    return found
      .filter(entry => !/^(\.|node_modules$|target$)/.test(entry.name))
      .flatMap(entry => (entry.isDirectory() ? `${entry.name}/` : entry.isFile() ? entry.name : []))
      .sort()
  },
  { inputs: path => ({ dirs: [path] }) },
)

/** The text of a file; null if it is none. It holds while the content is the same. */
const read = live.wrap(
  async function read(path) {
    worked.read.push(path)
    const bytes = await readFile(join(tree, path))
    return bytes.includes(0) ? null : bytes.toString()
  },
  { inputs: path => ({ files: [path] }) },
)

/** The lines of a file that have the word. */
const grep = live.wrap(
  async function grep(word, path) {
    worked.grep.push(path)
    const lines = ((await read(path)) ?? '').split('\n')
    return lines.flatMap((line, index) => (line.includes(word) ? `${path}:${index + 1}: ${line.trim()}` : []))
  },
  { upstream: async (_word, path) => [await read.derive(path)] },
)

/** What the model says that a file is for. */
const describe = live.wrap(
  async function describe(model, path) {
    worked.describe.push(path)
    return ask(model, `What is ${path} for?\n\n${await read(path)}`, this.signal)
  },
  { upstream: async (_model, path) => [await read.derive(path)] },
)

/** What the model says of the word, given the lines and the files that have it. */
const answer = live.wrap(
  async function answer(model, word, paths) {
    worked.answer.push(word)
    const parts = paths.map(async path => [
      `${path}: ${await describe(model, path)}`,
      ...(await grep(word, path)),
    ])
    const facts = (await Promise.all(parts)).flat()
    return ask(model, `What is ${word} in these files?\n\n${facts.join('\n')}`, this.signal)
  },
  {
    upstream: (model, word, paths) =>
      Promise.all(paths.flatMap(path => [describe.derive(model, path), grep.derive(word, path)])),
  },
)

/** Asks the model: a command that gets the prompt on its standard input, or a stand-in that costs nothing. */
async function ask(command, prompt, signal) {
  const [question, , first = 'nothing', ...rest] = prompt.split('\n')
  if (command === 'stand-in')
    return `${question} ${rest.length + 1} lines, the first is: ${first.slice(0, 60)}`
  const child = spawn(command, { shell: true, signal, stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.on('error', () => {}).end(prompt) // one that does not read it all may still answer
  const [said, [status]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (status !== 0) throw new Error(`the model ended with status ${status}`)
  return said.trim()
}

/** Every file below a folder. */
async function walk(path) {
  const names = await folder(path)
  const below = names.map(name => {
    const one = join(path, name)
    return name.endsWith('/') ? walk(one.slice(0, -1)) : [one]
  })
  return (await Promise.all(below)).flat()
}

const files = await walk('.')
const lines = await Promise.all(files.map(path => grep(word, path)))
const matching = files.filter((_, index) => lines[index].length > 0)
console.log(await answer(model, word, matching))
const kept = await live.knownKinds()
for (const [name, items] of Object.entries(worked)) {
  const told = items.length > 0 && items.length <= 4 ? `: ${items.join(', ')}` : ''
  console.log(`${name.padEnd(8)} kept ${kept.get(name) ?? 0}, worked ${items.length}${told}`)
}
