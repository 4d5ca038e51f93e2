/* The ops that are calls of the C interface, and the refreshers that scenarios describe. */
#define _POSIX_C_SOURCE 200809L
#include "expect.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How far from now, or null. */
static json *from_now(int64_t at_ms) { return at_ms == -1 ? json_null() : json_number(at_ms - stage_now_ms()); }

static json *error_code(const forebay_error *error) {
  return error == NULL ? json_null() : json_text(forebay_code_text(forebay_error_code(error)));
}

static json *error_text(const forebay_error *error) { return json_text(forebay_error_text(error, NULL)); }

static json *of_error(forebay_status status, forebay_error *err) {
  json *found = json_object();
  json_set(found, "fails", json_text(forebay_code_text(status)));
  json_set(found, "says", error_text(err));
  json_set(found, "retry_in_ms", from_now(forebay_error_retry_at_ms(err)));
  json_set(found, "host", json_text(forebay_error_host_text(err, NULL)));
  forebay_error_free(err);
  return found;
}

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

static json *done(forebay_status status, forebay_error *err) {
  return status < 0 ? of_error(status, err) : json_object();
}

static forebay_slice slice_of(const json *text) {
  return text == NULL ? forebay_str(NULL) : forebay_mem(text->text, text->count);
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

static forebay_commit commit_of(json *fields) {
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  json *given_commit = field(fields, "commit");
  if (given_commit == NULL) return commit;
  json *inner = json_copy(given_commit);
  commit.validator = slice_of(field(inner, "validator"));
  commit.ttl_ms = number_of(inner, "ttl_ms", -1);
  commit.max_stale_ms = number_of(inner, "max_stale_ms", -1);
  finish(inner);
  return commit;
}

static forebay_failure failure_of(json *fields) {
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  json *code = need(fields, "code");
  failure.code = forebay_code_from_text(slice_of(code));
  if (failure.code == 0) failed("%s is no code", json_show(code));
  failure.message = slice_of(need(fields, "message"));
  failure.retry_after_ms = number_of(fields, "retry_after_ms", -1);
  return failure;
}

/* ---- refreshers ---- */

typedef struct refresher {
  const json *during;
  const char *hold, *place, *throws;
  json *data; /* NULL: unchanged, or a failure */
  bool fails;
  forebay_commit commit;
  forebay_failure failure;
  atomic_bool ran;
} refresher;

static void refresh(void *userdata, forebay_ticket *ticket) {
  refresher *r = userdata;
  atomic_store(&r->ran, true);
  if (r->during != NULL) run_steps(r->during, format("%s.during.", r->place));
  stage_at(r->place);
  if (r->hold != NULL) hold_enter(r->hold);
  /* Its end may come too late, or be superseded: that is told to whoever called. */
  if (r->fails) {
    forebay_ticket_fail(ticket, &r->failure, NULL);
  } else if (r->data != NULL) {
    forebay_ticket_complete(NULL, ticket, r->data->text, r->data->count, &r->commit, NULL);
  } else {
    forebay_ticket_unchanged(NULL, ticket, &r->commit, NULL);
  }
}

static refresher *refresher_of(const json *written, const char *place) {
  refresher *r = calloc(1, sizeof *r);
  json *fields = json_copy(written), *fails = field(fields, "fails"), *data = field(fields, "returns");
  if (r == NULL) failed("no memory");
  bool unchanged = flag_of(fields, "unchanged");
  r->place = format("%s", place);
  r->during = field(fields, "during");
  r->hold = text_of(fields, "hold");
  r->throws = text_of(fields, "throws");
  r->failure = (forebay_failure)FOREBAY_FAILURE_INIT;
  r->failure.message = forebay_str(r->throws);
  r->fails = fails != NULL || r->throws != NULL;
  r->commit = commit_of(fields);
  r->data = data == NULL ? NULL : bytes_of(data);
  finish(fields);
  if (fails != NULL) {
    json *inner = json_copy(fails);
    r->failure = failure_of(inner);
    finish(inner);
  }
  if ((fails != NULL) + (r->throws != NULL) + (data != NULL) + unchanged != 1) {
    failed("the refresher has to say one of returns, unchanged, fails, throws");
  }
  return r;
}

static json *refreshing(const char *op, forebay_cache *cache, json *fields, const char *place) {
  forebay_source_options source = source_of(fields);
  forebay_refresh_options options = FOREBAY_REFRESH_OPTIONS_INIT;
  refresher *r = refresher_of(need(fields, "fn"), place);
  forebay_refresher table = {sizeof table, r, refresh, NULL};
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
  bool ran = atomic_load(&r->ran);
  if (r->throws != NULL && ran && json_get(found, "fails") != NULL && !json_is(json_get(found, "host"), r->throws)) {
    failed("the host's own text is not \"%s\" in %s", r->throws, json_show(found));
  }
  json_set(found, "ran", json_bool(ran));
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
