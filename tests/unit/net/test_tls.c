/* TLS, both ways, with certificates that are made here. */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#undef WEIR_BASE_BANNED_H /* OpenSSL's headers do not survive it */
#include "base/banned.h"

#include "support.h"

#include "net/pool.h"
#include "net/tls.h"

/* --- certificates --- */

struct identity {
    EVP_PKEY *key;
    X509 *certificate;
    char certificate_file[64];
    char key_file[64];
};

static void add_extension(X509 *certificate, int kind, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static FILE *temporary_file(char path[64]) {
    (void)snprintf(path, 64, "/tmp/weir_test_tls_XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    return fdopen(fd, "w");
}

/* Signed by `issuer`, or by itself (an authority) where NULL. `days` until it ends. */
static void identity_make(struct identity *identity, const struct identity *issuer, const char *names, long days) {
    identity->key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(identity->key);
    identity->certificate = certificate;
    (void)X509_set_version(certificate, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == NULL ? 1 : 2);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -100L * 86400);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400);
    (void)X509_set_pubkey(certificate, identity->key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    (void)X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                     (const unsigned char *)(issuer == NULL ? "Test CA" : "server"), -1, -1, 0);
    const struct identity *by = issuer != NULL ? issuer : identity;
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(by->certificate));
    if (issuer == NULL) {
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
    }
    if (names != NULL) {
        add_extension(certificate, NID_subject_alt_name, names);
    }
    assert_true(X509_sign(certificate, by->key, EVP_sha256()) > 0);
    FILE *file = temporary_file(identity->certificate_file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    (void)fclose(file);
    file = temporary_file(identity->key_file);
    assert_int_equal(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
}

static void identity_release(struct identity *identity) {
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    (void)unlink(identity->certificate_file);
    (void)unlink(identity->key_file);
}

/* --- the scene: a server on a listener, a client through a pool --- */

struct scene {
    struct fixture *fixture;
    struct identity authority;
    struct identity server;
    struct weir_tls *server_tls;
    struct weir_tls_trust *trust;
    struct weir_tls *client_tls;
    int fd;
    uint16_t port;
    struct weir_listener *listener;
    struct owner accepted; /* the latest */
    struct weir_resolver *resolver;
    struct weir_pool *pool;
};

static void on_accept(void *argument, struct weir_stream *stream) {
    struct owner *owner = argument;
    owner_release(owner);
    owner_init(owner);
    owner_take(owner, stream);
    owner->echo = true;
    weir_stream_read_start(stream);
}

static struct weir_pool *make_pool(struct scene *scene, const char *host, const char *server_name) {
    struct weir_pool *pool = NULL;
    struct weir_pool_settings settings = {.host = host,
                                          .port = scene->port,
                                          .tls = scene->client_tls,
                                          .server_name = server_name,
                                          .max_connections = 4,
                                          .max_waiting = 4,
                                          .idle_ms = 60000,
                                          .connect_timeout_ms = PATIENCE_MS};
    assert_int_equal(weir_pool_new(scene->fixture->loop, scene->resolver, &settings, &pool, NULL), WEIR_OK);
    return pool;
}

static void scene_open(struct scene *scene, void **state, long days, bool trusted, bool verify) {
    memset(scene, 0, sizeof *scene);
    scene->fixture = *state;
    struct weir_error error;
    identity_make(&scene->authority, NULL, NULL, 10);
    identity_make(&scene->server, &scene->authority, "DNS:localhost,DNS:api.test,IP:127.0.0.1", days);
    assert_int_equal(weir_tls_server_new(scene->server.certificate_file, scene->server.key_file, &scene->server_tls,
                                         &error),
                     WEIR_OK);
    assert_int_equal(weir_tls_trust_new(trusted ? scene->authority.certificate_file : NULL, &scene->trust, &error),
                     WEIR_OK);
    assert_int_equal(weir_tls_client_new(scene->trust, verify, &scene->client_tls, &error), WEIR_OK);
    assert_int_equal(weir_listen_socket("127.0.0.1:0", false, &scene->fd, &scene->port, NULL), WEIR_OK);
    owner_init(&scene->accepted);
    assert_int_equal(weir_listener_new(scene->fixture->loop, scene->fd, scene->server_tls, on_accept, &scene->accepted,
                                       &scene->listener, NULL),
                     WEIR_OK);
    assert_int_equal(weir_resolver_new(scene->fixture->loop, &scene->resolver, NULL), WEIR_OK);
    scene->pool = make_pool(scene, "127.0.0.1", "localhost");
}

static void scene_close(struct scene *scene) {
    weir_pool_free(&scene->pool);
    weir_resolver_free(&scene->resolver);
    weir_listener_free(&scene->listener);
    /* Before the streams: they hold on to it. */
    weir_tls_free(&scene->client_tls);
    weir_tls_free(&scene->server_tls);
    weir_tls_trust_free(&scene->trust);
    owner_release(&scene->accepted);
    identity_release(&scene->authority);
    identity_release(&scene->server);
    close(scene->fd);
}

struct asker {
    struct weir_pool_wait wait;
    struct owner owner;
    bool ready, failed;
    enum weir_reason reason;
    char detail[300];
};

static void asker_on_ready(void *argument, struct weir_stream *stream, bool reused) {
    struct asker *asker = argument;
    (void)reused;
    asker->ready = true;
    owner_take(&asker->owner, stream);
    weir_stream_read_start(stream);
}

static void asker_on_failed(void *argument, enum weir_reason reason, const char *detail) {
    struct asker *asker = argument;
    asker->failed = true;
    asker->reason = reason;
    (void)snprintf(asker->detail, sizeof asker->detail, "%s", detail);
}

static void ask(struct asker *asker, struct weir_pool *pool) {
    memset(asker, 0, sizeof *asker);
    owner_init(&asker->owner);
    asker->wait.owner = asker;
    asker->wait.on_ready = asker_on_ready;
    asker->wait.on_failed = asker_on_failed;
    weir_pool_acquire(pool, &asker->wait, true);
}

static void give_back(struct asker *asker, struct weir_pool *pool, bool reusable) {
    weir_pool_release(pool, &asker->owner.stream, reusable);
    weir_buffer_release(&asker->owner.received);
}

static void test_exchange(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    struct asker asker;
    ask(&asker, scene.pool);
    run_until(scene.fixture, &asker.ready);
    assert_true(weir_stream_is_tls(asker.owner.stream));
    struct weir_span parts[3] = {WEIR_SPAN("GET "), WEIR_SPAN(""), WEIR_SPAN("/ping")};
    assert_int_equal(weir_stream_write(asker.owner.stream, parts, 3), WEIR_OK);
    asker.owner.wanted = 9;
    run_until(scene.fixture, &asker.owner.got_wanted);
    assert_received(&asker.owner, "GET /ping");
    assert_received(&scene.accepted, "GET /ping");
    assert_true(weir_stream_is_tls(scene.accepted.stream));
    assert_int_equal(weir_stream_bytes_written(asker.owner.stream), 9);
    assert_int_equal(weir_stream_bytes_read(asker.owner.stream), 9);
    give_back(&asker, scene.pool, true);
    run_for_ms(scene.fixture, 10);
    assert_int_equal(weir_pool_idle(scene.pool), 1); /* session tickets do not count as unasked data */
    scene_close(&scene);
}

static void test_resumption(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    for (int i = 0; i < 3; i++) {
        struct asker asker;
        ask(&asker, scene.pool);
        run_until(scene.fixture, &asker.ready);
        assert_int_equal(write_text(asker.owner.stream, "x"), WEIR_OK);
        run_until(scene.fixture, &asker.owner.got_data);
        assert_int_equal(net__tls_filter_resumed(net__stream_top(asker.owner.stream)), i > 0);
        assert_int_equal(net__tls_filter_resumed(net__stream_top(scene.accepted.stream)), i > 0);
        give_back(&asker, scene.pool, false);
        run_turns(scene.fixture, 5);
    }
    /* Another name has no session here. */
    struct weir_pool *other = make_pool(&scene, "127.0.0.1", "api.test");
    struct asker asker;
    ask(&asker, other);
    run_until(scene.fixture, &asker.ready);
    assert_false(net__tls_filter_resumed(net__stream_top(asker.owner.stream)));
    give_back(&asker, other, false);
    weir_pool_free(&other);
    scene_close(&scene);
}

static void expect_refusal(struct scene *scene, const char *server_name, const char *words) {
    struct weir_pool *pool = make_pool(scene, "127.0.0.1", server_name);
    struct asker asker;
    ask(&asker, pool);
    run_until(scene->fixture, &asker.failed);
    assert_int_equal(asker.reason, WEIR_REASON_UPSTREAM_TLS_FAILED);
    if (strstr(asker.detail, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", asker.detail, words);
    }
    weir_pool_free(&pool);
}

static void test_verification(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, false, true);
    expect_refusal(&scene, "localhost", "unable to get local issuer certificate");
    scene_close(&scene);

    scene_open(&scene, state, 10, true, true);
    expect_refusal(&scene, "other.test", "hostname mismatch");
    expect_refusal(&scene, "127.0.0.9", "IP address mismatch");
    struct weir_pool *by_address = make_pool(&scene, "127.0.0.1", NULL);
    struct asker asker;
    ask(&asker, by_address);
    run_until(scene.fixture, &asker.ready);
    give_back(&asker, by_address, false);
    weir_pool_free(&by_address);
    scene_close(&scene);

    scene_open(&scene, state, -1, true, true);
    expect_refusal(&scene, "localhost", "certificate has expired");
    scene_close(&scene);

    scene_open(&scene, state, -1, false, false);
    ask(&asker, scene.pool);
    run_until(scene.fixture, &asker.ready); /* as it was told not to look */
    give_back(&asker, scene.pool, false);
    scene_close(&scene);
}

/* A server that speaks no TLS, and one that closes in the middle. */
static void test_no_tls_there(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    for (int way = 0; way < 2; way++) {
        uint16_t port = 0;
        int listening = peer_listen(4, &port);
        scene.port = port;
        struct weir_pool *pool = make_pool(&scene, "127.0.0.1", "localhost");
        struct asker asker;
        ask(&asker, pool);
        run_for_ms(scene.fixture, 10);
        int peer = accept(listening, NULL, NULL);
        if (way == 0) {
            assert_true(send(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0) > 0);
        } else {
            char hello[4096];
            assert_true(recv(peer, hello, sizeof hello, 0) > 0);
            close(peer);
            peer = -1;
        }
        run_until(scene.fixture, &asker.failed);
        assert_int_equal(asker.reason, WEIR_REASON_UPSTREAM_TLS_FAILED);
        assert_non_null(strstr(asker.detail, way == 0 ? "handshake failed" : "closed during the TLS handshake"));
        weir_pool_free(&pool);
        if (peer >= 0) {
            close(peer);
        }
        close(listening);
    }
    scene_close(&scene);
}

/* --- a client made of OpenSSL alone, on a blocking socket that waits for nothing long --- */

struct client {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
};

static void client_open(struct client *client, uint16_t port, int max_version) {
    client->fd = peer_connect(port);
    assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
    client->context = SSL_CTX_new(TLS_client_method());
    if (max_version != 0) {
        (void)SSL_CTX_set_min_proto_version(client->context, 0);
        (void)SSL_CTX_set_max_proto_version(client->context, max_version);
        SSL_CTX_set_security_level(client->context, 0);
    }
    client->ssl = SSL_new(client->context);
    (void)SSL_set_fd(client->ssl, client->fd);
}

/* Until it is done; SSL_get_error's value where it fails. */
static int client_connect(struct client *client, struct fixture *fixture) {
    for (int i = 0; i < 1000; i++) {
        int result = SSL_connect(client->ssl);
        if (result == 1) {
            return SSL_ERROR_NONE;
        }
        int error = SSL_get_error(client->ssl, result);
        if (error != SSL_ERROR_WANT_READ) {
            return error;
        }
        run_for_ms(fixture, 1);
    }
    return SSL_ERROR_WANT_READ;
}

static int client_read(struct client *client, struct fixture *fixture, char *to, int size, int *error) {
    for (int i = 0; i < 1000; i++) {
        int got = SSL_read(client->ssl, to, size);
        *error = got > 0 ? SSL_ERROR_NONE : SSL_get_error(client->ssl, got);
        if (*error != SSL_ERROR_WANT_READ) {
            return got;
        }
        run_for_ms(fixture, 1);
    }
    return -1;
}

static void client_close(struct client *client) {
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    if (client->fd >= 0) {
        close(client->fd);
    }
}

static void test_versions(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    const int versions[] = {TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 3; i++) {
        struct client client;
        client_open(&client, scene.port, versions[i]);
        int error = client_connect(&client, scene.fixture);
        if (i == 0) {
            assert_int_not_equal(error, SSL_ERROR_NONE);
        } else {
            assert_int_equal(error, SSL_ERROR_NONE);
            assert_int_equal(SSL_version(client.ssl), versions[i]);
            assert_int_equal(SSL_write(client.ssl, "hello", 5), 5);
            char got[16];
            assert_int_equal(client_read(&client, scene.fixture, got, sizeof got, &error), 5);
        }
        client_close(&client);
        run_turns(scene.fixture, 3);
    }
    scene_close(&scene);
}

static void test_protocol_negotiation(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    struct client client;
    client_open(&client, scene.port, 0);
    static const unsigned char both[] = "\x02h2\x08http/1.1";
    assert_int_equal(SSL_set_alpn_protos(client.ssl, both, sizeof both - 1), 0);
    assert_int_equal(client_connect(&client, scene.fixture), SSL_ERROR_NONE);
    const unsigned char *chosen = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(client.ssl, &chosen, &length);
    assert_int_equal(length, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    client_close(&client);
    client_open(&client, scene.port, 0);
    static const unsigned char unknown[] = "\x02h2";
    assert_int_equal(SSL_set_alpn_protos(client.ssl, unknown, sizeof unknown - 1), 0);
    assert_int_not_equal(client_connect(&client, scene.fixture), SSL_ERROR_NONE);
    client_close(&client);
    scene_close(&scene);
}

/* Our close says goodbye; theirs too is an end, and we may go on writing. */
static void test_close_notify(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    struct client client;
    client_open(&client, scene.port, 0);
    assert_int_equal(client_connect(&client, scene.fixture), SSL_ERROR_NONE);
    run_until(scene.fixture, &scene.accepted.accepted);
    (void)SSL_shutdown(client.ssl);
    run_until(scene.fixture, &scene.accepted.ended);
    assert_int_equal(write_text(scene.accepted.stream, "after"), WEIR_OK);
    weir_stream_close(&scene.accepted.stream);
    run_turns(scene.fixture, 3);
    char got[16];
    int error = 0;
    assert_int_equal(client_read(&client, scene.fixture, got, sizeof got, &error), 5);
    assert_memory_equal(got, "after", 5);
    assert_int_equal(client_read(&client, scene.fixture, got, sizeof got, &error), 0);
    assert_int_equal(error, SSL_ERROR_ZERO_RETURN);
    client_close(&client);
    scene_close(&scene);
}

/* An end without a goodbye is no end. */
static void test_truncation(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    struct client client;
    client_open(&client, scene.port, 0);
    assert_int_equal(client_connect(&client, scene.fixture), SSL_ERROR_NONE);
    run_until(scene.fixture, &scene.accepted.accepted);
    assert_int_equal(SSL_write(client.ssl, "part", 4), 4);
    assert_int_equal(shutdown(client.fd, SHUT_WR), 0);
    run_until(scene.fixture, &scene.accepted.failed);
    assert_received(&scene.accepted, "part");
    assert_int_equal(scene.accepted.ends, 0);
    assert_int_equal(scene.accepted.status, WEIR_ECLOSED);
    assert_non_null(strstr(scene.accepted.detail, "truncated"));
    client_close(&client);
    scene_close(&scene);
}

/* Records that do not decrypt. */
static void test_garbage(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    struct client client;
    client_open(&client, scene.port, 0);
    assert_int_equal(client_connect(&client, scene.fixture), SSL_ERROR_NONE);
    run_until(scene.fixture, &scene.accepted.accepted);
    static const char forged[] = "\x17\x03\x03\x00\x20 this is no ciphertext at all!!!";
    assert_true(send(client.fd, forged, 37, 0) == 37);
    run_until(scene.fixture, &scene.accepted.failed);
    assert_int_equal(scene.accepted.status, WEIR_EPROTO);
    client_close(&client);
    scene_close(&scene);
}

/* Copies what there is from one socket to the other, a byte or all at a time. */
static void copy(int from, int to, bool bytewise, struct fixture *fixture) {
    char bytes[65536];
    ssize_t got = recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
    for (ssize_t i = 0; i < got; i += bytewise ? 1 : got) {
        assert_true(send(to, bytes + i, bytewise ? 1 : (size_t)got, MSG_NOSIGNAL) > 0);
        run_turns(fixture, 2);
    }
}

/* Between client and server every byte comes alone, in both directions. */
static void test_bytewise(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    uint16_t port = 0;
    int listening = peer_listen(4, &port);
    int to_server = peer_connect(scene.port);
    scene.port = port;
    struct weir_pool *pool = make_pool(&scene, "127.0.0.1", "localhost");
    struct asker asker;
    ask(&asker, pool);
    run_for_ms(scene.fixture, 10);
    int to_client = accept(listening, NULL, NULL);
    assert_true(to_client >= 0);
    int on = 1;
    (void)setsockopt(to_client, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, sizeof on);
    (void)setsockopt(to_server, IPPROTO_TCP, 1, &on, sizeof on);
    bool written = false;
    asker.owner.wanted = 300;
    for (int i = 0; i < 2000 && !asker.owner.got_wanted; i++) {
        copy(to_client, to_server, true, scene.fixture);
        copy(to_server, to_client, true, scene.fixture);
        run_turns(scene.fixture, 2);
        assert_false(asker.failed);
        if (asker.ready && !written) {
            char text[301];
            memset(text, 'w', 300);
            text[300] = '\0';
            assert_int_equal(write_text(asker.owner.stream, text), WEIR_OK);
            asker.owner.wanted = 300;
            written = true;
        }
    }
    assert_int_equal(asker.owner.received.length, 300);
    assert_int_equal(scene.accepted.received.length, 300);
    give_back(&asker, pool, false);
    weir_pool_free(&pool);
    close(to_client);
    close(to_server);
    close(listening);
    scene_close(&scene);
}

static unsigned char pattern(size_t at) {
    return (unsigned char)(at * 7 + (at >> 13));
}

/* Many records both ways with a reader that stops after each piece: nothing lost, nothing held that it did not stop. */
static void test_large_with_stops(void **state) {
    enum { TOTAL = 12 * 1024 * 1024 };
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    struct asker asker;
    ask(&asker, scene.pool);
    run_until(scene.fixture, &asker.ready);
    run_until(scene.fixture, &scene.accepted.accepted);
    scene.accepted.echo = false;
    scene.accepted.stop_on_data = true;
    char *bytes = test_malloc(TOTAL);
    for (size_t i = 0; i < TOTAL; i++) {
        bytes[i] = (char)pattern(i);
    }
    struct weir_span parts[4] = {weir_span_of(bytes, 10), weir_span_of(bytes + 10, 16000),
                                 weir_span_of(bytes + 16010, 999), weir_span_of(bytes + 17009, TOTAL - 17009)};
    assert_int_equal(weir_stream_write(asker.owner.stream, parts, 4), WEIR_OK);
    assert_true(weir_stream_pending_bytes(asker.owner.stream) > 0);
    weir_stream_shutdown(asker.owner.stream);
    weir_timer_start(scene.fixture->loop, &scene.fixture->guard, 20000, on_guard, scene.fixture);
    while (!scene.accepted.ended && !scene.accepted.failed && !scene.fixture->expired) {
        (void)weir_loop_run_once(scene.fixture->loop);
        if (scene.accepted.got_data && scene.accepted.stream != NULL) {
            size_t before = scene.accepted.received.length;
            run_turns(scene.fixture, 2);
            assert_int_equal(scene.accepted.received.length, before);
            scene.accepted.got_data = false;
            weir_stream_read_start(scene.accepted.stream);
        }
    }
    weir_timer_stop(&scene.fixture->guard);
    assert_false(scene.accepted.failed);
    assert_int_equal(scene.accepted.received.length, TOTAL);
    assert_memory_equal(scene.accepted.received.at, bytes, TOTAL);
    assert_true(asker.owner.drained);
    test_free(bytes);
    give_back(&asker, scene.pool, false);
    scene_close(&scene);
}

/* The server writes before the handshake is done, and ends its side. */
static void test_early_write(void **state) {
    struct scene scene;
    scene_open(&scene, state, 10, true, true);
    struct client client;
    client_open(&client, scene.port, 0);
    run_until(scene.fixture, &scene.accepted.accepted);
    assert_int_equal(write_text(scene.accepted.stream, "banner"), WEIR_OK);
    assert_int_equal(weir_stream_pending_bytes(scene.accepted.stream), 6);
    weir_stream_close_gently(&scene.accepted.stream, 3000);
    assert_int_equal(client_connect(&client, scene.fixture), SSL_ERROR_NONE);
    char got[16];
    int error = 0;
    assert_int_equal(client_read(&client, scene.fixture, got, sizeof got, &error), 6);
    assert_int_equal(client_read(&client, scene.fixture, got, sizeof got, &error), 0);
    assert_int_equal(error, SSL_ERROR_ZERO_RETURN);
    client_close(&client);
    run_for_ms(scene.fixture, 10);
    scene_close(&scene);
}

static void test_bad_files(void **state) {
    (void)state;
    struct identity one;
    struct identity two;
    identity_make(&one, NULL, NULL, 10);
    identity_make(&two, NULL, NULL, 10);
    struct weir_tls *tls = NULL;
    struct weir_tls_trust *trust = NULL;
    struct weir_error error;
    assert_int_equal(weir_tls_server_new("/nonexistent", one.key_file, &tls, &error), WEIR_EINVAL);
    assert_non_null(strstr(error.text, "/nonexistent"));
    assert_int_equal(weir_tls_server_new(one.certificate_file, "/nonexistent", &tls, &error), WEIR_EINVAL);
    assert_int_equal(weir_tls_server_new(one.certificate_file, two.key_file, &tls, &error), WEIR_EINVAL);
    assert_non_null(strstr(error.text, two.key_file));
    assert_int_equal(weir_tls_trust_new("/nonexistent", &trust, &error), WEIR_EINVAL);
    assert_int_equal(weir_tls_trust_new(one.key_file, &trust, &error), WEIR_EINVAL);
    assert_null(tls);
    assert_null(trust);
    weir_tls_free(&tls);
    weir_tls_trust_free(&trust);
    identity_release(&one);
    identity_release(&two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exchange, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resumption, setup, teardown),
        cmocka_unit_test_setup_teardown(test_verification, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_tls_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_versions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_protocol_negotiation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_notify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytewise, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_with_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_early_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
