/** What the native file offers for quotas and credentials: types only; `native.ts` loads it. */
import type {
  CacheHandle,
  CommitFacts,
  ErrorFacts,
  FailureFacts,
  Handle,
  HubHandle,
  InterruptHandle,
  RefreshFacts,
  ValueFacts,
} from './native'

/** @hidden */
export type QuotaHandle = Handle<'quota'>
/** @hidden */
export type ResolveHandle = Handle<'resolve'>
/** @hidden */
export type QuotaJobHandle = Handle<'quota job'>
/** @hidden */
export type CredentialsHandle = Handle<'credentials'>
/** @hidden */
export type RotationHandle = Handle<'rotation'>
/** @hidden */
export type ExchangeHandle = Handle<'exchange'>

/** @internal */
export interface QuotaFacts {
  identity?: string | undefined
  ttl?: number | undefined
  errorTtl?: number | undefined
  rateLimited?: number | undefined
  unauthorized?: number | undefined
  timeout?: number | undefined
  maxStale?: number | undefined
  backoffFloor?: number | undefined
  backoffCap?: number | undefined
  wait?: number | undefined
  durability?: string | undefined
}

/** @internal */
export interface AnswerFacts {
  data: string
  how: NonNullable<ValueFacts['how']>
  state: ValueFacts['state']
  age: number
  cachedAt?: number
  retryAt?: number
  error?: ErrorFacts
}

/** @internal */
export interface QuotaStateFacts {
  answer?: AnswerFacts
  recordedError?: ErrorFacts
  blocked?: { until: number; code?: string; message: string; declared: boolean; attempts: number }
  phase: RefreshFacts['phase']
  holder?: number
}

/** @internal */
export interface QuotaRowFacts {
  key: string
  name: string
  identityHash?: string
}

/** @internal */
export interface StepFacts {
  answer?: AnswerFacts
  want?: 'credentials' | 'fetch' | 'fallback'
  job?: QuotaJobHandle
}

/** @internal */
export interface QuotaJobFacts {
  deadline: number
  previous?: string
  validator?: string
  headers: { name: string; value: string }[]
}

/** @internal */
export interface CredentialFacts {
  data: Buffer
  version: string
  storedAt: number
  how: NonNullable<ValueFacts['how']>
  error?: ErrorFacts
}

/** @internal */
export interface RotateStateFacts {
  phase: RefreshFacts['phase']
  ambiguousSince?: number
  retryAt?: number
  lastError?: ErrorFacts
  version?: string
}

/** @internal */
export interface RotateStepFacts {
  credential?: CredentialFacts
  exchange?: ExchangeHandle
}

/** A function with `hub, id` answers through the hub, under that number. @internal */
export interface QuotaNative {
  quotaOpen(cache: CacheHandle, name: string, options: QuotaFacts): QuotaHandle
  quotaKey(quota: QuotaHandle): string
  quotaRead(hub: HubHandle, id: number, quota: QuotaHandle): void
  quotaBlock(
    hub: HubHandle,
    id: number,
    quota: QuotaHandle,
    wait: number,
    code: string,
    message: string,
  ): void
  quotaClear(hub: HubHandle, id: number, quota: QuotaHandle): void
  cacheQuotas(hub: HubHandle, id: number, cache: CacheHandle): void

  resolveBegin(quota: QuotaHandle): ResolveHandle
  resolveNext(
    hub: HubHandle,
    id: number,
    course: ResolveHandle,
    wait: boolean,
    interrupt: InterruptHandle,
  ): void
  resolveCredentials(hub: HubHandle, id: number, course: ResolveHandle, secret: Uint8Array): void
  resolveCredentialsFailed(hub: HubHandle, id: number, course: ResolveHandle, failure: FailureFacts): void
  resolveFetched(
    hub: HubHandle,
    id: number,
    course: ResolveHandle,
    bytes: Uint8Array | undefined,
    commit: CommitFacts,
  ): void
  resolveFetchFailed(hub: HubHandle, id: number, course: ResolveHandle, failure: FailureFacts): void
  resolveFallback(hub: HubHandle, id: number, course: ResolveHandle, bytes: Uint8Array | undefined): void
  resolveFallbackFailed(hub: HubHandle, id: number, course: ResolveHandle, failure: FailureFacts): void
  resolveClose(course: ResolveHandle): void

  quotaJobFacts(job: QuotaJobHandle): QuotaJobFacts
  quotaJobRemaining(job: QuotaJobHandle): number
  quotaJobCancelled(job: QuotaJobHandle): boolean
  quotaJobRelease(job: QuotaJobHandle): void

  defaultStateRoot(): string | null
  credentialsOpen(options: {
    root?: string | undefined
    testClock?: string | undefined
    deadline?: number | undefined
  }): CredentialsHandle
  credentialsRoot(credentials: CredentialsHandle): string
  credentialsCurrent(hub: HubHandle, id: number, credentials: CredentialsHandle, key: string): void
  credentialsReset(
    hub: HubHandle,
    id: number,
    credentials: CredentialsHandle,
    key: string,
    bytes: Uint8Array | undefined,
  ): void
  credentialsState(hub: HubHandle, id: number, credentials: CredentialsHandle, key: string): void

  rotationBegin(credentials: CredentialsHandle, key: string, seen: string | undefined): RotationHandle
  rotationNext(
    hub: HubHandle,
    id: number,
    course: RotationHandle,
    wait: boolean,
    interrupt: InterruptHandle,
  ): void
  rotationExchanged(hub: HubHandle, id: number, course: RotationHandle, bytes: Uint8Array): void
  rotationFailed(hub: HubHandle, id: number, course: RotationHandle, failure: FailureFacts): void
  rotationClose(course: RotationHandle): void

  exchangeDeadline(exchange: ExchangeHandle): number
  exchangePrevious(exchange: ExchangeHandle): Buffer | null
  exchangeRemaining(exchange: ExchangeHandle): number
  exchangeCancelled(exchange: ExchangeHandle): boolean
  exchangeRelease(exchange: ExchangeHandle): void
}
