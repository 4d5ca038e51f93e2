// Contestants timed in turn, as `series.rs` does it: a batch each per round, in changing order, sized to take
// equally long. A contestant is a function from a list of key numbers, sync or async.

export class Contest {
  constructor(group, rounds, batchMs) {
    this.group = group
    this.rounds = rounds
    this.aim = batchMs
    this.contestants = []
  }

  add(name, calls) {
    this.contestants.push({ name, calls, batch: [], nanos: [] })
  }

  async run(order) {
    for (const contestant of this.contestants) {
      contestant.batch = await this.calibrate(contestant.calls, order)
    }
    const turns = [...this.contestants]
    const random = generator(1)
    for (let round = 0; round < this.rounds; round++) {
      shuffle(turns, random)
      for (const contestant of turns) {
        contestant.nanos.push(((await timed(contestant.calls, contestant.batch)) * 1e6) / contestant.batch.length)
      }
    }
    const series = Object.fromEntries(this.contestants.map(({ name, nanos }) => [name, nanos]))
    console.log(JSON.stringify({ kind: 'series', group: this.group, unit: 'ns', series }))
  }

  // Whole passes over all keys, as many as take the time aimed at. A few batches more let the compiler settle.
  async calibrate(calls, order) {
    let passes = 1
    for (;;) {
      const batch = Uint32Array.from({ length: order.length * passes }, (_, at) => order[at % order.length])
      const took = await timed(calls, batch)
      if (took * 2 > this.aim) {
        for (let warm = 0; warm < 3; warm++) await timed(calls, batch)
        return batch
      }
      passes *= Math.max(2, Math.min(16, Math.floor(this.aim / Math.max(took, 1e-6))))
    }
  }
}

async function timed(calls, batch) {
  const start = performance.now()
  const pending = calls(batch)
  if (pending) await pending
  return performance.now() - start
}

export function shuffle(items, random) {
  for (let at = items.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1))
    ;[items[at], items[other]] = [items[other], items[at]]
  }
  return items
}

// mulberry32: small, and the same in every run.
export function generator(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
