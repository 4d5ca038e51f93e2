/*
 * Bad arguments are errors, never crashes: NULL for each pointer of each function, text that is not UTF-8, sizes that no
 * object has, and structs of options of other versions. Quotas and credentials are in test_args_quota.c, derived results in
 * test_args_live.c; tests/c/run checks that each exported function occurs in one of them.
 */
#include "check.h"
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static forebay_error *err = NULL;

/* The call is refused, with an error object and also without a place for one. */
#define REFUSED(function, ...) \
  (STATUS(FOREBAY_E_INVALID, function(__VA_ARGS__, &err)), CHECK(function(__VA_ARGS__, NULL) == FOREBAY_E_INVALID))

typedef struct things {
  forebay_cache *cache;
  forebay_source_options source;
  forebay_value *value;
  forebay_text *text;
  forebay_ticket *ticket;
} things;

static things things_make(void) {
  things t = {.cache = stage_open(), .source = stage_source("api/models")};
  stage_put(t.cache, "api/models", "x");
  STATUS(FOREBAY_OK, forebay_acquire(&t.ticket, NULL, NULL, t.cache, &t.source, NULL, &err));
  return t;
}

static void things_free(things *t) {
  CHECK(forebay_ticket_cancelled(t->ticket) == 0); /* nothing that was refused ended it */
  forebay_ticket_free(t->ticket);
  forebay_cache_free(t->cache);
}

static void null_is_refused_where_a_cache_or_source_is_needed(void) {
  things t = things_make();
  forebay_value *value = t.value;
  forebay_refresh_info *info;
  forebay_explanation *why;
  forebay_text *text;
  forebay_slice zero = forebay_str("0");
  REFUSED(forebay_read, NULL, t.cache, &t.source);
  REFUSED(forebay_read, &value, NULL, &t.source);
  REFUSED(forebay_read, &value, t.cache, NULL);
  CHECK(value == NULL);
  uint32_t slot;
  REFUSED(forebay_source_slot, NULL, &t.source);
  REFUSED(forebay_source_slot, &slot, NULL);
  REFUSED(forebay_put, &value, NULL, &t.source, "", 0, NULL);
  REFUSED(forebay_put, &value, t.cache, NULL, "", 0, NULL);
  REFUSED(forebay_put, &value, t.cache, &t.source, NULL, 1, NULL);
  REFUSED(forebay_put, &value, t.cache, &t.source, "x", SIZE_MAX, NULL);
  REFUSED(forebay_mark_stale, NULL, &t.source);
  REFUSED(forebay_mark_stale, t.cache, NULL);
  REFUSED(forebay_remove, NULL, &t.source);
  REFUSED(forebay_remove, t.cache, NULL);
  REFUSED(forebay_refresh_state, NULL, t.cache, &t.source);
  REFUSED(forebay_refresh_state, &info, NULL, &t.source);
  REFUSED(forebay_refresh_state, &info, t.cache, NULL);
  REFUSED(forebay_wait_for_change, NULL, t.cache, &t.source, zero, 0, NULL);
  REFUSED(forebay_wait_for_change, &text, NULL, &t.source, zero, 0, NULL);
  REFUSED(forebay_wait_for_change, &text, t.cache, NULL, zero, 0, NULL);
  REFUSED(forebay_wait_for_change, &text, t.cache, &t.source, zero, -5, NULL);
  REFUSED(forebay_why, NULL, t.cache, &t.source);
  REFUSED(forebay_why, &why, NULL, &t.source);
  REFUSED(forebay_why, &why, t.cache, NULL);
  things_free(&t);
}

static void unwanted(void *userdata, forebay_ticket *ticket) {
  (void)userdata, (void)ticket;
  CHECK(!"a refresher ran in a call that was refused");
}

static void null_is_refused_beside_a_refresher(void) {
  things t = things_make();
  forebay_value *value;
  forebay_refresher fetch = {sizeof fetch, NULL, unwanted, NULL};
  REFUSED(forebay_get, NULL, t.cache, &t.source, &fetch, 0);
  REFUSED(forebay_get, &value, NULL, &t.source, &fetch, 0);
  REFUSED(forebay_get, &value, t.cache, NULL, &fetch, 0);
  REFUSED(forebay_refresh, NULL, t.cache, &t.source, &fetch);
  REFUSED(forebay_refresh, &value, NULL, &t.source, &fetch);
  REFUSED(forebay_refresh, &value, t.cache, NULL, &fetch);
  REFUSED(forebay_refresh_with, NULL, t.cache, &t.source, NULL, &fetch);
  REFUSED(forebay_refresh_with, &value, NULL, &t.source, NULL, &fetch);
  REFUSED(forebay_refresh_with, &value, t.cache, NULL, NULL, &fetch);
  REFUSED(forebay_maybe_refresh, NULL, &t.source, &fetch);
  REFUSED(forebay_maybe_refresh, t.cache, NULL, &fetch);
  REFUSED(forebay_maybe_refresh_sync, NULL, t.cache, &t.source, &fetch);
  REFUSED(forebay_maybe_refresh_sync, &value, NULL, &t.source, &fetch);
  REFUSED(forebay_maybe_refresh_sync, &value, t.cache, NULL, &fetch);
  things_free(&t);
}

static void null_is_refused_where_a_refresh_is_asked_for(void) {
  things t = things_make();
  forebay_value *value;
  forebay_ticket *ticket;
  forebay_attempt *attempt;
  forebay_results *results;
  forebay_refresher nothing = {sizeof nothing, NULL, NULL, NULL};
  int32_t step;
  REFUSED(forebay_get, &value, t.cache, &t.source, NULL, 0);
  REFUSED(forebay_get, &value, t.cache, &t.source, &nothing, 0);
  REFUSED(forebay_refresh, &value, t.cache, &t.source, NULL);
  REFUSED(forebay_refresh_with, &value, t.cache, &t.source, NULL, NULL);
  REFUSED(forebay_maybe_refresh, t.cache, &t.source, NULL);
  REFUSED(forebay_maybe_refresh, t.cache, &t.source, &nothing);
  REFUSED(forebay_maybe_refresh_sync, &value, t.cache, &t.source, NULL);
  REFUSED(forebay_refresh_many, NULL, t.cache, NULL, 0, 1, NULL);
  REFUSED(forebay_refresh_many, &results, NULL, NULL, 0, 1, NULL);
  REFUSED(forebay_refresh_many, &results, t.cache, NULL, 1, 1, NULL);
  forebay_refresh_item item = {&t.source, NULL};
  REFUSED(forebay_refresh_many, &results, t.cache, &item, 1, 1, NULL);
  forebay_progress mute = {sizeof mute, NULL, NULL, NULL};
  REFUSED(forebay_refresh_many, &results, t.cache, NULL, 0, 1, &mute);
  REFUSED(forebay_acquire, NULL, NULL, NULL, t.cache, &t.source, NULL);
  REFUSED(forebay_acquire, &ticket, NULL, NULL, NULL, &t.source, NULL);
  REFUSED(forebay_acquire, &ticket, NULL, NULL, t.cache, NULL, NULL);
  REFUSED(forebay_request_refresh, NULL, &t.source);
  REFUSED(forebay_request_refresh, t.cache, NULL);
  REFUSED(forebay_next_refresh, NULL, t.cache, 0, NULL);
  REFUSED(forebay_next_refresh, &ticket, NULL, 0, NULL);
  REFUSED(forebay_next_refresh, &ticket, t.cache, -2, NULL);
  REFUSED(forebay_attempt_begin, NULL, t.cache, &t.source, NULL);
  REFUSED(forebay_attempt_begin, &attempt, NULL, &t.source, NULL);
  REFUSED(forebay_attempt_begin, &attempt, t.cache, NULL, NULL);
  STATUS(FOREBAY_OK, forebay_attempt_begin(&attempt, t.cache, &t.source, NULL, &err));
  REFUSED(forebay_attempt_next, NULL, &value, &ticket, attempt);
  REFUSED(forebay_attempt_next, &step, NULL, &ticket, attempt);
  REFUSED(forebay_attempt_next, &step, &value, NULL, attempt);
  REFUSED(forebay_attempt_next, &step, &value, &ticket, NULL);
  REFUSED(forebay_attempt_wait, NULL, 0);
  REFUSED(forebay_attempt_wait, attempt, -2);
  forebay_attempt_free(attempt);
  things_free(&t);
}

static void null_is_refused_where_a_ticket_ends(void) {
  things t = things_make();
  forebay_value *value;
  forebay_response response = FOREBAY_RESPONSE_INIT;
  REFUSED(forebay_ticket_complete, &value, NULL, "", 0, NULL);
  REFUSED(forebay_ticket_complete, &value, t.ticket, NULL, 1, NULL);
  REFUSED(forebay_ticket_complete, &value, t.ticket, "x", SIZE_MAX, NULL);
  REFUSED(forebay_ticket_unchanged, &value, NULL, NULL);
  REFUSED(forebay_ticket_fail, NULL, NULL);
  REFUSED(forebay_ticket_respond, &value, NULL, &response);
  REFUSED(forebay_ticket_respond, &value, t.ticket, NULL);
  REFUSED(forebay_ticket_renew, NULL, 1000);
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = 0;
  REFUSED(forebay_ticket_fail, t.ticket, &failure);
  failure.code = -31;
  REFUSED(forebay_ticket_fail, t.ticket, &failure);
  things_free(&t);
}

static void null_is_refused_elsewhere(void) {
  things t = things_make();
  forebay_value *value;
  forebay_listing *listing;
  forebay_pruned *pruned;
  forebay_reader *reader;
  forebay_readers *readers;
  forebay_events *events;
  forebay_event *event;
  forebay_hit hit;
  forebay_text *text;
  const forebay_source_options *nothing = NULL;
  uint64_t counts[2];
  int64_t ms;
  int32_t code;
  REFUSED(forebay_open, NULL, NULL);
  REFUSED(forebay_close, NULL, -1);
  REFUSED(forebay_close, t.cache, -2);
  REFUSED(forebay_drain, NULL, 0, NULL);
  REFUSED(forebay_drain, t.cache, -2, NULL);
  REFUSED(forebay_counters, NULL, 2, t.cache);
  REFUSED(forebay_counters, counts, 2, NULL);
  REFUSED(forebay_list, NULL, t.cache);
  REFUSED(forebay_list, &listing, NULL);
  REFUSED(forebay_prune, &pruned, NULL, NULL, 0);
  REFUSED(forebay_prune, &pruned, t.cache, NULL, 1);
  REFUSED(forebay_prune, &pruned, t.cache, &nothing, 1);
  REFUSED(forebay_reader_open, NULL, t.cache, &t.source);
  REFUSED(forebay_reader_open, &reader, NULL, &t.source);
  REFUSED(forebay_reader_open, &reader, t.cache, NULL);
  REFUSED(forebay_reader_read, &hit, NULL);
  REFUSED(forebay_reader_value, &value, NULL);
  STATUS(FOREBAY_OK, forebay_reader_open(&reader, t.cache, &t.source, &err));
  REFUSED(forebay_reader_read, NULL, reader);
  REFUSED(forebay_reader_value, NULL, reader);
  forebay_reader_free(reader);
  REFUSED(forebay_readers_open, NULL, t.cache, NULL);
  REFUSED(forebay_readers_open, &readers, NULL, NULL);
  REFUSED(forebay_readers_get, &value, NULL, forebay_str("a"));
  STATUS(FOREBAY_OK, forebay_readers_open(&readers, t.cache, NULL, &err));
  REFUSED(forebay_readers_get, NULL, readers, forebay_str("a"));
  REFUSED(forebay_readers_get, &value, readers, forebay_mem(NULL, 1));
  forebay_readers_free(readers);
  REFUSED(forebay_subscribe, NULL, t.cache);
  REFUSED(forebay_subscribe, &events, NULL);
  REFUSED(forebay_events_next, &event, NULL, 0, NULL);
  STATUS(FOREBAY_OK, forebay_subscribe(&events, t.cache, &err));
  REFUSED(forebay_events_next, NULL, events, 0, NULL);
  forebay_events_free(events);
  STATUS(FOREBAY_E_INVALID, forebay_interrupt_new(NULL, &err));
  CHECK(forebay_interrupt_new(NULL, NULL) == FOREBAY_E_INVALID);
  REFUSED(forebay_parse_duration, NULL, forebay_str("1s"));
  REFUSED(forebay_parse_duration, &ms, forebay_mem(NULL, 3));
  REFUSED(forebay_format_duration, NULL, 1);
  REFUSED(forebay_format_duration, &text, -1);
  REFUSED(forebay_parse_retry_after, NULL, forebay_str("1"), -1);
  REFUSED(forebay_parse_retry_after, &ms, forebay_mem(NULL, 3), -1);
  REFUSED(forebay_failure_from_status, NULL, &ms, &text, 500, forebay_str(NULL));
  REFUSED(forebay_failure_from_status, &code, NULL, &text, 500, forebay_str(NULL));
  REFUSED(forebay_failure_from_status, &code, &ms, NULL, 500, forebay_str(NULL));
  REFUSED(forebay_default_root, NULL, forebay_str("app"));
  REFUSED(forebay_default_root, &text, forebay_mem(NULL, 3));
  CHECK(forebay_code_from_text(forebay_mem(NULL, 3)) == 0);
  things_free(&t);
}

/* A text accessor of a NULL handle gives NULL and the size 0. */
#define NO_TEXT(call) (size = 7, TEXT(NULL, call), CHECK(size == 0))

static void accessors_accept_null(void) {
  size_t size;
  CHECK(forebay_text_data(NULL) == NULL && forebay_text_size(NULL) == 0);
  CHECK(forebay_error_code(NULL) == 0 && forebay_error_os(NULL) == 0 && forebay_error_retry_at_ms(NULL) == -1);
  NO_TEXT(forebay_error_text(NULL, &size));
  NO_TEXT(forebay_error_message(NULL, &size));
  NO_TEXT(forebay_error_hint(NULL, &size));
  NO_TEXT(forebay_error_path(NULL, &size));
  NO_TEXT(forebay_error_host_text(NULL, &size));
  NO_TEXT(forebay_cache_root(NULL, &size));
  CHECK(forebay_value_data(NULL) == NULL && forebay_value_size(NULL) == 0 && forebay_value_error(NULL) == NULL);
  CHECK(forebay_value_state(NULL) == FOREBAY_STATE_ABSENT && forebay_value_how(NULL) == -1 && forebay_value_phase(NULL) == -1);
  CHECK(forebay_value_fresh_until_ms(NULL) == -1 && forebay_value_age_ms(NULL) == -1 && forebay_value_stored_at_ms(NULL) == -1);
  NO_TEXT(forebay_value_validator(NULL, &size));
  NO_TEXT(forebay_value_extra(NULL, &size));
  NO_TEXT(forebay_value_version(NULL, &size));
  CHECK(forebay_ticket_cancelled(NULL) == 0 && forebay_ticket_remaining_ms(NULL) == 0 && forebay_ticket_deadline_ms(NULL) == -1);
  CHECK(forebay_ticket_token(NULL) == 0 && forebay_ticket_header_count(NULL) == 0);
  CHECK(forebay_ticket_previous(NULL, &size) == NULL && size == 0 && forebay_ticket_previous_stored_at_ms(NULL) == -1);
  NO_TEXT(forebay_ticket_key(NULL, &size));
  NO_TEXT(forebay_ticket_validator(NULL, &size));
  TEXT(NULL, forebay_ticket_header_name(NULL, 0));
  TEXT(NULL, forebay_ticket_header_value(NULL, 0));
  CHECK(forebay_refresh_info_phase(NULL) == -1 && forebay_refresh_info_in_flight(NULL) == 0);
  CHECK(forebay_refresh_info_failed(NULL) == 0 && forebay_refresh_info_last_error(NULL) == NULL);
  CHECK(forebay_refresh_info_started_at_ms(NULL) == -1 && forebay_refresh_info_deadline_ms(NULL) == -1);
  CHECK(forebay_refresh_info_retry_at_ms(NULL) == -1 && forebay_refresh_info_attempts(NULL) == 0);
  CHECK(forebay_refresh_info_declared(NULL) == 0 && forebay_refresh_info_holder(NULL) == -1);
  NO_TEXT(forebay_explanation_text(NULL, &size));
  NO_TEXT(forebay_explanation_cache_status(NULL, &size));
  CHECK(forebay_explanation_state(NULL) == FOREBAY_STATE_ABSENT && forebay_explanation_phase(NULL) == -1);
  CHECK(forebay_event_kind_of(NULL) == -1 && forebay_event_code(NULL) == 0 && forebay_events_dropped(NULL) == 0);
  NO_TEXT(forebay_event_key(NULL, &size));
}

static void accessors_of_lists_accept_null(void) {
  size_t size;
  CHECK(forebay_listing_count(NULL) == 0 && forebay_listing_state(NULL, 0) == FOREBAY_STATE_ABSENT);
  CHECK(forebay_listing_phase(NULL, 0) == -1 && forebay_listing_age_ms(NULL, 0) == -1 && forebay_listing_size(NULL, 0) == 0);
  CHECK(forebay_listing_stored_at_ms(NULL, 0) == -1 && forebay_listing_retry_at_ms(NULL, 0) == -1);
  CHECK(forebay_listing_error(NULL, 0) == NULL);
  NO_TEXT(forebay_listing_key(NULL, 0, &size));
  NO_TEXT(forebay_listing_tier(NULL, 0, &size));
  NO_TEXT(forebay_listing_name(NULL, 0, &size));
  NO_TEXT(forebay_listing_validator(NULL, 0, &size));
  NO_TEXT(forebay_listing_extra(NULL, 0, &size));
  NO_TEXT(forebay_listing_version(NULL, 0, &size));
  CHECK(forebay_pruned_removed_count(NULL) == 0 && forebay_pruned_skipped_count(NULL) == 0 && forebay_pruned_swept(NULL) == 0);
  NO_TEXT(forebay_pruned_removed_key(NULL, 0, &size));
  NO_TEXT(forebay_pruned_skipped_key(NULL, 0, &size));
  NO_TEXT(forebay_pruned_skipped_reason(NULL, 0, &size));
  CHECK(forebay_results_count(NULL) == 0 && forebay_results_status(NULL, 0) == FOREBAY_E_NOT_FOUND);
  CHECK(forebay_results_value(NULL, 0) == NULL && forebay_results_error(NULL, 0) == NULL);
}

static void freeing_null_does_nothing(void) {
  forebay_text_free(NULL);
  forebay_error_free(NULL);
  forebay_cache_free(NULL);
  forebay_value_free(NULL);
  forebay_ticket_free(NULL);
  forebay_attempt_free(NULL);
  forebay_attempt_interrupt(NULL);
  forebay_interrupt_set(NULL);
  forebay_interrupt_clear(NULL);
  forebay_interrupt_free(NULL);
  forebay_refresh_info_free(NULL);
  forebay_listing_free(NULL);
  forebay_pruned_free(NULL);
  forebay_explanation_free(NULL);
  forebay_results_free(NULL);
  forebay_reader_free(NULL);
  forebay_readers_free(NULL);
  forebay_events_free(NULL);
  forebay_event_free(NULL);
  CHECK(forebay_cache_retain(NULL) == NULL && forebay_value_retain(NULL) == NULL && forebay_ticket_retain(NULL) == NULL);
}

static void numbers_without_a_text_have_none(void) {
  const int32_t numbers[] = {INT_MIN, -1, 99, INT_MAX};
  for (size_t at = 0; at < sizeof numbers / sizeof numbers[0]; at++) {
    CHECK(forebay_state_text(numbers[at]) == NULL && forebay_how_text(numbers[at]) == NULL);
    CHECK(forebay_phase_text(numbers[at]) == NULL && forebay_event_kind_text(numbers[at]) == NULL);
    if (numbers[at] != -1) CHECK(forebay_code_text(numbers[at]) == NULL);
  }
  CHECK(forebay_version() != NULL && forebay_version_number() > 0 && forebay_abi_version() == FOREBAY_ABI_VERSION);
}

static void text_has_to_be_utf8_and_keys_usable(void) {
  things t = things_make();
  forebay_value *value;
  char *names[] = {"", "/", "a/", "/b", "\xff\xfe", "tier/\xc3"};
  for (size_t at = 0; at < sizeof names / sizeof names[0]; at++) {
    forebay_source_options source = stage_source(names[at]);
    REFUSED(forebay_read, &value, t.cache, &source);
    CHECK(value == NULL);
  }
  char name[5000];
  memset(name, 'n', sizeof name);
  forebay_source_options source = t.source;
  source.key = forebay_mem(name, 4098);
  REFUSED(forebay_read, &value, t.cache, &source);
  source.key = forebay_mem("a\0b/c\0", 6);
  STATUS(FOREBAY_OK, forebay_put(NULL, t.cache, &source, "nul", 3, NULL, &err));
  STATUS(FOREBAY_OK, forebay_read(&value, t.cache, &source, &err));
  CHECK(value_is(value, "nul"));
  forebay_value_free(value);
  source = t.source;
  source.identity = forebay_str("\xff");
  REFUSED(forebay_read, &value, t.cache, &source);
  source = t.source;
  source.deadline_ms = 0;
  STATUS(FOREBAY_E_INVALID, forebay_acquire(&(forebay_ticket *){NULL}, NULL, NULL, t.cache, &source, NULL, &err));
  source.deadline_ms = -7;
  REFUSED(forebay_read, &value, t.cache, &source);
  source = t.source;
  source.durability = 3;
  REFUSED(forebay_read, &value, t.cache, &source);
  things_free(&t);
}

/* A later version of the struct: what it adds comes after what this library knows. */
typedef struct later_options {
  forebay_source_options known;
  int64_t added;
} later_options;

static void structs_of_other_versions_are_read(void) {
  things t = things_make();
  forebay_value *value;
  later_options later = {t.source, 0};
  later.known.struct_size = sizeof later;
  STATUS(FOREBAY_OK, forebay_read(&value, t.cache, &later.known, &err));
  forebay_value_free(value);
  later.added = 1;
  STATUS(FOREBAY_E_UNSUPPORTED, forebay_read(&value, t.cache, &later.known, &err));
  /* An earlier version: it ends after the key, and what it lacks is unset. */
  forebay_source_options earlier = t.source;
  earlier.struct_size = offsetof(forebay_source_options, tier);
  earlier.durability = 77;
  earlier.ttl_ms = 0;
  STATUS(FOREBAY_OK, forebay_read(&value, t.cache, &earlier, &err));
  forebay_value_free(value);
  const size_t sizes[] = {0, 1, 4, sizeof(size_t) - 1, sizeof earlier - 1, 1 << 20, SIZE_MAX};
  for (size_t at = 0; at < sizeof sizes / sizeof sizes[0]; at++) {
    earlier.struct_size = sizes[at];
    REFUSED(forebay_read, &value, t.cache, &earlier);
  }
  forebay_source_options reserved = t.source;
  reserved.reserved = 1;
  STATUS(FOREBAY_E_UNSUPPORTED, forebay_read(&value, t.cache, &reserved, &err));
  forebay_acquire_options flags = FOREBAY_ACQUIRE_OPTIONS_INIT;
  flags.force = 2;
  forebay_ticket *ticket;
  REFUSED(forebay_acquire, &ticket, NULL, NULL, t.cache, &t.source, &flags);
  things_free(&t);
}

static const test tests[] = {
    TEST(null_is_refused_where_a_cache_or_source_is_needed),
    TEST(null_is_refused_beside_a_refresher),
    TEST(null_is_refused_where_a_refresh_is_asked_for),
    TEST(null_is_refused_where_a_ticket_ends),
    TEST(null_is_refused_elsewhere),
    TEST(accessors_accept_null),
    TEST(accessors_of_lists_accept_null),
    TEST(freeing_null_does_nothing),
    TEST(numbers_without_a_text_have_none),
    TEST(text_has_to_be_utf8_and_keys_usable),
    TEST(structs_of_other_versions_are_read),
};
CHECK_MAIN(tests)
