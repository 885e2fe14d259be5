/* links: base http */
/* Lines and arrays: the same however the stream is cut, also where a piece is over the limit (the first byte sets it); and the raw bytes of the pieces are
 * all the stream's, each with its data at its end, or with spaces around it.
 */
#include "../../unit/http/framing_transcript.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_bytes(enum weir_framing framing, struct weir_span input) {
    struct weir_frames frames;
    struct weir_sse_event event;
    struct weir_span rest = input;
    size_t at = 0;
    weir_frames_init(&frames, 16 * WEIR_MIB);
    weir_frames_begin(&frames, framing);
    enum weir_status status;
    while ((status = weir_frames_next(&frames, &rest, &event)) == WEIR_OK ||
           (status == WEIR_AGAIN && weir_frames_finish(&frames, &event) == WEIR_OK)) {
        require(event.raw.length > 0 && event.raw.length <= input.length - at);
        require(memcmp(event.raw.at, input.at + at, event.raw.length) == 0);
        require(event.has_data == (event.data.length > 0) && event.data.length <= event.raw.length);
        require(!event.has_data || memmem(event.raw.at, event.raw.length, event.data.at, event.data.length) != NULL);
        require(framing != WEIR_FRAMING_ARRAY || !event.has_data || event.data.at[0] == '{');
        at += event.raw.length;
    }
    require(framing != WEIR_FRAMING_LINES || (status == WEIR_AGAIN && at == input.length));
    weir_frames_release(&frames);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum weir_framing framings[] = {WEIR_FRAMING_LINES, WEIR_FRAMING_ARRAY};
    if (size == 0)
        return 0;
    size_t limit = data[0] < 128 ? data[0] : 16 * WEIR_MIB;
    const struct weir_span input = weir_span_of((const char *)data + 1, size - 1);
    for (size_t f = 0; f < 2; f++) {
        check_bytes(framings[f], input);
        struct weir_buffer whole = framing_transcript_of(framings[f], input, limit, 0);
        const transcript_cut cuts[] = {1, ((unsigned)size * 31 + data[size - 1]) | 2U,
                                       (data[0] * 7U + data[size / 2]) | 2U};
        for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
            struct weir_buffer pieces = framing_transcript_of(framings[f], input, limit, cuts[i]);
            require(weir_span_equal(weir_buffer_span(&whole), weir_buffer_span(&pieces)));
            weir_buffer_release(&pieces);
        }
        weir_buffer_release(&whole);
    }
    return 0;
}
