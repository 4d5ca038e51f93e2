/* An attempt: one get as a state machine, for programs with threads or an event loop of their own. */
#include <forebay.h>
#include <stdio.h>

int main(void) {
  forebay_cache *cache;
  forebay_attempt *attempt;
  if (forebay_open(&cache, NULL, NULL) < 0) return 1;
  forebay_source_options src = FOREBAY_SOURCE_OPTIONS_INIT;
  src.key = forebay_str("api/models");
  src.ttl_ms = 60 * 1000;
  forebay_attempt_options options = FOREBAY_ATTEMPT_OPTIONS_INIT;
  options.mode = FOREBAY_MODE_GET;
  options.wait_ms = 2000;
  if (forebay_attempt_begin(&attempt, cache, &src, &options, NULL) < 0) return 1;
  for (;;) {
    int32_t step;
    forebay_value *value;
    forebay_ticket *ticket;
    forebay_error *err = NULL;
    forebay_status status = forebay_attempt_next(&step, &value, &ticket, attempt, &err);
    if (status < 0) {
      fprintf(stderr, "%s\n", forebay_error_text(err, NULL));
      forebay_error_free(err);
      return 1;
    }
    if (step == FOREBAY_STEP_DONE) {
      printf("%.*s\n", (int)forebay_value_size(value), (const char *)forebay_value_data(value));
      forebay_value_free(value);
      break;
    }
    if (step == FOREBAY_STEP_RUN) { /* here at once; a real program hands the ticket to a worker */
      forebay_ticket_complete(NULL, ticket, "models", 6, NULL, NULL);
      forebay_ticket_free(ticket);
    } else if (forebay_attempt_wait(attempt, 100, NULL) == FOREBAY_E_CANCELLED) {
      break; /* another thread called forebay_attempt_interrupt; the refresh goes on without us */
    }
  }
  forebay_attempt_interrupt(attempt);
  forebay_attempt_free(attempt);
  forebay_cache_free(cache);
  return 0;
}
