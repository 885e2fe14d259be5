/* A whole answer told as a stream: for providers that answer whole where a stream was asked for. */
#include "base/limits.h"
#include "dialect/codec.h"

struct telling {
    struct weir_exchange *exchange;
    const struct weir_delta_sink *sink;
    enum weir_status status;
};

static void tell(const struct telling *telling, struct weir_delta delta) {
    telling->sink->take(telling->sink->context, &delta);
}

/* A call's arguments are JSON, and go out as the text that it is; free text as itself. */
static struct weir_span arguments_of(struct telling *telling, const struct weir_part *part) {
    struct weir_span json = weir_is_said(part->arguments) ? part->arguments : WEIR_SPAN("{}"), text = WEIR_SPAN("");
    struct weir_buffer wire;
    if (part->is_custom && json.length >= 2 && json.at[0] == '"')
        return weir_span_of(json.at + 1, json.length - 2);
    weir_buffer_init(&wire, WEIR_MAX_TRANSLATED_BYTES);
    weir_append_json_as_wire(&wire, json);
    if (weir_buffer_status(&wire) != WEIR_OK ||
        weir_arena_dup(telling->exchange->arena, weir_buffer_span(&wire), &text) != WEIR_OK)
        telling->status = WEIR_ENOMEM;
    weir_buffer_release(&wire);
    return text;
}

static void tell_part(struct telling *telling, const struct weir_part *from, int64_t choice, size_t part) {
    struct weir_delta delta = {.choice = choice,
                               .part = part,
                               .part_kind = from->kind,
                               .is_custom = from->is_custom,
                               .is_summary = from->is_summary};
    struct weir_delta begin = delta, text = delta, more = delta;
    bool is_call = from->kind == WEIR_PART_TOOL_CALL;
    begin.kind = WEIR_DELTA_PART_BEGIN;
    begin.id = from->id;
    begin.name = from->name;
    begin.json = from->json;
    if (is_call) /* fronts that have no place for it put it into the id, which is told here */
        begin.signature = from->signature;
    tell(telling, begin);
    text.kind = WEIR_DELTA_TEXT;
    text.text = is_call ? arguments_of(telling, from) : from->text;
    if (weir_is_said(text.text))
        tell(telling, text);
    more.kind = WEIR_DELTA_CITATION;
    more.json = from->citations;
    if (weir_is_said(from->citations))
        tell(telling, more);
    more.kind = WEIR_DELTA_SIGNATURE;
    more.json = WEIR_UNSAID;
    more.signature = from->signature;
    if (weir_is_said(from->signature.value) && !is_call)
        tell(telling, more);
    delta.kind = WEIR_DELTA_PART_END;
    tell(telling, delta);
}

static void tell_choice(struct telling *telling, const struct weir_choice *choice) {
    size_t part = 0;
    for (const struct weir_part *from = choice->parts; from != NULL; from = from->next)
        tell_part(telling, from, choice->index, part++);
    if (weir_is_said(choice->logprobs))
        tell(telling,
             (struct weir_delta){.kind = WEIR_DELTA_LOGPROBS, .choice = choice->index, .json = choice->logprobs});
    tell(telling, (struct weir_delta){.kind = WEIR_DELTA_FINISH,
                                      .choice = choice->index,
                                      .finish = choice->finish,
                                      .native_finish = choice->native_finish,
                                      .stop_sequence = choice->stop_sequence,
                                      .finish_text = choice->finish_text});
}

enum weir_status weir_reply_tell(struct weir_exchange *exchange, const struct weir_reply *reply,
                                 const struct weir_delta_sink *sink) {
    struct telling telling = {.exchange = exchange, .sink = sink};
    tell(&telling, (struct weir_delta){.kind = WEIR_DELTA_BEGIN,
                                       .id = reply->id,
                                       .model = reply->model,
                                       .service_tier = reply->service_tier});
    for (const struct weir_choice *choice = reply->choices; choice != NULL; choice = choice->next)
        tell_choice(&telling, choice);
    return telling.status;
}
