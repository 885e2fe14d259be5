/* The audit trail: what is written comes back, and whatever is done to it behind weir's back is found and named. */
#include "fixture.h"

#include <sqlite3.h>

#define TEXT(literal) WEIR_SPAN(literal)
enum { TEXTS = 14, HOUR = 3600 };
static const int64_t start_us = 1790000000000000;

/* The text columns in the order of the struct's members. */
static const char *const columns[TEXTS] = {"actor_kind", "actor_id", "actor_name",    "actor_role",  "actor_address",
                                           "workspace",  "action",   "resource_type", "resource_id", "resource_name",
                                           "changes",    "request",  "reason",        "message"};

static void texts_of(struct weir_audit_entry *entry, struct weir_span *texts[TEXTS]) {
    struct weir_span *const all[TEXTS] = {&entry->actor_kind,    &entry->actor_id,      &entry->actor_name,
                                          &entry->actor_role,    &entry->actor_address, &entry->workspace,
                                          &entry->action,        &entry->resource_type, &entry->resource_id,
                                          &entry->resource_name, &entry->changes,       &entry->request,
                                          &entry->reason,        &entry->message};
    memcpy(texts, all, sizeof(all));
}

static struct weir_audit_entry full_entry(void) {
    return (struct weir_audit_entry){
        .sequence = 7,
        .utc_us = start_us,
        .actor_kind = TEXT("token"),
        .actor_id = TEXT("op_1"),
        .actor_name = TEXT("ann"),
        .actor_role = TEXT("admin"),
        .actor_address = TEXT("192.0.2.7"),
        .workspace = TEXT("acme"),
        .action = TEXT("key.create"),
        .resource_type = TEXT("key"),
        .resource_id = TEXT("key_1"),
        .resource_name = TEXT("the laptop"),
        .changes = TEXT("{\"before\":null,\"after\":{\"name\":\"x\"}}"),
        .request = TEXT("{\"request_id\":\"r\"}"),
    };
}

/* --- the hash --- */
/* The same bytes put together independently. It may never change: trails that exist would no longer verify. */
static void the_hash_stays_what_it_is(void **state) {
    (void)state;
    unsigned char previous[WEIR_AUDIT_HASH_SIZE], hash[WEIR_AUDIT_HASH_SIZE];
    char text[2 * WEIR_AUDIT_HASH_SIZE + 1];
    for (size_t i = 0; i < sizeof(previous); i++)
        previous[i] = (unsigned char)i;
    struct weir_audit_entry entry = full_entry();
    weir_audit_hash(&entry, previous, hash);
    weir_hex_format(hash, sizeof(hash), text);
    assert_string_equal(text, "4c8264c011d76939d305d3dd6b0aeb58505b0b3500b00fdf7199dbb15aa58278");
}

static void every_member_counts(void **state) {
    (void)state;
    const struct weir_audit_entry original = full_entry();
    unsigned char previous[WEIR_AUDIT_HASH_SIZE] = {1}, hash[WEIR_AUDIT_HASH_SIZE], other[WEIR_AUDIT_HASH_SIZE];
    weir_audit_hash(&original, previous, hash);
    struct weir_span *texts[TEXTS];
    struct weir_audit_entry entry = original;
    texts_of(&entry, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        entry = original;
        *texts[i] = TEXT("something else");
        weir_audit_hash(&entry, previous, other);
        assert_memory_not_equal(hash, other, sizeof(hash));
    }
    /* A byte that moves from one member to the next is a difference. */
    entry = original;
    entry.actor_kind = TEXT("tokeno");
    entry.actor_id = TEXT("p_1");
    weir_audit_hash(&entry, previous, other);
    assert_memory_not_equal(hash, other, sizeof(hash));
    entry = original;
    entry.sequence++;
    weir_audit_hash(&entry, previous, other);
    assert_memory_not_equal(hash, other, sizeof(hash));
    entry = original;
    entry.utc_us++;
    weir_audit_hash(&entry, previous, other);
    assert_memory_not_equal(hash, other, sizeof(hash));
    entry = original;
    entry.result = WEIR_AUDIT_FAILURE;
    weir_audit_hash(&entry, previous, other);
    assert_memory_not_equal(hash, other, sizeof(hash));
    previous[31] ^= 1;
    weir_audit_hash(&original, previous, other);
    assert_memory_not_equal(hash, other, sizeof(hash));
    assert_string_equal(weir_audit_result_name(WEIR_AUDIT_SUCCESS), "success");
    assert_string_equal(weir_audit_result_name(WEIR_AUDIT_FAILURE), "failure");
    assert_string_equal(weir_audit_result_name(WEIR_AUDIT_PARTIAL), "partial");
}

/* --- writing and listing --- */
static struct weir_audit_entry append(struct fixture *fixture, struct weir_audit_entry entry) {
    check(fixture, fixture->ops->audit_append(fixture->engine, &entry, &fixture->error), WEIR_OK);
    return entry;
}

struct seen {
    struct weir_arena *arena;
    size_t count, room;
    struct weir_audit_entry *entries;
    enum weir_status answer;
};

static enum weir_status see(void *context, const struct weir_audit_entry *entry) {
    struct seen *seen = context;
    assert_true(seen->count < seen->room);
    struct weir_audit_entry *copy = &seen->entries[seen->count++];
    *copy = *entry;
    struct weir_span *texts[TEXTS];
    texts_of(copy, texts);
    for (size_t i = 0; i < TEXTS; i++)
        assert_int_equal(weir_arena_dup(seen->arena, *texts[i], texts[i]), WEIR_OK);
    return seen->answer;
}

static struct seen list(struct fixture *fixture, struct weir_audit_query query) {
    struct seen seen = {.arena = fixture->arena, .room = 10001};
    weir_arena_reset(fixture->arena);
    seen.entries = weir_arena_array(fixture->arena, seen.room, sizeof(*seen.entries));
    assert_non_null(seen.entries);
    check(fixture, fixture->ops->audit_each(fixture->engine, &query, see, &seen, &fixture->error), WEIR_OK);
    return seen;
}

static void assert_entries_equal_audit(struct weir_audit_entry a, struct weir_audit_entry b) {
    struct weir_span *x[TEXTS], *y[TEXTS];
    texts_of(&a, x);
    texts_of(&b, y);
    for (size_t i = 0; i < TEXTS; i++)
        assert_spans_equal(*x[i], *y[i]);
    assert_true(a.sequence == b.sequence && a.utc_us == b.utc_us);
    assert_int_equal(a.result, b.result);
    assert_memory_equal(a.previous, b.previous, sizeof(a.previous));
    assert_memory_equal(a.hash, b.hash, sizeof(a.hash));
}

static void entries_come_back_chained(void **state) {
    struct fixture *fixture = *state;
    struct weir_audit_entry written[4];
    written[0] = append(fixture, full_entry());
    written[1] = append(fixture, (struct weir_audit_entry){.utc_us = 1});
    struct weir_audit_entry entry = full_entry();
    entry.result = WEIR_AUDIT_FAILURE;
    entry.reason = TEXT("OPERATOR_FORBIDDEN");
    entry.message = weir_span_of("a\0b \xFF\xC3\x28", 7); /* whatever bytes a client sent */
    written[2] = append(fixture, entry);
    entry.result = WEIR_AUDIT_PARTIAL;
    written[3] = append(fixture, entry);
    static const unsigned char zeroes[WEIR_AUDIT_HASH_SIZE];
    assert_memory_equal(written[0].previous, zeroes, sizeof(zeroes));
    for (int reopened = 0; reopened < 2; reopened++) {
        struct seen seen = list(fixture, (struct weir_audit_query){.oldest_first = true});
        assert_int_equal(seen.count, 4);
        for (size_t i = 0; i < 4; i++) {
            unsigned char hash[WEIR_AUDIT_HASH_SIZE];
            assert_entries_equal_audit(seen.entries[i], written[i]);
            assert_true(seen.entries[i].sequence == (int64_t)i + 1);
            if (i > 0)
                assert_memory_equal(seen.entries[i].previous, seen.entries[i - 1].hash, sizeof(hash));
            weir_audit_hash(&seen.entries[i], seen.entries[i].previous, hash);
            assert_memory_equal(seen.entries[i].hash, hash, sizeof(hash));
        }
        seen = list(fixture, (struct weir_audit_query){.limit = 2});
        assert_int_equal(seen.count, 2);
        assert_entries_equal_audit(seen.entries[0], written[3]);
        assert_entries_equal_audit(seen.entries[1], written[2]);
        fixture->ops->close(&fixture->engine);
        open_engine(fixture);
    }
}

/* Entries of many kinds; their times go up, but for every seventh, which is an hour late. */
enum { MANY = 3000 };
static struct weir_audit_entry many_entry(int64_t sequence) {
    const struct weir_span actors[] = {TEXT("op_1"), TEXT("op_2"), TEXT("op_3"), TEXT("")};
    const struct weir_span names[] = {TEXT("ann"), TEXT("bob"), TEXT(""), TEXT("ann")};
    const struct weir_span actions[] = {TEXT("key.create"), TEXT("key.revoke"), TEXT("team.create")};
    const struct weir_span types[] = {TEXT("key"), TEXT("key"), TEXT("team")};
    const struct weir_span ids[] = {TEXT("a"), TEXT("b"), TEXT("c"), TEXT("d"), TEXT("e"), TEXT("")};
    const struct weir_span workspaces[] = {TEXT("default"), TEXT("acme"), TEXT("")};
    uint64_t n = (uint64_t)sequence;
    return (struct weir_audit_entry){
        .utc_us = start_us + sequence * 1000000 - (n % 7 == 0 ? (int64_t)HOUR * 1000000 : 0),
        .actor_id = actors[n % 4],
        .actor_name = names[n % 4],
        .action = actions[n % 3],
        .resource_type = types[n % 3],
        .resource_id = ids[n % 6],
        .workspace = workspaces[n / 2 % 3],
        .result = n % 10 == 0   ? WEIR_AUDIT_FAILURE
                  : n % 11 == 0 ? WEIR_AUDIT_PARTIAL
                                : WEIR_AUDIT_SUCCESS,
    };
}

static bool is(struct weir_span wanted, struct weir_span found) {
    return wanted.length == 0 || weir_span_equal(wanted, found);
}

static bool matches(const struct weir_audit_query *query, int64_t sequence) {
    struct weir_audit_entry entry = many_entry(sequence);
    return (query->from_utc_us == 0 || entry.utc_us >= query->from_utc_us) &&
           (query->until_utc_us == 0 || entry.utc_us < query->until_utc_us) && is(query->actor_id, entry.actor_id) &&
           is(query->actor_name, entry.actor_name) && is(query->workspace, entry.workspace) &&
           is(query->action, entry.action) && is(query->resource_type, entry.resource_type) &&
           is(query->resource_id, entry.resource_id) && (!query->has_result || entry.result == query->result) &&
           (query->before_sequence == 0 || sequence < query->before_sequence) && sequence > query->after_sequence;
}

static void listings_give_what_matches(void **state) {
    struct fixture *fixture = *state;
    check(fixture, fixture->ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (int64_t i = 1; i <= MANY; i++)
        assert_true(append(fixture, many_entry(i)).sequence == i);
    check(fixture, fixture->ops->work_end(fixture->engine, WEIR_OK, &fixture->error), WEIR_OK);
    const int64_t second_us = 1000000;
    const struct weir_audit_query queries[] = {
        {.limit = 0},
        {.actor_id = TEXT("op_2")},
        {.actor_name = TEXT("ann")},
        {.workspace = TEXT("acme")},
        {.action = TEXT("key.revoke")},
        {.resource_type = TEXT("key")},
        {.resource_id = TEXT("d")},
        {.has_result = true, .result = WEIR_AUDIT_SUCCESS},
        {.has_result = true, .result = WEIR_AUDIT_FAILURE},
        {.has_result = true, .result = WEIR_AUDIT_PARTIAL},
        {.from_utc_us = start_us + 2000 * second_us},
        {.until_utc_us = start_us + 500 * second_us},
        {.from_utc_us = start_us - 600 * second_us, .until_utc_us = start_us - 400 * second_us},
        {.from_utc_us = start_us + 1000 * second_us, .until_utc_us = start_us + 1001 * second_us},
        {.from_utc_us = start_us + 9000 * second_us},
        {.until_utc_us = 1},
        {.actor_id = TEXT("nobody")},
        {.actor_id = TEXT("op_1"), .action = TEXT("key.create"), .workspace = TEXT("default")},
        {.resource_type = TEXT("team"), .resource_id = TEXT("c"), .has_result = true, .result = WEIR_AUDIT_FAILURE},
        {.actor_name = TEXT("bob"),
         .from_utc_us = start_us + 100 * second_us,
         .until_utc_us = start_us + 1500 * second_us},
        {.before_sequence = 1500, .action = TEXT("key.create")},
        {.before_sequence = 1},
        {.after_sequence = 2990},
    };
    for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
        for (int oldest_first = 0; oldest_first < 2; oldest_first++) {
            const size_t limits[] = {7, 10000};
            for (size_t j = 0; j < 2; j++) {
                struct weir_audit_query query = queries[i];
                query.oldest_first = oldest_first == 1;
                query.limit = limits[j];
                struct seen seen = list(fixture, query);
                size_t count = 0;
                for (int64_t k = 1; k <= MANY && count < query.limit; k++) {
                    int64_t sequence = query.oldest_first ? k : MANY + 1 - k;
                    if (!matches(&query, sequence))
                        continue;
                    assert_true(count < seen.count);
                    assert_true(seen.entries[count].sequence == sequence);
                    count++;
                }
                assert_int_equal(seen.count, count);
            }
        }
    }
    assert_int_equal(list(fixture, (struct weir_audit_query){.limit = 0}).count, 50);
    struct seen one = {.arena = fixture->arena, .room = 10, .answer = WEIR_END};
    one.entries = weir_arena_array(fixture->arena, 10, sizeof(*one.entries));
    const struct weir_audit_query all = {.limit = 10};
    check(fixture, fixture->ops->audit_each(fixture->engine, &all, see, &one, &fixture->error), WEIR_OK);
    assert_int_equal(one.count, 1);
    one.answer = WEIR_ELIMIT;
    check(fixture, fixture->ops->audit_each(fixture->engine, &all, see, &one, &fixture->error), WEIR_ELIMIT);
}

/* --- verifying --- */
static struct weir_audit_verification verify(struct fixture *fixture) {
    struct weir_audit_verification verification;
    check(fixture, fixture->ops->audit_verify(fixture->engine, &verification, &fixture->error), WEIR_OK);
    return verification;
}

static void assert_good(struct fixture *fixture, int64_t first, int64_t last) {
    struct weir_audit_verification found = verify(fixture);
    if (found.broken_at != 0)
        print_error("%s\n", found.problem);
    assert_true(found.broken_at == 0);
    assert_true(found.first == first && found.last == last);
    assert_true(found.entries == (last == 0 ? 0 : last - first + 1));
    assert_string_equal(found.problem, "");
}

static void fill(struct fixture *fixture, int64_t count) {
    check(fixture, fixture->ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (int64_t i = 0; i < count; i++) {
        struct weir_audit_entry entry = full_entry();
        entry.utc_us = start_us + i;
        append(fixture, entry);
    }
    check(fixture, fixture->ops->work_end(fixture->engine, WEIR_OK, &fixture->error), WEIR_OK);
}

static void a_trail_that_nobody_touched_is_good(void **state) {
    struct fixture *fixture = *state;
    assert_good(fixture, 0, 0);
    fill(fixture, 1);
    assert_good(fixture, 1, 1);
    fill(fixture, 20);
    assert_good(fixture, 1, 21);
    struct weir_audit_verification found = verify(fixture);
    struct seen seen = list(fixture, (struct weir_audit_query){.limit = 1});
    assert_memory_equal(found.head, seen.entries[0].hash, sizeof(found.head));

    /* Also while others write, each on a connection of its own. */
    struct weir_engine *other = NULL;
    check(fixture, fixture->ops->open(fixture->location, "dev", &other, &fixture->error), WEIR_OK);
    for (int i = 0; i < 6; i++) {
        struct weir_audit_entry entry = full_entry();
        struct weir_engine *engine = i % 2 == 0 ? other : fixture->engine;
        check(fixture, fixture->ops->audit_append(engine, &entry, &fixture->error), WEIR_OK);
        assert_true(entry.sequence == 22 + i);
    }
    fixture->ops->close(&other);
    assert_good(fixture, 1, 27);

    /* What was taken back leaves no gap. */
    check(fixture, fixture->ops->work_begin(fixture->engine, &fixture->error), WEIR_OK);
    append(fixture, full_entry());
    assert_good(fixture, 1, 28);
    assert_int_equal(fixture->ops->work_end(fixture->engine, WEIR_EINVAL, &fixture->error), WEIR_EINVAL);
    assert_good(fixture, 1, 27);
    assert_true(append(fixture, full_entry()).sequence == 28);
    assert_good(fixture, 1, 28);
}

static void execute(const char *location, const char *sql) {
    sqlite3 *database = NULL;
    char *problem = NULL;
    assert_int_equal(sqlite3_open(location, &database), SQLITE_OK);
    if (sqlite3_exec(database, sql, NULL, NULL, &problem) != SQLITE_OK)
        print_error("%s: %s\n", sql, problem);
    assert_null(problem);
    (void)sqlite3_close(database);
}

/* Ten entries, something done to the table behind the engine's back, and where it must be found. */
static void assert_found(struct fixture *fixture, const char *sql, int64_t broken_at, const char *words) {
    execute(fixture->location, "SAVEPOINT x; RELEASE x"); /* the file is usable */
    struct weir_engine *engine = NULL;
    char location[PATH_SIZE + 8];
    (void)snprintf(location, sizeof(location), "%s.copy", fixture->location);
    (void)unlink(location);
    char copy[2 * PATH_SIZE];
    (void)snprintf(copy, sizeof(copy), "VACUUM INTO '%s'", location);
    execute(fixture->location, copy);
    execute(location, sql);
    check(fixture, fixture->ops->open(location, "dev", &engine, &fixture->error), WEIR_OK);
    struct weir_audit_verification found;
    check(fixture, fixture->ops->audit_verify(engine, &found, &fixture->error), WEIR_OK);
    if (found.broken_at != broken_at || strstr(found.problem, words) == NULL)
        print_error("%s: found at %lld: \"%s\"\n", sql, (long long)found.broken_at, found.problem);
    assert_true(found.broken_at == broken_at);
    assert_non_null(strstr(found.problem, words));
    assert_true(found.entries < 10 || broken_at >= 10);

    /* What is added afterwards neither fails nor hides it. */
    struct weir_audit_entry entry = full_entry();
    check(fixture, fixture->ops->audit_append(engine, &entry, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->audit_verify(engine, &found, &fixture->error), WEIR_OK);
    /* Where it was the end that is wrong, the next one is what does not follow. */
    assert_true(found.broken_at == broken_at || (found.broken_at == broken_at + 1 && broken_at >= 10));
    fixture->ops->close(&engine);
    const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[PATH_SIZE + 16];
        (void)snprintf(path, sizeof(path), "%s%s", location, ends[i]);
        (void)unlink(path);
    }
}

static void every_edit_is_found(void **state) {
    struct fixture *fixture = *state;
    fill(fixture, 10);
    const int64_t places[] = {1, 5, 10};
    for (size_t i = 0; i < 3; i++) {
        char sql[256], words[64];
        (void)snprintf(words, sizeof(words), "entry %lld is not what was written", (long long)places[i]);
        for (size_t j = 0; j < TEXTS; j++) {
            (void)snprintf(sql, sizeof(sql), "UPDATE audit SET %s = 'other' WHERE sequence = %lld", columns[j],
                           (long long)places[i]);
            assert_found(fixture, sql, places[i], words);
        }
        static const char *const numbers[] = {
            "utc_us = utc_us + 1",       "utc_us = -utc_us",        "result = 1", "result = 4294967296",
            "previous = randomblob(32)", "hash = randomblob(32)",   "hash = x''", "previous = x'00'",
            "actor_id = NULL",           "changes = changes || ' '"};
        for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++) {
            (void)snprintf(sql, sizeof(sql), "UPDATE audit SET %s WHERE sequence = %lld", numbers[j],
                           (long long)places[i]);
            assert_found(fixture, sql, places[i], words);
        }
    }
}

static void every_gap_and_disorder_is_found(void **state) {
    struct fixture *fixture = *state;
    fill(fixture, 10);
    assert_found(fixture, "DELETE FROM audit WHERE sequence = 5", 5, "entry 5 is missing");
    assert_found(fixture, "DELETE FROM audit WHERE sequence IN (5, 6, 8)", 5, "entries 5 to 6 are missing");
    /* Cut at either end, and altogether. */
    assert_found(fixture, "DELETE FROM audit WHERE sequence = 1", 1, "entry 1 is missing");
    assert_found(fixture, "DELETE FROM audit WHERE sequence <= 4", 1, "entries 1 to 4 are missing");
    assert_found(fixture, "DELETE FROM audit WHERE sequence = 10", 10, "entry 10 is missing");
    assert_found(fixture, "DELETE FROM audit WHERE sequence > 7", 8, "entries 8 to 10 are missing");
    assert_found(fixture, "DELETE FROM audit", 1, "entries 1 to 10 are missing");
    /* Closing the gap by new numbers. */
    assert_found(fixture,
                 "DELETE FROM audit WHERE sequence = 5;"
                 "UPDATE audit SET sequence = sequence - 1 WHERE sequence > 5",
                 5, "entry 5 is not what was written");
    assert_found(fixture, "DELETE FROM audit WHERE sequence = 1; UPDATE audit SET sequence = sequence - 1", 1,
                 "entry 1 is not what was written");
    /* Another order. */
    assert_found(fixture,
                 "UPDATE audit SET sequence = 100 WHERE sequence = 3; UPDATE audit SET sequence = 3 WHERE sequence = 4;"
                 "UPDATE audit SET sequence = 4 WHERE sequence = 100",
                 3, "entry 3 is not what was written");
    /* Put in: in the middle, before the beginning, behind the end. */
    assert_found(fixture,
                 "UPDATE audit SET sequence = -sequence - 1 WHERE sequence > 5;"
                 "UPDATE audit SET sequence = -sequence WHERE sequence < 0;"
                 "INSERT INTO audit SELECT 6, utc_us, result, hash, hash, actor_kind, actor_id, actor_name, actor_role,"
                 " actor_address, workspace, action, resource_type, resource_id, resource_name, changes, request,"
                 " reason, message FROM audit WHERE sequence = 5",
                 6, "entry 6 is not what was written");
    static const char put[] =
        "INSERT INTO audit SELECT %d, utc_us, result, hash, hash, actor_kind, actor_id, actor_name, actor_role,"
        " actor_address, workspace, action, resource_type, resource_id, resource_name, changes, request,"
        " reason, message FROM audit WHERE sequence = 10";
    const struct {
        int sequence;
        const char *words;
    } places[] = {{0, "entry 0 stands before the beginning"},
                  {-3, "entry -3 stands before the beginning"},
                  {11, "entry 11 is not what was written"}};
    for (size_t i = 0; i < 3; i++) {
        char sql[400];
        (void)snprintf(sql, sizeof(sql), put, places[i].sequence);
        assert_found(fixture, sql, places[i].sequence > 0 ? places[i].sequence : 1, places[i].words);
    }
}

/* Who also knows how the hash is made has to write the whole rest anew, and the note of the newest one. */
static void entries_with_a_right_hash_are_found_too(void **state) {
    struct fixture *fixture = *state;
    fill(fixture, 10);
    struct seen seen = list(fixture, (struct weir_audit_query){.oldest_first = true});
    static const int64_t places[] = {4, 10, 11};
    static const char *const words[] = {"entry 5 does not follow from what is before it",
                                        "entry 10 is not the newest one that was written",
                                        "entry 11 stands behind the newest one that was written"};
    static const int64_t broken[] = {5, 10, 11};
    for (size_t i = 0; i < 3; i++) {
        struct weir_audit_entry forged = full_entry();
        char hash[2 * WEIR_AUDIT_HASH_SIZE + 1], previous[2 * WEIR_AUDIT_HASH_SIZE + 1], sql[1024];
        forged.sequence = places[i];
        forged.utc_us = start_us + places[i] - 1;
        forged.actor_id = TEXT("op_2");
        weir_audit_hash(&forged, seen.entries[places[i] - 2].hash, forged.hash);
        weir_hex_format(forged.hash, sizeof(forged.hash), hash);
        weir_hex_format(seen.entries[places[i] - 2].hash, sizeof(forged.hash), previous);
        (void)snprintf(sql, sizeof(sql),
                       "INSERT OR REPLACE INTO audit SELECT %lld, %lld, result, x'%s', x'%s', actor_kind, 'op_2',"
                       " actor_name, actor_role, actor_address, workspace, action, resource_type, resource_id,"
                       " resource_name, changes, request, reason, message FROM audit WHERE sequence = 1",
                       (long long)forged.sequence, (long long)forged.utc_us, previous, hash);
        assert_found(fixture, sql, broken[i], words[i]);
    }
}

static void the_notes_are_checked(void **state) {
    struct fixture *fixture = *state;
    fill(fixture, 10);
    assert_found(fixture, "DELETE FROM meta WHERE name = 'audit_head'", 10, "the note of the newest entry is missing");
    assert_found(fixture, "UPDATE meta SET value = 'x' WHERE name = 'audit_head'", 10,
                 "the note of the newest entry is not what was written");
    assert_found(fixture, "UPDATE meta SET value = '12' || substr(value, 3) WHERE name = 'audit_head'", 11,
                 "entries 11 to 12 are missing");
    assert_found(fixture, "INSERT INTO meta VALUES('audit_anchor', 'x')", 1,
                 "the note of where the trail begins is not what was written");
    assert_found(fixture, "INSERT INTO meta SELECT 'audit_anchor', value FROM meta WHERE name = 'audit_head'", 1,
                 "entry 1 stands before the beginning");
}

/* --- retention --- */
static void the_old_end_is_let_go(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    uint64_t removed = 99;
    check(fixture, ops->audit_prune(fixture->engine, INT64_MAX, 10, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 0);
    fill(fixture, 3000);
    check(fixture, ops->audit_prune(fixture->engine, start_us, 100, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 0);
    check(fixture, ops->audit_prune(fixture->engine, start_us + 5, 100, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 5);
    assert_good(fixture, 6, 3000);
    check(fixture, ops->audit_prune(fixture->engine, start_us + 2500, 100, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 100);
    assert_good(fixture, 106, 3000);
    check(fixture, ops->audit_prune(fixture->engine, start_us + 2500, 0, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 1000);
    check(fixture, ops->audit_prune(fixture->engine, start_us + 2500, 10000, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 2500 - 1105);
    assert_good(fixture, 2501, 3000);
    /* What is left is found by its time. */
    const struct weir_audit_query last = {.from_utc_us = start_us + 2990, .limit = 100};
    assert_int_equal(list(fixture, last).count, 10);
    const struct weir_audit_query early = {.until_utc_us = start_us + 2510, .limit = 100};
    assert_int_equal(list(fixture, early).count, 10);
    /* The newest one always stays, so that the next has something to follow. */
    check(fixture, ops->audit_prune(fixture->engine, INT64_MAX, 100000, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 499);
    assert_good(fixture, 3000, 3000);
    check(fixture, ops->audit_prune(fixture->engine, INT64_MAX, 100000, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 0);
    fixture->ops->close(&fixture->engine);
    open_engine(fixture);
    assert_true(append(fixture, full_entry()).sequence == 3001);
    assert_good(fixture, 3000, 3001);
}

static void a_trail_without_its_old_end_is_as_safe(void **state) {
    struct fixture *fixture = *state;
    uint64_t removed = 0;
    fill(fixture, 15);
    check(fixture, fixture->ops->audit_prune(fixture->engine, start_us + 5, 100, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 5);
    assert_found(fixture, "DELETE FROM audit WHERE sequence = 6", 6, "entry 6 is missing");
    assert_found(fixture, "DELETE FROM audit WHERE sequence = 15", 15, "entry 15 is missing");
    assert_found(fixture, "DELETE FROM meta WHERE name = 'audit_anchor'", 1, "entries 1 to 5 are missing");
    assert_found(fixture,
                 "DELETE FROM audit WHERE sequence = 6;"
                 "UPDATE meta SET value = '6' || substr(value, 2) WHERE name = 'audit_anchor'",
                 7, "entry 7 does not follow from what is before it");
    assert_found(fixture, "UPDATE audit SET message = 'x' WHERE sequence = 9", 9, "entry 9 is not what was written");
}

/* An entry that is late by the clock is not removed before those ahead of it. */
static void the_order_of_removal_is_that_of_the_chain(void **state) {
    struct fixture *fixture = *state;
    const int64_t times[] = {10, 20, 500, 30, 40};
    uint64_t removed = 0;
    for (size_t i = 0; i < 5; i++)
        append(fixture, (struct weir_audit_entry){.utc_us = times[i]});
    check(fixture, fixture->ops->audit_prune(fixture->engine, 100, 100, &removed, &fixture->error), WEIR_OK);
    assert_true(removed == 2);
    assert_good(fixture, 3, 5);
}

/* Retention is no way to get rid of the traces. */
static void what_was_tampered_with_is_not_let_go(void **state) {
    struct fixture *fixture = *state;
    uint64_t removed = 0;
    fill(fixture, 10);
    fixture->ops->close(&fixture->engine);
    execute(fixture->location, "UPDATE audit SET actor_name = 'eve' WHERE sequence = 3");
    open_engine(fixture);
    assert_int_equal(fixture->ops->audit_prune(fixture->engine, INT64_MAX, 100, &removed, &fixture->error),
                     WEIR_ECORRUPT);
    assert_non_null(strstr(fixture->error.text, "entry 3"));
    assert_int_equal(list(fixture, (struct weir_audit_query){.limit = 100}).count, 10);
    assert_true(verify(fixture).broken_at == 3);
}

int main(void) {
    int failed = 0;
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(the_hash_stays_what_it_is),
        cmocka_unit_test(every_member_counts),
    };
    failed += cmocka_run_group_tests_name("hash", plain, NULL, NULL);
    for (size_t i = 0; i < ENGINE_COUNT; i++) {
        const struct CMUnitTest tests[] = {
            ON(i, entries_come_back_chained),
            ON(i, listings_give_what_matches),
            ON(i, a_trail_that_nobody_touched_is_good),
            ON(i, the_old_end_is_let_go),
            ON(i, the_order_of_removal_is_that_of_the_chain),
        };
        failed += cmocka_run_group_tests_name(engines[i]->name, tests, NULL, NULL);
    }
    const struct CMUnitTest files[] = {
        ON(0, every_edit_is_found),
        ON(0, every_gap_and_disorder_is_found),
        ON(0, entries_with_a_right_hash_are_found_too),
        ON(0, the_notes_are_checked),
        ON(0, a_trail_without_its_old_end_is_as_safe),
        ON(0, what_was_tampered_with_is_not_let_go),
    };
    failed += cmocka_run_group_tests_name("files", files, NULL, NULL);
    return failed;
}
