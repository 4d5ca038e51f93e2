/** What the native file offers for derived results: types only; `native.ts` loads it. */
import type {
  CacheHandle,
  ErrorFacts,
  FailureFacts,
  Handle,
  HubHandle,
  InterruptHandle,
  ValueFacts,
} from './native'

/** @hidden */
export type LiveHandle = Handle<'live'>
/** @hidden */
export type ComputeHandle = Handle<'compute'>
/** @hidden */
export type LiveJobHandle = Handle<'live job'>
/** @hidden */
export type LiveTicketHandle = Handle<'live ticket'>

/** @internal */
export interface InputFacts {
  kind?: string | undefined
  name: string | Buffer
}

/** @internal */
export interface FromFacts {
  inputs: InputFacts[]
  upstream: string[]
}

/** @internal */
export interface DerivedFacts {
  key: string
  data: Buffer
  kind: string
  hash: string
  how: NonNullable<ValueFacts['how']>
  inputs: InputFacts[]
  upstream: string[]
  computedAt: number
  error?: ErrorFacts
}

/** @internal */
export interface LookupFacts {
  outcome: 'hit' | 'miss' | 'invalidated'
  derived?: DerivedFacts
}

/** @internal */
export interface LiveListedFacts {
  key: string
  kind: string
  size: number
  inputs: InputFacts[]
  upstream: string[]
  computedAt: number
  usedAt: number
}

/** @internal */
export interface LiveWhyFacts {
  holds: boolean
  text: string
  input?: InputFacts
  upstream?: string
}

/** @internal */
export interface LiveStepFacts {
  derived?: DerivedFacts
  job?: LiveJobHandle
}

/** A function with `hub, id` answers through the hub, under that number. @internal */
export interface LiveNative {
  liveOpen(
    cache: CacheHandle,
    options: {
      workspace?: string | Uint8Array | undefined
      deadline?: number | undefined
      sizeCap?: number | undefined
    },
  ): LiveHandle
  liveWorkspace(live: LiveHandle): Buffer
  liveKey(bytes: Uint8Array): string
  liveLookup(live: LiveHandle, key: string): LookupFacts
  liveRevalidate(hub: HubHandle, id: number, live: LiveHandle, key: string): void
  livePersist(
    hub: HubHandle,
    id: number,
    live: LiveHandle,
    key: string,
    bytes: Uint8Array,
    kind: string,
    from: FromFacts,
  ): void
  liveMarkDirty(hub: HubHandle, id: number, live: LiveHandle, key: string): void
  liveInvalidateUpstream(hub: HubHandle, id: number, live: LiveHandle, key: string): void
  liveInvalidatePath(hub: HubHandle, id: number, live: LiveHandle, path: string | Uint8Array): void
  liveInvalidateTag(hub: HubHandle, id: number, live: LiveHandle, name: string): void
  liveEvict(hub: HubHandle, id: number, live: LiveHandle, cap: number): void
  liveGc(hub: HubHandle, id: number, live: LiveHandle): void
  liveKinds(hub: HubHandle, id: number, live: LiveHandle): void
  liveSize(hub: HubHandle, id: number, live: LiveHandle): void
  liveList(hub: HubHandle, id: number, live: LiveHandle): void
  liveWhy(hub: HubHandle, id: number, live: LiveHandle, key: string): void

  computeBegin(live: LiveHandle, key: string, from: FromFacts, kind: string): ComputeHandle
  computeNext(
    hub: HubHandle,
    id: number,
    course: ComputeHandle,
    wait: boolean,
    interrupt: InterruptHandle,
  ): void
  computeComputed(hub: HubHandle, id: number, course: ComputeHandle, bytes: Uint8Array): void
  computeFailed(hub: HubHandle, id: number, course: ComputeHandle, failure: FailureFacts): void
  computeClose(course: ComputeHandle): void

  liveJobDeadline(job: LiveJobHandle): number
  liveJobRemaining(job: LiveJobHandle): number
  liveJobCancelled(job: LiveJobHandle): boolean
  liveJobRelease(job: LiveJobHandle): void

  liveBegin(hub: HubHandle, id: number, live: LiveHandle, key: string, from: FromFacts): void
  liveCommit(hub: HubHandle, id: number, ticket: LiveTicketHandle, bytes: Uint8Array, kind: string): void
  liveRelease(ticket: LiveTicketHandle): void
}
