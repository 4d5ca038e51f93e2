/*
 * Runs tests/vectors over the C interface: each scenario, and each table, in a process of its own, so that one that fails or
 * hangs is a failure with a name. usage: vectors DIR [NAME]; the last line is `N passed, N failed`.
 */
#define _GNU_SOURCE
#include "tables.h"
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
  static const char ops[] = " refresh get maybe_refresh_sync wait_for_change quota_resolve rotate ";
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

static void run_scenario(const char *path, const char *name) {
  json *file = read_file(path), *steps = need(file, "steps");
  json *source = need(file, "source"), *quota = field(file, "quota");
  forebay_error *err = NULL;
  if (!json_is(need(file, "name"), name)) failed("it is not called %s", name);
  need(file, "about");
  finish(file);
  stage_begin(stage_dir, source, quota != NULL ? quota : json_object());
  forebay_cache *cache = open_cache(NULL, &err);
  if (cache == NULL) failed("it cannot be opened: %s", forebay_error_text(err, NULL));
  thing_put(A_CACHE, "a", cache);
  run_steps(steps, "");
  stage_end();
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
    bool quotas = in_process(run_quota_names, argv[1], "the table of names of quotas and credentials");
    passed += tables, passed += names, passed += quotas;
    lost += !tables, lost += !names, lost += !quotas;
  }
  printf("%zu passed, %zu failed\n", passed, lost);
  return lost > 0 || passed == 0;
}
