/* See tables.h: each table against the library. */
#define _GNU_SOURCE
#include "tables.h"
#include "kinds.h"
#include "parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

json *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  struct stat info;
  if (file == NULL || fstat(fileno(file), &info) != 0) failed("%s cannot be read", path);
  char *text = malloc((size_t)info.st_size + 1);
  size_t size = text == NULL ? 0 : fread(text, 1, (size_t)info.st_size, file);
  fclose(file);
  json *found = json_read(text, size);
  if (found == NULL || found->kind != JSON_OBJECT) failed("%s is no JSON object of the kind described", path);
  return found;
}

static void check_words(const json *table, const char *name, const char *(*text_of_number)(int32_t)) {
  const json *words = json_get(table, name);
  if (words == NULL) failed("there is no \"%s\"", name);
  for (size_t at = 0; at < words->count; at++) {
    if (!json_is(words->items[at], text_of_number((int32_t)at))) failed("%s: %s is not number %zu", name, words->items[at]->text, at);
  }
  if (text_of_number((int32_t)words->count) != NULL) failed("%s: there are more than %zu", name, words->count);
}

void run_tables(const char *path, const char *unused) {
  json *codes = need(read_file(format("%s/error_codes.json", path)), "codes");
  json *defaults = read_file(format("%s/defaults.json", path)), *outcomes = json_get(defaults, "outcomes");
  (void)unused;
  for (size_t at = 0; at < codes->count; at++) {
    int32_t number = (int32_t)json_get(codes->items[at], "number")->number;
    json *code = json_get(codes->items[at], "code");
    if (!json_is(code, forebay_code_text(number))) failed("%s is not number %d", code->text, (int)number);
    if (forebay_code_from_text(forebay_str(code->text)) != number) failed("%s has another number", code->text);
  }
  if (forebay_code_text(-1 - (int32_t)codes->count) != NULL) failed("there are more than %zu codes", codes->count);
  for (size_t at = 0; at < outcomes->count; at++) {
    const char *text = forebay_code_text((int32_t)outcomes->items[at]->number);
    if (text == NULL || strcmp(text, outcomes->names[at]) != 0) failed("%s is not that outcome", outcomes->names[at]);
  }
  check_words(defaults, "states", forebay_state_text);
  check_words(defaults, "hows", forebay_how_text);
  check_words(defaults, "phases", forebay_phase_text);
  check_words(defaults, "events", forebay_event_kind_text);
}

static uint32_t slot_of(const json *tier, const json *key, const json *identity) {
  forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
  uint32_t slot = 0;
  source.tier = slice_of(tier), source.key = slice_of(key), source.identity = slice_of(identity);
  if (forebay_source_slot(&slot, &source, NULL) != FOREBAY_OK) failed("%s is refused", json_show(key));
  return slot;
}

void run_names(const char *path, const char *unused) {
  json *table = read_file(format("%s/names.json", path)), *names = need(table, "names"), *keys = need(table, "keys");
  json *refused = need(table, "refused");
  forebay_error *err = NULL;
  (void)unused;
  stage_begin(stage_dir, json_object(), json_object());
  forebay_cache *cache = open_cache("none", &err);
  if (cache == NULL || names->count == 0) failed("there is no cache, or no name");
  for (size_t at = 0; at < names->count; at++) {
    const json *one = names->items[at];
    forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
    source.tier = slice_of(json_get(one, "tier")), source.key = slice_of(json_get(one, "name"));
    source.identity = slice_of(json_get(one, "identity"));
    source.ttl_ms = 1000;
    stage_at(json_show(one));
    if (forebay_put(NULL, cache, &source, "x", 1, NULL, &err) != FOREBAY_OK) failed("%s", forebay_error_text(err, NULL));
    char *file = format("%s/%s/%s.json", stage_root, json_get(one, "folder")->text, json_get(one, "stem")->text);
    if (access(file, F_OK) != 0) failed("there is no %s", file);
    uint32_t slot = slot_of(json_get(one, "tier"), json_get(one, "name"), json_get(one, "identity"));
    if (slot != (uint32_t)json_get(one, "slot")->number) failed("the slot is %u", (unsigned)slot);
  }
  for (size_t at = 0; at < keys->count; at++) {
    const json *one = keys->items[at];
    uint32_t whole = slot_of(NULL, json_get(one, "text"), NULL), split = slot_of(json_get(one, "tier"), json_get(one, "name"), NULL);
    if (whole != split) failed("%s is split otherwise", json_show(one));
  }
  for (size_t at = 0; at < refused->count; at++) {
    forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
    source.key = slice_of(refused->items[at]->kind == JSON_OBJECT ? json_get(refused->items[at], "text") : refused->items[at]);
    if (forebay_put(NULL, cache, &source, "x", 1, NULL, NULL) != FOREBAY_E_INVALID) failed("%s is not refused", json_show(refused->items[at]));
  }
  forebay_cache_free(cache);
}

/* ---- the names of quotas and credentials ---- */

static void fetch_empty(void *userdata, forebay_resolve *resolve) {
  (void)userdata;
  forebay_resolve_fetched(resolve, "{}", 2, NULL, NULL);
}

static forebay_quota *quota_named(const forebay_cache *cache, const json *name, const json *identity) {
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  forebay_quota *quota;
  options.name = slice_of(name), options.identity = slice_of(identity);
  forebay_quota_open(&quota, cache, &options, NULL);
  return quota;
}

static void check_quota(const forebay_cache *cache, const json *one) {
  forebay_quota_source source = {sizeof source, NULL, NULL, fetch_empty, NULL, NULL};
  forebay_quota *quota = quota_named(cache, json_get(one, "name"), json_get(one, "identity"));
  forebay_answer *answer;
  forebay_error *err = NULL;
  size_t size = 0;
  if (quota == NULL) failed("it is refused");
  const char *key = forebay_quota_key(quota, &size);
  if (!json_equal(json_get(one, "key"), json_bytes(key, size))) failed("the key is %s", key);
  if (forebay_quota_resolve(&answer, quota, &source, &err) != FOREBAY_OK) failed("%s", forebay_error_text(err, NULL));
  char *file = format("%s/%s.json", stage_root, json_get(one, "stem")->text);
  if (access(file, F_OK) != 0) failed("there is no %s", file);
  forebay_answer_free(answer);
  forebay_quota_free(quota);
}

static void check_credential(const json *one) {
  forebay_error *err = NULL;
  if (forebay_rotate_reset(NULL, creds_of("a"), slice_of(json_get(one, "key")), "x", 1, &err) != FOREBAY_OK) failed("%s", forebay_error_text(err, NULL));
  char *file = format("%s/%s/%s.json", stage_state, json_get(one, "folder")->text, json_get(one, "stem")->text);
  if (access(file, F_OK) != 0) failed("there is no %s", file);
}

void run_quota_names(const char *path, const char *unused) {
  json *table = read_file(format("%s/names.json", path)), *quotas = need(table, "quotas"), *credentials = need(table, "credentials");
  json *refused = need(table, "quotas_refused");
  forebay_error *err = NULL;
  (void)unused;
  stage_begin(stage_dir, json_object(), json_object());
  forebay_cache *cache = open_cache("none", &err);
  if (cache == NULL || quotas->count == 0 || credentials->count == 0) failed("there is no cache, or no name");
  for (size_t at = 0; at < quotas->count; at++) {
    stage_at(json_show(quotas->items[at]));
    check_quota(cache, quotas->items[at]);
  }
  for (size_t at = 0; at < refused->count; at++) {
    if (quota_named(cache, refused->items[at], NULL) != NULL) failed("%s is not refused", json_show(refused->items[at]));
  }
  for (size_t at = 0; at < credentials->count; at++) {
    stage_at(json_show(credentials->items[at]));
    check_credential(credentials->items[at]);
  }
  stage_end();
  forebay_cache_free(cache);
}
