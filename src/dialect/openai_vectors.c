/* Embeddings, moderations and rankings: calls whose answers are numbers.
 *
 * Official clients ask for embeddings as base64 of little-endian 32-bit floats and fall back to arrays of numbers where a server knows nothing
 * else; other clients do not: what was asked for is made here where it has to be.
 */
#include "dialect/openai_vectors.h"

#include <openssl/evp.h>
#include <stdlib.h>

/* --- embeddings --- */

static enum weir_status read_embedding_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                            struct weir_call_problem *problem) {
    enum { MODEL, INPUT, ENCODING, COUNT };
    static const struct weir_json_want wants[COUNT] = {{"model"}, {"input"}, {"encoding_format"}};
    struct weir_json_found found[COUNT];
    struct weir_span encoding;
    if (dialect__scan_call(body, wants, COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[MODEL], NULL, call, problem) != WEIR_OK ||
        dialect__require(&found[INPUT], "input", "a string or an array", problem) != WEIR_OK ||
        dialect__read_text(arena, &found[ENCODING], "encoding_format", &encoding, problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->wants_base64 = weir_span_equal(encoding, WEIR_SPAN("base64"));
    return WEIR_OK;
}

bool dialect__write_base64_vector(struct weir_span array, struct weir_buffer *floats, struct weir_buffer *out) {
    struct weir_json_found number;
    struct weir_span name;
    size_t cursor = 0;
    enum weir_status status;
    weir_buffer_clear(floats);
    while ((status = weir_json_next(array, &cursor, &name, &number)) == WEIR_OK) {
        char text[64];
        if (number.kind != WEIR_JSON_NUMBER || number.value.length >= sizeof text)
            return false;
        memcpy(text, number.value.at, number.value.length);
        text[number.value.length] = '\0';
        float value = strtof(text, NULL);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        const char bytes[4] = {(char)(bits & 0xFFU), (char)(bits >> 8 & 0xFFU), (char)(bits >> 16 & 0xFFU),
                               (char)(bits >> 24 & 0xFFU)};
        weir_buffer_append(floats, weir_span_of(bytes, 4));
    }
    weir_buffer_append_byte(out, '"');
    if (weir_buffer_reserve(out, (floats->length + 2) / 3 * 4 + 1) != NULL) {
        int written = EVP_EncodeBlock((unsigned char *)out->at + out->length, (const unsigned char *)floats->at,
                                      (int)floats->length);
        weir_buffer_commit(out, (size_t)written);
    }
    weir_buffer_append_byte(out, '"');
    return status == WEIR_END;
}

static enum weir_status rewrite_embeddings(const struct weir_call *call, struct weir_span body,
                                           struct weir_buffer *out) {
    static const struct weir_json_want wants[] = {{"data"}}, item_wants[] = {{"embedding"}};
    struct weir_json_found data, item, vector;
    struct weir_span name;
    struct weir_buffer floats;
    size_t cursor = 0, copied = 0;
    if (!call->wants_base64 || weir_json_scan(body, wants, 1, &data, NULL, NULL) != WEIR_OK ||
        data.kind != WEIR_JSON_ARRAY)
        return WEIR_END;
    weir_buffer_init(&floats, WEIR_MIB);
    bool whole = true;
    while (whole && weir_json_next(data.value, &cursor, &name, &item) == WEIR_OK) {
        if (item.kind != WEIR_JSON_OBJECT ||
            weir_json_scan(item.value, item_wants, 1, &vector, NULL, NULL) != WEIR_OK || vector.kind != WEIR_JSON_ARRAY)
            continue;
        size_t at = (size_t)(vector.value.at - body.at);
        weir_buffer_append(out, weir_span_of(body.at + copied, at - copied));
        whole = dialect__write_base64_vector(vector.value, &floats, out);
        copied = at + vector.value.length;
    }
    weir_buffer_append(out, weir_span_from(body, copied));
    enum weir_status status = weir_buffer_status(&floats) != WEIR_OK ? weir_buffer_status(&floats)
                                                                     : weir_buffer_status(out);
    weir_buffer_release(&floats);
    /* Where there is no room for it, numbers are better than nothing: the answer has been made and billed. */
    return !whole || copied == 0 || status == WEIR_ELIMIT ? WEIR_END : status;
}

const struct weir_format weir_format_embeddings = {
    .name = "embeddings",
    .flags = WEIR_FORMAT_TOKENS,
    .dialect = WEIR_DIALECT_OPENAI,
    .task = WEIR_TASK_EMBED,
    .front = &weir_front_embeddings,
    .read_call = read_embedding_call,
    .edit_call = dialect__edit_model,
    .rewrite_answer = rewrite_embeddings,
    .read_answer = dialect__read_answer,
    .find_usage = dialect__find_usage,
    .edit_answer = dialect__edit_estimated_answer,
};

/* --- moderations --- */

static enum weir_status read_moderation_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                             struct weir_call_problem *problem) {
    enum { MODEL, INPUT, COUNT };
    static const struct weir_json_want wants[COUNT] = {{"model"}, {"input"}};
    struct weir_json_found found[COUNT];
    if (dialect__scan_call(body, wants, COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[MODEL], "omni-moderation-latest", call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    return dialect__require(&found[INPUT], "input", "a string or an array", problem);
}

const struct weir_format weir_format_moderations = {
    .name = "moderations",
    .flags = WEIR_FORMAT_TOKENS,
    .read_call = read_moderation_call,
    .edit_call = dialect__edit_model,
    .read_answer = dialect__read_answer,
    .find_usage = dialect__find_usage,
    .edit_answer = dialect__edit_answer,
};

/* --- rankings --- */

/* Where a provider bills by the search and does not say how many it was: a query with up to a hundred documents is one. */
enum { DOCUMENTS_A_SEARCH = 100 };

static enum weir_status read_rank_call(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                       struct weir_call_problem *problem) {
    enum { MODEL, QUERY, DOCUMENTS, COUNT };
    static const struct weir_json_want wants[COUNT] = {{"model"}, {"query"}, {"documents"}};
    struct weir_json_found found[COUNT];
    if (dialect__scan_call(body, wants, COUNT, found, call, problem) != WEIR_OK ||
        dialect__read_model(arena, &found[MODEL], NULL, call, problem) != WEIR_OK ||
        dialect__require(&found[QUERY], "query", "what is searched for", problem) != WEIR_OK ||
        dialect__require(&found[DOCUMENTS], "documents", "an array", problem) != WEIR_OK)
        return WEIR_EINVAL;
    if (found[DOCUMENTS].kind != WEIR_JSON_ARRAY)
        return dialect__field_problem(problem, WEIR_REASON_FIELD_INVALID, "documents", "an array", &found[DOCUMENTS]);
    call->unit = WEIR_UNIT_SEARCH;
    call->units = ((int64_t)found[DOCUMENTS].elements + DOCUMENTS_A_SEARCH - 1) / DOCUMENTS_A_SEARCH;
    call->units_are_exact = true;
    /* A query is read again with each document. */
    call->more_input_tokens = (int64_t)found[QUERY].value.length * (int64_t)found[DOCUMENTS].elements;
    return WEIR_OK;
}

static enum weir_status read_rank_answer(struct weir_span body, struct weir_answer *answer) {
    struct weir_json_found billed;
    enum weir_status status = dialect__scan_answer(body, "meta.billed_units", &billed, answer);
    if (status != WEIR_OK)
        return status;
    answer->content_bytes = (int64_t)body.length;
    if (!answer->has_usage && billed.kind == WEIR_JSON_OBJECT)
        answer->has_usage = dialect__read_usage(billed.value, &answer->usage);
    return WEIR_OK;
}

const struct weir_format weir_format_rerank = {
    .name = "rerank",
    .flags = WEIR_FORMAT_TOKENS,
    .read_call = read_rank_call,
    .edit_call = dialect__edit_model,
    .read_answer = read_rank_answer,
    .find_usage = dialect__find_usage,
    .edit_answer = dialect__edit_answer,
};
