/* See login_limits.h. A set-associative table under a keyed hash, so that nobody can aim at a set. */
#include "operator/login_limits.h"

#include "base/map.h"

static const int64_t WINDOW_US = (int64_t)OPERATOR_LOGIN_WINDOW_S * 1000000;

void operator__login_limits_init(struct operator__login_limits *limits, struct weir_random *random) {
    memset(limits, 0, sizeof *limits);
    weir_random_fill(random, limits->seed, sizeof limits->seed);
}

static uint64_t mark_of(const struct operator__login_limits *limits, char kind, struct weir_span bytes) {
    char text[128];
    size_t length = bytes.length < sizeof text - 1 ? bytes.length : sizeof text - 1;
    text[0] = kind;
    memcpy(&text[1], bytes.at, length);
    uint64_t mark = weir_siphash(limits->seed, weir_span_of(text, length + 1));
    return mark != 0 ? mark : 1;
}

struct operator__login_attempt operator__login_attempt_of(const struct operator__login_limits *limits,
                                                          const struct weir_address *address, struct weir_span name) {
    static const struct weir_address unknown = {.bytes = {0}};
    static const unsigned char ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};
    const struct weir_address *from = address != NULL ? address : &unknown;
    bool is_ipv4 = memcmp(from->bytes, ipv4_prefix, sizeof ipv4_prefix) == 0;
    size_t counted = is_ipv4 ? sizeof from->bytes : sizeof from->bytes / 2;
    return (struct operator__login_attempt){{mark_of(limits, 'a', weir_span_of((const char *)from->bytes, counted)),
                                             name.length > 0 ? mark_of(limits, 'n', name) : 0}};
}

static bool is_over(const struct operator__login_slot *slot, int64_t now_utc_us) {
    return slot->mark == 0 || now_utc_us - slot->began_utc_us >= WINDOW_US || now_utc_us < slot->began_utc_us;
}

static struct operator__login_slot *find(struct operator__login_limits *limits, uint64_t mark) {
    struct operator__login_slot *set = limits->slots[mark % OPERATOR_LOGIN_SETS];
    for (unsigned i = 0; i < OPERATOR_LOGIN_WAYS; i++)
        if (set[i].mark == mark)
            return &set[i];
    return NULL;
}

/* Its own, else a free one, else the one that is least in use: few failures, then the oldest. */
static struct operator__login_slot *take(struct operator__login_limits *limits, uint64_t mark, int64_t now_utc_us) {
    struct operator__login_slot *slot = find(limits, mark), *set = limits->slots[mark % OPERATOR_LOGIN_SETS];
    if (slot != NULL && !is_over(slot, now_utc_us))
        return slot;
    for (unsigned i = 0; slot == NULL && i < OPERATOR_LOGIN_WAYS; i++)
        if (is_over(&set[i], now_utc_us))
            slot = &set[i];
    if (slot == NULL) {
        slot = &set[0];
        for (unsigned i = 1; i < OPERATOR_LOGIN_WAYS; i++)
            if (set[i].failures < slot->failures ||
                (set[i].failures == slot->failures && set[i].began_utc_us < slot->began_utc_us))
                slot = &set[i];
    }
    *slot = (struct operator__login_slot){.mark = mark, .began_utc_us = now_utc_us};
    return slot;
}

unsigned operator__login_must_wait(struct operator__login_limits *limits, const struct operator__login_attempt *attempt,
                                   int64_t now_utc_us, bool *first) {
    unsigned longest = 0;
    bool is_first = false;
    for (size_t i = 0; i < sizeof attempt->marks / sizeof *attempt->marks; i++) {
        struct operator__login_slot *slot = attempt->marks[i] != 0 ? find(limits, attempt->marks[i]) : NULL;
        if (slot == NULL || is_over(slot, now_utc_us) || slot->failures < OPERATOR_LOGIN_FAILURES)
            continue;
        unsigned seconds = (unsigned)((slot->began_utc_us + WINDOW_US - now_utc_us + 999999) / 1000000);
        longest = seconds > longest ? seconds : longest;
        is_first = is_first || !slot->told;
        slot->told = true;
    }
    if (first != NULL)
        *first = is_first;
    return longest;
}

void operator__login_failed(struct operator__login_limits *limits, const struct operator__login_attempt *attempt,
                            int64_t now_utc_us) {
    for (size_t i = 0; i < sizeof attempt->marks / sizeof *attempt->marks; i++)
        if (attempt->marks[i] != 0)
            take(limits, attempt->marks[i], now_utc_us)->failures++;
}

void operator__login_succeeded(struct operator__login_limits *limits, const struct operator__login_attempt *attempt) {
    for (size_t i = 0; i < sizeof attempt->marks / sizeof *attempt->marks; i++) {
        struct operator__login_slot *slot = attempt->marks[i] != 0 ? find(limits, attempt->marks[i]) : NULL;
        if (slot != NULL)
            *slot = (struct operator__login_slot){.mark = 0};
    }
}
