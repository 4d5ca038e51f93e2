// The stage of one scenario of tests/vectors: its folder and clock, and what its steps have named. And how what
// a call returned is compared: as JSON, bytes as hex. It knows nothing of ops.
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cache, Credentials, ForebayError } from 'forebay'

export const LIMIT = 20_000
const textOf = code => code.slice('FOREBAY_E_'.length).toLowerCase()
export const codeText = error => (error instanceof ForebayError ? textOf(error.code) : 'refresh_failed')
const who = pid => (pid === undefined ? null : pid === process.pid ? 'self' : 'other')
export const hex = data => (data === undefined ? null : Buffer.from(data).toString('hex'))

/** The fields of one object of a scenario; whatever is not taken is unknown, and a failure. */
export class Fields {
  constructor(object) {
    this.left = { ...object }
  }
  take(name) {
    const value = this.left[name]
    delete this.left[name]
    return value
  }
  need(name) {
    assert.ok(name in this.left, `it has no ${name}`)
    return this.take(name)
  }
  finish() {
    assert.deepEqual(Object.keys(this.left), [], 'fields that nobody knows')
  }
}

export function bytes(spec) {
  if (typeof spec === 'string') return Buffer.from(spec)
  const fields = new Fields(spec)
  const [text, fill] = [fields.take('hex'), fields.take('fill')]
  fields.finish()
  return text === undefined ? Buffer.alloc(fill[1], fill[0]) : Buffer.from(text, 'hex')
}

class Hold {
  entered = new Promise(resolve => {
    this.enter = resolve
  })
  released = new Promise(resolve => {
    this.release = resolve
  })
}

export class Stage {
  caches = new Map()
  tickets = new Map()
  readers = new Map()
  saved = new Map()
  holds = new Map()
  running = new Map()
  actors = new Map()
  credentials = new Map()
  wall = 1_700_000_000_000_000_000n
  boot = 1_000_000_000_000n

  constructor(defaults, quotaDefaults = {}) {
    this.defaults = defaults
    this.quotaDefaults = quotaDefaults
    this.folder = mkdtempSync(join(tmpdir(), 'forebay-'))
    this.root = join(this.folder, 'root')
    this.state = join(this.folder, 'state')
    this.clock = join(this.folder, 'clock')
    this.advance(0, 0)
    this.open('a')
  }
  open(name, durability) {
    this.caches.set(name, new Cache({ root: this.root, testClock: this.clock, durability }))
  }
  creds(name) {
    if (!this.credentials.has(name)) {
      this.credentials.set(name, new Credentials({ state: this.state, testClock: this.clock }))
    }
    return this.credentials.get(name)
  }
  advance(ms, wallMs) {
    this.wall += BigInt(ms + wallMs) * 1_000_000n
    this.boot += BigInt(ms) * 1_000_000n
    writeFileSync(`${this.clock}.new`, JSON.stringify({ wall_ns: `${this.wall}`, boot_ns: `${this.boot}` }))
    renameSync(`${this.clock}.new`, this.clock)
  }
  get now() {
    return Number(this.wall / 1_000_000n)
  }
  until(date) {
    return date === undefined ? null : Math.trunc(date.getTime() - this.now)
  }
  named(map, name) {
    assert.ok(this[map].has(name), `${map}: there is no ${name}`)
    return this[map].get(name)
  }
  hold(name) {
    if (!this.holds.has(name)) this.holds.set(name, new Hold())
    return this.holds.get(name)
  }
  async end() {
    for (const hold of this.holds.values()) hold.release()
    await Promise.allSettled(this.running.values())
    for (const ticket of this.tickets.values()) ticket.release()
    for (const actor of this.actors.values()) actor.child.kill('SIGKILL')
    for (const cache of this.caches.values()) await cache.close({ drain: LIMIT })
    rmSync(this.folder, { recursive: true, force: true })
  }

  ofValue(value) {
    return {
      data: hex(value.data),
      state: value.state,
      how: value.how ?? null,
      phase: value.phase ?? null,
      age_ms: value.age === undefined ? null : Math.trunc(value.age),
      validator: value.validator ?? null,
      error: value.error ? codeText(value.error) : null,
      says: value.error?.message ?? null,
      version: value.version,
    }
  }
  ofState(state) {
    return {
      phase: state.phase,
      in_flight: state.inFlight,
      failed: state.failed,
      error: state.lastError ? codeText(state.lastError) : null,
      says: state.lastError?.message ?? null,
      attempts: state.attempts,
      declared: state.declared,
      retry_in_ms: this.until(state.retryAt),
      deadline_in_ms: this.until(state.deadline),
      holder: who(state.holder),
    }
  }
  ofAnswer(answer) {
    return {
      json: answer.data,
      data: hex(answer.raw),
      state: answer.state,
      how: answer.how,
      age_ms: Math.trunc(answer.age),
      cached_in_ms: this.until(answer.cachedAt),
      retry_in_ms: this.until(answer.retryAt),
      error: answer.error ? codeText(answer.error) : null,
      says: answer.error?.message ?? null,
    }
  }
  ofQuota({ answer, recordedError, blocked, phase, holder }) {
    return {
      json: answer === undefined ? null : answer.data,
      data: hex(answer?.raw),
      state: answer?.state ?? null,
      age_ms: answer === undefined ? null : Math.trunc(answer.age),
      recorded_error: recordedError ? codeText(recordedError) : null,
      retry_in_ms: this.until(blocked?.until),
      error: blocked?.code === undefined ? null : textOf(blocked.code),
      declared: blocked?.declared,
      attempts: blocked?.attempts,
      phase,
      holder: who(holder),
      says: blocked?.message ?? recordedError?.message ?? null,
    }
  }
  ofCredential(credential) {
    if (credential === undefined) return { data: null }
    return {
      data: hex(credential.data),
      how: credential.how,
      age_ms: Math.trunc(this.now - credential.storedAt.getTime()),
      error: credential.error ? codeText(credential.error) : null,
      says: credential.error?.message ?? null,
      version: credential.version,
    }
  }
  ofRotation({ phase, ambiguousSince, retryAt, lastError, version }) {
    return {
      phase,
      ambiguous_for_ms: ambiguousSince === undefined ? null : Math.trunc(this.now - ambiguousSince.getTime()),
      retry_in_ms: this.until(retryAt),
      error: lastError ? codeText(lastError) : null,
      says: lastError?.message ?? null,
      version,
    }
  }
  ofError(error) {
    return { fails: codeText(error), says: String(error), retry_in_ms: this.until(error.retryAt) }
  }

  /** Fails unless each expectation holds, and nothing failed that was not expected to. */
  compare(op, expect, found) {
    const shown = JSON.stringify(found)?.slice(0, 600)
    if ('fails' in found) assert.ok('fails' in expect, `it failed: ${shown}`)
    else if (op === 'acquire' && !('outcome' in expect)) assert.equal(found.outcome, 'ticket')
    for (const [name, want] of Object.entries(expect)) {
      assert.ok(this.#holds(name, want, found), `expected ${name} ${JSON.stringify(want)}, found ${shown}`)
    }
  }
  #holds(name, want, found) {
    if (name === 'same_version') return found.version === this.named('saved', want)
    if (name === 'other_version') return 'version' in found && found.version !== this.named('saved', want)
    if (name === 'silent') return !(found.says ?? '').includes(want)
    const has = found[name === 'lacks' ? 'json' : name]
    if (has === undefined) return false
    if (name === 'list') return this.#lists(want, has)
    if (['data', 'previous', 'credential'].includes(name))
      return has === (want === null ? null : hex(bytes(want)))
    if (name === 'says') return has?.includes(want) ?? false
    if (name === 'lacks') return want.every(field => !(field in has))
    if (name === 'json') return subset(want, has)
    if (['removed_keys', 'skipped_keys', 'keys'].includes(name))
      return same([...want].sort(), [...has].sort())
    if (Array.isArray(want) && !Array.isArray(has)) {
      return typeof has === 'number' ? want[0] <= has && has <= want[1] : want.includes(has)
    }
    return same(want, has)
  }
  #lists(want, has) {
    for (const { key, ...fields } of want) {
      const found = has.find(one => one.key === key)
      if (found === undefined) return false
      this.compare('list', fields, found)
    }
    return want.length === has.length
  }
}

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other)
const isObject = thing => typeof thing === 'object' && thing !== null && !Array.isArray(thing)
function subset(want, has) {
  if (!isObject(want)) return same(want, has)
  return isObject(has) && Object.entries(want).every(([name, one]) => name in has && subset(one, has[name]))
}
