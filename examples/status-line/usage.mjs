#!/usr/bin/env node
// A status line: how much of an account's allowance is used, as often as a prompt, an editor or an agent asks.
//
//     42% of 5h · 3 min ago
//
// A hundred of these may run at once: one asks the server, at most every three minutes, and when the server says
// "later" none does until then. Something is always shown: the last answer with its age, else what local logs tell,
// else why there is nothing. The token is read only when the server is asked. README.md has the settings.
import { readdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { Cache, ForebayError, fromResponse } from 'forebay'

const setting = (name, unset) => process.env[name] ?? unset
const SERVER = setting('USAGE_URL', 'https://api.example.com/usage')
const TOKEN = setting('USAGE_TOKEN', join(homedir(), '.config/usage/token'))
const LOGS = setting('USAGE_LOGS', join(homedir(), '.local/share/usage'))

// Only for a file that is not there: any other error is one.
const absent = instead => error => {
  if (error.code === 'ENOENT') return instead()
  throw error
}

/** The secret, from a file that only its owner can read. */
const readToken = async () => {
  const notSignedIn = () => {
    throw new ForebayError('FOREBAY_E_NO_CREDENTIALS', 'not signed in')
  }
  return (await readFile(TOKEN, 'utf8').catch(absent(notSignedIn))).trim()
}

/** One request. What it is answered with (429, 401, 503, Retry-After) holds for every process. */
const askServer = async ({ credential, signal, conditionalHeaders }) => {
  const headers = { authorization: `Bearer ${credential}`, ...conditionalHeaders }
  return fromResponse(await fetch(SERVER, { headers, signal }))
}

/** What the local logs tell, where the server tells nothing: lines of `{"at": SECONDS, "tokens": N}`. */
const countLogs = async () => {
  const since = Date.now() / 1000 - 5 * 3600
  const names = (await readdir(LOGS).catch(absent(() => []))).filter(name => name.endsWith('.jsonl'))
  const logs = await Promise.all(names.map(name => readFile(join(LOGS, name), 'utf8')))
  const lines = logs.flatMap(log => log.split('\n')).filter(Boolean)
  const entries = lines.map(line => JSON.parse(line))
  const recent = entries.filter(entry => entry.at >= since)
  const tokens = recent.reduce((sum, entry) => sum + entry.tokens, 0)
  return entries.length ? { data: { tokens, window: '5h' } } : undefined
}

/** A length of time in milliseconds, as a person says it. */
const span = ms => {
  const [seconds, minutes] = [ms / 1000, Math.round(ms / 60_000)]
  if (seconds < 60) return `${seconds.toFixed(0)} s`
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`
}

/** What went wrong, in a few words, and when the next attempt will be made. */
const why = error => {
  if (!(error instanceof ForebayError)) return error.message
  const said = error.code.replace('FOREBAY_E_', '').replaceAll('_', ' ').toLowerCase()
  return error.retryAt ? `${said}, next try in ${span(error.retryAt - Date.now())}` : said
}

/** The one line. */
const line = async () => {
  const usage = new Cache().quota('usage', { identity: process.env.USAGE_ACCOUNT })
  const { data, how, age, error } = await usage.resolve({
    credentials: readToken,
    fetch: askServer,
    fallback: countLogs,
  })
  const doubt = error ? ` (${why(error)})` : ''
  const { window, tokens, used, limit } = data
  if (how === 'fallback') return `${tokens.toLocaleString('en')} tokens in ${window} · local logs${doubt}`
  return `${((100 * used) / limit).toFixed(0)}% of ${window} · ${span(age)} ago${doubt}`
}

// Whatever it was, a status line says it in a line.
console.log(await line().catch(error => `no usage: ${why(error)}`))
