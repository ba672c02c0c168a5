/*
 * Stores values at the members that the table names. A list is written item
 * by item, and its count with it.
 */
#include "app/conf/store.h"

#include "nearside/base/check.h"

enum {
    PRESET_VALUES_MAX = 16,
};

static void
len_set(struct conf_store *s, size_t len)
{
    s->len = len;
    *(size_t *)(void *)(s->base + s->option->len_offset) = len;
}

static enum rc
list_begin(struct conf_store *s)
{
    if (s->count > 0) {
        s->items = arena_zalloc(s->arena, s->count * s->option->item_size);
        if (s->items == NULL) {
            return RC_NOMEM;
        }
    }
    memcpy(s->base + s->option->offset, &s->items, sizeof(s->items));
    len_set(s, 0);
    return RC_OK;
}

enum rc
conf_store_begin(struct conf_store *store)
{
    MUST(store->base != NULL);
    MUST(store->len == 0);
    if (conf_option_is_list(store->option)) {
        return list_begin(store);
    }
    MUST(store->count == 1);
    return RC_OK;
}

enum rc
conf_store_value(
    struct conf_store *store, struct slice text, char why[CONF_WHY_MAX])
{
    const struct conf_option *option = store->option;
    struct conf_reading r = {.option = option,
        .text = text,
        .arena = store->arena,
        .out = store->base + option->offset,
        .why = why};
    enum rc rc;

    if (!conf_option_is_list(option)) {
        return conf_value_read(&r);
    }
    MUST(store->len < store->count);
    r.out = store->items + store->len * option->item_size;
    rc = conf_value_read(&r);
    if (rc == RC_BAD && conf_option_is_texts(option)) {
        rc = conf_value_give(&r, text) == RC_OK ? RC_BAD : RC_NOMEM;
    }
    len_set(store, store->len + 1);
    return rc;
}

/* Cuts `{ "a", "b" }` or a single value into values; how many there are. */
static size_t
preset_cut(const char *preset, struct slice values[PRESET_VALUES_MAX])
{
    static const char between[] = "{}\", ";
    size_t count = 0;

    for (preset += strspn(preset, between); *preset != '\0';
         preset += strspn(preset, between)) {
        MUST(count < PRESET_VALUES_MAX);
        values[count] = slice_of(preset, strcspn(preset, between));
        preset += values[count++].len;
    }
    return count;
}

static enum rc
preset_store(const struct conf_option *option, struct arena *arena, void *base)
{
    struct slice values[PRESET_VALUES_MAX];
    size_t count = preset_cut(option->preset, values);
    struct conf_store store = {
        .option = option, .count = count, .arena = arena, .base = base};
    char why[CONF_WHY_MAX];
    enum rc rc = conf_store_begin(&store);

    for (size_t i = 0; i < count && rc == RC_OK; i++) {
        rc = conf_store_value(&store, values[i], why);
    }
    MUST(rc != RC_BAD); /* the table itself would be wrong */
    return rc;
}

enum rc
conf_store_presets(enum conf_section options, struct arena *arena, void *base)
{
    enum rc rc = RC_OK;

    for (size_t i = 0; i < conf_options_count && rc == RC_OK; i++) {
        const struct conf_option *option = &conf_options[i];

        if (option->section == options && option->preset != NULL) {
            rc = preset_store(option, arena, base);
        }
    }
    return rc;
}

void
conf_store_same(const struct conf_option *option, const void *from, void *to)
{
    memcpy((char *)to + option->offset, (const char *)from + option->offset,
        option->size);
    if (conf_option_is_list(option)) {
        memcpy((char *)to + option->len_offset,
            (const char *)from + option->len_offset, sizeof(size_t));
    }
}
