/* Derived results by callback: how long they hold, what a change takes along, and who computes. */
#include "live.h"

static void a_result_holds_until_an_input_changes(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  host h = {.brings = "two words"};
  write_file("notes", "one");
  forebay_live_input inputs[] = {forebay_input("notes")};
  forebay_live_spec spec = spec_of("words", inputs, 1);
  expect(get(FOREBAY_OK, live, &spec, &h), "two words", FOREBAY_HOW_RAN);
  expect(get(FOREBAY_OK, live, &spec, &h), "two words", FOREBAY_HOW_FRESH);
  write_file("notes", "one"); /* the same content */
  expect(get(FOREBAY_OK, live, &spec, &h), "two words", FOREBAY_HOW_FRESH);
  CHECK(h.ran == 1);
  write_file("notes", "two");
  h.brings = "";
  expect(get(FOREBAY_OK, live, &spec, &h), "", FOREBAY_HOW_RAN);
  CHECK(h.ran == 2);
  write_file("notes", "three");
  CHECK(look(live, "words") == FOREBAY_OK); /* which looks at no input */
  CHECK(check(live, "words") == FOREBAY_INVALIDATED);
  CHECK(check(live, "words") == FOREBAY_ABSENT && look(live, "words") == FOREBAY_ABSENT);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void a_result_tells_what_it_is_and_outlives_all(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_derived *derived;
  size_t size = 0;
  write_file("b", "1");
  keep(live, "below", NULL, NULL);
  forebay_slice upstreams[] = {key_of("below")};
  forebay_live_input inputs[] = {forebay_input("tag:schema"), forebay_input("b")};
  forebay_live_spec spec = spec_of("x", inputs, 2);
  spec.upstreams = upstreams;
  spec.upstream_count = 1;
  spec.kind = forebay_mem("a\0b", 3);
  STATUS(FOREBAY_OK, forebay_live_persist(&derived, live, &spec, "d\0ta", 4, &err));
  CHECK(forebay_derived_how(derived) == FOREBAY_HOW_RAN);
  forebay_derived_free(derived);
  stage_advance(5000);
  STATUS(FOREBAY_OK, forebay_live_lookup(&derived, live, spec.key, &err));
  CHECK(forebay_derived_retain(derived) == derived);
  forebay_derived_free(derived);
  forebay_live_free(live);
  forebay_cache_free(cache);
  CHECK(forebay_derived_size(derived) == 4 && memcmp(forebay_derived_data(derived), "d\0ta", 4) == 0);
  CHECK(forebay_derived_how(derived) == FOREBAY_HOW_FRESH && forebay_derived_error(derived) == NULL);
  CHECK(forebay_derived_computed_at_ms(derived) == stage_now() - 5000);
  TEXT(spec.key.data, forebay_derived_key(derived, &size));
  CHECK(size == FOREBAY_LIVE_KEY_SIZE - 1);
  CHECK(memcmp("a\0b", forebay_derived_kind(derived, &size), 4) == 0 && size == 3);
  char hash[FOREBAY_LIVE_KEY_SIZE]; /* a key is the hash of its bytes */
  STATUS(FOREBAY_OK, forebay_live_key(hash, sizeof hash, "d\0ta", 4, &err));
  TEXT(hash, forebay_derived_hash(derived, &size));
  CHECK(forebay_derived_input_count(derived) == 2 && forebay_derived_upstream_count(derived) == 1);
  CHECK(forebay_derived_input(derived, 0).kind == FOREBAY_INPUT_FILE);
  TEXT("b", forebay_derived_input(derived, 0).name.data);
  CHECK(forebay_derived_input(derived, 1).kind == FOREBAY_INPUT_TAG && forebay_derived_input(derived, 1).name.size == 6);
  TEXT("schema", forebay_derived_input(derived, 1).name.data);
  CHECK(forebay_derived_input(derived, 2).kind == -1 && forebay_derived_input(derived, 2).name.data == NULL);
  TEXT(upstreams[0].data, forebay_derived_upstream(derived, 0));
  TEXT(NULL, forebay_derived_upstream(derived, 1));
  forebay_derived_free(derived);
}

static void a_change_takes_along_what_is_built_on_it(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  uint64_t removed = 7;
  write_file("a", "1");
  keep(live, "read", "a", NULL);
  keep(live, "grep", "tag:t", "read");
  keep(live, "answer", NULL, "grep");
  STATUS(FOREBAY_OK, forebay_live_invalidate_upstream(&removed, live, key_of("read"), &err));
  CHECK(removed == 2 && look(live, "read") == FOREBAY_OK && look(live, "grep") == FOREBAY_ABSENT);
  keep(live, "grep", "tag:t", "read");
  keep(live, "answer", NULL, "grep");
  STATUS(FOREBAY_OK, forebay_live_invalidate_tag(&removed, live, forebay_str("t"), &err));
  CHECK(removed == 1 && look(live, "read") == FOREBAY_OK && look(live, "answer") == FOREBAY_ABSENT);
  keep(live, "grep", "tag:t", "read");
  write_file("a", "2");
  CHECK(check(live, "grep") == FOREBAY_INVALIDATED && look(live, "read") == FOREBAY_ABSENT);
  keep(live, "read", "a", NULL);
  keep(live, "grep", NULL, "read");
  STATUS(FOREBAY_OK, forebay_live_mark_dirty(live, key_of("read"), &err));
  STATUS(FOREBAY_ABSENT, forebay_live_mark_dirty(live, key_of("read"), &err));
  CHECK(look(live, "grep") == FOREBAY_ABSENT);
  /* What does not hold is no ground to build on. */
  host h = {.brings = "x"};
  forebay_slice upstreams[] = {key_of("read")};
  forebay_live_spec spec = spec_of("grep", NULL, 0);
  spec.upstreams = upstreams;
  spec.upstream_count = 1;
  get(FOREBAY_E_SUPERSEDED, live, &spec, &h);
  CHECK(h.ran == 0);
  STATUS(FOREBAY_OK, forebay_live_invalidate_path(&removed, live, forebay_str("nowhere"), &err));
  CHECK(removed == 0);
  STATUS(FOREBAY_OK, forebay_live_invalidate_path(NULL, live, forebay_str("a"), &err));
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void a_change_while_it_is_computed_is_not_stored(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  host h = {.brings = "of the old", .meanwhile = "a"};
  write_file("a", "1");
  forebay_live_input inputs[] = {forebay_input("a")};
  forebay_live_spec spec = spec_of("x", inputs, 1);
  forebay_derived *derived = get(FOREBAY_OK, live, &spec, &h);
  CHECK(forebay_error_code(forebay_derived_error(derived)) == FOREBAY_E_SUPERSEDED);
  CHECK(forebay_error_hint(forebay_derived_error(derived), NULL) != NULL);
  TEXT(spec.key.data, forebay_derived_key(derived, NULL));
  expect(derived, "of the old", FOREBAY_HOW_UNCOORDINATED);
  CHECK(look(live, "x") == FOREBAY_ABSENT);
  h.meanwhile = NULL;
  h.brings = "of the new";
  expect(get(FOREBAY_OK, live, &spec, &h), "of the new", FOREBAY_HOW_RAN);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void a_failure_is_the_hosts_own_and_bars_nobody(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  host h = {.failing = "the model is down"};
  forebay_computer computer = {sizeof computer, &h, compute, dropped};
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_derived *derived;
  CHECK(forebay_live_get(&derived, live, &spec, &computer, &err) == FOREBAY_E_UNAVAILABLE && derived == NULL);
  TEXT("the model is down", forebay_error_host_text(err, NULL));
  forebay_error_free(err);
  err = NULL;
  h.failing = NULL; /* it says nothing */
  get(FOREBAY_E_REFRESH_FAILED, live, &spec, &h);
  forebay_live_input broken[] = {forebay_input("a[")};
  forebay_live_spec pattern = spec_of("y", broken, 1);
  get(FOREBAY_E_INVALID, live, &pattern, &h);
  h.brings = "up again";
  expect(get(FOREBAY_OK, live, &spec, &h), "up again", FOREBAY_HOW_RAN);
  CHECK(h.ran == 3 && h.dropped == 4);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

/* A function may get what it is built on, by the same handle. */
static void compute_upper(void *userdata, forebay_compute *compute) {
  host h = {.brings = "lower"};
  forebay_live_spec spec = spec_of("lower", NULL, 0);
  forebay_derived *lower = get(FOREBAY_OK, userdata, &spec, &h);
  char text[32];
  int size = snprintf(text, sizeof text, "upper of %.*s", (int)forebay_derived_size(lower), (const char *)forebay_derived_data(lower));
  forebay_derived_free(lower);
  int32_t step;
  forebay_derived *none;
  STATUS(FOREBAY_E_INVALID, forebay_compute_next(&step, &none, compute, &err)); /* it belongs to the call */
  STATUS(FOREBAY_E_INVALID, forebay_compute_wait(compute, 0, &err));
  TEXT(key_of("upper").data, forebay_compute_key(compute, NULL));
  spec = spec_of("upper", NULL, 0);
  get(FOREBAY_E_INVALID, userdata, &spec, &h); /* its own: it would wait for itself */
  CHECK(h.ran == 1);
  CHECK(forebay_compute_remaining_ms(compute) == 600 * 1000 && forebay_compute_cancelled(compute) == 0);
  STATUS(FOREBAY_OK, forebay_compute_computed(compute, text, (size_t)size, &err));
}

static void a_function_may_get_other_results(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_computer computer = {sizeof computer, live, compute_upper, NULL};
  forebay_live_spec spec = spec_of("upper", NULL, 0);
  forebay_derived *derived;
  STATUS(FOREBAY_OK, forebay_live_get(&derived, live, &spec, &computer, &err));
  expect(derived, "upper of lower", FOREBAY_HOW_RAN);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

typedef struct crowd {
  forebay_live *live;
  char key[FOREBAY_LIVE_KEY_SIZE];
  int ran;
} crowd;

static void compute_once(void *userdata, forebay_compute *compute) {
  crowd *c = userdata;
  __atomic_add_fetch(&c->ran, 1, __ATOMIC_RELAXED);
  CHECK(forebay_compute_computed(compute, "made", 4, NULL) == FOREBAY_OK);
}

static void get_in_crowd(void *argument) {
  crowd *c = argument;
  forebay_computer computer = {sizeof computer, c, compute_once, NULL};
  forebay_live_spec spec = FOREBAY_LIVE_SPEC_INIT;
  forebay_derived *derived;
  spec.key = forebay_str(c->key);
  CHECK(forebay_live_get(&derived, c->live, &spec, &computer, NULL) == FOREBAY_OK);
  CHECK(forebay_derived_size(derived) == 4 && memcmp(forebay_derived_data(derived), "made", 4) == 0);
  forebay_derived_free(derived);
}

static void one_of_many_threads_computes(void) {
  forebay_cache *cache = stage_open();
  crowd c = {.live = live_open(cache)};
  for (int round = 0; round < 5; round++) {
    worker *workers[6];
    STATUS(FOREBAY_OK, forebay_live_key(c.key, sizeof c.key, &round, sizeof round, &err));
    for (int at = 0; at < 6; at++) workers[at] = worker_start(get_in_crowd, &c);
    for (int at = 0; at < 6; at++) worker_join(workers[at]);
    CHECK(c.ran == round + 1);
  }
  forebay_live_free(c.live);
  forebay_cache_free(cache);
}

static void a_cache_in_memory_keeps_none_and_a_closed_one_tells(void) {
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  forebay_cache *cache;
  forebay_derived *derived;
  host h = {.brings = "x"};
  options.memory = 1;
  STATUS(FOREBAY_OK, forebay_open(&cache, &options, &err));
  forebay_live *live = live_open(cache);
  forebay_live_spec spec = spec_of("x", NULL, 0);
  STATUS(FOREBAY_E_UNSUPPORTED, forebay_live_lookup(&derived, live, spec.key, &err));
  get(FOREBAY_E_UNSUPPORTED, live, &spec, &h);
  forebay_live_free(live);
  forebay_cache_free(cache);
  cache = stage_open();
  live = live_open(cache);
  STATUS(FOREBAY_OK, forebay_close(cache, 0, &err));
  STATUS(FOREBAY_E_CLOSED, forebay_live_lookup(&derived, live, spec.key, &err));
  get(FOREBAY_E_CLOSED, live, &spec, &h);
  CHECK(h.ran == 0);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(a_result_holds_until_an_input_changes),
    TEST(a_result_tells_what_it_is_and_outlives_all),
    TEST(a_change_takes_along_what_is_built_on_it),
    TEST(a_change_while_it_is_computed_is_not_stored),
    TEST(a_failure_is_the_hosts_own_and_bars_nobody),
    TEST(a_function_may_get_other_results),
    TEST(one_of_many_threads_computes),
    TEST(a_cache_in_memory_keeps_none_and_a_closed_one_tells),
};
CHECK_MAIN(tests)
