/* What one key may: models, endpoints, tools, capabilities, addresses, and its own limits.
 *
 * In the store and on the operator plane they are one JSON object:
 *
 *   {"models":["gpt-4o*","anthropic/claude-*"],        names; '*' stands for any bytes
 *    "endpoints":["chat.completions","embeddings"],    names of the data plane's endpoints; '*' as above
 *    "tools":["github.*"],                             names of tools
 *    "capabilities":["inference"],                     areas of the gateway; "billing" and "admin" count only where they are named here: a key whose
 *                                                      rules are silent on capabilities, or say "*", has neither
 *    "addresses":["192.0.2.0/24"],                     networks that the key may be used from
 *    "limits":{"requests_per_second":N,"requests_per_minute":N,"requests_per_day":N,"tokens_per_minute":N,"tokens_per_day":N,
 *              "concurrent_requests":N,"concurrent_streams":N,"burst_percent":N,
 *              "cu_milli_per_day":N,"cu_milli_per_month":N,"cu_milli_total":N}}
 *
 * A member that is absent or null allows everything, and so does a list with "*"; an empty list allows nothing. Upper and lower case differ. Keys with the same rules
 * share one compiled struct. The limits are the meter's to hold (src/meter); the tools are kept and shown alone, as no tool passes through.
 */
#ifndef WEIR_IDENTITY_RULES_H
#define WEIR_IDENTITY_RULES_H

#include "base/reasons.h"
#include "identity/addresses.h"

struct weir_rule_list {
    bool restricts; /* false: everything is allowed: nothing was said, or "*" */
    const struct weir_span *at;
    size_t count;
};

enum weir_rule_limit {
    WEIR_RULE_REQUESTS_PER_SECOND,
    WEIR_RULE_REQUESTS_PER_MINUTE,
    WEIR_RULE_TOKENS_PER_MINUTE,
    WEIR_RULE_CONCURRENT_REQUESTS,
    WEIR_RULE_CU_MILLI_PER_DAY,
    WEIR_RULE_CU_MILLI_PER_MONTH,
    WEIR_RULE_CU_MILLI_TOTAL,
    WEIR_RULE_REQUESTS_PER_DAY,
    WEIR_RULE_TOKENS_PER_DAY,
    WEIR_RULE_CONCURRENT_STREAMS,
    WEIR_RULE_BURST_PERCENT, /* of what a second's or a minute's limit is: that much may come at once */
    WEIR_RULE_LIMIT_COUNT
};
const char *weir_rule_limit_name(enum weir_rule_limit limit);

struct weir_key_rules {
    struct weir_rule_list models, endpoints, tools, capabilities;
    bool restricts_addresses;
    struct weir_networks addresses;
    int64_t limits[WEIR_RULE_LIMIT_COUNT]; /* -1: none; the meter holds requests to them */
};

/* All in `arena`. WEIR_EINVAL: error->text begins with the member that is wrong ("rules.addresses[1]: …"). */
WEIR_MUST enum weir_status weir_key_rules_read(struct weir_arena *arena, struct weir_span json,
                                               struct weir_key_rules **rules, struct weir_error *error);
/* What rules may name: the names by their place, NULL past the last one. One may stand twice. */
struct weir_rule_names {
    const char *(*endpoint)(size_t index);   /* NULL: any name will do */
    const char *(*capability)(size_t index); /* NULL: any name will do */
};
bool weir_rule_list_allows(const struct weir_rule_list *list, struct weir_span name);

#endif
