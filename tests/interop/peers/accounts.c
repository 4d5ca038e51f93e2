/* What the C peer does with quotas and rotated credentials. */
#define _POSIX_C_SOURCE 200809L
#include "peer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static forebay_credentials *credentials;

void open_credentials(const char *root) {
  const char *end = strrchr(root, '/');
  char *state = malloc(strlen(root) + sizeof "state");
  if (end == NULL || state == NULL) abort();
  sprintf(state, "%.*sstate", (int)(end + 1 - root), root);
  forebay_credentials_options options = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  options.root = forebay_str(state);
  forebay_error *err = NULL;
  if (forebay_credentials_open(&credentials, &options, &err) < 0) {
    fprintf(stderr, "peer: %s\n", forebay_error_text(err, NULL));
    exit(1);
  }
  free(state);
}

void close_credentials(void) { forebay_credentials_free(credentials); }

static forebay_slice slice(struct bytes bytes) { return forebay_mem(bytes.data, bytes.size); }

static const char *code_of(const forebay_error *error) {
  return error ? forebay_code_text(forebay_error_code(error)) : NULL;
}

/* ---- quotas ---- */

static void secret(void *userdata, forebay_resolve *resolve) {
  struct bytes given = text(userdata, "credential");
  forebay_resolve_credentials(resolve, given.data, given.size, NULL);
  free(given.data);
}

static void fetch(void *userdata, forebay_resolve *resolve) {
  struct bytes json = text(userdata, "json"), after = text(userdata, "retry_after");
  if (json.data != NULL) {
    forebay_resolve_fetched(resolve, json.data, json.size, NULL, NULL);
  } else {
    forebay_response response = FOREBAY_RESPONSE_INIT;
    response.status = (int32_t)number(userdata, "status");
    response.retry_after = slice(after);
    forebay_resolve_respond(resolve, &response, NULL);
  }
  free(json.data);
  free(after.data);
}

static void nothing(void *userdata, forebay_resolve *resolve) {
  (void)userdata;
  forebay_resolve_fallback(resolve, NULL, 0, NULL);
}

static void print_answer(const forebay_answer *answer) {
  size_t size = 0;
  const char *json = forebay_answer_data(answer, &size);
  print_field("json", json, size);
}

static void resolve_quota(const char *line, const forebay_quota *quota, forebay_error **err) {
  forebay_answer *answer = NULL;
  forebay_resolve_fn credential = field(line, "credential") == NULL ? NULL : secret;
  forebay_quota_source source = {sizeof source, (void *)line, credential, fetch, nothing, NULL};
  if (forebay_quota_resolve(&answer, quota, &source, err) < 0) return;
  printf("{");
  print_answer(answer);
  print_word("how", forebay_how_text(forebay_answer_how(answer)));
  print_word("error", code_of(forebay_answer_error(answer)));
  print_instant("retry_at_ms", forebay_answer_retry_at_ms(answer));
  printf("}");
  forebay_answer_free(answer);
}

static void read_quota(const forebay_quota *quota, forebay_error **err) {
  forebay_quota_info *info = NULL;
  if (forebay_quota_read(&info, quota, err) < 0) return;
  const forebay_answer *answer = forebay_quota_info_answer(info);
  int64_t until = forebay_quota_info_blocked_until_ms(info);
  int32_t code = forebay_quota_info_blocked_code(info);
  size_t size = 0;
  const char *message = until == -1 ? NULL : forebay_quota_info_blocked_message(info, &size);
  printf("{");
  print_answer(answer);
  print_word("state", answer ? forebay_state_text(forebay_answer_state(answer)) : NULL);
  print_word("error", until == -1 || code == 0 ? NULL : forebay_code_text(code));
  print_field("message", message, size);
  print_instant("cached_at_ms", forebay_answer_cached_at_ms(answer));
  printf(", ");
  print_instant("blocked_until_ms", until);
  if (until == -1) {
    printf(", \"declared\": null, \"attempts\": null}");
  } else {
    printf(", \"declared\": %s", forebay_quota_info_declared(info) ? "true" : "false");
    printf(", \"attempts\": %" PRIu32 "}", forebay_quota_info_attempts(info));
  }
  forebay_quota_info_free(info);
}

static void block_quota(const char *line, const forebay_quota *quota, forebay_error **err) {
  struct bytes code = text(line, "code"), message = text(line, "message");
  int64_t until = -1;
  int32_t number_of_code = forebay_code_from_text(slice(code));
  if (forebay_quota_block(&until, quota, number(line, "for_ms"), number_of_code, slice(message), err) >= 0) {
    printf("{");
    print_instant("until_ms", until);
    printf("}");
  }
  free(code.data);
  free(message.data);
}

static void call_quota(const char *line, const char *op, const forebay_cache *cache, forebay_error **err) {
  struct bytes name = text(line, "name"), identity = text(line, "identity");
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  options.name = slice(name);
  options.identity = slice(identity);
  forebay_quota *quota = NULL;
  if (forebay_quota_open(&quota, cache, &options, err) >= 0) {
    if (strcmp(op, "quota_resolve") == 0) {
      resolve_quota(line, quota, err);
    } else if (strcmp(op, "quota_read") == 0) {
      read_quota(quota, err);
    } else if (strcmp(op, "quota_block") == 0) {
      block_quota(line, quota, err);
    } else {
      forebay_status status = forebay_quota_clear(quota, err);
      if (status >= 0) printf("{\"cleared\": %s}", status == FOREBAY_OK ? "true" : "false");
    }
  }
  forebay_quota_free(quota);
  free(name.data);
  free(identity.data);
}

static void list_quotas(const forebay_cache *cache, forebay_error **err) {
  forebay_quota_listing *listing = NULL;
  if (forebay_quota_list(&listing, cache, err) < 0) return;
  printf("{\"keys\": [");
  for (size_t i = 0; i < forebay_quota_listing_count(listing); i++) {
    size_t size = 0;
    const char *key = forebay_quota_listing_key(listing, i, &size);
    printf(i ? ", " : "");
    print_text(key, size);
  }
  printf("]}");
  forebay_quota_listing_free(listing);
}

/* ---- credentials ---- */

struct exchange {
  const char *line;
  struct bytes previous;
};

static void exchange(void *userdata, forebay_rotation *rotation) {
  struct exchange *e = userdata;
  size_t size = 0;
  const char *previous = forebay_rotation_previous(rotation, &size);
  if (previous != NULL) {
    e->previous.data = malloc(size + 1);
    if (e->previous.data == NULL) abort();
    memcpy(e->previous.data, previous, size);
    e->previous.size = size;
  }
  struct bytes data = unhexed(e->line), code = text(e->line, "code"), message = text(e->line, "message");
  if (data.data != NULL) {
    forebay_rotation_exchanged(rotation, data.data, data.size, NULL);
  } else {
    forebay_failure failure = FOREBAY_FAILURE_INIT;
    failure.code = forebay_code_from_text(slice(code));
    failure.message = slice(message);
    forebay_rotation_failed(rotation, &failure, NULL);
  }
  free(data.data);
  free(code.data);
  free(message.data);
}

static void print_credential(const forebay_credential *credential) {
  size_t size = 0;
  const char *version = forebay_credential_version(credential, &size);
  print_field("version", version, size);
  const char *data = forebay_credential_data(credential, &size);
  print_hex("hex", (const uint8_t *)data, size);
}

static void rotate(const char *line, forebay_slice key, forebay_error **err) {
  struct exchange e = {line, {NULL, 0}};
  struct bytes seen = text(line, "seen");
  forebay_exchanger exchanger = {sizeof exchanger, &e, exchange, NULL};
  forebay_credential *credential = NULL;
  if (forebay_rotate(&credential, credentials, key, slice(seen), &exchanger, err) >= 0) {
    printf("{");
    print_word("how", forebay_how_text(forebay_credential_how(credential)));
    print_credential(credential);
    printf(", ");
    print_hex("previous", (const uint8_t *)e.previous.data, e.previous.size);
    printf("}");
    forebay_credential_free(credential);
  }
  free(e.previous.data);
  free(seen.data);
}

static void reset(const char *line, forebay_slice key, forebay_error **err) {
  struct bytes data = unhexed(line);
  forebay_text *version = NULL;
  if (forebay_rotate_reset(&version, credentials, key, data.data, data.size, err) >= 0) {
    printf("{\"version\": ");
    print_text(forebay_text_data(version), forebay_text_size(version));
    printf("}");
    forebay_text_free(version);
  }
  free(data.data);
}

static void print_state(forebay_rotate_info *info) {
  size_t size = 0;
  const char *version = forebay_rotate_info_version(info, &size);
  printf("{");
  print_word("phase", forebay_phase_text(forebay_rotate_info_phase(info)));
  print_word("error", code_of(forebay_rotate_info_last_error(info)));
  print_field("version", version, size);
  print_instant("ambiguous_since_ms", forebay_rotate_info_ambiguous_since_ms(info));
  printf("}");
  forebay_rotate_info_free(info);
}

static void call_credential(const char *line, const char *op, forebay_error **err) {
  struct bytes name = text(line, "key");
  forebay_slice key = slice(name);
  if (strcmp(op, "rotate") == 0) {
    rotate(line, key, err);
  } else if (strcmp(op, "rotate_current") == 0) {
    forebay_credential *current = NULL;
    if (forebay_credentials_current(&current, credentials, key, err) >= 0) {
      printf("{");
      print_credential(current);
      printf("}");
      forebay_credential_free(current);
    }
  } else if (strcmp(op, "rotate_reset") == 0) {
    reset(line, key, err);
  } else {
    forebay_rotate_info *info = NULL;
    if (forebay_rotate_state(&info, credentials, key, err) >= 0) print_state(info);
  }
  free(name.data);
}

void call_account(const char *line, const char *op, const forebay_cache *cache) {
  static const char *const quota_ops[] = {"quota_resolve", "quota_read", "quota_block", "quota_clear"};
  static const char *const rotate_ops[] = {"rotate", "rotate_current", "rotate_reset", "rotate_state"};
  forebay_error *err = NULL;
  for (size_t i = 0; i < 4; i++) {
    if (strcmp(op, quota_ops[i]) == 0) call_quota(line, op, cache, &err);
    else if (strcmp(op, rotate_ops[i]) == 0) call_credential(line, op, &err);
    else continue;
    if (err != NULL) fail(err);
    return;
  }
  if (strcmp(op, "quotas") == 0) list_quotas(cache, &err);
  else printf("{\"error\": \"invalid\", \"message\": \"no such op\"}");
  if (err != NULL) fail(err);
}
