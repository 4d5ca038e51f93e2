/*
 * Runs tests/vectors over the C interface: each scenario, and each table, in a process of its own, so that one that fails or
 * hangs is a failure with a name. usage: vectors DIR [NAME]; the last line is `N passed, N failed`.
 */
#define _GNU_SOURCE
#include "expect.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct background {
  pthread_t thread;
  const char *op, *place;
  json *fields, *found;
} background;

static void *run_background(void *pointer) {
  background *b = pointer;
  stage_at(b->place);
  b->found = run_op(b->op, b->fields, b->place);
  return NULL;
}

static void begin(const char *name, const char *op, json *fields, const char *place) {
  static const char ops[] = " refresh get maybe_refresh_sync wait_for_change ";
  background *b = calloc(1, sizeof *b);
  if (strstr(ops, format(" %s ", op)) == NULL || thing_find(A_BACKGROUND, name) != NULL) failed("it cannot run so in the background");
  b->op = op, b->place = format("%s", place), b->fields = fields;
  if (pthread_create(&b->thread, NULL, run_background, b) != 0) failed("no thread");
  thing_put(A_BACKGROUND, name, b);
}

static json *join(json *fields) {
  const char *name = need(fields, "background")->text;
  struct timespec until;
  finish(fields);
  background *b = thing_drop(A_BACKGROUND, name);
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 20;
  if (pthread_timedjoin_np(b->thread, NULL, &until) != 0) failed("\"%s\" did not end", name);
  return b->found;
}

static void run_step(const json *step, const char *place) {
  json *fields = json_copy(step);
  const char *op = need(fields, "do")->text;
  field(fields, "note");
  json *expect = field(fields, "expect");
  const char *save = text_of(fields, "save");
  const char *aside = strcmp(op, "join") == 0 ? NULL : text_of(fields, "background");
  if (aside != NULL) {
    if (expect != NULL || save != NULL) failed("a step in the background expects nothing");
    begin(aside, op, fields, place);
    return;
  }
  json *found = strcmp(op, "join") == 0 ? join(fields) : run_op(op, fields, place);
  compare(op, expect == NULL ? json_object() : expect, found);
  if (save != NULL) {
    json *version = json_get(found, "version");
    if (version == NULL) failed("it gave no value whose version could be saved");
    thing_put(A_VERSION, save, version->text);
  }
}

void run_steps(const json *steps, const char *prefix) {
  for (size_t at = 0; at < steps->count; at++) {
    char *place = format("%s%zu", prefix, at);
    stage_at(place);
    run_step(steps->items[at], place);
  }
}

static json *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  struct stat info;
  if (file == NULL || fstat(fileno(file), &info) != 0) failed("%s cannot be read", path);
  char *text = malloc((size_t)info.st_size + 1);
  size_t size = text == NULL ? 0 : fread(text, 1, (size_t)info.st_size, file);
  fclose(file);
  json *found = json_read(text, size);
  if (found == NULL || found->kind != JSON_OBJECT) failed("%s is no JSON object of the kind described", path);
  return found;
}

static void run_scenario(const char *path, const char *name) {
  json *file = read_file(path), *steps = need(file, "steps");
  json *source = need(file, "source");
  forebay_error *err = NULL;
  if (!json_is(need(file, "name"), name)) failed("it is not called %s", name);
  need(file, "about");
  finish(file);
  stage_begin(stage_dir, source);
  forebay_cache *cache = open_cache(NULL, &err);
  if (cache == NULL) failed("it cannot be opened: %s", forebay_error_text(err, NULL));
  thing_put(A_CACHE, "a", cache);
  run_steps(steps, "");
  stage_end();
}

/* ---- the tables ---- */

static void check_words(const json *table, const char *name, const char *(*text_of_number)(int32_t)) {
  const json *words = json_get(table, name);
  if (words == NULL) failed("there is no \"%s\"", name);
  for (size_t at = 0; at < words->count; at++) {
    if (!json_is(words->items[at], text_of_number((int32_t)at))) failed("%s: %s is not number %zu", name, words->items[at]->text, at);
  }
  if (text_of_number((int32_t)words->count) != NULL) failed("%s: there are more than %zu", name, words->count);
}

static void run_tables(const char *path, const char *name) {
  json *codes = need(read_file(format("%s/error_codes.json", path)), "codes");
  json *defaults = read_file(format("%s/defaults.json", path)), *outcomes = json_get(defaults, "outcomes");
  (void)name;
  for (size_t at = 0; at < codes->count; at++) {
    int32_t number = (int32_t)json_get(codes->items[at], "number")->number;
    json *code = json_get(codes->items[at], "code");
    if (!json_is(code, forebay_code_text(number))) failed("%s is not number %d", code->text, (int)number);
    if (forebay_code_from_text(forebay_str(code->text)) != number) failed("%s has another number", code->text);
  }
  if (forebay_code_text(-1 - (int32_t)codes->count) != NULL) failed("there are more than %zu codes", codes->count);
  for (size_t at = 0; at < outcomes->count; at++) {
    const char *text = forebay_code_text((int32_t)outcomes->items[at]->number);
    if (text == NULL || strcmp(text, outcomes->names[at]) != 0) failed("%s is not that outcome", outcomes->names[at]);
  }
  check_words(defaults, "states", forebay_state_text);
  check_words(defaults, "hows", forebay_how_text);
  check_words(defaults, "phases", forebay_phase_text);
  check_words(defaults, "events", forebay_event_kind_text);
}

static forebay_slice slice_of(const json *text) {
  return text == NULL ? forebay_str(NULL) : forebay_mem(text->text, text->count);
}

static uint32_t slot_of(const json *tier, const json *key, const json *identity) {
  forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
  uint32_t slot = 0;
  source.tier = slice_of(tier), source.key = slice_of(key), source.identity = slice_of(identity);
  if (forebay_source_slot(&slot, &source, NULL) != FOREBAY_OK) failed("%s is refused", json_show(key));
  return slot;
}

static void run_names(const char *path, const char *unused) {
  json *table = read_file(format("%s/names.json", path)), *names = need(table, "names"), *keys = need(table, "keys");
  json *refused = need(table, "refused");
  forebay_error *err = NULL;
  (void)unused;
  stage_begin(stage_dir, json_object());
  forebay_cache *cache = open_cache("none", &err);
  if (cache == NULL || names->count == 0) failed("there is no cache, or no name");
  for (size_t at = 0; at < names->count; at++) {
    const json *one = names->items[at];
    forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
    source.tier = slice_of(json_get(one, "tier")), source.key = slice_of(json_get(one, "name"));
    source.identity = slice_of(json_get(one, "identity"));
    source.ttl_ms = 1000;
    stage_at(json_show(one));
    if (forebay_put(NULL, cache, &source, "x", 1, NULL, &err) != FOREBAY_OK) failed("%s", forebay_error_text(err, NULL));
    char *file = format("%s/%s/%s.json", stage_root, json_get(one, "folder")->text, json_get(one, "stem")->text);
    if (access(file, F_OK) != 0) failed("there is no %s", file);
    uint32_t slot = slot_of(json_get(one, "tier"), json_get(one, "name"), json_get(one, "identity"));
    if (slot != (uint32_t)json_get(one, "slot")->number) failed("the slot is %u", (unsigned)slot);
  }
  for (size_t at = 0; at < keys->count; at++) {
    const json *one = keys->items[at];
    uint32_t whole = slot_of(NULL, json_get(one, "text"), NULL), split = slot_of(json_get(one, "tier"), json_get(one, "name"), NULL);
    if (whole != split) failed("%s is split otherwise", json_show(one));
  }
  for (size_t at = 0; at < refused->count; at++) {
    forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
    source.key = slice_of(refused->items[at]->kind == JSON_OBJECT ? json_get(refused->items[at], "text") : refused->items[at]);
    if (forebay_put(NULL, cache, &source, "x", 1, NULL, NULL) != FOREBAY_E_INVALID) failed("%s is not refused", json_show(refused->items[at]));
  }
  forebay_cache_free(cache);
}

/* ---- one process each ---- */

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk) {
  (void)info, (void)walk;
  if (kind == FTW_DNR || kind == FTW_D) chmod(path, 0700);
  return remove(path) == 0 || errno == ENOENT ? 0 : 0;
}

static bool in_process(void (*run)(const char *, const char *), const char *path, const char *name) {
  const char *tmp = getenv("TMPDIR");
  char *dir = format("%s/forebay-vector-XXXXXX", tmp != NULL ? tmp : "/tmp");
  stage_dir = mkdtemp(dir);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    run(path, name);
    fflush(stdout);
    _exit(0);
  }
  int status = 0, handle = (int)syscall(SYS_pidfd_open, child, 0);
  struct pollfd ended = {handle, POLLIN, 0};
  if (poll(&ended, 1, 60000) != 1) {
    printf("  it hangs\n");
    kill(child, SIGKILL);
  }
  close(handle);
  waitpid(child, &status, 0);
  nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!well) printf("FAILED %s\n", name);
  if (WIFSIGNALED(status)) printf("  it was killed by signal %d\n", WTERMSIG(status));
  return well;
}

static int is_json(const struct dirent *entry) {
  size_t size = strlen(entry->d_name);
  return size > 5 && strcmp(entry->d_name + size - 5, ".json") == 0;
}

int main(int argc, char **argv) {
  struct dirent **files;
  size_t passed = 0, lost = 0;
  if (argc < 2 || argc > 3) return puts("usage: vectors DIR [NAME]"), 2;
  int count = scandir(format("%s/scenarios", argv[1]), &files, is_json, alphasort);
  if (count <= 0) return puts("there are no scenarios"), 1;
  for (int at = 0; at < count; at++) {
    char *name = format("%.*s", (int)strlen(files[at]->d_name) - 5, files[at]->d_name);
    if (argc == 3 && strcmp(argv[2], name) != 0) continue;
    bool well = in_process(run_scenario, format("%s/scenarios/%s", argv[1], files[at]->d_name), name);
    passed += well, lost += !well;
  }
  printf("%zu scenarios\n", passed + lost);
  if (argc == 2) {
    bool tables = in_process(run_tables, argv[1], "the tables of words"), names = in_process(run_names, argv[1], "the table of names");
    passed += tables, passed += names;
    lost += !tables, lost += !names;
  }
  printf("%zu passed, %zu failed\n", passed, lost);
  return lost > 0 || passed == 0;
}
