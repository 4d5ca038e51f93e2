/* A computation: the steps of a derived result one by one, for programs with threads or an event loop of their own; and
   tickets, for programs that coordinate by themselves. */
#include <forebay.h>
#include <stdio.h>
#include <string.h>

/* As if a model had worked. */
static void work(forebay_compute *compute) {
  printf("computing %.8s until %lld: %lld ms, cancelled %d\n", forebay_compute_key(compute, NULL),
         (long long)forebay_compute_deadline_ms(compute), (long long)forebay_compute_remaining_ms(compute),
         (int)forebay_compute_cancelled(compute));
  forebay_compute_computed(compute, "a summary", 9, NULL);
}

static int finish(forebay_compute *compute) {
  for (;;) {
    int32_t step;
    forebay_derived *derived;
    forebay_error *err = NULL;
    if (forebay_compute_next(&step, &derived, compute, &err) < 0) {
      printf("%s\n", forebay_error_text(err, NULL));
      forebay_error_free(err);
      return 1;
    }
    switch (step) {
      case FOREBAY_STEP_COMPUTE: work(compute); break; /* a real program hands it to a worker */
      case FOREBAY_STEP_WAIT:
        if (forebay_compute_wait(compute, 100, NULL) == FOREBAY_E_CANCELLED) return 1; /* somebody interrupted */
        break;
      default:
        printf("%.*s (%s)\n", (int)forebay_derived_size(derived), (const char *)forebay_derived_data(derived),
               forebay_how_text(forebay_derived_how(derived)));
        forebay_derived_free(derived);
        return 0;
    }
  }
}

/* It may fail too, and then the next one computes. */
static int fail(const forebay_live *live, const forebay_live_spec *spec) {
  forebay_compute *compute;
  forebay_derived *derived;
  int32_t step;
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = FOREBAY_E_UNAVAILABLE;
  failure.message = forebay_str("the model is down");
  if (forebay_compute_begin(&compute, live, spec, NULL) < 0) return 1;
  if (forebay_compute_next(&step, &derived, compute, NULL) < 0 || step != FOREBAY_STEP_COMPUTE) return 1;
  if (forebay_compute_failed(compute, &failure, NULL) < 0 || finish(compute) == 0) return 1;
  forebay_compute_interrupt(compute); /* from another thread it would end the wait */
  forebay_compute_free(compute);
  return 0;
}

/* Without a lease: the inputs are looked at now, and again by the commit. */
static int by_ticket(const forebay_live *live, const forebay_live_spec *spec) {
  forebay_live_ticket *ticket;
  forebay_derived *derived;
  if (forebay_live_begin(&ticket, live, spec, NULL) < 0) return 1;
  printf("a ticket for %.8s\n", forebay_live_ticket_key(ticket, NULL));
  forebay_status status = forebay_live_commit(&derived, ticket, "another", 7, NULL);
  if (status == FOREBAY_E_SUPERSEDED) printf("an input changed meanwhile: compute it again\n");
  forebay_live_ticket_free(ticket);
  forebay_derived_free(derived);
  return status == FOREBAY_OK ? 0 : 1;
}

int main(void) {
  char key[FOREBAY_LIVE_KEY_SIZE];
  forebay_cache *cache;
  forebay_live *live;
  forebay_compute *compute;
  forebay_live_spec spec = FOREBAY_LIVE_SPEC_INIT;
  forebay_live_input inputs[3];
  inputs[0] = forebay_input("*.notes");     /* which files match, and their contents */
  inputs[1] = forebay_input("env:LANG");    /* the value of a variable */
  inputs[2].kind = FOREBAY_INPUT_ABSENT;    /* paths are bytes: this one is not UTF-8 */
  inputs[2].reserved = 0;
  inputs[2].name = forebay_mem("caf\xe9", 4);
  if (forebay_open(&cache, NULL, NULL) < 0 || forebay_live_open(&live, cache, NULL, NULL) < 0) return 1;
  if (forebay_live_key(key, sizeof key, "summary of notes", 16, NULL) < 0) return 1;
  spec.key = forebay_str(key);
  spec.inputs = inputs;
  spec.input_count = 3;
  spec.kind = forebay_str("summary");
  if (fail(live, &spec) != 0) return 1;
  for (int round = 0; round < 2; round++) { /* the second is fresh */
    if (forebay_compute_begin(&compute, live, &spec, NULL) < 0 || finish(compute) != 0) return 1;
    forebay_compute_free(compute);
  }
  int status = by_ticket(live, &spec);
  forebay_live_free(live);
  forebay_cache_free(cache);
  return status;
}
