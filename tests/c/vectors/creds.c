/* The ops on credentials that are exchanged. */
#include "callee.h"
#include "kinds.h"
#include <string.h>

forebay_credentials *creds_of(const char *name) {
  forebay_credentials *creds = thing_find(A_CREDS, name);
  if (creds != NULL) return creds;
  forebay_credentials_options options = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  forebay_error *err = NULL;
  options.root = forebay_str(stage_state);
  options.test_clock = forebay_str(stage_clock);
  if (forebay_credentials_open(&creds, &options, &err) < 0) failed("the state root cannot be opened: %s", forebay_error_text(err, NULL));
  thing_put(A_CREDS, name, creds);
  return creds;
}

static json *of_credential(forebay_credential *credential) {
  json *found = json_object();
  size_t size = 0;
  const char *data = forebay_credential_data(credential, &size);
  json_set(found, "data", json_bytes(data, size));
  json_set(found, "how", json_text(forebay_how_text(forebay_credential_how(credential))));
  json_set(found, "age_ms", json_number(stage_now_ms() - forebay_credential_stored_at_ms(credential)));
  json_set(found, "error", error_code(forebay_credential_error(credential)));
  json_set(found, "says", error_text(forebay_credential_error(credential)));
  json_set(found, "version", json_text(forebay_credential_version(credential, NULL)));
  forebay_credential_free(credential);
  return found;
}

typedef struct exchanging {
  callee *callee;
  json *given;
} exchanging;

static void exchange(void *userdata, forebay_rotation *rotation) {
  exchanging *e = userdata;
  callee *c = e->callee;
  size_t size = 0;
  const char *previous = forebay_rotation_previous(rotation, &size);
  json_set(e->given, "previous", previous == NULL ? json_null() : json_bytes(previous, size));
  json_set(e->given, "remaining_ms", json_number(forebay_rotation_remaining_ms(rotation)));
  callee_enter(c);
  forebay_status status = c->ending == FAILS ? forebay_rotation_failed(rotation, &c->failure, NULL)
                                             : forebay_rotation_exchanged(rotation, c->data->text, c->data->count, NULL);
  if (status != FOREBAY_OK) failed("the exchange was not taken");
}

static json *rotate(forebay_credentials *creds, forebay_slice key, const char *seen, callee *c) {
  exchanging e = {c, json_object()};
  forebay_exchanger exchanger = {sizeof exchanger, &e, exchange, NULL};
  forebay_credential *credential;
  forebay_error *err = NULL;
  forebay_status status = forebay_rotate(&credential, creds, key, forebay_str(seen), &exchanger, &err);
  json *found = status < 0 ? of_error(status, err) : of_credential(credential);
  callee_own_words(c, found);
  json_set(found, "ran", json_bool(callee_ran(c)));
  for (size_t at = 0; at < e.given->count; at++) json_set(found, e.given->names[at], e.given->items[at]);
  return found;
}

static json *current(const forebay_credentials *creds, forebay_slice key) {
  forebay_credential *credential;
  forebay_error *err = NULL;
  forebay_status status = forebay_credentials_current(&credential, creds, key, &err);
  if (status < 0) return of_error(status, err);
  if (credential != NULL) return of_credential(credential);
  json *found = json_object();
  json_set(found, "data", json_null());
  return found;
}

static json *reset(const forebay_credentials *creds, forebay_slice key, const json *data) {
  forebay_text *version;
  forebay_error *err = NULL;
  forebay_status status = forebay_rotate_reset(&version, creds, key, data == NULL ? NULL : data->text, data == NULL ? 0 : data->count, &err);
  json *found = done(status, err);
  if (status >= 0) json_set(found, "version", json_text(forebay_text_data(version)));
  forebay_text_free(version);
  return found;
}

static json *state(const forebay_credentials *creds, forebay_slice key) {
  forebay_rotate_info *info;
  forebay_error *err = NULL;
  forebay_status status = forebay_rotate_state(&info, creds, key, &err);
  if (status < 0) return of_error(status, err);
  json *found = json_object();
  int64_t since = forebay_rotate_info_ambiguous_since_ms(info);
  json_set(found, "phase", json_text(forebay_phase_text(forebay_rotate_info_phase(info))));
  json_set(found, "ambiguous_for_ms", since == -1 ? json_null() : json_number(stage_now_ms() - since));
  json_set(found, "retry_in_ms", from_now(forebay_rotate_info_retry_at_ms(info)));
  json_set(found, "error", error_code(forebay_rotate_info_last_error(info)));
  json_set(found, "says", error_text(forebay_rotate_info_last_error(info)));
  json_set(found, "version", json_text(forebay_rotate_info_version(info, NULL)));
  forebay_rotate_info_free(info);
  return found;
}

json *creds_op(const char *op, json *fields, const char *place) {
  const char *name = text_of(fields, "creds");
  forebay_credentials *creds = creds_of(name != NULL ? name : "a");
  forebay_slice key = slice_of(need(fields, "key"));
  if (strcmp(op, "rotate") == 0) {
    callee *c = callee_of("exchange", need(fields, "exchange"), place);
    const char *seen = text_of(fields, "seen");
    finish(fields);
    return rotate(creds, key, seen != NULL ? thing_get(A_VERSION, seen) : NULL, c);
  }
  if (strcmp(op, "rotate_reset") == 0) {
    json *data = field(fields, "data");
    finish(fields);
    return reset(creds, key, data != NULL ? bytes_of(data) : NULL);
  }
  finish(fields);
  return strcmp(op, "rotate_current") == 0 ? current(creds, key) : state(creds, key);
}
