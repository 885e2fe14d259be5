/* weir billing: purchases and credits from the command line, straight to the store; a running server sees each change within a second.
 *
 * It does what the operations of the plane do, by the same functions (meter/billing.h), and leaves the same entries in the audit trail, in the transaction of
 * the change: the actor is this machine's user.
 */
#include "base/clock.h"
#include "main/arguments.h"
#include "main/budget_session.h"
#include "main/command_support.h"
#include "main/commands.h"
#include "main/local_audit.h"
#include "meter/billing.h"

enum { PAGE = 200, ARENA_BYTES = 64 * 1024 * 1024, WIDE = 24 };

struct billing_flags {
    const char *config, *workspace, *state, *reason;
    bool json, take;
};

struct session {
    const struct billing_flags *flags;
    struct weir_arena *arena, *scratch;
    struct main__settings settings;
    struct weir_engine *engine;
    struct weir_billing_turn turn;
    struct weir_error error;
};

static int tell(const struct session *session, enum weir_status status) {
    const struct weir_billing_turn *turn = &session->turn;
    const char *words = session->error.text[0] != '\0' ? session->error.text : weir_status_name(status);
    if (status != WEIR_OK)
        fprintf(stderr, "weir: %s\n", words);
    else
        /* The reason's own words are for clients, who have a key. */
        fprintf(stderr, "weir: %s\n", turn->detail[0] != '\0' ? turn->detail : weir_reason_row(turn->reason)->message);
    return MAIN_EXIT_FAILED;
}

static enum weir_status note(void *context, const struct weir_billing_note *said, struct weir_error *error) {
    const struct session *session = context;
    const struct main__local_note told = {.action = said->action,
                                          .resource_type = said->resource_type,
                                          .resource_id = said->resource_id,
                                          .resource_name = WEIR_SPAN(""),
                                          .workspace = said->workspace,
                                          .before = said->before,
                                          .after = said->after};
    return main__audit_local(session->engine, &told, session->turn.now_utc_us, error);
}

static void session_close(struct session *session) {
    weir_store_direct_close(&session->engine);
    weir_arena_free(&session->scratch);
    weir_arena_free(&session->arena);
}

static bool session_open(struct session *session) {
    session->arena = weir_arena_new(0, 4 * WEIR_MAX_CONFIG_BYTES);
    session->scratch = weir_arena_new(0, ARENA_BYTES);
    if (session->arena == NULL || session->scratch == NULL ||
        main__settings_for_command(session->arena, session->flags->config, &session->settings) != WEIR_OK)
        return false;
    enum weir_status status = main__store_open(&session->settings, false, &session->engine, &session->error);
    if (status != WEIR_OK) {
        (void)tell(session, status);
        return false;
    }
    session->turn = (struct weir_billing_turn){.ops = &weir_engine_sqlite,
                                               .engine = session->engine,
                                               .arena = session->scratch,
                                               .now_utc_us = weir_clock_utc_us(),
                                               .actor = WEIR_SPAN("local"),
                                               .note = note,
                                               .context = session,
                                               .error = &session->error};
    return true;
}

/* One JSON value a line. */
static void print_json(const struct weir_buffer *text) {
    printf("%.*s\n", WEIR_SPAN_PRINT(weir_buffer_span(text)));
}

/* --- what changes something, in a transaction --- */

static enum weir_status begin(struct session *session) {
    return weir_engine_sqlite.work_begin(session->engine, &session->error);
}

static bool end(struct session *session, enum weir_status status) {
    bool undo = status == WEIR_OK && session->turn.reason != WEIR_REASON_NONE;
    enum weir_status ended = weir_engine_sqlite.work_end(session->engine, undo ? WEIR_END : status, &session->error);
    if (status == WEIR_OK && !undo)
        status = ended;
    if (status == WEIR_OK && !undo)
        return true;
    (void)tell(session, status);
    return false;
}

static int decide(struct session *session, struct weir_span id, bool approve) {
    struct weir_purchase purchase;
    bool credited = false;
    const char *why = session->flags->reason;
    if (!approve && why == NULL) {
        fprintf(stderr, "weir: --reason says why it is rejected; its buyer reads it\n");
        return MAIN_EXIT_USAGE;
    }
    enum weir_status status = begin(session);
    if (status != WEIR_OK)
        return tell(session, status);
    status = approve ? weir_purchase_approve(&session->turn, id, WEIR_SPAN(""), &purchase, &credited)
                     : weir_purchase_reject(&session->turn, id, weir_span_of_string(why), WEIR_SPAN(""), &purchase);
    if (!end(session, status))
        return MAIN_EXIT_FAILED;
    fprintf(stderr, "the purchase %.*s of %.*s is %s%s: %lld milli-CU\n", WEIR_SPAN_PRINT(purchase.id),
            WEIR_SPAN_PRINT(purchase.workspace), approve && !credited ? "already " : "",
            weir_purchase_state_name(purchase.state), (long long)purchase.cu_milli);
    return 0;
}

static int approve_one(struct session *session, const char *const *operands) {
    return decide(session, weir_span_of_string(operands[1]), true);
}

static int reject_one(struct session *session, const char *const *operands) {
    return decide(session, weir_span_of_string(operands[1]), false);
}

static int adjust(struct session *session, const char *const *operands) {
    struct weir_account_entry entry;
    int64_t amount = 0;
    struct weir_span text = weir_span_of_string(operands[2]);
    bool is_amount = weir_span_to_int64(text, &amount) == WEIR_OK || main__amount_read(operands[2], &amount);
    if (!is_amount || amount <= 0) {
        fprintf(stderr,
                "weir: adjust: expected an amount above 0, like 5usd, 5000000cu or 5000000000 (milli-CU); got '%s'\n",
                operands[2]);
        return MAIN_EXIT_USAGE;
    }
    if (session->flags->reason == NULL) {
        fprintf(stderr, "weir: --reason says why the credits change; it stays in the account's entries\n");
        return MAIN_EXIT_USAGE;
    }
    if (session->flags->take)
        amount = -amount;
    enum weir_status status = begin(session);
    if (status != WEIR_OK)
        return tell(session, status);
    status = weir_account_adjust(&session->turn, weir_span_of_string(operands[1]), amount,
                                 weir_span_of_string(session->flags->reason), &entry);
    if (!end(session, status))
        return MAIN_EXIT_FAILED;
    fprintf(stderr, "%s has %lld milli-CU of credits now\n", operands[1], (long long)entry.balance_after_cu_milli);
    return 0;
}

/* --- what shows something --- */

static void print_unless_unlimited(const char *name, int64_t cu_milli) {
    if (cu_milli < 0)
        printf("%-9s  no limit\n", name);
    else
        printf("%-9s  %lld\n", name, (long long)cu_milli);
}

static int balance(struct session *session, const char *const *operands) {
    struct weir_balance found;
    struct weir_json_writer writer;
    struct weir_buffer text;
    enum weir_status status = weir_balance_read(&session->turn, weir_span_of_string(operands[1]), &found);
    if (status != WEIR_OK || session->turn.reason != WEIR_REASON_NONE)
        return tell(session, status);
    weir_buffer_init(&text, WEIR_MIB);
    weir_json_writer_init(&writer, &text);
    weir_balance_write(&writer, &found);
    if (session->flags->json) {
        print_json(&text);
    } else {
        printf("plan       %.*s\n", WEIR_SPAN_PRINT(found.has_plan ? found.plan : WEIR_SPAN("-")));
        print_unless_unlimited("included", found.included_cu_milli);
        printf("used       %lld\n", (long long)found.used_cu_milli);
        printf("credits    %lld\n", (long long)found.credits_cu_milli);
        print_unless_unlimited("remaining", found.remaining_cu_milli);
        fprintf(stderr, "amounts are milli-CU\n");
    }
    weir_buffer_release(&text);
    return 0;
}

struct listing {
    struct session *session;
    bool are_purchases, has_head;
    size_t seen;
    int64_t last;
};

static void print_head(struct listing *listing) {
    if (listing->has_head)
        return;
    listing->has_head = true;
    if (listing->are_purchases)
        printf("%-20s  %-9s  %20s  %-24s  %-20s  %s\n", "ID", "STATE", "MILLI-CU", "WORKSPACE", "CREATED", "REFERENCE");
    else
        printf("%-20s  %-11s  %20s  %20s  %s\n", "TIME", "KIND", "MILLI-CU", "CREDITS AFTER IT", "ABOUT");
}

static void print_purchase(const struct weir_purchase *purchase) {
    char created[32], workspace[MAIN_CELL_SIZE], reference[MAIN_CELL_SIZE];
    main__format_time(purchase->created_utc_us, created);
    main__cell(purchase->workspace, WIDE, workspace);
    main__cell(purchase->reference, WIDE, reference);
    printf("%-20.*s  %-9s  %20lld  %-24s  %s  %s\n", WEIR_SPAN_PRINT(purchase->id),
           weir_purchase_state_name(purchase->state), (long long)purchase->cu_milli, workspace, created, reference);
}

static void print_entry(const struct weir_account_entry *entry) {
    char created[32], about[MAIN_CELL_SIZE];
    main__format_time(entry->created_utc_us, created);
    main__cell(entry->purchase.length > 0 ? entry->purchase
               : entry->month.length > 0  ? entry->month
                                          : entry->reason,
               WIDE, about);
    printf("%s  %-11.*s  %20lld  %20lld  %s\n", created, WEIR_SPAN_PRINT(entry->kind),
           (long long)entry->amount_cu_milli, (long long)entry->balance_after_cu_milli, about);
}

static enum weir_status show_one(void *context, const struct weir_object *object) {
    struct listing *listing = context;
    struct session *session = listing->session;
    struct weir_purchase purchase;
    struct weir_account_entry entry;
    struct weir_json_writer writer;
    struct weir_buffer text;
    listing->seen++;
    listing->last = object->number;
    enum weir_status status = listing->are_purchases
                                  ? weir_purchase_read(session->scratch, object, session->turn.now_utc_us, &purchase)
                                  : weir_account_entry_read(session->scratch, object, &entry);
    if (status != WEIR_OK)
        return status;
    const char *state = session->flags->state;
    if (listing->are_purchases && state != NULL && strcmp(state, weir_purchase_state_name(purchase.state)) != 0)
        return WEIR_OK;
    weir_buffer_init(&text, WEIR_MIB);
    weir_json_writer_init(&writer, &text);
    if (!session->flags->json)
        print_head(listing);
    if (!session->flags->json && listing->are_purchases)
        print_purchase(&purchase);
    else if (!session->flags->json)
        print_entry(&entry);
    else if (listing->are_purchases)
        weir_purchase_write(&writer, &purchase);
    else
        weir_account_entry_write(&writer, &entry);
    if (session->flags->json)
        print_json(&text);
    weir_buffer_release(&text);
    return WEIR_OK;
}

static int show_all(struct session *session, struct weir_object_query *query) {
    struct listing listing = {.session = session, .are_purchases = query->kind == WEIR_OBJECT_PURCHASE};
    query->limit = PAGE;
    do {
        listing.seen = 0;
        query->after_number = listing.last;
        weir_arena_reset(session->scratch);
        enum weir_status status = weir_engine_sqlite.object_list(session->engine, query, show_one, &listing,
                                                                 &session->error);
        if (status != WEIR_OK)
            return tell(session, status);
    } while (listing.seen == PAGE);
    return 0;
}

/* A misspelt state would look like a list without purchases. */
static bool is_state(const char *name) {
    for (size_t i = 0; i < WEIR_PURCHASE_STATE_COUNT; i++)
        if (strcmp(name, weir_purchase_state_name((enum weir_purchase_state)i)) == 0)
            return true;
    return false;
}

static int purchases(struct session *session, const char *const *operands) {
    (void)operands;
    const char *workspace = session->flags->workspace;
    if (session->flags->state != NULL && !is_state(session->flags->state)) {
        fprintf(stderr, "weir: --state: expected pending, approved, rejected or expired; got '%s'\n",
                session->flags->state);
        return MAIN_EXIT_USAGE;
    }
    struct weir_object_query query = {.kind = WEIR_OBJECT_PURCHASE,
                                      .any_parent = workspace == NULL,
                                      .parent = weir_span_of_string(workspace)};
    return show_all(session, &query);
}

static int entries(struct session *session, const char *const *operands) {
    struct weir_object_query query = {.kind = WEIR_OBJECT_ACCOUNT_ENTRY, .parent = weir_span_of_string(operands[1])};
    return show_all(session, &query);
}

/* --- words --- */

static const struct {
    const char *word;
    size_t operands; /* with the word itself */
    int (*run)(struct session *session, const char *const *operands);
} words[] = {{"purchases", 1, purchases}, {"approve", 2, approve_one}, {"reject", 2, reject_one},
             {"balance", 2, balance},     {"entries", 2, entries},     {"adjust", 3, adjust}};

int main__billing(int argc, char **argv) {
    struct billing_flags flags = {.config = NULL};
    const struct main__flag all[] = {
        {"--config", "-c", MAIN_FLAG_TEXT, &flags.config, "FILE",
         "settings (default: weir.yaml here, if there is one)"},
        {"--workspace", NULL, MAIN_FLAG_TEXT, &flags.workspace, "ID", "purchases: only this workspace's"},
        {"--state", NULL, MAIN_FLAG_TEXT, &flags.state, "STATE",
         "purchases: only those that are pending, approved, rejected or expired"},
        {"--reason", NULL, MAIN_FLAG_TEXT, &flags.reason, "TEXT", "reject, adjust: why"},
        {"--take", NULL, MAIN_FLAG_SWITCH, &flags.take, NULL, "adjust: the credits are taken, not given"},
        {"--json", NULL, MAIN_FLAG_SWITCH, &flags.json, NULL, "lists and balances: one JSON object a line"},
    };
    const struct main__command command = {
        "weir billing purchases | approve PURCHASE | reject PURCHASE --reason TEXT | balance WORKSPACE | entries WORKSPACE\n"
        "       | adjust WORKSPACE AMOUNT [--take] --reason TEXT",
        "Purchases of credits and the accounts of workspaces.\n"
        "approve says that a purchase was paid: its credits are in the account at once, and once only.\n"
        "adjust gives credits, or takes them with --take; the account does not fall below 0 by it.\n"
        "Amounts are milli-CU, or have their unit: 5usd, 5000000cu, 5000000000mcu.",
        all,
        sizeof all / sizeof *all,
        1,
        3};
    const char *operands[MAIN_MAX_OPERANDS] = {NULL};
    size_t count;
    enum main__parsed parsed = main__parse(&command, argc, argv, operands, &count);
    if (parsed != MAIN_PARSED_GO)
        return parsed == MAIN_PARSED_HELP ? 0 : MAIN_EXIT_USAGE;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i].word, operands[0]) != 0 || count != words[i].operands)
            continue;
        struct session session = {.flags = &flags};
        int code = session_open(&session) ? words[i].run(&session, operands) : MAIN_EXIT_FAILED;
        session_close(&session);
        return code;
    }
    fprintf(stderr, "weir: expected purchases, approve, reject, balance, entries or adjust\nusage: %s\n",
            command.usage);
    return MAIN_EXIT_USAGE;
}
