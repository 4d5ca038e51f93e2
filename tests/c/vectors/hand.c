/* The ops that are no calls of the interface: the clock, holds, files below the root, and other processes. */
#define _GNU_SOURCE
#include "stage.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct actor {
  pid_t pid;
  int in, out;
} actor;

static json *answer(actor *a) {
  char line[65536];
  size_t size = 0;
  for (;;) {
    struct pollfd ready = {a->out, POLLIN, 0};
    if (poll(&ready, 1, 20000) != 1) failed("the actor did not answer");
    ssize_t got = read(a->out, line + size, 1);
    if (got != 1 || size + 1 == sizeof line) failed("the actor ended without an answer");
    if (line[size] == '\n') break;
    size++;
  }
  json *found = json_object(), *said = json_read(line, size);
  if (said == NULL) failed("the actor answered %.*s", (int)size, line);
  json_set(found, "json", said);
  return found;
}

static json *actor_start(const char *name, const json *arguments) {
  const char *program = getenv("FOREBAY_ACTOR");
  int in[2], out[2];
  if (program == NULL) failed("FOREBAY_ACTOR is not set: cargo build -p forebay-processes, and set it to target/debug/forebay-actor");
  char **line = calloc(arguments->count + 6, sizeof *line);
  if (line == NULL || pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) failed("no pipe");
  line[0] = (char *)program, line[1] = "--root", line[2] = stage_root, line[3] = "--clock", line[4] = stage_clock;
  for (size_t at = 0; at < arguments->count; at++) line[5 + at] = arguments->items[at]->text;
  pid_t pid = fork();
  if (pid == 0) {
    dup2(in[0], 0), dup2(out[1], 1);
    execv(program, line);
    _exit(127);
  }
  close(in[0]), close(out[1]);
  actor *a = calloc(1, sizeof *a);
  if (pid < 0 || a == NULL) failed("no process");
  a->pid = pid, a->in = in[1], a->out = out[0];
  thing_put(AN_ACTOR, name, a);
  return answer(a);
}

void actor_end(void *pointer) {
  actor *a = pointer;
  kill(a->pid, SIGKILL);
  if (waitpid(a->pid, NULL, 0) != a->pid) failed("the actor cannot be waited for");
}

static json *actor_op(const char *op, json *fields) {
  const char *name = need(fields, "actor")->text;
  if (strcmp(op, "actor") == 0) {
    json *arguments = need(fields, "args");
    finish(fields);
    return actor_start(name, arguments);
  }
  if (strcmp(op, "tell") == 0) {
    actor *a = thing_get(AN_ACTOR, name);
    char *line = format("%s\n", need(fields, "line")->text);
    finish(fields);
    if (write(a->in, line, strlen(line)) != (ssize_t)strlen(line)) failed("the actor doesn't listen");
    return answer(a);
  }
  finish(fields);
  actor_end(thing_drop(AN_ACTOR, name));
  return json_object();
}

static int by_bytes(const void *one, const void *other) {
  return strcmp((*(json *const *)one)->text, (*(json *const *)other)->text);
}

static void walk(const char *folder, const char *prefix, json *names) {
  DIR *entries = opendir(folder);
  if (entries == NULL && errno == ENOENT) return;
  if (entries == NULL) failed("%s cannot be listed", folder);
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
    struct stat info;
    char *name = format("%s%s", prefix, entry->d_name), *path = format("%s/%s", folder, entry->d_name);
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    if (strcmp(name, ".forebay") == 0 || strcmp(name, "CACHEDIR.TAG") == 0) continue;
    if (lstat(path, &info) != 0) failed("%s cannot be looked at", path);
    if (S_ISDIR(info.st_mode)) {
      walk(path, format("%s/", name), names);
    } else {
      json_push(names, json_text(name));
    }
  }
  closedir(entries);
}

/* The root that the step is about. */
static const char *root_of(json *fields) {
  const char *which = text_of(fields, "in");
  if (which != NULL && strcmp(which, "state") != 0) failed("there is no root \"%s\"", which);
  return which != NULL ? stage_state : stage_root;
}

static json *files(json *fields) {
  json *found = json_object(), *names = json_list();
  const char *root = root_of(fields);
  finish(fields);
  walk(root, "", names);
  if (names->count > 0) qsort(names->items, names->count, sizeof *names->items, by_bytes);
  json_set(found, "files", names);
  return found;
}

static json *slurp(const char *path) {
  FILE *file = fopen(path, "rb");
  struct stat info;
  if (file == NULL || fstat(fileno(file), &info) != 0 || S_ISDIR(info.st_mode)) failed("%s cannot be read", path);
  char *data = malloc((size_t)info.st_size + 1);
  if (data == NULL) failed("no memory");
  size_t size = fread(data, 1, (size_t)info.st_size, file);
  fclose(file);
  return json_bytes(data, size);
}

static void spill(const char *path, const json *data) {
  FILE *file = fopen(path, "wb");
  if (file == NULL) failed("%s cannot be written", path);
  if (fwrite(data->text, 1, data->count, file) != data->count || fclose(file) != 0) failed("%s cannot be written", path);
}

/* Makes the folders that are missing, closed to others: the root has to be. */
static void make_folders(const char *path) {
  for (char *copy = format("%s", path), *slash = copy + strlen(stage_dir) + 1; slash != NULL; *slash = '/') {
    slash = strchr(slash + 1, '/');
    if (slash == NULL) {
      if (mkdir(copy, 0700) != 0 && errno != EEXIST) failed("%s cannot be made", copy);
      return;
    }
    *slash = '\0';
    if (mkdir(copy, 0700) != 0 && errno != EEXIST) failed("%s cannot be made", copy);
  }
}

static void gone(const char *path) {
  if (unlink(path) != 0 && errno != ENOENT) failed("%s cannot be removed", path);
}

static void set_mtime(const char *path, struct timespec at) {
  struct timespec times[2] = {{0, UTIME_OMIT}, at};
  if (utimensat(AT_FDCWD, path, times, 0) != 0) failed("%s: its time cannot be set", path);
}

static struct timespec mtime(const char *path) {
  struct stat info;
  if (stat(path, &info) != 0) failed("%s cannot be looked at", path);
  return info.st_mtim;
}

static void flip(const char *path, int64_t at) {
  struct timespec before = mtime(path);
  json *data = slurp(path);
  int64_t index = at < 0 ? (int64_t)data->count + at : at;
  if (index < 0 || (size_t)index >= data->count) failed("%s has no byte %lld", path, (long long)at);
  data->text[index] = (char)~data->text[index];
  spill(path, data);
  set_mtime(path, before);
}

static json *show_file(const char *path) {
  json *found = json_object(), *data = slurp(path), *read = json_read(data->text, data->count);
  struct stat info;
  if (stat(path, &info) != 0) failed("%s cannot be looked at", path);
  json_set(found, "data", data);
  json_set(found, "mode", json_text(format("%o", (unsigned)info.st_mode & 07777)));
  if (read != NULL && read->kind == JSON_OBJECT) json_set(found, "json", read);
  return found;
}

/* NULL where `op` is none of a file. */
static json *file_op(const char *op, json *fields) {
  static const char *const ops[] = {"file", "write_file", "flip", "truncate", "make_dir", "delete", "symlink", "chmod", "set_mtime"};
  size_t which = 0, count = sizeof ops / sizeof ops[0];
  while (which < count && strcmp(op, ops[which]) != 0) which++;
  if (which == count) return NULL;
  const char *root = root_of(fields);
  char *path = format("%s/%s", root, need(fields, "path")->text);
  json *data = which == 1 ? bytes_of(need(fields, "data")) : NULL;
  int64_t at = which == 2 ? need(fields, "at")->number : 0, size = which == 3 ? need(fields, "size")->number : 0;
  const char *to = which == 6 ? need(fields, "to")->text : NULL, *mode = which == 7 ? need(fields, "mode")->text : NULL;
  int64_t age = which == 8 ? need(fields, "age_ms")->number : 0;
  finish(fields);
  if (which == 0) return show_file(path);
  if (which == 1) {
    char *folder = format("%s", path);
    *strrchr(folder, '/') = '\0';
    make_folders(folder);
    spill(path, data);
  }
  if (which == 2) flip(path, at);
  if (which == 3) {
    struct timespec before = mtime(path);
    if (truncate(path, (off_t)size) != 0) failed("%s cannot be cut", path);
    set_mtime(path, before);
  }
  if (which == 4) gone(path), make_folders(path);
  if (which == 5 && unlink(path) != 0) failed("%s cannot be removed", path);
  if (which == 6) {
    gone(path);
    if (symlink(to, path) != 0) failed("%s cannot be linked", path);
  }
  if (which == 7 && chmod(path, (mode_t)strtoul(mode, NULL, 8)) != 0) failed("%s: its mode cannot be set", path);
  if (which == 8) {
    int64_t ms = stage_now_ms() - age;
    struct timespec then = {ms / 1000, (ms % 1000) * 1000000};
    set_mtime(path, then);
  }
  return json_object();
}

json *stage_op(const char *op, json *fields) {
  if (strcmp(op, "advance") == 0) {
    int64_t both = number_of(fields, "ms", 0), alone = number_of(fields, "wall_ms", 0);
    finish(fields);
    stage_advance(both, alone);
    return json_object();
  }
  if (strcmp(op, "entered") == 0 || strcmp(op, "release") == 0) {
    const char *name = need(fields, "hold")->text;
    finish(fields);
    if (op[0] == 'e') hold_entered(name);
    else hold_release(name);
    return json_object();
  }
  if (strcmp(op, "actor") == 0 || strcmp(op, "tell") == 0 || strcmp(op, "kill") == 0) return actor_op(op, fields);
  if (strcmp(op, "files") == 0) return files(fields);
  return file_op(op, fields);
}
