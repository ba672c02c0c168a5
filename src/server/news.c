/*
 * How pools hear that a look-up has ended: by a message to the loop of each.
 *
 * Laws. A message that is under way finds its news, though the pool may have
 * gone meanwhile; then the message frees it.
 */
#include "server/server_inside.h"

#include <stdlib.h>

#define NEWS_MAGIC UINT32_C(0x6f736e77)

/* What one pool is told by. */
struct server_news {
    uint32_t magic;
    struct list link; /* server->news, under its lock */
    struct loop *loop;
    struct loop_message message;
    void (*on_news)(void *ctx); /* NULL: the pool has gone */
    void *ctx;
};

static void
on_message(void *ctx)
{
    struct server_news *news = OBJ_OF(struct server_news, ctx, NEWS_MAGIC);

    if (news->on_news != NULL) {
        news->on_news(news->ctx);
        return;
    }
    news->magic = 0;
    free(news);
}

void
server_tell(struct origin_server *server)
{
    LIST_EACH (it, &server->news) {
        struct server_news *news = CONTAINER_OF(it, struct server_news, link);

        MUST_OBJ(news, NEWS_MAGIC);
        loop_post(news->loop, &news->message);
    }
}

struct server_news *
origin_server_join(struct origin_server *server, struct loop *loop,
    void (*on_news)(void *ctx), void *ctx)
{
    struct server_news *news = calloc(1, sizeof(*news));

    MUST(on_news != NULL);
    if (news == NULL) {
        return NULL;
    }
    news->magic = NEWS_MAGIC;
    news->loop = loop;
    news->on_news = on_news;
    news->ctx = ctx;
    loop_message_init(&news->message, on_message, news);
    server_lock(server);
    list_push_back(&server->news, &news->link);
    server_unlock(server);
    return news;
}

void
origin_server_part(struct origin_server *server, struct server_news **pnews)
{
    struct server_news *news = *pnews;

    MUST_OBJ(news, NEWS_MAGIC);
    *pnews = NULL;
    server_lock(server);
    list_remove(&news->link);
    server_unlock(server);
    news->on_news = NULL;
    if (!atomic_load(&news->message.is_posted)) {
        news->magic = 0;
        free(news);
    }
}
