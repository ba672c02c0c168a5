/*
 * Connections per client address, counted over all workers. One small table
 * behind a lock that is taken twice in the life of a connection.
 */
#ifndef FRONT_CLIENT_COUNTS_H
#define FRONT_CLIENT_COUNTS_H

#include "nearside/net/address.h"

struct client_counts;

/* At most `max` connections for an address; 0: no limit. NULL: no memory. */
struct client_counts *client_counts_new(unsigned max);
void client_counts_free(struct client_counts **counts);

/* False: the address is limited and has its share already, or memory ran out.
   A unix socket's peer is never refused. */
bool client_counts_take(
    struct client_counts *counts, const struct address *peer, bool is_limited);
void client_counts_put(
    struct client_counts *counts, const struct address *peer);

#endif
