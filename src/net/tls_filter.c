/* TLS as a filter: bytes from below are lent to OpenSSL through a BIO of our own, what it makes is gathered and written
 * below in one piece.
 *
 * The buffers are the loop's, shared by all its TLS streams, as only one of them works at a time: a stream holds bytes of its
 * own only while its owner has stopped reading, or has written before the handshake was done. Small parts of one write go
 * into one record.
 *
 * An end without close_notify is a failure ("truncated"): an attacker can cut a connection, but not forge the notice.
 */
#include "net/tls_impl.h"

#include "net/impl.h"

enum {
    PLAIN_BYTES = 64 * 1024,
    RECORD_BYTES = 16 * 1024, /* the most that one record carries */
    CIPHER_BYTES = 128 * 1024
};

struct net_tls_scratch {
    char plain[PLAIN_BYTES];   /* read */
    char gather[RECORD_BYTES]; /* to write, not yet encrypted */
    char cipher[CIPHER_BYTES]; /* encrypted, not yet written below */
    size_t cipher_length;
};

enum lower_state { LOWER_OPEN, LOWER_ENDED, LOWER_FAILED };

struct tls_filter {
    struct weir_filter filter; /* first */
    struct weir_loop *loop;
    struct weir_tls *tls;
    SSL *ssl;
    struct weir_filter *lower; /* NULL once closed */
    struct weir_span input;    /* ciphertext that is lent to OpenSSL now */
    struct weir_buffer held;   /* ciphertext that came while nobody read */
    struct weir_buffer early;  /* plaintext written before the handshake was done */
    bool begun;                /* connected below */
    bool open;                 /* the handshake is done */
    bool reading;
    bool ended; /* close_notify came */
    bool failed;
    bool shutdown_wanted;
    enum lower_state lower_state;
    enum weir_status lower_status;
    char lower_detail[96];
    enum weir_status write_status; /* of the write below, kept for the caller of OpenSSL */
    struct weir_deferred work;     /* on with what is held */
    bool work_in_use;
    struct weir_deferred deferred_free;
    char server_name[NET_TLS_NAME_SIZE];
};

static struct tls_filter *tls_of(struct weir_filter *filter) {
    return (struct tls_filter *)(void *)filter;
}

void net__tls_scratch_free(struct net_tls_scratch **scratch) {
    if (*scratch != NULL) {
        weir_memory_wipe(*scratch, sizeof **scratch);
        weir_memory_free(*scratch);
        *scratch = NULL;
    }
}

/* --- the BIO --- */

static void flush(struct tls_filter *tls) {
    struct net_tls_scratch *scratch = tls->loop->tls_scratch;
    if (scratch->cipher_length == 0) {
        return;
    }
    struct weir_span bytes = weir_span_of(scratch->cipher, scratch->cipher_length);
    scratch->cipher_length = 0;
    if (tls->write_status == WEIR_OK) {
        tls->write_status = tls->lower->ops->write(tls->lower, &bytes, 1);
    }
}

static int bio_write(BIO *bio, const char *from, size_t size, size_t *written) {
    struct tls_filter *tls = BIO_get_data(bio);
    struct net_tls_scratch *scratch = tls->loop->tls_scratch;
    *written = size;
    while (size > 0) {
        if (scratch->cipher_length == CIPHER_BYTES) {
            flush(tls);
        }
        size_t room = CIPHER_BYTES - scratch->cipher_length;
        size_t taken = size < room ? size : room;
        memcpy(scratch->cipher + scratch->cipher_length, from, taken);
        scratch->cipher_length += taken;
        from += taken;
        size -= taken;
    }
    return 1;
}

static int bio_read(BIO *bio, char *to, size_t size, size_t *got) {
    struct tls_filter *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->input.length == 0) {
        BIO_set_retry_read(bio);
        *got = 0;
        return 0;
    }
    *got = size < tls->input.length ? size : tls->input.length;
    memcpy(to, tls->input.at, *got);
    tls->input = weir_span_from(tls->input, *got);
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *net__tls_bio_method_new(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "weir");
    if (method != NULL &&
        (BIO_meth_set_write_ex(method, bio_write) != 1 || BIO_meth_set_read_ex(method, bio_read) != 1 ||
         BIO_meth_set_ctrl(method, bio_control) != 1)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

/* --- up --- */

static size_t tls_pending_bytes(const struct weir_filter *filter) {
    const struct tls_filter *tls = (const struct tls_filter *)(const void *)filter;
    return tls->early.length + tls->lower->ops->pending_bytes(tls->lower);
}

static void fail(struct tls_filter *tls, enum weir_status status, const char *detail) {
    if (tls->failed || tls->lower == NULL) {
        return;
    }
    tls->failed = true;
    tls->lower->ops->read_stop(tls->lower);
    tls->filter.events->on_fail(tls->filter.upper, status, detail);
}

/* `code` is OpenSSL's. */
static void fail_with_code(struct tls_filter *tls, unsigned long code) {
    char detail[200];
    enum weir_status status = WEIR_EPROTO;
    long verified = SSL_get_verify_result(tls->ssl);
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    if (!tls->open && tls->tls->is_client && tls->tls->verify && verified != X509_V_OK) {
        status = WEIR_EDENIED;
        (void)snprintf(detail, sizeof detail, "the certificate of %.80s is not trusted: %s", tls->server_name,
                       X509_verify_cert_error_string(verified));
    } else {
        (void)snprintf(detail, sizeof detail, "%s: %s", tls->open ? "TLS failed" : "TLS handshake failed",
                       reason != NULL ? reason : "unknown reason");
    }
    ERR_clear_error();
    fail(tls, status, detail);
}

static enum weir_status write_plain(struct tls_filter *tls, const char *at, size_t length) {
    size_t written = 0;
    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, at, length, &written) != 1) {
        ERR_clear_error();
        return WEIR_ECLOSED;
    }
    return WEIR_OK;
}

static void send_close_notify(struct tls_filter *tls) {
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    flush(tls);
}

static void shut_down_now(struct tls_filter *tls) {
    send_close_notify(tls);
    tls->lower->ops->shutdown(tls->lower);
}

/* Goes on with the handshake; true when it is done and the stream still there. */
static bool shake_hands(struct tls_filter *tls) {
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    int error = SSL_get_error(tls->ssl, result);
    unsigned long code = ERR_peek_last_error();
    flush(tls); /* an alert, too */
    if (result != 1) {
        if (error != SSL_ERROR_WANT_READ) {
            fail_with_code(tls, code);
        }
        return false;
    }
    tls->open = true;
    bool had_early = tls->early.length > 0;
    if (had_early) {
        enum weir_status status = write_plain(tls, tls->early.at, tls->early.length);
        weir_buffer_release(&tls->early);
        flush(tls);
        if (status != WEIR_OK) {
            fail(tls, status, "TLS write failed");
            return false;
        }
    }
    if (tls->shutdown_wanted) {
        shut_down_now(tls);
    }
    if (!tls->reading) {
        tls->lower->ops->read_stop(tls->lower);
    }
    tls->filter.events->on_open(tls->filter.upper);
    if (had_early && tls->lower != NULL && !tls->failed && tls_pending_bytes(&tls->filter) == 0) {
        tls->filter.events->on_drain(tls->filter.upper);
    }
    return tls->lower != NULL && !tls->failed;
}

/* Decrypts what there is and hands it up, as much at once as the buffer holds. */
static void read_records(struct tls_filter *tls) {
    char *plain = tls->loop->tls_scratch->plain;
    for (;;) {
        size_t length = 0;
        int error = SSL_ERROR_NONE;
        unsigned long code = 0;
        while (error == SSL_ERROR_NONE && PLAIN_BYTES - length >= RECORD_BYTES) {
            size_t got = 0;
            ERR_clear_error();
            int result = SSL_read_ex(tls->ssl, plain + length, PLAIN_BYTES - length, &got);
            length += got;
            error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, result);
            code = ERR_peek_last_error();
        }
        flush(tls); /* an answer to a key update, an alert; before others use the buffer */
        if (length > 0) {
            tls->filter.events->on_data(tls->filter.upper, weir_span_of(plain, length));
            if (tls->lower == NULL || tls->failed) {
                return;
            }
        }
        if (error == SSL_ERROR_WANT_READ) {
            return;
        }
        if (error == SSL_ERROR_ZERO_RETURN) {
            tls->ended = true;
            tls->filter.events->on_end(tls->filter.upper);
            return;
        }
        if (error != SSL_ERROR_NONE) {
            fail_with_code(tls, code);
            return;
        }
        if (!tls->reading) {
            return;
        }
    }
}

/* Works on tls->input; what nobody wants yet is left in it. */
static void advance(struct tls_filter *tls) {
    if (tls->lower == NULL || tls->failed) {
        return;
    }
    if (!tls->open && !shake_hands(tls)) {
        return;
    }
    if (tls->reading && !tls->ended) {
        read_records(tls);
    }
}

static void tell_lower_state(struct tls_filter *tls) {
    if (tls->lower == NULL || tls->failed || tls->held.length > 0) {
        return; /* what came before it is to be read first */
    }
    if (tls->lower_state == LOWER_FAILED) {
        fail(tls, tls->lower_status, tls->lower_detail);
    } else if (tls->lower_state == LOWER_ENDED && !tls->ended) {
        fail(tls, WEIR_ECLOSED,
             tls->open ? "truncated: the peer closed without TLS close_notify"
                       : "the peer closed during the TLS handshake");
    }
}

static void hold(struct tls_filter *tls, struct weir_span bytes) {
    weir_buffer_append(&tls->held, bytes);
    if (weir_buffer_status(&tls->held) != WEIR_OK) {
        fail(tls, WEIR_ENOMEM, "no memory for bytes that wait to be read");
    }
}

static void lower_on_data(void *upper, struct weir_span data) {
    struct tls_filter *tls = upper;
    if (tls->held.length > 0) {
        hold(tls, data);
        return;
    }
    tls->input = data;
    advance(tls);
    if (tls->lower != NULL && !tls->failed && !tls->ended && tls->input.length > 0) {
        hold(tls, tls->input);
    }
    tls->input = weir_span_of("", 0);
}

static void work_on_held(void *argument) {
    struct tls_filter *tls = argument;
    tls->work_in_use = false;
    if (tls->held.length > 0) {
        struct weir_buffer held = weir_buffer_take(&tls->held);
        weir_buffer_init(&tls->held, NET_MAX_QUEUE_BYTES);
        tls->input = weir_buffer_span(&held);
        advance(tls);
        if (tls->lower != NULL && !tls->failed && !tls->ended && tls->input.length > 0) {
            hold(tls, tls->input);
        }
        tls->input = weir_span_of("", 0);
        weir_buffer_release(&held);
    }
    tell_lower_state(tls);
    if (tls->lower != NULL && !tls->failed && tls->reading && tls->held.length == 0) {
        tls->lower->ops->read_start(tls->lower);
    }
}

static void lower_on_end(void *upper) {
    struct tls_filter *tls = upper;
    tls->lower_state = LOWER_ENDED;
    tell_lower_state(tls);
}

static void lower_on_drain(void *upper) {
    struct tls_filter *tls = upper;
    if (tls->open && !tls->failed) {
        tls->filter.events->on_drain(tls->filter.upper);
    }
}

static void lower_on_fail(void *upper, enum weir_status status, const char *detail) {
    struct tls_filter *tls = upper;
    tls->lower_state = LOWER_FAILED;
    tls->lower_status = status;
    (void)snprintf(tls->lower_detail, sizeof tls->lower_detail, "%s%s", detail,
                   tls->open || !tls->begun ? "" : " during the TLS handshake");
    tell_lower_state(tls);
}

static void begin(void *argument) {
    struct tls_filter *tls = argument;
    tls->work_in_use = false;
    tls->begun = true;
    tls->lower->ops->read_start(tls->lower);
    advance(tls);
}

static void lower_on_open(void *upper) {
    begin(upper);
}

static const struct weir_filter_events lower_events = {
    .on_open = lower_on_open,
    .on_data = lower_on_data,
    .on_end = lower_on_end,
    .on_drain = lower_on_drain,
    .on_fail = lower_on_fail,
};

/* --- down --- */

static enum weir_status tls_write(struct weir_filter *filter, const struct weir_span *parts, size_t count) {
    struct tls_filter *tls = tls_of(filter);
    if (tls->failed || tls->shutdown_wanted || tls->lower_state == LOWER_FAILED) {
        return WEIR_ECLOSED;
    }
    if (!tls->open) {
        for (size_t i = 0; i < count; i++) {
            weir_buffer_append(&tls->early, parts[i]);
        }
        return weir_buffer_status(&tls->early) == WEIR_OK ? WEIR_OK : WEIR_ENOMEM;
    }
    char *gather = tls->loop->tls_scratch->gather;
    size_t gathered = 0;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        struct weir_span rest = parts[i];
        while (rest.length > 0 && status == WEIR_OK) {
            if (gathered == 0 && rest.length >= RECORD_BYTES) {
                status = write_plain(tls, rest.at, RECORD_BYTES);
                rest = weir_span_from(rest, RECORD_BYTES);
                continue;
            }
            size_t room = RECORD_BYTES - gathered;
            size_t taken = rest.length < room ? rest.length : room;
            memcpy(gather + gathered, rest.at, taken);
            gathered += taken;
            rest = weir_span_from(rest, taken);
            if (gathered == RECORD_BYTES) {
                status = write_plain(tls, gather, gathered);
                gathered = 0;
            }
        }
    }
    if (status == WEIR_OK && gathered > 0) {
        status = write_plain(tls, gather, gathered);
    }
    flush(tls);
    return status != WEIR_OK ? status : tls->write_status;
}

static void tls_read_start(struct weir_filter *filter) {
    struct tls_filter *tls = tls_of(filter);
    tls->reading = true;
    if (tls->held.length > 0 || tls->lower_state != LOWER_OPEN) {
        if (!tls->work_in_use && !tls->failed) {
            tls->work_in_use = true;
            weir_loop_defer(tls->loop, &tls->work, work_on_held, tls);
        }
    } else if (tls->open) {
        tls->lower->ops->read_start(tls->lower);
    }
}

static void tls_read_stop(struct weir_filter *filter) {
    struct tls_filter *tls = tls_of(filter);
    tls->reading = false;
    if (tls->open) {
        tls->lower->ops->read_stop(tls->lower);
    }
}

static void tls_shutdown(struct weir_filter *filter) {
    struct tls_filter *tls = tls_of(filter);
    if (tls->shutdown_wanted || tls->failed) {
        return;
    }
    tls->shutdown_wanted = true;
    if (tls->open) {
        shut_down_now(tls);
    }
}

static void tls_free(void *argument) {
    struct tls_filter *tls = argument;
    /* However it ended, the session may be resumed: OpenSSL forgets those that were not shut down. */
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl);
    net__tls_unref(tls->tls);
    weir_buffer_release(&tls->held);
    weir_buffer_release(&tls->early);
    weir_memory_free(tls);
}

static void tls_close(struct weir_filter *filter, bool reset) {
    struct tls_filter *tls = tls_of(filter);
    struct weir_filter *lower = tls->lower;
    /* Only where it goes out as a whole at once; a cut stream must not get a notice that it is complete. */
    if (!reset && tls->open && !tls->failed && !tls->shutdown_wanted && tls->lower_state != LOWER_FAILED &&
        lower->ops->pending_bytes(lower) == 0) {
        send_close_notify(tls);
    }
    tls->lower = NULL;
    if (tls->work_in_use) {
        weir_list_remove(&tls->work.link);
    }
    lower->ops->close(lower, reset);
    weir_loop_defer(tls->loop, &tls->deferred_free, tls_free, tls);
}

static const struct weir_filter_ops tls_ops = {
    .name = "tls",
    .write = tls_write,
    .read_start = tls_read_start,
    .read_stop = tls_read_stop,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .pending_bytes = tls_pending_bytes,
};

/* --- making --- */

const char *net__tls_filter_server_name(const SSL *ssl) {
    const struct tls_filter *tls = SSL_get_app_data(ssl);
    return tls != NULL && tls->server_name[0] != '\0' ? tls->server_name : NULL;
}

bool net__tls_filter_begun(const struct weir_filter *filter) {
    return ((const struct tls_filter *)(const void *)filter)->begun;
}

bool net__tls_filter_resumed(const struct weir_filter *filter) {
    const struct tls_filter *tls = (const struct tls_filter *)(const void *)filter;
    return SSL_session_reused(tls->ssl) == 1;
}

static bool prepare_client(struct tls_filter *tls, const char *server_name) {
    struct net_address address;
    if (weir_span_to_string(weir_span_of_string(server_name), tls->server_name, sizeof tls->server_name) != WEIR_OK) {
        return false;
    }
    SSL_set_connect_state(tls->ssl);
    X509_VERIFY_PARAM *rules = SSL_get0_param(tls->ssl);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (net__address_parse(server_name, 0, &address)) {
        if (X509_VERIFY_PARAM_set1_ip_asc(rules, server_name) != 1) {
            return false;
        }
    } else if (SSL_set_tlsext_host_name(tls->ssl, tls->server_name) != 1 || SSL_set1_host(tls->ssl, server_name) != 1) {
        return false;
    }
    SSL_SESSION *session = net__tls_session_find(tls->tls, server_name);
    if (session != NULL) {
        (void)SSL_set_session(tls->ssl, session);
        SSL_SESSION_free(session);
    }
    return true;
}

enum weir_status net__tls_filter_new(struct weir_loop *loop, struct weir_tls *context, const char *server_name,
                                     bool lower_is_open, struct weir_filter *lower, struct weir_filter **out) {
    if (loop->tls_scratch == NULL) {
        loop->tls_scratch = weir_memory_new(1, sizeof *loop->tls_scratch);
    }
    struct tls_filter *tls = weir_memory_new(1, sizeof *tls);
    SSL *ssl = SSL_new(context->context);
    BIO *bio = BIO_new(context->bio);
    if (loop->tls_scratch == NULL || tls == NULL || ssl == NULL || bio == NULL) {
        goto no_memory;
    }
    tls->filter.ops = &tls_ops;
    tls->loop = loop;
    tls->tls = context;
    tls->ssl = ssl;
    tls->lower = lower;
    tls->input = weir_span_of("", 0);
    weir_buffer_init(&tls->held, NET_MAX_QUEUE_BYTES);
    weir_buffer_init(&tls->early, NET_MAX_QUEUE_BYTES);
    (void)SSL_set_app_data(ssl, tls);
    if (context->is_client) {
        if (!prepare_client(tls, server_name)) {
            goto no_memory;
        }
    } else {
        SSL_set_accept_state(ssl);
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    net__tls_ref(context);
    lower->events = &lower_events;
    lower->upper = tls;
    if (lower_is_open) {
        tls->work_in_use = true;
        weir_loop_defer(loop, &tls->work, begin, tls);
    }
    *out = &tls->filter;
    return WEIR_OK;

no_memory:
    ERR_clear_error();
    BIO_free(bio);
    SSL_free(ssl);
    weir_memory_free(tls);
    lower->ops->close(lower, false);
    return WEIR_ENOMEM;
}
