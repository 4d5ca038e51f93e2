/*
 * Bad arguments of quotas and credentials are errors, never crashes, as test_args.c has it for all else. tests/c/run checks
 * that each exported function occurs in one of these.
 */
#include "check.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static forebay_error *err = NULL;

/* The call is refused, with an error object and also without a place for one. */
#define REFUSED(function, ...) \
  (STATUS(FOREBAY_E_INVALID, function(__VA_ARGS__, &err)), CHECK(function(__VA_ARGS__, NULL) == FOREBAY_E_INVALID))

static void unwanted_step(void *userdata, forebay_resolve *resolve) {
  (void)userdata, (void)resolve;
  CHECK(!"a function ran in a call that was refused");
}

static void unwanted_exchange(void *userdata, forebay_rotation *rotation) {
  (void)userdata, (void)rotation;
  CHECK(!"an exchange ran in a call that was refused");
}

static forebay_quota_options quota_options(void) {
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  options.name = forebay_str("usage");
  return options;
}

static forebay_quota *quota_open(forebay_cache *cache) {
  forebay_quota_options options = quota_options();
  forebay_quota *quota;
  STATUS(FOREBAY_OK, forebay_quota_open(&quota, cache, &options, &err));
  return quota;
}

static forebay_credentials *credentials_open(void) {
  static char root[600];
  forebay_credentials_options options = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  forebay_credentials *credentials;
  snprintf(root, sizeof root, "%.500s/state", stage_dir);
  options.root = forebay_str(root);
  options.test_clock = forebay_str(stage_clock);
  STATUS(FOREBAY_OK, forebay_credentials_open(&credentials, &options, &err));
  return credentials;
}

static void null_is_refused_where_a_quota_is_needed(void) {
  forebay_cache *cache = stage_open();
  forebay_quota_options options = quota_options();
  forebay_quota *quota, *kept = quota_open(cache);
  forebay_quota_source source = {sizeof source, NULL, NULL, unwanted_step, NULL, NULL}, nothing = {sizeof source, NULL, NULL, NULL, NULL, NULL};
  forebay_answer *answer;
  forebay_quota_info *info;
  forebay_quota_listing *listing;
  int64_t until;
  REFUSED(forebay_quota_open, NULL, cache, &options);
  REFUSED(forebay_quota_open, &quota, NULL, &options);
  REFUSED(forebay_quota_open, &quota, cache, NULL);
  CHECK(quota == NULL);
  REFUSED(forebay_quota_resolve, NULL, kept, &source);
  REFUSED(forebay_quota_resolve, &answer, NULL, &source);
  REFUSED(forebay_quota_resolve, &answer, kept, NULL);
  REFUSED(forebay_quota_resolve, &answer, kept, &nothing);
  CHECK(answer == NULL);
  REFUSED(forebay_quota_read, NULL, kept);
  REFUSED(forebay_quota_read, &info, NULL);
  REFUSED(forebay_quota_block, &until, NULL, 1000, FOREBAY_E_GATED, forebay_str(""));
  REFUSED(forebay_quota_block, &until, kept, -2, FOREBAY_E_GATED, forebay_str(""));
  REFUSED(forebay_quota_block, &until, kept, 1000, FOREBAY_STALE, forebay_str(""));
  REFUSED(forebay_quota_block, &until, kept, 1000, FOREBAY_E_GATED, forebay_mem(NULL, 3));
  REFUSED(forebay_quota_block, &until, kept, 1000, FOREBAY_E_GATED, forebay_str("\xff"));
  STATUS(FOREBAY_E_INVALID, forebay_quota_clear(NULL, &err));
  CHECK(forebay_quota_clear(NULL, NULL) == FOREBAY_E_INVALID);
  REFUSED(forebay_quota_list, NULL, cache);
  REFUSED(forebay_quota_list, &listing, NULL);
  forebay_quota_free(kept);
  forebay_cache_free(cache);
}

static void options_of_quotas_are_checked(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota;
  forebay_answer *answer;
  char *names[] = {"", "\xff\xfe"};
  for (size_t at = 0; at < sizeof names / sizeof names[0]; at++) {
    forebay_quota_options options = quota_options();
    options.name = forebay_str(names[at]);
    REFUSED(forebay_quota_open, &quota, cache, &options);
  }
  forebay_quota_options options = quota_options();
  int64_t *const times[] = {&options.ttl_ms,       &options.error_ttl_ms, &options.rate_limited_ms,  &options.unauthorized_ms, &options.timeout_ms,
                            &options.max_stale_ms, &options.wait_ms,      &options.backoff_floor_ms, &options.backoff_cap_ms};
  for (size_t at = 0; at < sizeof times / sizeof times[0]; at++) {
    *times[at] = -2;
    REFUSED(forebay_quota_open, &quota, cache, &options);
    *times[at] = -1;
  }
  options.durability = 3;
  REFUSED(forebay_quota_open, &quota, cache, &options);
  options.durability = -1;
  options.identity = forebay_str("\xff");
  REFUSED(forebay_quota_open, &quota, cache, &options);
  options.identity = forebay_str(NULL);
  options.reserved = 1;
  STATUS(FOREBAY_E_UNSUPPORTED, forebay_quota_open(&quota, cache, &options, &err));
  options.reserved = 0;
  options.struct_size = offsetof(forebay_quota_options, identity); /* an earlier version, that ends after the name */
  options.durability = 77;
  STATUS(FOREBAY_OK, forebay_quota_open(&quota, cache, &options, &err));
  forebay_quota_free(quota);
  options.struct_size = 3;
  REFUSED(forebay_quota_open, &quota, cache, &options);
  options = quota_options();
  options.timeout_ms = 0; /* a fetch without any time */
  forebay_quota_source source = {sizeof source, NULL, NULL, unwanted_step, NULL, NULL};
  STATUS(FOREBAY_OK, forebay_quota_open(&quota, cache, &options, &err));
  REFUSED(forebay_quota_resolve, &answer, quota, &source);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void null_is_refused_where_a_resolve_is_driven(void) {
  forebay_cache *cache = stage_open();
  forebay_quota *quota = quota_open(cache);
  forebay_resolve *resolve;
  forebay_answer *answer;
  forebay_response response = FOREBAY_RESPONSE_INIT;
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  int32_t step;
  REFUSED(forebay_resolve_begin, NULL, quota);
  REFUSED(forebay_resolve_begin, &resolve, NULL);
  CHECK(resolve == NULL);
  STATUS(FOREBAY_OK, forebay_resolve_begin(&resolve, quota, &err));
  REFUSED(forebay_resolve_next, NULL, &answer, resolve);
  REFUSED(forebay_resolve_next, &step, NULL, resolve);
  REFUSED(forebay_resolve_next, &step, &answer, NULL);
  REFUSED(forebay_resolve_wait, NULL, 0);
  REFUSED(forebay_resolve_wait, resolve, -2);
  STATUS(FOREBAY_OK, forebay_resolve_next(&step, &answer, resolve, &err));
  CHECK(step == FOREBAY_STEP_CREDENTIALS);
  REFUSED(forebay_resolve_credentials, NULL, "x", 1);
  REFUSED(forebay_resolve_credentials, resolve, NULL, 1);
  REFUSED(forebay_resolve_credentials, resolve, "x", SIZE_MAX);
  REFUSED(forebay_resolve_credentials_failed, NULL, NULL);
  failure.code = 0;
  REFUSED(forebay_resolve_credentials_failed, resolve, &failure);
  failure = (forebay_failure)FOREBAY_FAILURE_INIT;
  failure.not_sent = -1;
  REFUSED(forebay_resolve_credentials_failed, resolve, &failure);
  STATUS(FOREBAY_OK, forebay_resolve_credentials(resolve, NULL, 0, &err));
  STATUS(FOREBAY_OK, forebay_resolve_next(&step, &answer, resolve, &err));
  CHECK(step == FOREBAY_STEP_FETCH);
  REFUSED(forebay_resolve_fetched, NULL, "1", 1, NULL);
  REFUSED(forebay_resolve_fetched, resolve, NULL, 1, NULL);
  REFUSED(forebay_resolve_unchanged, NULL, NULL);
  REFUSED(forebay_resolve_respond, NULL, &response);
  REFUSED(forebay_resolve_respond, resolve, NULL);
  REFUSED(forebay_resolve_respond, resolve, &response);
  REFUSED(forebay_resolve_fetch_failed, NULL, NULL);
  REFUSED(forebay_resolve_fetch_failed, resolve, &failure);
  STATUS(FOREBAY_OK, forebay_resolve_fetch_failed(resolve, NULL, &err)); /* nothing that was refused had answered it */
  STATUS(FOREBAY_OK, forebay_resolve_next(&step, &answer, resolve, &err));
  CHECK(step == FOREBAY_STEP_FALLBACK);
  REFUSED(forebay_resolve_fallback, NULL, "1", 1);
  REFUSED(forebay_resolve_fallback, resolve, NULL, 1);
  REFUSED(forebay_resolve_fallback_failed, NULL, NULL);
  REFUSED(forebay_resolve_fallback_failed, resolve, &failure);
  forebay_resolve_free(resolve);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
}

static void null_is_refused_where_credentials_are_needed(void) {
  forebay_credentials *credentials = credentials_open(), *none;
  forebay_credential *credential;
  forebay_rotation *rotation;
  forebay_rotate_info *info;
  forebay_text *text;
  forebay_exchanger exchanger = {sizeof exchanger, NULL, unwanted_exchange, NULL}, nothing = {sizeof exchanger, NULL, NULL, NULL};
  forebay_slice key = forebay_str("github"), empty = forebay_str(NULL), broken = forebay_mem(NULL, 3);
  int32_t step;
  STATUS(FOREBAY_E_INVALID, forebay_default_state_root(NULL, &err));
  CHECK(forebay_default_state_root(NULL, NULL) == FOREBAY_E_INVALID);
  REFUSED(forebay_credentials_open, NULL, NULL);
  forebay_credentials_options options = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  options.deadline_ms = -2;
  REFUSED(forebay_credentials_open, &none, &options);
  options.struct_size = 1;
  REFUSED(forebay_credentials_open, &none, &options);
  REFUSED(forebay_rotate, NULL, credentials, key, empty, &exchanger);
  REFUSED(forebay_rotate, &credential, NULL, key, empty, &exchanger);
  REFUSED(forebay_rotate, &credential, credentials, empty, empty, &exchanger);
  REFUSED(forebay_rotate, &credential, credentials, broken, empty, &exchanger);
  REFUSED(forebay_rotate, &credential, credentials, key, broken, &exchanger);
  REFUSED(forebay_rotate, &credential, credentials, key, empty, NULL);
  REFUSED(forebay_rotate, &credential, credentials, key, empty, &nothing);
  REFUSED(forebay_credentials_current, NULL, credentials, key);
  REFUSED(forebay_credentials_current, &credential, NULL, key);
  REFUSED(forebay_credentials_current, &credential, credentials, forebay_str("\xff"));
  REFUSED(forebay_rotate_reset, &text, NULL, key, "x", 1);
  REFUSED(forebay_rotate_reset, &text, credentials, empty, "x", 1);
  REFUSED(forebay_rotate_reset, &text, credentials, key, NULL, 1);
  REFUSED(forebay_rotate_state, NULL, credentials, key);
  REFUSED(forebay_rotate_state, &info, NULL, key);
  REFUSED(forebay_rotate_state, &info, credentials, empty);
  REFUSED(forebay_rotation_begin, NULL, credentials, key, empty);
  REFUSED(forebay_rotation_begin, &rotation, NULL, key, empty);
  REFUSED(forebay_rotation_begin, &rotation, credentials, key, broken);
  STATUS(FOREBAY_OK, forebay_rotation_begin(&rotation, credentials, key, empty, &err));
  REFUSED(forebay_rotation_next, NULL, &credential, rotation);
  REFUSED(forebay_rotation_next, &step, NULL, rotation);
  REFUSED(forebay_rotation_next, &step, &credential, NULL);
  STATUS(FOREBAY_OK, forebay_rotation_next(&step, &credential, rotation, &err));
  CHECK(step == FOREBAY_STEP_EXCHANGE);
  REFUSED(forebay_rotation_exchanged, NULL, "x", 1);
  REFUSED(forebay_rotation_exchanged, rotation, NULL, 1);
  REFUSED(forebay_rotation_exchanged, rotation, "x", SIZE_MAX);
  REFUSED(forebay_rotation_failed, NULL, NULL);
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.not_sent = 2;
  REFUSED(forebay_rotation_failed, rotation, &failure);
  REFUSED(forebay_rotation_wait, NULL, 0);
  REFUSED(forebay_rotation_wait, rotation, -2);
  STATUS(FOREBAY_OK, forebay_rotation_exchanged(rotation, "x", 1, &err));
  forebay_rotation_free(rotation);
  forebay_credentials_free(credentials);
}

/* A text accessor of a NULL handle gives NULL and the size 0. */
#define NO_TEXT(call) (size = 7, TEXT(NULL, call), CHECK(size == 0))

static void accessors_of_quotas_accept_null(void) {
  size_t size;
  NO_TEXT(forebay_quota_key(NULL, &size));
  NO_TEXT(forebay_answer_data(NULL, &size));
  CHECK(forebay_answer_how(NULL) == -1 && forebay_answer_state(NULL) == FOREBAY_STATE_ABSENT && forebay_answer_age_ms(NULL) == -1);
  CHECK(forebay_answer_cached_at_ms(NULL) == -1 && forebay_answer_retry_at_ms(NULL) == -1 && forebay_answer_error(NULL) == NULL);
  CHECK(forebay_quota_info_answer(NULL) == NULL && forebay_quota_info_recorded_error(NULL) == NULL);
  CHECK(forebay_quota_info_blocked_until_ms(NULL) == -1 && forebay_quota_info_blocked_code(NULL) == 0);
  NO_TEXT(forebay_quota_info_blocked_message(NULL, &size));
  CHECK(forebay_quota_info_attempts(NULL) == 0 && forebay_quota_info_declared(NULL) == 0);
  CHECK(forebay_quota_info_phase(NULL) == -1 && forebay_quota_info_holder(NULL) == -1);
  CHECK(forebay_quota_listing_count(NULL) == 0);
  NO_TEXT(forebay_quota_listing_key(NULL, 0, &size));
  NO_TEXT(forebay_quota_listing_name(NULL, 0, &size));
  NO_TEXT(forebay_quota_listing_identity_hash(NULL, 0, &size));
  CHECK(forebay_resolve_deadline_ms(NULL) == -1 && forebay_resolve_remaining_ms(NULL) == 0 && forebay_resolve_cancelled(NULL) == 0);
  NO_TEXT(forebay_resolve_credential(NULL, &size));
  NO_TEXT(forebay_resolve_previous(NULL, &size));
  NO_TEXT(forebay_resolve_validator(NULL, &size));
  CHECK(forebay_resolve_header_count(NULL) == 0);
  TEXT(NULL, forebay_resolve_header_name(NULL, 0));
  TEXT(NULL, forebay_resolve_header_value(NULL, 0));
}

static void accessors_of_credentials_accept_null(void) {
  size_t size;
  NO_TEXT(forebay_credentials_root(NULL, &size));
  NO_TEXT(forebay_credential_data(NULL, &size));
  NO_TEXT(forebay_credential_version(NULL, &size));
  CHECK(forebay_credential_stored_at_ms(NULL) == -1 && forebay_credential_how(NULL) == -1 && forebay_credential_error(NULL) == NULL);
  NO_TEXT(forebay_rotation_previous(NULL, &size));
  CHECK(forebay_rotation_deadline_ms(NULL) == -1 && forebay_rotation_remaining_ms(NULL) == 0 && forebay_rotation_cancelled(NULL) == 0);
  CHECK(forebay_rotate_info_phase(NULL) == -1 && forebay_rotate_info_ambiguous_since_ms(NULL) == -1);
  CHECK(forebay_rotate_info_retry_at_ms(NULL) == -1 && forebay_rotate_info_last_error(NULL) == NULL);
  NO_TEXT(forebay_rotate_info_version(NULL, &size));
}

static void freeing_null_does_nothing(void) {
  forebay_quota_free(NULL);
  forebay_answer_free(NULL);
  forebay_resolve_free(NULL);
  forebay_resolve_interrupt(NULL);
  forebay_quota_info_free(NULL);
  forebay_quota_listing_free(NULL);
  forebay_credentials_free(NULL);
  forebay_credential_free(NULL);
  forebay_rotation_free(NULL);
  forebay_rotation_interrupt(NULL);
  forebay_rotate_info_free(NULL);
}

static const test tests[] = {
    TEST(null_is_refused_where_a_quota_is_needed),
    TEST(options_of_quotas_are_checked),
    TEST(null_is_refused_where_a_resolve_is_driven),
    TEST(null_is_refused_where_credentials_are_needed),
    TEST(accessors_of_quotas_accept_null),
    TEST(accessors_of_credentials_accept_null),
    TEST(freeing_null_does_nothing),
};
CHECK_MAIN(tests)
