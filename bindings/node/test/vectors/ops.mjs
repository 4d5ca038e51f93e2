// The ops of the scenarios. Each takes its fields first, so that an unknown one is a failure before anything
// runs, and gives the call that it stands for.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { ForebayError, unchanged } from 'forebay'
import { deadline, until } from '../helpers.mjs'
import { credentials, quotas } from './quota.mjs'
import { bytes, Fields, hex, LIMIT } from './stage.mjs'

const BACKGROUND = ['refresh', 'get', 'maybe_refresh_sync', 'wait_for_change', 'quota_resolve', 'rotate']
export const error = ({ code, message, retry_after_ms }) =>
  new ForebayError(/** @type {any} */ (`FOREBAY_E_${code.toUpperCase()}`), message, {
    retryAfter: retry_after_ms,
  })

/** Runs the steps; the error of one that fails names it. */
export async function run(stage, steps, place) {
  for (const [index, step] of steps.entries()) {
    try {
      const fields = new Fields(step)
      const [op, expect, save] = [fields.need('do'), fields.take('expect') ?? {}, fields.take('save')]
      fields.take('note')
      const background = op === 'join' ? undefined : fields.take('background')
      assert.ok(background === undefined || BACKGROUND.includes(op), `${op} cannot run in the background`)
      const call = prepare(stage, op, fields, `${place}${index}`)
      fields.finish()
      if (background !== undefined) {
        const running = call()
        running.catch(() => {})
        stage.running.set(background, running)
        continue
      }
      const found = await call()
      stage.compare(op, expect, found)
      if (save !== undefined) stage.saved.set(save, found.version ?? assert.fail('no version to save'))
    } catch (cause) {
      if (cause.placed) throw cause
      throw Object.assign(new Error(`step ${place}${index}: ${cause.message}`, { cause }), { placed: true })
    }
  }
}

function prepare(stage, op, fields, place) {
  const name = fields.take('cache') ?? 'a'
  const group = [whole, ticket, plain, refreshing, quotas, credentials, stagehand].find(ops => op in ops)
  assert.ok(group, `nobody knows the op ${op}`)
  const call = group[op](stage, fields, name, place)
  return async () => {
    try {
      return (await call()) ?? {}
    } catch (thrown) {
      if (thrown instanceof ForebayError) return stage.ofError(thrown)
      throw thrown
    }
  }
}

function source(stage, fields, cache) {
  for (const [name, value] of Object.entries(stage.defaults)) fields.left[name] ??= value
  const [key, backoff] = [fields.need('key'), fields.take('backoff_ms')]
  const options = {
    ttl: fields.take('ttl_ms'),
    maxStale: fields.take('max_stale_ms'),
    staleIfError: fields.take('stale_if_error_ms'),
    deadline: fields.take('deadline_ms'),
    identity: fields.take('identity'),
    backoff: backoff && { floor: backoff[0], cap: backoff[1] },
  }
  const from = stage.named('caches', cache)
  // When the step runs: a bad key or option is that step's failure.
  return () => from.source(key, options)
}

export function commit(fields) {
  const of = new Fields(fields.take('commit'))
  const options = {
    validator: of.take('validator'),
    ttl: of.take('ttl_ms'),
    maxStale: of.take('max_stale_ms'),
  }
  of.finish()
  return options
}

function refresher(stage, spec, place, seen) {
  const fields = new Fields(spec)
  const [during, hold, fails] = [fields.take('during') ?? [], fields.take('hold'), fields.take('fails')]
  const [throws, returns, same] = [fields.take('throws'), fields.take('returns'), fields.take('unchanged')]
  const options = commit(fields)
  fields.finish()
  if (fails !== undefined) seen.thrown = error(fails)
  else if (throws !== undefined) seen.thrown = new TypeError(throws)
  else assert.ok(returns !== undefined || same, 'a refresher has to say what it does')
  return async () => {
    seen.ran = true
    await run(stage, during, `${place}.during.`).catch(failed => {
      seen.failed = failed
    })
    if (hold !== undefined) {
      stage.hold(hold).enter()
      await stage.hold(hold).released
    }
    if (seen.thrown) throw seen.thrown
    return same ? { ...unchanged, ...options } : { data: bytes(returns), ...options }
  }
}

/** @param {(fields: any, stage: any) => object} own takes the call's own fields */
function refreshes(method, own = () => ({})) {
  return (stage, fields, cache, place) => {
    const [of, seen] = [source(stage, fields, cache), { ran: false, thrown: undefined, failed: undefined }]
    const [fn, options] = [refresher(stage, fields.need('fn'), place, seen), own(fields, stage)]
    return async () => {
      let found
      try {
        const got = await of()[method](fn, options)
        found = typeof got === 'string' ? { outcome: got } : stage.ofValue(got)
      } catch (thrown) {
        // Whoever ran a refresher that throws gets that very error.
        if (seen.ran && seen.thrown) assert.equal(thrown, seen.thrown)
        found = stage.ofError(thrown)
      }
      if (seen.failed) throw seen.failed
      return { ...found, ran: seen.ran }
    }
  }
}

const refreshing = {
  get: refreshes('get', fields => ({ wait: fields.take('wait_ms') })),
  refresh: refreshes('refresh', (fields, stage) => {
    const fresh = fields.take('min_fresh_in_ms')
    const minFreshAt = fresh === undefined ? undefined : new Date(stage.now + fresh)
    return { minFreshAt, overrideGate: fields.take('override_gate') }
  }),
  maybe_refresh: refreshes('maybeRefresh'),
  maybe_refresh_sync: refreshes('maybeRefreshSync'),
}

const whole = {
  open(stage, fields, cache) {
    const durability = fields.take('durability')
    return () => stage.open(cache, durability)
  },
  close: (stage, _, cache) => () => stage.named('caches', cache).close(),
  list: (stage, _, cache) => async () => {
    const rows = await stage.named('caches', cache).list()
    return { list: rows.map(row => ({ ...stage.ofValue(row), key: row.key, size: row.size })) }
  },
  prune(stage, fields, cache) {
    const keep = fields.need('keep')
    return async () => {
      const { removed, skipped } = await stage.named('caches', cache).prune(keep)
      return { removed_keys: removed, skipped_keys: skipped.map(({ key }) => key) }
    }
  },
}

const onTicket = act => (stage, fields) => {
  const name = fields.need('ticket')
  return act(stage.named('tickets', name), fields, stage, name)
}
const ticket = {
  ticket: onTicket(held => () => ({
    cancelled: held.cancelled,
    previous: hex(held.previous),
    validator: held.validator ?? null,
    remaining_ms: Math.trunc(held.remaining),
  })),
  complete: onTicket((held, fields, stage) => {
    const [data, options] = [bytes(fields.need('data')), commit(fields)]
    return async () => stage.ofValue(await held.complete(data, options))
  }),
  unchanged: onTicket((held, fields, stage) => {
    const options = commit(fields)
    return async () => stage.ofValue(await held.unchanged(options))
  }),
  fail: onTicket((held, fields) => {
    const [code, message] = [fields.need('code'), fields.need('message')]
    const failure = error({ code, message, retry_after_ms: fields.take('retry_after_ms') })
    return () => held.fail(failure)
  }),
  renew: onTicket((held, fields) => {
    const ms = fields.need('ms')
    return () => held.renew(ms)
  }),
  drop: onTicket((held, _, stage, name) => () => {
    held.release()
    stage.tickets.delete(name)
  }),
}

const onSource = act => (stage, fields, cache) => act(source(stage, fields, cache), fields, stage, cache)
const plain = {
  read: onSource((of, _, stage) => () => stage.ofValue(of().read())),
  load(stage, fields, cache) {
    const name = fields.need('reader')
    const { key, ttl_ms: ttl, max_stale_ms: maxStale } = { ...stage.defaults, ...fields.left }
    source(stage, fields, cache)
    return () => {
      if (!stage.readers.has(name)) {
        stage.readers.set(name, stage.named('caches', cache).reader(key, { ttl, maxStale }))
      }
      return stage.ofValue(stage.readers.get(name).read())
    }
  },
  put: onSource((of, fields, stage) => {
    const [data, options] = [bytes(fields.need('data')), commit(fields)]
    return async () => stage.ofValue(await of().put(data, options))
  }),
  mark_stale: onSource(of => () => of().markStale()),
  remove: onSource(of => async () => ({ removed: await of().remove() })),
  refresh_state: onSource((of, _, stage) => async () => stage.ofState(await of().refreshState())),
  wait_for_change: onSource((of, fields, stage) => {
    const [since, timeout] = [stage.named('saved', fields.need('since')), fields.take('timeout_ms')]
    return async () => ({ changed: (await of().waitForChange(since, { timeout })) !== undefined })
  }),
  acquire: onSource((of, fields, stage) => {
    const [name, since] = [fields.need('ticket'), fields.take('since')]
    const options = {
      unlessFresh: fields.take('unless_fresh'),
      unlessChangedSince: since && stage.named('saved', since),
      overrideGate: fields.take('override_gate'),
      force: fields.take('force'),
    }
    return async () => {
      const got = await of().acquire(options)
      if (got.outcome === 'ticket') stage.tickets.set(name, got.ticket)
      const facts = got.value ? stage.ofValue(got.value) : got.refresh ? stage.ofState(got.refresh) : {}
      return { ...facts, outcome: got.outcome }
    }
  }),
  why: onSource(of => async () => {
    const { state, phase, text } = await of().why()
    return { state, phase, says: text }
  }),
  idle: onSource(of => () => until(async () => (await of().refreshState()).phase !== 'running', LIMIT)),
}

function below(stage, fields) {
  const where = fields.take('in')
  assert.ok(where === undefined || where === 'state', `in ${where}`)
  return where === 'state' ? stage.state : stage.root
}
const onFile = act => (stage, fields) => act(join(below(stage, fields), fields.need('path')), fields, stage)
const makeDir = folder => void fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
function touch(file, ns) {
  const stamp = `@${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`
  assert.equal(spawnSync('touch', ['-m', '-d', stamp, file]).status, 0, `cannot touch ${file}`)
}
function keepingMtime(file, change) {
  const { mtimeNs } = fs.statSync(file, { bigint: true })
  change()
  touch(file, mtimeNs)
}
function walk(folder, prefix = '') {
  if (!fs.existsSync(folder)) return []
  return fs.readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    if (entry.name === '.forebay' || entry.name === 'CACHEDIR.TAG') return []
    const name = prefix + entry.name
    return entry.isDirectory() ? walk(join(folder, entry.name), `${name}/`) : [name]
  })
}
async function answer(actor) {
  const { value, done } = await deadline(actor.lines.next(), LIMIT, 'the actor did not answer')
  assert.ok(!done, 'the actor ended')
  return { json: JSON.parse(value) }
}

const stagehand = {
  advance(stage, fields) {
    const [ms, wall] = [fields.take('ms') ?? 0, fields.take('wall_ms') ?? 0]
    return () => stage.advance(ms, wall)
  },
  join(stage, fields) {
    const name = fields.need('background')
    return () => {
      const running = stage.named('running', name)
      stage.running.delete(name)
      return deadline(running, LIMIT, `${name} did not end`)
    }
  },
  entered(stage, fields) {
    const hold = stage.hold(fields.need('hold'))
    return () => deadline(hold.entered, LIMIT, 'the refresher was not called')
  },
  release(stage, fields) {
    const hold = stage.hold(fields.need('hold'))
    return () => hold.release()
  },
  files(stage, fields) {
    const folder = below(stage, fields)
    return () => ({
      files: walk(folder).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    })
  },
  file: onFile(file => () => {
    const data = fs.readFileSync(file)
    const found = { data: hex(data), mode: (fs.statSync(file).mode & 0o777).toString(8) }
    try {
      return { ...found, json: JSON.parse(data.toString()) }
    } catch {
      return found
    }
  }),
  write_file: onFile((file, fields) => {
    const data = bytes(fields.need('data'))
    return () => makeDir(dirname(file)) ?? fs.writeFileSync(file, data)
  }),
  flip: onFile((file, fields) => {
    const at = fields.need('at')
    return () =>
      keepingMtime(file, () => {
        const data = fs.readFileSync(file)
        data[at < 0 ? data.length + at : at] ^= 0xff
        fs.writeFileSync(file, data)
      })
  }),
  truncate: onFile((file, fields) => {
    const size = fields.need('size')
    return () => keepingMtime(file, () => fs.truncateSync(file, size))
  }),
  make_dir: onFile(file => () => fs.rmSync(file, { force: true }) ?? makeDir(file)),
  delete: onFile(file => () => fs.unlinkSync(file)),
  symlink: onFile((file, fields) => {
    const to = fields.need('to')
    return () => fs.rmSync(file, { force: true }) ?? fs.symlinkSync(to, file)
  }),
  chmod: onFile((file, fields) => {
    const mode = Number.parseInt(fields.need('mode'), 8)
    return () => fs.chmodSync(file, mode)
  }),
  set_mtime: onFile((file, fields, stage) => {
    const age = fields.need('age_ms')
    return () => touch(file, stage.wall - BigInt(age) * 1_000_000n)
  }),
  actor(stage, fields) {
    const [name, args] = [fields.need('actor'), fields.need('args')]
    return () => {
      const child = spawn(
        process.env.FOREBAY_ACTOR,
        ['--root', stage.root, '--clock', stage.clock, ...args],
        {
          stdio: ['pipe', 'pipe', 'inherit'],
        },
      )
      const actor = { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
      stage.actors.set(name, actor)
      return answer(actor)
    }
  },
  tell(stage, fields) {
    const [actor, line] = [stage.named('actors', fields.need('actor')), fields.need('line')]
    return () => actor.child.stdin.write(`${line}\n`) && answer(actor)
  },
  kill(stage, fields) {
    const name = fields.need('actor')
    return async () => {
      const { child } = stage.named('actors', name)
      const gone = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGKILL')
      await deadline(gone, LIMIT, 'the actor did not die')
      stage.actors.delete(name)
    }
  },
}
