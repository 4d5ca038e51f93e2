/* DRAFT of the C ABI: names and signatures are final, comments follow with the generated header. */
#ifndef FOREBAY_H
#define FOREBAY_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#define FOREBAY_VERSION_MAJOR 0
#define FOREBAY_VERSION_MINOR 1
#define FOREBAY_VERSION_PATCH 0
#define FOREBAY_VERSION_NUMBER 1000
#define FOREBAY_ABI_VERSION 0

/* Units: milliseconds, int64, -1 = unset. Instants: milliseconds since the epoch. Text accessors return text that
   ends in NUL, borrowed from the handle, and write its length to *size unless size is NULL; NULL when there is none.
   Accessors accept NULL handles. "out" pointers come first, are set to NULL on entry; those marked (nullable) may be NULL.
   status: 0 ok, > 0 outcome, < 0 error (then *err, if err is not NULL, is a new forebay_error). */
typedef int32_t forebay_status;

typedef enum forebay_code {
  FOREBAY_OK = 0, FOREBAY_STALE = 1, FOREBAY_EXPIRED = 2, FOREBAY_ABSENT = 3, FOREBAY_IN_FLIGHT = 4,
  FOREBAY_GATED = 5, FOREBAY_FRESH = 6, FOREBAY_SUPERSEDED = 7,
  FOREBAY_E_INVALID = -1, FOREBAY_E_CLOSED = -2, FOREBAY_E_NOT_FOUND = -3, FOREBAY_E_TIMED_OUT = -4, FOREBAY_E_GATED = -5,
  FOREBAY_E_REFRESH_FAILED = -6, FOREBAY_E_RATE_LIMITED = -7, FOREBAY_E_UNAUTHORIZED = -8, FOREBAY_E_UNAVAILABLE = -9,
  FOREBAY_E_NO_CREDENTIALS = -10, FOREBAY_E_CANCELLED = -11, FOREBAY_E_LOCK_TIMEOUT = -12, FOREBAY_E_LEASE_LOST = -13,
  FOREBAY_E_HOLDER_DIED = -14, FOREBAY_E_SUPERSEDED = -15, FOREBAY_E_IN_PROGRESS = -16, FOREBAY_E_MISMATCH = -17,
  FOREBAY_E_AMBIGUOUS = -18, FOREBAY_E_FULL = -19, FOREBAY_E_ALREADY_USED = -20, FOREBAY_E_TOO_MANY_LEASES = -21,
  FOREBAY_E_DAMAGED = -22, FOREBAY_E_UNSAFE_ROOT = -23, FOREBAY_E_UNSUPPORTED_FS = -24, FOREBAY_E_UNSUPPORTED = -25,
  FOREBAY_E_NEWER_FORMAT = -26, FOREBAY_E_NO_SPACE = -27, FOREBAY_E_PERMISSION = -28, FOREBAY_E_IO = -29, FOREBAY_E_PANIC = -30
} forebay_code;
typedef enum forebay_state { FOREBAY_STATE_FRESH = 0, FOREBAY_STATE_STALE = 1, FOREBAY_STATE_EXPIRED = 2, FOREBAY_STATE_ABSENT = 3 } forebay_state;
typedef enum forebay_how { FOREBAY_HOW_FRESH = 0, FOREBAY_HOW_RAN = 1, FOREBAY_HOW_UNCHANGED = 2, FOREBAY_HOW_COALESCED = 3,
  FOREBAY_HOW_STALE = 4, FOREBAY_HOW_FALLBACK = 5, FOREBAY_HOW_UNCOORDINATED = 6 } forebay_how;   /* -1: not known */
typedef enum forebay_phase { FOREBAY_PHASE_IDLE = 0, FOREBAY_PHASE_RUNNING = 1, FOREBAY_PHASE_COOLING = 2 } forebay_phase; /* -1: not looked at */
typedef enum forebay_durability { FOREBAY_DURABILITY_NONE = 0, FOREBAY_DURABILITY_DATA = 1, FOREBAY_DURABILITY_FULL = 2 } forebay_durability;
typedef enum forebay_mode { FOREBAY_MODE_GET = 0, FOREBAY_MODE_REFRESH = 1, FOREBAY_MODE_MAYBE_REFRESH = 2, FOREBAY_MODE_MAYBE_REFRESH_SYNC = 3 } forebay_mode;
typedef enum forebay_step { FOREBAY_STEP_DONE = 0, FOREBAY_STEP_RUN = 1, FOREBAY_STEP_WAIT = 2 } forebay_step;
typedef enum forebay_event_kind { FOREBAY_EVENT_HIT = 0, FOREBAY_EVENT_STALE_SERVED, FOREBAY_EVENT_MISS, FOREBAY_EVENT_REFRESH_STARTED,
  FOREBAY_EVENT_REFRESH_SUCCEEDED, FOREBAY_EVENT_REFRESH_UNCHANGED, FOREBAY_EVENT_REFRESH_FAILED, FOREBAY_EVENT_COALESCED,
  FOREBAY_EVENT_LEASE_LOST, FOREBAY_EVENT_GATED, FOREBAY_EVENT_INVALIDATED, FOREBAY_EVENT_EVICTED, FOREBAY_EVENT_REPLAYED, FOREBAY_EVENT_DAMAGED } forebay_event_kind;

typedef struct forebay_cache forebay_cache;             /* any thread */
typedef struct forebay_value forebay_value;             /* any thread, immutable */
typedef struct forebay_error forebay_error;             /* any thread, immutable */
typedef struct forebay_text forebay_text;               /* any thread, immutable */
typedef struct forebay_ticket forebay_ticket;           /* any thread */
typedef struct forebay_attempt forebay_attempt;         /* one thread at a time; interrupt: any */
typedef struct forebay_interrupt forebay_interrupt;     /* any thread */
typedef struct forebay_reader forebay_reader;           /* one thread at a time */
typedef struct forebay_readers forebay_readers;         /* any thread */
typedef struct forebay_refresh_info forebay_refresh_info; /* any thread, immutable */
typedef struct forebay_listing forebay_listing;         /* any thread, immutable */
typedef struct forebay_pruned forebay_pruned;           /* any thread, immutable */
typedef struct forebay_explanation forebay_explanation; /* any thread, immutable */
typedef struct forebay_results forebay_results;         /* any thread, immutable */
typedef struct forebay_events forebay_events;           /* any thread */
typedef struct forebay_event forebay_event;             /* any thread, immutable */

typedef struct forebay_slice { const char *data; size_t size; } forebay_slice;   /* (NULL, 0) is empty */

/* struct_size first; an older (smaller) struct is accepted, fields missing from it are unset. */
typedef struct forebay_cache_options { size_t struct_size; forebay_slice root; forebay_slice test_clock; int32_t durability; int32_t memory; } forebay_cache_options;
typedef struct forebay_source_options {
  size_t struct_size;
  forebay_slice key;       /* tier/name; or, where tier is set, the name alone */
  forebay_slice tier;      /* empty: from key */
  forebay_slice identity;  /* empty: none */
  int64_t ttl_ms; int64_t max_stale_ms; int64_t stale_if_error_ms; int64_t deadline_ms; int64_t backoff_floor_ms; int64_t backoff_cap_ms;
  int32_t durability; int32_t reserved;
} forebay_source_options;
typedef struct forebay_commit { size_t struct_size; forebay_slice validator; forebay_slice extra; int64_t ttl_ms; int64_t max_stale_ms; } forebay_commit;
typedef struct forebay_failure { size_t struct_size; forebay_slice message; int64_t retry_after_ms; int32_t code; int32_t reserved; } forebay_failure;
typedef struct forebay_response { size_t struct_size; forebay_slice body; forebay_slice etag; forebay_slice last_modified; forebay_slice retry_after; int32_t status; int32_t reserved; } forebay_response;
typedef struct forebay_refresh_options { size_t struct_size; int64_t min_fresh_at_ms; int32_t override_gate; int32_t reserved; } forebay_refresh_options;
typedef struct forebay_acquire_options { size_t struct_size; forebay_slice unless_changed_since; int64_t deadline_ms; int32_t unless_fresh; int32_t override_gate; int32_t force; int32_t reserved; } forebay_acquire_options;
typedef struct forebay_attempt_options { size_t struct_size; int64_t wait_ms; int64_t min_fresh_at_ms; int32_t mode; int32_t override_gate; } forebay_attempt_options;
typedef struct forebay_hit { const uint8_t *data; size_t size; int64_t age_ms; int32_t state; int32_t reserved; } forebay_hit; /* borrowed from the reader until its next read or free */

typedef void (*forebay_refresh_fn)(void *userdata, forebay_ticket *ticket); /* ticket is borrowed; forebay_ticket_retain to keep it beyond the call */
typedef void (*forebay_drop_fn)(void *userdata);
typedef struct forebay_refresher { size_t struct_size; void *userdata; forebay_refresh_fn refresh; forebay_drop_fn drop; } forebay_refresher;
typedef void (*forebay_progress_fn)(void *userdata, size_t done, size_t total, forebay_slice key, forebay_status status);
typedef struct forebay_progress { size_t struct_size; void *userdata; forebay_progress_fn progress; forebay_drop_fn drop; } forebay_progress;
typedef struct forebay_refresh_item { const forebay_source_options *source; const forebay_refresher *refresher; } forebay_refresh_item;

#define FOREBAY_CACHE_OPTIONS_INIT {sizeof(forebay_cache_options), {NULL, 0}, {NULL, 0}, -1, 0}
#define FOREBAY_SOURCE_OPTIONS_INIT {sizeof(forebay_source_options), {NULL, 0}, {NULL, 0}, {NULL, 0}, -1, -1, -1, -1, -1, -1, -1, 0}
#define FOREBAY_COMMIT_INIT {sizeof(forebay_commit), {NULL, 0}, {NULL, 0}, -1, -1}
#define FOREBAY_FAILURE_INIT {sizeof(forebay_failure), {NULL, 0}, -1, FOREBAY_E_REFRESH_FAILED, 0}
#define FOREBAY_RESPONSE_INIT {sizeof(forebay_response), {NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}, 0, 0}
#define FOREBAY_REFRESH_OPTIONS_INIT {sizeof(forebay_refresh_options), -1, 0, 0}
#define FOREBAY_ACQUIRE_OPTIONS_INIT {sizeof(forebay_acquire_options), {NULL, 0}, -1, 0, 0, 0, 0}
#define FOREBAY_ATTEMPT_OPTIONS_INIT {sizeof(forebay_attempt_options), -1, -1, FOREBAY_MODE_GET, 0}

#ifdef __cplusplus
extern "C" {
#endif
static inline forebay_slice forebay_str(const char *text) { forebay_slice s; s.data = text; s.size = text ? strlen(text) : 0; return s; }
static inline forebay_slice forebay_mem(const void *data, size_t size) { forebay_slice s; s.data = (const char *)data; s.size = size; return s; }

/* library */
uint32_t forebay_version_number(void);
const char *forebay_version(void);
uint32_t forebay_abi_version(void);
const char *forebay_code_text(int32_t code);          /* "gated", "stale", ...; NULL: no such code */
int32_t forebay_code_from_text(forebay_slice text);   /* error codes only; 0: no such text */
const char *forebay_state_text(int32_t state);
const char *forebay_how_text(int32_t how);
const char *forebay_phase_text(int32_t phase);
const char *forebay_event_kind_text(int32_t kind);
forebay_status forebay_parse_duration(int64_t *ms, forebay_slice text, forebay_error **err);
forebay_status forebay_format_duration(forebay_text **out, int64_t ms, forebay_error **err);
forebay_status forebay_parse_retry_after(int64_t *ms, forebay_slice text, int64_t now_ms, forebay_error **err); /* ABSENT: not understood; now_ms -1: now */
forebay_status forebay_failure_from_status(int32_t *code, int64_t *retry_after_ms, forebay_text **message, int32_t status, forebay_slice retry_after, forebay_error **err);
forebay_status forebay_default_root(forebay_text **out, forebay_slice app, forebay_error **err); /* ABSENT: no home */

/* text */
const char *forebay_text_data(const forebay_text *text);
size_t forebay_text_size(const forebay_text *text);
void forebay_text_free(forebay_text *text);

/* error */
int32_t forebay_error_code(const forebay_error *error);
const char *forebay_error_text(const forebay_error *error, size_t *size);      /* the whole sentence: path, message, hint */
const char *forebay_error_message(const forebay_error *error, size_t *size);
const char *forebay_error_hint(const forebay_error *error, size_t *size);
const char *forebay_error_path(const forebay_error *error, size_t *size);
const char *forebay_error_host_text(const forebay_error *error, size_t *size); /* a refresher's own text, verbatim */
int32_t forebay_error_os(const forebay_error *error);                          /* errno, 0: none */
int64_t forebay_error_retry_at_ms(const forebay_error *error);
void forebay_error_free(forebay_error *error);

/* cache */
forebay_status forebay_open(forebay_cache **out, const forebay_cache_options *options /* nullable */, forebay_error **err);
forebay_status forebay_close(forebay_cache *cache, int64_t drain_ms /* -1: don't wait */, forebay_error **err);
forebay_cache *forebay_cache_retain(const forebay_cache *cache);
void forebay_cache_free(forebay_cache *cache);
const char *forebay_cache_root(const forebay_cache *cache, size_t *size);
forebay_status forebay_counters(uint64_t *counts, size_t count, const forebay_cache *cache, forebay_error **err); /* by forebay_event_kind */

/* source: calls that look or change */
forebay_status forebay_read(forebay_value **out, const forebay_cache *cache, const forebay_source_options *source, forebay_error **err);
forebay_status forebay_put(forebay_value **out /* nullable */, const forebay_cache *cache, const forebay_source_options *source, const void *data, size_t size, const forebay_commit *commit /* nullable */, forebay_error **err);
forebay_status forebay_mark_stale(const forebay_cache *cache, const forebay_source_options *source, forebay_error **err);
forebay_status forebay_remove(const forebay_cache *cache, const forebay_source_options *source, forebay_error **err); /* OK, ABSENT */
forebay_status forebay_refresh_state(forebay_refresh_info **out, const forebay_cache *cache, const forebay_source_options *source, forebay_error **err);
forebay_status forebay_wait_for_change(forebay_text **version, const forebay_cache *cache, const forebay_source_options *source, forebay_slice since, int64_t timeout_ms, const forebay_interrupt *interrupt /* nullable */, forebay_error **err); /* OK; ABSENT: time is over; E_CANCELLED: interrupted */
forebay_status forebay_why(forebay_explanation **out, const forebay_cache *cache, const forebay_source_options *source, forebay_error **err);

/* source: refreshing by callback */
forebay_status forebay_get(forebay_value **out, const forebay_cache *cache, const forebay_source_options *source, const forebay_refresher *refresher, int64_t wait_ms, forebay_error **err);
forebay_status forebay_refresh(forebay_value **out, const forebay_cache *cache, const forebay_source_options *source, const forebay_refresher *refresher, forebay_error **err);
forebay_status forebay_refresh_with(forebay_value **out, const forebay_cache *cache, const forebay_source_options *source, const forebay_refresh_options *options, const forebay_refresher *refresher, forebay_error **err);
forebay_status forebay_maybe_refresh(const forebay_cache *cache, const forebay_source_options *source, const forebay_refresher *refresher, forebay_error **err); /* OK: started; FRESH, IN_FLIGHT, GATED */
forebay_status forebay_maybe_refresh_sync(forebay_value **out, const forebay_cache *cache, const forebay_source_options *source, const forebay_refresher *refresher, forebay_error **err);
forebay_status forebay_refresh_many(forebay_results **out, const forebay_cache *cache, const forebay_refresh_item *items, size_t count, size_t concurrency, const forebay_progress *progress /* nullable */, forebay_error **err);

/* source: refreshing by ticket, pull mode */
forebay_status forebay_acquire(forebay_ticket **ticket, forebay_value **value /* nullable */, forebay_refresh_info **info /* nullable */, const forebay_cache *cache, const forebay_source_options *source, const forebay_acquire_options *options /* nullable */, forebay_error **err); /* OK + ticket; FRESH + value; IN_FLIGHT, GATED + info */
forebay_status forebay_request_refresh(const forebay_cache *cache, const forebay_source_options *source, forebay_error **err); /* as maybe_refresh */
forebay_status forebay_next_refresh(forebay_ticket **ticket, const forebay_cache *cache, int64_t timeout_ms /* -1: no end */, const forebay_interrupt *interrupt /* nullable */, forebay_error **err); /* OK; ABSENT: none in that time; E_CANCELLED: interrupted */

/* ticket */
forebay_status forebay_ticket_complete(forebay_value **out /* nullable */, forebay_ticket *ticket, const void *data, size_t size, const forebay_commit *commit /* nullable */, forebay_error **err); /* OK; SUPERSEDED: not stored */
forebay_status forebay_ticket_unchanged(forebay_value **out /* nullable */, forebay_ticket *ticket, const forebay_commit *commit /* nullable */, forebay_error **err);
forebay_status forebay_ticket_fail(forebay_ticket *ticket, const forebay_failure *failure /* nullable */, forebay_error **err);
forebay_status forebay_ticket_respond(forebay_value **out /* nullable */, forebay_ticket *ticket, const forebay_response *response, forebay_error **err); /* ends it by an HTTP answer */
forebay_status forebay_ticket_renew(forebay_ticket *ticket, int64_t deadline_ms /* from now */, forebay_error **err);
int32_t forebay_ticket_cancelled(const forebay_ticket *ticket); /* 1, 0 */
int64_t forebay_ticket_remaining_ms(const forebay_ticket *ticket);
int64_t forebay_ticket_deadline_ms(const forebay_ticket *ticket);
uint64_t forebay_ticket_token(const forebay_ticket *ticket);
const char *forebay_ticket_key(const forebay_ticket *ticket, size_t *size);
const uint8_t *forebay_ticket_previous(const forebay_ticket *ticket, size_t *size);
int64_t forebay_ticket_previous_stored_at_ms(const forebay_ticket *ticket);
const char *forebay_ticket_validator(const forebay_ticket *ticket, size_t *size);
size_t forebay_ticket_header_count(const forebay_ticket *ticket);
const char *forebay_ticket_header_name(const forebay_ticket *ticket, size_t index);
const char *forebay_ticket_header_value(const forebay_ticket *ticket, size_t index);
forebay_ticket *forebay_ticket_retain(const forebay_ticket *ticket);
void forebay_ticket_free(forebay_ticket *ticket); /* the last free without an end abandons the refresh */

/* attempt */
forebay_status forebay_attempt_begin(forebay_attempt **out, const forebay_cache *cache, const forebay_source_options *source, const forebay_attempt_options *options /* nullable */, forebay_error **err);
forebay_status forebay_attempt_next(int32_t *step, forebay_value **value, forebay_ticket **ticket, forebay_attempt *attempt, forebay_error **err); /* DONE: value, status as of get; RUN: ticket (yours); WAIT */
forebay_status forebay_attempt_wait(forebay_attempt *attempt, int64_t at_most_ms, forebay_error **err); /* OK: call next; E_CANCELLED: interrupted */
void forebay_attempt_interrupt(const forebay_attempt *attempt); /* ends the wait that runs, or else the next one */
void forebay_attempt_free(forebay_attempt *attempt);

/* interrupt */
forebay_status forebay_interrupt_new(forebay_interrupt **out, forebay_error **err);
void forebay_interrupt_set(const forebay_interrupt *interrupt); /* stays set */
void forebay_interrupt_clear(const forebay_interrupt *interrupt);
void forebay_interrupt_free(forebay_interrupt *interrupt);

/* value */
const uint8_t *forebay_value_data(const forebay_value *value);
size_t forebay_value_size(const forebay_value *value);
int32_t forebay_value_state(const forebay_value *value);
int32_t forebay_value_how(const forebay_value *value);
int32_t forebay_value_phase(const forebay_value *value);
int64_t forebay_value_age_ms(const forebay_value *value);
int64_t forebay_value_stored_at_ms(const forebay_value *value);
const char *forebay_value_validator(const forebay_value *value, size_t *size);
const char *forebay_value_extra(const forebay_value *value, size_t *size);
const char *forebay_value_version(const forebay_value *value, size_t *size);
const forebay_error *forebay_value_error(const forebay_value *value);
forebay_value *forebay_value_retain(const forebay_value *value);
void forebay_value_free(forebay_value *value);

/* refresh info */
int32_t forebay_refresh_info_phase(const forebay_refresh_info *info);
int32_t forebay_refresh_info_in_flight(const forebay_refresh_info *info);
int32_t forebay_refresh_info_failed(const forebay_refresh_info *info);
const forebay_error *forebay_refresh_info_last_error(const forebay_refresh_info *info);
int64_t forebay_refresh_info_started_at_ms(const forebay_refresh_info *info);
int64_t forebay_refresh_info_deadline_ms(const forebay_refresh_info *info);
int64_t forebay_refresh_info_retry_at_ms(const forebay_refresh_info *info);
uint32_t forebay_refresh_info_attempts(const forebay_refresh_info *info);
int32_t forebay_refresh_info_declared(const forebay_refresh_info *info);
int64_t forebay_refresh_info_holder(const forebay_refresh_info *info); /* pid, -1: none */
void forebay_refresh_info_free(forebay_refresh_info *info);

/* list */
forebay_status forebay_list(forebay_listing **out, const forebay_cache *cache, forebay_error **err);
size_t forebay_listing_count(const forebay_listing *listing);
const char *forebay_listing_key(const forebay_listing *listing, size_t index, size_t *size);  /* tier/name~identity hash */
const char *forebay_listing_tier(const forebay_listing *listing, size_t index, size_t *size);
const char *forebay_listing_name(const forebay_listing *listing, size_t index, size_t *size);
int32_t forebay_listing_state(const forebay_listing *listing, size_t index);
int32_t forebay_listing_phase(const forebay_listing *listing, size_t index);
int64_t forebay_listing_age_ms(const forebay_listing *listing, size_t index);
int64_t forebay_listing_stored_at_ms(const forebay_listing *listing, size_t index);
int64_t forebay_listing_retry_at_ms(const forebay_listing *listing, size_t index);
uint64_t forebay_listing_size(const forebay_listing *listing, size_t index);
const char *forebay_listing_validator(const forebay_listing *listing, size_t index, size_t *size);
const char *forebay_listing_extra(const forebay_listing *listing, size_t index, size_t *size);
const char *forebay_listing_version(const forebay_listing *listing, size_t index, size_t *size);
const forebay_error *forebay_listing_error(const forebay_listing *listing, size_t index);
void forebay_listing_free(forebay_listing *listing);

/* prune: keeps the listed sources */
forebay_status forebay_prune(forebay_pruned **out /* nullable */, const forebay_cache *cache, const forebay_source_options *const *keep, size_t count, forebay_error **err);
size_t forebay_pruned_removed_count(const forebay_pruned *pruned);
const char *forebay_pruned_removed_key(const forebay_pruned *pruned, size_t index, size_t *size);
size_t forebay_pruned_skipped_count(const forebay_pruned *pruned);
const char *forebay_pruned_skipped_key(const forebay_pruned *pruned, size_t index, size_t *size);
const char *forebay_pruned_skipped_reason(const forebay_pruned *pruned, size_t index, size_t *size);
size_t forebay_pruned_swept(const forebay_pruned *pruned);
void forebay_pruned_free(forebay_pruned *pruned);

/* why */
const char *forebay_explanation_text(const forebay_explanation *explanation, size_t *size);
const char *forebay_explanation_cache_status(const forebay_explanation *explanation, size_t *size);
int32_t forebay_explanation_state(const forebay_explanation *explanation);
int32_t forebay_explanation_phase(const forebay_explanation *explanation);
void forebay_explanation_free(forebay_explanation *explanation);

/* refresh_many's results */
size_t forebay_results_count(const forebay_results *results);
forebay_status forebay_results_status(const forebay_results *results, size_t index);
const forebay_value *forebay_results_value(const forebay_results *results, size_t index); /* borrowed; NULL when it failed */
const forebay_error *forebay_results_error(const forebay_results *results, size_t index); /* borrowed */
void forebay_results_free(forebay_results *results);

/* readers */
forebay_status forebay_reader_open(forebay_reader **out, const forebay_cache *cache, const forebay_source_options *source, forebay_error **err);
forebay_status forebay_reader_read(forebay_hit *hit, forebay_reader *reader, forebay_error **err);
forebay_status forebay_reader_value(forebay_value **out, const forebay_reader *reader, forebay_error **err);
void forebay_reader_free(forebay_reader *reader);
forebay_status forebay_readers_open(forebay_readers **out, const forebay_cache *cache, forebay_error **err);
forebay_status forebay_readers_get(forebay_value **out, const forebay_readers *readers, const forebay_source_options *source, forebay_error **err);
void forebay_readers_free(forebay_readers *readers);

/* events */
forebay_status forebay_subscribe(forebay_events **out, const forebay_cache *cache, forebay_error **err);
forebay_status forebay_events_next(forebay_event **out, const forebay_events *events, int64_t timeout_ms, const forebay_interrupt *interrupt /* nullable */, forebay_error **err); /* OK; ABSENT: none in that time */
uint64_t forebay_events_dropped(const forebay_events *events);
void forebay_events_free(forebay_events *events);
int32_t forebay_event_kind_of(const forebay_event *event);
const char *forebay_event_key(const forebay_event *event, size_t *size);
int32_t forebay_event_code(const forebay_event *event); /* 0: no failure */
void forebay_event_free(forebay_event *event);
#ifdef __cplusplus
}
#endif
#endif
