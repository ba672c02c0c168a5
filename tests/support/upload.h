/*
 * The upload side door of the sample API: a listener of its own that reads
 * request bodies of any size in flat memory. libevent 2.1's evhttp collects
 * a request's body before it calls anybody, so it cannot do this.
 */
#ifndef NEARSIDE_TESTS_UPLOAD_H
#define NEARSIDE_TESTS_UPLOAD_H

#include <stdint.h>

struct event_base;
struct uploads;

/*
 * Listens on host:port (0: any free one, told in *out_port). Answers every
 * request, whatever its method and path, with
 *     {"bytes":N,"crc32":"1c291ca3","is_pattern":true}
 * where is_pattern says that the body is the pattern of /bytes/N. A target
 * with `?rate=N` is read at N bytes a second at most. NULL: it cannot, and
 * said why on stderr.
 */
struct uploads *uploads_open(struct event_base *base, const char *host,
    uint16_t port, uint16_t *out_port);
void uploads_close(struct uploads **u);

enum {
    /* A prime: a block lost or doubled shifts all that follows. */
    PATTERN_LEN = 65521,
};

/* Byte i of the pattern is pattern[i % PATTERN_LEN]. */
void pattern_fill(unsigned char pattern[PATTERN_LEN]);

#endif
