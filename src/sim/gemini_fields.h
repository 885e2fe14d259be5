/* Which members a request to the Gemini API may have, and of which types: what its protobuf messages say.
 *
 * The API reads JSON as protobuf does: names in camelCase or snake_case, numbers that may stand in quotes, one object where a list of
 * one could stand, names of enumerations in any case, null for what is not given; and it refuses what no message has.
 */
#ifndef WEIR_SIM_GEMINI_FIELDS_H
#define WEIR_SIM_GEMINI_FIELDS_H

#include "sim/input.h"

#include <yyjson.h>

enum sim_gemini_message {
    SIM_GEMINI_REQUEST, /* GenerateContentRequest */
    SIM_GEMINI_CONTENT,
    SIM_GEMINI_PART,
    SIM_GEMINI_BLOB,
    SIM_GEMINI_FILE_DATA,
    SIM_GEMINI_FUNCTION_CALL,
    SIM_GEMINI_FUNCTION_RESPONSE,
    SIM_GEMINI_RESPONSE_PART,
    SIM_GEMINI_EXECUTABLE_CODE,
    SIM_GEMINI_CODE_RESULT,
    SIM_GEMINI_VIDEO_METADATA,
    SIM_GEMINI_RESOLUTION,
    SIM_GEMINI_TOOL,
    SIM_GEMINI_DECLARATION,
    SIM_GEMINI_SCHEMA,
    SIM_GEMINI_TOOL_CONFIG,
    SIM_GEMINI_CALLING_CONFIG,
    SIM_GEMINI_SAFETY_SETTING,
    SIM_GEMINI_GENERATION_CONFIG,
    SIM_GEMINI_THINKING_CONFIG,
    SIM_GEMINI_COUNT_REQUEST,
    SIM_GEMINI_EMBED_REQUEST,
    SIM_GEMINI_EMBED_BATCH,
    SIM_GEMINI_MESSAGES
};

/* Checks an object against a message and makes its form the usual one, in place: camelCase, whole numbers without quotes, enumerations in
 * capitals, types of schemas in small letters. Lists of one object may stay objects (sim_gemini_list). False: *refusal tells. */
bool sim__gemini_fields(enum sim_gemini_message message, yyjson_val *object, struct sim_refusal *refusal);

/* What stands where a list is expected: a list, or its only element. */
struct sim_gemini_list {
    yyjson_val *value;
    size_t index, count;
    yyjson_arr_iter iterator;
};
struct sim_gemini_list sim__gemini_list(yyjson_val *object, const char *name);
/* NULL behind the last. */
yyjson_val *sim__gemini_next(struct sim_gemini_list *list);
/* A member that is given: NULL for null, too. */
yyjson_val *sim__gemini_get(yyjson_val *object, const char *name);

#endif
