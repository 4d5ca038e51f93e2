/* Warm hits through the C ABI, as a C program makes them: one reader per key. forebay-bench loads this as a
 * shared library, so that C and Rust are timed in turn in one process. */
#include <forebay.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct hits {
    forebay_cache *cache;
    forebay_reader **readers;
    size_t count;
};

void hits_close(struct hits *hits);

static uint64_t digest(const uint8_t *data, size_t size) {
    return size == 0 ? 0 : (uint64_t)data[size - 1] << 32 | size;
}

/* Opens the cache and a reader for each key; NULL if that failed. */
struct hits *hits_open(const char *root, const char *const *keys, size_t count) {
    struct hits *hits = calloc(1, sizeof *hits);
    if (hits == NULL) return NULL;
    hits->readers = calloc(count, sizeof *hits->readers);
    forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
    options.root = forebay_str(root);
    if (hits->readers == NULL || forebay_open(&hits->cache, &options, NULL) < 0) {
        hits_close(hits);
        return NULL;
    }
    for (size_t at = 0; at < count; at++) {
        forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
        source.key = forebay_str(keys[at]);
        source.ttl_ms = (int64_t)24 * 3600 * 1000;
        if (forebay_reader_open(&hits->readers[at], hits->cache, &source, NULL) < 0) {
            hits_close(hits);
            return NULL;
        }
        hits->count++;
    }
    return hits;
}

/* Borrowed: the bytes belong to the reader until its next read. Returns the sum of the digests. */
uint64_t hits_borrowed(struct hits *hits, const size_t *order, size_t count, size_t operations) {
    uint64_t sum = 0;
    for (size_t left = operations; left > 0;) {
        size_t pass = left < count ? left : count;
        for (size_t at = 0; at < pass; at++) {
            forebay_hit hit;
            if (forebay_reader_read(&hit, hits->readers[order[at]], NULL) == FOREBAY_OK) sum += digest(hit.data, hit.size);
        }
        left -= pass;
    }
    return sum;
}

/* Shared: a value of its own, to be freed, for any thread. */
uint64_t hits_shared(struct hits *hits, const size_t *order, size_t count, size_t operations) {
    uint64_t sum = 0;
    for (size_t left = operations; left > 0;) {
        size_t pass = left < count ? left : count;
        for (size_t at = 0; at < pass; at++) {
            forebay_value *value = NULL;
            if (forebay_reader_value(&value, hits->readers[order[at]], NULL) == FOREBAY_OK)
                sum += digest(forebay_value_data(value), forebay_value_size(value));
            forebay_value_free(value);
        }
        left -= pass;
    }
    return sum;
}

void hits_close(struct hits *hits) {
    if (hits == NULL) return;
    for (size_t at = 0; at < hits->count; at++) forebay_reader_free(hits->readers[at]);
    free(hits->readers);
    forebay_cache_free(hits->cache);
    free(hits);
}
