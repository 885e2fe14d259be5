/* The table of parameters, and a request held against it. */
#include "dialect/codec.h"

#include <stdio.h>

#define HONOURED WEIR_HONOURED
#define MAPPED WEIR_MAPPED
#define IGNORED WEIR_IGNORED
#define REFUSED WEIR_REFUSED
#define X(row, openai, how_openai, responses, how_responses, anthropic, how_anthropic, gemini, how_gemini, ollama, \
          how_ollama)                                                                                              \
    [WEIR_PARAMETER_##row] = {                                                                                     \
        .name = #row,                                                                                              \
        .called = {openai, responses, anthropic, gemini, ollama},                                                  \
        .treatment = {how_openai, how_responses, how_anthropic, how_gemini, how_ollama},                           \
    },
static const struct weir_parameter_row rows[WEIR_PARAMETER_COUNT] = {
#include "dialect/parameters.def"
};
#undef X

const struct weir_parameter_row *weir_parameter_row(enum weir_parameter parameter) {
    return &rows[parameter];
}

const char *weir_treatment_name(enum weir_treatment treatment) {
    static const char *const names[] = {"honoured", "mapped", "ignored", "refused"};
    return names[treatment];
}

static enum weir_status refuse(struct weir_call_problem *problem, const char *field, const char *why,
                               enum weir_dialect_kind back) {
    problem->reason = WEIR_REASON_PARAMETER_UNSUPPORTED;
    problem->field = field;
    (void)snprintf(problem->text, sizeof problem->text, "'%s' %s a provider that speaks %s", field, why,
                   weir_dialect_kind_name(back));
    return WEIR_EINVAL;
}

static enum weir_status ignore(struct weir_exchange *exchange, struct weir_span name) {
    return weir_name_add(exchange->arena, &exchange->ignored, &exchange->last_ignored, name) == NULL ? WEIR_ENOMEM
                                                                                                     : WEIR_OK;
}

enum weir_status weir_check_parameters(struct weir_exchange *exchange, enum weir_dialect_kind front,
                                       enum weir_dialect_kind back, const struct weir_span *values,
                                       const struct weir_name *unknown, bool strict,
                                       struct weir_call_problem *problem) {
    exchange->ignored = exchange->last_ignored = NULL;
    exchange->front = front;
    for (size_t i = 0; i < WEIR_PARAMETER_COUNT; i++) {
        enum weir_treatment treatment = rows[i].treatment[back];
        const char *called = rows[i].called[front] != NULL ? rows[i].called[front] : rows[i].name;
        if (!weir_is_said(values[i]) || treatment == WEIR_HONOURED || treatment == WEIR_MAPPED)
            continue;
        if (treatment == WEIR_REFUSED || strict)
            return refuse(problem, called, treatment == WEIR_REFUSED ? "cannot be sent to" : "would be ignored by",
                          back);
        if (ignore(exchange, weir_span_of_string(called)) != WEIR_OK)
            return WEIR_ENOMEM;
    }
    for (; unknown != NULL; unknown = unknown->next) {
        char *name = weir_arena_string(exchange->arena, unknown->text);
        if (name == NULL)
            return WEIR_ENOMEM;
        if (strict)
            return refuse(problem, name, "is not known, and would be ignored by", back);
        if (ignore(exchange, unknown->text) != WEIR_OK)
            return WEIR_ENOMEM;
    }
    return WEIR_OK;
}
