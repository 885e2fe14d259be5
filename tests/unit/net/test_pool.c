/* Pools of upstream connections. */
#include "support.h"

#include "base/clock.h"
#include "net/pool.h"
#include "net/resolver.h"

enum { MAX_SERVED = 16 };

struct server {
    int fd;
    uint16_t port;
    struct weir_listener *listener;
    struct owner owners[MAX_SERVED];
    size_t count;
};

static void server_on_accept(void *argument, struct weir_stream *stream) {
    struct server *server = argument;
    assert_true(server->count < MAX_SERVED);
    struct owner *owner = &server->owners[server->count++];
    owner_init(owner);
    owner_take(owner, stream);
    owner->echo = true;
    weir_stream_read_start(stream);
}

struct scene {
    struct fixture *fixture;
    struct server server;
    struct weir_resolver *resolver;
    struct weir_pool *pool;
};

static struct weir_pool *make_pool(struct scene *scene, const char *host, uint16_t port, size_t max_connections,
                                   size_t max_waiting) {
    struct weir_pool *pool = NULL;
    struct weir_pool_settings settings = {.host = host,
                                          .port = port,
                                          .max_connections = max_connections,
                                          .max_waiting = max_waiting,
                                          .idle_ms = 60000,
                                          .connect_timeout_ms = PATIENCE_MS};
    assert_int_equal(weir_pool_new(scene->fixture->loop, scene->resolver, &settings, &pool, NULL), WEIR_OK);
    return pool;
}

static void scene_open(struct scene *scene, void **state, size_t max_connections, size_t max_waiting) {
    memset(scene, 0, sizeof *scene);
    scene->fixture = *state;
    assert_int_equal(weir_listen_socket("127.0.0.1:0", false, &scene->server.fd, &scene->server.port, NULL), WEIR_OK);
    assert_int_equal(weir_listener_new(scene->fixture->loop, scene->server.fd, NULL, server_on_accept, &scene->server,
                                       &scene->server.listener, NULL),
                     WEIR_OK);
    assert_int_equal(weir_resolver_new(scene->fixture->loop, &scene->resolver, NULL), WEIR_OK);
    scene->pool = make_pool(scene, "127.0.0.1", scene->server.port, max_connections, max_waiting);
}

static void scene_close(struct scene *scene) {
    weir_pool_free(&scene->pool);
    weir_resolver_free(&scene->resolver);
    weir_listener_free(&scene->server.listener);
    for (size_t i = 0; i < scene->server.count; i++) {
        owner_release(&scene->server.owners[i]);
    }
    close(scene->server.fd);
}

/* Who asks for a connection. */
struct asker {
    struct weir_pool_wait wait;
    struct owner owner;
    bool ready, failed, told;
    bool reused;
    enum weir_reason reason;
    char detail[300];
    int calls;
    struct asker *cancels; /* from its callback */
};

static void asker_on_ready(void *argument, struct weir_stream *stream, bool reused) {
    struct asker *asker = argument;
    asker->ready = asker->told = true;
    asker->calls++;
    asker->reused = reused;
    owner_take(&asker->owner, stream);
    weir_stream_read_start(stream);
    if (asker->cancels != NULL) {
        weir_pool_cancel(&asker->cancels->wait);
    }
}

static void asker_on_failed(void *argument, enum weir_reason reason, const char *detail) {
    struct asker *asker = argument;
    asker->failed = asker->told = true;
    asker->calls++;
    asker->reason = reason;
    (void)snprintf(asker->detail, sizeof asker->detail, "%s", detail);
    if (asker->cancels != NULL) {
        weir_pool_cancel(&asker->cancels->wait);
    }
}

static void ask(struct asker *asker, struct weir_pool *pool, bool fresh) {
    memset(asker, 0, sizeof *asker);
    owner_init(&asker->owner);
    asker->wait.owner = asker;
    asker->wait.on_ready = asker_on_ready;
    asker->wait.on_failed = asker_on_failed;
    weir_pool_acquire(pool, &asker->wait, fresh);
}

static void give_back(struct asker *asker, struct weir_pool *pool, bool reusable) {
    weir_pool_release(pool, &asker->owner.stream, reusable);
    assert_null(asker->owner.stream);
    weir_buffer_release(&asker->owner.received);
}

static void exchange(struct scene *scene, struct asker *asker) {
    assert_int_equal(write_text(asker->owner.stream, "ping"), WEIR_OK);
    run_until(scene->fixture, &asker->owner.got_data);
    assert_received(&asker->owner, "ping");
}

static void test_connect_and_reuse(void **state) {
    struct scene scene;
    scene_open(&scene, state, 4, 4);
    struct asker first;
    ask(&first, scene.pool, false);
    assert_false(first.told);
    run_until(scene.fixture, &first.ready);
    assert_false(first.reused);
    assert_string_equal(weir_stream_peer_address(first.owner.stream), "127.0.0.1");
    exchange(&scene, &first);
    give_back(&first, scene.pool, true);
    assert_int_equal(weir_pool_connections(scene.pool), 1);
    assert_int_equal(weir_pool_idle(scene.pool), 1);
    struct asker second;
    ask(&second, scene.pool, false);
    assert_true(second.ready); /* at once */
    assert_true(second.reused);
    exchange(&scene, &second);
    struct asker third;
    ask(&third, scene.pool, false);
    run_until(scene.fixture, &third.ready);
    assert_false(third.reused);
    struct weir_stream *last = third.owner.stream;
    give_back(&second, scene.pool, true);
    give_back(&third, scene.pool, true);
    struct asker fourth;
    ask(&fourth, scene.pool, false);
    assert_ptr_equal(fourth.owner.stream, last); /* the youngest first */
    struct asker fifth;
    ask(&fifth, scene.pool, true);
    assert_false(fifth.told); /* insists on a new one, though one is idle */
    run_until(scene.fixture, &fifth.ready);
    assert_false(fifth.reused);
    give_back(&fourth, scene.pool, false);
    give_back(&fifth, scene.pool, true);
    assert_int_equal(weir_pool_connections(scene.pool), 2);
    assert_int_equal(scene.server.count, 3);
    scene_close(&scene);
}

static void test_limit_and_waiting(void **state) {
    struct scene scene;
    scene_open(&scene, state, 2, 2);
    struct asker askers[5];
    for (size_t i = 0; i < 5; i++) {
        ask(&askers[i], scene.pool, false);
    }
    assert_false(askers[4].told); /* never from within acquire */
    run_until(scene.fixture, &askers[4].failed);
    assert_int_equal(askers[4].reason, WEIR_REASON_OVERLOADED);
    run_until(scene.fixture, &askers[1].ready);
    assert_true(askers[0].ready);
    assert_int_equal(weir_pool_connections(scene.pool), 2);
    run_for_ms(scene.fixture, 10);
    assert_false(askers[2].told);
    give_back(&askers[1], scene.pool, true);
    run_until(scene.fixture, &askers[2].ready);
    assert_true(askers[2].reused);
    assert_false(askers[3].told);
    give_back(&askers[0], scene.pool, false); /* not for reuse: a new one is made */
    run_until(scene.fixture, &askers[3].ready);
    assert_false(askers[3].reused);
    give_back(&askers[2], scene.pool, true);
    give_back(&askers[3], scene.pool, true);
    assert_int_equal(weir_pool_idle(scene.pool), 2);
    /* All idle, one insists on a new one: an idle one makes room. */
    struct asker fresh;
    ask(&fresh, scene.pool, true);
    run_until(scene.fixture, &fresh.ready);
    assert_false(fresh.reused);
    assert_int_equal(weir_pool_connections(scene.pool), 2);
    give_back(&fresh, scene.pool, true);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(askers[i].calls, 1);
    }
    scene_close(&scene);
}

static void cancel_fresh(void *argument) {
    weir_pool_cancel(&((struct asker *)argument)->wait);
}

static void test_cancel(void **state) {
    struct scene scene;
    scene_open(&scene, state, 1, 4);
    struct weir_pool_wait zeroed = {0};
    weir_pool_cancel(&zeroed);
    struct asker askers[3];
    for (size_t i = 0; i < 3; i++) {
        ask(&askers[i], scene.pool, false);
    }
    weir_pool_cancel(&askers[0].wait);
    weir_pool_cancel(&askers[0].wait);
    askers[1].cancels = &askers[2];
    run_until(scene.fixture, &askers[1].ready);
    give_back(&askers[1], scene.pool, true);
    run_for_ms(scene.fixture, 10);
    assert_false(askers[0].told);
    assert_false(askers[2].told);
    assert_int_equal(weir_pool_idle(scene.pool), 1);
    /* Cancelled while its connection is being made: the connection is kept. */
    struct asker fresh;
    ask(&fresh, scene.pool, true);
    struct weir_deferred deferred; /* runs after the pool's own, which begins to connect */
    weir_loop_defer(scene.fixture->loop, &deferred, cancel_fresh, &fresh);
    run_for_ms(scene.fixture, 20);
    assert_false(fresh.told);
    assert_int_equal(weir_pool_idle(scene.pool), 1);
    scene_close(&scene);
}

static void test_idle_expiry(void **state) {
    enum { IDLE_MS = 300 };
    struct scene scene;
    scene_open(&scene, state, 4, 4);
    weir_pool_free(&scene.pool);
    struct weir_pool_settings settings = {.host = "127.0.0.1",
                                          .port = scene.server.port,
                                          .max_connections = 4,
                                          .idle_ms = IDLE_MS,
                                          .connect_timeout_ms = PATIENCE_MS};
    assert_int_equal(weir_pool_new(scene.fixture->loop, scene.resolver, &settings, &scene.pool, NULL), WEIR_OK);
    struct asker first;
    struct asker second;
    ask(&first, scene.pool, false);
    ask(&second, scene.pool, false);
    run_until(scene.fixture, &first.ready);
    run_until(scene.fixture, &second.ready);
    int64_t start_ns = weir_clock_monotonic_ns();
    give_back(&first, scene.pool, true);
    run_for_ms(scene.fixture, 100);
    give_back(&second, scene.pool, true);
    size_t idle = weir_pool_idle(scene.pool);
    /* A machine that was busy elsewhere for so long has seen the first one out already. */
    assert_true(idle == 2 || weir_clock_monotonic_ns() - start_ns >= (int64_t)IDLE_MS * 1000000);
    run_until(scene.fixture, &scene.server.owners[0].ended);
    assert_true(weir_pool_idle(scene.pool) <= 1);
    run_until(scene.fixture, &scene.server.owners[1].ended);
    assert_true(weir_clock_monotonic_ns() - start_ns >= (int64_t)(IDLE_MS + 100) * 1000000);
    assert_int_equal(weir_pool_connections(scene.pool), 0);
    scene_close(&scene);
}

/* What the peer does to an idle connection takes it out of the pool: its end, a reset, bytes that nobody asked for. */
static void test_peer_ends_idle(void **state) {
    for (int way = 0; way < 3; way++) {
        struct scene scene;
        scene_open(&scene, state, 4, 4);
        struct asker asker;
        ask(&asker, scene.pool, false);
        run_until(scene.fixture, &asker.ready);
        exchange(&scene, &asker);
        give_back(&asker, scene.pool, true);
        struct owner *peer = &scene.server.owners[0];
        if (way == 0) {
            weir_stream_close(&peer->stream);
        } else if (way == 1) {
            weir_stream_reset(&peer->stream);
        } else {
            assert_int_equal(write_text(peer->stream, "408"), WEIR_OK);
        }
        run_for_ms(scene.fixture, 10);
        assert_int_equal(weir_pool_connections(scene.pool), 0);
        ask(&asker, scene.pool, false);
        assert_false(asker.told);
        run_until(scene.fixture, &asker.ready);
        assert_false(asker.reused);
        give_back(&asker, scene.pool, true);
        scene_close(&scene);
    }
}

/* One that ended while it was in use is not kept, whatever its owner says. */
static void test_ended_is_not_reused(void **state) {
    struct scene scene;
    scene_open(&scene, state, 4, 4);
    struct asker asker;
    ask(&asker, scene.pool, false);
    run_until(scene.fixture, &asker.ready);
    exchange(&scene, &asker);
    weir_stream_close(&scene.server.owners[0].stream);
    run_until(scene.fixture, &asker.owner.ended);
    give_back(&asker, scene.pool, true);
    assert_int_equal(weir_pool_connections(scene.pool), 0);
    scene_close(&scene);
}

static uint16_t closed_port(void) {
    uint16_t port = 0;
    int fd = peer_listen(1, &port);
    close(fd);
    return port;
}

static void test_refused(void **state) {
    struct scene scene;
    scene_open(&scene, state, 2, 4);
    struct weir_pool *pool = make_pool(&scene, "127.0.0.1", closed_port(), 2, 4);
    struct asker askers[4];
    for (size_t i = 0; i < 4; i++) {
        ask(&askers[i], pool, false);
    }
    for (size_t i = 0; i < 4; i++) {
        run_until(scene.fixture, &askers[i].failed);
        assert_int_equal(askers[i].reason, WEIR_REASON_UPSTREAM_CONNECT_FAILED);
        assert_non_null(strstr(askers[i].detail, "connection refused"));
        assert_non_null(strstr(askers[i].detail, "127.0.0.1"));
        assert_int_equal(askers[i].calls, 1);
    }
    assert_int_equal(weir_pool_connections(pool), 0);
    weir_pool_free(&pool);
    scene_close(&scene);
}

/* A peer whose queue is full lets connections hang. */
static void test_connect_timeout(void **state) {
    struct scene scene;
    scene_open(&scene, state, 2, 4);
    uint16_t port = 0;
    int listening = peer_listen(0, &port);
    int fillers[4];
    for (size_t i = 0; i < 4; i++) {
        struct net_address address;
        assert_true(net__address_parse("127.0.0.1", port, &address));
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], &address.socket.any, address.length);
    }
    run_for_ms(scene.fixture, 20);
    struct weir_pool *pool = NULL;
    struct weir_pool_settings settings = {
        .host = "127.0.0.1", .port = port, .max_connections = 4, .idle_ms = 1000, .connect_timeout_ms = 100};
    assert_int_equal(weir_pool_new(scene.fixture->loop, scene.resolver, &settings, &pool, NULL), WEIR_OK);
    struct asker asker;
    ask(&asker, pool, false);
    run_until(scene.fixture, &asker.failed);
    assert_int_equal(asker.reason, WEIR_REASON_UPSTREAM_CONNECT_TIMEOUT);
    assert_non_null(strstr(asker.detail, "100 ms"));
    weir_pool_free(&pool);
    for (size_t i = 0; i < 4; i++) {
        close(fillers[i]);
    }
    close(listening);
    scene_close(&scene);
}

/* Through /etc/hosts, where ::1 may come first and is refused. */
static void test_localhost(void **state) {
    struct scene scene;
    scene_open(&scene, state, 4, 4);
    struct weir_pool *pool = make_pool(&scene, "localhost", scene.server.port, 4, 4);
    struct asker askers[3];
    for (size_t i = 0; i < 3; i++) {
        ask(&askers[i], pool, false);
    }
    for (size_t i = 0; i < 3; i++) {
        run_until(scene.fixture, &askers[i].ready);
        exchange(&scene, &askers[i]);
        give_back(&askers[i], pool, false);
    }
    struct asker again; /* the name is remembered now */
    ask(&again, pool, false);
    run_until(scene.fixture, &again.ready);
    give_back(&again, pool, true);
    weir_pool_free(&pool);
    scene_close(&scene);
}

/* The next address after one that refuses, and after one that swallows; the last failure is told. */
static void test_next_address(void **state) {
    struct scene scene;
    scene_open(&scene, state, 4, 4);
    struct net_address addresses[2];
    assert_true(net__address_parse("127.0.0.2", 0, &addresses[0])); /* the server listens on 127.0.0.1 alone */
    assert_true(net__address_parse("127.0.0.1", 0, &addresses[1]));
    assert_true(net__resolver_remember(scene.resolver, "two.test", addresses, 2));
    struct weir_pool *pool = make_pool(&scene, "two.test", scene.server.port, 4, 4);
    struct asker asker;
    ask(&asker, pool, false);
    run_until(scene.fixture, &asker.ready);
    assert_string_equal(weir_stream_peer_address(asker.owner.stream), "127.0.0.1");
    exchange(&scene, &asker);
    give_back(&asker, pool, false);
    weir_pool_free(&pool);

    pool = make_pool(&scene, "two.test", closed_port(), 4, 4);
    ask(&asker, pool, false);
    run_until(scene.fixture, &asker.failed);
    assert_non_null(strstr(asker.detail, "two.test (127.0.0.1)"));
    weir_pool_free(&pool);
    scene_close(&scene);
}

static void test_unknown_name(void **state) {
    struct scene scene;
    scene_open(&scene, state, 4, 4);
    struct weir_pool *pool = make_pool(&scene, "bad name with spaces.invalid", 80, 4, 4);
    struct asker asker;
    ask(&asker, pool, false);
    run_until(scene.fixture, &asker.failed);
    assert_true(asker.reason == WEIR_REASON_UPSTREAM_CONNECT_FAILED ||
                asker.reason == WEIR_REASON_UPSTREAM_CONNECT_TIMEOUT);
    assert_non_null(strstr(asker.detail, "bad name with spaces.invalid"));
    weir_pool_free(&pool);
    scene_close(&scene);
}

struct answer {
    bool done;
    size_t count;
};

static void on_answer(void *owner, const struct net_address *addresses, size_t count, const char *detail) {
    struct answer *answer = owner;
    (void)addresses;
    (void)detail;
    answer->done = true;
    answer->count = count;
}

/* Askers of one name share a look-up; a cancelled one is not told; more names than the table holds are no harm. */
static void test_resolver(void **state) {
    struct scene scene;
    scene_open(&scene, state, 1, 1);
    struct answer answers[3] = {{0}};
    struct net_query queries[3];
    memset(queries, 0, sizeof queries);
    for (size_t i = 0; i < 3; i++) {
        queries[i].done = on_answer;
        queries[i].owner = &answers[i];
        assert_true(net__resolve(scene.resolver, "localhost", &queries[i]));
        assert_false(answers[i].done);
    }
    net__resolve_cancel(&queries[1]);
    run_until(scene.fixture, &answers[2].done);
    assert_true(answers[0].done && answers[0].count > 0);
    assert_false(answers[1].done);
    for (unsigned i = 0; i < 80; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "127.0.0.%u", i);
        struct answer answer = {0};
        struct net_query query = {.done = on_answer, .owner = &answer};
        assert_true(net__resolve(scene.resolver, name, &query));
        run_until(scene.fixture, &answer.done);
        assert_int_equal(answer.count, 1);
    }
    /* Freed with somebody waiting: not told. */
    struct answer late = {0};
    struct net_query query = {.done = on_answer, .owner = &late};
    assert_true(net__resolve(scene.resolver, "localhost", &query));
    weir_resolver_free(&scene.resolver);
    run_turns(scene.fixture, 3);
    assert_false(late.done);
    net__resolve_cancel(&query);
    scene_close(&scene);
}

static void free_pool(void *argument) {
    weir_pool_free(&((struct scene *)argument)->pool);
}

/* With one in use, one idle, one being made, and one waiting. */
static void test_free_with_all_kinds(void **state) {
    struct scene scene;
    scene_open(&scene, state, 3, 4);
    struct asker in_use;
    struct asker idle;
    ask(&in_use, scene.pool, false);
    ask(&idle, scene.pool, false);
    run_until(scene.fixture, &in_use.ready);
    run_until(scene.fixture, &idle.ready);
    give_back(&idle, scene.pool, true);
    struct asker making;
    ask(&making, scene.pool, true);
    struct weir_pool *pool = scene.pool;
    struct weir_deferred deferred;
    weir_loop_defer(scene.fixture->loop, &deferred, free_pool, &scene);
    run_turns(scene.fixture, 1);
    assert_null(scene.pool);
    assert_true(making.failed);
    assert_int_equal(making.reason, WEIR_REASON_NO_PROVIDER);
    exchange(&scene, &in_use); /* goes on */
    give_back(&in_use, pool, true);
    run_until(scene.fixture, &scene.server.owners[0].ended);
    scene_close(&scene);
}

struct freeing {
    struct weir_pool_wait wait;
    struct scene *scene;
    bool failed;
};

static void freeing_on_failed(void *argument, enum weir_reason reason, const char *detail) {
    struct freeing *freeing = argument;
    (void)reason;
    (void)detail;
    freeing->failed = true;
    weir_pool_free(&freeing->scene->pool);
}

/* From a callback of the pool's own. */
static void test_free_within_callback(void **state) {
    struct scene scene;
    scene_open(&scene, state, 2, 2);
    weir_pool_free(&scene.pool);
    scene.pool = make_pool(&scene, "127.0.0.1", closed_port(), 2, 2);
    struct freeing freeing = {.scene = &scene};
    freeing.wait.owner = &freeing;
    freeing.wait.on_failed = freeing_on_failed;
    weir_pool_acquire(scene.pool, &freeing.wait, false);
    struct asker other;
    ask(&other, scene.pool, false);
    run_until(scene.fixture, &freeing.failed);
    assert_null(scene.pool);
    assert_true(other.failed);
    assert_int_equal(other.reason, WEIR_REASON_NO_PROVIDER);
    scene_close(&scene);
}

static void test_bad_settings(void **state) {
    struct fixture *fixture = *state;
    struct weir_pool *pool = NULL;
    struct weir_pool_settings settings = {.host = "", .port = 80, .max_connections = 1};
    struct weir_error error;
    assert_int_equal(weir_pool_new(fixture->loop, NULL, &settings, &pool, &error), WEIR_EINVAL);
    settings.host = "name.test";
    assert_int_equal(weir_pool_new(fixture->loop, NULL, &settings, &pool, &error), WEIR_EINVAL);
    char longest[400];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    settings.host = longest;
    assert_int_equal(weir_pool_new(fixture->loop, NULL, &settings, &pool, &error), WEIR_EINVAL);
    assert_null(pool);
    weir_pool_free(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connect_and_reuse, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limit_and_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle_expiry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_peer_ends_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ended_is_not_reused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connect_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_localhost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resolver, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_with_all_kinds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_free_within_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_settings, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
