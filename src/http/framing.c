/* Cuts lines and arrays. A piece that lies whole in the input is handed over where it lies; of one that does not, its own bytes are held until it has
 * ended, and are looked at once.
 */
#include "http/framing.h"

enum place {
    PLACE_BEFORE = 0, /* of the opening bracket */
    PLACE_FIRST,      /* of the first element, or the end */
    PLACE_ELEMENT,    /* of an element, behind a comma */
    PLACE_INSIDE,     /* an element */
    PLACE_BEHIND,     /* an element: a comma, or the end */
    PLACE_OVER        /* behind the closing bracket */
};

void weir_frames_init(struct weir_frames *frames, size_t max_piece_bytes) {
    *frames = (struct weir_frames){.framing = WEIR_FRAMING_EVENTS};
    weir_sse_init(&frames->sse, max_piece_bytes);
}

void weir_frames_release(struct weir_frames *frames) {
    weir_sse_release(&frames->sse);
}

void weir_frames_begin(struct weir_frames *frames, enum weir_framing framing) {
    struct weir_sse sse = frames->sse;
    weir_sse_clear(&sse);
    *frames = (struct weir_frames){.framing = framing, .sse = sse};
}

static enum weir_status fail(struct weir_frames *frames, enum weir_status status) {
    frames->sse.held.status = status;
    return status;
}

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static struct weir_span trim(struct weir_span text) {
    while (text.length > 0 && is_space(text.at[0]))
        text = weir_span_from(text, 1);
    while (text.length > 0 && is_space(text.at[text.length - 1]))
        text.length--;
    return text;
}

/* --- the array --- */

/* Goes on to the byte after the element's end; NULL: it does not end in [at, end). */
static const char *find_element_end(struct weir_frames *frames, const char *at, const char *end) {
    for (; at < end; at++) {
        if (frames->escaped) {
            frames->escaped = false;
        } else if (frames->in_string) {
            frames->escaped = *at == '\\';
            frames->in_string = *at != '"';
        } else if (*at == '"') {
            frames->in_string = true;
        } else if (*at == '{' || *at == '[') {
            frames->depth++;
        } else if ((*at == '}' || *at == ']') && --frames->depth == 0) {
            return at + 1;
        }
    }
    return NULL;
}

/* A byte between elements. False: it may not stand there. */
static bool take_between(struct weir_frames *frames, char byte) {
    if (is_space(byte))
        return true;
    switch ((enum place)frames->place) {
    case PLACE_BEFORE: frames->place = PLACE_FIRST; return byte == '[';
    case PLACE_FIRST:
    case PLACE_ELEMENT:
        if (byte == ']' && frames->place == PLACE_FIRST) {
            frames->place = PLACE_OVER;
            return true;
        }
        frames->place = PLACE_INSIDE;
        return byte == '{';
    case PLACE_BEHIND: frames->place = byte == ',' ? PLACE_ELEMENT : PLACE_OVER; return byte == ',' || byte == ']';
    case PLACE_INSIDE:
    case PLACE_OVER: return false;
    }
    return false;
}

/* Goes on to the byte after the next piece; NULL: it does not end in [at, end). *status: it is no such array. *element_bytes counts those of the piece
 * that are the element's. */
static const char *find_piece_end(struct weir_frames *frames, const char *start, const char *end,
                                  enum weir_status *status) {
    const char *at = start;
    /* Behind the end nothing but spaces may come, and they wait for the stream's. */
    bool was_over = frames->place == PLACE_OVER;
    while (at < end && frames->place != PLACE_INSIDE) {
        if (!take_between(frames, *at)) { /* what came before it may have been too much already */
            bool is_over_limit = frames->sse.held.length + (size_t)(at - start) > frames->sse.held.max_bytes;
            *status = is_over_limit ? WEIR_ELIMIT : WEIR_EPROTO;
            return NULL;
        }
        if (frames->place != PLACE_INSIDE)
            at++;
        if (frames->place == PLACE_OVER && !was_over)
            return at;
    }
    if (at == end)
        return NULL;
    const char *element_end = find_element_end(frames, at, end);
    frames->element_bytes += (size_t)((element_end != NULL ? element_end : end) - at);
    if (element_end != NULL)
        frames->place = PLACE_BEHIND;
    return element_end;
}

/* --- both --- */

static enum weir_status deliver(struct weir_frames *frames, struct weir_span raw, struct weir_sse_event *event) {
    struct weir_span data = frames->framing == WEIR_FRAMING_LINES
                                ? trim(raw)
                                : weir_span_from(raw, raw.length - frames->element_bytes);
    frames->element_bytes = 0;
    *event = (struct weir_sse_event){.raw = raw, .name = WEIR_SPAN(""), .data = data, .has_data = data.length > 0};
    return WEIR_OK;
}

enum weir_status weir_frames_next_other(struct weir_frames *frames, struct weir_span *input,
                                        struct weir_sse_event *event) {
    struct weir_buffer *held = &frames->sse.held;
    enum weir_status status = weir_buffer_status(held);
    if (status != WEIR_OK)
        return status;
    if (frames->delivered)
        weir_buffer_clear(held);
    frames->delivered = false;
    if (input->length == 0)
        return WEIR_AGAIN;
    const char *start = input->at, *end;
    if (frames->framing == WEIR_FRAMING_LINES) {
        end = memchr(start, '\n', input->length);
        end = end != NULL ? end + 1 : NULL;
    } else {
        end = find_piece_end(frames, start, start + input->length, &status);
    }
    if (status != WEIR_OK)
        return fail(frames, status);
    struct weir_span part = weir_span_first(*input, end != NULL ? (size_t)(end - start) : input->length);
    *input = weir_span_from(*input, part.length);
    if (end != NULL && held->length == 0)
        return part.length <= held->max_bytes ? deliver(frames, part, event) : fail(frames, WEIR_ELIMIT);
    weir_buffer_append(held, part);
    status = weir_buffer_status(held);
    if (status != WEIR_OK || end == NULL)
        return status != WEIR_OK ? status : WEIR_AGAIN;
    frames->delivered = true;
    return deliver(frames, weir_buffer_span(held), event);
}

enum weir_status weir_frames_finish(struct weir_frames *frames, struct weir_sse_event *event) {
    struct weir_buffer *held = &frames->sse.held;
    bool may_end = frames->framing == WEIR_FRAMING_LINES ||
                   (frames->framing == WEIR_FRAMING_ARRAY && frames->place == PLACE_OVER);
    if (!may_end || frames->delivered || held->length == 0 || weir_buffer_status(held) != WEIR_OK)
        return WEIR_AGAIN;
    frames->delivered = true;
    return deliver(frames, weir_buffer_span(held), event);
}
