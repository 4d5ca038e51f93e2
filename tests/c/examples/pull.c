/* Pull mode: one thread of this program does the background refreshes that others ask for. */
#include <forebay.h>
#include <pthread.h>
#include <stdio.h>

typedef struct shared {
  forebay_cache *cache;
  forebay_interrupt *stop;
} shared;

static void *refresh_in_background(void *pointer) {
  shared *s = pointer;
  forebay_ticket *ticket;
  while (forebay_next_refresh(&ticket, s->cache, -1, s->stop, NULL) == FOREBAY_OK) {
    forebay_ticket_complete(NULL, ticket, "done", 4, NULL, NULL);
    forebay_ticket_free(ticket);
  }
  return NULL;
}

int main(void) {
  shared s;
  pthread_t thread;
  forebay_value *value;
  forebay_text *version;
  if (forebay_open(&s.cache, NULL, NULL) < 0 || forebay_interrupt_new(&s.stop, NULL) < 0) return 1;
  if (pthread_create(&thread, NULL, refresh_in_background, &s) != 0) return 1;

  forebay_source_options src = FOREBAY_SOURCE_OPTIONS_INIT;
  src.key = forebay_str("jobs/report");
  src.ttl_ms = 60 * 1000;
  if (forebay_read(&value, s.cache, &src, NULL) < 0) return 1;
  forebay_status status = forebay_request_refresh(s.cache, &src, NULL); /* FRESH, IN_FLIGHT, GATED: nothing to do */
  if (status == FOREBAY_OK || status == FOREBAY_IN_FLIGHT) {
    status = forebay_wait_for_change(&version, s.cache, &src, forebay_str(forebay_value_version(value, NULL)), 10 * 1000, NULL, NULL);
    if (status != FOREBAY_OK) return 1;
    printf("version %.*s\n", (int)forebay_text_size(version), forebay_text_data(version));
    forebay_text_free(version);
  }
  forebay_value_free(value);
  forebay_interrupt_set(s.stop);
  pthread_join(thread, NULL);
  forebay_interrupt_clear(s.stop);
  forebay_interrupt_free(s.stop);
  forebay_cache_free(s.cache);
  return 0;
}
