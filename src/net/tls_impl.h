/* What tls.c and tls_filter.c share. */
#ifndef WEIR_NET_TLS_IMPL_H
#define WEIR_NET_TLS_IMPL_H

#include "net/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

/* OpenSSL's headers have parameters named `rand`, which the ban would refuse: files that include them are built with
 * WEIR_BASE_BANNED_H defined (meson.build), and the ban begins here. */
#undef WEIR_BASE_BANNED_H
#include "base/banned.h"

enum { NET_TLS_SESSIONS = 32, NET_TLS_NAME_SIZE = 256 };

struct net_tls_session {
    char name[NET_TLS_NAME_SIZE];
    SSL_SESSION *session;
    uint64_t used; /* for choosing whom to forget */
};

struct weir_tls {
    atomic_uint references; /* the maker's, and one of each stream: so a reload may free it at any time */
    SSL_CTX *context;
    BIO_METHOD *bio;
    bool is_client;
    bool verify;
    pthread_mutex_t lock; /* of what follows */
    uint64_t clock;
    struct net_tls_session sessions[NET_TLS_SESSIONS];
};

void net__tls_ref(struct weir_tls *tls);
void net__tls_unref(struct weir_tls *tls);
/* The last session with a server, referenced, or NULL. */
SSL_SESSION *net__tls_session_find(struct weir_tls *tls, const char *server_name);
/* Takes over the reference. */
void net__tls_session_keep(struct weir_tls *tls, const char *server_name, SSL_SESSION *session);
/* Of the filter whose SSL it is; NULL for servers. */
const char *net__tls_filter_server_name(const SSL *ssl);
/* The BIO over which filters and OpenSSL exchange bytes. */
BIO_METHOD *net__tls_bio_method_new(void);

#endif
