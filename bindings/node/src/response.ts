/** `fromResponse`: what an HTTP answer means for a refresh, so that nobody has to know the words for it. */
import { codeOf, ForebayError, native } from './errors'
import { binding } from './native'
import type { Fetched, Unchanged } from './refresher'

/**
 * A `fetch` response as what a refresher returns: 2xx its bytes, with ETag or Last-Modified as the validator;
 * 304 unchanged. Throws for the rest, with the code and the pause (Retry-After) that all processes shall
 * respect: 401 and 403 `FOREBAY_E_UNAUTHORIZED`, 429 `FOREBAY_E_RATE_LIMITED`, 503 `FOREBAY_E_UNAVAILABLE`, else
 * `FOREBAY_E_REFRESH_FAILED`.
 *
 * @example
 * await models.get(async job =>
 *   fromResponse(await fetch(URL, { signal: job.signal, headers: job.conditionalHeaders })))
 */
export async function fromResponse(response: Response): Promise<Fetched | Unchanged> {
  const { status, headers } = response
  const validator = headers.get('etag') ?? headers.get('last-modified') ?? undefined
  if (status >= 200 && status < 300) return { data: Buffer.from(await response.arrayBuffer()), validator }
  // An unread body would keep its connection.
  await response.body?.cancel()
  if (status === 304) return { unchanged: true, validator }
  const retryAfter = headers.get('retry-after') ?? undefined
  const failure = native(() => binding.failureFromStatus(status, retryAfter))
  throw new ForebayError(codeOf(failure.code), failure.message, { retryAfter: failure.retryAfter })
}
