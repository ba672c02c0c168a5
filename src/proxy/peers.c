/* The table of peers: chained buckets, keyed hash, an entry while an address
   has connections. IPv6 is counted by /64, which is what one host is given. */
#include "proxy/peers.h"

#include <pthread.h>
#include <stdlib.h>

#include "nearside/base/check.h"
#include "nearside/base/hash.h"

#define PEERS_MAGIC UINT32_C(0x6e706565)

enum {
    PEERS_BUCKETS = 4096,
};

struct peer {
    struct peer *next;
    unsigned count;
    unsigned char address[8];
    int family;
};

struct peers {
    uint32_t magic;
    unsigned max;
    struct hash_key key;
    pthread_mutex_t lock;
    struct peer *buckets[PEERS_BUCKETS];
};

struct peers *
peers_new(unsigned max)
{
    struct peers *peers = calloc(1, sizeof(*peers));

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
peers_free(struct peers **ppeers)
{
    struct peers *peers = *ppeers;

    if (peers == NULL) {
        return;
    }
    MUST_OBJ(peers, PEERS_MAGIC);
    *ppeers = NULL;
    for (size_t i = 0; i < PEERS_BUCKETS; i++) {
        while (peers->buckets[i] != NULL) {
            struct peer *next = peers->buckets[i]->next;
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
peer_of(const struct address *address, struct peer *out)
{
    *out = (struct peer){.family = address->u.any.sa_family};
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

static struct peer **
peer_find(struct peers *peers, const struct peer *like)
{
    uint64_t hash = hash_keyed(&peers->key,
        slice_of((const char *)like->address, sizeof(like->address)));
    struct peer **at = &peers->buckets[hash % PEERS_BUCKETS];

    while (*at != NULL && ((*at)->family != like->family ||
                              memcmp((*at)->address, like->address, 8) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static bool
peer_add(struct peers *peers, const struct peer *like)
{
    struct peer **at = peer_find(peers, like);

    if (*at == NULL) {
        *at = malloc(sizeof(**at));
        if (*at == NULL) {
            return false;
        }
        **at = *like;
    }
    if ((*at)->count >= peers->max) {
        return false;
    }
    (*at)->count++;
    return true;
}

bool
peers_take(struct peers *peers, const struct address *peer)
{
    struct peer like;
    bool is_taken;

    MUST_OBJ(peers, PEERS_MAGIC);
    if (peers->max == 0 || !peer_of(peer, &like)) {
        return true;
    }
    pthread_mutex_lock(&peers->lock);
    is_taken = peer_add(peers, &like);
    pthread_mutex_unlock(&peers->lock);
    return is_taken;
}

void
peers_put(struct peers *peers, const struct address *peer)
{
    struct peer like;
    struct peer **at;

    MUST_OBJ(peers, PEERS_MAGIC);
    if (peers->max == 0 || !peer_of(peer, &like)) {
        return;
    }
    pthread_mutex_lock(&peers->lock);
    at = peer_find(peers, &like);
    MUST(*at != NULL && (*at)->count > 0);
    if (--(*at)->count == 0) {
        struct peer *gone = *at;
        *at = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&peers->lock);
}
