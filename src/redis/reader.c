/*
 * Replies are bounded in their bytes (objects included) and in their depth. A
 * limit ends the stream; there is no way to resume. Works with hiredis 0.14
 * (where the reader has neither limits nor RESP3) and 1.x (where nesting is
 * unlimited).
 */
#include "redis/reader.h"

#include "nearside/base/check.h"

#include <stdlib.h>

enum {
    /* CLUSTER SLOTS nests 4 deep; hiredis 0.14 gives up at 8. */
    DEPTH_MAX = 7,
    /* A status, error or number. Scanned anew with each feed, so short. */
    LINE_MAX = 64 * 1024,
};

#if HIREDIS_MAJOR >= 1
#define ARRAY_LEN_TYPE size_t
#else
#define ARRAY_LEN_TYPE int
#endif

/* ---- reply functions ---------------------------------------------------- */

static void
on_free(void *object)
{
    struct redis_reply *reply = object;

    if (reply == NULL) {
        return;
    }
    for (size_t i = 0; i < reply->elements_len; i++) {
        on_free(reply->elements[i]); /* as deep as DEPTH_MAX, no deeper */
    }
    free(reply->elements);
    free(reply->str);
    free(reply);
}

static struct reader *
reader_of(const redisReadTask *task)
{
    return OBJ_OF(struct reader, task->privdata, READER_MAGIC);
}

static void *
refuse(const redisReadTask *task, enum rc why)
{
    MUST(why != RC_OK);
    reader_of(task)->refusal = why;
    return NULL;
}

/* An object for a task, of which `bytes` more will be asked for, hung into
   its parent. NULL: refused. */
static struct redis_reply *
reply_for(const redisReadTask *task, enum redis_type type, size_t bytes)
{
    struct reader *r = reader_of(task);
    struct redis_reply *parent;
    struct redis_reply *reply;

    bytes += task->parent != NULL ? sizeof(*reply) : 0;
    if (bytes > r->reply_max - r->spent) {
        return refuse(task, RC_LIMIT);
    }
    reply = calloc(1, sizeof(*reply));
    if (reply == NULL) {
        return refuse(task, RC_NOMEM);
    }
    r->spent += bytes;
    reply->type = type;
    if (task->parent != NULL) {
        parent = task->parent->obj;
        MUST((size_t)task->idx < parent->elements_len);
        parent->elements[task->idx] = reply;
    }
    return reply;
}

/* As on_free, for an object whose memory could not be had: its parent, if it
   has one, still owns it. */
static void *
no_memory(const redisReadTask *task, struct redis_reply *reply)
{
    if (task->parent == NULL) {
        on_free(reply);
    }
    return refuse(task, RC_NOMEM);
}

static void *
on_string(const redisReadTask *task, char *str, size_t len)
{
    static const enum redis_type types[] = {
        [REDIS_REPLY_STRING] = REDIS_STRING,
        [REDIS_REPLY_STATUS] = REDIS_STATUS,
        [REDIS_REPLY_ERROR] = REDIS_ERROR,
    };
    size_t type = (size_t)task->type;
    struct redis_reply *reply;

    if (type >= ARRAY_LEN(types) || types[type] == REDIS_NIL) {
        /* RESP3, which nobody asked for. */
        return refuse(task, RC_BAD);
    }
    reply = reply_for(task, types[type], len);
    if (reply == NULL) {
        return NULL;
    }
    reply->str = malloc(len > 0 ? len : 1);
    if (reply->str == NULL) {
        return no_memory(task, reply);
    }
    memcpy(reply->str, str, len);
    reply->len = len;
    return reply;
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
    size_t len = (size_t)elements;
    struct redis_reply *reply;

    if (task->type != REDIS_REPLY_ARRAY) {
        return refuse(task, RC_BAD);
    }
    if (depth_of(task) > DEPTH_MAX ||
        len > reader_of(task)->reply_max / sizeof(reply->elements[0])) {
        return refuse(task, RC_LIMIT);
    }
    reply = reply_for(task, REDIS_ARRAY, len * sizeof(reply->elements[0]));
    if (reply == NULL || len == 0) {
        return reply;
    }
    reply->elements = calloc(len, sizeof(reply->elements[0]));
    if (reply->elements == NULL) {
        return no_memory(task, reply);
    }
    reply->elements_len = len;
    return reply;
}

static void *
on_integer(const redisReadTask *task, long long value)
{
    struct redis_reply *reply = reply_for(task, REDIS_INTEGER, 0);

    if (reply != NULL) {
        reply->integer = value;
    }
    return reply;
}

static void *
on_nil(const redisReadTask *task)
{
    if (task->type == REDIS_REPLY_NIL) {
        /* RESP3's "_"; ours is "$-1" or "*-1". */
        return refuse(task, RC_BAD);
    }
    return reply_for(task, REDIS_NIL, 0);
}

#if HIREDIS_MAJOR >= 1
static void *
on_double(const redisReadTask *task, double value, char *str, size_t len)
{
    (void)value;
    (void)str;
    (void)len;
    return refuse(task, RC_BAD);
}

static void *
on_bool(const redisReadTask *task, int value)
{
    (void)value;
    return refuse(task, RC_BAD);
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

/* ---- the door ----------------------------------------------------------- */

enum rc
reader_init(struct reader *r, size_t reply_max)
{
    MUST(reply_max > 0);
    r->reply_max = reply_max;
    r->functions = reply_functions;
    r->hiredis = redisReaderCreateWithFunctions(&r->functions);
    if (r->hiredis == NULL) {
        return RC_NOMEM;
    }
    r->magic = READER_MAGIC;
    r->hiredis->privdata = r;
    return RC_OK;
}

void
reader_fini(struct reader *r)
{
    MUST_OBJ(r, READER_MAGIC);
    redisReaderFree(r->hiredis); /* with what is half read */
    on_free(r->reply);
    r->magic = 0;
}

/* Every kind but two is a single line, and has its limit. */
static void
reader_note_kind(struct reader *r, char mark)
{
    r->is_line = mark != '*' && mark != '$';
}

enum rc
reader_feed(struct reader *r, struct slice bytes)
{
    size_t held = r->hiredis->len - r->hiredis->pos;

    MUST_OBJ(r, READER_MAGIC);
    MUST(bytes.len > 0);
    if (reader_is_at_boundary(r)) {
        reader_note_kind(r, bytes.ptr[0]);
    }
    if (held + bytes.len > (r->is_line ? (size_t)LINE_MAX : r->reply_max)) {
        return RC_LIMIT;
    }
    return redisReaderFeed(r->hiredis, bytes.ptr, bytes.len) == REDIS_OK
               ? RC_OK
               : RC_NOMEM;
}

enum rc
reader_next(struct reader *r, struct redis_reply **out_reply)
{
    void *object = NULL;

    MUST_OBJ(r, READER_MAGIC);
    MUST(r->reply == NULL);
    if (redisReaderGetReply(r->hiredis, &object) != REDIS_OK) {
        if (r->refusal != RC_OK) {
            return r->refusal;
        }
        return r->hiredis->err == REDIS_ERR_OOM ? RC_NOMEM : RC_BAD;
    }
    if (object == NULL) {
        return RC_AGAIN;
    }
    r->reply = object;
    r->spent = 0;
    if (r->hiredis->pos < r->hiredis->len) {
        reader_note_kind(r, r->hiredis->buf[r->hiredis->pos]);
    }
    *out_reply = r->reply;
    return RC_OK;
}

void
reader_clear(struct reader *r)
{
    MUST_OBJ(r, READER_MAGIC);
    if (r->reply != NULL) {
        on_free(r->reply);
        r->reply = NULL;
    }
}
