/*
 * The answers of the two small listeners: which page, whether it is shown,
 * and the bytes of the answer's head.
 *
 * Who may ask: a name in Host is anybody's to point at 127.0.0.1, so a web
 * page could have its reader's browser fetch from here under its own name
 * (DNS rebinding). The admin listener therefore answers over TCP only when
 * it is addressed by number or as localhost. The metrics listener tells
 * nothing that is not meant to be scraped, and scrapers use names: there
 * every valid Host will do. A unix socket is out of a browser's reach.
 */
#include "app/admin_answer.h"

#include "app/process.h"
#include "nearside/base/check.h"
#include "nearside/base/metric.h"
#include "nearside/http/date.h"
#include "nearside/http/uri.h"
#include "nearside/http/write.h"
#include "nearside/net/address.h"

#define TYPE_TEXT    "text/plain; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_JSON    "application/json"

/* A page appends its body and may change the status. */
struct page {
    const char *path;
    enum admin_kind kind; /* from which listener on it is shown */
    const char *type;
    enum rc (*show)(
        struct admin_answer *answer, const struct admin_sources *sources);
};

static enum rc
show_livez(struct admin_answer *answer, const struct admin_sources *sources)
{
    (void)sources;
    return buf_append(&answer->body, SLICE("ok\n"));
}

static enum rc
show_readyz(struct admin_answer *answer, const struct admin_sources *sources)
{
    MUST(sources->is_ready != NULL);
    if (sources->is_ready(sources->ctx)) {
        return buf_append(&answer->body, SLICE("ready\n"));
    }
    answer->status = 503;
    return buf_append(&answer->body, SLICE("draining\n"));
}

static enum rc
show_metrics(struct admin_answer *answer, const struct admin_sources *sources)
{
    enum rc rc;

    if (sources->measure != NULL) {
        sources->measure(sources->ctx);
    }
    rc = metric_render(sources->registry, &answer->body);
    return rc == RC_OK ? process_render(&answer->body) : rc;
}

static enum rc
show_status(struct admin_answer *answer, const struct admin_sources *sources)
{
    MUST(sources->status != NULL);
    return sources->status(sources->ctx, &answer->body);
}

static const struct page pages[] = {
    {"/livez", ADMIN_METRICS, TYPE_TEXT, show_livez},
    {"/readyz", ADMIN_METRICS, TYPE_TEXT, show_readyz},
    {"/metrics", ADMIN_METRICS, TYPE_METRICS, show_metrics},
    {"/status", ADMIN_ADMIN, TYPE_JSON, show_status},
};

static const struct page *
page_find(enum admin_kind kind, struct slice path)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (pages[i].kind <= kind &&
            slice_eq(path, slice_of_str(pages[i].path))) {
            return &pages[i];
        }
    }
    return NULL;
}

/* --- who asks ------------------------------------------------------------ */

/* The host without its port; the parser has seen to its form. */
static struct slice
host_only(struct slice host)
{
    ptrdiff_t end;

    if (host.len > 0 && host.ptr[0] == '[') {
        end = slice_find(host, ']');
        return end < 0 ? host : slice_of(host.ptr + 1, (size_t)end - 1);
    }
    end = slice_find(host, ':');
    return end < 0 ? host : slice_of(host.ptr, (size_t)end);
}

static bool
is_host_ours(const struct admin_asked *asked, struct slice host)
{
    struct address number;

    if (asked->kind == ADMIN_METRICS || asked->is_unix) {
        return true;
    }
    host = host_only(host);
    return slice_ieq(host, SLICE("localhost")) ||
           address_of(host, 0, &number) == RC_OK;
}

/* --- the answer ---------------------------------------------------------- */

void
admin_answer_init(struct admin_answer *answer)
{
    MUST(answer != NULL);
    *answer = (struct admin_answer){0};
    buf_init(&answer->body, ADMIN_BODY_MAX);
}

void
admin_answer_fini(struct admin_answer *answer)
{
    buf_fini(&answer->body);
}

static void
write_head(struct admin_answer *answer, int64_t wall_ms)
{
    struct writer w = writer_of(answer->head, sizeof(answer->head));
    char date[DATE_LEN];

    MUST(answer->head_len == 0); /* once */
    MUST(answer->status >= 200);
    MUST(answer->type != NULL);
    date_write(date, wall_ms / 1000);
    write_status_line(&w, answer->status);
    write_field(&w, SLICE("Date"), slice_of(date, sizeof(date)));
    write_field(&w, SLICE("Content-Type"), slice_of_str(answer->type));
    write_field_u64(&w, SLICE("Content-Length"), buf_len(&answer->body));
    if (answer->allow != NULL) {
        write_field(&w, SLICE("Allow"), slice_of_str(answer->allow));
    }
    write_field(&w, SLICE("Cache-Control"), SLICE("no-store"));
    write_field(&w, SLICE("X-Content-Type-Options"), SLICE("nosniff"));
    write_field(&w, SLICE("Connection"), SLICE("close"));
    write_end(&w);
    MUST(!w.is_full);
    answer->head_len = w.len;
}

void
admin_answer_refusal(struct admin_answer *answer, unsigned status,
    const char *why, int64_t wall_ms)
{
    MUST(status >= 400);
    MUST(why != NULL);
    answer->status = status;
    answer->type = TYPE_TEXT;
    buf_clear(&answer->body);
    /* Without memory for the reason the status alone must do. */
    MUST(buf_printf(&answer->body, "%s\n", why) == RC_OK ||
         buf_len(&answer->body) == 0);
    write_head(answer, wall_ms);
}

/* What a 404 says: who asks for /status at the wrong port learns where it is.
 */
static const char *
pages_of(enum admin_kind kind)
{
    return kind == ADMIN_METRICS
               ? "here are /livez, /readyz and /metrics; /status is at admin"
               : "here are /livez, /readyz, /metrics and /status";
}

static void
answer_page(struct admin_answer *answer, const struct page *page,
    const struct admin_sources *sources, int64_t wall_ms)
{
    enum rc rc;

    answer->status = 200;
    answer->type = page->type;
    rc = page->show(answer, sources);
    if (rc == RC_OK) {
        write_head(answer, wall_ms);
    } else {
        admin_answer_refusal(answer, 500, rc_text(rc), wall_ms);
    }
}

void
admin_answer_request(struct admin_answer *answer,
    const struct admin_asked *asked, const struct head *head, int64_t wall_ms)
{
    const struct page *page = page_find(asked->kind, uri_path(head->target));

    MUST(head->status == 0);
    MUST(asked->sources != NULL);
    MUST(answer->head_len == 0);
    if (!is_host_ours(asked, head->host)) {
        admin_answer_refusal(
            answer, 421, "ask by address or as localhost", wall_ms);
    } else if (head->method != METHOD_GET && head->method != METHOD_HEAD) {
        answer->allow = "GET, HEAD";
        admin_answer_refusal(answer, 405, "GET and HEAD only", wall_ms);
    } else if (page == NULL) {
        admin_answer_refusal(answer, 404, pages_of(asked->kind), wall_ms);
    } else {
        answer_page(answer, page, asked->sources, wall_ms);
    }
    if (head->method == METHOD_HEAD) {
        buf_clear(&answer->body);
    }
}
