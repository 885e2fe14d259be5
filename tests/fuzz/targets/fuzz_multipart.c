/* links: base http */
/* Forms: the same however they are cut; each part's content is what stands between its offsets (the transcript sees to
 * that); and in a form that is taken, every line that begins with the boundary is one of the delimiters that were found,
 * whatever ended the line before it, so that no other reader can find one more. The first line is a Content-Type, whose
 * boundary is used where it has one.
 */
#include "../../unit/http/multipart_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static enum weir_status count_part(void *owner, const struct weir_multipart_part *part) {
    for (size_t i = 0; i < part->name.length; i++) {
        require((unsigned char)part->name.at[i] >= 0x20);
    }
    (*(size_t *)owner)++;
    return WEIR_OK;
}
static enum weir_status pass_content(void *owner, struct weir_span content) {
    (void)owner;
    (void)content;
    return WEIR_OK;
}
static enum weir_status pass_end(void *owner, uint64_t content_end) {
    (void)owner;
    (void)content_end;
    return WEIR_OK;
}

/* False where the form is refused. */
static bool count_parts(struct weir_span boundary, struct weir_span body, size_t *count) {
    static const struct weir_multipart_events events = {.on_part = count_part,
                                                        .on_content = pass_content,
                                                        .on_part_end = pass_end};
    *count = 0;
    struct weir_multipart *reader = weir_multipart_new(boundary, &events, count);
    require(reader != NULL);
    enum weir_status status = weir_multipart_feed(reader, body);
    enum weir_status end = weir_multipart_finish(reader);
    require(status == WEIR_OK || end == status);
    weir_multipart_free(&reader);
    return end == WEIR_OK;
}

static size_t count_boundary_lines(struct weir_span boundary, struct weir_span body) {
    size_t count = 0;
    for (size_t at = 0; at + 2 + boundary.length <= body.length; at++) {
        bool line_start = at == 0 || body.at[at - 1] == '\r' || body.at[at - 1] == '\n';
        struct weir_span rest = weir_span_from(body, at);
        if (line_start && weir_span_starts_with(rest, WEIR_SPAN("--")) &&
            weir_span_starts_with(weir_span_from(rest, 2), boundary)) {
            count++;
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_span type;
    struct weir_span body;
    weir_span_split(weir_span_of((const char *)data, size), '\n', &type, &body);
    struct weir_span boundary = WEIR_SPAN("B");
    if (weir_multipart_boundary(type, &boundary) == WEIR_OK) {
        require(boundary.length >= 1 && boundary.length <= WEIR_MULTIPART_MAX_BOUNDARY);
        require(boundary.at >= type.at && boundary.at + boundary.length <= type.at + type.length);
    }
    struct weir_buffer whole = multipart_transcript_of(boundary, body, 0);
    const transcript_cut cuts[] = {1, ((unsigned)size * 31 + (size > 0 ? data[size - 1] : 0)) | 2U,
                                   (size > 0 ? data[size / 2] * 7U : 0) | 2U};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct weir_buffer pieces = multipart_transcript_of(boundary, body, cuts[i]);
        require(weir_span_equal(weir_buffer_span(&whole), weir_buffer_span(&pieces)));
        weir_buffer_release(&pieces);
    }
    weir_buffer_release(&whole);
    size_t parts = 0;
    if (count_parts(boundary, body, &parts)) {
        require(count_boundary_lines(boundary, body) == parts + 1);
    }
    return 0;
}
