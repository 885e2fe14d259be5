/* Heads as data: looking fields up, moving a head to a copy of its bytes, and writing heads.
 *
 * The writers are the last gate before the wire: whatever a caller hands them, no start line and no field comes out
 * with a line break or another control byte inside it.
 */
#include "http/head.h"

#include "http/impl.h"

const struct weir_span *weir_http_head_find(const struct weir_http_head *head, struct weir_span lower_name) {
    for (size_t i = 0; i < head->field_count; i++) {
        if (weir_span_equal_ignore_case(head->fields[i].name, lower_name)) {
            return &head->fields[i].value;
        }
    }
    return NULL;
}

size_t weir_http_head_count(const struct weir_http_head *head, struct weir_span lower_name) {
    size_t count = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        count += weir_span_equal_ignore_case(head->fields[i].name, lower_name) ? 1U : 0U;
    }
    return count;
}

/* As integers: a span may be elsewhere altogether ("*" and "/" are ours), where comparing pointers has no meaning. */
static void rebase(struct weir_span *span, const char *original, const char *copy, size_t length) {
    uintptr_t at = (uintptr_t)span->at;
    uintptr_t start = (uintptr_t)original;
    if (at >= start && at - start <= length) {
        span->at = copy + (at - start);
    }
}

void weir_http_head_rebase(struct weir_http_head *head, const char *original, const char *copy, size_t length) {
    struct weir_span *spans[] = {&head->method, &head->target,    &head->path,
                                 &head->query,  &head->authority, &head->status_text};
    for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]); i++) {
        rebase(spans[i], original, copy, length);
    }
    for (size_t i = 0; i < head->field_count; i++) {
        rebase(&head->fields[i].name, original, copy, length);
        rebase(&head->fields[i].value, original, copy, length);
    }
}

bool weir_http_list_has(struct weir_span list, struct weir_span token) {
    while (list.length > 0) {
        struct weir_span item;
        struct weir_span rest;
        weir_span_split(list, ',', &item, &rest);
        if (weir_span_equal_ignore_case(weir_span_trim(item), token)) {
            return true;
        }
        list = rest;
    }
    return false;
}

bool weir_http_media_type_is(struct weir_span value, struct weir_span type) {
    struct weir_span media_type = weir_span_first(value, weir_span_index(value, ';'));
    return weir_span_equal_ignore_case(weir_span_trim(media_type), type);
}

bool weir_http_is_hop_by_hop(struct weir_span name) {
    static const struct weir_span names[] = {
        {.at = "connection", .length = 10},
        {.at = "keep-alive", .length = 10},
        {.at = "te", .length = 2},
        {.at = "trailer", .length = 7},
        {.at = "upgrade", .length = 7},
        {.at = "transfer-encoding", .length = 17},
        {.at = "http2-settings", .length = 14},
    };
    const struct weir_span proxy = WEIR_SPAN("proxy-");
    if (name.length > proxy.length && weir_span_equal_ignore_case(weir_span_first(name, proxy.length), proxy)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (weir_span_equal_ignore_case(name, names[i])) {
            return true;
        }
    }
    return false;
}

enum { FIRST_STATUS = 100, STATUS_COUNT = 500 };

static const char *const status_texts[STATUS_COUNT] = {
    [0] = "Continue",
    [1] = "Switching Protocols",
    [2] = "Processing",
    [3] = "Early Hints",
    [100] = "OK",
    [101] = "Created",
    [102] = "Accepted",
    [103] = "Non-Authoritative Information",
    [104] = "No Content",
    [105] = "Reset Content",
    [106] = "Partial Content",
    [107] = "Multi-Status",
    [108] = "Already Reported",
    [126] = "IM Used",
    [200] = "Multiple Choices",
    [201] = "Moved Permanently",
    [202] = "Found",
    [203] = "See Other",
    [204] = "Not Modified",
    [205] = "Use Proxy",
    [207] = "Temporary Redirect",
    [208] = "Permanent Redirect",
    [300] = "Bad Request",
    [301] = "Unauthorized",
    [302] = "Payment Required",
    [303] = "Forbidden",
    [304] = "Not Found",
    [305] = "Method Not Allowed",
    [306] = "Not Acceptable",
    [307] = "Proxy Authentication Required",
    [308] = "Request Timeout",
    [309] = "Conflict",
    [310] = "Gone",
    [311] = "Length Required",
    [312] = "Precondition Failed",
    [313] = "Content Too Large",
    [314] = "URI Too Long",
    [315] = "Unsupported Media Type",
    [316] = "Range Not Satisfiable",
    [317] = "Expectation Failed",
    [321] = "Misdirected Request",
    [322] = "Unprocessable Content",
    [323] = "Locked",
    [324] = "Failed Dependency",
    [325] = "Too Early",
    [326] = "Upgrade Required",
    [328] = "Precondition Required",
    [329] = "Too Many Requests",
    [331] = "Request Header Fields Too Large",
    [351] = "Unavailable For Legal Reasons",
    [400] = "Internal Server Error",
    [401] = "Not Implemented",
    [402] = "Bad Gateway",
    [403] = "Service Unavailable",
    [404] = "Gateway Timeout",
    [405] = "HTTP Version Not Supported",
    [406] = "Variant Also Negotiates",
    [407] = "Insufficient Storage",
    [408] = "Loop Detected",
    [410] = "Not Extended",
    [411] = "Network Authentication Required",
    [429] = "Overloaded", /* not registered; some AI providers answer with it */
};

const char *weir_http_status_text(unsigned status) {
    const char *text = status >= FIRST_STATUS && status < FIRST_STATUS + STATUS_COUNT
                           ? status_texts[status - FIRST_STATUS]
                           : NULL;
    return text != NULL ? text : "Unknown";
}

static char *put(char *to, struct weir_span span) {
    if (span.length > 0) {
        memcpy(to, span.at, span.length);
    }
    return to + span.length;
}

static bool is_visible_text(struct weir_span text) {
    for (size_t i = 0; i < text.length; i++) {
        if (!http__is_visible(text.at[i])) {
            return false;
        }
    }
    return text.length > 0;
}

static bool is_token(struct weir_span text) {
    return text.length > 0 && http__skip_token(text.at, text.at + text.length) == text.at + text.length;
}

void weir_http_write_request_line(struct weir_buffer *out, struct weir_span method, struct weir_span target) {
    if (!is_token(method) || !is_visible_text(target)) {
        out->status = out->status != WEIR_OK ? out->status : WEIR_EINVAL;
        return;
    }
    const struct weir_span version = WEIR_SPAN(" HTTP/1.1\r\n");
    size_t length = method.length + 1 + target.length + version.length;
    char *start = weir_buffer_reserve(out, length);
    if (start == NULL) {
        return;
    }
    char *to = put(start, method);
    *to++ = ' ';
    put(put(to, target), version);
    weir_buffer_commit(out, length);
}

void weir_http_write_status_line(struct weir_buffer *out, unsigned status) {
    weir_buffer_append(out, WEIR_SPAN("HTTP/1.1 "));
    weir_buffer_append_uint64(out, status);
    weir_buffer_append_byte(out, ' ');
    weir_buffer_append(out, weir_span_of_string(weir_http_status_text(status)));
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
}

bool weir_http_write_field(struct weir_buffer *out, struct weir_span name, struct weir_span value) {
    if (!is_token(name) || (value.length > 0 && !http__is_field_text(value.at, value.at + value.length))) {
        return false;
    }
    size_t length = name.length + 2 + value.length + 2;
    char *start = weir_buffer_reserve(out, length);
    if (start != NULL) {
        char *to = put(put(start, name), WEIR_SPAN(": "));
        put(put(to, value), WEIR_SPAN("\r\n"));
        weir_buffer_commit(out, length);
    }
    return true;
}

void weir_http_write_field_uint64(struct weir_buffer *out, struct weir_span name, uint64_t value) {
    weir_buffer_append(out, name);
    weir_buffer_append(out, WEIR_SPAN(": "));
    weir_buffer_append_uint64(out, value);
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
}

void weir_http_write_head_end(struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
}

size_t weir_http_format_chunk_head(uint64_t size, char out[WEIR_HTTP_CHUNK_HEAD_SIZE]) {
    size_t digits = 1;
    for (uint64_t rest = size >> 4; rest != 0; rest >>= 4) {
        digits++;
    }
    for (size_t i = digits; i > 0; i--) {
        out[i - 1] = "0123456789abcdef"[size & 0xFU];
        size >>= 4;
    }
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}

bool weir_http_name_in(struct weir_span name, const struct weir_span *lower_names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (lower_names[i].length == name.length && (name.at[0] | 0x20) == lower_names[i].at[0] &&
            weir_span_equal_ignore_case(name, lower_names[i])) {
            return true;
        }
    }
    return false;
}
