/* Credentials that are exchanged: by callback and by steps, what is definite and what is ambiguous, and a new login. */
#define _GNU_SOURCE
#include "check.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static forebay_error *err = NULL;
static char state_root[600];

static forebay_credentials *credentials_open(void) {
  forebay_credentials_options options = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  forebay_credentials *credentials;
  snprintf(state_root, sizeof state_root, "%.500s/state", stage_dir);
  options.root = forebay_str(state_root);
  options.test_clock = forebay_str(stage_clock);
  STATUS(FOREBAY_OK, forebay_credentials_open(&credentials, &options, &err));
  return credentials;
}

/* What the server does with an exchange. */
typedef struct server {
  const char *next; /* NULL: it fails */
  forebay_failure failure;
  bool silent;
  int exchanged, dropped;
  char previous[64];
} server;

static server server_make(const char *next) {
  server s = {.next = next, .failure = FOREBAY_FAILURE_INIT};
  return s;
}

static void exchange(void *userdata, forebay_rotation *rotation) {
  server *s = userdata;
  size_t size = 9;
  s->exchanged++;
  const char *previous = forebay_rotation_previous(rotation, &size);
  CHECK(previous == NULL ? size == 0 : size == strlen(previous));
  snprintf(s->previous, sizeof s->previous, "%s", previous != NULL ? previous : "none");
  CHECK(forebay_rotation_deadline_ms(rotation) == stage_now() + 30000 && forebay_rotation_remaining_ms(rotation) == 30000);
  CHECK(forebay_rotation_cancelled(rotation) == 0);
  if (s->silent) return;
  if (s->next != NULL) {
    STATUS(FOREBAY_OK, forebay_rotation_exchanged(rotation, s->next, strlen(s->next), &err));
    STATUS(FOREBAY_E_ALREADY_USED, forebay_rotation_exchanged(rotation, "again", 5, &err));
  } else {
    STATUS(FOREBAY_OK, forebay_rotation_failed(rotation, &s->failure, &err));
    STATUS(FOREBAY_E_ALREADY_USED, forebay_rotation_failed(rotation, NULL, &err));
  }
}

static void dropped(void *userdata) { ((server *)userdata)->dropped++; }

static forebay_credential *rotate(forebay_status expected, forebay_credentials *credentials, const char *seen, server *s) {
  forebay_exchanger exchanger = {sizeof exchanger, s, exchange, dropped};
  forebay_credential *credential;
  int before = s->dropped;
  STATUS(expected, forebay_rotate(&credential, credentials, forebay_str("github"), forebay_str(seen), &exchanger, &err));
  CHECK(s->dropped == before + 1 && (credential != NULL) == (expected >= 0));
  return credential;
}

static char *version_of(const forebay_credential *credential) {
  char *copy = strdup(forebay_credential_version(credential, NULL));
  CHECK(copy != NULL);
  return copy;
}

/* A first login, and its version. */
static char *login(forebay_credentials *credentials, const char *secret) {
  server s = server_make(secret);
  forebay_credential *credential = rotate(FOREBAY_OK, credentials, NULL, &s);
  char *version = version_of(credential);
  forebay_credential_free(credential);
  return version;
}

static void one_exchanges_and_the_others_get_it(void) {
  forebay_credentials *credentials = credentials_open();
  forebay_credential *credential;
  struct stat info;
  size_t size = 0;
  server s = server_make("first-token");
  TEXT(state_root, forebay_credentials_root(credentials, &size));
  CHECK(size == strlen(state_root));
  STATUS(FOREBAY_ABSENT, forebay_credentials_current(&credential, credentials, forebay_str("github"), &err));
  CHECK(credential == NULL);
  credential = rotate(FOREBAY_OK, credentials, NULL, &s);
  TEXT("first-token", forebay_credential_data(credential, &size));
  CHECK(size == 11 && s.exchanged == 1 && forebay_credential_how(credential) == FOREBAY_HOW_RAN);
  TEXT("none", s.previous);
  CHECK(forebay_credential_stored_at_ms(credential) == stage_now() && forebay_credential_error(credential) == NULL);
  char path[700], *first = version_of(credential);
  snprintf(path, sizeof path, "%s/credentials/github.json", state_root);
  CHECK(stat(path, &info) == 0 && (info.st_mode & 0777) == 0600);
  forebay_credential_free(credential);

  s.next = "second-token";
  credential = rotate(FOREBAY_OK, credentials, NULL, &s); /* who has seen none gets what is there */
  TEXT("first-token", forebay_credential_data(credential, NULL));
  CHECK(s.exchanged == 1 && forebay_credential_how(credential) == FOREBAY_HOW_COALESCED);
  forebay_credential_free(credential);
  credential = rotate(FOREBAY_OK, credentials, first, &s);
  TEXT("second-token", forebay_credential_data(credential, NULL));
  TEXT("first-token", s.previous);
  CHECK(s.exchanged == 2 && forebay_credential_how(credential) == FOREBAY_HOW_RAN);
  forebay_credential_free(credential);
  credential = rotate(FOREBAY_OK, credentials, first, &s); /* somebody was faster */
  TEXT("second-token", forebay_credential_data(credential, NULL));
  CHECK(s.exchanged == 2 && forebay_credential_how(credential) == FOREBAY_HOW_COALESCED);
  forebay_credential_free(credential);
  STATUS(FOREBAY_OK, forebay_credentials_current(&credential, credentials, forebay_str("github"), &err));
  CHECK(forebay_credential_how(credential) == FOREBAY_HOW_FRESH);
  forebay_credentials_free(credentials);
  TEXT("second-token", forebay_credential_data(credential, NULL));
  forebay_credential_free(credential);
  free(first);
}

static void a_refusal_leaves_the_credential_as_it_was(void) {
  forebay_credentials *credentials = credentials_open();
  forebay_rotate_info *info;
  server s = server_make(NULL);
  char *seen = login(credentials, "first-token");
  s.failure.code = FOREBAY_E_RATE_LIMITED;
  s.failure.message = forebay_str("slow down");
  s.failure.retry_after_ms = 60 * 1000;
  rotate(FOREBAY_E_RATE_LIMITED, credentials, seen, &s);
  rotate(FOREBAY_E_GATED, credentials, seen, &s);
  CHECK(s.exchanged == 1);
  STATUS(FOREBAY_OK, forebay_rotate_state(&info, credentials, forebay_str("github"), &err));
  CHECK(forebay_rotate_info_phase(info) == FOREBAY_PHASE_COOLING && forebay_rotate_info_ambiguous_since_ms(info) == -1);
  CHECK(forebay_rotate_info_retry_at_ms(info) == stage_now() + 60 * 1000);
  CHECK(forebay_error_code(forebay_rotate_info_last_error(info)) == FOREBAY_E_RATE_LIMITED);
  TEXT(seen, forebay_rotate_info_version(info, NULL));
  forebay_rotate_info_free(info);
  stage_advance(60 * 1000);
  s.failure = (forebay_failure)FOREBAY_FAILURE_INIT; /* the request never left: that is definite, whatever the code */
  s.failure.not_sent = 1;
  rotate(FOREBAY_E_REFRESH_FAILED, credentials, seen, &s);
  stage_advance(3600 * 1000);
  s.next = "second-token";
  forebay_credential *credential = rotate(FOREBAY_OK, credentials, seen, &s);
  TEXT("first-token", s.previous);
  CHECK(s.exchanged == 3);
  forebay_credential_free(credential);
  forebay_credentials_free(credentials);
  free(seen);
}

static void an_unknown_outcome_is_ambiguous_until_a_new_login(void) {
  forebay_credentials *credentials = credentials_open();
  forebay_credential *credential;
  forebay_rotate_info *info;
  forebay_text *version;
  server s = server_make(NULL);
  char *seen = login(credentials, "first-token");
  rotate(FOREBAY_E_AMBIGUOUS, credentials, seen, &s);
  int64_t since = stage_now();
  stage_advance(24 * 3600 * 1000);
  s.next = "never";
  rotate(FOREBAY_E_AMBIGUOUS, credentials, seen, &s);
  CHECK(s.exchanged == 1);
  STATUS(FOREBAY_OK, forebay_rotate_state(&info, credentials, forebay_str("github"), &err));
  CHECK(forebay_rotate_info_ambiguous_since_ms(info) == since);
  forebay_rotate_info_free(info);
  STATUS(FOREBAY_OK, forebay_rotate_reset(&version, credentials, forebay_str("github"), "login", 5, &err));
  credential = rotate(FOREBAY_OK, credentials, seen, &s);
  TEXT("login", forebay_credential_data(credential, NULL));
  TEXT(forebay_text_data(version), forebay_credential_version(credential, NULL));
  CHECK(s.exchanged == 1);
  forebay_text_free(version);
  forebay_credential_free(credential);

  STATUS(FOREBAY_OK, forebay_rotate_reset(&version, credentials, forebay_str("github"), NULL, 0, &err));
  CHECK(version == NULL);
  rotate(FOREBAY_E_NOT_FOUND, credentials, seen, &s);
  STATUS(FOREBAY_OK, forebay_rotate_state(&info, credentials, forebay_str("github"), &err));
  TEXT(NULL, forebay_rotate_info_version(info, NULL));
  CHECK(forebay_rotate_info_phase(info) == FOREBAY_PHASE_IDLE && forebay_rotate_info_last_error(info) == NULL);
  CHECK(forebay_rotate_info_retry_at_ms(info) == -1 && forebay_rotate_info_ambiguous_since_ms(info) == -1);
  forebay_rotate_info_free(info);
  s.silent = true; /* nobody knows what it did */
  rotate(FOREBAY_E_AMBIGUOUS, credentials, NULL, &s);
  STATUS(FOREBAY_E_INVALID, forebay_rotate_reset(&version, credentials, forebay_str("github"), "", 0, &err));
  CHECK(version == NULL);
  STATUS(FOREBAY_OK, forebay_rotate_reset(NULL, credentials, forebay_str("github"), NULL, 0, &err));
  s.silent = false;
  s.next = ""; /* nothing is no credential */
  rotate(FOREBAY_E_AMBIGUOUS, credentials, NULL, &s);
  CHECK(s.exchanged == 3);
  forebay_credentials_free(credentials);
  free(seen);
}

static void no_text_shows_the_credential(void) {
  static const char secret[] = "{\"refresh_token\": \"1//very-secret-indeed\", \"n\": 1}";
  forebay_credentials *credentials = credentials_open();
  forebay_credential *credential;
  server s = server_make(NULL);
  char *seen = login(credentials, secret);
  s.failure.code = FOREBAY_E_UNAUTHORIZED;
  s.failure.message = forebay_str("the server refused 1//very-secret-indeed");
  forebay_exchanger exchanger = {sizeof exchanger, &s, exchange, NULL};
  for (int round = 0; round < 2; round++) { /* returned by the exchange, then from its record */
    CHECK(forebay_rotate(&credential, credentials, forebay_str("github"), forebay_str(seen), &exchanger, &err) < 0);
    CHECK(strstr(forebay_error_text(err, NULL), "very-secret") == NULL);
    CHECK(strstr(forebay_error_message(err, NULL), "[credential]") != NULL);
    if (round == 0) TEXT("the server refused 1//very-secret-indeed", forebay_error_host_text(err, NULL));
    else TEXT(NULL, forebay_error_host_text(err, NULL));
    forebay_error_free(err);
    err = NULL;
  }
  forebay_credentials_free(credentials);
  free(seen);
}

static forebay_rotation *begin(forebay_credentials *credentials, const char *seen) {
  forebay_rotation *rotation;
  STATUS(FOREBAY_OK, forebay_rotation_begin(&rotation, credentials, forebay_str("github"), forebay_str(seen), &err));
  return rotation;
}

static void step_is(int32_t expected, forebay_rotation *rotation) {
  forebay_credential *credential;
  int32_t step = -1;
  STATUS(expected == FOREBAY_STEP_WAIT ? FOREBAY_IN_FLIGHT : FOREBAY_OK,
         forebay_rotation_next(&step, &credential, rotation, &err));
  CHECK(step == expected && credential == NULL);
}

static void ends(int32_t how, const char *data, forebay_rotation *rotation) {
  forebay_credential *credential;
  int32_t step = -1;
  STATUS(FOREBAY_OK, forebay_rotation_next(&step, &credential, rotation, &err));
  CHECK(step == FOREBAY_STEP_DONE && forebay_credential_how(credential) == how);
  TEXT(data, forebay_credential_data(credential, NULL));
  forebay_credential_free(credential);
  STATUS(FOREBAY_E_ALREADY_USED, forebay_rotation_next(&step, &credential, rotation, &err));
  forebay_rotation_free(rotation);
}

static void each_step_in_its_turn(void) {
  forebay_credentials *credentials = credentials_open(), *other = credentials_open();
  forebay_rotate_info *info;
  char *seen = login(credentials, "first-token");
  size_t size = 9;
  forebay_rotation *first = begin(credentials, seen), *second = begin(other, seen);
  CHECK(forebay_rotation_previous(first, &size) == NULL && size == 0 && forebay_rotation_deadline_ms(first) == -1);
  CHECK(forebay_rotation_remaining_ms(first) == 0 && forebay_rotation_cancelled(first) == 0);
  STATUS(FOREBAY_E_INVALID, forebay_rotation_exchanged(first, "x", 1, &err));
  STATUS(FOREBAY_E_INVALID, forebay_rotation_failed(first, NULL, &err));
  step_is(FOREBAY_STEP_EXCHANGE, first);
  step_is(FOREBAY_STEP_EXCHANGE, first); /* until it is answered */
  TEXT("first-token", forebay_rotation_previous(first, &size));
  stage_advance(10000);
  CHECK(size == 11 && forebay_rotation_remaining_ms(first) == 20000 && forebay_rotation_deadline_ms(first) == stage_now() + 20000);
  step_is(FOREBAY_STEP_WAIT, second);
  STATUS(FOREBAY_OK, forebay_rotate_state(&info, other, forebay_str("github"), &err));
  CHECK(forebay_rotate_info_phase(info) == FOREBAY_PHASE_RUNNING);
  forebay_rotate_info_free(info);
  STATUS(FOREBAY_OK, forebay_rotation_wait(second, 1, &err));
  STATUS(FOREBAY_E_INVALID, forebay_rotation_wait(second, -2, &err));
  forebay_rotation_interrupt(second);
  STATUS(FOREBAY_E_CANCELLED, forebay_rotation_wait(second, -1, &err));
  STATUS(FOREBAY_OK, forebay_rotation_exchanged(first, "a\0b", 3, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_rotation_failed(first, NULL, &err));
  ends(FOREBAY_HOW_RAN, "a", first);
  STATUS(FOREBAY_OK, forebay_rotation_wait(second, -1, &err));
  ends(FOREBAY_HOW_COALESCED, "a", second);
  forebay_credential *credential;
  STATUS(FOREBAY_OK, forebay_credentials_current(&credential, other, forebay_str("github"), &err));
  CHECK(memcmp(forebay_credential_data(credential, &size), "a\0b", 4) == 0 && size == 3);
  forebay_credential_free(credential);
  forebay_credentials_free(credentials);
  forebay_credentials_free(other);
  free(seen);
}

static void use_the_driven(void *userdata, forebay_rotation *rotation) {
  forebay_credentials *credentials = userdata;
  forebay_credential *credential;
  int32_t step;
  STATUS(FOREBAY_E_INVALID, forebay_rotation_next(&step, &credential, rotation, &err));
  STATUS(FOREBAY_E_INVALID, forebay_rotation_wait(rotation, 0, &err));
  STATUS(FOREBAY_ABSENT, forebay_credentials_current(&credential, credentials, forebay_str("github"), &err));
  STATUS(FOREBAY_OK, forebay_rotation_exchanged(rotation, "x", 1, &err));
}

static void an_exchange_cannot_drive_the_rotation_that_called_it(void) {
  forebay_credentials *credentials = credentials_open();
  forebay_exchanger exchanger = {sizeof exchanger, credentials, use_the_driven, NULL};
  forebay_credential *credential;
  STATUS(FOREBAY_OK, forebay_rotate(&credential, credentials, forebay_str("github"), forebay_str(NULL), &exchanger, &err));
  TEXT("x", forebay_credential_data(credential, NULL));
  forebay_credential_free(credential);
  forebay_credentials_free(credentials);
}

static void giving_up_amid_an_exchange_is_ambiguous(void) {
  forebay_credentials *credentials = credentials_open();
  server s = server_make("never");
  char *seen = login(credentials, "first-token");
  forebay_rotation *rotation = begin(credentials, seen);
  forebay_rotation_free(rotation); /* nothing was begun */
  rotation = begin(credentials, seen);
  step_is(FOREBAY_STEP_EXCHANGE, rotation);
  forebay_rotation_free(rotation);
  rotate(FOREBAY_E_AMBIGUOUS, credentials, seen, &s);
  CHECK(s.exchanged == 0);
  forebay_credentials_free(credentials);
  free(seen);
}

static void a_new_login_wins_over_an_exchange(void) {
  forebay_credentials *credentials = credentials_open();
  forebay_credential *credential;
  char *seen = login(credentials, "first-token");
  int32_t step;
  forebay_rotation *rotation = begin(credentials, seen);
  step_is(FOREBAY_STEP_EXCHANGE, rotation);
  STATUS(FOREBAY_OK, forebay_rotate_reset(NULL, credentials, forebay_str("github"), "login", 5, &err));
  CHECK(forebay_rotation_cancelled(rotation) == 1);
  STATUS(FOREBAY_OK, forebay_rotation_exchanged(rotation, "late", 4, &err));
  STATUS(FOREBAY_OK, forebay_rotation_next(&step, &credential, rotation, &err));
  TEXT("late", forebay_credential_data(credential, NULL)); /* nobody else has it */
  CHECK(forebay_credential_how(credential) == FOREBAY_HOW_UNCOORDINATED && forebay_credential_error(credential) != NULL);
  forebay_credential_free(credential);
  forebay_rotation_free(rotation);
  STATUS(FOREBAY_OK, forebay_credentials_current(&credential, credentials, forebay_str("github"), &err));
  TEXT("login", forebay_credential_data(credential, NULL));
  forebay_credential_free(credential);
  forebay_credentials_free(credentials);
  free(seen);
}

static void drop_is_called_once_whatever_happens(void) {
  forebay_credentials *credentials = credentials_open();
  forebay_credential *credential;
  server s = server_make("x");
  forebay_exchanger exchanger = {sizeof exchanger, &s, NULL, dropped};
  forebay_slice key = forebay_str("github"), none = forebay_str(NULL);
  STATUS(FOREBAY_E_INVALID, forebay_rotate(&credential, credentials, key, none, &exchanger, &err));
  exchanger.exchange = exchange;
  STATUS(FOREBAY_E_INVALID, forebay_rotate(&credential, NULL, key, none, &exchanger, &err));
  STATUS(FOREBAY_E_INVALID, forebay_rotate(NULL, credentials, key, none, &exchanger, &err));
  CHECK(forebay_rotate(&credential, credentials, key, forebay_str("first-token"), &exchanger, &err) == FOREBAY_E_INVALID);
  CHECK(strstr(forebay_error_text(err, NULL), "first-token") == NULL); /* given by mistake, and shown nowhere */
  forebay_error_free(err);
  err = NULL;
  STATUS(FOREBAY_E_INVALID, forebay_rotate(&credential, credentials, none, none, &exchanger, &err));
  CHECK(s.dropped == 5 && s.exchanged == 0 && credential == NULL);
  forebay_credentials_free(credentials);
}

static void the_default_folder_is_that_of_the_environment(void) {
  forebay_credentials *credentials;
  forebay_text *root;
  CHECK(setenv("FOREBAY_STATE", stage_dir, 1) == 0);
  STATUS(FOREBAY_OK, forebay_default_state_root(&root, &err));
  TEXT(stage_dir, forebay_text_data(root));
  forebay_text_free(root);
  STATUS(FOREBAY_OK, forebay_credentials_open(&credentials, NULL, &err));
  TEXT(stage_dir, forebay_credentials_root(credentials, NULL));
  forebay_credentials_free(credentials);
  CHECK(unsetenv("FOREBAY_STATE") == 0);
}

static const test tests[] = {
    TEST(one_exchanges_and_the_others_get_it),
    TEST(a_refusal_leaves_the_credential_as_it_was),
    TEST(an_unknown_outcome_is_ambiguous_until_a_new_login),
    TEST(no_text_shows_the_credential),
    TEST(each_step_in_its_turn),
    TEST(an_exchange_cannot_drive_the_rotation_that_called_it),
    TEST(giving_up_amid_an_exchange_is_ambiguous),
    TEST(a_new_login_wins_over_an_exchange),
    TEST(drop_is_called_once_whatever_happens),
    TEST(the_default_folder_is_that_of_the_environment),
};
CHECK_MAIN(tests)
