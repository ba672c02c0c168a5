/* Makes, counts and frees snapshots of the configuration. Each spells our name
   once, as Via and as Cache-Status write it. */
#include "nearside/rules/conf.h"

#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/http/structured.h"

enum {
    HIT_WORDS_MAX = 64, /* what stands around the names in `hit` */
};

/* 0 would end every request, and is no default. */
static void
check_limits(const struct limits *l)
{
    MUST(l->head_max > 0);
    MUST(l->field_max > 0);
    MUST(l->field_name_max > 0);
    MUST(l->fields_max > 0);
    MUST(l->target_max > 0);
    MUST(l->head_timeout_ms > 0);
    MUST(l->body_timeout_ms > 0);
    MUST(l->idle_timeout_ms > 0);
    MUST(l->send_timeout_ms > 0);
    MUST(l->buffer_max > 0);
    MUST(l->held_max > 0);
    MUST(l->connections_max > 0);
    MUST(l->object_max > 0);
    MUST(l->flight_wait_ms > 0);
    MUST(l->flights_max > 0);
    MUST(l->variants_max > 0);
}

/* The name for Via; behind it as a token, or as a string if it is none (RFC
   9651 3.3.3); and behind that the lines of a hit. */
static bool
spell_name(struct proxy_conf *conf)
{
    size_t via_len = 4 + conf->name.len;
    size_t member_max = 2 * conf->name.len + 2;
    size_t size = 2 * (via_len + member_max) + HIT_WORDS_MAX;
    char *text = malloc(size);
    struct writer w;

    if (text == NULL) {
        return false;
    }
    memcpy(text, "1.1 ", 4);
    memcpy(text + 4, conf->name.ptr, conf->name.len);
    conf->via = slice_of(text, via_len);
    w = writer_of(text + via_len, member_max);
    sf_write_token_or_string(&w, conf->name);
    conf->member = writer_slice(&w);
    w = writer_of(text + via_len + member_max, size - via_len - member_max);
    write_field(&w, SLICE("via"), conf->via);
    write_slice(&w, SLICE("cache-status: "));
    write_slice(&w, conf->member);
    write_slice(&w, SLICE("; hit; ttl="));
    MUST(!w.is_full);
    conf->hit = writer_slice(&w);
    return true;
}

struct proxy_conf *
proxy_conf_new(const struct proxy_conf_opts *opts)
{
    struct proxy_conf *conf = calloc(1, sizeof(*conf));

    MUST(opts->prefix != NULL);
    MUST(opts->via != NULL);
    MUST(opts->groups_len > 0);
    MUST(opts->default_group <= opts->groups_len);
    check_limits(&opts->limits);
    if (conf == NULL) {
        return NULL;
    }
    conf->magic = PROXY_CONF_MAGIC;
    atomic_init(&conf->refs, 1);
    conf->opts = *opts;
    conf->prefix = slice_of_str(opts->prefix);
    conf->name = slice_of_str(opts->via);
    if (!spell_name(conf)) {
        free(conf);
        return NULL;
    }
    return conf;
}

struct proxy_conf *
proxy_conf_ref(struct proxy_conf *conf)
{
    MUST_OBJ(conf, PROXY_CONF_MAGIC);
    atomic_fetch_add_explicit(&conf->refs, 1, memory_order_relaxed);
    return conf;
}

void
proxy_conf_unref(struct proxy_conf **pconf)
{
    struct proxy_conf *conf = *pconf;

    if (conf == NULL) {
        return;
    }
    MUST_OBJ(conf, PROXY_CONF_MAGIC);
    MUST(atomic_load(&conf->refs) > 0);
    *pconf = NULL;
    if (atomic_fetch_sub_explicit(&conf->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    conf->magic = 0;
    free((char *)(uintptr_t)conf->via.ptr);
    free(conf);
}
