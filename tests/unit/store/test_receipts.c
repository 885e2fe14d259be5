/* The chain of receipts beside the ledger: what it gives, that it can be interrupted anywhere, and that whatever is done to the ledger behind it is named. */
#include "fixture.h"

#include "base/clock.h"

#include <signal.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { MANY = 700, EVERY = 64, MANY_MORE = 100000 };

static void ingest(struct fixture *fixture, uint64_t first, uint64_t count) {
    check(fixture, fixture->ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (uint64_t i = 0; i < count; i++) {
        struct weir_ledger_entry entry = sample_entry(first + i);
        check(fixture, fixture->ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
    }
    check(fixture, fixture->ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
}

static unsigned advance(struct fixture *fixture, size_t limit) {
    bool more = true;
    unsigned steps = 0;
    for (; more; steps++)
        check(fixture, fixture->ops->receipt_advance(fixture->engine, limit, &more, &fixture->error), WEIR_OK);
    return steps;
}

static struct weir_receipt_link head_of(struct fixture *fixture) {
    struct weir_receipt_link cut, head;
    check(fixture, fixture->ops->receipt_chain(fixture->engine, &cut, &head, &fixture->error), WEIR_OK);
    return head;
}

/* Behind weir's back. */
static void run_sql(const struct fixture *fixture, const char *sql) {
    sqlite3 *database = NULL;
    char *problem = NULL;
    assert_int_equal(sqlite3_open(fixture->location, &database), SQLITE_OK);
    (void)sqlite3_busy_timeout(database, 5000);
    if (sqlite3_exec(database, sql, NULL, NULL, &problem) != SQLITE_OK)
        print_error("%s\n", problem);
    assert_null(problem);
    (void)sqlite3_close(database);
}

static struct weir_receipt_check verify(struct fixture *fixture, size_t limit) {
    struct weir_receipt_check found = {.entries = 0}, all = {.entries = 0};
    bool more = true;
    while (more) {
        check(fixture, fixture->ops->receipt_verify(fixture->engine, &found, limit, &more, &fixture->error), WEIR_OK);
        for (size_t i = 0; i < found.found_count && all.found_count < WEIR_RECEIPT_PROBLEMS; i++)
            all.found[all.found_count++] = found.found[i];
    }
    memcpy(found.found, all.found, sizeof(all.found));
    found.found_count = all.found_count;
    return found;
}

/* --- what is given --- */
struct given {
    struct fixture *fixture;
    size_t count;
    int64_t sequences[1100];
    struct weir_receipt_link last;
    bool follows;
    char text[4096];
};

static enum weir_status take(void *context, const struct weir_ledger_entry *entry, struct weir_span text,
                             const unsigned char hash[WEIR_RECEIPT_HASH_SIZE]) {
    struct given *given = context;
    unsigned char expected[WEIR_RECEIPT_HASH_SIZE];
    char previous[2 * WEIR_RECEIPT_HASH_SIZE + 1], member[120];
    (void)crypto_hash_sha256(expected, (const unsigned char *)text.at, text.length);
    assert_memory_equal(expected, hash, sizeof(expected));
    weir_hex_format(given->last.hash, sizeof(given->last.hash), previous);
    (void)snprintf(member, sizeof(member), "\"previous\":\"%s\"", previous);
    assert_int_equal(weir_span_to_string(text, given->text, sizeof(given->text)), WEIR_OK);
    if (entry->sequence == given->last.sequence + 1)
        given->follows = given->follows && strstr(given->text, member) != NULL;
    given->last.sequence = entry->sequence;
    memcpy(given->last.hash, hash, sizeof(given->last.hash));
    given->sequences[given->count++] = entry->sequence;
    return WEIR_OK;
}

static struct given give(struct fixture *fixture, const struct weir_ledger_query *query) {
    struct given given = {.fixture = fixture, .follows = true};
    check(fixture, fixture->ops->receipt_each(fixture->engine, query, take, &given, &fixture->error), WEIR_OK);
    return given;
}

/* It may never change: chains that exist would no longer verify. The same text was put together independently. */
static void the_text_stays_what_it_is(void **state) {
    (void)state;
    struct weir_ledger_entry entry = sample_entry(5);
    struct weir_receipt_link link = {.sequence = 0};
    struct weir_buffer text;
    char hex[2 * WEIR_RECEIPT_HASH_SIZE + 1];
    static const char expected[] =
        "{\"cache_write_tokens\":3,\"cached_tokens\":512,\"charged_cu_milli\":123461,\"client_request_id\":\"client-7\","
        "\"ended_at\":\"2026-09-21T14:13:20.817345Z\",\"endpoint\":\"chat.completions\",\"input_audio_tokens\":100,"
        "\"input_image_tokens\":50,\"input_tokens\":812,\"key_id\":\"key_0123456789abcdef\",\"model\":\"gpt-\\\"4\\u0001\","
        "\"outcome\":\"ok\",\"output_audio_tokens\":30,\"output_image_tokens\":10,\"output_tokens\":77,"
        "\"overrun_cu_milli\":11,\"previous\":"
        "\"0000000000000000000000000000000000000000000000000000000000000000\",\"price_version\":\"2026-11-01\","
        "\"provider\":\"openai\",\"reasoning_tokens\":20,\"request_id\":\"01930000-0000-7000-8000-000000000005\","
        "\"reserved_cu_milli\":900005,\"revision\":12,\"sequence\":9007199254740993,"
        "\"started_at\":\"2026-09-21T14:13:20.005000Z\",\"status\":200,\"stream\":false,\"team\":\"blue\","
        "\"unit\":\"image\",\"units\":3,\"unpriced\":false,\"upstream_model\":\"gpt-4o-mini-2024-07-18\","
        "\"usage_source\":\"counted\",\"user\":\"\xC3\xA4nn\",\"v\":1,\"workspace\":\"default\"}";
    entry.sequence = 9007199254740993;
    entry.model = WEIR_SPAN("gpt-\"4\x01");
    entry.team = WEIR_SPAN("blue");
    entry.user = WEIR_SPAN("\xC3\xA4nn");
    weir_buffer_init(&text, WEIR_RECEIPT_MAX_BYTES);
    assert_int_equal(weir_receipt_follow(&link, &entry, &text), WEIR_OK);
    assert_int_equal(text.length, sizeof(expected) - 1);
    assert_memory_equal(text.at, expected, sizeof(expected) - 1);
    weir_hex_format(link.hash, sizeof(link.hash), hex);
    assert_string_equal(hex, "4bdaa8078e9e62b772b1879e473ab27d201fc8f0111c47a0b729feb107cbe351");
    assert_true(link.sequence == entry.sequence);
    /* Times that no date has are not all the same. */
    entry.start_utc_us = -5;
    entry.end_utc_us = INT64_MAX;
    assert_int_equal(weir_receipt_follow(&link, &entry, &text), WEIR_OK);
    weir_buffer_append_byte(&text, '\0');
    assert_non_null(strstr(text.at, "\"started_at\":\"-5\""));
    assert_non_null(strstr(text.at, "\"ended_at\":\"9223372036854775807\""));
    weir_buffer_release(&text);
    for (size_t i = 1; i < WEIR_RECEIPT_MEMBER_COUNT; i++) /* RFC 8785 */
        assert_true(strcmp(weir_receipt_member_name((enum weir_receipt_member)(i - 1)),
                           weir_receipt_member_name((enum weir_receipt_member)i)) < 0);
}

static void receipts_follow_each_other(void **state) {
    struct fixture *fixture = *state;
    ingest(fixture, 1, MANY);
    assert_int_equal(give(fixture, &(struct weir_ledger_query){.limit = 10}).count, 0); /* nothing is chained yet */
    assert_int_equal(advance(fixture, 100), MANY / 100 + 1);
    struct given all = give(fixture, &(struct weir_ledger_query){.limit = MANY});
    assert_int_equal(all.count, MANY);
    assert_true(all.follows);
    struct weir_receipt_link head = head_of(fixture);
    assert_true(head.sequence == MANY);
    assert_memory_equal(head.hash, all.last.hash, sizeof(head.hash));
    /* Whichever way one is asked for it is the same. */
    for (int64_t after = 0; after < MANY; after += 61) {
        struct given one = give(fixture, &(struct weir_ledger_query){.after_sequence = after, .limit = 1});
        assert_int_equal(one.count, 1);
        assert_true(one.sequences[0] == after + 1);
        struct given until = give(fixture, &(struct weir_ledger_query){.limit = (size_t)after + 1});
        assert_memory_equal(until.last.hash, one.last.hash, sizeof(one.last.hash));
    }
    char id[WEIR_UUID_TEXT_SIZE];
    struct weir_uuid uuid = id_of_number(300);
    weir_uuid_format(&uuid, id);
    struct weir_ledger_query query = {.request_id = weir_span_of_string(id), .limit = 1000};
    assert_true(give(fixture, &query).count == 1 && give(fixture, &query).sequences[0] == 300);
    query.workspace = WEIR_SPAN("default");
    assert_int_equal(give(fixture, &query).count, 1);
    query.workspace = WEIR_SPAN("other");
    assert_int_equal(give(fixture, &query).count, 0);
}

/* Receipts far apart, of which each has another checkpoint before it. */
static void a_filter_leaves_gaps(void **state) {
    struct fixture *fixture = *state;
    check(fixture, fixture->ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    for (uint64_t i = 1; i <= MANY; i++) {
        struct weir_ledger_entry entry = sample_entry(i);
        if (i % 97 == 0)
            entry.workspace = WEIR_SPAN("rare");
        check(fixture, fixture->ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
    }
    check(fixture, fixture->ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
    (void)advance(fixture, 0);
    struct given rare = give(fixture, &(struct weir_ledger_query){.workspace = WEIR_SPAN("rare")});
    assert_int_equal(rare.count, MANY / 97);
    for (size_t i = 0; i < rare.count; i++) {
        const struct weir_ledger_query query = {.after_sequence = rare.sequences[i] - 1, .limit = 1};
        assert_true(rare.sequences[i] == (int64_t)(i + 1) * 97);
        if (i + 1 == rare.count)
            assert_memory_equal(give(fixture, &query).last.hash, rare.last.hash, sizeof(rare.last.hash));
    }
}

/* --- what was changed is found --- */
static void expect_problem(struct fixture *fixture, const char *sql, int64_t first, int64_t last, const char *words) {
    run_sql(fixture, sql);
    struct weir_receipt_check found = verify(fixture, 50);
    if (found.problems != 1 || found.found[0].first != first || found.found[0].last != last)
        print_error("%s: %llu problems, first %lld to %lld: %s\n", sql, (unsigned long long)found.problems,
                    (long long)found.found[0].first, (long long)found.found[0].last, found.found[0].words);
    assert_true(found.problems == 1 && found.found[0].first == first && found.found[0].last == last);
    assert_non_null(strstr(found.found[0].words, words));
}

static void every_column_counts(void **state) {
    struct fixture *fixture = *state;
    static const char *const columns[] = {"request_id = randomblob(16)",
                                          "key = workspace",
                                          "workspace = key",
                                          "endpoint = model",
                                          "model = endpoint",
                                          "provider = key",
                                          "upstream_model = key",
                                          "price_version = key",
                                          "start_utc_us = start_utc_us + 1",
                                          "duration_us = duration_us + 1",
                                          "reserved_cu_milli = reserved_cu_milli - 1",
                                          "cost_cu_milli = cost_cu_milli - 1",
                                          "overrun_cu_milli = 0",
                                          "input_tokens = input_tokens + 1",
                                          "cached_tokens = cached_tokens + 1",
                                          "cache_write_tokens = 0",
                                          "output_tokens = output_tokens + 1",
                                          "reasoning_tokens = 0",
                                          "revision = revision + 1",
                                          "flags = flags + 1 - 2 * (flags & 1)",
                                          "flags = flags + 2 - 2 * (flags & 2)",
                                          "usage_source = 1",
                                          "outcome = 2",
                                          "status = 500",
                                          "client_request_id = 'x'",
                                          "team = key",
                                          "user = key"};
    static const char *const more[] = {"input_audio_tokens = 1",
                                       "input_image_tokens = 1",
                                       "output_audio_tokens = 1",
                                       "output_image_tokens = 1",
                                       "unit = 2",
                                       "units = 4"};
    ingest(fixture, 1, MANY);
    (void)advance(fixture, 0);
    struct weir_receipt_check good = verify(fixture, 50);
    assert_true(good.problems == 0 && good.entries == MANY && good.first == 1 && good.head.sequence == MANY);
    run_sql(fixture, "CREATE TABLE was AS SELECT * FROM ledger; CREATE TABLE was_more AS SELECT * FROM ledger_more");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]) + sizeof(more) / sizeof(more[0]); i++) {
        char sql[200];
        size_t count = sizeof(columns) / sizeof(columns[0]);
        (void)snprintf(sql, sizeof(sql), "UPDATE %s SET %s WHERE sequence = 200", i < count ? "ledger" : "ledger_more",
                       i < count ? columns[i] : more[i - count]);
        expect_problem(fixture, sql, 193, 256, "not what they were");
        run_sql(fixture, "DELETE FROM ledger; INSERT INTO ledger SELECT * FROM was; DELETE FROM ledger_more;"
                         "INSERT INTO ledger_more SELECT * FROM was_more");
    }
    assert_true(verify(fixture, 0).problems == 0);
}

static void what_was_removed_and_moved_is_found(void **state) {
    struct fixture *fixture = *state;
    ingest(fixture, 1, MANY);
    (void)advance(fixture, 0);
    run_sql(fixture,
            "CREATE TABLE was AS SELECT * FROM ledger; CREATE TABLE was_at AS SELECT * FROM receipt_checkpoint;"
            "CREATE TABLE was_place AS SELECT * FROM receipt_place");
    const char *back = "DELETE FROM ledger; INSERT INTO ledger SELECT * FROM was; DELETE FROM receipt_checkpoint;"
                       "INSERT INTO receipt_checkpoint SELECT * FROM was_at; DELETE FROM receipt_place;"
                       "INSERT INTO receipt_place SELECT * FROM was_place";
    expect_problem(fixture, "DELETE FROM ledger WHERE sequence = 70", 70, 70, "entry 70 is missing");
    run_sql(fixture, back);
    expect_problem(fixture, "DELETE FROM ledger WHERE sequence < 3", 1, 2, "entries 1 to 2 are missing");
    run_sql(fixture, back);
    expect_problem(fixture, "DELETE FROM ledger WHERE sequence > 690", 691, MANY, "entries 691 to 700 are missing");
    run_sql(fixture, back);
    expect_problem(fixture,
                   "UPDATE ledger SET sequence = -10 WHERE sequence = 10; UPDATE ledger SET sequence = 10 WHERE"
                   " sequence = 11; UPDATE ledger SET sequence = 11 WHERE sequence = -10",
                   1, 64, "not what they were");
    run_sql(fixture, back);
    /* Either side of the checkpoint does not fit to it. */
    run_sql(fixture, "UPDATE receipt_checkpoint SET hash = zeroblob(32) WHERE sequence = 128");
    struct weir_receipt_check found = verify(fixture, 0);
    assert_true(found.problems == 2 && found.found[0].first == 65 && found.found[1].first == 129);
    run_sql(fixture, back);
    expect_problem(fixture, "DELETE FROM receipt_checkpoint WHERE sequence = 128", 128, 128, "checkpoint");
    run_sql(fixture, back);
    expect_problem(fixture, "UPDATE receipt_place SET hash = zeroblob(32) WHERE name = 'head'", 641, MANY,
                   "not what they were");
    run_sql(fixture, back);
    /* Two places, two problems. */
    run_sql(fixture, "UPDATE ledger SET cost_cu_milli = 0 WHERE sequence IN (5, 6, 600)");
    found = verify(fixture, 0);
    assert_true(found.problems == 2 && found.found[0].first == 1 && found.found[1].first == 577);
    /* And it is written to all the same. */
    ingest(fixture, MANY + 1, 10);
    (void)advance(fixture, 0);
    assert_true(head_of(fixture).sequence == MANY + 10);
    assert_true(verify(fixture, 0).problems == 2);
}

/* --- retention --- */
static void retention_leaves_a_chain(void **state) {
    struct fixture *fixture = *state;
    ingest(fixture, 1, MANY);
    (void)advance(fixture, 0);
    struct weir_receipt_link before = head_of(fixture), cut, head;
    struct given last = give(fixture, &(struct weir_ledger_query){.after_sequence = 500, .limit = 1});
    bool more = true;
    while (more) {
        check(fixture,
              fixture->ops->ledger_prune(fixture->engine, sample_entry(301).start_utc_us, &more, &fixture->error),
              WEIR_OK);
        struct weir_receipt_check found = verify(fixture, 0);
        assert_true(found.problems == 0);
    }
    check(fixture, fixture->ops->receipt_chain(fixture->engine, &cut, &head, &fixture->error), WEIR_OK);
    assert_true(cut.sequence == 300 && head.sequence == MANY);
    assert_memory_equal(before.hash, head.hash, sizeof(head.hash));
    struct weir_receipt_check found = verify(fixture, 40);
    assert_true(found.problems == 0 && found.first == 301 && found.entries == MANY - 300);
    struct given left = give(fixture, &(struct weir_ledger_query){.limit = 1000});
    assert_true(left.count == MANY - 300 && left.sequences[0] == 301 && left.follows);
    struct given again = give(fixture, &(struct weir_ledger_query){.after_sequence = 500, .limit = 1});
    assert_memory_equal(last.last.hash, again.last.hash, sizeof(again.last.hash));
    expect_problem(fixture, "UPDATE ledger SET cost_cu_milli = 1 WHERE sequence = 301", 301, 320, "not what they were");
    run_sql(fixture, "UPDATE ledger SET cost_cu_milli = 123757 WHERE sequence = 301");
    assert_true(verify(fixture, 0).problems == 0);
    expect_problem(fixture,
                   "INSERT INTO ledger SELECT 7, zeroblob(16), key, workspace, endpoint, model, provider,"
                   " upstream_model, price_version, start_utc_us, duration_us, first_byte_us,"
                   " reserved_cu_milli, cost_cu_milli, overrun_cu_milli, input_tokens, cached_tokens,"
                   " cache_write_tokens, output_tokens, reasoning_tokens, revision, flags, usage_source,"
                   " outcome, reason, status, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM ledger"
                   " WHERE sequence = 400",
                   7, 300, "before the beginning");
}

/* All may go, and numbers are not given again. */
static void retention_may_take_all(void **state) {
    struct fixture *fixture = *state;
    bool more = true;
    ingest(fixture, 1, 150);
    (void)advance(fixture, 0);
    while (more)
        check(fixture, fixture->ops->ledger_prune(fixture->engine, INT64_MAX / 2, &more, &fixture->error), WEIR_OK);
    struct weir_receipt_check found = verify(fixture, 0);
    assert_true(found.problems == 0 && found.entries == 0);
    ingest(fixture, 151, 5);
    (void)advance(fixture, 0);
    found = verify(fixture, 0);
    assert_true(found.problems == 0 && found.entries == 5 && found.first == 151 && found.head.sequence == 155);
    assert_true(give(fixture, &(struct weir_ledger_query){.limit = 9}).follows);
}

/* What is old and stands behind something that is not waits: what is left has no gap. */
static void retention_takes_no_more_than_the_old_end(void **state) {
    struct fixture *fixture = *state;
    struct weir_receipt_link cut, head;
    bool more = true;
    ingest(fixture, 1, 10);
    ingest(fixture, 100, 1); /* a short request that ended before a long one */
    ingest(fixture, 11, 10);
    while (more)
        check(fixture,
              fixture->ops->ledger_prune(fixture->engine, sample_entry(50).start_utc_us, &more, &fixture->error),
              WEIR_OK);
    check(fixture, fixture->ops->receipt_chain(fixture->engine, &cut, &head, &fixture->error), WEIR_OK);
    assert_true(cut.sequence == 10 && head.sequence == 21);
    struct weir_receipt_check found = verify(fixture, 0);
    assert_true(found.problems == 0 && found.entries == 11);
    more = true;
    while (more)
        check(fixture,
              fixture->ops->ledger_prune(fixture->engine, sample_entry(101).start_utc_us, &more, &fixture->error),
              WEIR_OK);
    assert_true(verify(fixture, 0).entries == 0);
}

/* --- killed at any step --- */
static void killed_while_it_is_advanced(void **state) {
    struct fixture *fixture = *state;
    struct weir_receipt_link expected = {.sequence = 0};
    struct weir_buffer text;
    ingest(fixture, 1, MANY);
    weir_buffer_init(&text, WEIR_RECEIPT_MAX_BYTES);
    for (uint64_t i = 1; i <= MANY; i++) {
        struct weir_ledger_entry entry = sample_entry(i);
        entry.sequence = (int64_t)i;
        assert_int_equal(weir_receipt_follow(&expected, &entry, &text), WEIR_OK);
    }
    weir_buffer_release(&text);
    fixture->ops->close(&fixture->engine);
    unsigned kills = 0;
    for (unsigned round = 0; round < 60; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct weir_error error;
            bool more = true;
            if (fixture->ops->open(fixture->location, "dev", &fixture->engine, &error) != WEIR_OK)
                _exit(1);
            while (more && fixture->ops->receipt_advance(fixture->engine, 3, &more, &error) == WEIR_OK) {}
            _exit(more ? 1 : 0);
        }
        (void)usleep(round * 700);
        (void)kill(child, SIGKILL);
        int how = 0;
        assert_true(waitpid(child, &how, 0) == child);
        assert_false(WIFEXITED(how) && WEXITSTATUS(how) != 0);
        kills += WIFSIGNALED(how);
        open_engine(fixture);
        assert_true(verify(fixture, 0).problems == 0);
        fixture->ops->close(&fixture->engine);
    }
    open_engine(fixture);
    assert_true(kills > 0);
    (void)advance(fixture, 0);
    struct weir_receipt_link head = head_of(fixture);
    assert_true(head.sequence == MANY);
    assert_memory_equal(head.hash, expected.hash, sizeof(head.hash));
    assert_true(verify(fixture, 0).problems == 0);
}

/* Two processes may advance it at the same time. */
static void two_advance_it(void **state) {
    struct fixture *fixture = *state;
    struct weir_engine *other = NULL;
    bool more = true;
    ingest(fixture, 1, MANY);
    check(fixture, fixture->ops->open(fixture->location, "dev", &other, &fixture->error), WEIR_OK);
    while (more) {
        check(fixture, fixture->ops->receipt_advance(fixture->engine, 7, &more, &fixture->error), WEIR_OK);
        check(fixture, fixture->ops->receipt_advance(other, 5, &more, &fixture->error), WEIR_OK);
    }
    fixture->ops->close(&other);
    (void)advance(fixture, 0);
    assert_true(verify(fixture, 0).problems == 0 && head_of(fixture).sequence == MANY);
}

/* --- cost --- */
static void a_hundred_thousand_in_bounded_steps(void **state) {
    struct fixture *fixture = *state;
    enum { STEP = 512 };
    int64_t longest_ns = 0, sum_ns = 0;
    unsigned steps = 0;
    for (uint64_t i = 0; i < MANY_MORE; i += 10000)
        ingest(fixture, i, 10000);
    for (bool more = true; more; steps++) {
        int64_t sequence = head_of(fixture).sequence, began_ns = weir_clock_thread_cpu_ns();
        check(fixture, fixture->ops->receipt_advance(fixture->engine, STEP, &more, &fixture->error), WEIR_OK);
        int64_t took_ns = weir_clock_thread_cpu_ns() - began_ns;
        sum_ns += took_ns;
        longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
        assert_true(head_of(fixture).sequence - sequence <= STEP);
    }
    assert_int_equal(steps, MANY_MORE / STEP + 1);
    assert_true(head_of(fixture).sequence == MANY_MORE);
    print_message("chaining: %.2f us of CPU an entry, a step of %d entries %.2f ms at most\n",
                  (double)sum_ns / 1e3 / MANY_MORE, STEP, (double)longest_ns / 1e6);
    struct weir_receipt_check found = verify(fixture, 0);
    assert_true(found.problems == 0 && found.entries == MANY_MORE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_stays_what_it_is),
        ON(0, receipts_follow_each_other),
        ON(0, a_filter_leaves_gaps),
        ON(0, every_column_counts),
        ON(0, what_was_removed_and_moved_is_found),
        ON(0, retention_leaves_a_chain),
        ON(0, retention_may_take_all),
        ON(0, retention_takes_no_more_than_the_old_end),
        ON(0, killed_while_it_is_advanced),
        ON(0, two_advance_it),
        ON(0, a_hundred_thousand_in_bounded_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
