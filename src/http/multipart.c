/* Cuts a form into its parts.
 *
 * What is in a file is handed on where it lies: one search for "--boundary" a piece, then a look at the bytes before
 * what it finds. Only a tail that may be the beginning of a delimiter is held back, and as all its bytes are known,
 * only its length is kept. The same words behind a lone CR or LF, or where a content begins, are a delimiter to some readers
 * and content to others, and are refused: a provider must not find another form than the one that was checked here.
 *
 * Part heads are small and are gathered line by line; nothing else is copied.
 */
#include "http/multipart.h"

#include "base/memory.h"
#include "http/impl.h"

enum { CRLF_BYTES = 2, DASHES_BYTES = 2 };

enum place {
    PLACE_START,           /* before the first delimiter */
    PLACE_BEHIND_BOUNDARY, /* CRLF or "--" */
    PLACE_HEAD,
    PLACE_CONTENT,
    PLACE_CLOSED, /* behind the closing delimiter: one CRLF, or the end */
};

/* The line break before what may become a delimiter. */
enum line_break { BREAK_NONE, BREAK_CR, BREAK_LF, BREAK_CRLF };

struct weir_multipart {
    const struct weir_multipart_events *events;
    void *owner;
    enum weir_status status;
    const char *problem;
    enum place place;
    uint64_t offset; /* of the next byte in the body */
    unsigned part_count;
    /* Where a delimiter may have begun: how many bytes of `marker` have matched. In PLACE_CONTENT also: */
    size_t matched;
    bool holding;
    enum line_break line_break;
    char second; /* PLACE_BEHIND_BOUNDARY, PLACE_CLOSED: the byte that has to follow; NUL: none has come yet */
    bool ended;  /* PLACE_CLOSED: the one CRLF has come */
    struct weir_buffer head;
    size_t marker_length;
    char marker[DASHES_BYTES + WEIR_MULTIPART_MAX_BOUNDARY]; /* "--boundary" */
};

static enum weir_status refuse(struct weir_multipart *reader, enum weir_status status, const char *words) {
    reader->status = status;
    reader->problem = words;
    return status;
}

static void take(struct weir_multipart *reader, struct weir_span *data, size_t count) {
    *data = weir_span_from(*data, count);
    reader->offset += count;
}

/* ---- parameters of Content-Type and Content-Disposition ---- */

struct parameter {
    struct weir_span name;
    struct weir_span value; /* between the quotes, as written */
    bool quoted;
};

static struct weir_span skip_blanks(struct weir_span text) {
    size_t at = 0;
    while (at < text.length && (text.at[at] == ' ' || text.at[at] == '\t')) {
        at++;
    }
    return weir_span_from(text, at);
}

/* The index of the closing quote of a string whose opening quote is before text.at, or text.length. */
static size_t find_quote(struct weir_span text) {
    size_t at = 0;
    while (at < text.length && text.at[at] != '"') {
        bool pair = text.at[at] == '\\' && at + 1 < text.length && (text.at[at + 1] == '"' || text.at[at + 1] == '\\');
        at += pair ? 2 : 1;
    }
    return at;
}

/* Takes "; name=value" from *text. WEIR_END at the end, WEIR_EINVAL where it is not well formed. */
static enum weir_status next_parameter(struct weir_span *text, struct parameter *parameter) {
    struct weir_span rest = skip_blanks(*text);
    if (rest.length == 0) {
        return WEIR_END;
    }
    if (rest.at[0] != ';') {
        return WEIR_EINVAL;
    }
    rest = skip_blanks(weir_span_from(rest, 1));
    if (rest.length == 0) {
        return WEIR_END;
    }
    size_t name_length = (size_t)(http__skip_token(rest.at, rest.at + rest.length) - rest.at);
    parameter->name = weir_span_first(rest, name_length);
    rest = weir_span_from(rest, name_length);
    if (name_length == 0 || rest.length < 2 || rest.at[0] != '=') {
        return WEIR_EINVAL;
    }
    rest = weir_span_from(rest, 1);
    parameter->quoted = rest.at[0] == '"';
    if (parameter->quoted) {
        rest = weir_span_from(rest, 1);
        size_t quote = find_quote(rest);
        if (quote == rest.length) {
            return WEIR_EINVAL;
        }
        parameter->value = weir_span_first(rest, quote);
        *text = weir_span_from(rest, quote + 1);
        return WEIR_OK;
    }
    size_t value_length = (size_t)(http__skip_token(rest.at, rest.at + rest.length) - rest.at);
    parameter->value = weir_span_first(rest, value_length);
    *text = weir_span_from(rest, value_length);
    return value_length > 0 ? WEIR_OK : WEIR_EINVAL;
}

/* Takes a word, such as a media type, from *text. */
static struct weir_span take_value(struct weir_span *text) {
    struct weir_span value = weir_span_first(*text, weir_span_index(*text, ';'));
    *text = weir_span_from(*text, value.length);
    return weir_span_trim(value);
}

static bool is_boundary(struct weir_span text) {
    static const char allowed[] = "'()+_,-./:=? ";
    if (text.length == 0 || text.length > WEIR_MULTIPART_MAX_BOUNDARY || text.at[text.length - 1] == ' ') {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        unsigned char lower = (unsigned char)text.at[i] | 0x20U;
        bool word = (lower >= 'a' && lower <= 'z') || http__is_digit(text.at[i]);
        if (!word && memchr(allowed, text.at[i], sizeof(allowed) - 1) == NULL) {
            return false;
        }
    }
    return true;
}

enum weir_status weir_multipart_boundary(struct weir_span content_type, struct weir_span *boundary) {
    struct weir_span rest = content_type;
    if (!weir_span_equal_ignore_case(take_value(&rest), WEIR_SPAN("multipart/form-data"))) {
        return WEIR_EINVAL;
    }
    struct parameter parameter;
    struct weir_span found = WEIR_SPAN("");
    bool has_boundary = false;
    enum weir_status status;
    while ((status = next_parameter(&rest, &parameter)) == WEIR_OK) {
        if (weir_span_equal_ignore_case(parameter.name, WEIR_SPAN("boundary"))) {
            if (has_boundary) {
                return WEIR_EINVAL;
            }
            has_boundary = true;
            found = parameter.value;
        }
    }
    if (status != WEIR_END || !is_boundary(found)) {
        return WEIR_EINVAL;
    }
    *boundary = found;
    return WEIR_OK;
}

/* ---- part heads ---- */

/* Undoes what browsers (%22, %0D, %0A) and others (\", \\) do to names, where it stands in the head's buffer. */
static struct weir_span undo_escapes(struct weir_multipart *reader, struct weir_span text) {
    char *start = reader->head.at + (text.at - reader->head.at);
    char *out = start;
    const char *end = text.at + text.length;
    for (const char *at = text.at; at < end;) {
        struct weir_span rest = weir_span_of(at, (size_t)(end - at));
        struct weir_span three = weir_span_first(rest, rest.length < 3 ? rest.length : 3);
        if (rest.length >= 2 && at[0] == '\\' && (at[1] == '"' || at[1] == '\\')) {
            *out++ = at[1];
            at += 2;
        } else if (weir_span_equal(three, WEIR_SPAN("%22"))) {
            *out++ = '"';
            at += 3;
        } else if (weir_span_equal_ignore_case(three, WEIR_SPAN("%0d"))) {
            *out++ = '\r';
            at += 3;
        } else if (weir_span_equal_ignore_case(three, WEIR_SPAN("%0a"))) {
            *out++ = '\n';
            at += 3;
        } else {
            *out++ = *at++;
        }
    }
    return weir_span_of(start, (size_t)(out - start));
}

/* A backslash before anything else than a quote or a backslash: an escape to some readers, itself to others. That makes
 * another file name, which is of no account, but must not make another field. */
static bool has_doubtful_backslash(struct weir_span text) {
    for (size_t at = weir_span_index(text, '\\'); at < text.length;) {
        if (at + 1 == text.length || (text.at[at + 1] != '"' && text.at[at + 1] != '\\')) {
            return true;
        }
        at += 2;
        at += weir_span_index(weir_span_from(text, at), '\\');
    }
    return false;
}

static bool has_control_byte(struct weir_span text) {
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (byte < 0x20 || byte == 0x7F) {
            return true;
        }
    }
    return false;
}

static enum weir_status read_name(struct weir_multipart *reader, const struct parameter *parameter,
                                  struct weir_multipart_part *part) {
    if (parameter->quoted && has_doubtful_backslash(parameter->value)) {
        return refuse(reader, WEIR_EPROTO, "a part's name with a backslash that escapes nothing");
    }
    part->name = parameter->quoted ? undo_escapes(reader, parameter->value) : parameter->value;
    if (has_control_byte(part->name)) {
        return refuse(reader, WEIR_EPROTO, "a part's name with a control byte");
    }
    return WEIR_OK;
}

static enum weir_status read_disposition(struct weir_multipart *reader, struct weir_span value,
                                         struct weir_multipart_part *part) {
    struct weir_span rest = value;
    if (!weir_span_equal_ignore_case(take_value(&rest), WEIR_SPAN("form-data"))) {
        return refuse(reader, WEIR_EPROTO, "a part that is not form-data");
    }
    struct parameter parameter;
    bool has_name = false, has_plain_file_name = false;
    enum weir_status status;
    while ((status = next_parameter(&rest, &parameter)) == WEIR_OK) {
        if (weir_span_equal_ignore_case(parameter.name, WEIR_SPAN("name"))) {
            if (has_name) {
                return refuse(reader, WEIR_EPROTO, "a part with two names");
            }
            has_name = true;
            status = read_name(reader, &parameter, part);
            if (status != WEIR_OK) {
                return status;
            }
        } else if (weir_span_equal_ignore_case(parameter.name, WEIR_SPAN("filename"))) {
            if (has_plain_file_name) {
                return refuse(reader, WEIR_EPROTO, "a part with two file names");
            }
            has_plain_file_name = true;
            part->has_file_name = true;
            part->file_name = parameter.quoted ? undo_escapes(reader, parameter.value) : parameter.value;
        } else if (parameter.name.length > 4 &&
                   weir_span_equal_ignore_case(weir_span_first(parameter.name, 5), WEIR_SPAN("name*"))) {
            return refuse(reader, WEIR_EPROTO, "a part's name in an extended form");
        } else if (parameter.name.length > 8 &&
                   weir_span_equal_ignore_case(weir_span_first(parameter.name, 9), WEIR_SPAN("filename*"))) {
            part->has_file_name = true; /* that it is a file counts, not what it is called */
        }
    }
    if (status != WEIR_END) {
        return refuse(reader, WEIR_EPROTO, "a part's Content-Disposition is not well formed");
    }
    return part->name.length > 0 ? WEIR_OK : refuse(reader, WEIR_EPROTO, "a part without a name");
}

/* Codings that change nothing; another would make the content that a provider reads other bytes than these. */
static bool is_plain_coding(struct weir_span value) {
    return weir_span_equal_ignore_case(value, WEIR_SPAN("binary")) ||
           weir_span_equal_ignore_case(value, WEIR_SPAN("8bit")) ||
           weir_span_equal_ignore_case(value, WEIR_SPAN("7bit"));
}

/* The whole head is in reader->head, its blank line included. */
static enum weir_status read_part_head(struct weir_multipart *reader) {
    weir_bug_on(reader->head.at == NULL);
    struct weir_http_field fields[WEIR_MAX_HEAD_FIELDS];
    size_t field_count = 0;
    struct http__refusal refusal;
    struct weir_span lines = weir_buffer_span(&reader->head);
    enum weir_status status = http__read_fields(weir_span_first(lines, lines.length - CRLF_BYTES), fields, &field_count,
                                                &refusal);
    if (status != WEIR_OK) {
        return refuse(reader, status, refusal.words);
    }
    struct weir_multipart_part part = {.name = WEIR_SPAN(""),
                                       .file_name = WEIR_SPAN(""),
                                       .content_type = WEIR_SPAN(""),
                                       .content_at = reader->offset};
    bool has_type = false;
    bool has_disposition = false;
    for (size_t i = 0; i < field_count; i++) {
        if (weir_span_equal_ignore_case(fields[i].name, WEIR_SPAN("content-disposition"))) {
            if (has_disposition) {
                return refuse(reader, WEIR_EPROTO, "a part with two Content-Dispositions");
            }
            has_disposition = true;
            status = read_disposition(reader, fields[i].value, &part);
            if (status != WEIR_OK) {
                return status;
            }
        } else if (weir_span_equal_ignore_case(fields[i].name, WEIR_SPAN("content-type"))) {
            if (has_type) {
                return refuse(reader, WEIR_EPROTO, "a part with two Content-Types");
            }
            has_type = true;
            part.content_type = fields[i].value;
        } else if (weir_span_equal_ignore_case(fields[i].name, WEIR_SPAN("content-transfer-encoding")) &&
                   !is_plain_coding(fields[i].value)) {
            return refuse(reader, WEIR_EPROTO, "a part in a transfer encoding");
        }
    }
    if (!has_disposition) {
        return refuse(reader, WEIR_EPROTO, "a part without Content-Disposition");
    }
    reader->status = reader->events->on_part(reader->owner, &part);
    return reader->status;
}

/* Takes one line of the head, or what there is of it. */
static enum weir_status feed_head(struct weir_multipart *reader, struct weir_span *data) {
    struct weir_span line = weir_span_first(*data, weir_span_index(*data, '\n'));
    line.length += line.length < data->length ? 1 : 0;
    weir_buffer_append(&reader->head, line);
    enum weir_status status = weir_buffer_status(&reader->head);
    if (status != WEIR_OK) {
        return refuse(reader, status, status == WEIR_ELIMIT ? "a part's head is too large" : "no memory");
    }
    take(reader, data, line.length);
    struct weir_span lines = weir_buffer_span(&reader->head);
    bool whole = weir_span_equal(lines, WEIR_SPAN("\r\n")) || weir_span_ends_with(lines, WEIR_SPAN("\n\r\n"));
    if (!whole) {
        return WEIR_OK;
    }
    status = read_part_head(reader);
    weir_buffer_clear(&reader->head);
    reader->place = PLACE_CONTENT;
    reader->holding = true;
    reader->line_break = BREAK_NONE;
    reader->matched = 0;
    return status;
}

/* ---- content ---- */

static enum weir_status give(struct weir_multipart *reader, const char *at, size_t length) {
    if (length > 0) {
        reader->status = reader->events->on_content(reader->owner, weir_span_of(at, length));
    }
    return reader->status;
}

/* What was held back is content after all. */
static enum weir_status give_held(struct weir_multipart *reader) {
    static const struct weir_span breaks[] = {
        [BREAK_NONE] = {.at = "", .length = 0},
        [BREAK_CR] = {.at = "\r", .length = 1},
        [BREAK_LF] = {.at = "\n", .length = 1},
        [BREAK_CRLF] = {.at = "\r\n", .length = 2},
    };
    struct weir_span line_break = breaks[reader->line_break];
    char held[CRLF_BYTES + sizeof(reader->marker)];
    memcpy(held, line_break.at, line_break.length);
    memcpy(held + line_break.length, reader->marker, reader->matched);
    reader->holding = false;
    return give(reader, held, line_break.length + reader->matched);
}

/* A line break and the marker are complete, and taken. */
static enum weir_status end_part(struct weir_multipart *reader) {
    reader->holding = false;
    if (reader->line_break == BREAK_NONE) {
        return refuse(reader, WEIR_EPROTO, "a boundary directly behind a part's head");
    }
    if (reader->line_break != BREAK_CRLF) {
        return refuse(reader, WEIR_EPROTO, "a boundary behind a bare CR or LF");
    }
    reader->place = PLACE_BEHIND_BOUNDARY;
    reader->second = '\0';
    reader->status = reader->events->on_part_end(reader->owner, reader->offset - reader->marker_length - CRLF_BYTES);
    return reader->status;
}

/* Goes on where a delimiter may have begun before *data. */
static enum weir_status feed_held(struct weir_multipart *reader, struct weir_span *data) {
    if (reader->line_break == BREAK_CR && reader->matched == 0 && data->at[0] == '\n') {
        reader->line_break = BREAK_CRLF;
        take(reader, data, 1);
    }
    size_t missing = reader->marker_length - reader->matched;
    size_t count = data->length < missing ? data->length : missing;
    size_t same = 0;
    while (same < count && data->at[same] == reader->marker[reader->matched + same]) {
        same++;
    }
    reader->matched += same;
    take(reader, data, same);
    if (reader->matched == reader->marker_length) {
        return end_part(reader);
    }
    return same < count ? give_held(reader) : WEIR_OK;
}

/* The line break that ends just before data.at[index]. What came before data.at is no part of one, else it was held. */
static enum line_break break_before(struct weir_span data, size_t index, size_t *start) {
    *start = index;
    if (index == 0 || (data.at[index - 1] != '\r' && data.at[index - 1] != '\n')) {
        return BREAK_NONE;
    }
    *start = index - 1;
    if (data.at[index - 1] == '\r') {
        return BREAK_CR;
    }
    if (index == 1 || data.at[index - 2] != '\r') {
        return BREAK_LF;
    }
    *start = index - 2;
    return BREAK_CRLF;
}

/* No delimiter is whole in data: hands on all but a tail that may be the beginning of one. */
static enum weir_status give_but_tail(struct weir_multipart *reader, struct weir_span *data) {
    size_t window = data->length < reader->marker_length ? data->length : reader->marker_length;
    size_t tail = 0;
    while (tail < window && data->at[data->length - tail - 1] != '\r' && data->at[data->length - tail - 1] != '\n') {
        tail++;
    }
    size_t start = data->length;
    if (tail < window && memcmp(data->at + data->length - tail, reader->marker, tail) == 0) {
        reader->line_break = break_before(*data, data->length - tail, &start);
        reader->matched = tail;
        reader->holding = true;
    }
    const char *at = data->at;
    take(reader, data, data->length);
    return give(reader, at, start);
}

static enum weir_status feed_content(struct weir_multipart *reader, struct weir_span *data) {
    size_t from = 0;
    for (;;) {
        const char *found = memmem(data->at + from, data->length - from, reader->marker, reader->marker_length);
        if (found == NULL) {
            return give_but_tail(reader, data);
        }
        size_t start = 0;
        size_t index = (size_t)(found - data->at);
        enum line_break line_break = break_before(*data, index, &start);
        if (line_break == BREAK_NONE) {
            from = index + 1;
            continue;
        }
        enum weir_status status = give(reader, data->at, start);
        if (status != WEIR_OK) {
            return status;
        }
        take(reader, data, index + reader->marker_length);
        reader->line_break = line_break;
        return end_part(reader);
    }
}

/* ---- around the parts ---- */

/* The first delimiter, whose CRLF may be missing. `matched` counts from the CRLF on. */
static enum weir_status feed_start(struct weir_multipart *reader, struct weir_span *data) {
    char byte = data->at[0];
    if (reader->matched == 0 && byte == '-') {
        reader->matched = CRLF_BYTES;
    }
    char expected = reader->matched >= CRLF_BYTES ? reader->marker[reader->matched - CRLF_BYTES]
                                                  : "\r\n"[reader->matched];
    if (byte != expected) {
        return refuse(reader, WEIR_EPROTO, "no boundary at the start");
    }
    take(reader, data, 1);
    reader->matched++;
    if (reader->matched == CRLF_BYTES + reader->marker_length) {
        reader->place = PLACE_BEHIND_BOUNDARY;
    }
    return WEIR_OK;
}

static enum weir_status feed_behind_boundary(struct weir_multipart *reader, struct weir_span *data) {
    char byte = data->at[0];
    if (reader->second == '\0' && (byte == '\r' || byte == '-')) {
        reader->second = byte == '\r' ? '\n' : '-';
        take(reader, data, 1);
        return WEIR_OK;
    }
    if (byte != reader->second) {
        return refuse(reader, WEIR_EPROTO, "bytes behind a boundary");
    }
    take(reader, data, 1);
    reader->second = '\0';
    if (byte == '-') {
        reader->place = PLACE_CLOSED;
        return WEIR_OK;
    }
    if (reader->part_count == WEIR_MULTIPART_MAX_PARTS) {
        return refuse(reader, WEIR_ELIMIT, "too many parts");
    }
    reader->part_count++;
    reader->place = PLACE_HEAD;
    return WEIR_OK;
}

static enum weir_status feed_closed(struct weir_multipart *reader, struct weir_span *data) {
    char expected = reader->second == '\0' ? '\r' : reader->second;
    if (reader->ended || data->at[0] != expected) {
        return refuse(reader, WEIR_EPROTO, "bytes behind the closing boundary");
    }
    reader->ended = expected == '\n';
    reader->second = reader->ended ? '\0' : '\n';
    take(reader, data, 1);
    return WEIR_OK;
}

struct weir_multipart *weir_multipart_new(struct weir_span boundary, const struct weir_multipart_events *events,
                                          void *owner) {
    weir_bug_on(!is_boundary(boundary));
    struct weir_multipart *reader = weir_memory_new(1, sizeof(*reader));
    if (reader == NULL) {
        return NULL;
    }
    reader->events = events;
    reader->owner = owner;
    reader->problem = "";
    reader->place = PLACE_START;
    weir_buffer_init(&reader->head, WEIR_MULTIPART_MAX_HEAD_BYTES);
    memcpy(reader->marker, "--", DASHES_BYTES);
    memcpy(reader->marker + DASHES_BYTES, boundary.at, boundary.length);
    reader->marker_length = DASHES_BYTES + boundary.length;
    return reader;
}

void weir_multipart_free(struct weir_multipart **reader) {
    if (*reader != NULL) {
        weir_buffer_release(&(*reader)->head);
        weir_memory_free(*reader);
        *reader = NULL;
    }
}

enum weir_status weir_multipart_feed(struct weir_multipart *reader, struct weir_span data) {
    while (data.length > 0 && reader->status == WEIR_OK) {
        switch (reader->place) {
        case PLACE_START: reader->status = feed_start(reader, &data); break;
        case PLACE_BEHIND_BOUNDARY: reader->status = feed_behind_boundary(reader, &data); break;
        case PLACE_HEAD: reader->status = feed_head(reader, &data); break;
        case PLACE_CONTENT:
            reader->status = reader->holding ? feed_held(reader, &data) : feed_content(reader, &data);
            break;
        case PLACE_CLOSED: reader->status = feed_closed(reader, &data); break;
        }
    }
    return reader->status;
}

enum weir_status weir_multipart_finish(struct weir_multipart *reader) {
    if (reader->status != WEIR_OK) {
        return reader->status;
    }
    if (reader->place != PLACE_CLOSED) {
        return refuse(reader, WEIR_EPROTO, "no closing boundary");
    }
    return reader->second == '\0' ? WEIR_OK : refuse(reader, WEIR_EPROTO, "bytes behind the closing boundary");
}

const char *weir_multipart_problem(const struct weir_multipart *reader) {
    return reader->problem;
}
