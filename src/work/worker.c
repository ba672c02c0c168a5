/*
 * The date that a worker gives. It is written once a second, however many
 * answers carry it.
 */
#include "nearside/work/worker.h"

struct slice
worker_date(struct worker *w)
{
    int64_t now_s = worker_wall_ms(w) / 1000;

    MUST_OBJ(w, WORKER_MAGIC);
    if (w->date_s != now_s) {
        w->date_s = now_s;
        date_write(w->date_text, now_s);
    }
    return slice_of(w->date_text, DATE_LEN);
}
