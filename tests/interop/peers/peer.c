/* The C side of the matrix in tests/interop, whose README has the protocol. Requests are flat JSON objects in ASCII,
   as the runner writes them; what is read of JSON here is no more than that. */
#define _POSIX_C_SOURCE 200809L
#include "peer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static forebay_cache *cache;
static forebay_ticket *ticket;

static void *need(void *memory) {
  if (memory == NULL) abort();
  return memory;
}

/* Where the value of that field begins, or NULL where there is none or it is null. */
const char *field(const char *line, const char *name) {
  char wanted[64];
  snprintf(wanted, sizeof wanted, "\"%s\": ", name);
  const char *at = strstr(line, wanted);
  if (at == NULL) return NULL;
  at += strlen(wanted);
  return strncmp(at, "null", 4) == 0 ? NULL : at;
}

int64_t number(const char *line, const char *name) {
  const char *at = field(line, name);
  return at == NULL ? -1 : strtoll(at, NULL, 10);
}

static uint32_t unit(const char *at) {
  char four[5] = {at[0], at[1], at[2], at[3], 0};
  return (uint32_t)strtoul(four, NULL, 16);
}

static size_t utf8(char *out, uint32_t c) {
  if (c < 0x80) return out[0] = (char)c, 1;
  if (c < 0x800) return out[0] = (char)(0xc0 | c >> 6), out[1] = (char)(0x80 | (c & 63)), 2;
  size_t at = 0;
  if (c < 0x10000) {
    out[at++] = (char)(0xe0 | c >> 12);
  } else {
    out[at++] = (char)(0xf0 | c >> 18);
    out[at++] = (char)(0x80 | (c >> 12 & 63));
  }
  out[at++] = (char)(0x80 | (c >> 6 & 63));
  out[at++] = (char)(0x80 | (c & 63));
  return at;
}

/* The text whose first quote is there, to be freed; `at` is behind its last one then. */
static struct bytes text_at(const char **from) {
  const char *at = *from + 1;
  struct bytes out = {need(malloc(strlen(at) + 1)), 0};
  for (; *at != '"' && *at != 0; at++) {
    if (*at != '\\') {
      out.data[out.size++] = *at;
    } else if (*++at == 'u') {
      uint32_t c = unit(at + 1);
      at += 4;
      if (c >> 10 == 0xd800 >> 10) {
        c = 0x10000 + ((c & 0x3ff) << 10 | (unit(at + 3) & 0x3ff));
        at += 6;
      }
      out.size += utf8(out.data + out.size, c);
    } else {
      out.data[out.size++] = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at;
    }
  }
  *from = *at == 0 ? at : at + 1;
  return out;
}

/* The text of that field, to be freed; data is NULL where there is none. */
struct bytes text(const char *line, const char *name) {
  const char *at = field(line, name);
  if (at == NULL || *at != '"') return (struct bytes){NULL, 0};
  return text_at(&at);
}

/* The texts of the list in that field, each to be freed; how many, at most `most`. */
size_t texts(const char *line, const char *name, struct bytes *out, size_t most) {
  size_t count = 0;
  const char *at = field(line, name);
  for (; at != NULL && *at != ']' && *at != 0 && count < most; at++) {
    if (*at != '"') continue;
    out[count++] = text_at(&at);
    at--;
  }
  return count;
}

struct bytes unhexed(const char *line) {
  struct bytes out = text(line, "hex");
  size_t size = out.size / 2;
  for (size_t i = 0; i < size; i++) {
    char two[3] = {out.data[2 * i], out.data[2 * i + 1], 0};
    out.data[i] = (char)strtoul(two, NULL, 16);
  }
  out.size = size;
  return out;
}

void print_hex(const char *name, const uint8_t *data, size_t size) {
  printf("\"%s\": ", name);
  if (data == NULL) {
    printf("null");
    return;
  }
  putchar('"');
  for (size_t i = 0; i < size; i++) printf("%02x", data[i]);
  putchar('"');
}

void print_text(const char *data, size_t size) {
  if (data == NULL) {
    printf("null");
    return;
  }
  putchar('"');
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)data[i];
    if (c < 0x20 || c == '"' || c == '\\') printf("\\u%04x", c);
    else putchar(c);
  }
  putchar('"');
}

void print_field(const char *name, const char *data, size_t size) {
  printf("\"%s\": ", name);
  print_text(data, size);
  printf(", ");
}

/* An outcome's text; what the library calls unknown is null. */
void print_word(const char *name, const char *word) { print_field(name, word, word ? strlen(word) : 0); }

void print_instant(const char *name, int64_t value) {
  if (value < 0) printf("\"%s\": null", name);
  else printf("\"%s\": %" PRId64, name, value);
}

void fail(forebay_error *err) {
  size_t size = 0;
  const char *sentence = forebay_error_text(err, &size);
  printf("{");
  print_word("error", forebay_code_text(forebay_error_code(err)));
  printf("\"message\": ");
  print_text(sentence, size);
  printf("}");
  forebay_error_free(err);
}

static void print_version(forebay_value *value) {
  size_t size = 0;
  const char *version = forebay_value_version(value, &size);
  printf("{\"version\": ");
  print_text(version, size);
  printf("}");
  forebay_value_free(value);
}

static void print_value(forebay_value *value) {
  size_t size = 0;
  const forebay_error *error = forebay_value_error(value);
  const char *data = NULL;
  printf("{");
  data = forebay_value_validator(value, &size);
  print_field("validator", data, size);
  data = forebay_value_version(value, &size);
  print_field("version", data, size);
  print_word("state", forebay_state_text(forebay_value_state(value)));
  print_word("how", forebay_how_text(forebay_value_how(value)));
  print_word("phase", forebay_phase_text(forebay_value_phase(value)));
  print_word("error", error ? forebay_code_text(forebay_error_code(error)) : NULL);
  print_hex("hex", forebay_value_data(value), forebay_value_size(value));
  printf("}");
  forebay_value_free(value);
}

static void print_info(forebay_refresh_info *info) {
  size_t size = 0;
  const forebay_error *error = forebay_refresh_info_last_error(info);
  const char *message = error ? forebay_error_message(error, &size) : NULL;
  printf("{");
  print_word("phase", forebay_phase_text(forebay_refresh_info_phase(info)));
  print_word("error", error ? forebay_code_text(forebay_error_code(error)) : NULL);
  print_field("message", message, size);
  printf("\"attempts\": %" PRIu32 ", ", forebay_refresh_info_attempts(info));
  printf("\"declared\": %s, ", forebay_refresh_info_declared(info) ? "true" : "false");
  print_instant("retry_at_ms", forebay_refresh_info_retry_at_ms(info));
  printf(", ");
  print_instant("holder", forebay_refresh_info_holder(info));
  printf("}");
  forebay_refresh_info_free(info);
}

static void print_keys(forebay_listing *listing) {
  printf("{\"keys\": [");
  for (size_t i = 0; i < forebay_listing_count(listing); i++) {
    size_t size = 0;
    const char *key = forebay_listing_key(listing, i, &size);
    printf(i ? ", " : "");
    print_text(key, size);
  }
  printf("]}");
  forebay_listing_free(listing);
}

/* A refresher that returns the bytes of the request. */
static void fetch(void *userdata, forebay_ticket *held) {
  const struct bytes *data = userdata;
  forebay_ticket_complete(NULL, held, data->data, data->size, NULL, NULL);
}

static void call(const char *line, const char *op, const forebay_source_options *source, struct bytes data) {
  forebay_error *err = NULL;
  forebay_value *value = NULL;
  forebay_commit commit = FOREBAY_COMMIT_INIT;
  struct bytes validator = text(line, "validator");
  commit.validator = forebay_mem(validator.data, validator.size);
  if (strcmp(op, "put") == 0) {
    if (forebay_put(&value, cache, source, data.data, data.size, &commit, &err) >= 0) print_version(value);
  } else if (strcmp(op, "complete") == 0) {
    if (forebay_ticket_complete(&value, ticket, data.data, data.size, &commit, &err) >= 0) print_version(value);
  } else if (strcmp(op, "read") == 0) {
    if (forebay_read(&value, cache, source, &err) >= 0) print_value(value);
  } else if (strcmp(op, "get") == 0) {
    forebay_refresher refresher = {sizeof refresher, &data, fetch, NULL};
    if (forebay_get(&value, cache, source, &refresher, -1, &err) >= 0) print_value(value);
  } else if (strcmp(op, "acquire") == 0) {
    forebay_ticket *taken = NULL;
    forebay_status status = forebay_acquire(&taken, NULL, NULL, cache, source, NULL, &err);
    if (taken != NULL) ticket = taken;
    if (status >= 0) printf("{\"outcome\": \"%s\"}", taken ? "ticket" : forebay_code_text(status));
  } else if (strcmp(op, "fail") == 0) {
    struct bytes code = text(line, "code"), message = text(line, "message");
    forebay_failure failure = FOREBAY_FAILURE_INIT;
    failure.code = forebay_code_from_text(forebay_mem(code.data, code.size));
    failure.message = forebay_mem(message.data, message.size);
    failure.retry_after_ms = number(line, "retry_after_ms");
    if (forebay_ticket_fail(ticket, &failure, &err) >= 0) printf("{}");
    free(code.data);
    free(message.data);
  } else if (strcmp(op, "state") == 0) {
    forebay_refresh_info *info = NULL;
    if (forebay_refresh_state(&info, cache, source, &err) >= 0) print_info(info);
  } else if (strcmp(op, "mark_stale") == 0) {
    if (forebay_mark_stale(cache, source, &err) >= 0) printf("{}");
  } else if (strcmp(op, "remove") == 0) {
    forebay_status status = forebay_remove(cache, source, &err);
    if (status >= 0) printf("{\"removed\": %s}", status == FOREBAY_OK ? "true" : "false");
  } else if (strcmp(op, "list") == 0) {
    forebay_listing *listing = NULL;
    if (forebay_list(&listing, cache, &err) >= 0) print_keys(listing);
  } else if (strncmp(op, "live_", 5) == 0) {
    call_live(line, op, cache);
  } else {
    call_account(line, op, cache);
  }
  if (err != NULL) fail(err);
  free(validator.data);
}

static void answer(const char *line) {
  struct bytes op = text(line, "op"), key = text(line, "key"), data = unhexed(line);
  op.data = need(realloc(op.data, op.size + 1));
  op.data[op.size] = 0;
  forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
  source.key = forebay_mem(key.data, key.size);
  source.ttl_ms = number(line, "ttl_ms");
  source.deadline_ms = number(line, "deadline_ms");
  call(line, op.data, &source, data);
  putchar('\n');
  fflush(stdout);
  free(op.data);
  free(key.data);
  free(data.data);
}

int main(int count, char **arguments) {
  if (count != 2) {
    fprintf(stderr, "usage: peer ROOT\n");
    return 2;
  }
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  options.root = forebay_str(arguments[1]);
  forebay_error *err = NULL;
  if (forebay_open(&cache, &options, &err) < 0) {
    fprintf(stderr, "peer: %s\n", forebay_error_text(err, NULL));
    return 1;
  }
  open_credentials(arguments[1]);
  open_live(arguments[1]);
  printf("{\"language\": \"c\"}\n");
  fflush(stdout);
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, stdin) > 0) answer(line);
  free(line);
  forebay_ticket_free(ticket);
  close_live();
  close_credentials();
  forebay_cache_free(cache);
  return 0;
}
