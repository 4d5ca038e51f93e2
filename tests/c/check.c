/* The checks, the stage and the waits of check.h. */
#define _GNU_SOURCE
#include "check.h"
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char stage_dir[512];
char stage_root[600];
char stage_clock[600];

static const char *current = "";
static size_t passed, total;
static int64_t wall_ms, boot_ms;

enum { PATIENCE_S = 20 };

void check_failed(const char *file, int line, const char *what, forebay_error *err) {
  printf("FAILED %s\n  %s:%d: %s\n", current, file, line, what);
  if (err != NULL) {
    printf("  %s: %s\n", forebay_code_text(forebay_error_code(err)), forebay_error_text(err, NULL));
  }
  printf("%zu passed, %zu failed\n", passed, total - passed);
  fflush(stdout);
  _exit(1);
}

void check_status(const char *file, int line, const char *what, forebay_status expected, forebay_status actual,
                  forebay_error **err) {
  char text[600];
  if (expected != actual || (actual < 0) != (*err != NULL)) {
    const char *want = forebay_code_text(expected), *got = forebay_code_text(actual);
    snprintf(text, sizeof text, "%s\n  expected %s, found %s%s", what, want, got ? got : "an unknown status",
             expected == actual ? ", with or without an error object where it should be the other way" : "");
    check_failed(file, line, text, *err);
  }
  if (actual < 0) {
    CHECK(forebay_error_code(*err) == actual);
    CHECK(forebay_error_message(*err, NULL) != NULL);
  }
  forebay_error_free(*err);
  *err = NULL;
}

void check_text(const char *file, int line, const char *what, const char *expected, const char *actual) {
  char text[900];
  bool same = expected == NULL || actual == NULL ? expected == actual : strcmp(expected, actual) == 0;
  if (!same) {
    snprintf(text, sizeof text, "%s\n  expected %s, found %s", what, expected ? expected : "NULL", actual ? actual : "NULL");
    check_failed(file, line, text, NULL);
  }
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk) {
  (void)info, (void)kind, (void)walk;
  return remove(path);
}

static void stage_remove(void) {
  if (stage_dir[0] != '\0') nftw(stage_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  stage_dir[0] = '\0';
}

static void write_clock(void) {
  char other[640];
  snprintf(other, sizeof other, "%s.new", stage_clock);
  FILE *file = fopen(other, "w");
  CHECK(file != NULL);
  fprintf(file, "{\"wall_ns\":\"%lld000000\",\"boot_ns\":\"%lld000000\"}\n", (long long)wall_ms, (long long)boot_ms);
  CHECK(fclose(file) == 0);
  CHECK(rename(other, stage_clock) == 0);
}

static void stage_make(void) {
  const char *tmp = getenv("TMPDIR");
  snprintf(stage_dir, sizeof stage_dir, "%s/forebay-c-XXXXXX", tmp != NULL ? tmp : "/tmp");
  CHECK(mkdtemp(stage_dir) != NULL);
  snprintf(stage_root, sizeof stage_root, "%s/root", stage_dir);
  snprintf(stage_clock, sizeof stage_clock, "%s/clock", stage_dir);
  wall_ms = 1700000000000;
  boot_ms = 1000000;
  write_clock();
}

void stage_advance(int64_t ms) {
  wall_ms += ms;
  boot_ms += ms;
  write_clock();
}

int64_t stage_now(void) { return wall_ms; }

forebay_cache *stage_open(void) {
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  forebay_cache *cache = NULL;
  forebay_error *err = NULL;
  options.root = forebay_str(stage_root);
  options.test_clock = forebay_str(stage_clock);
  options.durability = FOREBAY_DURABILITY_NONE;
  STATUS(FOREBAY_OK, forebay_open(&cache, &options, &err));
  return cache;
}

forebay_source_options stage_source(const char *key) {
  forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
  source.key = forebay_str(key);
  source.ttl_ms = 60 * 1000;
  source.max_stale_ms = 3600 * 1000;
  return source;
}

void stage_put(forebay_cache *cache, const char *key, const char *text) {
  forebay_source_options source = stage_source(key);
  forebay_error *err = NULL;
  STATUS(FOREBAY_OK, forebay_put(NULL, cache, &source, text, strlen(text), NULL, &err));
}

bool value_is(const forebay_value *value, const char *text) {
  size_t size = forebay_value_size(value);
  return size == strlen(text) && forebay_value_data(value) != NULL && memcmp(forebay_value_data(value), text, size) == 0;
}

int check_main(int argc, char **argv, const test *tests, size_t count) {
  const char *only = argc > 1 ? argv[1] : NULL;
  total = 0;
  for (size_t at = 0; at < count; at++) total += only == NULL || strcmp(only, tests[at].name) == 0;
  if (total == 0) {
    printf("no test is called %s\n", only);
    return 1;
  }
  atexit(stage_remove);
  for (size_t at = 0; at < count; at++) {
    if (only != NULL && strcmp(only, tests[at].name) != 0) continue;
    current = tests[at].name;
    stage_make();
    tests[at].run();
    stage_remove();
    passed++;
  }
  printf("%zu passed, %zu failed\n", passed, total - passed);
  return 0;
}

struct event {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool set;
};

event *event_new(void) {
  event *e = calloc(1, sizeof *e);
  CHECK(e != NULL);
  CHECK(pthread_mutex_init(&e->mutex, NULL) == 0 && pthread_cond_init(&e->changed, NULL) == 0);
  return e;
}

void event_set(event *e) {
  pthread_mutex_lock(&e->mutex);
  e->set = true;
  pthread_cond_broadcast(&e->changed);
  pthread_mutex_unlock(&e->mutex);
}

static struct timespec patience(void) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += PATIENCE_S;
  return until;
}

void event_wait(event *e) {
  struct timespec until = patience();
  int failed = 0;
  pthread_mutex_lock(&e->mutex);
  while (!e->set && failed == 0) failed = pthread_cond_timedwait(&e->changed, &e->mutex, &until);
  pthread_mutex_unlock(&e->mutex);
  CHECK(failed == 0);
}

bool event_is_set(event *e) {
  pthread_mutex_lock(&e->mutex);
  bool set = e->set;
  pthread_mutex_unlock(&e->mutex);
  return set;
}

void event_free(event *e) {
  pthread_cond_destroy(&e->changed);
  pthread_mutex_destroy(&e->mutex);
  free(e);
}

struct worker {
  pthread_t thread;
  void (*run)(void *);
  void *argument;
};

static void *worker_main(void *pointer) {
  worker *w = pointer;
  w->run(w->argument);
  return NULL;
}

worker *worker_start(void (*run)(void *), void *argument) {
  worker *w = calloc(1, sizeof *w);
  CHECK(w != NULL);
  w->run = run;
  w->argument = argument;
  CHECK(pthread_create(&w->thread, NULL, worker_main, w) == 0);
  return w;
}

void worker_join(worker *w) {
  struct timespec until = patience();
  CHECK(pthread_timedjoin_np(w->thread, NULL, &until) == 0);
  free(w);
}
