/* links: base json http dialect */
/* All codecs, over bytes from clients and providers. The first byte chooses whose bytes they are, the second what they are, the third how they are cut. Beyond not
 * failing: what a provider is asked is JSON, and so is what a client gets, whole or in events; a problem says what it is; a stream arrives alike however it is cut.
 */
#include "base/limits.h"
#include "dialect/codec.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define X(name) &weir_front_##name,
static const struct weir_front *const fronts[] = {
#include "dialect/fronts.def"
};
#undef X
enum { FRONTS = sizeof fronts / sizeof *fronts, HEAD = 3 };

static void require(bool condition) {
    if (!condition)
        abort();
}

static struct weir_exchange exchange_of(struct weir_arena *arena, struct weir_arena *scratch) {
    return (struct weir_exchange){.arena = arena,
                                  .scratch = scratch,
                                  .seed = WEIR_SPAN("00ff"),
                                  .created_utc_us = 1700000000000000,
                                  .front_model = WEIR_SPAN("asked"),
                                  .back_model = WEIR_SPAN("up\"stream"),
                                  .front_version = WEIR_UNSAID,
                                  .wants_usage = true,
                                  .output_limit_member = "max_tokens",
                                  .takes_stream_options = true,
                                  .front_answer_id = WEIR_SPAN("")};
}

static bool is_json(struct weir_span text) {
    return weir_json_scan(text, NULL, 0, NULL, NULL, NULL) == WEIR_OK;
}

static void check_json(struct weir_buffer *out) {
    require(weir_buffer_status(out) != WEIR_OK || is_json(weir_buffer_span(out)));
    weir_buffer_clear(out);
}

static void check_status(enum weir_status status, const struct weir_call_problem *problem) {
    require(status == WEIR_OK || status == WEIR_EINVAL || status == WEIR_ENOMEM);
    require(status != WEIR_EINVAL ||
            (problem->reason != WEIR_REASON_NONE && problem->field != NULL && problem->text[0] != '\0'));
}

/* --- what clients ask --- */

static void fuzz_prompt(const struct weir_front *front, struct weir_exchange *exchange, struct weir_span body,
                        struct weir_buffer *out) {
    static const enum weir_dialect_kind whose = WEIR_DIALECT_OPENAI;
    struct weir_prompt prompt = {.stream = false};
    struct weir_call_problem problem = {.reason = WEIR_REASON_NONE, .field = "", .text = ""};
    struct weir_json_node *root;
    struct weir_back_target target;
    if (front->read_prompt == NULL || weir_json_tree_read(exchange->arena, body, &root, NULL) != WEIR_OK)
        return;
    enum weir_status status = front->read_prompt(exchange, root, &prompt, &problem);
    check_status(status, &problem);
    for (int kind = 0; status == WEIR_OK && kind < WEIR_DIALECT_COUNT; kind++) {
        const struct weir_back *back = weir_back_of((enum weir_dialect_kind)kind);
        problem.reason = WEIR_REASON_NONE;
        if (back == NULL || weir_check_parameters(exchange, whose, back->dialect, prompt.values, prompt.unknown, false,
                                                  &problem) != WEIR_OK)
            continue;
        enum weir_status written = back->write_prompt(exchange, &prompt, &target, out, &problem);
        check_status(written, &problem);
        if (written == WEIR_OK)
            check_json(out);
        weir_buffer_clear(out);
        if (back->write_count_call == NULL)
            continue;
        written = back->write_count_call(exchange, &prompt, &target, out, &problem);
        check_status(written, &problem);
        if (written == WEIR_OK)
            check_json(out);
        weir_buffer_clear(out);
    }
}

static void fuzz_vectors_call(const struct weir_front *front, struct weir_exchange *exchange, struct weir_span body,
                              struct weir_buffer *out) {
    struct weir_vectors_call call = {.count = 0};
    struct weir_call_problem problem = {.reason = WEIR_REASON_NONE, .field = "", .text = ""};
    struct weir_json_node *root;
    struct weir_back_target target;
    if (front->read_vectors_call == NULL || weir_json_tree_read(exchange->arena, body, &root, NULL) != WEIR_OK)
        return;
    enum weir_status status = front->read_vectors_call(exchange, root, &call, &problem);
    check_status(status, &problem);
    for (int kind = 0; status == WEIR_OK && kind < WEIR_DIALECT_COUNT; kind++) {
        const struct weir_back *back = weir_back_of((enum weir_dialect_kind)kind);
        if (back == NULL || back->write_vectors_call == NULL)
            continue;
        problem.reason = WEIR_REASON_NONE;
        enum weir_status written = back->write_vectors_call(exchange, &call, &target, out, &problem);
        check_status(written, &problem);
        if (written == WEIR_OK)
            check_json(out);
        weir_buffer_clear(out);
    }
}

/* --- what providers answer --- */

static void fuzz_reply(const struct weir_back *back, struct weir_exchange *exchange, struct weir_span body,
                       struct weir_buffer *out) {
    struct weir_reply reply = {.has_usage = false};
    struct weir_provider_error error;
    struct weir_json_node *root;
    int64_t tokens = 0;
    if (weir_json_tree_read(exchange->arena, body, &root, NULL) != WEIR_OK)
        return;
    (void)back->read_error(exchange->arena, root, &error);
    if (back->read_count != NULL && back->read_count(exchange, root, &tokens) == WEIR_OK)
        require(tokens >= 0);
    enum weir_status status = back->read_reply(exchange, root, &reply);
    require(status == WEIR_OK || status == WEIR_EPROTO || status == WEIR_ENOMEM);
    for (size_t i = 0; status == WEIR_OK && i < FRONTS; i++) {
        if (fronts[i]->write_reply == NULL)
            continue;
        fronts[i]->write_reply(exchange, &reply, !reply.has_usage, 77, out);
        check_json(out);
    }
}

/* --- streams --- */

struct relay {
    struct weir_exchange exchange;
    const struct weir_back *back;
    const struct weir_front *front;
    void *back_stream, *front_stream;
    struct weir_usage usage;
    struct weir_buffer out;
};

static void take_delta(void *context, const struct weir_delta *delta) {
    struct relay *relay = context;
    if (delta->kind == WEIR_DELTA_USAGE)
        relay->usage = delta->usage;
    relay->front->write_delta(relay->front_stream, delta, &relay->out);
}

/* False: there was no memory for it. */
static bool run(struct relay *relay, struct weir_span bytes, size_t piece) {
    const struct weir_delta_sink sink = {.take = take_delta, .context = relay};
    struct weir_sse sse;
    struct weir_sse_event event;
    enum weir_status status = WEIR_OK;
    relay->front_stream = relay->front->begin_stream(&relay->exchange);
    relay->back_stream = relay->back->begin_stream(&relay->exchange);
    require(relay->front_stream != NULL && relay->back_stream != NULL);
    weir_sse_init(&sse, WEIR_MIB);
    while (status == WEIR_OK && bytes.length > 0) {
        struct weir_span input = weir_span_first(bytes, piece < bytes.length ? piece : bytes.length);
        bytes = weir_span_from(bytes, input.length);
        while ((status = weir_sse_next(&sse, &input, &event)) == WEIR_OK &&
               (status = relay->back->read_event(relay->back_stream, &event, &sink)) == WEIR_OK)
            weir_arena_reset(relay->exchange.scratch);
        status = status == WEIR_AGAIN ? WEIR_OK : status;
    }
    require(status == WEIR_OK || status == WEIR_EPROTO || status == WEIR_ENOMEM || status == WEIR_ELIMIT);
    if (status == WEIR_OK)
        relay->back->end_stream(relay->back_stream, &sink);
    relay->front->end_stream(relay->front_stream, &relay->usage, false, 77, &relay->out);
    weir_sse_release(&sse);
    return status != WEIR_ENOMEM && weir_buffer_status(&relay->out) == WEIR_OK;
}

static void check_events(struct weir_span bytes) {
    struct weir_sse sse;
    struct weir_sse_event event;
    weir_sse_init(&sse, 8 * WEIR_MIB);
    while (weir_sse_next(&sse, &bytes, &event) == WEIR_OK)
        require(!event.has_data || is_json(event.data) || weir_span_equal(event.data, WEIR_SPAN("[DONE]")));
    require(weir_sse_rest(&sse).length == 0);
    weir_sse_release(&sse);
}

static void check_lines(struct weir_span bytes) {
    struct weir_span line;
    while (bytes.length > 0) {
        require(weir_span_split(bytes, '\n', &line, &bytes));
        require(line.length == 0 || is_json(line));
    }
}

static bool relay_of(struct relay *relay, const struct weir_back *back, const struct weir_front *front,
                     struct weir_span bytes, size_t piece) {
    struct weir_arena *arena = weir_arena_new(0, 8 * WEIR_MIB), *scratch = weir_arena_new(0, 8 * WEIR_MIB);
    require(arena != NULL && scratch != NULL);
    *relay = (struct relay){.exchange = exchange_of(arena, scratch), .back = back, .front = front};
    weir_buffer_init(&relay->out, 32 * WEIR_MIB);
    return run(relay, bytes, piece);
}

static void relay_release(struct relay *relay) {
    weir_buffer_release(&relay->out);
    weir_arena_free(&relay->exchange.arena);
    weir_arena_free(&relay->exchange.scratch);
}

static void fuzz_stream(const struct weir_back *back, struct weir_span bytes, size_t piece) {
    struct relay whole, cut;
    if (back->framing != WEIR_FRAMING_EVENTS)
        return;
    for (size_t i = 0; i < FRONTS; i++) {
        if (fronts[i]->begin_stream == NULL)
            continue;
        bool is_read = relay_of(&whole, back, fronts[i], bytes, bytes.length > 0 ? bytes.length : 1);
        bool is_read_cut = relay_of(&cut, back, fronts[i], bytes, piece);
        if (is_read && fronts[i]->framing == WEIR_FRAMING_EVENTS)
            check_events(weir_buffer_span(&whole.out));
        if (is_read && fronts[i]->framing == WEIR_FRAMING_LINES)
            check_lines(weir_buffer_span(&whole.out));
        require(!is_read || !is_read_cut || weir_span_equal(weir_buffer_span(&whole.out), weir_buffer_span(&cut.out)));
        relay_release(&whole);
        relay_release(&cut);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD || size > WEIR_MIB / 4)
        return 0;
    struct weir_span text = weir_span_of((const char *)data + HEAD, size - HEAD);
    const struct weir_back *back = weir_back_of((enum weir_dialect_kind)(data[0] % WEIR_DIALECT_COUNT));
    const struct weir_front *front = fronts[data[0] % FRONTS];
    struct weir_arena *arena = weir_arena_new(0, 32 * WEIR_MIB), *scratch = weir_arena_new(0, 8 * WEIR_MIB);
    require(arena != NULL && scratch != NULL);
    struct weir_exchange exchange = exchange_of(arena, scratch);
    struct weir_buffer out;
    weir_buffer_init(&out, 64 * WEIR_MIB);
    switch (data[1] % 4) {
    case 0: fuzz_prompt(front, &exchange, text, &out); break;
    case 1: fuzz_vectors_call(front, &exchange, text, &out); break;
    case 2:
        if (back != NULL)
            fuzz_reply(back, &exchange, text, &out);
        break;
    default:
        if (back != NULL)
            fuzz_stream(back, text, 1U + data[2]);
        break;
    }
    weir_buffer_release(&out);
    weir_arena_free(&arena);
    weir_arena_free(&scratch);
    return 0;
}
