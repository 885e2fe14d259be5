/* For the files of this folder only. */
#ifndef WEIR_DIALECT_IMPL_H
#define WEIR_DIALECT_IMPL_H

#include "dialect/dialect.h"
#include "json/write.h"

#include <stdio.h>

#define X(name) extern const struct weir_dialect dialect__##name;
#include "dialect/dialects.def"
#undef X

/* Members of an error object, from the reasons table. */
/* "WEIR_NOT_FOUND" */
enum { DIALECT_CODE_SIZE = 96 };
void dialect__format_code(const struct weir_error_answer *error, char text[DIALECT_CODE_SIZE]);
/* The status that it is answered with. */
unsigned dialect__status(const struct weir_error_answer *error);
void dialect__write_code(struct weir_json_writer *writer, const struct weir_error_answer *error);
void dialect__write_message(struct weir_json_writer *writer, const char *name, const struct weir_error_answer *error);
void dialect__write_details(struct weir_json_writer *writer, const struct weir_error_answer *error);

/* --- reading calls (call.c) --- */

/* Fills *problem; returns WEIR_EINVAL. `found` may be NULL: what was sent instead is not told. */
enum weir_status dialect__field_problem(struct weir_call_problem *problem, enum weir_reason reason, const char *field,
                                        const char *expected, const struct weir_json_found *found);
/* Absent, or null. */
bool dialect__is_absent(const struct weir_json_found *found);
/* Scans a body, which must be an object, and begins `call`. WEIR_EINVAL with *problem. */
enum weir_status dialect__scan_call(struct weir_span body, const struct weir_json_want *wants, size_t count,
                                    struct weir_json_found *found, struct weir_call *call,
                                    struct weir_call_problem *problem);
/* The members that several formats have. All give WEIR_EINVAL with *problem. `otherwise` is the model of a call that names none; NULL: it must. */
enum weir_status dialect__read_model(struct weir_arena *arena, const struct weir_json_found *found,
                                     const char *otherwise, struct weir_call *call, struct weir_call_problem *problem);
enum weir_status dialect__read_flag(const struct weir_json_found *found, const char *field, bool *value,
                                    struct weir_call_problem *problem);
/* An optional integer of at least `least`, which is 0 or 1. */
enum weir_status dialect__read_count(const struct weir_json_found *found, const char *field, int64_t least,
                                     int64_t *value, struct weir_call_problem *problem);
/* An optional string; *text is decoded, empty where it is absent. */
enum weir_status dialect__read_text(struct weir_arena *arena, const struct weir_json_found *found, const char *field,
                                    struct weir_span *text, struct weir_call_problem *problem);
enum weir_status dialect__require(const struct weir_json_found *found, const char *field, const char *expected,
                                  struct weir_call_problem *problem);
/* The one edit that most calls need: the model's name. */
enum weir_status dialect__edit_model(struct weir_arena *arena, const struct weir_call *call,
                                     struct weir_span upstream_model, struct weir_json_splice *splice);
/* --- bounding calls (parts.c) --- */

/* What messages (or items of the Responses API's input) and tools mean for how much the input may count: more_input_tokens, input_is_elsewhere,
 * may_take_audio. The values were accepted by weir_json_scan. */
void dialect__bound_messages(const struct weir_json_found *messages, bool are_items, struct weir_call *call);
void dialect__bound_tools(const struct weir_json_found *tools, struct weir_call *call);
/* A picture that stands in the call. */
void dialect__add_picture(struct weir_call *call);
void dialect__add_input_tokens(struct weir_call *call, int64_t tokens);
/* A member of an object; kind NONE: it has none of that name, or two, of which nobody knows which one counts. */
struct weir_json_found dialect__member_of(const struct weir_json_found *object, const char *plain);
/* The edit that lowers the output limit, where the call is clamped. */
enum weir_status dialect__edit_output_limit(struct weir_arena *arena, const struct weir_call *call,
                                            struct weir_json_splice *splice);

/* The value of a form's field; NULL: it has none. A name that stands twice: *problem, and WEIR_EINVAL. */
enum weir_status dialect__form_find(const struct weir_form *form, const char *name, const struct weir_span **value,
                                    struct weir_call_problem *problem);
/* Begins `call` from a form: model (as above) and `stream`. */
enum weir_status dialect__form_begin(const struct weir_form *form, const char *otherwise, struct weir_call *call,
                                     struct weir_call_problem *problem);
enum weir_status dialect__form_require_file(const struct weir_form *form, const char *field,
                                            struct weir_call_problem *problem);

/* --- reading and marking answers (answer.c) --- */

size_t dialect__closing_brace(struct weir_span text);
/* Any of the family's usage objects (prompt and completion, input and output, seconds, search units). False: it says nothing. */
bool dialect__read_usage(struct weir_span object, struct weir_usage *usage);
/* What is common to all answers, from the places of id and usage. */
void dialect__begin_answer(struct weir_span body, const struct weir_json_found *root, const struct weir_json_found *id,
                           const struct weir_json_found *usage, struct weir_answer *answer);
/* A whole answer with an id and a usage at its top, and one member more (`more_path` may be NULL), in one pass. WEIR_EINVAL: it is not JSON. */
enum weir_status dialect__scan_answer(struct weir_span body, const char *more_path, struct weir_json_found *more,
                                      struct weir_answer *answer);
/* As the functions of struct weir_format that they are for: answers with an id and a usage at their top. */
enum weir_status dialect__read_answer(struct weir_span body, struct weir_answer *answer);
bool dialect__find_usage(struct weir_span piece, struct weir_answer *answer);
/* The same with a reader of another family's usage objects, and the member's name in its quotes. */
bool dialect__find_usage_by(struct weir_span piece, const char *name,
                            bool (*read)(struct weir_span object, struct weir_usage *usage),
                            struct weir_answer *answer);
/* With estimated figures in a usage object of its own where there is none ... */
enum weir_status dialect__edit_estimated_answer(struct weir_arena *arena, const struct weir_answer *answer,
                                                const struct weir_usage *estimated, int64_t used_cu_milli,
                                                struct weir_json_splice *splice);
/* ... and with usedCUMilli alone, at the top. */
enum weir_status dialect__edit_answer(struct weir_arena *arena, const struct weir_answer *answer,
                                      const struct weir_usage *estimated, int64_t used_cu_milli,
                                      struct weir_json_splice *splice);
enum weir_status dialect__mark_event(struct weir_arena *arena, const struct weir_event *event, int64_t used_cu_milli,
                                     struct weir_json_splice *splice);
/* error_code and request_id behind other members, with a comma before them; empty: no memory. */
struct weir_span dialect__error_members(struct weir_arena *arena, const struct weir_error_answer *error);
/* As edit_error of struct weir_dialect, for bodies whose `error` is an object: the two members go into it and behind it. */
enum weir_status dialect__edit_error(struct weir_arena *arena, struct weir_span body,
                                     const struct weir_error_answer *error, struct weir_json_splice *splice);
void dialect__write_anthropic_error(struct weir_buffer *out, const struct weir_error_answer *error);
void dialect__write_gemini_error(struct weir_buffer *out, const struct weir_error_answer *error);
void dialect__write_ollama_error(struct weir_buffer *out, const struct weir_error_answer *error);
void dialect__write_openai_error(struct weir_buffer *out, const struct weir_error_answer *error);
/* `data: {"error":…}` */
void dialect__write_error_event(struct weir_buffer *out, const struct weir_error_answer *error);
/* Events that say what they are in `type`; `finish` is that of the one with the usage. */
void dialect__read_typed_event(const struct weir_sse_event *sse, const char *const *finish, size_t finish_count,
                               struct weir_event *event);
/* Whether a string token's content is `plain`. */
bool dialect__is(const struct weir_json_found *found, const char *plain);

#endif
