/*
 * The memory tier in the benchmark (ours.h). Keys are of one length, so that
 * entries with equal bodies are of one size.
 */
#include "ours.h"

#include <stdio.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/base/hash.h"
#include "nearside/cache/codec.h"
#include "nearside/cache/memory.h"

enum {
    BODY_MAX = 20000,
    ROUNDS_MAX = 6,
};

#define FIELDS SLICE("content-type: application/json\r\n")

struct name {
    char full[40];
    struct key key;
};

static void
name_object(struct name *name, uint32_t object)
{
    static const struct hash_key hash_key = {20231023, 20240416};
    int len = snprintf(name->full, sizeof(name->full),
        "http://shop.example/products/%08u", object);

    MUST(len > 0);
    MUST((size_t)len < sizeof(name->full));
    name->key = (struct key){.full = slice_of(name->full, (size_t)len)};
    name->key.hash = hash_keyed(&hash_key, name->key.full);
}

static struct entry *
make_entry(const struct name *name, size_t body_len)
{
    static char body[BODY_MAX];
    const struct codec_parts parts = {
        .status = 200,
        .key = name->key.full,
        .fields = FIELDS,
        .body = slice_of(body, body_len),
    };
    struct value value;
    struct entry *entry;

    MUST(body_len <= sizeof(body));
    MUST(codec_encode(&parts, &value) == RC_OK);
    MUST(codec_entry(&value, &entry) == RC_OK);
    value_free(&value);
    return entry;
}

void
ours_set_sizes(struct trace *trace)
{
    for (uint32_t i = 0; i < trace->objects_len; i++) {
        struct name name;
        struct entry *entry;

        name_object(&name, i);
        entry = make_entry(&name, trace->body_lens[i]);
        trace->sizes[i] = (uint32_t)entry_size(entry);
        entry_unref(&entry);
    }
}

static bool
find(struct memory *memory, const struct key *key, size_t *out_size)
{
    struct memory_note note;
    struct entry *entry;

    if (memory_get(memory, key, &entry, &note) != RC_OK) {
        return false;
    }
    *out_size = entry_size(entry);
    entry_unref(&entry);
    return true;
}

static void
put(struct memory *memory, const struct name *name, size_t body_len)
{
    const struct memory_note note = {.stamp = 0};
    struct memory_watch watch = memory_watch(memory, name->key.hash);
    struct entry *entry = make_entry(name, body_len);

    MUST(memory_put(memory, &watch, entry, &note) == RC_OK);
    entry_unref(&entry);
}

static bool
ask(struct memory *memory, const struct trace *trace, uint32_t object)
{
    struct name name;
    size_t size;

    name_object(&name, object);
    if (find(memory, &name.key, &size)) {
        return true;
    }
    put(memory, &name, trace->body_lens[object]);
    return false;
}

static size_t
bytes_of(struct memory *memory)
{
    struct memory_counts counts;

    memory_count(memory, &counts);
    return counts.bytes;
}

/* At the end, since it asks for all there is. */
static size_t
entry_bytes(struct memory *memory, uint32_t objects_len)
{
    size_t sum = 0;

    for (uint32_t i = 0; i < objects_len; i++) {
        struct name name;
        size_t size;

        name_object(&name, i);
        if (find(memory, &name.key, &size)) {
            sum += size;
        }
    }
    return sum;
}

/* Of `tables`, what an empty memory has is not counted: only that of which it
   gets no entry less. */
static void
replay_as(
    const struct trace *trace, unsigned shards, size_t tables, struct ours *out)
{
    const struct memory_opts opts = {
        .size = trace->budget + tables, .shards = shards};
    struct memory *memory = memory_new(&opts);
    size_t empty;

    MUST(memory != NULL);
    empty = bytes_of(memory);
    *out = (struct ours){.hits = 0};
    for (size_t i = 0; i < trace->len; i++) {
        bool is_hit = ask(memory, trace, trace->objects[i]);

        out->hits += is_hit;
        out->counted += is_hit && i >= trace->warm_up;
    }
    out->entries = entry_bytes(memory, trace->objects_len);
    out->tables = bytes_of(memory) - empty - out->entries;
    memory_free(&memory);
}

/* The tables of the warm-up are most often those of the whole. */
void
ours_replay(const struct trace *trace, unsigned shards, struct ours *out)
{
    struct trace start = *trace;
    size_t tables;
    unsigned rounds = 1;

    start.len = trace->warm_up;
    replay_as(&start, shards, trace->budget / 20, out);
    do {
        tables = out->tables;
        replay_as(trace, shards, tables, out);
        rounds++;
    } while (out->tables != tables && rounds < ROUNDS_MAX);
    out->rounds = rounds;
}

/* Bodies of 200 to 455 bytes, so that malloc's rounding has its mean. */
double
ours_overhead(uint32_t entries)
{
    const struct memory_opts opts = {.size = (size_t)entries * 4096};
    struct memory *memory = memory_new(&opts);
    struct memory_counts counts;
    size_t parts = 0;

    MUST(memory != NULL);
    for (uint32_t i = 0; i < entries; i++) {
        struct name name;
        size_t body_len = 200 + i % 256;

        name_object(&name, i);
        put(memory, &name, body_len);
        parts += name.key.full.len + FIELDS.len + body_len;
    }
    memory_count(memory, &counts);
    MUST(counts.entries == entries);
    memory_free(&memory);
    return (double)(counts.bytes - parts) / entries;
}
