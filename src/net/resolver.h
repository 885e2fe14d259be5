/* Names to addresses, for the pools of a loop. */
#ifndef WEIR_NET_RESOLVER_H
#define WEIR_NET_RESOLVER_H

#include "net/impl.h"
#include "net/pool.h"

enum { NET_MAX_ADDRESSES = 16, NET_MAX_NAME_BYTES = 255 };

/* Embedded in the asker. `done` is called from the loop, never from within net__resolve; `addresses` live for the call and
 * have no port; a count of 0 is a failure, `detail` says which. */
struct net_query {
    struct weir_list link;
    bool active;
    void (*done)(void *owner, const struct net_address *addresses, size_t count, const char *detail);
    void *owner;
};
/* The name is at most NET_MAX_NAME_BYTES long. False: no memory, or too many names are being looked up; `done` is not called. */
WEIR_MUST bool net__resolve(struct weir_resolver *resolver, const char *name, struct net_query *query);
/* Makes a name known for a minute without asking anybody: tests supply their own names. False: no room. */
WEIR_MUST bool net__resolver_remember(struct weir_resolver *resolver, const char *name,
                                      const struct net_address *addresses, size_t count);
/* Legal also when it is not active. */
void net__resolve_cancel(struct net_query *query);

#endif
