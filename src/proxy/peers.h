/*
 * Connections per client address, counted over all workers. One small table
 * behind a lock that is taken twice in the life of a connection.
 */
#ifndef PROXY_PEERS_H
#define PROXY_PEERS_H

#include "nearside/net/address.h"

struct peers;

/* At most `max` connections for an address; 0: no limit. NULL: no memory. */
struct peers *peers_new(unsigned max);
void peers_free(struct peers **peers);

/* False: the address has its share already, or memory ran out. A unix
   socket's peer is never refused. */
bool peers_take(struct peers *peers, const struct address *peer);
void peers_put(struct peers *peers, const struct address *peer);

#endif
