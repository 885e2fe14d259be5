/* Signed receipts: what is signed verifies, and whatever is done to a file of them is named with its line. */
#include "json/write.h"
#include "meter/receipts_export.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES = 12, LINE_SIZE = 4096, FOUND = 32 };

/* --- a file of receipts in memory --- */
struct file {
    size_t count;
    char lines[LINES + 8][LINE_SIZE];
};

struct found {
    size_t count;
    uint64_t lines[FOUND];
    char words[FOUND][240];
};

static void note(void *context, uint64_t line, const char *words) {
    struct found *found = context;
    if (found->count < FOUND) {
        found->lines[found->count] = line;
        (void)snprintf(found->words[found->count], sizeof(found->words[0]), "%s", words);
    }
    found->count++;
}

static struct found verify_with(const struct file *file, const char *key, struct weir_receipt_verified *verified) {
    struct found found = {.count = 0};
    struct weir_receipt_verifier *verifier = weir_receipt_verifier_new(note, &found);
    assert_non_null(verifier);
    if (key != NULL)
        assert_int_equal(weir_receipt_verifier_key(verifier, weir_span_of_string(key)), WEIR_OK);
    for (size_t i = 0; i < file->count; i++)
        weir_receipt_verifier_line(verifier, weir_span_of_string(file->lines[i]));
    weir_receipt_verifier_end(verifier, verified);
    weir_receipt_verifier_free(&verifier);
    assert_true(verified->problems == found.count);
    return found;
}

static struct found verify(const struct file *file) {
    struct weir_receipt_verified verified;
    return verify_with(file, NULL, &verified);
}

static void expect(const struct file *file, uint64_t line, const char *words) {
    struct found found = verify(file);
    for (size_t i = 0; i < found.count && i < FOUND; i++)
        if (found.lines[i] == line && strstr(found.words[i], words) != NULL)
            return;
    for (size_t i = 0; i < found.count && i < FOUND; i++)
        print_error("line %llu: %s\n", (unsigned long long)found.lines[i], found.words[i]);
    fail_msg("line %llu: nothing about \"%s\"", (unsigned long long)line, words);
}

static struct weir_ledger_entry entry_of(int64_t sequence) {
    return (struct weir_ledger_entry){.sequence = sequence,
                                      .request_id = {.bytes = {(unsigned char)sequence}},
                                      .client_request_id = WEIR_SPAN("mine \"1\""),
                                      .key_id = WEIR_SPAN("key_1"),
                                      .workspace = WEIR_SPAN("acme"),
                                      .model = WEIR_SPAN("gpt"),
                                      .provider = WEIR_SPAN("openai"),
                                      .price_version = WEIR_SPAN("2026"),
                                      .start_utc_us = 1790000000000000 + sequence,
                                      .end_utc_us = 1790000000100000 + sequence,
                                      .reserved_cu_milli = 1000,
                                      .cost_cu_milli = 900 + sequence,
                                      .usage = {.input = 10, .output = 20},
                                      .usage_source = WEIR_USAGE_PROVIDER,
                                      .status = 200};
}

struct signer {
    struct weir_receipt_public public;
    struct weir_secret *signing;
};

static struct signer signer_of(char fill) {
    char bytes[WEIR_RECEIPT_SEED_BYTES];
    struct signer signer;
    memset(bytes, fill, sizeof(bytes));
    struct weir_secret *seed = weir_secret_new(weir_span_of(bytes, sizeof(bytes)));
    assert_int_equal(weir_receipt_key_of_seed(seed, &signer.public, &signer.signing), WEIR_OK);
    weir_secret_free(&seed);
    return signer;
}

static void put(struct file *file, struct weir_buffer *out) {
    assert_int_equal(weir_buffer_status(out), WEIR_OK);
    assert_int_equal(weir_span_to_string(weir_buffer_span(out), file->lines[file->count++], LINE_SIZE), WEIR_OK);
    weir_buffer_clear(out);
}

/* An export of entries first, first + step, …; `count` of them. */
static struct file export_of(const struct signer *signer, int64_t first, size_t count, int64_t step) {
    struct file file = {.count = 0};
    struct weir_receipt_link link = {.sequence = 0};
    struct weir_receipt_end end = {.complete = step == 1};
    struct weir_buffer text, out;
    struct weir_json_writer writer;
    char signature[WEIR_RECEIPT_SIGNATURE_SIZE];
    weir_buffer_init(&text, WEIR_RECEIPT_MAX_BYTES);
    weir_buffer_init(&out, WEIR_MIB);
    weir_buffer_printf(&out, "{\"complete\":%s,\"keys\":[", step == 1 ? "true" : "false");
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_receipt_write_jwk(&writer, &signer->public);
    weir_json_write_end(&writer);
    weir_buffer_append(&out, WEIR_SPAN("],\"weir_receipts\":1}"));
    put(&file, &out);
    for (int64_t sequence = 1; file.count <= count; sequence++) {
        struct weir_ledger_entry entry = entry_of(sequence);
        assert_int_equal(weir_receipt_follow(&link, &entry, &text), WEIR_OK);
        if (sequence < first || (sequence - first) % step != 0)
            continue;
        assert_int_equal(weir_receipt_sign(signer->signing, WEIR_RECEIPT_OF_ENTRY, weir_buffer_span(&text), signature),
                         WEIR_OK);
        weir_json_writer_init(&writer, &out);
        weir_receipt_write_signed(&writer, weir_buffer_span(&text), link.hash, signer->public.id, signature);
        weir_receipt_end_add(&end, sequence, link.hash);
        put(&file, &out);
    }
    weir_buffer_clear(&text);
    weir_receipt_write_end(&end, &text);
    assert_int_equal(weir_receipt_sign(signer->signing, WEIR_RECEIPT_END_OF_EXPORT, weir_buffer_span(&text), signature),
                     WEIR_OK);
    weir_json_writer_init(&writer, &out);
    weir_receipt_write_signed_end(&writer, weir_buffer_span(&text), signer->public.id, signature);
    put(&file, &out);
    weir_buffer_release(&text);
    weir_buffer_release(&out);
    return file;
}

/* Whoever brings the keys can sign any number: behind the largest one there is none. */
static void the_largest_number_is_followed_by_none(void **state) {
    struct signer signer = signer_of('s');
    struct file file = export_of(&signer, 1, 1, 1);
    struct weir_receipt_link link = {.sequence = 0};
    struct weir_ledger_entry entry = entry_of(1);
    struct weir_buffer text, out;
    struct weir_json_writer writer;
    char signature[WEIR_RECEIPT_SIGNATURE_SIZE];
    (void)state;
    file.count = 1;
    entry.sequence = INT64_MAX;
    weir_buffer_init(&text, WEIR_RECEIPT_MAX_BYTES);
    weir_buffer_init(&out, WEIR_MIB);
    for (int i = 0; i < 2; i++) { /* the second one with a signature of something else */
        assert_int_equal(weir_receipt_follow(&link, &entry, &text), WEIR_OK);
        assert_int_equal(weir_receipt_sign(signer.signing, WEIR_RECEIPT_OF_ENTRY,
                                           i == 0 ? weir_buffer_span(&text) : WEIR_SPAN("x"), signature),
                         WEIR_OK);
        weir_json_writer_init(&writer, &out);
        weir_receipt_write_signed(&writer, weir_buffer_span(&text), link.hash, signer.public.id, signature);
        put(&file, &out);
        entry.sequence = INT64_MIN;
    }
    struct found found = verify(&file);
    assert_true(found.count >= 2 && found.lines[0] == 3 && found.lines[found.count - 1] == 3);
    assert_non_null(strstr(found.words[0], "the signature is not that of the key"));
    weir_buffer_release(&text);
    weir_buffer_release(&out);
    weir_secret_free(&signer.signing);
}

static void take_out(struct file *file, size_t line) {
    memmove(file->lines[line], file->lines[line + 1], (file->count - line - 1) * LINE_SIZE);
    file->count--;
}

static void put_in(struct file *file, size_t line, const char *text) {
    memmove(file->lines[line + 1], file->lines[line], (file->count - line) * LINE_SIZE);
    (void)snprintf(file->lines[line], LINE_SIZE, "%s", text);
    file->count++;
}

static void swap(struct file *file, size_t a, size_t b) {
    char kept[LINE_SIZE];
    memcpy(kept, file->lines[a], LINE_SIZE);
    memcpy(file->lines[a], file->lines[b], LINE_SIZE);
    memcpy(file->lines[b], kept, LINE_SIZE);
}

/* --- the tests --- */
static void what_is_good_is_good(void **state) {
    (void)state;
    struct signer signer = signer_of(1);
    struct weir_receipt_verified verified;
    struct file file = export_of(&signer, 1, LINES, 1);
    assert_int_equal(verify_with(&file, NULL, &verified).count, 0);
    assert_true(verified.receipts == LINES && verified.first == 1 && verified.last == LINES && verified.complete &&
                verified.is_export && !verified.signer_given);
    file = export_of(&signer, 5, LINES, 1); /* not from the beginning */
    assert_int_equal(verify_with(&file, NULL, &verified).count, 0);
    file = export_of(&signer, 3, LINES, 3);
    assert_int_equal(verify_with(&file, NULL, &verified).count, 0);
    assert_true(!verified.complete && verified.receipts == LINES && verified.last == 36);
    file = export_of(&signer, 1, 0, 1);
    assert_int_equal(verify(&file).count, 0);
    /* One receipt alone, with its key from elsewhere. */
    file = export_of(&signer, 1, 3, 1);
    char jwk[300];
    const char *at = strchr(strstr(file.lines[0], "["), '{');
    (void)snprintf(jwk, sizeof(jwk), "%.*s", (int)(strchr(at, '}') + 1 - at), at);
    take_out(&file, 0);
    file.count = 1;
    assert_int_equal(verify_with(&file, jwk, &verified).count, 0);
    assert_true(verified.signer_given && !verified.is_export);
    assert_true(verify(&file).count == 1); /* without a key nothing can be said of it */
    /* Written otherwise it says the same. */
    char other[LINE_SIZE] = "{ \"signature\" : ";
    const char *signature = strrchr(file.lines[0], ',') + strlen(",\"signature\":");
    size_t length = strlen(other);
    length += (size_t)snprintf(other + length, LINE_SIZE - length, "%.*s , %.*s }", (int)strlen(signature) - 1,
                               signature, (int)(strrchr(file.lines[0], ',') - file.lines[0]) - 1, file.lines[0] + 1);
    memcpy(file.lines[0], other, LINE_SIZE);
    assert_int_equal(verify_with(&file, jwk, &verified).count, 0);
    weir_secret_free(&signer.signing);
}

/* A known seed has a known key, name and signature: those of RFC 8037, appendix A. */
static void keys_are_as_the_standards_say(void **state) {
    (void)state;
    unsigned char seed[WEIR_RECEIPT_SEED_BYTES];
    struct weir_receipt_public public, parsed;
    struct weir_secret *signing = NULL;
    assert_int_equal(weir_hex_parse(WEIR_SPAN("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"), seed,
                                    sizeof(seed)),
                     WEIR_OK);
    struct weir_secret *secret = weir_secret_new(weir_span_of((const char *)seed, sizeof(seed)));
    assert_int_equal(weir_receipt_key_of_seed(secret, &public, &signing), WEIR_OK);
    assert_string_equal(public.id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    assert_int_equal(weir_receipt_public_parse(WEIR_SPAN("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"), &parsed),
                     WEIR_OK);
    assert_memory_equal(parsed.bytes, public.bytes, sizeof(parsed.bytes));
    assert_int_equal(weir_receipt_public_parse(WEIR_SPAN("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHUR"), &parsed),
                     WEIR_EINVAL);
    /* What is signed as one thing is not signed as another. */
    char signature[WEIR_RECEIPT_SIGNATURE_SIZE];
    assert_int_equal(weir_receipt_sign(signing, WEIR_RECEIPT_OF_ENTRY, WEIR_SPAN("{}"), signature), WEIR_OK);
    struct weir_span text = weir_span_of_string(signature);
    assert_int_equal(weir_receipt_check(&public, WEIR_RECEIPT_OF_ENTRY, WEIR_SPAN("{}"), text), WEIR_OK);
    assert_int_equal(weir_receipt_check(&public, WEIR_RECEIPT_END_OF_EXPORT, WEIR_SPAN("{}"), text), WEIR_EDENIED);
    assert_int_equal(weir_receipt_check(&public, WEIR_RECEIPT_OF_ENTRY, WEIR_SPAN("{ }"), text), WEIR_EDENIED);
    weir_secret_free(&secret);
    weir_secret_free(&signing);
}

static void replace(char line[LINE_SIZE], const char *name, enum weir_receipt_kind kind) {
    char quoted[64], rest[LINE_SIZE];
    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", name);
    char *receipt = strstr(line, "\"receipt\":");
    char *at = strstr(receipt != NULL ? receipt : line, quoted);
    assert_non_null(at);
    at += strlen(quoted);
    char *end = at + strcspn(at, kind == WEIR_RECEIPT_TEXT ? "," : ",}");
    if (kind == WEIR_RECEIPT_TEXT) { /* its last character */
        end = at + 1;
        while (*end != '"' || end[-1] == '\\')
            end++;
        (void)snprintf(rest, sizeof(rest), "z%s", end);
        memcpy(end, rest, strlen(rest) + 1);
        return;
    }
    (void)snprintf(rest, sizeof(rest), "%s", end);
    const char *made = kind == WEIR_RECEIPT_FLAG ? (*at == 't' ? "false" : "true") : "77";
    memcpy(at, made, strlen(made));
    memcpy(at + strlen(made), rest, strlen(rest) + 1);
}

static void every_member_counts(void **state) {
    (void)state;
    struct signer signer = signer_of(1);
    const struct file good = export_of(&signer, 1, LINES, 1);
    for (size_t i = 0; i < WEIR_RECEIPT_MEMBER_COUNT; i++) {
        struct file file = good;
        enum weir_receipt_member member = (enum weir_receipt_member)i;
        replace(file.lines[6], weir_receipt_member_name(member), weir_receipt_member_kind(member));
        struct found found = verify(&file);
        assert_true(found.count >= 1 && found.lines[0] == 7);
        /* Of these two it cannot be said any more which entry it was: then that one is missing, too. */
        assert_true(found.count == 1 || member == WEIR_RECEIPT_SEQUENCE || member == WEIR_RECEIPT_V);
        /* Under another name. */
        char name[64];
        file = good;
        (void)snprintf(name, sizeof(name), "\"%s\":", weir_receipt_member_name(member));
        char *at = strstr(strstr(file.lines[6], "\"receipt\":"), name);
        at[1] = '_';
        expect(&file, 7, "does not belong there");
    }
    static const char *const outer[] = {"hash", "key_id", "signature"};
    for (size_t i = 0; i < 3; i++) {
        struct file file = good;
        char name[64];
        (void)snprintf(name, sizeof(name), "\"%s\":\"", outer[i]);
        char *at = strstr(file.lines[6], name);
        if (i == 2)
            at = strrchr(file.lines[6], ',');
        at += i == 2 ? strlen(",\"signature\":\"") : strlen(name);
        *at = *at == '1' ? '2' : '1';
        struct found found = verify(&file);
        assert_true(found.count == 1 && found.lines[0] == 7);
    }
    struct file file = good;
    char *end = strrchr(file.lines[6], '}');
    (void)snprintf(end, LINE_SIZE - (size_t)(end - file.lines[6]), ",\"more\":1}");
    expect(&file, 7, "does not belong there");
    file = good;
    memcpy(strstr(file.lines[6], "\"units\":0"), "\"unit\":1 ", 9);
    expect(&file, 7, "unit stands there twice");
    weir_secret_free(&signer.signing);
}

static void lines_count(void **state) {
    (void)state;
    struct signer signer = signer_of(1), other = signer_of(2);
    const struct file good = export_of(&signer, 1, LINES, 1), filtered = export_of(&signer, 3, LINES, 3),
                      foreign = export_of(&other, 1, LINES, 1);
    struct file file = good;
    take_out(&file, 6);
    expect(&file, 7, "entry 6 is missing before it");
    take_out(&file, 6);
    expect(&file, 7, "entries 6 to 7 are missing before it");
    file = filtered;
    take_out(&file, 6); /* no chain shows it, but the end does */
    expect(&file, LINES + 1, "the export had 12 receipts, and 11 are here");
    file = filtered;
    memcpy(file.lines[6], export_of(&signer, 4, LINES, 3).lines[6], LINE_SIZE);
    expect(&file, LINES + 2, "other receipts");
    file = good;
    file.count--;
    expect(&file, LINES + 1, "cut off");
    file.count--;
    expect(&file, LINES, "cut off");
    file = good;
    swap(&file, 5, 6);
    expect(&file, 7, "entry 5 stands behind entry 6");
    file = good;
    put_in(&file, 6, good.lines[6]);
    expect(&file, 8, "entry 6 stands there twice");
    assert_int_equal(verify(&file).count, 1);
    file = good;
    put_in(&file, 8, good.lines[3]);
    expect(&file, 9, "entry 3 stands behind entry 7");
    file = good;
    put_in(&file, 6, foreign.lines[6]);
    expect(&file, 7, "not among those that count");
    file = good; /* another ledger's entry under the right key */
    {
        struct file forged = export_of(&signer, 1, LINES, 1);
        memcpy(file.lines[6], forged.lines[6], LINE_SIZE);
        assert_int_equal(verify(&file).count, 0);
    }
    file = good;
    put_in(&file, file.count, good.lines[2]);
    expect(&file, LINES + 3, "behind the end of the export");
    file = good;
    (void)snprintf(file.lines[4], LINE_SIZE, "not JSON");
    expect(&file, 5, "no JSON object");
    (void)snprintf(file.lines[4], LINE_SIZE, "{\"a\":1}");
    expect(&file, 5, "it is no receipt");
    file.lines[4][0] = '\0'; /* nothing at all is as good as a line that is missing */
    expect(&file, 6, "entry 4 is missing before it");
    file = good;
    memcpy(strstr(file.lines[0], "true"), "null", 4);
    expect(&file, 1, "complete is not what it should be");
    struct file mixed = filtered;
    memcpy(mixed.lines[0], good.lines[0], LINE_SIZE);
    expect(&mixed, LINES + 2, "the first line says that the export is complete, and the end that it is filtered");
    /* A changed end. */
    file = good;
    *(strstr(file.lines[LINES + 1], "\"last\":12") + strlen("\"last\":1")) = '3';
    expect(&file, LINES + 2, "the signature is not that");
    file.count = 0;
    expect(&file, 0, "there is no receipt");
    weir_secret_free(&signer.signing);
    weir_secret_free(&other.signing);
}

/* Two entries of another history, signed by the same key (a database that was restored and went on). */
static void a_chain_that_forks_is_found(void **state) {
    (void)state;
    struct signer signer = signer_of(1);
    struct file file = export_of(&signer, 1, LINES, 1);
    struct weir_receipt_link link = {.sequence = 5, .hash = {9}};
    struct weir_ledger_entry entry = entry_of(6);
    struct weir_buffer text, out;
    struct weir_json_writer writer;
    char signature[WEIR_RECEIPT_SIGNATURE_SIZE];
    weir_buffer_init(&text, WEIR_RECEIPT_MAX_BYTES);
    weir_buffer_init(&out, WEIR_MIB);
    assert_int_equal(weir_receipt_follow(&link, &entry, &text), WEIR_OK);
    assert_int_equal(weir_receipt_sign(signer.signing, WEIR_RECEIPT_OF_ENTRY, weir_buffer_span(&text), signature),
                     WEIR_OK);
    weir_json_writer_init(&writer, &out);
    weir_receipt_write_signed(&writer, weir_buffer_span(&text), link.hash, signer.public.id, signature);
    size_t count = file.count;
    file.count = 6;
    put(&file, &out);
    file.count = count;
    expect(&file, 7, "it does not follow from entry 5");
    expect(&file, 8, "it does not follow from entry 6");
    weir_buffer_release(&text);
    weir_buffer_release(&out);
    weir_secret_free(&signer.signing);
}

static void keys_come_in_three_forms(void **state) {
    (void)state;
    struct found found = {.count = 0};
    struct weir_receipt_verifier *verifier = weir_receipt_verifier_new(note, &found);
    static const char *const good[] = {
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        " \n{\"keys\":[{\"kty\":\"RSA\",\"n\":\"x\"},{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
        "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
        "-----END PUBLIC KEY-----\n",
    };
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "{\"keys\":[]}",
        "{\"keys\":[1]}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qY\"}",
        "{\"kty\":\"RSA\"}",
        "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(weir_receipt_verifier_key(verifier, weir_span_of_string(wrong[i])), WEIR_EINVAL);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(weir_receipt_verifier_key(verifier, weir_span_of_string(good[i])), WEIR_OK);
    struct weir_receipt_verified verified;
    weir_receipt_verifier_end(verifier, &verified);
    assert_int_equal(verified.key_count, 1); /* it was the same one each time */
    weir_receipt_verifier_free(&verifier);
}

/* A key that is named from outside is the only one that counts. */
static void a_wrong_key_is_refused(void **state) {
    (void)state;
    struct signer signer = signer_of(1);
    struct weir_receipt_verified verified;
    const struct file file = export_of(&signer, 1, LINES, 1);
    struct found found = verify_with(
        &file, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        &verified);
    assert_true(found.count == LINES + 1 && found.lines[0] == 2);
    weir_secret_free(&signer.signing);
}

/* --- the signer --- */
struct place {
    char folder[64], location[128];
    struct weir_engine *engine;
    struct weir_error error;
};

static void open_place(struct place *place) {
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/weir-receipts-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->location, sizeof(place->location), "%s/weir.db", place->folder);
    assert_int_equal(weir_engine_sqlite.open(place->location, "dev", &place->engine, &place->error), WEIR_OK);
}

static void close_place(struct place *place) {
    char command[128];
    weir_engine_sqlite.close(&place->engine);
    (void)snprintf(command, sizeof(command), "rm -r '%s'", place->folder);
    assert_int_equal(system(command), 0);
}

static struct weir_receipt_signer *new_signer(struct place *place, const struct weir_sealing *sealing) {
    struct weir_receipt_signer *signer = NULL;
    const struct weir_receipt_signer_settings settings = {.store = &weir_engine_sqlite,
                                                          .directory = place->folder,
                                                          .environment = "dev",
                                                          .sealing = sealing};
    assert_int_equal(weir_receipt_signer_new(&settings, &signer, &place->error), WEIR_OK);
    return signer;
}

static enum weir_status key_of(struct weir_receipt_signer *signer, struct place *place, char id[64]) {
    struct weir_receipt_signature signature;
    enum weir_status status = weir_receipt_signer_ready(signer, place->engine, &place->error);
    if (status != WEIR_OK)
        return status;
    assert_int_equal(weir_receipt_signer_sign(signer, WEIR_RECEIPT_OF_ENTRY, WEIR_SPAN("x"), &signature), WEIR_OK);
    (void)snprintf(id, 64, "%s", signature.key_id);
    return WEIR_OK;
}

static void key_path(const struct place *place, const char *id, char path[256]) {
    (void)snprintf(path, 256, "%s/receipt-key-%s", place->folder, id);
}

static enum weir_status count_key(void *context, const struct weir_receipt_key *key) {
    size_t *counts = context;
    counts[0]++;
    counts[1] += key->retired_utc_us == 0;
    counts[2] += key->sealed.length > 0;
    return WEIR_OK;
}

static void expect_keys(struct place *place, size_t all, size_t current, size_t sealed) {
    size_t counts[3] = {0, 0, 0};
    assert_int_equal(weir_receipt_keys_each(&weir_engine_sqlite, place->engine, count_key, counts, &place->error),
                     WEIR_OK);
    assert_true(counts[0] == all && counts[1] == current && counts[2] == sealed);
}

static void a_key_in_a_file(void **state) {
    (void)state;
    struct place place;
    char first[64], again[64], path[256];
    struct stat about;
    open_place(&place);
    struct weir_receipt_signer *one = new_signer(&place, NULL), *two = new_signer(&place, NULL);
    struct weir_receipt_signature signature;
    assert_int_equal(weir_receipt_signer_sign(one, WEIR_RECEIPT_OF_ENTRY, WEIR_SPAN("x"), &signature), WEIR_ENOTFOUND);
    assert_int_equal(key_of(one, &place, first), WEIR_OK);
    assert_int_equal(key_of(two, &place, again), WEIR_OK);
    assert_string_equal(first, again);
    key_path(&place, first, path);
    assert_true(stat(path, &about) == 0 && (about.st_mode & 0777) == 0600);
    expect_keys(&place, 1, 1, 0);
    /* Others may read it. */
    weir_receipt_signer_free(&two);
    assert_int_equal(chmod(path, 0644), 0);
    two = new_signer(&place, NULL);
    assert_int_equal(key_of(two, &place, again), WEIR_EDENIED);
    /* It is lost: another takes its place, and it stays known. Who holds it still goes over, too. */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(key_of(two, &place, again), WEIR_OK);
    assert_string_not_equal(first, again);
    expect_keys(&place, 2, 1, 0);
    assert_int_equal(key_of(one, &place, first), WEIR_OK);
    assert_string_equal(first, again);
    /* Changed on purpose. */
    struct weir_receipt_public before, after;
    assert_int_equal(weir_engine_sqlite.work_begin(place.engine, &place.error), WEIR_OK);
    assert_int_equal(weir_receipt_signer_rotate(one, place.engine, &before, &after, &place.error), WEIR_OK);
    assert_int_equal(weir_engine_sqlite.work_end(place.engine, WEIR_OK, &place.error), WEIR_OK);
    weir_receipt_signer_forget(one, &before);
    key_path(&place, before.id, path);
    assert_true(stat(path, &about) != 0);
    assert_int_equal(key_of(two, &place, again), WEIR_OK);
    assert_string_equal(again, after.id);
    assert_string_equal(first, before.id);
    expect_keys(&place, 3, 1, 0);
    weir_receipt_signer_free(&one);
    weir_receipt_signer_free(&two);
    close_place(&place);
}

static void a_sealed_key(void **state) {
    (void)state;
    struct place place;
    char id[64], again[64], path[256], result = '?';
    struct stat about;
    struct weir_sealing *first = NULL, *both = NULL, *second = NULL;
    const struct weir_span keys[] = {WEIR_SPAN("0202020202020202020202020202020202020202020202020202020202020202"),
                                     WEIR_SPAN("0101010101010101010101010101010101010101010101010101010101010101")};
    assert_int_equal(weir_sealing_new(&keys[1], 1, &first, &place.error), WEIR_OK);
    assert_int_equal(weir_sealing_new(keys, 2, &both, &place.error), WEIR_OK);
    assert_int_equal(weir_sealing_new(keys, 1, &second, &place.error), WEIR_OK);
    open_place(&place);
    struct weir_receipt_signer *signer = new_signer(&place, first), *without = new_signer(&place, NULL),
                               *wrong = new_signer(&place, second);
    assert_int_equal(key_of(signer, &place, id), WEIR_OK);
    expect_keys(&place, 1, 1, 1);
    key_path(&place, id, path);
    assert_true(stat(path, &about) != 0);
    /* Without its sealing key nothing is signed, and nobody takes its place. */
    assert_int_equal(key_of(without, &place, again), WEIR_EDENIED);
    assert_int_equal(key_of(wrong, &place, again), WEIR_EDENIED);
    expect_keys(&place, 1, 1, 1);
    /* Sealed anew, it is the same key. */
    const struct weir_receipt_signer_settings settings = {.store = &weir_engine_sqlite,
                                                          .directory = place.folder,
                                                          .environment = "dev",
                                                          .sealing = both};
    const struct weir_receipt_signer_settings unable = {.store = &weir_engine_sqlite,
                                                        .directory = place.folder,
                                                        .environment = "dev",
                                                        .sealing = second};
    assert_int_equal(weir_receipt_key_reseal(&unable, place.engine, &result, &place.error), WEIR_OK);
    assert_int_equal(result, 'u');
    assert_int_equal(weir_receipt_key_reseal(&settings, place.engine, &result, &place.error), WEIR_OK);
    assert_int_equal(result, 'r');
    assert_int_equal(weir_receipt_key_reseal(&settings, place.engine, &result, &place.error), WEIR_OK);
    assert_int_equal(result, 'a');
    assert_int_equal(key_of(wrong, &place, again), WEIR_OK);
    assert_string_equal(id, again);
    weir_receipt_signer_free(&signer);
    weir_receipt_signer_free(&without);
    weir_receipt_signer_free(&wrong);
    weir_sealing_free(&first);
    weir_sealing_free(&both);
    weir_sealing_free(&second);
    close_place(&place);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_good_is_good),
        cmocka_unit_test(keys_are_as_the_standards_say),
        cmocka_unit_test(every_member_counts),
        cmocka_unit_test(lines_count),
        cmocka_unit_test(a_chain_that_forks_is_found),
        cmocka_unit_test(the_largest_number_is_followed_by_none),
        cmocka_unit_test(keys_come_in_three_forms),
        cmocka_unit_test(a_wrong_key_is_refused),
        cmocka_unit_test(a_key_in_a_file),
        cmocka_unit_test(a_sealed_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
