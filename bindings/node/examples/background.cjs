// CommonJS: a status line that shows what is there at once, and lets one of all processes refresh it.
const { Cache, unchanged } = require('forebay')

async function main() {
  const cache = new Cache()
  const status = cache.source('example/status', { ttl: '5m', deadline: '10s' })
  const started = await status.maybeRefresh(async job => {
    const version = 'v7' // what the server says
    if (version === job.validator) return unchanged
    return { data: JSON.stringify({ version, healthy: true }), validator: version, ttl: '10m' }
  })
  console.log('refresh:', started)
  const version = await status.waitForChange('0', { timeout: '5s' })
  console.log('shown:', status.read().json(), version !== undefined)
  await cache.close()
}

main()
