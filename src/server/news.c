/* How pools hear that a look-up has ended: each by a bell on its own loop. */
#include "server/server_inside.h"

void
server_tell(struct origin_server *server)
{
    MUST_OBJ(server, SERVER_MAGIC);
    LIST_EACH (it, &server->news) {
        bell_ring(CONTAINER_OF(it, struct server_news, link)->bell);
    }
}

enum rc
origin_server_join(struct origin_server *server, struct server_news *news,
    struct loop *loop, void (*on_news)(void *ctx), void *ctx)
{
    MUST_OBJ(server, SERVER_MAGIC);
    MUST(news->bell == NULL);
    news->bell = bell_new(loop, on_news, ctx);
    if (news->bell == NULL) {
        return RC_NOMEM;
    }
    list_init(&news->link);
    server_lock(server);
    list_push_back(&server->news, &news->link);
    server_unlock(server);
    return RC_OK;
}

void
origin_server_part(struct origin_server *server, struct server_news *news)
{
    MUST(news->bell != NULL);
    server_lock(server);
    list_remove(&news->link);
    server_unlock(server);
    bell_free(&news->bell);
}
