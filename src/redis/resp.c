/*
 * RESP replies. redisReader does the grammar; what it builds is ours:
 *
 * - The root of a reply is one object inside struct resp, used again and
 *   again, so that a GET costs one malloc: its string, which the receiver may
 *   take along. Short status and error texts need none.
 * - At most one reply's bytes are fed at a time when its length can be told
 *   beforehand: the reader moves the rest of its buffer after every reply,
 *   which makes a fed pipeline cost the square of its length.
 * - `$N` at a reply's beginning with N >= BIG_MIN: its body is read straight
 *   into the memory where it stays.
 * - Everything is bounded: bytes of a reply (objects included), elements of
 *   an array, depth. A limit ends the stream; there is no way to resume.
 *
 * Works with hiredis 0.14 (where the reader has neither limits nor RESP3)
 * and 1.x (where nesting is unlimited).
 */
#include "nearside/redis/resp.h"

#include "nearside/base/check.h"

#include <hiredis/hiredis.h>

#include <assert.h>
#include <stdlib.h>

enum {
    RESP_MAGIC = 0x52455350,
    /* A body of this size is worth an extra read call. */
    BIG_MIN = 16 * 1024,
    /* CLUSTER SLOTS nests 4 deep; hiredis 0.14 gives up at 8. */
    DEPTH_MAX = 7,
    /* A status, error or number. Scanned anew with each feed, so short. */
    LINE_MAX = 64 * 1024,
    TEXT_MAX = 256,
    REPLY_MAX = 8 * 1024 * 1024,
    ELEMENTS_MAX = 1024 * 1024,
};

#if HIREDIS_MAJOR >= 1
#define ARRAY_LEN_TYPE size_t
#else
#define ARRAY_LEN_TYPE int
#endif

/* A reply object and whether it is the one that lives in struct resp, which
   freeObject must know and has no other way to learn. */
struct item {
    struct redis_reply reply; /* first: the reader's void * points here */
    bool is_root;
    char *text; /* root: the inline text, never freed */
};

struct resp {
    uint32_t magic;
    enum rc dead; /* RC_OK while the stream is good */
    struct resp_opts opts;
    redisReader *reader;                 /* owned */
    redisReplyObjectFunctions functions; /* the reader's door is not const */
    struct slice in; /* of the caller's scratch; not yet looked at */
    char *scratch;
    size_t space_cap;
    bool is_direct;  /* the space given last was big's */
    bool is_line;    /* the reply under way is a single line */
    size_t spent;    /* bytes of the reply under way */
    enum rc refusal; /* why a reply function said NULL */
    struct {
        char *ptr; /* owned; NULL: none under way */
        size_t len;
        size_t at;   /* bytes there */
        size_t tail; /* of CRLF seen */
    } big;
    struct item root;
    char text[TEXT_MAX];
};

static_assert(offsetof(struct item, reply) == 0, "items are their replies");

/* ---- reply functions ---------------------------------------------------- */

static void
item_clear(struct item *item)
{
    struct redis_reply *reply = &item->reply;

    for (size_t i = 0; i < reply->elements_len; i++) {
        if (reply->elements[i] != NULL) {
            /* As deep as DEPTH_MAX, no deeper. */
            item_clear((struct item *)(void *)reply->elements[i]);
            free(reply->elements[i]);
        }
    }
    free(reply->elements);
    if (reply->str != item->text) {
        free(reply->str);
    }
    *reply = (struct redis_reply){.type = REDIS_NIL};
}

static void
on_free(void *object)
{
    struct item *item = object;

    if (item == NULL) {
        return;
    }
    item_clear(item);
    if (!item->is_root) {
        free(item);
    }
}

static void *
refuse(struct resp *r, enum rc why)
{
    r->refusal = why;
    return NULL;
}

/* Charges a reply's bytes to its budget. */
static bool
resp_spend(struct resp *r, size_t bytes)
{
    if (bytes > r->opts.reply_max - r->spent) {
        r->refusal = RC_LIMIT;
        return false;
    }
    r->spent += bytes;
    return true;
}

/* The object for a task: the root, or a new one hung into its parent. */
static struct item *
item_for(struct resp *r, const redisReadTask *task)
{
    struct redis_reply *parent;
    struct item *item;

    if (task->parent == NULL) {
        return &r->root;
    }
    if (!resp_spend(r, sizeof(*item))) {
        return NULL;
    }
    item = calloc(1, sizeof(*item));
    if (item == NULL) {
        return refuse(r, RC_NOMEM);
    }
    parent = task->parent->obj;
    MUST((size_t)task->idx < parent->elements_len);
    parent->elements[task->idx] = &item->reply;
    return item;
}

static bool
type_of(int type, enum redis_type *out)
{
    switch (type) {
    case REDIS_REPLY_STRING:
        *out = REDIS_STRING;
        return true;
    case REDIS_REPLY_STATUS:
        *out = REDIS_STATUS;
        return true;
    case REDIS_REPLY_ERROR:
        *out = REDIS_ERROR;
        return true;
    default: /* an int of the library's: RESP3, which nobody asked for */
        return false;
    }
}

static void *
on_string(const redisReadTask *task, char *str, size_t len)
{
    struct resp *r = OBJ_OF(struct resp, task->privdata, RESP_MAGIC);
    enum redis_type type;
    struct item *item;
    char *copy;

    if (!type_of(task->type, &type)) {
        return refuse(r, RC_BAD);
    }
    if (!resp_spend(r, len)) {
        return NULL;
    }
    item = item_for(r, task);
    if (item == NULL) {
        return NULL;
    }
    if (item->is_root && type != REDIS_STRING && len <= TEXT_MAX) {
        copy = item->text;
    } else {
        copy = malloc(len > 0 ? len : 1);
    }
    if (copy == NULL) {
        return refuse(r, RC_NOMEM);
    }
    if (len > 0) {
        memcpy(copy, str, len);
    }
    item->reply.type = type;
    item->reply.str = copy;
    item->reply.len = len;
    return item;
}

static unsigned
depth_of(const redisReadTask *task)
{
    unsigned depth = 1;

    for (; task->parent != NULL && depth <= DEPTH_MAX; depth++) {
        task = task->parent;
    }
    return depth;
}

static void *
on_array(const redisReadTask *task, ARRAY_LEN_TYPE elements)
{
    struct resp *r = OBJ_OF(struct resp, task->privdata, RESP_MAGIC);
    size_t len = (size_t)elements;
    struct item *item;

    if (task->type != REDIS_REPLY_ARRAY) {
        return refuse(r, RC_BAD);
    }
    if (len > r->opts.elements_max || depth_of(task) > DEPTH_MAX) {
        return refuse(r, RC_LIMIT);
    }
    if (!resp_spend(r, len * sizeof(item->reply.elements[0]))) {
        return NULL;
    }
    item = item_for(r, task);
    if (item == NULL) {
        return NULL;
    }
    item->reply.type = REDIS_ARRAY;
    if (len > 0) {
        item->reply.elements = calloc(len, sizeof(item->reply.elements[0]));
        if (item->reply.elements == NULL) {
            return refuse(r, RC_NOMEM);
        }
        item->reply.elements_len = len;
    }
    return item;
}

static void *
on_integer(const redisReadTask *task, long long value)
{
    struct resp *r = OBJ_OF(struct resp, task->privdata, RESP_MAGIC);
    struct item *item = item_for(r, task);

    if (item != NULL) {
        item->reply.type = REDIS_INTEGER;
        item->reply.integer = value;
    }
    return item;
}

static void *
on_nil(const redisReadTask *task)
{
    struct resp *r = OBJ_OF(struct resp, task->privdata, RESP_MAGIC);
    struct item *item;

    if (task->type == REDIS_REPLY_NIL) {
        return refuse(r, RC_BAD); /* RESP3's "_"; ours is "$-1" or "*-1" */
    }
    item = item_for(r, task);
    if (item != NULL) {
        item->reply.type = REDIS_NIL;
    }
    return item;
}

#if HIREDIS_MAJOR >= 1
static void *
on_double(const redisReadTask *task, double value, char *str, size_t len)
{
    (void)value;
    (void)str;
    (void)len;
    return refuse(OBJ_OF(struct resp, task->privdata, RESP_MAGIC), RC_BAD);
}

static void *
on_bool(const redisReadTask *task, int value)
{
    (void)value;
    return refuse(OBJ_OF(struct resp, task->privdata, RESP_MAGIC), RC_BAD);
}
#endif

static const redisReplyObjectFunctions reply_functions = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
    .freeObject = on_free,
#if HIREDIS_MAJOR >= 1
    .createDouble = on_double,
    .createBool = on_bool,
#endif
};

/* ---- life --------------------------------------------------------------- */

struct resp *
resp_new(const struct resp_opts *opts)
{
    struct resp *r = calloc(1, sizeof(*r));

    MUST(opts != NULL);
    if (r == NULL) {
        return NULL;
    }
    r->functions = reply_functions;
    r->reader = redisReaderCreateWithFunctions(&r->functions);
    if (r->reader == NULL) {
        free(r);
        return NULL;
    }
    r->magic = RESP_MAGIC;
    r->reader->privdata = r;
    r->opts = *opts;
    if (r->opts.reply_max == 0) {
        r->opts.reply_max = REPLY_MAX;
    }
    if (r->opts.elements_max == 0) {
        r->opts.elements_max = ELEMENTS_MAX;
    }
    r->root.is_root = true;
    r->root.text = r->text;
    return r;
}

void
resp_free(struct resp **resp)
{
    struct resp *r = *resp;

    if (r == NULL) {
        return;
    }
    MUST_OBJ(r, RESP_MAGIC);
    *resp = NULL;
    redisReaderFree(r->reader);
    item_clear(&r->root);
    free(r->big.ptr);
    r->magic = 0;
    free(r);
}

/* ---- bytes in ----------------------------------------------------------- */

struct resp_space
resp_space(struct resp *r, char *scratch, size_t cap)
{
    struct resp_space space = {scratch, cap};

    MUST_OBJ(r, RESP_MAGIC);
    MUST(r->in.len == 0);
    r->is_direct = r->big.ptr != NULL && r->big.at < r->big.len;
    if (r->is_direct) {
        space.ptr = r->big.ptr + r->big.at;
        space.cap = r->big.len - r->big.at;
    }
    r->scratch = space.ptr;
    r->space_cap = space.cap;
    return space;
}

void
resp_put(struct resp *r, size_t n)
{
    MUST_OBJ(r, RESP_MAGIC);
    MUST(n <= r->space_cap);
    if (r->is_direct) {
        r->big.at += n;
    } else {
        r->in = slice_of(r->scratch, n);
    }
    r->space_cap = 0;
}

/* No reply is half read: what comes next begins one. */
static bool
resp_is_at_boundary(const struct resp *r)
{
    return r->reader->ridx == -1 && r->reader->pos == r->reader->len;
}

/* Index behind the first CRLF; 0: there is none. */
static size_t
line_len(struct slice s)
{
    const char *end = s.ptr + s.len;
    const char *at = s.ptr;

    while (
        (at = memchr(at, '\r', (size_t)(end - at))) != NULL && end - at >= 2) {
        if (at[1] == '\n') {
            return (size_t)(at - s.ptr) + 2;
        }
        at++;
    }
    return 0;
}

/* Every kind but two is a single line, and has its limit. */
static void
resp_note_kind(struct resp *r, char mark)
{
    r->is_line = mark != '*' && mark != '$';
}

/* The length that a bulk string's first line (without mark and CRLF)
   states. RC_MISS: none to go by (nil, malformed, leading zeros, about which
   versions of the reader disagree); the reader shall judge. */
static enum rc
bulk_len(struct slice digits, size_t *out_len)
{
    uint64_t len;

    if ((digits.len > 1 && digits.ptr[0] == '0') ||
        slice_to_u64(digits, INT32_MAX, &len) != RC_OK) {
        return RC_MISS;
    }
    *out_len = (size_t)len;
    return RC_OK;
}

/* Begins a large body of our own behind its first line of `head` bytes. */
static enum rc
big_begin(struct resp *r, size_t head, size_t len)
{
    if (len > r->opts.reply_max) {
        return RC_LIMIT;
    }
    r->big.ptr = malloc(len);
    if (r->big.ptr == NULL) {
        return RC_NOMEM;
    }
    r->big.len = len;
    r->big.at = 0;
    r->big.tail = 0;
    r->in = slice_skip(r->in, head);
    return RC_OK;
}

/*
 * Looks at the beginning of a reply. RC_OK: a large body was begun. RC_MISS:
 * it is the reader's, and so many of the bytes here surely belong to it.
 * RC_LIMIT, RC_NOMEM.
 */
static enum rc
reply_begin(struct resp *r, size_t *out_span)
{
    struct slice in = r->in;
    size_t span = in.len;
    size_t len;

    resp_note_kind(r, in.ptr[0]);
    if (in.ptr[0] != '*') {
        size_t head = line_len(in);

        span = head;
        if (head > 0 && in.ptr[0] == '$' &&
            bulk_len(slice_of(in.ptr + 1, head - 3), &len) == RC_OK) {
            if (len >= BIG_MIN) {
                return big_begin(r, head, len);
            }
            span = head + len + 2;
        }
    }
    *out_span = span == 0 || span > in.len ? in.len : span;
    return RC_MISS;
}

static enum rc
big_next(struct resp *r, struct redis_reply **out_reply)
{
    size_t n = r->big.len - r->big.at;

    n = n < r->in.len ? n : r->in.len;
    if (n > 0) {
        memcpy(r->big.ptr + r->big.at, r->in.ptr, n);
        r->big.at += n;
        r->in = slice_skip(r->in, n);
    }
    if (r->big.at < r->big.len) {
        return RC_AGAIN;
    }
    for (; r->big.tail < 2 && r->in.len > 0; r->big.tail++) {
        if (r->in.ptr[0] != "\r\n"[r->big.tail]) {
            return RC_BAD;
        }
        r->in = slice_skip(r->in, 1);
    }
    if (r->big.tail < 2) {
        return RC_AGAIN;
    }
    r->root.reply.type = REDIS_STRING;
    r->root.reply.str = r->big.ptr;
    r->root.reply.len = r->big.len;
    r->big.ptr = NULL;
    *out_reply = &r->root.reply;
    return RC_OK;
}

/* ---- replies out -------------------------------------------------------- */

/* What the reader makes of the bytes it has. */
static enum rc
reader_next(struct resp *r, struct redis_reply **out_reply)
{
    void *object = NULL;

    if (redisReaderGetReply(r->reader, &object) != REDIS_OK) {
        if (r->refusal != RC_OK) {
            return r->refusal;
        }
        return r->reader->err == REDIS_ERR_OOM ? RC_NOMEM : RC_BAD;
    }
    if (object == NULL) {
        return RC_AGAIN;
    }
    MUST(object == &r->root);
    r->spent = 0;
    if (r->reader->pos < r->reader->len) {
        resp_note_kind(r, r->reader->buf[r->reader->pos]);
    }
    *out_reply = &r->root.reply;
    return RC_OK;
}

/* Gives the reader the next n bytes. */
static enum rc
reader_feed(struct resp *r, size_t n)
{
    size_t held = r->reader->len - r->reader->pos;

    if (held + n > (r->is_line ? (size_t)LINE_MAX : r->opts.reply_max)) {
        return RC_LIMIT;
    }
    if (redisReaderFeed(r->reader, r->in.ptr, n) != REDIS_OK) {
        return RC_NOMEM;
    }
    r->in = slice_skip(r->in, n);
    return RC_OK;
}

static enum rc
resp_step(struct resp *r, struct redis_reply **out_reply)
{
    enum rc rc = RC_OK;

    if (r->big.ptr != NULL) {
        return big_next(r, out_reply);
    }
    while (rc == RC_OK) {
        size_t n = r->in.len;

        if (!resp_is_at_boundary(r)) {
            rc = reader_next(r, out_reply);
            if (rc != RC_AGAIN) {
                return rc;
            }
        }
        if (r->in.len == 0) {
            return RC_AGAIN;
        }
        if (resp_is_at_boundary(r)) {
            rc = reply_begin(r, &n);
            if (rc != RC_MISS) {
                return rc == RC_OK ? big_next(r, out_reply) : rc;
            }
        }
        rc = reader_feed(r, n);
    }
    return rc;
}

enum rc
resp_next(struct resp *r, struct redis_reply **out_reply)
{
    enum rc rc;

    MUST_OBJ(r, RESP_MAGIC);
    MUST(out_reply != NULL);
    if (r->dead != RC_OK) {
        return r->dead;
    }
    if (r->reader->ridx == -1) {
        item_clear(&r->root); /* the loan of the last one ends */
    }
    rc = resp_step(r, out_reply);
    if (rc != RC_OK && rc != RC_AGAIN) {
        r->dead = rc;
    }
    return rc;
}

char *
redis_reply_take(struct redis_reply *reply, size_t *out_len)
{
    char *str;

    MUST(reply != NULL);
    MUST(out_len != NULL);
    if (reply->type != REDIS_STRING) {
        return NULL;
    }
    str = reply->str;
    *out_len = reply->len;
    reply->str = NULL;
    reply->len = 0;
    return str;
}
