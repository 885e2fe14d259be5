/* What the billing endpoints do: one row and one function each. */
#include "gateway/billing.h"

#include "base/arithmetic.h"
#include "base/clock.h"
#include "meter/windows.h"

enum { PAGE = 20, MOST_PAGE = 100, MOST_ROWS = 10000 };
#define HOUR_US ((int64_t)3600 * 1000000)

static struct weir_span body_text(const struct gateway__billing_task *task, const char *name) {
    yyjson_val *value = yyjson_obj_get(task->body, name);
    return yyjson_is_str(value) ? weir_span_of(yyjson_get_str(value), yyjson_get_len(value)) : WEIR_SPAN("");
}

static enum weir_status refuse(struct gateway__billing_task *task, enum weir_reason reason, const char *field,
                               const char *words) {
    task->turn.reason = reason;
    task->turn.field = field;
    (void)snprintf(task->turn.detail, sizeof task->turn.detail, "%s", words);
    return WEIR_OK;
}

/* --- purchases --- */

static const char purchase_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
    "\"cu\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9007199254740},"
    "\"cu_milli\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":9007199254740991},"
    "\"reference\":{\"type\":[\"string\",\"null\"],\"minLength\":1,\"maxLength\":200},"
    "\"metadata\":{\"type\":[\"object\",\"null\"],\"maxProperties\":16,\"propertyNames\":{\"minLength\":1,\"maxLength\":64},"
    "\"additionalProperties\":{\"type\":\"string\",\"maxLength\":500}}}}";

/* The labels as JSON; empty: there are none. */
static struct weir_span labels(struct gateway__billing_task *task) {
    yyjson_val *metadata = yyjson_obj_get(task->body, "metadata"), *name, *value;
    struct weir_span copy = WEIR_SPAN("");
    struct weir_json_writer writer;
    struct weir_buffer text;
    size_t index, count;
    if (!yyjson_is_obj(metadata))
        return copy;
    weir_buffer_init(&text, 64 * WEIR_KIB);
    weir_json_writer_init(&writer, &text);
    weir_json_write_object(&writer);
    yyjson_obj_foreach(metadata, index, count, name, value) {
        weir_json_write_name(&writer, yyjson_get_str(name));
        weir_json_write_string(&writer, weir_span_of(yyjson_get_str(value), yyjson_get_len(value)));
    }
    weir_json_write_end(&writer);
    if (weir_buffer_status(&text) != WEIR_OK || weir_arena_dup(task->arena, weir_buffer_span(&text), &copy) != WEIR_OK)
        copy = WEIR_SPAN("");
    weir_buffer_release(&text);
    return copy;
}

static enum weir_status create_purchase(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    yyjson_val *cu = yyjson_obj_get(task->body, "cu"), *milli = yyjson_obj_get(task->body, "cu_milli");
    struct weir_purchase purchase;
    struct weir_balance balance;
    if ((cu == NULL) == (milli == NULL))
        return refuse(task, WEIR_REASON_FIELD_INVALID, "cu_milli", "exactly one of cu and cu_milli says how much");
    const struct weir_purchase_wish wish = {
        .workspace = task->workspace,
        .cu_milli = milli != NULL ? yyjson_get_sint(milli) : yyjson_get_sint(cu) * 1000, /* the schema keeps it small */
        .reference = body_text(task, "reference"),
        .metadata = labels(task),
        .payment = task->settings.payment == WEIR_PAYMENT_WEBHOOK ? "webhook" : "manual",
        .payment_url = task->settings.payment_url,
        .expires_utc_us = task->turn.now_utc_us + task->settings.purchase_expiry_ms * 1000,
        .max_cu_milli = task->settings.max_purchase_cu * 1000};
    enum weir_status status = weir_balance_read(&task->turn, task->workspace, &balance); /* there is such a workspace */
    if (status == WEIR_OK && task->turn.reason == WEIR_REASON_NONE)
        status = weir_purchase_create(&task->turn, &wish, &purchase);
    if (status == WEIR_OK && task->turn.reason == WEIR_REASON_NONE)
        weir_purchase_write(writer, &purchase);
    return status;
}

static enum weir_status get_purchase(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    struct weir_purchase purchase;
    enum weir_status status = weir_purchase_get(&task->turn, task->workspace, task->id, &purchase);
    if (status == WEIR_OK && task->turn.reason == WEIR_REASON_NONE)
        weir_purchase_write(writer, &purchase);
    return status;
}

struct listing {
    struct gateway__billing_task *task;
    struct weir_json_writer *writer;
    size_t count, limit;
    int64_t last;
};

static enum weir_status list_one(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct weir_purchase purchase;
    if (listing->count++ == listing->limit) /* one more than is shown says that there is more */
        return WEIR_OK;
    enum weir_status status = weir_purchase_read(listing->task->arena, object, listing->task->turn.now_utc_us,
                                                 &purchase);
    if (status != WEIR_OK)
        return status;
    weir_purchase_write(listing->writer, &purchase);
    listing->last = object->number;
    return WEIR_OK;
}

static bool read_number(struct weir_span text, int64_t lowest, int64_t most, int64_t *value) {
    return text.length == 0 || (weir_span_to_int64(text, value) == WEIR_OK && *value >= lowest && *value <= most);
}

static enum weir_status list_purchases(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    int64_t limit = PAGE, after = 0;
    if (!read_number(gateway__billing_parameter(task, "limit"), 1, MOST_PAGE, &limit))
        return refuse(task, WEIR_REASON_PARAMETER_INVALID, "limit", "1 to 100");
    if (!read_number(gateway__billing_parameter(task, "cursor"), 1, INT64_MAX, &after))
        return refuse(task, WEIR_REASON_CURSOR_INVALID, "cursor", "");
    struct listing listing = {.task = task, .writer = writer, .limit = (size_t)limit};
    const struct weir_object_query query = {.kind = WEIR_OBJECT_PURCHASE,
                                            .parent = task->workspace,
                                            .after_number = after,
                                            .limit = (size_t)limit + 1};
    weir_json_write_object(writer);
    weir_json_member_text(writer, "object", "list");
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    enum weir_status status = task->turn.ops->object_list(task->turn.engine, &query, list_one, &listing,
                                                          task->turn.error);
    weir_json_write_end(writer);
    char cursor[24];
    (void)snprintf(cursor, sizeof cursor, "%lld", (long long)listing.last);
    weir_json_member_text(writer, "next_cursor", listing.count > listing.limit ? cursor : NULL);
    weir_json_write_end(writer);
    return status;
}

/* --- the balance and the plan --- */

static enum weir_status get_balance(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    struct weir_balance balance;
    enum weir_status status = weir_balance_read(&task->turn, task->workspace, &balance);
    if (status == WEIR_OK && task->turn.reason == WEIR_REASON_NONE)
        weir_balance_write(writer, &balance);
    return status;
}

static enum weir_status get_plan(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    struct weir_balance balance;
    enum weir_status status = weir_balance_read(&task->turn, task->workspace, &balance);
    if (status == WEIR_OK && task->turn.reason == WEIR_REASON_NONE)
        weir_balance_write_plan(writer, &balance);
    return status;
}

static const char plan_schema[] =
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"plan\"],\"properties\":{"
    "\"plan\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":63}}}";

static enum weir_status change_plan(struct gateway__billing_task *task, struct weir_json_writer *writer,
                                    enum weir_plan_change change) {
    struct weir_balance balance;
    enum weir_status status = weir_plan_change(&task->turn, change, task->workspace, body_text(task, "plan"), &balance);
    if (status == WEIR_OK && task->turn.reason == WEIR_REASON_NONE)
        weir_balance_write_plan(writer, &balance);
    return status;
}

static enum weir_status upgrade(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    return change_plan(task, writer, WEIR_PLAN_UPGRADE);
}

static enum weir_status downgrade(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    return change_plan(task, writer, WEIR_PLAN_DOWNGRADE);
}

static enum weir_status cancel_downgrade(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    return change_plan(task, writer, WEIR_PLAN_CANCEL_DOWNGRADE);
}

/* --- usage --- */

static const struct {
    const char *name;
    enum weir_usage_dimension dimension;
    int place; /* in weir_usage_row.by; -1: the time */
} groups[] = {{"day", WEIR_USAGE_BY_DAY, -1},
              {"key", WEIR_USAGE_BY_KEY, 0},
              {"user", WEIR_USAGE_BY_USER, 1},
              {"model", WEIR_USAGE_BY_MODEL, 5}};
enum { GROUP_COUNT = sizeof groups / sizeof *groups, PLACE_OF_WORKSPACE_NAME = 3 };

static enum weir_status read_groups(struct gateway__billing_task *task, unsigned *by) {
    struct weir_span rest = gateway__billing_parameter(task, "group_by"), word;
    *by = 0;
    while (rest.length > 0) {
        size_t i = 0;
        (void)weir_span_split(rest, ',', &word, &rest);
        while (i < GROUP_COUNT && !weir_span_equal(word, weir_span_of_string(groups[i].name)))
            i++;
        if (i == GROUP_COUNT)
            return refuse(task, WEIR_REASON_PARAMETER_INVALID, "group_by",
                          "day, model, key and user, with commas between");
        *by |= groups[i].dimension;
    }
    return WEIR_OK;
}

static bool read_time(struct gateway__billing_task *task, const char *name, int64_t *utc_us) {
    struct weir_span text = gateway__billing_parameter(task, name);
    if (text.length == 0)
        return true;
    if (weir_clock_parse_utc(text, utc_us) != WEIR_OK || *utc_us < 0 || *utc_us % HOUR_US != 0)
        return false;
    return true;
}

struct usage {
    struct weir_json_writer *writer;
    unsigned by;
    size_t rows;
};

static enum weir_status write_usage(void *context, const struct weir_usage_row *row) {
    struct usage *usage = context;
    const struct weir_usage_sums *sums = &row->sums;
    struct weir_json_writer *writer = usage->writer;
    char time[WEIR_TIMESTAMP_SIZE];
    if (usage->rows++ == MOST_ROWS) /* one more tells that there are more, and nothing is told of a part */
        return WEIR_END;
    weir_json_write_object(writer);
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if ((usage->by & (unsigned)groups[i].dimension) == 0)
            continue;
        weir_clock_format_utc(row->from_utc_us, time);
        weir_json_member_string(writer, groups[i].name,
                                groups[i].place < 0 ? weir_span_of(time, strlen("2026-11-21"))
                                                    : row->by[groups[i].place]);
    }
    weir_json_member_int64(writer, "requests", sums->requests);
    weir_json_member_int64(writer, "errors", sums->errors);
    weir_json_member_int64(writer, "input_tokens", sums->input);
    weir_json_member_int64(writer, "cached_tokens", sums->cached);
    weir_json_member_int64(writer, "output_tokens", sums->output);
    weir_json_member_int64(writer, "reasoning_tokens", sums->reasoning);
    weir_json_member_int64(writer, "cost_cu_milli", sums->cost_cu_milli);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static void write_time(struct weir_json_writer *writer, const char *name, int64_t utc_us) {
    char time[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(utc_us, time);
    weir_json_member_text(writer, name, time);
}

static enum weir_status get_usage(struct gateway__billing_task *task, struct weir_json_writer *writer) {
    struct weir_billing_turn *turn = &task->turn;
    struct weir_period month = weir_window_period(WEIR_WINDOW_MONTH, NULL, turn->now_utc_us);
    struct weir_usage_query query = {.from_utc_us = month.from_utc_us,
                                     .until_utc_us = (turn->now_utc_us / HOUR_US + 1) * HOUR_US,
                                     .limit = MOST_ROWS + 1};
    struct usage usage = {.writer = writer};
    if (!read_time(task, "from", &query.from_utc_us))
        return refuse(task, WEIR_REASON_PARAMETER_INVALID, "from", "a date, or a time that is a full hour");
    if (!read_time(task, "until", &query.until_utc_us) || query.until_utc_us <= query.from_utc_us)
        return refuse(task, WEIR_REASON_PARAMETER_INVALID, "until",
                      "a date, or a time that is a full hour, after from");
    enum weir_status status = read_groups(task, &query.by);
    if (status != WEIR_OK || turn->reason != WEIR_REASON_NONE)
        return status;
    usage.by = query.by;
    query.only[PLACE_OF_WORKSPACE_NAME] = task->workspace;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "object", "billing.usage");
    weir_json_member_string(writer, "workspace", task->workspace);
    write_time(writer, "from_at", query.from_utc_us);
    write_time(writer, "until_at", query.until_utc_us);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    status = turn->ops->usage_report(turn->engine, &query, write_usage, &usage, turn->error);
    weir_json_write_end(writer);
    weir_json_write_end(writer);
    if (status == WEIR_ELIMIT)
        return refuse(task, WEIR_REASON_PARAMETER_INVALID, "from",
                      "usage by hour is not kept for so long: ask for whole days, or for later hours");
    if (status == WEIR_OK && usage.rows > MOST_ROWS)
        return refuse(task, WEIR_REASON_PARAMETER_INVALID, "group_by",
                      "there are more than 10000 rows: ask for a shorter time, or for fewer groups");
    return status;
}

/* --- the rows --- */

static const char *const list_parameters[] = {"limit", "cursor", NULL};
static const char *const usage_parameters[] = {"from", "until", "group_by", NULL};

#define CHANGE(function) .run = function, .needs_idempotency = true, .changes = true
static const struct gateway__billing_action purchase_create = {CHANGE(create_purchase), .schema = purchase_schema,
                                                               .status = 201},
                                            purchase_get = {.run = get_purchase},
                                            purchase_list = {.run = list_purchases, .parameters = list_parameters},
                                            balance_get = {.run = get_balance}, plan_get = {.run = get_plan},
                                            usage_get = {.run = get_usage, .parameters = usage_parameters},
                                            plan_upgrade = {CHANGE(upgrade), .schema = plan_schema},
                                            plan_downgrade = {CHANGE(downgrade), .schema = plan_schema},
                                            plan_cancel = {CHANGE(cancel_downgrade)};

#define ANSWERS(name, action)                                                  \
    enum gateway__next gateway__billing_##name(struct weir_request *request) { \
        return gateway__billing_begin(request, &(action), NULL);               \
    }
ANSWERS(purchase_create, purchase_create)
ANSWERS(purchase_get, purchase_get)
ANSWERS(purchase_list, purchase_list)
ANSWERS(balance, balance_get)
ANSWERS(plan, plan_get)
ANSWERS(usage, usage_get)
ANSWERS(plan_upgrade, plan_upgrade)
ANSWERS(plan_downgrade, plan_downgrade)
ANSWERS(plan_cancel, plan_cancel)
