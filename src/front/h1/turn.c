/* Turns are borrowed from their worker and given back. A worker keeps a few
   for the next requests. */
#include "front/h1/turn.h"

#include <stdlib.h>

enum {
    /* Read behind a head or its content in one go. */
    TURN_AHEAD_MAX = 16384,
    /* A free turn keeps a buffer no larger than this. */
    TURN_BUF_KEEP = 8192,
};

static struct turn *
turn_new(struct front_worker *f)
{
    size_t head_max = f->worker->conf->opts.limits.head_max;
    struct turn *turn = calloc(1, sizeof(*turn));

    if (turn == NULL) {
        return NULL;
    }
    buf_init(&turn->buf, head_max + TURN_AHEAD_MAX);
    buf_init(&turn->interim, head_max);
    return turn;
}

void
turn_restart(struct turn *turn, struct worker *w)
{
    MUST_OBJ(turn, TURN_MAGIC);
    MUST(turn->request == NULL);
    MUST(turn->begun.entry == NULL);
    turn->begun.n = 0;
    parse_start(&turn->parse);
    turn->start_us = worker_now_us(w);
    turn->is_http10 = false;
    turn->awaits_100 = false;
    buf_clear(&turn->interim);
    /* Reading and writing set what they need, and find the rest at zero. */
    static_assert(BODY_NONE == 0, "no content");
    memset(&turn->in, 0, sizeof(turn->in));
    memset(&turn->out, 0, sizeof(turn->out));
}

struct turn *
turn_take(struct front_worker *f)
{
    struct list *link;
    struct turn *turn;

    MUST_OBJ(f, FRONT_WORKER_MAGIC);
    link = spare_take(&f->turns);
    if (link != NULL) {
        turn = CONTAINER_OF(link, struct turn, link);
        MUST(turn->magic == 0);
    } else {
        turn = turn_new(f);
    }
    if (turn != NULL) {
        turn->magic = TURN_MAGIC;
        turn_restart(turn, f->worker);
    }
    return turn;
}

static void
turn_free(struct turn *turn)
{
    MUST(turn->magic == 0);
    buf_fini(&turn->buf);
    buf_fini(&turn->interim);
    free(turn);
}

void
turn_put(struct front_worker *f, struct turn **pturn)
{
    struct turn *turn = *pturn;

    if (turn == NULL) {
        return;
    }
    MUST_OBJ(turn, TURN_MAGIC);
    MUST(turn->request == NULL);
    *pturn = NULL;
    entry_unref(&turn->begun.entry);
    turn->magic = 0;
    buf_clear(&turn->buf);
    buf_clear(&turn->interim);
    buf_trim(&turn->interim);
    if (turn->buf.cap > TURN_BUF_KEEP || !spare_keep(&f->turns, &turn->link)) {
        turn_free(turn);
    }
}

void
turns_free(struct front_worker *f)
{
    struct list *link;

    while ((link = spare_take(&f->turns)) != NULL) {
        turn_free(CONTAINER_OF(link, struct turn, link));
    }
}
