/* Values without refreshes: opening, putting, reading, listing, pruning, readers, events, and who owns what. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static forebay_error *err = NULL;

static void versions_agree(void) {
  CHECK(forebay_version_number() == FOREBAY_VERSION_NUMBER);
  CHECK(FOREBAY_VERSION_NUMBER == FOREBAY_VERSION_MAJOR * 1000000 + FOREBAY_VERSION_MINOR * 1000 + FOREBAY_VERSION_PATCH);
  CHECK(forebay_abi_version() == FOREBAY_ABI_VERSION);
  char text[40];
  snprintf(text, sizeof text, "%d.%d.%d", FOREBAY_VERSION_MAJOR, FOREBAY_VERSION_MINOR, FOREBAY_VERSION_PATCH);
  TEXT(text, forebay_version());
}

static void the_init_macros_leave_everything_unset(void) {
  forebay_cache_options cache = FOREBAY_CACHE_OPTIONS_INIT;
  CHECK(cache.struct_size == sizeof cache && cache.root.data == NULL && cache.test_clock.size == 0);
  CHECK(cache.durability == -1 && cache.memory == 0);
  forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
  CHECK(source.struct_size == sizeof source && source.key.data == NULL && source.tier.size == 0);
  CHECK(source.identity.data == NULL && source.ttl_ms == -1 && source.max_stale_ms == -1);
  CHECK(source.stale_if_error_ms == -1 && source.deadline_ms == -1 && source.backoff_floor_ms == -1);
  CHECK(source.backoff_cap_ms == -1 && source.durability == -1 && source.reserved == 0);
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  CHECK(commit.struct_size == sizeof commit && commit.validator.data == NULL && commit.extra.data == NULL);
  CHECK(commit.ttl_ms == -1 && commit.max_stale_ms == -1);
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  CHECK(failure.struct_size == sizeof failure && failure.message.data == NULL && failure.retry_after_ms == -1);
  CHECK(failure.code == FOREBAY_E_REFRESH_FAILED && failure.reserved == 0);
  forebay_response response = FOREBAY_RESPONSE_INIT;
  CHECK(response.struct_size == sizeof response && response.body.data == NULL && response.etag.data == NULL);
  CHECK(response.last_modified.data == NULL && response.retry_after.data == NULL && response.status == 0);
  forebay_refresh_options refresh = FOREBAY_REFRESH_OPTIONS_INIT;
  CHECK(refresh.struct_size == sizeof refresh && refresh.min_fresh_at_ms == -1 && refresh.override_gate == 0);
  forebay_acquire_options acquire = FOREBAY_ACQUIRE_OPTIONS_INIT;
  CHECK(acquire.struct_size == sizeof acquire && acquire.unless_changed_since.data == NULL && acquire.deadline_ms == -1);
  CHECK(acquire.unless_fresh == 0 && acquire.override_gate == 0 && acquire.force == 0 && acquire.reserved == 0);
  forebay_attempt_options attempt = FOREBAY_ATTEMPT_OPTIONS_INIT;
  CHECK(attempt.struct_size == sizeof attempt && attempt.wait_ms == -1 && attempt.min_fresh_at_ms == -1);
  CHECK(attempt.mode == FOREBAY_MODE_GET && attempt.override_gate == 0);
}

static void a_value_is_read_as_it_was_put(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_value *value = NULL;
  STATUS(FOREBAY_ABSENT, forebay_read(&value, cache, &source, &err));
  CHECK(value != NULL && forebay_value_data(value) == NULL && forebay_value_age_ms(value) == -1);
  TEXT("0", forebay_value_version(value, NULL));
  forebay_value_free(value);

  forebay_commit commit = FOREBAY_COMMIT_INIT;
  commit.validator = forebay_str("\"v1\"");
  commit.extra = forebay_mem("a\0b", 3);
  STATUS(FOREBAY_OK, forebay_put(&value, cache, &source, "one\0two", 7, &commit, &err));
  CHECK(forebay_value_size(value) == 7);
  forebay_value_free(value);
  stage_advance(1500);
  STATUS(FOREBAY_OK, forebay_read(&value, cache, &source, &err));
  size_t size = 0;
  CHECK(forebay_value_size(value) == 7 && memcmp(forebay_value_data(value), "one\0two", 7) == 0);
  CHECK(forebay_value_state(value) == FOREBAY_STATE_FRESH && forebay_value_how(value) == -1);
  CHECK(forebay_value_age_ms(value) == 1500 && forebay_value_stored_at_ms(value) == stage_now() - 1500);
  TEXT("\"v1\"", forebay_value_validator(value, &size));
  CHECK(size == 4);
  CHECK(memcmp(forebay_value_extra(value, &size), "a\0b", 4) == 0 && size == 3);
  CHECK(strcmp(forebay_value_version(value, &size), "0") != 0 && size > 0);
  CHECK(forebay_value_error(value) == NULL);
  CHECK(forebay_value_fresh_until_ms(value) == stage_now() - 1500 + source.ttl_ms);
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void a_value_ages_by_the_clock(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_value *value;
  stage_put(cache, "api/models", "x");
  stage_advance(60 * 1000);
  STATUS(FOREBAY_STALE, forebay_read(&value, cache, &source, &err));
  CHECK(forebay_value_state(value) == FOREBAY_STATE_STALE && value_is(value, "x"));
  CHECK(forebay_value_phase(value) == FOREBAY_PHASE_IDLE);
  forebay_value_free(value);
  stage_advance(3600 * 1000 + 1);
  STATUS(FOREBAY_EXPIRED, forebay_read(&value, cache, &source, &err));
  CHECK(forebay_value_state(value) == FOREBAY_STATE_EXPIRED && value_is(value, "x"));
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void a_source_has_its_slot(void) {
  forebay_source_options source = stage_source("api/models"), mine = source;
  uint32_t slot, other;
  STATUS(FOREBAY_OK, forebay_source_slot(&slot, &source, &err));
  mine.identity = forebay_str("me");
  STATUS(FOREBAY_OK, forebay_source_slot(&other, &mine, &err));
  CHECK(slot < 8192 && other < 8192 && slot != other);
}

static void an_empty_value_is_a_value(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("empty");
  forebay_value *value;
  STATUS(FOREBAY_OK, forebay_put(NULL, cache, &source, NULL, 0, NULL, &err));
  STATUS(FOREBAY_OK, forebay_read(&value, cache, &source, &err));
  CHECK(forebay_value_data(value) != NULL && forebay_value_size(value) == 0);
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void marking_and_removing_say_what_they_did(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_value *value;
  STATUS(FOREBAY_ABSENT, forebay_remove(cache, &source, &err));
  stage_put(cache, "api/models", "x");
  STATUS(FOREBAY_OK, forebay_mark_stale(cache, &source, &err));
  STATUS(FOREBAY_STALE, forebay_read(&value, cache, &source, &err));
  CHECK(value_is(value, "x"));
  forebay_value_free(value);
  STATUS(FOREBAY_OK, forebay_remove(cache, &source, &err));
  STATUS(FOREBAY_ABSENT, forebay_read(&value, cache, &source, &err));
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void tier_and_identity_make_other_records(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options plain = stage_source("api/models"), split = stage_source("models"), mine = plain;
  forebay_value *value;
  stage_put(cache, "api/models", "x");
  split.tier = forebay_str("api");
  STATUS(FOREBAY_OK, forebay_read(&value, cache, &split, &err));
  CHECK(value_is(value, "x"));
  forebay_value_free(value);
  mine.identity = forebay_str("me");
  STATUS(FOREBAY_ABSENT, forebay_read(&value, cache, &mine, &err));
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void handles_are_freed_in_any_order(void) {
  for (int order = 0; order < 6; order++) {
    forebay_cache *cache = stage_open(), *again;
    forebay_source_options source = stage_source("api/models");
    forebay_value *value, *same;
    forebay_ticket *ticket;
    forebay_reader *reader;
    stage_put(cache, "api/models", "x");
    STATUS(FOREBAY_OK, forebay_read(&value, cache, &source, &err));
    STATUS(FOREBAY_OK, forebay_acquire(&ticket, NULL, NULL, cache, &source, NULL, &err));
    STATUS(FOREBAY_OK, forebay_reader_open(&reader, cache, &source, &err));
    again = forebay_cache_retain(cache);
    same = forebay_value_retain(value);
    CHECK(again == cache && same == value);
    if (order % 2 == 0) forebay_cache_free(cache), cache = NULL;
    if (order / 2 == 0) forebay_ticket_free(ticket), ticket = NULL;
    if (order / 2 == 1) forebay_reader_free(reader), reader = NULL;
    forebay_value_free(value);
    forebay_cache_free(again);
    if (reader != NULL) {
      forebay_hit hit;
      STATUS(FOREBAY_OK, forebay_reader_read(&hit, reader, &err));
      CHECK(hit.size == 1 && hit.data[0] == 'x');
    }
    if (ticket != NULL) STATUS(FOREBAY_OK, forebay_ticket_unchanged(NULL, ticket, NULL, &err));
    CHECK(value_is(same, "x"));
    forebay_value_free(same);
    forebay_reader_free(reader);
    forebay_ticket_free(ticket);
    forebay_cache_free(cache);
  }
}

static void a_closed_cache_says_so_and_its_values_stay(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_value *value, *none;
  forebay_listing *listing;
  stage_put(cache, "api/models", "x");
  STATUS(FOREBAY_OK, forebay_read(&value, cache, &source, &err));
  STATUS(FOREBAY_OK, forebay_close(cache, -1, &err));
  STATUS(FOREBAY_E_CLOSED, forebay_read(&none, cache, &source, &err));
  CHECK(none == NULL);
  STATUS(FOREBAY_E_CLOSED, forebay_put(NULL, cache, &source, "y", 1, NULL, &err));
  STATUS(FOREBAY_E_CLOSED, forebay_list(&listing, cache, &err));
  CHECK(listing == NULL && value_is(value, "x"));
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void a_listing_shows_each_value(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/b");
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  forebay_listing *listing;
  size_t size = 0;
  stage_put(cache, "api/a", "1");
  commit.validator = forebay_str("v");
  commit.extra = forebay_str("e");
  STATUS(FOREBAY_OK, forebay_put(NULL, cache, &source, "22", 2, &commit, &err));
  stage_advance(1000);
  STATUS(FOREBAY_OK, forebay_list(&listing, cache, &err));
  CHECK(forebay_listing_count(listing) == 2);
  TEXT("api/a", forebay_listing_key(listing, 0, &size));
  CHECK(size == 5);
  TEXT("api", forebay_listing_tier(listing, 1, NULL));
  TEXT("b", forebay_listing_name(listing, 1, NULL));
  CHECK(forebay_listing_state(listing, 1) == FOREBAY_STATE_FRESH && forebay_listing_phase(listing, 1) == FOREBAY_PHASE_IDLE);
  CHECK(forebay_listing_age_ms(listing, 1) == 1000 && forebay_listing_stored_at_ms(listing, 1) == stage_now() - 1000);
  CHECK(forebay_listing_retry_at_ms(listing, 1) == -1 && forebay_listing_size(listing, 1) == 2);
  TEXT("v", forebay_listing_validator(listing, 1, NULL));
  TEXT("e", forebay_listing_extra(listing, 1, NULL));
  CHECK(strcmp(forebay_listing_version(listing, 1, NULL), "0") != 0 && forebay_listing_error(listing, 1) == NULL);
  TEXT(NULL, forebay_listing_validator(listing, 0, &size));
  CHECK(size == 0);
  TEXT(NULL, forebay_listing_key(listing, 2, NULL));
  CHECK(forebay_listing_state(listing, 2) == FOREBAY_STATE_ABSENT && forebay_listing_size(listing, 2) == 0);
  forebay_listing_free(listing);
  forebay_cache_free(cache);
}

static void pruning_keeps_what_is_listed_and_what_is_refreshed(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options keep = stage_source("api/a"), busy = stage_source("api/b");
  const forebay_source_options *list[] = {&keep};
  forebay_pruned *pruned;
  forebay_ticket *ticket;
  stage_put(cache, "api/a", "1");
  stage_put(cache, "api/b", "2");
  stage_put(cache, "api/c", "3");
  STATUS(FOREBAY_OK, forebay_acquire(&ticket, NULL, NULL, cache, &busy, NULL, &err));
  STATUS(FOREBAY_OK, forebay_prune(&pruned, cache, list, 1, &err));
  CHECK(forebay_pruned_removed_count(pruned) == 1 && forebay_pruned_skipped_count(pruned) == 1);
  TEXT("api/c", forebay_pruned_removed_key(pruned, 0, NULL));
  TEXT("api/b", forebay_pruned_skipped_key(pruned, 0, NULL));
  CHECK(strlen(forebay_pruned_skipped_reason(pruned, 0, NULL)) > 0);
  TEXT(NULL, forebay_pruned_removed_key(pruned, 1, NULL));
  (void)forebay_pruned_swept(pruned);
  forebay_pruned_free(pruned);
  forebay_ticket_free(ticket);
  STATUS(FOREBAY_OK, forebay_prune(NULL, cache, NULL, 0, &err));
  forebay_listing *listing;
  STATUS(FOREBAY_OK, forebay_list(&listing, cache, &err));
  CHECK(forebay_listing_count(listing) == 0);
  forebay_listing_free(listing);
  forebay_cache_free(cache);
}

static void why_and_refresh_state_explain(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_explanation *why;
  forebay_refresh_info *info;
  stage_put(cache, "api/models", "x");
  STATUS(FOREBAY_OK, forebay_why(&why, cache, &source, &err));
  size_t size = 0;
  CHECK(strlen(forebay_explanation_text(why, &size)) == size && size > 0);
  CHECK(strstr(forebay_explanation_cache_status(why, NULL), "hit") != NULL);
  CHECK(forebay_explanation_state(why) == FOREBAY_STATE_FRESH && forebay_explanation_phase(why) == FOREBAY_PHASE_IDLE);
  forebay_explanation_free(why);
  STATUS(FOREBAY_OK, forebay_refresh_state(&info, cache, &source, &err));
  CHECK(forebay_refresh_info_phase(info) == FOREBAY_PHASE_IDLE && forebay_refresh_info_in_flight(info) == 0);
  CHECK(forebay_refresh_info_failed(info) == 0 && forebay_refresh_info_last_error(info) == NULL);
  CHECK(forebay_refresh_info_attempts(info) == 0 && forebay_refresh_info_holder(info) == -1);
  CHECK(forebay_refresh_info_retry_at_ms(info) == -1 && forebay_refresh_info_declared(info) == 0);
  CHECK(forebay_refresh_info_started_at_ms(info) == -1 && forebay_refresh_info_deadline_ms(info) == -1);
  forebay_refresh_info_free(info);
  forebay_cache_free(cache);
}

static void readers_see_each_change(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_reader *reader;
  forebay_readers *readers;
  forebay_value *value;
  forebay_hit hit;
  STATUS(FOREBAY_OK, forebay_reader_open(&reader, cache, &source, &err));
  STATUS(FOREBAY_OK, forebay_readers_open(&readers, cache, &source, &err));
  STATUS(FOREBAY_ABSENT, forebay_reader_read(&hit, reader, &err));
  CHECK(hit.data == NULL && hit.size == 0 && hit.state == FOREBAY_STATE_ABSENT && hit.age_ms == -1);
  for (int round = 0; round < 100; round++) {
    char text[16];
    snprintf(text, sizeof text, "%d", round);
    stage_put(cache, "api/models", text);
    STATUS(FOREBAY_OK, forebay_reader_read(&hit, reader, &err));
    CHECK(hit.size == strlen(text) && memcmp(hit.data, text, hit.size) == 0 && hit.state == FOREBAY_STATE_FRESH);
    STATUS(FOREBAY_OK, forebay_reader_value(&value, reader, &err));
    CHECK(value_is(value, text));
    forebay_value_free(value);
    STATUS(FOREBAY_OK, forebay_readers_get(&value, readers, forebay_str("api/models"), &err));
    CHECK(value_is(value, text));
    forebay_value_free(value);
  }
  forebay_readers_free(readers);
  forebay_reader_free(reader);
  forebay_cache_free(cache);
}

static void events_and_counters_tell_what_happened(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_events *events;
  forebay_event *event;
  forebay_value *value;
  uint64_t counts[20];
  STATUS(FOREBAY_OK, forebay_subscribe(&events, cache, &err));
  STATUS(FOREBAY_ABSENT, forebay_events_next(&event, events, 0, NULL, &err));
  CHECK(event == NULL);
  STATUS(FOREBAY_ABSENT, forebay_read(&value, cache, &source, &err));
  forebay_value_free(value);
  STATUS(FOREBAY_OK, forebay_events_next(&event, events, 10000, NULL, &err));
  CHECK(forebay_event_kind_of(event) == FOREBAY_EVENT_MISS && forebay_event_code(event) == 0);
  TEXT("api/models", forebay_event_key(event, NULL));
  TEXT("miss", forebay_event_kind_text(forebay_event_kind_of(event)));
  forebay_event_free(event);
  CHECK(forebay_events_dropped(events) == 0);
  memset(counts, 0xff, sizeof counts);
  STATUS(FOREBAY_OK, forebay_counters(counts, 20, cache, &err));
  CHECK(counts[FOREBAY_EVENT_MISS] == 1 && counts[FOREBAY_EVENT_HIT] == 0 && counts[19] == 0);
  forebay_events_free(events);
  forebay_cache_free(cache);
}

static void interrupt_soon(void *interrupt) { forebay_interrupt_set(interrupt); }

static void waits_end_when_interrupted(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_interrupt *interrupt;
  forebay_text *version;
  forebay_ticket *ticket;
  forebay_events *events;
  forebay_event *event;
  STATUS(FOREBAY_OK, forebay_interrupt_new(&interrupt, &err));
  worker *w = worker_start(interrupt_soon, interrupt);
  STATUS(FOREBAY_E_CANCELLED, forebay_wait_for_change(&version, cache, &source, forebay_str(NULL), -1, interrupt, &err));
  CHECK(version == NULL);
  worker_join(w);
  forebay_interrupt_clear(interrupt);
  w = worker_start(interrupt_soon, interrupt);
  STATUS(FOREBAY_E_CANCELLED, forebay_next_refresh(&ticket, cache, -1, interrupt, &err));
  worker_join(w);
  STATUS(FOREBAY_OK, forebay_subscribe(&events, cache, &err));
  STATUS(FOREBAY_E_CANCELLED, forebay_events_next(&event, events, -1, interrupt, &err));
  forebay_interrupt_clear(interrupt);
  w = worker_start(interrupt_soon, interrupt);
  STATUS(FOREBAY_E_CANCELLED, forebay_events_next(&event, events, -1, interrupt, &err));
  worker_join(w);
  forebay_interrupt_clear(interrupt);
  STATUS(FOREBAY_ABSENT, forebay_wait_for_change(&version, cache, &source, forebay_str("0"), 0, interrupt, &err));
  forebay_events_free(events);
  forebay_interrupt_free(interrupt);
  forebay_cache_free(cache);
}

static void put_soon(void *cache) { stage_put(cache, "api/models", "new"); }

static void a_change_ends_the_wait_for_it(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_text *version;
  forebay_value *value;
  worker *w = worker_start(put_soon, cache);
  STATUS(FOREBAY_OK, forebay_wait_for_change(&version, cache, &source, forebay_str("0"), 20000, NULL, &err));
  worker_join(w);
  STATUS(FOREBAY_OK, forebay_read(&value, cache, &source, &err));
  TEXT(forebay_value_version(value, NULL), forebay_text_data(version));
  CHECK(forebay_text_size(version) == strlen(forebay_text_data(version)));
  forebay_text_free(version);
  forebay_value_free(value);
  STATUS(FOREBAY_E_INVALID, forebay_wait_for_change(&version, cache, &source, forebay_str("x y"), 0, NULL, &err));
  forebay_cache_free(cache);
}

static void texts_durations_and_answers(void) {
  int64_t ms;
  int32_t code;
  forebay_text *text;
  STATUS(FOREBAY_OK, forebay_parse_duration(&ms, forebay_str("1h30m"), &err));
  CHECK(ms == 90 * 60 * 1000);
  STATUS(FOREBAY_E_INVALID, forebay_parse_duration(&ms, forebay_str("90"), &err));
  CHECK(ms == -1);
  STATUS(FOREBAY_OK, forebay_format_duration(&text, 5400000, &err));
  STATUS(FOREBAY_OK, forebay_parse_duration(&ms, forebay_str(forebay_text_data(text)), &err));
  CHECK(ms == 5400000);
  forebay_text_free(text);
  STATUS(FOREBAY_OK, forebay_parse_retry_after(&ms, forebay_str("120"), -1, &err));
  CHECK(ms == 120000);
  STATUS(FOREBAY_OK, forebay_parse_retry_after(&ms, forebay_str("Tue, 14 Nov 2023 22:14:20 GMT"), 1700000000000, &err));
  CHECK(ms == 60000);
  STATUS(FOREBAY_ABSENT, forebay_parse_retry_after(&ms, forebay_str("soon"), -1, &err));
  STATUS(FOREBAY_OK, forebay_failure_from_status(&code, &ms, &text, 429, forebay_str("7"), &err));
  CHECK(code == FOREBAY_E_RATE_LIMITED && ms == 7000 && strstr(forebay_text_data(text), "429") != NULL);
  forebay_text_free(text);
  STATUS(FOREBAY_E_INVALID, forebay_failure_from_status(&code, &ms, &text, 70000, forebay_str(NULL), &err));
  for (int32_t number = -30; number < 0; number++) {
    CHECK(forebay_code_from_text(forebay_str(forebay_code_text(number))) == number);
  }
  TEXT("ok", forebay_code_text(FOREBAY_OK));
  TEXT("superseded", forebay_code_text(FOREBAY_SUPERSEDED));
  TEXT("invalidated", forebay_code_text(FOREBAY_INVALIDATED));
  TEXT(NULL, forebay_code_text(FOREBAY_INVALIDATED + 1));
  TEXT(NULL, forebay_code_text(-31));
  TEXT(NULL, forebay_code_text(INT32_MIN));
  CHECK(forebay_code_from_text(forebay_str("no such code")) == 0);
  TEXT("expired", forebay_state_text(FOREBAY_STATE_EXPIRED));
  TEXT("uncoordinated", forebay_how_text(FOREBAY_HOW_UNCOORDINATED));
  TEXT("cooling", forebay_phase_text(FOREBAY_PHASE_COOLING));
  TEXT(NULL, forebay_phase_text(-1));
}

static void roots_come_from_options_and_environment(void) {
  forebay_cache *cache = NULL;
  forebay_text *text;
  size_t size = 0;
  CHECK(setenv("FOREBAY_ROOT", stage_root, 1) == 0);
  STATUS(FOREBAY_OK, forebay_open(&cache, NULL, &err));
  TEXT(stage_root, forebay_cache_root(cache, &size));
  CHECK(size == strlen(stage_root));
  forebay_cache_free(cache);
  CHECK(unsetenv("FOREBAY_ROOT") == 0);
  CHECK(setenv("XDG_CACHE_HOME", stage_dir, 1) == 0);
  STATUS(FOREBAY_OK, forebay_default_root(&text, forebay_str("app"), &err));
  char expected[600];
  snprintf(expected, sizeof expected, "%s/app", stage_dir);
  TEXT(expected, forebay_text_data(text));
  forebay_text_free(text);
  forebay_cache_options memory = FOREBAY_CACHE_OPTIONS_INIT;
  memory.memory = 1;
  STATUS(FOREBAY_OK, forebay_open(&cache, &memory, &err));
  stage_put(cache, "a", "1");
  CHECK(access(stage_root, F_OK) != 0);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(versions_agree),
    TEST(the_init_macros_leave_everything_unset),
    TEST(a_value_is_read_as_it_was_put),
    TEST(a_value_ages_by_the_clock),
    TEST(a_source_has_its_slot),
    TEST(an_empty_value_is_a_value),
    TEST(marking_and_removing_say_what_they_did),
    TEST(tier_and_identity_make_other_records),
    TEST(handles_are_freed_in_any_order),
    TEST(a_closed_cache_says_so_and_its_values_stay),
    TEST(a_listing_shows_each_value),
    TEST(pruning_keeps_what_is_listed_and_what_is_refreshed),
    TEST(why_and_refresh_state_explain),
    TEST(readers_see_each_change),
    TEST(events_and_counters_tell_what_happened),
    TEST(waits_end_when_interrupted),
    TEST(a_change_ends_the_wait_for_it),
    TEST(texts_durations_and_answers),
    TEST(roots_come_from_options_and_environment),
};
CHECK_MAIN(tests)
