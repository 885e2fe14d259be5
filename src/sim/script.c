/* See script.h. */
#include "sim/script.h"

#include "json/write.h"
#include "sim/answer.h"
#include "sim/dialect.h"

/* A comment goes before every so many steps. */
enum { COMMENT_EVERY = 4 };
enum { FIRST_ROOM = 16, MAX_PIECE_BYTES = 64 * 1024 * 1024 };

void sim__script_init(struct sim_script *script, struct weir_arena *arena, enum sim_framing framing) {
    *script = (struct sim_script){.arena = arena, .framing = framing, .dialect = &sim__openai};
}

void sim__script_dress(struct sim_script *script, const struct sim_wishes *wishes, const struct sim_dialect *dialect,
                       uint64_t served) {
    script->crlf = wishes->crlf;
    script->comments = wishes->comments;
    script->multiline = wishes->multiline && script->framing != SIM_FRAMING_LINES;
    script->dialect = dialect;
    script->served = served;
}

/* --- writing it down --- */

static bool carries_tokens(const struct sim_run *run) {
    return run->lanes != NULL || run->fill != NULL;
}

static size_t steps_of(const struct sim_run *run) {
    if (run->fill != NULL) {
        return (size_t)((run->bytes + run->piece - 1) / run->piece);
    }
    if (run->lanes == NULL) {
        return 1;
    }
    size_t longest = 0;
    for (size_t i = 0; i < run->lane_count; i++) {
        longest = run->lanes[i].text.count > longest ? run->lanes[i].text.count : longest;
    }
    return longest * run->lane_count;
}

/* Tokens of a run when its first `steps` steps have gone out; lanes that are shorter than others have empty steps. */
static int64_t tokens_of(const struct sim_run *run, size_t steps) {
    if (run->lanes == NULL) {
        return run->tokens * (int64_t)steps;
    }
    int64_t tokens = 0;
    for (size_t i = 0; i < run->lane_count; i++) {
        size_t shown = steps / run->lane_count + (i < steps % run->lane_count ? 1 : 0);
        tokens += (int64_t)(shown < run->lanes[i].text.count ? shown : run->lanes[i].text.count);
    }
    return tokens * run->tokens;
}

void sim__script_run(struct sim_script *script, struct sim_run run) {
    if (script->run_count == script->run_room) {
        size_t room = script->run_room == 0 ? FIRST_ROOM : 2 * script->run_room;
        struct sim_run *runs = weir_arena_array(script->arena, room, sizeof *runs);
        if (runs == NULL) {
            script->failed = true;
            return;
        }
        if (script->run_count > 0) {
            memcpy(runs, script->runs, script->run_count * sizeof *runs);
        }
        script->runs = runs;
        script->run_room = room;
    }
    run.first = script->count;
    run.count = steps_of(&run);
    run.beats_before = script->beats;
    run.tokens_before = script->tokens;
    script->count += run.count;
    script->beats += carries_tokens(&run) ? run.count : 0;
    script->tokens += tokens_of(&run, run.count);
    if (run.count > 0) {
        script->runs[script->run_count++] = run;
    }
}

void sim__script_event(struct sim_script *script, const char *event, struct weir_span payload, int64_t tokens) {
    sim__script_run(script, (struct sim_run){.event = event, .before = payload, .tokens = tokens});
}

void sim__script_take(struct sim_script *script, const char *event, struct weir_buffer *payload, int64_t tokens) {
    struct weir_span kept;
    if (weir_buffer_status(payload) != WEIR_OK ||
        weir_arena_dup(script->arena, weir_buffer_span(payload), &kept) != WEIR_OK) {
        script->failed = true;
    } else {
        sim__script_event(script, event, kept, tokens);
    }
    weir_buffer_clear(payload);
}

void sim__script_plain(struct sim_script *script, const char *text) {
    sim__script_run(script, (struct sim_run){.before = weir_span_of_string(text), .whole = true});
}

void sim__script_text(struct sim_script *script, const char *event, struct weir_span before, struct weir_span after,
                      struct sim_text text, int64_t token_weight) {
    struct sim_lane *lane = weir_arena_alloc(script->arena, sizeof *lane);
    if (lane == NULL) {
        script->failed = true;
        return;
    }
    *lane = (struct sim_lane){.before = before, .after = after, .text = text};
    sim__script_run(script, (struct sim_run){.event = event, .lanes = lane, .lane_count = 1, .tokens = token_weight});
}

/* --- reading it out --- */

static const struct sim_run *run_of(const struct sim_script *script, size_t index) {
    size_t low = 0;
    size_t high = script->run_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (script->runs[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &script->runs[low];
}

static struct weir_span line_end(const struct sim_script *script) {
    return script->crlf ? WEIR_SPAN("\r\n") : WEIR_SPAN("\n");
}

/* A payload's first part, broken behind its first comma where the event is to have two data lines. The names and types that
 * payloads begin with have no commas. */
static void write_start(const struct sim_script *script, struct weir_span start, struct weir_buffer *out) {
    size_t comma = script->multiline ? weir_span_index(start, ',') : start.length;
    if (comma < start.length) {
        weir_buffer_append(out, weir_span_first(start, comma + 1));
        weir_buffer_append(out, line_end(script));
        weir_buffer_append(out, script->framing == SIM_FRAMING_EVENTS ? WEIR_SPAN("data: ") : WEIR_SPAN("  "));
        start = weir_span_from(start, comma + 1);
    }
    weir_buffer_append(out, start);
}

static void begin_event(const struct sim_script *script, size_t index, const char *event, struct weir_buffer *out) {
    bool comment = script->comments && index % COMMENT_EVERY == 0;
    if (script->framing == SIM_FRAMING_LINES || script->framing == SIM_FRAMING_ARRAY) {
        if (script->framing == SIM_FRAMING_ARRAY) {
            weir_buffer_append(out, index == script->skip ? WEIR_SPAN("[") : WEIR_SPAN(","));
            weir_buffer_append(out, index == script->skip ? WEIR_SPAN("") : line_end(script));
        }
        weir_buffer_append(out, comment ? WEIR_SPAN("  ") : WEIR_SPAN(""));
        return;
    }
    if (comment) {
        weir_buffer_append(out, WEIR_SPAN(": ping"));
        weir_buffer_append(out, line_end(script));
        weir_buffer_append(out, line_end(script));
    }
    if (event != NULL) {
        weir_buffer_append(out, WEIR_SPAN("event: "));
        weir_buffer_append(out, weir_span_of_string(event));
        weir_buffer_append(out, line_end(script));
    }
    weir_buffer_append(out, WEIR_SPAN("data: "));
}

static void end_event(const struct sim_script *script, bool last, struct weir_buffer *out) {
    if (script->framing == SIM_FRAMING_ARRAY && last) {
        weir_buffer_append_byte(out, ']');
    }
    weir_buffer_append(out, line_end(script));
    if (script->framing == SIM_FRAMING_EVENTS) {
        weir_buffer_append(out, line_end(script));
    }
}

static void end_payload(const struct sim_script *script, size_t index, struct weir_buffer *out) {
    if (script->numbered) {
        weir_buffer_append(out, WEIR_SPAN(",\"sequence_number\":"));
        weir_buffer_append_uint64(out, index);
    }
    if (index == 0) {
        weir_buffer_append(out, WEIR_SPAN(",\"x_sim\":{\"served\":"));
        weir_buffer_append_uint64(out, script->served);
        weir_buffer_append_byte(out, '}');
    }
    weir_buffer_append_byte(out, '}');
    end_event(script, index == script->last, out);
}

static void write_bytes(const struct sim_script *script, const struct sim_run *run, size_t index,
                        struct weir_buffer *out) {
    uint64_t from = (uint64_t)(index - run->first) * run->piece;
    size_t length = run->bytes - from < run->piece ? (size_t)(run->bytes - from) : run->piece;
    if (script->framing == SIM_FRAMING_BYTES) {
        run->fill(run->owner, from, length, out);
        return;
    }
    struct weir_buffer piece;
    weir_buffer_init(&piece, MAX_PIECE_BYTES);
    run->fill(run->owner, from, length, &piece);
    begin_event(script, index, run->event, out);
    write_start(script, run->before, out);
    weir_buffer_append_byte(out, '"');
    sim__base64(weir_buffer_span(&piece), out);
    weir_buffer_append_byte(out, '"');
    weir_buffer_append(out, run->after);
    end_payload(script, index, out);
    weir_buffer_release(&piece);
}

static void write_step(const void *what, size_t index, struct weir_buffer *out) {
    const struct sim_script *script = what;
    index += script->skip;
    const struct sim_run *run = run_of(script, index);
    if (run->fill != NULL) {
        write_bytes(script, run, index, out);
        return;
    }
    if (run->whole) {
        begin_event(script, index, run->event, out);
        weir_buffer_append(out, run->before);
        end_event(script, index == script->last, out);
        return;
    }
    if (run->lanes == NULL) {
        begin_event(script, index, run->event, out);
        write_start(script, run->before, out);
        end_payload(script, index, out);
        return;
    }
    size_t place = index - run->first;
    size_t lane_index = place % run->lane_count;
    const struct sim_lane *lane = &run->lanes[lane_index];
    size_t token = place / run->lane_count;
    if (token >= lane->text.count) {
        return;
    }
    begin_event(script, index, run->event, out);
    write_start(script, lane->before, out);
    sim__text_write_token(&lane->text, token, out);
    if (run->between != NULL) {
        run->between(run->owner, lane_index, token, out);
    }
    weir_buffer_append(out, lane->after);
    end_payload(script, index, out);
}

static size_t step_of_token(const void *what, size_t tokens) {
    const struct sim_script *script = what;
    size_t behind = script->count;
    for (size_t i = script->run_count; i > 0; i--) {
        const struct sim_run *run = &script->runs[i - 1];
        if (!carries_tokens(run)) {
            continue;
        }
        if (behind == script->count) {
            behind = run->first + run->count;
        }
        if (tokens >= run->beats_before && tokens - run->beats_before < run->count) {
            behind = run->first + (tokens - run->beats_before);
            break;
        }
    }
    if (script->beats == 0) {
        behind = script->count > script->terminal ? script->count - script->terminal : 0;
    }
    return behind > script->skip ? behind - script->skip : 0;
}

static size_t beats_before(const void *what, size_t index) {
    const struct sim_script *script = what;
    size_t skipped = 0;
    if (script->skip > 0) {
        const struct sim_run *first = run_of(script, script->skip);
        skipped = first->beats_before + (carries_tokens(first) ? script->skip - first->first : 0);
    }
    const struct sim_run *run = run_of(script, index + script->skip);
    size_t beat = run->beats_before;
    if (carries_tokens(run)) {
        beat += index + script->skip - run->first;
    } else if (beat > 0) {
        beat--;
    }
    return beat > skipped ? beat - skipped : 0;
}

static int64_t tokens_out(const void *what, size_t index) {
    const struct sim_script *script = what;
    index += script->skip;
    if (index >= script->count) {
        return script->tokens;
    }
    const struct sim_run *run = run_of(script, index);
    return run->tokens_before + tokens_of(run, index - run->first);
}

static void write_error(const void *what, struct weir_buffer *out) {
    const struct sim_script *script = what;
    if (script->numbered) {
        struct sim_refusal refusal;
        sim__answer_status_refusal(500, NULL, &refusal);
        begin_event(script, 1, "error", out);
        weir_buffer_append(out, WEIR_SPAN("{\"type\":\"error\",\"code\":\"server_error\",\"message\":"));
        weir_json_append_string(out, weir_span_of_string(refusal.message));
        weir_buffer_append(out, WEIR_SPAN(",\"param\":null,\"sequence_number\":"));
        weir_buffer_append_uint64(out, script->count);
        weir_buffer_append_byte(out, '}');
    } else {
        begin_event(script, script->skip + 1, script->dialect->error_event, out);
        script->dialect->write_stream_error(out);
    }
    end_event(script, true, out);
}

static void write_broken(const void *what, struct weir_buffer *out) {
    const struct sim_script *script = what;
    if (script->framing == SIM_FRAMING_BYTES) {
        weir_buffer_append(out, WEIR_SPAN("no sound"));
        return;
    }
    begin_event(script, script->skip + 1, script->dialect->error_event != NULL ? "message" : NULL, out);
    weir_buffer_append(out, WEIR_SPAN("{\"type\":\"bro"));
    end_event(script, false, out);
}

static const struct sim_steps_kind script_kind = {
    .write = write_step,
    .of_token = step_of_token,
    .beats_before = beats_before,
    .tokens_out = tokens_out,
    .error = write_error,
    .broken = write_broken,
};

enum weir_status sim__script_steps(struct sim_script *script, bool no_end, struct sim_steps *steps) {
    if (script->failed) {
        return WEIR_ENOMEM;
    }
    size_t count = script->count - (no_end ? script->terminal : 0);
    size_t skip = script->skip < count ? script->skip : count;
    script->skip = skip;
    script->last = script->terminal > 0 || !no_end ? script->count - 1 : script->count;
    *steps = (struct sim_steps){
        .kind = &script_kind,
        .what = script,
        .count = count - skip,
        .tokens = script->beats,
        .framing = script->framing,
    };
    return WEIR_OK;
}

void sim__base64(struct weir_span bytes, struct weir_buffer *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = (bytes.length + 2) / 3 * 4;
    char *to = weir_buffer_reserve(out, length);
    if (to == NULL) {
        return;
    }
    for (size_t i = 0; i < bytes.length; i += 3, to += 4) {
        size_t left = bytes.length - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.at[i] << 16;
        group |= left > 1 ? (uint32_t)(unsigned char)bytes.at[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)(unsigned char)bytes.at[i + 2] : 0;
        to[0] = digits[group >> 18];
        to[1] = digits[group >> 12 & 63U];
        to[2] = '=';
        to[3] = '=';
        if (left > 1) {
            to[2] = digits[group >> 6 & 63U];
        }
        if (left > 2) {
            to[3] = digits[group & 63U];
        }
    }
    weir_buffer_commit(out, length);
}
