/*
 * From words to rooms: the configuration turned into each room's opts. All
 * memory is the arena's, and lives as long as what is made from it.
 */
#ifndef APP_SETUP_H
#define APP_SETUP_H

#include "nearside/app/conf.h"
#include "nearside/origin/group.h"
#include "nearside/proxy/proxy.h"
#include "nearside/redis/redis.h"

void setup_log(const struct conf *conf, struct log_opts *out);
void setup_redis(const struct conf *conf, struct redis_opts *out);
void setup_origin(const struct conf *conf, const struct conf_origin *origin,
    struct origin_opts *out);

/* Without what is made later: groups, redis, workers. RC_NOMEM. */
enum rc setup_proxy(const struct conf *conf, struct arena *arena,
    struct proxy_conf_opts *out) RC_MUST_CHECK;

#endif
