/* The GET of http.h: a socket, a request, and the four things that the demo needs of the answer. */
#define _POSIX_C_SOURCE 200809L
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* http://127.0.0.1:PORT/PATH, opened. The path stays a part of `url`. */
static int dial(const char *url, const char **path, long timeout_ms) {
    unsigned port = 0;
    int used = 0;
    if (sscanf(url, "http://127.0.0.1:%5u%n", &port, &used) != 1 || port > 65535) {
        errno = EINVAL;
        return -1;
    }
    *path = url[used] ? url + used : "/";
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    struct timeval limit = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    struct sockaddr_in to;
    memset(&to, 0, sizeof to);
    to.sin_family = AF_INET;
    to.sin_port = htons((unsigned short)port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int send_all(int fd, const char *text, size_t size) {
    while (size > 0) {
        ssize_t sent = send(fd, text, size, 0);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return -1;
        text += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* All that the server sends until it closes, with a NUL behind. */
static char *receive_all(int fd, size_t *size) {
    size_t room = 64 * 1024, used = 0;
    char *text = malloc(room + 1);
    while (text) {
        if (used == room) {
            char *more = realloc(text, 2 * room + 1);
            if (!more) break;
            text = more;
            room *= 2;
        }
        ssize_t got = recv(fd, text + used, room - used, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) break;
        if (got == 0) {
            text[used] = 0;
            *size = used;
            return text;
        }
        used += (size_t)got;
    }
    free(text);
    return NULL;
}

static void header(const char *head, const char *name, char *out, size_t room) {
    size_t length = strlen(name);
    out[0] = 0;
    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) != 0 || line[2 + length] != ':') continue;
        const char *value = line + 3 + length;
        value += strspn(value, " ");
        snprintf(out, room, "%.*s", (int)strcspn(value, "\r"), value);
        return;
    }
}

static int parse(http_response *out, char *text, size_t size) {
    char *end = strstr(text, "\r\n\r\n");
    if (!end || sscanf(text, "HTTP/1.%*d %d", &out->status) != 1) {
        errno = EPROTO;
        return -1;
    }
    *end = 0;
    header(text, "etag", out->etag, sizeof out->etag);
    header(text, "retry-after", out->retry_after, sizeof out->retry_after);
    out->size = size - (size_t)(end + 4 - text);
    out->body = malloc(out->size + 1);
    if (!out->body) return -1;
    memcpy(out->body, end + 4, out->size);
    return 0;
}

int http_get(http_response *out, const char *url, const char *agent, const char *etag, long timeout_ms) {
    char request[1024];
    const char *path;
    memset(out, 0, sizeof *out);
    int fd = dial(url, &path, timeout_ms);
    if (fd < 0) return -1;
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: %s\r\n%s%s%sConnection: close\r\n\r\n", path,
                          agent, etag ? "If-None-Match: " : "", etag ? etag : "", etag ? "\r\n" : "");
    int result = -1;
    char *text = NULL;
    size_t size = 0;
    if (length < 0 || (size_t)length >= sizeof request) {
        errno = ENAMETOOLONG;
    } else if (send_all(fd, request, (size_t)length) == 0 && (text = receive_all(fd, &size))) {
        result = parse(out, text, size);
    }
    int saved = errno;
    free(text);
    close(fd);
    errno = saved;
    return result;
}
