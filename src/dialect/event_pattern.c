/* Reading an event by what it has in common with the one before.
 *
 * A stream is hundreds of events that differ in a few bytes: the piece of text, a sequence number, padding. Where all else is the same, byte for byte,
 * and the piece is well formed as a string, the event is valid JSON with the same members in the same places: whatever was found out about the first
 * holds for the second, with its places moved. Anything that is not so is read as a whole.
 */
#include "dialect/impl.h"

enum { TRIED = 8 };

static const struct {
    const char *quoted_name;
    bool is_number, is_text;
} movable[] = {
    {"\"content\"", false, true},   {"\"delta\"", false, true},        {"\"text\"", false, true},
    {"\"arguments\"", false, true}, {"\"reasoning\"", false, true},    {"\"reasoning_content\"", false, true},
    {"\"refusal\"", false, true},   {"\"obfuscation\"", false, false}, {"\"sequence_number\"", true, false},
    {"\"thinking\"", false, true},  {"\"partial_json\"", false, true},
};

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Where the value of the first member of that name begins. In valid JSON a quoted name with a colon behind it is a member's: within a string its
 * quotes would be escaped. */
static const char *find_value(struct weir_span data, const char *quoted_name) {
    size_t length = strlen(quoted_name);
    const char *end = data.at + data.length, *at = memmem(data.at, data.length, quoted_name, length);
    if (at == NULL)
        return NULL;
    for (at += length; at < end && is_space(*at);)
        at++;
    if (at == end || *at != ':')
        return NULL;
    for (at++; at < end && is_space(*at);)
        at++;
    return at < end ? at : NULL;
}

static size_t digits(struct weir_span text) {
    size_t length = 0;
    while (length < text.length && text.at[length] >= '0' && text.at[length] <= '9')
        length++;
    /* No leading zero; few enough for an int64. */
    return length > 18 || (length > 1 && text.at[0] == '0') ? 0 : length;
}

/* False: there is no room for another. */
static bool add_hole(struct weir_event_pattern *pattern, size_t at, size_t length, bool is_number, bool is_text) {
    size_t place = pattern->hole_count;
    if (place == WEIR_EVENT_HOLES)
        return false;
    for (; place > 0 && pattern->holes[place - 1].at > at; place--)
        pattern->holes[place] = pattern->holes[place - 1];
    pattern->holes[place].at = at;
    pattern->holes[place].length = length;
    pattern->holes[place].is_number = is_number;
    pattern->holes[place].is_text = is_text;
    pattern->hole_count++;
    return true;
}

static int64_t number_of(struct weir_span text) {
    int64_t number = 0;
    for (size_t i = 0; i < text.length; i++)
        number = number * 10 + (text.at[i] - '0');
    return number;
}

/* The number has to be the event's own: another object's may stand before it under the same name. */
static bool find_holes(struct weir_event_pattern *pattern, struct weir_span data, int64_t sequence) {
    bool has_text = false;
    for (size_t i = 0; i < sizeof movable / sizeof *movable; i++) {
        const char *value = find_value(data, movable[i].quoted_name);
        size_t length = 0;
        if (value == NULL)
            continue;
        struct weir_span rest = weir_span_from(data, (size_t)(value - data.at));
        if (movable[i].is_number) {
            length = digits(rest);
            if (length == 0 || number_of(weir_span_first(rest, length)) != sequence)
                return false;
        } else {
            if (*value != '"')
                continue;
            rest = weir_span_from(rest, 1);
            if (!weir_json_string_rest(rest, &length))
                return false;
        }
        has_text = has_text || (movable[i].is_text && length > 0);
        if (!add_hole(pattern, (size_t)(rest.at - data.at), length, movable[i].is_number, movable[i].is_text))
            return false;
    }
    return has_text;
}

void weir_event_pattern_init(struct weir_event_pattern *pattern) {
    pattern->length = pattern->hole_count = 0;
    pattern->made = pattern->matched = 0;
}

/* Making one costs as much as reading two or three events. */
static bool is_worth_it(const struct weir_event_pattern *pattern) {
    return pattern->made < TRIED || pattern->matched / 4 >= pattern->made;
}

void weir_event_pattern_set(struct weir_event_pattern *pattern, struct weir_span data, const struct weir_event *event) {
    pattern->length = 0;
    pattern->hole_count = 0;
    if (!is_worth_it(pattern))
        return;
    pattern->made++;
    if (event->kind != WEIR_EVENT_CONTENT || !event->has_text || event->repeats || event->answer.has_usage ||
        event->answer.usage_member.kind == WEIR_JSON_OBJECT || data.length > WEIR_EVENT_PATTERN_BYTES ||
        !find_holes(pattern, data, event->sequence))
        return;
    memcpy(pattern->data, data.at, data.length);
    pattern->length = data.length;
    pattern->event = *event;
    pattern->event.answer.id = WEIR_SPAN("");
}

/* How far a place moves for which so much has changed before it. */
static void move(size_t *place, size_t hole_at, size_t was, size_t is) {
    if (*place > hole_at)
        *place = *place - was + is;
}

static void fill_hole(const struct weir_event_pattern *pattern, size_t i, struct weir_span content,
                      struct weir_event *event) {
    size_t at = pattern->holes[i].at, was = pattern->holes[i].length;
    struct weir_json_found *usage = &event->answer.usage_member;
    /* The places are those of the pattern still: holes are filled from the last to the first. */
    move(&event->answer.root_end, at, was, content.length);
    if (usage->kind != WEIR_JSON_NONE) {
        move(&usage->member_at, at, was, content.length);
        move(&usage->value_at, at, was, content.length);
    }
    if (pattern->holes[i].is_number)
        event->sequence = number_of(content);
}

bool weir_event_pattern_read(struct weir_event_pattern *pattern, struct weir_span data, struct weir_event *event) {
    struct weir_span contents[WEIR_EVENT_HOLES], rest = data;
    size_t done = 0;
    bool has_text = false;
    if (pattern->length == 0)
        return false;
    for (size_t i = 0; i < pattern->hole_count; i++) {
        size_t same = pattern->holes[i].at - done, length = 0;
        if (rest.length < same || memcmp(rest.at, pattern->data + done, same) != 0)
            return false;
        rest = weir_span_from(rest, same);
        if (pattern->holes[i].is_number)
            length = digits(rest);
        else if (!weir_json_string_rest(rest, &length))
            return false;
        if (pattern->holes[i].is_number && length == 0)
            return false;
        contents[i] = weir_span_first(rest, length);
        has_text = has_text || (pattern->holes[i].is_text && length > 0);
        rest = weir_span_from(rest, length);
        done = pattern->holes[i].at + pattern->holes[i].length;
    }
    if (!has_text || rest.length != pattern->length - done || memcmp(rest.at, pattern->data + done, rest.length) != 0)
        return false;
    pattern->matched++;
    *event = pattern->event;
    for (size_t i = pattern->hole_count; i-- > 0;)
        fill_hole(pattern, i, contents[i], event);
    if (event->answer.usage_member.kind != WEIR_JSON_NONE)
        event->answer.usage_member.value.at = data.at + event->answer.usage_member.value_at;
    return true;
}
