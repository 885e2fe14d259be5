/* Reads JSON as loosely as can be: strings, the names in front of them, and how deep they stand. It reads what is cut off or broken, too.
 *
 * Strings that have the same names above them are pieces of one text when there are several of them in a stream of events ("choices" 0 "delta"
 * "content"): they are joined, unless all are alike, as the id of each event is. A value whose name, or a name above it, is a secret's
 * (base/mask.h) goes whole.
 */
#include "telemetry/redaction_impl.h"

#include "base/mask.h"
#include "base/memory.h"

#include <stdlib.h>

enum { DEEPEST = 64 };

struct piece {
    uint64_t names; /* a hash of the names above it */
    uint32_t at, length;
};

struct reading {
    struct weir_span text;
    bool events;
    unsigned wanted;
    unsigned char *marks;
    struct piece *pieces;
    size_t piece_count, piece_room;
    uint32_t *from; /* of a joined text; as many as the text has bytes */
    unsigned char *length;
    char *plain;
    size_t depth; /* may be more than there is room for: then nothing is told apart there */
    struct {
        uint64_t names;
        uint64_t name; /* the one that was read last */
        bool secret, name_is_secret, name_is_index;
    } frames[DEEPEST + 1];
};

static uint64_t mix(uint64_t hash, uint64_t value) {
    return (hash ^ value) * 0x100000001B3U + 0x9E3779B97F4A7C15U;
}

static uint64_t hash_of(struct weir_span text) {
    uint64_t hash = 0xCBF29CE484222325U;
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.at[i]) * 0x100000001B3U;
    return hash;
}

static size_t frame_of(const struct reading *reading) {
    return reading->depth < DEEPEST ? reading->depth : DEEPEST;
}

static void mark_raw(struct reading *reading, size_t at, size_t length) {
    const struct telemetry__view view = {.text = reading->text, .marks = reading->marks};
    telemetry__mark(&view, at, length, TELEMETRY__SECRET);
}

/* --- a string's bytes, escapes undone --- */

static bool read_hex(struct weir_span text, size_t at, uint32_t *code) {
    *code = 0;
    for (size_t i = at; i < at + 4; i++) {
        char byte = i < text.length ? text.at[i] : '\0';
        uint32_t digit = byte >= '0' && byte <= '9'   ? (uint32_t)(byte - '0')
                         : byte >= 'a' && byte <= 'f' ? (uint32_t)(byte - 'a') + 10
                         : byte >= 'A' && byte <= 'F' ? (uint32_t)(byte - 'A') + 10
                                                      : 16;
        if (digit == 16)
            return false;
        *code = *code * 16 + digit;
    }
    return true;
}

/* Appends the string to the joined text of `joined` bytes; gives its new length. What stands for no ASCII character by an escape is one byte that no
 * shape has. */
static size_t join(struct reading *reading, const struct piece *piece, size_t joined) {
    static const char escaped[] = "nrtbf", plain[] = "\n\r\t\b\f";
    struct weir_span raw = weir_span_of(reading->text.at + piece->at, piece->length);
    for (size_t at = 0; at < raw.length;) {
        size_t length = 1;
        char byte = raw.at[at];
        if (byte == '\\' && at + 1 < raw.length) {
            char next = raw.at[at + 1];
            const char *known = next != '\0' ? strchr(escaped, next) : NULL;
            uint32_t code = 0;
            byte = known != NULL ? plain[known - escaped] : next;
            length = 2;
            if (next == 'u' && read_hex(raw, at + 2, &code)) {
                byte = code < 0x80 ? (char)code : (char)0x80;
                length = 6;
            }
        }
        reading->plain[joined] = byte;
        reading->from[joined] = (uint32_t)(piece->at + at);
        reading->length[joined++] = (unsigned char)length;
        at += length;
    }
    return joined;
}

/* --- reading --- */

static enum weir_status keep_piece(struct reading *reading, size_t at, size_t length, uint64_t names) {
    if (reading->piece_count == reading->piece_room) {
        size_t room = reading->piece_room == 0 ? 256 : 2 * reading->piece_room;
        struct piece *more = weir_memory_resize(reading->pieces, room, sizeof *more);
        if (more == NULL)
            return WEIR_ENOMEM;
        reading->pieces = more;
        reading->piece_room = room;
    }
    reading->pieces[reading->piece_count++] = (struct piece){.names = names,
                                                             .at = (uint32_t)at,
                                                             .length = (uint32_t)length};
    return WEIR_OK;
}

/* Behind the string's last byte, at its quote if it has one. A line's end ends it in a stream: no event's data goes on there. */
static size_t string_end(const struct reading *reading, size_t at) {
    struct weir_span text = reading->text;
    while (at < text.length && text.at[at] != '"') {
        if (reading->events && (text.at[at] == '\n' || text.at[at] == '\r'))
            break;
        at += text.at[at] == '\\' && at + 1 < text.length ? 2 : 1;
    }
    return at < text.length ? at : text.length;
}

static bool is_name(const struct reading *reading, size_t behind) {
    while (behind < reading->text.length && memchr(" \t\r\n", reading->text.at[behind], 4) != NULL)
        behind++;
    return behind < reading->text.length && reading->text.at[behind] == ':';
}

static enum weir_status take_string(struct reading *reading, size_t *at) {
    size_t begin = *at + 1, end = string_end(reading, begin), frame = frame_of(reading);
    struct weir_span string = weir_span_of(reading->text.at + begin, end - begin);
    *at = end < reading->text.length && reading->text.at[end] == '"' ? end + 1 : end;
    if (is_name(reading, *at)) {
        reading->frames[frame].name = hash_of(string);
        reading->frames[frame].name_is_secret = weir_mask_name_is_secret(string);
        reading->frames[frame].name_is_index = string.length >= 5 &&
                                               memcmp(string.at + string.length - 5, "index", 5) == 0;
        /* A name by itself may be anything, too. */
        return keep_piece(reading, begin, string.length, mix(begin, 1));
    }
    if (reading->frames[frame].secret || reading->frames[frame].name_is_secret) {
        mark_raw(reading, begin, string.length);
        return WEIR_OK;
    }
    uint64_t names = mix(reading->frames[frame].names, reading->frames[frame].name);
    return keep_piece(reading, begin, string.length, reading->events ? names : mix(begin, 2));
}

static void open_frame(struct reading *reading) {
    size_t above = frame_of(reading);
    reading->depth++;
    size_t frame = frame_of(reading);
    uint64_t names = mix(reading->frames[above].names, reading->frames[above].name);
    bool secret = reading->frames[above].secret || reading->frames[above].name_is_secret;
    reading->frames[frame].names = names;
    reading->frames[frame].name = 0;
    reading->frames[frame].secret = secret;
    reading->frames[frame].name_is_secret = reading->frames[frame].name_is_index = false;
}

/* Numbers, words, and whatever else is no string: looked at as it stands. */
static void take_rest(struct reading *reading, size_t *at) {
    struct weir_span text = reading->text;
    size_t begin = *at, frame = frame_of(reading);
    while (*at < text.length && memchr("\"{}[],\n\r", text.at[*at], 8) == NULL)
        (*at)++;
    struct weir_span rest = weir_span_of(text.at + begin, *at - begin);
    const struct telemetry__view view = {.text = rest, .marks = reading->marks, .base = begin};
    telemetry__mark_shapes(&view, reading->wanted);
    struct weir_span value = weir_span_trim(rest);
    if (value.length > 0 && value.at[0] == ':')
        value = weir_span_trim(weir_span_from(value, 1));
    if (value.length == 0)
        return;
    if (reading->frames[frame].secret || reading->frames[frame].name_is_secret)
        mark_raw(reading, (size_t)(value.at - text.at), value.length);
    if (reading->frames[frame].name_is_index) /* of several answers, or parts of one, that come in turns */
        reading->frames[frame].names = mix(reading->frames[frame].names, hash_of(value));
    reading->frames[frame].name_is_index = false;
}

static void begin_event(struct reading *reading) {
    reading->depth = 0;
    reading->frames[0].names = reading->frames[0].name = 0;
    reading->frames[0].name_is_secret = reading->frames[0].name_is_index = false;
}

static enum weir_status read_all(struct reading *reading) {
    struct weir_span text = reading->text;
    enum weir_status status = WEIR_OK;
    for (size_t at = 0; at < text.length && status == WEIR_OK;) {
        char byte = text.at[at];
        size_t frame = frame_of(reading);
        if (byte == '"') {
            status = take_string(reading, &at);
        } else if (byte == '{' || byte == '[') {
            open_frame(reading);
            at++;
        } else if (byte == '}' || byte == ']') {
            reading->depth -= reading->depth > 0;
            reading->frames[frame_of(reading)].name_is_secret = false;
            at++;
        } else if (byte == ',' || byte == '\n' || byte == '\r') {
            if (byte == ',')
                reading->frames[frame].name_is_secret = false;
            else if (reading->events)
                begin_event(reading);
            at++;
        } else {
            take_rest(reading, &at);
        }
    }
    return status;
}

/* --- what belongs together --- */

static int compare(const void *a, const void *b) {
    const struct piece *x = a, *y = b;
    if (x->names != y->names)
        return x->names < y->names ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

static bool all_alike(const struct reading *reading, size_t first, size_t end) {
    const struct piece *one = &reading->pieces[first];
    for (size_t i = first + 1; i < end; i++)
        if (reading->pieces[i].length != one->length ||
            memcmp(reading->text.at + reading->pieces[i].at, reading->text.at + one->at, one->length) != 0)
            return false;
    return true;
}

static void look_at(struct reading *reading, size_t first, size_t end) {
    size_t joined = 0;
    for (size_t i = first; i < end; i++)
        joined = join(reading, &reading->pieces[i], joined);
    const struct telemetry__view view = {.text = weir_span_of(reading->plain, joined),
                                         .marks = reading->marks,
                                         .from = reading->from,
                                         .length = reading->length};
    telemetry__mark_shapes(&view, reading->wanted);
}

static void look_at_pieces(struct reading *reading) {
    if (reading->piece_count > 0)
        qsort(reading->pieces, reading->piece_count, sizeof *reading->pieces, compare);
    for (size_t first = 0, end; first < reading->piece_count; first = end) {
        for (end = first + 1; end < reading->piece_count && reading->pieces[end].names == reading->pieces[first].names;)
            end++;
        if (end - first > 1 && !all_alike(reading, first, end)) {
            look_at(reading, first, end);
            continue;
        }
        for (size_t i = first; i < end; i++)
            look_at(reading, i, i + 1);
    }
}

enum weir_status telemetry__mark_strings(struct weir_span text, bool events, unsigned wanted, unsigned char *marks) {
    struct reading *reading = weir_memory_new(1, sizeof *reading);
    if (reading == NULL)
        return WEIR_ENOMEM;
    *reading = (struct reading){.text = text, .events = events, .wanted = wanted, .marks = marks};
    reading->from = weir_memory_new(text.length, sizeof *reading->from);
    reading->length = weir_memory_new(text.length, 1);
    reading->plain = weir_memory_new(text.length, 1);
    enum weir_status status = reading->from == NULL || reading->length == NULL || reading->plain == NULL ? WEIR_ENOMEM
                                                                                                         : WEIR_OK;
    if (status == WEIR_OK)
        status = read_all(reading);
    if (status == WEIR_OK)
        look_at_pieces(reading);
    weir_memory_free(reading->pieces);
    weir_memory_free(reading->from);
    weir_memory_free(reading->length);
    weir_memory_free(reading->plain);
    weir_memory_free(reading);
    return status;
}
