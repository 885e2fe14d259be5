/* Listening sockets and accepting. */
#include "support.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

static void test_socket_and_accept(void **state) {
    struct fixture *fixture = *state;
    int fd = -1;
    uint16_t port = 0;
    struct weir_error error;
    assert_int_equal(weir_listen_socket("127.0.0.1:0", true, &fd, &port, &error), WEIR_OK);
    assert_true(port != 0);
    struct owner owner;
    owner_init(&owner);
    owner.echo = true;
    struct weir_listener *listener = NULL;
    assert_int_equal(weir_listener_new(fixture->loop, fd, NULL, owner_on_accept, &owner, &listener, &error), WEIR_OK);
    int peer = peer_connect(port);
    run_until(fixture, &owner.accepted);
    assert_string_equal(weir_stream_peer_address(owner.stream), "127.0.0.1");
    assert_ptr_equal(weir_stream_loop(owner.stream), fixture->loop);
    weir_stream_read_start(owner.stream);
    assert_int_equal(send(peer, "hi", 2, 0), 2);
    run_until(fixture, &owner.got_data);
    peer_expect(peer, "hi");

    /* After the listener has gone the socket goes on queueing, and another listener takes over. */
    weir_listener_free(&listener);
    assert_null(listener);
    weir_listener_free(&listener);
    int queued = peer_connect(port);
    run_turns(fixture, 5);
    struct owner second;
    owner_init(&second);
    assert_int_equal(weir_listener_new(fixture->loop, fd, NULL, owner_on_accept, &second, &listener, &error), WEIR_OK);
    run_until(fixture, &second.accepted);
    weir_listener_free(&listener);
    close(queued);
    close(peer);
    close(fd);
    owner_release(&owner);
    owner_release(&second);
}

/* The options that are set on the listening socket reach the connections. */
static void test_no_delay_is_inherited(void **state) {
    (void)state;
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(weir_listen_socket("127.0.0.1:0", false, &fd, &port, NULL), WEIR_OK);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    int peer = peer_connect(port);
    int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    int value = 0;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    assert_true(value != 0);
    close(accepted);
    close(peer);
    close(fd);
}

static void test_ipv6(void **state) {
    struct fixture *fixture = *state;
    int fd = -1;
    uint16_t port = 0;
    struct weir_error error;
    if (weir_listen_socket("[::1]:0", false, &fd, &port, &error) != WEIR_OK) {
        skip(); /* a machine without IPv6 */
    }
    struct owner owner;
    owner_init(&owner);
    struct weir_listener *listener = NULL;
    assert_int_equal(weir_listener_new(fixture->loop, fd, NULL, owner_on_accept, &owner, &listener, &error), WEIR_OK);
    struct net_address address;
    assert_true(net__address_parse("::1", port, &address));
    int peer = socket(AF_INET6, SOCK_STREAM, 0);
    assert_int_equal(connect(peer, &address.socket.any, address.length), 0);
    run_until(fixture, &owner.accepted);
    assert_string_equal(weir_stream_peer_address(owner.stream), "::1");
    weir_listener_free(&listener);
    close(peer);
    close(fd);
    owner_release(&owner);
}

static void test_address_text(void **state) {
    (void)state;
    struct net_address address;
    char text[NET_ADDRESS_TEXT_SIZE];
    assert_true(net__address_parse("::ffff:10.1.2.3", 80, &address));
    net__address_format(&address.socket.any, text);
    assert_string_equal(text, "10.1.2.3");
    assert_false(net__address_parse("example.com", 80, &address));
    assert_false(net__address_parse("1.2.3", 80, &address));
    assert_false(net__address_parse("", 80, &address));
}

static void test_bad_addresses(void **state) {
    (void)state;
    const char *const bad[] = {"",
                               "127.0.0.1",
                               "127.0.0.1:",
                               "127.0.0.1:x",
                               ":8080",
                               "::1:8080",
                               "127.0.0.1:65536",
                               "127.0.0.1:-1",
                               "no.such.host.invalid:80",
                               "[]:80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int fd = -1;
        struct weir_error error = {.status = WEIR_OK};
        assert_int_equal(weir_listen_socket(bad[i], false, &fd, NULL, &error), WEIR_EINVAL);
        assert_int_equal(fd, -1);
        assert_true(strlen(error.text) > 0);
    }
}

static void test_in_use(void **state) {
    (void)state;
    int fd = -1;
    int other = -1;
    uint16_t port = 0;
    assert_int_equal(weir_listen_socket("127.0.0.1:0", false, &fd, &port, NULL), WEIR_OK);
    char address[32];
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", port);
    struct weir_error error;
    assert_int_equal(weir_listen_socket(address, false, &other, NULL, &error), WEIR_EBUSY);
    assert_non_null(strstr(error.text, address));
    assert_non_null(strstr(error.text, "is in use: stop the other program or choose another address"));
    close(fd);
    /* Shared sockets live side by side. */
    assert_int_equal(weir_listen_socket("127.0.0.1:0", true, &fd, &port, NULL), WEIR_OK);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", port);
    assert_int_equal(weir_listen_socket(address, true, &other, NULL, &error), WEIR_OK);
    close(fd);
    close(other);
    assert_int_equal(weir_listen_socket("203.0.113.7:0", false, &fd, NULL, &error), WEIR_EINVAL);
    assert_non_null(strstr(error.text, "not an address of this machine"));
}

struct crowd {
    struct weir_stream *streams[200];
    size_t count;
    size_t wanted;
    bool all;
};

static void crowd_on_accept(void *argument, struct weir_stream *stream) {
    struct crowd *crowd = argument;
    crowd->streams[crowd->count++] = stream;
    crowd->all = crowd->count == crowd->wanted;
}

static void crowd_close(struct crowd *crowd) {
    while (crowd->count > 0) {
        weir_stream_close(&crowd->streams[--crowd->count]);
    }
}

static void test_burst(void **state) {
    enum { COUNT = 150 };
    struct fixture *fixture = *state;
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(weir_listen_socket("localhost:0", false, &fd, &port, NULL), WEIR_OK);
    close(fd);
    assert_int_equal(weir_listen_socket("127.0.0.1:0", false, &fd, &port, NULL), WEIR_OK);
    int peers[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        peers[i] = peer_connect(port);
    }
    struct crowd crowd = {.wanted = COUNT};
    struct weir_listener *listener = NULL;
    assert_int_equal(weir_listener_new(fixture->loop, fd, NULL, crowd_on_accept, &crowd, &listener, NULL), WEIR_OK);
    run_until(fixture, &crowd.all);
    weir_listener_free(&listener);
    crowd_close(&crowd);
    for (size_t i = 0; i < COUNT; i++) {
        close(peers[i]);
    }
    close(fd);
}

/* No descriptors left: it waits, and goes on when there are some again. */
static void test_out_of_descriptors(void **state) {
    struct fixture *fixture = *state;
    int fd = -1;
    uint16_t port = 0;
    assert_int_equal(weir_listen_socket("127.0.0.1:0", false, &fd, &port, NULL), WEIR_OK);
    struct crowd crowd = {.wanted = 1};
    struct weir_listener *listener = NULL;
    assert_int_equal(weir_listener_new(fixture->loop, fd, NULL, crowd_on_accept, &crowd, &listener, NULL), WEIR_OK);
    int peer = peer_connect(port);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)peer + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    run_turns(fixture, 20);
    assert_int_equal(crowd.count, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    run_until(fixture, &crowd.all);
    weir_listener_free(&listener);
    crowd_close(&crowd);
    close(peer);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_socket_and_accept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_delay_is_inherited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ipv6, setup, teardown),
        cmocka_unit_test_setup_teardown(test_address_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_use, setup, teardown),
        cmocka_unit_test_setup_teardown(test_burst, setup, teardown),
        cmocka_unit_test_setup_teardown(test_out_of_descriptors, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
