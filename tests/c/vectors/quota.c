/* The ops on quotas. */
#include "callee.h"
#include "kinds.h"
#include <string.h>
#include <unistd.h>

/* ---- what a call found ---- */

static json *of_answer(const forebay_answer *answer) {
  json *found = json_object();
  size_t size = 0;
  const char *data = forebay_answer_data(answer, &size);
  json *read = json_read(data, size);
  json_set(found, "data", json_bytes(data, size));
  if (read != NULL) json_set(found, "json", read); /* not where it holds what scenarios have no word for */
  json_set(found, "state", json_text(forebay_state_text(forebay_answer_state(answer))));
  json_set(found, "how", json_text(forebay_how_text(forebay_answer_how(answer))));
  json_set(found, "age_ms", json_unless_unset(forebay_answer_age_ms(answer)));
  json_set(found, "cached_in_ms", from_now(forebay_answer_cached_at_ms(answer)));
  json_set(found, "retry_in_ms", from_now(forebay_answer_retry_at_ms(answer)));
  json_set(found, "error", error_code(forebay_answer_error(answer)));
  json_set(found, "says", error_text(forebay_answer_error(answer)));
  return found;
}

static json *of_info(forebay_quota_info *info) {
  const forebay_answer *answer = forebay_quota_info_answer(info);
  json *found = answer != NULL ? of_answer(answer) : json_object();
  int64_t holder = forebay_quota_info_holder(info), until = forebay_quota_info_blocked_until_ms(info);
  int32_t code = forebay_quota_info_blocked_code(info);
  if (answer == NULL) json_set(found, "json", json_null()), json_set(found, "data", json_null());
  json_set(found, "recorded_error", error_code(forebay_quota_info_recorded_error(info)));
  json_set(found, "phase", json_text(forebay_phase_text(forebay_quota_info_phase(info))));
  json_set(found, "holder", json_text(holder == -1 ? NULL : holder == getpid() ? "self" : "other"));
  json_set(found, "retry_in_ms", from_now(until));
  json_set(found, "error", code == 0 ? json_null() : json_text(forebay_code_text(code)));
  json_set(found, "says", json_text(forebay_quota_info_blocked_message(info, NULL)));
  if (until != -1) {
    json_set(found, "declared", json_bool(forebay_quota_info_declared(info)));
    json_set(found, "attempts", json_number(forebay_quota_info_attempts(info)));
  }
  forebay_quota_info_free(info);
  return found;
}

/* ---- resolving ---- */

typedef struct resolving {
  callee *credentials, *fetch, *fallback;
  json *called, *given;
} resolving;

static void enter(resolving *r, callee *c) {
  json_push(r->called, json_text(c->name));
  callee_enter(c);
}

static void give_credentials(void *userdata, forebay_resolve *resolve) {
  resolving *r = userdata;
  callee *c = r->credentials;
  enter(r, c);
  forebay_status status = c->ending == FAILS ? forebay_resolve_credentials_failed(resolve, &c->failure, NULL)
                                             : forebay_resolve_credentials(resolve, c->data->text, c->data->count, NULL);
  if (status != FOREBAY_OK) failed("the credentials were not taken");
}

static void note_job(json *given, const forebay_resolve *resolve) {
  size_t size = 0;
  const char *credential = forebay_resolve_credential(resolve, &size);
  json_set(given, "credential", json_bytes(credential, size));
  const char *previous = forebay_resolve_previous(resolve, &size);
  json_set(given, "previous", previous == NULL ? json_null() : json_bytes(previous, size));
  json_set(given, "validator", json_text(forebay_resolve_validator(resolve, NULL)));
  json_set(given, "remaining_ms", json_number(forebay_resolve_remaining_ms(resolve)));
}

static void fetch(void *userdata, forebay_resolve *resolve) {
  resolving *r = userdata;
  callee *c = r->fetch;
  forebay_status status;
  note_job(r->given, resolve);
  enter(r, c);
  if (c->ending == FAILS) {
    status = forebay_resolve_fetch_failed(resolve, &c->failure, NULL);
  } else if (c->ending == RESPONDS) {
    status = forebay_resolve_respond(resolve, &c->response, NULL);
  } else if (c->ending == UNCHANGED) {
    status = forebay_resolve_unchanged(resolve, &c->commit, NULL);
  } else {
    status = forebay_resolve_fetched(resolve, c->data->text, c->data->count, &c->commit, NULL);
  }
  if (status != FOREBAY_OK) failed("what was fetched was not taken");
}

static void fall_back(void *userdata, forebay_resolve *resolve) {
  resolving *r = userdata;
  callee *c = r->fallback;
  enter(r, c);
  forebay_status status = c->ending == FAILS     ? forebay_resolve_fallback_failed(resolve, &c->failure, NULL)
                          : c->ending == NOTHING ? forebay_resolve_fallback(resolve, NULL, 0, NULL)
                                                 : forebay_resolve_fallback(resolve, c->data->text, c->data->count, NULL);
  if (status != FOREBAY_OK) failed("the fallback was not taken");
}

static json *resolve(const forebay_quota *quota, resolving *r) {
  forebay_quota_source source = {sizeof source, r, r->credentials != NULL ? give_credentials : NULL, fetch,
                                 r->fallback != NULL ? fall_back : NULL, NULL};
  forebay_answer *answer;
  forebay_error *err = NULL;
  forebay_status status = forebay_quota_resolve(&answer, quota, &source, &err);
  json *found = status < 0 ? of_error(status, err) : of_answer(answer);
  forebay_answer_free(answer);
  /* The first to fail is whose words are given back. */
  if (r->credentials != NULL) callee_own_words(r->credentials, found);
  callee_own_words(r->fetch, found);
  json_set(found, "called", r->called);
  json_set(found, "ran", json_bool(r->called->count > 0));
  for (size_t at = 0; at < r->given->count; at++) json_set(found, r->given->names[at], r->given->items[at]);
  return found;
}

/* ---- the ops ---- */

static forebay_quota_options options_of(json *fields) {
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  for (size_t at = 0; at < stage_quota->count; at++) {
    if (json_get(fields, stage_quota->names[at]) == NULL) json_set(fields, stage_quota->names[at], stage_quota->items[at]);
  }
  json *name = field(fields, "name"), *backoff = field(fields, "backoff_ms");
  options.name = name == NULL ? forebay_str("usage") : slice_of(name);
  options.identity = slice_of(field(fields, "identity"));
  options.ttl_ms = number_of(fields, "ttl_ms", -1);
  options.error_ttl_ms = number_of(fields, "error_ttl_ms", -1);
  options.rate_limited_ms = number_of(fields, "rate_limited_ms", -1);
  options.unauthorized_ms = number_of(fields, "unauthorized_ms", -1);
  options.timeout_ms = number_of(fields, "timeout_ms", -1);
  options.max_stale_ms = number_of(fields, "max_stale_ms", -1);
  options.wait_ms = number_of(fields, "wait_ms", -1);
  if (backoff != NULL) options.backoff_floor_ms = backoff->items[0]->number, options.backoff_cap_ms = backoff->items[1]->number;
  return options;
}

static json *list(const forebay_cache *cache) {
  forebay_quota_listing *listing;
  forebay_error *err = NULL;
  forebay_status status = forebay_quota_list(&listing, cache, &err);
  if (status < 0) return of_error(status, err);
  json *found = json_object(), *keys = json_list();
  for (size_t at = 0; at < forebay_quota_listing_count(listing); at++) {
    size_t size = 0;
    const char *key = forebay_quota_listing_key(listing, at, &size);
    json_push(keys, json_bytes(key, size));
  }
  forebay_quota_listing_free(listing);
  json_set(found, "keys", keys);
  return found;
}

static json *read_info(const forebay_quota *quota) {
  forebay_quota_info *info;
  forebay_error *err = NULL;
  forebay_status status = forebay_quota_read(&info, quota, &err);
  return status < 0 ? of_error(status, err) : of_info(info);
}

static json *block(const forebay_quota *quota, int64_t length, const forebay_failure *failure) {
  forebay_error *err = NULL;
  int64_t until;
  forebay_status status = forebay_quota_block(&until, quota, length, failure->code, failure->message, &err);
  json *found = done(status, err);
  if (status >= 0) json_set(found, "retry_in_ms", from_now(until));
  return found;
}

static json *clear(const forebay_quota *quota) {
  forebay_error *err = NULL;
  forebay_status status = forebay_quota_clear(quota, &err);
  json *found = done(status, err);
  if (status >= 0) json_set(found, "cleared", json_bool(status == FOREBAY_OK));
  return found;
}

json *quota_op(const char *op, forebay_cache *cache, json *fields, const char *place) {
  if (strcmp(op, "quotas") == 0) {
    finish(fields);
    return list(cache);
  }
  bool resolves = strcmp(op, "quota_resolve") == 0, blocks = strcmp(op, "quota_block") == 0;
  forebay_quota_options options = options_of(fields);
  resolving r = {NULL, NULL, NULL, json_list(), json_object()};
  if (resolves) {
    r.fetch = callee_of("fetch", need(fields, "fetch"), place);
    r.credentials = callee_of("credentials", field(fields, "credentials"), place);
    r.fallback = callee_of("fallback", field(fields, "fallback"), place);
  }
  int64_t length = blocks ? need(fields, "for_ms")->number : 0;
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  if (blocks) failure = failure_of(fields);
  finish(fields);
  forebay_quota *quota;
  forebay_error *err = NULL;
  forebay_status status = forebay_quota_open(&quota, cache, &options, &err);
  json *found = status < 0 ? of_error(status, err) : NULL;
  if (status < 0 && resolves) json_set(found, "called", r.called), json_set(found, "ran", json_bool(false));
  if (status < 0) return found;
  found = resolves ? resolve(quota, &r) : blocks ? block(quota, length, &failure) : strcmp(op, "quota_clear") == 0 ? clear(quota) : read_info(quota);
  forebay_quota_free(quota);
  return found;
}
