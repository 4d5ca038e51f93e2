/*
 * forebay.h: the C interface of forebay, an on-disk cache that many processes, in many languages, share.
 *
 * Generated from ffi/src; do not edit. The manual is docs/c-manual.md.
 *
 * - A call returns a forebay_status: 0 is success, a positive number an outcome that is no failure (the value is
 *   stale, another refreshes, …), a negative one an error. The last parameter, forebay_error **, may be NULL; else
 *   it is set to NULL on entry, and to an error object when the call fails, which forebay_error_free frees.
 * - Places for results come first, and are set to NULL on entry. Each handle has one function that frees it, for which
 *   NULL is fine. Freeing a cache leaves its values, tickets and readers usable.
 * - Slices in are read during the call only, and need no NUL. Text out has a NUL at its end, and its length where it
 *   may have others; it is borrowed from its handle, and lives as long.
 * - Times are milliseconds in an int64_t, instants milliseconds since the epoch; -1 is unset or unknown.
 * - Structs of options begin with their size: begin with their _INIT macro. What a later version adds is unset when 0.
 * - No function prints, installs a signal handler, changes the environment, or starts a thread that its comment
 *   doesn't name. No lock of forebay's is held while a function of yours runs.
 */
#ifndef FOREBAY_H
#define FOREBAY_H


#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#define FOREBAY_CAST_(type, value) static_cast<type>(value)
#else
#define FOREBAY_CAST_(type, value) ((type)(value))
#endif

/* Unset options of each kind, of the size that this header knows. */
#define FOREBAY_CACHE_OPTIONS_INIT {sizeof(forebay_cache_options), {NULL, 0}, {NULL, 0}, -1, 0}
#define FOREBAY_SOURCE_OPTIONS_INIT \
  {sizeof(forebay_source_options), {NULL, 0}, {NULL, 0}, {NULL, 0}, -1, -1, -1, -1, -1, -1, -1, 0}
#define FOREBAY_COMMIT_INIT {sizeof(forebay_commit), {NULL, 0}, {NULL, 0}, -1, -1}
#define FOREBAY_FAILURE_INIT {sizeof(forebay_failure), {NULL, 0}, -1, FOREBAY_E_REFRESH_FAILED, 0, 0, 0}
#define FOREBAY_RESPONSE_INIT {sizeof(forebay_response), {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, 0}
#define FOREBAY_REFRESH_OPTIONS_INIT {sizeof(forebay_refresh_options), -1, 0, 0}
#define FOREBAY_ACQUIRE_OPTIONS_INIT {sizeof(forebay_acquire_options), {NULL, 0}, -1, 0, 0, 0, 0}
#define FOREBAY_ATTEMPT_OPTIONS_INIT {sizeof(forebay_attempt_options), -1, -1, FOREBAY_MODE_GET, 0}
#define FOREBAY_QUOTA_OPTIONS_INIT \
  {sizeof(forebay_quota_options), {NULL, 0}, {NULL, 0}, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0}
#define FOREBAY_CREDENTIALS_OPTIONS_INIT {sizeof(forebay_credentials_options), {NULL, 0}, {NULL, 0}, -1}
#define FOREBAY_LIVE_OPTIONS_INIT {sizeof(forebay_live_options), {NULL, 0}, -1, -1}
#define FOREBAY_LIVE_SPEC_INIT {sizeof(forebay_live_spec), {NULL, 0}, NULL, 0, NULL, 0, {NULL, 0}}

/* How many bytes the key of a derived result takes: 64 hexadecimal digits and a NUL. */
#define FOREBAY_LIVE_KEY_SIZE 65


/**
 * The major version of the library that the program was compiled with.
 */
#define FOREBAY_VERSION_MAJOR 0

/**
 * The minor version.
 */
#define FOREBAY_VERSION_MINOR 1

/**
 * The patch version.
 */
#define FOREBAY_VERSION_PATCH 0

/**
 * The three in one number: major * 1000000 + minor * 1000 + patch.
 */
#define FOREBAY_VERSION_NUMBER 1000

/**
 * The version of the binary interface, which is the digit of libforebay.so.0.
 */
#define FOREBAY_ABI_VERSION 0

/**
 * Outcomes and error codes. The numbers never change.
 */
typedef enum forebay_code {
  /**
   * Success; where a value came with it, it is fresh.
   */
  FOREBAY_OK = 0,
  /**
   * The value is stale, and may be used.
   */
  FOREBAY_STALE = 1,
  /**
   * The value is older than the source allows it to be served.
   */
  FOREBAY_EXPIRED = 2,
  /**
   * There is no value, or, from functions that wait, nothing arrived in that time.
   */
  FOREBAY_ABSENT = 3,
  /**
   * A refresh is running already.
   */
  FOREBAY_IN_FLIGHT = 4,
  /**
   * A gate forbids a refresh for now.
   */
  FOREBAY_GATED = 5,
  /**
   * The value is fresh: there was nothing to do.
   */
  FOREBAY_FRESH = 6,
  /**
   * A newer value was put while the refresh ran: what the refresh brought was not stored.
   */
  FOREBAY_SUPERSEDED = 7,
  /**
   * Something that a derived result was computed from has changed: the result is gone now.
   */
  FOREBAY_INVALIDATED = 8,
  /**
   * An argument is not usable.
   */
  FOREBAY_E_INVALID = -1,
  /**
   * The cache was closed, or belongs to a process that forked.
   */
  FOREBAY_E_CLOSED = -2,
  /**
   * There is nothing under that key.
   */
  FOREBAY_E_NOT_FOUND = -3,
  /**
   * The wait ended before there was anything to return. A refresh may still be running.
   */
  FOREBAY_E_TIMED_OUT = -4,
  /**
   * A gate forbids the next attempt for now, and there is nothing that may be served.
   */
  FOREBAY_E_GATED = -5,
  /**
   * The refresher failed, here or in the process that ran it.
   */
  FOREBAY_E_REFRESH_FAILED = -6,
  /**
   * The server said that there were too many requests (429).
   */
  FOREBAY_E_RATE_LIMITED = -7,
  /**
   * The server refused the credentials (401, 403).
   */
  FOREBAY_E_UNAUTHORIZED = -8,
  /**
   * The server is unavailable for now (503).
   */
  FOREBAY_E_UNAVAILABLE = -9,
  /**
   * There are no credentials to try with.
   */
  FOREBAY_E_NO_CREDENTIALS = -10,
  /**
   * The caller cancelled.
   */
  FOREBAY_E_CANCELLED = -11,
  /**
   * A guard lock could not be had in time: another process holds it, perhaps stopped.
   */
  FOREBAY_E_LOCK_TIMEOUT = -12,
  /**
   * The lease is no longer ours: nothing was written.
   */
  FOREBAY_E_LEASE_LOST = -13,
  /**
   * The process that ran the refresh died before it ended.
   */
  FOREBAY_E_HOLDER_DIED = -14,
  /**
   * A newer value was put meanwhile. Ending a ticket reports that as `FOREBAY_SUPERSEDED`. Of derived results: what
   * one is computed from has changed meanwhile, or does not hold.
   */
  FOREBAY_E_SUPERSEDED = -15,
  /**
   * The command is being run by another caller.
   */
  FOREBAY_E_IN_PROGRESS = -16,
  /**
   * The key was used before with another request.
   */
  FOREBAY_E_MISMATCH = -17,
  /**
   * The effect was begun and its outcome is unknown.
   */
  FOREBAY_E_AMBIGUOUS = -18,
  /**
   * There is no room for another record.
   */
  FOREBAY_E_FULL = -19,
  /**
   * The ticket has been ended before.
   */
  FOREBAY_E_ALREADY_USED = -20,
  /**
   * This process holds as many leases as it may (256).
   */
  FOREBAY_E_TOO_MANY_LEASES = -21,
  /**
   * What is on disk is not what was written.
   */
  FOREBAY_E_DAMAGED = -22,
  /**
   * The root's owner or mode lets others change it.
   */
  FOREBAY_E_UNSAFE_ROOT = -23,
  /**
   * The file system is remote or not known to be local.
   */
  FOREBAY_E_UNSUPPORTED_FS = -24,
  /**
   * This build or platform cannot do that.
   */
  FOREBAY_E_UNSUPPORTED = -25,
  /**
   * The root was written by a newer major version.
   */
  FOREBAY_E_NEWER_FORMAT = -26,
  /**
   * The disk or the quota is full.
   */
  FOREBAY_E_NO_SPACE = -27,
  /**
   * The system refused access.
   */
  FOREBAY_E_PERMISSION = -28,
  /**
   * The system reported another error.
   */
  FOREBAY_E_IO = -29,
  /**
   * A bug of forebay's own was contained.
   */
  FOREBAY_E_PANIC = -30,
} forebay_code;

/**
 * Whether a value may be used.
 */
typedef enum forebay_state {
  /**
   * Younger than its ttl.
   */
  FOREBAY_STATE_FRESH = 0,
  /**
   * Older, and may be served.
   */
  FOREBAY_STATE_STALE = 1,
  /**
   * Older than `max_stale` allows.
   */
  FOREBAY_STATE_EXPIRED = 2,
  /**
   * There is none.
   */
  FOREBAY_STATE_ABSENT = 3,
} forebay_state;

/**
 * Where a value came from. -1 stands for "not known".
 */
typedef enum forebay_how {
  /**
   * It was fresh: there was nothing to do.
   */
  FOREBAY_HOW_FRESH = 0,
  /**
   * A refresher ran here.
   */
  FOREBAY_HOW_RAN = 1,
  /**
   * A refresher ran here and found it unchanged.
   */
  FOREBAY_HOW_UNCHANGED = 2,
  /**
   * Another caller or process refreshed it.
   */
  FOREBAY_HOW_COALESCED = 3,
  /**
   * It is served stale: a gate is in force, or the refresh was not done in time, or failed.
   */
  FOREBAY_HOW_STALE = 4,
  /**
   * It is a fallback's.
   */
  FOREBAY_HOW_FALLBACK = 5,
  /**
   * It was fetched and returned, and could not be stored.
   */
  FOREBAY_HOW_UNCOORDINATED = 6,
} forebay_how;

/**
 * What a source's refresh is doing. -1 stands for "not looked at".
 */
typedef enum forebay_phase {
  /**
   * Nothing.
   */
  FOREBAY_PHASE_IDLE = 0,
  /**
   * A refresh runs, in some process.
   */
  FOREBAY_PHASE_RUNNING = 1,
  /**
   * A refresh failed, and the next may not begin yet.
   */
  FOREBAY_PHASE_COOLING = 2,
} forebay_phase;

/**
 * What a commit waits for. -1 is the default: of a source, its cache's; of a cache, `FOREBAY_DURABILITY_DATA`.
 */
typedef enum forebay_durability {
  /**
   * Nothing: after a power cut the value may be gone, never torn.
   */
  FOREBAY_DURABILITY_NONE = 0,
  /**
   * The data is on the disk.
   */
  FOREBAY_DURABILITY_DATA = 1,
  /**
   * The data and its name are on the disk.
   */
  FOREBAY_DURABILITY_FULL = 2,
} forebay_durability;

/**
 * What a `forebay_attempt` is for.
 */
typedef enum forebay_mode {
  /**
   * As `forebay_get`.
   */
  FOREBAY_MODE_GET = 0,
  /**
   * As `forebay_refresh_with`.
   */
  FOREBAY_MODE_REFRESH = 1,
  /**
   * As `forebay_maybe_refresh`.
   */
  FOREBAY_MODE_MAYBE_REFRESH = 2,
  /**
   * As `forebay_maybe_refresh_sync`.
   */
  FOREBAY_MODE_MAYBE_REFRESH_SYNC = 3,
} forebay_mode;

/**
 * What the `_next` of an attempt, a resolve, a rotation or a computation asks for.
 */
typedef enum forebay_step {
  /**
   * Nothing more: the outcome is there.
   */
  FOREBAY_STEP_DONE = 0,
  /**
   * Of an attempt: do the work of the ticket, end it, and call next again.
   */
  FOREBAY_STEP_RUN = 1,
  /**
   * Another works: call the `_wait` of the same machine, then next again.
   */
  FOREBAY_STEP_WAIT = 2,
  /**
   * Of a resolve: give the credential, then call next again.
   */
  FOREBAY_STEP_CREDENTIALS = 3,
  /**
   * Of a resolve: fetch, say what came of it, then call next again.
   */
  FOREBAY_STEP_FETCH = 4,
  /**
   * Of a resolve: give what there is instead, then call next again.
   */
  FOREBAY_STEP_FALLBACK = 5,
  /**
   * Of a rotation: exchange the credential, say what came of it, then call next again.
   */
  FOREBAY_STEP_EXCHANGE = 6,
  /**
   * Of a computation: compute the result, say what came of it, then call next again.
   */
  FOREBAY_STEP_COMPUTE = 7,
} forebay_step;

/**
 * What kind of thing happened.
 */
typedef enum forebay_event_kind {
  /**
   * A fresh value was served.
   */
  FOREBAY_EVENT_HIT = 0,
  /**
   * A stale value was served.
   */
  FOREBAY_EVENT_STALE_SERVED = 1,
  /**
   * There was nothing to serve.
   */
  FOREBAY_EVENT_MISS = 2,
  /**
   * A lease was taken here.
   */
  FOREBAY_EVENT_REFRESH_STARTED = 3,
  /**
   * A new value was stored by a refresh here.
   */
  FOREBAY_EVENT_REFRESH_SUCCEEDED = 4,
  /**
   * The source said that the value is unchanged.
   */
  FOREBAY_EVENT_REFRESH_UNCHANGED = 5,
  /**
   * A refresh here failed.
   */
  FOREBAY_EVENT_REFRESH_FAILED = 6,
  /**
   * A caller here got the outcome of a refresh that another ran.
   */
  FOREBAY_EVENT_COALESCED = 7,
  /**
   * A lease of ours was found lost at its commit.
   */
  FOREBAY_EVENT_LEASE_LOST = 8,
  /**
   * A gate held an attempt back.
   */
  FOREBAY_EVENT_GATED = 9,
  /**
   * A value was marked stale or removed.
   */
  FOREBAY_EVENT_INVALIDATED = 10,
  /**
   * A value was removed for space or by prune.
   */
  FOREBAY_EVENT_EVICTED = 11,
  /**
   * A recorded answer was repeated.
   */
  FOREBAY_EVENT_REPLAYED = 12,
  /**
   * What is on disk was found damaged.
   */
  FOREBAY_EVENT_DAMAGED = 13,
} forebay_event_kind;

/**
 * What kind of thing a derived result is computed from.
 */
typedef enum forebay_input_kind {
  /**
   * As the name says: `file:`, `dir:`, `glob:`, `absent:`, `stat:`, `env:`, `source:` or `tag:` and what is meant.
   * Without any of these, a name with an asterisk, `?` or `[` is a pattern, one that ends in `/` a folder, and all
   * else a file.
   */
  FOREBAY_INPUT_TEXT = 0,
  /**
   * The content of a file; that there is none, where there is none.
   */
  FOREBAY_INPUT_FILE = 1,
  /**
   * The names and kinds of what a folder holds, not of what is below those.
   */
  FOREBAY_INPUT_DIRECTORY = 2,
  /**
   * Which files match a pattern, and their contents: an asterisk, `?`, `[ab]`, `{a,b}`, and two asterisks for any
   * depth. Hidden files only where the pattern names them; links to folders are not followed.
   */
  FOREBAY_INPUT_GLOB = 3,
  /**
   * That nothing is there.
   */
  FOREBAY_INPUT_ABSENT = 4,
  /**
   * Size and time of change of a file, not its content.
   */
  FOREBAY_INPUT_STAT = 5,
  /**
   * The value of an environment variable; only its hash is kept.
   */
  FOREBAY_INPUT_ENV = 6,
  /**
   * The version of a source of the same cache, by its key.
   */
  FOREBAY_INPUT_SOURCE = 7,
  /**
   * A name that `forebay_live_invalidate_tag` moves.
   */
  FOREBAY_INPUT_TAG = 8,
} forebay_input_kind;

/**
 * The answer of a quota: data (JSON), where it came from, its age, and when to ask again. It never changes; what it lends
 * (data, its error) lives as long as it does, also when quota and cache are freed.
 *
 * One that a call wrote to a place of yours is to be freed with `forebay_answer_free`. One that an accessor returned
 * (`const forebay_answer *`) belongs to the handle it came from. Each accessor accepts NULL.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_answer forebay_answer;

/**
 * One attempt to have a value: call `forebay_attempt_next`, do what it asks for, and call it again, until it is done.
 *
 * Thread safety: one thread at a time, any; a call while another thread is inside one gets `FOREBAY_E_INVALID`. But
 * `forebay_attempt_interrupt` may be called by any thread at any time before the attempt is freed.
 */
typedef struct forebay_attempt forebay_attempt;

/**
 * An open cache: one folder that many processes share.
 *
 * Thread safety: any thread, also several at once. `forebay_cache_retain` adds an owner, and each owner calls
 * `forebay_cache_free` once; values, tickets and readers may outlive that. After a `fork`, the child opens its
 * own cache or goes on with this one: the leases of its parent stay the parent's.
 */
typedef struct forebay_cache forebay_cache;

/**
 * One computation of a derived result: call `forebay_compute_next`, do what it asks for, and call it again, until it
 * is done.
 *
 * Thread safety: one thread at a time, any; a call while another thread is inside one gets `FOREBAY_E_INVALID`. But
 * `forebay_compute_key`, `_deadline_ms`, `_remaining_ms`, `_cancelled` and `_interrupt` may be called by any thread at
 * any time before it is freed.
 */
typedef struct forebay_compute forebay_compute;

/**
 * A credential: bytes, the version by which a later call says that it has seen it, and where it came from. Each accessor
 * accepts NULL. What it lends lives as long as it does, also when the credentials are freed.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_credential forebay_credential;

/**
 * Credentials that are exchanged for new ones, such as refresh tokens: a folder that many processes share, of which one at
 * a time exchanges, and all get the new one. It is no cache: what is lost there is lost.
 *
 * Thread safety: any thread, also several at once. Its owner calls `forebay_credentials_free` once; rotations and
 * credentials may outlive that.
 */
typedef struct forebay_credentials forebay_credentials;

/**
 * A derived result as one call found or made it: its bytes, what they were computed from, and how it came to be
 * returned. It never changes; what it lends lives as long as it does, also when all else is freed. Each accessor
 * accepts NULL.
 *
 * Thread safety: immutable; any thread, also several at once. `forebay_derived_retain` adds an owner, and each owner
 * calls `forebay_derived_free` once.
 */
typedef struct forebay_derived forebay_derived;

/**
 * What went wrong: code, sentence, path, remedy, the system's error number, and a refresher's own text.
 *
 * One that a call wrote to `*err` is yours: free it with `forebay_error_free`. One that an accessor returned
 * (`const forebay_error *`) belongs to the handle it came from.
 *
 * Thread safety: immutable; any thread, also several at once, also another than that of the call.
 */
typedef struct forebay_error forebay_error;

/**
 * One thing that happened. Its accessors accept NULL.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_event forebay_event;

/**
 * A listener: the events of a cache in this process since `forebay_subscribe`, in order. It keeps the last 4096 that
 * nobody fetched.
 *
 * Thread safety: any thread, also several at once: each event is given to one of them.
 */
typedef struct forebay_events forebay_events;

/**
 * Why a value is what it is, from `forebay_why`. Each accessor accepts NULL.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_explanation forebay_explanation;

/**
 * A flag that ends waits: `forebay_next_refresh`, `forebay_wait_for_change` and `forebay_events_next` take one. While
 * it is set, they return `FOREBAY_E_CANCELLED`, within 25 ms also when they wait already.
 *
 * Thread safety: any thread, also several at once; setting it is safe in a signal handler. Free it when no other
 * thread will set it any more; a wait that still runs keeps what it needs.
 */
typedef struct forebay_interrupt forebay_interrupt;

/**
 * All values of a cache at one instant, from `forebay_list`. Its accessors accept NULL, and an index beyond the last.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_listing forebay_listing;

/**
 * The derived results of a cache: each holds while all that it was computed from is as it was. They are kept below the
 * cache's root, for all processes.
 *
 * Thread safety: any thread, also several at once. Its owner calls `forebay_live_free` once; results, computations and
 * tickets may outlive that, and it may outlive `forebay_cache_free`.
 */
typedef struct forebay_live forebay_live;

/**
 * Why a derived result holds or not, from `forebay_live_why`. Each accessor accepts NULL.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_live_explanation forebay_live_explanation;

/**
 * The kinds of derived results at one instant, in order. Its accessors accept NULL, and an index beyond the last.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_live_kinds forebay_live_kinds;

/**
 * All derived results at one instant, from `forebay_live_list`. Its accessors accept NULL, and an index beyond the
 * last.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_live_listing forebay_live_listing;

/**
 * A computation that is under way: its inputs were looked at when it began, and are looked at again by its commit.
 *
 * Thread safety: any thread, also several at once; one commit ends it.
 */
typedef struct forebay_live_ticket forebay_live_ticket;

/**
 * What `forebay_prune` did. Its accessors accept NULL, and an index beyond the last.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_pruned forebay_pruned;

/**
 * A quota: one record and one gate in a cache, for all processes that ask the same server about the same account. A
 * usage endpoint is one: what it answers is kept, and while it refuses nobody asks it.
 *
 * Thread safety: any thread, also several at once. Its owner calls `forebay_quota_free` once; resolves and answers may
 * outlive that, and it may outlive `forebay_cache_free`.
 */
typedef struct forebay_quota forebay_quota;

/**
 * What was recorded of a quota at one instant, from `forebay_quota_read`. Each accessor accepts NULL.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_quota_info forebay_quota_info;

/**
 * The quotas of a cache at one instant, from `forebay_quota_list`. Its accessors accept NULL, and an index beyond the last.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_quota_listing forebay_quota_listing;

/**
 * One source, read again and again. A hit needs no system call and no copy; what another process commits is seen at
 * once, and what a program that doesn't know the protocol writes within 100 ms.
 *
 * Thread safety: any thread, one at a time. For several threads, open one each: they are cheap.
 */
typedef struct forebay_reader forebay_reader;

/**
 * Many sources by key, read again and again: a map of readers.
 *
 * Thread safety: any thread, also several at once.
 */
typedef struct forebay_readers forebay_readers;

/**
 * What a source's refresh was doing at one instant. Each accessor accepts NULL.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_refresh_info forebay_refresh_info;

/**
 * One resolve of a quota: call `forebay_resolve_next`, do what it asks for, and call it again, until it is done.
 *
 * Thread safety: one thread at a time, any; a call while another thread is inside one gets `FOREBAY_E_INVALID`. But what is
 * known of the fetch (`forebay_resolve_deadline_ms`, `_remaining_ms`, `_cancelled`, `_credential`, `_previous`,
 * `_validator`, `_header_…`) may be asked, and `forebay_resolve_interrupt` called, by any thread at any time before the
 * resolve is freed.
 */
typedef struct forebay_resolve forebay_resolve;

/**
 * What became of each source of `forebay_refresh_many`, in the order of the items. Its accessors accept NULL, and an
 * index beyond the last.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_results forebay_results;

/**
 * What the exchange of a credential was doing at one instant, from `forebay_rotate_state`. Each accessor accepts NULL.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_rotate_info forebay_rotate_info;

/**
 * One rotation of a credential: call `forebay_rotation_next`, do what it asks for, and call it again, until it is done.
 *
 * Thread safety: one thread at a time, any; a call while another thread is inside one gets `FOREBAY_E_INVALID`. But
 * `forebay_rotation_previous`, `_deadline_ms`, `_remaining_ms`, `_cancelled` and `_interrupt` may be called by any thread at
 * any time before the rotation is freed.
 */
typedef struct forebay_rotation forebay_rotation;

/**
 * Text that a call made for you: UTF-8 with a NUL at its end. Free it with `forebay_text_free`.
 *
 * Thread safety: immutable; any thread, also several at once.
 */
typedef struct forebay_text forebay_text;

/**
 * A refresh that is yours to do: the lease, what was there before, and the deadline. Do the work anywhere, then end
 * the ticket once: `forebay_ticket_complete`, `_unchanged`, `_fail` or `_respond`.
 *
 * Thread safety: any thread, also several at once; the first end wins, each further one gets
 * `FOREBAY_E_ALREADY_USED`. `forebay_ticket_retain` adds an owner, and each owner calls `forebay_ticket_free` once. When
 * the last does so before an end, the refresh is abandoned: the lease ends, and the next caller may refresh.
 */
typedef struct forebay_ticket forebay_ticket;

/**
 * A value as one call found or made it: bytes, state, age, and where it came from. It never changes; what it
 * lends (bytes, texts, its error) lives as long as it does, also when the cache is closed and freed.
 *
 * Each accessor accepts NULL, and then answers as for a value that is absent.
 *
 * Thread safety: immutable; any thread, also several at once. `forebay_value_retain` adds an owner, and each
 * owner calls `forebay_value_free` once.
 */
typedef struct forebay_value forebay_value;

/**
 * Bytes or text that the caller owns; `(NULL, 0)` is empty. forebay reads it during the call only.
 *
 * Text has to be UTF-8 and needs no NUL at its end. `forebay_str` makes one of a C string, `forebay_mem` one of
 * a pointer and a length.
 */
typedef struct forebay_slice {
  /**
   * The first byte, or NULL where `size` is 0.
   */
  const char *data;
  /**
   * How many bytes.
   */
  size_t size;
} forebay_slice;

/**
 * What a call returns: 0 is success, a positive number an outcome that is no failure, and a negative one the code
 * of an error. See `forebay_code`.
 */
typedef int32_t forebay_status;

/**
 * How to open a cache. Begin with `FOREBAY_CACHE_OPTIONS_INIT`.
 */
typedef struct forebay_cache_options {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * The folder. Empty: `$FOREBAY_ROOT`, else `$XDG_CACHE_HOME/forebay`, else `$HOME/.cache/forebay`.
   */
  struct forebay_slice root;
  /**
   * For tests: a file from which all processes read the time. Empty: the system's clock.
   */
  struct forebay_slice test_clock;
  /**
   * What a commit waits for: a `forebay_durability`, or -1 for `FOREBAY_DURABILITY_DATA`.
   */
  int32_t durability;
  /**
   * 1: keep the values in this process only, and no folder at all.
   */
  int32_t memory;
} forebay_cache_options;

/**
 * A source: its key, and how its value may be used. Begin with `FOREBAY_SOURCE_OPTIONS_INIT`. forebay copies what it
 * needs during the call.
 */
typedef struct forebay_source_options {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * `tier/name`, split at the first `/`; without one, the tier is `default`. Where `tier` is set: the name alone.
   */
  struct forebay_slice key;
  /**
   * The tier, where the name or the tier itself may have a `/`. Empty: it is in `key`.
   */
  struct forebay_slice tier;
  /**
   * Whose answer it is (an account, a user): another identity, another record. Empty: nobody's.
   */
  struct forebay_slice identity;
  /**
   * A value is fresh while it is younger than this. -1: what its refresher returned or what was stored with it.
   */
  int64_t ttl_ms;
  /**
   * It may be served for so long after it stopped being fresh. -1: without end.
   */
  int64_t max_stale_ms;
  /**
   * It may be served for so long after it stopped being fresh, when a refresh failed. -1: as `max_stale_ms`.
   */
  int64_t stale_if_error_ms;
  /**
   * A refresh gets so much time, and its lease so much. 0 is refused. -1: 30 s.
   */
  int64_t deadline_ms;
  /**
   * The shortest pause after a failure whose length forebay guesses. -1: 250 ms.
   */
  int64_t backoff_floor_ms;
  /**
   * The longest such pause. -1: the smaller of the ttl and 5 minutes.
   */
  int64_t backoff_cap_ms;
  /**
   * What a commit waits for: a `forebay_durability`, or -1 for the cache's.
   */
  int32_t durability;
  /**
   * Must be 0.
   */
  int32_t reserved;
} forebay_source_options;

/**
 * What is stored beside a value. Begin with `FOREBAY_COMMIT_INIT`.
 */
typedef struct forebay_commit {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * What identifies this version at its origin: an ETag, an HTTP date, anything. Empty: none.
   */
  struct forebay_slice validator;
  /**
   * Text of your own, kept beside the value. Empty: none.
   */
  struct forebay_slice extra;
  /**
   * The ttl that the origin told; it goes before the source's. -1: none.
   */
  int64_t ttl_ms;
  /**
   * The max_stale that the origin told; it goes before the source's. -1: none.
   */
  int64_t max_stale_ms;
} forebay_commit;

/**
 * Does a refresh: fetches the new value and ends `ticket`, here or later, on this thread or another.
 *
 * `ticket` is borrowed until the function returns; to end it later, call `forebay_ticket_retain` first. A function
 * that returns without having ended or retained it abandons the refresh. It may call forebay, also for the same
 * source; no lock of forebay's is held. It must not throw, `longjmp` or end its thread.
 *
 * May be called on: the thread of the call that was given it, for calls that wait until the refresh ends; else on a
 * thread of forebay's, which blocks all signals.
 */
typedef void (*forebay_refresh_fn)(void *userdata, struct forebay_ticket *ticket);

/**
 * Gives back `userdata`: called exactly once, when forebay will not call the function again, also when the call failed.
 *
 * May be called on: any thread, also inside the call that was given it.
 */
typedef void (*forebay_drop_fn)(void *userdata);

/**
 * A refresher: `forebay_refresher fetch = {sizeof fetch, &mine, fetch_models, NULL};`. The struct itself is copied.
 */
typedef struct forebay_refresher {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * Given to the functions as it is. It has to live until `drop` was called, which for background work may be after
   * the call returned.
   */
  void *userdata;
  /**
   * Does the refresh. Not NULL.
   */
  forebay_refresh_fn refresh;
  /**
   * Gives back `userdata`; NULL where nothing has to be.
   */
  forebay_drop_fn drop;
} forebay_refresher;

/**
 * How `forebay_refresh_with` refreshes. Begin with `FOREBAY_REFRESH_OPTIONS_INIT`.
 */
typedef struct forebay_refresh_options {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * A refresh that ended after that instant, in milliseconds since the epoch, will do. -1: only one that begins now or
   * runs.
   */
  int64_t min_fresh_at_ms;
  /**
   * 1: past any gate, also one that the origin declared.
   */
  int32_t override_gate;
  /**
   * Must be 0.
   */
  int32_t reserved;
} forebay_refresh_options;

/**
 * One source of `forebay_refresh_many`, and the refresher for it alone: its `drop` runs once for each item.
 */
typedef struct forebay_refresh_item {
  /**
   * The source.
   */
  const struct forebay_source_options *source;
  /**
   * Its refresher, called on a thread of forebay's.
   */
  const struct forebay_refresher *refresher;
} forebay_refresh_item;

/**
 * Told after each source of `forebay_refresh_many`: `done` of `total` are ready, the last being `key`, with `status` as
 * its call would return it. `key` is borrowed for the call, without a NUL.
 *
 * May be called on: the thread that called `forebay_refresh_many`.
 */
typedef void (*forebay_progress_fn)(void *userdata,
                                    size_t done,
                                    size_t total,
                                    struct forebay_slice key,
                                    forebay_status status);

/**
 * Who is told of the progress of `forebay_refresh_many`. The struct itself is copied.
 */
typedef struct forebay_progress {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * Given to the functions as it is.
   */
  void *userdata;
  /**
   * Is told. Not NULL.
   */
  forebay_progress_fn progress;
  /**
   * Gives back `userdata`; NULL where nothing has to be.
   */
  forebay_drop_fn drop;
} forebay_progress;

/**
 * Why a refresh, a fetch or an exchange failed. Begin with `FOREBAY_FAILURE_INIT`.
 */
typedef struct forebay_failure {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * What happened, in your words. They come back verbatim: `forebay_error_host_text`.
   */
  struct forebay_slice message;
  /**
   * How long the origin asks to be left alone. -1: it didn't say, and forebay chooses.
   */
  int64_t retry_after_ms;
  /**
   * One of the negative numbers of `forebay_code`.
   */
  int32_t code;
  /**
   * Must be 0.
   */
  int32_t reserved;
  /**
   * 1: the request certainly did not reach the server, which an exchange of credentials wants to know. Else 0.
   */
  int32_t not_sent;
  /**
   * Must be 0.
   */
  int32_t reserved2;
} forebay_failure;

/**
 * The answer of an HTTP server. Begin with `FOREBAY_RESPONSE_INIT`.
 */
typedef struct forebay_response {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * The body; copied during the call.
   */
  struct forebay_slice body;
  /**
   * The header ETag. Empty: none.
   */
  struct forebay_slice etag;
  /**
   * The header Last-Modified. Empty: none.
   */
  struct forebay_slice last_modified;
  /**
   * The header Retry-After, or a reset epoch. Empty: none.
   */
  struct forebay_slice retry_after;
  /**
   * The status: 200, 304, 429, …
   */
  int32_t status;
  /**
   * Must be 0.
   */
  int32_t reserved;
} forebay_response;

/**
 * When a ticket is wanted. Begin with `FOREBAY_ACQUIRE_OPTIONS_INIT`.
 */
typedef struct forebay_acquire_options {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * Only while the value has that version, from `forebay_value_version`: else `FOREBAY_FRESH`. Empty: whatever it is.
   */
  struct forebay_slice unless_changed_since;
  /**
   * How much time the work gets. -1: the source's deadline.
   */
  int64_t deadline_ms;
  /**
   * 1: only where the value is not fresh: else `FOREBAY_FRESH`.
   */
  int32_t unless_fresh;
  /**
   * 1: past any gate, also one that the origin declared.
   */
  int32_t override_gate;
  /**
   * 1: past a gate that forebay guessed.
   */
  int32_t force;
  /**
   * Must be 0.
   */
  int32_t reserved;
} forebay_acquire_options;

/**
 * What an attempt is for. Begin with `FOREBAY_ATTEMPT_OPTIONS_INIT`.
 */
typedef struct forebay_attempt_options {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * `FOREBAY_MODE_GET`: how long to wait before a stale value is served; -1 until the refresh ends.
   */
  int64_t wait_ms;
  /**
   * `FOREBAY_MODE_REFRESH`: a refresh that ended after that instant, in milliseconds since the epoch, will do. -1: only
   * one that begins now or runs.
   */
  int64_t min_fresh_at_ms;
  /**
   * A `forebay_mode`.
   */
  int32_t mode;
  /**
   * `FOREBAY_MODE_REFRESH`: 1 to pass any gate.
   */
  int32_t override_gate;
} forebay_attempt_options;

/**
 * What `forebay_reader_read` found. It never grows, so it has no size.
 */
typedef struct forebay_hit {
  /**
   * The first byte, borrowed from the reader until its next call; NULL where there is no value.
   */
  const uint8_t *data;
  /**
   * How many bytes.
   */
  size_t size;
  /**
   * The age in milliseconds; -1 where there is no value.
   */
  int64_t age_ms;
  /**
   * A `forebay_state`.
   */
  int32_t state;
  /**
   * 0.
   */
  int32_t reserved;
} forebay_hit;

/**
 * Which quota, and how it is asked. Begin with `FOREBAY_QUOTA_OPTIONS_INIT`. forebay copies what it needs during the call.
 */
typedef struct forebay_quota_options {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * What the record is called. Not empty.
   */
  struct forebay_slice name;
  /**
   * Whose answer it is (an account, a user): another identity, another record and gate. Empty: nobody's.
   */
  struct forebay_slice identity;
  /**
   * The data is fresh while it is younger than this. -1: 3 min.
   */
  int64_t ttl_ms;
  /**
   * An error that is recorded in place of data holds for so long. -1: 30 s.
   */
  int64_t error_ttl_ms;
  /**
   * The pause after a 429 that didn't say how long. -1: 5 min.
   */
  int64_t rate_limited_ms;
  /**
   * The pause after a 401 or 403. -1: 5 min.
   */
  int64_t unauthorized_ms;
  /**
   * A fetch gets so much time, and its lease so much. 0 is refused. -1: 2 s.
   */
  int64_t timeout_ms;
  /**
   * The data may be served for so long after it stopped being fresh. -1: 24 h.
   */
  int64_t max_stale_ms;
  /**
   * The shortest pause, also where the server told one. After a failure that tells none, the first; each further one
   * doubles it. -1: 1 s.
   */
  int64_t backoff_floor_ms;
  /**
   * The longest pause that forebay guesses so. -1: 3 min.
   */
  int64_t backoff_cap_ms;
  /**
   * How long to wait for another's fetch. -1: until it ends.
   */
  int64_t wait_ms;
  /**
   * What a commit waits for: a `forebay_durability`, or -1 for the cache's.
   */
  int32_t durability;
  /**
   * Must be 0.
   */
  int32_t reserved;
} forebay_quota_options;

/**
 * Answers one step of a resolve: with `forebay_resolve_credentials` or `_credentials_failed`; `forebay_resolve_fetched`,
 * `_unchanged`, `_respond` or `_fetch_failed`; `forebay_resolve_fallback` or `_fallback_failed`.
 *
 * `resolve` is borrowed until the function returns, and has to be answered by then: else that counts as a failure. What
 * is known of the fetch can be asked of it (`forebay_resolve_credential`, `_previous`, `_remaining_ms`, …); it must not be
 * freed. The function may call forebay; no lock of forebay's is held. It must not throw, `longjmp` or end its thread.
 *
 * May be called on: the thread of the call that was given it.
 */
typedef void (*forebay_resolve_fn)(void *userdata, struct forebay_resolve *resolve);

/**
 * How a quota is asked: `forebay_quota_source ask = {sizeof ask, &mine, read_token, fetch_usage, count_locally, NULL};`. The
 * struct itself is copied. Each function is called at most once for each call, and only where it is needed.
 */
typedef struct forebay_quota_source {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * Given to the functions as it is.
   */
  void *userdata;
  /**
   * Gives the credential to ask with. NULL: none is needed, and the fetch finds an empty one.
   */
  forebay_resolve_fn credentials;
  /**
   * Asks the server. Not NULL.
   */
  forebay_resolve_fn fetch;
  /**
   * Gives an answer of another kind where there is none of the server's. NULL: there is none.
   */
  forebay_resolve_fn fallback;
  /**
   * Gives back `userdata`; NULL where nothing has to be.
   */
  forebay_drop_fn drop;
} forebay_quota_source;

/**
 * How to open credentials. Begin with `FOREBAY_CREDENTIALS_OPTIONS_INIT`.
 */
typedef struct forebay_credentials_options {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * The folder. Empty: as `forebay_default_state_root`.
   */
  struct forebay_slice root;
  /**
   * For tests: a file from which all processes read the time. Empty: the system's clock.
   */
  struct forebay_slice test_clock;
  /**
   * An exchange gets so much time, and its lease so much. 0 is refused. -1: 30 s.
   */
  int64_t deadline_ms;
} forebay_credentials_options;

/**
 * Exchanges `forebay_rotation_previous` for a new credential, and says what came of it with `forebay_rotation_exchanged` or
 * `forebay_rotation_failed` before it returns; else the outcome is ambiguous.
 *
 * `rotation` is borrowed until the function returns, and must not be freed. The function may call forebay; no lock of
 * forebay's is held. It must not throw, `longjmp` or end its thread.
 *
 * May be called on: the thread of the call that was given it.
 */
typedef void (*forebay_exchange_fn)(void *userdata, struct forebay_rotation *rotation);

/**
 * How a credential is exchanged: `forebay_exchanger login = {sizeof login, &mine, exchange_token, NULL};`. The struct itself
 * is copied.
 */
typedef struct forebay_exchanger {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * Given to the functions as it is.
   */
  void *userdata;
  /**
   * Exchanges. Not NULL.
   */
  forebay_exchange_fn exchange;
  /**
   * Gives back `userdata`; NULL where nothing has to be.
   */
  forebay_drop_fn drop;
} forebay_exchanger;

/**
 * How derived results are kept and computed. Begin with `FOREBAY_LIVE_OPTIONS_INIT`.
 */
typedef struct forebay_live_options {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * The folder that paths are relative to: bytes, which need not be UTF-8. Empty: the current one.
   */
  struct forebay_slice workspace;
  /**
   * How long a computation may take before another may make it too. 0 is refused. -1: 10 min.
   */
  int64_t deadline_ms;
  /**
   * The most bytes that results may have, the least recently used going first. -1: no limit.
   */
  int64_t size_cap;
} forebay_live_options;

/**
 * Something that a derived result is computed from: it holds while all of these are as they were. `forebay_input`
 * makes one of a C string. Paths are relative to the workspace, and are bytes: they need not be UTF-8; all else is
 * UTF-8.
 */
typedef struct forebay_live_input {
  /**
   * A `forebay_input_kind`.
   */
  int32_t kind;
  /**
   * Must be 0.
   */
  int32_t reserved;
  /**
   * The path, pattern, variable, key or tag. With `FOREBAY_INPUT_TEXT` text that says the kind too.
   */
  struct forebay_slice name;
} forebay_live_input;

/**
 * Which derived result, and what it is computed from. Begin with `FOREBAY_LIVE_SPEC_INIT`. forebay copies what it
 * needs during the call.
 */
typedef struct forebay_live_spec {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * Its key: 64 lower-case hexadecimal digits, as `forebay_live_key` makes them. It stands for all that the result
   * depends on beside its inputs: the work, its arguments, the version of the program.
   */
  struct forebay_slice key;
  /**
   * What it is computed from; NULL where that is nothing.
   */
  const struct forebay_live_input *inputs;
  /**
   * How many of these.
   */
  size_t input_count;
  /**
   * The keys of the derived results that it is built on; NULL where there are none.
   */
  const struct forebay_slice *upstreams;
  /**
   * How many of these.
   */
  size_t upstream_count;
  /**
   * What kind of result it is, for those who list them: any text, also an empty one.
   */
  struct forebay_slice kind;
} forebay_live_spec;

/**
 * Computes a derived result, and says what came of it with `forebay_compute_computed` or `forebay_compute_failed`
 * before it returns; else it has failed.
 *
 * `compute` is borrowed until the function returns, and must not be freed. The function may call forebay, also for
 * other results; asking for its own, which would be waiting for itself, is `FOREBAY_E_INVALID`. No lock of forebay's is
 * held. It must not throw, `longjmp` or end its thread.
 *
 * May be called on: the thread of the call that was given it.
 */
typedef void (*forebay_compute_fn)(void *userdata, struct forebay_compute *compute);

/**
 * How a derived result is computed: `forebay_computer count = {sizeof count, &mine, count_words, NULL};`. The struct
 * itself is copied.
 */
typedef struct forebay_computer {
  /**
   * The size of this struct, as the program was compiled.
   */
  size_t struct_size;
  /**
   * Given to the functions as it is.
   */
  void *userdata;
  /**
   * Computes. Not NULL.
   */
  forebay_compute_fn compute;
  /**
   * Gives back `userdata`; NULL where nothing has to be.
   */
  forebay_drop_fn drop;
} forebay_computer;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The text of a status: `"rate_limited"` for `FOREBAY_E_RATE_LIMITED`, `"stale"` for `FOREBAY_STALE`. Static; NULL
 * for a number that is none. Any thread.
 */
const char *forebay_code_text(int32_t code);

/**
 * The number of an error code's text: `FOREBAY_E_RATE_LIMITED` for `"rate_limited"`; 0 where there is none of that
 * text. Any thread.
 */
int32_t forebay_code_from_text(struct forebay_slice text);

/**
 * The text of a `forebay_state`, the same in every language. Static; NULL for a number that is none. Any thread.
 */
const char *forebay_state_text(int32_t state);

/**
 * The text of a `forebay_how`, the same in every language. Static; NULL for a number that is none. Any thread.
 */
const char *forebay_how_text(int32_t how);

/**
 * The text of a `forebay_phase`, the same in every language. Static; NULL for a number that is none. Any thread.
 */
const char *forebay_phase_text(int32_t phase);

/**
 * The text of a `forebay_event_kind`, the same in every language. Static; NULL for a number that is none. Any
 * thread.
 */
const char *forebay_event_kind_text(int32_t kind);

/**
 * The text, with a NUL at its end; NULL for NULL. Borrowed from the handle. Any thread.
 */
const char *forebay_text_data(const struct forebay_text *text);

/**
 * How many bytes the text has, without the NUL; 0 for NULL. Any thread.
 */
size_t forebay_text_size(const struct forebay_text *text);

/**
 * Frees the text; NULL is fine. Any thread.
 */
void forebay_text_free(struct forebay_text *text);

/**
 * The code, one of the negative numbers of `forebay_code`; 0 for NULL. Any thread.
 */
int32_t forebay_error_code(const struct forebay_error *error);

/**
 * The whole sentence for a person: path, what happened, what to do next. With a NUL at its end, borrowed from
 * the error; its length is written to `*size` unless `size` is NULL. NULL for NULL. Any thread.
 */
const char *forebay_error_text(const struct forebay_error *error,
                               size_t *size);

/**
 * What happened, without path and remedy; as `forebay_error_text`.
 */
const char *forebay_error_message(const struct forebay_error *error, size_t *size);

/**
 * What to do next; as `forebay_error_text`, and NULL where there is no advice.
 */
const char *forebay_error_hint(const struct forebay_error *error, size_t *size);

/**
 * The file or folder it is about; as `forebay_error_text`, and NULL where there is none. It is as
 * the system has it, so not always UTF-8.
 */
const char *forebay_error_path(const struct forebay_error *error, size_t *size);

/**
 * The text that the refresher of this process gave, verbatim; as `forebay_error_text`, and NULL where the failure
 * is not a refresher's.
 */
const char *forebay_error_host_text(const struct forebay_error *error,
                                    size_t *size);

/**
 * The system's error number (`errno`) where a system call failed; else 0. Any thread.
 */
int32_t forebay_error_os(const struct forebay_error *error);

/**
 * When the next attempt may be made, in milliseconds since the epoch; -1 where that is not known. Any thread.
 */
int64_t forebay_error_retry_at_ms(const struct forebay_error *error);

/**
 * Frees an error that a call wrote to `*err`; NULL is fine. Any thread.
 */
void forebay_error_free(struct forebay_error *error);

/**
 * The version of the library that runs, to be compared with `FOREBAY_VERSION_NUMBER`. Any thread.
 */
uint32_t forebay_version_number(void);

/**
 * The version of the library that runs, as text such as `"0.1.0"`. Static. Any thread.
 */
const char *forebay_version(void);

/**
 * The binary interface of the library that runs, to be compared with `FOREBAY_ABI_VERSION`. Any thread.
 */
uint32_t forebay_abi_version(void);

/**
 * Reads a duration as people write it: `1h30m`, `90s`, `250ms`; units ms s m h d w. A bare number is refused.
 *
 * `ms`: the milliseconds; -1 after an error. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_parse_duration(int64_t *ms,
                                      struct forebay_slice text,
                                      struct forebay_error **err);

/**
 * Writes a duration as `forebay_parse_duration` reads it.
 *
 * `out`: to be freed with `forebay_text_free`. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_format_duration(struct forebay_text **out,
                                       int64_t ms,
                                       struct forebay_error **err);

/**
 * Reads a Retry-After: seconds, an HTTP date, or the epoch of a reset.
 *
 * `ms`: how long to wait, from `now_ms` on (milliseconds since the epoch; -1: the system's clock). Returns `FOREBAY_OK`, or
 * `FOREBAY_ABSENT` where the text is none of those. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_parse_retry_after(int64_t *ms,
                                         struct forebay_slice text,
                                         int64_t now_ms,
                                         struct forebay_error **err);

/**
 * What an HTTP answer that brings no value means: the code, the pause and the message for a `forebay_failure`.
 *
 * `code`, `retry_after_ms`, `message`: set on success; free the message with `forebay_text_free`. `status`: the HTTP
 * status. `retry_after`: that header, or empty. Errors: `FOREBAY_E_INVALID`. Any thread. `forebay_ticket_respond` does all
 * of it in one step.
 */
forebay_status forebay_failure_from_status(int32_t *code,
                                           int64_t *retry_after_ms,
                                           struct forebay_text **message,
                                           int32_t status,
                                           struct forebay_slice retry_after,
                                           struct forebay_error **err);

/**
 * A cache folder for the program `app` alone: `$XDG_CACHE_HOME/app`, else `$HOME/.cache/app`.
 *
 * `out`: the path as the system has it, so not always UTF-8; to be freed with `forebay_text_free`. Returns `FOREBAY_OK`,
 * or `FOREBAY_ABSENT` where the environment names no home. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_default_root(struct forebay_text **out,
                                    struct forebay_slice app,
                                    struct forebay_error **err);

/**
 * Opens a cache. Takes no lock, starts no thread, and makes the folder only when something is written.
 *
 * `out`: the cache, to be freed with `forebay_cache_free`. `options`: NULL for the defaults. Errors:
 * `FOREBAY_E_INVALID`, `_UNSAFE_ROOT`, `_UNSUPPORTED_FS`, `_NEWER_FORMAT`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_open(struct forebay_cache **out,
                            const struct forebay_cache_options *options,
                            struct forebay_error **err);

/**
 * Closes the cache for all its owners: each later call fails with `FOREBAY_E_CLOSED`, tickets are told that they are
 * cancelled, and waits end. Handles stay valid until they are freed.
 *
 * `drain_ms`: first waits so long for refreshes of this process that run; -1 doesn't wait, and leaves them to be
 * settled by the next caller. Errors: `FOREBAY_E_TIMED_OUT` where some still ran then; it is closed all the same.
 * Any thread, but not with a drain inside a refresher: that would wait for itself.
 */
forebay_status forebay_close(struct forebay_cache *cache,
                             int64_t drain_ms,
                             struct forebay_error **err);

/**
 * Waits until no refresh of this process runs on the cache, which stays open.
 *
 * `timeout_ms`: at most so long; -1 for at most a day. `interrupt`: NULL, or a flag that ends the wait. Errors:
 * `FOREBAY_E_TIMED_OUT` where some still run, `FOREBAY_E_CANCELLED` when interrupted, `FOREBAY_E_INVALID`. Any thread, but
 * not inside a refresher: that would wait for itself.
 */
forebay_status forebay_drain(const struct forebay_cache *cache,
                             int64_t timeout_ms,
                             const struct forebay_interrupt *interrupt,
                             struct forebay_error **err);

/**
 * One more owner of the same cache: returns `cache`. Any thread.
 */
struct forebay_cache *forebay_cache_retain(const struct forebay_cache *cache);

/**
 * Gives up one owner's hold. It does not wait: a refresh that runs goes on. NULL is fine. Any thread.
 */
void forebay_cache_free(struct forebay_cache *cache);

/**
 * The folder of the cache, with a NUL at its end, borrowed from the cache; its length is written to `*size` unless
 * `size` is NULL. It is as the system has it, so not always UTF-8. Any thread.
 */
const char *forebay_cache_root(const struct forebay_cache *cache,
                               size_t *size);

/**
 * How often each kind of event has happened on this cache in this process.
 *
 * `counts`: a place for `count` numbers, in the order of `forebay_event_kind`; those beyond the last kind are set to
 * 0. Any thread.
 */
forebay_status forebay_counters(uint64_t *counts,
                                size_t count,
                                const struct forebay_cache *cache,
                                struct forebay_error **err);

/**
 * The first byte of the value; NULL where there is none. Borrowed from the value: not to be changed or freed.
 * An empty value has a pointer and the size 0. Any thread.
 */
const uint8_t *forebay_value_data(const struct forebay_value *value);

/**
 * How many bytes the value has; 0 where there is none. Any thread.
 */
size_t forebay_value_size(const struct forebay_value *value);

/**
 * Whether it may be used: a `forebay_state`. Any thread.
 */
int32_t forebay_value_state(const struct forebay_value *value);

/**
 * Where it came from: a `forebay_how`; -1 from calls that only look. Any thread.
 */
int32_t forebay_value_how(const struct forebay_value *value);

/**
 * What the source's refresh is doing: a `forebay_phase`; -1 where the call didn't look, as for most fresh values.
 * Any thread.
 */
int32_t forebay_value_phase(const struct forebay_value *value);

/**
 * How old it is, in milliseconds; -1 where there is none. Any thread.
 */
int64_t forebay_value_age_ms(const struct forebay_value *value);

/**
 * When it was stored, in milliseconds since the epoch; -1 where there is none. Any thread.
 */
int64_t forebay_value_stored_at_ms(const struct forebay_value *value);

/**
 * Until when it is fresh, in milliseconds since the epoch; -1 where it is not. Any thread.
 */
int64_t forebay_value_fresh_until_ms(const struct forebay_value *value);

/**
 * The validator stored with it (an ETag, a date, a text of the refresher's own); NULL where there is none. Text
 * with a NUL at its end, borrowed from the value; its length is written to `*size` unless `size` is NULL. Any
 * thread.
 */
const char *forebay_value_validator(const struct forebay_value *value,
                                    size_t *size);

/**
 * The caller's own text stored with it; as `forebay_value_validator`.
 */
const char *forebay_value_extra(const struct forebay_value *value, size_t *size);

/**
 * The opaque version: it differs whenever the value does, and is `"0"` where there is none. For
 * `forebay_wait_for_change` and `unless_changed_since`. As `forebay_value_validator`, never NULL but for NULL.
 */
const char *forebay_value_version(const struct forebay_value *value,
                                  size_t *size);

/**
 * Why the value is not what it could be: damage found on disk, or the failed refresh behind a stale value. NULL
 * where there is nothing to report. Borrowed from the value: not to be freed. Any thread.
 */
const struct forebay_error *forebay_value_error(const struct forebay_value *value);

/**
 * One more owner of the same value: returns `value`. Any thread.
 */
struct forebay_value *forebay_value_retain(const struct forebay_value *value);

/**
 * Gives up one owner's hold; the last frees the value. NULL is fine. Any thread.
 */
void forebay_value_free(struct forebay_value *value);

/**
 * Looks at a source: one look at the disk, never a wait and never a write.
 *
 * `out`: the value, also where it is expired, or absent; to be freed with `forebay_value_free`. Damage on disk is
 * `FOREBAY_ABSENT` with `forebay_value_error`. Returns `FOREBAY_OK` (fresh), `FOREBAY_STALE`, `FOREBAY_EXPIRED` or
 * `FOREBAY_ABSENT`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_read(struct forebay_value **out,
                            const struct forebay_cache *cache,
                            const struct forebay_source_options *source,
                            struct forebay_error **err);

/**
 * The slot of the source in the table of generations (docs/protocol.md), for hosts that look at the table themselves.
 *
 * `slot`: a number below 8192. Of the source, only key, tier and identity matter. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_source_slot(uint32_t *slot,
                                   const struct forebay_source_options *source,
                                   struct forebay_error **err);

/**
 * Stores a value at once. It is not a refresh, and always wins: what a refresh in flight brings later is not stored,
 * and its caller is told so.
 *
 * `out`: the value as stored, or NULL where you don't want it. `data`: `size` bytes, copied during the call; `(NULL,
 * 0)` is an empty value. `commit`: NULL for none. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`,
 * `_NO_SPACE`, `_PERMISSION`, `_IO`; then nothing was stored. Any thread.
 */
forebay_status forebay_put(struct forebay_value **out,
                           const struct forebay_cache *cache,
                           const struct forebay_source_options *source,
                           const void *data,
                           size_t size,
                           const struct forebay_commit *commit,
                           struct forebay_error **err);

/**
 * Marks the value as stale, whatever its age: the next caller refreshes, and until then it is served as stale. A
 * refresh that runs meanwhile is stored, and stale. Errors: as `forebay_put`. Any thread.
 */
forebay_status forebay_mark_stale(const struct forebay_cache *cache,
                                  const struct forebay_source_options *source,
                                  struct forebay_error **err);

/**
 * Removes the value and what is recorded of its refreshes. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there was
 * nothing. Errors: as `forebay_put`. Any thread.
 */
forebay_status forebay_remove(const struct forebay_cache *cache,
                              const struct forebay_source_options *source,
                              struct forebay_error **err);

/**
 * What the source's refresh is doing: from the marker and the gate on disk.
 *
 * `out`: to be freed with `forebay_refresh_info_free`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`.
 * Any thread.
 */
forebay_status forebay_refresh_state(struct forebay_refresh_info **out,
                                     const struct forebay_cache *cache,
                                     const struct forebay_source_options *source,
                                     struct forebay_error **err);

/**
 * Waits until the value is another than `since`, in this or any other process.
 *
 * `version`: the new version, to be freed with `forebay_text_free`; NULL unless `FOREBAY_OK` is returned. `since`: a
 * version from `forebay_value_version` or from this function; empty is the version of a source without a value.
 * `timeout_ms`: at most so long; -1 without end. `interrupt`: NULL, or a flag that ends the wait. Returns
 * `FOREBAY_OK`, or `FOREBAY_ABSENT` when the time is over. Errors: `FOREBAY_E_CANCELLED` when interrupted,
 * `FOREBAY_E_INVALID`, `_CLOSED`, `_IO`. Any thread; no thread is started.
 */
forebay_status forebay_wait_for_change(struct forebay_text **version,
                                       const struct forebay_cache *cache,
                                       const struct forebay_source_options *source,
                                       struct forebay_slice since,
                                       int64_t timeout_ms,
                                       const struct forebay_interrupt *interrupt,
                                       struct forebay_error **err);

/**
 * Which fact decided about the value: in a sentence, and as a Cache-Status line (RFC 9211).
 *
 * `out`: to be freed with `forebay_explanation_free`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`.
 * Any thread.
 */
forebay_status forebay_why(struct forebay_explanation **out,
                           const struct forebay_cache *cache,
                           const struct forebay_source_options *source,
                           struct forebay_error **err);

/**
 * Idle, running or cooling: a `forebay_phase`; -1 for NULL. Any thread.
 */
int32_t forebay_refresh_info_phase(const struct forebay_refresh_info *info);

/**
 * 1 while a refresh runs, and, as in the original, also while a failure cools down; else 0. Any thread.
 */
int32_t forebay_refresh_info_in_flight(const struct forebay_refresh_info *info);

/**
 * 1 where the last refresh failed; else 0. Any thread.
 */
int32_t forebay_refresh_info_failed(const struct forebay_refresh_info *info);

/**
 * How the last refresh failed; NULL where it didn't. Borrowed: not to be freed. Any thread.
 */
const struct forebay_error *forebay_refresh_info_last_error(const struct forebay_refresh_info *info);

/**
 * When the refresh that runs began, in milliseconds since the epoch; -1 where that is not known. Any thread.
 */
int64_t forebay_refresh_info_started_at_ms(const struct forebay_refresh_info *info);

/**
 * When its lease ends, in milliseconds since the epoch; -1 where none runs. Any thread.
 */
int64_t forebay_refresh_info_deadline_ms(const struct forebay_refresh_info *info);

/**
 * When the next attempt may be made, in milliseconds since the epoch; -1 where no gate is in force. Any thread.
 */
int64_t forebay_refresh_info_retry_at_ms(const struct forebay_refresh_info *info);

/**
 * How many refreshes in a row have failed. Any thread.
 */
uint32_t forebay_refresh_info_attempts(const struct forebay_refresh_info *info);

/**
 * 1 where the origin itself told when to come back (Retry-After); 0 where forebay guessed. Any thread.
 */
int32_t forebay_refresh_info_declared(const struct forebay_refresh_info *info);

/**
 * The process that runs the refresh; -1 where none does, or it is not known. Any thread.
 */
int64_t forebay_refresh_info_holder(const struct forebay_refresh_info *info);

/**
 * Frees it; NULL is fine. Any thread.
 */
void forebay_refresh_info_free(struct forebay_refresh_info *info);

/**
 * The sentence, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. Any thread.
 */
const char *forebay_explanation_text(const struct forebay_explanation *explanation,
                                     size_t *size);

/**
 * The same as the value of a Cache-Status header (RFC 9211); as `forebay_explanation_text`.
 */
const char *forebay_explanation_cache_status(const struct forebay_explanation *explanation,
                                             size_t *size);

/**
 * The value's state: a `forebay_state`. Any thread.
 */
int32_t forebay_explanation_state(const struct forebay_explanation *explanation);

/**
 * What its refresh is doing: a `forebay_phase`; -1 for NULL. Any thread.
 */
int32_t forebay_explanation_phase(const struct forebay_explanation *explanation);

/**
 * Frees it; NULL is fine. Any thread.
 */
void forebay_explanation_free(struct forebay_explanation *explanation);

/**
 * A fresh value; or else one that was refreshed within `wait_ms`; or else a stale one, while the refresh goes on.
 *
 * `out`: the value, to be freed with `forebay_value_free`; never NULL on success. `refresher`: called where nobody else
 * refreshes; see `forebay_refresh_fn`. `wait_ms`: -1 waits until the refresh ends, and calls the refresher in this
 * thread; else it is called on a thread of forebay's, and 0 returns at once what may be served. Returns `FOREBAY_OK`
 * (fresh) or `FOREBAY_STALE`. Errors: `FOREBAY_E_TIMED_OUT`, `FOREBAY_E_GATED`, the code of the failure
 * (`FOREBAY_E_REFRESH_FAILED`, …) where there is nothing that may be served, and those of `forebay_put`. Any thread.
 */
forebay_status forebay_get(struct forebay_value **out,
                           const struct forebay_cache *cache,
                           const struct forebay_source_options *source,
                           const struct forebay_refresher *refresher,
                           int64_t wait_ms,
                           struct forebay_error **err);

/**
 * Refreshes now, whatever the age; joins a refresh that runs, here or in another process, and returns its outcome.
 *
 * `out`: the value, to be freed with `forebay_value_free`; `forebay_value_how` tells whether the refresher ran.
 * `refresher`: called in this thread. Returns `FOREBAY_OK`, or as `forebay_get`. Errors: the failure itself; those of
 * `forebay_get`. Any thread.
 */
forebay_status forebay_refresh(struct forebay_value **out,
                               const struct forebay_cache *cache,
                               const struct forebay_source_options *source,
                               const struct forebay_refresher *refresher,
                               struct forebay_error **err);

/**
 * As `forebay_refresh`, with options; NULL for the defaults.
 */
forebay_status forebay_refresh_with(struct forebay_value **out,
                                    const struct forebay_cache *cache,
                                    const struct forebay_source_options *source,
                                    const struct forebay_refresh_options *options,
                                    const struct forebay_refresher *refresher,
                                    struct forebay_error **err);

/**
 * Where the value isn't fresh: takes the lease at once, calls the refresher on a thread of forebay's, and returns
 * meanwhile.
 *
 * Returns `FOREBAY_OK` (started), or, without calling the refresher, `FOREBAY_FRESH`, `FOREBAY_IN_FLIGHT` or
 * `FOREBAY_GATED`. Errors: those of `forebay_acquire`, with at most 100 ms for a guard lock. Any thread.
 */
forebay_status forebay_maybe_refresh(const struct forebay_cache *cache,
                                     const struct forebay_source_options *source,
                                     const struct forebay_refresher *refresher,
                                     struct forebay_error **err);

/**
 * A fresh value as it is; what there is, at once, while failures cool down; else as `forebay_refresh`.
 *
 * `out`: the value, also where it is absent; to be freed with `forebay_value_free`. Returns `FOREBAY_OK`, `FOREBAY_STALE`,
 * `FOREBAY_EXPIRED` or `FOREBAY_ABSENT`. Errors: as `forebay_refresh`. Any thread.
 */
forebay_status forebay_maybe_refresh_sync(struct forebay_value **out,
                                          const struct forebay_cache *cache,
                                          const struct forebay_source_options *source,
                                          const struct forebay_refresher *refresher,
                                          struct forebay_error **err);

/**
 * Refreshes several sources side by side, each as `forebay_refresh`, and returns when all are done.
 *
 * `out`: one result for each item, in their order; to be freed with `forebay_results_free`. `items`: `count` of them.
 * `concurrency`: how many at once, at least 1; so many threads run for the length of the call. `progress`: NULL, or who is
 * told after each. A source that fails has its error in the results. Errors: `FOREBAY_E_INVALID` where the items
 * themselves are unusable; then none was refreshed. Any thread.
 */
forebay_status forebay_refresh_many(struct forebay_results **out,
                                    const struct forebay_cache *cache,
                                    const struct forebay_refresh_item *items,
                                    size_t count,
                                    size_t concurrency,
                                    const struct forebay_progress *progress,
                                    struct forebay_error **err);

/**
 * How many results there are: as many as items. Any thread.
 */
size_t forebay_results_count(const struct forebay_results *results);

/**
 * What `forebay_refresh` would have returned; `FOREBAY_E_NOT_FOUND` beyond the last. Any thread.
 */
forebay_status forebay_results_status(const struct forebay_results *results, size_t index);

/**
 * The value; NULL where the refresh failed. Borrowed from the results: `forebay_value_retain` keeps it. Any thread.
 */
const struct forebay_value *forebay_results_value(const struct forebay_results *results,
                                                  size_t index);

/**
 * The error; NULL where the refresh succeeded. Borrowed from the results: not to be freed. Any thread.
 */
const struct forebay_error *forebay_results_error(const struct forebay_results *results,
                                                  size_t index);

/**
 * Frees the results; NULL is fine. Any thread.
 */
void forebay_results_free(struct forebay_results *results);

/**
 * Makes a flag that is not set. Free it with `forebay_interrupt_free`. Any thread.
 */
forebay_status forebay_interrupt_new(struct forebay_interrupt **out, struct forebay_error **err);

/**
 * Sets the flag: waits that were given it end, now and later, until it is cleared. Any thread, also a signal
 * handler.
 */
void forebay_interrupt_set(const struct forebay_interrupt *interrupt);

/**
 * Clears the flag, for the next use. Any thread.
 */
void forebay_interrupt_clear(const struct forebay_interrupt *interrupt);

/**
 * Frees the flag; NULL is fine. Any thread.
 */
void forebay_interrupt_free(struct forebay_interrupt *interrupt);

/**
 * Ends the ticket with a new value, and stores it.
 *
 * `out`: the value as stored, or NULL where you don't want it. `data`: `size` bytes, copied during the call; `(NULL,
 * 0)` is an empty value. `commit`: NULL for none. Returns `FOREBAY_OK`, or `FOREBAY_SUPERSEDED` where a newer value was
 * put meanwhile: then nothing was stored. Errors: `FOREBAY_E_ALREADY_USED`; `_LEASE_LOST`: too late, nothing was stored;
 * `_LOCK_TIMEOUT`: the ticket is still open, call again; `_NO_SPACE`, `_PERMISSION`, `_IO`: not stored, and who waits in
 * this process still gets the bytes. Any thread.
 */
forebay_status forebay_ticket_complete(struct forebay_value **out,
                                       struct forebay_ticket *ticket,
                                       const void *data,
                                       size_t size,
                                       const struct forebay_commit *commit,
                                       struct forebay_error **err);

/**
 * Ends the ticket: the origin says that the value is unchanged (304), so it is fresh again. As
 * `forebay_ticket_complete`; what `commit` sets replaces what was stored beside the value.
 */
forebay_status forebay_ticket_unchanged(struct forebay_value **out,
                                        struct forebay_ticket *ticket,
                                        const struct forebay_commit *commit,
                                        struct forebay_error **err);

/**
 * Ends the ticket: the refresh failed. The last good value stays, and a gate holds back the next attempt, in all
 * processes.
 *
 * `failure`: NULL for one without a reason. Errors: `FOREBAY_E_ALREADY_USED`, `_LEASE_LOST`, `_LOCK_TIMEOUT` (the ticket
 * is still open), `_NO_SPACE`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_ticket_fail(struct forebay_ticket *ticket,
                                   const struct forebay_failure *failure,
                                   struct forebay_error **err);

/**
 * Ends the ticket with the answer of an HTTP server: 2xx completes it with the body, and ETag or Last-Modified as its
 * validator; 304 is unchanged; 401 and 403 fail it as unauthorized, 429 as rate_limited and 503 as unavailable, each
 * with Retry-After; the rest as refresh_failed. Returns and errors as those three functions do. Any thread.
 */
forebay_status forebay_ticket_respond(struct forebay_value **out,
                                      struct forebay_ticket *ticket,
                                      const struct forebay_response *response,
                                      struct forebay_error **err);

/**
 * Moves the deadline: the work may take `deadline_ms` from now. Errors: `FOREBAY_E_INVALID`, `_ALREADY_USED`,
 * `_LEASE_LOST`, `_LOCK_TIMEOUT`, `_IO`. Any thread.
 */
forebay_status forebay_ticket_renew(struct forebay_ticket *ticket,
                                    int64_t deadline_ms,
                                    struct forebay_error **err);

/**
 * 1 where the work is of no use any more: a value was put, the source removed, the lease is over, or the cache was
 * closed. 0 otherwise, and for NULL. Cheap enough to ask in a loop. Any thread.
 */
int32_t forebay_ticket_cancelled(const struct forebay_ticket *ticket);

/**
 * How many milliseconds are left until the deadline; 0 when it is over, and for NULL. Any thread.
 */
int64_t forebay_ticket_remaining_ms(const struct forebay_ticket *ticket);

/**
 * The deadline, in milliseconds since the epoch by the cache's clock; -1 for NULL. Any thread.
 */
int64_t forebay_ticket_deadline_ms(const struct forebay_ticket *ticket);

/**
 * The fencing token of the lease: it grows with each lease of the source. 0 for NULL. Any thread.
 */
uint64_t forebay_ticket_token(const struct forebay_ticket *ticket);

/**
 * The source's key, `tier/name`, with a NUL at its end, borrowed from the ticket; its length is written to `*size`
 * unless `size` is NULL. Any thread.
 */
const char *forebay_ticket_key(const struct forebay_ticket *ticket,
                               size_t *size);

/**
 * The bytes of the value before this refresh, borrowed from the ticket; their number is written to `*size` unless
 * `size` is NULL. NULL where there is none. Any thread.
 */
const uint8_t *forebay_ticket_previous(const struct forebay_ticket *ticket,
                                       size_t *size);

/**
 * When the value before this refresh was stored, in milliseconds since the epoch; -1 where there is none. Any thread.
 */
int64_t forebay_ticket_previous_stored_at_ms(const struct forebay_ticket *ticket);

/**
 * The validator of the value before this refresh; as `forebay_ticket_key`, and NULL where there is none.
 */
const char *forebay_ticket_validator(const struct forebay_ticket *ticket,
                                     size_t *size);

/**
 * How many headers make an HTTP request conditional on the validator: If-None-Match for an ETag, If-Modified-Since
 * for a date, none for another. Any thread.
 */
size_t forebay_ticket_header_count(const struct forebay_ticket *ticket);

/**
 * The name of one of those headers, with a NUL at its end, borrowed from the ticket; NULL beyond the last. Any thread.
 */
const char *forebay_ticket_header_name(const struct forebay_ticket *ticket,
                                       size_t index);

/**
 * The value of one of those headers; as `forebay_ticket_header_name`.
 */
const char *forebay_ticket_header_value(const struct forebay_ticket *ticket, size_t index);

/**
 * One more owner of the same ticket: returns `ticket`. A refresher that ends its ticket after it returned calls this
 * first. Any thread.
 */
struct forebay_ticket *forebay_ticket_retain(const struct forebay_ticket *ticket);

/**
 * Gives up one owner's hold. The last one of a ticket that was not ended abandons the refresh. NULL is fine. Any
 * thread.
 */
void forebay_ticket_free(struct forebay_ticket *ticket);

/**
 * Takes the lease of a source, whose refresh is then yours to do.
 *
 * `ticket`: set with `FOREBAY_OK`; free it with `forebay_ticket_free`. `value`: set with `FOREBAY_FRESH`; `info`: set with
 * `FOREBAY_IN_FLIGHT` (another refreshes) and `FOREBAY_GATED` (nobody may now). Both may be NULL where you don't want
 * them; else free them. `options`: NULL for the defaults. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`,
 * `_TOO_MANY_LEASES`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Waits for a guard lock for at most 2 s, normally microseconds.
 * Any thread.
 */
forebay_status forebay_acquire(struct forebay_ticket **ticket,
                               struct forebay_value **value,
                               struct forebay_refresh_info **info,
                               const struct forebay_cache *cache,
                               const struct forebay_source_options *source,
                               const struct forebay_acquire_options *options,
                               struct forebay_error **err);

/**
 * Where the value isn't fresh: takes the lease at once, and queues the ticket for `forebay_next_refresh` of this
 * process. Returns `FOREBAY_OK` (queued), `FOREBAY_FRESH`, `FOREBAY_IN_FLIGHT` or `FOREBAY_GATED`. Errors: as
 * `forebay_acquire`. Any thread.
 */
forebay_status forebay_request_refresh(const struct forebay_cache *cache,
                                       const struct forebay_source_options *source,
                                       struct forebay_error **err);

/**
 * Waits for the next ticket that `forebay_request_refresh` queued on this cache: the loop of a thread of yours that does
 * background refreshes.
 *
 * `ticket`: set with `FOREBAY_OK`; free it with `forebay_ticket_free`. `timeout_ms`: at most so long; -1 without end.
 * `interrupt`: NULL, or a flag that ends the wait. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there was none in that
 * time. Errors: `FOREBAY_E_CANCELLED` when interrupted, `FOREBAY_E_CLOSED` when the cache is closed. Any thread, also
 * several at once.
 */
forebay_status forebay_next_refresh(struct forebay_ticket **ticket,
                                    const struct forebay_cache *cache,
                                    int64_t timeout_ms,
                                    const struct forebay_interrupt *interrupt,
                                    struct forebay_error **err);

/**
 * Begins an attempt. Nothing happens before `forebay_attempt_next`.
 *
 * `out`: free it with `forebay_attempt_free`. `options`: NULL for a get that waits until the refresh ends. Errors:
 * `FOREBAY_E_INVALID`, `_CLOSED`. Any thread.
 */
forebay_status forebay_attempt_begin(struct forebay_attempt **out,
                                     const struct forebay_cache *cache,
                                     const struct forebay_source_options *source,
                                     const struct forebay_attempt_options *options,
                                     struct forebay_error **err);

/**
 * The next step of the attempt; never waits for a refresh.
 *
 * `step`: a `forebay_step`. With `FOREBAY_STEP_DONE`, `value` is the outcome (free it) and the status is as of
 * `forebay_get`; a maybe_refresh attempt gets the value as it is, and its phase tells whether a refresh runs or cools
 * down. With `FOREBAY_STEP_RUN`, `ticket` is yours (free it) and the status is `FOREBAY_OK`: do the work, on any thread, end
 * the ticket, and call this again. With `FOREBAY_STEP_WAIT` the status is `FOREBAY_IN_FLIGHT`: call
 * `forebay_attempt_wait`. After a value or an error the attempt is finished: free it. A refresh that was begun goes on
 * without it. Errors: those of `forebay_get`. One thread at a time.
 */
forebay_status forebay_attempt_next(int32_t *step,
                                    struct forebay_value **value,
                                    struct forebay_ticket **ticket,
                                    struct forebay_attempt *attempt,
                                    struct forebay_error **err);

/**
 * Waits until there may be news: then call `forebay_attempt_next`.
 *
 * `at_most_ms`: at most so long; -1 until there is news. Errors: `FOREBAY_E_CANCELLED` after
 * `forebay_attempt_interrupt`; the attempt can go on. One thread at a time.
 */
forebay_status forebay_attempt_wait(struct forebay_attempt *attempt,
                                    int64_t at_most_ms,
                                    struct forebay_error **err);

/**
 * Ends the wait of this attempt that runs, within 25 ms, or else the next one, at once. Any thread, also while another
 * is inside `forebay_attempt_wait`; also in a signal handler.
 */
void forebay_attempt_interrupt(const struct forebay_attempt *attempt);

/**
 * Frees the attempt; NULL is fine. A refresh that was begun goes on without it. Not while another thread uses it.
 */
void forebay_attempt_free(struct forebay_attempt *attempt);

/**
 * Lists all values of the cache, in the order of their keys.
 *
 * `out`: to be freed with `forebay_listing_free`. Errors: `FOREBAY_E_CLOSED`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_list(struct forebay_listing **out,
                            const struct forebay_cache *cache,
                            struct forebay_error **err);

/**
 * How many values were listed. Any thread.
 */
size_t forebay_listing_count(const struct forebay_listing *listing);

/**
 * The key, `tier/name` (with an identity: and `~` and its hash), with a NUL at its end, borrowed from the listing; its
 * length is written to `*size` unless `size` is NULL. Any thread.
 */
const char *forebay_listing_key(const struct forebay_listing *listing,
                                size_t index,
                                size_t *size);

/**
 * The tier alone; as `forebay_listing_key`.
 */
const char *forebay_listing_tier(const struct forebay_listing *listing, size_t index, size_t *size);

/**
 * The name alone, without an identity; as `forebay_listing_key`.
 */
const char *forebay_listing_name(const struct forebay_listing *listing, size_t index, size_t *size);

/**
 * A `forebay_state`, by the lifetimes that are recorded beside the value. Any thread.
 */
int32_t forebay_listing_state(const struct forebay_listing *listing, size_t index);

/**
 * A `forebay_phase`; -1 beyond the last. Any thread.
 */
int32_t forebay_listing_phase(const struct forebay_listing *listing, size_t index);

/**
 * The age in milliseconds; -1 where there is none. Any thread.
 */
int64_t forebay_listing_age_ms(const struct forebay_listing *listing, size_t index);

/**
 * When it was stored, in milliseconds since the epoch; -1 where that is not known. Any thread.
 */
int64_t forebay_listing_stored_at_ms(const struct forebay_listing *listing, size_t index);

/**
 * When the next attempt may be made, in milliseconds since the epoch; -1 where no gate is in force. Any thread.
 */
int64_t forebay_listing_retry_at_ms(const struct forebay_listing *listing,
                                    size_t index);

/**
 * How many bytes the value has. Any thread.
 */
uint64_t forebay_listing_size(const struct forebay_listing *listing, size_t index);

/**
 * The validator, NULL where there is none; as `forebay_listing_key`.
 */
const char *forebay_listing_validator(const struct forebay_listing *listing,
                                      size_t index,
                                      size_t *size);

/**
 * The caller's own text stored with it, NULL where there is none; as `forebay_listing_key`.
 */
const char *forebay_listing_extra(const struct forebay_listing *listing,
                                  size_t index,
                                  size_t *size);

/**
 * The opaque version of the value; as `forebay_listing_key`.
 */
const char *forebay_listing_version(const struct forebay_listing *listing,
                                    size_t index,
                                    size_t *size);

/**
 * Damage found, or the last failed refresh; NULL where there is nothing to report. Borrowed: not to be freed. Any
 * thread.
 */
const struct forebay_error *forebay_listing_error(const struct forebay_listing *listing,
                                                  size_t index);

/**
 * Frees the listing; NULL is fine. Any thread.
 */
void forebay_listing_free(struct forebay_listing *listing);

/**
 * Removes all values and side files of the sources that are not listed, except those that are being refreshed, and
 * sweeps what dead processes left.
 *
 * `out`: the report, to be freed with `forebay_pruned_free`; NULL where you don't want it. `keep`: `count` pointers to the
 * sources that stay, of which only key, tier and identity matter; `(NULL, 0)` keeps none. Errors: `FOREBAY_E_INVALID`,
 * `_CLOSED`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_prune(struct forebay_pruned **out,
                             const struct forebay_cache *cache,
                             const struct forebay_source_options *const *keep,
                             size_t count,
                             struct forebay_error **err);

/**
 * How many values were removed. Any thread.
 */
size_t forebay_pruned_removed_count(const struct forebay_pruned *pruned);

/**
 * The key of one that was removed, with a NUL at its end, borrowed from the report; its length is written to `*size`
 * unless `size` is NULL. Any thread.
 */
const char *forebay_pruned_removed_key(const struct forebay_pruned *pruned,
                                       size_t index,
                                       size_t *size);

/**
 * How many values were not listed, and left. Any thread.
 */
size_t forebay_pruned_skipped_count(const struct forebay_pruned *pruned);

/**
 * The key of one that was left; as `forebay_pruned_removed_key`.
 */
const char *forebay_pruned_skipped_key(const struct forebay_pruned *pruned,
                                       size_t index,
                                       size_t *size);

/**
 * Why it was left; as `forebay_pruned_removed_key`.
 */
const char *forebay_pruned_skipped_reason(const struct forebay_pruned *pruned,
                                          size_t index,
                                          size_t *size);

/**
 * How many other files were swept: markers, gates and temporary files that nobody needs. Any thread.
 */
size_t forebay_pruned_swept(const struct forebay_pruned *pruned);

/**
 * Frees the report; NULL is fine. Any thread.
 */
void forebay_pruned_free(struct forebay_pruned *pruned);

/**
 * Makes a reader of one source.
 *
 * `out`: to be freed with `forebay_reader_free`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`. Any thread.
 */
forebay_status forebay_reader_open(struct forebay_reader **out,
                                   const struct forebay_cache *cache,
                                   const struct forebay_source_options *source,
                                   struct forebay_error **err);

/**
 * Looks at the source. What `hit` got before is used no more.
 *
 * `hit`: a place for what is found. Returns `FOREBAY_OK` (fresh), `FOREBAY_STALE`, `FOREBAY_EXPIRED` or `FOREBAY_ABSENT`.
 * Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`. One thread at a time.
 */
forebay_status forebay_reader_read(struct forebay_hit *hit,
                                   struct forebay_reader *reader,
                                   struct forebay_error **err);

/**
 * The same as a value that outlives the reader. `out`: to be freed with `forebay_value_free`. Returns and errors as
 * `forebay_reader_read`. One thread at a time.
 */
forebay_status forebay_reader_value(struct forebay_value **out,
                                    const struct forebay_reader *reader,
                                    struct forebay_error **err);

/**
 * Frees the reader, and with it what its last hit borrowed; NULL is fine. Not while another thread uses it.
 */
void forebay_reader_free(struct forebay_reader *reader);

/**
 * Makes a map of readers, which share their options.
 *
 * `out`: to be freed with `forebay_readers_free`. `options`: NULL for the defaults; what they say of key, tier and identity
 * doesn't matter. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_readers_open(struct forebay_readers **out,
                                    const struct forebay_cache *cache,
                                    const struct forebay_source_options *options,
                                    struct forebay_error **err);

/**
 * Looks at the source `tier/name`, by the reader that the map keeps for it. As `forebay_read`, on the fast path. Any
 * thread.
 */
forebay_status forebay_readers_get(struct forebay_value **out,
                                   const struct forebay_readers *readers,
                                   struct forebay_slice key,
                                   struct forebay_error **err);

/**
 * Frees the map; NULL is fine. Not while another thread uses it.
 */
void forebay_readers_free(struct forebay_readers *readers);

/**
 * Begins to listen to what happens on the cache, in this process.
 *
 * `out`: to be freed with `forebay_events_free`. Errors: `FOREBAY_E_INVALID`. Any thread; no thread is started.
 */
forebay_status forebay_subscribe(struct forebay_events **out,
                                 const struct forebay_cache *cache,
                                 struct forebay_error **err);

/**
 * Waits for the next event.
 *
 * `out`: set with `FOREBAY_OK`; free it with `forebay_event_free`. `timeout_ms`: at most so long; -1 without end.
 * `interrupt`: NULL, or a flag that ends the wait. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there was none in that
 * time. Errors: `FOREBAY_E_CANCELLED` when interrupted, `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_events_next(struct forebay_event **out,
                                   const struct forebay_events *events,
                                   int64_t timeout_ms,
                                   const struct forebay_interrupt *interrupt,
                                   struct forebay_error **err);

/**
 * How many events were dropped because nobody fetched them in time. Any thread.
 */
uint64_t forebay_events_dropped(const struct forebay_events *events);

/**
 * Stops listening; NULL is fine. Any thread, but not while another waits on it.
 */
void forebay_events_free(struct forebay_events *events);

/**
 * What happened: a `forebay_event_kind`; -1 for NULL. Any thread.
 */
int32_t forebay_event_kind_of(const struct forebay_event *event);

/**
 * To which source: its key, `tier/name`, with a NUL at its end, borrowed from the event; its length is written to
 * `*size` unless `size` is NULL. Any thread.
 */
const char *forebay_event_key(const struct forebay_event *event,
                              size_t *size);

/**
 * The code of the failure, where it is one; else 0. Any thread.
 */
int32_t forebay_event_code(const struct forebay_event *event);

/**
 * Frees the event; NULL is fine. Any thread.
 */
void forebay_event_free(struct forebay_event *event);

/**
 * Names a quota of the cache. Nothing is read or written.
 *
 * `out`: to be freed with `forebay_quota_free`. Errors: `FOREBAY_E_INVALID`, `_UNSUPPORTED`. Any thread.
 */
forebay_status forebay_quota_open(struct forebay_quota **out,
                                  const struct forebay_cache *cache,
                                  const struct forebay_quota_options *options,
                                  struct forebay_error **err);

/**
 * The key: the name (with an identity: and `~` and its hash), with a NUL at its end, borrowed from the quota; its length is
 * written to `*size` unless `size` is NULL. Any thread.
 */
const char *forebay_quota_key(const struct forebay_quota *quota,
                              size_t *size);

/**
 * Fresh data; or else what a fetch brings, here or in another process; or else stale data, or the fallback's.
 *
 * `out`: the answer, to be freed with `forebay_answer_free`; never NULL on success. `source`: its functions are called in
 * this thread, each at most once, and only where it is needed. Returns `FOREBAY_OK`, or `FOREBAY_STALE` where the data is
 * older than the ttl; `forebay_answer_how` tells where it came from. Errors, where there is neither data nor a fallback:
 * the failure's own code (`FOREBAY_E_RATE_LIMITED`, `_UNAUTHORIZED`, `_UNAVAILABLE`, `_TIMED_OUT`, `_NO_CREDENTIALS`,
 * `_REFRESH_FAILED`, …), `FOREBAY_E_GATED` where a gate gives no reason, each with `forebay_error_retry_at_ms`; and
 * `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_quota_resolve(struct forebay_answer **out,
                                     const struct forebay_quota *quota,
                                     const struct forebay_quota_source *source,
                                     struct forebay_error **err);

/**
 * Looks at what is recorded: never a wait, and nothing is changed.
 *
 * `out`: to be freed with `forebay_quota_info_free`. Returns `FOREBAY_OK` (there is fresh data), `FOREBAY_STALE`,
 * `FOREBAY_EXPIRED` (older than may be served) or `FOREBAY_ABSENT` (no data). Errors: `FOREBAY_E_INVALID`, `_CLOSED`,
 * `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_quota_read(struct forebay_quota_info **out,
                                  const struct forebay_quota *quota,
                                  struct forebay_error **err);

/**
 * Lets nobody fetch for a while, in any process: a gate that you declare. It holds for at most 24 h, and never ends
 * before one that is there already.
 *
 * `until_ms`: when the gate ends, in milliseconds since the epoch; NULL where you don't want it. `wait_ms`: from now on.
 * `code`: why, one of the negative numbers of `forebay_code`. `message`: why in words, without secrets: it is recorded.
 * Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_quota_block(int64_t *until_ms,
                                   const struct forebay_quota *quota,
                                   int64_t wait_ms,
                                   int32_t code,
                                   struct forebay_slice message,
                                   struct forebay_error **err);

/**
 * Removes the record and the gate, also one that the server declared: the next call fetches. Returns `FOREBAY_OK`, or
 * `FOREBAY_ABSENT` where there was nothing. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`, `_PERMISSION`, `_IO`.
 * Any thread.
 */
forebay_status forebay_quota_clear(const struct forebay_quota *quota,
                                   struct forebay_error **err);

/**
 * Frees the quota; NULL is fine. Not while another thread uses it.
 */
void forebay_quota_free(struct forebay_quota *quota);

/**
 * The data: JSON, as the fetch or the fallback gave it, with a NUL at its end, borrowed from the answer; its length is
 * written to `*size` unless `size` is NULL. NULL for NULL. Any thread.
 */
const char *forebay_answer_data(const struct forebay_answer *answer,
                                size_t *size);

/**
 * Where it came from: a `forebay_how`; -1 for NULL. Any thread.
 */
int32_t forebay_answer_how(const struct forebay_answer *answer);

/**
 * Whether it is as young as was asked for: a `forebay_state`. Any thread.
 */
int32_t forebay_answer_state(const struct forebay_answer *answer);

/**
 * How old the data is, in milliseconds; 0 for a fallback's; -1 for NULL. Any thread.
 */
int64_t forebay_answer_age_ms(const struct forebay_answer *answer);

/**
 * When the data was recorded, in milliseconds since the epoch; -1 for a fallback's, which is not. Any thread.
 */
int64_t forebay_answer_cached_at_ms(const struct forebay_answer *answer);

/**
 * When the next fetch may be made, in milliseconds since the epoch; -1 where no gate is in force. Any thread.
 */
int64_t forebay_answer_retry_at_ms(const struct forebay_answer *answer);

/**
 * Why the answer is not better: the failure or the gate behind stale data or a fallback, or why it could not be stored.
 * NULL where there is nothing to report. Borrowed from the answer: not to be freed. Any thread.
 */
const struct forebay_error *forebay_answer_error(const struct forebay_answer *answer);

/**
 * Frees an answer that a call made for you; NULL is fine. Any thread.
 */
void forebay_answer_free(struct forebay_answer *answer);

/**
 * Begins a resolve. Nothing happens before `forebay_resolve_next`.
 *
 * `out`: free it with `forebay_resolve_free`. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_resolve_begin(struct forebay_resolve **out,
                                     const struct forebay_quota *quota,
                                     struct forebay_error **err);

/**
 * The next step of the resolve; never waits for another's fetch. Before the step was answered, the same step again.
 *
 * `step`: a `forebay_step`. With `FOREBAY_STEP_DONE`, `answer` is the outcome (free it) and the status is as of
 * `forebay_quota_resolve`. With `FOREBAY_STEP_CREDENTIALS`, `_FETCH` and `_FALLBACK` the status is `FOREBAY_OK`:
 * answer the step by one of its functions, then call this again. With `FOREBAY_STEP_WAIT` the status is
 * `FOREBAY_IN_FLIGHT`: call `forebay_resolve_wait`. After an answer or an error the resolve is finished: free it.
 * Errors: those of `forebay_quota_resolve`. One thread at a time.
 */
forebay_status forebay_resolve_next(int32_t *step,
                                    struct forebay_answer **answer,
                                    struct forebay_resolve *resolve,
                                    struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_CREDENTIALS`: the credential to ask with, `size` bytes, copied during the call; `(NULL, 0)`:
 * none is needed. It is handed to the fetch, and a hash of it is recorded; it is never stored. Errors:
 * `FOREBAY_E_INVALID` where that was not asked for, `FOREBAY_E_ALREADY_USED` where it was answered. One thread at a
 * time.
 */
forebay_status forebay_resolve_credentials(struct forebay_resolve *resolve,
                                           const void *data,
                                           size_t size,
                                           struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_CREDENTIALS`: there is no credential. `failure`: NULL for one without a reason. Errors: as
 * `forebay_resolve_credentials`.
 */
forebay_status forebay_resolve_credentials_failed(struct forebay_resolve *resolve,
                                                  const struct forebay_failure *failure,
                                                  struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_FETCH`: the data, JSON of `size` bytes, copied during the call; what is not JSON counts as a
 * failure. `commit`: NULL for none. Errors: as `forebay_resolve_credentials`.
 */
forebay_status forebay_resolve_fetched(struct forebay_resolve *resolve,
                                       const void *data,
                                       size_t size,
                                       const struct forebay_commit *commit,
                                       struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_FETCH`: the server says that the data is unchanged (304), so it is fresh again. `commit`: what it
 * sets replaces what was stored beside the data; NULL for nothing. Errors: as `forebay_resolve_credentials`.
 */
forebay_status forebay_resolve_unchanged(struct forebay_resolve *resolve,
                                         const struct forebay_commit *commit,
                                         struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_FETCH` with the answer of an HTTP server: 2xx is data, 304 unchanged, 401 and 403 unauthorized, 429
 * rate_limited and 503 unavailable, each with Retry-After; the rest refresh_failed. Errors: as
 * `forebay_resolve_credentials`.
 */
forebay_status forebay_resolve_respond(struct forebay_resolve *resolve,
                                       const struct forebay_response *response,
                                       struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_FETCH`: it failed, and a gate holds back the next fetch, in all processes. `failure`: NULL for one
 * without a reason. Errors: as `forebay_resolve_credentials`.
 */
forebay_status forebay_resolve_fetch_failed(struct forebay_resolve *resolve,
                                            const struct forebay_failure *failure,
                                            struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_FALLBACK`: the data instead, JSON of `size` bytes, copied during the call. `data` NULL: there is
 * none. Errors: as `forebay_resolve_credentials`.
 */
forebay_status forebay_resolve_fallback(struct forebay_resolve *resolve,
                                        const void *data,
                                        size_t size,
                                        struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_FALLBACK`: it failed. The call reports why the fetch was not made or failed, not this.
 * `failure`: NULL for one without a reason. Errors: as `forebay_resolve_credentials`.
 */
forebay_status forebay_resolve_fallback_failed(struct forebay_resolve *resolve,
                                               const struct forebay_failure *failure,
                                               struct forebay_error **err);

/**
 * Waits until there may be news: then call `forebay_resolve_next`.
 *
 * `at_most_ms`: at most so long; -1 until there is news. Errors: `FOREBAY_E_CANCELLED` after
 * `forebay_resolve_interrupt`; the resolve can go on. One thread at a time.
 */
forebay_status forebay_resolve_wait(struct forebay_resolve *resolve,
                                    int64_t at_most_ms,
                                    struct forebay_error **err);

/**
 * Ends the wait of this resolve that runs, within 25 ms, or else the next one, at once. Any thread, also while another
 * is inside `forebay_resolve_wait`; also in a signal handler.
 */
void forebay_resolve_interrupt(const struct forebay_resolve *resolve);

/**
 * Frees the resolve; NULL is fine. One that was asked to fetch, and was not told what came of it, gives up its lease: the
 * next caller fetches at once. Not while another thread uses it.
 */
void forebay_resolve_free(struct forebay_resolve *resolve);

/**
 * Until when the fetch may take, in milliseconds since the epoch by the cache's clock; -1 before `FOREBAY_STEP_FETCH`, and
 * for NULL. Any thread.
 */
int64_t forebay_resolve_deadline_ms(const struct forebay_resolve *resolve);

/**
 * How many milliseconds are left until then; 0 when it is over, before `FOREBAY_STEP_FETCH`, and for NULL. Any thread.
 */
int64_t forebay_resolve_remaining_ms(const struct forebay_resolve *resolve);

/**
 * 1 where the fetch is of no use any more: it was ended, the quota was cleared, the lease is over, or the cache was
 * closed. 0 otherwise, before `FOREBAY_STEP_FETCH`, and for NULL. Cheap enough to ask in a loop. Any thread.
 */
int32_t forebay_resolve_cancelled(const struct forebay_resolve *resolve);

/**
 * The credential to ask with, with a NUL after its last byte, borrowed from the resolve; its length is written to `*size`
 * unless `size` is NULL. It is empty where none is needed. NULL before `FOREBAY_STEP_FETCH`, and for NULL. Any thread.
 */
const char *forebay_resolve_credential(const struct forebay_resolve *resolve,
                                       size_t *size);

/**
 * The data before this fetch (JSON), NULL where there is none; as `forebay_resolve_credential`.
 */
const char *forebay_resolve_previous(const struct forebay_resolve *resolve, size_t *size);

/**
 * The validator of the data before this fetch, NULL where there is none; as `forebay_resolve_credential`.
 */
const char *forebay_resolve_validator(const struct forebay_resolve *resolve,
                                      size_t *size);

/**
 * How many headers make an HTTP request conditional on the validator: If-None-Match for an ETag, If-Modified-Since
 * for a date, none for another. Any thread.
 */
size_t forebay_resolve_header_count(const struct forebay_resolve *resolve);

/**
 * The name of one of those headers, with a NUL at its end, borrowed from the resolve; NULL beyond the last. Any thread.
 */
const char *forebay_resolve_header_name(const struct forebay_resolve *resolve,
                                        size_t index);

/**
 * The value of one of those headers; as `forebay_resolve_header_name`.
 */
const char *forebay_resolve_header_value(const struct forebay_resolve *resolve, size_t index);

/**
 * The data that is recorded, whatever its age; NULL where there is none. Borrowed: not to be freed. Any thread.
 */
const struct forebay_answer *forebay_quota_info_answer(const struct forebay_quota_info *info);

/**
 * The error that is recorded in place of data, as the original program writes it; NULL where there is none. Borrowed: not
 * to be freed. Any thread.
 */
const struct forebay_error *forebay_quota_info_recorded_error(const struct forebay_quota_info *info);

/**
 * When the gate in force ends, in milliseconds since the epoch; -1 where none is. Any thread.
 */
int64_t forebay_quota_info_blocked_until_ms(const struct forebay_quota_info *info);

/**
 * Why it is in force: one of the negative numbers of `forebay_code`; 0 where that is not known, or none is. Any thread.
 */
int32_t forebay_quota_info_blocked_code(const struct forebay_quota_info *info);

/**
 * Why in words, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. NULL where no
 * gate is in force. Any thread.
 */
const char *forebay_quota_info_blocked_message(const struct forebay_quota_info *info,
                                               size_t *size);

/**
 * How many fetches in a row have failed; 0 where no gate is in force. Any thread.
 */
uint32_t forebay_quota_info_attempts(const struct forebay_quota_info *info);

/**
 * 1 where the server itself told when to come back, or somebody called `forebay_quota_block`; 0 where forebay guessed, or no
 * gate is in force. Any thread.
 */
int32_t forebay_quota_info_declared(const struct forebay_quota_info *info);

/**
 * Idle, running or cooling: a `forebay_phase`; -1 for NULL. Any thread.
 */
int32_t forebay_quota_info_phase(const struct forebay_quota_info *info);

/**
 * The process that fetches; -1 where none does, or it is not known. Any thread.
 */
int64_t forebay_quota_info_holder(const struct forebay_quota_info *info);

/**
 * Frees it; NULL is fine. Any thread.
 */
void forebay_quota_info_free(struct forebay_quota_info *info);

/**
 * Lists the quotas of the cache that have a record or a gate, in the order of their keys.
 *
 * `out`: to be freed with `forebay_quota_listing_free`. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_PERMISSION`, `_IO`. Any
 * thread.
 */
forebay_status forebay_quota_list(struct forebay_quota_listing **out,
                                  const struct forebay_cache *cache,
                                  struct forebay_error **err);

/**
 * How many quotas were listed. Any thread.
 */
size_t forebay_quota_listing_count(const struct forebay_quota_listing *listing);

/**
 * The key: the name (with an identity: and `~` and its hash), with a NUL at its end, borrowed from the listing; its length
 * is written to `*size` unless `size` is NULL. Any thread.
 */
const char *forebay_quota_listing_key(const struct forebay_quota_listing *listing,
                                      size_t index,
                                      size_t *size);

/**
 * The name alone, without an identity; as `forebay_quota_listing_key`.
 */
const char *forebay_quota_listing_name(const struct forebay_quota_listing *listing,
                                       size_t index,
                                       size_t *size);

/**
 * The hash of the identity, 16 hexadecimal digits: the identity itself is not recorded. NULL where there is none; as
 * `forebay_quota_listing_key`.
 */
const char *forebay_quota_listing_identity_hash(const struct forebay_quota_listing *listing,
                                                size_t index,
                                                size_t *size);

/**
 * Frees the listing; NULL is fine. Any thread.
 */
void forebay_quota_listing_free(struct forebay_quota_listing *listing);

/**
 * The folder of credentials where none is named: `$FOREBAY_STATE`, else `$XDG_STATE_HOME/forebay`, else
 * `$HOME/.local/state/forebay`.
 *
 * `out`: the path as the system has it, so not always UTF-8; to be freed with `forebay_text_free`. Returns `FOREBAY_OK`,
 * or `FOREBAY_ABSENT` where the environment names no home. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_default_state_root(struct forebay_text **out,
                                          struct forebay_error **err);

/**
 * Opens credentials. Takes no lock, and makes the folder only when something is written.
 *
 * `out`: to be freed with `forebay_credentials_free`. `options`: NULL for the defaults. Errors: `FOREBAY_E_INVALID`,
 * `_UNSAFE_ROOT`, `_UNSUPPORTED_FS`, `_NEWER_FORMAT`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_credentials_open(struct forebay_credentials **out,
                                        const struct forebay_credentials_options *options,
                                        struct forebay_error **err);

/**
 * The folder, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. It is as the system
 * has it, so not always UTF-8. Any thread.
 */
const char *forebay_credentials_root(const struct forebay_credentials *credentials,
                                     size_t *size);

/**
 * The next credential: where another than `seen` is stored, that; else one process runs the exchange, and all that wait for
 * it get what it brought.
 *
 * `out`: to be freed with `forebay_credential_free`; never NULL on success. `key`: `name`, or `folder/name`. `seen`:
 * the version that turned out to be used up, from `forebay_credential_version`; empty where none was had yet.
 * `exchanger`: its function is called in this thread, at most once. `forebay_credential_how` tells whether it was.
 * With `FOREBAY_HOW_UNCOORDINATED` the new credential could not be stored, and the caller has the only copy. Errors:
 * `FOREBAY_E_NOT_FOUND` where one was seen and none is stored; `FOREBAY_E_AMBIGUOUS` where an exchange was begun and
 * its outcome is unknown, for everyone until `forebay_rotate_reset`: it is never run again by itself; what the
 * exchange was refused with (`FOREBAY_E_UNAUTHORIZED`, `_RATE_LIMITED`, …), and `FOREBAY_E_GATED` while that cools
 * down, both with `forebay_error_retry_at_ms`; and `FOREBAY_E_INVALID`, `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`,
 * `_IO`: then nothing was sent. Where an exchange's own words hold the credential, what is recorded and returned has
 * `[credential]` in its place, save `forebay_error_host_text`, which are those words. Any thread.
 */
forebay_status forebay_rotate(struct forebay_credential **out,
                              const struct forebay_credentials *credentials,
                              struct forebay_slice key,
                              struct forebay_slice seen,
                              const struct forebay_exchanger *exchanger,
                              struct forebay_error **err);

/**
 * The credential that is stored; nothing is exchanged.
 *
 * `out`: to be freed with `forebay_credential_free`. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there is none. Errors:
 * `FOREBAY_E_INVALID`, `_DAMAGED`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_credentials_current(struct forebay_credential **out,
                                           const struct forebay_credentials *credentials,
                                           struct forebay_slice key,
                                           struct forebay_error **err);

/**
 * Stores the credential of a new login, or forgets the one that is stored. What was recorded ends: ambiguity, and the gate.
 *
 * `version`: of what was stored, to be freed with `forebay_text_free`; NULL where it was forgotten; the place may be NULL.
 * `data`: `size` bytes, at least one, copied during the call; `data` NULL forgets. Errors: `FOREBAY_E_INVALID`,
 * `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_rotate_reset(struct forebay_text **version,
                                    const struct forebay_credentials *credentials,
                                    struct forebay_slice key,
                                    const void *data,
                                    size_t size,
                                    struct forebay_error **err);

/**
 * What the exchange of a credential is doing, and whether an outcome is unknown.
 *
 * `out`: to be freed with `forebay_rotate_info_free`. Errors: `FOREBAY_E_INVALID`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_rotate_state(struct forebay_rotate_info **out,
                                    const struct forebay_credentials *credentials,
                                    struct forebay_slice key,
                                    struct forebay_error **err);

/**
 * Frees the credentials; NULL is fine. Not while another thread uses them.
 */
void forebay_credentials_free(struct forebay_credentials *credentials);

/**
 * The credential as the exchange gave it, with a NUL after its last byte, borrowed; its length is written to `*size` unless
 * `size` is NULL. It may have a NUL within. NULL for NULL. Any thread.
 */
const char *forebay_credential_data(const struct forebay_credential *credential,
                                    size_t *size);

/**
 * The opaque version, for the `seen` of `forebay_rotate`; as `forebay_credential_data`.
 */
const char *forebay_credential_version(const struct forebay_credential *credential, size_t *size);

/**
 * When it was stored, in milliseconds since the epoch; -1 for NULL. Any thread.
 */
int64_t forebay_credential_stored_at_ms(const struct forebay_credential *credential);

/**
 * Where it came from: `FOREBAY_HOW_RAN` (the exchange ran here), `_COALESCED` (another did it), `_FRESH` (it was looked at
 * only), `_UNCOORDINATED` (it could not be stored, and this is the only copy); -1 for NULL. Any thread.
 */
int32_t forebay_credential_how(const struct forebay_credential *credential);

/**
 * Why it could not be stored; NULL where it was. Borrowed: not to be freed. Any thread.
 */
const struct forebay_error *forebay_credential_error(const struct forebay_credential *credential);

/**
 * Frees the credential; NULL is fine. Any thread.
 */
void forebay_credential_free(struct forebay_credential *credential);

/**
 * Begins a rotation. Nothing happens before `forebay_rotation_next`.
 *
 * `out`: free it with `forebay_rotation_free`. `key`, `seen`: as of `forebay_rotate`. Errors: `FOREBAY_E_INVALID`. Any
 * thread.
 */
forebay_status forebay_rotation_begin(struct forebay_rotation **out,
                                      const struct forebay_credentials *credentials,
                                      struct forebay_slice key,
                                      struct forebay_slice seen,
                                      struct forebay_error **err);

/**
 * The next step of the rotation; never waits for another's exchange. Before the step was answered, the same step again.
 *
 * `step`: a `forebay_step`. With `FOREBAY_STEP_DONE`, `credential` is the outcome (free it). With
 * `FOREBAY_STEP_EXCHANGE` the status is `FOREBAY_OK`: exchange, say what came of it, then call this again; that it was
 * begun is on the disk by now, so whatever happens to this process, nobody exchanges the same credential twice. With
 * `FOREBAY_STEP_WAIT` the status is `FOREBAY_IN_FLIGHT`: call `forebay_rotation_wait`. After a credential or an error
 * the rotation is finished: free it. Errors: those of `forebay_rotate`. One thread at a time.
 */
forebay_status forebay_rotation_next(int32_t *step,
                                     struct forebay_credential **credential,
                                     struct forebay_rotation *rotation,
                                     struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_EXCHANGE`: the new credential, `size` bytes, copied during the call; the next call of
 * `forebay_rotation_next` stores it. No bytes are no credential: then the outcome is ambiguous. Errors:
 * `FOREBAY_E_INVALID` where that was not asked for, `FOREBAY_E_ALREADY_USED` where it was answered. One thread at a
 * time.
 */
forebay_status forebay_rotation_exchanged(struct forebay_rotation *rotation,
                                          const void *data,
                                          size_t size,
                                          struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_EXCHANGE`: it failed. Where the server certainly refused (`FOREBAY_E_UNAUTHORIZED`,
 * `_RATE_LIMITED`, `_INVALID`, `_NO_CREDENTIALS`) or was certainly not reached (`not_sent`), the old credential stands and a
 * gate holds back the next exchange; else nobody knows which credential is good now: the outcome is ambiguous.
 *
 * `failure`: NULL for one without a reason. Errors: as `forebay_rotation_exchanged`.
 */
forebay_status forebay_rotation_failed(struct forebay_rotation *rotation,
                                       const struct forebay_failure *failure,
                                       struct forebay_error **err);

/**
 * Waits until there may be news: then call `forebay_rotation_next`.
 *
 * `at_most_ms`: at most so long; -1 until there is news. Errors: `FOREBAY_E_CANCELLED` after
 * `forebay_rotation_interrupt`; the rotation can go on. One thread at a time.
 */
forebay_status forebay_rotation_wait(struct forebay_rotation *rotation,
                                     int64_t at_most_ms,
                                     struct forebay_error **err);

/**
 * Ends the wait of this rotation that runs, within 25 ms, or else the next one, at once. Any thread, also while another
 * is inside `forebay_rotation_wait`; also in a signal handler.
 */
void forebay_rotation_interrupt(const struct forebay_rotation *rotation);

/**
 * The credential to exchange, with a NUL after its last byte, borrowed from the rotation; its length is written to `*size`
 * unless `size` is NULL. NULL where none is stored, before `FOREBAY_STEP_EXCHANGE`, and for NULL. Any thread.
 */
const char *forebay_rotation_previous(const struct forebay_rotation *rotation,
                                      size_t *size);

/**
 * Until when the exchange may take, in milliseconds since the epoch by the clock of the credentials; -1 before
 * `FOREBAY_STEP_EXCHANGE`, and for NULL. Any thread.
 */
int64_t forebay_rotation_deadline_ms(const struct forebay_rotation *rotation);

/**
 * How many milliseconds are left until then; 0 when it is over, before `FOREBAY_STEP_EXCHANGE`, and for NULL. Any thread.
 */
int64_t forebay_rotation_remaining_ms(const struct forebay_rotation *rotation);

/**
 * 1 where the exchange's outcome would not be stored any more; 0 otherwise, before `FOREBAY_STEP_EXCHANGE`, and for
 * NULL. Any thread.
 */
int32_t forebay_rotation_cancelled(const struct forebay_rotation *rotation);

/**
 * Frees the rotation; NULL is fine. One that was asked to exchange, and was not told what came of it, leaves the
 * credential ambiguous. Not while another thread uses it.
 */
void forebay_rotation_free(struct forebay_rotation *rotation);

/**
 * Idle, running or cooling: a `forebay_phase`; -1 for NULL. Any thread.
 */
int32_t forebay_rotate_info_phase(const struct forebay_rotate_info *info);

/**
 * Since when an exchange's outcome is unknown, in milliseconds since the epoch: until `forebay_rotate_reset` nobody
 * exchanges. -1 where that is not so. Any thread.
 */
int64_t forebay_rotate_info_ambiguous_since_ms(const struct forebay_rotate_info *info);

/**
 * When the next exchange may be made, in milliseconds since the epoch; -1 where no gate is in force. Any thread.
 */
int64_t forebay_rotate_info_retry_at_ms(const struct forebay_rotate_info *info);

/**
 * How the last exchange failed; NULL where it didn't. Borrowed: not to be freed. Any thread.
 */
const struct forebay_error *forebay_rotate_info_last_error(const struct forebay_rotate_info *info);

/**
 * The version of the credential that is stored, with a NUL at its end, borrowed; its length is written to `*size` unless
 * `size` is NULL. NULL where none is. Any thread.
 */
const char *forebay_rotate_info_version(const struct forebay_rotate_info *info,
                                        size_t *size);

/**
 * Frees it; NULL is fine. Any thread.
 */
void forebay_rotate_info_free(struct forebay_rotate_info *info);

/**
 * Opens the derived results of the cache. Nothing is written.
 *
 * `out`: to be freed with `forebay_live_free`. `options`: NULL for the defaults. Errors: `FOREBAY_E_INVALID`,
 * `_UNSUPPORTED`, `_NEWER_FORMAT`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_live_open(struct forebay_live **out,
                                 const struct forebay_cache *cache,
                                 const struct forebay_live_options *options,
                                 struct forebay_error **err);

/**
 * The result, if all that is recorded of what it was computed from still holds. The inputs themselves are not looked
 * at.
 *
 * `out`: to be freed with `forebay_derived_free`. `key`: 64 hexadecimal digits. Returns `FOREBAY_OK`, or
 * `FOREBAY_ABSENT` where it is not there or does not hold. Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_UNSUPPORTED` (a
 * cache in memory keeps none), `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_live_lookup(struct forebay_derived **out,
                                   const struct forebay_live *live,
                                   struct forebay_slice key,
                                   struct forebay_error **err);

/**
 * The result, after a look at everything that it, and the results that it is built on, were computed from. Where
 * something has changed, is gone or cannot be read, all that was built on it is removed, for every process.
 *
 * As `forebay_live_lookup`; and `FOREBAY_INVALIDATED` where it was there, and is gone now by this look. Errors also:
 * `FOREBAY_E_LOCK_TIMEOUT`, `_NO_SPACE`.
 */
forebay_status forebay_live_lookup_revalidate(struct forebay_derived **out,
                                              const struct forebay_live *live,
                                              struct forebay_slice key,
                                              struct forebay_error **err);

/**
 * The result, if it holds, after a look at its inputs; else one process of all computes it, and the others get what it
 * computed. The inputs are looked at before and after: what changes meanwhile is never taken for what it was computed
 * from.
 *
 * `out`: to be freed with `forebay_derived_free`; never NULL on success. `computer`: its function is called in this
 * thread, at most once. With `FOREBAY_HOW_UNCOORDINATED` it was computed and could not be stored, as
 * `forebay_derived_error` tells: an input changed meanwhile (`FOREBAY_E_SUPERSEDED`), or the disk is full. Errors: the
 * computation's own (`FOREBAY_E_REFRESH_FAILED`, …), which bars nobody; `FOREBAY_E_SUPERSEDED` where a result that it
 * is built on does not hold; those of reading the inputs (`FOREBAY_E_PERMISSION`, `_IO`, `_INVALID` for a pattern that
 * is none); and `FOREBAY_E_CLOSED`, `_UNSUPPORTED`, `_LOCK_TIMEOUT`, `_NO_SPACE`. Any thread.
 */
forebay_status forebay_live_get(struct forebay_derived **out,
                                const struct forebay_live *live,
                                const struct forebay_live_spec *spec,
                                const struct forebay_computer *computer,
                                struct forebay_error **err);

/**
 * Keeps a result that was computed before. Its inputs are looked at only now, so that a change since it was computed
 * is not noticed: `forebay_live_begin` notices it.
 *
 * `out`: to be freed with `forebay_derived_free`; the place may be NULL. `data`: `size` bytes, copied during the call.
 * Errors: as `forebay_live_begin` and `forebay_live_commit`. Any thread.
 */
forebay_status forebay_live_persist(struct forebay_derived **out,
                                    const struct forebay_live *live,
                                    const struct forebay_live_spec *spec,
                                    const void *data,
                                    size_t size,
                                    struct forebay_error **err);

/**
 * Frees it; NULL is fine. Not while another thread uses it.
 */
void forebay_live_free(struct forebay_live *live);

/**
 * An input as a person reads it, and as `FOREBAY_INPUT_TEXT` takes it: `file:src/main.c`. What is not UTF-8 in a path
 * is shown as U+FFFD.
 *
 * `out`: to be freed with `forebay_text_free`. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_live_input_text(struct forebay_text **out,
                                       const struct forebay_live_input *input,
                                       struct forebay_error **err);

/**
 * The key of those bytes: their BLAKE3 hash, in hexadecimal.
 *
 * `key`: `capacity` bytes of yours, at least `FOREBAY_LIVE_KEY_SIZE`; the key is written there, with a NUL at its end.
 * `data`: all that the result depends on beside its inputs, `size` bytes. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_live_key(char *key,
                                size_t capacity,
                                const void *data,
                                size_t size,
                                struct forebay_error **err);

/**
 * Begins a computation. Nothing happens before `forebay_compute_next`.
 *
 * `out`: free it with `forebay_compute_free`. Errors: `FOREBAY_E_INVALID`. Any thread.
 */
forebay_status forebay_compute_begin(struct forebay_compute **out,
                                     const struct forebay_live *live,
                                     const struct forebay_live_spec *spec,
                                     struct forebay_error **err);

/**
 * The next step of the computation; never waits for another's, but looks at the inputs, which may mean reading them.
 * Before the step was answered, the same step again.
 *
 * `step`: a `forebay_step`. With `FOREBAY_STEP_DONE`, `derived` is the result (free it). With `FOREBAY_STEP_COMPUTE`
 * the status is `FOREBAY_OK`: compute, say what came of it, then call this again. With `FOREBAY_STEP_WAIT` the status
 * is `FOREBAY_IN_FLIGHT`: call `forebay_compute_wait`. After a result or an error the computation is finished: free
 * it. Errors: those of `forebay_live_get`. One thread at a time.
 */
forebay_status forebay_compute_next(int32_t *step,
                                    struct forebay_derived **derived,
                                    struct forebay_compute *compute,
                                    struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_COMPUTE`: the result, `size` bytes, copied during the call; the next call of
 * `forebay_compute_next` stores it. Errors: `FOREBAY_E_INVALID` where that was not asked for, `FOREBAY_E_ALREADY_USED`
 * where it was answered. One thread at a time.
 */
forebay_status forebay_compute_computed(struct forebay_compute *compute,
                                        const void *data,
                                        size_t size,
                                        struct forebay_error **err);

/**
 * Answers `FOREBAY_STEP_COMPUTE`: it failed. Nothing is kept of that, and the next caller computes at once.
 *
 * `failure`: NULL for one without a reason. Errors: as `forebay_compute_computed`.
 */
forebay_status forebay_compute_failed(struct forebay_compute *compute,
                                      const struct forebay_failure *failure,
                                      struct forebay_error **err);

/**
 * Waits until there may be news: then call `forebay_compute_next`.
 *
 * `at_most_ms`: at most so long; -1 until there is news. Errors: `FOREBAY_E_CANCELLED` after
 * `forebay_compute_interrupt`; the computation can go on. One thread at a time.
 */
forebay_status forebay_compute_wait(struct forebay_compute *compute,
                                    int64_t at_most_ms,
                                    struct forebay_error **err);

/**
 * Ends the wait of this computation that runs, within 25 ms, or else the next one, at once. Any thread, also while
 * another is inside `forebay_compute_wait`; also in a signal handler.
 */
void forebay_compute_interrupt(const struct forebay_compute *compute);

/**
 * The key of the result, with a NUL at its end, borrowed from the computation; its length is written to `*size` unless
 * `size` is NULL. Any thread.
 */
const char *forebay_compute_key(const struct forebay_compute *compute,
                                size_t *size);

/**
 * Until when it may take, in milliseconds since the epoch by the cache's clock: then another may compute it too. -1
 * before `FOREBAY_STEP_COMPUTE`, and for NULL. Any thread.
 */
int64_t forebay_compute_deadline_ms(const struct forebay_compute *compute);

/**
 * How many milliseconds are left until then; 0 when it is over, before `FOREBAY_STEP_COMPUTE`, and for NULL. Any
 * thread.
 */
int64_t forebay_compute_remaining_ms(const struct forebay_compute *compute);

/**
 * 1 where nobody waits for the result any more: it was ended, the lease is over, or the cache was closed. 0 otherwise,
 * before `FOREBAY_STEP_COMPUTE`, and for NULL. Any thread.
 */
int32_t forebay_compute_cancelled(const struct forebay_compute *compute);

/**
 * Frees the computation; NULL is fine. One that was asked to compute, and was not told what came of it, gives up its
 * lease: the next caller computes at once. Not while another thread uses it.
 */
void forebay_compute_free(struct forebay_compute *compute);

/**
 * Looks at the inputs, before anything is computed from them. It takes no lease: others may compute the same
 * meanwhile.
 *
 * `out`: to be freed with `forebay_live_ticket_free`. Errors: `FOREBAY_E_SUPERSEDED` where a result that it is to be
 * built on does not hold; those of reading the inputs (`FOREBAY_E_PERMISSION`, `_IO`); and `FOREBAY_E_INVALID`,
 * `_CLOSED`, `_UNSUPPORTED`. Any thread.
 */
forebay_status forebay_live_begin(struct forebay_live_ticket **out,
                                  const struct forebay_live *live,
                                  const struct forebay_live_spec *spec,
                                  struct forebay_error **err);

/**
 * Stores the result. Whatever comes of it, the ticket has ended then.
 *
 * `out`: to be freed with `forebay_derived_free`; the place may be NULL. `data`: `size` bytes, copied during the call.
 * Errors: `FOREBAY_E_SUPERSEDED` where an input, or a result that it is built on, has changed since the ticket was
 * taken: nothing was stored; `FOREBAY_E_ALREADY_USED` where it has ended before; those of reading the inputs; and
 * `FOREBAY_E_INVALID`, `_CLOSED`, `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_live_commit(struct forebay_derived **out,
                                   struct forebay_live_ticket *ticket,
                                   const void *data,
                                   size_t size,
                                   struct forebay_error **err);

/**
 * The key of the result, with a NUL at its end, borrowed from the ticket; its length is written to `*size` unless
 * `size` is NULL. Any thread.
 */
const char *forebay_live_ticket_key(const struct forebay_live_ticket *ticket,
                                    size_t *size);

/**
 * Frees the ticket; NULL is fine. Where it was not committed, nothing is stored. Not while another thread uses it.
 */
void forebay_live_ticket_free(struct forebay_live_ticket *ticket);

/**
 * The first byte; NULL only for NULL. Borrowed from the result: not to be changed or freed. An empty result has a
 * pointer and the size 0. Any thread.
 */
const uint8_t *forebay_derived_data(const struct forebay_derived *derived);

/**
 * How many bytes it has. Any thread.
 */
size_t forebay_derived_size(const struct forebay_derived *derived);

/**
 * How it came to be returned, a `forebay_how`: fresh (it was there and holds), ran, coalesced (another computed it),
 * or uncoordinated: computed, but not stored, and `forebay_derived_error` says why. -1 for NULL. Any thread.
 */
int32_t forebay_derived_how(const struct forebay_derived *derived);

/**
 * Its key, 64 hexadecimal digits, with a NUL at its end, borrowed from the result; its length is written to `*size`
 * unless `size` is NULL. Any thread.
 */
const char *forebay_derived_key(const struct forebay_derived *derived,
                                size_t *size);

/**
 * What kind of result it is, as whoever computed it said; as `forebay_derived_key`.
 */
const char *forebay_derived_kind(const struct forebay_derived *derived, size_t *size);

/**
 * The BLAKE3 hash of its bytes, 64 hexadecimal digits; as `forebay_derived_key`.
 */
const char *forebay_derived_hash(const struct forebay_derived *derived, size_t *size);

/**
 * When it was computed, in milliseconds since the epoch by the cache's clock; -1 for NULL. Any thread.
 */
int64_t forebay_derived_computed_at_ms(const struct forebay_derived *derived);

/**
 * How many inputs it was computed from. Any thread.
 */
size_t forebay_derived_input_count(const struct forebay_derived *derived);

/**
 * One of these inputs; its name has a NUL after its last byte and is borrowed from the result. Its kind is -1 beyond
 * the last, and for NULL. Any thread.
 */
struct forebay_live_input forebay_derived_input(const struct forebay_derived *derived,
                                                size_t index);

/**
 * How many derived results it is built on. Any thread.
 */
size_t forebay_derived_upstream_count(const struct forebay_derived *derived);

/**
 * The key of one of these, with a NUL at its end, borrowed from the result; NULL beyond the last. Any thread.
 */
const char *forebay_derived_upstream(const struct forebay_derived *derived,
                                     size_t index);

/**
 * Why it was not stored; NULL where it was. Borrowed from the result: not to be freed. Any thread.
 */
const struct forebay_error *forebay_derived_error(const struct forebay_derived *derived);

/**
 * One more owner of the same result: returns `derived`. Any thread.
 */
struct forebay_derived *forebay_derived_retain(const struct forebay_derived *derived);

/**
 * Gives up one owner's hold; the last frees the result. NULL is fine. Any thread.
 */
void forebay_derived_free(struct forebay_derived *derived);

/**
 * Removes the result and all that is built on it. Returns `FOREBAY_OK`, or `FOREBAY_ABSENT` where there was none.
 * Errors: `FOREBAY_E_INVALID`, `_CLOSED`, `_UNSUPPORTED`, `_LOCK_TIMEOUT`, `_NO_SPACE`, `_PERMISSION`, `_IO`. Any
 * thread.
 */
forebay_status forebay_live_mark_dirty(const struct forebay_live *live,
                                       struct forebay_slice key,
                                       struct forebay_error **err);

/**
 * Removes all that is built on the result, directly and not; the result itself stays, unless it is built on itself.
 *
 * `removed`: how many; the place may be NULL. Errors: as `forebay_live_mark_dirty`. Any thread.
 */
forebay_status forebay_live_invalidate_upstream(uint64_t *removed,
                                                const struct forebay_live *live,
                                                struct forebay_slice key,
                                                struct forebay_error **err);

/**
 * Removes every result that was computed from the file, or from anything in the folder, and all that is built on
 * those.
 *
 * `removed`: how many were computed from it directly; the place may be NULL. `path`: bytes, which need not be UTF-8;
 * relative to the workspace, or absolute; it need not exist any more. Errors: as `forebay_live_mark_dirty`. Any
 * thread.
 */
forebay_status forebay_live_invalidate_path(uint64_t *removed,
                                            const struct forebay_live *live,
                                            struct forebay_slice path,
                                            struct forebay_error **err);

/**
 * Removes every result that has the tag as an input, and all that is built on those.
 *
 * `removed`: how many have it; the place may be NULL. Errors: as `forebay_live_mark_dirty`. Any thread.
 */
forebay_status forebay_live_invalidate_tag(uint64_t *removed,
                                           const struct forebay_live *live,
                                           struct forebay_slice name,
                                           struct forebay_error **err);

/**
 * How many results there are, also those that do not hold and were not removed yet. Errors: `FOREBAY_E_INVALID`,
 * `_CLOSED`, `_UNSUPPORTED`, `_PERMISSION`, `_IO`. Any thread.
 */
forebay_status forebay_live_entry_count(uint64_t *count,
                                        const struct forebay_live *live,
                                        struct forebay_error **err);

/**
 * How many bytes they have. Errors: as `forebay_live_entry_count`. Any thread.
 */
forebay_status forebay_live_total_bytes(uint64_t *bytes,
                                        const struct forebay_live *live,
                                        struct forebay_error **err);

/**
 * Removes the least recently used results until they have at most `cap` bytes, never one that is being computed.
 *
 * `evicted`: how many; the place may be NULL. Errors: as `forebay_live_mark_dirty`. Any thread.
 */
forebay_status forebay_live_evict_to_cap(uint64_t *evicted,
                                         const struct forebay_live *live,
                                         uint64_t cap,
                                         struct forebay_error **err);

/**
 * Removes what does not hold any more, by what is recorded, and files that nothing names.
 *
 * `results`, `files`: how many of each; the places may be NULL. Errors: as `forebay_live_mark_dirty`. Any thread.
 */
forebay_status forebay_live_gc(uint64_t *results,
                               uint64_t *files,
                               const struct forebay_live *live,
                               struct forebay_error **err);

/**
 * Which kinds of results there are.
 *
 * `out`: to be freed with `forebay_live_kinds_free`. Errors: as `forebay_live_entry_count`. Any thread.
 */
forebay_status forebay_live_known_kinds(struct forebay_live_kinds **out,
                                        const struct forebay_live *live,
                                        struct forebay_error **err);

/**
 * How many kinds there are. Any thread.
 */
size_t forebay_live_kinds_count(const struct forebay_live_kinds *kinds);

/**
 * The name of a kind, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. Any
 * thread.
 */
const char *forebay_live_kinds_name(const struct forebay_live_kinds *kinds,
                                    size_t index,
                                    size_t *size);

/**
 * How many results there are of it. Any thread.
 */
uint64_t forebay_live_kinds_entries(const struct forebay_live_kinds *kinds, size_t index);

/**
 * Frees it; NULL is fine. Any thread.
 */
void forebay_live_kinds_free(struct forebay_live_kinds *kinds);

/**
 * Lists all derived results, in the order of their keys, also those that do not hold and were not removed yet.
 *
 * `out`: to be freed with `forebay_live_listing_free`. Errors: as `forebay_live_entry_count`. Any thread.
 */
forebay_status forebay_live_list(struct forebay_live_listing **out,
                                 const struct forebay_live *live,
                                 struct forebay_error **err);

/**
 * How many results were listed. Any thread.
 */
size_t forebay_live_listing_count(const struct forebay_live_listing *listing);

/**
 * The key, with a NUL at its end, borrowed from the listing; its length is written to `*size` unless `size` is NULL.
 * Any thread.
 */
const char *forebay_live_listing_key(const struct forebay_live_listing *listing,
                                     size_t index,
                                     size_t *size);

/**
 * What kind of result it is; as `forebay_live_listing_key`.
 */
const char *forebay_live_listing_kind(const struct forebay_live_listing *listing,
                                      size_t index,
                                      size_t *size);

/**
 * How many bytes it has. Any thread.
 */
uint64_t forebay_live_listing_size(const struct forebay_live_listing *listing, size_t index);

/**
 * When it was computed, in milliseconds since the epoch; -1 beyond the last. Any thread.
 */
int64_t forebay_live_listing_computed_at_ms(const struct forebay_live_listing *listing,
                                            size_t index);

/**
 * When it was last used, as far as that is recorded, in milliseconds since the epoch; -1 beyond the last. Any thread.
 */
int64_t forebay_live_listing_used_at_ms(const struct forebay_live_listing *listing,
                                        size_t index);

/**
 * How many inputs it was computed from. Any thread.
 */
size_t forebay_live_listing_input_count(const struct forebay_live_listing *listing, size_t index);

/**
 * One of these inputs; its name has a NUL after its last byte and is borrowed from the listing. Its kind is -1 beyond
 * the last. Any thread.
 */
struct forebay_live_input forebay_live_listing_input(const struct forebay_live_listing *listing,
                                                     size_t index,
                                                     size_t at);

/**
 * How many derived results it is built on. Any thread.
 */
size_t forebay_live_listing_upstream_count(const struct forebay_live_listing *listing,
                                           size_t index);

/**
 * The key of one of these, with a NUL at its end, borrowed from the listing; NULL beyond the last. Any thread.
 */
const char *forebay_live_listing_upstream(const struct forebay_live_listing *listing,
                                          size_t index,
                                          size_t at);

/**
 * Frees the listing; NULL is fine. Any thread.
 */
void forebay_live_listing_free(struct forebay_live_listing *listing);

/**
 * Whether `forebay_live_lookup_revalidate` would find the result, and what decides that. It looks at the inputs;
 * nothing is removed.
 *
 * `out`: to be freed with `forebay_live_explanation_free`. Errors: as `forebay_live_lookup`. Any thread.
 */
forebay_status forebay_live_why(struct forebay_live_explanation **out,
                                const struct forebay_live *live,
                                struct forebay_slice key,
                                struct forebay_error **err);

/**
 * 1 where the result holds; 0 where it does not, and for NULL. Any thread.
 */
int32_t forebay_live_explanation_holds(const struct forebay_live_explanation *explanation);

/**
 * The sentence, with a NUL at its end, borrowed; its length is written to `*size` unless `size` is NULL. Any thread.
 */
const char *forebay_live_explanation_text(const struct forebay_live_explanation *explanation,
                                          size_t *size);

/**
 * The input that decided; its name has a NUL after its last byte and is borrowed. Its kind is -1 where it was none.
 * Any thread.
 */
struct forebay_live_input forebay_live_explanation_input(const struct forebay_live_explanation *explanation);

/**
 * The key of the result that decided, or from whose input it was that did, NULL where it was none; as
 * `forebay_live_explanation_text`.
 */
const char *forebay_live_explanation_upstream(const struct forebay_live_explanation *explanation,
                                              size_t *size);

/**
 * Frees it; NULL is fine. Any thread.
 */
void forebay_live_explanation_free(struct forebay_live_explanation *explanation);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#ifdef __cplusplus
extern "C" {
#endif

/* A slice of a C string; NULL is empty. It is only as long-lived as the string. */
static inline forebay_slice forebay_str(const char *text) {
  forebay_slice slice;
  slice.data = text;
  slice.size = text != NULL ? strlen(text) : 0;
  return slice;
}

/* A slice of bytes. It is only as long-lived as they. */
static inline forebay_slice forebay_mem(const void *data, size_t size) {
  forebay_slice slice;
  slice.data = FOREBAY_CAST_(const char *, data);
  slice.size = size;
  return slice;
}

/* An input by its text, as "src/main.c", "src/", "*.c" (a pattern) or "env:LANG". It is only as long-lived as the text. */
static inline forebay_live_input forebay_input(const char *text) {
  forebay_live_input input;
  input.kind = FOREBAY_INPUT_TEXT;
  input.reserved = 0;
  input.name = forebay_str(text);
  return input;
}

#ifdef __cplusplus
}
#endif

#endif /* FOREBAY_H */
