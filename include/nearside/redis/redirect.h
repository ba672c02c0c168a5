/* Error replies: which one it is, and where a redirection points. */
#ifndef NEARSIDE_REDIS_REDIRECT_H
#define NEARSIDE_REDIS_REDIRECT_H

#include "nearside/base/slice.h"

enum redis_error {
#define REDIS_ERROR_WORD(WORD, name) REDIS_ERROR_##WORD,
#include "nearside/redis/error.def"
#undef REDIS_ERROR_WORD
    REDIS_ERROR_COUNT,
};

/* By the first word of an error reply's text; never fails. */
enum redis_error redis_error_of(struct slice text);

/* The error reply to a script says, or may say, that scripts are not run for
   us. Plain commands may work all the same. */
bool redis_error_is_of_scripts(struct slice text);

/* The server refuses nearly all just now, whatever it is: what it refuses so is
   not forbidden. */
bool redis_error_is_for_now(struct slice text);

/* Lower-case, for metrics and logs: "moved", "other". */
const char *redis_error_name(enum redis_error error);

enum {
    HOST_MAX = 255, /* RFC 1035 2.3.4, and every numeric address */
};

struct redirect {
    uint16_t slot;
    uint16_t port;
    struct slice host; /* within the text; empty: the sender's own host */
};

/*
 * "MOVED 3999 127.0.0.1:6381" or "ASK ...". The last colon parts host and
 * port, so that IPv6 needs no brackets (with them it is read as well).
 * RC_BAD: anything else, an unknown host ("?") included.
 */
enum rc redirect_parse(struct slice text, struct redirect *out) RC_MUST_CHECK;

/* An address that servers announce, and where it is reached from here. */
struct address_mapping {
    const char *host;
    const char *to_host;
    uint16_t port;
    uint16_t to_port;
};

struct address_map {
    const struct address_mapping *rows;
    size_t rows_len;
};

/* Puts what is reached in the place of what was announced, if the map, which
   may be NULL, knows it. The host is then a loan of the map. */
void address_map_apply(
    const struct address_map *map, struct slice *host, uint16_t *port);

/* Printable, not too long, and something: may this be a node's host? */
bool host_is_sane(struct slice host);

/* Parts "host:port", "[::1]:6379" or "::1:6379". RC_BAD. An empty host is
   allowed here. */
enum rc host_port_parse(struct slice text, struct slice *out_host,
    uint16_t *out_port) RC_MUST_CHECK;

#endif
