/*
 * What the library does to its process: no threads, signal handlers, output or changes of the environment; a fork with a
 * lease held; and exits with a refresh in flight, as programs of their own: `test_process exit HOW ROOT`.
 */
#define _GNU_SOURCE
#include "live.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *program;

static void complete(void *userdata, forebay_ticket *ticket) {
  (void)userdata;
  CHECK(forebay_ticket_complete(NULL, ticket, "x", 1, NULL, NULL) == FOREBAY_OK);
}

static size_t count_threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  size_t count = 0;
  CHECK(tasks != NULL);
  for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

static void signal_actions(struct sigaction *actions) {
  memset(actions, 0, 65 * sizeof *actions);
  for (int number = 1; number < 65; number++) sigaction(number, NULL, &actions[number]);
}

/* The C library fills only the first words of a set: compare member by member. */
static bool same_set(const sigset_t *one, const sigset_t *other) {
  for (int number = 1; number < 65; number++) {
    if (sigismember(one, number) != sigismember(other, number)) return false;
  }
  return true;
}

static bool same_action(const struct sigaction *one, const struct sigaction *other) {
  return one->sa_handler == other->sa_handler && one->sa_flags == other->sa_flags && same_set(&one->sa_mask, &other->sa_mask);
}

/* Opens, refreshes in this thread, and reads. */
static void ordinary_work(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  forebay_refresher fetch = {sizeof fetch, NULL, complete, NULL};
  forebay_live *live = live_open(cache);
  forebay_live_input inputs[] = {forebay_input("*"), forebay_input("env:HOME")};
  forebay_live_spec spec = spec_of("work", inputs, 2);
  host h = {.brings = "x"};
  forebay_reader *reader;
  forebay_value *value;
  forebay_hit hit;
  for (int round = 0; round < 3; round++) {
    STATUS(FOREBAY_OK, forebay_get(&value, cache, &source, &fetch, -1, &err));
    forebay_value_free(value);
    STATUS(FOREBAY_OK, forebay_get(&value, cache, &source, &fetch, 0, &err));
    forebay_value_free(value);
    STATUS(FOREBAY_OK, forebay_reader_open(&reader, cache, &source, &err));
    STATUS(FOREBAY_OK, forebay_reader_read(&hit, reader, &err));
    forebay_reader_free(reader);
    forebay_derived_free(get(FOREBAY_OK, live, &spec, &h));
  }
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static void nothing_of_the_process_is_changed(void) {
  static struct sigaction before[65], after[65];
  sigset_t mask_before, mask_after;
  char seen[8];
  int ends[2], out = dup(1), error_out = dup(2);
  size_t variables = 0, variables_after = 0;
  for (char **entry = environ; *entry != NULL; entry++) variables++;
  signal_actions(before);
  pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
  CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
  fflush(stdout);
  CHECK(dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2);
  size_t threads = count_threads();
  ordinary_work();
  size_t threads_after = count_threads();
  CHECK(dup2(out, 1) == 1 && dup2(error_out, 2) == 2 && close(out) == 0 && close(error_out) == 0);
  CHECK(threads == threads_after);
  CHECK(read(ends[0], seen, sizeof seen) == -1); /* nothing was written */
  close(ends[0]), close(ends[1]);
  signal_actions(after);
  for (int number = 1; number < 65; number++) CHECK(same_action(&before[number], &after[number]));
  pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
  CHECK(same_set(&mask_before, &mask_after));
  for (char **entry = environ; *entry != NULL; entry++) variables_after++;
  CHECK(variables == variables_after);
}

static void look_at_mask(void *userdata, forebay_ticket *ticket) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  *(int *)userdata = sigismember(&mask, SIGINT) && sigismember(&mask, SIGTERM) && sigismember(&mask, SIGCHLD);
  complete(NULL, ticket);
}

static void threads_of_the_library_block_signals(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models");
  int blocked = 0;
  forebay_refresher fetch = {sizeof fetch, &blocked, look_at_mask, NULL};
  forebay_value *value;
  sigset_t mask;
  STATUS(FOREBAY_OK, forebay_get(&value, cache, &source, &fetch, 20000, &err));
  CHECK(blocked);
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  CHECK(!sigismember(&mask, SIGINT));
  forebay_value_free(value);
  STATUS(FOREBAY_OK, forebay_close(cache, 20000, &err));
  forebay_cache_free(cache);
}

/* Waits for a child; one that takes over 20 s is killed and fails the test. */
static int wait_for(pid_t child) {
  int status = 0, handle = (int)syscall(SYS_pidfd_open, child, 0);
  CHECK(handle >= 0);
  struct pollfd ended = {handle, POLLIN, 0};
  if (poll(&ended, 1, 20000) != 1) {
    kill(child, SIGKILL);
    CHECK(!"the child ended in time");
  }
  close(handle);
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_child_does_not_get_its_parents_lease(void) {
  forebay_cache *cache = stage_open();
  forebay_source_options source = stage_source("api/models"), other = stage_source("api/other");
  forebay_refresher fetch = {sizeof fetch, NULL, complete, NULL};
  forebay_ticket *ticket, *none;
  forebay_value *value;
  stage_put(cache, "api/models", "old");
  STATUS(FOREBAY_OK, forebay_acquire(&ticket, NULL, NULL, cache, &source, NULL, &err));
  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    forebay_status lost = forebay_ticket_complete(NULL, ticket, "child", 5, NULL, NULL);
    forebay_status flight = forebay_acquire(&none, NULL, NULL, cache, &source, NULL, NULL);
    forebay_status mine = forebay_get(&value, cache, &other, &fetch, -1, NULL);
    int cancelled = forebay_ticket_cancelled(ticket);
    forebay_value_free(value);
    forebay_ticket_free(ticket);
    _exit(lost == FOREBAY_E_LEASE_LOST && flight == FOREBAY_IN_FLIGHT && mine == FOREBAY_OK && cancelled ? 7 : 1);
  }
  CHECK(wait_for(child) == 7);
  CHECK(forebay_ticket_cancelled(ticket) == 0);
  STATUS(FOREBAY_OK, forebay_ticket_complete(&value, ticket, "parent", 6, NULL, &err));
  CHECK(value_is(value, "parent"));
  forebay_value_free(value);
  forebay_ticket_free(ticket);
  STATUS(FOREBAY_OK, forebay_read(&value, cache, &other, &err));
  CHECK(value_is(value, "x"));
  forebay_value_free(value);
  forebay_cache_free(cache);
}

static void never_ends(void *userdata, forebay_ticket *ticket) {
  (void)ticket;
  event_set(userdata);
  for (;;) pause();
}

/* The program of an exit test: begins a refresh that never ends, and leaves. */
static int leave(const char *how, const char *root) {
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  forebay_source_options source = FOREBAY_SOURCE_OPTIONS_INIT;
  event *running = event_new();
  forebay_refresher fetch = {sizeof fetch, running, never_ends, NULL};
  static forebay_cache *cache; /* still reachable at exit, so a leak checker has nothing to say */
  options.root = forebay_str(root);
  source.key = forebay_str("api/models");
  source.ttl_ms = 1000;
  if (forebay_open(&cache, &options, NULL) != FOREBAY_OK) return 2;
  if (forebay_maybe_refresh(cache, &source, &fetch, NULL) != FOREBAY_OK) return 3;
  event_wait(running);
  if (strcmp(how, "free") == 0) forebay_cache_free(cache);
  if (strcmp(how, "close") == 0) forebay_close(cache, -1, NULL);
  if (strcmp(how, "exit") == 0) exit(0);
  return 0;
}

static void a_process_ends_at_once_with_a_refresh_in_flight(void) {
  static const char *const ways[] = {"return", "exit", "free", "close"};
  for (int round = 0; round < 50; round++) {
    char root[640];
    snprintf(root, sizeof root, "%s/%d", stage_dir, round);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      execl(program, program, "exit", ways[round % 4], root, (char *)NULL);
      _exit(9);
    }
    CHECK(wait_for(child) == 0);
    if (round % 10 == 0) { /* what it left is settled by the next caller */
      forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
      forebay_source_options source = stage_source("api/models");
      forebay_refresher fetch = {sizeof fetch, NULL, complete, NULL};
      forebay_cache *cache;
      forebay_value *value;
      forebay_refresh_options anyway = FOREBAY_REFRESH_OPTIONS_INIT;
      anyway.override_gate = 1;
      options.root = forebay_str(root);
      STATUS(FOREBAY_OK, forebay_open(&cache, &options, &err));
      STATUS(FOREBAY_OK, forebay_refresh_with(&value, cache, &source, &anyway, &fetch, &err));
      forebay_value_free(value);
      forebay_cache_free(cache);
    }
  }
}

static forebay_resolve *fetching(forebay_cache *cache) {
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  forebay_quota *quota;
  forebay_resolve *resolve;
  forebay_answer *answer;
  int32_t step;
  options.name = forebay_str("usage");
  STATUS(FOREBAY_OK, forebay_quota_open(&quota, cache, &options, &err));
  STATUS(FOREBAY_OK, forebay_resolve_begin(&resolve, quota, &err));
  STATUS(FOREBAY_OK, forebay_resolve_next(&step, &answer, resolve, &err));
  CHECK(step == FOREBAY_STEP_CREDENTIALS);
  STATUS(FOREBAY_OK, forebay_resolve_credentials(resolve, "token", 5, &err));
  STATUS(FOREBAY_OK, forebay_resolve_next(&step, &answer, resolve, &err));
  CHECK(step == FOREBAY_STEP_FETCH);
  forebay_quota_free(quota);
  return resolve;
}

static void a_fetch_is_taken_over_from_a_process_that_died(void) {
  forebay_cache *cache = stage_open();
  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    fetching(cache);
    _exit(7);
  }
  CHECK(wait_for(child) == 7);
  forebay_resolve_free(fetching(cache)); /* neither a wait nor a gate */
  forebay_cache_free(cache);
}

static forebay_rotation *rotation_of(forebay_credentials *credentials) {
  forebay_rotation *rotation;
  STATUS(FOREBAY_OK, forebay_rotation_begin(&rotation, credentials, forebay_str("github"), forebay_str(NULL), &err));
  return rotation;
}

static void an_exchange_of_a_process_that_died_is_ambiguous(void) {
  forebay_credentials_options options = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  forebay_credentials *credentials;
  forebay_credential *credential;
  int32_t step;
  options.root = forebay_str(stage_root);
  STATUS(FOREBAY_OK, forebay_credentials_open(&credentials, &options, &err));
  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    STATUS(FOREBAY_OK, forebay_rotation_next(&step, &credential, rotation_of(credentials), &err));
    _exit(step == FOREBAY_STEP_EXCHANGE ? 7 : 8);
  }
  CHECK(wait_for(child) == 7);
  forebay_rotation *rotation = rotation_of(credentials);
  STATUS(FOREBAY_E_AMBIGUOUS, forebay_rotation_next(&step, &credential, rotation, &err));
  CHECK(credential == NULL);
  forebay_rotation_free(rotation);
  forebay_credentials_free(credentials);
}

/* Another process computes, and dies in the middle of it: this one takes over. */
static void a_computation_is_taken_over_from_a_process_that_died(void) {
  int ready[2], go[2];
  char byte = 0;
  CHECK(pipe2(ready, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    close(ready[0]), close(go[1]);
    forebay_cache *cache = stage_open();
    forebay_live *live = live_open(cache);
    forebay_live_spec shared = spec_of("shared", NULL, 0), left = spec_of("left", NULL, 0);
    forebay_compute *way = begin(live, &shared);
    step(way, FOREBAY_STEP_COMPUTE);
    tell(way, "by the child");
    done(way, "by the child", FOREBAY_HOW_RAN);
    step(begin(live, &left), FOREBAY_STEP_COMPUTE);
    if (write(ready[1], "r", 1) != 1 || read(go[0], &byte, 1) != 1) _exit(2);
    _exit(7); /* without a word */
  }
  close(ready[1]), close(go[0]);
  CHECK(read(ready[0], &byte, 1) == 1); /* or its end, where the child failed */
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_spec shared = spec_of("shared", NULL, 0), left = spec_of("left", NULL, 0);
  done(begin(live, &shared), "by the child", FOREBAY_HOW_FRESH);
  forebay_compute *way = begin(live, &left);
  step(way, FOREBAY_STEP_WAIT);
  CHECK(write(go[1], "g", 1) == 1);
  CHECK(wait_for(child) == 7);
  step(way, FOREBAY_STEP_COMPUTE);
  tell(way, "by the parent");
  done(way, "by the parent", FOREBAY_HOW_RAN);
  close(ready[0]), close(go[1]);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

/* A child of a fork opens the index anew, by the handles that it has of its parent; its parent's lease stays its parent's. */
static void a_forked_child_goes_on_with_the_handles(void) {
  forebay_cache *cache = stage_open();
  forebay_live *live = live_open(cache);
  forebay_live_spec spec = spec_of("parents", NULL, 0), other = spec_of("childs", NULL, 0);
  keep(live, "before", NULL, NULL);
  forebay_compute *way = begin(live, &spec);
  step(way, FOREBAY_STEP_COMPUTE);
  fflush(stdout);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    CHECK(check(live, "before") == FOREBAY_OK);
    forebay_compute *own = begin(live, &other);
    step(own, FOREBAY_STEP_COMPUTE);
    tell(own, "by the child");
    done(own, "by the child", FOREBAY_HOW_RAN);
    own = begin(live, &spec);
    step(own, FOREBAY_STEP_WAIT);
    forebay_compute_free(own);
    forebay_compute_free(way); /* the copy: the lease is not the child's to give up */
    forebay_live_free(live);
    forebay_cache_free(cache);
    _exit(7);
  }
  CHECK(wait_for(child) == 7);
  done(begin(live, &other), "by the child", FOREBAY_HOW_FRESH);
  CHECK(forebay_compute_cancelled(way) == 0);
  tell(way, "by the parent");
  done(way, "by the parent", FOREBAY_HOW_RAN);
  forebay_live_free(live);
  forebay_cache_free(cache);
}

static const test tests[] = {
    TEST(nothing_of_the_process_is_changed),
    TEST(threads_of_the_library_block_signals),
    TEST(a_child_does_not_get_its_parents_lease),
    TEST(a_process_ends_at_once_with_a_refresh_in_flight),
    TEST(a_fetch_is_taken_over_from_a_process_that_died),
    TEST(an_exchange_of_a_process_that_died_is_ambiguous),
    TEST(a_computation_is_taken_over_from_a_process_that_died),
    TEST(a_forked_child_goes_on_with_the_handles),
};

int main(int argc, char **argv) {
  program = argv[0];
  if (argc == 4 && strcmp(argv[1], "exit") == 0) return leave(argv[2], argv[3]);
  return check_main(argc, argv, tests, sizeof tests / sizeof tests[0]);
}
