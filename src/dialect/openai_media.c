/* Pictures and sound: made, changed, spoken and written down.
 *
 * Some models bill these by tokens and say so in `usage`; the older ones bill by the picture (its price depends on size and quality), by the character
 * spoken or by the second heard, and say nothing: then what is billed is counted here. Answers may be JSON, plain text, event streams or bytes.
 */
#include "base/arithmetic.h"
#include "dialect/impl.h"

/* Bounds for what a call may use at most, from the vendors' own figures, rounded up: the largest picture costs 6,240 output tokens, each of at most three partial
 * ones 100 more, a picture that is sent some 6,500 input tokens. */
enum {
    MOST_OUTPUT_TOKENS_A_PICTURE = 6600,
    USUAL_OUTPUT_TOKENS_A_PICTURE = 1056, /* 1024x1024 of medium quality */
    MOST_INPUT_TOKENS_A_PICTURE = 6500
};

/* --- pictures --- */

/* "hd/1024x1792", "1024x1024": how price rows name kinds of pictures. What is left to the model is not in it. */
static enum weir_status make_variant(struct weir_arena *arena, struct weir_span quality, struct weir_span size,
                                     struct weir_call *call) {
    bool has_quality = quality.length > 0 && !weir_span_equal(quality, WEIR_SPAN("auto")) &&
                       !weir_span_equal(quality, WEIR_SPAN("standard"));
    if (size.length == 0 || weir_span_equal(size, WEIR_SPAN("auto")))
        size = WEIR_SPAN("1024x1024");
    if (size.length + quality.length > 64)
        return WEIR_OK;
    char *text = weir_arena_format(arena, "%.*s%s%.*s", has_quality ? (int)quality.length : 0, quality.at,
                                   has_quality ? "/" : "", WEIR_SPAN_PRINT(size));
    if (text == NULL)
        return WEIR_ENOMEM;
    call->variant = weir_span_of_string(text);
    return WEIR_OK;
}

static void bound_pictures(struct weir_call *call, int64_t sent) {
    call->makes_tokens = true;
    call->max_output_tokens = MOST_OUTPUT_TOKENS_A_PICTURE;
    if (!weir_multiply_int64(sent, MOST_INPUT_TOKENS_A_PICTURE, &call->more_input_tokens))
        call->more_input_tokens = INT64_MAX;
    call->unit = WEIR_UNIT_IMAGE;
    call->units = call->choices;
    call->guess.output = call->choices < INT64_MAX / USUAL_OUTPUT_TOKENS_A_PICTURE
                             ? call->choices * USUAL_OUTPUT_TOKENS_A_PICTURE
                             : INT64_MAX;
    call->guess.output_image = call->guess.output;
}

/* The model of a call that names none: the one that the API's description promises. */
static const char default_picture_model[] = "dall-e-2";

static enum weir_status read_picture_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                          struct weir_call_problem *problem) {
    enum { MODEL, PROMPT, STREAM, N, SIZE, QUALITY, IMAGE, IMAGES, COUNT };
    static const struct weir_json_want wants[COUNT] = {{"model"}, {"prompt"},  {"stream"}, {"n"},
                                                       {"size"},  {"quality"}, {"image"},  {"images"}};
    struct weir_json_found found[COUNT];
    struct weir_span size, quality;
    if (dialect__scan_call(body, wants, COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[MODEL], default_picture_model, call, problem) != WEIR_OK ||
        dialect__require(&found[PROMPT], "prompt", "a string", problem) != WEIR_OK ||
        dialect__read_flag(&found[STREAM], "stream", &call->stream, problem) != WEIR_OK ||
        dialect__read_count(&found[N], "n", 1, &call->choices, problem) != WEIR_OK ||
        dialect__read_text(arena, &found[SIZE], "size", &size, problem) != WEIR_OK ||
        dialect__read_text(arena, &found[QUALITY], "quality", &quality, problem) != WEIR_OK)
        return WEIR_EINVAL;
    const struct weir_json_found *images = dialect__is_absent(&found[IMAGES]) ? &found[IMAGE] : &found[IMAGES];
    bound_pictures(call, dialect__is_absent(images)        ? 0
                         : images->kind == WEIR_JSON_ARRAY ? (int64_t)images->elements
                                                           : 1);
    return make_variant(arena, quality, size, call);
}

static enum weir_status read_picture_form(struct weir_arena *arena, const struct weir_form *form,
                                          struct weir_call *call, struct weir_call_problem *problem) {
    const struct weir_span *n, *size, *quality;
    if (dialect__form_begin(form, default_picture_model, call, problem) != WEIR_OK ||
        dialect__form_find(form, "n", &n, problem) != WEIR_OK ||
        dialect__form_find(form, "size", &size, problem) != WEIR_OK ||
        dialect__form_find(form, "quality", &quality, problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (n != NULL && (weir_json_int64(*n, &call->choices) != WEIR_OK || call->choices < 1))
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "n", "a whole number, 1 or more", NULL);
    if (dialect__form_require_file(form, "image", problem) != WEIR_OK)
        return WEIR_EINVAL;
    bound_pictures(call, (int64_t)form->file_count);
    return make_variant(arena, quality != NULL ? *quality : WEIR_SPAN(""), size != NULL ? *size : WEIR_SPAN(""), call);
}

/* The pictures of an answer are counted, whether or not it has a usage: a row with a price a picture charges for those that were made. */
static enum weir_status read_picture_answer(struct weir_span body, struct weir_answer *answer) {
    struct weir_json_found data;
    enum weir_status status = dialect__scan_answer(body, "data", &data, answer);
    if (status == WEIR_OK && data.kind == WEIR_JSON_ARRAY) {
        answer->usage.unit = WEIR_UNIT_IMAGE;
        answer->usage.units = (int64_t)data.elements;
    }
    return status;
}

static void read_picture_event(const struct weir_sse_event *sse, struct weir_event *event) {
    static const char *const finish[] = {"image_generation.completed", "image_edit.completed"};
    dialect__read_typed_event(sse, finish, 2, event);
    if (event->kind == WEIR_EVENT_FINISH) {
        event->answer.usage.unit = WEIR_UNIT_IMAGE;
        event->answer.usage.units = 1;
    }
}

const struct weir_format weir_format_images = {
    .name = "images",
    .flags = WEIR_FORMAT_TOKENS,
    .read_call = read_picture_call,
    .read_form = read_picture_form,
    .edit_call = dialect__edit_model,
    .read_answer = read_picture_answer,
    .find_usage = dialect__find_usage,
    .edit_answer = dialect__edit_answer,
    .read_event = read_picture_event,
    .mark_event = dialect__mark_event,
    .done = {.at = "", .length = 0},
    .write_error_event = dialect__write_error_event,
};

/* --- text to sound --- */

/* Code points of a string token: what the models that bill by the character count. */
static int64_t count_characters(struct weir_span token) {
    int64_t count = 0;
    for (size_t i = 1; i + 1 < token.length; i++) {
        unsigned char byte = (unsigned char)token.at[i];
        if ((byte & 0xC0U) == 0x80U)
            continue;
        count++;
        if (byte != '\\')
            continue;
        if (token.at[i + 1] != 'u') {
            i++;
            continue;
        }
        bool low_half = (token.at[i + 2] == 'd' || token.at[i + 2] == 'D') &&
                        strchr("cdefCDEF", token.at[i + 3]) != NULL;
        count -= low_half ? 1 : 0; /* counted with its first half */
        i += 5;
    }
    return count;
}

static enum weir_status read_speech_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                         struct weir_call_problem *problem) {
    enum { MODEL, INPUT, STREAM_FORMAT, COUNT };
    static const struct weir_json_want wants[COUNT] = {{"model"}, {"input"}, {"stream_format"}};
    struct weir_json_found found[COUNT];
    if (dialect__scan_call(body, wants, COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[MODEL], NULL, call, problem) != WEIR_OK ||
        dialect__require(&found[INPUT], "input", "the text to speak", problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (found[INPUT].kind != WEIR_JSON_STRING)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "input", "a string", &found[INPUT]);
    call->stream = dialect__is(&found[STREAM_FORMAT], "sse");
    call->unit = WEIR_UNIT_CHARACTER;
    call->units = count_characters(found[INPUT].value);
    call->units_are_exact = true;
    /* Speech has some 20 tokens a second and 15 characters a second; slow voices and long pauses are within eight a character. */
    call->makes_tokens = true;
    call->max_output_tokens = call->units * 8; /* a body has fewer bytes than would overflow */
    call->guess.input = weir_dialect_estimate_tokens(found[INPUT].value.length);
    call->guess.output = call->guess.output_audio = call->units * 3 / 2;
    return WEIR_OK;
}

static void read_speech_event(const struct weir_sse_event *sse, struct weir_event *event) {
    static const char *const finish[] = {"speech.audio.done"};
    dialect__read_typed_event(sse, finish, 1, event);
}

const struct weir_format weir_format_speech = {
    .name = "speech",
    .flags = WEIR_FORMAT_BYTES | WEIR_FORMAT_TOKENS,
    .read_call = read_speech_call,
    .edit_call = dialect__edit_model,
    .read_answer = dialect__read_answer,
    .find_usage = dialect__find_usage,
    .edit_answer = dialect__edit_answer,
    .read_event = read_speech_event,
    .mark_event = dialect__mark_event,
    .done = {.at = "", .length = 0},
    .write_error_event = dialect__write_error_event,
};

/* --- sound to text --- */

/* A WAV file says how many bytes a second has (RIFF, chunk "fmt "); what is compressed has mostly 128 kbit/s. */
static int64_t guess_duration_ms(struct weir_span head, int64_t bytes) {
    enum { WAV_HEAD_BYTES = 44, RATE_AT = 28 };
    int64_t bytes_a_second = 16000;
    if (head.length >= WAV_HEAD_BYTES && memcmp(head.at, "RIFF", 4) == 0 && memcmp(head.at + 8, "WAVEfmt ", 8) == 0) {
        uint32_t rate = 0;
        for (int i = 3; i >= 0; i--)
            rate = rate << 8 | (unsigned char)head.at[RATE_AT + i];
        if (rate > 0) {
            bytes_a_second = rate;
            bytes -= WAV_HEAD_BYTES;
        }
    }
    return bytes / bytes_a_second * 1000 + bytes % bytes_a_second * 1000 / bytes_a_second;
}

static enum weir_status read_transcription_form(struct weir_arena *arena, const struct weir_form *form,
                                                struct weir_call *call, struct weir_call_problem *problem) {
    (void)arena;
    if (dialect__form_begin(form, NULL, call, problem) != WEIR_OK ||
        dialect__form_require_file(form, "file", problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->makes_tokens = true;
    call->unit = WEIR_UNIT_AUDIO_MS;
    /* Speech codecs go down to 6 kbit/s, which is 750 bytes a second. (Compressed silence may be longer still: what is reported beyond the
     * reservation is kept apart.) */
    int64_t bytes = form->file_bytes > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)form->file_bytes;
    call->units = bytes * 4 / 3;
    call->guess.unit = WEIR_UNIT_AUDIO_MS;
    call->guess.units = guess_duration_ms(form->file_head, bytes);
    call->guess.input = call->guess.input_audio = call->guess.units / 100 + 1; /* a second makes some ten tokens */
    return WEIR_OK;
}

/* verbose_json has a duration of its own, in seconds, where there is no usage. */
static enum weir_status read_transcription_answer(struct weir_span body, struct weir_answer *answer) {
    struct weir_json_found duration;
    enum weir_status status = dialect__scan_answer(body, "duration", &duration, answer);
    if (status != WEIR_OK)
        return status;
    answer->content_bytes = (int64_t)body.length;
    bool rounded;
    int64_t milliseconds;
    struct weir_span number = duration.value;
    if (duration.kind == WEIR_JSON_STRING) /* some say it as text */
        number = weir_span_of(number.at + 1, number.length - 2);
    if (!answer->has_usage && !dialect__is_absent(&duration) &&
        weir_json_scaled_int64(number, 3, &milliseconds, &rounded) == WEIR_OK && milliseconds >= 0) {
        answer->has_usage = true;
        answer->usage.unit = WEIR_UNIT_AUDIO_MS;
        answer->usage.units = milliseconds;
    }
    return WEIR_OK;
}

static void read_transcription_event(const struct weir_sse_event *sse, struct weir_event *event) {
    static const char *const finish[] = {"transcript.text.done"};
    dialect__read_typed_event(sse, finish, 1, event);
}

const struct weir_format weir_format_transcriptions = {
    .name = "transcriptions",
    .flags = WEIR_FORMAT_TEXT | WEIR_FORMAT_TOKENS,
    .read_form = read_transcription_form,
    .read_answer = read_transcription_answer,
    .find_usage = dialect__find_usage,
    .edit_answer = dialect__edit_answer,
    .read_event = read_transcription_event,
    .mark_event = dialect__mark_event,
    .done = {.at = "", .length = 0},
    .write_error_event = dialect__write_error_event,
};
