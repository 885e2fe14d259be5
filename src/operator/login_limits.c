/* See login_limits.h. Set-associative tables under a keyed hash, so that nobody can aim at a set. */
#include "operator/login_limits.h"

#include "base/map.h"

static const int64_t WINDOW_US = (int64_t)OPERATOR_LOGIN_WINDOW_S * 1000000;

static const unsigned most_failures[OPERATOR_LOGIN_COUNTS] = {[OPERATOR_LOGIN_PAIR] = OPERATOR_LOGIN_PAIR_FAILURES,
                                                              [OPERATOR_LOGIN_ADDRESS] =
                                                                  OPERATOR_LOGIN_ADDRESS_FAILURES,
                                                              [OPERATOR_LOGIN_NAME] = OPERATOR_LOGIN_NAME_FAILURES};

void operator__login_limits_init(struct operator__login_limits *limits, struct weir_random *random) {
    memset(limits, 0, sizeof *limits);
    weir_random_fill(random, limits->seed, sizeof limits->seed);
}

static uint64_t mark_of(const struct operator__login_limits *limits, const struct weir_address *address,
                        struct weir_span name) {
    char text[128] = {0};
    size_t length = sizeof address->bytes;
    size_t name_length = name.length < sizeof text - length ? name.length : sizeof text - length;
    if (address != NULL)
        memcpy(text, address->bytes, length);
    if (name_length > 0)
        memcpy(&text[length], name.at, name_length);
    uint64_t mark = weir_siphash(limits->seed, weir_span_of(text, length + name_length));
    return mark != 0 ? mark : 1;
}

struct operator__login_attempt operator__login_attempt_of(const struct operator__login_limits *limits,
                                                          const struct weir_address *address, struct weir_span name) {
    static const unsigned char ipv4_prefix[12] = {[10] = 0xff, [11] = 0xff};
    struct weir_address from = {.bytes = {0}};
    struct operator__login_attempt attempt = {.marks = {0}};
    if (address != NULL) {
        bool is_ipv4 = memcmp(address->bytes, ipv4_prefix, sizeof ipv4_prefix) == 0;
        memcpy(from.bytes, address->bytes, is_ipv4 ? sizeof from.bytes : sizeof from.bytes / 2);
    }
    attempt.marks[OPERATOR_LOGIN_ADDRESS] = mark_of(limits, &from, WEIR_SPAN(""));
    if (name.length > 0) {
        attempt.marks[OPERATOR_LOGIN_PAIR] = mark_of(limits, &from, name);
        attempt.marks[OPERATOR_LOGIN_NAME] = mark_of(limits, NULL, name);
    }
    return attempt;
}

static bool is_over(const struct operator__login_slot *slot, int64_t now_utc_us) {
    return slot->mark == 0 || now_utc_us - slot->began_utc_us >= WINDOW_US || now_utc_us < slot->began_utc_us;
}

static struct operator__login_slot *find(struct operator__login_limits *limits, size_t count, uint64_t mark) {
    struct operator__login_slot *set = limits->slots[count][mark % OPERATOR_LOGIN_SETS];
    for (unsigned i = 0; mark != 0 && i < OPERATOR_LOGIN_WAYS; i++)
        if (set[i].mark == mark)
            return &set[i];
    return NULL;
}

/* Its own, else a free one, else the one that is least in use: few failures, then the oldest. NULL: all of them wait, and none of those goes. */
static struct operator__login_slot *take(struct operator__login_limits *limits, size_t count, uint64_t mark,
                                         int64_t now_utc_us) {
    struct operator__login_slot *slot = find(limits, count, mark);
    struct operator__login_slot *set = limits->slots[count][mark % OPERATOR_LOGIN_SETS];
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
        if (slot->failures >= most_failures[count])
            return NULL;
    }
    *slot = (struct operator__login_slot){.mark = mark, .began_utc_us = now_utc_us};
    return slot;
}

unsigned operator__login_must_wait(struct operator__login_limits *limits, const struct operator__login_attempt *attempt,
                                   int64_t now_utc_us, bool *first) {
    unsigned longest = 0;
    bool is_first = false;
    for (size_t i = 0; i < OPERATOR_LOGIN_COUNTS; i++) {
        struct operator__login_slot *slot = find(limits, i, attempt->marks[i]);
        if (slot == NULL || is_over(slot, now_utc_us) || slot->failures < most_failures[i])
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
    for (size_t i = 0; i < OPERATOR_LOGIN_COUNTS; i++) {
        struct operator__login_slot *slot = attempt->marks[i] != 0 ? take(limits, i, attempt->marks[i], now_utc_us)
                                                                   : NULL;
        if (slot != NULL)
            slot->failures++;
    }
}

void operator__login_succeeded(struct operator__login_limits *limits, const struct operator__login_attempt *attempt) {
    struct operator__login_slot *slot = find(limits, OPERATOR_LOGIN_PAIR, attempt->marks[OPERATOR_LOGIN_PAIR]);
    if (slot != NULL)
        *slot = (struct operator__login_slot){.mark = 0};
}
