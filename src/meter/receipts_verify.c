/* Checks a file of receipts, line by line, from the file alone.
 *
 * Of a line the members are read and its text is written anew, in canonical form: so white space and the order of members do not matter, and
 * nothing can stand in a line that is not under the signature: what no receipt has is a problem. Then its hash, its signature, and how it follows from the
 * line before. A line that is wrong by itself is told once; the line behind it is not blamed for following from it.
 *
 * The bytes come from anywhere. What is held is one line and the keys.
 */
#include "meter/receipts.h"

#include "base/arena.h"
#include "base/memory.h"
#include "json/scan.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>

enum { MAX_KEYS = 256, LINE_ARENA_BYTES = 1024 * 1024, WORDS_SIZE = 240 };

struct weir_receipt_verifier {
    void (*problem)(void *context, uint64_t line, const char *words);
    void *context;
    struct weir_arena *arena; /* of one line */
    struct weir_receipt_public keys[MAX_KEYS];
    size_t key_count;
    struct weir_receipt_verified sums;
    struct weir_receipt_end end; /* as an export counts them */
    struct weir_receipt_link last;
    bool doubtful; /* the line before was wrong by itself: what follows from it cannot be said */
    bool ended;
};

/* A value of a line: a string's is decoded. */
struct found {
    enum weir_json_kind kind;
    struct weir_span value;
};

static void wrong(struct weir_receipt_verifier *verifier, const char *format, ...) WEIR_PRINTF(2, 3);
static void wrong(struct weir_receipt_verifier *verifier, const char *format, ...) {
    char words[WORDS_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    verifier->sums.problems++;
    verifier->problem(verifier->context, verifier->sums.lines, words);
}

/* --- reading objects --- */
struct wanted {
    const char *name;
    enum weir_json_kind kind; /* STRING, NUMBER, TRUE (either of both), OBJECT, ARRAY */
};

static bool is_kind(enum weir_json_kind kind, enum weir_json_kind wanted) {
    return kind == wanted || (wanted == WEIR_JSON_TRUE && kind == WEIR_JSON_FALSE);
}

static bool decode(struct weir_receipt_verifier *verifier, struct weir_span token, struct weir_span *text) {
    size_t length = 0;
    if (weir_json_plain_string(token, text))
        return true;
    char *out = weir_arena_alloc_raw(verifier->arena, token.length + 1);
    if (out == NULL || weir_json_decode(token, out, token.length, &length) != WEIR_OK)
        return false;
    *text = weir_span_of(out, length);
    return true;
}

static size_t find(const struct wanted *wanted, size_t count, struct weir_span name) {
    size_t i = 0;
    while (i < count && !weir_json_string_equals(name, weir_span_of_string(wanted[i].name)))
        i++;
    return i;
}

/* Exactly these members, each once and of its kind. False: told. */
static bool read_members(struct weir_receipt_verifier *verifier, struct weir_span object, const struct wanted *wanted,
                         size_t count, struct found *found) {
    struct weir_json_found element;
    struct weir_span name;
    size_t cursor = 0;
    enum weir_status status;
    memset(found, 0, count * sizeof(*found));
    while ((status = weir_json_next(object, &cursor, &name, &element)) == WEIR_OK) {
        size_t i = find(wanted, count, name);
        if (i == count) {
            int length = (int)(name.length < 60 ? name.length : 60);
            wrong(verifier, "%.*s does not belong there", length, name.at);
            return false;
        }
        if (found[i].kind != WEIR_JSON_NONE) {
            wrong(verifier, "%s stands there twice", wanted[i].name);
            return false;
        }
        found[i] = (struct found){.kind = element.kind, .value = element.value};
        if (!is_kind(element.kind, wanted[i].kind) ||
            (element.kind == WEIR_JSON_STRING && !decode(verifier, element.value, &found[i].value))) {
            wrong(verifier, "%s is not what it should be", wanted[i].name);
            return false;
        }
    }
    for (size_t i = 0; i < count && status == WEIR_END; i++) {
        if (found[i].kind == WEIR_JSON_NONE) {
            wrong(verifier, "%s is missing", wanted[i].name);
            return false;
        }
    }
    if (status != WEIR_END)
        wrong(verifier, "it cannot be read");
    return status == WEIR_END;
}

static bool read_number(struct weir_receipt_verifier *verifier, const char *name, struct weir_span token,
                        int64_t *value) {
    if (weir_json_int64(token, value) == WEIR_OK)
        return true;
    wrong(verifier, "%s is no whole number", name);
    return false;
}

/* --- keys --- */
static enum weir_status add_key(struct weir_receipt_verifier *verifier, const struct weir_receipt_public *key) {
    for (size_t i = 0; i < verifier->key_count; i++) {
        if (strcmp(verifier->keys[i].id, key->id) == 0)
            return WEIR_OK;
    }
    if (verifier->key_count == MAX_KEYS)
        return WEIR_ELIMIT;
    verifier->keys[verifier->key_count++] = *key;
    return WEIR_OK;
}

/* WEIR_ENOTFOUND: a key of another kind. */
static enum weir_status add_jwk(struct weir_receipt_verifier *verifier, struct weir_span jwk) {
    static const struct weir_json_want wants[] = {{"kty"}, {"crv"}, {"x"}};
    struct weir_json_found found[3];
    struct weir_receipt_public key;
    struct weir_span x;
    if (weir_json_scan(jwk, wants, 3, found, NULL, NULL) != WEIR_OK)
        return WEIR_EINVAL;
    for (size_t i = 0; i < 3; i++) {
        if (found[i].kind != WEIR_JSON_STRING)
            return WEIR_ENOTFOUND;
    }
    if (!weir_json_string_equals(found[0].value, WEIR_SPAN("OKP")) ||
        !weir_json_string_equals(found[1].value, WEIR_SPAN("Ed25519")))
        return WEIR_ENOTFOUND;
    if (!weir_json_plain_string(found[2].value, &x) || weir_receipt_public_parse(x, &key) != WEIR_OK)
        return WEIR_EINVAL;
    return add_key(verifier, &key);
}

static enum weir_status add_jwks(struct weir_receipt_verifier *verifier, struct weir_span array) {
    struct weir_json_found element;
    struct weir_span name;
    size_t cursor = 0;
    enum weir_status status;
    while ((status = weir_json_next(array, &cursor, &name, &element)) == WEIR_OK) {
        status = element.kind == WEIR_JSON_OBJECT ? add_jwk(verifier, element.value) : WEIR_EINVAL;
        if (status != WEIR_OK && status != WEIR_ENOTFOUND)
            return status;
    }
    return status == WEIR_END ? WEIR_OK : WEIR_EINVAL;
}

/* SubjectPublicKeyInfo of an Ed25519 key is these bytes and the key (RFC 8410). */
static enum weir_status add_pem(struct weir_receipt_verifier *verifier, struct weir_span text) {
    static const unsigned char head[] = {0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
    const struct weir_span begin = WEIR_SPAN("-----BEGIN PUBLIC KEY-----"), end = WEIR_SPAN("-----END PUBLIC KEY-----");
    unsigned char der[sizeof(head) + WEIR_RECEIPT_PUBLIC_BYTES];
    struct weir_receipt_public key;
    size_t length = 0;
    text = weir_span_from(text, begin.length);
    size_t at = weir_span_index(text, '-');
    struct weir_span base64 = weir_span_first(text, at);
    if (!weir_span_starts_with(weir_span_from(text, at), end) ||
        sodium_base642bin(der, sizeof(der), base64.at, base64.length, "\r\n\t ", &length, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        length != sizeof(der) || memcmp(der, head, sizeof(head)) != 0)
        return WEIR_EINVAL;
    weir_receipt_public_of(der + sizeof(head), &key);
    return add_key(verifier, &key);
}

enum weir_status weir_receipt_verifier_key(struct weir_receipt_verifier *verifier, struct weir_span text) {
    static const struct weir_json_want wants[] = {{"keys"}};
    struct weir_json_found found, root;
    size_t before = verifier->key_count;
    while (text.length > 0 && memchr(" \t\r\n", text.at[0], 4) != NULL)
        text = weir_span_from(text, 1);
    enum weir_status status = WEIR_EINVAL;
    if (weir_span_starts_with(text, WEIR_SPAN("-----BEGIN PUBLIC KEY-----")))
        status = add_pem(verifier, text);
    else if (weir_json_scan(text, wants, 1, &found, &root, NULL) == WEIR_OK && root.kind == WEIR_JSON_OBJECT)
        status = found.kind == WEIR_JSON_ARRAY ? add_jwks(verifier, found.value) : add_jwk(verifier, text);
    if (status == WEIR_ENOTFOUND || (status == WEIR_OK && verifier->key_count == before && before == 0))
        status = WEIR_EINVAL;
    if (status == WEIR_OK)
        verifier->sums.signer_given = true;
    return status;
}

static const struct weir_receipt_public *find_key(const struct weir_receipt_verifier *verifier, struct weir_span id) {
    for (size_t i = 0; i < verifier->key_count; i++) {
        if (weir_span_equal(id, weir_span_of_string(verifier->keys[i].id)))
            return &verifier->keys[i];
    }
    return NULL;
}

static bool check_signature(struct weir_receipt_verifier *verifier, enum weir_receipt_statement what,
                            struct weir_span text, const struct found *key_id, const struct found *signature) {
    const struct weir_receipt_public *key = find_key(verifier, key_id->value);
    if (key == NULL) {
        int length = (int)(key_id->value.length < 60 ? key_id->value.length : 60);
        wrong(verifier, "it is signed with the key \"%.*s\", which is not among those that count here", length,
              key_id->value.at);
        return false;
    }
    if (weir_receipt_check(key, what, text, signature->value) == WEIR_OK)
        return true;
    wrong(verifier, "the signature is not that of the key %s over this text", key->id);
    return false;
}

/* --- the first line --- */
static void take_header(struct weir_receipt_verifier *verifier, struct weir_span line) {
    static const struct wanted wanted[] = {{"complete", WEIR_JSON_TRUE},
                                           {"keys", WEIR_JSON_ARRAY},
                                           {"weir_receipts", WEIR_JSON_NUMBER}};
    struct found found[3];
    int64_t version = 0;
    if (!read_members(verifier, line, wanted, 3, found) ||
        !read_number(verifier, "weir_receipts", found[2].value, &version))
        return;
    bool complete = found[0].kind == WEIR_JSON_TRUE;
    /* Another one may follow where the signing key was changed meanwhile. */
    if (verifier->sums.is_export ? complete != verifier->sums.complete : verifier->sums.receipts > 0)
        wrong(verifier, "it says otherwise than the lines before");
    if (version != WEIR_RECEIPT_VERSION)
        wrong(verifier, "it is of version %lld; this program knows %d", (long long)version, WEIR_RECEIPT_VERSION);
    verifier->sums.is_export = true;
    verifier->sums.complete = complete;
    if (verifier->sums.signer_given)
        return;
    if (add_jwks(verifier, found[1].value) != WEIR_OK)
        wrong(verifier, "its keys cannot be read");
}

/* --- a receipt --- */
static bool read_receipt(struct weir_receipt_verifier *verifier, struct weir_span object,
                         struct weir_receipt *receipt) {
    struct wanted wanted[WEIR_RECEIPT_MEMBER_COUNT];
    struct found found[WEIR_RECEIPT_MEMBER_COUNT];
    static const enum weir_json_kind kinds[] = {[WEIR_RECEIPT_TEXT] = WEIR_JSON_STRING,
                                                [WEIR_RECEIPT_NUMBER] = WEIR_JSON_NUMBER,
                                                [WEIR_RECEIPT_FLAG] = WEIR_JSON_TRUE};
    for (size_t i = 0; i < WEIR_RECEIPT_MEMBER_COUNT; i++)
        wanted[i] = (struct wanted){.name = weir_receipt_member_name((enum weir_receipt_member)i),
                                    .kind = kinds[weir_receipt_member_kind((enum weir_receipt_member)i)]};
    if (!read_members(verifier, object, wanted, WEIR_RECEIPT_MEMBER_COUNT, found))
        return false;
    for (size_t i = 0; i < WEIR_RECEIPT_MEMBER_COUNT; i++) {
        struct weir_receipt_value *value = &receipt->values[i];
        *value = (struct weir_receipt_value){.number = found[i].kind == WEIR_JSON_TRUE};
        if (found[i].kind == WEIR_JSON_STRING)
            value->text = found[i].value;
        else if (found[i].kind == WEIR_JSON_NUMBER &&
                 !read_number(verifier, wanted[i].name, found[i].value, &value->number))
            return false;
    }
    if (receipt->values[WEIR_RECEIPT_V].number == WEIR_RECEIPT_VERSION)
        return true;
    wrong(verifier, "it is of version %lld; this program knows %d", (long long)receipt->values[WEIR_RECEIPT_V].number,
          WEIR_RECEIPT_VERSION);
    return false;
}

/* Where it stands: after the line before, and following from it. True: as it should. */
static bool check_place(struct weir_receipt_verifier *verifier, const struct weir_receipt *receipt) {
    const struct weir_receipt_link *last = &verifier->last;
    long long sequence = receipt->values[WEIR_RECEIPT_SEQUENCE].number, before = last->sequence;
    struct weir_span previous = receipt->values[WEIR_RECEIPT_PREVIOUS].text;
    char expected[2 * WEIR_RECEIPT_HASH_SIZE + 1];
    if (sequence <= 0) {
        wrong(verifier, "the sequence %lld is none", sequence);
        return false;
    }
    if (verifier->sums.receipts > 0 && sequence == before) {
        wrong(verifier, "entry %lld stands there twice", sequence);
        return false;
    }
    if (verifier->sums.receipts > 0 && sequence < before) {
        wrong(verifier, "entry %lld stands behind entry %lld", sequence, before);
        return false;
    }
    if (verifier->sums.receipts > 0 && sequence > before + 1) {
        if (verifier->sums.complete && sequence == before + 2)
            wrong(verifier, "entry %lld is missing before it", before + 1);
        else if (verifier->sums.complete)
            wrong(verifier, "entries %lld to %lld are missing before it", before + 1, sequence - 1);
        return true; /* nothing is wrong with the line itself */
    }
    /* Before the first entry of all are zeros. Before the first line nothing is known, and nothing behind a line that is wrong. */
    if (verifier->doubtful || (verifier->sums.receipts == 0 && sequence != 1))
        return true;
    weir_hex_format(last->hash, sizeof(last->hash), expected);
    if (weir_span_equal(previous, weir_span_of_string(expected)))
        return true;
    wrong(verifier, "it does not follow from entry %lld: the hash of the one before is another", sequence - 1);
    return true;
}

static void take_receipt(struct weir_receipt_verifier *verifier, struct weir_span line) {
    static const struct wanted wanted[] = {{"hash", WEIR_JSON_STRING},
                                           {"key_id", WEIR_JSON_STRING},
                                           {"receipt", WEIR_JSON_OBJECT},
                                           {"signature", WEIR_JSON_STRING}};
    struct found found[4];
    struct weir_receipt receipt;
    struct weir_buffer text;
    unsigned char hash[WEIR_RECEIPT_HASH_SIZE];
    char hex[2 * WEIR_RECEIPT_HASH_SIZE + 1];
    bool good = read_members(verifier, line, wanted, 4, found) && read_receipt(verifier, found[2].value, &receipt);
    if (!good) {
        verifier->doubtful = true;
        return;
    }
    weir_buffer_init(&text, WEIR_RECEIPT_LINE_BYTES);
    weir_receipt_write(&receipt, &text);
    if (weir_buffer_status(&text) != WEIR_OK) {
        wrong(verifier, "it is too long");
        verifier->doubtful = true;
        weir_buffer_release(&text);
        return;
    }
    (void)crypto_hash_sha256(hash, (const unsigned char *)text.at, text.length);
    weir_hex_format(hash, sizeof(hash), hex);
    good = weir_span_equal(found[0].value, weir_span_of_string(hex));
    if (!good)
        wrong(verifier, "the receipt of entry %lld was changed: its hash is another",
              (long long)receipt.values[WEIR_RECEIPT_SEQUENCE].number);
    good = good && check_signature(verifier, WEIR_RECEIPT_OF_ENTRY, weir_buffer_span(&text), &found[1], &found[3]);
    bool in_place = good && check_place(verifier, &receipt);
    weir_buffer_release(&text);
    int64_t sequence = receipt.values[WEIR_RECEIPT_SEQUENCE].number;
    verifier->doubtful = !good;
    if (!in_place && good)
        return; /* a good receipt in a wrong place: the next one follows from the line before */
    if (!good && (sequence <= 0 || sequence - 1 != verifier->last.sequence))
        return; /* it does not say where it belongs */
    weir_receipt_end_add(&verifier->end, sequence, hash);
    verifier->last = (struct weir_receipt_link){.sequence = sequence};
    memcpy(verifier->last.hash, hash, sizeof(hash));
    if (verifier->sums.receipts++ == 0)
        verifier->sums.first = sequence;
    verifier->sums.last = sequence;
    memcpy(verifier->sums.hash, hex, sizeof(hex));
}

/* --- the last line --- */
static void take_end(struct weir_receipt_verifier *verifier, struct weir_span line) {
    static const struct wanted outer[] = {{"end", WEIR_JSON_OBJECT},
                                          {"key_id", WEIR_JSON_STRING},
                                          {"signature", WEIR_JSON_STRING}};
    static const struct wanted inner[] = {{"complete", WEIR_JSON_TRUE},   {"digest", WEIR_JSON_STRING},
                                          {"first", WEIR_JSON_NUMBER},    {"last", WEIR_JSON_NUMBER},
                                          {"receipts", WEIR_JSON_NUMBER}, {"v", WEIR_JSON_NUMBER}};
    struct found found[3], said[6];
    struct weir_receipt_end end = {.first = 0};
    struct weir_buffer text;
    int64_t version = 0;
    verifier->ended = true;
    if (!read_members(verifier, line, outer, 3, found) || !read_members(verifier, found[0].value, inner, 6, said) ||
        !read_number(verifier, "first", said[2].value, &end.first) ||
        !read_number(verifier, "last", said[3].value, &end.last) ||
        !read_number(verifier, "receipts", said[4].value, &end.receipts) ||
        !read_number(verifier, "v", said[5].value, &version))
        return;
    if (version != WEIR_RECEIPT_VERSION || weir_hex_parse(said[1].value, end.digest, sizeof(end.digest)) != WEIR_OK) {
        wrong(verifier, "it is of another version, or its digest is none");
        return;
    }
    end.complete = said[0].kind == WEIR_JSON_TRUE;
    weir_buffer_init(&text, WEIR_KIB);
    weir_receipt_write_end(&end, &text);
    bool good = weir_buffer_status(&text) == WEIR_OK &&
                check_signature(verifier, WEIR_RECEIPT_END_OF_EXPORT, weir_buffer_span(&text), &found[1], &found[2]);
    weir_buffer_release(&text);
    if (!good)
        return;
    if (verifier->sums.is_export && end.complete != verifier->sums.complete)
        wrong(verifier, "the first line says that the export is %s, and the end that it is %s",
              verifier->sums.complete ? "complete" : "filtered", end.complete ? "complete" : "filtered");
    if (verifier->sums.problems > 0)
        return; /* other receipts than were exported, as was told */
    const struct weir_receipt_end *here = &verifier->end;
    if (end.receipts != here->receipts)
        wrong(verifier, "the export had %lld receipts, and %lld are here", (long long)end.receipts,
              (long long)here->receipts);
    else if (memcmp(end.digest, here->digest, sizeof(end.digest)) != 0 || end.first != here->first ||
             end.last != here->last)
        wrong(verifier, "the export had other receipts than these");
}

/* --- lines --- */
struct weir_receipt_verifier *weir_receipt_verifier_new(void (*problem)(void *context, uint64_t line,
                                                                        const char *words),
                                                        void *context) {
    if (sodium_init() < 0)
        return NULL;
    struct weir_receipt_verifier *verifier = weir_memory_new(1, sizeof(*verifier));
    if (verifier == NULL)
        return NULL;
    verifier->arena = weir_arena_new(0, LINE_ARENA_BYTES);
    verifier->problem = problem;
    verifier->context = context;
    if (verifier->arena == NULL)
        weir_receipt_verifier_free(&verifier);
    return verifier;
}

void weir_receipt_verifier_free(struct weir_receipt_verifier **verifier) {
    if (*verifier == NULL)
        return;
    weir_arena_free(&(*verifier)->arena);
    weir_memory_free(*verifier);
    *verifier = NULL;
}

void weir_receipt_verifier_long_line(struct weir_receipt_verifier *verifier) {
    verifier->sums.lines++;
    verifier->doubtful = true;
    wrong(verifier, "it is longer than %d bytes", WEIR_RECEIPT_LINE_BYTES);
}

void weir_receipt_verifier_line(struct weir_receipt_verifier *verifier, struct weir_span line) {
    static const struct weir_json_want wants[] = {{"weir_receipts"}, {"receipt"}, {"end"}};
    static void (*const takers[])(struct weir_receipt_verifier *, struct weir_span) = {take_header, take_receipt,
                                                                                       take_end};
    struct weir_json_found found[3], root;
    verifier->sums.lines++;
    if (line.length > 0 && line.at[line.length - 1] == '\r')
        line.length--;
    if (weir_span_trim(line).length == 0)
        return;
    if (line.length > WEIR_RECEIPT_LINE_BYTES || weir_json_scan(line, wants, 3, found, &root, NULL) != WEIR_OK ||
        root.kind != WEIR_JSON_OBJECT) {
        wrong(verifier, "it is no JSON object that can be read");
        verifier->doubtful = true;
        return;
    }
    if (verifier->ended)
        wrong(verifier, "it stands behind the end of the export");
    for (size_t i = 0; i < 3; i++) {
        if (found[i].kind != WEIR_JSON_NONE) {
            takers[i](verifier, root.value);
            weir_arena_reset(verifier->arena);
            return;
        }
    }
    wrong(verifier, "it is no receipt");
    verifier->doubtful = true;
}

void weir_receipt_verifier_end(struct weir_receipt_verifier *verifier, struct weir_receipt_verified *verified) {
    if (verifier->sums.is_export && !verifier->ended)
        wrong(verifier, "the export is cut off: its last line is missing");
    if (verifier->sums.lines == 0 || (verifier->end.receipts == 0 && !verifier->ended && verifier->sums.problems == 0))
        wrong(verifier, "there is no receipt");
    verifier->sums.key_count = verifier->key_count;
    *verified = verifier->sums;
}
