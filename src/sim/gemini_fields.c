/* See gemini_fields.h. One table a message; refusals have the API's words and its paths, which are in snake_case. */
#include "sim/gemini_fields.h"

enum { MAX_FIELD_DEPTH = 64, PATH_SIZE = 160 };

enum kind {
    KIND_TEXT,
    KIND_BYTES,
    KIND_FLAG,
    KIND_INT32,
    KIND_INT64,
    KIND_FLOAT,
    KIND_ENUM,
    KIND_MESSAGE,
    KIND_STRUCT, /* any object */
    KIND_VALUE,  /* anything */
    KIND_MAP     /* of messages, by name */
};

enum { ONE = false, MANY = true };

struct field {
    const char *name; /* in camelCase; NULL ends the table */
    enum kind kind;
    bool many;
    enum sim_gemini_message message;
    const char *const *names; /* of an enumeration, behind its type; NULL ends them */
};

static const char *const type_names[] = {"Type",  "type_unspecified", "string", "number", "integer", "boolean",
                                         "array", "object",           "null",   NULL};
static const char *const mode_names[] = {
    "FunctionCallingConfig.Mode", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED", NULL};
static const char *const level_names[] = {
    "ThinkingConfig.ThinkingLevel", "THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH", NULL};
static const char *const category_names[] = {"HarmCategory",
                                             "HARM_CATEGORY_UNSPECIFIED",
                                             "HARM_CATEGORY_HARASSMENT",
                                             "HARM_CATEGORY_HATE_SPEECH",
                                             "HARM_CATEGORY_SEXUALLY_EXPLICIT",
                                             "HARM_CATEGORY_DANGEROUS_CONTENT",
                                             "HARM_CATEGORY_CIVIC_INTEGRITY",
                                             "HARM_CATEGORY_JAILBREAK",
                                             NULL};
static const char *const threshold_names[] = {"SafetySetting.HarmBlockThreshold",
                                              "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
                                              "BLOCK_LOW_AND_ABOVE",
                                              "BLOCK_MEDIUM_AND_ABOVE",
                                              "BLOCK_ONLY_HIGH",
                                              "BLOCK_NONE",
                                              "OFF",
                                              NULL};
static const char *const modality_names[] = {
    "GenerationConfig.Modality", "MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", NULL};
static const char *const resolution_names[] = {"GenerationConfig.MediaResolution",
                                               "MEDIA_RESOLUTION_UNSPECIFIED",
                                               "MEDIA_RESOLUTION_LOW",
                                               "MEDIA_RESOLUTION_MEDIUM",
                                               "MEDIA_RESOLUTION_HIGH",
                                               "MEDIA_RESOLUTION_ULTRA_HIGH",
                                               NULL};
static const char *const language_names[] = {"ExecutableCode.Language", "LANGUAGE_UNSPECIFIED", "PYTHON", NULL};
static const char *const outcome_names[] = {"CodeExecutionResult.Outcome",
                                            "OUTCOME_UNSPECIFIED",
                                            "OUTCOME_OK",
                                            "OUTCOME_FAILED",
                                            "OUTCOME_DEADLINE_EXCEEDED",
                                            NULL};
static const char *const behavior_names[] = {"FunctionDeclaration.Behavior", "UNSPECIFIED", "BLOCKING", "NON_BLOCKING",
                                             NULL};
static const char *const scheduling_names[] = {
    "FunctionResponse.Scheduling", "SCHEDULING_UNSPECIFIED", "SILENT", "WHEN_IDLE", "INTERRUPT", NULL};

static const struct field request_fields[] = {
    {"model", KIND_TEXT, ONE, 0, NULL},
    {"contents", KIND_MESSAGE, MANY, SIM_GEMINI_CONTENT, NULL},
    {"systemInstruction", KIND_MESSAGE, ONE, SIM_GEMINI_CONTENT, NULL},
    {"tools", KIND_MESSAGE, MANY, SIM_GEMINI_TOOL, NULL},
    {"toolConfig", KIND_MESSAGE, ONE, SIM_GEMINI_TOOL_CONFIG, NULL},
    {"safetySettings", KIND_MESSAGE, MANY, SIM_GEMINI_SAFETY_SETTING, NULL},
    {"generationConfig", KIND_MESSAGE, ONE, SIM_GEMINI_GENERATION_CONFIG, NULL},
    {"cachedContent", KIND_TEXT, ONE, 0, NULL},
    {"labels", KIND_STRUCT, ONE, 0, NULL},
    {"serviceTier", KIND_TEXT, ONE, 0, NULL},
    {"store", KIND_FLAG, ONE, 0, NULL},
    {"continuationToken", KIND_BYTES, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field content_fields[] = {
    {"parts", KIND_MESSAGE, MANY, SIM_GEMINI_PART, NULL},
    {"role", KIND_TEXT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field part_fields[] = {
    {"text", KIND_TEXT, ONE, 0, NULL},
    {"inlineData", KIND_MESSAGE, ONE, SIM_GEMINI_BLOB, NULL},
    {"fileData", KIND_MESSAGE, ONE, SIM_GEMINI_FILE_DATA, NULL},
    {"functionCall", KIND_MESSAGE, ONE, SIM_GEMINI_FUNCTION_CALL, NULL},
    {"functionResponse", KIND_MESSAGE, ONE, SIM_GEMINI_FUNCTION_RESPONSE, NULL},
    {"executableCode", KIND_MESSAGE, ONE, SIM_GEMINI_EXECUTABLE_CODE, NULL},
    {"codeExecutionResult", KIND_MESSAGE, ONE, SIM_GEMINI_CODE_RESULT, NULL},
    {"toolCall", KIND_STRUCT, ONE, 0, NULL},
    {"toolResponse", KIND_STRUCT, ONE, 0, NULL},
    {"thought", KIND_FLAG, ONE, 0, NULL},
    {"thoughtSignature", KIND_BYTES, ONE, 0, NULL},
    {"videoMetadata", KIND_MESSAGE, ONE, SIM_GEMINI_VIDEO_METADATA, NULL},
    {"mediaResolution", KIND_MESSAGE, ONE, SIM_GEMINI_RESOLUTION, NULL},
    {"partMetadata", KIND_STRUCT, ONE, 0, NULL},
    {"audioTranscription", KIND_STRUCT, ONE, 0, NULL},
    {"mediaProcessing", KIND_STRUCT, ONE, 0, NULL},
    {"speechMetadata", KIND_STRUCT, ONE, 0, NULL},
    {"documentMetadata", KIND_STRUCT, ONE, 0, NULL},
    {"spreadsheetMetadata", KIND_STRUCT, ONE, 0, NULL},
    {"audioMetadata", KIND_STRUCT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field blob_fields[] = {
    {"mimeType", KIND_TEXT, ONE, 0, NULL},
    {"data", KIND_BYTES, ONE, 0, NULL},
    {"displayName", KIND_TEXT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field file_data_fields[] = {
    {"mimeType", KIND_TEXT, ONE, 0, NULL},
    {"fileUri", KIND_TEXT, ONE, 0, NULL},
    {"displayName", KIND_TEXT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field function_call_fields[] = {
    {"id", KIND_TEXT, ONE, 0, NULL},
    {"name", KIND_TEXT, ONE, 0, NULL},
    {"args", KIND_STRUCT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field function_response_fields[] = {
    {"id", KIND_TEXT, ONE, 0, NULL},
    {"name", KIND_TEXT, ONE, 0, NULL},
    {"response", KIND_STRUCT, ONE, 0, NULL},
    {"parts", KIND_MESSAGE, MANY, SIM_GEMINI_RESPONSE_PART, NULL},
    {"willContinue", KIND_FLAG, ONE, 0, NULL},
    {"scheduling", KIND_ENUM, ONE, 0, scheduling_names},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field response_part_fields[] = {
    {"inlineData", KIND_MESSAGE, ONE, SIM_GEMINI_BLOB, NULL},
    {"fileData", KIND_MESSAGE, ONE, SIM_GEMINI_FILE_DATA, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field executable_code_fields[] = {
    {"id", KIND_TEXT, ONE, 0, NULL},
    {"language", KIND_ENUM, ONE, 0, language_names},
    {"code", KIND_TEXT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field code_result_fields[] = {
    {"id", KIND_TEXT, ONE, 0, NULL},
    {"outcome", KIND_ENUM, ONE, 0, outcome_names},
    {"output", KIND_TEXT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field video_metadata_fields[] = {
    {"startOffset", KIND_TEXT, ONE, 0, NULL},
    {"endOffset", KIND_TEXT, ONE, 0, NULL},
    {"fps", KIND_FLOAT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field resolution_fields[] = {
    {"level", KIND_ENUM, ONE, 0, resolution_names},
    {"numTokens", KIND_INT32, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field tool_fields[] = {
    {"functionDeclarations", KIND_MESSAGE, MANY, SIM_GEMINI_DECLARATION, NULL},
    {"googleSearch", KIND_STRUCT, ONE, 0, NULL},
    {"googleSearchRetrieval", KIND_STRUCT, ONE, 0, NULL},
    {"codeExecution", KIND_STRUCT, ONE, 0, NULL},
    {"urlContext", KIND_STRUCT, ONE, 0, NULL},
    {"googleMaps", KIND_STRUCT, ONE, 0, NULL},
    {"fileSearch", KIND_STRUCT, ONE, 0, NULL},
    {"computerUse", KIND_STRUCT, ONE, 0, NULL},
    {"mcpServers", KIND_VALUE, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field declaration_fields[] = {
    {"name", KIND_TEXT, ONE, 0, NULL},
    {"description", KIND_TEXT, ONE, 0, NULL},
    {"behavior", KIND_ENUM, ONE, 0, behavior_names},
    {"parameters", KIND_MESSAGE, ONE, SIM_GEMINI_SCHEMA, NULL},
    {"parametersJsonSchema", KIND_VALUE, ONE, 0, NULL},
    {"response", KIND_MESSAGE, ONE, SIM_GEMINI_SCHEMA, NULL},
    {"responseJsonSchema", KIND_VALUE, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field schema_fields[] = {
    {"type", KIND_ENUM, ONE, 0, type_names},
    {"format", KIND_TEXT, ONE, 0, NULL},
    {"title", KIND_TEXT, ONE, 0, NULL},
    {"description", KIND_TEXT, ONE, 0, NULL},
    {"nullable", KIND_FLAG, ONE, 0, NULL},
    {"enum", KIND_TEXT, MANY, 0, NULL},
    {"maxItems", KIND_INT64, ONE, 0, NULL},
    {"minItems", KIND_INT64, ONE, 0, NULL},
    {"properties", KIND_MAP, ONE, SIM_GEMINI_SCHEMA, NULL},
    {"required", KIND_TEXT, MANY, 0, NULL},
    {"minProperties", KIND_INT64, ONE, 0, NULL},
    {"maxProperties", KIND_INT64, ONE, 0, NULL},
    {"minLength", KIND_INT64, ONE, 0, NULL},
    {"maxLength", KIND_INT64, ONE, 0, NULL},
    {"pattern", KIND_TEXT, ONE, 0, NULL},
    {"example", KIND_VALUE, ONE, 0, NULL},
    {"anyOf", KIND_MESSAGE, MANY, SIM_GEMINI_SCHEMA, NULL},
    {"propertyOrdering", KIND_TEXT, MANY, 0, NULL},
    {"default", KIND_VALUE, ONE, 0, NULL},
    {"items", KIND_MESSAGE, ONE, SIM_GEMINI_SCHEMA, NULL},
    {"minimum", KIND_FLOAT, ONE, 0, NULL},
    {"maximum", KIND_FLOAT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field tool_config_fields[] = {
    {"functionCallingConfig", KIND_MESSAGE, ONE, SIM_GEMINI_CALLING_CONFIG, NULL},
    {"retrievalConfig", KIND_STRUCT, ONE, 0, NULL},
    {"includeServerSideToolInvocations", KIND_FLAG, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field calling_config_fields[] = {
    {"mode", KIND_ENUM, ONE, 0, mode_names},
    {"allowedFunctionNames", KIND_TEXT, MANY, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field safety_setting_fields[] = {
    {"category", KIND_ENUM, ONE, 0, category_names},
    {"threshold", KIND_ENUM, ONE, 0, threshold_names},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field generation_config_fields[] = {
    {"temperature", KIND_FLOAT, ONE, 0, NULL},
    {"topP", KIND_FLOAT, ONE, 0, NULL},
    {"topK", KIND_INT32, ONE, 0, NULL},
    {"candidateCount", KIND_INT32, ONE, 0, NULL},
    {"maxOutputTokens", KIND_INT32, ONE, 0, NULL},
    {"stopSequences", KIND_TEXT, MANY, 0, NULL},
    {"seed", KIND_INT32, ONE, 0, NULL},
    {"presencePenalty", KIND_FLOAT, ONE, 0, NULL},
    {"frequencyPenalty", KIND_FLOAT, ONE, 0, NULL},
    {"responseMimeType", KIND_TEXT, ONE, 0, NULL},
    {"responseSchema", KIND_MESSAGE, ONE, SIM_GEMINI_SCHEMA, NULL},
    {"responseJsonSchema", KIND_VALUE, ONE, 0, NULL},
    {"responseLogprobs", KIND_FLAG, ONE, 0, NULL},
    {"logprobs", KIND_INT32, ONE, 0, NULL},
    {"responseModalities", KIND_ENUM, MANY, 0, modality_names},
    {"mediaResolution", KIND_ENUM, ONE, 0, resolution_names},
    {"speechConfig", KIND_STRUCT, ONE, 0, NULL},
    {"imageConfig", KIND_STRUCT, ONE, 0, NULL},
    {"thinkingConfig", KIND_MESSAGE, ONE, SIM_GEMINI_THINKING_CONFIG, NULL},
    {"enableEnhancedCivicAnswers", KIND_FLAG, ONE, 0, NULL},
    {"audioTranscriptionConfig", KIND_STRUCT, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field thinking_config_fields[] = {
    {"includeThoughts", KIND_FLAG, ONE, 0, NULL},
    {"thinkingBudget", KIND_INT32, ONE, 0, NULL},
    {"thinkingLevel", KIND_ENUM, ONE, 0, level_names},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field count_fields[] = {
    {"model", KIND_TEXT, ONE, 0, NULL},
    {"contents", KIND_MESSAGE, MANY, SIM_GEMINI_CONTENT, NULL},
    {"generateContentRequest", KIND_MESSAGE, ONE, SIM_GEMINI_REQUEST, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field embed_fields[] = {
    {"model", KIND_TEXT, ONE, 0, NULL},
    {"content", KIND_MESSAGE, ONE, SIM_GEMINI_CONTENT, NULL},
    {"taskType", KIND_TEXT, ONE, 0, NULL},
    {"title", KIND_TEXT, ONE, 0, NULL},
    {"outputDimensionality", KIND_INT32, ONE, 0, NULL},
    {NULL, 0, ONE, 0, NULL},
};
static const struct field embed_batch_fields[] = {
    {"model", KIND_TEXT, ONE, 0, NULL},
    {"requests", KIND_MESSAGE, MANY, SIM_GEMINI_EMBED_REQUEST, NULL},
    {NULL, 0, ONE, 0, NULL},
};

static const struct {
    const char *type; /* behind google.ai.generativelanguage.v1beta. */
    const struct field *fields;
} messages[SIM_GEMINI_MESSAGES] = {
    [SIM_GEMINI_REQUEST] = {"GenerateContentRequest", request_fields},
    [SIM_GEMINI_CONTENT] = {"Content", content_fields},
    [SIM_GEMINI_PART] = {"Part", part_fields},
    [SIM_GEMINI_BLOB] = {"Blob", blob_fields},
    [SIM_GEMINI_FILE_DATA] = {"FileData", file_data_fields},
    [SIM_GEMINI_FUNCTION_CALL] = {"FunctionCall", function_call_fields},
    [SIM_GEMINI_FUNCTION_RESPONSE] = {"FunctionResponse", function_response_fields},
    [SIM_GEMINI_RESPONSE_PART] = {"FunctionResponsePart", response_part_fields},
    [SIM_GEMINI_EXECUTABLE_CODE] = {"ExecutableCode", executable_code_fields},
    [SIM_GEMINI_CODE_RESULT] = {"CodeExecutionResult", code_result_fields},
    [SIM_GEMINI_VIDEO_METADATA] = {"VideoMetadata", video_metadata_fields},
    [SIM_GEMINI_RESOLUTION] = {"MediaResolution", resolution_fields},
    [SIM_GEMINI_TOOL] = {"Tool", tool_fields},
    [SIM_GEMINI_DECLARATION] = {"FunctionDeclaration", declaration_fields},
    [SIM_GEMINI_SCHEMA] = {"Schema", schema_fields},
    [SIM_GEMINI_TOOL_CONFIG] = {"ToolConfig", tool_config_fields},
    [SIM_GEMINI_CALLING_CONFIG] = {"FunctionCallingConfig", calling_config_fields},
    [SIM_GEMINI_SAFETY_SETTING] = {"SafetySetting", safety_setting_fields},
    [SIM_GEMINI_GENERATION_CONFIG] = {"GenerationConfig", generation_config_fields},
    [SIM_GEMINI_THINKING_CONFIG] = {"ThinkingConfig", thinking_config_fields},
    [SIM_GEMINI_COUNT_REQUEST] = {"CountTokensRequest", count_fields},
    [SIM_GEMINI_EMBED_REQUEST] = {"EmbedContentRequest", embed_fields},
    [SIM_GEMINI_EMBED_BATCH] = {"BatchEmbedContentsRequest", embed_batch_fields},
};

struct walk {
    struct sim_refusal *refusal;
    unsigned depth;
    size_t length;
    char path[PATH_SIZE]; /* in snake_case; cut where it gets long */
};

/* --- the path --- */

static void path_byte(struct walk *walk, char byte) {
    if (walk->length + 1 < sizeof walk->path) {
        walk->path[walk->length++] = byte;
    }
    walk->path[walk->length] = '\0';
}

static void path_name(struct walk *walk, const char *name) {
    if (walk->length > 0) {
        path_byte(walk, '.');
    }
    for (; *name != '\0'; name++) {
        if (*name >= 'A' && *name <= 'Z') {
            path_byte(walk, '_');
        }
        path_byte(walk, (char)(*name >= 'A' && *name <= 'Z' ? *name | 0x20 : *name));
    }
}

static void path_index(struct walk *walk, size_t index) {
    char text[32];
    (void)snprintf(text, sizeof text, "[%zu]", index);
    for (const char *at = text; *at != '\0'; at++) {
        path_byte(walk, *at);
    }
}

static void path_back(struct walk *walk, size_t length) {
    walk->length = length;
    walk->path[length] = '\0';
}

/* --- refusals --- */

static bool refuse_name(struct walk *walk, struct weir_span name, const char *why) {
    sim__refuse(walk->refusal, 400, NULL, NULL, "Invalid JSON payload received. Unknown name \"%.*s\"%s%s%s: %s",
                name.length < 60 ? (int)name.length : 60, name.at, walk->length > 0 ? " at '" : "", walk->path,
                walk->length > 0 ? "'" : "", why);
    return false;
}

/* `type` as the API names it: TYPE_INT32, or a message behind `prefix`. */
static bool refuse_value(struct walk *walk, const char *prefix, const char *type, yyjson_val *value) {
    char shown[64];
    struct weir_span text = sim__input_text(value);
    if (yyjson_is_str(value)) {
        (void)snprintf(shown, sizeof shown, "\"%.*s\"", text.length < 40 ? (int)text.length : 40, text.at);
    } else if (yyjson_is_num(value)) {
        (void)snprintf(shown, sizeof shown, "%.15g", yyjson_get_num(value));
    } else {
        (void)snprintf(shown, sizeof shown, "%s",
                       yyjson_is_obj(value)    ? "Starting an object on a scalar field"
                       : yyjson_is_arr(value)  ? "Starting a list on a scalar field"
                       : yyjson_is_true(value) ? "true"
                                               : "false");
    }
    sim__refuse(walk->refusal, 400, NULL, NULL, "Invalid value at '%s' (%s%s), %s", walk->path, prefix, type, shown);
    return false;
}

/* --- values --- */

static bool same_name(struct weir_span given, const char *camel) {
    if (weir_span_equal(given, weir_span_of_string(camel))) {
        return true;
    }
    size_t at = 0;
    for (; *camel != '\0'; camel++) {
        bool capital = *camel >= 'A' && *camel <= 'Z';
        if (given.length - at < (capital ? 2U : 1U) || (capital && given.at[at++] != '_') ||
            given.at[at++] != (capital ? (char)(*camel | 0x20) : *camel)) {
            return false;
        }
    }
    return at == given.length;
}

static bool is_base64(struct weir_span text) {
    size_t end = text.length;
    while (end > 0 && text.length - end < 2 && text.at[end - 1] == '=') {
        end--;
    }
    for (size_t i = 0; i < end; i++) {
        char byte = text.at[i];
        bool fits = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') ||
                    byte == '+' || byte == '/' || byte == '-' || byte == '_';
        if (!fits) {
            return false;
        }
    }
    return end % 4 != 1;
}

static bool read_whole(struct walk *walk, const struct field *field, yyjson_val *value) {
    int64_t least = field->kind == KIND_INT32 ? INT32_MIN : INT64_MIN;
    int64_t most = field->kind == KIND_INT32 ? INT32_MAX : INT64_MAX;
    int64_t number = 0;
    bool fits = false;
    if (yyjson_is_str(value)) {
        fits = weir_span_to_int64(sim__input_text(value), &number) == WEIR_OK;
    } else if (yyjson_is_uint(value)) {
        fits = yyjson_get_uint(value) <= INT64_MAX;
        number = yyjson_get_sint(value);
    } else if (yyjson_is_sint(value)) {
        fits = true;
        number = yyjson_get_sint(value);
    } else if (yyjson_is_real(value)) {
        double real = yyjson_get_real(value);
        fits = real >= -9e15 && real <= 9e15 && (double)(int64_t)real == real;
        number = fits ? (int64_t)real : 0;
    }
    if (!fits || number < least || number > most) {
        return refuse_value(walk, "", field->kind == KIND_INT32 ? "TYPE_INT32" : "TYPE_INT64", value);
    }
    if (number >= 0) {
        (void)yyjson_set_uint(value, (uint64_t)number); /* as a reader of JSON would have it */
    } else {
        (void)yyjson_set_sint(value, number);
    }
    return true;
}

static bool read_name(struct walk *walk, const struct field *field, yyjson_val *value) {
    for (size_t i = 1; field->names[i] != NULL; i++) {
        if (weir_span_equal_ignore_case(sim__input_text(value), weir_span_of_string(field->names[i]))) {
            (void)yyjson_set_strn(value, field->names[i], strlen(field->names[i]));
            return true;
        }
    }
    return refuse_value(walk, "type.googleapis.com/google.ai.generativelanguage.v1beta.", field->names[0], value);
}

static bool read_message(struct walk *walk, enum sim_gemini_message message, yyjson_val *object);

static bool read_map(struct walk *walk, const struct field *field, yyjson_val *object) {
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *value;
    size_t outer = walk->length;
    if (!yyjson_is_obj(object)) {
        return refuse_value(walk, "", "TYPE_MESSAGE", object);
    }
    yyjson_obj_foreach(object, index, count, name, value) {
        path_index(walk, index);
        path_name(walk, "value");
        if (!read_message(walk, field->message, value)) {
            return false;
        }
        path_back(walk, outer);
    }
    return true;
}

static bool read_one(struct walk *walk, const struct field *field, yyjson_val *value) {
    switch (field->kind) {
    case KIND_TEXT: return yyjson_is_str(value) || refuse_value(walk, "", "TYPE_STRING", value);
    case KIND_BYTES:
        if (!yyjson_is_str(value)) {
            return refuse_value(walk, "", "TYPE_BYTES", value);
        }
        if (!is_base64(sim__input_text(value))) {
            sim__refuse(walk->refusal, 400, NULL, NULL, "Invalid value at '%s' (TYPE_BYTES), Base64 decoding failed",
                        walk->path);
            return false;
        }
        return true;
    case KIND_FLAG: return yyjson_is_bool(value) || refuse_value(walk, "", "TYPE_BOOL", value);
    case KIND_INT32:
    case KIND_INT64: return read_whole(walk, field, value);
    case KIND_FLOAT: return yyjson_is_num(value) || refuse_value(walk, "", "TYPE_FLOAT", value);
    case KIND_ENUM: return read_name(walk, field, value);
    case KIND_MESSAGE: return read_message(walk, field->message, value);
    case KIND_STRUCT:
        return yyjson_is_obj(value) || refuse_value(walk, "", "type.googleapis.com/google.protobuf.Struct", value);
    case KIND_MAP: return read_map(walk, field, value);
    case KIND_VALUE: break;
    }
    return true;
}

static bool read_field(struct walk *walk, const struct field *field, yyjson_val *value) {
    if (!field->many || !yyjson_is_arr(value)) {
        return read_one(walk, field, value);
    }
    size_t outer = walk->length;
    size_t index;
    size_t count;
    yyjson_val *one;
    yyjson_arr_foreach(value, index, count, one) {
        path_index(walk, index);
        if (!read_one(walk, field, one)) {
            return false;
        }
        path_back(walk, outer);
    }
    return true;
}

static bool read_message(struct walk *walk, enum sim_gemini_message message, yyjson_val *object) {
    size_t outer = walk->length;
    size_t index;
    size_t count;
    yyjson_val *name;
    yyjson_val *value;
    if (!yyjson_is_obj(object)) {
        return refuse_value(walk, "type.googleapis.com/google.ai.generativelanguage.v1beta.", messages[message].type,
                            object);
    }
    if (walk->depth == MAX_FIELD_DEPTH) {
        sim__refuse(walk->refusal, 400, NULL, NULL,
                    "Invalid JSON payload received. Message too deep. Max recursion depth reached for key at '%s'",
                    walk->path);
        return false;
    }
    walk->depth++;
    yyjson_obj_foreach(object, index, count, name, value) {
        const struct field *field = messages[message].fields;
        while (field->name != NULL && !same_name(sim__input_text(name), field->name)) {
            field++;
        }
        if (field->name == NULL) {
            return refuse_name(walk, sim__input_text(name), "Cannot find field.");
        }
        if (!field->many && field->kind != KIND_VALUE && yyjson_is_arr(value)) {
            return refuse_name(walk, sim__input_text(name), "Proto field is not repeating, cannot start list.");
        }
        (void)yyjson_set_strn(name, field->name, strlen(field->name));
        path_name(walk, field->name);
        if (!yyjson_is_null(value) && !read_field(walk, field, value)) {
            return false;
        }
        path_back(walk, outer);
    }
    walk->depth--;
    return true;
}

bool sim__gemini_fields(enum sim_gemini_message message, yyjson_val *object, struct sim_refusal *refusal) {
    struct walk walk = {.refusal = refusal};
    return read_message(&walk, message, object);
}

/* --- reading --- */

yyjson_val *sim__gemini_get(yyjson_val *object, const char *name) {
    yyjson_val *value = yyjson_obj_get(object, name);
    return yyjson_is_null(value) ? NULL : value;
}

struct sim_gemini_list sim__gemini_list(yyjson_val *object, const char *name) {
    yyjson_val *value = sim__gemini_get(object, name);
    struct sim_gemini_list list = {.value = value, .count = value != NULL ? 1 : 0};
    if (yyjson_is_arr(value)) {
        list.count = yyjson_arr_size(value);
        list.iterator = yyjson_arr_iter_with(value);
    }
    return list;
}

yyjson_val *sim__gemini_next(struct sim_gemini_list *list) {
    if (list->index == list->count) {
        return NULL;
    }
    list->index++;
    return yyjson_is_arr(list->value) ? yyjson_arr_iter_next(&list->iterator) : list->value;
}
