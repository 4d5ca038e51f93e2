/*
 * What the C tests share: checks, a cache in a fresh folder with a clock of its own, and waits that have an end.
 * The first failed check ends the program; the tests that were to follow count as failed, so none is lost silently.
 */
#ifndef CHECK_H
#define CHECK_H

#include <forebay.h>
#include <stdbool.h>

/* Ends the program with what was expected and where. */
void check_failed(const char *file, int line, const char *what, forebay_error *err);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition, NULL))
/* The call returns that status, and an error object exactly when it is negative; it uses the variable `err`. */
#define STATUS(expected, call) check_status(__FILE__, __LINE__, #call, (expected), (call), &err)
/* Two texts are equal; NULL only equals NULL. */
#define TEXT(expected, actual) check_text(__FILE__, __LINE__, #actual, (expected), (actual))

void check_status(const char *file, int line, const char *what, forebay_status expected, forebay_status actual,
                  forebay_error **err);
void check_text(const char *file, int line, const char *what, const char *expected, const char *actual);

/* One test: it gets a fresh stage, and frees all it makes. */
typedef struct test {
  const char *name;
  void (*run)(void);
} test;

#define TEST(function) {#function, function}

/* Runs the tests, prints `N passed, N failed`, and returns the program's status. Where an argument names a test,
   only that is run. */
int check_main(int argc, char **argv, const test *tests, size_t count);
#define CHECK_MAIN(tests) \
  int main(int argc, char **argv) { return check_main(argc, argv, tests, sizeof(tests) / sizeof((tests)[0])); }

/* The stage of the test that runs: an empty folder, a root in it that does not exist yet, and a clock file. */
extern char stage_dir[512];
extern char stage_root[600];
extern char stage_clock[600];
/* Moves the clock of the stage. */
void stage_advance(int64_t ms);
/* The milliseconds since the epoch that it shows. */
int64_t stage_now(void);
/* A cache on the stage's root and clock. */
forebay_cache *stage_open(void);
/* That source, with a ttl of 60 s and a max_stale of an hour. */
forebay_source_options stage_source(const char *key);
/* Puts that text under that key. */
void stage_put(forebay_cache *cache, const char *key, const char *text);
/* Whether the value has that text. */
bool value_is(const forebay_value *value, const char *text);

/* A gate that one thread opens and others wait at; a wait of over 20 s fails the test. */
typedef struct event event;
event *event_new(void);
void event_set(event *e);
void event_wait(event *e);
bool event_is_set(event *e);
void event_free(event *e);

/* Runs a function on another thread; joining one that takes over 20 s fails the test. */
typedef struct worker worker;
worker *worker_start(void (*run)(void *), void *argument);
void worker_join(worker *w);

#endif
