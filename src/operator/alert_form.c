/* See alert_form.h. */
#include "operator/alert_form.h"

#include "operator/op_objects.h"

#include <stdio.h>

static const int64_t half_hour_us = INT64_C(1800) * 1000000, hour_us = INT64_C(3600) * 1000000,
                     day_us = INT64_C(86400) * 1000000;

const char *weir_alert_kind_name(enum weir_meter_event_kind kind) {
    static const char *const names[] = {"threshold", "exceeded", "overrun", "runaway"};
    return names[kind];
}

static void member_or_null(struct weir_json_writer *writer, const char *name, bool has_value, int64_t value) {
    weir_json_write_name(writer, name);
    if (has_value)
        weir_json_write_int64(writer, value);
    else
        weir_json_write_null(writer);
}

static void text_or_null(struct weir_json_writer *writer, const char *name, struct weir_span text) {
    weir_json_write_name(writer, name);
    if (text.length > 0)
        weir_json_write_string(writer, text);
    else
        weir_json_write_null(writer);
}

static void member_bound(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    weir_operation_member_time(writer, name, utc_us != INT64_MAX ? utc_us : 0);
}

static bool is_of_budget(const struct weir_meter_event *event) {
    return event->kind == WEIR_METER_THRESHOLD || event->kind == WEIR_METER_EXCEEDED;
}

static void write_text(struct weir_json_writer *writer, const struct weir_meter_event *event) {
    bool of_budget = is_of_budget(event);
    const char *scope = weir_scope_name(event->scope);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "kind", weir_alert_kind_name(event->kind));
    text_or_null(writer, "budget", event->budget);
    text_or_null(writer, "name", event->name);
    weir_json_member_text(writer, "scope", scope);
    weir_json_write_name(writer, "scope_id");
    if (scope != NULL)
        weir_json_write_string(writer, event->scope_id);
    else
        weir_json_write_null(writer);
    weir_json_write_name(writer, "period");
    weir_json_write_object(writer);
    member_bound(writer, "from_at", of_budget ? event->period.from_utc_us : 0);
    member_bound(writer, "until_at", of_budget ? event->period.until_utc_us : 0);
    weir_json_write_end(writer);
    member_or_null(writer, "percent", of_budget, event->percent);
    member_or_null(writer, "used_cu_milli", of_budget, event->used_cu_milli);
    member_or_null(writer, "limit_cu_milli", of_budget, event->limit_cu_milli);
    member_or_null(writer, "refusals", event->kind == WEIR_METER_RUNAWAY, event->refusals);
    member_or_null(writer, "overrun_cu_milli", event->kind == WEIR_METER_OVERRUN, event->overrun_cu_milli);
    weir_json_write_end(writer);
}

/* What makes it the same as one that was told. */
static char *id_of(struct weir_arena *arena, const struct weir_meter_event *event, int64_t utc_us) {
    char reached[8];
    int64_t since = event->period.rolling ? utc_us - utc_us % day_us : event->period.from_utc_us;
    int64_t step = event->kind == WEIR_METER_RUNAWAY ? half_hour_us : hour_us;
    if (!is_of_budget(event))
        return weir_arena_format(arena, "%lld:%s", (long long)((utc_us - utc_us % step) / 1000000),
                                 weir_alert_kind_name(event->kind));
    (void)snprintf(reached, sizeof reached, "%u", event->percent);
    return weir_arena_format(arena, "%lld:%s:%.*s", (long long)(since / 1000000),
                             event->kind == WEIR_METER_EXCEEDED ? "exceeded" : reached,
                             WEIR_SPAN_PRINT(event->scope_id));
}

enum weir_status weir_alert_object(struct weir_arena *arena, const struct weir_meter_event *event, int64_t utc_us,
                                   struct weir_object *object) {
    struct weir_buffer text;
    struct weir_json_writer writer;
    struct weir_span copy = WEIR_SPAN("");
    const char *id = id_of(arena, event, utc_us);
    const char *scope = weir_scope_name(event->scope);
    const char *parent = is_of_budget(event) ? weir_arena_format(arena, "budget/%.*s", WEIR_SPAN_PRINT(event->budget))
                                             : weir_arena_format(arena, "%s/%.*s", scope != NULL ? scope : "global",
                                                                 WEIR_SPAN_PRINT(event->scope_id));
    weir_buffer_init(&text, WEIR_MIB);
    weir_json_writer_init(&writer, &text);
    write_text(&writer, event);
    enum weir_status status = weir_buffer_status(&text);
    if (status == WEIR_OK)
        status = weir_arena_dup(arena, weir_buffer_span(&text), &copy);
    weir_buffer_release(&text);
    if (status != WEIR_OK || id == NULL || parent == NULL)
        return WEIR_ENOMEM;
    *object = (struct weir_object){.kind = WEIR_OBJECT_ALERT,
                                   .parent = weir_span_of_string(parent),
                                   .id = weir_span_of_string(id),
                                   .text = copy,
                                   .created_utc_us = utc_us,
                                   .updated_utc_us = utc_us,
                                   .expires_utc_us = utc_us + WEIR_ALERT_KEPT_US};
    return WEIR_OK;
}

void weir_alert_write(struct weir_json_writer *writer, struct weir_arena *arena, const struct weir_object *object) {
    yyjson_val *fields = operator__json_read(arena, object->text), *name, *value;
    const char *id = weir_arena_format(arena, "%.*s@%.*s", WEIR_SPAN_PRINT(object->id),
                                       WEIR_SPAN_PRINT(object->parent));
    size_t index, count;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "id", id != NULL ? id : "");
    yyjson_obj_foreach(fields, index, count, name, value) {
        weir_json_write_name(writer, yyjson_get_str(name));
        operator__write_value(writer, value);
    }
    weir_operation_member_time(writer, "at", object->created_utc_us);
    weir_json_write_end(writer);
}
