/* The way of a request, told stage by stage in words: what a person reads who has nothing but an id. */
#include "operator/record_form.h"

#include "base/reasons.h"

#include <stdarg.h>

const char *weir_stage_outcome_name(enum weir_stage_outcome outcome) {
    static const char *const names[] = {[WEIR_STAGE_OK] = "ok",
                                        [WEIR_STAGE_FAILED] = "failed",
                                        [WEIR_STAGE_SKIPPED] = "skipped",
                                        [WEIR_STAGE_NOT_REACHED] = "not_reached"};
    return names[outcome];
}

struct telling {
    const struct weir_ledger_entry *entry;
    struct weir_story_stage *stages;
    size_t count;
};

static struct weir_story_stage *add(struct telling *telling, const char *name, enum weir_stage_outcome outcome,
                                    int64_t offset_us) {
    weir_bug_on(telling->count == WEIR_STORY_STAGES);
    struct weir_story_stage *stage = &telling->stages[telling->count++];
    *stage = (struct weir_story_stage){.name = name, .outcome = outcome, .offset_us = offset_us};
    return stage;
}

static void say(struct weir_story_stage *stage, const char *format, ...) WEIR_PRINTF(2, 3);
static void say(struct weir_story_stage *stage, const char *format, ...) {
    size_t length = strlen(stage->words);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(stage->words + length, sizeof stage->words - length, format, arguments);
    va_end(arguments);
}

enum { SHOWN = 80 };
static struct weir_span shown(struct weir_span text, const char *otherwise) {
    if (text.length == 0)
        return weir_span_of_string(otherwise);
    return text.length > SHOWN ? weir_span_first(text, SHOWN) : text;
}

/* --- the stages before the first attempt --- */
static void say_received(const struct weir_ledger_entry *entry, struct weir_story_stage *stage) {
    struct weir_span what = entry->path.length > 0 ? entry->path : shown(entry->endpoint, "a request");
    struct weir_span from = shown(entry->client_address, "an unknown address");
    what = what.length > 3 * SHOWN ? weir_span_first(what, 3 * SHOWN) : what;
    say(stage, "%.*s from %.*s", WEIR_SPAN_PRINT(what), WEIR_SPAN_PRINT(from));
}

static void say_identified(const struct weir_ledger_entry *entry, struct weir_story_stage *stage) {
    struct weir_span key = shown(entry->key_id, ""), workspace = shown(entry->workspace, "default");
    if (key.length > 0)
        say(stage, "key %.*s of workspace %.*s", WEIR_SPAN_PRINT(key), WEIR_SPAN_PRINT(workspace));
    else
        say(stage, "no key is known");
}

static void say_authorized(const struct weir_ledger_entry *entry, struct weir_story_stage *stage) {
    say(stage, "policy: %s", weir_policy_outcome_name((enum weir_policy_outcome)entry->policy));
}

static void say_read(const struct weir_ledger_entry *entry, struct weir_story_stage *stage) {
    (void)entry;
    say(stage, "the body is complete");
}

static void say_understood(const struct weir_ledger_entry *entry, struct weir_story_stage *stage) {
    struct weir_span model = shown(entry->model, "no model");
    say(stage, "%.*s%s", WEIR_SPAN_PRINT(model), entry->stream ? ", streamed" : "");
}

static void say_routed(const struct weir_ledger_entry *entry, struct weir_story_stage *stage) {
    struct weir_span provider = entry->attempt_count > 0 ? shown(entry->attempts[0].provider, "a provider")
                                                         : shown(entry->provider, "");
    if (provider.length > 0)
        say(stage, "first to %.*s, by revision %llu", WEIR_SPAN_PRINT(provider), (unsigned long long)entry->revision);
    else
        say(stage, "by revision %llu", (unsigned long long)entry->revision);
}

static void say_reserved(const struct weir_ledger_entry *entry, struct weir_story_stage *stage) {
    say(stage, "at most %lld milli-CU", (long long)entry->reserved_cu_milli);
}

static const struct {
    enum weir_stage stage;
    void (*say)(const struct weir_ledger_entry *entry, struct weir_story_stage *stage);
    bool before_body; /* known from the head */
    bool of_provider; /* skipped by what is answered here */
} beginnings[] = {
    {WEIR_STAGE_RECEIVED, say_received, true, false},      {WEIR_STAGE_IDENTIFIED, say_identified, true, false},
    {WEIR_STAGE_AUTHORIZED, say_authorized, true, false},  {WEIR_STAGE_READ, say_read, false, false},
    {WEIR_STAGE_UNDERSTOOD, say_understood, false, false}, {WEIR_STAGE_ROUTED, say_routed, false, true},
    {WEIR_STAGE_RESERVED, say_reserved, false, true},
};

static void say_detail(const struct weir_ledger_entry *entry, const char *before, struct weir_story_stage *stage) {
    struct weir_span detail = entry->detail.length > 3 * SHOWN ? weir_span_first(entry->detail, 3 * SHOWN)
                                                               : entry->detail;
    if (detail.length > 0)
        say(stage, "%s%.*s", before, WEIR_SPAN_PRINT(detail));
}

static void say_failure(const struct weir_ledger_entry *entry, struct weir_story_stage *stage) {
    stage->outcome = WEIR_STAGE_FAILED;
    stage->reason = entry->reason;
    stage->words[0] = '\0';
    say(stage, "%s",
        entry->reason < WEIR_REASON_COUNT ? weir_reason_row((enum weir_reason)entry->reason)->message : "");
    say_detail(entry, ": ", stage);
}

/* How far it came; an entry from before stages were told came as far as its attempts say. */
static enum weir_stage reached(const struct weir_ledger_entry *entry) {
    if (entry->stage != WEIR_STAGE_UNKNOWN)
        return (enum weir_stage)entry->stage;
    return entry->outcome == WEIR_OUTCOME_OK ? WEIR_STAGE_ANSWERED : WEIR_STAGE_SENT;
}

static void tell_beginning(struct telling *telling) {
    const struct weir_ledger_entry *entry = telling->entry;
    enum weir_stage end = reached(entry);
    bool here = entry->unbilled && entry->outcome == WEIR_OUTCOME_OK;
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        enum weir_stage at = beginnings[i].stage;
        int64_t offset_us = beginnings[i].before_body ? 0 : entry->read_us > 0 ? (int64_t)entry->read_us : -1;
        struct weir_story_stage *stage = add(telling, weir_stage_name(at), WEIR_STAGE_OK, offset_us);
        if (here && beginnings[i].of_provider) {
            stage->outcome = WEIR_STAGE_SKIPPED;
            say(stage, "it is answered here, without a provider");
        } else if (at < end) {
            beginnings[i].say(entry, stage);
        } else if (at == end) {
            say_failure(entry, stage);
            if (at == WEIR_STAGE_IDENTIFIED && entry->key_id.length > 0) { /* revoked or expired: whose it was */
                say(stage, ": ");
                say_identified(entry, stage);
            }
        } else {
            stage->outcome = WEIR_STAGE_NOT_REACHED;
            stage->offset_us = -1;
        }
    }
}

/* --- attempts --- */
static void tell_attempt(struct telling *telling, size_t index) {
    const struct weir_ledger_attempt *attempt = &telling->entry->attempts[index];
    bool well = attempt->reason == 0;
    struct weir_story_stage *stage = add(telling, "attempt", well ? WEIR_STAGE_OK : WEIR_STAGE_FAILED,
                                         attempt->start_us);
    struct weir_span provider = shown(attempt->provider, "a provider"), model = shown(attempt->upstream_model, ""),
                     id = shown(attempt->upstream_request_id, "");
    stage->attempt = (unsigned)index + 1;
    stage->reason = attempt->reason;
    say(stage, "%.*s%s%.*s: ", WEIR_SPAN_PRINT(provider), model.length > 0 ? " " : "", WEIR_SPAN_PRINT(model));
    if (!well && attempt->reason < WEIR_REASON_COUNT)
        say(stage, "%s", weir_reason_row((enum weir_reason)attempt->reason)->message);
    if (attempt->status != 0)
        say(stage, "%sstatus %u", well ? "" : ", ", attempt->status);
    if (attempt->first_byte_us > attempt->start_us)
        say(stage, ", first byte after %.1f ms", (double)(attempt->first_byte_us - attempt->start_us) / 1000);
    if (attempt->end_us > attempt->start_us)
        say(stage, ", over after %.1f ms", (double)(attempt->end_us - attempt->start_us) / 1000);
    if (id.length > 0)
        say(stage, ", its id %.*s", WEIR_SPAN_PRINT(id));
}

/* --- the end --- */
static void tell_answer(struct telling *telling) {
    const struct weir_ledger_entry *entry = telling->entry;
    int64_t offset_us = entry->first_byte_us > 0 ? (int64_t)entry->first_byte_us : -1;
    struct weir_story_stage *stage = add(telling, weir_stage_name(WEIR_STAGE_ANSWERED), WEIR_STAGE_OK, offset_us);
    switch ((enum weir_outcome)entry->outcome) {
    case WEIR_OUTCOME_OK:
        say(stage, "status %u, whole", entry->status);
        say_detail(entry, "; before that, ", stage);
        break;
    case WEIR_OUTCOME_ABORTED:
        if (entry->reason != WEIR_REASON_NONE && entry->reason != WEIR_REASON_CLIENT_CLOSED &&
            entry->reason < WEIR_REASON_COUNT)
            say(stage, "status %u, and then it was ended: %s", entry->status,
                weir_reason_row((enum weir_reason)entry->reason)->message);
        else
            say(stage, entry->status != 0 ? "status %u, and then the client left" : "the client left before",
                entry->status);
        stage->outcome = WEIR_STAGE_FAILED;
        stage->reason = entry->reason;
        break;
    case WEIR_OUTCOME_CRASHED:
        say(stage, "the gateway stopped meanwhile; how much the client has got is not known");
        stage->outcome = WEIR_STAGE_FAILED;
        stage->reason = entry->reason;
        break;
    case WEIR_OUTCOME_ERROR:
    default:
        say_failure(entry, stage);
        say(stage, " (status %u)", entry->status);
        break;
    }
}

/* Where the figures come from, in words; the name that the ledger has for it is in `usage.source`. */
static const char *source_words(const struct weir_ledger_entry *entry) {
    switch ((enum weir_usage_source)entry->usage_source) {
    case WEIR_USAGE_PROVIDER: return "as the provider said";
    case WEIR_USAGE_COUNTED: return "counted here";
    case WEIR_USAGE_ESTIMATED: return "estimated, as the provider did not say";
    case WEIR_USAGE_ABORTED: return "estimated of what had come when it was ended";
    case WEIR_USAGE_RESERVED: return "the whole reservation, as nothing else is known";
    case WEIR_USAGE_NONE:
    default: return "nothing came that is charged";
    }
}

static void tell_settlement(struct telling *telling) {
    const struct weir_ledger_entry *entry = telling->entry;
    struct weir_story_stage *stage = add(telling, "settled", WEIR_STAGE_OK, entry->end_utc_us - entry->start_utc_us);
    if (entry->unbilled) {
        stage->outcome = WEIR_STAGE_SKIPPED;
        say(stage, "no provider was asked, so there is nothing to charge");
        return;
    }
    say(stage, "%lld milli-CU for %lld input and %lld output tokens (%s)%s", (long long)entry->cost_cu_milli,
        (long long)entry->usage.input, (long long)entry->usage.output, source_words(entry),
        entry->unpriced ? ", without a price" : "");
    if (entry->overrun_cu_milli != 0)
        say(stage, "; %lld milli-CU beyond the reservation are not charged", (long long)entry->overrun_cu_milli);
}

size_t weir_record_stages(const struct weir_ledger_entry *entry, struct weir_story_stage stages[WEIR_STORY_STAGES]) {
    struct telling telling = {.entry = entry, .stages = stages};
    tell_beginning(&telling);
    for (size_t i = 0; i < entry->attempt_count && i < WEIR_MAX_ATTEMPTS; i++)
        tell_attempt(&telling, i);
    tell_answer(&telling);
    tell_settlement(&telling);
    return telling.count;
}
