/* Derived results as they are kept: their inputs, what is listed and counted, what goes first, and why one holds or not. */
#include "live.h"
#include <stdlib.h>
#include <sys/stat.h>

static void each_kind_of_input_is_one(void) {
  static const char *const texts[] = {"file:d/a", "dir:d", "glob:d/*", "absent:no", "stat:d/a", "env:LANG", "source:api/x", "tag:t"};
  static const char *const names[] = {"d/a", "d", "d/*", "no", "d/a", "LANG", "api/x", "t"};
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  char folder[700];
  path_in(folder, "d");
  CHECK(mkdir(folder, 0700) == 0);
  write_file("d/a", "1");
  stage_put(cache, "api/x", "1");
  for (int kind = FOREBAY_INPUT_FILE; kind <= FOREBAY_INPUT_TAG; kind++) {
    const char *text = texts[kind - FOREBAY_INPUT_FILE], *name = names[kind - FOREBAY_INPUT_FILE];
    forebay_live_input said[] = {{kind, 0, forebay_str(name)}, forebay_input(text)};
    forebay_live_spec spec = spec_of(text, said, 2); /* both are the same */
    forebay_derived *derived;
    STATUS(FOREBAY_OK, forebay_live_persist(&derived, live, &spec, "x", 1, &err));
    forebay_live_input found = forebay_derived_input(derived, 0);
    CHECK(forebay_derived_input_count(derived) == 1 && found.kind == kind && found.reserved == 0);
    TEXT(name, found.name.data);
    forebay_text *shown;
    STATUS(FOREBAY_OK, forebay_live_input_text(&shown, &found, &err));
    TEXT(text, forebay_text_data(shown));
    forebay_text_free(shown);
    forebay_derived_free(derived);
    CHECK(check(live, text) == FOREBAY_OK);
  }
  forebay_text *shown;
  forebay_live_input short_forms[] = {forebay_input("src/"), forebay_input("*.c"), forebay_input("main.c")};
  static const char *const whole[] = {"dir:src/", "glob:*.c", "file:main.c"};
  for (int at = 0; at < 3; at++) {
    STATUS(FOREBAY_OK, forebay_live_input_text(&shown, &short_forms[at], &err));
    TEXT(whole[at], forebay_text_data(shown));
    forebay_text_free(shown);
  }
  write_file("d/b", "new"); /* no change of a file, a size, a variable or a tag */
  stage_put(cache, "api/x", "2");
  write_file("no", "");
  static const int ended[] = {0, 1, 1, 1, 0, 0, 1, 0};
  for (int at = 0; at < 8; at++) CHECK(check(live, texts[at]) == (ended[at] ? FOREBAY_INVALIDATED : FOREBAY_OK));
  write_file("d/a", "longer");
  CHECK(check(live, texts[0]) == FOREBAY_INVALIDATED && check(live, texts[4]) == FOREBAY_INVALIDATED);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void paths_are_bytes(void) {
  forebay_cache *cache = stage_open();
  forebay_live_options options = FOREBAY_LIVE_OPTIONS_INIT;
  forebay_live *live;
  forebay_derived *derived;
  forebay_text *shown;
  char folder[700];
  uint64_t removed;
  path_in(folder, "w\xff");
  CHECK(mkdir(folder, 0700) == 0);
  write_file("w\xff/caf\xe9", "1");
  options.workspace = forebay_str(folder);
  STATUS(FOREBAY_OK, forebay_live_open(&live, cache, &options, &err));
  forebay_live_input inputs[] = {{FOREBAY_INPUT_FILE, 0, forebay_mem("caf\xe9", 4)}};
  forebay_live_spec spec = spec_of("odd", inputs, 1);
  for (int round = 0; round < 2; round++) {
    STATUS(FOREBAY_OK, forebay_live_persist(&derived, live, &spec, "x", 1, &err));
    forebay_live_input found = forebay_derived_input(derived, 0);
    CHECK(found.kind == FOREBAY_INPUT_FILE && found.name.size == 4);
    TEXT("caf\xe9", found.name.data);
    STATUS(FOREBAY_OK, forebay_live_input_text(&shown, &found, &err));
    TEXT("file:caf\xef\xbf\xbd", forebay_text_data(shown));
    forebay_text_free(shown);
    forebay_derived_free(derived);
    CHECK(check(live, "odd") == FOREBAY_OK);
    if (round == 0) {
      STATUS(FOREBAY_OK, forebay_live_invalidate_path(&removed, live, forebay_str("caf\xe9"), &err));
      CHECK(removed == 1 && look(live, "odd") == FOREBAY_ABSENT);
    }
  }
  write_file("w\xff/caf\xe9", "2");
  CHECK(check(live, "odd") == FOREBAY_INVALIDATED);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void what_there_is_is_listed_and_counted(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_kinds *kinds;
  forebay_live_listing *listing;
  uint64_t count = 7, bytes = 7;
  size_t size = 0;
  STATUS(FOREBAY_OK, forebay_live_entry_count(&count, live, &err));
  STATUS(FOREBAY_OK, forebay_live_total_bytes(&bytes, live, &err));
  CHECK(count == 0 && bytes == 0);
  write_file("a", "1");
  keep(live, "one", "a", NULL);
  stage_advance(1000);
  keep(live, "three", "tag:t", "one");
  forebay_live_spec spec = spec_of("other", NULL, 0);
  spec.kind = forebay_str("");
  STATUS(FOREBAY_OK, forebay_live_persist(NULL, live, &spec, "1234567", 7, &err));
  STATUS(FOREBAY_OK, forebay_live_entry_count(&count, live, &err));
  STATUS(FOREBAY_OK, forebay_live_total_bytes(&bytes, live, &err));
  CHECK(count == 3 && bytes == 15);

  STATUS(FOREBAY_OK, forebay_live_known_kinds(&kinds, live, &err));
  CHECK(forebay_live_kinds_count(kinds) == 2);
  TEXT("", forebay_live_kinds_name(kinds, 0, &size));
  CHECK(size == 0 && forebay_live_kinds_entries(kinds, 0) == 1 && forebay_live_kinds_entries(kinds, 1) == 2);
  TEXT("test", forebay_live_kinds_name(kinds, 1, &size));
  CHECK(size == 4 && forebay_live_kinds_name(kinds, 2, NULL) == NULL && forebay_live_kinds_entries(kinds, 2) == 0);
  forebay_live_kinds_free(kinds);

  STATUS(FOREBAY_OK, forebay_live_list(&listing, live, &err));
  CHECK(forebay_live_listing_count(listing) == 3);
  const char *before = "";
  size_t found = 3;
  for (size_t at = 0; at < 3; at++) {
    const char *key = forebay_live_listing_key(listing, at, &size);
    CHECK(size == 64 && strcmp(before, key) < 0);
    before = key;
    if (strcmp(key, key_of("three").data) == 0) found = at;
  }
  CHECK(found < 3 && forebay_live_listing_size(listing, found) == 5);
  TEXT("test", forebay_live_listing_kind(listing, found, &size));
  CHECK(forebay_live_listing_computed_at_ms(listing, found) == stage_now());
  CHECK(forebay_live_listing_used_at_ms(listing, found) == stage_now());
  CHECK(forebay_live_listing_input_count(listing, found) == 1 && forebay_live_listing_upstream_count(listing, found) == 1);
  CHECK(forebay_live_listing_input(listing, found, 0).kind == FOREBAY_INPUT_TAG);
  TEXT("t", forebay_live_listing_input(listing, found, 0).name.data);
  CHECK(forebay_live_listing_input(listing, found, 1).kind == -1);
  TEXT(key_of("one").data, forebay_live_listing_upstream(listing, found, 0));
  TEXT(NULL, forebay_live_listing_upstream(listing, found, 1));
  CHECK(forebay_live_listing_key(listing, 3, &size) == NULL && size == 0);
  forebay_live_listing_free(listing);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void the_least_recently_used_goes_first(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  uint64_t evicted = 7, results = 7, files = 7;
  char *large = calloc(1, 200 * 1000);
  keep(live, "aaaa", NULL, NULL);
  stage_advance(1000);
  keep(live, "bbbb", NULL, NULL);
  stage_advance(1000);
  CHECK(look(live, "aaaa") == FOREBAY_OK);
  STATUS(FOREBAY_OK, forebay_live_evict_to_cap(&evicted, live, 4, &err));
  CHECK(evicted == 1 && look(live, "aaaa") == FOREBAY_OK && look(live, "bbbb") == FOREBAY_ABSENT);
  forebay_live_spec spec = spec_of("large", NULL, 0);
  STATUS(FOREBAY_OK, forebay_live_persist(NULL, live, &spec, large, 200 * 1000, &err));
  STATUS(FOREBAY_OK, forebay_live_mark_dirty(live, key_of("large"), &err));
  STATUS(FOREBAY_OK, forebay_live_gc(&results, &files, live, &err));
  CHECK(results == 0 && files == 1);
  STATUS(FOREBAY_OK, forebay_live_gc(NULL, NULL, live, &err));
  forebay_live_free(live);
  /* A cap of its own is kept at each commit. */
  forebay_live_options options = FOREBAY_LIVE_OPTIONS_INIT;
  options.size_cap = 4;
  STATUS(FOREBAY_OK, forebay_live_open(&live, cache, &options, &err));
  stage_advance(1000);
  keep(live, "cccc", NULL, NULL);
  CHECK(look(live, "aaaa") == FOREBAY_ABSENT && look(live, "cccc") == FOREBAY_OK);
  free(large);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void why_names_what_decided(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_explanation *why;
  write_file("a", "1");
  keep(live, "read", "a", NULL);
  keep(live, "grep", NULL, "read");
  STATUS(FOREBAY_OK, forebay_live_why(&why, live, key_of("grep"), &err));
  CHECK(forebay_live_explanation_holds(why) == 1 && forebay_live_explanation_input(why).kind == -1);
  TEXT(NULL, forebay_live_explanation_upstream(why, NULL));
  forebay_live_explanation_free(why);
  write_file("a", "2");
  STATUS(FOREBAY_OK, forebay_live_why(&why, live, key_of("grep"), &err));
  size_t size = 0;
  const char *text = forebay_live_explanation_text(why, &size);
  CHECK(forebay_live_explanation_holds(why) == 0 && strstr(text, "file:a") != NULL && size == strlen(text));
  CHECK(forebay_live_explanation_input(why).kind == FOREBAY_INPUT_FILE);
  TEXT("a", forebay_live_explanation_input(why).name.data);
  TEXT(key_of("read").data, forebay_live_explanation_upstream(why, &size));
  forebay_live_explanation_free(why);
  CHECK(look(live, "grep") == FOREBAY_OK); /* asking removes nothing */
  STATUS(FOREBAY_OK, forebay_live_why(&why, live, key_of("nothing"), &err));
  CHECK(forebay_live_explanation_holds(why) == 0 && forebay_live_explanation_input(why).kind == -1);
  forebay_live_explanation_free(why);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(each_kind_of_input_is_one),
    TEST(paths_are_bytes),
    TEST(what_there_is_is_listed_and_counted),
    TEST(the_least_recently_used_goes_first),
    TEST(why_names_what_decided),
};
CHECK_MAIN(tests)
