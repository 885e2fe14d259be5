/* Billing against a real database: what a purchase, a month's end and an Idempotency-Key come to, and that each comes to it once, at whatever step the
 * process dies. The steps are those of the engine: a table of operations that kills the process before or after the n-th of them.
 */
#include "../store/fixture.h"

#include "base/clock.h"
#include "meter/billing.h"
#include "meter/billing_webhook.h"
#include "meter/idempotency.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { ROUNDS = 20 };
static const struct weir_span key_one = {"11111111-1111-4111-8111-111111111111", 36};
static const int64_t november = 1793491200000000; /* 2026-11-01T00:00:00Z */
#define DAY ((int64_t)24 * 3600 * 1000000)

/* --- a turn --- */

static enum weir_status note(void *context, const struct weir_billing_note *said, struct weir_error *error) {
    struct weir_billing_turn *turn = context;
    struct weir_audit_entry entry = {.utc_us = turn->now_utc_us,
                                     .actor_kind = WEIR_SPAN("system"),
                                     .action = weir_span_of_string(said->action),
                                     .resource_id = said->resource_id,
                                     .workspace = said->workspace};
    return turn->ops->audit_append(turn->engine, &entry, error);
}

static struct weir_billing_turn turn_of(struct fixture *fixture, int64_t now_utc_us) {
    return (struct weir_billing_turn){.ops = fixture->ops,
                                      .engine = fixture->engine,
                                      .arena = fixture->arena,
                                      .now_utc_us = now_utc_us,
                                      .actor = WEIR_SPAN("key_1"),
                                      .note = note,
                                      .error = &fixture->error};
}

static void make(struct fixture *fixture, enum weir_object_kind kind, const char *id, const char *text) {
    struct weir_object object = {.kind = kind,
                                 .id = weir_span_of_string(id),
                                 .text = weir_span_of_string(text),
                                 .created_utc_us = november - 100 * DAY};
    check(fixture, fixture->ops->object_create(fixture->engine, &object, &fixture->error), WEIR_OK);
}

/* A plan that includes 10 million milli-CU, one that includes 50 and costs something, one that goes on and is charged; and a workspace. */
static void make_world(struct fixture *fixture) {
    make(fixture, WEIR_OBJECT_PLAN, "small", "{\"name\":\"S\",\"cu_milli_per_month\":10000000,\"overage\":false}");
    make(fixture, WEIR_OBJECT_PLAN, "large",
         "{\"name\":\"L\",\"cu_milli_per_month\":50000000,\"price_cu_milli_per_month\":5,\"overage\":false}");
    make(fixture, WEIR_OBJECT_PLAN, "open",
         "{\"name\":\"O\",\"cu_milli_per_month\":1,\"price_cu_milli_per_month\":9,\"overage\":true}");
    make(fixture, WEIR_OBJECT_WORKSPACE, "acme",
         "{\"name\":\"Acme\",\"plan\":\"small\",\"suspended\":false,\"tags\":{\"b\":\"1\"}}");
}

static void begin(struct weir_billing_turn *turn) {
    turn->context = turn;
    assert_int_equal(turn->ops->work_begin(turn->engine, turn->error), WEIR_OK);
}
static void commit(struct weir_billing_turn *turn) {
    assert_int_equal(turn->ops->work_end(turn->engine, WEIR_OK, turn->error), WEIR_OK);
}

static struct weir_account account_of(struct fixture *fixture) {
    struct weir_billing_turn turn = turn_of(fixture, november);
    struct weir_account account;
    check(fixture, weir_account_get(&turn, WEIR_SPAN("acme"), &account), WEIR_OK);
    return account;
}

static void give(struct fixture *fixture, int64_t cu_milli, int64_t utc_us) {
    struct weir_billing_turn turn = turn_of(fixture, utc_us);
    struct weir_account_entry entry;
    begin(&turn);
    check(fixture, weir_account_adjust(&turn, WEIR_SPAN("acme"), cu_milli, WEIR_SPAN("a gift"), &entry), WEIR_OK);
    assert_int_equal(turn.reason, WEIR_REASON_NONE);
    commit(&turn);
}

/* One request of the workspace, in the ledger. */
static void charge(struct fixture *fixture, int64_t cu_milli, int64_t utc_us) {
    static uint64_t number;
    struct weir_ledger_entry entry = sample_entry(++number);
    entry.workspace = WEIR_SPAN("acme");
    entry.start_utc_us = utc_us;
    entry.end_utc_us = utc_us + 1000;
    entry.cost_cu_milli = cu_milli;
    entry.issued_count = 0;
    check(fixture, fixture->ops->ingest_begin(fixture->engine, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->ingest_entry(fixture->engine, &entry, &fixture->error), WEIR_OK);
    check(fixture, fixture->ops->ingest_commit(fixture->engine, &fixture->error), WEIR_OK);
}

static size_t sweep(struct fixture *fixture, int64_t utc_us) {
    struct weir_billing_turn turn = turn_of(fixture, utc_us);
    int64_t cursor = 0;
    size_t changes = 0, all = 0;
    turn.context = &turn;
    do {
        check(fixture, weir_billing_sweep(&turn, 2, &cursor, &changes), WEIR_OK);
        all += changes;
    } while (cursor != 0);
    return all;
}

/* --- accounts and months --- */

static void credits_never_fall_below_nothing(void **state) {
    struct fixture *fixture = *state;
    struct weir_account_entry entry;
    make_world(fixture);
    give(fixture, 500, november);
    const int64_t bad[] = {-501, 0, INT64_MAX, INT64_MIN, WEIR_BILLING_MOST_CU_MILLI};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_billing_turn turn = turn_of(fixture, november);
        begin(&turn);
        check(fixture, weir_account_adjust(&turn, WEIR_SPAN("acme"), bad[i], WEIR_SPAN("x"), &entry), WEIR_OK);
        assert_int_not_equal(turn.reason, WEIR_REASON_NONE);
        assert_int_equal(turn.ops->work_end(turn.engine, WEIR_END, turn.error), WEIR_END);
        assert_int_equal(account_of(fixture).credits_cu_milli, 500);
    }
    give(fixture, -500, november);
    assert_int_equal(account_of(fixture).credits_cu_milli, 0);
}

static void a_month_takes_what_was_above_the_plan_once(void **state) {
    struct fixture *fixture = *state;
    make_world(fixture);
    give(fixture, 5000000, november - 10 * DAY);
    charge(fixture, 9000000, november - 5 * DAY);
    charge(fixture, 3000000, november - 1); /* the last microsecond of October: 2,000,000 above */
    charge(fixture, 7000000, november);     /* November's: nobody's business yet */
    assert_int_equal(sweep(fixture, november - 1),
                     0); /* September, in which the account was not there yet, is no month of its */
    assert_int_equal(account_of(fixture).consumed_cu_milli, 0);
    assert_int_equal(sweep(fixture, november), 1);
    assert_int_equal(account_of(fixture).consumed_cu_milli, 2000000);
    assert_spans_equal(account_of(fixture).closed_month, WEIR_SPAN("2026-10"));
    assert_int_equal(sweep(fixture, november), 0);
    assert_int_equal(sweep(fixture, november + DAY), 0);
    charge(fixture, 400000, november - 2 * DAY); /* late: the journal of one that died */
    assert_int_equal(sweep(fixture, november + DAY), 1);
    assert_int_equal(sweep(fixture, november + DAY), 0);
    assert_int_equal(account_of(fixture).consumed_cu_milli, 2400000);
    charge(fixture, 100000000, november - 2 * DAY); /* no more is taken than is there */
    assert_int_equal(sweep(fixture, november + DAY), 1);
    assert_int_equal(account_of(fixture).consumed_cu_milli, 5000000);
    give(fixture, 1000, november + DAY); /* and what comes later is not taken for it */
    assert_int_equal(sweep(fixture, november + 2 * DAY), 0);
    struct weir_account account = account_of(fixture);
    assert_int_equal(weir_account_left(&account), 1000);
}

static void a_month_within_the_plan_takes_nothing(void **state) {
    struct fixture *fixture = *state;
    make_world(fixture);
    give(fixture, 5000000, november - 10 * DAY);
    charge(fixture, 10000000, november - 5 * DAY);
    assert_int_equal(sweep(fixture, november), 1);
    assert_int_equal(account_of(fixture).consumed_cu_milli, 0);
}

static void balance_counts_credits_behind_the_plan(void **state) {
    struct fixture *fixture = *state;
    struct weir_billing_turn turn = turn_of(fixture, november + DAY);
    struct weir_balance balance;
    make_world(fixture);
    give(fixture, 5000000, november);
    charge(fixture, 12000000, november);
    check(fixture, weir_balance_read(&turn, WEIR_SPAN("acme"), &balance), WEIR_OK);
    assert_int_equal(balance.included_cu_milli, 10000000);
    assert_int_equal(balance.used_cu_milli, 12000000);
    assert_int_equal(balance.credits_cu_milli, 5000000);
    assert_int_equal(balance.credits_used_cu_milli, 2000000);
    assert_int_equal(balance.remaining_cu_milli, 3000000);
    assert_int_equal(balance.reset_utc_us, november + 30 * DAY);
}

/* --- plans --- */

static enum weir_reason change(struct fixture *fixture, enum weir_plan_change what, const char *plan, int64_t utc_us,
                               struct weir_balance *balance) {
    struct weir_billing_turn turn = turn_of(fixture, utc_us);
    begin(&turn);
    check(fixture, weir_plan_change(&turn, what, WEIR_SPAN("acme"), weir_span_of_string(plan), balance), WEIR_OK);
    commit(&turn);
    return turn.reason;
}

static void a_downgrade_comes_behind_the_months_close(void **state) {
    struct fixture *fixture = *state;
    struct weir_balance balance;
    struct weir_object workspace;
    make_world(fixture);
    give(fixture, 5000000, november - 10 * DAY);
    assert_int_equal(change(fixture, WEIR_PLAN_DOWNGRADE, "small", november - 9 * DAY, &balance),
                     WEIR_REASON_PLAN_CHANGE_REFUSED);
    assert_int_equal(change(fixture, WEIR_PLAN_UPGRADE, "large", november - 9 * DAY, &balance), WEIR_REASON_NONE);
    assert_spans_equal(balance.plan, WEIR_SPAN("large"));
    assert_int_equal(change(fixture, WEIR_PLAN_DOWNGRADE, "small", november - 8 * DAY, &balance), WEIR_REASON_NONE);
    assert_spans_equal(balance.plan, WEIR_SPAN("large"));
    assert_spans_equal(balance.plan_next, WEIR_SPAN("small"));
    assert_int_equal(balance.plan_next_utc_us, november);
    charge(fixture, 51000000, november - 5 * DAY);
    assert_int_equal(sweep(fixture, november - 1), 0);
    assert_int_equal(sweep(fixture, november), 2); /* the month, which was one of the larger plan, and the plan */
    assert_int_equal(account_of(fixture).consumed_cu_milli, 1000000);
    assert_int_equal(sweep(fixture, november + DAY), 0);
    check(fixture,
          fixture->ops->object_get(fixture->engine, WEIR_OBJECT_WORKSPACE, WEIR_SPAN(""), WEIR_SPAN("acme"),
                                   fixture->arena, &workspace, &fixture->error),
          WEIR_OK);
    assert_spans_equal(workspace.text,
                       WEIR_SPAN("{\"name\":\"Acme\",\"plan\":\"small\",\"suspended\":false,\"tags\":{\"b\":\"1\"},"
                                 "\"plan_next\":null,\"plan_next_at\":null}"));
    assert_int_equal(change(fixture, WEIR_PLAN_CANCEL_DOWNGRADE, "", november, &balance),
                     WEIR_REASON_PLAN_CHANGE_REFUSED);
}

/* The periodic work comes a moment after a month's end; who changes the plan in that moment gains nothing by it. */
static void a_plan_that_changes_behind_a_months_end_is_none_of_that_month(void **state) {
    struct fixture *fixture = *state;
    struct weir_balance balance;
    make_world(fixture);
    give(fixture, 5000000, november - 10 * DAY);
    charge(fixture, 13000000, november - 5 * DAY); /* 3,000,000 above the small plan, nothing above the large one */
    assert_int_equal(change(fixture, WEIR_PLAN_UPGRADE, "large", november + 1, &balance), WEIR_REASON_NONE);
    assert_int_equal(account_of(fixture).consumed_cu_milli, 3000000);
    assert_int_equal(sweep(fixture, november + DAY), 0);
    assert_int_equal(account_of(fixture).consumed_cu_milli, 3000000);
}

static void a_downgrade_that_is_due_is_not_cancelled(void **state) {
    struct fixture *fixture = *state;
    struct weir_balance balance;
    make_world(fixture);
    assert_int_equal(change(fixture, WEIR_PLAN_UPGRADE, "large", november - 9 * DAY, &balance), WEIR_REASON_NONE);
    assert_int_equal(change(fixture, WEIR_PLAN_DOWNGRADE, "small", november - 8 * DAY, &balance), WEIR_REASON_NONE);
    assert_int_equal(change(fixture, WEIR_PLAN_CANCEL_DOWNGRADE, "", november, &balance),
                     WEIR_REASON_PLAN_CHANGE_REFUSED);
    assert_int_equal(sweep(fixture, november), 0); /* it was made then */
    assert_int_equal(change(fixture, WEIR_PLAN_UPGRADE, "large", november + 1, &balance), WEIR_REASON_NONE);
    assert_spans_equal(balance.plan, WEIR_SPAN("large"));
    assert_int_equal(balance.plan_next.length, 0);
}

static void one_bad_account_holds_up_no_other(void **state) {
    struct fixture *fixture = *state;
    struct weir_billing_turn turn = turn_of(fixture, november);
    int64_t cursor = 0;
    size_t changes = 0, all = 0;
    enum weir_status worst = WEIR_OK;
    make(fixture, WEIR_OBJECT_WORKSPACE, "aaa", "{\"name\":\"A\",\"plan\":\"small\"}");
    make(fixture, WEIR_OBJECT_ACCOUNT, "aaa", "{\"a\":\"\\u0000\"}"); /* what a damaged file may give */
    make_world(fixture);
    give(fixture, 5000000, november - 10 * DAY);
    charge(fixture, 12000000, november - 5 * DAY);
    turn.context = &turn;
    do {
        enum weir_status status = weir_billing_sweep(&turn, 1, &cursor, &changes);
        worst = status != WEIR_OK ? status : worst;
        all += changes;
    } while (cursor != 0);
    assert_int_equal(worst, WEIR_ECORRUPT);
    assert_int_equal(all, 1);
    assert_int_equal(account_of(fixture).consumed_cu_milli, 2000000);
}

/* --- purchases, killed at each step --- */

/* The engine with a bomb: the process dies before or after the n-th step. A child has its own. */
static struct weir_engine_ops bombed;
static int steps_left;

static void step(void) {
    if (--steps_left == 0)
        (void)raise(SIGKILL);
}

static enum weir_status bomb_begin(struct weir_engine *engine, struct weir_error *error) {
    step();
    enum weir_status status = weir_engine_sqlite.work_begin(engine, error);
    step();
    return status;
}
static enum weir_status bomb_end(struct weir_engine *engine, enum weir_status status, struct weir_error *error) {
    step();
    status = weir_engine_sqlite.work_end(engine, status, error);
    step();
    return status;
}
static enum weir_status bomb_create(struct weir_engine *engine, struct weir_object *object, struct weir_error *error) {
    step();
    enum weir_status status = weir_engine_sqlite.object_create(engine, object, error);
    step();
    return status;
}
static enum weir_status bomb_update(struct weir_engine *engine, struct weir_object *object, uint64_t version,
                                    struct weir_error *error) {
    step();
    enum weir_status status = weir_engine_sqlite.object_update(engine, object, version, error);
    step();
    return status;
}
static enum weir_status bomb_audit(struct weir_engine *engine, struct weir_audit_entry *entry,
                                   struct weir_error *error) {
    step();
    enum weir_status status = weir_engine_sqlite.audit_append(engine, entry, error);
    step();
    return status;
}

static int rounds_wanted(void) {
    uint64_t rounds = ROUNDS;
    const char *wanted = getenv("WEIR_KILL_ROUNDS");
    if (wanted != NULL && weir_span_to_uint64(weir_span_of_string(wanted), &rounds) != WEIR_OK)
        rounds = ROUNDS;
    return rounds < 5000 ? (int)rounds : 5000;
}

struct buying {
    struct weir_billing_turn turn;
    struct weir_purchase purchase;
};

static enum weir_status buy(void *context, struct weir_idempotency_answer *answer, struct weir_error *error) {
    struct buying *buying = context;
    const struct weir_purchase_wish wish = {.workspace = WEIR_SPAN("acme"),
                                            .cu_milli = 700,
                                            .payment = "manual",
                                            .payment_url = WEIR_SPAN(""),
                                            .expires_utc_us = november + 7 * DAY,
                                            .max_cu_milli = 1000};
    buying->turn.context = &buying->turn;
    buying->turn.error = error;
    enum weir_status status = weir_purchase_create(&buying->turn, &wish, &buying->purchase);
    answer->status = 201;
    answer->body = weir_span_of_string(
        weir_arena_format(buying->turn.arena, "{\"id\":\"%.*s\"}\n", WEIR_SPAN_PRINT(buying->purchase.id)));
    return status;
}

static struct weir_idempotency_answer ask(struct fixture *fixture, const char *key, const char *request) {
    struct buying buying = {.turn = turn_of(fixture, november)};
    struct weir_idempotency_answer answer;
    const struct weir_idempotency asked = {.workspace = WEIR_SPAN("acme"),
                                           .key = weir_span_of_string(key),
                                           .hash = WEIR_SPAN("h"),
                                           .request_id = weir_span_of_string(request),
                                           .utc_us = november};
    check(fixture,
          weir_idempotency_run(fixture->ops, fixture->engine, fixture->arena, &asked, buy, &buying, &answer,
                               &fixture->error),
          WEIR_OK);
    return answer;
}

static void approve(struct fixture *fixture, struct weir_span id) {
    struct weir_billing_turn turn = turn_of(fixture, november);
    struct weir_purchase purchase;
    bool credited = false;
    begin(&turn);
    check(fixture, weir_purchase_approve(&turn, id, WEIR_SPAN("msg_1"), &purchase, &credited), WEIR_OK);
    commit(&turn);
}

static enum weir_status count(void *context, const struct weir_object *object) {
    (void)object;
    (*(size_t *)context)++;
    return WEIR_OK;
}

static size_t count_of(struct fixture *fixture, enum weir_object_kind kind) {
    const struct weir_object_query query = {.kind = kind, .parent = WEIR_SPAN("acme"), .limit = 1000};
    size_t found = 0;
    check(fixture, fixture->ops->object_list(fixture->engine, &query, count, &found, &fixture->error), WEIR_OK);
    return found;
}

/* What a child does with the bomb: asks for the purchase, or approves it. True: it has come to its end. */
static bool in_child(struct fixture *fixture, int bomb_at, const char *key, struct weir_span approved) {
    fixture->ops->close(&fixture->engine); /* no connection goes over into a child */
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        bombed = weir_engine_sqlite;
        bombed.work_begin = bomb_begin;
        bombed.work_end = bomb_end;
        bombed.object_create = bomb_create;
        bombed.object_update = bomb_update;
        bombed.audit_append = bomb_audit;
        steps_left = bomb_at;
        open_engine(fixture);
        fixture->ops = &bombed;
        if (approved.length > 0)
            approve(fixture, approved);
        else
            (void)ask(fixture, key, "in the child");
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    open_engine(fixture);
    assert_true(WIFEXITED(result) ? WEXITSTATUS(result) == 0 : WTERMSIG(result) == SIGKILL);
    return WIFEXITED(result);
}

static void a_purchase_is_made_once_wherever_the_process_dies(void **state) {
    struct fixture *fixture = *state;
    int rounds = rounds_wanted(), killed = 0, whole = 0;
    make_world(fixture);
    for (int round = 0, bomb = 1; round < rounds; round++, bomb++) {
        char key[40];
        (void)snprintf(key, sizeof key, "11111111-1111-4111-8111-%012d", round);
        if (in_child(fixture, bomb, key, WEIR_SPAN(""))) {
            whole++;
            bomb = 0; /* every step has had its turn */
        } else {
            killed++;
        }
        struct weir_idempotency_answer first = ask(fixture, key, "afterwards"), again = ask(fixture, key, "once more");
        assert_int_equal(first.status, 201);
        assert_true(again.replayed);
        assert_spans_equal(again.body, first.body);
        assert_spans_equal(again.request_id, first.request_id);
        assert_int_equal(count_of(fixture, WEIR_OBJECT_PURCHASE), round + 1);
        assert_int_equal(count_of(fixture, WEIR_OBJECT_IDEMPOTENCY), round + 1);
    }
    assert_true(killed >= 8 && whole >= 1);
}

static void a_purchase_is_credited_once_wherever_the_process_dies(void **state) {
    struct fixture *fixture = *state;
    int rounds = rounds_wanted(), killed = 0, whole = 0;
    make_world(fixture);
    for (int round = 0, bomb = 1; round < rounds; round++, bomb++) {
        char key[40];
        (void)snprintf(key, sizeof key, "11111111-1111-4111-8111-%012d", round);
        struct weir_idempotency_answer made = ask(fixture, key, "r");
        struct weir_span id = weir_span_first(weir_span_from(made.body, strlen("{\"id\":\"")), strlen("pur_") + 16);
        if (in_child(fixture, bomb, key, id)) {
            whole++;
            bomb = 0;
        } else {
            killed++;
        }
        approve(fixture, id);
        approve(fixture, id);
        assert_int_equal(account_of(fixture).credits_cu_milli, 700 * (round + 1));
        assert_int_equal(count_of(fixture, WEIR_OBJECT_ACCOUNT_ENTRY), round + 1);
    }
    assert_true(killed >= 8 && whole >= 1);
}

/* --- Idempotency-Key --- */

static void keys_are_uuids_of_version_4(void **state) {
    char out[WEIR_UUID_TEXT_SIZE];
    (void)state;
    const struct {
        const char *text;
        enum weir_reason reason;
    } rows[] = {{"11111111-1111-4111-8111-111111111111", WEIR_REASON_NONE},
                {"AAAAAAAA-BBBB-4CCC-BDDD-EEEEEEEEEEEE", WEIR_REASON_NONE},
                {"11111111-1111-1111-8111-111111111111", WEIR_REASON_IDEMPOTENCY_KEY_INVALID},
                {"11111111-1111-4111-7111-111111111111", WEIR_REASON_IDEMPOTENCY_KEY_INVALID},
                {"11111111-1111-4111-c111-111111111111", WEIR_REASON_IDEMPOTENCY_KEY_INVALID},
                {"111111111111411181111111111111111111", WEIR_REASON_IDEMPOTENCY_KEY_INVALID},
                {"11111111-1111-4111-8111-11111111111", WEIR_REASON_IDEMPOTENCY_KEY_INVALID},
                {"", WEIR_REASON_IDEMPOTENCY_KEY_MISSING}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_span text = weir_span_of_string(rows[i].text);
        assert_int_equal(weir_idempotency_key(&text, out), rows[i].reason);
    }
    struct weir_span upper = WEIR_SPAN("AAAAAAAA-BBBB-4CCC-BDDD-EEEEEEEEEEEE");
    assert_int_equal(weir_idempotency_key(&upper, out), WEIR_REASON_NONE);
    assert_string_equal(out, "aaaaaaaa-bbbb-4ccc-bddd-eeeeeeeeeeee");
    assert_int_equal(weir_idempotency_key(NULL, out), WEIR_REASON_IDEMPOTENCY_KEY_MISSING);
}

static void the_hash_is_of_what_is_said(void **state) {
    struct fixture *fixture = *state;
    char hashes[8][WEIR_IDEMPOTENCY_HASH_SIZE];
    const struct {
        struct weir_span path, body;
    } rows[] = {{WEIR_SPAN("/a"), WEIR_SPAN("{\"b\":{\"y\":[1,2],\"x\":null},\"a\":1}")},
                {WEIR_SPAN("/a"), WEIR_SPAN(" { \"a\" : 1 , \"b\" : { \"x\" : null , \"y\" : [ 1 , 2 ] } } ")},
                {WEIR_SPAN("/a"), WEIR_SPAN("{\"a\":1,\"b\":{\"x\":null,\"y\":[2,1]}}")},
                {WEIR_SPAN("/b"), WEIR_SPAN("{\"a\":1,\"b\":{\"x\":null,\"y\":[1,2]}}")},
                {WEIR_SPAN("/a"), WEIR_SPAN("{\"a\":\"1\",\"b\":{\"x\":null,\"y\":[1,2]}}")},
                {WEIR_SPAN("/a"), WEIR_SPAN("{}")},
                {WEIR_SPAN("/a"), WEIR_SPAN("")},
                {WEIR_SPAN("/a"), WEIR_SPAN("{\"a\":1.5,\"b\":{\"x\":null,\"y\":[1,2]}}")}};
    for (size_t i = 0; i < 8; i++)
        check(fixture, weir_idempotency_hash(fixture->arena, WEIR_SPAN("POST"), rows[i].path, rows[i].body, hashes[i]),
              WEIR_OK);
    assert_string_equal(hashes[0], hashes[1]);
    for (size_t i = 1; i < 8; i++)
        for (size_t j = i + 1; j < 8; j++)
            assert_string_not_equal(hashes[i], hashes[j]);
    check(fixture, weir_idempotency_hash(fixture->arena, WEIR_SPAN("POST"), WEIR_SPAN("/"), WEIR_SPAN("{"), hashes[0]),
          WEIR_EINVAL);
}

static void a_claim_is_held_taken_over_and_settled_by_its_holder_alone(void **state) {
    struct fixture *fixture = *state;
    const struct weir_engine_ops *ops = fixture->ops;
    struct weir_idempotency first = {.workspace = WEIR_SPAN("acme"),
                                     .key = key_one,
                                     .hash = WEIR_SPAN("h"),
                                     .request_id = WEIR_SPAN("r1"),
                                     .utc_us = 1000};
    struct weir_idempotency second = first;
    struct weir_idempotency_answer answer;
    bool claimed = false, kept = false;
    second.request_id = WEIR_SPAN("r2");
    check(fixture,
          weir_idempotency_claim(ops, fixture->engine, fixture->arena, &first, 5000, &claimed, &answer,
                                 &fixture->error),
          WEIR_OK);
    assert_true(claimed);
    check(fixture,
          weir_idempotency_claim(ops, fixture->engine, fixture->arena, &second, 5000, &claimed, &answer,
                                 &fixture->error),
          WEIR_OK);
    assert_false(claimed);
    assert_int_equal(answer.refusal, WEIR_REASON_IDEMPOTENCY_IN_FLIGHT);
    struct weir_idempotency other = second;
    other.hash = WEIR_SPAN("other");
    check(fixture,
          weir_idempotency_claim(ops, fixture->engine, fixture->arena, &other, 5000, &claimed, &answer,
                                 &fixture->error),
          WEIR_OK);
    assert_int_equal(answer.refusal, WEIR_REASON_IDEMPOTENCY_KEY_MISMATCH);
    /* Its time is over: the second takes it, and the first, if it lives after all, keeps nothing. */
    second.utc_us = 5000;
    check(fixture,
          weir_idempotency_claim(ops, fixture->engine, fixture->arena, &second, 9000, &claimed, &answer,
                                 &fixture->error),
          WEIR_OK);
    assert_true(claimed);
    check(fixture,
          weir_idempotency_settle(ops, fixture->engine, fixture->arena, &first, 200, WEIR_SPAN("one"), &kept,
                                  &fixture->error),
          WEIR_OK);
    assert_false(kept);
    check(fixture, weir_idempotency_abandon(ops, fixture->engine, fixture->arena, &first, &fixture->error), WEIR_OK);
    check(fixture,
          weir_idempotency_settle(ops, fixture->engine, fixture->arena, &second, 200, WEIR_SPAN("two"), &kept,
                                  &fixture->error),
          WEIR_OK);
    assert_true(kept);
    check(fixture,
          weir_idempotency_claim(ops, fixture->engine, fixture->arena, &first, 9000, &claimed, &answer,
                                 &fixture->error),
          WEIR_OK);
    assert_true(!claimed && answer.replayed);
    assert_spans_equal(answer.body, WEIR_SPAN("two"));
    assert_spans_equal(answer.request_id, WEIR_SPAN("r2"));
    /* What ended without an answer is free again. */
    first.key = second.key = WEIR_SPAN("22222222-2222-4222-8222-222222222222");
    check(fixture,
          weir_idempotency_claim(ops, fixture->engine, fixture->arena, &first, 9000, &claimed, &answer,
                                 &fixture->error),
          WEIR_OK);
    check(fixture, weir_idempotency_abandon(ops, fixture->engine, fixture->arena, &first, &fixture->error), WEIR_OK);
    check(fixture,
          weir_idempotency_claim(ops, fixture->engine, fixture->arena, &second, 9000, &claimed, &answer,
                                 &fixture->error),
          WEIR_OK);
    assert_true(claimed);
}

/* --- signatures --- */

static void the_published_example_verifies(void **state) {
    /* The example of the Standard Webhooks libraries. */
    struct weir_span id = WEIR_SPAN("msg_p5jXN8AQM9LWM0D4loKWxJek"), at = WEIR_SPAN("1614265330"),
                     signature = WEIR_SPAN("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
                     secret = WEIR_SPAN("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    struct weir_webhook webhook = {.id = &id,
                                   .timestamp = &at,
                                   .signature = &signature,
                                   .body = WEIR_SPAN("{\"test\": 2432232314}")};
    const int64_t then = (int64_t)1614265330 * 1000000;
    const char *why = NULL;
    (void)state;
    assert_int_equal(weir_webhook_verify(&webhook, secret, then, &why), WEIR_REASON_NONE);
    assert_int_equal(weir_webhook_verify(&webhook, secret, then + WEIR_WEBHOOK_TOLERANCE_US, &why), WEIR_REASON_NONE);
    assert_int_equal(weir_webhook_verify(&webhook, secret, then + WEIR_WEBHOOK_TOLERANCE_US + 1000000, &why),
                     WEIR_REASON_PAYMENT_SIGNATURE_INVALID);
    assert_int_equal(weir_webhook_verify(&webhook, secret, then - WEIR_WEBHOOK_TOLERANCE_US - 1000000, &why),
                     WEIR_REASON_PAYMENT_SIGNATURE_INVALID);
    assert_int_equal(weir_webhook_verify(&webhook, WEIR_SPAN("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx"), then, &why),
                     WEIR_REASON_PAYMENT_SIGNATURE_INVALID);
    assert_int_equal(weir_webhook_verify(&webhook, WEIR_SPAN("whsec_!"), then, &why),
                     WEIR_REASON_PAYMENT_SIGNATURE_INVALID);
    assert_int_equal(weir_webhook_verify(&webhook, WEIR_SPAN(""), then, &why), WEIR_REASON_PAYMENT_SIGNATURE_INVALID);
    webhook.body = WEIR_SPAN("{\"test\": 2432232315}");
    assert_int_equal(weir_webhook_verify(&webhook, secret, then, &why), WEIR_REASON_PAYMENT_SIGNATURE_INVALID);
}

#define HERE(function) \
    { #function, function, set_up, tear_down, (void *)(uintptr_t)&weir_engine_sqlite }

int main(void) {
    const struct CMUnitTest tests[] = {
        HERE(credits_never_fall_below_nothing),
        HERE(a_month_takes_what_was_above_the_plan_once),
        HERE(a_month_within_the_plan_takes_nothing),
        HERE(balance_counts_credits_behind_the_plan),
        HERE(a_downgrade_comes_behind_the_months_close),
        HERE(a_plan_that_changes_behind_a_months_end_is_none_of_that_month),
        HERE(a_downgrade_that_is_due_is_not_cancelled),
        HERE(one_bad_account_holds_up_no_other),
        HERE(a_purchase_is_made_once_wherever_the_process_dies),
        HERE(a_purchase_is_credited_once_wherever_the_process_dies),
        cmocka_unit_test(keys_are_uuids_of_version_4),
        HERE(the_hash_is_of_what_is_said),
        HERE(a_claim_is_held_taken_over_and_settled_by_its_holder_alone),
        cmocka_unit_test(the_published_example_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
