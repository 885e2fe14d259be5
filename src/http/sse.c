/* Cuts a stream of server-sent events.
 *
 * One state for the bytes of the event so far says where the next byte stands, so that it makes no difference how the
 * stream is cut: an event that lies whole in the input is handed over where it lies, and of one that does not, just
 * its own bytes are copied. The one doubtful byte is the CR of a blank line, which may be half of a CRLF: after a line
 * that ended in LF or CRLF the next byte is waited for; after a line that ended in CR alone the event ends there at
 * once (who writes CR alone would else be one event late), and an LF that follows all the same is dropped.
 */
#include "http/sse.h"

#include "http/impl.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum place {
    PLACE_EVENT_START = 0,
    PLACE_IN_LINE,
    PLACE_AFTER_LF,   /* a line has ended, and not with CR alone */
    PLACE_AFTER_CR,   /* a line has ended with CR; an LF would belong to it */
    PLACE_AFTER_BLANK /* a blank line's CR; an LF would belong to it */
};

enum { BOM_BYTES = 3 };
static const char byte_order_mark[BOM_BYTES + 1] = "\xEF\xBB\xBF";

void weir_sse_init(struct weir_sse *sse, size_t max_event_bytes) {
    *sse = (struct weir_sse){.started = false};
    /* Half a byte order mark has to fit, whatever the events are limited to. */
    weir_buffer_init(&sse->held, max_event_bytes < BOM_BYTES ? BOM_BYTES : max_event_bytes);
    weir_buffer_init(&sse->joined, max_event_bytes);
}

void weir_sse_release(struct weir_sse *sse) {
    weir_buffer_release(&sse->held);
    weir_buffer_release(&sse->joined);
    weir_sse_clear(sse);
}

void weir_sse_clear(struct weir_sse *sse) {
    weir_buffer_clear(&sse->held);
    weir_buffer_clear(&sse->joined);
    sse->place = PLACE_EVENT_START;
    sse->delivered = false;
    sse->drop_line_feed = false;
    sse->started = false;
}

/* The first CR or LF in [at, end), or `end`. One pass for both: looking for each by itself would go over the rest of
 * the input again and again where one of them is rare. */
static const char *find_line_end(const char *at, const char *end) {
#if defined(__SSE2__)
    const __m128i line_feeds = _mm_set1_epi8('\n');
    const __m128i returns = _mm_set1_epi8('\r');
    for (; end - at >= 16; at += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        const __m128i found = _mm_or_si128(_mm_cmpeq_epi8(bytes, line_feeds), _mm_cmpeq_epi8(bytes, returns));
        int mask = _mm_movemask_epi8(found);
        if (mask != 0) {
            return at + __builtin_ctz((unsigned)mask);
        }
    }
#endif
    while (at < end && *at != '\n' && *at != '\r') {
        at++;
    }
    return at;
}

/* Goes on to the byte after the event's end; NULL: it does not end in [at, end). *first_line_end is where the event's first
 * line ends, if it begins at `at`; else NULL. */
static const char *find_event_end(struct weir_sse *sse, const char *at, const char *end, const char **first_line_end) {
    bool in_first_line = sse->place == PLACE_EVENT_START;
    *first_line_end = NULL;
    while (at < end) {
        switch ((enum place)sse->place) {
        case PLACE_IN_LINE:
            at = find_line_end(at, end);
            if (at == end) {
                return NULL;
            }
            if (in_first_line) {
                *first_line_end = at;
            }
            in_first_line = false;
            sse->place = *at == '\n' ? PLACE_AFTER_LF : PLACE_AFTER_CR;
            break;
        case PLACE_AFTER_CR:
            if (*at == '\r') {
                sse->drop_line_feed = true;
                return at + 1;
            }
            sse->place = *at == '\n' ? PLACE_AFTER_LF : PLACE_IN_LINE;
            break;
        case PLACE_AFTER_BLANK: return *at == '\n' ? at + 1 : at;
        case PLACE_EVENT_START:
        case PLACE_AFTER_LF:
            if (*at == '\n') {
                return at + 1;
            }
            sse->place = *at == '\r' ? PLACE_AFTER_BLANK : PLACE_IN_LINE;
            break;
        }
        at++;
    }
    return NULL;
}

/* ---- fields ---- */

static struct weir_span field_value(const char *at, const char *end) {
    if (at < end && *at == ' ') {
        at++;
    }
    return weir_span_of(at, (size_t)(end - at));
}

/* One line without its end. */
static void read_line(struct weir_sse *sse, const char *at, const char *end, struct weir_sse_event *event) {
    struct weir_span line = weir_span_of(at, (size_t)(end - at));
    size_t colon = weir_span_index(line, ':');
    struct weir_span name = weir_span_first(line, colon);
    struct weir_span value = field_value(colon < line.length ? at + colon + 1 : end, end);
    if (weir_span_equal(name, WEIR_SPAN("data"))) {
        if (!event->has_data) {
            event->has_data = true;
            event->data = value;
            return;
        }
        if (event->data.at != sse->joined.at) {
            weir_buffer_clear(&sse->joined);
            weir_buffer_append(&sse->joined, event->data);
        }
        weir_buffer_append_byte(&sse->joined, '\n');
        weir_buffer_append(&sse->joined, value);
        event->data = weir_buffer_span(&sse->joined);
    } else if (weir_span_equal(name, WEIR_SPAN("event"))) {
        event->name = value;
    }
}

/* `line_end` is that of the first line, or NULL where it is not known. */
static enum weir_status deliver(struct weir_sse *sse, struct weir_span raw, const char *line_end,
                                struct weir_sse_event *event) {
    struct weir_sse_event read = {.raw = raw, .name = WEIR_SPAN(""), .data = WEIR_SPAN("")};
    const char *end = raw.at + raw.length;
    for (const char *at = raw.at; at < end;) {
        if (line_end == NULL) {
            line_end = find_line_end(at, end);
        }
        read_line(sse, at, line_end, &read);
        at = line_end + 1;
        if (at < end && line_end[0] == '\r' && at[0] == '\n') {
            at++;
        }
        line_end = NULL;
    }
    sse->place = PLACE_EVENT_START;
    enum weir_status status = weir_buffer_status(&sse->joined);
    if (status == WEIR_OK) {
        *event = read;
    } else {
        sse->held.status = status;
    }
    return status;
}

/* ---- the stream ---- */

/* Drops a byte order mark. False: what has come may still become one, and is held. */
static bool pass_byte_order_mark(struct weir_sse *sse, struct weir_span *input) {
    size_t matched = sse->held.length;
    size_t taken = 0;
    while (matched < BOM_BYTES && taken < input->length && input->at[taken] == byte_order_mark[matched]) {
        matched++;
        taken++;
    }
    if (matched == BOM_BYTES) {
        *input = weir_span_from(*input, taken);
        weir_buffer_clear(&sse->held);
        sse->started = true;
        return true;
    }
    if (taken < input->length) {
        /* It was none: what is held of it is the beginning of a line. */
        sse->place = sse->held.length > 0 ? PLACE_IN_LINE : PLACE_EVENT_START;
        sse->started = true;
        return true;
    }
    weir_buffer_append(&sse->held, *input);
    *input = weir_span_from(*input, taken);
    return false;
}

static enum weir_status over_limit(struct weir_sse *sse) {
    sse->held.status = WEIR_ELIMIT;
    return WEIR_ELIMIT;
}

enum weir_status weir_sse_next(struct weir_sse *sse, struct weir_span *input, struct weir_sse_event *event) {
    enum weir_status status = weir_buffer_status(&sse->held);
    if (status != WEIR_OK) {
        return status;
    }
    if (sse->delivered) {
        weir_buffer_clear(&sse->held);
        sse->delivered = false;
    }
    if (input->length == 0) {
        return WEIR_AGAIN;
    }
    if (!sse->started && !pass_byte_order_mark(sse, input)) {
        status = weir_buffer_status(&sse->held);
        return status == WEIR_OK ? WEIR_AGAIN : status;
    }
    if (sse->drop_line_feed && input->length > 0) {
        sse->drop_line_feed = false;
        *input = weir_span_from(*input, input->at[0] == '\n' ? 1 : 0);
    }
    const char *start = input->at;
    const char *line_end = NULL;
    const char *end = input->length > 0 ? find_event_end(sse, start, start + input->length, &line_end) : NULL;
    struct weir_span part = weir_span_first(*input, end != NULL ? (size_t)(end - start) : input->length);
    *input = weir_span_from(*input, part.length);
    if (end != NULL && sse->held.length == 0) {
        return part.length <= sse->held.max_bytes ? deliver(sse, part, line_end, event) : over_limit(sse);
    }
    weir_buffer_append(&sse->held, part);
    status = weir_buffer_status(&sse->held);
    if (status != WEIR_OK) {
        return status;
    }
    if (end == NULL) {
        return WEIR_AGAIN;
    }
    sse->delivered = true;
    return deliver(sse, weir_buffer_span(&sse->held), NULL, event);
}

struct weir_span weir_sse_rest(const struct weir_sse *sse) {
    return sse->delivered ? WEIR_SPAN("") : weir_buffer_span(&sse->held);
}
