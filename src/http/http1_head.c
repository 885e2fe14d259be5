/* Reads a complete head, and complete trailers: the strict half of the HTTP/1 parser.
 *
 * Two independent readers must agree. Ours goes over the lines, knows every byte that may stand in each place, and
 * works out how the message is framed; llhttp (strict, no lenient flag) then parses the same bytes, and the head is
 * refused unless it found the same method, version, target, status, fields, length and coding. Smuggling needs two
 * readers that disagree; what ours and llhttp read alike has the best chance to be read alike by whoever comes after.
 *
 * Never touches a body, never allocates.
 */
#include "http/impl.h"
#include "http/url.h"

#include <llhttp.h>

/* ---- fields ---- */

static enum weir_status refuse_name(struct http__refusal *refusal, const char *line, const char *stop,
                                    const char *end) {
    bool blank = stop < end && (*stop == ' ' || *stop == '\t');
    if (stop == line && blank) {
        return http__refuse(refusal, "folded field line");
    }
    if (stop == line && stop < end && *stop == ':') {
        return http__refuse(refusal, "empty field name");
    }
    if (blank) {
        return http__refuse(refusal, "space before the colon of a field");
    }
    return http__refuse(refusal, stop == end ? "field line without a colon" : "bad byte in a field name");
}

enum weir_status http__read_fields(struct weir_span lines, struct weir_http_field *fields, size_t *count,
                                   struct http__refusal *refusal) {
    const char *at = lines.at;
    const char *end = at + lines.length;
    size_t found = 0;
    while (at < end) {
        const char *line_feed = memchr(at, '\n', (size_t)(end - at));
        if (line_feed == NULL || line_feed == at || line_feed[-1] != '\r') {
            return http__refuse(refusal, "bare LF");
        }
        const char *line_end = line_feed - 1;
        const char *colon = http__skip_token(at, line_end);
        if (colon == at || colon == line_end || *colon != ':') {
            return refuse_name(refusal, at, colon, line_end);
        }
        if (!http__is_field_text(colon + 1, line_end)) {
            return http__refuse(refusal, "control byte in a field value");
        }
        if (found == WEIR_MAX_HEAD_FIELDS) {
            return http__refuse_size(refusal, WEIR_REASON_HEAD_TOO_LARGE, "more than 100 fields");
        }
        fields[found++] = (struct weir_http_field){
            .name = weir_span_of(at, (size_t)(colon - at)),
            .value = weir_span_trim(weir_span_of(colon + 1, (size_t)(line_end - colon - 1))),
        };
        at = line_feed + 1;
    }
    *count = found;
    return WEIR_OK;
}

/* Fields that frame, route, authenticate or describe the message: too late in a trailer (RFC 9110, section 6.5.1). */
static bool is_forbidden_in_trailer(struct weir_span name) {
    static const struct weir_span names[] = {
        {.at = "content-length", .length = 14},
        {.at = "host", .length = 4},
        {.at = "content-type", .length = 12},
        {.at = "content-encoding", .length = 16},
        {.at = "content-range", .length = 13},
        {.at = "authorization", .length = 13},
        {.at = "cookie", .length = 6},
        {.at = "set-cookie", .length = 10},
        {.at = "www-authenticate", .length = 16},
        {.at = "cache-control", .length = 13},
        {.at = "expect", .length = 6},
        {.at = "max-forwards", .length = 12},
        {.at = "range", .length = 5},
        {.at = "location", .length = 8},
        {.at = "retry-after", .length = 11},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (weir_span_equal_ignore_case(name, names[i])) {
            return true;
        }
    }
    return weir_http_is_hop_by_hop(name);
}

enum weir_status http__check_trailers(enum weir_http1_side side, struct weir_http_field *fields, size_t *count,
                                      struct http__refusal *refusal) {
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (!is_forbidden_in_trailer(fields[i].name)) {
            fields[kept++] = fields[i];
        } else if (side == WEIR_HTTP1_REQUESTS) {
            return http__refuse(refusal, "field not allowed in a trailer");
        }
    }
    *count = kept;
    return WEIR_OK;
}

/* ---- start lines ---- */

/* CONNECT is known to be refused by its own words. */
static const struct method {
    struct weir_span name;
    llhttp_method_t code;
} methods[] = {
    {{.at = "GET", .length = 3}, HTTP_GET},         {{.at = "POST", .length = 4}, HTTP_POST},
    {{.at = "HEAD", .length = 4}, HTTP_HEAD},       {{.at = "PUT", .length = 3}, HTTP_PUT},
    {{.at = "DELETE", .length = 6}, HTTP_DELETE},   {{.at = "PATCH", .length = 5}, HTTP_PATCH},
    {{.at = "OPTIONS", .length = 7}, HTTP_OPTIONS}, {{.at = "TRACE", .length = 5}, HTTP_TRACE},
    {{.at = "CONNECT", .length = 7}, HTTP_CONNECT},
};

static const struct method *find_method(struct weir_span name) {
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (weir_span_equal(methods[i].name, name)) {
            return &methods[i];
        }
    }
    return NULL;
}

static bool read_version(struct weir_span text, unsigned *minor) {
    if (text.length != 8 || !weir_span_starts_with(text, WEIR_SPAN("HTTP/1.")) ||
        (text.at[7] != '0' && text.at[7] != '1')) {
        return false;
    }
    *minor = (unsigned)(text.at[7] - '0');
    return true;
}

static enum weir_status read_absolute_target(struct weir_http_head *head, struct http__refusal *refusal) {
    struct weir_url url;
    if (weir_url_parse(head->target, &url, NULL) != WEIR_OK) {
        return http__refuse(refusal, "request target is neither a path nor an http URL");
    }
    head->authority = url.authority;
    head->path = url.path;
    head->query = url.query;
    if (url.path.length == 0) {
        bool all = weir_span_equal(head->method, WEIR_SPAN("OPTIONS")) && url.query.length == 0;
        head->path = all ? WEIR_SPAN("*") : WEIR_SPAN("/");
    }
    return WEIR_OK;
}

static enum weir_status read_target(struct weir_http_head *head, struct http__refusal *refusal) {
    if (head->target.length == 0) {
        return http__refuse(refusal, "doubled space in the request line");
    }
    for (size_t i = 0; i < head->target.length; i++) {
        if (!http__is_visible(head->target.at[i])) {
            return http__refuse(refusal, "bad byte in the request target");
        }
        if (head->target.at[i] == '#') {
            return http__refuse(refusal, "fragment in the request target");
        }
    }
    if (head->target.at[0] == '/') {
        weir_span_split(head->target, '?', &head->path, &head->query);
        return WEIR_OK;
    }
    if (weir_span_equal(head->target, WEIR_SPAN("*"))) {
        head->path = head->target;
        return weir_span_equal(head->method, WEIR_SPAN("OPTIONS"))
                   ? WEIR_OK
                   : http__refuse(refusal, "request target * with a method other than OPTIONS");
    }
    return read_absolute_target(head, refusal);
}

static enum weir_status read_request_line(struct weir_span line, struct weir_http_head *head,
                                          struct http__refusal *refusal) {
    struct weir_span rest;
    struct weir_span version;
    if (!weir_span_split(line, ' ', &head->method, &rest) || find_method(head->method) == NULL) {
        return http__refuse(refusal, "unknown method");
    }
    if (weir_span_equal(head->method, WEIR_SPAN("CONNECT"))) {
        return http__refuse(refusal, "CONNECT is not served");
    }
    weir_span_split(rest, ' ', &head->target, &version);
    if (head->target.length > WEIR_MAX_URI_BYTES) {
        return http__refuse_size(refusal, WEIR_REASON_URI_TOO_LONG, "request target over 16 KiB");
    }
    enum weir_status status = read_target(head, refusal);
    if (status == WEIR_OK && !read_version(version, &head->minor_version)) {
        status = http__refuse(refusal, "request line does not end in one space and HTTP/1.1 or HTTP/1.0");
    }
    return status;
}

/* "HTTP/1.1 200 OK"; the text may be empty, and then the space before it may be missing too. */
static enum weir_status read_status_line(struct weir_span line, struct weir_http_head *head,
                                         struct http__refusal *refusal) {
    enum { VERSION_BYTES = 8, STATUS_AT = 9, STATUS_END = 12 };
    if (line.length < STATUS_END || !read_version(weir_span_first(line, VERSION_BYTES), &head->minor_version) ||
        line.at[VERSION_BYTES] != ' ') {
        return http__refuse(refusal, "status line does not begin with HTTP/1.1 or HTTP/1.0");
    }
    const char *digits = line.at + STATUS_AT;
    if (digits[0] < '1' || digits[0] > '9' || !http__is_digit(digits[1]) || !http__is_digit(digits[2]) ||
        (line.length > STATUS_END && line.at[STATUS_END] != ' ')) {
        return http__refuse(refusal, "status is not three digits");
    }
    head->status = (unsigned)(digits[0] - '0') * 100 + (unsigned)(digits[1] - '0') * 10 + (unsigned)(digits[2] - '0');
    head->status_text = weir_span_from(line, line.length > STATUS_END ? STATUS_END + 1 : STATUS_END);
    return http__is_field_text(head->status_text.at, line.at + line.length)
               ? WEIR_OK
               : http__refuse(refusal, "control byte in the status line");
}

/* ---- what the fields mean for the message ---- */

struct meaning {
    const struct weir_span *host; /* the first */
    size_t host_count;
    bool has_coding;
    bool says_close;
    bool says_keep_alive;
    bool says_upgrade;
    bool has_upgrade;
    bool unknown_expectation;
};

/* A field's whole line after the colon, blanks included: no HTAB where two parsers might trim differently. */
static bool has_tab(const struct weir_http_field *field) {
    const char *at = field->name.at + field->name.length + 1;
    for (; *at != '\r'; at++) {
        if (*at == '\t') {
            return true;
        }
    }
    return false;
}

static enum weir_status note_content_length(const struct weir_http_field *field, struct weir_http_head *head,
                                            struct http__refusal *refusal) {
    if (head->has_content_length) {
        return http__refuse(refusal, "more than one Content-Length");
    }
    if (has_tab(field) || weir_span_to_uint64(field->value, &head->content_length) != WEIR_OK ||
        head->content_length > INT64_MAX) {
        return http__refuse(refusal, "Content-Length is not a number");
    }
    head->has_content_length = true;
    return WEIR_OK;
}

static enum weir_status note_transfer_encoding(const struct weir_http_field *field, struct meaning *meaning,
                                               struct http__refusal *refusal) {
    if (meaning->has_coding) {
        return http__refuse(refusal, "more than one Transfer-Encoding");
    }
    if (has_tab(field) || !weir_span_equal_ignore_case(field->value, WEIR_SPAN("chunked"))) {
        return http__refuse(refusal, "Transfer-Encoding other than chunked");
    }
    meaning->has_coding = true;
    return WEIR_OK;
}

static void note_connection(struct weir_span value, struct meaning *meaning) {
    meaning->says_close = meaning->says_close || weir_http_list_has(value, WEIR_SPAN("close"));
    meaning->says_keep_alive = meaning->says_keep_alive || weir_http_list_has(value, WEIR_SPAN("keep-alive"));
    meaning->says_upgrade = meaning->says_upgrade || weir_http_list_has(value, WEIR_SPAN("upgrade"));
}

/* By length first: most fields of most heads have none of these lengths. */
static enum weir_status note_field(const struct weir_http_field *field, struct weir_http_head *head,
                                   struct meaning *meaning, struct http__refusal *refusal) {
    switch (field->name.length) {
    case 4:
        if (weir_span_equal_ignore_case(field->name, WEIR_SPAN("host"))) {
            meaning->host = meaning->host != NULL ? meaning->host : &field->value;
            meaning->host_count++;
        }
        break;
    case 6:
        if (weir_span_equal_ignore_case(field->name, WEIR_SPAN("expect"))) {
            head->expect_continue = weir_span_equal_ignore_case(field->value, WEIR_SPAN("100-continue"));
            meaning->unknown_expectation = meaning->unknown_expectation || !head->expect_continue;
        }
        break;
    case 7:
        meaning->has_upgrade = meaning->has_upgrade || weir_span_equal_ignore_case(field->name, WEIR_SPAN("upgrade"));
        break;
    case 10:
        if (weir_span_equal_ignore_case(field->name, WEIR_SPAN("connection"))) {
            note_connection(field->value, meaning);
        }
        break;
    case 14:
        if (weir_span_equal_ignore_case(field->name, WEIR_SPAN("content-length"))) {
            return note_content_length(field, head, refusal);
        }
        break;
    case 17:
        if (weir_span_equal_ignore_case(field->name, WEIR_SPAN("transfer-encoding"))) {
            return note_transfer_encoding(field, meaning, refusal);
        }
        break;
    default: break;
    }
    return WEIR_OK;
}

/* The Host field against the target: present (from HTTP/1.1 on), once, well formed, and of an absolute target the
 * same. */
static enum weir_status check_host(const struct meaning *meaning, struct weir_http_head *head,
                                   struct http__refusal *refusal) {
    struct weir_span host;
    bool is_ipv6 = false;
    uint16_t port = 0;
    if (meaning->host == NULL) {
        return head->minor_version == 0 ? WEIR_OK : http__refuse(refusal, "no Host");
    }
    if (meaning->host_count > 1) {
        return http__refuse(refusal, "more than one Host");
    }
    if (!http__read_authority(*meaning->host, &host, &is_ipv6, &port)) {
        return http__refuse(refusal, "Host is not a host and port");
    }
    if (head->authority.length == 0) {
        head->authority = *meaning->host;
        return WEIR_OK;
    }
    struct weir_url url;
    if (weir_url_parse(head->target, &url, NULL) != WEIR_OK) {
        return http__refuse(refusal, "request target is neither a path nor an http URL");
    }
    uint16_t effective_port = port != 0 ? port : (uint16_t)(url.tls ? 443 : 80);
    bool same = is_ipv6 == url.host_is_ipv6 && effective_port == url.port &&
                weir_span_equal_ignore_case(host, url.host);
    return same ? WEIR_OK : http__refuse(refusal, "Host differs from the request target");
}

static enum weir_status understand(enum weir_http1_side side, struct weir_http_head *head,
                                   struct http__refusal *refusal) {
    struct meaning meaning = {.host = NULL};
    for (size_t i = 0; i < head->field_count; i++) {
        enum weir_status status = note_field(&head->fields[i], head, &meaning, refusal);
        if (status != WEIR_OK) {
            return status;
        }
    }
    if (meaning.has_coding && head->has_content_length) {
        return http__refuse(refusal, "both Content-Length and Transfer-Encoding");
    }
    if (meaning.has_coding && head->minor_version == 0) {
        return http__refuse(refusal, "Transfer-Encoding in HTTP/1.0");
    }
    head->chunked = meaning.has_coding;
    head->keep_alive = !meaning.says_close && (head->minor_version > 0 || meaning.says_keep_alive);
    if (side == WEIR_HTTP1_RESPONSES) {
        head->expect_continue = false;
        head->upgrade = head->status == 101;
        return WEIR_OK;
    }
    enum weir_status status = check_host(&meaning, head, refusal);
    if (status != WEIR_OK) {
        return status;
    }
    if (meaning.unknown_expectation) {
        *refusal = (struct http__refusal){.status = WEIR_EPROTO,
                                          .reason = WEIR_REASON_EXPECTATION_UNKNOWN,
                                          .words = "Expect other than 100-continue"};
        return WEIR_EPROTO;
    }
    head->expect_continue = head->expect_continue && head->minor_version > 0;
    head->upgrade = meaning.has_upgrade && meaning.says_upgrade && head->minor_version > 0;
    return WEIR_OK;
}

/* ---- the second reader ---- */

struct comparison {
    const struct weir_http_head *head;
    struct weir_span seen; /* of the span that llhttp is reporting, perhaps in pieces */
    size_t field;          /* fields whose values were compared */
    bool complete;
};

static struct comparison *comparison_of(llhttp_t *parser) {
    return parser->data;
}

static int on_piece(llhttp_t *parser, const char *at, size_t length) {
    struct comparison *comparison = comparison_of(parser);
    if (comparison->seen.length == 0) {
        comparison->seen = weir_span_of(at, length);
    } else if (comparison->seen.at + comparison->seen.length == at) {
        comparison->seen.length += length;
    } else {
        return HPE_USER;
    }
    return 0;
}

/* The same bytes in the same place; empty spans have no place. */
static int compare(struct comparison *comparison, struct weir_span ours) {
    struct weir_span theirs = weir_span_trim(comparison->seen);
    comparison->seen = weir_span_of("", 0);
    return theirs.length == ours.length && (ours.length == 0 || theirs.at == ours.at) ? 0 : HPE_USER;
}

static int on_target_complete(llhttp_t *parser) {
    struct comparison *comparison = comparison_of(parser);
    return compare(comparison, comparison->head->target);
}

static int on_name_complete(llhttp_t *parser) {
    struct comparison *comparison = comparison_of(parser);
    if (comparison->field >= comparison->head->field_count) {
        return HPE_USER;
    }
    return compare(comparison, comparison->head->fields[comparison->field].name);
}

static int on_value_complete(llhttp_t *parser) {
    struct comparison *comparison = comparison_of(parser);
    if (comparison->field >= comparison->head->field_count) {
        return HPE_USER;
    }
    return compare(comparison, comparison->head->fields[comparison->field++].value);
}

/* Pausing here ends llhttp's part: bodies are not its business. */
static int on_complete(llhttp_t *parser) {
    comparison_of(parser)->complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t comparison_settings = {
    .on_url = on_piece,
    .on_url_complete = on_target_complete,
    .on_header_field = on_piece,
    .on_header_field_complete = on_name_complete,
    .on_header_value = on_piece,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_complete,
};

static bool start_line_agrees(enum weir_http1_side side, const struct weir_http_head *head, const llhttp_t *parser) {
    if (parser->http_major != 1 || parser->http_minor != head->minor_version) {
        return false;
    }
    if (side == WEIR_HTTP1_RESPONSES) {
        return parser->status_code == head->status;
    }
    const struct method *method = find_method(head->method);
    return method != NULL && parser->method == method->code;
}

static enum weir_status compare_with_llhttp(enum weir_http1_side side, struct weir_span block,
                                            const struct weir_http_head *head, struct http__refusal *refusal) {
    struct comparison comparison = {.head = head, .seen = {.at = "", .length = 0}};
    llhttp_t parser;
    llhttp_init(&parser, side == WEIR_HTTP1_REQUESTS ? HTTP_REQUEST : HTTP_RESPONSE, &comparison_settings);
    parser.data = &comparison;
    llhttp_errno_t outcome = llhttp_execute(&parser, block.at, block.length);
    bool same = outcome == HPE_PAUSED && comparison.complete && comparison.field == head->field_count &&
                start_line_agrees(side, head, &parser) && ((parser.flags & F_CHUNKED) != 0) == head->chunked &&
                ((parser.flags & F_CONTENT_LENGTH) != 0) == head->has_content_length &&
                (!head->has_content_length || parser.content_length == head->content_length);
    return same ? WEIR_OK : http__refuse(refusal, "head that parsers read differently");
}

enum weir_status http__read_head(enum weir_http1_side side, struct weir_span block, struct weir_http_head *head,
                                 struct http__refusal *refusal) {
    enum { BLANK_LINE_BYTES = 2 };
    /* The fields themselves, 3 KiB, are written as they are found. */
    memset(head, 0, offsetof(struct weir_http_head, fields));
    const struct weir_span none = WEIR_SPAN("");
    head->method = head->target = head->path = head->query = head->authority = head->status_text = none;
    size_t line_feed = weir_span_index(block, '\n');
    if (line_feed == 0 || line_feed + 1 + BLANK_LINE_BYTES > block.length || block.at[line_feed - 1] != '\r') {
        return http__refuse(refusal, "bare LF");
    }
    struct weir_span line = weir_span_first(block, line_feed - 1);
    struct weir_span lines = weir_span_of(block.at + line_feed + 1, block.length - line_feed - 1 - BLANK_LINE_BYTES);
    enum weir_status status = side == WEIR_HTTP1_REQUESTS ? read_request_line(line, head, refusal)
                                                          : read_status_line(line, head, refusal);
    if (status == WEIR_OK) {
        status = http__read_fields(lines, head->fields, &head->field_count, refusal);
    }
    if (status == WEIR_OK) {
        status = understand(side, head, refusal);
    }
    return status == WEIR_OK ? compare_with_llhttp(side, block, head, refusal) : status;
}
