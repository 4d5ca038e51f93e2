/* Refreshing by callback: what runs, where, how often, and that what belongs to a callback is given back once. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static forebay_error *err = NULL;

/* What a test's refresher does, and what was done to it. */
typedef struct script {
  const char *text;      /* completes with it, where it is not NULL */
  const char *fails;     /* fails with it, where it is not NULL */
  forebay_cache *cache;  /* for those that call back */
  event *entered, *release;
  forebay_ticket *kept;
  worker *later;
  atomic_int runs, drops;
} script;

static void drop_script(void *userdata) { atomic_fetch_add(&((script *)userdata)->drops, 1); }

static void run_script(void *userdata, forebay_ticket *ticket) {
  script *s = userdata;
  forebay_error *error = NULL;
  atomic_fetch_add(&s->runs, 1);
  if (s->entered != NULL) event_set(s->entered);
  if (s->release != NULL) event_wait(s->release);
  if (s->text != NULL) {
    CHECK(forebay_ticket_complete(NULL, ticket, s->text, strlen(s->text), NULL, &error) >= 0);
  } else if (s->fails != NULL) {
    forebay_failure failure = FOREBAY_FAILURE_INIT;
    failure.message = forebay_str(s->fails);
    CHECK(forebay_ticket_fail(ticket, &failure, &error) >= 0);
  }
}

static forebay_refresher refresher_of(script *s) {
  forebay_refresher refresher = {sizeof refresher, s, run_script, drop_script};
  return refresher;
}

/* The thread of a background refresh gives userdata back when it has returned, perhaps after the call: until then the
   script has to live. Poll, with a deadline. */
static void wait_for_drops(script *s, int drops) {
  const struct timespec slice = {0, 1000000};
  for (int slices = 0; s->drops < drops; slices++) {
    CHECK(slices < 20000);
    nanosleep(&slice, NULL);
  }
  CHECK(s->drops == drops);
}

static void get_runs_the_refresher_once_and_then_has_a_fresh_value(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  script s = {.text = "one"};
  forebay_refresher fetch = refresher_of(&s);
  forebay_value *value;
  STATUS(FOREBAY_OK, forebay_get(&value, cache, &source, &fetch, -1, &err));
  CHECK(value_is(value, "one") && forebay_value_how(value) == FOREBAY_HOW_RAN);
  forebay_value_free(value);
  STATUS(FOREBAY_OK, forebay_get(&value, cache, &source, &fetch, 0, &err));
  CHECK(value_is(value, "one") && forebay_value_how(value) == FOREBAY_HOW_FRESH);
  forebay_value_free(value);
  STATUS(FOREBAY_OK, forebay_refresh(&value, cache, &source, &fetch, &err));
  CHECK(forebay_value_how(value) == FOREBAY_HOW_RAN);
  forebay_value_free(value);
  forebay_refresh_options options = FOREBAY_REFRESH_OPTIONS_INIT;
  options.min_fresh_at_ms = stage_now() - 1000;
  STATUS(FOREBAY_OK, forebay_refresh_with(&value, cache, &source, &options, &fetch, &err));
  CHECK(forebay_value_how(value) == FOREBAY_HOW_FRESH);
  forebay_value_free(value);
  STATUS(FOREBAY_OK, forebay_maybe_refresh_sync(&value, cache, &source, &fetch, &err));
  forebay_value_free(value);
  CHECK(s.runs == 2 && s.drops == 5);
  forebay_cache_free(cache);
}

static void drop_runs_once_also_when_the_call_fails(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options good = stage_source("api/models"), bad = stage_source("");
  forebay_value *value;
  script s = {.text = "one"};
  forebay_refresher fetch = refresher_of(&s), nothing = refresher_of(&s);
  nothing.refresh = NULL;
  int calls = 0;
#define DROPS(expected, call) (STATUS(expected, call), CHECK(++calls == s.drops))
  DROPS(FOREBAY_E_INVALID, forebay_get(&value, cache, &bad, &fetch, -1, &err));
  DROPS(FOREBAY_E_INVALID, forebay_get(&value, NULL, &good, &fetch, -1, &err));
  DROPS(FOREBAY_E_INVALID, forebay_get(&value, cache, NULL, &fetch, -1, &err));
  DROPS(FOREBAY_E_INVALID, forebay_get(NULL, cache, &good, &fetch, -1, &err));
  DROPS(FOREBAY_E_INVALID, forebay_get(&value, cache, &good, &fetch, -2, &err));
  DROPS(FOREBAY_E_INVALID, forebay_get(&value, cache, &good, &nothing, -1, &err));
  DROPS(FOREBAY_E_INVALID, forebay_refresh(&value, cache, &bad, &fetch, &err));
  DROPS(FOREBAY_E_INVALID, forebay_refresh_with(&value, cache, &bad, NULL, &fetch, &err));
  DROPS(FOREBAY_E_INVALID, forebay_maybe_refresh(cache, &bad, &fetch, &err));
  DROPS(FOREBAY_E_INVALID, forebay_maybe_refresh_sync(&value, cache, &bad, &fetch, &err));
  CHECK(s.runs == 0);
  s.text = NULL;
  s.fails = "no";
  DROPS(FOREBAY_E_REFRESH_FAILED, forebay_get(&value, cache, &good, &fetch, -1, &err));
  DROPS(FOREBAY_E_GATED, forebay_get(&value, cache, &good, &fetch, 0, &err));
  DROPS(FOREBAY_GATED, forebay_maybe_refresh(cache, &good, &fetch, &err));
  CHECK(s.runs == 1);
  STATUS(FOREBAY_OK, forebay_close(cache, -1, &err));
  DROPS(FOREBAY_E_CLOSED, forebay_get(&value, cache, &good, &fetch, 0, &err));
  forebay_cache_free(cache);
}

static void a_failure_keeps_the_hosts_words_and_the_old_value(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  script s = {.fails = "socket: \xe2\x9c\x97 refused\n"};
  forebay_refresher fetch = refresher_of(&s);
  forebay_value *value;
  forebay_error *error = NULL;
  CHECK(forebay_refresh(&value, cache, &source, &fetch, &error) == FOREBAY_E_REFRESH_FAILED);
  TEXT("socket: \xe2\x9c\x97 refused\n", forebay_error_host_text(error, NULL));
  CHECK(value == NULL && forebay_error_retry_at_ms(error) > stage_now());
  forebay_error_free(error);
  forebay_refresh_info *info;
  STATUS(FOREBAY_OK, forebay_refresh_state(&info, cache, &source, &err));
  CHECK(forebay_refresh_info_phase(info) == FOREBAY_PHASE_COOLING && forebay_refresh_info_failed(info) == 1);
  CHECK(forebay_error_code(forebay_refresh_info_last_error(info)) == FOREBAY_E_REFRESH_FAILED);
  CHECK(forebay_refresh_info_attempts(info) == 1);
  forebay_refresh_info_free(info);
  stage_put(cache, "api/models", "old");
  stage_advance(60 * 1000);
  STATUS(FOREBAY_STALE, forebay_get(&value, cache, &source, &fetch, -1, &err));
  CHECK(value_is(value, "old") && forebay_value_how(value) == FOREBAY_HOW_STALE);
  CHECK(forebay_error_code(forebay_value_error(value)) == FOREBAY_E_REFRESH_FAILED);
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void read_error(void *pointer) {
  forebay_error *error = pointer;
  CHECK(forebay_error_code(error) == FOREBAY_E_INVALID && strlen(forebay_error_text(error, NULL)) > 0);
  CHECK(forebay_error_hint(error, NULL) != NULL && forebay_error_path(error, NULL) == NULL);
  CHECK(forebay_error_os(error) == 0 && forebay_error_retry_at_ms(error) == -1);
  forebay_error_free(error);
}

static void an_error_is_read_on_another_thread(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options bad = stage_source("");
  forebay_value *value;
  forebay_error *error = NULL;
  CHECK(forebay_read(&value, cache, &bad, &error) == FOREBAY_E_INVALID);
  worker_join(worker_start(read_error, error));
  forebay_cache_free(cache);
}

static void an_error_of_the_system_has_errno_and_path(void) {
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  forebay_cache *cache = NULL;
  forebay_error *error = NULL;
  char file[640];
  snprintf(file, sizeof file, "%s/file", stage_dir);
  FILE *made = fopen(file, "w");
  CHECK(made != NULL && fclose(made) == 0);
  options.root = forebay_str(file);
  forebay_status status = forebay_open(&cache, &options, &error);
  if (status >= 0) { /* opening may look at nothing; writing has to */
    forebay_source_options source = stage_source("a");
    status = forebay_put(NULL, cache, &source, "x", 1, NULL, &error);
  }
  CHECK(status < 0 && forebay_error_path(error, NULL) != NULL && strstr(forebay_error_path(error, NULL), file) != NULL);
  CHECK(strstr(forebay_error_text(error, NULL), file) != NULL && forebay_error_hint(error, NULL) != NULL);
  forebay_error_free(error);
  forebay_cache_free(cache);
}

static void complete_kept(void *pointer) {
  script *s = pointer;
  forebay_error *error = NULL;
  event_wait(s->release);
  CHECK(forebay_ticket_complete(NULL, s->kept, "later", 5, NULL, &error) == FOREBAY_OK);
  forebay_ticket_free(s->kept);
}

static void keep_ticket(void *userdata, forebay_ticket *ticket) {
  script *s = userdata;
  atomic_fetch_add(&s->runs, 1);
  s->kept = forebay_ticket_retain(ticket);
  s->later = worker_start(complete_kept, s);
  event_set(s->release);
}

static void a_ticket_may_be_ended_later_by_another_thread(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_value *value;
  for (int64_t wait = -1; wait < 20000; wait += 20000) {
    script s = {.release = event_new()};
    forebay_refresher fetch = {sizeof fetch, &s, keep_ticket, drop_script};
    STATUS(FOREBAY_OK, forebay_get(&value, cache, &source, &fetch, wait, &err));
    CHECK(value_is(value, "later") && forebay_value_how(value) == FOREBAY_HOW_RAN);
    forebay_value_free(value);
    worker_join(s.later);
    wait_for_drops(&s, 1);
    CHECK(s.runs == 1);
    event_free(s.release);
    STATUS(FOREBAY_OK, forebay_remove(cache, &source, &err));
  }
  forebay_cache_free(cache);
}

static void a_ticket_that_nobody_ends_is_abandoned(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  script never = {0}, once = {.text = "x"};
  forebay_refresher leaves = refresher_of(&never), fetch = refresher_of(&once);
  forebay_value *value;
  STATUS(FOREBAY_E_HOLDER_DIED, forebay_get(&value, cache, &source, &leaves, -1, &err));
  CHECK(value == NULL && never.runs == 1 && never.drops == 1);
  forebay_refresh_options anyway = FOREBAY_REFRESH_OPTIONS_INIT;
  anyway.override_gate = 1;
  STATUS(FOREBAY_OK, forebay_refresh_with(&value, cache, &source, &anyway, &fetch, &err));
  CHECK(value_is(value, "x"));
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void maybe_refresh_works_in_the_background(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  script slow = {.text = "new", .entered = event_new(), .release = event_new()}, other = {.text = "other"};
  forebay_refresher fetch = refresher_of(&slow), second = refresher_of(&other);
  forebay_value *value;
  stage_put(cache, "api/models", "old");
  stage_advance(60 * 1000);
  STATUS(FOREBAY_OK, forebay_maybe_refresh(cache, &source, &fetch, &err));
  event_wait(slow.entered);
  STATUS(FOREBAY_IN_FLIGHT, forebay_maybe_refresh(cache, &source, &second, &err));
  CHECK(other.runs == 0 && other.drops == 1);
  forebay_interrupt *stop;
  STATUS(FOREBAY_OK, forebay_interrupt_new(&stop, &err));
  STATUS(FOREBAY_E_TIMED_OUT, forebay_drain(cache, 0, stop, &err));
  forebay_interrupt_set(stop);
  STATUS(FOREBAY_E_CANCELLED, forebay_drain(cache, -1, stop, &err));
  forebay_interrupt_free(stop);
  STATUS(FOREBAY_STALE, forebay_get(&value, cache, &source, &second, 0, &err));
  CHECK(value_is(value, "old") && forebay_value_phase(value) == FOREBAY_PHASE_RUNNING);
  forebay_value_free(value);
  event_set(slow.release);
  STATUS(FOREBAY_OK, forebay_get(&value, cache, &source, &second, 20000, &err));
  CHECK(value_is(value, "new") && other.runs == 0);
  forebay_value_free(value);
  STATUS(FOREBAY_FRESH, forebay_maybe_refresh(cache, &source, &second, &err));
  STATUS(FOREBAY_OK, forebay_close(cache, 20000, &err));
  forebay_cache_free(cache);
  wait_for_drops(&slow, 1);
  event_free(slow.entered);
  event_free(slow.release);
}

static void closing_during_a_refresh_still_drops_once(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  script s = {.entered = event_new(), .release = event_new()};
  forebay_refresher fetch = refresher_of(&s);
  STATUS(FOREBAY_OK, forebay_maybe_refresh(cache, &source, &fetch, &err));
  event_wait(s.entered);
  STATUS(FOREBAY_OK, forebay_close(cache, -1, &err));
  forebay_cache_free(cache);
  CHECK(s.drops == 0);
  event_set(s.release);
  wait_for_drops(&s, 1);
  event_free(s.entered);
  event_free(s.release);
}

static void call_back(void *userdata, forebay_ticket *ticket) {
  script *s = userdata;
  forebay_error *error = NULL;
  forebay_value *value;
  forebay_source_options same = stage_source("api/models"), other = stage_source("api/other");
  script inner = {.text = "inner"};
  forebay_refresher fetch = refresher_of(&inner);
  atomic_fetch_add(&s->runs, 1);
  CHECK(forebay_read(&value, s->cache, &same, &error) == FOREBAY_STALE);
  forebay_value_free(value);
  CHECK(forebay_maybe_refresh(s->cache, &same, &fetch, &error) == FOREBAY_IN_FLIGHT);
  CHECK(forebay_get(&value, s->cache, &same, &fetch, 0, &error) == FOREBAY_STALE);
  CHECK(value_is(value, "old"));
  forebay_value_free(value);
  CHECK(inner.runs == 0 && inner.drops == 2);
  CHECK(forebay_get(&value, s->cache, &other, &fetch, -1, &error) == FOREBAY_OK);
  CHECK(value_is(value, "inner"));
  forebay_value_free(value);
  CHECK(forebay_put(NULL, s->cache, &other, "put", 3, NULL, &error) == FOREBAY_OK);
  forebay_listing *listing;
  CHECK(forebay_list(&listing, s->cache, &error) == FOREBAY_OK);
  CHECK(forebay_listing_count(listing) == 2);
  forebay_listing_free(listing);
  CHECK(forebay_ticket_complete(NULL, ticket, "outer", 5, NULL, &error) == FOREBAY_OK);
}

static void a_refresher_may_call_back(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models"), other = stage_source("api/other");
  script s = {.cache = cache};
  forebay_refresher fetch = {sizeof fetch, &s, call_back, drop_script};
  forebay_value *value;
  for (int64_t wait = -1; wait < 20000; wait += 20000) {
    stage_put(cache, "api/models", "old");
    stage_advance(60 * 1000);
    STATUS(wait < 0 ? FOREBAY_ABSENT : FOREBAY_OK, forebay_remove(cache, &other, &err));
    STATUS(FOREBAY_OK, forebay_get(&value, cache, &source, &fetch, wait, &err));
    CHECK(value_is(value, "outer"));
    forebay_value_free(value);
  }
  wait_for_drops(&s, 2);
  CHECK(s.runs == 2);
  forebay_cache_free(cache);
}

typedef struct progress_log {
  size_t calls, failures;
  int drops;
  bool in_order;
} progress_log;

static void log_progress(void *userdata, size_t done, size_t total, forebay_slice key, forebay_status status) {
  progress_log *log = userdata;
  log->in_order = done == log->calls + 1 && total == 9;
  log->calls++;
  log->failures += status < 0;
  CHECK(status == FOREBAY_E_INVALID || key.size > 0);
}

static void drop_log(void *userdata) { ((progress_log *)userdata)->drops++; }

static void many_sources_are_refreshed_side_by_side(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options sources[9];
  script scripts[9];
  forebay_refresher refreshers[9];
  forebay_refresh_item items[9];
  char keys[9][20], texts[9][20];
  progress_log log = {0};
  forebay_progress progress = {sizeof progress, &log, log_progress, drop_log};
  forebay_results *results;
  memset(scripts, 0, sizeof scripts);
  for (int at = 0; at < 9; at++) {
    snprintf(keys[at], sizeof keys[at], at == 8 ? "" : "api/%d", at);
    snprintf(texts[at], sizeof texts[at], "value %d", at);
    sources[at] = stage_source(keys[at]);
    scripts[at].text = at == 7 ? NULL : texts[at];
    scripts[at].fails = at == 7 ? "no" : NULL;
    refreshers[at] = refresher_of(&scripts[at]);
    items[at] = (forebay_refresh_item){&sources[at], &refreshers[at]};
  }
  STATUS(FOREBAY_E_INVALID, forebay_refresh_many(&results, cache, items, 9, 0, &progress, &err));
  CHECK(results == NULL && log.drops == 1);
  for (int at = 0; at < 9; at++) CHECK(scripts[at].drops == 1 && scripts[at].runs == 0);
  STATUS(FOREBAY_OK, forebay_refresh_many(&results, cache, items, 9, 3, &progress, &err));
  CHECK(forebay_results_count(results) == 9 && log.calls == 9 && log.in_order && log.failures == 2 && log.drops == 2);
  for (size_t at = 0; at < 7; at++) {
    CHECK(forebay_results_status(results, at) == FOREBAY_OK && value_is(forebay_results_value(results, at), texts[at]));
    CHECK(forebay_results_error(results, at) == NULL && scripts[at].runs == 1);
  }
  CHECK(forebay_results_status(results, 7) == FOREBAY_E_REFRESH_FAILED && forebay_results_value(results, 7) == NULL);
  TEXT("no", forebay_error_host_text(forebay_results_error(results, 7), NULL));
  CHECK(forebay_results_status(results, 8) == FOREBAY_E_INVALID);
  CHECK(forebay_results_status(results, 9) == FOREBAY_E_NOT_FOUND && forebay_results_value(results, 9) == NULL);
  forebay_value *kept = forebay_value_retain(forebay_results_value(results, 0));
  forebay_results_free(results);
  CHECK(value_is(kept, "value 0"));
  forebay_value_free(kept);
  for (int at = 0; at < 9; at++) CHECK(scripts[at].drops == 2);
  STATUS(FOREBAY_OK, forebay_refresh_many(&results, cache, NULL, 0, 1, NULL, &err));
  CHECK(forebay_results_count(results) == 0);
  forebay_results_free(results);
  forebay_cache_free(cache);
}

static void a_value_of_64_mib_is_stored_whole(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/large");
  size_t size = 64u << 20;
  char *large = malloc(size);
  forebay_value *value;
  forebay_ticket *ticket;
  CHECK(large != NULL);
  memset(large, 7, size);
  STATUS(FOREBAY_OK, forebay_acquire(&ticket, NULL, NULL, cache, &source, NULL, &err));
  STATUS(FOREBAY_OK, forebay_ticket_complete(&value, ticket, large, size, NULL, &err));
  CHECK(forebay_value_size(value) == size && memcmp(forebay_value_data(value), large, size) == 0);
  forebay_value_free(value);
  forebay_ticket_free(ticket);
  free(large);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(get_runs_the_refresher_once_and_then_has_a_fresh_value),
    TEST(drop_runs_once_also_when_the_call_fails),
    TEST(a_failure_keeps_the_hosts_words_and_the_old_value),
    TEST(an_error_is_read_on_another_thread),
    TEST(an_error_of_the_system_has_errno_and_path),
    TEST(a_ticket_may_be_ended_later_by_another_thread),
    TEST(a_ticket_that_nobody_ends_is_abandoned),
    TEST(maybe_refresh_works_in_the_background),
    TEST(closing_during_a_refresh_still_drops_once),
    TEST(a_refresher_may_call_back),
    TEST(many_sources_are_refreshed_side_by_side),
    TEST(a_value_of_64_mib_is_stored_whole),
};
CHECK_MAIN(tests)
