/*
 * Bad arguments of derived results are errors, never crashes, as test_args.c has it for all else. tests/c/run checks that
 * each exported function occurs in one of these.
 */
#include "live.h"
#include <stddef.h>
#include <stdint.h>

/* The call is refused, with an error object and also without a place for one. */
#define REFUSED(function, ...) \
  (STATUS(FOREBAY_E_INVALID, function(__VA_ARGS__, &err)), CHECK(function(__VA_ARGS__, NULL) == FOREBAY_E_INVALID))
#define NO_TEXT(call) (size = 7, TEXT(NULL, call), CHECK(size == 0))

static int given_back;

static void unwanted(void *userdata, forebay_compute *compute) {
  (void)userdata, (void)compute;
  CHECK(!"a function ran in a call that was refused");
}

static void give_back(void *userdata) {
  (void)userdata;
  given_back++;
}

static void null_is_refused_where_results_are_needed(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache), *none;
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_computer computer = {sizeof computer, NULL, unwanted, give_back}, nothing = {sizeof nothing, NULL, NULL, give_back};
  forebay_derived *derived;
  forebay_live_kinds *kinds;
  forebay_live_listing *listing;
  forebay_live_explanation *why;
  forebay_slice key = spec.key;
  uint64_t count;
  REFUSED(forebay_live_open, NULL, cache, NULL);
  REFUSED(forebay_live_open, &none, NULL, NULL);
  CHECK(none == NULL);
  REFUSED(forebay_live_lookup, NULL, live, key);
  REFUSED(forebay_live_lookup, &derived, NULL, key);
  REFUSED(forebay_live_lookup_revalidate, NULL, live, key);
  REFUSED(forebay_live_lookup_revalidate, &derived, NULL, key);
  REFUSED(forebay_live_get, NULL, live, &spec, &computer);
  REFUSED(forebay_live_get, &derived, NULL, &spec, &computer);
  REFUSED(forebay_live_get, &derived, live, NULL, &computer);
  CHECK(given_back == 6); /* also by calls that were refused */
  REFUSED(forebay_live_get, &derived, live, &spec, NULL);
  REFUSED(forebay_live_get, &derived, live, &spec, &nothing);
  CHECK(given_back == 8 && derived == NULL);
  REFUSED(forebay_live_persist, &derived, NULL, &spec, "", 0);
  REFUSED(forebay_live_persist, &derived, live, NULL, "", 0);
  REFUSED(forebay_live_persist, &derived, live, &spec, NULL, 1);
  REFUSED(forebay_live_persist, &derived, live, &spec, "x", SIZE_MAX);
  REFUSED(forebay_live_mark_dirty, NULL, key);
  REFUSED(forebay_live_invalidate_upstream, &count, NULL, key);
  REFUSED(forebay_live_invalidate_path, &count, NULL, key);
  REFUSED(forebay_live_invalidate_path, &count, live, forebay_mem(NULL, 1));
  REFUSED(forebay_live_invalidate_tag, &count, NULL, key);
  REFUSED(forebay_live_invalidate_tag, &count, live, forebay_str("\xff"));
  REFUSED(forebay_live_entry_count, NULL, live);
  REFUSED(forebay_live_entry_count, &count, NULL);
  REFUSED(forebay_live_total_bytes, NULL, live);
  REFUSED(forebay_live_total_bytes, &count, NULL);
  REFUSED(forebay_live_evict_to_cap, &count, NULL, 0);
  REFUSED(forebay_live_gc, &count, &count, NULL);
  REFUSED(forebay_live_known_kinds, NULL, live);
  REFUSED(forebay_live_known_kinds, &kinds, NULL);
  REFUSED(forebay_live_list, NULL, live);
  REFUSED(forebay_live_list, &listing, NULL);
  REFUSED(forebay_live_why, NULL, live, key);
  REFUSED(forebay_live_why, &why, NULL, key);
  CHECK(kinds == NULL && listing == NULL && why == NULL && count == 0);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void a_key_has_one_spelling(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  char key[FOREBAY_LIVE_KEY_SIZE] = "";
  static const char *const bad[] = {"", "abc", "\xff", "A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5",
                                    "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a50"};
  forebay_derived *derived;
  forebay_live_explanation *why;
  forebay_live_ticket *ticket;
  uint64_t count;
  for (size_t at = 0; at < sizeof bad / sizeof bad[0]; at++) {
    forebay_slice wrong = forebay_str(bad[at]);
    REFUSED(forebay_live_lookup, &derived, live, wrong);
    REFUSED(forebay_live_lookup_revalidate, &derived, live, wrong);
    REFUSED(forebay_live_mark_dirty, live, wrong);
    REFUSED(forebay_live_invalidate_upstream, &count, live, wrong);
    REFUSED(forebay_live_why, &why, live, wrong);
    forebay_live_spec spec = spec_of("x", NULL, 0);
    spec.upstreams = &wrong;
    spec.upstream_count = 1;
    REFUSED(forebay_live_begin, &ticket, live, &spec);
    spec = spec_of("x", NULL, 0);
    spec.key = wrong;
    REFUSED(forebay_live_begin, &ticket, live, &spec);
  }
  REFUSED(forebay_live_key, NULL, sizeof key, "x", 1);
  REFUSED(forebay_live_key, key, sizeof key, NULL, 1);
  REFUSED(forebay_live_key, key, sizeof key - 1, "x", 1);
  TEXT("", key); /* not half of one either */
  STATUS(FOREBAY_OK, forebay_live_key(key, sizeof key, NULL, 0, &err));
  TEXT("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262", key); /* BLAKE3 of nothing */
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void options_and_specs_are_checked(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live;
  forebay_live_ticket *ticket;
  forebay_derived *derived;
  forebay_live_options options = FOREBAY_LIVE_OPTIONS_INIT;
  options.deadline_ms = -2;
  REFUSED(forebay_live_open, &live, cache, &options);
  options.deadline_ms = -1;
  options.size_cap = -2;
  REFUSED(forebay_live_open, &live, cache, &options);
  options.struct_size = offsetof(forebay_live_options, size_cap); /* an earlier version */
  STATUS(FOREBAY_OK, forebay_live_open(&live, cache, &options, &err));
  forebay_live_free(live);
  options.struct_size = 3;
  REFUSED(forebay_live_open, &live, cache, &options);
  options = (forebay_live_options)FOREBAY_LIVE_OPTIONS_INIT;
  options.workspace = forebay_mem(NULL, 1);
  REFUSED(forebay_live_open, &live, cache, &options);
  options.workspace = forebay_str(NULL);
  options.deadline_ms = 0; /* a computation without any time */
  STATUS(FOREBAY_OK, forebay_live_open(&live, cache, &options, &err));
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_computer computer = {sizeof computer, NULL, unwanted, NULL};
  REFUSED(forebay_live_get, &derived, live, &spec, &computer);
  forebay_live_input input = forebay_input("a");
  spec.inputs = NULL;
  spec.input_count = 1;
  REFUSED(forebay_live_begin, &ticket, live, &spec);
  spec.inputs = &input;
  spec.input_count = SIZE_MAX;
  REFUSED(forebay_live_begin, &ticket, live, &spec);
  spec.input_count = 0;
  spec.upstreams = NULL;
  spec.upstream_count = 1;
  REFUSED(forebay_live_begin, &ticket, live, &spec);
  spec.upstream_count = 0;
  spec.kind = forebay_str("\xff");
  REFUSED(forebay_live_begin, &ticket, live, &spec);
  spec.struct_size = offsetof(forebay_live_spec, kind);
  STATUS(FOREBAY_OK, forebay_live_begin(&ticket, live, &spec, &err));
  forebay_live_ticket_free(ticket);
  spec.struct_size = 0;
  REFUSED(forebay_live_begin, &ticket, live, &spec);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void inputs_are_checked(void) {
  forebay_text *text;
  forebay_live_input input = forebay_input("a");
  REFUSED(forebay_live_input_text, NULL, &input);
  REFUSED(forebay_live_input_text, &text, NULL);
  static const int not_text[] = {FOREBAY_INPUT_TEXT, FOREBAY_INPUT_GLOB, FOREBAY_INPUT_ENV, FOREBAY_INPUT_SOURCE, FOREBAY_INPUT_TAG};
  input.name = forebay_str("\xff"); /* which a path may be */
  for (size_t at = 0; at < sizeof not_text / sizeof not_text[0]; at++) {
    input.kind = not_text[at];
    REFUSED(forebay_live_input_text, &text, &input);
  }
  input.name = forebay_mem(NULL, 1);
  for (int kind = -1; kind <= FOREBAY_INPUT_TAG + 1; kind++) {
    input.kind = kind;
    REFUSED(forebay_live_input_text, &text, &input);
  }
  input = forebay_input("a");
  input.kind = FOREBAY_INPUT_TAG + 1;
  REFUSED(forebay_live_input_text, &text, &input);
  input.kind = FOREBAY_INPUT_TEXT;
  input.reserved = 1;
  STATUS(FOREBAY_E_UNSUPPORTED, forebay_live_input_text(&text, &input, &err));
  CHECK(text == NULL);
}

static void null_is_refused_where_a_computation_is_driven(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_compute *way;
  forebay_live_ticket *ticket;
  forebay_derived *derived;
  int32_t step;
  REFUSED(forebay_compute_begin, NULL, live, &spec);
  REFUSED(forebay_compute_begin, &way, NULL, &spec);
  REFUSED(forebay_compute_begin, &way, live, NULL);
  CHECK(way == NULL);
  STATUS(FOREBAY_OK, forebay_compute_begin(&way, live, &spec, &err));
  REFUSED(forebay_compute_next, NULL, &derived, way);
  REFUSED(forebay_compute_next, &step, NULL, way);
  REFUSED(forebay_compute_next, &step, &derived, NULL);
  REFUSED(forebay_compute_computed, NULL, "", 0);
  REFUSED(forebay_compute_failed, NULL, NULL);
  REFUSED(forebay_compute_wait, NULL, 0);
  REFUSED(forebay_compute_wait, way, -2);
  STATUS(FOREBAY_OK, forebay_compute_next(&step, &derived, way, &err));
  CHECK(step == FOREBAY_STEP_COMPUTE);
  REFUSED(forebay_compute_computed, way, NULL, 1);
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = FOREBAY_STALE;
  REFUSED(forebay_compute_failed, way, &failure);
  STATUS(FOREBAY_OK, forebay_compute_computed(way, NULL, 0, &err)); /* what was refused answered nothing */
  STATUS(FOREBAY_OK, forebay_compute_next(&step, &derived, way, &err));
  expect(derived, "", FOREBAY_HOW_RAN);
  forebay_compute_free(way);
  REFUSED(forebay_live_begin, NULL, live, &spec);
  REFUSED(forebay_live_begin, &ticket, NULL, &spec);
  REFUSED(forebay_live_begin, &ticket, live, NULL);
  CHECK(ticket == NULL);
  STATUS(FOREBAY_OK, forebay_live_begin(&ticket, live, &spec, &err));
  REFUSED(forebay_live_commit, &derived, NULL, "", 0);
  REFUSED(forebay_live_commit, &derived, ticket, NULL, 1);
  STATUS(FOREBAY_OK, forebay_live_commit(NULL, ticket, NULL, 0, &err));
  forebay_live_ticket_free(ticket);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void accessors_accept_null(void) {
  size_t size;
  CHECK(forebay_derived_data(NULL) == NULL && forebay_derived_size(NULL) == 0 && forebay_derived_how(NULL) == -1);
  NO_TEXT(forebay_derived_key(NULL, &size));
  NO_TEXT(forebay_derived_kind(NULL, &size));
  NO_TEXT(forebay_derived_hash(NULL, &size));
  CHECK(forebay_derived_computed_at_ms(NULL) == -1 && forebay_derived_error(NULL) == NULL && forebay_derived_retain(NULL) == NULL);
  CHECK(forebay_derived_input_count(NULL) == 0 && forebay_derived_input(NULL, 0).kind == -1);
  CHECK(forebay_derived_upstream_count(NULL) == 0 && forebay_derived_upstream(NULL, 0) == NULL);
  NO_TEXT(forebay_compute_key(NULL, &size));
  CHECK(forebay_compute_deadline_ms(NULL) == -1 && forebay_compute_remaining_ms(NULL) == 0 && forebay_compute_cancelled(NULL) == 0);
  NO_TEXT(forebay_live_ticket_key(NULL, &size));
  CHECK(forebay_live_kinds_count(NULL) == 0 && forebay_live_kinds_entries(NULL, 0) == 0);
  NO_TEXT(forebay_live_kinds_name(NULL, 0, &size));
  CHECK(forebay_live_listing_count(NULL) == 0 && forebay_live_listing_size(NULL, 0) == 0);
  NO_TEXT(forebay_live_listing_key(NULL, 0, &size));
  NO_TEXT(forebay_live_listing_kind(NULL, 0, &size));
  CHECK(forebay_live_listing_computed_at_ms(NULL, 0) == -1 && forebay_live_listing_used_at_ms(NULL, 0) == -1);
  CHECK(forebay_live_listing_input_count(NULL, 0) == 0 && forebay_live_listing_input(NULL, 0, 0).kind == -1);
  CHECK(forebay_live_listing_upstream_count(NULL, 0) == 0 && forebay_live_listing_upstream(NULL, 0, 0) == NULL);
  CHECK(forebay_live_explanation_holds(NULL) == 0 && forebay_live_explanation_input(NULL).kind == -1);
  NO_TEXT(forebay_live_explanation_text(NULL, &size));
  NO_TEXT(forebay_live_explanation_upstream(NULL, &size));
}

static void freeing_null_does_nothing(void) {
  forebay_live_free(NULL);
  forebay_derived_free(NULL);
  forebay_compute_free(NULL);
  forebay_compute_interrupt(NULL);
  forebay_live_ticket_free(NULL);
  forebay_live_kinds_free(NULL);
  forebay_live_listing_free(NULL);
  forebay_live_explanation_free(NULL);
}

static const test tests[] = {
    TEST(null_is_refused_where_results_are_needed),
    TEST(a_key_has_one_spelling),
    TEST(options_and_specs_are_checked),
    TEST(inputs_are_checked),
    TEST(null_is_refused_where_a_computation_is_driven),
    TEST(accessors_accept_null),
    TEST(freeing_null_does_nothing),
};
CHECK_MAIN(tests)
