/* TLS contexts: what all connections of one kind share. After creation only the client's table of sessions changes, under a
 * lock. The server keeps no sessions: tickets carry them, under keys that live as long as the context.
 */
#include "net/tls_impl.h"

#include "base/memory.h"

struct weir_tls_trust {
    X509_STORE *store;
};

/* The newest entry of OpenSSL's queue as text; empties the queue. */
static const char *openssl_reason(void) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason != NULL ? reason : "unknown reason";
}

enum weir_status weir_tls_trust_new(const char *ca_file, struct weir_tls_trust **out, struct weir_error *error) {
    struct weir_tls_trust *trust = weir_memory_new(1, sizeof *trust);
    X509_STORE *store = X509_STORE_new();
    if (trust == NULL || store == NULL) {
        weir_memory_free(trust);
        X509_STORE_free(store);
        return weir_fail(error, WEIR_ENOMEM, "no memory for a certificate store");
    }
    ERR_clear_error();
    int loaded = ca_file != NULL ? X509_STORE_load_file(store, ca_file) : X509_STORE_set_default_paths(store);
    if (loaded != 1) {
        X509_STORE_free(store);
        weir_memory_free(trust);
        return weir_fail(error, WEIR_EINVAL, "cannot read certificates from %.200s: %s",
                         ca_file != NULL ? ca_file : "the system's store", openssl_reason());
    }
    trust->store = store;
    *out = trust;
    return WEIR_OK;
}

void weir_tls_trust_free(struct weir_tls_trust **trust) {
    if (*trust != NULL) {
        X509_STORE_free((*trust)->store);
        weir_memory_free(*trust);
        *trust = NULL;
    }
}

void net__tls_ref(struct weir_tls *tls) {
    atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
}

void net__tls_unref(struct weir_tls *tls) {
    if (atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (size_t i = 0; i < NET_TLS_SESSIONS; i++) {
        SSL_SESSION_free(tls->sessions[i].session);
    }
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->bio);
    (void)pthread_mutex_destroy(&tls->lock);
    weir_memory_free(tls);
}

void weir_tls_free(struct weir_tls **tls) {
    if (*tls != NULL) {
        net__tls_unref(*tls);
        *tls = NULL;
    }
}

/* NULL: no memory. */
static struct weir_tls *tls_new(const SSL_METHOD *method, bool is_client) {
    ERR_clear_error();
    struct weir_tls *tls = weir_memory_new(1, sizeof *tls);
    SSL_CTX *context = SSL_CTX_new(method);
    BIO_METHOD *bio = net__tls_bio_method_new();
    if (tls == NULL || context == NULL || bio == NULL || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
        weir_memory_free(tls);
        SSL_CTX_free(context);
        BIO_meth_free(bio);
        return NULL;
    }
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_app_data(context, tls);
    atomic_init(&tls->references, 1);
    tls->context = context;
    tls->bio = bio;
    tls->is_client = is_client;
    (void)pthread_mutex_init(&tls->lock, NULL);
    return tls;
}

/* "http/1.1" as ALPN wants it: with its length before it. */
static const unsigned char alpn_http1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

static int choose_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length,
                           const unsigned char *offered, unsigned offered_length, void *argument) {
    (void)ssl;
    (void)argument;
    for (unsigned at = 0; at < offered_length; at += 1U + offered[at]) {
        if (offered[at] == alpn_http1[0] && offered_length - at > alpn_http1[0] &&
            memcmp(offered + at, alpn_http1, sizeof alpn_http1) == 0) {
            *chosen = offered + at + 1;
            *chosen_length = alpn_http1[0];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, section 3.2 */
}

enum weir_status weir_tls_server_new(const char *certificate_file, const char *key_file, struct weir_tls **out,
                                     struct weir_error *error) {
    struct weir_tls *tls = tls_new(TLS_server_method(), false);
    if (tls == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "cannot make a TLS context: %s", openssl_reason());
    }
    enum weir_status status = WEIR_OK;
    if (SSL_CTX_use_certificate_chain_file(tls->context, certificate_file) != 1) {
        status = weir_fail(error, WEIR_EINVAL, "cannot read the certificate %.200s: %s", certificate_file,
                           openssl_reason());
    } else if (SSL_CTX_use_PrivateKey_file(tls->context, key_file, SSL_FILETYPE_PEM) != 1) {
        status = weir_fail(error, WEIR_EINVAL, "cannot use the key %.200s: %s", key_file, openssl_reason());
    } else if (SSL_CTX_check_private_key(tls->context) != 1) {
        status = weir_fail(error, WEIR_EINVAL, "the key %.150s does not belong to the certificate %.150s: %s", key_file,
                           certificate_file, openssl_reason());
    }
    if (status != WEIR_OK) {
        net__tls_unref(tls);
        return status;
    }
    static const unsigned char session_context[] = "weir";
    (void)SSL_CTX_set_session_id_context(tls->context, session_context, sizeof session_context - 1);
    (void)SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(tls->context, 1);
    SSL_CTX_set_alpn_select_cb(tls->context, choose_protocol, NULL);
    *out = tls;
    return WEIR_OK;
}

/* OpenSSL: 1 means that the reference is ours now. */
static int on_new_session(SSL *ssl, SSL_SESSION *session) {
    const char *server_name = net__tls_filter_server_name(ssl);
    if (server_name == NULL || SSL_SESSION_is_resumable(session) != 1) {
        return 0;
    }
    net__tls_session_keep(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)), server_name, session);
    return 1;
}

enum weir_status weir_tls_client_new(struct weir_tls_trust *trust, bool verify, struct weir_tls **out,
                                     struct weir_error *error) {
    struct weir_tls *tls = tls_new(TLS_client_method(), true);
    if (tls == NULL) {
        return weir_fail(error, WEIR_ENOMEM, "cannot make a TLS context: %s", openssl_reason());
    }
    tls->verify = verify;
    if (trust != NULL) {
        SSL_CTX_set1_cert_store(tls->context, trust->store);
    }
    SSL_CTX_set_verify(tls->context, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (SSL_CTX_set_alpn_protos(tls->context, alpn_http1, sizeof alpn_http1) != 0) {
        net__tls_unref(tls);
        return weir_fail(error, WEIR_ENOMEM, "cannot make a TLS context: %s", openssl_reason());
    }
    (void)SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(tls->context, on_new_session);
    *out = tls;
    return WEIR_OK;
}

SSL_SESSION *net__tls_session_find(struct weir_tls *tls, const char *server_name) {
    SSL_SESSION *session = NULL;
    (void)pthread_mutex_lock(&tls->lock);
    for (size_t i = 0; i < NET_TLS_SESSIONS; i++) {
        struct net_tls_session *kept = &tls->sessions[i];
        if (kept->session != NULL && strcmp(kept->name, server_name) == 0) {
            kept->used = ++tls->clock;
            if (SSL_SESSION_is_resumable(kept->session) == 1 && SSL_SESSION_up_ref(kept->session) == 1) {
                session = kept->session;
            }
            break;
        }
    }
    (void)pthread_mutex_unlock(&tls->lock);
    return session;
}

void net__tls_session_keep(struct weir_tls *tls, const char *server_name, SSL_SESSION *session) {
    SSL_SESSION *forgotten = session;
    (void)pthread_mutex_lock(&tls->lock);
    struct net_tls_session *place = &tls->sessions[0];
    for (size_t i = 0; i < NET_TLS_SESSIONS; i++) {
        struct net_tls_session *kept = &tls->sessions[i];
        if (kept->session != NULL && strcmp(kept->name, server_name) == 0) {
            place = kept;
            break;
        }
        if (kept->used < place->used) {
            place = kept;
        }
    }
    if (weir_span_to_string(weir_span_of_string(server_name), place->name, sizeof place->name) == WEIR_OK) {
        forgotten = place->session;
        place->session = session;
        place->used = ++tls->clock;
    }
    (void)pthread_mutex_unlock(&tls->lock);
    SSL_SESSION_free(forgotten);
}
