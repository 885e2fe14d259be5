/* The first owner, and who may reach the operator plane. */
#ifndef WEIR_MAIN_OWNER_H
#define WEIR_MAIN_OWNER_H

#include "main/settings.h"

struct main__server;

/* Where the store knows no operator: makes the owner and his token, and keeps the token in <data>/owner-token, readable by its user alone. */
WEIR_MUST enum weir_status main__owner_prepare(struct main__server *server, struct weir_error *error);
/* Prints the token that was just made, this once. Does nothing where none was. */
void main__owner_print(struct main__server *server);

/* operator.allow as the plane wants it; at boot (before the plane) and at each reload. */
void main__plane_allow(struct main__server *server, const struct main__settings *settings);
/* True where the plane listens beyond loopback without both a list of addresses and TLS. */
bool main__plane_is_open(const struct main__settings *settings);
/* The plane's own TLS; NULL where it has none. Warns in the log where the plane is open. */
WEIR_MUST enum weir_status main__plane_prepare(struct main__server *server, struct weir_error *error);
void main__plane_release(struct main__server *server);

#endif
