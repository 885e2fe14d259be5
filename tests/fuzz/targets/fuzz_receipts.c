/* links: base json net store secrets meter */
/* Files of receipts of any bytes: they are read without harm, nothing of them verifies that was not signed, and what we have signed does. The key that counts is
 * one whose private part nobody has here, so that a line that is good would be a forged signature. */
#include "meter/receipts.h"

static const struct weir_span key = {
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}", 79};

static void note(void *context, uint64_t line, const char *words) {
    uint64_t *count = context;
    weir_bug_on(words[0] == '\0');
    (void)line;
    ++*count;
}

/* With the keys that the input brings, and with one of ours. */
static void verify(struct weir_span input, bool ours) {
    uint64_t told = 0;
    struct weir_receipt_verified verified;
    struct weir_span line, rest = input;
    struct weir_receipt_verifier *verifier = weir_receipt_verifier_new(note, &told);
    if (verifier == NULL)
        return;
    if (ours)
        weir_bug_on(weir_receipt_verifier_key(verifier, key) != WEIR_OK);
    for (bool more = true; more;) {
        more = weir_span_split(rest, '\n', &line, &rest);
        weir_receipt_verifier_line(verifier, line);
    }
    weir_receipt_verifier_end(verifier, &verified);
    weir_bug_on(verified.problems != told);
    weir_bug_on(ours && told == 0); /* an empty file is a problem, too */
    weir_receipt_verifier_free(&verifier);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct weir_span input = weir_span_of((const char *)data, size);
    uint64_t told = 0;
    verify(input, true);
    verify(input, false);
    struct weir_receipt_verifier *verifier = weir_receipt_verifier_new(note, &told);
    if (verifier != NULL)
        (void)weir_receipt_verifier_key(verifier, input);
    weir_receipt_verifier_free(&verifier);
    return 0;
}
