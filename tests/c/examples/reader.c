/* Readers: values that one process reads again and again, at the cost of a look at shared memory. */
#include <forebay.h>
#include <stdio.h>

int main(void) {
  forebay_cache *cache;
  forebay_reader *reader;
  forebay_readers *readers;
  forebay_value *value;
  forebay_hit hit;
  uint32_t slot;
  if (forebay_open(&cache, NULL, NULL) < 0) return 1;
  forebay_source_options src = FOREBAY_SOURCE_OPTIONS_INIT;
  src.key = forebay_str("flags/all");
  src.ttl_ms = 60 * 1000;
  if (forebay_put(NULL, cache, &src, "on", 2, NULL, NULL) < 0) return 1;

  if (forebay_reader_open(&reader, cache, &src, NULL) < 0) return 1;
  for (int round = 0; round < 1000; round++) { /* what is borrowed lives until the next read */
    if (forebay_reader_read(&hit, reader, NULL) != FOREBAY_OK || hit.size != 2) return 1;
  }
  if (forebay_reader_value(&value, reader, NULL) != FOREBAY_OK) return 1; /* lives as long as you like */
  forebay_reader_free(reader);
  printf("%.*s\n", (int)forebay_value_size(value), (const char *)forebay_value_data(value));
  forebay_value_free(value);

  if (forebay_readers_open(&readers, cache, &src, NULL) < 0) return 1; /* by key, from any thread */
  if (forebay_readers_get(&value, readers, forebay_str("flags/all"), NULL) != FOREBAY_OK) return 1;
  forebay_value_free(value);
  forebay_readers_free(readers);
  if (forebay_source_slot(&slot, &src, NULL) < 0) return 1;
  printf("slot %u\n", (unsigned)slot);
  forebay_cache_free(cache);
  return 0;
}
