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

#define PEERS_MAGIC UINT32_C(0x6e706565)

enum {
    PEERS_BUCKETS = 4096,
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
    struct client_count *buckets[PEERS_BUCKETS];
};

struct client_counts *
client_counts_new(unsigned max)
{
    struct client_counts *peers = calloc(1, sizeof(*peers));

    if (peers == NULL) {
        return NULL;
    }
    peers->magic = PEERS_MAGIC;
    peers->max = max;
    hash_key_random(&peers->key);
    pthread_mutex_init(&peers->lock, NULL);
    return peers;
}

void
client_counts_free(struct client_counts **ppeers)
{
    struct client_counts *peers = *ppeers;

    if (peers == NULL) {
        return;
    }
    MUST_OBJ(peers, PEERS_MAGIC);
    *ppeers = NULL;
    for (size_t i = 0; i < PEERS_BUCKETS; i++) {
        while (peers->buckets[i] != NULL) {
            struct client_count *next = peers->buckets[i]->next;
            free(peers->buckets[i]);
            peers->buckets[i] = next;
        }
    }
    pthread_mutex_destroy(&peers->lock);
    peers->magic = 0;
    free(peers);
}

/* False for an address that is not counted. */
static bool
peer_of(const struct address *address, struct client_count *out)
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
peer_find(struct client_counts *peers, const struct client_count *like)
{
    uint64_t hash = hash_keyed(&peers->key,
        slice_of((const char *)like->address, sizeof(like->address)));
    struct client_count **at = &peers->buckets[hash % PEERS_BUCKETS];

    while (*at != NULL && ((*at)->family != like->family ||
                              memcmp((*at)->address, like->address, 8) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

bool
client_counts_take(struct client_counts *peers, const struct address *peer)
{
    struct client_count like;
    struct client_count **at;
    bool is_taken = false;

    MUST_OBJ(peers, PEERS_MAGIC);
    if (peers->max == 0 || !peer_of(peer, &like)) {
        return true;
    }
    pthread_mutex_lock(&peers->lock);
    at = peer_find(peers, &like);
    if (*at == NULL && (*at = malloc(sizeof(**at))) != NULL) {
        **at = like;
    }
    if (*at != NULL && (*at)->count < peers->max) {
        (*at)->count++;
        is_taken = true;
    }
    pthread_mutex_unlock(&peers->lock);
    return is_taken;
}

void
client_counts_put(struct client_counts *peers, const struct address *peer)
{
    struct client_count like;
    struct client_count **at;

    MUST_OBJ(peers, PEERS_MAGIC);
    if (peers->max == 0 || !peer_of(peer, &like)) {
        return;
    }
    pthread_mutex_lock(&peers->lock);
    at = peer_find(peers, &like);
    MUST(*at != NULL && (*at)->count > 0);
    if (--(*at)->count == 0) {
        struct client_count *gone = *at;
        *at = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&peers->lock);
}
