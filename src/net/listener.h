/* Listening sockets. The socket is opened apart from the listener, so that sockets can outlive loops. */
#ifndef WEIR_NET_LISTENER_H
#define WEIR_NET_LISTENER_H

#include "net/stream.h"
#include "net/tls.h"

struct weir_listener;

/* "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:0", "localhost:8080". Non-blocking, close-on-exec, SO_REUSEADDR, SO_REUSEPORT if `share`;
 * listening with a backlog of 4096. *port (may be NULL) gets the port the system chose. The error's text names the address
 * and what to do when it is in use. */
/* The system lets another process of the same user share the port too, if both say `share`: to find out that a port is in use
 * open it once without, close it, then open the shared ones. */
WEIR_MUST enum weir_status weir_listen_socket(const char *address, bool share, int *fd, uint16_t *port,
                                              struct weir_error *error);
/* Accepts on `fd` (kept open by the caller) and hands each connection over with TCP_NODELAY set, reading not started. `tls`
 * may be NULL. Runs out of descriptors gracefully: logs once a second, tries again after 100 ms. */
WEIR_MUST enum weir_status weir_listener_new(struct weir_loop *loop, int fd, struct weir_tls *tls,
                                             void (*on_accept)(void *owner, struct weir_stream *stream), void *owner,
                                             struct weir_listener **listener, struct weir_error *error);
/* Stops accepting; the socket stays open and keeps queueing. */
void weir_listener_free(struct weir_listener **listener);

#endif
