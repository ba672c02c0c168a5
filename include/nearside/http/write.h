/*
 * Serialising heads. Everything that goes to a wire is written anew from
 * what was parsed; no framing byte received is ever passed on.
 * Writers append to a fixed span and never overrun it: when it is full they
 * set is_full and write nothing more, so a chain of writes needs one check.
 */
#ifndef NEARSIDE_HTTP_WRITE_H
#define NEARSIDE_HTTP_WRITE_H

#include "nearside/http/head.h"

struct writer {
    char *ptr;
    size_t len;
    size_t cap;
    bool is_full;
};

static inline struct writer
writer_of(char *ptr, size_t cap)
{
    return (struct writer){.ptr = ptr, .cap = cap};
}

static inline struct slice
writer_slice(const struct writer *w)
{
    return (struct slice){w->ptr, w->len};
}

void write_slice(struct writer *w, struct slice s);
void write_u64(struct writer *w, uint64_t value);

/* "HTTP/1.1 200 OK\r\n"; an unknown status gets an empty reason. */
void write_status_line(struct writer *w, unsigned status);

/* "GET /target HTTP/1.1\r\n" */
void write_request_line(
    struct writer *w, struct slice method, struct slice target);

/* "name: value\r\n" */
void write_field(struct writer *w, struct slice name, struct slice value);
void write_field_u64(struct writer *w, struct slice name, uint64_t value);

/* The same with the name in lower case. */
void write_field_lower(struct writer *w, struct slice name, struct slice value);

/* "\r\n" */
void write_end(struct writer *w);

/* The same behind a line that began at `start`: one that does not fit is taken
   back whole, since half a line is worse than none. */
void write_line_end(struct writer *w, size_t start);

/* The registered phrase of a status (RFC 9110 15), or "". */
struct slice status_reason(unsigned status);

#endif
