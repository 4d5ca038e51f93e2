/* A resolve: the steps of a quota one by one, for programs with threads or an event loop of their own. */
#include <forebay.h>
#include <stdio.h>

static void describe(const forebay_resolve *resolve) {
  const char *previous = forebay_resolve_previous(resolve, NULL), *validator = forebay_resolve_validator(resolve, NULL);
  printf("with %s until %lld, cancelled %d, before: %s, validator %s\n", forebay_resolve_credential(resolve, NULL),
         (long long)forebay_resolve_deadline_ms(resolve), (int)forebay_resolve_cancelled(resolve),
         previous != NULL ? previous : "nothing", validator != NULL ? validator : "none");
  for (size_t at = 0; at < forebay_resolve_header_count(resolve); at++) {
    printf("%s: %s\n", forebay_resolve_header_name(resolve, at), forebay_resolve_header_value(resolve, at));
  }
}

/* As if a server had answered. */
static void fetch(forebay_resolve *resolve) {
  describe(resolve);
  if (forebay_resolve_validator(resolve, NULL) != NULL) {
    forebay_resolve_unchanged(resolve, NULL, NULL); /* a 304 */
  } else {
    forebay_commit commit = FOREBAY_COMMIT_INIT;
    commit.validator = forebay_str("\"1\"");
    forebay_resolve_fetched(resolve, "{\"used\": 7}", 11, &commit, NULL);
  }
}

static int finish(forebay_resolve *resolve) {
  for (;;) {
    int32_t step;
    forebay_answer *answer;
    forebay_error *err = NULL;
    if (forebay_resolve_next(&step, &answer, resolve, &err) < 0) {
      printf("%s\n", forebay_error_text(err, NULL));
      forebay_error_free(err);
      return 1;
    }
    switch (step) {
      case FOREBAY_STEP_CREDENTIALS: forebay_resolve_credentials(resolve, "token", 5, NULL); break;
      case FOREBAY_STEP_FETCH: fetch(resolve); break; /* a real program hands it to a worker */
      case FOREBAY_STEP_FALLBACK: forebay_resolve_fallback(resolve, NULL, 0, NULL); break; /* there is none */
      case FOREBAY_STEP_WAIT:
        if (forebay_resolve_wait(resolve, 100, NULL) == FOREBAY_E_CANCELLED) return 1; /* somebody interrupted */
        break;
      default:
        printf("%s (%s)\n", forebay_answer_data(answer, NULL), forebay_how_text(forebay_answer_how(answer)));
        forebay_answer_free(answer);
        return 0;
    }
  }
}

/* The next step has to be that one. */
static int expect(forebay_resolve *resolve, int32_t wanted) {
  int32_t step;
  forebay_answer *answer;
  return forebay_resolve_next(&step, &answer, resolve, NULL) >= 0 && step == wanted ? 0 : 1;
}

int main(void) {
  forebay_cache *cache;
  forebay_quota *quota;
  forebay_resolve *resolve;
  if (forebay_open(&cache, NULL, NULL) < 0) return 1;
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  options.name = forebay_str("limits");
  options.ttl_ms = 0; /* each call asks; real ones live longer */
  if (forebay_quota_open(&quota, cache, &options, NULL) < 0) return 1;
  for (int round = 0; round < 2; round++) {
    if (forebay_resolve_begin(&resolve, quota, NULL) < 0 || finish(resolve) != 0) return 1;
    forebay_resolve_free(resolve);
  }

  /* Each answer may be a failure too. */
  if (forebay_resolve_begin(&resolve, quota, NULL) < 0 || expect(resolve, FOREBAY_STEP_CREDENTIALS) != 0) return 1;
  if (forebay_resolve_credentials_failed(resolve, NULL, NULL) < 0 || expect(resolve, FOREBAY_STEP_FALLBACK) != 0) return 1;
  if (forebay_resolve_fallback_failed(resolve, NULL, NULL) < 0 || finish(resolve) == 0) return 1;
  forebay_resolve_interrupt(resolve); /* from another thread it would end the wait */
  forebay_resolve_free(resolve);
  if (forebay_resolve_begin(&resolve, quota, NULL) < 0 || expect(resolve, FOREBAY_STEP_CREDENTIALS) != 0) return 1;
  if (forebay_resolve_credentials(resolve, "token", 5, NULL) < 0 || expect(resolve, FOREBAY_STEP_FETCH) != 0) return 1;
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = FOREBAY_E_UNAVAILABLE;
  failure.message = forebay_str("the line is dead");
  if (forebay_resolve_fetch_failed(resolve, &failure, NULL) < 0 || finish(resolve) != 0) return 1; /* stale data */
  forebay_resolve_free(resolve);
  forebay_quota_free(quota);
  forebay_cache_free(cache);
  return 0;
}
