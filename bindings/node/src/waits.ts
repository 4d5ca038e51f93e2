/**
 * `Waits`: one native wait per key, whoever waits for it in this cache. A server may have a thousand callers
 * waiting for one refresh of another process; each wait is a thread that looks at the marker again and again, so
 * one leads, and the others look once it has news. It does not know what is waited for.
 */

/** Followers look by themselves this often, in milliseconds: a net, should a leader's news not be theirs. */
const NET_MS = 1000

/** @internal */
export class Waits {
  readonly #leading = new Map<string, Promise<void>>()

  /**
   * `wait`, if nobody waits under that name; else `look`, once there is news or `until` (by `performance.now`) has
   * come.
   */
  share<T>(name: string, until: number, wait: () => Promise<T>, look: () => Promise<T>): Promise<T> {
    const leading = this.#leading.get(name)
    return leading === undefined ? this.#lead(name, wait) : this.#follow(leading, until, look)
  }

  #lead<T>(name: string, wait: () => Promise<T>): Promise<T> {
    const news = wait()
    // Before the followers go on: the first of them that has to wait again leads.
    const over = (): void => void this.#leading.delete(name)
    this.#leading.set(name, news.then(over, over))
    return news
  }

  async #follow<T>(leading: Promise<void>, until: number, look: () => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const net = new Promise<void>(resolve => {
      timer = setTimeout(resolve, Math.max(0, Math.min(NET_MS, until - performance.now())))
      timer.unref()
    })
    await Promise.race([leading, net])
    clearTimeout(timer)
    return look()
  }
}
