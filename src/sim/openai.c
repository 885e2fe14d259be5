/* OpenAI's dialect: the table of its endpoints, its errors and its header fields. */
#include "sim/answer.h"
#include "sim/dialect.h"

static enum weir_status list_models(struct sim_task *task) {
    sim__answer_models(task->out);
    return WEIR_OK;
}

static enum weir_status get_model(struct sim_task *task) {
    struct weir_span name;
    enum weir_status status = sim__task_name(task, &name);
    if (status != WEIR_OK) {
        return status;
    }
    if (weir_span_equal(name, WEIR_SPAN("unknown-model"))) {
        sim__refuse(&task->refusal, 404, "model", "model_not_found", "The model 'unknown-model' does not exist");
        return WEIR_EINVAL;
    }
    sim__answer_model(name, task->out);
    return WEIR_OK;
}

static const struct sim_endpoint endpoints[] = {
    {"GET", "/models", SIM_BODY_NONE, list_models, true},
    {"HEAD", "/models", SIM_BODY_NONE, list_models, true},
    {"GET", "/models/{model}", SIM_BODY_NONE, get_model, true},
    {"HEAD", "/models/{model}", SIM_BODY_NONE, get_model, true},
    {"POST", "/chat/completions", SIM_BODY_RAW, sim__chat_answer, false},
    {"POST", "/completions", SIM_BODY_JSON, sim__completions, false},
    {"POST", "/embeddings", SIM_BODY_JSON, sim__embeddings, false},
    {"POST", "/responses", SIM_BODY_JSON, sim__responses, false},
    {"POST", "/responses/input_tokens", SIM_BODY_JSON, sim__responses_tokens, false},
    {"POST", "/responses/compact", SIM_BODY_JSON, sim__responses_compact, false},
    {"GET", "/responses/{id}", SIM_BODY_NONE, sim__responses_get, false},
    {"DELETE", "/responses/{id}", SIM_BODY_NONE, sim__responses_delete, false},
    {"POST", "/responses/{id}/cancel", SIM_BODY_NONE, sim__responses_cancel, false},
    {"GET", "/responses/{id}/input_items", SIM_BODY_NONE, sim__responses_inputs, false},
    {"POST", "/moderations", SIM_BODY_JSON, sim__moderations, false},
    {"POST", "/images/generations", SIM_BODY_JSON, sim__images_generations, false},
    {"POST", "/images/edits", SIM_BODY_FORM_OR_JSON, sim__images_edits, false},
    {"POST", "/images/variations", SIM_BODY_FORM, sim__images_variations, false},
    {"POST", "/audio/speech", SIM_BODY_JSON, sim__speech, false},
    {"POST", "/audio/transcriptions", SIM_BODY_FORM, sim__transcriptions, false},
    {"POST", "/audio/translations", SIM_BODY_FORM, sim__translations, false},
    {"POST", "/rerank", SIM_BODY_JSON, sim__rerank, false},
    {"POST", "/v2/rerank", SIM_BODY_JSON, sim__rerank, false},
    {"POST", "/files", SIM_BODY_FORM, sim__files_create, false},
    {"GET", "/files", SIM_BODY_NONE, sim__files_list, false},
    {"GET", "/files/{id}", SIM_BODY_NONE, sim__files_get, false},
    {"DELETE", "/files/{id}", SIM_BODY_NONE, sim__files_delete, false},
    {"GET", "/files/{id}/content", SIM_BODY_NONE, sim__files_content, false},
    {"POST", "/uploads", SIM_BODY_JSON, sim__uploads_create, false},
    {"POST", "/uploads/{id}/parts", SIM_BODY_FORM, sim__uploads_part, false},
    {"POST", "/uploads/{id}/complete", SIM_BODY_JSON, sim__uploads_complete, false},
    {"POST", "/uploads/{id}/cancel", SIM_BODY_NONE, sim__uploads_cancel, false},
    {"POST", "/batches", SIM_BODY_JSON, sim__batches_create, false},
    {"GET", "/batches", SIM_BODY_NONE, sim__batches_list, false},
    {"GET", "/batches/{id}", SIM_BODY_NONE, sim__batches_get, false},
    {"POST", "/batches/{id}/cancel", SIM_BODY_NONE, sim__batches_cancel, false},
};

static bool claims(const struct sim_caller *caller) {
    (void)caller;
    return false; /* nothing tells OpenAI's requests apart: what nobody claims is theirs */
}

static void write_error(const struct sim_refusal *refusal, uint64_t served, struct weir_buffer *out) {
    (void)served;
    sim__answer_error(refusal, out);
}

static void write_fields(uint64_t served, const struct sim_refusal *refusal, struct weir_buffer *out) {
    weir_buffer_append(out, WEIR_SPAN("openai-version: 2020-10-01\r\nopenai-processing-ms: 7\r\n"
                                      "x-ratelimit-limit-requests: 10000\r\nx-ratelimit-remaining-requests: 9999\r\n"
                                      "x-ratelimit-reset-requests: 6ms\r\nx-request-id: req_sim_"));
    weir_buffer_append_uint64(out, served);
    weir_buffer_append(out, WEIR_SPAN("\r\n"));
    if (refusal != NULL && refusal->has_retry_after) {
        weir_buffer_printf(out, "retry-after: %lld\r\n", (long long)refusal->retry_after_s);
    }
}

static void write_stream_error(struct weir_buffer *out) {
    struct sim_refusal refusal;
    sim__answer_status_refusal(500, NULL, &refusal);
    sim__answer_error(&refusal, out);
}

static const char *const prefixes[] = {"/v1", "", NULL};

const struct sim_dialect sim__openai = {
    .name = "openai",
    .prefixes = prefixes,
    .endpoints = endpoints,
    .endpoint_count = sizeof endpoints / sizeof endpoints[0],
    .claims = claims,
    .authorizes = sim__caller_has_bearer,
    .refuse = sim__answer_status_refusal,
    .write_error = write_error,
    .write_fields = write_fields,
    .write_stream_error = write_stream_error,
};
