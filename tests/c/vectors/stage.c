/* See stage.h: the folder, the clock, named things, holds, and the fields of a step. */
#define _GNU_SOURCE
#include "stage.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

char *stage_dir, *stage_root, *stage_state, *stage_clock;
json *stage_source, *stage_quota;

static _Thread_local const char *place = "the beginning";
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int64_t wall_ms = 1700000000000, boot_ms = 1000000;

void stage_at(const char *where) { place = where; }

void failed(const char *form, ...) {
  va_list arguments;
  va_start(arguments, form);
  flockfile(stdout);
  printf("  step %s: ", place);
  vprintf(form, arguments);
  printf("\n");
  fflush(stdout);
  _exit(1);
}

static void write_clock(void) {
  char *other = format("%s.new", stage_clock);
  FILE *file = fopen(other, "w");
  if (file == NULL) failed("%s cannot be written", other);
  fprintf(file, "{\"wall_ns\":\"%lld000000\",\"boot_ns\":\"%lld000000\"}", (long long)wall_ms, (long long)boot_ms);
  if (fclose(file) != 0 || rename(other, stage_clock) != 0) failed("%s cannot be replaced", stage_clock);
}

void stage_begin(const char *dir, json *source, json *quota) {
  stage_dir = format("%s", dir);
  stage_root = format("%s/root", dir);
  stage_state = format("%s/state", dir);
  stage_clock = format("%s/clock", dir);
  stage_source = source;
  stage_quota = quota;
  write_clock();
}

int64_t stage_now_ms(void) {
  pthread_mutex_lock(&mutex);
  int64_t now = wall_ms;
  pthread_mutex_unlock(&mutex);
  return now;
}

void stage_advance(int64_t ms, int64_t alone_ms) {
  pthread_mutex_lock(&mutex);
  wall_ms += ms + alone_ms;
  boot_ms += ms;
  write_clock();
  pthread_mutex_unlock(&mutex);
}

typedef struct named {
  thing kind;
  char *name;
  void *what;
  struct named *next;
} named;

static named *all;

static named *find(thing kind, const char *name) {
  for (named *one = all; one != NULL; one = one->next) {
    if (one->kind == kind && strcmp(one->name, name) == 0) return one;
  }
  return NULL;
}

void *thing_find(thing kind, const char *name) {
  pthread_mutex_lock(&mutex);
  named *one = find(kind, name);
  void *what = one != NULL ? one->what : NULL;
  pthread_mutex_unlock(&mutex);
  return what;
}

void *thing_get(thing kind, const char *name) {
  static const char *const kinds[THINGS] = {"cache", "ticket", "reader", "saved version", "step in the background", "actor", "folder of credentials"};
  void *what = thing_find(kind, name);
  if (what == NULL) failed("there is no %s \"%s\"", kinds[kind], name);
  return what;
}

void thing_put(thing kind, const char *name, void *what) {
  pthread_mutex_lock(&mutex);
  named *one = find(kind, name);
  if (one == NULL) {
    one = calloc(1, sizeof *one);
    if (one == NULL) failed("no memory");
    one->kind = kind, one->name = format("%s", name), one->next = all;
    all = one;
  }
  one->what = what;
  pthread_mutex_unlock(&mutex);
}

void *thing_drop(thing kind, const char *name) {
  void *what = thing_get(kind, name);
  thing_put(kind, name, NULL);
  return what;
}

typedef struct hold {
  char *name;
  bool entered, released;
  struct hold *next;
} hold;

static hold *holds;

/* With the mutex held. */
static hold *hold_of(const char *name) {
  for (hold *one = holds; one != NULL; one = one->next) {
    if (strcmp(one->name, name) == 0) return one;
  }
  hold *one = calloc(1, sizeof *one);
  if (one == NULL) failed("no memory");
  one->name = format("%s", name), one->next = holds;
  return holds = one;
}

static void hold_wait(bool *until, const char *why) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += 20;
  while (!*until) {
    if (pthread_cond_timedwait(&changed, &mutex, &end) != 0) failed("%s", why);
  }
}

void hold_enter(const char *name) {
  pthread_mutex_lock(&mutex);
  hold *one = hold_of(name);
  one->entered = true;
  pthread_cond_broadcast(&changed);
  hold_wait(&one->released, "the refresher was never released");
  pthread_mutex_unlock(&mutex);
}

void hold_entered(const char *name) {
  pthread_mutex_lock(&mutex);
  hold_wait(&hold_of(name)->entered, "the refresher was not called");
  pthread_mutex_unlock(&mutex);
}

void hold_release(const char *name) {
  pthread_mutex_lock(&mutex);
  hold_of(name)->released = true;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
}

json *field(json *fields, const char *name) { return json_take(fields, name); }

json *need(json *fields, const char *name) {
  json *found = field(fields, name);
  if (found == NULL) failed("it has no \"%s\"", name);
  return found;
}

const char *text_of(json *fields, const char *name) {
  json *found = field(fields, name);
  if (found == NULL) return NULL;
  if (found->kind != JSON_TEXT) failed("\"%s\" is %s, not a text", name, json_show(found));
  return found->text;
}

int64_t number_of(json *fields, const char *name, int64_t otherwise) {
  json *found = field(fields, name);
  if (found == NULL) return otherwise;
  if (found->kind != JSON_NUMBER) failed("\"%s\" is %s, not an integer", name, json_show(found));
  return found->number;
}

bool flag_of(json *fields, const char *name) {
  json *found = field(fields, name);
  if (found == NULL) return false;
  if (found->kind != JSON_BOOL) failed("\"%s\" is %s, not true or false", name, json_show(found));
  return found->number != 0;
}

void finish(json *fields) {
  if (fields->count > 0) failed("unknown field \"%s\"", fields->names[0]);
}

json *bytes_of(const json *written) {
  if (written->kind == JSON_TEXT) return json_copy(written);
  if (written->kind != JSON_OBJECT) failed("%s is not bytes", json_show(written));
  json *fields = json_copy(written), *hex = field(fields, "hex"), *fill = field(fields, "fill");
  finish(fields);
  if (hex != NULL && fill == NULL && hex->count % 2 == 0) {
    json *out = json_bytes(hex->text, hex->count / 2);
    for (size_t at = 0; at < out->count; at++) {
      char pair[3] = {hex->text[2 * at], hex->text[2 * at + 1], 0}, *end;
      out->text[at] = (char)strtoul(pair, &end, 16);
      if (end != pair + 2) failed("%s is not hex", hex->text);
    }
    return out;
  }
  if (hex != NULL || fill == NULL || fill->kind != JSON_LIST || fill->count != 2) failed("%s is not bytes", json_show(written));
  size_t size = (size_t)fill->items[1]->number;
  char *memory = malloc(size + 1);
  if (memory == NULL) failed("no memory");
  memset(memory, (int)fill->items[0]->number, size);
  return json_bytes(memory, size);
}

static void end_all(thing kind, void (*end)(void *)) {
  for (named *one = all; one != NULL; one = one->next) {
    if (one->kind == kind && one->what != NULL) end(one->what);
    if (one->kind == kind) one->what = NULL;
  }
}

static void end_cache(void *cache) {
  forebay_close(cache, 20000, NULL);
  forebay_cache_free(cache);
}

static void end_ticket(void *ticket) { forebay_ticket_free(ticket); }
static void end_reader(void *reader) { forebay_reader_free(reader); }
static void end_creds(void *creds) { forebay_credentials_free(creds); }

void stage_end(void) {
  for (hold *one = holds; one != NULL; one = one->next) hold_release(one->name);
  end_all(AN_ACTOR, actor_end);
  end_all(A_TICKET, end_ticket);
  end_all(A_READER, end_reader);
  end_all(A_CREDS, end_creds);
  end_all(A_CACHE, end_cache);
}
