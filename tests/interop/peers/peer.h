/* What the parts of the C peer share: what is read of a request, and how answers are written. */
#ifndef PEER_H
#define PEER_H

#include <forebay.h>
#include <inttypes.h>

struct bytes {
  char *data; /* NULL where there is none; to be freed */
  size_t size;
};

/* Where the value of that field begins, or NULL where there is none or it is null. */
const char *field(const char *line, const char *name);
int64_t number(const char *line, const char *name);
struct bytes text(const char *line, const char *name);
size_t texts(const char *line, const char *name, struct bytes *out, size_t most);
struct bytes unhexed(const char *line);

/* Each of these but print_hex and print_instant writes a comma after it. */
void print_hex(const char *name, const uint8_t *data, size_t size);
void print_text(const char *data, size_t size);
void print_field(const char *name, const char *data, size_t size);
void print_word(const char *name, const char *word);
void print_instant(const char *name, int64_t value);
void fail(forebay_error *err);

/* The requests about quotas and rotated credentials, which are kept in the folder `state` beside the cache's root. */
void open_credentials(const char *root);
void call_account(const char *line, const char *op, const forebay_cache *cache);
void close_credentials(void);

/* The requests about derived results, whose workspace is the folder `work` beside the cache's root. */
void open_live(const char *root);
void call_live(const char *line, const char *op, const forebay_cache *cache);
void close_live(void);

#endif
