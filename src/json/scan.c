/* The document scanner: one pass over the text with a stack of its own, so that no nesting can exhaust ours.
 *
 * While the text is walked, each open object holds the set of wants (a bit each) whose path leads through it; most
 * objects hold none, and their members' names are then not even compared. At the top, where all wants begin, a table by
 * the name's first byte leaves a want or two to compare. Paths are not cut beforehand (that took longer than scanning a
 * small request): where a name matches a path's segment, the next segment begins right there. A path leads to one place
 * only, since a second member of that name is refused; so one number per want, how many of its segments have been seen,
 * is enough to find duplicates. The top-level value is one more want, without a path.
 *
 * It never allocates, never recurses, and writes the caller's memory only when the whole text is good.
 */
#include "json/scan.h"

#include "base/limits.h"
#include "json/impl.h"

enum { INITIALS = 32, ROOT = WEIR_JSON_MAX_WANTS };
#define ROOT_BIT ((uint64_t)1 << ROOT)

struct wants {
    unsigned char seen[WEIR_JSON_MAX_WANTS]; /* segments of each path that have been met so far */
    uint32_t initials[INITIALS];             /* wants by the first byte of their paths */
    /* Where each path's segment begins: for the top the path itself, further inside written when it is reached. */
    const char *segments[WEIR_JSON_MAX_PATH][WEIR_JSON_MAX_WANTS];
};

/* An open array or object. */
struct level {
    uint64_t whole;   /* wants that are this value */
    uint64_t through; /* wants that are further inside; objects only */
    size_t elements;
    char close; /* '}' or ']' */
};

struct walk {
    const char *start, *end;
    struct wants *wants;            /* NULL: none but the root */
    struct weir_json_found *places; /* by want; ROOT is the value itself */
    uint64_t whole, through;        /* of the value that comes next */
    unsigned depth;
    struct level *level; /* levels[depth]; levels[0] is not used */
    enum weir_status status;
    struct weir_json_problem problem;
};

static const char *fail(struct walk *walk, enum weir_status status, const char *text, const char *at) {
    walk->status = status;
    walk->problem = (struct weir_json_problem){.text = text,
                                               .offset = (size_t)(at - walk->start),
                                               .member = weir_span_of("", 0)};
    return NULL;
}

static const char *fail_unexpected(struct walk *walk, const char *at) {
    return fail(walk, WEIR_EINVAL, at == walk->end ? "unexpected end" : "unexpected byte", at);
}

static inline bool ends_segment(char byte) {
    return byte == '\0' || byte == '.';
}

static inline unsigned initial_of(char first) {
    return (unsigned char)first % INITIALS;
}

static void begin_wants(struct wants *wants, const struct weir_json_want *asked, size_t count) {
    memset(wants->seen, 0, sizeof(wants->seen));
    memset(wants->initials, 0, sizeof(wants->initials));
    for (size_t i = 0; i < count; i++) {
        wants->segments[0][i] = asked[i].path;
        char first = asked[i].path[0];
        wants->initials[initial_of(ends_segment(first) ? '\0' : first)] |= (uint32_t)1 << i;
    }
}

/* How long the segment is if the member's name is the same; else SIZE_MAX. */
static size_t match_segment(const char *segment, struct weir_span name, bool escaped) {
    size_t length = 0;
    if (!escaped) {
        /* A name holds no NUL, so this stops at the path's end; a '.' in it is none of the path's. */
        while (length < name.length && segment[length] == name.at[length] && segment[length] != '.')
            length++;
        return length == name.length && ends_segment(segment[length]) ? length : SIZE_MAX;
    }
    while (!ends_segment(segment[length]))
        length++;
    struct weir_span token = weir_span_of(name.at - 1, name.length + 2);
    return weir_json_string_equals(token, weir_span_of(segment, length)) ? length : SIZE_MAX;
}

/* The wants of the object that is open which may be meant by a member's name (between its quotes). */
static inline uint64_t candidates_of(const struct walk *walk, struct weir_span name, bool escaped) {
    uint64_t through = walk->level->through;
    if (through == 0 || walk->depth != 1 || escaped)
        return through;
    return through & walk->wants->initials[initial_of(name.length > 0 ? name.at[0] : '\0')];
}

/* Looks the name up among them. Apart from read_name, which is short without it and called for every name. */
__attribute__((noinline)) static bool match_name(struct walk *walk, struct weir_span name, bool escaped,
                                                 uint64_t candidates) {
    struct wants *wants = walk->wants;
    unsigned depth = walk->depth - 1; /* every level above is an object on the way: depth is the segment's place */
    for (; candidates != 0; candidates &= candidates - 1) {
        unsigned i = (unsigned)__builtin_ctzll(candidates);
        const char *segment = wants->segments[depth][i];
        size_t length = match_segment(segment, name, escaped);
        if (length == SIZE_MAX)
            continue;
        if (wants->seen[i] > depth) {
            fail(walk, WEIR_EEXIST, "duplicate member", name.at - 1);
            walk->problem.member = name;
            return false;
        }
        wants->seen[i] = (unsigned char)(depth + 1);
        if (segment[length] == '\0') {
            walk->whole |= (uint64_t)1 << i;
            walk->places[i].member_at = (size_t)(name.at - 1 - walk->start);
        } else {
            weir_bug_on(depth + 1 == WEIR_JSON_MAX_PATH);
            walk->through |= (uint64_t)1 << i;
            wants->segments[depth + 1][i] = segment + length + 1;
        }
    }
    return true;
}

static inline const char *skip_space(const char *at, const char *end) {
    if (at < end && (unsigned char)*at > ' ')
        return at;
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

/* A member's name and its colon; gives the value's first byte. */
static inline const char *read_name(struct walk *walk, const char *at) {
    const char *end = walk->end;
    if (at == end || *at != '"')
        return fail_unexpected(walk, at);
    bool escaped = false;
    const char *problem;
    const char *bad_at;
    const char *closing = json__skip_string(at + 1, end, &escaped, &problem, &bad_at);
    if (closing == NULL)
        return fail(walk, WEIR_EINVAL, problem, bad_at);
    struct weir_span name = weir_span_of(at + 1, (size_t)(closing - at - 1));
    uint64_t candidates = candidates_of(walk, name, escaped);
    if (candidates != 0 && !match_name(walk, name, escaped, candidates))
        return NULL;
    at = skip_space(closing + 1, end);
    if (at == end || *at != ':')
        return fail_unexpected(walk, at);
    return skip_space(at + 1, end);
}

static void note_start(struct walk *walk, uint64_t whole, enum weir_json_kind kind, const char *at) {
    for (; whole != 0; whole &= whole - 1) {
        struct weir_json_found *place = &walk->places[__builtin_ctzll(whole)];
        place->kind = kind;
        place->value = weir_span_of(at, 0);
        place->value_at = (size_t)(at - walk->start);
    }
}

static void note_end(struct walk *walk, uint64_t whole, size_t elements, const char *at) {
    for (; whole != 0; whole &= whole - 1) {
        struct weir_json_found *place = &walk->places[__builtin_ctzll(whole)];
        place->value.length = (size_t)(at - place->value.at);
        place->elements = elements;
    }
}

static inline const char *open_container(struct walk *walk, const char *at) {
    if (walk->depth == WEIR_MAX_JSON_DEPTH)
        return fail(walk, WEIR_ELIMIT, "nested too deep", at);
    bool object = *at == '{';
    walk->depth++;
    walk->level++;
    *walk->level = (struct level){
        .whole = walk->whole,
        .through = object ? walk->through : 0,
        .elements = 0,
        .close = object ? '}' : ']',
    };
    if (walk->whole != 0)
        note_start(walk, walk->whole, object ? WEIR_JSON_OBJECT : WEIR_JSON_ARRAY, at);
    walk->whole = walk->through = 0;
    return at + 1;
}

static inline const char *read_literal(struct walk *walk, const char *at, const char *literal, size_t length) {
    size_t left = (size_t)(walk->end - at);
    if (left >= length && memcmp(at, literal, length) == 0)
        return at + length;
    for (size_t i = 0; i < length; i++)
        if (i == left || at[i] != literal[i])
            return fail_unexpected(walk, at + i);
    return at + length;
}

/* Reads one scalar, or the opening bracket of a container (then *opened is true). */
static inline const char *read_value(struct walk *walk, const char *at, bool *opened) {
    *opened = false;
    if (at == walk->end)
        return fail_unexpected(walk, at);
    const char *from = at;
    const char *problem;
    const char *bad_at;
    bool escaped = false;
    enum weir_json_kind kind;
    switch (*at) {
    case '{':
    case '[': *opened = true; return open_container(walk, at);
    case '"':
        kind = WEIR_JSON_STRING;
        at = json__skip_string(at + 1, walk->end, &escaped, &problem, &bad_at);
        if (at == NULL)
            return fail(walk, WEIR_EINVAL, problem, bad_at);
        at++;
        break;
    case 't':
        kind = WEIR_JSON_TRUE;
        at = read_literal(walk, at, "true", 4);
        break;
    case 'f':
        kind = WEIR_JSON_FALSE;
        at = read_literal(walk, at, "false", 5);
        break;
    case 'n':
        kind = WEIR_JSON_NULL;
        at = read_literal(walk, at, "null", 4);
        break;
    default:
        kind = WEIR_JSON_NUMBER;
        if (*at != '-' && (*at < '0' || *at > '9'))
            return fail_unexpected(walk, at);
        at = json__skip_number(at, walk->end, &bad_at);
        if (at == NULL)
            return fail(walk, WEIR_EINVAL, "bad number", bad_at);
        break;
    }
    if (at != NULL && walk->whole != 0) {
        note_start(walk, walk->whole, kind, from);
        note_end(walk, walk->whole, 0, at);
    }
    walk->whole = walk->through = 0;
    return at;
}

static inline const char *close_container(struct walk *walk, const char *at) {
    const struct level *level = walk->level;
    if (level->whole != 0)
        note_end(walk, level->whole, level->elements, at + 1);
    walk->level--;
    walk->depth--;
    return at + 1;
}

/* Walks the one value that begins at `at` and gives the byte after it; NULL with walk->status and walk->problem set. */
static const char *walk_value(struct walk *walk, const char *at) {
    struct level levels[WEIR_MAX_JSON_DEPTH + 1]; /* not initialised: opening a level writes it */
    const char *end = walk->end;
    walk->level = levels;
    walk->depth = 0;
    for (;;) {
        bool opened;
        at = read_value(walk, at, &opened);
        if (at == NULL)
            return NULL;
        if (walk->depth == 0)
            return at;
        at = skip_space(at, end);
        while (at < end && *at == walk->level->close) {
            at = close_container(walk, at);
            if (walk->depth == 0)
                return at;
            at = skip_space(at, end);
            opened = false;
        }
        if (!opened) {
            if (at == end || *at != ',')
                return fail_unexpected(walk, at);
            at = skip_space(at + 1, end);
        }
        walk->level->elements++;
        if (walk->level->close == '}') {
            at = read_name(walk, at);
            if (at == NULL)
                return NULL;
        }
    }
}

enum weir_status weir_json_scan(struct weir_span text, const struct weir_json_want *wants, size_t count,
                                struct weir_json_found *found, struct weir_json_found *root,
                                struct weir_json_problem *problem) {
    weir_bug_on(count > WEIR_JSON_MAX_WANTS);
    if (text.length == 0)
        text.at = ""; /* an empty span may point nowhere */
    struct wants begun;
    struct weir_json_found places[WEIR_JSON_MAX_WANTS + 1];
    begin_wants(&begun, wants, count);
    if (count > 0)
        memset(places, 0, count * sizeof(places[0]));
    places[ROOT] = (struct weir_json_found){.kind = WEIR_JSON_NONE};
    struct walk walk = {
        .start = text.at,
        .end = text.at + text.length,
        .wants = &begun,
        .places = places,
        .whole = ROOT_BIT,
        .through = ((uint64_t)1 << count) - 1,
    };
    const char *at = walk_value(&walk, skip_space(walk.start, walk.end));
    if (at != NULL) {
        at = skip_space(at, walk.end);
        if (at != walk.end)
            at = fail(&walk, WEIR_EINVAL, "unexpected byte", at);
    }
    if (at == NULL) {
        if (problem != NULL)
            *problem = walk.problem;
        return walk.status;
    }
    if (count > 0)
        memcpy(found, places, count * sizeof(places[0]));
    if (root != NULL)
        *root = places[ROOT];
    return WEIR_OK;
}

enum weir_status weir_json_next(struct weir_span value, size_t *cursor, struct weir_span *name,
                                struct weir_json_found *element) {
    if (value.length < 2 || (value.at[0] != '[' && value.at[0] != '{') || *cursor > value.length)
        return WEIR_EINVAL;
    struct weir_json_found places[WEIR_JSON_MAX_WANTS + 1];
    struct level around = {.close = ']'};
    struct walk walk = {.start = value.at, .end = value.at + value.length, .places = places};
    const char close = value.at[0] == '{' ? '}' : ']';
    const char *at = value.at + *cursor;
    if (*cursor == 0)
        at++;
    at = skip_space(at, walk.end);
    if (at < walk.end && *at == close)
        return WEIR_END;
    if (*cursor != 0) {
        if (at == walk.end || *at != ',')
            return WEIR_EINVAL;
        at = skip_space(at + 1, walk.end);
    }
    const char *member = at;
    struct weir_span token = weir_span_of("", 0);
    if (close == '}') {
        walk.level = &around;
        at = read_name(&walk, at);
        if (at == NULL)
            return walk.status;
        const char *quote = at;
        while (quote[-1] != '"')
            quote--; /* back over the colon and the space around it */
        token = weir_span_of(member, (size_t)(quote - member));
    }
    walk.whole = ROOT_BIT;
    walk.through = 0;
    places[ROOT] = (struct weir_json_found){.kind = WEIR_JSON_NONE};
    places[ROOT].member_at = (size_t)(member - value.at);
    at = walk_value(&walk, at);
    if (at == NULL)
        return walk.status;
    *cursor = (size_t)(at - value.at);
    *name = token;
    *element = places[ROOT];
    return WEIR_OK;
}
