/*
 * What the origin's answer to a HEAD says of the stored response to a GET
 * (RFC 9111 4.3.5).
 */
#ifndef PROXY_HEAD_UPDATE_H
#define PROXY_HEAD_UPDATE_H

struct head;
struct request;

/*
 * r has found r->stale before it asked. Where the answer agrees with it, its
 * fields and lifetime are renewed; where it does not, it is deleted. Both
 * happen beside the request, which goes on.
 */
void head_update(struct request *r, const struct head *response);

#endif
