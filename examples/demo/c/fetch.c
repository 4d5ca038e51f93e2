/* The demo's C program: one read, or one get, of the model list.
 *
 * It shows what a command-line tool does with a slow source, and prints what it got as one line of name=value
 * pairs, like its four sisters in other languages. Usage: fetch get|read URL */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <forebay.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http.h"

static double micros(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* The refresher: runs in this program, or not at all, because another one's result serves. */
static void fetch_models(void *url, forebay_ticket *ticket) {
    http_response http;
    const char *etag = forebay_ticket_validator(ticket, NULL);
    if (http_get(&http, url, "c", etag, (long)forebay_ticket_remaining_ms(ticket)) < 0) {
        forebay_failure failure = FOREBAY_FAILURE_INIT;
        failure.message = forebay_str(strerror(errno));
        forebay_ticket_fail(ticket, &failure, NULL);
        return;
    }
    forebay_response answer = FOREBAY_RESPONSE_INIT;
    answer.status = http.status;
    answer.body = forebay_mem(http.body, http.size);
    answer.etag = forebay_str(http.etag);
    answer.retry_after = forebay_str(http.retry_after);
    forebay_ticket_respond(NULL, ticket, &answer, NULL); /* 200, 304, 429, ...: whatever it was, told to forebay */
    free(http.body);
}

static int complain(forebay_error *err) {
    fprintf(stderr, "fetch: %s\n", forebay_error_text(err, NULL));
    forebay_error_free(err);
    return 1;
}

static void print(const forebay_value *value, double took) {
    const char *how = forebay_how_text(forebay_value_how(value));
    const forebay_error *error = forebay_value_error(value);
    printf("how=%s state=%s age_ms=%lld bytes=%zu us=%.0f error=%s\n", how ? how : "-",
           forebay_state_text(forebay_value_state(value)), (long long)forebay_value_age_ms(value),
           forebay_value_size(value), took, error ? forebay_code_text(forebay_error_code(error)) : "-");
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fputs("usage: fetch get|read URL\n", stderr);
        return 2;
    }
    puts("asking");
    fflush(stdout);
    double began = micros();
    forebay_cache *cache;
    forebay_value *value;
    forebay_error *err = NULL;
    if (forebay_open(&cache, NULL, &err) < 0) return complain(err);
    forebay_source_options models = FOREBAY_SOURCE_OPTIONS_INIT;
    models.key = forebay_str("api/models");
    models.ttl_ms = 3600 * 1000;
    models.max_stale_ms = 7LL * 24 * 3600 * 1000;
    models.deadline_ms = 20 * 1000;
    forebay_refresher fetch = {sizeof fetch, argv[2], fetch_models, NULL};
    forebay_status status = strcmp(argv[1], "get") == 0 ? forebay_get(&value, cache, &models, &fetch, -1, &err)
                                                        : forebay_read(&value, cache, &models, &err);
    if (status < 0) return complain(err);
    print(value, micros() - began);
    forebay_value_free(value);
    forebay_cache_free(cache);
    return 0;
}
