/* The overrun account: what providers reported beyond what was reserved for a call. No budget bears it, so it must be in plain sight.
 *
 * The sums come from the reports' own sums. The ledger is read only where they say that there is something: hour by hour from the newest one, and within bounds.
 */
#include "operator/operations_table.h"
#include "operator/op_objects.h"
#include "operator/operations_table.h"

enum { USUAL_DAYS = 30, PAGE = 1000, MOST_HOURS = 2000, MOST_READ = 200000, PLACE_PROVIDER = 4, PLACE_MODEL = 5 };
static const int64_t hour_us = INT64_C(3600) * 1000000, day_us = INT64_C(86400) * 1000000;

struct entry {
    char request_id[WEIR_UUID_TEXT_SIZE];
    struct weir_span key, workspace, provider, model;
    int64_t start_utc_us, reserved, cost, overrun;
};
struct sum {
    struct weir_span provider, model;
    int64_t overrun, cost, requests;
};

struct account {
    struct weir_operation_call *call;
    struct weir_arena *arena;
    const struct weir_engine_ops *store;
    struct weir_engine *engine;
    struct weir_error error;
    int64_t from_utc_us, until_utc_us, overrun;
    struct weir_span provider, model; /* empty: all */
    struct sum *sums;
    size_t sum_count, sum_room;
    int64_t *hours; /* with an overrun, oldest first */
    size_t hour_count;
    struct entry *entries;                 /* newest first, once ordered */
    size_t entry_count, wanted, from_hour; /* from_hour: where those of the hour that is read begin */
    size_t read, seen;
    int64_t last;
    bool is_whole;
};

/* --- sums --- */

static enum weir_status keep_sum(void *context, const struct weir_usage_row *row) {
    struct account *account = context;
    if (row->sums.overrun_cu_milli == 0)
        return WEIR_OK;
    if (account->sum_count == account->sum_room) {
        size_t room = account->sum_room == 0 ? 16 : account->sum_room * 2;
        struct sum *larger = weir_arena_array(account->arena, room, sizeof *larger);
        if (larger == NULL)
            return WEIR_ENOMEM;
        if (account->sum_count > 0)
            memcpy(larger, account->sums, account->sum_count * sizeof *larger);
        account->sums = larger;
        account->sum_room = room;
    }
    struct sum *sum = &account->sums[account->sum_count++];
    *sum = (struct sum){.overrun = row->sums.overrun_cu_milli,
                        .cost = row->sums.cost_cu_milli,
                        .requests = row->sums.requests};
    account->overrun += sum->overrun;
    enum weir_status status = weir_arena_dup(account->arena, row->by[PLACE_PROVIDER], &sum->provider);
    return status == WEIR_OK ? weir_arena_dup(account->arena, row->by[PLACE_MODEL], &sum->model) : status;
}

static enum weir_status keep_hour(void *context, const struct weir_usage_row *row) {
    struct account *account = context;
    if (row->sums.overrun_cu_milli == 0)
        return WEIR_OK;
    if (account->hour_count == MOST_HOURS) { /* the oldest one makes room */
        account->is_whole = false;
        memmove(account->hours, account->hours + 1, (MOST_HOURS - 1) * sizeof *account->hours);
        account->hour_count--;
    }
    account->hours[account->hour_count++] = row->from_utc_us;
    return WEIR_OK;
}

static enum weir_status read_sums(struct account *account) {
    struct weir_usage_query query = {.from_utc_us = account->from_utc_us,
                                     .until_utc_us = account->until_utc_us,
                                     .by = WEIR_USAGE_BY_PROVIDER | WEIR_USAGE_BY_MODEL};
    if (account->provider.length > 0)
        query.only[PLACE_PROVIDER] = account->provider;
    if (account->model.length > 0)
        query.only[PLACE_MODEL] = account->model;
    enum weir_status status = account->store->usage_report(account->engine, &query, keep_sum, account, &account->error);
    query.by = WEIR_USAGE_BY_HOUR;
    if (status == WEIR_OK && account->sum_count > 0 && account->wanted > 0)
        status = account->store->usage_report(account->engine, &query, keep_hour, account, &account->error);
    for (size_t i = 1; i < account->sum_count; i++) { /* they are few: providers that do not keep to their word */
        struct sum one = account->sums[i];
        size_t at = i;
        for (; at > 0 && account->sums[at - 1].overrun < one.overrun; at--)
            account->sums[at] = account->sums[at - 1];
        account->sums[at] = one;
    }
    return status;
}

/* --- entries --- */

/* Of an hour the newest ones are kept: where there is no room, the oldest of that hour goes. */
static enum weir_status keep_entry(void *context, const struct weir_ledger_entry *entry) {
    struct account *account = context;
    account->seen++;
    account->read++;
    account->last = entry->sequence;
    if (entry->overrun_cu_milli == 0 ||
        (account->provider.length > 0 && !weir_span_equal(account->provider, entry->provider)) ||
        (account->model.length > 0 && !weir_span_equal(account->model, entry->model)))
        return WEIR_OK;
    if (account->entry_count == account->wanted) {
        account->is_whole = false;
        if (account->from_hour == account->entry_count)
            return WEIR_END;
        memmove(&account->entries[account->from_hour], &account->entries[account->from_hour + 1],
                (account->entry_count - account->from_hour - 1) * sizeof *account->entries);
        account->entry_count--;
    }
    struct entry *kept = &account->entries[account->entry_count++];
    *kept = (struct entry){.start_utc_us = entry->start_utc_us,
                           .reserved = entry->reserved_cu_milli,
                           .cost = entry->cost_cu_milli,
                           .overrun = entry->overrun_cu_milli};
    weir_uuid_format(&entry->request_id, kept->request_id);
    enum weir_status status = weir_arena_dup(account->arena, entry->key_id, &kept->key);
    if (status == WEIR_OK)
        status = weir_arena_dup(account->arena, entry->workspace, &kept->workspace);
    if (status == WEIR_OK)
        status = weir_arena_dup(account->arena, entry->provider, &kept->provider);
    return status == WEIR_OK ? weir_arena_dup(account->arena, entry->model, &kept->model) : status;
}

static enum weir_status read_hour(struct account *account, int64_t hour_utc_us) {
    struct weir_ledger_query query = {.from_utc_us = hour_utc_us, .until_utc_us = hour_utc_us + hour_us, .limit = PAGE};
    account->from_hour = account->entry_count;
    account->last = 0;
    do {
        account->seen = 0;
        query.after_sequence = account->last;
        enum weir_status status = account->store->ledger_each(account->engine, &query, keep_entry, account,
                                                              &account->error);
        if (status != WEIR_OK)
            return status;
    } while (account->seen == PAGE && account->read < MOST_READ);
    if (account->read >= MOST_READ)
        account->is_whole = false;
    for (size_t low = account->from_hour, high = account->entry_count; low + 1 < high; low++) { /* newest first */
        struct entry one = account->entries[low];
        account->entries[low] = account->entries[--high];
        account->entries[high] = one;
    }
    return WEIR_OK;
}

static enum weir_status read_entries(struct account *account) {
    enum weir_status status = WEIR_OK;
    for (size_t i = account->hour_count; status == WEIR_OK && i-- > 0;) {
        if (account->entry_count == account->wanted || account->read >= MOST_READ) {
            account->is_whole = false;
            break;
        }
        status = read_hour(account, account->hours[i]);
    }
    return status;
}

/* --- showing --- */

static void write_sums(struct weir_json_writer *writer, const struct account *account) {
    weir_json_write_name(writer, "by_model");
    weir_json_write_array(writer);
    for (size_t i = 0; i < account->sum_count; i++) {
        const struct sum *sum = &account->sums[i];
        weir_json_write_object(writer);
        weir_json_member_string(writer, "provider", sum->provider);
        weir_json_member_string(writer, "model", sum->model);
        weir_json_member_int64(writer, "overrun_cu_milli", sum->overrun);
        weir_json_member_int64(writer, "cost_cu_milli", sum->cost);
        weir_json_member_int64(writer, "requests", sum->requests);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

static void write_entries(struct weir_json_writer *writer, const struct account *account) {
    weir_json_write_name(writer, "entries");
    weir_json_write_array(writer);
    for (size_t i = 0; i < account->entry_count; i++) {
        const struct entry *entry = &account->entries[i];
        weir_json_write_object(writer);
        weir_json_member_text(writer, "request_id", entry->request_id);
        weir_operation_member_time(writer, "at", entry->start_utc_us);
        weir_json_member_string(writer, "key", entry->key);
        weir_json_member_string(writer, "workspace", entry->workspace);
        weir_json_member_string(writer, "provider", entry->provider);
        weir_json_member_string(writer, "model", entry->model);
        weir_json_member_int64(writer, "reserved_cu_milli", entry->reserved);
        weir_json_member_int64(writer, "cost_cu_milli", entry->cost);
        weir_json_member_int64(writer, "overrun_cu_milli", entry->overrun);
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

enum weir_status operator__overruns_list(struct weir_operation_call *call) {
    int64_t now = weir_operation_now_utc_us(call), from = weir_operation_query_time(call, "from"),
            until = weir_operation_query_time(call, "until");
    struct account account = {.call = call,
                              .arena = weir_operation_arena(call),
                              .provider = weir_operation_query_text(call, "provider"),
                              .model = weir_operation_query_text(call, "model"),
                              .wanted = (size_t)weir_operation_query_integer(call, "limit", 100),
                              .is_whole = true};
    account.store = weir_operation_store(call, &account.engine);
    from = from != 0 ? from : now - USUAL_DAYS * day_us;
    until = until != 0 ? until : now;
    if (until <= from)
        return weir_operation_fail(call, WEIR_REASON_PARAMETER_INVALID, "until", "expected a time behind `from`");
    account.from_utc_us = from - from % hour_us;
    account.until_utc_us = until % hour_us == 0 ? until : until - until % hour_us + hour_us;
    account.entries = weir_arena_array(account.arena, account.wanted, sizeof *account.entries);
    account.hours = weir_arena_array(account.arena, MOST_HOURS, sizeof *account.hours);
    if (account.entries == NULL || account.hours == NULL)
        return weir_operation_store_failed(call, WEIR_ENOMEM, "the account", NULL);
    enum weir_status status = read_sums(&account);
    if (status == WEIR_OK)
        status = read_entries(&account);
    if (status != WEIR_OK)
        return weir_operation_store_failed(call, status, "the account", &account.error);
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_operation_member_time(writer, "from_at", account.from_utc_us);
    weir_operation_member_time(writer, "until_at", account.until_utc_us);
    weir_json_member_int64(writer, "overrun_cu_milli", account.overrun);
    write_sums(writer, &account);
    write_entries(writer, &account);
    weir_json_member_bool(writer, "is_whole", account.is_whole && (account.wanted > 0 || account.sum_count == 0));
    weir_json_write_end(writer);
    return WEIR_OK;
}
