/* Derived results by steps, and by tickets: who computes, who waits, what ends a wait, and what a change meanwhile does. */
#include "live.h"

static void steps_lead_to_a_result(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  size_t size = 0;
  write_file("a", "1");
  forebay_live_input inputs[] = {forebay_input("a")};
  forebay_live_spec spec = spec_of("x", inputs, 1);
  forebay_compute *way = begin(live, &spec);
  TEXT(spec.key.data, forebay_compute_key(way, &size));
  CHECK(size == FOREBAY_LIVE_KEY_SIZE - 1);
  CHECK(forebay_compute_deadline_ms(way) == -1 && forebay_compute_remaining_ms(way) == 0 && forebay_compute_cancelled(way) == 0);
  STATUS(FOREBAY_E_INVALID, forebay_compute_computed(way, "", 0, &err)); /* not asked for */
  step(way, FOREBAY_STEP_COMPUTE);
  step(way, FOREBAY_STEP_COMPUTE); /* it still is */
  CHECK(forebay_compute_deadline_ms(way) == stage_now() + 600 * 1000 && forebay_compute_remaining_ms(way) == 600 * 1000);
  stage_advance(1000);
  CHECK(forebay_compute_remaining_ms(way) == 599 * 1000 && forebay_compute_cancelled(way) == 0);
  tell(way, "made");
  STATUS(FOREBAY_E_ALREADY_USED, forebay_compute_computed(way, "", 0, &err));
  STATUS(FOREBAY_E_ALREADY_USED, forebay_compute_failed(way, NULL, &err));
  done(way, "made", FOREBAY_HOW_RAN);
  done(begin(live, &spec), "made", FOREBAY_HOW_FRESH);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void one_computes_and_the_others_wait(void) {
  forebay_cache *cache = stage_open(), *other = stage_open();
  forebay_live *live = live_open(cache), *beside = live_open(other);
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_compute *first = begin(live, &spec), *second = begin(beside, &spec), *third = begin(live, &spec);
  step(first, FOREBAY_STEP_COMPUTE);
  step(second, FOREBAY_STEP_WAIT);
  step(third, FOREBAY_STEP_WAIT);
  STATUS(FOREBAY_OK, forebay_compute_wait(second, 1, &err));
  step(second, FOREBAY_STEP_WAIT);
  tell(first, "made");
  done(first, "made", FOREBAY_HOW_RAN);
  STATUS(FOREBAY_OK, forebay_compute_wait(second, -1, &err));
  done(second, "made", FOREBAY_HOW_COALESCED);
  done(third, "made", FOREBAY_HOW_COALESCED);
  forebay_live_free(beside);
  forebay_live_free(live);
  forebay_cache_free(other);
  forebay_cache_free(cache);
}

static void one_that_is_freed_lets_the_next_compute(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_compute *first = begin(live, &spec), *second = begin(live, &spec);
  step(first, FOREBAY_STEP_COMPUTE);
  step(second, FOREBAY_STEP_WAIT);
  forebay_compute_free(first);
  step(second, FOREBAY_STEP_COMPUTE);
  forebay_live_free(live); /* neither is needed any more */
  forebay_cache_free(cache);
  tell(second, "made");
  done(second, "made", FOREBAY_HOW_RAN);
}

static void one_that_takes_too_long_is_overtaken(void) {
  forebay_cache *cache = stage_open();
  forebay_live_options options = FOREBAY_LIVE_OPTIONS_INIT;
  forebay_live *live;
  options.deadline_ms = 2000;
  STATUS(FOREBAY_OK, forebay_live_open(&live, cache, &options, &err));
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_compute *slow = begin(live, &spec), *next = begin(live, &spec);
  step(slow, FOREBAY_STEP_COMPUTE);
  CHECK(forebay_compute_remaining_ms(slow) == 2000 && forebay_compute_cancelled(slow) == 0);
  stage_advance(60 * 1000);
  CHECK(forebay_compute_remaining_ms(slow) == 0);
  step(next, FOREBAY_STEP_COMPUTE);
  CHECK(forebay_compute_cancelled(slow) == 1 && forebay_compute_cancelled(next) == 0);
  tell(next, "quick");
  done(next, "quick", FOREBAY_HOW_RAN);
  forebay_compute_free(slow);
  CHECK(look(live, "x") == FOREBAY_OK);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void closing_the_cache_cancels(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_compute *way = begin(live, &spec);
  int32_t found;
  forebay_derived *derived;
  step(way, FOREBAY_STEP_COMPUTE);
  STATUS(FOREBAY_OK, forebay_close(cache, 0, &err));
  CHECK(forebay_compute_cancelled(way) == 1);
  tell(way, "late");
  STATUS(FOREBAY_OK, forebay_compute_next(&found, &derived, way, &err)); /* it was computed, and is returned; it is not stored */
  CHECK(found == FOREBAY_STEP_DONE && forebay_error_code(forebay_derived_error(derived)) == FOREBAY_E_CLOSED);
  expect(derived, "late", FOREBAY_HOW_UNCOORDINATED);
  forebay_compute_free(way);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void a_failed_step_is_the_hosts_own(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_compute *way = begin(live, &spec), *next = begin(live, &spec);
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  forebay_derived *derived;
  int32_t found;
  failure.code = FOREBAY_E_RATE_LIMITED;
  failure.message = forebay_str("too fast");
  step(way, FOREBAY_STEP_COMPUTE);
  STATUS(FOREBAY_OK, forebay_compute_failed(way, &failure, &err));
  CHECK(forebay_compute_next(&found, &derived, way, &err) == FOREBAY_E_RATE_LIMITED && derived == NULL);
  TEXT("too fast", forebay_error_host_text(err, NULL));
  forebay_error_free(err);
  err = NULL;
  forebay_compute_free(way);
  step(next, FOREBAY_STEP_COMPUTE); /* at once */
  tell(next, "made");
  done(next, "made", FOREBAY_HOW_RAN);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

typedef struct waiter {
  forebay_compute *way;
  event *waits;
  forebay_status status;
} waiter;

static void wait_long(void *argument) {
  waiter *w = argument;
  event_set(w->waits);
  for (;;) {
    int32_t found;
    forebay_derived *derived;
    w->status = forebay_compute_wait(w->way, 60 * 1000, NULL);
    if (w->status != FOREBAY_OK) return;
    CHECK(forebay_compute_next(&found, &derived, w->way, NULL) == FOREBAY_IN_FLIGHT);
  }
}

static void an_interrupt_ends_the_wait(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_spec spec = spec_of("x", NULL, 0);
  forebay_compute *first = begin(live, &spec);
  waiter w = {.way = begin(live, &spec), .waits = event_new()};
  step(first, FOREBAY_STEP_COMPUTE);
  step(w.way, FOREBAY_STEP_WAIT);
  worker *thread = worker_start(wait_long, &w);
  event_wait(w.waits);
  CHECK(forebay_compute_cancelled(w.way) == 0); /* may be asked meanwhile */
  TEXT(spec.key.data, forebay_compute_key(w.way, NULL));
  forebay_compute_interrupt(w.way);
  worker_join(thread);
  CHECK(w.status == FOREBAY_E_CANCELLED);
  forebay_compute_interrupt(w.way); /* before the wait: it ends at once */
  STATUS(FOREBAY_E_CANCELLED, forebay_compute_wait(w.way, -1, &err));
  tell(first, "made");
  done(first, "made", FOREBAY_HOW_RAN);
  done(w.way, "made", FOREBAY_HOW_COALESCED); /* it could go on */
  event_free(w.waits);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void a_ticket_looks_before_and_after(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_ticket *ticket;
  forebay_derived *derived;
  size_t size = 0;
  write_file("a", "1");
  forebay_live_input inputs[] = {forebay_input("a")};
  forebay_live_spec spec = spec_of("x", inputs, 1);
  STATUS(FOREBAY_OK, forebay_live_begin(&ticket, live, &spec, &err));
  TEXT(spec.key.data, forebay_live_ticket_key(ticket, &size));
  CHECK(size == FOREBAY_LIVE_KEY_SIZE - 1);
  write_file("a", "2");
  STATUS(FOREBAY_E_SUPERSEDED, forebay_live_commit(&derived, ticket, "of the old", 10, &err));
  CHECK(derived == NULL && look(live, "x") == FOREBAY_ABSENT);
  STATUS(FOREBAY_E_ALREADY_USED, forebay_live_commit(&derived, ticket, "of the old", 10, &err));
  forebay_live_ticket_free(ticket);
  STATUS(FOREBAY_OK, forebay_live_begin(&ticket, live, &spec, &err));
  forebay_live_ticket_free(ticket); /* nothing is stored */
  CHECK(look(live, "x") == FOREBAY_ABSENT);
  STATUS(FOREBAY_OK, forebay_live_begin(&ticket, live, &spec, &err));
  forebay_live_free(live);
  forebay_cache_free(cache); /* the ticket needs neither */
  STATUS(FOREBAY_OK, forebay_live_commit(&derived, ticket, "of the new", 10, &err));
  TEXT(forebay_live_ticket_key(ticket, NULL), forebay_derived_key(derived, NULL));
  TEXT("test", forebay_derived_kind(derived, NULL));
  expect(derived, "of the new", FOREBAY_HOW_RAN);
  forebay_live_ticket_free(ticket);
  cache = stage_open();
  live = live_open(cache);
  CHECK(check(live, "x") == FOREBAY_OK);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void a_ticket_is_refused_what_does_not_hold(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_ticket *ticket, *none;
  keep(live, "read", "tag:t", NULL);
  forebay_slice upstreams[] = {key_of("read")};
  forebay_live_spec spec = spec_of("grep", NULL, 0);
  spec.upstreams = upstreams;
  spec.upstream_count = 1;
  STATUS(FOREBAY_OK, forebay_live_begin(&ticket, live, &spec, &err));
  STATUS(FOREBAY_OK, forebay_live_invalidate_tag(NULL, live, forebay_str("t"), &err));
  STATUS(FOREBAY_E_SUPERSEDED, forebay_live_commit(NULL, ticket, "x", 1, &err));
  STATUS(FOREBAY_E_SUPERSEDED, forebay_live_begin(&none, live, &spec, &err));
  CHECK(none == NULL);
  STATUS(FOREBAY_E_SUPERSEDED, forebay_live_persist(NULL, live, &spec, "x", 1, &err));
  forebay_live_ticket_free(ticket);
  keep(live, "read", "tag:t", NULL);
  STATUS(FOREBAY_OK, forebay_live_begin(&ticket, live, &spec, &err));
  STATUS(FOREBAY_OK, forebay_live_commit(NULL, ticket, "x", 1, &err));
  forebay_live_ticket_free(ticket);
  CHECK(check(live, "grep") == FOREBAY_OK);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(steps_lead_to_a_result),
    TEST(one_computes_and_the_others_wait),
    TEST(one_that_is_freed_lets_the_next_compute),
    TEST(one_that_takes_too_long_is_overtaken),
    TEST(closing_the_cache_cancels),
    TEST(a_failed_step_is_the_hosts_own),
    TEST(an_interrupt_ends_the_wait),
    TEST(a_ticket_looks_before_and_after),
    TEST(a_ticket_is_refused_what_does_not_hold),
};
CHECK_MAIN(tests)
