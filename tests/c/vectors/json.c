/* See json.h. */
#define _POSIX_C_SOURCE 200809L
#include "json.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grown(void *memory, size_t size) {
  memory = realloc(memory, size > 0 ? size : 1);
  if (memory == NULL) {
    puts("no memory");
    exit(1);
  }
  return memory;
}

char *format(const char *form, ...) {
  va_list arguments, again;
  va_start(arguments, form);
  va_copy(again, arguments);
  size_t size = (size_t)vsnprintf(NULL, 0, form, arguments) + 1;
  char *text = grown(NULL, size);
  vsnprintf(text, size, form, again);
  va_end(again);
  va_end(arguments);
  return text;
}

static json *make(json_kind kind) {
  json *value = grown(NULL, sizeof *value);
  memset(value, 0, sizeof *value);
  value->kind = kind;
  return value;
}

json *json_null(void) { return make(JSON_NULL); }
json *json_list(void) { return make(JSON_LIST); }
json *json_object(void) { return make(JSON_OBJECT); }

json *json_number(int64_t number) {
  json *value = make(JSON_NUMBER);
  value->number = number;
  return value;
}

json *json_bool(bool truth) {
  json *value = make(JSON_BOOL);
  value->number = truth;
  return value;
}

json *json_unless_unset(int64_t value) { return value == -1 ? json_null() : json_number(value); }

json *json_bytes(const void *data, size_t size) {
  json *value = make(JSON_TEXT);
  value->text = grown(NULL, size + 1);
  if (size > 0) memcpy(value->text, data, size);
  value->text[size] = '\0';
  value->count = size;
  return value;
}

json *json_text(const char *text) { return text == NULL ? json_null() : json_bytes(text, strlen(text)); }

void json_push(json *list, json *item) {
  list->items = grown(list->items, (list->count + 1) * sizeof *list->items);
  list->items[list->count++] = item;
}

void json_set(json *object, const char *name, json *value) {
  for (size_t at = 0; at < object->count; at++) {
    if (strcmp(object->names[at], name) == 0) {
      object->items[at] = value;
      return;
    }
  }
  object->names = grown(object->names, (object->count + 1) * sizeof *object->names);
  object->names[object->count] = format("%s", name);
  json_push(object, value);
}

json *json_copy(const json *value) {
  json *copy = make(value->kind);
  *copy = *value;
  copy->items = NULL, copy->names = NULL, copy->count = 0;
  if (value->kind == JSON_TEXT) return json_bytes(value->text, value->count);
  for (size_t at = 0; at < value->count; at++) {
    if (value->kind == JSON_OBJECT) json_set(copy, value->names[at], value->items[at]);
    if (value->kind == JSON_LIST) json_push(copy, value->items[at]);
  }
  return copy;
}

json *json_get(const json *object, const char *name) {
  for (size_t at = 0; object->kind == JSON_OBJECT && at < object->count; at++) {
    if (strcmp(object->names[at], name) == 0) return object->items[at];
  }
  return NULL;
}

json *json_take(json *object, const char *name) {
  for (size_t at = 0; at < object->count; at++) {
    if (strcmp(object->names[at], name) == 0) {
      json *found = object->items[at];
      object->count--;
      object->items[at] = object->items[object->count];
      object->names[at] = object->names[object->count];
      return found;
    }
  }
  return NULL;
}

bool json_is(const json *value, const char *text) {
  return value != NULL && value->kind == JSON_TEXT && value->count == strlen(text) && strcmp(value->text, text) == 0;
}

bool json_equal(const json *one, const json *other) {
  if (one->kind != other->kind || one->number != other->number || one->real != other->real || one->count != other->count) return false;
  if (one->kind == JSON_TEXT) return memcmp(one->text, other->text, one->count) == 0;
  for (size_t at = 0; at < one->count; at++) {
    const json *match = one->kind == JSON_LIST ? other->items[at] : json_get(other, one->names[at]);
    if (match == NULL || !json_equal(one->items[at], match)) return false;
  }
  return true;
}

char *json_show(const json *value) {
  char *text = format("%s", "");
  switch (value->kind) {
    case JSON_NULL: return format("null");
    case JSON_BOOL: return format(value->number ? "true" : "false");
    case JSON_NUMBER: return format("%lld", (long long)value->number);
    case JSON_REAL: return format("%.17g", value->real);
    case JSON_TEXT:
      for (size_t at = 0; at < value->count && at < 200; at++) {
        unsigned char byte = (unsigned char)value->text[at];
        text = byte >= 32 ? format("%s%c", text, byte) : format("%s\\u%04x", text, byte);
      }
      return value->count > 200 ? format("\"%s\"... (%zu bytes)", text, value->count) : format("\"%s\"", text);
    case JSON_LIST:
    case JSON_OBJECT:
      for (size_t at = 0; at < value->count; at++) {
        const char *name = value->kind == JSON_OBJECT ? format("%s:", value->names[at]) : "";
        text = format("%s%s%s%s", text, at > 0 ? ", " : "", name, json_show(value->items[at]));
      }
      return value->kind == JSON_LIST ? format("[%s]", text) : format("{%s}", text);
  }
  return text;
}

/* ---- reading ---- */

typedef struct reader {
  const char *at, *end;
} reader;

static void skip_space(reader *r) {
  while (r->at < r->end && strchr(" \t\r\n", *r->at) != NULL) r->at++;
}

static bool eat(reader *r, char byte) {
  skip_space(r);
  if (r->at == r->end || *r->at != byte) return false;
  r->at++;
  return true;
}

static bool word(reader *r, const char *text) {
  size_t size = strlen(text);
  if ((size_t)(r->end - r->at) < size || memcmp(r->at, text, size) != 0) return false;
  r->at += size;
  return true;
}

static size_t utf8(uint32_t point, char *out) {
  if (point < 0x80) return out[0] = (char)point, 1;
  size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  static const unsigned char heads[] = {0, 0xc0, 0xe0, 0xf0};
  out[0] = (char)(heads[more] | point >> (6 * more));
  for (size_t at = 1; at <= more; at++) out[at] = (char)(0x80 | (point >> (6 * (more - at)) & 0x3f));
  return more + 1;
}

static bool hex4(reader *r, uint32_t *unit) {
  char digits[5] = {0}, *end;
  if (r->end - r->at < 4) return false;
  memcpy(digits, r->at, 4);
  *unit = (uint32_t)strtoul(digits, &end, 16);
  r->at += 4;
  return end == digits + 4;
}

static bool escape(reader *r, char *out, size_t *size) {
  static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
  char name = *r->at++;
  const char *found = name == 'u' ? NULL : strchr(names, name);
  uint32_t point, low;
  if (found != NULL && name != '\0') {
    out[(*size)++] = bytes[found - names];
    return true;
  }
  if (name != 'u' || !hex4(r, &point)) return false;
  if (point >= 0xd800 && point < 0xdc00) {
    if (!word(r, "\\u") || !hex4(r, &low) || low < 0xdc00 || low > 0xdfff) return false;
    point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
  }
  *size += utf8(point, out + *size);
  return true;
}

static json *text_value(reader *r) {
  char *out = grown(NULL, (size_t)(r->end - r->at) + 8);
  size_t size = 0;
  while (r->at < r->end && *r->at != '"') {
    if (*r->at != '\\') {
      out[size++] = *r->at++;
    } else if (r->at++, r->at == r->end || !escape(r, out, &size)) {
      return NULL;
    }
  }
  return eat(r, '"') ? json_bytes(out, size) : NULL;
}

static json *value(reader *r);

static json *object_value(reader *r) {
  json *object = json_object();
  if (eat(r, '}')) return object;
  do {
    json *name = eat(r, '"') ? text_value(r) : NULL;
    json *item = name != NULL && eat(r, ':') ? value(r) : NULL;
    if (item == NULL || strlen(name->text) != name->count || json_get(object, name->text) != NULL) return NULL;
    json_set(object, name->text, item);
  } while (eat(r, ','));
  return eat(r, '}') ? object : NULL;
}

static json *list_value(reader *r) {
  json *list = json_list();
  if (eat(r, ']')) return list;
  do {
    json *item = value(r);
    if (item == NULL) return NULL;
    json_push(list, item);
  } while (eat(r, ','));
  return eat(r, ']') ? list : NULL;
}

static json *real_value(const char *digits) {
  char *end;
  json *value = make(JSON_REAL);
  value->real = strtod(digits, &end);
  return *end == '\0' ? value : NULL;
}

static json *number_value(reader *r) {
  char digits[40] = {0}, *end;
  size_t size = 0;
  while (r->at < r->end && size + 1 < sizeof digits && strchr("+-.eE0123456789", *r->at) != NULL) digits[size++] = *r->at++;
  if (strpbrk(digits, ".eE") != NULL) return real_value(digits);
  errno = 0;
  int64_t number = strtoll(digits, &end, 10);
  return size > 0 && *end == '\0' && errno == 0 ? json_number(number) : NULL;
}

static json *value(reader *r) {
  if (eat(r, '{')) return object_value(r);
  if (eat(r, '[')) return list_value(r);
  if (eat(r, '"')) return text_value(r);
  if (word(r, "null")) return json_null();
  if (word(r, "true")) return json_bool(true);
  if (word(r, "false")) return json_bool(false);
  return number_value(r);
}

json *json_read(const char *text, size_t size) {
  reader r = {text, text + size};
  json *whole = value(&r);
  skip_space(&r);
  return whole != NULL && r.at == r.end ? whole : NULL;
}
