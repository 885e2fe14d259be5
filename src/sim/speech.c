/* POST /v1/audio/speech: a tone of 480 Hz, as bytes or as events. Whatever the format is called, what comes is WAV (or its bare samples for pcm). */
#include "sim/task.h"

#include <yyjson.h>

/* A piece is a tenth of a second, and a token. */
enum { SAMPLE_RATE = 24000, PIECE_BYTES = 4800, WAV_HEAD_BYTES = 44, MAX_INPUT_CHARACTERS = 4096, PERIOD_SAMPLES = 50 };

static const int16_t period[PERIOD_SAMPLES] = {0,     1003,  1990,  2945,  3854,  4702,  5476,  6164,  6755,  7239,
                                               7608,  7858,  7984,  7984,  7858,  7608,  7239,  6755,  6164,  5476,
                                               4702,  3854,  2945,  1990,  1003,  0,     -1003, -1990, -2945, -3854,
                                               -4702, -5476, -6164, -6755, -7239, -7608, -7858, -7984, -7984, -7858,
                                               -7608, -7239, -6755, -6164, -5476, -4702, -3854, -2945, -1990, -1003};

static const struct {
    const char *name, *type;
} formats[] = {
    {"mp3", "audio/mpeg"},  {"opus", "audio/ogg"}, {"aac", "audio/aac"},
    {"flac", "audio/flac"}, {"wav", "audio/wav"},  {"pcm", "audio/pcm"},
};
enum { FORMAT_COUNT = sizeof formats / sizeof formats[0] };

/* In the task's arena. */
struct sound {
    uint64_t bytes;
    bool with_head;
    char head[WAV_HEAD_BYTES];
};

static void put_number(char *at, uint32_t value, size_t size) {
    for (size_t i = 0; i < size; i++) {
        at[i] = (char)(value >> (8 * i) & 0xffU);
    }
}

static void make_head(struct sound *sound) {
    uint32_t rest = sound->bytes < UINT32_MAX ? (uint32_t)sound->bytes - WAV_HEAD_BYTES : UINT32_MAX;
    memcpy(sound->head, "RIFF....WAVEfmt ....................data....", WAV_HEAD_BYTES);
    put_number(sound->head + 4, rest + WAV_HEAD_BYTES - 8, 4);
    put_number(sound->head + 16, 16, 4);
    put_number(sound->head + 20, 1, 2); /* PCM */
    put_number(sound->head + 22, 1, 2); /* one channel */
    put_number(sound->head + 24, SAMPLE_RATE, 4);
    put_number(sound->head + 28, 2 * SAMPLE_RATE, 4);
    put_number(sound->head + 32, 2, 2);
    put_number(sound->head + 34, 16, 2);
    put_number(sound->head + 40, rest, 4);
}

static void fill(const void *owner, uint64_t from, size_t length, struct weir_buffer *out) {
    const struct sound *sound = owner;
    char *to = weir_buffer_reserve(out, length);
    if (to == NULL) {
        return;
    }
    for (size_t i = 0; i < length; i++) {
        uint64_t place = from + i;
        if (sound->with_head && place < WAV_HEAD_BYTES) {
            to[i] = sound->head[place];
        } else {
            uint16_t sample = (uint16_t)period[place / 2 % PERIOD_SAMPLES];
            to[i] = (char)(place % 2 == 0 ? sample & 0xffU : (unsigned)sample >> 8);
        }
    }
    weir_buffer_commit(out, length);
}

static int64_t count_characters(struct weir_span text) {
    int64_t characters = 0;
    for (size_t i = 0; i < text.length; i++) {
        characters += ((unsigned char)text.at[i] & 0xc0U) != 0x80U ? 1 : 0;
    }
    return characters;
}

static bool read_voice(struct sim_task *task) {
    yyjson_val *voice = yyjson_obj_get(task->root, "voice");
    if (!yyjson_is_str(voice) && !yyjson_is_str(yyjson_obj_get(voice, "id"))) {
        sim__refuse(&task->refusal, 400, "voice", voice == NULL ? "missing_required_parameter" : "invalid_type",
                    voice == NULL ? "Missing required parameter: 'voice'."
                                  : "Invalid type for 'voice': expected a string, or an object with an id.");
        return false;
    }
    return true;
}

/* Reads the request; *format and *events tell how the sound is to come. */
static bool read_request(struct sim_task *task, size_t *format, bool *events, int64_t *characters) {
    static const char *const ways[] = {"audio", "sse", NULL};
    const char *names[FORMAT_COUNT + 1] = {NULL};
    const char *name = formats[0].name;
    const char *way = ways[0];
    double speed = 1;
    struct weir_span input = WEIR_SPAN("");
    struct weir_span instructions;
    for (size_t i = 0; i < FORMAT_COUNT; i++) {
        names[i] = formats[i].name;
    }
    if (!sim__input_model(task->arena, task->root, &task->model, &task->refusal) ||
        !sim__input_string(task->root, "input", &input, &task->refusal) || !read_voice(task) ||
        !sim__input_string(task->root, "instructions", &instructions, &task->refusal) ||
        !sim__input_choice(task->root, "response_format", names, &name, &task->refusal) ||
        !sim__input_choice(task->root, "stream_format", ways, &way, &task->refusal) ||
        !sim__input_real(task->root, "speed", 0.25, 4, &speed, &task->refusal)) {
        return false;
    }
    *characters = count_characters(input);
    if (*characters < 1 || *characters > MAX_INPUT_CHARACTERS) {
        sim__refuse(&task->refusal, 400, "input", *characters < 1 ? "string_too_short" : "string_too_long",
                    "Invalid 'input': expected a string of 1 to %d characters.", MAX_INPUT_CHARACTERS);
        return false;
    }
    while (formats[*format].name != name) {
        (*format)++;
    }
    *events = way == ways[1];
    task->usage.input = sim__input_tokens(input.length);
    return true;
}

static void add_done(struct sim_task *task, struct sim_script *script) {
    struct weir_buffer event;
    int64_t input = sim__task_said(task, task->usage.input);
    int64_t output = sim__task_said(task, task->usage.output);
    int64_t total = input + output;
    weir_buffer_init(&event, 1000);
    weir_buffer_append(&event, WEIR_SPAN("{\"type\":\"speech.audio.done\""));
    if (!task->no_usage) {
        weir_buffer_printf(&event, ",\"usage\":{\"input_tokens\":%lld,\"output_tokens\":%lld,\"total_tokens\":%lld}",
                           (long long)input, (long long)output, (long long)total);
    }
    sim__script_take(script, NULL, &event, 0);
    script->terminal = 1;
    weir_buffer_release(&event);
}

enum weir_status sim__speech(struct sim_task *task) {
    struct sound *sound = weir_arena_alloc(task->arena, sizeof *sound);
    size_t format = 0;
    int64_t characters = 0;
    bool events = false;
    struct sim_script script;
    if (sound == NULL) {
        return WEIR_ENOMEM;
    }
    if (!read_request(task, &format, &events, &characters)) {
        return sim__task_failed(task);
    }
    sound->with_head = strcmp(formats[format].name, "pcm") != 0;
    sound->bytes = (uint64_t)task->wishes->tokens * PIECE_BYTES;
    if (task->huge_bytes > 0) {
        sound->bytes = (uint64_t)task->huge_bytes;
        task->huge_done = true;
    }
    sound->bytes = sound->bytes < WAV_HEAD_BYTES ? WAV_HEAD_BYTES : sound->bytes;
    make_head(sound);
    /* Models of the family tts-1 are billed by characters, others by tokens. */
    bool by_tokens = events || !sim__input_contains(task->model, "tts-1");
    sim__script_init(&script, task->arena, events ? SIM_FRAMING_EVENTS : SIM_FRAMING_BYTES);
    sim__script_run(&script, (struct sim_run){
                                 .before = WEIR_SPAN("{\"type\":\"speech.audio.delta\",\"audio\":"),
                                 .fill = fill,
                                 .owner = sound,
                                 .bytes = sound->bytes,
                                 .piece = PIECE_BYTES,
                                 .tokens = by_tokens ? 1 : 0,
                             });
    task->usage.input = by_tokens ? task->usage.input : 0;
    task->usage.output = task->usage.output_audio = script.tokens;
    task->usage.units = characters;
    task->usage.unit = WEIR_UNIT_CHARACTER;
    task->stream = events;
    if (events) {
        add_done(task, &script);
    } else {
        task->type = formats[format].type;
    }
    return sim__task_stream(task, &script);
}
