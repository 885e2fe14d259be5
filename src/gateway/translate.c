/* Which candidates can be asked in another dialect than the request's, and what each of them is asked.
 *
 * The row "translate" reads the body once into the common form and leaves out the candidates that cannot be asked it: those whose dialect has no such endpoint, and
 * those for which a parameter is refused. Why the first was left out is what the client is told where none is left. So nothing is reserved for a target
 * that will never be tried, and a candidate that speaks the request's own dialect is tried whatever our reader makes of the body.
 */
#include "gateway/translate.h"

#include "base/memory.h"

enum { FIRST_BYTES = 16 * 1024, SCRATCH_BYTES = 16 * 1024, KEPT_BYTES = 64 * 1024, SPARE_TRANSLATIONS = 64 };

/* --- the object --- */

static void translation_free(struct gateway__translation *translation) {
    weir_arena_free(&translation->arena);
    weir_arena_free(&translation->scratch);
    weir_buffer_release(&translation->body);
    weir_memory_free(translation);
}

/* All but what is kept is as new. */
static void translation_clear(struct gateway__translation *translation) {
    struct weir_buffer body = translation->body;
    if (body.capacity > KEPT_BYTES)
        weir_buffer_release(&body);
    weir_buffer_clear(&body);
    body.max_bytes = WEIR_MAX_TRANSLATED_BYTES;
    weir_arena_reset(translation->arena);
    weir_arena_reset(translation->scratch);
    *translation = (struct gateway__translation){.arena = translation->arena,
                                                 .scratch = translation->scratch,
                                                 .body = body};
}

static struct gateway__translation *translation_new(void) {
    struct gateway__translation *translation = weir_memory_new(1, sizeof *translation);
    if (translation == NULL)
        return NULL;
    translation->arena = weir_arena_new(FIRST_BYTES, WEIR_MAX_EXCHANGE_ARENA_BYTES);
    translation->scratch = weir_arena_new(SCRATCH_BYTES, WEIR_MAX_EXCHANGE_ARENA_BYTES);
    if (translation->arena == NULL || translation->scratch == NULL) {
        translation_free(translation);
        return NULL;
    }
    translation_clear(translation);
    return translation;
}

static struct gateway__translation *take(struct weir_worker *worker) {
    if (weir_list_is_empty(&worker->spare_translations))
        return translation_new();
    struct gateway__translation *spare = WEIR_CONTAINER_OF(worker->spare_translations.previous,
                                                           struct gateway__translation, link);
    weir_list_remove(&spare->link);
    worker->spare_translation_count--;
    return spare;
}

void gateway__translation_end(struct weir_request *request) {
    struct weir_worker *worker = request->worker;
    struct gateway__translation *translation = request->translation;
    if (translation == NULL)
        return;
    request->translation = NULL;
    if (worker->spare_translation_count >= SPARE_TRANSLATIONS) {
        translation_free(translation);
        return;
    }
    translation_clear(translation);
    weir_list_append(&worker->spare_translations, &translation->link);
    worker->spare_translation_count++;
}

void gateway__translations_free_spare(struct weir_worker *worker) {
    while (!weir_list_is_empty(&worker->spare_translations)) {
        struct gateway__translation *spare = WEIR_CONTAINER_OF(worker->spare_translations.next,
                                                               struct gateway__translation, link);
        weir_list_remove(&spare->link);
        translation_free(spare);
    }
}

/* `x-weir-strict-params` goes before the setting. */
static bool is_strict(const struct weir_request *request) {
    const struct weir_span *field = weir_http_head_find(request->head, WEIR_SPAN("x-weir-strict-params"));
    if (field != NULL && weir_span_equal_ignore_case(*field, WEIR_SPAN("true")))
        return true;
    if (field != NULL && weir_span_equal_ignore_case(*field, WEIR_SPAN("false")))
        return false;
    return gateway__settings(request)->dialects.strict_params;
}

/* The request's id without its dashes. */
static struct weir_span seed_of(const struct weir_request *request, struct weir_arena *arena) {
    char *text = weir_arena_alloc_raw(arena, WEIR_UUID_TEXT_SIZE);
    size_t length = 0;
    for (size_t i = 0; text != NULL && i < WEIR_UUID_TEXT_SIZE - 1; i++)
        if (request->id_text[i] != '-')
            text[length++] = request->id_text[i];
    return weir_span_of(text, length);
}

static enum weir_status begin(struct weir_request *request) {
    struct gateway__translation *translation = request->translation = take(request->worker);
    if (translation == NULL)
        return WEIR_ENOMEM;
    const struct weir_span *version = weir_http_head_find(request->head, WEIR_SPAN("anthropic-version"));
    translation->task = gateway__task(request);
    translation->is_strict = is_strict(request);
    translation->problem.reason = WEIR_REASON_NONE;
    translation->exchange = (struct weir_exchange){.arena = translation->arena,
                                                   .scratch = translation->scratch,
                                                   .seed = seed_of(request, translation->arena),
                                                   .created_utc_us = request->start_utc_us,
                                                   .front_model = request->call.model,
                                                   .front_version = version != NULL ? *version : WEIR_UNSAID,
                                                   .wants_usage = request->call.wants_usage,
                                                   .wants_base64 = request->call.wants_base64};
    return translation->exchange.seed.at != NULL ? WEIR_OK : WEIR_ENOMEM;
}

/* --- reading --- */

static enum weir_status too_large(struct weir_call_problem *problem) {
    *problem = (struct weir_call_problem){.reason = WEIR_REASON_BODY_TOO_LARGE, .field = ""};
    (void)snprintf(problem->text, sizeof problem->text,
                   "it has more values than can be translated for its provider's dialect");
    return WEIR_EINVAL;
}

static enum weir_status read_body(struct weir_request *request, struct gateway__translation *translation,
                                  struct weir_call_problem *problem) {
    const struct weir_front *front = request->format->front;
    struct weir_exchange *exchange = &translation->exchange;
    struct weir_json_node *root;
    struct weir_json_problem json;
    enum weir_status status = weir_json_tree_read(translation->arena, weir_buffer_span(&request->body), &root, &json);
    if (status == WEIR_EINVAL || status == WEIR_ELIMIT) {
        *problem = (struct weir_call_problem){.reason = WEIR_REASON_JSON_INVALID, .field = ""};
        (void)snprintf(problem->text, sizeof problem->text, "%s at byte %zu", json.text, json.offset);
        return WEIR_EINVAL;
    }
    if (status == WEIR_OK && translation->task == WEIR_TASK_EMBED)
        status = front->read_vectors_call(exchange, root, &translation->vectors, problem);
    else if (status == WEIR_OK)
        status = front->read_prompt(exchange, root, &translation->prompt, problem);
    translation->prompt.stream = request->call.stream; /* where the path says it, the body does not */
    return status == WEIR_ENOMEM ? too_large(problem) : status;
}

static bool has_front(const struct weir_request *request, enum weir_task task) {
    const struct weir_front *front = request->format->front;
    if (front == NULL || request->form != NULL)
        return false;
    switch (task) {
    case WEIR_TASK_GENERATE: return front->read_prompt != NULL;
    case WEIR_TASK_EMBED: return front->read_vectors_call != NULL;
    case WEIR_TASK_COUNT: return front->read_prompt != NULL && front->write_count != NULL;
    case WEIR_TASK_NONE: return false;
    }
    return false;
}

/* --- candidates --- */

static const struct weir_back *back_of(const struct weir_target *target) {
    return weir_back_of((enum weir_dialect_kind)target->provider->dialect);
}

static enum weir_status check(struct weir_request *request, const struct weir_target *target,
                              struct weir_call_problem *problem) {
    struct gateway__translation *translation = request->translation;
    bool is_vectors = translation->task == WEIR_TASK_EMBED;
    enum weir_status status = weir_check_parameters(
        &translation->exchange, request->format->dialect, (enum weir_dialect_kind)target->provider->dialect,
        is_vectors ? translation->vectors.values : translation->prompt.values,
        is_vectors ? translation->vectors.unknown : translation->prompt.unknown, translation->is_strict, problem);
    return status == WEIR_ENOMEM ? too_large(problem) : status;
}

/* Whether a candidate of another dialect can be asked; WEIR_EINVAL with *problem. */
static enum weir_status examine(struct weir_request *request, const struct weir_target *target,
                                struct weir_call_problem *problem) {
    struct gateway__translation *translation = request->translation;
    const struct weir_back *back = back_of(target);
    enum weir_task task = translation->task;
    /* A prompt that is only counted is read, whoever could count it. */
    if (has_front(request, task) && !translation->is_read) {
        translation->is_read = true;
        translation->read_status = read_body(request, translation, &translation->read_problem);
    }
    if (!has_front(request, task) || back == NULL || !weir_back_can(back, task)) {
        *problem = (struct weir_call_problem){.reason = WEIR_REASON_ENDPOINT_UNSUPPORTED, .field = "model"};
        (void)snprintf(problem->text, sizeof problem->text, "%s of provider '%.*s', which speaks %s",
                       request->endpoint->name,
                       (int)(target->provider->name.length < 64 ? target->provider->name.length : 64),
                       target->provider->name.at,
                       weir_dialect_kind_name((enum weir_dialect_kind)target->provider->dialect));
        return WEIR_EINVAL;
    }
    if (translation->read_status != WEIR_OK) {
        *problem = translation->read_problem;
        return WEIR_EINVAL;
    }
    return check(request, target, problem);
}

enum gateway__next gateway__fail_with_problem(struct weir_request *request, const struct weir_call_problem *problem) {
    return gateway__fail(request, problem->reason, problem->field[0] != '\0' ? problem->field : NULL, "%s",
                         problem->text);
}

/* None of the candidates is left. */
static enum gateway__next none_left(struct weir_request *request) {
    const struct gateway__translation *translation = request->translation;
    bool countable = translation->task == WEIR_TASK_COUNT && translation->is_read &&
                     translation->read_status == WEIR_OK;
    if (countable && translation->problem.reason == WEIR_REASON_ENDPOINT_UNSUPPORTED)
        return gateway__answer_estimated_count(request);
    if (translation->is_read && translation->read_status != WEIR_OK)
        return gateway__fail_with_problem(request, &translation->read_problem);
    return gateway__fail_with_problem(request, &translation->problem);
}

enum gateway__next gateway__step_translate(struct weir_request *request) {
    struct weir_candidates *candidates = &request->candidates;
    size_t kept = 0;
    if (request->endpoint->place != PLACE_OF_MODEL)
        return NEXT;
    for (size_t i = 0; i < candidates->count; i++) {
        struct weir_call_problem problem = {.reason = WEIR_REASON_NONE, .field = ""};
        bool can = gateway__speaks_natively(request, &candidates->at[i]);
        if (!can && request->translation == NULL && begin(request) != WEIR_OK)
            return gateway__fail(request, WEIR_REASON_OVERLOADED, NULL, NULL);
        if (!can)
            can = examine(request, &candidates->at[i], &problem) == WEIR_OK;
        if (can && kept < i)
            candidates->at[kept] = candidates->at[i];
        kept += can ? 1 : 0;
        if (!can && request->translation->problem.reason == WEIR_REASON_NONE)
            request->translation->problem = problem;
    }
    candidates->count = kept;
    return kept > 0 ? NEXT : none_left(request);
}

/* --- an attempt --- */

/* As many tokens a choice as are reserved for it. */
static void fill_output_limit(struct weir_request *request, const struct weir_target *target) {
    struct weir_exchange *exchange = &request->translation->exchange;
    const struct weir_call *call = &request->call;
    struct weir_usage usage;
    (void)gateway__worst_cost(request, gateway__price_of(request, target), &usage);
    exchange->output_limit = call->choices > 0 ? usage.output / call->choices : 0;
    exchange->is_clamped = call->clamped_output_tokens > 0;
}

static enum weir_status write_call(struct weir_request *request, struct weir_call_problem *problem) {
    struct gateway__translation *translation = request->translation;
    struct weir_exchange *exchange = &translation->exchange;
    const struct weir_back *back = translation->back;
    struct weir_buffer *out = &translation->body;
    weir_buffer_clear(out);
    translation->target = (struct weir_back_target){.path = WEIR_SPAN(""),
                                                    .query = WEIR_SPAN(""),
                                                    .version_name = WEIR_SPAN(""),
                                                    .version_value = WEIR_SPAN("")};
    enum weir_status status;
    if (translation->task == WEIR_TASK_EMBED)
        status = back->write_vectors_call(exchange, &translation->vectors, &translation->target, out, problem);
    else if (translation->task == WEIR_TASK_COUNT)
        status = back->write_count_call(exchange, &translation->prompt, &translation->target, out, problem);
    else
        status = back->write_prompt(exchange, &translation->prompt, &translation->target, out, problem);
    if (status == WEIR_OK)
        status = weir_buffer_status(out);
    return status == WEIR_ENOMEM || status == WEIR_ELIMIT ? too_large(problem) : status;
}

enum gateway__next gateway__translate_attempt(struct weir_request *request, const struct weir_target *target) {
    struct gateway__translation *translation = request->translation;
    struct weir_call_problem problem = {.reason = WEIR_REASON_NONE, .field = ""};
    if (translation->written_for == request->next_candidate + 1) /* it has waited for room since */
        return NEXT;
    translation->written_for = request->next_candidate + 1;
    translation->exchange.ignored = translation->exchange.last_ignored = NULL;
    translation->back = NULL;
    if (gateway__speaks_natively(request, target))
        return NEXT;
    translation->exchange.back_model = target->model;
    translation->exchange.output_limit_member = target->provider->output_limit_member;
    translation->exchange.takes_stream_options = target->provider->takes_stream_options;
    fill_output_limit(request, target);
    translation->back = back_of(target);
    if (check(request, target, &problem) == WEIR_OK && write_call(request, &problem) == WEIR_OK)
        return NEXT;
    if (translation->problem.reason == WEIR_REASON_NONE)
        translation->problem = problem;
    translation->back = NULL;
    return gateway__pass_over(request, problem.reason);
}

/* --- what was ignored --- */

/* Names come from the client's body: what a field cannot carry is no part of it, and it has an end. */
enum { MOST_IGNORED_BYTES = 1000 };

struct weir_span gateway__ignored_names(const struct weir_request *request, struct weir_buffer *text) {
    const struct weir_name *name = gateway__is_translated(request) ? request->translation->exchange.ignored : NULL;
    for (; name != NULL; name = name->next) {
        if (text->length + name->text.length > MOST_IGNORED_BYTES) {
            weir_buffer_append(text, WEIR_SPAN(", ..."));
            break;
        }
        if (text->length > 0)
            weir_buffer_append(text, WEIR_SPAN(", "));
        for (size_t i = 0; i < name->text.length; i++) {
            char byte = name->text.at[i];
            weir_buffer_append_byte(text, byte > ' ' && byte < 0x7f && byte != ',' ? byte : '?');
        }
    }
    return weir_buffer_span(text);
}

void gateway__write_ignored(const struct weir_request *request, struct weir_buffer *out) {
    struct weir_buffer text;
    if (!gateway__is_translated(request) || request->translation->exchange.ignored == NULL)
        return;
    weir_buffer_init(&text, 2 * WEIR_KIB);
    struct weir_span names = gateway__ignored_names(request, &text);
    if (weir_buffer_status(&text) == WEIR_OK && names.length > 0)
        (void)weir_http_write_field(out, WEIR_SPAN("x-weir-ignored-params"), names);
    weir_buffer_release(&text);
}
