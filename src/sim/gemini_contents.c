/* The contents of a request to the Gemini API: who may say what after whom, what it costs, and what has arrived besides text.
 *
 * The rules are the API's own: calls of functions and their results come in pairs of turns, and a model that reasons wants its signatures
 * back on the calls of the turn that is going on.
 */
#include "sim/gemini.h"

#include "sim/media.h"

enum { CONTENT_TOKENS = 4, IMAGE_TOKENS = 258, DOCUMENT_TOKENS = 258, VIDEO_TOKENS = 263, AUDIO_TOKENS = 32 };
enum { AUDIO_SECOND_BYTES = 32000, OTHER_PART_TOKENS = 50, SHOWN_TEXT = 120 };
#define MAX_MEDIA_BYTES ((size_t)64 * 1024 * 1024)

struct turns {
    struct sim_gemini_contents *contents;
    struct sim_refusal *refusal;
    struct weir_span model;
    bool reasons;
    size_t index;     /* of the content that is read */
    size_t asked;     /* the last content in which a user says something */
    bool after_model; /* the content before is the model's */
    size_t calls;     /* of the content before */
};

static bool refuse(struct sim_refusal *refusal, const char *message) {
    sim__refuse(refusal, 400, NULL, NULL, "%s", message);
    return false;
}

/* --- media --- */

static bool begins(struct weir_span text, const char *start) {
    return weir_span_starts_with(text, weir_span_of_string(start));
}

/* False: the API does not take such a thing. */
static bool modality_of(struct weir_span type, enum sim_modality *modality) {
    static const struct {
        const char *start;
        enum sim_modality modality;
    } kinds[] = {
        {"image/png", SIM_MODALITY_IMAGE},  {"image/jpeg", SIM_MODALITY_IMAGE},
        {"image/webp", SIM_MODALITY_IMAGE}, {"image/heic", SIM_MODALITY_IMAGE},
        {"image/heif", SIM_MODALITY_IMAGE}, {"audio/", SIM_MODALITY_AUDIO},
        {"video/", SIM_MODALITY_VIDEO},     {"application/pdf", SIM_MODALITY_DOCUMENT},
        {"text/", SIM_MODALITY_TEXT},       {"application/json", SIM_MODALITY_TEXT},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (begins(type, kinds[i].start)) {
            *modality = kinds[i].modality;
            return true;
        }
    }
    return false;
}

static int64_t media_tokens(enum sim_modality modality, size_t bytes) {
    switch (modality) {
    case SIM_MODALITY_IMAGE: return IMAGE_TOKENS;
    case SIM_MODALITY_VIDEO: return VIDEO_TOKENS;
    case SIM_MODALITY_AUDIO: return AUDIO_TOKENS * (int64_t)((bytes + AUDIO_SECOND_BYTES - 1) / AUDIO_SECOND_BYTES);
    case SIM_MODALITY_DOCUMENT: return DOCUMENT_TOKENS;
    case SIM_MODALITY_TEXT:
    case SIM_MODALITIES: break;
    }
    return sim__input_tokens(bytes);
}

/* What each is called in the description, as for chat completions. */
static const char *const media_names[SIM_MODALITIES] = {"file", "image", "video", "audio", "file"};

static bool read_blob(yyjson_val *blob, struct sim_gemini_contents *contents, struct sim_refusal *refusal) {
    struct weir_span type = sim__input_text(sim__gemini_get(blob, "mimeType"));
    enum sim_modality modality = SIM_MODALITY_TEXT;
    struct weir_buffer bytes;
    if (!modality_of(type, &modality)) {
        sim__refuse(refusal, 400, NULL, NULL, "Unsupported MIME type: %.*s",
                    type.length < SHOWN_TEXT ? (int)type.length : SHOWN_TEXT, type.at);
        return false;
    }
    weir_buffer_init(&bytes, MAX_MEDIA_BYTES);
    sim__gemini_unbase64(sim__input_text(sim__gemini_get(blob, "data")), &bytes);
    bool read = weir_buffer_status(&bytes) == WEIR_OK;
    if (read && bytes.length == 0) {
        read = refuse(refusal, "Unable to process input: the inline data is empty.");
    } else if (read) {
        struct weir_span span = weir_buffer_span(&bytes);
        contents->hash = sim__hash(contents->hash, span);
        contents->tokens[modality] += media_tokens(modality, span.length);
        sim__media_describe(media_names[modality], type, span, sim__input_text(sim__gemini_get(blob, "displayName")),
                            &contents->arrived);
    }
    weir_buffer_release(&bytes);
    return read;
}

static bool read_file(yyjson_val *file, struct sim_gemini_contents *contents, struct sim_refusal *refusal) {
    struct weir_span uri = sim__input_text(sim__gemini_get(file, "fileUri"));
    struct weir_span type = sim__input_text(sim__gemini_get(file, "mimeType"));
    enum sim_modality modality = SIM_MODALITY_DOCUMENT;
    if (weir_span_is_empty(uri)) {
        return refuse(refusal,
                      "* GenerateContentRequest.contents.parts.file_data.file_uri: file_uri must not be empty.");
    }
    if (type.length > 0 && !modality_of(type, &modality)) {
        sim__refuse(refusal, 400, NULL, NULL, "Unsupported MIME type: %.*s",
                    type.length < SHOWN_TEXT ? (int)type.length : SHOWN_TEXT, type.at);
        return false;
    }
    modality = modality == SIM_MODALITY_TEXT ? SIM_MODALITY_DOCUMENT : modality;
    contents->hash = sim__hash(contents->hash, uri);
    contents->tokens[modality] += media_tokens(modality, AUDIO_SECOND_BYTES);
    sim__media_refer(media_names[modality], "url", uri, &contents->arrived);
    return true;
}

/* --- parts --- */

/* The one member of a part that says what it is. */
static const char *const data_names[] = {
    "text",           "inlineData",          "fileData", "functionCall", "functionResponse",
    "executableCode", "codeExecutionResult", "toolCall", "toolResponse",
};

static bool find_data(yyjson_val *part, const char *path, size_t index, const char **name,
                      struct sim_refusal *refusal) {
    *name = NULL;
    for (size_t i = 0; i < sizeof data_names / sizeof data_names[0]; i++) {
        if (sim__gemini_get(part, data_names[i]) == NULL) {
            continue;
        }
        if (*name != NULL) {
            sim__refuse(refusal, 400, NULL, NULL,
                        "Invalid value at '%s.parts[%zu]' (oneof), oneof field 'data' is already set. Cannot set '%s'",
                        path, index, data_names[i]);
            return false;
        }
        *name = data_names[i];
    }
    if (*name == NULL) {
        sim__refuse(refusal, 400, NULL, NULL,
                    "* GenerateContentRequest.%s.parts[%zu].data: required oneof field 'data' must have one "
                    "initialized field\n",
                    path, index);
        return false;
    }
    return true;
}

static bool read_response(yyjson_val *response, struct sim_gemini_contents *contents, struct sim_refusal *refusal) {
    struct sim_gemini_list parts = sim__gemini_list(response, "parts");
    for (yyjson_val *part = sim__gemini_next(&parts); part != NULL; part = sim__gemini_next(&parts)) {
        yyjson_val *blob = sim__gemini_get(part, "inlineData");
        if (blob != NULL ? !read_blob(blob, contents, refusal)
                         : !read_file(sim__gemini_get(part, "fileData"), contents, refusal)) {
            return false;
        }
    }
    return true;
}

static bool read_part(yyjson_val *part, const char *path, size_t index, struct sim_gemini_contents *contents,
                      struct sim_refusal *refusal) {
    const char *name = NULL;
    if (!find_data(part, path, index, &name, refusal)) {
        return false;
    }
    yyjson_val *data = sim__gemini_get(part, name);
    if (yyjson_is_str(data)) {
        /* Thoughts are shown to people; the model does not read them again. */
        if (!yyjson_is_true(sim__gemini_get(part, "thought"))) {
            contents->hash = sim__hash(contents->hash, sim__input_text(data));
            contents->tokens[SIM_MODALITY_TEXT] += sim__input_tokens(yyjson_get_len(data));
        }
        return true;
    }
    if (strcmp(name, "inlineData") == 0) {
        return read_blob(data, contents, refusal);
    }
    if (strcmp(name, "fileData") == 0) {
        return read_file(data, contents, refusal);
    }
    if (begins(weir_span_of_string(name), "function")) {
        yyjson_val *said = sim__gemini_get(data, name[8] == 'C' ? "args" : "response");
        if (yyjson_get_len(sim__gemini_get(data, "name")) == 0) {
            sim__refuse(refusal, 400, NULL, NULL,
                        "* GenerateContentRequest.%s.parts[%zu].function_%s.name: Name cannot be empty.\n", path, index,
                        name[8] == 'C' ? "call" : "response");
            return false;
        }
        contents->hash = sim__input_hash(sim__hash(contents->hash, sim__input_text(sim__gemini_get(data, "name"))),
                                         said);
        contents->tokens[SIM_MODALITY_TEXT] += sim__input_tokens(sim__input_string_bytes(said)) +
                                               sim__input_tokens(yyjson_get_len(sim__gemini_get(data, "name")));
        return name[8] == 'C' || read_response(data, contents, refusal);
    }
    contents->hash = sim__input_hash(contents->hash, data);
    contents->tokens[SIM_MODALITY_TEXT] += OTHER_PART_TOKENS;
    return true;
}

bool sim__gemini_content(yyjson_val *content, const char *path, struct sim_gemini_contents *contents,
                         struct sim_refusal *refusal) {
    struct sim_gemini_list parts = sim__gemini_list(content, "parts");
    if (parts.count == 0) {
        sim__refuse(refusal, 400, NULL, NULL, "* GenerateContentRequest.%s.parts: contents.parts must not be empty.\n",
                    path);
        return false;
    }
    contents->tokens[SIM_MODALITY_TEXT] += CONTENT_TOKENS;
    for (yyjson_val *part = sim__gemini_next(&parts); part != NULL; part = sim__gemini_next(&parts)) {
        if (!read_part(part, path, parts.index - 1, contents, refusal)) {
            return false;
        }
    }
    return true;
}

/* --- turns --- */

static size_t count_parts(yyjson_val *content, const char *name) {
    struct sim_gemini_list parts = sim__gemini_list(content, "parts");
    size_t found = 0;
    for (yyjson_val *part = sim__gemini_next(&parts); part != NULL; part = sim__gemini_next(&parts)) {
        found += sim__gemini_get(part, name) != NULL ? 1 : 0;
    }
    return found;
}

static bool is_models(yyjson_val *content) {
    return sim__input_is(sim__gemini_get(content, "role"), "model");
}

static bool is_asking(yyjson_val *content) {
    return !is_models(content) && count_parts(content, "functionResponse") == 0;
}

/* The first call of a step has a signature, the others may have one; every signature is one of ours. */
static bool check_signatures(const struct turns *turns, yyjson_val *content) {
    struct sim_gemini_list parts = sim__gemini_list(content, "parts");
    bool first = true;
    for (yyjson_val *part = sim__gemini_next(&parts); part != NULL; part = sim__gemini_next(&parts)) {
        yyjson_val *call = sim__gemini_get(part, "functionCall");
        struct weir_span signature = sim__input_text(sim__gemini_get(part, "thoughtSignature"));
        struct weir_span name = sim__input_text(sim__gemini_get(call, "name"));
        uint64_t what = call != NULL ? sim__gemini_call_hash(name, sim__gemini_get(call, "args")) : 0;
        if (call != NULL && first && weir_span_is_empty(signature) && turns->index > turns->asked) {
            sim__refuse(turns->refusal, 400, NULL, NULL,
                        "Function call is missing a thought_signature in functionCall parts. This is required for "
                        "tools to work correctly. Additional data, function call `default_api:%.*s` , position %zu.",
                        name.length < 40 ? (int)name.length : 40, name.at, turns->index + 1);
            return false;
        }
        if (!weir_span_is_empty(signature) && !sim__gemini_signed(signature, what)) {
            return refuse(turns->refusal, "Corrupted thought signature.");
        }
        first &= call == NULL;
    }
    return true;
}

static bool read_turn(struct turns *turns, yyjson_val *content) {
    yyjson_val *role = sim__gemini_get(content, "role");
    size_t calls = count_parts(content, "functionCall");
    size_t responses = count_parts(content, "functionResponse");
    bool models = is_models(content);
    char path[48];
    (void)snprintf(path, sizeof path, "contents[%zu]", turns->index);
    if (yyjson_get_len(role) > 0 && !models && !sim__input_is(role, "user") && !sim__input_is(role, "function")) {
        return refuse(turns->refusal, "Please use a valid role: user, model.");
    }
    turns->contents->hash = sim__hash(turns->contents->hash, models ? WEIR_SPAN("model") : WEIR_SPAN("user"));
    if (!sim__gemini_content(content, path, turns->contents, turns->refusal)) {
        return false;
    }
    if (responses > 0 && turns->calls == 0) {
        return refuse(turns->refusal, "Please ensure that function response turn comes immediately after a function "
                                      "call turn.");
    }
    if (turns->calls != responses) {
        return refuse(turns->refusal, "Please ensure that the number of function response parts is equal to the number "
                                      "of function call parts of the function call turn.");
    }
    if (calls > 0 && (!models || turns->index == 0 || turns->after_model)) {
        return refuse(turns->refusal, "Please ensure that function call turn comes immediately after a user turn or "
                                      "after a function response turn.");
    }
    if (models && turns->reasons && !check_signatures(turns, content)) {
        return false;
    }
    turns->after_model = models;
    turns->calls = calls;
    return true;
}

bool sim__gemini_contents(yyjson_val *root, struct weir_span model, struct sim_gemini_contents *contents,
                          struct sim_refusal *refusal) {
    struct turns turns = {.contents = contents,
                          .refusal = refusal,
                          .model = model,
                          .reasons = sim__input_contains(model, "reasoner")};
    struct sim_gemini_list list = sim__gemini_list(root, "contents");
    yyjson_val *system = sim__gemini_get(root, "systemInstruction");
    yyjson_val *tools = sim__gemini_get(root, "tools");
    yyjson_val *last = NULL;
    if (list.count == 0) {
        return refuse(refusal, "* GenerateContentRequest.contents: contents is not specified\n");
    }
    for (yyjson_val *content = sim__gemini_next(&list); content != NULL; content = sim__gemini_next(&list)) {
        turns.asked = is_asking(content) ? list.index - 1 : turns.asked;
    }
    list = sim__gemini_list(root, "contents");
    if (system != NULL && !sim__gemini_content(system, "system_instruction", contents, refusal)) {
        return false;
    }
    for (yyjson_val *content = sim__gemini_next(&list); content != NULL; content = sim__gemini_next(&list)) {
        turns.index = list.index - 1;
        if (!read_turn(&turns, content)) {
            return false;
        }
        last = content;
    }
    contents->tokens[SIM_MODALITY_TEXT] += sim__input_tokens(sim__input_string_bytes(tools));
    contents->hash = sim__input_hash(contents->hash, tools);
    contents->asks = is_asking(last);
    return true;
}
