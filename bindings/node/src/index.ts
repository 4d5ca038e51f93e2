/** The package `forebay`: everything that users import, and nothing else. */
export { Answer, type Blocked, type ListedQuota, type QuotaState } from './answer'
export { Cache, type CacheOptions, defaultRoot, type ManyOptions, type Progress } from './cache'
export {
  Credential,
  Credentials,
  type CredentialsOptions,
  type RotateOptions,
  type RotateState,
  rotate,
  rotateReset,
} from './credentials'
export { LiveJob } from './derive'
export {
  Derived,
  type ListedDerived,
  type LiveHow,
  type LiveInput,
  type LiveInputKind,
  type LiveLookup,
  type LiveWhy,
} from './derived'
export type { Duration } from './duration'
export { ERROR_CODES, type ErrorCode, ForebayError, type ForebayErrorOptions, NotSent } from './errors'
export { type CacheEvent, type EventKind, Events, type SubscribeOptions } from './events'
export { type DeriveOptions, Live, type LiveOptions, LiveTicket, type PersistOptions } from './live'
export { type LiveInputs, type LiveKey, type LivePath, liveKey } from './live-inputs'
export type { Arguments, MemoInputs, Memoized, MemoOptions } from './memo'
export { Quota, type QuotaOptions, type ResolveOptions } from './quota'
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
export { type Json, QuotaJob, type QuotaSource, type Usage } from './resolve'
export { fromResponse } from './response'
export { Exchange, type Exchanger } from './rotation'
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
