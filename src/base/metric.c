/*
 * The registry of metrics and their rendering.
 *
 * Laws: the list of metrics is written at start by one thread and is
 * constant once the first block exists. A block's cells are written by its
 * thread alone and read by anybody, all relaxed: a sum may be a moment
 * old, never torn. Only the list of blocks has a lock.
 *
 * A histogram takes one cell per bucket and one for the sum. Its count is
 * the sum of its buckets, so that count and +Inf cannot disagree while
 * others count on.
 *
 *     id -> | le 50us | le 100us | ... | le 60s | +Inf | sum (us) |
 */
#include "nearside/base/metric.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/check.h"

enum {
    METRIC_LINE_SIZE = 64, /* cells are padded to whole cache lines */
};

#define REGISTRY_MAGIC UINT32_C(0x6e743e71)

struct metric {
    enum metric_kind kind;
    metric_id id;
    const char *name;
    const char *help;
    char *own_braced; /* "{labels}", or "" when there are none */
    bool is_rare;
};

struct metric_registry {
    uint32_t magic;
    struct metric *metrics; /* owned; ids ascend */
    size_t metrics_len;
    size_t metrics_cap;
    size_t cells_len;
    pthread_mutex_t lock; /* guards blocks */
    struct metric_block *blocks;
};

/* A 1-2-5 ladder: each step is known to a factor of 2.5, from a hit in
   memory to the longest deadline. */
static const int64_t bucket_le_us[] = {50, 100, 200, 500, 1000, 2000, 5000,
    10000, 20000, 50000, 100000, 200000, 500000, 1000000, 2000000, 5000000,
    10000000, 20000000, 60000000};

enum {
    BUCKET_INF = ARRAY_LEN(bucket_le_us),
    HISTOGRAM_SUM = BUCKET_INF + 1,
    HISTOGRAM_CELLS = HISTOGRAM_SUM + 1,
};

struct metric_registry *
metric_registry_new(void)
{
    struct metric_registry *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->magic = REGISTRY_MAGIC;
    MUST(pthread_mutex_init(&r->lock, NULL) == 0);
    return r;
}

void
metric_registry_free(struct metric_registry **registry)
{
    struct metric_registry *r = *registry;

    if (r == NULL) {
        return;
    }
    MUST_OBJ(r, REGISTRY_MAGIC);
    *registry = NULL;
    while (r->blocks != NULL) {
        struct metric_block *next = r->blocks->next;
        free(r->blocks);
        r->blocks = next;
    }
    for (size_t i = 0; i < r->metrics_len; i++) {
        free(r->metrics[i].own_braced);
    }
    free(r->metrics);
    pthread_mutex_destroy(&r->lock);
    r->magic = 0;
    free(r);
}

static bool
is_name(const char *name)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";

    return name != NULL && name[0] != '\0' &&
           !(name[0] >= '0' && name[0] <= '9') &&
           name[strspn(name, legal)] == '\0';
}

/* Metrics of one name are of one kind and stand together, or scrapers refuse
   them. */
static bool
is_in_order(
    const struct metric_registry *r, enum metric_kind kind, const char *name)
{
    size_t n = r->metrics_len;

    if (n > 0 && strcmp(r->metrics[n - 1].name, name) == 0) {
        return r->metrics[n - 1].kind == kind;
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(r->metrics[i].name, name) == 0) {
            return false;
        }
    }
    return true;
}

static void
metrics_grow(struct metric_registry *r)
{
    if (r->metrics_len < r->metrics_cap) {
        return;
    }
    r->metrics_cap = r->metrics_cap == 0 ? 64 : r->metrics_cap * 2;
    r->metrics = realloc(r->metrics, r->metrics_cap * sizeof(*r->metrics));
    MUST(r->metrics != NULL); /* start-up: see metric.h */
}

static char *
braced(const char *labels)
{
    char *text = NULL;

    if (labels == NULL || labels[0] == '\0') {
        text = strdup("");
    } else if (asprintf(&text, "{%s}", labels) < 0) {
        text = NULL;
    }
    MUST(text != NULL); /* start-up: see metric.h */
    return text;
}

metric_id
metric_add(struct metric_registry *registry, enum metric_kind kind,
    const char *name, const char *help, const char *labels)
{
    struct metric *m;

    MUST_OBJ(registry, REGISTRY_MAGIC);
    MUST(registry->blocks == NULL);
    MUST(strpbrk(help, "\\\n") == NULL); /* it is shown as it is */
    MUST(is_name(name));
    MUST(is_in_order(registry, kind, name));
    metrics_grow(registry);
    m = &registry->metrics[registry->metrics_len++];
    *m = (struct metric){
        .kind = kind,
        .id = (metric_id)registry->cells_len,
        .name = name,
        .help = help,
        .own_braced = braced(labels),
    };
    registry->cells_len += kind == METRIC_HISTOGRAM ? HISTOGRAM_CELLS : 1;
    MUST(registry->cells_len <= UINT32_MAX);
    return m->id;
}

void
metric_make_rare(struct metric_registry *registry)
{
    MUST_OBJ(registry, REGISTRY_MAGIC);
    MUST(registry->blocks == NULL);
    MUST(registry->metrics_len > 0);
    registry->metrics[registry->metrics_len - 1].is_rare = true;
}

const char *
metric_escape(struct slice value, char *out, size_t cap)
{
    size_t len = 0;

    MUST(cap > 0);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        bool is_special = c == '\\' || c == '"' || c == '\n';

        if (cap - len < (is_special ? 3U : 2U)) {
            break;
        }
        if (is_special) {
            out[len++] = '\\';
        }
        out[len++] = c == '\n' ? 'n' : c;
    }
    out[len] = '\0';
    return out;
}

struct metric_block *
metric_block_new(struct metric_registry *registry)
{
    struct metric_block *b;
    size_t size;
    void *mem;

    MUST_OBJ(registry, REGISTRY_MAGIC);
    size = sizeof(*b) + registry->cells_len * sizeof(b->cells[0]);
    size = (size + METRIC_LINE_SIZE - 1) & ~(size_t)(METRIC_LINE_SIZE - 1);
    if (posix_memalign(&mem, METRIC_LINE_SIZE, size) != 0) {
        return NULL;
    }
    b = memset(mem, 0, size);
    MUST(pthread_mutex_lock(&registry->lock) == 0);
    b->next = registry->blocks;
    registry->blocks = b;
    MUST(pthread_mutex_unlock(&registry->lock) == 0);
    return b;
}

void
metric_observe_us(struct metric_block *b, metric_id id, int64_t us)
{
    metric_id i = 0;

    /* If the clock stepped back, nobody waited a negative time. */
    us = us < 0 ? 0 : us;
    while (i < BUCKET_INF && us > bucket_le_us[i]) {
        i++;
    }
    metric_inc(b, id + i);
    metric_add_to(b, id + HISTOGRAM_SUM, us);
}

/* The list of blocks is locked. */
static uint64_t
cell_sum(const struct metric_registry *r, metric_id id)
{
    uint64_t sum = 0;

    MUST(id < r->cells_len);
    for (struct metric_block *b = r->blocks; b != NULL; b = b->next) {
        sum += atomic_load_explicit(&b->cells[id], memory_order_relaxed);
    }
    return sum;
}

uint64_t
metric_sum(struct metric_registry *registry, metric_id id)
{
    uint64_t sum;

    MUST_OBJ(registry, REGISTRY_MAGIC);
    MUST(pthread_mutex_lock(&registry->lock) == 0);
    sum = cell_sum(registry, id);
    MUST(pthread_mutex_unlock(&registry->lock) == 0);
    return sum;
}

static bool
is_shown(const struct metric_registry *r, const struct metric *m)
{
    uint64_t count = 0;
    metric_id cells = m->kind == METRIC_HISTOGRAM ? BUCKET_INF + 1 : 1;

    for (metric_id i = 0; m->is_rare && i < cells; i++) {
        count += cell_sum(r, m->id + i);
    }
    return !m->is_rare || count > 0;
}

static enum rc
render_name(const struct metric *m, struct buf *out)
{
    static const char *const kinds[] = {
        [METRIC_COUNTER] = "counter",
        [METRIC_GAUGE] = "gauge",
        [METRIC_HISTOGRAM] = "histogram",
    };

    return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help,
        m->name, kinds[m->kind]);
}

static enum rc
render_bucket(
    const struct metric *m, const char *le, uint64_t count, struct buf *out)
{
    size_t len = strlen(m->own_braced);

    if (len == 0) {
        return buf_printf(
            out, "%s_bucket{le=\"%s\"} %" PRIu64 "\n", m->name, le, count);
    }
    return buf_printf(out, "%s_bucket%.*s,le=\"%s\"} %" PRIu64 "\n", m->name,
        (int)len - 1, m->own_braced, le, count);
}

static enum rc
render_histogram(
    const struct metric_registry *r, const struct metric *m, struct buf *out)
{
    uint64_t sum_us = cell_sum(r, m->id + HISTOGRAM_SUM);
    uint64_t count = 0;
    enum rc rc = RC_OK;

    for (metric_id i = 0; i <= BUCKET_INF && rc == RC_OK; i++) {
        char le[16] = "+Inf";

        if (i < BUCKET_INF) {
            snprintf(le, sizeof(le), "%g", (double)bucket_le_us[i] / 1e6);
        }
        count += cell_sum(r, m->id + i);
        rc = render_bucket(m, le, count, out);
    }
    if (rc != RC_OK) {
        return rc;
    }
    return buf_printf(out,
        "%s_sum%s %" PRIu64 ".%06" PRIu64 "\n"
        "%s_count%s %" PRIu64 "\n",
        m->name, m->own_braced, sum_us / 1000000, sum_us % 1000000, m->name,
        m->own_braced, count);
}

static enum rc
render_value(
    const struct metric_registry *r, const struct metric *m, struct buf *out)
{
    uint64_t sum = cell_sum(r, m->id);

    if (m->kind == METRIC_COUNTER) {
        return buf_printf(
            out, "%s%s %" PRIu64 "\n", m->name, m->own_braced, sum);
    }
    return buf_printf(
        out, "%s%s %" PRId64 "\n", m->name, m->own_braced, (int64_t)sum);
}

/* *name is that of the last one that was shown. */
static enum rc
render(const struct metric_registry *r, const struct metric *m,
    const char **name, struct buf *out)
{
    enum rc rc = RC_OK;

    if (!is_shown(r, m)) {
        return RC_OK;
    }
    if (*name == NULL || strcmp(*name, m->name) != 0) {
        rc = render_name(m, out);
        *name = m->name;
    }
    if (rc != RC_OK) {
        return rc;
    }
    return m->kind == METRIC_HISTOGRAM ? render_histogram(r, m, out)
                                       : render_value(r, m, out);
}

enum rc
metric_render(struct metric_registry *registry, struct buf *out)
{
    const char *name = NULL;
    enum rc rc = RC_OK;

    MUST_OBJ(registry, REGISTRY_MAGIC);
    MUST(pthread_mutex_lock(&registry->lock) == 0);
    for (size_t i = 0; i < registry->metrics_len && rc == RC_OK; i++) {
        rc = render(registry, &registry->metrics[i], &name, out);
    }
    MUST(pthread_mutex_unlock(&registry->lock) == 0);
    return rc;
}
