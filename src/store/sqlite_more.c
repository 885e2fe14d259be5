/* The second row of a ledger entry: tokens by modality, units, issued ids, what failed attempts may have cost. Most entries have none of it and no second
 * row, so what most entries cost, in bytes and in time, does not depend on what the others need.
 *
 * Issued ids stand one after the other, each as its length (base-128, least significant first, the high bit saying
 * "more") and its bytes: they are read whole or not at all. Finding an id is another table's matter (sqlite_issued.c).
 */
#include "store/sqlite_impl.h"

enum { MAX_ID_BYTES = 512, LENGTH_BYTES = 2, MAX_ISSUED_BYTES = (int)WEIR_MAX_ISSUED * (LENGTH_BYTES + MAX_ID_BYTES) };

static size_t issued_encode(const struct weir_ledger_entry *entry, char out[MAX_ISSUED_BYTES]) {
    char *at = out;
    for (size_t i = 0; i < entry->issued_count && i < WEIR_MAX_ISSUED; i++) {
        struct weir_span id = entry->issued[i];
        if (id.length == 0 || id.length > MAX_ID_BYTES)
            continue;
        if (id.length >= 0x80)
            *at++ = (char)(unsigned char)(0x80U | (id.length & 0x7FU));
        *at++ = (char)(unsigned char)(id.length >= 0x80 ? id.length >> 7 : id.length);
        memcpy(at, id.at, id.length);
        at += id.length;
    }
    return (size_t)(at - out);
}

static enum weir_status issued_decode(struct weir_span bytes, struct weir_ledger_entry *entry,
                                      struct weir_error *error) {
    while (bytes.length > 0) {
        size_t length = (unsigned char)bytes.at[0];
        bytes = weir_span_from(bytes, 1);
        if (length >= 0x80 && bytes.length > 0) {
            length = (length & 0x7FU) | (size_t)(unsigned char)bytes.at[0] << 7;
            bytes = weir_span_from(bytes, 1);
        }
        if (length == 0 || length > bytes.length || entry->issued_count == WEIR_MAX_ISSUED) {
            return weir_fail(error, WEIR_ECORRUPT, "the issued ids of ledger entry %lld cannot be read",
                             (long long)entry->sequence);
        }
        entry->issued[entry->issued_count++] = weir_span_first(bytes, length);
        bytes = weir_span_from(bytes, length);
    }
    return WEIR_OK;
}

enum weir_status store__more_insert(struct weir_engine *engine, const struct weir_ledger_entry *entry, int64_t sequence,
                                    struct weir_error *error) {
    const struct weir_usage *usage = &entry->usage;
    const int64_t numbers[] = {usage->input_audio,  usage->input_image,   usage->output_audio,
                               usage->output_image, (int64_t)usage->unit, usage->units};
    enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };
    char costs[STORE__MAX_ATTEMPT_COSTS_BYTES];
    size_t costs_size = store__attempt_costs_encode(entry, costs);
    bool any = entry->issued_count > 0 || costs_size > 0;
    for (size_t i = 0; i < NUMBERS; i++)
        any = any || numbers[i] != 0;
    if (!any)
        return WEIR_OK;
    char issued[MAX_ISSUED_BYTES];
    size_t issued_size = issued_encode(entry, issued);
    sqlite3_stmt *statement = NULL;
    enum weir_status status = store__sqlite_statement(engine, STORE__SQL_MORE_INSERT, &statement, error);
    if (status != WEIR_OK)
        return status;
    struct store__binder binder = store__binder_of(statement);
    store__bind_integer(&binder, sequence);
    for (size_t i = 0; i < NUMBERS; i++)
        store__bind_nonzero(&binder, numbers[i]);
    if (issued_size > 0) {
        store__bind_blob(&binder, issued, issued_size);
    } else {
        store__bind_null(&binder);
    }
    if (costs_size > 0) {
        store__bind_blob(&binder, costs, costs_size);
    } else {
        store__bind_null(&binder);
    }
    return store__binder_run(engine, &binder, "write a ledger entry", error);
}

enum weir_status store__more_read(sqlite3_stmt *row, int first, struct weir_ledger_entry *entry,
                                  struct weir_error *error) {
    struct weir_usage *usage = &entry->usage;
    usage->input_audio = sqlite3_column_int64(row, first);
    usage->input_image = sqlite3_column_int64(row, first + 1);
    usage->output_audio = sqlite3_column_int64(row, first + 2);
    usage->output_image = sqlite3_column_int64(row, first + 3);
    int64_t unit = sqlite3_column_int64(row, first + 4);
    usage->unit = unit >= 0 && unit <= WEIR_UNIT_SEARCH ? (enum weir_unit)unit : WEIR_UNIT_NONE;
    usage->units = sqlite3_column_int64(row, first + 5);
    return issued_decode(store__column_span(row, first + 6), entry, error);
}
