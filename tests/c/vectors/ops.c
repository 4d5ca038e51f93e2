/* The ops on caches, sources and tickets, and where each op is handed to whoever knows it. */
#define _POSIX_C_SOURCE 200809L
#include "callee.h"
#include "kinds.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json *of_value(forebay_value *value) {
  json *found = json_object();
  const uint8_t *data = forebay_value_data(value);
  size_t size = 0;
  const char *validator = forebay_value_validator(value, &size);
  json_set(found, "data", data == NULL ? json_null() : json_bytes(data, forebay_value_size(value)));
  json_set(found, "state", json_text(forebay_state_text(forebay_value_state(value))));
  json_set(found, "how", json_text(forebay_how_text(forebay_value_how(value))));
  json_set(found, "phase", json_text(forebay_phase_text(forebay_value_phase(value))));
  json_set(found, "age_ms", json_unless_unset(forebay_value_age_ms(value)));
  json_set(found, "validator", validator == NULL ? json_null() : json_bytes(validator, size));
  json_set(found, "error", error_code(forebay_value_error(value)));
  json_set(found, "says", error_text(forebay_value_error(value)));
  json_set(found, "version", json_text(forebay_value_version(value, NULL)));
  forebay_value_free(value);
  return found;
}

static json *of_state(forebay_refresh_info *info) {
  json *found = json_object();
  int64_t holder = forebay_refresh_info_holder(info);
  json_set(found, "phase", json_text(forebay_phase_text(forebay_refresh_info_phase(info))));
  json_set(found, "in_flight", json_bool(forebay_refresh_info_in_flight(info)));
  json_set(found, "failed", json_bool(forebay_refresh_info_failed(info)));
  json_set(found, "error", error_code(forebay_refresh_info_last_error(info)));
  json_set(found, "says", error_text(forebay_refresh_info_last_error(info)));
  json_set(found, "attempts", json_number(forebay_refresh_info_attempts(info)));
  json_set(found, "declared", json_bool(forebay_refresh_info_declared(info)));
  json_set(found, "retry_in_ms", from_now(forebay_refresh_info_retry_at_ms(info)));
  json_set(found, "deadline_in_ms", from_now(forebay_refresh_info_deadline_ms(info)));
  json_set(found, "holder", json_text(holder == -1 ? NULL : holder == getpid() ? "self" : "other"));
  forebay_refresh_info_free(info);
  return found;
}

/* What a call gave: its value, or how it failed; that a newer value was put counts as a failure, as elsewhere. */
static json *given(forebay_status status, forebay_value *value, forebay_error *err) {
  return status < 0 || status == FOREBAY_SUPERSEDED ? of_error(status, err) : of_value(value);
}

static forebay_source_options source_of(json *fields) {
  forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
  for (size_t at = 0; at < stage_source->count; at++) {
    if (json_get(fields, stage_source->names[at]) == NULL) json_set(fields, stage_source->names[at], stage_source->items[at]);
  }
  source.key = slice_of(need(fields, "key"));
  source.identity = slice_of(field(fields, "identity"));
  source.ttl_ms = number_of(fields, "ttl_ms", -1);
  source.max_stale_ms = number_of(fields, "max_stale_ms", -1);
  source.stale_if_error_ms = number_of(fields, "stale_if_error_ms", -1);
  source.deadline_ms = number_of(fields, "deadline_ms", -1);
  json *backoff = field(fields, "backoff_ms");
  if (backoff != NULL) source.backoff_floor_ms = backoff->items[0]->number, source.backoff_cap_ms = backoff->items[1]->number;
  return source;
}

/* ---- refreshers ---- */

static void refresh(void *userdata, forebay_ticket *ticket) {
  callee *c = userdata;
  callee_enter(c);
  /* Its end may come too late, or be superseded: that is told to whoever called. */
  if (c->ending == FAILS) {
    forebay_ticket_fail(ticket, &c->failure, NULL);
  } else if (c->ending == RETURNS) {
    forebay_ticket_complete(NULL, ticket, c->data->text, c->data->count, &c->commit, NULL);
  } else {
    forebay_ticket_unchanged(NULL, ticket, &c->commit, NULL);
  }
}

static json *refreshing(const char *op, forebay_cache *cache, json *fields, const char *place) {
  forebay_source_options source = source_of(fields);
  forebay_refresh_options options = FOREBAY_REFRESH_OPTIONS_INIT;
  callee *c = callee_of("fn", need(fields, "fn"), place);
  forebay_refresher table = {sizeof table, c, refresh, NULL};
  forebay_error *err = NULL;
  forebay_value *value = NULL;
  int64_t wait = -1;
  json *found;
  if (strcmp(op, "get") == 0) wait = number_of(fields, "wait_ms", -1);
  if (strcmp(op, "refresh") == 0) {
    json *fresh = field(fields, "min_fresh_in_ms");
    if (fresh != NULL) options.min_fresh_at_ms = stage_now_ms() + fresh->number;
    options.override_gate = flag_of(fields, "override_gate");
  }
  finish(fields);
  if (strcmp(op, "maybe_refresh") == 0) {
    forebay_status status = forebay_maybe_refresh(cache, &source, &table, &err);
    found = done(status, err);
    if (status >= 0) json_set(found, "outcome", json_text(status == FOREBAY_OK ? "started" : forebay_code_text(status)));
  } else if (strcmp(op, "get") == 0) {
    forebay_status status = forebay_get(&value, cache, &source, &table, wait, &err);
    found = given(status, value, err);
  } else if (strcmp(op, "refresh") == 0) {
    forebay_status status = forebay_refresh_with(&value, cache, &source, &options, &table, &err);
    found = given(status, value, err);
  } else {
    forebay_status status = forebay_maybe_refresh_sync(&value, cache, &source, &table, &err);
    found = given(status, value, err);
  }
  callee_own_words(c, found);
  json_set(found, "ran", json_bool(callee_ran(c)));
  return found;
}

/* ---- tickets ---- */

static json *acquire(forebay_cache *cache, json *fields) {
  forebay_source_options source = source_of(fields);
  forebay_acquire_options options = FOREBAY_ACQUIRE_OPTIONS_INIT;
  const char *name = need(fields, "ticket")->text, *since = text_of(fields, "since");
  options.unless_fresh = flag_of(fields, "unless_fresh");
  options.override_gate = flag_of(fields, "override_gate");
  options.force = flag_of(fields, "force");
  if (since != NULL) options.unless_changed_since = forebay_str(thing_get(A_VERSION, since));
  finish(fields);
  forebay_ticket *ticket;
  forebay_value *value;
  forebay_refresh_info *info;
  forebay_error *err = NULL;
  forebay_status status = forebay_acquire(&ticket, &value, &info, cache, &source, &options, &err);
  if (status < 0) return of_error(status, err);
  json *found = value != NULL ? of_value(value) : info != NULL ? of_state(info) : json_object();
  json_set(found, "outcome", json_text(status == FOREBAY_OK ? "ticket" : forebay_code_text(status)));
  if (ticket != NULL) {
    forebay_ticket_free(thing_find(A_TICKET, name));
    thing_put(A_TICKET, name, ticket);
  }
  return found;
}

static json *look_at_ticket(const forebay_ticket *ticket) {
  json *found = json_object();
  size_t size = 0;
  const uint8_t *previous = forebay_ticket_previous(ticket, &size);
  json_set(found, "cancelled", json_bool(forebay_ticket_cancelled(ticket)));
  json_set(found, "previous", previous == NULL ? json_null() : json_bytes(previous, size));
  json_set(found, "validator", json_text(forebay_ticket_validator(ticket, NULL)));
  json_set(found, "remaining_ms", json_number(forebay_ticket_remaining_ms(ticket)));
  return found;
}

static json *ticket_op(const char *op, json *fields) {
  const char *name = need(fields, "ticket")->text;
  forebay_ticket *ticket = thing_get(A_TICKET, name);
  forebay_error *err = NULL;
  forebay_value *value = NULL;
  forebay_status status;
  if (strcmp(op, "ticket") == 0) {
    finish(fields);
    return look_at_ticket(ticket);
  }
  if (strcmp(op, "complete") == 0) {
    json *data = bytes_of(need(fields, "data"));
    forebay_commit commit = commit_of(fields);
    finish(fields);
    status = forebay_ticket_complete(&value, ticket, data->text, data->count, &commit, &err);
    return given(status, value, err);
  }
  if (strcmp(op, "unchanged") == 0) {
    forebay_commit commit = commit_of(fields);
    finish(fields);
    status = forebay_ticket_unchanged(&value, ticket, &commit, &err);
    return given(status, value, err);
  }
  if (strcmp(op, "fail") == 0) {
    forebay_failure failure = failure_of(fields);
    finish(fields);
    status = forebay_ticket_fail(ticket, &failure, &err);
    return done(status, err);
  }
  if (strcmp(op, "renew") == 0) {
    int64_t length = need(fields, "ms")->number;
    finish(fields);
    status = forebay_ticket_renew(ticket, length, &err);
    return done(status, err);
  }
  finish(fields);
  forebay_ticket_free(thing_drop(A_TICKET, name));
  return json_object();
}

/* ---- the other calls ---- */

forebay_cache *open_cache(const char *durability, forebay_error **err) {
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  static const char *const words[] = {"none", "data", "full"};
  forebay_cache *cache = NULL;
  options.root = forebay_str(stage_root);
  options.test_clock = forebay_str(stage_clock);
  for (int32_t at = 0; durability != NULL && at < 3; at++) {
    if (strcmp(durability, words[at]) == 0) options.durability = at;
  }
  if (durability != NULL && options.durability == -1) failed("%s is no durability", durability);
  forebay_open(&cache, &options, err);
  return cache;
}

static json *list(forebay_cache *cache) {
  forebay_listing *listing;
  forebay_error *err = NULL;
  forebay_status status = forebay_list(&listing, cache, &err);
  if (status < 0) return of_error(status, err);
  json *found = json_object(), *all = json_list();
  for (size_t at = 0; at < forebay_listing_count(listing); at++) {
    json *one = json_object();
    size_t size = 0;
    const char *key = forebay_listing_key(listing, at, &size);
    json_set(one, "key", json_bytes(key, size));
    json_set(one, "state", json_text(forebay_state_text(forebay_listing_state(listing, at))));
    json_set(one, "age_ms", json_unless_unset(forebay_listing_age_ms(listing, at)));
    json_set(one, "size", json_number((int64_t)forebay_listing_size(listing, at)));
    json_set(one, "phase", json_text(forebay_phase_text(forebay_listing_phase(listing, at))));
    json_set(one, "validator", json_text(forebay_listing_validator(listing, at, NULL)));
    json_set(one, "error", error_code(forebay_listing_error(listing, at)));
    json_push(all, one);
  }
  forebay_listing_free(listing);
  json_set(found, "list", all);
  return found;
}

static json *prune(forebay_cache *cache, const json *keep) {
  forebay_source_options *sources = calloc(keep->count + 1, sizeof *sources);
  const forebay_source_options **pointers = calloc(keep->count + 1, sizeof *pointers);
  forebay_pruned *pruned;
  forebay_error *err = NULL;
  if (sources == NULL || pointers == NULL) failed("no memory");
  for (size_t at = 0; at < keep->count; at++) {
    sources[at] = (forebay_source_options)FOREBAY_SOURCE_OPTIONS_INIT;
    sources[at].key = slice_of(keep->items[at]);
    pointers[at] = &sources[at];
  }
  forebay_status status = forebay_prune(&pruned, cache, pointers, keep->count, &err);
  if (status < 0) return of_error(status, err);
  json *found = json_object(), *removed = json_list(), *skipped = json_list();
  for (size_t at = 0; at < forebay_pruned_removed_count(pruned); at++) json_push(removed, json_text(forebay_pruned_removed_key(pruned, at, NULL)));
  for (size_t at = 0; at < forebay_pruned_skipped_count(pruned); at++) json_push(skipped, json_text(forebay_pruned_skipped_key(pruned, at, NULL)));
  forebay_pruned_free(pruned);
  json_set(found, "removed_keys", removed);
  json_set(found, "skipped_keys", skipped);
  return found;
}

static json *why(forebay_cache *cache, const forebay_source_options *source) {
  forebay_explanation *explanation;
  forebay_error *err = NULL;
  forebay_status status = forebay_why(&explanation, cache, source, &err);
  if (status < 0) return of_error(status, err);
  json *found = json_object();
  json_set(found, "state", json_text(forebay_state_text(forebay_explanation_state(explanation))));
  json_set(found, "phase", json_text(forebay_phase_text(forebay_explanation_phase(explanation))));
  json_set(found, "says", json_text(forebay_explanation_text(explanation, NULL)));
  forebay_explanation_free(explanation);
  return found;
}

static json *wait_for_change(forebay_cache *cache, const forebay_source_options *source, const char *since, int64_t timeout) {
  forebay_text *version;
  forebay_error *err = NULL;
  forebay_status status = forebay_wait_for_change(&version, cache, source, forebay_str(since), timeout, NULL, &err);
  json *found = done(status, err);
  if (status >= 0) json_set(found, "changed", json_bool(status == FOREBAY_OK));
  forebay_text_free(version);
  return found;
}

/* Looks until no refresh runs, each time woken by a change or after 25 ms. */
static json *idle(forebay_cache *cache, const forebay_source_options *source) {
  for (int looks = 0; looks < 800; looks++) {
    forebay_refresh_info *info;
    forebay_value *value;
    if (forebay_refresh_state(&info, cache, source, NULL) < 0) failed("the state cannot be looked at");
    int32_t phase = forebay_refresh_info_phase(info);
    forebay_refresh_info_free(info);
    if (phase != FOREBAY_PHASE_RUNNING) return json_object();
    if (forebay_read(&value, cache, source, NULL) < 0) failed("the value cannot be read");
    wait_for_change(cache, source, forebay_value_version(value, NULL), 25);
    forebay_value_free(value);
  }
  failed("a refresh is still running");
}

static json *load(forebay_cache *cache, const forebay_source_options *source, const char *name) {
  forebay_reader *reader = thing_find(A_READER, name);
  forebay_value *value = NULL;
  forebay_error *err = NULL;
  if (reader == NULL) {
    forebay_status status = forebay_reader_open(&reader, cache, source, &err);
    if (status < 0) return of_error(status, err);
    thing_put(A_READER, name, reader);
  }
  forebay_status status = forebay_reader_value(&value, reader, &err);
  return given(status, value, err);
}

static json *put(forebay_cache *cache, const forebay_source_options *source, const json *data, forebay_commit commit) {
  forebay_value *value = NULL;
  forebay_error *err = NULL;
  forebay_status status = forebay_put(&value, cache, source, data->text, data->count, &commit, &err);
  return given(status, value, err);
}

/* Calls on one source. NULL where `op` is none of them. */
static json *plain(const char *op, forebay_cache *cache, json *fields) {
  static const char ops[] = " read load put mark_stale remove refresh_state wait_for_change why idle ";
  if (strstr(ops, format(" %s ", op)) == NULL) return NULL;
  forebay_source_options source = source_of(fields);
  forebay_error *err = NULL;
  forebay_value *value = NULL;
  forebay_refresh_info *info = NULL;
  forebay_status status;
  bool loads = strcmp(op, "load") == 0, puts_it = strcmp(op, "put") == 0, waits = strcmp(op, "wait_for_change") == 0;
  const char *reader = loads ? need(fields, "reader")->text : NULL;
  json *data = puts_it ? bytes_of(need(fields, "data")) : NULL;
  forebay_commit commit = commit_of(fields);
  const char *since = waits ? thing_get(A_VERSION, need(fields, "since")->text) : NULL;
  int64_t timeout = waits ? number_of(fields, "timeout_ms", -1) : -1;
  finish(fields);
  if (loads) return load(cache, &source, reader);
  if (puts_it) return put(cache, &source, data, commit);
  if (waits) return wait_for_change(cache, &source, since, timeout);
  if (strcmp(op, "why") == 0) return why(cache, &source);
  if (strcmp(op, "idle") == 0) return idle(cache, &source);
  if (strcmp(op, "read") == 0) {
    status = forebay_read(&value, cache, &source, &err);
    return given(status, value, err);
  }
  if (strcmp(op, "refresh_state") == 0) {
    status = forebay_refresh_state(&info, cache, &source, &err);
    return status < 0 ? of_error(status, err) : of_state(info);
  }
  if (strcmp(op, "mark_stale") == 0) {
    status = forebay_mark_stale(cache, &source, &err);
    return done(status, err);
  }
  status = forebay_remove(cache, &source, &err);
  json *found = done(status, err);
  if (status >= 0) json_set(found, "removed", json_bool(status == FOREBAY_OK));
  return found;
}

static json *open_or_close(const char *op, const char *name, json *fields) {
  forebay_error *err = NULL;
  if (strcmp(op, "close") == 0) {
    finish(fields);
    forebay_status status = forebay_close(thing_get(A_CACHE, name), -1, &err);
    return done(status, err);
  }
  const char *durability = text_of(fields, "durability");
  finish(fields);
  forebay_cache *cache = open_cache(durability, &err);
  if (cache == NULL) return of_error(forebay_error_code(err), err);
  forebay_cache_free(thing_find(A_CACHE, name));
  thing_put(A_CACHE, name, cache);
  return json_object();
}

static bool one_of(const char *op, const char *words) { return strstr(words, format(" %s ", op)) != NULL; }

json *run_op(const char *op, json *fields, const char *place) {
  json *named = field(fields, "cache");
  const char *name = named == NULL ? "a" : named->text;
  if (one_of(op, " rotate rotate_current rotate_reset rotate_state ")) return creds_op(op, fields, place);
  if (one_of(op, " quota_resolve quota_read quota_block quota_clear quotas ")) return quota_op(op, thing_get(A_CACHE, name), fields, place);
  if (one_of(op, " open close ")) return open_or_close(op, name, fields);
  if (one_of(op, " ticket complete unchanged fail renew drop ")) return ticket_op(op, fields);
  if (one_of(op, " refresh get maybe_refresh maybe_refresh_sync ")) return refreshing(op, thing_get(A_CACHE, name), fields, place);
  if (strcmp(op, "acquire") == 0) return acquire(thing_get(A_CACHE, name), fields);
  if (strcmp(op, "list") == 0) {
    finish(fields);
    return list(thing_get(A_CACHE, name));
  }
  if (strcmp(op, "prune") == 0) {
    json *keep = need(fields, "keep");
    finish(fields);
    return prune(thing_get(A_CACHE, name), keep);
  }
  json *found = plain(op, thing_find(A_CACHE, name), fields);
  if (found == NULL) found = stage_op(op, fields);
  if (found == NULL) failed("\"%s\" is no op", op);
  return found;
}
