/* The small things of billing: refusals, notes for the trail, ids, and what objects' texts are read with. */
#include "meter/billing_impl.h"

#include "base/clock.h"
#include "json/schema.h"

#include <stdarg.h>

enum { ID_DIGITS = 16 };

enum weir_status meter__refuse(struct weir_billing_turn *turn, enum weir_reason reason, const char *field,
                               const char *format, ...) {
    va_list arguments;
    if (turn->reason != WEIR_REASON_NONE)
        return WEIR_OK;
    turn->reason = reason;
    turn->field = field;
    va_start(arguments, format);
    (void)vsnprintf(turn->detail, sizeof turn->detail, format, arguments);
    va_end(arguments);
    return WEIR_OK;
}

enum weir_status meter__no_memory(struct weir_billing_turn *turn) {
    return weir_fail(turn->error, WEIR_ENOMEM, "no memory for billing");
}

enum weir_status meter__note(struct weir_billing_turn *turn, const char *action, const char *resource_type,
                             struct weir_span id, struct weir_span workspace, struct weir_span before,
                             struct weir_span after) {
    const struct weir_billing_note note = {.action = action,
                                           .resource_type = resource_type,
                                           .resource_id = id,
                                           .workspace = workspace,
                                           .before = before,
                                           .after = after};
    return turn->note(turn->context, &note, turn->error);
}

struct weir_span meter__new_id(struct weir_billing_turn *turn, const char *prefix) {
    struct weir_random random = {.left = 0};
    char digits[ID_DIGITS];
    weir_base62_random(&random, digits, sizeof digits);
    return weir_span_of_string(weir_arena_format(turn->arena, "%s%.*s", prefix, (int)sizeof digits, digits));
}

yyjson_val *meter__json(struct weir_arena *arena, struct weir_span text) {
    struct weir_schema_problem problem;
    yyjson_doc *document = NULL;
    if (weir_json_read(arena, text, &document, &problem) != WEIR_OK)
        return NULL;
    yyjson_val *root = yyjson_doc_get_root(document);
    return yyjson_is_obj(root) ? root : NULL;
}

struct weir_span meter__text(yyjson_val *object, const char *name) {
    yyjson_val *value = yyjson_obj_get(object, name);
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

int64_t meter__integer(yyjson_val *object, const char *name, int64_t otherwise) {
    yyjson_val *value = yyjson_obj_get(object, name);
    return yyjson_is_int(value) ? yyjson_get_sint(value) : otherwise;
}

int64_t meter__time(yyjson_val *object, const char *name) {
    int64_t utc_us = 0;
    struct weir_span text = meter__text(object, name);
    return text.length > 0 && weir_clock_parse_utc(text, &utc_us) == WEIR_OK ? utc_us : 0;
}

void meter__write_time(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    char text[WEIR_TIMESTAMP_SIZE];
    if (utc_us != 0)
        weir_clock_format_utc(utc_us, text);
    weir_json_member_text(writer, name, utc_us != 0 ? text : NULL);
}

void meter__write_text(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    if (text.length > 0)
        weir_json_member_string(writer, name, text);
    else
        weir_json_member_text(writer, name, NULL);
}
