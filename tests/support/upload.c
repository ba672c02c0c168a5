/*
 * A request is read as HEAD, then one of FIXED, CHUNK_LINE, CHUNK, CHUNK_END
 * and TRAILER, then answered; the connection goes on with the next one. It is
 * the peer that a test trusts, so what it does not understand it answers
 * with 400 and closes.
 *
 * The input buffer never holds more than INPUT_MAX: what a slow reader does
 * not take stays in the socket, and the sender feels it.
 */
#include "upload.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

enum {
    INPUT_MAX = 256 * 1024,
    HEAD_LINE_MAX = 16 * 1024,
};

enum state {
    STATE_HEAD,       /* lines up to an empty one; then FIXED or CHUNK_LINE */
    STATE_FIXED,      /* `left` bytes; then the answer */
    STATE_CHUNK_LINE, /* a size; then CHUNK, or TRAILER if it is 0 */
    STATE_CHUNK,      /* `left` bytes; then CHUNK_END */
    STATE_CHUNK_END,  /* an empty line; then CHUNK_LINE */
    STATE_TRAILER,    /* lines up to an empty one; then the answer */
};

/* What a line or a run of bytes led to. */
enum progress {
    GOES_ON,
    WAITS,    /* for more bytes */
    ANSWERED, /* and ready for the next request */
    BROKEN,
};

struct upload {
    TAILQ_ENTRY(upload) in_all;
    struct uploads *home;
    struct bufferevent *bev;
    struct ev_token_bucket_cfg *rate; /* NULL: as fast as it comes */
    enum state state;
    bool is_chunked;
    bool wants_continue;
    bool has_request_line;
    uint64_t left;
    uint64_t bytes;
    uint32_t crc;
    bool is_pattern;
};

struct uploads {
    TAILQ_HEAD(, upload) all;
    struct event_base *base;
    struct evconnlistener *listener;
    uint32_t crc[8][256]; /* slicing by 8: a byte at a time takes 4 x as long */
    unsigned char pattern[PATTERN_LEN];
};

void
pattern_fill(unsigned char pattern[PATTERN_LEN])
{
    for (unsigned i = 0; i < PATTERN_LEN; i++) {
        pattern[i] = (unsigned char)((i ^ (i >> 8)) * 31);
    }
}

static void
crc_init(uint32_t table[8][256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;

        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
        }
        table[0][i] = crc;
    }
    for (int slice = 1; slice < 8; slice++) {
        for (int i = 0; i < 256; i++) {
            uint32_t before = table[slice - 1][i];

            table[slice][i] = (before >> 8) ^ table[0][before & 0xff];
        }
    }
}

/* Bytes 0 to 3 of a word, whatever the machine's order. */
static uint32_t
word_at(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static uint32_t
crc_update(uint32_t t[8][256], uint32_t crc, const unsigned char *p, size_t n)
{
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t lo = crc ^ word_at(p);

        crc = t[7][lo & 0xff] ^ t[6][(lo >> 8) & 0xff] ^
              t[5][(lo >> 16) & 0xff] ^ t[4][lo >> 24] ^ t[3][p[4]] ^
              t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
    }
    for (; n > 0; n--, p++) {
        crc = (crc >> 8) ^ t[0][(crc ^ *p) & 0xff];
    }
    return crc;
}

static void
upload_start(struct upload *u)
{
    if (u->rate != NULL) {
        bufferevent_set_rate_limit(u->bev, NULL);
        ev_token_bucket_cfg_free(u->rate);
        u->rate = NULL;
    }
    u->state = STATE_HEAD;
    u->is_chunked = false;
    u->wants_continue = false;
    u->has_request_line = false;
    u->left = 0;
    u->bytes = 0;
    u->crc = 0xffffffffu;
    u->is_pattern = true;
}

static void
upload_free(struct upload *u)
{
    upload_start(u);
    TAILQ_REMOVE(&u->home->all, u, in_all);
    bufferevent_free(u->bev);
    free(u);
}

static enum progress
answer(struct upload *u)
{
    struct evbuffer *out = bufferevent_get_output(u->bev);
    char body[128];
    int len = snprintf(body, sizeof(body),
        "{\"bytes\":%" PRIu64 ",\"crc32\":\"%08" PRIx32 "\",\"is_pattern\":%s}",
        u->bytes, u->crc ^ 0xffffffffu, u->is_pattern ? "true" : "false");

    evbuffer_add_printf(out,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        "Cache-Control: no-store\r\nContent-Length: %d\r\n\r\n%s",
        len, body);
    upload_start(u);
    return ANSWERED;
}

static void
take(struct upload *u, const unsigned char *p, size_t n)
{
    u->crc = crc_update(u->home->crc, u->crc, p, n);
    while (n > 0) {
        size_t at = (size_t)(u->bytes % PATTERN_LEN);
        size_t run = PATTERN_LEN - at < n ? PATTERN_LEN - at : n;

        u->is_pattern =
            u->is_pattern && memcmp(p, u->home->pattern + at, run) == 0;
        u->bytes += run;
        p += run;
        n -= run;
    }
}

/* Up to `left` bytes of content, in the runs that the buffer has. */
static enum progress
read_bytes(struct upload *u, struct evbuffer *in)
{
    while (u->left > 0) {
        size_t n = evbuffer_get_contiguous_space(in);

        if (n == 0) {
            return WAITS;
        }
        n = u->left < n ? (size_t)u->left : n;
        take(u, evbuffer_pullup(in, (ev_ssize_t)n), n);
        evbuffer_drain(in, n);
        u->left -= n;
    }
    if (!u->is_chunked) {
        return answer(u);
    }
    u->state = STATE_CHUNK_END;
    return GOES_ON;
}

static enum progress
body_starts(struct upload *u)
{
    if (!u->has_request_line) {
        return BROKEN;
    }
    if (u->wants_continue) {
        evbuffer_add_printf(
            bufferevent_get_output(u->bev), "HTTP/1.1 100 Continue\r\n\r\n");
    }
    u->state = u->is_chunked ? STATE_CHUNK_LINE : STATE_FIXED;
    return GOES_ON;
}

/* `POST /upload?rate=100000 HTTP/1.1`: the rate counts from here. */
static enum progress
request_line(struct upload *u, const char *line)
{
    const char *rate = strstr(line, "rate=");
    size_t tick = 0;

    if (strstr(line, " HTTP/1.") == NULL) {
        return BROKEN;
    }
    u->has_request_line = true;
    if (rate != NULL) {
        const struct timeval tenth = {.tv_usec = 100000};

        tick = (size_t)strtoull(rate + strlen("rate="), NULL, 10) / 10;
        tick = tick == 0 ? 1 : tick;
        u->rate = ev_token_bucket_cfg_new(
            tick, tick, EV_RATE_LIMIT_MAX, EV_RATE_LIMIT_MAX, &tenth);
        bufferevent_set_rate_limit(u->bev, u->rate);
    }
    return GOES_ON;
}

static enum progress
head_line(struct upload *u, const char *line)
{
    const char *value = strchr(line, ':');
    size_t name = value == NULL ? 0 : (size_t)(value - line);

    if (line[0] == '\0') {
        return body_starts(u);
    }
    if (!u->has_request_line) {
        return request_line(u, line);
    }
    if (value == NULL) {
        return BROKEN;
    }
    value += 1 + strspn(value + 1, " \t");
    if (name == 14 && strncasecmp(line, "content-length", name) == 0) {
        u->left = strtoull(value, NULL, 10);
    } else if (name == 17 &&
               strncasecmp(line, "transfer-encoding", name) == 0) {
        u->is_chunked = strcasecmp(value, "chunked") == 0;
        return u->is_chunked ? GOES_ON : BROKEN;
    } else if (name == 6 && strncasecmp(line, "expect", name) == 0) {
        u->wants_continue = strcasecmp(value, "100-continue") == 0;
    }
    return GOES_ON;
}

static enum progress
chunk_line(struct upload *u, const char *line)
{
    char *end;

    u->left = strtoull(line, &end, 16);
    if (end == line || (*end != '\0' && *end != ';')) {
        return BROKEN;
    }
    u->state = u->left == 0 ? STATE_TRAILER : STATE_CHUNK;
    return GOES_ON;
}

static enum progress
on_line(struct upload *u, const char *line)
{
    switch (u->state) {
    case STATE_HEAD:
        return head_line(u, line);
    case STATE_CHUNK_LINE:
        return chunk_line(u, line);
    case STATE_CHUNK_END:
        u->state = STATE_CHUNK_LINE;
        return line[0] == '\0' ? GOES_ON : BROKEN;
    case STATE_TRAILER:
        return line[0] == '\0' ? answer(u) : GOES_ON;
    case STATE_FIXED:
    case STATE_CHUNK:
        break;
    }
    return BROKEN;
}

static enum progress
step(struct upload *u, struct evbuffer *in)
{
    enum progress progress;
    char *line;

    if (u->state == STATE_FIXED || u->state == STATE_CHUNK) {
        return read_bytes(u, in);
    }
    line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF_STRICT);
    if (line == NULL) {
        return evbuffer_get_length(in) > HEAD_LINE_MAX ? BROKEN : WAITS;
    }
    progress = on_line(u, line);
    free(line);
    return progress;
}

static void
on_event(struct bufferevent *bev, short what, void *ctx)
{
    (void)bev;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
        upload_free(ctx);
    }
}

static void
on_refusal_sent(struct bufferevent *bev, void *ctx)
{
    (void)bev;
    upload_free(ctx);
}

static void
on_read(struct bufferevent *bev, void *ctx)
{
    struct upload *u = ctx;
    enum progress progress;

    do {
        progress = step(u, bufferevent_get_input(bev));
    } while (progress == GOES_ON || progress == ANSWERED);
    if (progress == BROKEN) {
        bufferevent_disable(bev, EV_READ);
        bufferevent_setcb(bev, NULL, on_refusal_sent, on_event, u);
        evbuffer_add_printf(bufferevent_get_output(bev),
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
            "Content-Length: 0\r\n\r\n");
    }
}

static void
on_accept(struct evconnlistener *listener, evutil_socket_t fd,
    struct sockaddr *peer, int peer_len, void *ctx)
{
    struct uploads *home = ctx;
    struct upload *u = calloc(1, sizeof(*u));
    int one = 1;

    (void)listener;
    (void)peer;
    (void)peer_len;
    if (u == NULL) {
        evutil_closesocket(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    u->home = home;
    u->bev = bufferevent_socket_new(home->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (u->bev == NULL) {
        evutil_closesocket(fd);
        free(u);
        return;
    }
    TAILQ_INSERT_TAIL(&home->all, u, in_all);
    bufferevent_setcb(u->bev, on_read, NULL, on_event, u);
    bufferevent_setwatermark(u->bev, EV_READ, 0, INPUT_MAX);
    bufferevent_set_max_single_read(u->bev, INPUT_MAX);
    upload_start(u);
    bufferevent_enable(u->bev, EV_READ | EV_WRITE);
}

struct uploads *
uploads_open(struct event_base *base, const char *host, uint16_t port,
    uint16_t *out_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t at_len = sizeof(at);
    struct uploads *u = calloc(1, sizeof(*u));

    if (u == NULL || inet_pton(AF_INET, host, &at.sin_addr) != 1) {
        fprintf(stderr, "sample-origin: not an IPv4 address: %s\n", host);
        free(u);
        return NULL;
    }
    TAILQ_INIT(&u->all);
    u->base = base;
    crc_init(u->crc);
    pattern_fill(u->pattern);
    u->listener = evconnlistener_new_bind(base, on_accept, u,
        LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, 4096,
        (struct sockaddr *)&at, sizeof(at));
    if (u->listener == NULL || getsockname(evconnlistener_get_fd(u->listener),
                                   (struct sockaddr *)&at, &at_len) != 0) {
        perror("sample-origin: the upload listener");
        uploads_close(&u);
        return NULL;
    }
    *out_port = ntohs(at.sin_port);
    return u;
}

void
uploads_close(struct uploads **own_u)
{
    struct uploads *u = *own_u;
    struct upload *one;

    *own_u = NULL;
    if (u == NULL) {
        return;
    }
    while ((one = TAILQ_FIRST(&u->all)) != NULL) {
        upload_free(one);
    }
    if (u->listener != NULL) {
        evconnlistener_free(u->listener);
    }
    free(u);
}
