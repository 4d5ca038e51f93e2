// By hand: take the lease, do the work wherever you like, end the ticket. And a worker that does everybody's.
import { Cache, ForebayError } from 'forebay'

const cache = new Cache()
const report = cache.source('example/report', { ttl: '1h', deadline: '30s' })

const got = await report.acquire({ unlessFresh: true })
switch (got.outcome) {
  case 'ticket':
    await got.ticket.complete('the report', { validator: 'rev 12' })
    break
  case 'fresh':
    console.log('nothing to do:', got.value.text())
    break
  default: // in_flight or gated
    console.log('later:', got.refresh.phase, got.refresh.retryAt)
}

const other = cache.source('example/other', { ttl: '1h' })
console.log('requested:', await other.requestRefresh())
const ticket = await cache.nextRefresh({ timeout: '5s' })
await ticket?.fail(new ForebayError('FOREBAY_E_RATE_LIMITED', 'quota used up'), { retryAfter: '1m' })
const { phase, retryAt } = await other.refreshState()
console.log(report.read().text(), phase, retryAt instanceof Date)

for (const { key, state, size } of await cache.list()) console.log(key, state, size)
await cache.close()
