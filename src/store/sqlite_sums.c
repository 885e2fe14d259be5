/* From entries to sums: entries are added up in memory and written some time later, one row a sum that they touch. sqlite_waiting.c says when.
 *
 * The tables here are of fixed size; who adds to them has them written when they are half full. What they are looked up
 * by are numbers of our own making, so a plain multiplication spreads them well enough; tags, which clients choose, are looked up with a keyed hash.
 */
#include "store/sqlite_sums.h"

#include "base/memory.h"

enum {
    USAGE_SLOTS = 4096,    /* and twice as many of spend */
    LARGER = 8,            /* times as many, where much is added up at once */
    OF_SLOTS = 8192,       /* numbers of usage_of that are remembered */
    MAX_TAGS = 32768,      /* of tags that are remembered */
    MAX_TAG_VALUES = 1000, /* of one name in one workspace; the others are summed up as "name=*" */
    MAX_TAG_BYTES = 512,
    OF_TEXTS = 8,
    MAX_TAGS_OF_ONE =
        256 /* entry: no request has so many, and they always fit into the half of a table that is kept free */
};

struct spend_slot {
    int64_t place; /* 0: free */
    int64_t amounts[STORE__UNITS];
};
struct usage_slot {
    int64_t place;
    int64_t sums[STORE__USAGE_SUMS];
};
/* key, user, team, workspace, provider, model, upstream model, endpoint */
struct of_slot {
    int64_t texts[OF_TEXTS];
    int64_t number; /* 0: free */
};
struct tag {
    int64_t number; /* in usage_of; of a name: how many values it has */
    size_t length;
    char text[]; /* the workspace's number and "name=value", or "name" */
};

struct store__sums {
    struct weir_uuid instance; /* whose entries these are */
    bool has_instance, has_slices;
    size_t spend_count, usage_count, of_count;
    struct weir_map *tags;
    size_t usage_slots, spend_slots; /* powers of 2; 0: none are there */
    uint32_t *spend_used, *usage_used;
    struct spend_slot *spend;
    struct usage_slot *usage;
    struct of_slot of[OF_SLOTS];
};

/* --- memory --- */
static void forget_tags(struct store__sums *sums) {
    size_t cursor = 0;
    struct weir_span key;
    void *tag;
    while (sums->tags != NULL && weir_map_next(sums->tags, &cursor, &key, &tag))
        weir_memory_free(tag);
    weir_map_free(&sums->tags);
}

static void release_slots(struct store__sums *sums) {
    weir_memory_free(sums->spend_used);
    weir_memory_free(sums->usage_used);
    weir_memory_free(sums->spend);
    weir_memory_free(sums->usage);
    sums->spend_used = sums->usage_used = NULL;
    sums->spend = NULL;
    sums->usage = NULL;
    sums->spend_slots = sums->usage_slots = sums->spend_count = sums->usage_count = 0;
}

/* All are empty afterwards. */
static bool make_slots(struct store__sums *sums, size_t usage_slots) {
    const size_t spend_slots = 2 * usage_slots;
    release_slots(sums);
    sums->spend_used = weir_memory_new(spend_slots, sizeof(*sums->spend_used));
    sums->usage_used = weir_memory_new(usage_slots, sizeof(*sums->usage_used));
    sums->spend = weir_memory_new(spend_slots, sizeof(*sums->spend));
    sums->usage = weir_memory_new(usage_slots, sizeof(*sums->usage));
    if (sums->spend_used == NULL || sums->usage_used == NULL || sums->spend == NULL || sums->usage == NULL) {
        release_slots(sums);
        return false;
    }
    sums->spend_slots = spend_slots;
    sums->usage_slots = usage_slots;
    return true;
}

void store__sums_release(struct weir_engine *engine) {
    if (engine->sums == NULL)
        return;
    forget_tags(engine->sums);
    release_slots(engine->sums);
    weir_memory_free(engine->sums);
    engine->sums = NULL;
}

static void clear_slots(struct store__sums *sums) {
    for (size_t i = 0; i < sums->spend_count; i++)
        sums->spend[sums->spend_used[i]] = (struct spend_slot){.place = 0};
    for (size_t i = 0; i < sums->usage_count; i++)
        sums->usage[sums->usage_used[i]] = (struct usage_slot){.place = 0};
    sums->spend_count = 0;
    sums->usage_count = 0;
}

static void forget_numbers(struct store__sums *sums) {
    memset(sums->of, 0, sizeof(sums->of));
    sums->of_count = 0;
    forget_tags(sums);
}

void store__sums_forget(struct weir_engine *engine) {
    if (engine->sums == NULL)
        return;
    clear_slots(engine->sums);
    forget_numbers(engine->sums);
}

void store__sums_clear(struct weir_engine *engine) {
    if (engine->sums != NULL)
        clear_slots(engine->sums);
}

bool store__sums_full(const struct weir_engine *engine) {
    const struct store__sums *sums = engine->sums;
    return sums->spend_count > sums->spend_slots / 2 || sums->usage_count > sums->usage_slots / 2;
}

enum weir_status store__sums_begin(struct weir_engine *engine, bool much, struct weir_error *error) {
    const size_t slots = much ? (size_t)LARGER * USAGE_SLOTS : USAGE_SLOTS;
    if (engine->sums == NULL)
        engine->sums = weir_memory_new(1, sizeof(*engine->sums));
    struct store__sums *sums = engine->sums;
    /* What is larger than needed stays until it is empty. */
    if (sums == NULL || (sums->usage_slots != slots && sums->spend_count == 0 && !make_slots(sums, slots)))
        return weir_fail(error, WEIR_ENOMEM, "no memory for the ledger's sums");
    if (sums->of_count > OF_SLOTS / 2)
        forget_numbers(sums);
    if (sums->tags != NULL && weir_map_count(sums->tags) > MAX_TAGS)
        forget_tags(sums);
    return WEIR_OK;
}

static size_t slot_of(uint64_t value, size_t slots) {
    value *= UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(value >> 40) & (slots - 1);
}

/* --- writing --- */
static enum weir_status add_row(struct weir_engine *engine, enum store__sql which, int64_t place,
                                const int64_t *amounts, size_t count, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, place);
    for (size_t i = 0; i < count; i++)
        store__bind_integer(&binder, amounts[i]);
    return store__binder_run(engine, &binder, "add to the ledger's sums", error);
}

/* What was spent may not be spent any more. */
static enum weir_status take_from_slices(struct weir_engine *engine, const struct spend_slot *slot,
                                         struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_SLICE_TAKE, &statement, error);
    if (status != WEIR_OK)
        return status;
    const struct weir_uuid *instance = &engine->sums->instance;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, instance->bytes, sizeof(instance->bytes));
    store__bind_integer(&binder, slot->place & (STORE__SUBJECTS_END - 1));
    for (size_t i = 0; i < STORE__UNITS; i++)
        store__bind_integer(&binder, slot->amounts[i]);
    store__bind_integer(&binder, (slot->place >> 32) * WEIR_SPEND_BUCKET_US);
    return store__binder_run(engine, &binder, "take from slices", error);
}

static enum weir_status write_spend(struct weir_engine *engine, const struct spend_slot *slot,
                                    struct weir_error *error) {
    int64_t quarter = slot->place >> 32, subject = slot->place & (STORE__SUBJECTS_END - 1);
    enum weir_status status = add_row(engine, STORE__SQL_SPEND_QUARTER_ADD, slot->place, slot->amounts, STORE__UNITS,
                                      error);
    if (status == WEIR_OK) {
        status = add_row(engine, STORE__SQL_SPEND_DAY_ADD, store__place(quarter / STORE__QUARTERS_A_DAY, subject),
                         slot->amounts, STORE__UNITS, error);
    }
    if (status == WEIR_OK && engine->sums->has_slices)
        status = take_from_slices(engine, slot, error);
    return status;
}

static enum weir_status write_usage(struct weir_engine *engine, const struct usage_slot *slot,
                                    struct weir_error *error) {
    int64_t kind = slot->place & STORE__OF_TAGS, hour = (slot->place ^ kind) >> 32,
            number = slot->place & (STORE__SUBJECTS_END - 1);
    enum weir_status status = add_row(engine, STORE__SQL_USAGE_HOUR_ADD, slot->place, slot->sums, STORE__USAGE_SUMS,
                                      error);
    if (status != WEIR_OK)
        return status;
    return add_row(engine, STORE__SQL_USAGE_DAY_ADD, kind | store__place(hour / 24, number), slot->sums,
                   STORE__USAGE_SUMS, error);
}

static enum weir_status look_for_slices(struct weir_engine *engine, struct weir_error *error) {
    struct store__sums *sums = engine->sums;
    sqlite3_stmt *statement = NULL;
    int64_t any = 0;
    if (!sums->has_instance)
        return WEIR_OK;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_SLICE_ANY, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_blob(&binder, sums->instance.bytes, sizeof(sums->instance.bytes));
    status = store__sqlite_integer(engine, statement, "look for slices", &any, error);
    sums->has_slices = any != 0;
    return status;
}

enum weir_status store__sums_end(struct weir_engine *engine, struct weir_error *error) {
    struct store__sums *sums = engine->sums;
    enum weir_status status = WEIR_OK;
    if (sums->spend_count > 0)
        status = look_for_slices(engine, error);
    for (size_t i = 0; i < sums->spend_count && status == WEIR_OK; i++)
        status = write_spend(engine, &sums->spend[sums->spend_used[i]], error);
    for (size_t i = 0; i < sums->usage_count && status == WEIR_OK; i++)
        status = write_usage(engine, &sums->usage[sums->usage_used[i]], error);
    clear_slots(sums);
    return status;
}

enum weir_status store__sums_set_instance(struct weir_engine *engine, struct weir_span instance,
                                          struct weir_error *error) {
    struct store__sums *sums = engine->sums;
    const bool known = instance.length == sizeof(sums->instance.bytes);
    enum weir_status status = WEIR_OK;
    if (known == sums->has_instance && (!known || memcmp(sums->instance.bytes, instance.at, instance.length) == 0))
        return WEIR_OK;
    if (sums->spend_count > 0)
        status = store__sums_end(engine, error);
    sums->has_instance = known;
    sums->has_slices = false;
    if (known)
        memcpy(sums->instance.bytes, instance.at, instance.length);
    return status;
}

/* --- one entry --- */
static int64_t bounded(int64_t amount) {
    if (amount < 0)
        return 0;
    return amount < STORE__MOST_OF_ONE ? amount : STORE__MOST_OF_ONE;
}

static enum weir_status add_spend(struct weir_engine *engine, enum weir_scope scope, int64_t text, int64_t quarter,
                                  const int64_t amounts[STORE__UNITS], struct weir_error *error) {
    struct store__sums *sums = engine->sums;
    int64_t subject = store__subject(scope, text);
    if (text == 0 && scope != WEIR_SCOPE_GLOBAL)
        return WEIR_OK; /* it belongs to none */
    if (subject >= STORE__SUBJECTS_END)
        return weir_fail(error, WEIR_ELIMIT, "the ledger has more different texts than can be summed up by");
    int64_t place = store__place(quarter, subject);
    size_t at = slot_of((uint64_t)place, sums->spend_slots);
    while (sums->spend[at].place != 0 && sums->spend[at].place != place)
        at = (at + 1) & (sums->spend_slots - 1);
    struct spend_slot *slot = &sums->spend[at];
    if (slot->place == 0) {
        slot->place = place;
        sums->spend_used[sums->spend_count++] = (uint32_t)at;
    }
    for (size_t i = 0; i < STORE__UNITS; i++)
        slot->amounts[i] += amounts[i];
    return WEIR_OK;
}

static void add_usage(struct weir_engine *engine, int64_t place, const int64_t addends[STORE__USAGE_SUMS]) {
    struct store__sums *sums = engine->sums;
    size_t at = slot_of((uint64_t)place, sums->usage_slots);
    while (sums->usage[at].place != 0 && sums->usage[at].place != place)
        at = (at + 1) & (sums->usage_slots - 1);
    struct usage_slot *slot = &sums->usage[at];
    if (slot->place == 0) {
        slot->place = place;
        sums->usage_used[sums->usage_count++] = (uint32_t)at;
    }
    for (size_t i = 0; i < STORE__USAGE_SUMS; i++)
        slot->sums[i] += addends[i];
}

static enum weir_status run_for_number(struct weir_engine *engine, enum store__sql which, const int64_t *numbers,
                                       size_t count, struct weir_span tag, int64_t *number, struct weir_error *error) {
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, which, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    for (size_t i = 0; i < count; i++)
        store__bind_integer(&binder, numbers[i]);
    if (tag.length > 0)
        store__bind_text(&binder, tag);
    status = store__sqlite_integer(engine, statement, "look up what usage is summed up by", number, error);
    if (status == WEIR_OK && *number >= STORE__SUBJECTS_END)
        return weir_fail(error, WEIR_ELIMIT, "usage is summed up by more than can be counted");
    return status;
}

/* The number in usage_of of an entry's texts. */
static enum weir_status number_of(struct weir_engine *engine, const int64_t texts[OF_TEXTS], int64_t *number,
                                  struct weir_error *error) {
    struct store__sums *sums = engine->sums;
    uint64_t mixed = 0;
    for (size_t i = 0; i < OF_TEXTS; i++)
        mixed = (mixed ^ (uint64_t)texts[i]) * UINT64_C(0xBF58476D1CE4E5B9) + (mixed >> 31);
    size_t at = slot_of(mixed, OF_SLOTS);
    while (sums->of[at].number != 0) {
        if (memcmp(sums->of[at].texts, texts, sizeof(sums->of[at].texts)) == 0) {
            *number = sums->of[at].number;
            return WEIR_OK;
        }
        at = (at + 1) & (OF_SLOTS - 1);
    }
    const struct weir_span no_tag = WEIR_SPAN("");
    enum weir_status status = run_for_number(engine, STORE__SQL_USAGE_OF_FIND, texts, OF_TEXTS, no_tag, number, error);
    if (status == WEIR_ENOTFOUND)
        status = run_for_number(engine, STORE__SQL_USAGE_OF_INSERT, texts, OF_TEXTS, no_tag, number, error);
    if (status == WEIR_OK && sums->of_count < OF_SLOTS * 3 / 4) {
        memcpy(sums->of[at].texts, texts, sizeof(sums->of[at].texts));
        sums->of[at].number = *number;
        sums->of_count++;
    }
    return status;
}

/* --- tags --- */
static struct tag *known_tag(const struct store__sums *sums, struct weir_span text) {
    return sums->tags != NULL ? weir_map_find(sums->tags, text) : NULL;
}

static enum weir_status remember_tag(struct store__sums *sums, struct weir_span text, int64_t number, struct tag **made,
                                     struct weir_error *error) {
    if (sums->tags == NULL)
        sums->tags = weir_map_new(64);
    struct tag *tag = weir_memory_new(1, sizeof(*tag) + text.length);
    if (sums->tags == NULL || tag == NULL)
        goto no_memory;
    tag->number = number;
    tag->length = text.length;
    memcpy(tag->text, text.at, text.length);
    if (weir_map_put(sums->tags, weir_span_of(tag->text, tag->length), tag, NULL) != WEIR_OK)
        goto no_memory;
    *made = tag;
    return WEIR_OK;
no_memory:
    weir_memory_free(tag);
    return weir_fail(error, WEIR_ENOMEM, "no memory for the ledger's sums");
}

/* How many values of this name are summed up by, in this workspace. */
static enum weir_status values_of(struct weir_engine *engine, struct weir_span text, int64_t workspace,
                                  struct tag **values, struct weir_error *error) {
    struct store__sums *sums = engine->sums;
    *values = known_tag(sums, text);
    if (*values != NULL)
        return WEIR_OK;
    sqlite3_stmt *statement = NULL;
    int64_t count = 0;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_USAGE_OF_TAG_COUNT, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, workspace);
    store__bind_text(&binder, weir_span_from(text, sizeof(workspace)));
    status = store__sqlite_integer(engine, statement, "count a tag's values", &count, error);
    return status == WEIR_OK ? remember_tag(sums, text, count, values, error) : status;
}

/* A new tag, if its name has not too many values; WEIR_ENOTFOUND: it has. */
static enum weir_status tag_insert(struct weir_engine *engine, int64_t workspace, struct weir_span tag,
                                   struct weir_span name, int64_t *number, struct weir_error *error) {
    struct tag *values = NULL;
    enum weir_status status = values_of(engine, name, workspace, &values, error);
    if (status != WEIR_OK)
        return status;
    if (values->number >= MAX_TAG_VALUES && !weir_span_ends_with(tag, WEIR_SPAN("=*")))
        return WEIR_ENOTFOUND;
    values->number++;
    return run_for_number(engine, STORE__SQL_USAGE_OF_TAG_INSERT, &workspace, 1, tag, number, error);
}

/* `name`: the bytes of it before the "=". */
static enum weir_status tag_number(struct weir_engine *engine, int64_t workspace, struct weir_span tag, size_t name,
                                   int64_t *number, struct weir_error *error) {
    struct store__sums *sums = engine->sums;
    char bytes[sizeof(workspace) + MAX_TAG_BYTES + 2];
    memcpy(bytes, &workspace, sizeof(workspace));
    memcpy(bytes + sizeof(workspace), tag.at, tag.length);
    struct weir_span text = weir_span_of(bytes, sizeof(workspace) + tag.length);
    struct tag *known = known_tag(sums, text);
    if (known != NULL) {
        *number = known->number;
        return WEIR_OK;
    }
    enum weir_status status = run_for_number(engine, STORE__SQL_USAGE_OF_TAG_FIND, &workspace, 1, tag, number, error);
    if (status == WEIR_ENOTFOUND) {
        status = tag_insert(engine, workspace, tag, weir_span_first(text, sizeof(workspace) + name), number, error);
        if (status == WEIR_ENOTFOUND) {
            memcpy(bytes + sizeof(workspace) + name, "=*", 2);
            return tag_number(engine, workspace, weir_span_of(bytes + sizeof(workspace), name + 2), name, number,
                              error);
        }
    }
    return status == WEIR_OK ? remember_tag(sums, text, *number, &known, error) : status;
}

static enum weir_status add_tags(struct weir_engine *engine, struct weir_span tags, int64_t workspace, int64_t hour,
                                 const int64_t addends[STORE__USAGE_SUMS], struct weir_error *error) {
    enum weir_status status = WEIR_OK;
    for (size_t count = 0; count < MAX_TAGS_OF_ONE && tags.length > 0 && status == WEIR_OK; count++) {
        const char *comma = memchr(tags.at, ',', tags.length);
        struct weir_span tag = weir_span_first(tags, comma != NULL ? (size_t)(comma - tags.at) : tags.length);
        tags = weir_span_from(tags, tag.length + (comma != NULL ? 1 : 0));
        const char *equals = tag.length > 0 && tag.length <= MAX_TAG_BYTES ? memchr(tag.at, '=', tag.length) : NULL;
        int64_t number = 0;
        if (equals == NULL)
            continue;
        status = tag_number(engine, workspace, tag, (size_t)(equals - tag.at), &number, error);
        if (status == WEIR_OK)
            add_usage(engine, STORE__OF_TAGS | store__place(hour, number), addends);
    }
    return status;
}

/* --- one entry, all of it --- */
static enum weir_status add_all_spend(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                      const struct store__entry_numbers *numbers, int64_t quarter,
                                      struct weir_error *error) {
    const int64_t amounts[STORE__UNITS] = {bounded(entry->cost_cu_milli), 1,
                                           bounded(entry->usage.input) + bounded(entry->usage.output)};
    const struct {
        enum weir_scope scope;
        int64_t text;
    } subjects[] = {
        {WEIR_SCOPE_GLOBAL, 0},
        {WEIR_SCOPE_WORKSPACE, numbers->texts[1]},
        {WEIR_SCOPE_TEAM, numbers->team},
        {WEIR_SCOPE_USER, numbers->user},
        {WEIR_SCOPE_KEY, numbers->family != 0 ? numbers->family : numbers->texts[0]},
        {WEIR_SCOPE_MODEL, numbers->texts[3]},
        {WEIR_SCOPE_PROVIDER, numbers->texts[4]},
    };
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]) && status == WEIR_OK; i++)
        status = add_spend(engine, subjects[i].scope, subjects[i].text, quarter, amounts, error);
    for (size_t i = 0; i < entry->attempt_count && status == WEIR_OK; i++) {
        const int64_t besides[STORE__UNITS] = {bounded(entry->attempts[i].cost_cu_milli), 0, 0};
        if (besides[0] > 0)
            status = add_spend(engine, WEIR_SCOPE_PROVIDER, numbers->attempts[i][0], quarter, besides, error);
    }
    return status;
}

static bool is_estimated(uint8_t source) {
    return source == WEIR_USAGE_ESTIMATED || source == WEIR_USAGE_ABORTED || source == WEIR_USAGE_RESERVED;
}

enum weir_status store__sums_add(struct weir_engine *engine, const struct weir_ledger_entry *entry,
                                 const struct store__entry_numbers *numbers, struct weir_error *error) {
    const int64_t quarter = store__quarter_of(entry->start_utc_us), hour = quarter / STORE__QUARTERS_AN_HOUR;
    const int64_t texts[OF_TEXTS] = {numbers->family != 0 ? numbers->family : numbers->texts[0],
                                     numbers->user,
                                     numbers->team,
                                     numbers->texts[1],
                                     numbers->texts[4],
                                     numbers->texts[3],
                                     numbers->texts[5],
                                     numbers->texts[2]};
    const int64_t addends[STORE__USAGE_SUMS] = {
        1,
        entry->outcome == WEIR_OUTCOME_ERROR,
        entry->outcome == WEIR_OUTCOME_ABORTED,
        entry->outcome == WEIR_OUTCOME_CRASHED,
        entry->unpriced,
        is_estimated(entry->usage_source),
        bounded(entry->usage.input),
        bounded(entry->usage.cached),
        bounded(entry->usage.cache_write),
        bounded(entry->usage.output),
        bounded(entry->usage.reasoning),
        bounded(entry->cost_cu_milli),
        bounded(entry->overrun_cu_milli),
        bounded(entry->reserved_cu_milli),
    };
    int64_t number = 0;
    enum weir_status status = add_all_spend(engine, entry, numbers, quarter, error);
    if (status == WEIR_OK)
        status = number_of(engine, texts, &number, error);
    if (status == WEIR_OK)
        add_usage(engine, store__place(hour, number), addends);
    if (status == WEIR_OK && entry->tags.length > 0)
        status = add_tags(engine, entry->tags, numbers->texts[1], hour, addends, error);
    return status;
}
