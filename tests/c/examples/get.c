/* The first program: a value that is fetched once for all processes, and read by them without waiting. */
#include <forebay.h>
#include <stdio.h>

/* Called where nobody else fetches. A real one asks a server, with the headers of the ticket, until its deadline. */
static void fetch_models(void *userdata, forebay_ticket *ticket) {
  const char *answer = userdata;
  for (size_t at = 0; at < forebay_ticket_header_count(ticket); at++) {
    printf("%s: %s\n", forebay_ticket_header_name(ticket, at), forebay_ticket_header_value(ticket, at));
  }
  if (forebay_ticket_remaining_ms(ticket) == 0 || forebay_ticket_cancelled(ticket)) return; /* abandons it */
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  commit.validator = forebay_str("\"v1\"");
  forebay_ticket_complete(NULL, ticket, answer, strlen(answer), &commit, NULL);
}

static int complain(forebay_error *err) {
  fprintf(stderr, "%s: %s\n", forebay_code_text(forebay_error_code(err)), forebay_error_text(err, NULL));
  if (forebay_error_hint(err, NULL) != NULL) fprintf(stderr, "hint: %s\n", forebay_error_hint(err, NULL));
  if (forebay_error_path(err, NULL) != NULL) fprintf(stderr, "path: %s\n", forebay_error_path(err, NULL));
  if (forebay_error_host_text(err, NULL) != NULL) fprintf(stderr, "said: %s\n", forebay_error_host_text(err, NULL));
  fprintf(stderr, "%s, errno %d, retry at %lld\n", forebay_error_message(err, NULL), (int)forebay_error_os(err),
          (long long)forebay_error_retry_at_ms(err));
  forebay_error_free(err);
  return 1;
}

int main(void) {
  forebay_cache *cache;
  forebay_value *value;
  forebay_error *err = NULL;
  if (forebay_open(&cache, NULL, &err) < 0) return complain(err);
  printf("in %s\n", forebay_cache_root(cache, NULL));

  forebay_source_options src = FOREBAY_SOURCE_OPTIONS_INIT;
  src.key = forebay_str("api/models");
  src.ttl_ms = 3600 * 1000;
  forebay_refresher fetch = {sizeof fetch, "[\"one\", \"two\"]", fetch_models, NULL};
  if (forebay_get(&value, cache, &src, &fetch, 10 * 1000, &err) < 0) return complain(err); /* > 0: stale and the like */
  fwrite(forebay_value_data(value), 1, forebay_value_size(value), stdout);
  printf("\n%s, %s, %lld ms old\n", forebay_state_text(forebay_value_state(value)),
         forebay_how_text(forebay_value_how(value)), (long long)forebay_value_age_ms(value));
  forebay_value_free(value);

  /* Now, whatever the age; and again, unless it was refreshed a moment ago. */
  if (forebay_refresh(&value, cache, &src, &fetch, &err) < 0) return complain(err);
  forebay_refresh_options recent = FOREBAY_REFRESH_OPTIONS_INIT;
  recent.min_fresh_at_ms = forebay_value_stored_at_ms(value) - 1;
  forebay_value_free(value);
  if (forebay_refresh_with(&value, cache, &src, &recent, &fetch, &err) < 0) return complain(err);
  forebay_value_free(value);

  /* At once if fresh or while failures cool down; in the background; and with time for that at the end. */
  if (forebay_maybe_refresh_sync(&value, cache, &src, &fetch, &err) < 0) return complain(err);
  forebay_value_free(value);
  forebay_mark_stale(cache, &src, NULL);
  if (forebay_maybe_refresh(cache, &src, &fetch, &err) < 0) return complain(err);
  if (forebay_drain(cache, 10 * 1000, NULL, &err) < 0) return complain(err); /* or close, which may wait too: */
  if (forebay_close(cache, 10 * 1000, &err) < 0) return complain(err);
  forebay_cache_free(cache);
  return 0;
}
