/* Forms as clients write them, and as attackers would: every row cut everywhere. */
#include "multipart_transcript.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static void check_one(struct weir_span boundary, struct weir_span input, struct weir_span expected,
                      transcript_cut cut) {
    struct weir_buffer text = multipart_transcript_of(boundary, input, cut);
    if (!weir_span_equal(weir_buffer_span(&text), expected)) {
        fail_msg("cut %u of %.*s\n got: %.*s\nnot: %.*s", cut, WEIR_SPAN_PRINT(input),
                 WEIR_SPAN_PRINT(weir_buffer_span(&text)), WEIR_SPAN_PRINT(expected));
    }
    weir_buffer_release(&text);
}

static void check_form(struct weir_span boundary, struct weir_span input, struct weir_span expected) {
    for (transcript_cut cut = 0; cut < 40; cut++) {
        check_one(boundary, input, expected, cut);
    }
}

static void check(const char *input, const char *expected) {
    check_form(WEIR_SPAN("B"), weir_span_of_string(input), weir_span_of_string(expected));
}

#define HEAD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n\r\n"
#define PART(name, content) "--B\r\n" HEAD(name) content "\r\n"

/* ---- what clients write ---- */

static void test_clients(void **state) {
    (void)state;
    /* httpx, and with it the OpenAI package: fields first, then files. */
    check_form(WEIR_SPAN("8f14e45fceea167a5a36dedd4bea2543"),
               WEIR_SPAN("--8f14e45fceea167a5a36dedd4bea2543\r\n"
                         "Content-Disposition: form-data; name=\"model\"\r\n\r\n"
                         "whisper-1\r\n"
                         "--8f14e45fceea167a5a36dedd4bea2543\r\n"
                         "Content-Disposition: form-data; name=\"timestamp_granularities[]\"\r\n\r\n"
                         "word\r\n"
                         "--8f14e45fceea167a5a36dedd4bea2543\r\n"
                         "Content-Disposition: form-data; name=\"file\"; filename=\"a%22b\\\\c.mp3\"\r\n"
                         "Content-Type: audio/mpeg\r\n\r\n"
                         "ID3\0\r\n--8f14\r\n"
                         "--8f14e45fceea167a5a36dedd4bea2543--\r\n"),
               WEIR_SPAN("<model|-||whisper-1><timestamp_granularities[]|-||word>"
                         "<file|a\"b\\c.mp3|audio/mpeg|ID3\0\r\n--8f14>ok "));
    /* undici. */
    check_form(WEIR_SPAN("----formdata-undici-012345678901"),
               WEIR_SPAN("------formdata-undici-012345678901\r\n"
                         "Content-Disposition: form-data; name=\"model\"\r\n\r\n"
                         "gpt-4o-transcribe\r\n"
                         "------formdata-undici-012345678901\r\n"
                         "Content-Disposition: form-data; name=\"file\"; filename=\"blob\"\r\n"
                         "Content-Type: application/octet-stream\r\n\r\n"
                         "----\r\n"
                         "------formdata-undici-012345678901--\r\n"),
               WEIR_SPAN("<model|-||gpt-4o-transcribe><file|blob|application/octet-stream|---->ok "));
    check_form(WEIR_SPAN("----formdata-undici-012345678901"), WEIR_SPAN("------formdata-undici-012345678901--\r\n"),
               WEIR_SPAN("ok "));
    /* curl -F, which before 7.81 put backslashes before quotes. */
    check_form(WEIR_SPAN("------------------------d74496d66958873e"),
               WEIR_SPAN("--------------------------d74496d66958873e\r\n"
                         "Content-Disposition: form-data; name=\"file\"; filename=\"say \\\"hi\\\".wav\"\r\n"
                         "Content-Type: application/octet-stream\r\n\r\n"
                         "\r\n\r\n"
                         "--------------------------d74496d66958873e--\r\n"),
               WEIR_SPAN("<file|say \"hi\".wav|application/octet-stream|\r\n>ok "));
    /* Browsers; a file that was not chosen; a name with line breaks and one with a backslash that escapes nothing. */
    check_form(WEIR_SPAN("----WebKitFormBoundary7MA4YWxkTrZu0gW"),
               WEIR_SPAN("------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
                         "Content-Disposition: form-data; name=\"a\"; filename=\"\"\r\n"
                         "Content-Type: application/octet-stream\r\n\r\n"
                         "\r\n"
                         "------WebKitFormBoundary7MA4YWxkTrZu0gW\r\n"
                         "Content-Disposition: form-data; name=\"b\"; filename=\"1%0D%0A2%0a\\x%0\"\r\n\r\n"
                         "x\r\n"
                         "------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n"),
               WEIR_SPAN("<a||application/octet-stream|><b|1\r\n2\n\\x%0||x>ok "));
    /* .NET quotes nothing and adds the extended form; aiohttp and OkHttp give each part's length. */
    check_form(WEIR_SPAN("B"),
               WEIR_SPAN(
                   "--B\r\nContent-Type: text/plain; charset=utf-8\r\n"
                   "content-disposition:form-data;name=model\r\n\r\nm\r\n"
                   "--B\r\nContent-Disposition: form-data; name=file; filename=a.wav; filename*=utf-8''%c3%a4.wav\r\n"
                   "Content-Length: 1\r\nContent-Transfer-Encoding: binary\r\n\r\nx\r\n--B--"),
               WEIR_SPAN("<model|-|text/plain; charset=utf-8|m><file|a.wav||x>ok "));
    check_form(WEIR_SPAN("B"),
               WEIR_SPAN(
                   "--B\r\nContent-Disposition: form-data; name=\"\xC3\xA4\"; filename=\"\xE2\x82\xAC\" ; x=y ;\r\n"
                   "\r\n\0\r\n--B--"),
               WEIR_SPAN("<\xC3\xA4|\xE2\x82\xAC||\0>ok "));
}

/* ---- delimiters ---- */

static void test_delimiters(void **state) {
    (void)state;
    check("", "protocol_error no closing boundary");
    check("--B--", "ok ");
    check("--B--\r\n", "ok ");
    check("\r\n--B--\r\n", "ok ");
    check(PART("a", "") "--B--", "<a|-||>ok ");
    check("\r\n" PART("a", "1") PART("a", "2") "--B--\r\n", "<a|-||1><a|-||2>ok ");
    /* What is nearly one is content. */
    check(PART("a", "\r\n-B\r\n--\r\nB--B x--B\r\r\n\r\n\n\r") "--B--",
          "<a|-||\r\n-B\r\n--\r\nB--B x--B\r\r\n\r\n\n\r>ok ");
    check(PART("a", "---B\r\n---B") "--B--", "<a|-||---B\r\n---B>ok ");
    check(PART("a", "-") PART("b", "--") PART("c", "\r") PART("d", "\n") PART("e", "\r\n") "--B--",
          "<a|-||-><b|-||--><c|-||\r><d|-||\n><e|-||\r\n>ok ");
    check_form(WEIR_SPAN("-a-"), WEIR_SPAN("---a-\r\n" HEAD("a") "\r\n----a-\r\n--a-\r\n---\r\n---a---"),
               WEIR_SPAN("<a|-||\r\n----a-\r\n--a-\r\n--->ok "));
    /* What some readers take for one is refused. */
    check("--B\r\n" HEAD("a") "--B--", "<a|-||protocol_error a boundary directly behind a part's head");
    check(PART("a", "1\n--B"), "<a|-||1protocol_error a boundary behind a bare CR or LF");
    check(PART("a", "1\r--B"), "<a|-||1protocol_error a boundary behind a bare CR or LF");
    check(PART("a", "\n--B"), "<a|-||protocol_error a boundary behind a bare CR or LF");
    check(PART("a", "\n\r--B"), "<a|-||\nprotocol_error a boundary behind a bare CR or LF");
    check(PART("a", "1\r\n--BB"), "<a|-||1>protocol_error bytes behind a boundary");
    check(PART("a", "1\r\n--B \r\n"), "<a|-||1>protocol_error bytes behind a boundary");
    check(PART("a", "1\r\n--B\n"), "<a|-||1>protocol_error bytes behind a boundary");
    check(PART("a", "1\r\n--B\rx"), "<a|-||1>protocol_error bytes behind a boundary");
    check(PART("a", "1\r\n--B-\r\n"), "<a|-||1>protocol_error bytes behind a boundary");
    /* Before and behind. */
    check("preamble\r\n--B--", "protocol_error no boundary at the start");
    check("\r\n\r\n--B--", "protocol_error no boundary at the start");
    check("\n--B--", "protocol_error no boundary at the start");
    check("-B--", "protocol_error no boundary at the start");
    check("--b--", "protocol_error no boundary at the start");
    check("--B--\r\n\r\n", "protocol_error bytes behind the closing boundary");
    check("--B--\r", "protocol_error bytes behind the closing boundary");
    check("--B--x", "protocol_error bytes behind the closing boundary");
    check("--B--\n", "protocol_error bytes behind the closing boundary");
    /* Cut short. */
    check("--", "protocol_error no closing boundary");
    check("--B", "protocol_error no closing boundary");
    check("--B\r\n", "protocol_error no closing boundary");
    check("--B\r\nContent-Disp", "protocol_error no closing boundary");
    check(PART("a", "1"), "<a|-||1protocol_error no closing boundary");
    check(PART("a", "1") "--B", "<a|-||1>protocol_error no closing boundary");
    check(PART("a", "1") "--B-", "<a|-||1>protocol_error no closing boundary");
}

/* ---- part heads ---- */

static void check_head(const char *lines, const char *expected) {
    struct weir_buffer input;
    weir_buffer_init(&input, WEIR_MIB);
    weir_buffer_printf(&input, "--B\r\n%s\r\n\r\n--B--", lines);
    check_form(WEIR_SPAN("B"), weir_buffer_span(&input), weir_span_of_string(expected));
    weir_buffer_release(&input);
}

#define DISPOSITION "Content-Disposition: form-data"

static void test_heads(void **state) {
    (void)state;
    check_head("", "protocol_error a part without Content-Disposition");
    check_head("Content-Type: a/b\r\n", "protocol_error a part without Content-Disposition");
    check_head(DISPOSITION "\r\n", "protocol_error a part without a name");
    check_head(DISPOSITION "; filename=\"a\"\r\n", "protocol_error a part without a name");
    check_head(DISPOSITION "; name=\"\"\r\n", "protocol_error a part without a name");
    check_head("Content-Disposition: attachment; name=\"a\"\r\n", "protocol_error a part that is not form-data");
    check_head("Content-Disposition: form-data2; name=\"a\"\r\n", "protocol_error a part that is not form-data");
    check_head("CONTENT-DISPOSITION: Form-Data;NAME=a\r\n", "<a|-||>ok ");
    check_head(DISPOSITION "; name=a\r\n" DISPOSITION "; name=a\r\n",
               "protocol_error a part with two Content-Dispositions");
    check_head(DISPOSITION "; name=a; name=a\r\n", "protocol_error a part with two names");
    check_head(DISPOSITION "; name=a; filename=a; FileName=\"\"\r\n", "protocol_error a part with two file names");
    /* A file to readers that know the extended form: no field here either. */
    check_head(DISPOSITION "; name=a; filename*=utf-8''a.wav\r\n", "<a|||>ok ");
    check_head(DISPOSITION "; name=a; FileName*0=a; filename*1=b\r\n", "<a|||>ok ");
    check_head(DISPOSITION "; name=a; filename*=utf-8''a.wav; filename=b\r\n", "<a|b||>ok ");
    check_head(DISPOSITION "; name=a; filenames=b\r\n", "<a|-||>ok ");
    check_head(DISPOSITION "; name=a\r\nContent-Type: a/b\r\nContent-Type: a/b\r\n",
               "protocol_error a part with two Content-Types");
    check_head(DISPOSITION "; name=a; name*=utf-8''model\r\n", "protocol_error a part's name in an extended form");
    check_head(DISPOSITION "; name*0=mod; name*1=el\r\n", "protocol_error a part's name in an extended form");
    check_head(DISPOSITION "; name=\"mod\\el\"\r\n",
               "protocol_error a part's name with a backslash that escapes nothing");
    check_head(DISPOSITION "; name=\"a\\\\b\\\"c%22\"\r\n", "<a\\b\"c\"|-||>ok ");
    check_head(DISPOSITION "; name=\"a%0Ab\"\r\n", "protocol_error a part's name with a control byte");
    check_head(DISPOSITION "; name=\"a\tb\"\r\n", "protocol_error a part's name with a control byte");
    check_head(DISPOSITION "; name=\"a\x7f\"\r\n", "protocol_error control byte in a field value");
    static const char *const broken[] = {
        "; name=\"a",
        "; name=\"a\\\"",
        "; name=\"a\"b",
        "; name=",
        "; name",
        "; =a",
        "; name =a",
        "; name= a",
        "; name=\"a\" x=\"y",
        "; name=\"a\"; ; x=\"y",
        " name=a",
        "; name=a, filename=b",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        char lines[200];
        snprintf(lines, sizeof(lines), DISPOSITION "%s\r\n", broken[i]);
        check_head(lines, i == 10 ? "protocol_error a part that is not form-data"
                                  : "protocol_error a part's Content-Disposition is not well formed");
    }
    check_head(DISPOSITION "; name=a\r\nContent-Transfer-Encoding: base64\r\n",
               "protocol_error a part in a transfer encoding");
    check_head(DISPOSITION "; name=a\r\nContent-Transfer-Encoding: 8BIT\r\n", "<a|-||>ok ");
    check_head("X: y\n" DISPOSITION "; name=a\r\n", "protocol_error bare LF");
    check_head("X: y\r\n z\r\n" DISPOSITION "; name=a\r\n", "protocol_error folded field line");
    check_head("X : y\r\n" DISPOSITION "; name=a\r\n", "protocol_error space before the colon of a field");
    check_head("nocolon\r\n" DISPOSITION "; name=a\r\n", "protocol_error field line without a colon");
    check("--B\r\n" DISPOSITION "; name=a\n\r\n\r\n--B--", "protocol_error bare LF");
}

/* ---- maxima ---- */

static struct weir_buffer form_of_parts(unsigned count) {
    struct weir_buffer form;
    weir_buffer_init(&form, WEIR_MIB);
    for (unsigned i = 0; i < count; i++) {
        weir_buffer_append(&form, WEIR_SPAN(PART("a", "")));
    }
    weir_buffer_append(&form, WEIR_SPAN("--B--"));
    return form;
}

static void test_part_limit(void **state) {
    (void)state;
    for (transcript_cut cut = 0; cut < 5; cut++) {
        struct weir_buffer form = form_of_parts(WEIR_MULTIPART_MAX_PARTS);
        struct weir_buffer text = multipart_transcript_of(WEIR_SPAN("B"), weir_buffer_span(&form), cut);
        assert_true(weir_span_ends_with(weir_buffer_span(&text), WEIR_SPAN("<a|-||>ok ")));
        weir_buffer_release(&text);
        weir_buffer_release(&form);
        form = form_of_parts(WEIR_MULTIPART_MAX_PARTS + 1);
        text = multipart_transcript_of(WEIR_SPAN("B"), weir_buffer_span(&form), cut);
        assert_true(weir_span_ends_with(weir_buffer_span(&text), WEIR_SPAN("<a|-||>limit too many parts")));
        weir_buffer_release(&text);
        weir_buffer_release(&form);
    }
}

static void check_head_size(size_t head_bytes, const char *expected) {
    const struct weir_span disposition = WEIR_SPAN("Content-Disposition: form-data; name=a\r\nX: ");
    struct weir_buffer form;
    weir_buffer_init(&form, WEIR_MIB);
    weir_buffer_append(&form, WEIR_SPAN("--B\r\n"));
    weir_buffer_append(&form, disposition);
    while (form.length < 5 + head_bytes - 4) {
        weir_buffer_append_byte(&form, 'x');
    }
    weir_buffer_append(&form, WEIR_SPAN("\r\n\r\n\r\n--B--"));
    for (transcript_cut cut = 0; cut < 10; cut++) {
        check_one(WEIR_SPAN("B"), weir_buffer_span(&form), weir_span_of_string(expected), cut);
    }
    weir_buffer_release(&form);
}

static void test_head_limit(void **state) {
    (void)state;
    check_head_size(WEIR_MULTIPART_MAX_HEAD_BYTES, "<a|-||>ok ");
    check_head_size(WEIR_MULTIPART_MAX_HEAD_BYTES + 1, "limit a part's head is too large");
    struct weir_buffer lines;
    weir_buffer_init(&lines, WEIR_MIB);
    for (unsigned i = 0; i < WEIR_MAX_HEAD_FIELDS; i++) {
        weir_buffer_append(&lines, WEIR_SPAN("X: y\r\n"));
    }
    weir_buffer_append(&lines, WEIR_SPAN(DISPOSITION "; name=a\r\n"));
    weir_buffer_append_byte(&lines, '\0');
    check_head(lines.at, "limit more than 100 fields");
    weir_buffer_release(&lines);
}

/* ---- where content lies ---- */

struct pieces {
    const char *first;
    size_t count;
    enum weir_status answer;
};

static enum weir_status take_part(void *owner, const struct weir_multipart_part *part) {
    (void)part;
    return ((struct pieces *)owner)->answer;
}
static enum weir_status take_content(void *owner, struct weir_span data) {
    struct pieces *pieces = owner;
    pieces->first = pieces->count == 0 ? data.at : pieces->first;
    pieces->count++;
    return WEIR_OK;
}
static enum weir_status take_end(void *owner, uint64_t content_end) {
    (void)owner;
    (void)content_end;
    return WEIR_EBUSY;
}
static const struct weir_multipart_events piece_events = {.on_part = take_part,
                                                          .on_content = take_content,
                                                          .on_part_end = take_end};

/* A file in one piece is handed on in one piece, in place; what a callback says stops the reader, and is said again. */
static void test_in_place(void **state) {
    (void)state;
    enum { BYTES = 100000 };
    struct weir_buffer form;
    weir_buffer_init(&form, WEIR_MIB);
    weir_buffer_append(&form, WEIR_SPAN("--B\r\n" HEAD("a")));
    size_t head_bytes = form.length;
    for (size_t i = 0; i < BYTES; i++) {
        weir_buffer_append_byte(&form, "\r\n--x"[i % 5]);
    }
    weir_buffer_append(&form, WEIR_SPAN("\r\n--B"));
    struct pieces pieces = {.answer = WEIR_OK};
    struct weir_multipart *reader = weir_multipart_new(WEIR_SPAN("B"), &piece_events, &pieces);
    assert_non_null(reader);
    assert_int_equal(weir_multipart_feed(reader, weir_buffer_span(&form)), WEIR_EBUSY);
    assert_int_equal(pieces.count, 1);
    assert_ptr_equal(pieces.first, form.at + head_bytes);
    assert_int_equal(weir_multipart_feed(reader, WEIR_SPAN("--")), WEIR_EBUSY);
    assert_int_equal(weir_multipart_finish(reader), WEIR_EBUSY);
    assert_string_equal(weir_multipart_problem(reader), "");
    weir_multipart_free(&reader);
    assert_null(reader);
    weir_multipart_free(&reader);

    pieces = (struct pieces){.answer = WEIR_ELIMIT};
    reader = weir_multipart_new(WEIR_SPAN("B"), &piece_events, &pieces);
    assert_int_equal(weir_multipart_feed(reader, weir_buffer_span(&form)), WEIR_ELIMIT);
    assert_int_equal(pieces.count, 0);
    weir_multipart_free(&reader);
    weir_buffer_release(&form);
}

/* ---- the boundary ---- */

static void test_boundary(void **state) {
    (void)state;
    static const struct {
        const char *type, *boundary;
    } rows[] = {
        {"multipart/form-data; boundary=abc", "abc"},
        {"Multipart/Form-Data;BOUNDARY=\"a b:c/d=?(),'+_-.\"; charset=utf-8", "a b:c/d=?(),'+_-."},
        {"multipart/form-data ; charset=utf-8 ; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
         "----WebKitFormBoundary7MA4YWxkTrZu0gW"},
        {"multipart/form-data; boundary=abc;", "abc"},
        {"multipart/form-data; boundary=1234567890123456789012345678901234567890123456789012345678901234567890",
         "1234567890123456789012345678901234567890123456789012345678901234567890"},
        {"multipart/form-data; boundary=12345678901234567890123456789012345678901234567890123456789012345678901", NULL},
        {"multipart/form-data", NULL},
        {"multipart/form-data; boundary=", NULL},
        {"multipart/form-data; boundary=\"\"", NULL},
        {"multipart/form-data; boundary=\"a \"", NULL},
        {"multipart/form-data; boundary=a b", NULL},
        {"multipart/form-data; boundary=a,b", NULL},
        {"multipart/form-data; boundary=\"a\\b\"", NULL},
        {"multipart/form-data; boundary=\"a\xC3\"", NULL},
        {"multipart/form-data; boundary=a*", NULL},
        {"multipart/form-data; boundary=a; boundary=a", NULL},
        {"multipart/form-data; boundary=\"a", NULL},
        {"multipart/mixed; boundary=a", NULL},
        {"application/json", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct weir_span boundary = WEIR_SPAN("untouched");
        enum weir_status status = weir_multipart_boundary(weir_span_of_string(rows[i].type), &boundary);
        if (rows[i].boundary == NULL) {
            assert_int_equal(status, WEIR_EINVAL);
            assert_true(weir_span_equal(boundary, WEIR_SPAN("untouched")));
        } else {
            assert_int_equal(status, WEIR_OK);
            assert_true(weir_span_equal(boundary, weir_span_of_string(rows[i].boundary)));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients),    cmocka_unit_test(test_delimiters), cmocka_unit_test(test_heads),
        cmocka_unit_test(test_part_limit), cmocka_unit_test(test_head_limit), cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_boundary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
