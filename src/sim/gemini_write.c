/* Answers of the Gemini API: every chunk of a stream is a whole response, which says all that has been used up to then.
 *
 * Without alt=sse a stream is one JSON array, which grows by an element a chunk.
 */
#include "sim/gemini.h"

#include "sim/dialect.h"
#include "sim/scripted.h"

/* A comment goes before every so many chunks. */
enum { COMMENT_EVERY = 4 };

struct stream {
    const struct sim_gemini *gemini;
    const struct sim_task *task; /* of the connection: lives as long as the stream */
    struct weir_span line_end;
    bool comments, multiline;
    size_t pieces, units;
    bool *begun; /* of an array: there is an element */
};

static const char *const modality_names[SIM_MODALITIES] = {"TEXT", "IMAGE", "VIDEO", "AUDIO", "DOCUMENT"};

/* --- usage --- */

void sim__gemini_modalities(const struct sim_task *task, const int64_t tokens[SIM_MODALITIES],
                            struct weir_buffer *out) {
    bool first = true;
    weir_buffer_append_byte(out, '[');
    for (int i = 0; i < SIM_MODALITIES; i++) {
        if (tokens[i] != 0) {
            weir_buffer_printf(out, "%s{\"modality\":\"%s\",\"tokenCount\":%lld}", first ? "" : ",", modality_names[i],
                               (long long)sim__task_said(task, tokens[i]));
            first = false;
        }
    }
    weir_buffer_append_byte(out, ']');
}

static void write_details(const struct sim_task *task, const char *name, int64_t tokens, struct weir_buffer *out) {
    const int64_t text[SIM_MODALITIES] = {tokens};
    weir_buffer_printf(out, ",\"%s\":", name);
    sim__gemini_modalities(task, text, out);
}

/* A figure that is not there is 0, as everywhere in protobuf. */
static int64_t write_figure(const struct sim_task *task, const char *name, int64_t tokens, struct weir_buffer *out) {
    int64_t said = sim__task_said(task, tokens);
    if (tokens != 0) {
        weir_buffer_printf(out, ",\"%s\":%lld", name, (long long)said);
    }
    return said;
}

static void write_usage(const struct sim_gemini *gemini, const struct sim_task *task, struct sim_gemini_spent spent,
                        bool last, struct weir_buffer *out) {
    const struct sim_scripted *scripted = task->scripted;
    if (task->no_usage) {
        return;
    }
    if (scripted != NULL && !weir_span_is_empty(scripted->native_usage)) {
        weir_buffer_append(out, WEIR_SPAN(",\"usageMetadata\":"));
        weir_buffer_append(out, scripted->native_usage);
        return;
    }
    if (scripted != NULL && last) {
        spent.thoughts = scripted->usage.reasoning;
        spent.tokens = scripted->usage.output - scripted->usage.reasoning;
    }
    int64_t prompt = sim__gemini_prompt(gemini);
    int64_t total = sim__task_said(task, prompt);
    weir_buffer_printf(out, ",\"usageMetadata\":{\"promptTokenCount\":%lld", (long long)total);
    total += write_figure(task, "candidatesTokenCount", spent.tokens, out);
    total += write_figure(task, "toolUsePromptTokenCount", gemini->tool_use, out);
    total += write_figure(task, "thoughtsTokenCount", spent.thoughts, out);
    weir_buffer_printf(out, ",\"totalTokenCount\":%lld", (long long)total);
    (void)write_figure(task, "cachedContentTokenCount", gemini->cached, out);
    weir_buffer_append(out, WEIR_SPAN(",\"promptTokensDetails\":"));
    sim__gemini_modalities(task, gemini->prompt, out);
    if (gemini->cached != 0) {
        write_details(task, "cacheTokensDetails", gemini->cached, out);
    }
    if (gemini->tool_use != 0) {
        write_details(task, "toolUsePromptTokensDetails", gemini->tool_use, out);
    }
    if (last && spent.tokens != 0) {
        write_details(task, "candidatesTokensDetails", spent.tokens, out);
    }
    weir_buffer_append_byte(out, '}');
}

/* --- log-probabilities --- */

static unsigned hundredths(struct weir_span token, unsigned rank) {
    return 100 * rank + 5 + (unsigned)(token.length % 10);
}

static void write_probability(struct weir_span token, unsigned rank, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"token\":"));
    weir_json_append_string(out, token);
    weir_buffer_printf(out, ",\"tokenId\":%u,\"logProbability\":-%u.%02u}", (unsigned)(sim__hash(0, token) % 200000U),
                       hundredths(token, rank) / 100, hundredths(token, rank) % 100);
}

static void write_logprobs(const struct sim_gemini *gemini, const struct sim_text *text, size_t from, size_t count,
                           struct weir_buffer *out) {
    uint64_t sum = 0;
    weir_buffer_append(out, WEIR_SPAN(",\"logprobsResult\":{\"topCandidates\":["));
    for (size_t i = from; i < from + count; i++) {
        struct weir_span token = sim__text_token(text, i);
        struct sim_text others = sim__text_words(sim__mix(i), gemini->top_logprobs + 1U);
        sum += hundredths(token, 0);
        weir_buffer_append(out, i > from ? WEIR_SPAN(",{\"candidates\":[") : WEIR_SPAN("{\"candidates\":["));
        for (unsigned rank = 0; rank < gemini->top_logprobs; rank++) {
            weir_buffer_append(out, rank > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
            write_probability(rank == 0 ? token : sim__text_token(&others, rank), rank, out);
        }
        weir_buffer_append(out, WEIR_SPAN("]}"));
    }
    weir_buffer_append(out, WEIR_SPAN("],\"chosenCandidates\":["));
    for (size_t i = from; i < from + count; i++) {
        weir_buffer_append(out, i > from ? WEIR_SPAN(",") : WEIR_SPAN(""));
        write_probability(sim__text_token(text, i), 0, out);
    }
    uint64_t average = count > 0 ? sum * 100 / count : 0;
    weir_buffer_printf(out, "]},\"avgLogprobs\":-%llu.%04llu", (unsigned long long)(average / 10000),
                       (unsigned long long)(average % 10000));
}

/* --- candidates --- */

static void write_ratings(const struct sim_gemini_candidate *candidate, struct weir_buffer *out) {
    static const char *const categories[] = {"HARM_CATEGORY_SEXUALLY_EXPLICIT", "HARM_CATEGORY_HATE_SPEECH",
                                             "HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_DANGEROUS_CONTENT"};
    weir_buffer_append(out, WEIR_SPAN(",\"safetyRatings\":["));
    for (size_t i = 0; i < sizeof categories / sizeof categories[0]; i++) {
        bool blocked = candidate != NULL && candidate->harmful && i == 3;
        weir_buffer_printf(out, "%s{\"category\":\"%s\",\"probability\":\"%s\"%s}", i > 0 ? "," : "", categories[i],
                           blocked ? "HIGH" : "NEGLIGIBLE", blocked ? ",\"blocked\":true" : "");
    }
    weir_buffer_append_byte(out, ']');
}

static void write_call(const struct sim_gemini_part *part, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"functionCall\":{"));
    if (!weir_span_is_empty(part->id)) {
        weir_buffer_append(out, WEIR_SPAN("\"id\":"));
        weir_json_append_string(out, part->id);
        weir_buffer_append_byte(out, ',');
    }
    weir_buffer_append(out, WEIR_SPAN("\"name\":"));
    weir_json_append_string(out, part->name);
    weir_buffer_append(out, WEIR_SPAN(",\"args\":"));
    weir_buffer_append(out, part->text.bytes); /* JSON, as it is */
    weir_buffer_append_byte(out, '}');
}

static void end_part(const struct sim_gemini_part *part, bool signs, struct weir_buffer *out) {
    if (part->kind == SIM_GEMINI_THOUGHT) {
        weir_buffer_append(out, WEIR_SPAN(",\"thought\":true"));
    }
    if (signs && !weir_span_is_empty(part->signature)) {
        weir_buffer_append(out, WEIR_SPAN(",\"thoughtSignature\":"));
        weir_json_append_string(out, part->signature);
    }
    weir_buffer_append_byte(out, '}');
}

static void write_part(const struct sim_gemini_part *part, struct weir_buffer *out) {
    if (part->kind == SIM_GEMINI_CALL) {
        write_call(part, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("{\"text\":"));
        sim__text_write(&part->text, out);
    }
    end_part(part, true, out);
}

static void end_candidate(const struct sim_gemini *gemini, size_t index, bool finished, struct weir_buffer *out) {
    const struct sim_gemini_candidate *candidate = &gemini->candidates[index];
    if (finished) {
        weir_buffer_append(out, WEIR_SPAN(",\"finishReason\":"));
        weir_json_append_string(out, weir_span_of_string(candidate->finish_reason));
        if (candidate->finish_message != NULL) {
            weir_buffer_append(out, WEIR_SPAN(",\"finishMessage\":"));
            weir_json_append_string(out, weir_span_of_string(candidate->finish_message));
        }
    }
    weir_buffer_printf(out, ",\"index\":%zu", index);
    if (gemini->ratings) {
        write_ratings(finished ? candidate : NULL, out);
    }
}

static bool is_malformed(const struct sim_gemini_candidate *candidate) {
    return candidate->finish_message != NULL;
}

static void write_candidate(const struct sim_gemini *gemini, size_t index, struct weir_buffer *out) {
    const struct sim_gemini_candidate *candidate = &gemini->candidates[index];
    weir_buffer_append(out, is_malformed(candidate)     ? WEIR_SPAN("{\"content\":{")
                            : candidate->part_count > 0 ? WEIR_SPAN("{\"content\":{\"parts\":[")
                                                        : WEIR_SPAN("{\"content\":{\"role\":\"model\""));
    for (size_t i = 0; i < candidate->part_count; i++) {
        weir_buffer_append(out, i > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        write_part(&candidate->parts[i], out);
    }
    weir_buffer_append(out, candidate->part_count > 0 ? WEIR_SPAN("],\"role\":\"model\"}") : WEIR_SPAN("}"));
    end_candidate(gemini, index, true, out);
    for (size_t i = 0; i < candidate->part_count && gemini->logprobs; i++) {
        if (candidate->parts[i].kind == SIM_GEMINI_TEXT) {
            write_logprobs(gemini, &candidate->parts[i].text, 0, candidate->parts[i].text.count, out);
            break;
        }
    }
    weir_buffer_append_byte(out, '}');
}

/* --- responses --- */

static void write_facts(const struct sim_gemini *gemini, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN(",\"modelVersion\":"));
    weir_json_append_string(out, gemini->model);
    weir_buffer_append(out, WEIR_SPAN(",\"responseId\":\""));
    weir_buffer_append(out, weir_span_of_string(gemini->id));
    weir_buffer_append(out, WEIR_SPAN("\""));
}

static void write_blocked(const struct sim_gemini *gemini, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"promptFeedback\":{\"blockReason\":"));
    weir_json_append_string(out, weir_span_of_string(gemini->block_reason));
    if (gemini->ratings) {
        write_ratings(NULL, out);
    }
    weir_buffer_append_byte(out, '}');
}

void sim__gemini_write(const struct sim_gemini *gemini, const struct sim_task *task, struct weir_buffer *out) {
    if (gemini->block_reason != NULL) {
        write_blocked(gemini, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("{\"candidates\":["));
        for (size_t i = 0; i < gemini->count; i++) {
            weir_buffer_append(out, i > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
            write_candidate(gemini, i, out);
        }
        weir_buffer_append_byte(out, ']');
    }
    write_usage(gemini, task, sim__gemini_spent(gemini, gemini->longest, 0), true, out);
    write_facts(gemini, out);
    weir_buffer_append_byte(out, '}');
}

/* --- streams --- */

/* The part that a candidate's piece belongs to, and which of its tokens it is. */
static const struct sim_gemini_part *part_of(const struct sim_gemini_candidate *candidate, size_t piece,
                                             size_t *token) {
    for (size_t i = 0; i < candidate->part_count; i++) {
        const struct sim_gemini_part *part = &candidate->parts[i];
        size_t pieces = part->kind == SIM_GEMINI_CALL ? 1 : part->text.count;
        if (piece < pieces) {
            *token = piece;
            return part;
        }
        piece -= pieces;
    }
    return NULL;
}

static void begin_candidate(const struct stream *stream, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("{\"candidates\":["));
    if (stream->multiline) {
        weir_buffer_append(out, stream->line_end);
        weir_buffer_append(out, stream->gemini->array ? WEIR_SPAN("  ") : WEIR_SPAN("data: "));
    }
    weir_buffer_append(out, WEIR_SPAN("{\"content\":{"));
}

static void write_piece(const struct stream *stream, size_t index, const struct sim_gemini_part *part, size_t token,
                        struct weir_buffer *out) {
    begin_candidate(stream, out);
    weir_buffer_append(out, WEIR_SPAN("\"parts\":["));
    if (part->kind == SIM_GEMINI_CALL) {
        write_call(part, out);
    } else {
        weir_buffer_append(out, WEIR_SPAN("{\"text\":"));
        sim__text_write_token(&part->text, token, out);
    }
    /* The last text's signature comes with the end. */
    const struct sim_gemini_candidate *candidate = &stream->gemini->candidates[index];
    bool is_last = part == &candidate->parts[candidate->part_count - 1];
    end_part(part, part->kind == SIM_GEMINI_CALL || (!is_last && token + 1 == part->text.count), out);
    weir_buffer_append(out, WEIR_SPAN("],\"role\":\"model\"}"));
    end_candidate(stream->gemini, index, false, out);
    if (stream->gemini->logprobs && part->kind == SIM_GEMINI_TEXT) {
        write_logprobs(stream->gemini, &part->text, token, 1, out);
    }
    weir_buffer_append(out, WEIR_SPAN("}]"));
}

/* The end of a candidate: an empty text, which has the signature of the text before it. */
static void write_finish(const struct stream *stream, size_t index, struct weir_buffer *out) {
    const struct sim_gemini_candidate *candidate = &stream->gemini->candidates[index];
    begin_candidate(stream, out);
    if (candidate->part_count > 0) {
        const struct sim_gemini_part *last = &candidate->parts[candidate->part_count - 1];
        weir_buffer_append(out, WEIR_SPAN("\"parts\":[{\"text\":\"\""));
        if (last->kind == SIM_GEMINI_TEXT) {
            end_part(last, true, out);
        } else {
            weir_buffer_append_byte(out, '}');
        }
        weir_buffer_append(out, WEIR_SPAN("],"));
    }
    weir_buffer_append(out, is_malformed(candidate) ? WEIR_SPAN("}") : WEIR_SPAN("\"role\":\"model\"}"));
    end_candidate(stream->gemini, index, true, out);
    weir_buffer_append(out, WEIR_SPAN("}]"));
}

static void begin_chunk(const struct stream *stream, bool comment, struct weir_buffer *out) {
    if (stream->gemini->array) {
        weir_buffer_append(out, *stream->begun ? WEIR_SPAN(",") : WEIR_SPAN("["));
        weir_buffer_append(out, *stream->begun ? stream->line_end : WEIR_SPAN(""));
        weir_buffer_append(out, comment ? WEIR_SPAN("  ") : WEIR_SPAN(""));
    } else {
        if (comment) {
            weir_buffer_append(out, WEIR_SPAN(": ping"));
            weir_buffer_append(out, stream->line_end);
            weir_buffer_append(out, stream->line_end);
        }
        weir_buffer_append(out, WEIR_SPAN("data: "));
    }
    *stream->begun = true;
}

static void end_chunk(const struct stream *stream, struct weir_buffer *out) {
    if (!stream->gemini->array) {
        weir_buffer_append(out, stream->line_end);
        weir_buffer_append(out, stream->line_end);
    }
}

static void end_array(const struct stream *stream, struct weir_buffer *out) {
    if (stream->gemini->array) {
        weir_buffer_append(out, stream->line_end);
        weir_buffer_append(out, WEIR_SPAN("]"));
    }
}

static struct sim_gemini_spent spent_before(const struct stream *stream, size_t index) {
    size_t done = index < stream->pieces ? index : stream->pieces;
    size_t count = stream->gemini->count;
    return count == 0 ? (struct sim_gemini_spent){.tokens = 0}
                      : sim__gemini_spent(stream->gemini, done / count, done % count);
}

static void steps_write(const void *what, size_t index, struct weir_buffer *out) {
    const struct stream *stream = what;
    const struct sim_gemini *gemini = stream->gemini;
    const struct sim_gemini_part *part = NULL;
    size_t token = 0;
    if (index < stream->pieces) {
        part = part_of(&gemini->candidates[index % gemini->count], index / gemini->count, &token);
    }
    if (part != NULL || index >= stream->pieces) {
        bool first = !*stream->begun;
        begin_chunk(stream, stream->comments && index % COMMENT_EVERY == 0, out);
        if (part != NULL) {
            write_piece(stream, index % gemini->count, part, token, out);
        } else if (gemini->block_reason != NULL) {
            write_blocked(gemini, out);
        } else {
            write_finish(stream, index - stream->pieces, out);
        }
        write_usage(gemini, stream->task, spent_before(stream, index + 1), index + 1 == stream->pieces + gemini->count,
                    out);
        write_facts(gemini, out);
        if (first) {
            weir_buffer_printf(out, ",\"x_sim\":{\"served\":%llu}", (unsigned long long)stream->task->served);
        }
        weir_buffer_append_byte(out, '}');
        end_chunk(stream, out);
    }
    if (index + 1 == stream->units) {
        end_array(stream, out);
    }
}

static size_t steps_of_token(const void *what, size_t tokens) {
    const struct stream *stream = what;
    return tokens < stream->pieces ? tokens : stream->pieces;
}

static size_t steps_beats_before(const void *what, size_t index) {
    const struct stream *stream = what;
    return index < stream->pieces ? index : stream->pieces > 0 ? stream->pieces - 1 : 0;
}

static int64_t steps_tokens_out(const void *what, size_t index) {
    const struct stream *stream = what;
    struct sim_gemini_spent spent = spent_before(stream, index);
    if (index == 0) {
        return 0;
    }
    return spent.tokens + spent.thoughts;
}

static void steps_error(const void *what, struct weir_buffer *out) {
    const struct stream *stream = what;
    begin_chunk(stream, false, out);
    stream->task->dialect->write_stream_error(out);
    end_chunk(stream, out);
    end_array(stream, out);
}

static void steps_broken(const void *what, struct weir_buffer *out) {
    const struct stream *stream = what;
    begin_chunk(stream, false, out);
    weir_buffer_append(out, WEIR_SPAN("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"bro"));
    end_chunk(stream, out);
}

static const struct sim_steps_kind stream_kind = {
    .write = steps_write,
    .of_token = steps_of_token,
    .beats_before = steps_beats_before,
    .tokens_out = steps_tokens_out,
    .error = steps_error,
    .broken = steps_broken,
};

enum weir_status sim__gemini_stream(const struct sim_gemini *gemini, struct sim_task *task) {
    struct stream *stream = weir_arena_alloc(task->arena, sizeof *stream);
    bool *begun = weir_arena_alloc(task->arena, sizeof *begun);
    if (stream == NULL || begun == NULL) {
        return WEIR_ENOMEM;
    }
    *stream = (struct stream){
        .gemini = gemini,
        .task = task,
        .line_end = WEIR_SPAN("\r\n"), /* as the API's always do */
        .comments = task->wishes->comments,
        .multiline = task->wishes->multiline,
        .pieces = gemini->count * gemini->longest,
        .begun = begun,
    };
    size_t ends = gemini->block_reason != NULL ? 1 : gemini->count;
    stream->units = stream->pieces + (task->no_end && gemini->block_reason == NULL ? 0 : ends);
    task->steps = (struct sim_steps){
        .kind = &stream_kind,
        .what = stream,
        .count = stream->units,
        .tokens = stream->pieces,
        .framing = gemini->array ? SIM_FRAMING_ARRAY : SIM_FRAMING_EVENTS,
    };
    return WEIR_OK;
}
