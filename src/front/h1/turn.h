/*
 * A turn: what one request needs of HTTP/1.1's wire, from the first byte of
 * its head until its answer has left. It holds the bytes read and not yet
 * used, the parser, and what is under way in both directions. A session
 * borrows one for each request and gives it back, so that an idle connection
 * holds none.
 */
#ifndef FRONT_H1_TURN_H
#define FRONT_H1_TURN_H

#include <sys/uio.h>

#include "nearside/base/buf.h"
#include "nearside/http/chunk.h"
#include "nearside/http/parse.h"
#include "nearside/request/stream.h"
#include "front/front_inside.h"

#define TURN_MAGIC UINT32_C(0x6e74726e)

enum {
    /* Status line and framing: the longest is some 120 bytes. */
    TURN_LINES_MAX = 256,
    /* Parts of a body that are written at once. */
    TURN_DATA_MAX = 16,
    /* Besides: a head's five, a size line, the last chunk. */
    TURN_IOV_MAX = TURN_DATA_MAX + 7,
};

enum body_state {
    BODY_NONE,    /* none, or all of it was read */
    BODY_WAITING, /* not yet wanted */
    BODY_WANTED,  /* is read */
    BODY_STUCK,   /* its reader takes no more for now */
    BODY_REFUSED, /* nobody takes it any more: is read unparsed, and dropped */
};

/* The request's content under way. */
struct turn_in {
    enum body_state state;
    enum framing framing;
    uint64_t left; /* with FRAMING_LENGTH */
    struct chunk chunk;
    struct slice pending; /* decoded, not yet taken by the request */
    size_t eaten;         /* of the input, by what is pending */
    bool is_last;         /* the content ends with what is pending */
    uint64_t received;    /* bytes on the wire, for the rate */
    uint64_t content;     /* of them, content */
    int64_t start_ms;     /* put off by as long as it was stuck */
    int64_t stuck_ms;     /* BODY_STUCK: since when */
    int64_t gap_deadline_ms;
};

/* The answer under way. It is written in batches: what stands before the
   data, the data, what stands behind it. */
struct turn_out {
    const struct response *response; /* the request's; NULL: none yet */
    bool is_chunked;                 /* until the last chunk is in a batch */
    bool has_chunk;                  /* one before that is in a batch, or out */
    bool has_left;                   /* a byte of it has */
    bool is_last;                    /* nothing comes behind this batch */
    unsigned iov_at;                 /* the first part that has not left */
    unsigned iov_len;                /* of all parts of this batch */
    size_t left;                     /* bytes of this batch, */
    size_t before_data;              /* of them, before the data, */
    size_t data_left;                /* and of data */
    uint64_t length_left;            /* with a Content-Length */
    uint64_t body_sent;
    int64_t waited_ms;       /* for the client, in all, before that: */
    int64_t wait_since_ms;   /* it waits for the client; 0: it does not */
    int64_t gap_deadline_ms; /* while it waits for the client, as are these */
    int64_t total_deadline_ms;
    int64_t rate_deadline_ms; /* then it will have taken too little */
};

struct turn {
    uint32_t magic;
    struct list link; /* the worker's free list */
    struct buf buf;   /* read and not yet used: a head, content, the next
                         heads */
    struct parse parse;
    int64_t start_us;        /* when the first byte came */
    struct request *request; /* from the end of the head on */
    bool is_http10;
    bool awaits_100;    /* the client may keep its content back for a 100 */
    struct begun begun; /* until the answer goes on */
    struct buf interim; /* the rest of 1xx responses, not yet written */
    struct turn_in in;
    struct turn_out out;
    struct iovec iov[TURN_IOV_MAX];     /* the batch */
    char size_line[CHUNK_LINE_MAX + 2]; /* CRLF of the last chunk, next size */
    char lines[TURN_LINES_MAX];         /* status line and framing */
};

/* Does a part of the answer wait for the client, not for the origin? */
static inline bool
turn_is_sending(const struct turn *turn)
{
    return turn->out.wait_since_ms > 0;
}

/* Borrows one from the worker. NULL: no memory. */
struct turn *turn_take(struct front_worker *f);

/* Makes it ready for the next request; what was read stays. */
void turn_restart(struct turn *turn, struct worker *w);

/* Gives it back, and clears the pointer. */
void turn_put(struct front_worker *f, struct turn **turn);

/* All that were given back, when their worker ends. */
void turns_free(struct front_worker *f);

#endif
