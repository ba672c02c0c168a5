/*
 * redisReader does the grammar; what it builds is ours:
 *
 * - The root of a reply is one object inside struct reader, used again and
 *   again. Short status and error texts need no malloc.
 * - Everything is bounded: bytes of a reply (objects included), elements of
 *   an array, depth. A limit ends the stream; there is no way to resume.
 *
 * Works with hiredis 0.14 (where the reader has neither limits nor RESP3)
 * and 1.x (where nesting is unlimited).
 */
#include "redis/reader.h"

#include "nearside/base/check.h"

#include <assert.h>
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
refuse(struct reader *r, enum rc why)
{
    r->refusal = why;
    return NULL;
}

/* Charges a reply's bytes to its budget. */
static bool
reader_spend(struct reader *r, size_t bytes)
{
    if (bytes > r->reply_max - r->spent) {
        r->refusal = RC_LIMIT;
        return false;
    }
    r->spent += bytes;
    return true;
}

/* The object for a task: the root, or a new one hung into its parent. */
static struct item *
item_for(struct reader *r, const redisReadTask *task)
{
    struct redis_reply *parent;
    struct item *item;

    if (task->parent == NULL) {
        return &r->root;
    }
    if (!reader_spend(r, sizeof(*item))) {
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
    struct reader *r = OBJ_OF(struct reader, task->privdata, READER_MAGIC);
    enum redis_type type;
    struct item *item;
    char *copy;

    if (!type_of(task->type, &type)) {
        return refuse(r, RC_BAD);
    }
    if (!reader_spend(r, len)) {
        return NULL;
    }
    item = item_for(r, task);
    if (item == NULL) {
        return NULL;
    }
    if (item->is_root && type != REDIS_STRING && len <= READER_TEXT_MAX) {
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
    struct reader *r = OBJ_OF(struct reader, task->privdata, READER_MAGIC);
    size_t len = (size_t)elements;
    struct item *item;

    if (task->type != REDIS_REPLY_ARRAY) {
        return refuse(r, RC_BAD);
    }
    if (len > r->elements_max || depth_of(task) > DEPTH_MAX) {
        return refuse(r, RC_LIMIT);
    }
    if (!reader_spend(r, len * sizeof(item->reply.elements[0]))) {
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
    struct reader *r = OBJ_OF(struct reader, task->privdata, READER_MAGIC);
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
    struct reader *r = OBJ_OF(struct reader, task->privdata, READER_MAGIC);
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
    return refuse(OBJ_OF(struct reader, task->privdata, READER_MAGIC), RC_BAD);
}

static void *
on_bool(const redisReadTask *task, int value)
{
    (void)value;
    return refuse(OBJ_OF(struct reader, task->privdata, READER_MAGIC), RC_BAD);
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
reader_init(struct reader *r)
{
    MUST(r->reply_max > 0);
    MUST(r->elements_max > 0);
    r->functions = reply_functions;
    r->hiredis = redisReaderCreateWithFunctions(&r->functions);
    if (r->hiredis == NULL) {
        return RC_NOMEM;
    }
    r->magic = READER_MAGIC;
    r->hiredis->privdata = r;
    r->root.is_root = true;
    r->root.text = r->text;
    return RC_OK;
}

void
reader_fini(struct reader *r)
{
    MUST_OBJ(r, READER_MAGIC);
    redisReaderFree(r->hiredis);
    item_clear(&r->root);
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
    if (redisReaderGetReply(r->hiredis, &object) != REDIS_OK) {
        if (r->refusal != RC_OK) {
            return r->refusal;
        }
        return r->hiredis->err == REDIS_ERR_OOM ? RC_NOMEM : RC_BAD;
    }
    if (object == NULL) {
        return RC_AGAIN;
    }
    MUST(object == &r->root);
    r->spent = 0;
    if (r->hiredis->pos < r->hiredis->len) {
        reader_note_kind(r, r->hiredis->buf[r->hiredis->pos]);
    }
    *out_reply = &r->root.reply;
    return RC_OK;
}

void
reader_clear(struct reader *r)
{
    MUST_OBJ(r, READER_MAGIC);
    if (r->hiredis->ridx == -1) {
        item_clear(&r->root);
    }
}

struct redis_reply *
reader_string(struct reader *r, char *own_str, size_t len)
{
    struct redis_reply *reply = &r->root.reply;

    MUST(reply->str == NULL);
    MUST(reply->elements == NULL);
    reply->type = REDIS_STRING;
    reply->str = own_str;
    reply->len = len;
    return reply;
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
