/* The scanner as its callers see it: what is accepted, what is found and where, what is refused and why. */
#include "base/limits.h"
#include "json/scan.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* A copy without a byte to spare, so that reading past either end is noticed. */
struct exact {
    char *at;
    struct weir_span text;
};

static struct exact exact_of(const char *bytes, size_t length) {
    struct exact exact = {.at = malloc(length > 0 ? length : 1)};
    assert_non_null(exact.at);
    memcpy(exact.at, bytes, length);
    exact.text = weir_span_of(exact.at, length);
    return exact;
}

static enum weir_status scan_text(const char *text, struct weir_json_problem *problem) {
    struct exact exact = exact_of(text, strlen(text));
    struct weir_json_found root;
    enum weir_status status = weir_json_scan(exact.text, NULL, 0, NULL, &root, problem);
    free(exact.at);
    return status;
}

static void assert_span(struct weir_span span, const char *expected) {
    assert_int_equal(span.length, strlen(expected));
    assert_memory_equal(span.at, expected, span.length);
}

static void finds_members_and_their_places(void **state) {
    (void)state;
    const char *text =
        " {\"model\" : \"gpt-4o\",\"x\":{\"model\":1},\"stream_options\":{\"a\":[1,2],\"include_usage\":true},"
        "\"messages\":[{\"model\":2},{}, []],\"n\":-1.5e3,\"user\":null,\"store\":false} ";
    const struct weir_json_want wants[] = {
        {"model"},
        {"stream_options.include_usage"},
        {"stream_options"},
        {"messages"},
        {"n"},
        {"user"},
        {"store"},
        {"absent"},
        {"x.absent"},
        {"n.inside"},
    };
    struct weir_json_found found[10];
    struct weir_json_found root;
    assert_int_equal(weir_json_scan(weir_span_of_string(text), wants, 10, found, &root, NULL), WEIR_OK);
    assert_int_equal(root.kind, WEIR_JSON_OBJECT);
    assert_int_equal(root.elements, 7);
    assert_int_equal(root.value_at, 1);
    assert_int_equal(root.value.length, strlen(text) - 2);
    assert_int_equal(found[0].kind, WEIR_JSON_STRING);
    assert_span(found[0].value, "\"gpt-4o\"");
    assert_int_equal(found[0].member_at, 2);
    assert_int_equal(found[0].value_at, 12);
    assert_ptr_equal(found[0].value.at, text + 12);
    assert_int_equal(found[1].kind, WEIR_JSON_TRUE);
    assert_span(found[1].value, "true");
    assert_int_equal(found[2].kind, WEIR_JSON_OBJECT);
    assert_span(found[2].value, "{\"a\":[1,2],\"include_usage\":true}");
    assert_int_equal(found[2].elements, 2);
    assert_int_equal(found[3].kind, WEIR_JSON_ARRAY);
    assert_int_equal(found[3].elements, 3);
    assert_int_equal(found[4].kind, WEIR_JSON_NUMBER);
    assert_span(found[4].value, "-1.5e3");
    assert_int_equal(found[5].kind, WEIR_JSON_NULL);
    assert_int_equal(found[6].kind, WEIR_JSON_FALSE);
    for (size_t i = 7; i < 10; i++)
        assert_int_equal(found[i].kind, WEIR_JSON_NONE);
}

static void escaped_names_match(void **state) {
    (void)state;
    const struct weir_json_want wants[] = {{"model"}, {"a.b"}, {"\xc3\xbc"}};
    struct weir_json_found found[3];
    struct weir_span text = WEIR_SPAN("{\"mod\\u0065l\":1,\"\\u0061\":{\"\\u0062\":2},\"\\u00fc\":3}");
    assert_int_equal(weir_json_scan(text, wants, 3, found, NULL, NULL), WEIR_OK);
    assert_span(found[0].value, "1");
    assert_span(found[1].value, "2");
    assert_span(found[2].value, "3");
}

static void similar_names_do_not_match(void **state) {
    (void)state;
    const struct weir_json_want wants[] = {{"model"}, {"a.b"}};
    struct weir_json_found found[2];
    struct weir_span text = WEIR_SPAN(
        "{\"mode\":1,\"models\":1,\"Model\":1,\"modex\":1,\"a.b\":1,\"a\":{\"c\":{\"b\":1}},\"\":1,"
        "\"model\\u0000\":1,\"b\":1,\"a.\":1,\"modelmodel\":1}");
    assert_int_equal(weir_json_scan(text, wants, 2, found, NULL, NULL), WEIR_OK);
    assert_int_equal(found[0].kind, WEIR_JSON_NONE);
    assert_int_equal(found[1].kind, WEIR_JSON_NONE);
}

static void an_empty_name_can_be_wanted(void **state) {
    (void)state;
    const struct weir_json_want wants[] = {{""}, {".b"}, {"a."}};
    struct weir_json_found found[3];
    assert_int_equal(weir_json_scan(WEIR_SPAN("{\"a\":{\"\":7},\"\":{\"b\":8}}"), wants, 3, found, NULL, NULL),
                     WEIR_OK);
    assert_span(found[0].value, "{\"b\":8}");
    assert_span(found[1].value, "8");
    assert_span(found[2].value, "7");
}

static void as_many_wants_and_segments_as_promised(void **state) {
    (void)state;
    struct weir_json_want wants[WEIR_JSON_MAX_WANTS];
    char names[WEIR_JSON_MAX_WANTS][8];
    char text[1000] = "{";
    size_t used = 1;
    for (int i = 0; i < WEIR_JSON_MAX_WANTS - 1; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "m%d", i);
        wants[i].path = names[i];
        used += (size_t)snprintf(text + used, sizeof(text) - used, "\"m%d\":%d,", i, i);
    }
    wants[WEIR_JSON_MAX_WANTS - 1].path = "a.b.c.d.e.f.g.h";
    (void)snprintf(text + used, sizeof(text) - used,
                   "\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":99}}}}}}}}");
    struct weir_json_found found[WEIR_JSON_MAX_WANTS];
    assert_int_equal(weir_json_scan(weir_span_of_string(text), wants, WEIR_JSON_MAX_WANTS, found, NULL, NULL), WEIR_OK);
    for (int i = 0; i < WEIR_JSON_MAX_WANTS - 1; i++) {
        int64_t value;
        assert_int_equal(weir_json_int64(found[i].value, &value), WEIR_OK);
        assert_int_equal(value, i);
    }
    assert_span(found[WEIR_JSON_MAX_WANTS - 1].value, "99");
}

static void duplicates_of_wanted_members_are_refused(void **state) {
    (void)state;
    const struct weir_json_want wants[] = {{"model"}, {"usage.prompt_tokens"}};
    const char *const refused[] = {
        "{\"model\":1,\"model\":1}",
        "{\"model\":1,\"mod\\u0065l\":2}",
        "{\"usage\":{},\"usage\":{}}",
        "{\"usage\":1,\"x\":2,\"usage\":{\"prompt_tokens\":1}}",
        "{\"usage\":{\"prompt_tokens\":1,\"x\":{},\"prompt_tokens\":2}}",
        "{\"usage\":{\"prompt_tokens\":1},\"usage\":[]}",
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct weir_json_found found[2] = {{.kind = WEIR_JSON_ARRAY}, {.kind = WEIR_JSON_ARRAY}};
        struct weir_json_problem problem;
        struct weir_span text = weir_span_of_string(refused[i]);
        assert_int_equal(weir_json_scan(text, wants, 2, found, NULL, &problem), WEIR_EEXIST);
        assert_int_equal(found[0].kind, WEIR_JSON_ARRAY); /* untouched on failure */
        assert_true(problem.member.length > 0);
        assert_ptr_equal(problem.member.at, text.at + problem.offset + 1);
    }
    const char *const accepted[] = {
        "{\"x\":1,\"x\":1,\"model\":{\"model\":2}}",
        "{\"messages\":[{\"model\":1},{\"model\":1}],\"model\":1}",
        "{\"y\":{\"usage\":{}},\"usage\":{\"usage\":{\"prompt_tokens\":1},\"prompt_tokens\":1,\"x\":1,\"x\":1}}",
        "[{\"model\":1,\"model\":1}]",
    };
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        struct weir_json_found found[2];
        assert_int_equal(weir_json_scan(weir_span_of_string(accepted[i]), wants, 2, found, NULL, NULL), WEIR_OK);
    }
}

static void the_top_may_be_anything(void **state) {
    (void)state;
    const struct {
        const char *text;
        enum weir_json_kind kind;
        size_t elements;
    } rows[] = {
        {"null", WEIR_JSON_NULL, 0},         {" true ", WEIR_JSON_TRUE, 0}, {"false", WEIR_JSON_FALSE, 0},
        {"-0", WEIR_JSON_NUMBER, 0},         {"\"\"", WEIR_JSON_STRING, 0}, {"[1,[2,3],4]", WEIR_JSON_ARRAY, 3},
        {"{\"a\":{}}", WEIR_JSON_OBJECT, 1}, {"[]", WEIR_JSON_ARRAY, 0},    {"{ }", WEIR_JSON_OBJECT, 0},
    };
    const struct weir_json_want wants[] = {{"b"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct exact exact = exact_of(rows[i].text, strlen(rows[i].text));
        struct weir_json_found found;
        struct weir_json_found root;
        assert_int_equal(weir_json_scan(exact.text, wants, 1, &found, &root, NULL), WEIR_OK);
        assert_int_equal(root.kind, rows[i].kind);
        assert_int_equal(root.elements, rows[i].elements);
        assert_int_equal(found.kind, WEIR_JSON_NONE);
        free(exact.at);
    }
}

static void says_what_is_wrong_and_where(void **state) {
    (void)state;
    const struct {
        const char *text;
        const char *problem;
        size_t offset;
    } rows[] = {
        {"", "unexpected end", 0},
        {"  ", "unexpected end", 2},
        {"{", "unexpected end", 1},
        {"{\"a\"", "unexpected end", 4},
        {"{\"a\":", "unexpected end", 5},
        {"{\"a\":1", "unexpected end", 6},
        {"{\"a\":1,", "unexpected end", 7},
        {"{\"a\":1,}", "unexpected byte", 7},
        {"{,}", "unexpected byte", 1},
        {"{a:1}", "unexpected byte", 1},
        {"{\"a\" 1}", "unexpected byte", 5},
        {"[", "unexpected end", 1},
        {"[1", "unexpected end", 2},
        {"[1,", "unexpected end", 3},
        {"[1,]", "unexpected byte", 3},
        {"[,1]", "unexpected byte", 1},
        {"[1 2]", "unexpected byte", 3},
        {"[1}", "unexpected byte", 2},
        {"{\"a\":1]", "unexpected byte", 6},
        {"]", "unexpected byte", 0},
        {"[] []", "unexpected byte", 3},
        {"{}\f", "unexpected byte", 2},
        {"tru", "unexpected end", 3},
        {"trux", "unexpected byte", 3},
        {"nul]", "unexpected byte", 3},
        {"truee", "unexpected byte", 4},
        {"\"abc", "unexpected end", 4},
        {"\"a\\", "bad escape", 2},
        {"\"a\\x\"", "bad escape", 2},
        {"\"a\\u12", "bad escape", 2},
        {"\"a\\u12g4\"", "bad escape", 2},
        {"\"a\nb\"", "control byte in a string", 2},
        {"\"0123456789abcdef0123456789abcdef\x1f\"", "control byte in a string", 33},
        {"\"\xff\"", "invalid UTF-8", 1},
        {"-", "bad number", 0},
        {"-a", "bad number", 0},
        {"01", "unexpected byte", 1},
        {"1.", "bad number", 2},
        {"1.e1", "bad number", 2},
        {"1e", "bad number", 2},
        {"1e+", "bad number", 3},
        {"+1", "unexpected byte", 0},
        {".5", "unexpected byte", 0},
        {"NaN", "unexpected byte", 0},
        {"'a'", "unexpected byte", 0},
        {"\xef\xbb\xbf{}", "unexpected byte", 0},
        {"// no\n1", "unexpected byte", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_json_problem problem = {.text = NULL};
        assert_int_equal(scan_text(rows[i].text, &problem), WEIR_EINVAL);
        assert_string_equal(problem.text, rows[i].problem);
        assert_int_equal(problem.offset, rows[i].offset);
        assert_int_equal(problem.member.length, 0);
        assert_int_equal(scan_text(rows[i].text, NULL), WEIR_EINVAL);
    }
    struct weir_span nowhere = {.at = NULL, .length = 0};
    assert_int_equal(weir_json_scan(nowhere, NULL, 0, NULL, NULL, NULL), WEIR_EINVAL);
}

/* Whether these bytes are one well-formed sequence, by decoding and encoding: the slow and plain way. */
static bool is_one_character(const unsigned char *bytes, size_t length) {
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code = length == 1 ? bytes[0] : bytes[0] & (0xFFU >> (length + 1));
    if (length == 1)
        return bytes[0] < 0x80;
    if ((unsigned)bytes[0] >> (7 - length) != (1U << (length + 1)) - 2)
        return false;
    for (size_t i = 1; i < length; i++) {
        if (bytes[i] >> 6 != 2)
            return false;
        code = code << 6 | (bytes[i] & 0x3FU);
    }
    return code >= lowest[length] && code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
}

static bool accepts_bytes(const unsigned char *bytes, size_t length, size_t before) {
    char text[64];
    text[0] = '"';
    memset(text + 1, 'x', before);
    memcpy(text + 1 + before, bytes, length);
    text[1 + before + length] = '"';
    return weir_json_scan(weir_span_of(text, before + length + 2), NULL, 0, NULL, NULL, NULL) == WEIR_OK;
}

static void utf8_is_strict(void **state) {
    (void)state;
    /* Every pair of bytes, and every longer sequence at the borders of what is allowed. */
    static const unsigned char borders[] = {0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0};
    for (unsigned lead = 0x80; lead < 0x100; lead++) {
        for (unsigned second = 0x80; second < 0x100; second++) {
            unsigned char bytes[] = {(unsigned char)lead, (unsigned char)second};
            assert_int_equal(accepts_bytes(bytes, 2, 0), is_one_character(bytes, 2));
        }
        for (size_t i = 0; i < 8 * 8 * 8; i++) {
            unsigned char bytes[] = {(unsigned char)lead, borders[i & 7], borders[i >> 3 & 7], borders[i >> 6 & 7]};
            bool three = is_one_character(bytes, 3);
            assert_int_equal(accepts_bytes(bytes, 3, i % 20), three || (is_one_character(bytes, 2) && bytes[2] < 0x80));
            bool four = is_one_character(bytes, 4) || (three && bytes[3] < 0x80) ||
                        (is_one_character(bytes, 2) &&
                         ((bytes[2] < 0x80 && bytes[3] < 0x80) || is_one_character(bytes + 2, 2)));
            assert_int_equal(accepts_bytes(bytes, 4, i % 20), four);
        }
        unsigned char alone = (unsigned char)lead;
        assert_false(accepts_bytes(&alone, 1, 0));
    }
}

static void every_byte_at_every_place_of_a_string(void **state) {
    (void)state;
    /* The wide steps must find what the narrow ones find, wherever it stands. */
    for (size_t length = 1; length <= 70; length++) {
        for (size_t place = 0; place < length; place++) {
            for (unsigned byte = 0; byte < 0x100; byte++) {
                if (byte > 0x22 && byte < 0x7F && byte != '\\' && (byte + place) % 16 != 0)
                    continue; /* the plain ones: a sample */
                char text[80];
                memset(text, 'x', sizeof(text));
                text[0] = '"';
                text[1 + place] = (char)byte;
                text[1 + length] = '"';
                bool good = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                struct weir_span span = weir_span_of(text, length + 2);
                assert_int_equal(weir_json_scan(span, NULL, 0, NULL, NULL, NULL) == WEIR_OK, good);
            }
        }
    }
}

/* Plain bytes, or whole characters outside ASCII. */
static void fill(char *at, size_t length, bool thick) {
    memset(at, 'x', length);
    for (size_t i = length % 2; thick && i < length; i += 2)
        memcpy(at + i, "\xC3\xA9", 2);
}

/* The same bytes in a short string, which is gone through singly, and in one that is gone through by blocks, at `place` of a
 * block: the verdict is the same, and a fault is found at the same byte. */
static void assert_same_in_blocks(const char *bytes, size_t length, size_t place, bool thick) {
    static const char escapes[] = "\\n\\n\\n\\n\\n\\n\\n\\n"; /* so many that blocks begin right behind them */
    char singly[32], blocks[512];
    struct weir_json_problem expected = {.text = ""}, found = {.text = ""};
    weir_bug_on(length + 2 > sizeof(singly));
    singly[0] = '"';
    memcpy(singly + 1, bytes, length);
    singly[1 + length] = '"';
    enum weir_status status = weir_json_scan(weir_span_of(singly, length + 2), NULL, 0, NULL, NULL, &expected);

    const size_t first = 1 + sizeof(escapes) - 1, before = first + place, behind = before + length;
    blocks[0] = '"';
    memcpy(blocks + 1, escapes, sizeof(escapes) - 1);
    fill(blocks + first, place, thick);
    memcpy(blocks + before, bytes, length);
    fill(blocks + behind, sizeof(blocks) - 1 - behind, thick);
    blocks[sizeof(blocks) - 1] = '"';
    struct weir_span text = weir_span_of(blocks, sizeof(blocks));
    assert_int_equal(weir_json_scan(text, NULL, 0, NULL, NULL, &found), status);
    if (status != WEIR_OK) {
        assert_int_equal(found.offset - before, expected.offset - 1);
        assert_string_equal(found.text, expected.text);
    }
}

static void blocks_find_what_single_bytes_do(void **state) {
    (void)state;
    static const size_t places[] = {0, 5, 61, 62, 63, 64, 127};
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        const char first = (char)(pair >> 8), second = (char)(pair & 0xFF);
        const char bytes[] = {first, second, 'x', 'x', '\x80', '\x80', 'x'};
        const char followed[] = {first, second, '\x80', 'x'};
        const char followed_twice[] = {first, second, '\x80', '\xBF', 'x'};
        if (first == '"' || second == '"')
            continue; /* what follows the string's end is another matter */
        const size_t place = places[pair % (sizeof(places) / sizeof(places[0]))];
        for (int thick = 0; thick < 2; thick++) {
            assert_same_in_blocks(bytes, 4, place, thick);
            assert_same_in_blocks(bytes, sizeof(bytes), place, thick);
            assert_same_in_blocks(followed, sizeof(followed), place, thick);
            assert_same_in_blocks(followed_twice, sizeof(followed_twice), place, thick);
        }
    }
}

static void blocks_are_cut_anywhere(void **state) {
    (void)state;
    static const char *const pieces[] = {
        "\\n",
        "\\\\",
        "\\\"",
        "\\\\\\\"",
        "\\\\\\\\x",
        "\\u12aF",
        "\\u12a",
        "\\u12",
        "\\x",
        "\x1f",
        "\x7f",
        "\xC3\xA9",
        "\xE2\x82\xAC",
        "\xF0\x9F\x98\x80",
        "\xC3",
        "\xE2\x82",
        "\xE2",
        "\xF0\x9F\x98",
        "\xE2\x82\xAC\xC3",
        "\xED\x9F\xBF",
        "\xED\xA0\x80",
        "\xF4\x8F\xBF\xBF",
        "\xF4\x90\x80\x80",
        "\xE0\x9F\xBF",
        "\xE0\xA0\x80",
        "\xF0\x8F\xBF\xBF",
        "\xF5\x80\x80\x80",
        "\xC0\x80",
        "\xC1\xBF",
        "\xFF",
        "\x80",
        "\\n\xC3\xA9\\\"\xE2\x82\xAC",
    };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        char bytes[24];
        size_t length = strlen(pieces[i]);
        memcpy(bytes, pieces[i], length);
        bytes[length] = 'x';
        for (size_t place = 0; place < 200; place++)
            for (int thick = 0; thick < 2; thick++)
                assert_same_in_blocks(bytes, length + 1, place, thick);
    }
}

static void a_string_in_blocks_ends_at_its_quote(void **state) {
    (void)state;
    static const char *const pieces[] = {"x", "\\\"", "\\\\", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        for (size_t count = 0; count < 150; count++) {
            char text[1024] = "[\"\\n\\n\\n\\n\\n\\n\\n\\n";
            size_t length = strlen(text);
            for (size_t n = 0; n < count; n++, length += strlen(pieces[i]))
                memcpy(text + length, pieces[i], strlen(pieces[i]));
            memcpy(text + length, "\", 1]", 6);
            struct exact exact = exact_of(text, length + 5);
            struct weir_json_found root;
            assert_int_equal(weir_json_scan(exact.text, NULL, 0, NULL, &root, NULL), WEIR_OK);
            assert_int_equal(root.elements, 2);
            free(exact.at);
        }
    }
}

static void depth_has_a_limit(void **state) {
    (void)state;
    char text[2 * (WEIR_MAX_JSON_DEPTH + 1)];
    for (size_t depth = WEIR_MAX_JSON_DEPTH; depth <= WEIR_MAX_JSON_DEPTH + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        struct exact exact = exact_of(text, 2 * depth);
        struct weir_json_problem problem;
        enum weir_status status = weir_json_scan(exact.text, NULL, 0, NULL, NULL, &problem);
        assert_int_equal(status, depth <= WEIR_MAX_JSON_DEPTH ? WEIR_OK : WEIR_ELIMIT);
        if (status != WEIR_OK)
            assert_int_equal(problem.offset, WEIR_MAX_JSON_DEPTH);
        free(exact.at);
    }
}

static void walks_elements(void **state) {
    (void)state;
    struct weir_span array = WEIR_SPAN("[ 1 , {\"a\":[]},\"x\" ]");
    size_t cursor = 0;
    struct weir_span name;
    struct weir_json_found element;
    assert_int_equal(weir_json_next(array, &cursor, &name, &element), WEIR_OK);
    assert_span(element.value, "1");
    assert_int_equal(name.length, 0);
    assert_int_equal(weir_json_next(array, &cursor, &name, &element), WEIR_OK);
    assert_int_equal(element.kind, WEIR_JSON_OBJECT);
    assert_int_equal(element.elements, 1);
    assert_int_equal(element.value_at, 6);
    assert_int_equal(weir_json_next(array, &cursor, &name, &element), WEIR_OK);
    assert_span(element.value, "\"x\"");
    assert_int_equal(weir_json_next(array, &cursor, &name, &element), WEIR_END);
    assert_int_equal(weir_json_next(array, &cursor, &name, &element), WEIR_END);

    struct weir_span object = WEIR_SPAN("{\"a\" :\t\"b\" , \"\\\"\": {} }");
    cursor = 0;
    assert_int_equal(weir_json_next(object, &cursor, &name, &element), WEIR_OK);
    assert_span(name, "\"a\"");
    assert_span(element.value, "\"b\"");
    assert_int_equal(element.member_at, 1);
    assert_int_equal(weir_json_next(object, &cursor, &name, &element), WEIR_OK);
    assert_span(name, "\"\\\"\"");
    assert_int_equal(element.kind, WEIR_JSON_OBJECT);
    assert_int_equal(weir_json_next(object, &cursor, &name, &element), WEIR_END);

    cursor = 0;
    assert_int_equal(weir_json_next(WEIR_SPAN("{}"), &cursor, &name, &element), WEIR_END);
    cursor = 0;
    assert_int_equal(weir_json_next(WEIR_SPAN("[ ]"), &cursor, &name, &element), WEIR_END);
}

static void walking_what_is_no_container_fails(void **state) {
    (void)state;
    const char *const texts[] = {"", "1", "\"[\"", "[", "[,", "[x]", "{\"a\"}", "{\"a\":}", "{1:2}", "{\"a", "[1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct exact exact = exact_of(texts[i], strlen(texts[i]));
        size_t cursor = 0;
        struct weir_span name;
        struct weir_json_found element;
        enum weir_status status = weir_json_next(exact.text, &cursor, &name, &element);
        if (status == WEIR_OK)
            status = weir_json_next(exact.text, &cursor, &name, &element);
        assert_int_equal(status, WEIR_EINVAL);
        free(exact.at);
    }
}

static void kinds_have_names(void **state) {
    (void)state;
    assert_string_equal(weir_json_kind_name(WEIR_JSON_NONE), "nothing");
    assert_string_equal(weir_json_kind_name(WEIR_JSON_STRING), "a string");
    assert_string_equal(weir_json_kind_name(WEIR_JSON_OBJECT), "an object");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_members_and_their_places),
        cmocka_unit_test(escaped_names_match),
        cmocka_unit_test(similar_names_do_not_match),
        cmocka_unit_test(an_empty_name_can_be_wanted),
        cmocka_unit_test(as_many_wants_and_segments_as_promised),
        cmocka_unit_test(duplicates_of_wanted_members_are_refused),
        cmocka_unit_test(the_top_may_be_anything),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(utf8_is_strict),
        cmocka_unit_test(every_byte_at_every_place_of_a_string),
        cmocka_unit_test(blocks_find_what_single_bytes_do),
        cmocka_unit_test(blocks_are_cut_anywhere),
        cmocka_unit_test(a_string_in_blocks_ends_at_its_quote),
        cmocka_unit_test(depth_has_a_limit),
        cmocka_unit_test(walks_elements),
        cmocka_unit_test(walking_what_is_no_container_fails),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
