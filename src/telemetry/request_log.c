/* One request, one line. Built by hand on the stack because it is on the path of every request: each text is bounded so
 * that the buffer always has room for all of them, escapes included, and no write needs a second check. */
#include "telemetry/request_log.h"

#include "base/clock.h"
#include "base/mask.h"
#include "telemetry/text.h"

#include <errno.h>
#include <unistd.h>

enum {
    MAX_PATH_BYTES = 512,
    LONGEST_PLAIN_PATH = 26, /* an endpoint's own; what is longer has an id in it, or whatever a client took for one */
    MAX_TEXT_BYTES = 160,
    TEXTS = 15,      /* besides the path */
    MAX_ESCAPE = 6,  /* \u00XX for one byte */
    NAME_BYTES = 32, /* ,"name":"" */
    NUMBERS = 18,
    NUMBER_BYTES = NAME_BYTES + 20,
    LINE_BYTES = 256 + MAX_ESCAPE * MAX_PATH_BYTES + TEXTS * (NAME_BYTES + MAX_ESCAPE * MAX_TEXT_BYTES) +
                 NUMBERS * NUMBER_BYTES
};

struct line {
    size_t length;
    char at[LINE_BYTES];
};

static void put(struct line *line, struct weir_span text) {
    memcpy(line->at + line->length, text.at, text.length);
    line->length += text.length;
}

static void put_escaped_byte(struct line *line, unsigned char byte) {
    static const char digits[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    put(line, weir_span_of(escape, 6));
}

/* Eight at a step: false where one of them may not stand for itself, and true only where all do. */
static bool are_plain(const char *at) {
    const uint64_t ones = 0x0101010101010101U;
    const uint64_t highs = 0x8080808080808080U;
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    uint64_t quotes = (bytes ^ ones * '"') - ones;
    uint64_t backslashes = (bytes ^ ones * '\\') - ones;
    return ((quotes | backslashes | (bytes - ones * ' ') | (bytes + ones) | bytes) & highs) == 0;
}

/* How many bytes from `at` on stand for themselves in JSON. */
static size_t plain_bytes(struct weir_span text, size_t at, size_t maximum) {
    size_t end = text.length < maximum ? text.length : maximum;
    size_t from = at;
    while (end - at >= sizeof(uint64_t) && are_plain(text.at + at))
        at += sizeof(uint64_t);
    while (at < end) {
        unsigned char byte = (unsigned char)text.at[at];
        if (byte < 0x20 || byte >= 0x7f || byte == '"' || byte == '\\')
            break;
        at++;
    }
    return at - from;
}

static void put_text(struct line *line, struct weir_span text, size_t maximum) {
    for (size_t at = 0; at < text.length && at < maximum;) {
        size_t plain = plain_bytes(text, at, maximum);
        if (plain > 0) {
            put(line, weir_span_of(text.at + at, plain));
            at += plain;
            continue;
        }
        unsigned char first = (unsigned char)text.at[at];
        size_t bytes = telemetry__character(text, at);
        if (first == '"' || first == '\\') {
            line->at[line->length++] = '\\';
            line->at[line->length++] = (char)first;
        } else if (first < 0x20 || first == 0x7f) {
            put_escaped_byte(line, first);
        } else if (bytes > 0 && at + bytes <= maximum) {
            put(line, weir_span_of(text.at + at, bytes));
        } else if (bytes == 0) {
            put(line, WEIR_SPAN("\xef\xbf\xbd"));
        }
        at += bytes > 0 ? bytes : 1;
    }
}

static void put_number(struct line *line, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(line, weir_span_of(digits + at, sizeof digits - at));
}

/* `name` with its comma, quotes and colon: ",\"method\":". */
static void member_text(struct line *line, struct weir_span name, struct weir_span value, size_t maximum) {
    if (value.length == 0)
        return;
    put(line, name);
    line->at[line->length++] = '"';
    put_text(line, value, maximum);
    line->at[line->length++] = '"';
}

static void member_number(struct line *line, struct weir_span name, int64_t value, bool always) {
    if (value == 0 && !always)
        return;
    put(line, name);
    if (value < 0)
        line->at[line->length++] = '-';
    put_number(line, value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value);
}

static void put_request(struct line *out, const struct weir_request_line *line) {
    struct weir_span path = weir_span_first(line->path, weir_span_index(line->path, '?'));
    struct weir_buffer masked;
    weir_buffer_init(&masked, 4 * MAX_PATH_BYTES);
    if (path.length > LONGEST_PLAIN_PATH || weir_span_equal(line->endpoint, WEIR_SPAN("none"))) {
        weir_mask_text(&masked, weir_span_first(path, path.length < MAX_PATH_BYTES ? path.length : MAX_PATH_BYTES));
        path = weir_buffer_span(&masked);
    }
    member_text(out, WEIR_SPAN(",\"request_id\":"), line->request_id, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"client_request_id\":"), line->client_request_id, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"trace_id\":"), line->trace_id, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"key_id\":"), line->key_id, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"workspace\":"), line->workspace, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"method\":"), line->method, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"path\":"), path, MAX_PATH_BYTES);
    weir_buffer_release(&masked);
    member_text(out, WEIR_SPAN(",\"endpoint\":"), line->endpoint, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"model\":"), line->model, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"provider\":"), line->provider, MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"upstream_model\":"), line->upstream_model, MAX_TEXT_BYTES);
    member_number(out, WEIR_SPAN(",\"status\":"), (int64_t)line->status, true);
    if (line->reason != WEIR_REASON_NONE)
        member_text(out, WEIR_SPAN(",\"reason\":"), weir_span_of_string(weir_reason_row(line->reason)->name),
                    MAX_TEXT_BYTES);
    member_text(out, WEIR_SPAN(",\"outcome\":"), line->outcome, MAX_TEXT_BYTES);
    put(out, line->stream ? WEIR_SPAN(",\"stream\":true") : WEIR_SPAN(",\"stream\":false"));
    member_number(out, WEIR_SPAN(",\"duration_us\":"), line->duration_us, true);
    member_number(out, WEIR_SPAN(",\"first_byte_us\":"), line->first_byte_us, false);
    member_number(out, WEIR_SPAN(",\"input_tokens\":"), line->usage.input, false);
    member_number(out, WEIR_SPAN(",\"cached_tokens\":"), line->usage.cached, false);
    member_number(out, WEIR_SPAN(",\"cache_write_tokens\":"), line->usage.cache_write, false);
    member_number(out, WEIR_SPAN(",\"output_tokens\":"), line->usage.output, false);
    member_number(out, WEIR_SPAN(",\"reasoning_tokens\":"), line->usage.reasoning, false);
    member_number(out, WEIR_SPAN(",\"input_audio_tokens\":"), line->usage.input_audio, false);
    member_number(out, WEIR_SPAN(",\"input_image_tokens\":"), line->usage.input_image, false);
    member_number(out, WEIR_SPAN(",\"output_audio_tokens\":"), line->usage.output_audio, false);
    member_number(out, WEIR_SPAN(",\"output_image_tokens\":"), line->usage.output_image, false);
    if (line->usage.unit != WEIR_UNIT_NONE) {
        member_text(out, WEIR_SPAN(",\"unit\":"), weir_span_of_string(weir_unit_name(line->usage.unit)),
                    MAX_TEXT_BYTES);
        member_number(out, WEIR_SPAN(",\"units\":"), line->usage.units, true);
    }
    member_number(out, WEIR_SPAN(",\"cost_cu_milli\":"), line->cost_cu_milli, false);
    member_text(out, WEIR_SPAN(",\"client_address\":"), line->client_address, MAX_TEXT_BYTES);
    member_number(out, WEIR_SPAN(",\"attempts\":"), (int64_t)line->attempts, false);
    if (line->revision != 0) {
        put(out, WEIR_SPAN(",\"revision\":"));
        put_number(out, line->revision);
    }
}

void weir_request_log(const struct weir_log *log, const struct weir_request_line *line) {
    if (log->fd < 0 || log->minimum > WEIR_LOG_INFO)
        return;
    struct line out;
    char time_text[WEIR_TIMESTAMP_SIZE];
    out.length = 0;
    weir_clock_format_utc(line->utc_us, time_text);
    put(&out, WEIR_SPAN("{\"time\":\""));
    put(&out, weir_span_of_string(time_text));
    put(&out, WEIR_SPAN("\",\"level\":\"info\""));
    member_text(&out, WEIR_SPAN(",\"part\":"), weir_span_of_string(log->part), MAX_TEXT_BYTES);
    put(&out, WEIR_SPAN(",\"event\":\"request\""));
    put_request(&out, line);
    put(&out, WEIR_SPAN("}\n"));
    weir_bug_on(out.length > sizeof out.at);
    weir_log_emit(log, WEIR_LOG_INFO, weir_span_of(out.at, out.length));
}
