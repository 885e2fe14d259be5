/* See fault.h. */
#include "sim/fault.h"

#include "base/memory.h"
#include "json/write.h"

#include <yyjson.h>

enum value_rule { VALUE_NONE, VALUE_OPTIONAL, VALUE_NEEDED, VALUE_TEXT, VALUE_TIMES };

static const struct fault_row {
    const char *name;
    enum value_rule rule;
    int64_t initial, minimum, maximum;
} rows[SIM_FAULT_COUNT] = {
    [SIM_FAULT_STATUS] = {"status", VALUE_NEEDED, 0, 400, 599},
    [SIM_FAULT_RETRY_AFTER] = {"retry-after", VALUE_NEEDED, 0, 0, 86400},
    [SIM_FAULT_CODE] = {"code", VALUE_TEXT, 0, 0, 0},
    [SIM_FAULT_RESET] = {"reset", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_RESET_AFTER_HEAD] = {"reset-after-head", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_RESET_MID] = {"reset-mid", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_CLOSE] = {"close", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_SILENCE] = {"silence", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_STALL] = {"stall", VALUE_OPTIONAL, 0, 0, 1000000},
    [SIM_FAULT_STALL_HEAD] = {"stall-head", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_TRUNCATE] = {"truncate", VALUE_OPTIONAL, 0, 0, 1000000},
    [SIM_FAULT_CUT] = {"cut", VALUE_OPTIONAL, 0, 0, 1000000},
    [SIM_FAULT_NO_USAGE] = {"no-usage", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_NO_DONE] = {"no-done", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_ERROR_EVENT] = {"error-event", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_BAD_JSON] = {"bad-json", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_BAD_CHUNK] = {"bad-chunk", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_WRONG_TYPE] = {"wrong-type", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_HUGE] = {"huge", VALUE_NEEDED, 0, 1, (int64_t)64 * 1024 * 1024},
    [SIM_FAULT_SLOW_BODY] = {"slow-body", VALUE_NEEDED, 0, 1, 60000},
    [SIM_FAULT_EARLY_ANSWER] = {"early-answer", VALUE_OPTIONAL, 429, 400, 599},
    [SIM_FAULT_INTERIM] = {"interim", VALUE_OPTIONAL, 1, 1, 1000},
    [SIM_FAULT_CLOSE_IDLE] = {"close-idle", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_DELAY] = {"delay", VALUE_NEEDED, 0, 0, 600000},
    [SIM_FAULT_WRONG_USAGE] = {"wrong-usage", VALUE_NEEDED, 0, 0, 1000000},
    [SIM_FAULT_RESET_HEAD] = {"reset-head", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_EARLY_CLOSE] = {"early-close", VALUE_OPTIONAL, 429, 400, 599},
    [SIM_FAULT_EARLY_RESET] = {"early-reset", VALUE_OPTIONAL, 429, 400, 599},
    [SIM_FAULT_CONTINUE] = {"continue", VALUE_OPTIONAL, 1, 1, 1000},
    [SIM_FAULT_CLOSE_NEXT] = {"close-next", VALUE_NONE, 0, 0, 0},
    [SIM_FAULT_FLAP] = {"flap", VALUE_TIMES, 0, 1, 86400000},
    [SIM_FAULT_USAGE_PERCENT] = {"usage-percent", VALUE_NEEDED, 0, 0, 1000000},
    [SIM_FAULT_NEGATIVE_USAGE] = {"negative-usage", VALUE_NONE, 0, 0, 0},
};
_Static_assert(SIM_FAULT_COUNT <= 64, "kinds are bits of sim_fault.set");

enum { MAX_PLAN_ENTRIES = 10000 };

static enum weir_status parse_value(const struct fault_row *row, bool given, struct weir_span text, int64_t *value,
                                    struct weir_error *error) {
    if (row->rule == VALUE_NONE && given) {
        return weir_fail(error, WEIR_EINVAL, "the fault %s takes no value", row->name);
    }
    if (row->rule == VALUE_NEEDED && !given) {
        return weir_fail(error, WEIR_EINVAL, "the fault %s needs a value", row->name);
    }
    if (!given) {
        *value = row->initial;
        return WEIR_OK;
    }
    uint64_t number = 0;
    enum weir_status status = weir_span_to_uint64(text, &number);
    if (status != WEIR_OK || number > INT64_MAX || (int64_t)number < row->minimum || (int64_t)number > row->maximum) {
        return weir_fail(error, WEIR_EINVAL, "the value of %s must be a whole number from %lld to %lld", row->name,
                         (long long)row->minimum, (long long)row->maximum);
    }
    *value = (int64_t)number;
    return WEIR_OK;
}

/* "UP/DOWN", milliseconds. */
static enum weir_status parse_times(const struct fault_row *row, struct weir_span text, struct sim_fault *fault,
                                    struct weir_error *error) {
    struct weir_span up;
    struct weir_span down;
    if (!weir_span_split(text, '/', &up, &down)) {
        return weir_fail(error, WEIR_EINVAL, "the value of %s is two times in milliseconds: up/down", row->name);
    }
    enum weir_status status = parse_value(row, true, weir_span_trim(up), &fault->value[SIM_FAULT_FLAP], error);
    return status != WEIR_OK ? status : parse_value(row, true, weir_span_trim(down), &fault->down_ms, error);
}

static enum weir_status parse_part(struct weir_span part, struct sim_fault *fault, struct weir_error *error) {
    struct weir_span name;
    struct weir_span value;
    bool given = weir_span_split(part, '=', &name, &value);
    name = weir_span_trim(name);
    value = weir_span_trim(value);
    for (int kind = 0; kind < SIM_FAULT_COUNT; kind++) {
        const struct fault_row *row = &rows[kind];
        if (!weir_span_equal(name, weir_span_of_string(row->name))) {
            continue;
        }
        if ((fault->set >> kind & 1U) != 0) {
            return weir_fail(error, WEIR_EINVAL, "the fault %s is given twice", row->name);
        }
        enum weir_status status = WEIR_OK;
        if (row->rule == VALUE_TEXT) {
            status = value.length == 0 ? WEIR_EINVAL : weir_span_to_string(value, fault->code, sizeof fault->code);
            if (status != WEIR_OK) {
                return weir_fail(error, WEIR_EINVAL, "%s needs a short text", row->name);
            }
        } else if (row->rule == VALUE_TIMES) {
            status = parse_times(row, value, fault, error);
        } else {
            status = parse_value(row, given, value, &fault->value[kind], error);
        }
        if (status == WEIR_OK) {
            fault->set |= (uint64_t)1 << kind;
        }
        return status;
    }
    return weir_fail(error, WEIR_EINVAL, "there is no fault \"%.*s\"", name.length < 60 ? (int)name.length : 60,
                     name.at);
}

enum weir_status sim__fault_parse(struct weir_span text, struct sim_fault *fault, struct weir_error *error) {
    struct sim_fault parsed = {.set = 0};
    text = weir_span_trim(text);
    if (weir_span_equal(text, WEIR_SPAN("none"))) {
        text = WEIR_SPAN("");
    }
    if (weir_span_to_string(text, parsed.text, sizeof parsed.text) != WEIR_OK) {
        return weir_fail(error, WEIR_EINVAL, "a fault's text has at most %d bytes", SIM_FAULT_TEXT_SIZE - 1);
    }
    struct weir_span rest = text;
    while (!weir_span_is_empty(rest)) {
        struct weir_span part;
        (void)weir_span_split(rest, ';', &part, &rest);
        part = weir_span_trim(part);
        if (weir_span_is_empty(part)) {
            continue;
        }
        enum weir_status status = parse_part(part, &parsed, error);
        if (status != WEIR_OK) {
            return status;
        }
    }
    if (parsed.set == (uint64_t)1 << SIM_FAULT_FLAP) {
        parsed.set |= (uint64_t)1 << SIM_FAULT_RESET; /* what being down is where nothing else is said */
    }
    *fault = parsed;
    return WEIR_OK;
}

int64_t sim__fault_usage_percent(const struct sim_fault *fault) {
    int64_t percent = 100;
    if (sim__fault_has(fault, SIM_FAULT_WRONG_USAGE)) {
        percent *= fault->value[SIM_FAULT_WRONG_USAGE];
    } else if (sim__fault_has(fault, SIM_FAULT_USAGE_PERCENT)) {
        percent = fault->value[SIM_FAULT_USAGE_PERCENT];
    }
    return sim__fault_has(fault, SIM_FAULT_NEGATIVE_USAGE) ? -percent : percent;
}

bool sim__fault_is_down(const struct sim_fault *fault, int64_t elapsed_ms) {
    if (!sim__fault_has(fault, SIM_FAULT_FLAP)) {
        return true;
    }
    int64_t up_ms = fault->value[SIM_FAULT_FLAP];
    return elapsed_ms % (up_ms + fault->down_ms) >= up_ms;
}

static enum weir_status read_count(yyjson_val *object, const char *name, uint64_t *count, struct weir_error *error) {
    yyjson_val *value = yyjson_obj_get(object, name);
    if (value == NULL) {
        return WEIR_OK;
    }
    if (!yyjson_is_uint(value) || yyjson_get_uint(value) > INT64_MAX) {
        return weir_fail(error, WEIR_EINVAL, "%s must be a whole number of at least 0", name);
    }
    *count = yyjson_get_uint(value);
    return WEIR_OK;
}

static enum weir_status read_entry(yyjson_val *object, struct sim_plan_entry *entry, struct weir_error *error) {
    yyjson_val *fault = yyjson_obj_get(object, "fault");
    if (!yyjson_is_obj(object) || fault == NULL || !(yyjson_is_str(fault) || yyjson_is_null(fault))) {
        return weir_fail(error, WEIR_EINVAL,
                         "an entry of the plan is an object with \"fault\": a text, or null for none");
    }
    struct weir_span text = yyjson_is_str(fault) ? weir_span_of(yyjson_get_str(fault), yyjson_get_len(fault))
                                                 : WEIR_SPAN("");
    char flapping[SIM_FAULT_TEXT_SIZE] = "";
    uint64_t up_ms = 0;
    uint64_t down_ms = 0;
    enum weir_status status = read_count(object, "up_ms", &up_ms, error);
    if (status == WEIR_OK) {
        status = read_count(object, "down_ms", &down_ms, error);
    }
    if (status == WEIR_OK && up_ms + down_ms > 0) {
        int length = snprintf(flapping, sizeof flapping, "flap=%llu/%llu; %.*s", (unsigned long long)up_ms,
                              (unsigned long long)down_ms, text.length < INT16_MAX ? (int)text.length : INT16_MAX,
                              text.at);
        text = weir_span_of_string(flapping);
        if (length >= (int)sizeof flapping) {
            status = weir_fail(error, WEIR_EINVAL, "a fault's text has at most %d bytes", SIM_FAULT_TEXT_SIZE - 1);
        }
    }
    if (status == WEIR_OK) {
        status = sim__fault_parse(text, &entry->fault, error);
    }
    entry->every = 1;
    if (status == WEIR_OK) {
        status = read_count(object, "every", &entry->every, error);
    }
    if (entry->every == 0) {
        entry->every = 1;
    }
    bool flaps = sim__fault_has(&entry->fault, SIM_FAULT_FLAP);
    entry->count = entry->every == 1 && !flaps ? 1 : 0; /* flapping goes on unless a count ends it */
    if (status == WEIR_OK) {
        status = read_count(object, "count", &entry->count, error);
    }
    return status;
}

enum weir_status sim__plan_set(struct sim_plan *plan, struct weir_span json, int64_t now_ms, struct weir_error *error) {
    yyjson_doc *document = yyjson_read(json.at, json.length, 0);
    if (document == NULL) {
        return weir_fail(error, WEIR_EINVAL, "the fault plan is not JSON");
    }
    yyjson_val *root = yyjson_doc_get_root(document);
    size_t count = yyjson_is_arr(root) ? yyjson_arr_size(root) : 1;
    struct sim_plan_entry *entries = NULL;
    enum weir_status status = WEIR_OK;
    if (count > MAX_PLAN_ENTRIES) {
        status = weir_fail(error, WEIR_EINVAL, "a fault plan has at most %d entries", MAX_PLAN_ENTRIES);
        goto out;
    }
    entries = weir_memory_new(count > 0 ? count : 1, sizeof *entries);
    if (entries == NULL) {
        status = weir_fail(error, WEIR_ENOMEM, "no memory for the fault plan");
        goto out;
    }
    if (yyjson_is_arr(root)) {
        yyjson_arr_iter elements = yyjson_arr_iter_with(root);
        for (size_t i = 0; status == WEIR_OK && i < count; i++) {
            status = read_entry(yyjson_arr_iter_next(&elements), &entries[i], error);
        }
    } else {
        status = read_entry(root, &entries[0], error);
    }
    if (status == WEIR_OK) {
        sim__plan_clear(plan);
        *plan = (struct sim_plan){.entries = entries, .count = count, .started_ms = now_ms};
        entries = NULL;
    }
out:
    weir_memory_free(entries);
    yyjson_doc_free(document);
    return status;
}

void sim__plan_clear(struct sim_plan *plan) {
    weir_memory_free(plan->entries);
    *plan = (struct sim_plan){.entries = NULL};
}

const struct sim_fault *sim__plan_take(struct sim_plan *plan, int64_t now_ms) {
    if (plan->first == plan->count) {
        return NULL;
    }
    struct sim_plan_entry *entry = &plan->entries[plan->first];
    entry->seen++;
    if (entry->seen % entry->every != 0 || !sim__fault_is_down(&entry->fault, now_ms - plan->started_ms)) {
        return NULL;
    }
    entry->given++;
    if (entry->given == entry->count) {
        plan->first++;
    }
    return entry->fault.set != 0 ? &entry->fault : NULL;
}

void sim__plan_write(const struct sim_plan *plan, struct weir_buffer *out) {
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_array(&writer);
    for (size_t i = 0; i < plan->count; i++) {
        const struct sim_plan_entry *entry = &plan->entries[i];
        weir_json_write_object(&writer);
        weir_json_member_text(&writer, "fault", entry->fault.set != 0 ? entry->fault.text : NULL);
        weir_json_member_int64(&writer, "count", (int64_t)entry->count);
        weir_json_member_int64(&writer, "every", (int64_t)entry->every);
        weir_json_member_int64(&writer, "seen", (int64_t)entry->seen);
        weir_json_member_int64(&writer, "given", (int64_t)entry->given);
        weir_json_write_end(&writer);
    }
    weir_json_write_end(&writer);
}
