/* Receipts: each entry of the ledger as one text that can be signed, and that names the entry before it by its hash.
 *
 * The text is JSON as RFC 8785 writes it: members in order of their names, no space between, strings with no more escapes than JSON needs. There are
 * strings, whole numbers and booleans, and nothing inside anything. So whoever has the members in any form can write the same bytes again.
 *
 *   hash of an entry = SHA-256 (its text), and its text has the hash of the entry before, by sequence, in `previous`
 *
 * The text of an entry is the same for all time: a chain that was written once is computed anew from the ledger whenever somebody asks. Therefore a member is
 * never added, removed or renamed, and neither are the words that stand in it; another form is another `v`. What belongs to the operator alone (the addresses of
 * clients, attempts and what they cost, trace ids) has no place in a receipt.
 *
 * The chain is advanced behind the ledger (sqlite_receipts.c). Here is what is pure.
 */
#ifndef WEIR_STORE_RECEIPTS_H
#define WEIR_STORE_RECEIPTS_H

#include "base/buffer.h"
#include "store/ledger.h"

enum { WEIR_RECEIPT_HASH_SIZE = 32, WEIR_RECEIPT_VERSION = 1, WEIR_RECEIPT_MAX_BYTES = 64 * 1024 };

/* name in C, name in the text, kind; in order of the names in the text. */
#define WEIR_RECEIPT_MEMBERS(X)                           \
    X(CACHE_WRITE_TOKENS, "cache_write_tokens", NUMBER)   \
    X(CACHED_TOKENS, "cached_tokens", NUMBER)             \
    X(CHARGED_CU_MILLI, "charged_cu_milli", NUMBER)       \
    X(CLIENT_REQUEST_ID, "client_request_id", TEXT)       \
    X(ENDED_AT, "ended_at", TEXT)                         \
    X(ENDPOINT, "endpoint", TEXT)                         \
    X(INPUT_AUDIO_TOKENS, "input_audio_tokens", NUMBER)   \
    X(INPUT_IMAGE_TOKENS, "input_image_tokens", NUMBER)   \
    X(INPUT_TOKENS, "input_tokens", NUMBER)               \
    X(KEY_ID, "key_id", TEXT)                             \
    X(MODEL, "model", TEXT)                               \
    X(OUTCOME, "outcome", TEXT)                           \
    X(OUTPUT_AUDIO_TOKENS, "output_audio_tokens", NUMBER) \
    X(OUTPUT_IMAGE_TOKENS, "output_image_tokens", NUMBER) \
    X(OUTPUT_TOKENS, "output_tokens", NUMBER)             \
    X(OVERRUN_CU_MILLI, "overrun_cu_milli", NUMBER)       \
    X(PREVIOUS, "previous", TEXT)                         \
    X(PRICE_VERSION, "price_version", TEXT)               \
    X(PROVIDER, "provider", TEXT)                         \
    X(REASONING_TOKENS, "reasoning_tokens", NUMBER)       \
    X(REQUEST_ID, "request_id", TEXT)                     \
    X(RESERVED_CU_MILLI, "reserved_cu_milli", NUMBER)     \
    X(REVISION, "revision", NUMBER)                       \
    X(SEQUENCE, "sequence", NUMBER)                       \
    X(STARTED_AT, "started_at", TEXT)                     \
    X(STATUS, "status", NUMBER)                           \
    X(STREAM, "stream", FLAG)                             \
    X(TEAM, "team", TEXT)                                 \
    X(UNIT, "unit", TEXT)                                 \
    X(UNITS, "units", NUMBER)                             \
    X(UNPRICED, "unpriced", FLAG)                         \
    X(UPSTREAM_MODEL, "upstream_model", TEXT)             \
    X(USAGE_SOURCE, "usage_source", TEXT)                 \
    X(USER, "user", TEXT)                                 \
    X(V, "v", NUMBER)                                     \
    X(WORKSPACE, "workspace", TEXT)

enum weir_receipt_kind { WEIR_RECEIPT_TEXT, WEIR_RECEIPT_NUMBER, WEIR_RECEIPT_FLAG };
enum weir_receipt_member {
#define X(NAME, name, KIND) WEIR_RECEIPT_##NAME,
    WEIR_RECEIPT_MEMBERS(X)
#undef X
        WEIR_RECEIPT_MEMBER_COUNT
};
const char *weir_receipt_member_name(enum weir_receipt_member member);
enum weir_receipt_kind weir_receipt_member_kind(enum weir_receipt_member member);

/* What a receipt says, member by member. */
struct weir_receipt_value {
    struct weir_span text; /* TEXT */
    int64_t number;        /* NUMBER; FLAG: 0 or 1 */
};
struct weir_receipt {
    struct weir_receipt_value values[WEIR_RECEIPT_MEMBER_COUNT];
    char texts[3][48]; /* the request's id, start, end */
    char previous[2 * WEIR_RECEIPT_HASH_SIZE + 1];
};

/* A place in the chain. Of sequence 0: before the first entry, its hash all zeros. */
struct weir_receipt_link {
    int64_t sequence;
    unsigned char hash[WEIR_RECEIPT_HASH_SIZE];
};

/* What the entry's receipt says; spans are the entry's and the receipt's own. */
void weir_receipt_of_entry(const struct weir_ledger_entry *entry, const unsigned char previous[WEIR_RECEIPT_HASH_SIZE],
                           struct weir_receipt *receipt);
/* Appends the text. */
void weir_receipt_write(const struct weir_receipt *receipt, struct weir_buffer *out);
/* Goes on to the entry's place: `text` is its text afterwards, in place of what was there. WEIR_ENOMEM, WEIR_ELIMIT. */
WEIR_MUST enum weir_status weir_receipt_follow(struct weir_receipt_link *link, const struct weir_ledger_entry *entry,
                                               struct weir_buffer *text);

/* What comes of comparing the ledger with its chain, in steps (struct weir_engine_ops.receipt_verify). All zero at first. */
enum { WEIR_RECEIPT_PROBLEMS = 16 };
struct weir_receipt_check {
    struct weir_receipt_link at;   /* compared so far */
    struct weir_receipt_link good; /* the last place that was as it was noted */
    struct weir_receipt_link head; /* how far the chain goes */
    int64_t first;                 /* sequence of the oldest entry; 0: none */
    uint64_t entries, problems;    /* so far */
    bool begun, told;              /* told: something between `good` and here was reported */
    /* of the last step */
    size_t found_count;
    struct weir_receipt_problem {
        int64_t first, last; /* the entries that it concerns */
        char words[160];
    } found[WEIR_RECEIPT_PROBLEMS]; /* more of one step are counted alone */
};

#endif
