/* The C member of the crowd; README.md in tests/crowd has what it is asked and answers. With it a client for HTTP/1.1
   that knows no more than it needs. */
#define _POSIX_C_SOURCE 200809L
#include <arpa/inet.h>
#include <errno.h>
#include <forebay.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define WORD 1024
#define ANSWER 65536

static forebay_cache *cache;
static forebay_credentials *store;
static int port;

/* One request of the line protocol, and which functions it led to. */
struct call {
  char verb[WORD], name[WORD], given[WORD], patience_ms[WORD], fallback[WORD];
  char called[8];
};

static void note(struct call *call, char letter) {
  size_t length = strlen(call->called);
  call->called[length] = letter;
  call->called[length + 1] = 0;
}

static int64_t number(const char *text) { return strtoll(text, NULL, 10); }

/* A connection to the server, or -1; nothing on it takes longer than that. */
static int dial(int64_t patience_ms) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  struct timeval patience = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return -1;
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

/* The server's answer: all of it, its status, and its body, which is part of it. */
struct reply {
  char text[ANSWER];
  int32_t status;
  const char *body;
  size_t size;
};

/* The value of that header, or an empty slice. */
static forebay_slice header(const char *head, const char *name) {
  size_t length = strlen(name);
  for (const char *at = head; at != NULL; at = strstr(at, "\r\n")) {
    if (at != head) at += 2;
    if (strncasecmp(at, name, length) == 0 && at[length] == ':') {
      const char *value = at + length + 1;
      while (*value == ' ') value++;
      return forebay_mem(value, strcspn(value, "\r"));
    }
  }
  return forebay_mem(NULL, 0);
}

/* Sends the request and reads to the end; the size, or -1. */
static ssize_t talk(int fd, const char *request, char *out) {
  size_t length = strlen(request);
  ssize_t size = 0, got = send(fd, request, length, MSG_NOSIGNAL) == (ssize_t)length ? 1 : -1;
  while (got > 0 && size < ANSWER - 1) {
    got = recv(fd, out + size, (size_t)(ANSWER - 1 - size), 0);
    if (got > 0) size += got;
  }
  out[size] = 0;
  return got < 0 ? -1 : size;
}

/* Asks; NULL, or what went wrong: the server says nothing, or not all. */
static const char *ask(struct reply *reply, const struct call *call, const char *request, int32_t *code) {
  int fd = dial(number(call->patience_ms));
  ssize_t size = fd < 0 ? -1 : talk(fd, request, reply->text);
  int late = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  if (fd >= 0) close(fd);
  *code = late ? FOREBAY_E_TIMED_OUT : FOREBAY_E_REFRESH_FAILED;
  if (late) return "the server does not answer";
  char *end = size < 0 ? NULL : strstr(reply->text, "\r\n\r\n");
  if (end == NULL) return "no whole answer";
  *end = 0;
  reply->status = (int32_t)number(reply->text + strlen("HTTP/1.1 "));
  reply->body = end + 4;
  reply->size = (size_t)(reply->text + size - reply->body);
  forebay_slice length = header(reply->text, "Content-Length");
  return length.data != NULL && (size_t)number((const char *)length.data) != reply->size ? "it was cut short" : NULL;
}

static forebay_failure failed(int32_t code, const char *message) {
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = code;
  failure.message = forebay_str(message);
  return failure;
}

static void fetch(void *userdata, forebay_resolve *resolve) {
  struct call *call = userdata;
  static struct reply reply;
  char request[4 * WORD];
  int32_t code;
  note(call, 'f');
  snprintf(request, sizeof request,
           "GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: c\r\nAuthorization: Bearer %s\r\n\r\n", call->name,
           forebay_resolve_credential(resolve, NULL));
  const char *wrong = ask(&reply, call, request, &code);
  if (wrong != NULL) {
    forebay_failure failure = failed(code, wrong);
    forebay_resolve_fetch_failed(resolve, &failure, NULL);
    return;
  }
  forebay_response answer = FOREBAY_RESPONSE_INIT;
  answer.status = reply.status;
  answer.body = forebay_mem(reply.body, reply.size);
  answer.etag = header(reply.text, "ETag");
  answer.retry_after = header(reply.text, "Retry-After");
  forebay_resolve_respond(resolve, &answer, NULL);
}

static void credentials(void *userdata, forebay_resolve *resolve) {
  struct call *call = userdata;
  note(call, 'c');
  if (strcmp(call->given, "-") != 0) {
    forebay_resolve_credentials(resolve, call->given, strlen(call->given), NULL);
    return;
  }
  forebay_failure failure = failed(FOREBAY_E_NO_CREDENTIALS, "signed out");
  forebay_resolve_credentials_failed(resolve, &failure, NULL);
}

static void fallback(void *userdata, forebay_resolve *resolve) {
  struct call *call = userdata;
  note(call, 'b');
  int none = strcmp(call->fallback, "-") == 0;
  forebay_resolve_fallback(resolve, none ? NULL : call->fallback, none ? 0 : strlen(call->fallback), NULL);
}

/* The request for the next pair, or for the first one. */
static void ask_for_next(char *out, size_t size, const char *previous) {
  static const char mark[] = "\"refresh_token\": \"";
  const char *token = previous == NULL ? NULL : strstr(previous, mark);
  char form[WORD] = "";
  if (token != NULL) {
    token += strlen(mark);
    snprintf(form, sizeof form, "refresh_token=%.*s", (int)strcspn(token, "\""), token);
  }
  snprintf(out, size, "POST /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: c\r\nContent-Length: %zu\r\n\r\n%s",
           token != NULL ? "token" : "login", strlen(form), form);
}

static void exchange(void *userdata, forebay_rotation *rotation) {
  struct call *call = userdata;
  static struct reply reply;
  char request[4 * WORD];
  int32_t code;
  note(call, 'x');
  ask_for_next(request, sizeof request, forebay_rotation_previous(rotation, NULL));
  const char *wrong = ask(&reply, call, request, &code);
  if (wrong == NULL && reply.status == 200) {
    forebay_rotation_exchanged(rotation, reply.body, reply.size, NULL);
    return;
  }
  forebay_failure failure = failed(code, wrong != NULL ? wrong : "refused");
  if (wrong == NULL && (reply.status == 400 || reply.status == 401)) failure.code = FOREBAY_E_UNAUTHORIZED;
  if (wrong == NULL && reply.status == 429) {
    forebay_slice wait = header(reply.text, "Retry-After");
    failure.code = FOREBAY_E_RATE_LIMITED;
    if (wait.data != NULL) failure.retry_after_ms = 1000 * number((const char *)wait.data);
  }
  forebay_rotation_failed(rotation, &failure, NULL);
}

static void print_number(const char *name, int64_t value) {
  if (value < 0) printf("\"%s\": null, ", name);
  else printf("\"%s\": %" PRId64 ", ", name, value);
}

static void print_word(const char *name, const char *word) {
  if (word == NULL) printf("\"%s\": null, ", name);
  else printf("\"%s\": \"%s\", ", name, word);
}

/* JSON of more than a line is put into one. */
static void print_data(const char *data) {
  printf("\"data\": ");
  for (; *data != 0; data++) putchar(*data == '\n' ? ' ' : *data);
  printf(", ");
}

/* What came of it; both are freed. */
static void print_facts(forebay_answer *answer, forebay_error *err, const struct call *call) {
  const forebay_error *error = answer != NULL ? forebay_answer_error(answer) : err;
  const char *data = answer != NULL ? forebay_answer_data(answer, NULL) : "null";
  printf("{");
  print_word("how", answer != NULL ? forebay_how_text(forebay_answer_how(answer)) : NULL);
  print_word("state", answer != NULL ? forebay_state_text(forebay_answer_state(answer)) : NULL);
  print_data(data);
  print_number("age_ms", answer != NULL ? forebay_answer_age_ms(answer) : -1);
  print_number("retry_at_ms", answer != NULL ? forebay_answer_retry_at_ms(answer) : forebay_error_retry_at_ms(err));
  print_word("error", error != NULL ? forebay_code_text(forebay_error_code(error)) : NULL);
  printf("\"called\": \"%s\"}\n", call->called);
  forebay_answer_free(answer);
  forebay_error_free(err);
}

static void rotate(struct call *call) {
  forebay_error *err = NULL;
  forebay_credential *got = NULL;
  forebay_exchanger exchanger = {sizeof exchanger, call, exchange, NULL};
  const char *seen = strcmp(call->given, "-") == 0 ? "" : call->given;
  forebay_rotate(&got, store, forebay_str(call->name), forebay_str(seen), &exchanger, &err);
  printf("{");
  print_word("how", got != NULL ? forebay_how_text(forebay_credential_how(got)) : NULL);
  print_word("version", got != NULL ? forebay_credential_version(got, NULL) : NULL);
  print_data(got != NULL ? forebay_credential_data(got, NULL) : "null");
  print_word("error", err != NULL ? forebay_code_text(forebay_error_code(err)) : NULL);
  printf("\"called\": \"%s\"}\n", call->called);
  forebay_credential_free(got);
  forebay_error_free(err);
}

static void resolve(struct call *call) {
  forebay_error *err = NULL;
  forebay_quota *quota = NULL;
  forebay_answer *found = NULL;
  forebay_quota_options options = FOREBAY_QUOTA_OPTIONS_INIT;
  options.name = forebay_str(call->name);
  options.timeout_ms = 60 * 1000;
  if (forebay_quota_open(&quota, cache, &options, &err) >= 0) {
    forebay_quota_source source = {sizeof source, call, credentials, fetch, fallback, NULL};
    forebay_quota_resolve(&found, quota, &source, &err);
  }
  print_facts(found, err, call);
  forebay_quota_free(quota);
}

static int open_all(char **arguments, forebay_error **err) {
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  forebay_credentials_options states = FOREBAY_CREDENTIALS_OPTIONS_INIT;
  options.root = forebay_str(arguments[1]);
  states.root = forebay_str(arguments[2]);
  options.test_clock = states.test_clock = forebay_str(arguments[3]);
  states.deadline_ms = 60 * 1000;
  port = (int)number(arguments[4]);
  return forebay_open(&cache, &options, err) >= 0 && forebay_credentials_open(&store, &states, err) >= 0;
}

static int next(struct call *call) {
  memset(call, 0, sizeof *call);
  return scanf("%1023s %1023s %1023s %1023s %1023s", call->verb, call->name, call->given, call->patience_ms,
               call->fallback) == 5;
}

int main(int count, char **arguments) {
  forebay_error *err = NULL;
  if (count != 5) {
    fprintf(stderr, "usage: resolver ROOT STATE CLOCK PORT\n");
    return 2;
  }
  if (!open_all(arguments, &err)) {
    fprintf(stderr, "resolver: %s\n", forebay_error_text(err, NULL));
    return 1;
  }
  printf("{\"language\": \"c\"}\n");
  fflush(stdout);
  static struct call call;
  while (next(&call)) {
    strcmp(call.verb, "rotate") == 0 ? rotate(&call) : resolve(&call);
    fflush(stdout);
  }
  forebay_credentials_free(store);
  forebay_cache_free(cache);
  return 0;
}
