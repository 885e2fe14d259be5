/* The head of an HTTP message as plain data, and the small grammar around fields. */
#ifndef WEIR_HTTP_HEAD_H
#define WEIR_HTTP_HEAD_H

#include "base/buffer.h"
#include "base/limits.h"

struct weir_http_field {
    struct weir_span name;  /* as it came; compare without case */
    struct weir_span value; /* trimmed */
};

/* A request's or a response's head. Every span points into the bytes the head was parsed from. */
struct weir_http_head {
    /* requests */
    struct weir_span method; /* "GET" */
    struct weir_span target; /* as it came */
    /* Without query; of an absolute-form target the path after the authority, "/" where it has none; "*" as it is. */
    struct weir_span path;
    struct weir_span query;     /* after '?', empty without */
    struct weir_span authority; /* from the absolute form, else the Host field */
    bool expect_continue;
    /* responses */
    unsigned status;
    struct weir_span status_text;
    /* both */
    unsigned minor_version; /* HTTP/1.x */
    bool keep_alive;        /* the sender will take another message on this connection */
    bool chunked;
    bool has_content_length;
    uint64_t content_length;
    bool upgrade; /* asks for, or answers with, another protocol */
    size_t field_count;
    struct weir_http_field fields[WEIR_MAX_HEAD_FIELDS];
};

/* The value of the first field of that name (lower case given), or NULL. */
const struct weir_span *weir_http_head_find(const struct weir_http_head *head, struct weir_span lower_name);
/* How many fields have that name. */
size_t weir_http_head_count(const struct weir_http_head *head, struct weir_span lower_name);
/* Copies head and all its spans into `bytes_copy`'s memory: every span that points into `original` is moved to the same
 * offset in `copy`. Both have `length` bytes. */
void weir_http_head_rebase(struct weir_http_head *head, const char *original, const char *copy, size_t length);

/* True when a comma list holds the token, without case ("keep-alive, Upgrade"). */
bool weir_http_list_has(struct weir_span list, struct weir_span token);
/* True when a media type is `type` ("application/json"), parameters aside, without case. */
bool weir_http_media_type_is(struct weir_span value, struct weir_span type);
/* True for fields of one connection only (RFC 9110, section 7.6.1): Connection, Keep-Alive, Proxy-*, TE, Trailer,
 * Transfer-Encoding, Upgrade, HTTP2-Settings. Fields that a Connection field names are the caller's to drop. */
bool weir_http_is_hop_by_hop(struct weir_span name);

/* True when `name` is one of `count` lower-case names, without case. Cheap: names of other lengths are not looked at. */
bool weir_http_name_in(struct weir_span name, const struct weir_span *lower_names, size_t count);

/* The reason phrase: "OK", "Too Many Requests"; "Unknown" for codes without one. */
const char *weir_http_status_text(unsigned status);

/* Writers. A field whose name is no token, or whose value has CR, LF, NUL or another control byte besides HTAB, is
 * left out and fails the buffer with nothing (returns false). A request line whose method is no token or whose target
 * is empty or has a byte outside visible ASCII fails the buffer with WEIR_EINVAL. */
void weir_http_write_request_line(struct weir_buffer *out, struct weir_span method, struct weir_span target);
void weir_http_write_status_line(struct weir_buffer *out, unsigned status);
bool weir_http_write_field(struct weir_buffer *out, struct weir_span name, struct weir_span value);
void weir_http_write_field_uint64(struct weir_buffer *out, struct weir_span name, uint64_t value);
/* Ends the head. */
void weir_http_write_head_end(struct weir_buffer *out);
/* "1a2b\r\n" before a chunk's bytes (size > 0); the caller writes the bytes and then "\r\n". Returns the length. */
enum { WEIR_HTTP_CHUNK_HEAD_SIZE = 20 };
size_t weir_http_format_chunk_head(uint64_t size, char out[WEIR_HTTP_CHUNK_HEAD_SIZE]);

#endif
