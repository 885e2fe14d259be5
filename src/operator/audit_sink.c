/* A sink gathers a batch in memory and sends it in one go at the end: so that no read of the database stays open while a receiver is slow, and a batch
 * that fails is simply made again.
 *
 * What "arrived" means differs: a file is synced; of a tcp connection the kernel says when the peer's system has acknowledged every byte, which
 * syslog has no word of its own for; udp and the local socket can only say what was refused at once.
 */
#include "operator/audit_sink.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/mask.h"
#include "base/memory.h"
#include "operator/audit_form.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { SEND_MS = 5000, LINGER_MS = 100, TEXT_BYTES = 512, MAX_DATAGRAM_BYTES = 60000 };

enum kind { KIND_FILE, KIND_SYSLOG, KIND_UDP, KIND_TCP };
static const struct {
    const char *prefix;
    enum kind kind;
} kinds[] = {{"file:", KIND_FILE}, {"syslog:", KIND_SYSLOG}, {"udp://", KIND_UDP}, {"tcp://", KIND_TCP}};

struct weir_audit_sink {
    enum kind kind;
    char target[TEXT_BYTES]; /* path, or host */
    char port[8];
    char host_name[256]; /* of this machine */
    int wake_fd, fd;
    struct weir_buffer batch;   /* messages, one behind the other */
    struct weir_buffer lengths; /* of each, size_t */
    bool failed;                /* the batch could not be gathered */
};

static bool parse(struct weir_audit_sink *sink, struct weir_span setting) {
    size_t i = 0;
    struct weir_span rest, host, port;
    uint64_t number = 0;
    while (i < sizeof kinds / sizeof *kinds && !weir_span_starts_with(setting, weir_span_of_string(kinds[i].prefix)))
        i++;
    if (i == sizeof kinds / sizeof *kinds)
        return false;
    rest = weir_span_from(setting, strlen(kinds[i].prefix));
    sink->kind = kinds[i].kind;
    if (sink->kind == KIND_FILE)
        return rest.length > 0 && weir_span_to_string(rest, sink->target, sizeof sink->target) == WEIR_OK;
    if (sink->kind == KIND_SYSLOG)
        return weir_span_to_string(rest.length > 0 ? rest : WEIR_SPAN("/dev/log"), sink->target,
                                   sizeof((struct sockaddr_un *)NULL)->sun_path) == WEIR_OK;
    size_t colon = rest.length;
    while (colon > 0 && rest.at[colon - 1] != ':')
        colon--;
    if (colon < 2)
        return false;
    host = weir_span_first(rest, colon - 1);
    port = weir_span_from(rest, colon);
    if (host.at[0] == '[' && host.at[host.length - 1] == ']')
        host = weir_span_of(host.at + 1, host.length - 2);
    return host.length > 0 && weir_span_index(host, '@') == host.length && weir_span_index(host, '/') == host.length &&
           weir_span_to_uint64(port, &number) == WEIR_OK && number > 0 && number < 65536 &&
           weir_span_to_string(port, sink->port, sizeof sink->port) == WEIR_OK &&
           weir_span_to_string(host, sink->target, sizeof sink->target) == WEIR_OK;
}

/* HOSTNAME of RFC 5424: printable, no blanks. */
static void find_host_name(struct weir_audit_sink *sink) {
    if (gethostname(sink->host_name, sizeof sink->host_name - 1) != 0 || sink->host_name[0] == '\0')
        (void)snprintf(sink->host_name, sizeof sink->host_name, "-");
    for (char *at = sink->host_name; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            *at = '?';
}

enum weir_status weir_audit_sink_new(struct weir_span setting, int wake_fd, struct weir_audit_sink **sink,
                                     struct weir_error *error) {
    struct weir_audit_sink *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return weir_fail(error, WEIR_ENOMEM, "no memory for the audit sink");
    made->fd = -1;
    made->wake_fd = wake_fd;
    weir_buffer_init(&made->batch, 64 * WEIR_MIB);
    weir_buffer_init(&made->lengths, WEIR_MIB);
    find_host_name(made);
    if (!parse(made, setting)) {
        weir_mask_text(&made->batch, setting); /* who gives a password here is not told it again */
        (void)weir_fail(error, WEIR_EINVAL,
                        "expected file:PATH, syslog:, udp://HOST:PORT or tcp://HOST:PORT, got '%.*s'",
                        WEIR_SPAN_PRINT(weir_buffer_span(&made->batch)));
        weir_audit_sink_free(&made);
        return WEIR_EINVAL;
    }
    *sink = made;
    return WEIR_OK;
}

static void shut(struct weir_audit_sink *sink) {
    if (sink->fd >= 0)
        (void)close(sink->fd);
    sink->fd = -1;
}

void weir_audit_sink_free(struct weir_audit_sink **sink) {
    if (*sink == NULL)
        return;
    shut(*sink);
    weir_buffer_release(&(*sink)->batch);
    weir_buffer_release(&(*sink)->lengths);
    weir_memory_free(*sink);
    *sink = NULL;
}

void weir_audit_sink_reopen(struct weir_audit_sink *sink) {
    if (sink->kind == KIND_FILE)
        shut(sink);
}

/* --- gathering --- */

static void append_json(struct weir_buffer *out, const struct weir_audit_entry *entry) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_audit_write_json(&writer, entry);
}

/* RFC 5424: facility 13 (log audit), severity informational, or warning for what did not succeed. */
static void append_syslog(const struct weir_audit_sink *sink, struct weir_buffer *out,
                          const struct weir_audit_entry *entry) {
    enum { AUDIT = 13 * 8, WARNING = 4, INFORMATIONAL = 6, MSGID_BYTES = 32 };
    char time[WEIR_TIMESTAMP_SIZE], id[MSGID_BYTES + 1];
    size_t length = 0;
    for (; length < entry->action.length && length < MSGID_BYTES; length++) {
        char byte = entry->action.at[length];
        id[length] = byte;
        if (byte <= ' ' || byte > '~')
            id[length] = '?';
    }
    id[length] = '\0';
    weir_clock_format_utc(entry->utc_us, time);
    weir_buffer_printf(out, "<%d>1 %s %s weir %ld %s - ",
                       AUDIT + (entry->result == WEIR_AUDIT_SUCCESS ? INFORMATIONAL : WARNING), time, sink->host_name,
                       (long)getpid(), length > 0 ? id : "-");
    append_json(out, entry);
}

void weir_audit_sink_write(struct weir_audit_sink *sink, const struct weir_audit_entry *entry) {
    size_t begin = sink->batch.length;
    struct weir_buffer message;
    if (sink->kind == KIND_FILE) {
        append_json(&sink->batch, entry);
        weir_buffer_append_byte(&sink->batch, '\n');
    } else {
        weir_buffer_init(&message, 16 * WEIR_MIB);
        append_syslog(sink, &message, entry);
        if (sink->kind != KIND_TCP && message.length > MAX_DATAGRAM_BYTES) {
            struct weir_audit_entry without = *entry; /* no datagram holds it: what is left names the entry */
            without.changes = WEIR_SPAN("");
            weir_buffer_clear(&message);
            append_syslog(sink, &message, &without);
        }
        if (sink->kind == KIND_TCP)
            weir_buffer_printf(&sink->batch, "%zu ", message.length);
        weir_buffer_append(&sink->batch, weir_buffer_span(&message));
        sink->failed = sink->failed || weir_buffer_status(&message) != WEIR_OK;
        weir_buffer_release(&message);
    }
    size_t length = sink->batch.length - begin;
    weir_buffer_append(&sink->lengths, weir_span_of((const char *)&length, sizeof length));
}

/* --- opening --- */

static enum weir_status fail(const struct weir_audit_sink *sink, const char *what, struct weir_error *error) {
    int number = errno;
    char text[128];
    return weir_fail(error, WEIR_EIO, "audit sink %.200s%s%s: %s: %s", sink->target, sink->port[0] != '\0' ? ":" : "",
                     sink->port, what, strerror_r(number, text, sizeof text));
}

/* A line that a crash has torn stays apart from the next one. */
static bool mend_last_line(int fd) {
    struct stat facts;
    char last = '\n';
    int reader;
    char path[64];
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode) || facts.st_size == 0)
        return true;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    reader = open(path, O_RDONLY | O_CLOEXEC);
    if (reader < 0)
        return true;
    bool torn = pread(reader, &last, 1, facts.st_size - 1) == 1 && last != '\n';
    (void)close(reader);
    return !torn || write(fd, "\n", 1) == 1;
}

static enum weir_status open_file(struct weir_audit_sink *sink, struct weir_error *error) {
    struct stat open_one, named;
    if (sink->fd >= 0 && (fstat(sink->fd, &open_one) != 0 || stat(sink->target, &named) != 0 ||
                          open_one.st_ino != named.st_ino || open_one.st_dev != named.st_dev))
        shut(sink); /* it was moved away */
    if (sink->fd >= 0)
        return WEIR_OK;
    sink->fd = open(sink->target, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (sink->fd < 0)
        return fail(sink, "cannot be opened", error);
    return mend_last_line(sink->fd) ? WEIR_OK : fail(sink, "cannot be written", error);
}

/* WEIR_OK when `fd` is ready; WEIR_ECLOSED when somebody waits for us to end. */
static enum weir_status await(const struct weir_audit_sink *sink, int fd, short events, int timeout_ms) {
    struct pollfd rows[2] = {{.fd = fd, .events = events}, {.fd = sink->wake_fd, .events = POLLIN}};
    int count = poll(rows, 2, timeout_ms);
    if (count < 0 && errno == EINTR)
        return WEIR_AGAIN;
    if (rows[1].revents != 0)
        return WEIR_ECLOSED;
    return count > 0 ? WEIR_OK : WEIR_AGAIN;
}

static bool connect_within(const struct weir_audit_sink *sink, int fd, const struct sockaddr *address,
                           socklen_t length) {
    int problem = 0;
    socklen_t size = sizeof problem;
    if (connect(fd, address, length) == 0)
        return true;
    if (errno != EINPROGRESS && errno != EAGAIN)
        return false;
    if (await(sink, fd, POLLOUT, SEND_MS) != WEIR_OK) {
        errno = ETIMEDOUT;
        return false;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0)
        return false;
    errno = problem;
    return problem == 0;
}

static enum weir_status open_local(struct weir_audit_sink *sink, struct weir_error *error) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%.*s", (int)sizeof address.sun_path - 1, sink->target);
    sink->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sink->fd < 0 || !connect_within(sink, sink->fd, (const struct sockaddr *)&address, sizeof address))
        return fail(sink, "cannot be connected to", error);
    return WEIR_OK;
}

static enum weir_status open_remote(struct weir_audit_sink *sink, struct weir_error *error) {
    int type = sink->kind == KIND_TCP ? SOCK_STREAM : SOCK_DGRAM;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = type};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(sink->target, sink->port, &hints, &found);
    if (code != 0)
        return weir_fail(error, WEIR_EIO, "audit sink %.200s: %s", sink->target, gai_strerror(code));
    errno = EADDRNOTAVAIL;
    for (const struct addrinfo *one = found; one != NULL && sink->fd < 0; one = one->ai_next) {
        int fd = socket(one->ai_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            continue;
        if (connect_within(sink, fd, one->ai_addr, one->ai_addrlen)) {
            sink->fd = fd;
        } else {
            int number = errno;
            (void)close(fd);
            errno = number;
        }
    }
    int number = errno;
    freeaddrinfo(found);
    errno = number;
    int on = 1;
    if (sink->fd >= 0 && sink->kind == KIND_TCP)
        (void)setsockopt(sink->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return sink->fd >= 0 ? WEIR_OK : fail(sink, "cannot be connected to", error);
}

static enum weir_status open_sink(struct weir_audit_sink *sink, struct weir_error *error) {
    if (sink->kind == KIND_FILE)
        return open_file(sink, error);
    if (sink->fd >= 0)
        return WEIR_OK;
    return sink->kind == KIND_SYSLOG ? open_local(sink, error) : open_remote(sink, error);
}

/* --- sending --- */

/* A receiver that has closed says so before we write into nowhere. What it sends otherwise means nothing. */
static bool is_closed(int fd) {
    char bytes[256];
    ssize_t count;
    do
        count = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    while (count > 0);
    return count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static enum weir_status send_all(struct weir_audit_sink *sink, struct weir_span bytes, struct weir_error *error) {
    int64_t until_ns = weir_clock_monotonic_ns() + (int64_t)SEND_MS * 1000000;
    while (bytes.length > 0) {
        ssize_t count = sink->kind == KIND_FILE ? write(sink->fd, bytes.at, bytes.length)
                                                : send(sink->fd, bytes.at, bytes.length, MSG_NOSIGNAL);
        if (count > 0) {
            bytes = weir_span_from(bytes, (size_t)count);
            until_ns = weir_clock_monotonic_ns() + (int64_t)SEND_MS * 1000000; /* slow is not dead */
            continue;
        }
        if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ENOBUFS)
            return fail(sink, "cannot be written to", error);
        if (await(sink, sink->fd, POLLOUT, LINGER_MS) == WEIR_ECLOSED || weir_clock_monotonic_ns() >= until_ns) {
            errno = ETIMEDOUT;
            return fail(sink, "cannot be written to", error);
        }
    }
    return WEIR_OK;
}

static enum weir_status send_messages(struct weir_audit_sink *sink, struct weir_error *error) {
    struct weir_span rest = weir_buffer_span(&sink->batch), lengths = weir_buffer_span(&sink->lengths);
    enum weir_status status = WEIR_OK;
    if (sink->kind == KIND_TCP || sink->kind == KIND_FILE)
        return send_all(sink, rest, error);
    while (status == WEIR_OK && lengths.length > 0) {
        size_t length;
        memcpy(&length, lengths.at, sizeof length);
        lengths = weir_span_from(lengths, sizeof length);
        status = send_all(sink, weir_span_first(rest, length), error);
        rest = weir_span_from(rest, length);
    }
    return status;
}

/* Until the peer's system has acknowledged all of it. */
static enum weir_status await_acknowledgement(struct weir_audit_sink *sink, struct weir_error *error) {
    int64_t until_ns = weir_clock_monotonic_ns() + (int64_t)SEND_MS * 1000000;
    int left = 0, nap_ms = 1;
    for (;;) {
        if (ioctl(sink->fd, SIOCOUTQ, &left) != 0)
            return fail(sink, "cannot be asked", error);
        if (is_closed(sink->fd)) {
            errno = ECONNRESET;
            return fail(sink, "was closed by its receiver", error);
        }
        if (left == 0)
            return WEIR_OK;
        if (await(sink, -1, 0, nap_ms) == WEIR_ECLOSED || weir_clock_monotonic_ns() >= until_ns) {
            errno = ETIMEDOUT;
            return fail(sink, "does not take what is sent", error);
        }
        nap_ms = nap_ms < LINGER_MS ? 2 * nap_ms : LINGER_MS;
    }
}

/* What nobody listens for comes back as an error, shortly. */
static enum weir_status await_refusal(struct weir_audit_sink *sink, struct weir_error *error) {
    int problem = 0;
    socklen_t size = sizeof problem;
    (void)await(sink, sink->fd, 0, LINGER_MS);
    if (getsockopt(sink->fd, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem == 0)
        return WEIR_OK;
    errno = problem;
    return fail(sink, "refuses what is sent", error);
}

static enum weir_status confirm(struct weir_audit_sink *sink, struct weir_error *error) {
    if (sink->kind == KIND_TCP)
        return await_acknowledgement(sink, error);
    if (sink->kind == KIND_UDP)
        return await_refusal(sink, error);
    if (sink->kind == KIND_FILE && fdatasync(sink->fd) != 0 && errno != EINVAL && errno != EROFS)
        return fail(sink, "cannot be written to the disk", error);
    return WEIR_OK;
}

enum weir_status weir_audit_sink_finish(struct weir_audit_sink *sink, struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    if (sink->failed || weir_buffer_status(&sink->batch) != WEIR_OK || weir_buffer_status(&sink->lengths) != WEIR_OK)
        status = weir_fail(error, WEIR_ENOMEM, "no memory for what goes to the audit sink");
    if (status == WEIR_OK && sink->kind == KIND_TCP && sink->fd >= 0 && is_closed(sink->fd))
        shut(sink);
    if (status == WEIR_OK && sink->batch.length > 0)
        status = open_sink(sink, error);
    if (status == WEIR_OK && sink->batch.length > 0)
        status = send_messages(sink, error);
    if (status == WEIR_OK && sink->batch.length > 0)
        status = confirm(sink, error);
    if (status != WEIR_OK)
        shut(sink);
    weir_buffer_clear(&sink->batch);
    weir_buffer_clear(&sink->lengths);
    sink->failed = false;
    return status;
}
