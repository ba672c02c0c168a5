/*
 * Connections per client address: a table of chained buckets by a keyed hash,
 * with an entry for each address that has connections now. IPv6 addresses are
 * counted by their /64, which is what one host is given.
 */
#include "front/client_counts.h"

#include <pthread.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/base/hash.h"

#define COUNTS_MAGIC UINT32_C(0x6e706565)

enum {
    COUNTS_BUCKETS = 4096,
};

struct client_count {
    struct client_count *next;
    unsigned count;
    unsigned char address[8];
    int family;
};

struct client_counts {
    uint32_t magic;
    unsigned max;
    struct hash_key key;
    pthread_mutex_t lock;
    struct client_count *buckets[COUNTS_BUCKETS];
};

struct client_counts *
client_counts_new(unsigned max)
{
    struct client_counts *counts = calloc(1, sizeof(*counts));

    if (counts == NULL) {
        return NULL;
    }
    counts->magic = COUNTS_MAGIC;
    counts->max = max;
    hash_key_random(&counts->key);
    MUST(pthread_mutex_init(&counts->lock, NULL) == 0);
    return counts;
}

void
client_counts_free(struct client_counts **pcounts)
{
    struct client_counts *counts = *pcounts;

    if (counts == NULL) {
        return;
    }
    MUST_OBJ(counts, COUNTS_MAGIC);
    *pcounts = NULL;
    for (size_t i = 0; i < COUNTS_BUCKETS; i++) {
        while (counts->buckets[i] != NULL) {
            struct client_count *next = counts->buckets[i]->next;
            free(counts->buckets[i]);
            counts->buckets[i] = next;
        }
    }
    pthread_mutex_destroy(&counts->lock);
    counts->magic = 0;
    free(counts);
}

/* False for an address that is not counted. */
static bool
count_of(const struct address *address, struct client_count *out)
{
    *out = (struct client_count){.family = address->u.any.sa_family};
    if (address->len == 0) {
        return false;
    }
    switch (out->family) {
    case AF_INET:
        memcpy(out->address, &address->u.v4.sin_addr, 4);
        return true;
    case AF_INET6:
        memcpy(out->address, &address->u.v6.sin6_addr, 8);
        return true;
    default:
        return false;
    }
}

static struct client_count **
count_find(struct client_counts *counts, const struct client_count *like)
{
    uint64_t hash = hash_keyed(&counts->key,
        slice_of((const char *)like->address, sizeof(like->address)));
    struct client_count **at = &counts->buckets[hash % COUNTS_BUCKETS];

    while (*at != NULL && ((*at)->family != like->family ||
                              memcmp((*at)->address, like->address, 8) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

bool
client_counts_take(
    struct client_counts *counts, const struct address *peer, bool is_limited)
{
    struct client_count like;
    struct client_count **at;
    bool is_taken = false;

    MUST_OBJ(counts, COUNTS_MAGIC);
    if (counts->max == 0 || !count_of(peer, &like)) {
        return true;
    }
    pthread_mutex_lock(&counts->lock);
    at = count_find(counts, &like);
    if (*at == NULL && (*at = malloc(sizeof(**at))) != NULL) {
        **at = like;
    }
    if (*at != NULL && (!is_limited || (*at)->count < counts->max)) {
        (*at)->count++;
        is_taken = true;
    }
    pthread_mutex_unlock(&counts->lock);
    return is_taken;
}

void
client_counts_put(struct client_counts *counts, const struct address *peer)
{
    struct client_count like;
    struct client_count **at;

    MUST_OBJ(counts, COUNTS_MAGIC);
    if (counts->max == 0 || !count_of(peer, &like)) {
        return;
    }
    pthread_mutex_lock(&counts->lock);
    at = count_find(counts, &like);
    MUST(*at != NULL && (*at)->count > 0);
    if (--(*at)->count == 0) {
        struct client_count *gone = *at;
        *at = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&counts->lock);
}
