/** What the native file offers. Only this package calls it; the classes around it are what users see. */
import { load } from './loader'
import type { LiveNative } from './native-live'
import type { QuotaNative } from './native-quota'

/** A handle whose inside only the native part knows. The brand keeps them apart. */
export interface Handle<Kind extends string> {
  readonly kind: Kind
}
/** @hidden */
export type HubHandle = Handle<'hub'>
/** @hidden */
export type CacheHandle = Handle<'cache'>
/** @hidden */
export type SourceHandle = Handle<'source'>
/** @hidden */
export type TableHandle = Handle<'table'>
/** @hidden */
export type CourseHandle = Handle<'course'>
/** @hidden */
export type TicketHandle = Handle<'ticket'>
/** @hidden */
export type EventsHandle = Handle<'events'>
/** @hidden */
export type InterruptHandle = Handle<'interrupt'>

/** @internal */
export interface ErrorFacts {
  code: string
  message: string
  path?: string
  hint?: string
  errno?: number
  retryAt?: number
  cause?: string
}

/** @internal */
export interface ValueFacts {
  data?: Buffer | undefined
  same?: true
  state: 'fresh' | 'stale' | 'expired' | 'absent'
  age?: number
  storedAt?: number
  validator?: string
  extra?: string
  version: string
  how?: 'fresh' | 'ran' | 'unchanged' | 'coalesced' | 'stale' | 'fallback' | 'uncoordinated'
  phase?: 'idle' | 'running' | 'cooling'
  freshUntil?: number
  error?: ErrorFacts
}

/** @internal */
export interface RefreshFacts {
  phase: 'idle' | 'running' | 'cooling'
  inFlight: boolean
  failed: boolean
  lastError?: ErrorFacts
  startedAt?: number
  deadline?: number
  retryAt?: number
  attempts: number
  declared: boolean
  holder?: number
}

/** @internal */
export interface ListedFacts {
  key: string
  tier: string
  name: string
  state: ValueFacts['state']
  age?: number
  size: number
  storedAt?: number
  phase: RefreshFacts['phase']
  validator?: string
  extra?: string
  version: string
  error?: ErrorFacts
  retryAt?: number
}

/** @internal */
export interface SourceFacts {
  ttl?: number | undefined
  maxStale?: number | undefined
  staleIfError?: number | undefined
  deadline?: number | undefined
  identity?: string | undefined
  durability?: string | undefined
  backoffFloor?: number | undefined
  backoffCap?: number | undefined
}

/** @internal */
export interface CommitFacts {
  validator?: string | undefined
  ttl?: number | undefined
  maxStale?: number | undefined
  extra?: string | undefined
}

/** @internal */
export interface ModeFacts {
  call: 'get' | 'refresh' | 'maybe_refresh' | 'maybe_refresh_sync'
  wait?: number | undefined
  minFreshAt?: number | undefined
  overrideGate?: boolean | undefined
}

/** @internal */
export interface AcquireFacts {
  deadline?: number | undefined
  unlessFresh?: boolean | undefined
  unlessChangedSince?: string | undefined
  overrideGate?: boolean | undefined
  force?: boolean | undefined
}

/** @internal */
export interface FailureFacts {
  code: string
  message: string
  retryAfter?: number | undefined
  notSent?: boolean | undefined
}

/** @internal */
export interface AcquiredFacts {
  outcome: 'ticket' | 'in_flight' | 'fresh' | 'gated'
  ticket?: TicketHandle
  value?: ValueFacts
  refresh?: RefreshFacts
}

/** @internal */
export interface TicketFacts {
  key: string
  token: string
  deadline: number
  validator?: string
  headers: { name: string; value: string }[]
}

/** @internal */
export interface NextFacts {
  value?: ValueFacts
  ticket?: TicketHandle
}

/** @internal */
export interface Outcome {
  id: number
  value?: unknown
  error?: ErrorFacts
}

/** What the native file exports. A function with `hub, id` answers through the hub, under that number. @internal */
export interface Native extends QuotaNative, LiveNative {
  hubOpen(bell: () => void): HubHandle
  hubTake(hub: HubHandle): Outcome[]
  interruptNew(): InterruptHandle
  interruptSet(interrupt: InterruptHandle): void
  errorCodes(): { text: string; number: number }[]
  failureFromStatus(status: number, retryAfter?: string): FailureFacts
  parseDuration(text: string): number
  defaultRoot(app: string): string | null

  cacheOpen(options: {
    root?: string | undefined
    durability?: string | undefined
    testClock?: string | undefined
    memory?: boolean | undefined
  }): CacheHandle
  cacheRoot(cache: CacheHandle): string
  cacheList(hub: HubHandle, id: number, cache: CacheHandle): void
  cachePrune(hub: HubHandle, id: number, cache: CacheHandle, keep: SourceHandle[]): void
  cacheNextRefresh(
    hub: HubHandle,
    id: number,
    cache: CacheHandle,
    timeout: number | undefined,
    interrupt: InterruptHandle,
  ): void
  cacheCounters(cache: CacheHandle): { kind: string; count: number }[]
  cacheSubscribe(cache: CacheHandle): EventsHandle
  eventsNext(
    hub: HubHandle,
    id: number,
    cache: CacheHandle,
    events: EventsHandle,
    interrupt: InterruptHandle,
  ): void
  eventsDropped(events: EventsHandle): number
  cacheClose(hub: HubHandle, id: number, cache: CacheHandle, drain: number | undefined): void
  cacheCloseNow(cache: CacheHandle): void
  cacheIsClosed(cache: CacheHandle): boolean

  sourceOpen(cache: CacheHandle, key: string, options: SourceFacts): SourceHandle
  sourceKey(source: SourceHandle): string
  sourceRead(source: SourceHandle, known: string | undefined, quiet: boolean): number | ValueFacts
  sourcePut(hub: HubHandle, id: number, source: SourceHandle, bytes: Uint8Array, commit: CommitFacts): void
  sourceMarkStale(hub: HubHandle, id: number, source: SourceHandle): void
  sourceRemove(hub: HubHandle, id: number, source: SourceHandle): void
  sourceRefreshState(hub: HubHandle, id: number, source: SourceHandle): void
  sourceWhy(hub: HubHandle, id: number, source: SourceHandle): void
  sourceRequestRefresh(hub: HubHandle, id: number, source: SourceHandle): void
  sourceWaitForChange(
    hub: HubHandle,
    id: number,
    source: SourceHandle,
    since: string,
    timeout: number | undefined,
    interrupt: InterruptHandle,
  ): void
  sourceAcquire(hub: HubHandle, id: number, source: SourceHandle, wish: AcquireFacts): void

  tableOpen(cache: CacheHandle): { table: TableHandle; memory: ArrayBuffer } | null
  tableIsCurrent(table: TableHandle): boolean
  sourceWord(source: SourceHandle): number

  attemptBegin(source: SourceHandle, mode: ModeFacts): CourseHandle
  attemptNext(
    hub: HubHandle,
    id: number,
    course: CourseHandle,
    wait: boolean,
    interrupt: InterruptHandle,
  ): void
  attemptClose(course: CourseHandle): void

  ticketFacts(ticket: TicketHandle): TicketFacts
  ticketRemaining(ticket: TicketHandle): number
  ticketCancelled(ticket: TicketHandle): boolean
  ticketPrevious(ticket: TicketHandle): Buffer | null
  ticketComplete(
    hub: HubHandle,
    id: number,
    ticket: TicketHandle,
    bytes: Uint8Array,
    commit: CommitFacts,
  ): void
  ticketUnchanged(hub: HubHandle, id: number, ticket: TicketHandle, commit: CommitFacts): void
  ticketFail(hub: HubHandle, id: number, ticket: TicketHandle, failure: FailureFacts): void
  ticketRenew(hub: HubHandle, id: number, ticket: TicketHandle, length: number): void
  ticketRelease(ticket: TicketHandle): void
}

/** @internal */
export const binding = load(__dirname) as Native
