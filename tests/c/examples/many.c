/* Many sources refreshed side by side, with progress. */
#include <forebay.h>
#include <stdio.h>

static void fetch(void *userdata, forebay_ticket *ticket) {
  forebay_ticket_complete(NULL, ticket, userdata, strlen(userdata), NULL, NULL);
}

static void tell(void *userdata, size_t done, size_t total, forebay_slice key, forebay_status status) {
  (void)userdata;
  printf("%zu of %zu: %.*s: %s\n", done, total, (int)key.size, key.data, forebay_code_text(status));
}

int main(void) {
  static const char *const names[] = {"prices/eur", "prices/usd", "prices/jpy"};
  forebay_cache *cache;
  forebay_results *results;
  forebay_source_options sources[3];
  forebay_refresher fetchers[3];
  forebay_refresh_item items[3];
  forebay_progress progress = {sizeof progress, NULL, tell, NULL};
  if (forebay_open(&cache, NULL, NULL) < 0) return 1;
  for (int at = 0; at < 3; at++) {
    forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
    forebay_refresher fetcher = {sizeof fetcher, (void *)names[at], fetch, NULL};
    source.key = forebay_str(names[at]);
    source.ttl_ms = 60 * 1000;
    sources[at] = source, fetchers[at] = fetcher;
    items[at].source = &sources[at], items[at].refresher = &fetchers[at];
  }
  if (forebay_refresh_many(&results, cache, items, 3, 2, &progress, NULL) < 0) return 1;
  for (size_t at = 0; at < forebay_results_count(results); at++) {
    if (forebay_results_status(results, at) < 0) {
      fprintf(stderr, "%s\n", forebay_error_text(forebay_results_error(results, at), NULL));
    } else {
      printf("%zu bytes\n", forebay_value_size(forebay_results_value(results, at)));
    }
  }
  forebay_results_free(results);
  forebay_cache_free(cache);
  return 0;
}
