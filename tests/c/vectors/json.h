/*
 * JSON as the scenarios use it: objects, lists, texts that may hold U+0000, numbers, booleans and null. Nothing is freed:
 * each scenario is run by a process of its own. It knows nothing of scenarios.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_REAL, JSON_TEXT, JSON_LIST, JSON_OBJECT } json_kind;

typedef struct json {
  json_kind kind;
  int64_t number;      /* of a number; 0 or 1 of a boolean */
  double real;         /* of a number with a fraction or an exponent */
  char *text;          /* of a text: `count` bytes and a NUL */
  struct json **items; /* of a list or object */
  char **names;        /* of an object */
  size_t count;
} json;

/* Reads a whole text; NULL where it is none, or has what is not described above. */
json *json_read(const char *text, size_t size);

json *json_null(void);
json *json_bool(bool value);
json *json_number(int64_t value);
/* -1, the C interface's "none", is null. */
json *json_unless_unset(int64_t value);
/* A NULL text is null. */
json *json_text(const char *text);
json *json_bytes(const void *data, size_t size);
json *json_list(void);
json *json_object(void);
json *json_copy(const json *value); /* the outermost level is new */
void json_push(json *list, json *item);
void json_set(json *object, const char *name, json *value);
json *json_get(const json *object, const char *name); /* NULL where there is none */
json *json_take(json *object, const char *name);      /* and removes it */
bool json_equal(const json *one, const json *other);
bool json_is(const json *value, const char *text);
/* For people: long and unprintable texts cut and escaped. */
char *json_show(const json *value);

/* Formats into memory of its own. */
char *format(const char *form, ...) __attribute__((format(printf, 1, 2)));

#endif
