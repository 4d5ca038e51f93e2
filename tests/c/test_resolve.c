/* Resolves that the host drives itself: each step, waiting for another, giving up, and what is refused. */
#include "check.h"
#include <string.h>

static forebay_error *err = NULL;

static forebay_quota *quota_open(forebay_cache *cache) {
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  forebay_quota *quota;
  options.name = forebay_str("usage");
  STATUS(FOREBAY_OK, forebay_quota_open(&quota, cache, &options, &err));
  return quota;
}

static forebay_resolve *begin(forebay_quota *quota) {
  forebay_resolve *resolve;
  STATUS(FOREBAY_OK, forebay_resolve_begin(&resolve, quota, &err));
  return resolve;
}

/* The next step has to be that one, without an answer. */
static void step_is(int32_t expected, forebay_resolve *resolve) {
  forebay_answer *answer;
  int32_t step = -1;
  STATUS(expected == FOREBAY_STEP_WAIT ? FOREBAY_IN_FLIGHT : FOREBAY_OK, forebay_resolve_next(&step, &answer, resolve, &err));
  CHECK(step == expected && answer == NULL);
}

static void give_credentials(forebay_resolve *resolve) {
  step_is(FOREBAY_STEP_CREDENTIALS, resolve);
  STATUS(FOREBAY_OK, forebay_resolve_credentials(resolve, "secret", 6, &err));
}

/* A resolve that was asked to fetch. */
static forebay_resolve *fetching(forebay_quota *quota) {
  forebay_resolve *resolve = begin(quota);
  give_credentials(resolve);
  step_is(FOREBAY_STEP_FETCH, resolve);
  return resolve;
}

static forebay_answer *done(forebay_status status, forebay_resolve *resolve) {
  forebay_answer *answer;
  int32_t step = -1;
  STATUS(status, forebay_resolve_next(&step, &answer, resolve, &err));
  CHECK(step == FOREBAY_STEP_DONE && (answer != NULL) == (status >= 0));
  return answer;
}

/* The resolve ends with that answer; frees both. */
static void ends(forebay_status status, int32_t how, const char *data, forebay_resolve *resolve) {
  forebay_answer *answer = done(status, resolve);
  CHECK(forebay_answer_how(answer) == how);
  TEXT(data, forebay_answer_data(answer, NULL));
  forebay_answer_free(answer);
  forebay_resolve_free(resolve);
}

static void store(forebay_quota *quota, const char *data) {
  forebay_resolve *resolve = fetching(quota);
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  commit.validator = forebay_str("W/\"7\"");
  STATUS(FOREBAY_OK, forebay_resolve_fetched(resolve, data, strlen(data), &commit, &err));
  ends(FOREBAY_OK, FOREBAY_HOW_RAN, data, resolve);
}

static void each_step_in_its_turn(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  forebay_answer *answer;
  int32_t step;
  size_t size = 0;
  forebay_resolve *resolve = begin(quota);
  CHECK(forebay_resolve_deadline_ms(resolve) == -1 && forebay_resolve_remaining_ms(resolve) == 0);
  CHECK(forebay_resolve_cancelled(resolve) == 0 && forebay_resolve_header_count(resolve) == 0);
  TEXT(NULL, forebay_resolve_credential(resolve, &size));
  give_credentials(resolve);
  step_is(FOREBAY_STEP_FETCH, resolve);
  step_is(FOREBAY_STEP_FETCH, resolve); /* until it is answered */
  CHECK(forebay_resolve_deadline_ms(resolve) == stage_now() + 2000 && forebay_resolve_remaining_ms(resolve) == 2000);
  CHECK(forebay_resolve_cancelled(resolve) == 0);
  TEXT("secret", forebay_resolve_credential(resolve, &size));
  CHECK(size == 6);
  TEXT(NULL, forebay_resolve_previous(resolve, &size));
  TEXT(NULL, forebay_resolve_validator(resolve, NULL));
  stage_advance(500);
  CHECK(forebay_resolve_remaining_ms(resolve) == 1500);
  STATUS(FOREBAY_OK, forebay_resolve_fetched(resolve, "[1]", 3, NULL, &err));
  answer = done(FOREBAY_OK, resolve);
  CHECK(forebay_answer_how(answer) == FOREBAY_HOW_RAN);
  forebay_answer_free(answer);
  TEXT("secret", forebay_resolve_credential(resolve, NULL)); /* lent until the resolve is freed */
  STATUS(FOREBAY_E_ALREADY_USED, forebay_resolve_next(&step, &answer, resolve, &err));
  CHECK(answer == NULL);
  forebay_resolve_free(resolve);
  ends(FOREBAY_OK, FOREBAY_HOW_FRESH, "[1]", begin(quota));
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void a_fetch_knows_what_was_there(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  size_t size = 0;
  store(quota, "{\"n\": 1}");
  stage_advance(200 * 1000);
  forebay_resolve *resolve = fetching(quota);
  TEXT("{\"n\": 1}", forebay_resolve_previous(resolve, &size));
  CHECK(size == 8 && forebay_resolve_header_count(resolve) == 1);
  TEXT("W/\"7\"", forebay_resolve_validator(resolve, NULL));
  TEXT("If-None-Match", forebay_resolve_header_name(resolve, 0));
  TEXT("W/\"7\"", forebay_resolve_header_value(resolve, 0));
  TEXT(NULL, forebay_resolve_header_name(resolve, 1));
  TEXT(NULL, forebay_resolve_header_value(resolve, 1));
  forebay_response response = FOREBAY_RESPONSE_INIT;
  response.status = 304;
  STATUS(FOREBAY_OK, forebay_resolve_respond(resolve, &response, &err));
  ends(FOREBAY_OK, FOREBAY_HOW_UNCHANGED, "{\"n\": 1}", resolve);
  stage_advance(200 * 1000);
  resolve = fetching(quota);
  response.status = 200;
  response.body = forebay_str("{\"n\": 2}");
  response.etag = forebay_str("\"8\"");
  STATUS(FOREBAY_OK, forebay_resolve_respond(resolve, &response, &err));
  ends(FOREBAY_OK, FOREBAY_HOW_RAN, "{\"n\": 2}", resolve);
  stage_advance(200 * 1000);
  resolve = fetching(quota);
  TEXT("\"8\"", forebay_resolve_validator(resolve, NULL));
  response.status = 0;
  STATUS(FOREBAY_E_INVALID, forebay_resolve_respond(resolve, &response, &err));
  STATUS(FOREBAY_OK, forebay_resolve_unchanged(resolve, NULL, &err));
  ends(FOREBAY_OK, FOREBAY_HOW_UNCHANGED, "{\"n\": 2}", resolve);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void a_failed_step_leads_to_the_fallback(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = FOREBAY_E_NO_CREDENTIALS;
  failure.message = forebay_str("no token");
  forebay_resolve *resolve = begin(quota);
  step_is(FOREBAY_STEP_CREDENTIALS, resolve);
  STATUS(FOREBAY_OK, forebay_resolve_credentials_failed(resolve, &failure, &err));
  step_is(FOREBAY_STEP_FALLBACK, resolve);
  STATUS(FOREBAY_OK, forebay_resolve_fallback(resolve, "[0]", 3, &err));
  forebay_answer *answer = done(FOREBAY_OK, resolve);
  CHECK(forebay_answer_how(answer) == FOREBAY_HOW_FALLBACK);
  CHECK(forebay_error_code(forebay_answer_error(answer)) == FOREBAY_E_NO_CREDENTIALS);
  TEXT("no token", forebay_error_host_text(forebay_answer_error(answer), NULL));
  forebay_answer_free(answer);
  forebay_resolve_free(resolve);

  resolve = fetching(quota); /* no gate came of it */
  failure.code = FOREBAY_E_UNAVAILABLE;
  failure.message = forebay_str("down");
  failure.retry_after_ms = 90 * 1000;
  STATUS(FOREBAY_OK, forebay_resolve_fetch_failed(resolve, &failure, &err));
  step_is(FOREBAY_STEP_FALLBACK, resolve);
  STATUS(FOREBAY_OK, forebay_resolve_fallback_failed(resolve, NULL, &err));
  forebay_answer *none;
  int32_t step;
  CHECK(forebay_resolve_next(&step, &none, resolve, &err) == FOREBAY_E_UNAVAILABLE && none == NULL);
  TEXT("down", forebay_error_host_text(err, NULL));
  CHECK(forebay_error_retry_at_ms(err) == stage_now() + 90 * 1000);
  forebay_error_free(err);
  err = NULL;
  forebay_resolve_free(resolve);

  resolve = begin(quota); /* gated: nothing is asked for but the fallback */
  step_is(FOREBAY_STEP_FALLBACK, resolve);
  STATUS(FOREBAY_OK, forebay_resolve_fallback(resolve, NULL, 0, &err));
  done(FOREBAY_E_UNAVAILABLE, resolve);
  forebay_resolve_free(resolve);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void only_what_was_asked_is_answered_and_once(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  forebay_resolve *resolve = begin(quota);
  STATUS(FOREBAY_E_INVALID, forebay_resolve_credentials(resolve, "x", 1, &err));
  step_is(FOREBAY_STEP_CREDENTIALS, resolve);
  STATUS(FOREBAY_E_INVALID, forebay_resolve_fetched(resolve, "1", 1, NULL, &err));
  STATUS(FOREBAY_E_INVALID, forebay_resolve_unchanged(resolve, NULL, &err));
  STATUS(FOREBAY_E_INVALID, forebay_resolve_fetch_failed(resolve, NULL, &err));
  STATUS(FOREBAY_E_INVALID, forebay_resolve_fallback(resolve, "1", 1, &err));
  STATUS(FOREBAY_E_INVALID, forebay_resolve_fallback_failed(resolve, NULL, &err));
  forebay_failure odd = FOREBAY_FAILURE_INIT;
  odd.not_sent = 2;
  STATUS(FOREBAY_E_INVALID, forebay_resolve_credentials_failed(resolve, &odd, &err));
  odd = (forebay_failure)FOREBAY_FAILURE_INIT;
  odd.reserved2 = 1;
  STATUS(FOREBAY_E_UNSUPPORTED, forebay_resolve_credentials_failed(resolve, &odd, &err));
  STATUS(FOREBAY_OK, forebay_resolve_credentials(resolve, "x", 1, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_resolve_credentials(resolve, "y", 1, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_resolve_credentials_failed(resolve, NULL, &err));
  step_is(FOREBAY_STEP_FETCH, resolve);
  TEXT("x", forebay_resolve_credential(resolve, NULL));
  STATUS(FOREBAY_OK, forebay_resolve_fetched(resolve, "1", 1, NULL, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_resolve_fetched(resolve, "2", 1, NULL, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_resolve_fetch_failed(resolve, NULL, &err));
  ends(FOREBAY_OK, FOREBAY_HOW_RAN, "1", resolve);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void who_comes_second_waits_and_gets_the_same(void) {
  forebay_cache *cache = stage_open(), *other = stage_open();
  forebay_quota *quota = quota_open(cache), *same = quota_open(other);
  forebay_quota_info *info;
  forebay_resolve *first = fetching(quota), *second = begin(same);
  step_is(FOREBAY_STEP_WAIT, second);
  STATUS(FOREBAY_ABSENT, forebay_quota_read(&info, same, &err));
  CHECK(forebay_quota_info_phase(info) == FOREBAY_PHASE_RUNNING && forebay_quota_info_holder(info) > 0);
  forebay_quota_info_free(info);
  STATUS(FOREBAY_OK, forebay_resolve_wait(second, 1, &err));
  STATUS(FOREBAY_OK, forebay_resolve_fetched(first, "1", 1, NULL, &err));
  ends(FOREBAY_OK, FOREBAY_HOW_RAN, "1", first);
  STATUS(FOREBAY_OK, forebay_resolve_wait(second, -1, &err));
  ends(FOREBAY_OK, FOREBAY_HOW_COALESCED, "1", second);

  stage_advance(200 * 1000); /* with stale data at hand nobody waits */
  first = fetching(quota);
  second = begin(same);
  ends(FOREBAY_STALE, FOREBAY_HOW_STALE, "1", second);
  forebay_resolve_free(first); /* without an answer: the next one fetches at once */
  first = fetching(same);
  STATUS(FOREBAY_OK, forebay_resolve_fetched(first, "2", 1, NULL, &err));
  ends(FOREBAY_OK, FOREBAY_HOW_RAN, "2", first);
  forebay_quota_free(quota);
  forebay_quota_free(same);
  forebay_cache_free(cache);
  forebay_cache_free(other);
}

static void a_clear_tells_the_fetch_that_it_is_of_no_use(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  store(quota, "1");
  stage_advance(200 * 1000);
  forebay_resolve *resolve = fetching(quota);
  CHECK(forebay_resolve_cancelled(resolve) == 0);
  STATUS(FOREBAY_OK, forebay_quota_clear(quota, &err));
  CHECK(forebay_resolve_cancelled(resolve) == 1);
  forebay_resolve_free(resolve);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void poll_until_cancelled(void *pointer) {
  const forebay_resolve *resolve = pointer;
  while (forebay_resolve_cancelled(resolve) == 0) {
    CHECK(forebay_resolve_remaining_ms(resolve) > 0);
    TEXT("secret", forebay_resolve_credential(resolve, NULL));
  }
}

static void a_fetch_is_watched_from_another_thread(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  forebay_resolve *resolve = fetching(quota);
  worker *w = worker_start(poll_until_cancelled, resolve);
  STATUS(FOREBAY_OK, forebay_resolve_fetched(resolve, "1", 1, NULL, &err));
  forebay_answer_free(done(FOREBAY_OK, resolve)); /* the end is told to whoever watches */
  worker_join(w);
  forebay_resolve_free(resolve);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void interrupt_resolve(void *resolve) { forebay_resolve_interrupt(resolve); }

static void a_wait_is_interrupted_from_another_thread(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  forebay_resolve *first = fetching(quota), *second = begin(quota);
  step_is(FOREBAY_STEP_WAIT, second);
  worker *w = worker_start(interrupt_resolve, second);
  forebay_status status;
  while ((status = forebay_resolve_wait(second, -1, &err)) == FOREBAY_OK) step_is(FOREBAY_STEP_WAIT, second);
  CHECK(status == FOREBAY_E_CANCELLED);
  forebay_error_free(err);
  err = NULL;
  worker_join(w);
  forebay_resolve_interrupt(second); /* before the wait: ends the next one, and only that */
  STATUS(FOREBAY_E_CANCELLED, forebay_resolve_wait(second, -1, &err));
  STATUS(FOREBAY_OK, forebay_resolve_wait(second, 1, &err));
  STATUS(FOREBAY_E_INVALID, forebay_resolve_wait(second, -2, &err));
  forebay_resolve_free(second);
  forebay_resolve_free(first);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void use_the_driven(void *userdata, forebay_resolve *resolve) {
  forebay_cache *cache = userdata;
  forebay_answer *answer;
  forebay_quota_info *info;
  int32_t step;
  STATUS(FOREBAY_E_INVALID, forebay_resolve_next(&step, &answer, resolve, &err));
  STATUS(FOREBAY_E_INVALID, forebay_resolve_wait(resolve, 0, &err));
  forebay_quota *quota = quota_open(cache); /* no lock is held: the same quota can be looked at, and others resolved */
  STATUS(FOREBAY_ABSENT, forebay_quota_read(&info, quota, &err));
  CHECK(forebay_quota_info_phase(info) == FOREBAY_PHASE_RUNNING);
  forebay_quota_info_free(info);
  forebay_quota_free(quota);
  stage_put(cache, "api/models", "x");
  STATUS(FOREBAY_OK, forebay_resolve_fetched(resolve, "1", 1, NULL, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_resolve_fetched(resolve, "2", 1, NULL, &err));
}

static void a_function_cannot_drive_the_resolve_that_called_it(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  forebay_quota_source source = {sizeof source, cache, NULL, use_the_driven, NULL, NULL};
  forebay_answer *answer;
  STATUS(FOREBAY_OK, forebay_quota_resolve(&answer, quota, &source, &err));
  TEXT("1", forebay_answer_data(answer, NULL));
  forebay_answer_free(answer);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void what_cannot_be_stored_is_returned_all_the_same(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  forebay_resolve *resolve = fetching(quota);
  forebay_quota_clear(quota, NULL); /* the lease is gone */
  STATUS(FOREBAY_OK, forebay_resolve_fetched(resolve, "1", 1, NULL, &err));
  forebay_answer *answer = done(FOREBAY_OK, resolve);
  CHECK(forebay_answer_how(answer) == FOREBAY_HOW_UNCOORDINATED && forebay_answer_error(answer) != NULL);
  TEXT("1", forebay_answer_data(answer, NULL));
  forebay_answer_free(answer);
  forebay_resolve_free(resolve);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(each_step_in_its_turn),
    TEST(a_fetch_knows_what_was_there),
    TEST(a_failed_step_leads_to_the_fallback),
    TEST(only_what_was_asked_is_answered_and_once),
    TEST(who_comes_second_waits_and_gets_the_same),
    TEST(a_clear_tells_the_fetch_that_it_is_of_no_use),
    TEST(a_fetch_is_watched_from_another_thread),
    TEST(a_wait_is_interrupted_from_another_thread),
    TEST(a_function_cannot_drive_the_resolve_that_called_it),
    TEST(what_cannot_be_stored_is_returned_all_the_same),
};
CHECK_MAIN(tests)
