/* What happens on a cache, counted and told. */
#include <forebay.h>
#include <stdio.h>

int main(void) {
  forebay_cache *cache;
  forebay_events *events;
  forebay_event *event;
  forebay_value *value;
  uint64_t counts[FOREBAY_EVENT_DAMAGED + 1];
  if (forebay_open(&cache, NULL, NULL) < 0 || forebay_subscribe(&events, cache, NULL) < 0) return 1;
  forebay_source_options src = FOREBAY_SOURCE_OPTIONS_INIT;
  src.key = forebay_str("api/models");
  if (forebay_read(&value, cache, &src, NULL) < 0) return 1;
  forebay_value_free(value);
  while (forebay_events_next(&event, events, 0, NULL, NULL) == FOREBAY_OK) {
    printf("%s: %s", forebay_event_key(event, NULL), forebay_event_kind_text(forebay_event_kind_of(event)));
    printf("%s\n", forebay_event_code(event) < 0 ? forebay_code_text(forebay_event_code(event)) : "");
    forebay_event_free(event);
  }
  printf("%llu were missed\n", (unsigned long long)forebay_events_dropped(events));
  if (forebay_counters(counts, FOREBAY_EVENT_DAMAGED + 1, cache, NULL) < 0) return 1;
  printf("%llu misses\n", (unsigned long long)counts[FOREBAY_EVENT_MISS]);
  forebay_events_free(events);
  forebay_cache_free(cache);
  return 0;
}
