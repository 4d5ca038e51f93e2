/* Refreshing by ticket: what a ticket knows, how it ends, pull mode, and attempts that the host drives. */
#include "check.h"
#include <stdio.h>
#include <string.h>

static forebay_error *err = NULL;

static forebay_ticket *ticket_of(forebay_cache *cache, const forebay_source_options *source) {
  forebay_ticket *ticket;
  STATUS(FOREBAY_OK, forebay_acquire(&ticket, NULL, NULL, cache, source, NULL, &err));
  CHECK(ticket != NULL);
  return ticket;
}

static void acquire_says_what_there_is(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_acquire_options options = FOREBAY_ACQUIRE_OPTIONS_INIT;
  forebay_ticket *ticket, *second;
  forebay_value *value;
  forebay_refresh_info *info;
  options.deadline_ms = 5000;
  STATUS(FOREBAY_OK, forebay_acquire(&ticket, &value, &info, cache, &source, &options, &err));
  CHECK(ticket != NULL && value == NULL && info == NULL);
  CHECK(forebay_ticket_remaining_ms(ticket) == 5000 && forebay_ticket_deadline_ms(ticket) == stage_now() + 5000);
  STATUS(FOREBAY_IN_FLIGHT, forebay_acquire(&second, &value, &info, cache, &source, NULL, &err));
  CHECK(second == NULL && value == NULL && forebay_refresh_info_phase(info) == FOREBAY_PHASE_RUNNING);
  CHECK(forebay_refresh_info_holder(info) > 0 && forebay_refresh_info_in_flight(info) == 1);
  CHECK(forebay_refresh_info_deadline_ms(info) > stage_now() && forebay_refresh_info_started_at_ms(info) == stage_now());
  forebay_refresh_info_free(info);
  STATUS(FOREBAY_OK, forebay_ticket_complete(&value, ticket, "x", 1, NULL, &err));
  CHECK(value_is(value, "x") && forebay_value_how(value) == FOREBAY_HOW_RAN);
  forebay_value_free(value);
  forebay_ticket_free(ticket);

  options.unless_fresh = 1;
  STATUS(FOREBAY_FRESH, forebay_acquire(&ticket, &value, &info, cache, &source, &options, &err));
  CHECK(ticket == NULL && value_is(value, "x") && info == NULL);
  options.unless_fresh = 0;
  options.unless_changed_since = forebay_str("0");
  forebay_value_free(value);
  STATUS(FOREBAY_FRESH, forebay_acquire(&ticket, NULL, NULL, cache, &source, &options, &err));

  ticket = ticket_of(cache, &source);
  STATUS(FOREBAY_OK, forebay_ticket_fail(ticket, NULL, &err));
  forebay_ticket_free(ticket);
  STATUS(FOREBAY_GATED, forebay_acquire(&ticket, &value, &info, cache, &source, NULL, &err));
  CHECK(ticket == NULL && forebay_refresh_info_phase(info) == FOREBAY_PHASE_COOLING);
  CHECK(forebay_refresh_info_retry_at_ms(info) > stage_now() && forebay_refresh_info_declared(info) == 0);
  forebay_refresh_info_free(info);
  options = (forebay_acquire_options)FOREBAY_ACQUIRE_OPTIONS_INIT;
  options.force = 1;
  STATUS(FOREBAY_OK, forebay_acquire(&ticket, NULL, NULL, cache, &source, &options, &err));
  forebay_ticket_free(ticket);
  forebay_cache_free(cache);
}

static void a_ticket_ends_once(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_ticket *ticket = ticket_of(cache, &source);
  forebay_value *value;
  STATUS(FOREBAY_OK, forebay_ticket_complete(NULL, ticket, "x", 1, NULL, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_ticket_complete(&value, ticket, "y", 1, NULL, &err));
  CHECK(value == NULL);
  STATUS(FOREBAY_E_ALREADY_USED, forebay_ticket_unchanged(NULL, ticket, NULL, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_ticket_fail(ticket, NULL, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_ticket_renew(ticket, 1000, &err));
  CHECK(forebay_ticket_cancelled(ticket) == 1);
  forebay_ticket_free(ticket);
  forebay_cache_free(cache);
}

static void a_ticket_knows_the_previous_value(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  forebay_value *value;
  size_t size = 9;
  forebay_ticket *ticket = ticket_of(cache, &source);
  CHECK(forebay_ticket_previous(ticket, &size) == NULL && size == 0);
  CHECK(forebay_ticket_previous_stored_at_ms(ticket) == -1 && forebay_ticket_header_count(ticket) == 0);
  TEXT(NULL, forebay_ticket_validator(ticket, NULL));
  TEXT("api/models", forebay_ticket_key(ticket, NULL));
  uint64_t first = forebay_ticket_token(ticket);
  commit.validator = forebay_str("W/\"7\"");
  STATUS(FOREBAY_OK, forebay_ticket_complete(NULL, ticket, "old", 3, &commit, &err));
  forebay_ticket_free(ticket);

  stage_advance(90 * 1000);
  ticket = ticket_of(cache, &source);
  CHECK(forebay_ticket_token(ticket) > first);
  CHECK(memcmp(forebay_ticket_previous(ticket, &size), "old", 3) == 0 && size == 3);
  CHECK(forebay_ticket_previous_stored_at_ms(ticket) == stage_now() - 90 * 1000);
  TEXT("W/\"7\"", forebay_ticket_validator(ticket, NULL));
  CHECK(forebay_ticket_header_count(ticket) == 1);
  TEXT("If-None-Match", forebay_ticket_header_name(ticket, 0));
  TEXT("W/\"7\"", forebay_ticket_header_value(ticket, 0));
  TEXT(NULL, forebay_ticket_header_name(ticket, 1));
  STATUS(FOREBAY_OK, forebay_ticket_unchanged(&value, ticket, NULL, &err));
  CHECK(value_is(value, "old") && forebay_value_how(value) == FOREBAY_HOW_UNCHANGED && forebay_value_age_ms(value) == 0);
  TEXT("W/\"7\"", forebay_value_validator(value, NULL));
  forebay_value_free(value);
  forebay_ticket_free(ticket);
  forebay_cache_free(cache);
}

static void a_put_supersedes_a_ticket(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_ticket *ticket = ticket_of(cache, &source);
  forebay_value *value;
  CHECK(forebay_ticket_cancelled(ticket) == 0);
  stage_put(cache, "api/models", "put");
  CHECK(forebay_ticket_cancelled(ticket) == 1);
  STATUS(FOREBAY_SUPERSEDED, forebay_ticket_complete(&value, ticket, "late", 4, NULL, &err));
  CHECK(value == NULL);
  STATUS(FOREBAY_OK, forebay_read(&value, cache, &source, &err));
  CHECK(value_is(value, "put"));
  forebay_value_free(value);
  forebay_ticket_free(ticket);
  forebay_cache_free(cache);
}

static void a_deadline_can_be_moved_and_a_lease_lost(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_ticket *ticket = ticket_of(cache, &source), *next;
  STATUS(FOREBAY_OK, forebay_ticket_renew(ticket, 120 * 1000, &err));
  CHECK(forebay_ticket_remaining_ms(ticket) == 120 * 1000);
  STATUS(FOREBAY_E_INVALID, forebay_ticket_renew(ticket, -1, &err));
  stage_advance(24 * 3600 * 1000);
  CHECK(forebay_ticket_remaining_ms(ticket) == 0);
  STATUS(FOREBAY_OK, forebay_acquire(&next, NULL, NULL, cache, &source, NULL, &err));
  STATUS(FOREBAY_E_LEASE_LOST, forebay_ticket_complete(NULL, ticket, "late", 4, NULL, &err));
  STATUS(FOREBAY_OK, forebay_ticket_complete(NULL, next, "new", 3, NULL, &err));
  forebay_ticket_free(ticket);
  forebay_ticket_free(next);
  forebay_cache_free(cache);
}

static void answers_of_a_server_end_a_ticket(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_response response = FOREBAY_RESPONSE_INIT;
  forebay_refresh_info *info;
  forebay_value *value;
  forebay_ticket *ticket = ticket_of(cache, &source);
  STATUS(FOREBAY_E_INVALID, forebay_ticket_respond(NULL, ticket, &response, &err));
  response.status = 200;
  response.body = forebay_str("body");
  response.last_modified = forebay_str("Tue, 14 Nov 2023 22:14:20 GMT");
  STATUS(FOREBAY_OK, forebay_ticket_respond(&value, ticket, &response, &err));
  CHECK(value_is(value, "body"));
  TEXT("Tue, 14 Nov 2023 22:14:20 GMT", forebay_value_validator(value, NULL));
  forebay_value_free(value);
  forebay_ticket_free(ticket);
  ticket = ticket_of(cache, &source);
  TEXT("If-Modified-Since", forebay_ticket_header_name(ticket, 0));
  response = (forebay_response)FOREBAY_RESPONSE_INIT;
  response.status = 304;
  STATUS(FOREBAY_OK, forebay_ticket_respond(&value, ticket, &response, &err));
  CHECK(value_is(value, "body") && forebay_value_how(value) == FOREBAY_HOW_UNCHANGED);
  forebay_value_free(value);
  forebay_ticket_free(ticket);
  ticket = ticket_of(cache, &source);
  response.status = 429;
  response.retry_after = forebay_str("90");
  STATUS(FOREBAY_OK, forebay_ticket_respond(&value, ticket, &response, &err));
  CHECK(value == NULL);
  forebay_ticket_free(ticket);
  STATUS(FOREBAY_OK, forebay_refresh_state(&info, cache, &source, &err));
  CHECK(forebay_error_code(forebay_refresh_info_last_error(info)) == FOREBAY_E_RATE_LIMITED);
  CHECK(forebay_refresh_info_declared(info) == 1 && forebay_refresh_info_retry_at_ms(info) == stage_now() + 90000);
  forebay_refresh_info_free(info);
  forebay_cache_free(cache);
}

static void pull_some(void *pointer) {
  forebay_cache *cache = pointer;
  forebay_error *error = NULL;
  forebay_ticket *ticket;
  CHECK(forebay_next_refresh(&ticket, cache, 20000, NULL, &error) == FOREBAY_OK);
  TEXT("api/models", forebay_ticket_key(ticket, NULL));
  CHECK(forebay_ticket_complete(NULL, ticket, "pulled", 6, NULL, &error) == FOREBAY_OK);
  forebay_ticket_free(ticket);
}

static void background_work_is_pulled(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_ticket *ticket;
  forebay_text *version;
  STATUS(FOREBAY_ABSENT, forebay_next_refresh(&ticket, cache, 0, NULL, &err));
  CHECK(ticket == NULL);
  worker *w = worker_start(pull_some, cache);
  STATUS(FOREBAY_OK, forebay_request_refresh(cache, &source, &err));
  STATUS(FOREBAY_OK, forebay_wait_for_change(&version, cache, &source, forebay_str("0"), 20000, NULL, &err));
  forebay_text_free(version);
  worker_join(w);
  STATUS(FOREBAY_FRESH, forebay_request_refresh(cache, &source, &err));
  stage_advance(60 * 1000);
  STATUS(FOREBAY_OK, forebay_request_refresh(cache, &source, &err));
  STATUS(FOREBAY_IN_FLIGHT, forebay_request_refresh(cache, &source, &err));
  STATUS(FOREBAY_OK, forebay_next_refresh(&ticket, cache, 0, NULL, &err));
  STATUS(FOREBAY_OK, forebay_ticket_fail(ticket, NULL, &err));
  forebay_ticket_free(ticket);
  STATUS(FOREBAY_GATED, forebay_request_refresh(cache, &source, &err));
  STATUS(FOREBAY_OK, forebay_close(cache, -1, &err));
  STATUS(FOREBAY_E_CLOSED, forebay_next_refresh(&ticket, cache, -1, NULL, &err));
  forebay_cache_free(cache);
}

static void an_attempt_is_driven_by_the_host(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_attempt *attempt, *joins;
  forebay_ticket *ticket, *none;
  forebay_value *value;
  int32_t step;
  STATUS(FOREBAY_OK, forebay_attempt_begin(&attempt, cache, &source, NULL, &err));
  STATUS(FOREBAY_OK, forebay_attempt_next(&step, &value, &ticket, attempt, &err));
  CHECK(step == FOREBAY_STEP_RUN && ticket != NULL && value == NULL);
  STATUS(FOREBAY_OK, forebay_attempt_begin(&joins, cache, &source, NULL, &err));
  STATUS(FOREBAY_IN_FLIGHT, forebay_attempt_next(&step, &value, &none, joins, &err));
  CHECK(step == FOREBAY_STEP_WAIT && none == NULL && value == NULL);
  STATUS(FOREBAY_IN_FLIGHT, forebay_attempt_next(&step, &value, &none, attempt, &err));
  CHECK(step == FOREBAY_STEP_WAIT);
  STATUS(FOREBAY_OK, forebay_attempt_wait(joins, 1, &err));
  STATUS(FOREBAY_OK, forebay_ticket_complete(NULL, ticket, "x", 1, NULL, &err));
  forebay_ticket_free(ticket);
  STATUS(FOREBAY_OK, forebay_attempt_wait(joins, -1, &err));
  STATUS(FOREBAY_OK, forebay_attempt_next(&step, &value, &none, joins, &err));
  CHECK(step == FOREBAY_STEP_DONE && value_is(value, "x") && forebay_value_how(value) == FOREBAY_HOW_COALESCED);
  forebay_value_free(value);
  STATUS(FOREBAY_OK, forebay_attempt_next(&step, &value, &none, attempt, &err));
  CHECK(step == FOREBAY_STEP_DONE && forebay_value_how(value) == FOREBAY_HOW_RAN);
  forebay_value_free(value);
  STATUS(FOREBAY_E_ALREADY_USED, forebay_attempt_next(&step, &value, &none, attempt, &err));
  forebay_attempt_free(attempt);
  forebay_attempt_free(joins);
  forebay_cache_free(cache);
}

static void each_mode_of_an_attempt(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_attempt_options options = FOREBAY_ATTEMPT_OPTIONS_INIT;
  forebay_attempt *attempt;
  forebay_ticket *ticket;
  forebay_value *value;
  int32_t step;
  stage_put(cache, "api/models", "x");
  for (int mode = FOREBAY_MODE_GET; mode <= FOREBAY_MODE_MAYBE_REFRESH_SYNC; mode++) {
    options.mode = mode;
    STATUS(FOREBAY_OK, forebay_attempt_begin(&attempt, cache, &source, &options, &err));
    STATUS(FOREBAY_OK, forebay_attempt_next(&step, &value, &ticket, attempt, &err));
    CHECK(step == (mode == FOREBAY_MODE_REFRESH ? FOREBAY_STEP_RUN : FOREBAY_STEP_DONE));
    if (mode != FOREBAY_MODE_REFRESH) CHECK(forebay_value_how(value) == FOREBAY_HOW_FRESH);
    forebay_value_free(value);
    forebay_ticket_free(ticket);
    forebay_attempt_free(attempt);
  }
  options.mode = 4;
  STATUS(FOREBAY_E_INVALID, forebay_attempt_begin(&attempt, cache, &source, &options, &err));
  CHECK(attempt == NULL);
  forebay_cache_free(cache);
}

static void a_stale_value_is_served_when_the_wait_is_over(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_attempt_options options = FOREBAY_ATTEMPT_OPTIONS_INIT;
  forebay_attempt *attempt;
  forebay_ticket *ticket, *none;
  forebay_value *value;
  int32_t step;
  stage_put(cache, "api/models", "old");
  stage_advance(60 * 1000);
  options.wait_ms = 0;
  STATUS(FOREBAY_OK, forebay_attempt_begin(&attempt, cache, &source, &options, &err));
  STATUS(FOREBAY_OK, forebay_attempt_next(&step, &value, &ticket, attempt, &err));
  CHECK(step == FOREBAY_STEP_RUN);
  STATUS(FOREBAY_STALE, forebay_attempt_next(&step, &value, &none, attempt, &err));
  CHECK(step == FOREBAY_STEP_DONE && value_is(value, "old"));
  forebay_value_free(value);
  forebay_attempt_free(attempt);
  STATUS(FOREBAY_OK, forebay_ticket_complete(NULL, ticket, "new", 3, NULL, &err));
  forebay_ticket_free(ticket);
  STATUS(FOREBAY_OK, forebay_read(&value, cache, &source, &err));
  CHECK(value_is(value, "new"));
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void interrupt_attempt(void *attempt) { forebay_attempt_interrupt(attempt); }

static void an_attempts_wait_is_interrupted_from_another_thread(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_attempt *attempt;
  forebay_ticket *ticket = ticket_of(cache, &source), *none;
  forebay_value *value;
  int32_t step;
  STATUS(FOREBAY_OK, forebay_attempt_begin(&attempt, cache, &source, NULL, &err));
  STATUS(FOREBAY_IN_FLIGHT, forebay_attempt_next(&step, &value, &none, attempt, &err));
  worker *w = worker_start(interrupt_attempt, attempt);
  forebay_status status;
  while ((status = forebay_attempt_wait(attempt, -1, &err)) == FOREBAY_OK) {
    STATUS(FOREBAY_IN_FLIGHT, forebay_attempt_next(&step, &value, &none, attempt, &err));
  }
  CHECK(status == FOREBAY_E_CANCELLED);
  forebay_error_free(err);
  err = NULL;
  worker_join(w);
  forebay_attempt_interrupt(attempt); /* before the wait: ends the next one, and only that */
  STATUS(FOREBAY_E_CANCELLED, forebay_attempt_wait(attempt, -1, &err));
  STATUS(FOREBAY_OK, forebay_attempt_wait(attempt, 1, &err));
  forebay_attempt_free(attempt);
  forebay_ticket_free(ticket);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(acquire_says_what_there_is),
    TEST(a_ticket_ends_once),
    TEST(a_ticket_knows_the_previous_value),
    TEST(a_put_supersedes_a_ticket),
    TEST(a_deadline_can_be_moved_and_a_lease_lost),
    TEST(answers_of_a_server_end_a_ticket),
    TEST(background_work_is_pulled),
    TEST(an_attempt_is_driven_by_the_host),
    TEST(each_mode_of_an_attempt),
    TEST(a_stale_value_is_served_when_the_wait_is_over),
    TEST(an_attempts_wait_is_interrupted_from_another_thread),
};
CHECK_MAIN(tests)
