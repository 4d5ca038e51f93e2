/* Quotas by callback: what is asked when, what is served meanwhile, and what is recorded. */
#include "check.h"
#include <stdio.h>
#include <string.h>

static forebay_error *err = NULL;

/* A server and a host, as one resolve sees them. */
typedef struct host {
  const char *token, *data, *instead; /* NULL: that function fails, or, of `instead`, has nothing */
  forebay_response response;          /* with a status: what the fetch answers */
  const char *failing;                /* with a text: the fetch fails with it */
  bool silent, unchanged;
  int asked, fetched, fell_back, dropped;
  char credential[32], previous[64], validator[32];
} host;

static void give_token(void *userdata, forebay_resolve *resolve) {
  host *h = userdata;
  h->asked++;
  if (h->token != NULL) {
    STATUS(FOREBAY_OK, forebay_resolve_credentials(resolve, h->token, strlen(h->token), &err));
  } else if (!h->silent) {
    forebay_failure failure = FOREBAY_FAILURE_INIT;
    failure.code = FOREBAY_E_NO_CREDENTIALS;
    failure.message = forebay_str("log in first");
    STATUS(FOREBAY_OK, forebay_resolve_credentials_failed(resolve, &failure, &err));
  }
}

static void fetch(void *userdata, forebay_resolve *resolve) {
  host *h = userdata;
  size_t size = 0;
  h->fetched++;
  const char *credential = forebay_resolve_credential(resolve, &size);
  CHECK(credential != NULL && size == strlen(credential));
  snprintf(h->credential, sizeof h->credential, "%s", credential);
  const char *previous = forebay_resolve_previous(resolve, &size), *validator = forebay_resolve_validator(resolve, NULL);
  CHECK(previous == NULL ? size == 0 : size == strlen(previous));
  snprintf(h->previous, sizeof h->previous, "%s", previous != NULL ? previous : "none");
  snprintf(h->validator, sizeof h->validator, "%s", validator != NULL ? validator : "none");
  if (h->silent) return;
  if (h->failing != NULL) {
    forebay_failure failure = FOREBAY_FAILURE_INIT;
    failure.message = forebay_str(h->failing);
    STATUS(FOREBAY_OK, forebay_resolve_fetch_failed(resolve, &failure, &err));
  } else if (h->response.status != 0) {
    STATUS(FOREBAY_OK, forebay_resolve_respond(resolve, &h->response, &err));
  } else if (h->unchanged) {
    STATUS(FOREBAY_OK, forebay_resolve_unchanged(resolve, NULL, &err));
  } else {
    forebay_commit commit = FOREBAY_COMMIT_INIT;
    commit.validator = forebay_str("\"v1\"");
    STATUS(FOREBAY_OK, forebay_resolve_fetched(resolve, h->data, strlen(h->data), &commit, &err));
  }
}

static void count_locally(void *userdata, forebay_resolve *resolve) {
  host *h = userdata;
  h->fell_back++;
  size_t size = h->instead != NULL ? strlen(h->instead) : 0;
  STATUS(FOREBAY_OK, forebay_resolve_fallback(resolve, h->instead, size, &err));
}

static void dropped(void *userdata) { ((host *)userdata)->dropped++; }

static host host_make(void) {
  host h = {.token = "token-1", .data = "{\"used\": 7}", .response = FOREBAY_RESPONSE_INIT};
  return h;
}

static forebay_quota *quota_open(forebay_cache *cache, const char *identity) {
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  forebay_quota *quota;
  options.name = forebay_str("usage");
  options.identity = forebay_str(identity);
  STATUS(FOREBAY_OK, forebay_quota_open(&quota, cache, &options, &err));
  return quota;
}

static forebay_answer *resolve(forebay_status expected, forebay_quota *quota, host *h) {
  forebay_quota_source source = {sizeof source, h, give_token, fetch, count_locally, dropped};
  forebay_answer *answer;
  int before = h->dropped;
  STATUS(expected, forebay_quota_resolve(&answer, quota, &source, &err));
  CHECK(h->dropped == before + 1 && (answer != NULL) == (expected >= 0));
  return answer;
}

static void answer_with_status(host *h, int status, const char *retry_after) {
  h->response = (forebay_response)FOREBAY_RESPONSE_INIT;
  h->response.status = status;
  h->response.retry_after = forebay_str(retry_after);
}

static void nothing_is_asked_while_the_data_is_fresh(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache, NULL);
  host h = host_make();
  size_t size = 0;
  forebay_answer *answer = resolve(FOREBAY_OK, quota, &h);
  TEXT("{\"used\": 7}", forebay_answer_data(answer, &size));
  CHECK(size == 11 && forebay_answer_how(answer) == FOREBAY_HOW_RAN && forebay_answer_state(answer) == FOREBAY_STATE_FRESH);
  CHECK(forebay_answer_age_ms(answer) == 0 && forebay_answer_cached_at_ms(answer) == stage_now());
  CHECK(forebay_answer_retry_at_ms(answer) == -1 && forebay_answer_error(answer) == NULL);
  TEXT("token-1", h.credential);
  TEXT("none", h.previous);
  forebay_answer_free(answer);

  stage_advance(179 * 1000);
  answer = resolve(FOREBAY_OK, quota, &h);
  TEXT("{\"used\": 7}", forebay_answer_data(answer, NULL));
  CHECK(forebay_answer_how(answer) == FOREBAY_HOW_FRESH && forebay_answer_age_ms(answer) == 179 * 1000);
  CHECK(h.asked == 1 && h.fetched == 1 && h.fell_back == 0);
  forebay_answer_free(answer);

  stage_advance(1000);
  h.unchanged = true;
  answer = resolve(FOREBAY_OK, quota, &h);
  CHECK(h.fetched == 2 && forebay_answer_how(answer) == FOREBAY_HOW_UNCHANGED && forebay_answer_age_ms(answer) == 0);
  TEXT("{\"used\": 7}", forebay_answer_data(answer, NULL));
  TEXT("{\"used\": 7}", h.previous);
  TEXT("\"v1\"", h.validator);
  forebay_quota_free(quota);
  forebay_cache_free(cache); /* the answer needs neither */
  TEXT("{\"used\": 7}", forebay_answer_data(answer, NULL));
  forebay_answer_free(answer);
}

static void a_rate_limit_lets_nobody_fetch_and_serves_what_there_is(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache, NULL);
  host h = host_make();
  forebay_answer_free(resolve(FOREBAY_OK, quota, &h));
  stage_advance(200 * 1000);
  answer_with_status(&h, 429, "120");
  for (int round = 0; round < 2; round++) { /* the second without asking anybody */
    forebay_answer *answer = resolve(FOREBAY_STALE, quota, &h);
    CHECK(forebay_answer_how(answer) == FOREBAY_HOW_STALE && forebay_answer_state(answer) == FOREBAY_STATE_STALE);
    CHECK(forebay_answer_age_ms(answer) == 200 * 1000 && forebay_answer_cached_at_ms(answer) == stage_now() - 200 * 1000);
    CHECK(forebay_answer_retry_at_ms(answer) == stage_now() + 120 * 1000);
    CHECK(forebay_error_code(forebay_answer_error(answer)) == FOREBAY_E_RATE_LIMITED);
    CHECK(h.asked == 2 && h.fetched == 2 && h.fell_back == 0);
    forebay_answer_free(answer);
  }
  stage_advance(120 * 1000);
  h.response.status = 0;
  forebay_answer *answer = resolve(FOREBAY_OK, quota, &h);
  CHECK(h.fetched == 3 && forebay_answer_how(answer) == FOREBAY_HOW_RAN && forebay_answer_retry_at_ms(answer) == -1);
  forebay_answer_free(answer);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void without_data_the_fallback_answers_and_else_the_failure(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache, NULL);
  forebay_answer *answer;
  host h = host_make();
  h.failing = "the line is dead";
  forebay_quota_source source = {sizeof source, &h, give_token, fetch, NULL, NULL};
  CHECK(forebay_quota_resolve(&answer, quota, &source, &err) == FOREBAY_E_REFRESH_FAILED && answer == NULL);
  TEXT("the line is dead", forebay_error_host_text(err, NULL));
  CHECK(forebay_error_code(err) == FOREBAY_E_REFRESH_FAILED && forebay_error_retry_at_ms(err) == stage_now() + 1000);
  forebay_error_free(err);
  /* The gate holds: recorded, and not this process's own words any more. */
  CHECK(forebay_quota_resolve(&answer, quota, &source, &err) == FOREBAY_E_REFRESH_FAILED && h.fetched == 1);
  TEXT(NULL, forebay_error_host_text(err, NULL));
  CHECK(strstr(forebay_error_text(err, NULL), "the line is dead") != NULL && forebay_error_retry_at_ms(err) > stage_now());
  forebay_error_free(err);
  err = NULL;
  resolve(FOREBAY_E_REFRESH_FAILED, quota, &h); /* a fallback that has nothing hides nothing */
  CHECK(h.fell_back == 1 && h.fetched == 1);
  h.instead = "{\"used\": 3}";
  answer = resolve(FOREBAY_OK, quota, &h);
  TEXT("{\"used\": 3}", forebay_answer_data(answer, NULL));
  CHECK(forebay_answer_how(answer) == FOREBAY_HOW_FALLBACK && forebay_answer_cached_at_ms(answer) == -1);
  CHECK(forebay_error_code(forebay_answer_error(answer)) == FOREBAY_E_REFRESH_FAILED);
  CHECK(forebay_answer_retry_at_ms(answer) > stage_now() && h.fell_back == 2 && h.fetched == 1);
  forebay_answer_free(answer);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void refused_credentials_end_the_data(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache, NULL);
  host h = host_make();
  forebay_answer_free(resolve(FOREBAY_OK, quota, &h));
  stage_advance(200 * 1000);
  answer_with_status(&h, 401, NULL);
  resolve(FOREBAY_E_UNAUTHORIZED, quota, &h);
  CHECK(h.fetched == 2);
  resolve(FOREBAY_E_UNAUTHORIZED, quota, &h);
  CHECK(h.fetched == 2 && h.asked == 3); /* asked only to see whether the login is another now */
  h.token = "token-2";
  h.response.status = 0;
  forebay_answer *answer = resolve(FOREBAY_OK, quota, &h);
  CHECK(h.fetched == 3 && forebay_answer_how(answer) == FOREBAY_HOW_RAN);
  TEXT("token-2", h.credential);
  TEXT("none", h.previous);
  forebay_answer_free(answer);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void without_credentials_nothing_is_fetched_or_blocked(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache, NULL);
  forebay_quota_info *info;
  forebay_answer *answer;
  host h = host_make();
  h.token = NULL;
  resolve(FOREBAY_E_NO_CREDENTIALS, quota, &h);
  CHECK(h.fetched == 0 && h.fell_back == 1);
  h.silent = true; /* as if it had said that it has none */
  forebay_quota_source source = {sizeof source, &h, give_token, fetch, NULL, NULL};
  CHECK(forebay_quota_resolve(&answer, quota, &source, NULL) < 0 && h.fetched == 0);
  STATUS(FOREBAY_ABSENT, forebay_quota_read(&info, quota, &err));
  CHECK(forebay_quota_info_blocked_until_ms(info) == -1 && forebay_quota_info_phase(info) == FOREBAY_PHASE_IDLE);
  forebay_quota_info_free(info);
  h.silent = false;
  source.credentials = NULL; /* none are needed: an empty one is handed on */
  STATUS(FOREBAY_OK, forebay_quota_resolve(&answer, quota, &source, &err));
  TEXT("", h.credential);
  CHECK(h.fetched == 1);
  forebay_answer_free(answer);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void what_is_no_answer_counts_as_a_failure(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache, NULL);
  host h = host_make();
  h.data = "{\"used\": ";
  resolve(FOREBAY_E_REFRESH_FAILED, quota, &h);
  stage_advance(1000);
  h.data = "";
  resolve(FOREBAY_E_REFRESH_FAILED, quota, &h);
  stage_advance(2000);
  h.silent = true;
  resolve(FOREBAY_E_REFRESH_FAILED, quota, &h);
  CHECK(h.fetched == 3 && h.fell_back == 3);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void drop_is_called_once_whatever_happens(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache, NULL);
  forebay_answer *answer;
  host h = host_make();
  forebay_quota_source source = {sizeof source, &h, NULL, NULL, NULL, dropped};
  STATUS(FOREBAY_E_INVALID, forebay_quota_resolve(&answer, quota, &source, &err));
  CHECK(h.dropped == 1);
  source.fetch = fetch;
  STATUS(FOREBAY_E_INVALID, forebay_quota_resolve(&answer, NULL, &source, &err));
  STATUS(FOREBAY_E_INVALID, forebay_quota_resolve(NULL, quota, &source, &err));
  CHECK(h.dropped == 3);
  forebay_answer_free(resolve(FOREBAY_OK, quota, &h));
  forebay_answer_free(resolve(FOREBAY_OK, quota, &h));
  STATUS(FOREBAY_OK, forebay_close(cache, -1, &err));
  resolve(FOREBAY_E_CLOSED, quota, &h);
  CHECK(h.dropped == 6 && h.fetched == 1);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void accounts_have_records_and_gates_of_their_own(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *nobody = quota_open(cache, NULL), *ann = quota_open(cache, "ann"), *bob = quota_open(cache, "bob");
  forebay_quota_listing *listing;
  host h = host_make();
  size_t size = 0;
  TEXT("usage", forebay_quota_key(nobody, &size));
  CHECK(size == 5 && strlen(forebay_quota_key(ann, NULL)) == 5 + 1 + 16);
  h.data = "{\"of\": \"ann\"}";
  forebay_answer_free(resolve(FOREBAY_OK, ann, &h));
  answer_with_status(&h, 503, NULL);
  resolve(FOREBAY_E_UNAVAILABLE, bob, &h);
  CHECK(h.fetched == 2);
  STATUS(FOREBAY_OK, forebay_quota_list(&listing, cache, &err));
  CHECK(forebay_quota_listing_count(listing) == 2);
  for (size_t at = 0; at < 2; at++) {
    const char *key = forebay_quota_listing_key(listing, at, &size), *hash = forebay_quota_listing_identity_hash(listing, at, NULL);
    CHECK(size == 22 && strncmp(key, "usage~", 6) == 0 && strcmp(key + 6, hash) == 0);
    CHECK(strcmp(key, forebay_quota_key(ann, NULL)) == 0 || strcmp(key, forebay_quota_key(bob, NULL)) == 0);
    TEXT("usage", forebay_quota_listing_name(listing, at, NULL));
  }
  CHECK(strcmp(forebay_quota_listing_key(listing, 0, NULL), forebay_quota_listing_key(listing, 1, NULL)) < 0);
  TEXT(NULL, forebay_quota_listing_key(listing, 2, &size));
  CHECK(size == 0);
  forebay_quota_listing_free(listing);
  STATUS(FOREBAY_OK, forebay_quota_clear(ann, &err));
  STATUS(FOREBAY_OK, forebay_quota_clear(bob, &err));
  STATUS(FOREBAY_ABSENT, forebay_quota_clear(bob, &err));
  h.response.status = 0;
  forebay_answer_free(resolve(FOREBAY_OK, nobody, &h));
  STATUS(FOREBAY_OK, forebay_quota_list(&listing, cache, &err));
  CHECK(forebay_quota_listing_count(listing) == 1);
  TEXT(NULL, forebay_quota_listing_identity_hash(listing, 0, NULL));
  forebay_quota_listing_free(listing);
  forebay_quota_free(nobody);
  forebay_quota_free(ann);
  forebay_quota_free(bob);
  forebay_cache_free(cache);
}

static void a_gate_is_declared_read_and_cleared(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache, NULL);
  forebay_quota_info *info;
  host h = host_make();
  int64_t until = 0;
  size_t size = 0;
  STATUS(FOREBAY_ABSENT, forebay_quota_read(&info, quota, &err));
  CHECK(forebay_quota_info_answer(info) == NULL && forebay_quota_info_recorded_error(info) == NULL);
  CHECK(forebay_quota_info_blocked_code(info) == 0 && forebay_quota_info_attempts(info) == 0);
  TEXT(NULL, forebay_quota_info_blocked_message(info, &size));
  forebay_quota_info_free(info);
  forebay_answer_free(resolve(FOREBAY_OK, quota, &h));
  STATUS(FOREBAY_OK,
         forebay_quota_block(&until, quota, 60 * 1000, FOREBAY_E_RATE_LIMITED, forebay_str("lunch"), &err));
  CHECK(until == stage_now() + 60 * 1000);
  STATUS(FOREBAY_OK, forebay_quota_block(NULL, quota, 1000, FOREBAY_E_UNAVAILABLE, forebay_str("shorter"), &err));
  STATUS(FOREBAY_OK, forebay_quota_read(&info, quota, &err));
  TEXT("{\"used\": 7}", forebay_answer_data(forebay_quota_info_answer(info), NULL));
  CHECK(forebay_answer_cached_at_ms(forebay_quota_info_answer(info)) == stage_now());
  CHECK(forebay_quota_info_blocked_until_ms(info) == until && forebay_quota_info_declared(info) == 1);
  CHECK(forebay_quota_info_blocked_code(info) == FOREBAY_E_RATE_LIMITED);
  TEXT("lunch", forebay_quota_info_blocked_message(info, &size));
  CHECK(size == 5 && forebay_quota_info_phase(info) == FOREBAY_PHASE_COOLING && forebay_quota_info_holder(info) == -1);
  forebay_quota_info_free(info);
  stage_advance(200 * 1000);
  STATUS(FOREBAY_STALE, forebay_quota_read(&info, quota, &err));
  CHECK(forebay_quota_info_blocked_until_ms(info) == -1);
  forebay_quota_info_free(info);
  stage_advance(25 * 3600 * 1000);
  STATUS(FOREBAY_EXPIRED, forebay_quota_read(&info, quota, &err));
  CHECK(forebay_answer_state(forebay_quota_info_answer(info)) == FOREBAY_STATE_EXPIRED);
  forebay_quota_info_free(info);
  STATUS(FOREBAY_OK, forebay_quota_clear(quota, &err));
  STATUS(FOREBAY_ABSENT, forebay_quota_clear(quota, &err));
  STATUS(FOREBAY_E_INVALID, forebay_quota_block(&until, quota, -1, FOREBAY_E_RATE_LIMITED, forebay_str(""), &err));
  CHECK(until == -1);
  STATUS(FOREBAY_E_INVALID, forebay_quota_block(&until, quota, 1000, 0, forebay_str(""), &err));
  STATUS(FOREBAY_E_INVALID, forebay_quota_block(&until, quota, 1000, -31, forebay_str(""), &err));
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void each_option_has_its_effect(void) {
  forebay_cache *cache = stage_open();
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  forebay_quota *quota;
  host h = host_make();
  options.name = forebay_str("limits/eu"); /* a name is a name: no tier */
  options.ttl_ms = 1000;
  options.max_stale_ms = 5000;
  options.rate_limited_ms = 2000;
  options.unauthorized_ms = 7000;
  options.backoff_floor_ms = 500;
  options.backoff_cap_ms = 800;
  options.durability = FOREBAY_DURABILITY_FULL;
  STATUS(FOREBAY_OK, forebay_quota_open(&quota, cache, &options, &err));
  forebay_answer_free(resolve(FOREBAY_OK, quota, &h));
  stage_advance(1000);
  answer_with_status(&h, 429, NULL);
  forebay_answer *answer = resolve(FOREBAY_STALE, quota, &h);
  CHECK(forebay_answer_retry_at_ms(answer) == stage_now() + 2000);
  forebay_answer_free(answer);
  stage_advance(6000); /* past ttl and max_stale: not even stale */
  const int64_t pauses[] = {500, 800, 800};
  answer_with_status(&h, 500, NULL);
  forebay_quota_source source = {sizeof source, &h, NULL, fetch, NULL, NULL};
  STATUS(FOREBAY_OK, forebay_quota_clear(quota, &err));
  for (size_t at = 0; at < sizeof pauses / sizeof pauses[0]; at++) {
    CHECK(forebay_quota_resolve(&answer, quota, &source, &err) == FOREBAY_E_REFRESH_FAILED);
    CHECK(forebay_error_retry_at_ms(err) == stage_now() + pauses[at]);
    forebay_error_free(err);
    err = NULL;
    stage_advance(pauses[at]);
  }
  answer_with_status(&h, 403, NULL);
  CHECK(forebay_quota_resolve(&answer, quota, &source, &err) == FOREBAY_E_UNAUTHORIZED);
  CHECK(forebay_error_retry_at_ms(err) == stage_now() + 7000);
  forebay_error_free(err);
  err = NULL;
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(nothing_is_asked_while_the_data_is_fresh),
    TEST(a_rate_limit_lets_nobody_fetch_and_serves_what_there_is),
    TEST(without_data_the_fallback_answers_and_else_the_failure),
    TEST(refused_credentials_end_the_data),
    TEST(without_credentials_nothing_is_fetched_or_blocked),
    TEST(what_is_no_answer_counts_as_a_failure),
    TEST(drop_is_called_once_whatever_happens),
    TEST(accounts_have_records_and_gates_of_their_own),
    TEST(a_gate_is_declared_read_and_cleared),
    TEST(each_option_has_its_effect),
};
CHECK_MAIN(tests)
