/* POST /v1/audio/transcriptions and /translations: what a recording is supposed to have said, drawn from its bytes. */
#include "sim/form.h"
#include "sim/task.h"

#include <yyjson.h>

enum { SEGMENT_TOKENS = 8, AUDIO_TOKENS_PER_SECOND = 10, UNKNOWN_BYTES_PER_SECOND = 16000, MAX_SECONDS = 86400 };
#define MAX_TEXT_BYTES ((size_t)100 * 1024 * 1024)

struct hearing {
    struct sim_task *task;
    struct sim_text text;
    int64_t seconds;
    const char *format;
    bool transcribes; /* else it translates */
    bool by_duration;
    bool words, segments;
};

/* --- the request --- */

static uint32_t number_at(const char *at) {
    const unsigned char *bytes = (const unsigned char *)at;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Whole seconds, for whole ones are billed: exact for WAV, a guess for anything else. */
static int64_t seconds_of(struct weir_span file) {
    uint64_t rate = UNKNOWN_BYTES_PER_SECOND;
    uint64_t bytes = file.length;
    if (file.length >= 44 && memcmp(file.at, "RIFF", 4) == 0 && memcmp(file.at + 8, "WAVEfmt ", 8) == 0 &&
        number_at(file.at + 28) > 0) {
        rate = number_at(file.at + 28);
        bytes -= 44;
    }
    uint64_t seconds = (bytes + rate - 1) / rate;
    return seconds < 1 ? 1 : seconds < MAX_SECONDS ? (int64_t)seconds : MAX_SECONDS;
}

static bool read_file(struct hearing *hearing) {
    struct sim_task *task = hearing->task;
    const struct sim_part *file = sim__form_find(task->form, "file");
    if (file == NULL || weir_span_is_empty(file->content)) {
        sim__refuse(&task->refusal, 400, "file", NULL,
                    file == NULL ? "Missing required parameter: 'file'." : "Audio file is too short: it is empty.");
        return false;
    }
    hearing->seconds = seconds_of(file->content);
    uint64_t seed = sim__hash(hearing->transcribes ? 1 : 2, file->content);
    if (task->huge_bytes > 0) {
        task->huge_done = true;
        return sim__text_filler(task->arena, (size_t)task->huge_bytes, &hearing->text) == WEIR_OK;
    }
    hearing->text = sim__text_words(seed, (size_t)task->wishes->tokens);
    return true;
}

static bool read_granularities(struct hearing *hearing) {
    yyjson_val *wanted = yyjson_obj_get(hearing->task->root, "timestamp_granularities");
    size_t index;
    size_t count;
    yyjson_val *one;
    hearing->segments = wanted == NULL;
    yyjson_arr_foreach(wanted, index, count, one) {
        hearing->words |= sim__input_is(one, "word");
        hearing->segments |= sim__input_is(one, "segment");
    }
    return true;
}

static bool read_request(struct hearing *hearing) {
    static const char *const formats[] = {"json", "text", "srt", "vtt", "verbose_json", "diarized_json", NULL};
    static const char *const fewer[] = {"json", "text", "srt", "vtt", "verbose_json", NULL};
    struct sim_task *task = hearing->task;
    struct sim_refusal *refusal = &task->refusal;
    double temperature = 0;
    struct weir_span prompt = WEIR_SPAN("");
    hearing->format = formats[0];
    if (!sim__input_model(task->arena, task->root, &task->model, refusal) || !read_file(hearing) ||
        !sim__input_choice(task->root, "response_format", hearing->transcribes ? formats : fewer, &hearing->format,
                           refusal) ||
        !sim__input_flag(task->root, "stream", &task->stream, refusal) ||
        !sim__input_real(task->root, "temperature", 0, 1, &temperature, refusal) ||
        !sim__input_string(task->root, "prompt", &prompt, refusal) || !read_granularities(hearing)) {
        return false;
    }
    hearing->by_duration = sim__input_contains(task->model, "whisper") || !hearing->transcribes;
    task->stream = task->stream && !hearing->by_duration; /* whisper does not stream, and says nothing about it */
    task->usage.units = hearing->seconds * 1000;
    task->usage.unit = WEIR_UNIT_AUDIO_MS;
    if (!hearing->by_duration) {
        task->usage.input_audio = hearing->seconds * AUDIO_TOKENS_PER_SECOND;
        task->usage.input = task->usage.input_audio + sim__input_tokens(prompt.length);
        task->usage.output = task->huge_bytes > 0 ? sim__input_tokens((size_t)task->huge_bytes)
                                                  : (int64_t)hearing->text.count;
    }
    return true;
}

/* --- the answer --- */

static void write_usage(const struct hearing *hearing, struct weir_buffer *out) {
    const struct sim_task *task = hearing->task;
    int64_t input = sim__task_said(task, task->usage.input);
    int64_t output = sim__task_said(task, task->usage.output);
    int64_t audio = sim__task_said(task, task->usage.input_audio);
    int64_t text = input - audio;
    int64_t total = input + output;
    if (hearing->by_duration) {
        weir_buffer_printf(out, "{\"type\":\"duration\",\"seconds\":%lld}",
                           (long long)sim__task_said(task, hearing->seconds));
        return;
    }
    weir_buffer_printf(out,
                       "{\"type\":\"tokens\",\"input_tokens\":%lld,\"input_token_details\":{\"text_tokens\":%lld,"
                       "\"audio_tokens\":%lld},\"output_tokens\":%lld,\"total_tokens\":%lld}",
                       (long long)input, (long long)text, (long long)audio, (long long)output, (long long)total);
}

static void add_usage(const struct hearing *hearing, struct weir_buffer *out) {
    if (hearing->transcribes && !hearing->task->no_usage) {
        weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
        write_usage(hearing, out);
    }
}

static size_t segment_count(const struct hearing *hearing) {
    size_t count = (hearing->text.count + SEGMENT_TOKENS - 1) / SEGMENT_TOKENS;
    return count > 0 ? count : 1;
}

static void write_plain(const struct hearing *hearing, size_t from, size_t to, struct weir_buffer *out) {
    for (size_t i = from; i < to && i < hearing->text.count; i++) {
        weir_buffer_append(out, sim__text_token(&hearing->text, i));
    }
}

/* The text of a segment as a JSON string; words need no escapes. */
static void write_segment_text(const struct hearing *hearing, size_t index, struct weir_buffer *out) {
    weir_buffer_append_byte(out, '"');
    write_plain(hearing, index * SEGMENT_TOKENS, (index + 1) * SEGMENT_TOKENS, out);
    weir_buffer_append_byte(out, '"');
}

static int64_t time_ms(const struct hearing *hearing, size_t index, size_t count) {
    return hearing->seconds * 1000 * (int64_t)index / (int64_t)(count > 0 ? count : 1);
}

static void write_times(const struct hearing *hearing, size_t index, size_t count, struct weir_buffer *out) {
    int64_t start = time_ms(hearing, index, count);
    int64_t end = time_ms(hearing, index + 1, count);
    weir_buffer_printf(out, "\"start\":%lld.%03lld,\"end\":%lld.%03lld", (long long)(start / 1000),
                       (long long)(start % 1000), (long long)(end / 1000), (long long)(end % 1000));
}

static void write_segments(const struct hearing *hearing, bool diarized, struct weir_buffer *out) {
    size_t count = segment_count(hearing);
    weir_buffer_append(out, WEIR_SPAN(",\"segments\":["));
    for (size_t i = 0; i < count; i++) {
        weir_buffer_append(out, i > 0 ? WEIR_SPAN(",{") : WEIR_SPAN("{"));
        if (diarized) {
            weir_buffer_printf(out, "\"type\":\"transcript.text.segment\",\"id\":\"seg_%zu\",\"speaker\":\"%c\",", i,
                               (char)('A' + i % 2));
        } else {
            weir_buffer_printf(out,
                               "\"id\":%zu,\"seek\":0,\"tokens\":[%zu],\"temperature\":0.0,\"avg_logprob\":-0.2,"
                               "\"compression_ratio\":1.1,\"no_speech_prob\":0.01,",
                               i, 50364 + i);
        }
        write_times(hearing, i, count, out);
        weir_buffer_append(out, WEIR_SPAN(",\"text\":"));
        write_segment_text(hearing, i, out);
        weir_buffer_append_byte(out, '}');
    }
    weir_buffer_append_byte(out, ']');
}

static void write_words(const struct hearing *hearing, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN(",\"words\":["));
    for (size_t i = 0; i < hearing->text.count; i++) {
        weir_buffer_append(out, i > 0 ? WEIR_SPAN(",{\"word\":") : WEIR_SPAN("{\"word\":"));
        weir_json_append_string(out, weir_span_trim(sim__text_token(&hearing->text, i)));
        weir_buffer_append_byte(out, ',');
        write_times(hearing, i, hearing->text.count, out);
        weir_buffer_append_byte(out, '}');
    }
    weir_buffer_append_byte(out, ']');
}

/* SRT has commas in its times and numbers its blocks; WebVTT neither. */
static void write_subtitles(const struct hearing *hearing, bool srt, struct weir_buffer *out) {
    size_t count = segment_count(hearing);
    weir_buffer_append(out, srt ? WEIR_SPAN("") : WEIR_SPAN("WEBVTT\n\n"));
    for (size_t i = 0; i < count; i++) {
        if (srt) {
            weir_buffer_printf(out, "%zu\n", i + 1);
        }
        for (size_t end = 0; end < 2; end++) {
            long long ms = time_ms(hearing, i + end, count);
            weir_buffer_printf(out, "%s%02lld:%02lld:%02lld%c%03lld", end == 1 ? " --> " : "", ms / 3600000,
                               ms / 60000 % 60, ms / 1000 % 60, srt ? ',' : '.', ms % 1000);
        }
        weir_buffer_append_byte(out, '\n');
        write_plain(hearing, i * SEGMENT_TOKENS, (i + 1) * SEGMENT_TOKENS, out);
        weir_buffer_append(out, WEIR_SPAN("\n\n"));
    }
}

static void write_json(const struct hearing *hearing) {
    struct weir_buffer *out = hearing->task->out;
    bool verbose = strcmp(hearing->format, "verbose_json") == 0;
    bool diarized = strcmp(hearing->format, "diarized_json") == 0;
    weir_buffer_append(out, WEIR_SPAN("{\"text\":"));
    sim__text_write(&hearing->text, out);
    if (verbose || diarized) {
        weir_buffer_printf(out, ",\"task\":\"%s\",\"duration\":%lld", hearing->transcribes ? "transcribe" : "translate",
                           (long long)hearing->seconds);
    }
    if (verbose) {
        weir_buffer_append(out, WEIR_SPAN(",\"language\":\"english\""));
    }
    if ((verbose && hearing->segments) || diarized) {
        write_segments(hearing, diarized, out);
    }
    if (verbose && hearing->words) {
        write_words(hearing, out);
    }
    add_usage(hearing, out);
    weir_buffer_append_byte(out, '}');
    hearing->task->object = true;
}

static enum weir_status write_stream(const struct hearing *hearing) {
    struct sim_task *task = hearing->task;
    struct sim_script script;
    struct weir_buffer event;
    size_t count = segment_count(hearing);
    sim__script_init(&script, task->arena, SIM_FRAMING_EVENTS);
    weir_buffer_init(&event, MAX_TEXT_BYTES);
    int64_t weight = task->huge_bytes > 0 ? task->usage.output : 1;
    sim__script_text(&script, NULL, WEIR_SPAN("{\"type\":\"transcript.text.delta\",\"delta\":"), WEIR_SPAN(""),
                     hearing->text, weight);
    for (size_t i = 0; strcmp(hearing->format, "diarized_json") == 0 && i < count; i++) {
        weir_buffer_printf(&event, "{\"type\":\"transcript.text.segment\",\"id\":\"seg_%zu\",\"speaker\":\"%c\",", i,
                           (char)('A' + i % 2));
        write_times(hearing, i, count, &event);
        weir_buffer_append(&event, WEIR_SPAN(",\"text\":"));
        write_segment_text(hearing, i, &event);
        sim__script_take(&script, NULL, &event, 0);
    }
    weir_buffer_append(&event, WEIR_SPAN("{\"type\":\"transcript.text.done\",\"text\":"));
    sim__text_write(&hearing->text, &event);
    add_usage(hearing, &event);
    sim__script_take(&script, NULL, &event, 0);
    script.terminal = 1;
    weir_buffer_release(&event);
    return sim__task_stream(task, &script);
}

static enum weir_status hear(struct sim_task *task, bool transcribes) {
    struct hearing hearing = {.task = task, .transcribes = transcribes};
    if (!read_request(&hearing)) {
        return sim__task_failed(task);
    }
    bool srt = strcmp(hearing.format, "srt") == 0;
    bool vtt = strcmp(hearing.format, "vtt") == 0;
    if (task->stream) {
        return write_stream(&hearing);
    }
    if (srt || vtt) {
        task->type = srt ? "text/plain; charset=utf-8" : "text/vtt; charset=utf-8";
        write_subtitles(&hearing, srt, task->out);
    } else if (strcmp(hearing.format, "text") == 0) {
        task->type = "text/plain; charset=utf-8";
        write_plain(&hearing, 0, hearing.text.count, task->out);
        weir_buffer_append_byte(task->out, '\n');
    } else {
        write_json(&hearing);
    }
    return WEIR_OK;
}

enum weir_status sim__transcriptions(struct sim_task *task) {
    return hear(task, true);
}

enum weir_status sim__translations(struct sim_task *task) {
    return hear(task, false);
}
