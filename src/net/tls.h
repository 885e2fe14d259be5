/* TLS contexts (OpenSSL 3): 1.2 and up, server and client. One trust store is shared by all client contexts of a process
 * (loading it costs 20 ms). Contexts may be used by all threads. Streams hold on to their context: it may be freed any time. */
#ifndef WEIR_NET_TLS_H
#define WEIR_NET_TLS_H

#include "base/span.h"

struct weir_tls;
struct weir_tls_trust; /* a loaded certificate store */

/* The system's store, or the PEM file `ca_file` where not NULL. */
WEIR_MUST enum weir_status weir_tls_trust_new(const char *ca_file, struct weir_tls_trust **trust,
                                              struct weir_error *error);
void weir_tls_trust_free(struct weir_tls_trust **trust);
/* PEM files: the certificate with its chain, and the key. Session tickets and resumption on; ALPN http/1.1. */
WEIR_MUST enum weir_status weir_tls_server_new(const char *certificate_file, const char *key_file,
                                               struct weir_tls **tls, struct weir_error *error);
/* `verify` false is for tests and says so in the log of whoever asks for it. Sessions are kept for resumption. `trust`
 * is borrowed and must outlive the context. */
WEIR_MUST enum weir_status weir_tls_client_new(struct weir_tls_trust *trust, bool verify, struct weir_tls **tls,
                                               struct weir_error *error);
void weir_tls_free(struct weir_tls **tls);

#endif
