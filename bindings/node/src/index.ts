/** The package `forebay`: everything that users import, and nothing else. */
export { Cache, type CacheOptions, defaultRoot, type ManyOptions, type Progress } from './cache'
export type { Duration } from './duration'
export { ERROR_CODES, type ErrorCode, ForebayError, type ForebayErrorOptions } from './errors'
export { type CacheEvent, type EventKind, Events, type SubscribeOptions } from './events'
export { Reader, Readers } from './readers'
export {
  type Bytes,
  type CommitOptions,
  type Fetched,
  type Refresher,
  type Result,
  type Unchanged,
  unchanged,
} from './refresher'
export { fromResponse } from './response'
export {
  type AcquireOptions,
  type Durability,
  type GetOptions,
  type RefreshOptions,
  Source,
  type SourceOptions,
  type WaitOptions,
} from './source'
export { type Acquired, Job, Ticket } from './ticket'
export {
  type How,
  type Listed,
  type Phase,
  type Pruned,
  type RefreshState,
  type Started,
  type State,
  Value,
  type Why,
} from './value'
