/* An open-loop load generator: requests leave on a fixed grid of time, whatever has become of the earlier ones.
 *
 *   open_loop ADDRESS PORT REQUEST-FILE RATE SECONDS CONNECTIONS WARM-UP-SECONDS
 *
 * Latency counts from the moment at which a request was due, not from when it was written. So one that had to wait, for
 * a connection or because this program was late, has waited: a generator that sends the next request only after the last
 * answer leaves such waiting out, and with it all that is slow (coordinated omission). How late the writes were is
 * reported beside, so that a reader can tell this program's own share.
 *
 * One thread, epoll, a timer on the monotonic clock, keep-alive connections that are opened before the first request is
 * due. It reads as much HTTP/1.1 as it must to know where an answer ends. On standard output there is a line "ready" when
 * the connections are open and the server has had time to accept them, and at the end one line of JSON. It never follows an answer's content, and it never sends a request twice: a connection that breaks is a failed
 * request and is opened anew.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* Between the connections and "ready", and between that and the first request. */
enum { ACCEPT_US = 200000, READY_US = 20000 };
enum { HEAD_SIZE = 16384, READ_SIZE = 262144, MAX_EVENTS = 256, LINE_SIZE = 32, DRAIN_SECONDS = 30 };
#define SECOND INT64_C(1000000000)

enum part { HEAD, LENGTH, CHUNK_LINE, CHUNK_DATA, TRAILER_LINE };

struct connection {
    int fd;
    bool busy;
    int64_t due_ns;
    int64_t first_byte_ns; /* 0: none yet */
    size_t request;        /* its number on the grid */
    size_t written;        /* bytes of the request */
    enum part part;
    unsigned status;
    uint64_t left; /* bytes of the body, or of the chunk and its line end */
    uint64_t chunks;
    size_t head_length;
    char head[HEAD_SIZE];
    size_t line_length; /* of a chunk's first line, or of a trailer; counts on past what is kept */
    char line[LINE_SIZE];
};

struct load {
    struct sockaddr_in address;
    char *request;
    size_t request_length;
    int64_t gap_ns, began_ns;
    size_t total, warm_up;
    size_t sent, answered, failed, refused;
    uint64_t chunks; /* of whole answers, the last, empty ones aside */
    size_t connection_count;
    struct connection *connections;
    struct connection **idle; /* a stack */
    size_t idle_count;
    int poll, timer;
    int64_t *latencies, *first_bytes, *delays; /* of the measured requests; -1: none */
    char *input;
};

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND + now.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "open_loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL)
        fail("memory");
    return memory;
}

static void watch(struct load *load, struct connection *connection, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(load->poll, operation, connection->fd, &event) != 0)
        fail("epoll_ctl");
}

static void open_connection(struct load *load, struct connection *connection) {
    const int yes = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0)
        fail("socket");
    if (connect(connection->fd, (const struct sockaddr *)&load->address, sizeof(load->address)) != 0)
        fail("connect");
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    (void)fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    watch(load, connection, EPOLL_CTL_ADD, EPOLLIN);
    connection->busy = false;
    load->idle[load->idle_count++] = connection;
}

static bool is_measured(const struct load *load, const struct connection *connection) {
    return connection->request >= load->warm_up;
}

/* The request in flight has failed, or an idle connection was closed: a new connection takes its place. */
static void replace(struct load *load, struct connection *connection) {
    if (connection->busy) {
        load->failed++;
    } else {
        size_t at = 0;
        while (load->idle[at] != connection)
            at++;
        load->idle[at] = load->idle[--load->idle_count];
    }
    close(connection->fd);
    open_connection(load, connection);
}

static void finish(struct load *load, struct connection *connection) {
    int64_t now = now_ns();
    load->answered++;
    load->chunks += connection->chunks;
    if (connection->status < 200 || connection->status > 299)
        load->refused++;
    if (is_measured(load, connection)) {
        load->latencies[connection->request - load->warm_up] = now - connection->due_ns;
        load->first_bytes[connection->request - load->warm_up] = connection->first_byte_ns - connection->due_ns;
    }
    connection->busy = false;
    load->idle[load->idle_count++] = connection;
}

/* Writes what is left of the request. False: the connection is broken. */
static bool write_request(struct load *load, struct connection *connection) {
    while (connection->written < load->request_length) {
        ssize_t count = write(connection->fd, load->request + connection->written,
                              load->request_length - connection->written);
        if (count < 0 && errno == EAGAIN) {
            watch(load, connection, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return true;
        }
        if (count < 0)
            return false;
        connection->written += (size_t)count;
    }
    return true;
}

/* Sends everything that is due, as far as connections are free, and sets the timer to what comes next. */
static void send_due(struct load *load) {
    while (load->sent < load->total && load->idle_count > 0) {
        int64_t due_ns = load->began_ns + (int64_t)load->sent * load->gap_ns;
        int64_t now = now_ns();
        if (due_ns > now) {
            struct itimerspec when = {.it_value = {.tv_sec = due_ns / SECOND, .tv_nsec = due_ns % SECOND}};
            if (timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &when, NULL) != 0)
                fail("timerfd_settime");
            return;
        }
        struct connection *connection = load->idle[--load->idle_count];
        connection->busy = true;
        connection->due_ns = due_ns;
        connection->first_byte_ns = 0;
        connection->request = load->sent++;
        connection->written = 0;
        connection->part = HEAD;
        connection->head_length = 0;
        connection->chunks = 0;
        if (is_measured(load, connection))
            load->delays[connection->request - load->warm_up] = now - due_ns;
        if (!write_request(load, connection))
            replace(load, connection);
    }
}

/* The value of a header field, or NULL. */
static const char *field(const char *head, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
            return line + 3 + length + strspn(line + 3 + length, " \t");
    }
    return NULL;
}

enum outcome { MORE, DONE, BROKEN };

/* The head is whole: how does the body end? */
static enum outcome read_head(struct connection *connection) {
    if (strncmp(connection->head, "HTTP/1.1 ", 9) != 0)
        return BROKEN;
    connection->status = (unsigned)strtoul(connection->head + 9, NULL, 10);
    const char *length = field(connection->head, "content-length");
    const char *coding = field(connection->head, "transfer-encoding");
    if (coding != NULL && strncasecmp(coding, "chunked", 7) == 0) {
        connection->part = CHUNK_LINE;
        connection->line_length = 0;
        return MORE;
    }
    if (length == NULL)
        return BROKEN; /* ends with the connection: not what is measured here */
    connection->part = LENGTH;
    connection->left = strtoull(length, NULL, 10);
    return connection->left == 0 ? DONE : MORE;
}

static size_t take_head(struct connection *connection, const char *bytes, size_t count, enum outcome *outcome) {
    size_t before = connection->head_length;
    size_t room = sizeof(connection->head) - 1 - before;
    size_t taken = count < room ? count : room;
    memcpy(connection->head + before, bytes, taken);
    connection->head_length += taken;
    connection->head[connection->head_length] = '\0';
    char *end = strstr(connection->head, "\r\n\r\n");
    if (end == NULL) {
        *outcome = taken == room ? BROKEN : MORE;
        return taken;
    }
    end[2] = '\0';
    taken = (size_t)(end - connection->head) + 4 - before;
    *outcome = read_head(connection);
    return taken;
}

static size_t take_data(struct connection *connection, size_t count, enum outcome *outcome) {
    size_t taken = count < connection->left ? count : (size_t)connection->left;
    connection->left -= taken;
    if (connection->left == 0) {
        *outcome = connection->part == LENGTH ? DONE : MORE;
        connection->part = CHUNK_LINE;
        connection->line_length = 0;
    }
    return taken;
}

/* One byte of a chunk's first line or of the lines after the last chunk. */
static enum outcome take_line_byte(struct connection *connection, char byte) {
    if (byte != '\n') {
        if (byte != '\r') {
            if (connection->line_length < sizeof(connection->line) - 1)
                connection->line[connection->line_length] = byte;
            connection->line_length++;
        }
        return MORE;
    }
    if (connection->part == TRAILER_LINE) {
        bool is_last = connection->line_length == 0;
        connection->line_length = 0;
        return is_last ? DONE : MORE;
    }
    if (connection->line_length == 0 || connection->line_length >= sizeof(connection->line))
        return BROKEN;
    connection->line[connection->line_length] = '\0';
    connection->left = strtoull(connection->line, NULL, 16);
    connection->line_length = 0;
    connection->part = connection->left == 0 ? TRAILER_LINE : CHUNK_DATA;
    connection->chunks += connection->left > 0;
    connection->left += 2; /* the line end behind the data; nothing reads it for the last chunk */
    return MORE;
}

static enum outcome take(struct connection *connection, const char *bytes, size_t count) {
    enum outcome outcome = MORE;
    while (count > 0 && outcome == MORE) {
        size_t taken = 1;
        if (connection->part == HEAD) {
            taken = take_head(connection, bytes, count, &outcome);
        } else if (connection->part == LENGTH || connection->part == CHUNK_DATA) {
            taken = take_data(connection, count, &outcome);
        } else {
            outcome = take_line_byte(connection, *bytes);
        }
        bytes += taken;
        count -= taken;
    }
    return count > 0 ? BROKEN : outcome; /* bytes that belong to no answer */
}

static void on_connection(struct load *load, struct connection *connection, uint32_t events) {
    if ((events & EPOLLOUT) != 0 && connection->busy) {
        watch(load, connection, EPOLL_CTL_MOD, EPOLLIN);
        if (!write_request(load, connection)) {
            replace(load, connection);
            return;
        }
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0)
        return;
    ssize_t count = read(connection->fd, load->input, READ_SIZE);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0 || !connection->busy) {
        replace(load, connection);
        return;
    }
    if (connection->first_byte_ns == 0)
        connection->first_byte_ns = now_ns();
    enum outcome outcome = take(connection, load->input, (size_t)count);
    if (outcome == DONE) {
        finish(load, connection);
    } else if (outcome == BROKEN) {
        replace(load, connection);
    }
}

static void run(struct load *load) {
    struct epoll_event events[MAX_EVENTS];
    struct epoll_event timer = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(load->poll, EPOLL_CTL_ADD, load->timer, &timer) != 0)
        fail("epoll_ctl");
    load->began_ns = now_ns() + INT64_C(1000) * READY_US;
    int64_t deadline_ns = load->began_ns + (int64_t)load->total * load->gap_ns + DRAIN_SECONDS * SECOND;
    while (load->answered + load->failed < load->total && now_ns() < deadline_ns) {
        send_due(load);
        int count = epoll_wait(load->poll, events, MAX_EVENTS, 1000);
        if (count < 0 && errno != EINTR)
            fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                uint64_t expirations;
                (void)!read(load->timer, &expirations, sizeof(expirations));
            } else {
                on_connection(load, events[i].data.ptr, events[i].events);
            }
        }
    }
    load->failed = load->total - load->answered; /* also those that were never answered */
}

static int compare(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left;
    int64_t b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

/* Percentiles in microseconds. A request without an answer has no time; the count of failures tells of it. */
static void print_times(const char *name, int64_t *times, size_t count) {
    static const struct {
        const char *name;
        double share;
    } rows[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"max", 1}};
    qsort(times, count, sizeof(*times), compare);
    size_t none = 0;
    while (none < count && times[none] < 0)
        none++;
    printf(", \"%s\": {", name);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t found = count - none;
        size_t rank = (size_t)(rows[i].share * (double)found);
        double us = found == 0 ? 0 : (double)times[none + (rank < found ? rank : found - 1)] / 1000;
        printf("%s\"%s\": %.1f", i == 0 ? "" : ", ", rows[i].name, us);
    }
    printf("}");
}

static void read_request(struct load *load, const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        fail(path);
    long size = ftell(file);
    if (size <= 0 || fseek(file, 0, SEEK_SET) != 0)
        fail(path);
    load->request_length = (size_t)size;
    load->request = allocate(load->request_length, 1);
    if (fread(load->request, 1, load->request_length, file) != load->request_length)
        fail(path);
    (void)fclose(file);
}

static int64_t *allocate_times(size_t count) {
    int64_t *times = allocate(count, sizeof(*times));
    for (size_t i = 0; i < count; i++)
        times[i] = -1;
    return times;
}

static void release(struct load *load) {
    for (size_t i = 0; i < load->connection_count; i++)
        close(load->connections[i].fd);
    close(load->poll);
    close(load->timer);
    free(load->connections);
    free(load->idle);
    free(load->latencies);
    free(load->first_bytes);
    free(load->delays);
    free(load->input);
    free(load->request);
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fputs("usage: open_loop ADDRESS PORT REQUEST-FILE RATE SECONDS CONNECTIONS WARM-UP-SECONDS\n", stderr);
        return 2;
    }
    double rate = strtod(argv[4], NULL);
    double seconds = strtod(argv[5], NULL);
    double warm_up = strtod(argv[7], NULL);
    struct load load = {
        .address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))},
        .connection_count = (size_t)strtoul(argv[6], NULL, 10),
    };
    if (inet_pton(AF_INET, argv[1], &load.address.sin_addr) != 1 || rate <= 0 || seconds <= 0 ||
        load.connection_count == 0) {
        fputs("open_loop: the address, the rate, the time or the number of connections makes no sense\n", stderr);
        return 2;
    }
    read_request(&load, argv[3]);
    load.gap_ns = (int64_t)((double)SECOND / rate);
    load.warm_up = (size_t)(rate * warm_up);
    size_t measured = (size_t)(rate * seconds);
    load.total = load.warm_up + measured;
    load.latencies = allocate_times(measured);
    load.first_bytes = allocate_times(measured);
    load.delays = allocate_times(measured);
    load.input = allocate(1, READ_SIZE);
    load.connections = allocate(load.connection_count, sizeof(*load.connections));
    load.idle = allocate(load.connection_count, sizeof(struct connection *));
    load.poll = epoll_create1(EPOLL_CLOEXEC);
    load.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (load.poll < 0 || load.timer < 0)
        fail("epoll and timer");
    for (size_t i = 0; i < load.connection_count; i++)
        open_connection(&load, &load.connections[i]);
    (void)usleep(ACCEPT_US);
    puts("ready");
    (void)fflush(stdout);
    run(&load);
    printf("{\"sent\": %zu, \"answered\": %zu, \"failed\": %zu, \"refused\": %zu, \"chunks\": %" PRIu64, load.sent,
           load.answered, load.failed, load.refused, load.chunks);
    print_times("latency_us", load.latencies, measured);
    print_times("first_byte_us", load.first_bytes, measured);
    print_times("late_us", load.delays, measured);
    puts("}");
    release(&load);
    return 0;
}
