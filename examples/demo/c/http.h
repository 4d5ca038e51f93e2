/* A GET over HTTP/1.1 on a plain socket, for the demo's C program: http://127.0.0.1 only, no TLS, no
 * redirects, no chunked bodies. A real program would use the HTTP library that it has. It knows nothing of
 * forebay. */
#ifndef DEMO_HTTP_H
#define DEMO_HTTP_H

#include <stddef.h>

typedef struct {
    int status;           /* 200, 304, ... */
    char etag[128];       /* "" if there was none */
    char retry_after[64]; /* "" if there was none */
    char *body;           /* owned: free() it; NULL without one */
    size_t size;
} http_response;

/* Asks for the url, with If-None-Match unless `etag` is NULL. 0, or -1 with errno set. `timeout_ms` bounds each
 * single wait on the socket. */
int http_get(http_response *out, const char *url, const char *agent, const char *etag, long timeout_ms);

#endif
