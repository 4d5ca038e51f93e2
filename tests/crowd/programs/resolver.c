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
static int port;

/* One request of the line protocol, and which functions it led to. */
struct call {
  char name[WORD], credential[WORD], patience_ms[WORD], fallback[WORD];
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

/* The whole answer into `out`, with a NUL after it; its size, or -1. */
static ssize_t ask(char *out, const struct call *call, const char *credential) {
  int fd = dial(number(call->patience_ms));
  if (fd < 0) return -1;
  char request[4 * WORD];
  int length = snprintf(request, sizeof request,
                        "GET /%s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: c\r\nAuthorization: Bearer %s\r\n"
                        "Connection: close\r\n\r\n",
                        call->name, credential);
  ssize_t size = 0, got = send(fd, request, (size_t)length, MSG_NOSIGNAL) == length ? 1 : -1;
  while (got > 0 && size < ANSWER - 1) {
    got = recv(fd, out + size, (size_t)(ANSWER - 1 - size), 0);
    if (got > 0) size += got;
  }
  int saved = errno;
  close(fd);
  errno = saved;
  out[size] = 0;
  return got < 0 ? -1 : size;
}

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

static void fail_fetch(forebay_resolve *resolve, int32_t code, const char *message) {
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = code;
  failure.message = forebay_str(message);
  forebay_resolve_fetch_failed(resolve, &failure, NULL);
}

static void fetch(void *userdata, forebay_resolve *resolve) {
  struct call *call = userdata;
  note(call, 'f');
  static char text[ANSWER];
  ssize_t size = ask(text, call, forebay_resolve_credential(resolve, NULL));
  char *end = size < 0 ? NULL : strstr(text, "\r\n\r\n");
  if (end == NULL) {
    int late = size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    fail_fetch(resolve, late ? FOREBAY_E_TIMED_OUT : FOREBAY_E_REFRESH_FAILED,
               late ? "the server does not answer" : "no whole answer");
    return;
  }
  *end = 0;
  forebay_response answer = FOREBAY_RESPONSE_INIT;
  answer.status = (int32_t)number(text + strlen("HTTP/1.1 "));
  answer.body = forebay_mem(end + 4, (size_t)(text + size - (end + 4)));
  answer.etag = header(text, "ETag");
  answer.retry_after = header(text, "Retry-After");
  forebay_slice length = header(text, "Content-Length");
  if (length.data != NULL && (size_t)number((const char *)length.data) != answer.body.size) {
    fail_fetch(resolve, FOREBAY_E_REFRESH_FAILED, "the answer was cut short");
    return;
  }
  forebay_resolve_respond(resolve, &answer, NULL);
}

static void credentials(void *userdata, forebay_resolve *resolve) {
  struct call *call = userdata;
  note(call, 'c');
  if (strcmp(call->credential, "-") != 0) {
    forebay_resolve_credentials(resolve, call->credential, strlen(call->credential), NULL);
    return;
  }
  forebay_failure failure = FOREBAY_FAILURE_INIT;
  failure.code = FOREBAY_E_NO_CREDENTIALS;
  failure.message = forebay_str("signed out");
  forebay_resolve_credentials_failed(resolve, &failure, NULL);
}

static void fallback(void *userdata, forebay_resolve *resolve) {
  struct call *call = userdata;
  note(call, 'b');
  int none = strcmp(call->fallback, "-") == 0;
  forebay_resolve_fallback(resolve, none ? NULL : call->fallback, none ? 0 : strlen(call->fallback), NULL);
}

static void print_number(const char *name, int64_t value) {
  if (value < 0) printf("\"%s\": null, ", name);
  else printf("\"%s\": %" PRId64 ", ", name, value);
}

static void print_word(const char *name, const char *word) {
  if (word == NULL) printf("\"%s\": null, ", name);
  else printf("\"%s\": \"%s\", ", name, word);
}

/* What came of it; both are freed. JSON of more than a line is put into one. */
static void print_facts(forebay_answer *answer, forebay_error *err, const struct call *call) {
  const forebay_error *error = answer != NULL ? forebay_answer_error(answer) : err;
  const char *data = answer != NULL ? forebay_answer_data(answer, NULL) : "null";
  printf("{");
  print_word("how", answer != NULL ? forebay_how_text(forebay_answer_how(answer)) : NULL);
  print_word("state", answer != NULL ? forebay_state_text(forebay_answer_state(answer)) : NULL);
  printf("\"data\": ");
  for (; *data != 0; data++) putchar(*data == '\n' ? ' ' : *data);
  printf(", ");
  print_number("age_ms", answer != NULL ? forebay_answer_age_ms(answer) : -1);
  print_number("retry_at_ms", answer != NULL ? forebay_answer_retry_at_ms(answer) : forebay_error_retry_at_ms(err));
  print_word("error", error != NULL ? forebay_code_text(forebay_error_code(error)) : NULL);
  printf("\"called\": \"%s\"}\n", call->called);
  fflush(stdout);
  forebay_answer_free(answer);
  forebay_error_free(err);
}

static void answer(struct call *call) {
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

int main(int count, char **arguments) {
  if (count != 4) {
    fprintf(stderr, "usage: resolver ROOT CLOCK PORT\n");
    return 2;
  }
  forebay_cache_options options = FOREBAY_CACHE_OPTIONS_INIT;
  options.root = forebay_str(arguments[1]);
  options.test_clock = forebay_str(arguments[2]);
  port = (int)number(arguments[3]);
  forebay_error *err = NULL;
  if (forebay_open(&cache, &options, &err) < 0) {
    fprintf(stderr, "resolver: %s\n", forebay_error_text(err, NULL));
    return 1;
  }
  printf("{\"language\": \"c\"}\n");
  fflush(stdout);
  struct call call;
  while (memset(&call, 0, sizeof call),
         scanf("%1023s %1023s %1023s %1023s", call.name, call.credential, call.patience_ms, call.fallback) == 4) {
    answer(&call);
  }
  forebay_cache_free(cache);
  return 0;
}
