/* The journal by itself: what is appended is read, room is kept back, and damage is told from what is not written
 * yet. */
#include "old_forms.h"

#include "base/memory.h"
#include "store/segments.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { SEGMENT = WEIR_JOURNAL_SEGMENT_BYTES };

static const struct weir_uuid instance = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* A segment in plain memory. */
static struct store__segment *segment_make(uint64_t number, size_t size) {
    struct store__segment *segment = test_calloc(1, sizeof(*segment));
    segment->at = test_calloc(1, size);
    segment->size = size;
    segment->number = number;
    const struct store__segment_header header = {.instance = instance,
                                                 .worker = 3,
                                                 .number = number,
                                                 .size = (uint32_t)size};
    store__header_encode(&header, segment->at);
    return segment;
}
static void segment_drop(struct store__segment *segment) {
    test_free(segment->at);
    test_free(segment);
}
static struct weir_span bytes(const struct store__segment *segment) {
    return weir_span_of(segment->at, segment->size);
}

static void count_wakes(void *context) {
    ++*(unsigned *)context;
}

static void all_fields_come_back(void **state) {
    (void)state;
    unsigned wakes = 0;
    struct store__segment *segment = segment_make(1, SEGMENT);
    struct weir_journal journal;
    store__journal_init(&journal, segment, count_wakes, &wakes);
    assert_true(weir_journal_ready(&journal));
    for (uint64_t i = 0; i < 10; i++) {
        struct weir_journal_open open = sample_open(i);
        struct weir_ledger_entry entry = sample_entry(i);
        assert_int_equal(weir_journal_append_open(&journal, &open), WEIR_OK);
        assert_int_equal(weir_journal_append_close(&journal, &entry), WEIR_OK);
    }
    size_t offset = 0;
    struct weir_journal_record record;
    for (uint64_t i = 0; i < 10; i++) {
        struct weir_journal_open open = sample_open(i);
        struct weir_ledger_entry entry = sample_entry(i);
        assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
        assert_int_equal(record.kind, WEIR_JOURNAL_OPEN);
        assert_opens_equal(&record.open, &open);
        assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
        assert_int_equal(record.kind, WEIR_JOURNAL_CLOSE);
        assert_entries_equal(&record.close, &entry);
        assert_stories_equal(&record.close, &entry);
    }
    size_t before = offset;
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_AGAIN);
    assert_int_equal(offset, before);
    assert_int_equal(wakes, 0);
    segment_drop(segment);
}

static void empty_and_extreme_fields_come_back(void **state) {
    (void)state;
    unsigned wakes = 0;
    struct store__segment *segment = segment_make(1, SEGMENT);
    struct weir_journal journal;
    store__journal_init(&journal, segment, count_wakes, &wakes);
    struct weir_journal_open open = {.start_utc_us = INT64_MIN, .reserved_cu_milli = INT64_MAX, .revision = UINT64_MAX};
    struct weir_ledger_entry entry = {.end_utc_us = INT64_MIN,
                                      .start_utc_us = INT64_MAX,
                                      .usage_source = WEIR_USAGE_RESERVED,
                                      .outcome = WEIR_OUTCOME_CRASHED,
                                      .reason = UINT16_MAX,
                                      .status = UINT16_MAX,
                                      .first_byte_us = UINT32_MAX,
                                      .usage = {.input = INT64_MAX, .reasoning = -1}};
    assert_int_equal(weir_journal_append_open(&journal, &open), WEIR_OK);
    assert_int_equal(weir_journal_append_close(&journal, &entry), WEIR_OK);
    size_t offset = 0;
    struct weir_journal_record record;
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
    assert_opens_equal(&record.open, &open);
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
    assert_entries_equal(&record.close, &entry);
    segment_drop(segment);
}

static void long_strings_are_cut_between_characters(void **state) {
    (void)state;
    unsigned wakes = 0;
    char text[2000];
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    struct store__segment *segment = segment_make(1, SEGMENT);
    struct weir_journal journal;
    store__journal_init(&journal, segment, count_wakes, &wakes);
    struct weir_journal_open open = sample_open(1);
    open.model = weir_span_of(text, sizeof(text));
    text[0] = 'x'; /* so that 512 falls inside a character of the next one */
    open.tags = weir_span_of(text + 1, 600);
    struct weir_ledger_entry entry = sample_entry(1);
    entry.attempts[0].upstream_request_id = weir_span_of(text + 2, 600);
    assert_int_equal(weir_journal_append_open(&journal, &open), WEIR_OK);
    assert_int_equal(weir_journal_append_close(&journal, &entry), WEIR_OK);
    size_t offset = 0;
    struct weir_journal_record record;
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
    assert_int_equal(record.open.model.length, 512);
    assert_int_equal(record.open.tags.length, 511);
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
    assert_int_equal(record.close.attempts[0].upstream_request_id.length, 512);
    segment_drop(segment);
}

static void write_record(struct store__segment *segment, size_t *offset, const struct old_record *record) {
    uint32_t length = (uint32_t)record->size;
    uint32_t crc = weir_crc32c(length, weir_span_of(record->bytes, record->size));
    memcpy(segment->at + *offset, &length, 4);
    memcpy(segment->at + *offset + 4, &crc, 4);
    memcpy(segment->at + *offset + 8, record->bytes, record->size);
    *offset += (8 + record->size + 7) & ~(size_t)7;
}

/* An older program has left its journal behind: nothing of it is lost. */
static void old_forms_are_still_read(void **state) {
    (void)state;
    struct store__segment *segment = segment_make(1, SEGMENT);
    size_t written = STORE__SEGMENT_HEADER_BYTES;
    for (uint64_t i = 0; i < 4; i++) {
        struct weir_journal_open open = old_sample_open(i);
        struct weir_ledger_entry entry = old_sample_entry(i);
        struct old_record first = old_open(&open), second = old_close(&entry);
        write_record(segment, &written, &first);
        write_record(segment, &written, &second);
    }
    size_t offset = 0;
    struct weir_journal_record record;
    memset(&record, 0x5A, sizeof(record)); /* as a new record before has left it */
    for (uint64_t i = 0; i < 4; i++) {
        struct weir_journal_open open = old_sample_open(i);
        struct weir_ledger_entry entry = old_sample_entry(i);
        assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
        assert_int_equal(record.kind, WEIR_JOURNAL_OPEN);
        assert_opens_equal(&record.open, &open);
        assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
        assert_int_equal(record.kind, WEIR_JOURNAL_CLOSE);
        assert_entries_equal(&record.close, &entry);
    }
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_AGAIN);
    segment_drop(segment);
}

static void forms_that_nobody_writes_are_refused(void **state) {
    (void)state;
    struct weir_ledger_entry entry = sample_entry(1);
    char payload[STORE__MAX_CLOSE_PAYLOAD];
    struct weir_journal_record record;
    size_t size = store__close_payload_size(&entry, STORE__FULL);
    store__close_encode(&entry, STORE__FULL, payload);
    assert_int_equal(store__payload_decode(weir_span_of(payload, size), &record), WEIR_OK);
    assert_int_equal(store__payload_decode(weir_span_of(payload, size - 1), &record), WEIR_ECORRUPT);
    const unsigned char forms[] = {0, 1, 2, 3, 4, 6, 255};
    for (size_t i = 0; i < sizeof(forms); i++) {
        payload[0] = (char)forms[i];
        assert_int_equal(store__payload_decode(weir_span_of(payload, size), &record), WEIR_ECORRUPT);
    }
    entry.usage.unit = (enum weir_unit)(WEIR_UNIT_SEARCH + 1);
    store__close_encode(&entry, STORE__FULL, payload);
    assert_int_equal(store__payload_decode(weir_span_of(payload, size), &record), WEIR_ECORRUPT);
}

/* What was never opened is written only where all that is promised has room besides. */
static void unbilled_records_take_no_promised_room(void **state) {
    (void)state;
    unsigned wakes = 0;
    struct store__segment *segment = segment_make(1, SEGMENT);
    struct weir_journal journal;
    store__journal_init(&journal, segment, count_wakes, &wakes);
    struct weir_ledger_entry refused = {.unbilled = true,
                                        .request_id = id_of_number(7),
                                        .outcome = WEIR_OUTCOME_ERROR,
                                        .stage = WEIR_STAGE_IDENTIFIED,
                                        .detail = WEIR_SPAN("no key")};
    const struct weir_journal_open open = sample_open(1);
    const struct weir_ledger_entry close = sample_entry(1);
    assert_int_equal(weir_journal_append_open(&journal, &open), WEIR_OK);
    size_t written = 0;
    while (weir_journal_append_unbilled(&journal, &refused) == WEIR_OK)
        written++;
    assert_true(written > 0);
    assert_true(weir_journal_ready(&journal)); /* the next request is as welcome as before */
    assert_int_equal(weir_journal_append_open(&journal, &open), WEIR_OK);
    assert_int_equal(weir_journal_append_close(&journal, &close), WEIR_OK);
    assert_int_equal(weir_journal_append_close(&journal, &close), WEIR_OK);
    size_t offset = 0, unbilled = 0, closes = 0;
    struct weir_journal_record record;
    while (weir_journal_read(bytes(segment), &offset, &record) == WEIR_OK) {
        if (record.kind != WEIR_JOURNAL_CLOSE)
            continue;
        closes++;
        if (!record.close.unbilled)
            continue;
        unbilled++;
        assert_stories_equal(&record.close, &refused);
    }
    assert_true(unbilled == written && closes == written + 2);
    segment_drop(segment);
}

/* A piece of an id would name something else. */
static void issued_ids_are_left_out_rather_than_cut(void **state) {
    (void)state;
    unsigned wakes = 0;
    char text[600];
    memset(text, 'i', sizeof(text));
    struct store__segment *segment = segment_make(1, SEGMENT);
    struct weir_journal journal;
    store__journal_init(&journal, segment, count_wakes, &wakes);
    struct weir_ledger_entry entry = sample_entry(1);
    entry.issued_count = 3;
    entry.issued[0] = weir_span_of(text, 513);
    entry.issued[1] = WEIR_SPAN("");
    entry.issued[2] = weir_span_of(text, 512);
    assert_int_equal(weir_journal_append_close(&journal, &entry), WEIR_OK);
    size_t offset = 0;
    struct weir_journal_record record;
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_OK);
    assert_int_equal(record.close.issued_count, 1);
    assert_int_equal(record.close.issued[0].length, 512);
    assert_int_equal(record.close.attempt_count, 2);
    assert_spans_equal(record.close.attempts[1].upstream_request_id, entry.attempts[1].upstream_request_id);
    segment_drop(segment);
}

/* Reads a chain of segments to its end: the numbers of the closes must come in order. */
static uint64_t read_all(struct store__segment *const *segments, size_t count, uint64_t *opens) {
    uint64_t closes = 0;
    *opens = 0;
    for (size_t i = 0; i < count; i++) {
        size_t offset = 0;
        struct weir_journal_record record;
        enum weir_status status;
        while ((status = weir_journal_read(bytes(segments[i]), &offset, &record)) == WEIR_OK) {
            if (record.kind == WEIR_JOURNAL_OPEN) {
                ++*opens;
            } else {
                assert_true(number_of_id(&record.close.request_id) == closes);
                closes++;
            }
        }
        assert_true(status == WEIR_END || (status == WEIR_AGAIN && i == count - 1));
    }
    return closes;
}

static void segments_roll_over(void **state) {
    (void)state;
    unsigned wakes = 0;
    struct store__segment *segments[4];
    for (size_t i = 0; i < 4; i++)
        segments[i] = segment_make(i + 1, 256 * 1024);
    struct weir_journal journal;
    store__journal_init(&journal, segments[0], count_wakes, &wakes);
    size_t offered = 1;
    uint64_t written = 0;
    assert_true(store__journal_offer(&journal, segments[offered++]));
    for (;;) {
        if (wakes == offered - 1 && offered < 4)
            assert_true(store__journal_offer(&journal, segments[offered++]));
        struct weir_journal_open open = sample_open(written);
        struct weir_ledger_entry entry = sample_entry(written);
        if (!weir_journal_ready(&journal))
            break;
        assert_int_equal(weir_journal_append_open(&journal, &open), WEIR_OK);
        assert_int_equal(weir_journal_append_close(&journal, &entry), WEIR_OK);
        written++;
    }
    assert_int_equal(wakes, 3);
    assert_true(written > 1000);
    uint64_t opens;
    assert_true(read_all(segments, 4, &opens) == written);
    assert_true(opens == written);
    for (size_t i = 0; i < 4; i++)
        segment_drop(segments[i]);
}

static void a_second_offer_waits(void **state) {
    (void)state;
    unsigned wakes = 0;
    struct store__segment *segments[3];
    for (size_t i = 0; i < 3; i++)
        segments[i] = segment_make(i + 1, 256 * 1024);
    struct weir_journal journal;
    store__journal_init(&journal, segments[0], count_wakes, &wakes);
    assert_true(store__journal_offer(&journal, segments[1]));
    assert_false(store__journal_offer(&journal, segments[2]));
    for (size_t i = 0; i < 3; i++)
        segment_drop(segments[i]);
}

/* Opens are accepted until there is no room; then every one of them can still be closed, however large its entry. */
static void check_promise(size_t segment_count, size_t size) {
    unsigned wakes = 0;
    char text[512];
    memset(text, 'x', sizeof(text));
    struct store__segment *segments[3];
    for (size_t i = 0; i < segment_count; i++)
        segments[i] = segment_make(i + 1, size);
    struct weir_journal journal;
    store__journal_init(&journal, segments[0], count_wakes, &wakes);
    size_t offered = 1;
    uint64_t opened = 0;
    for (;; opened++) {
        if (offered < segment_count && store__journal_offer(&journal, segments[offered]))
            offered++;
        struct weir_journal_open open = sample_open(opened);
        if (weir_journal_append_open(&journal, &open) != WEIR_OK)
            break;
    }
    assert_false(weir_journal_ready(&journal));
    assert_true(opened > 10);
    for (uint64_t i = 0; i < opened; i++) {
        struct weir_ledger_entry entry = sample_entry(i);
        entry.model = entry.provider = entry.tags = weir_span_of(text, sizeof(text));
        entry.client_request_id = weir_span_of(text, WEIR_MAX_CLIENT_REQUEST_ID_BYTES);
        entry.workspace = entry.provider = entry.upstream_model = weir_span_of(text, 200);
        entry.issued_count = WEIR_MAX_ISSUED;
        for (size_t k = 0; k < WEIR_MAX_ISSUED; k++)
            entry.issued[k] = weir_span_of(text, 128);
        entry.attempt_count = WEIR_MAX_ATTEMPTS;
        for (size_t k = 0; k < WEIR_MAX_ATTEMPTS; k++) {
            entry.attempts[k] = entry.attempts[0];
            entry.attempts[k].upstream_request_id = weir_span_of(text, sizeof(text));
            entry.attempts[k].provider = weir_span_of(text, STORE__SHORT_STRING_BYTES);
            entry.attempts[k].cost_cu_milli = 1 + (int64_t)k;
        }
        entry.model = entry.team = entry.user = weir_span_of(text, 200);
        entry.family = weir_span_of(text, STORE__SHORT_STRING_BYTES);
        assert_int_equal(weir_journal_append_close(&journal, &entry), WEIR_OK);
    }
    struct weir_ledger_entry extra = sample_entry(opened);
    while (weir_journal_append_close(&journal, &extra) == WEIR_OK) {} /* none of its own: until full, then refused */
    uint64_t closes = 0, opens = 0, short_ones = 0;
    for (size_t i = 0; i < segment_count; i++) {
        size_t offset = 0;
        struct weir_journal_record record;
        while (weir_journal_read(bytes(segments[i]), &offset, &record) == WEIR_OK) {
            if (record.kind == WEIR_JOURNAL_OPEN) {
                opens++;
            } else if (number_of_id(&record.close.request_id) < opened) {
                assert_true(number_of_id(&record.close.request_id) == closes);
                assert_true(record.close.cost_cu_milli == 123456 + (int64_t)closes);
                assert_int_equal(record.close.client_request_id.length, WEIR_MAX_CLIENT_REQUEST_ID_BYTES);
                assert_int_equal(record.close.attempt_count, WEIR_MAX_ATTEMPTS);
                /* Whose they are and what they are: whole, or a client loses what is its own. */
                assert_int_equal(record.close.workspace.length, 200);
                assert_int_equal(record.close.provider.length, 200);
                assert_int_equal(record.close.upstream_model.length, 200);
                /* Whose budgets are charged, too. */
                assert_int_equal(record.close.model.length, 200);
                assert_int_equal(record.close.team.length, 200);
                assert_int_equal(record.close.user.length, 200);
                for (size_t k = 0; k < WEIR_MAX_ATTEMPTS; k++) {
                    assert_int_equal(record.close.attempts[k].provider.length, STORE__SHORT_STRING_BYTES);
                    assert_true(record.close.attempts[k].cost_cu_milli == 1 + (int64_t)k);
                }
                assert_int_equal(record.close.issued_count, WEIR_MAX_ISSUED);
                for (size_t k = 0; k < WEIR_MAX_ISSUED; k++)
                    assert_spans_equal(record.close.issued[k], weir_span_of(text, 128));
                assert_true(record.close.usage.units == 3 && record.close.usage.unit == WEIR_UNIT_IMAGE);
                short_ones += record.close.tags.length == STORE__SHORT_STRING_BYTES;
                closes++;
            }
        }
    }
    assert_true(opens == opened && closes == opened && short_ones > 0);
    for (size_t i = 0; i < segment_count; i++)
        segment_drop(segments[i]);
}

static void every_accepted_open_can_be_closed(void **state) {
    (void)state;
    check_promise(1, 64 * 1024);
    check_promise(1, 100 * 1024 + 8);
    check_promise(2, 64 * 1024);
    check_promise(3, 96 * 1024);
}

/* A record of which only a part has reached memory: nothing is read, or it is called corrupt; never is it taken for
 * whole. */
static void torn_records(void **state) {
    (void)state;
    unsigned wakes = 0;
    struct store__segment *segment = segment_make(1, 64 * 1024);
    struct weir_journal journal;
    store__journal_init(&journal, segment, count_wakes, &wakes);
    struct weir_journal_open open = sample_open(1);
    struct weir_ledger_entry entry = sample_entry(1);
    struct weir_journal_record record;
    assert_int_equal(weir_journal_append_open(&journal, &open), WEIR_OK);
    size_t start = journal.offset;
    assert_int_equal(weir_journal_append_close(&journal, &entry), WEIR_OK);
    size_t end = journal.offset;
    char *copy = test_malloc(segment->size);
    memcpy(copy, segment->at, segment->size);
    for (size_t cut = start; cut < end; cut++) {
        /* The end is missing, as after a power loss. */
        memset(segment->at + cut, 0, end - cut);
        size_t offset = start;
        enum weir_status status = weir_journal_read(bytes(segment), &offset, &record);
        bool only_padding = memcmp(segment->at, copy, end) == 0;
        if (only_padding) {
            assert_int_equal(status, WEIR_OK);
        } else {
            assert_true(cut < start + 4 ? status != WEIR_OK : status == WEIR_ECORRUPT);
            assert_int_equal(offset, start);
        }
        memcpy(segment->at, copy, segment->size);
        /* The length is missing, as when the writer was killed within an append. */
        memset(segment->at + start, 0, 4);
        memset(segment->at + cut, 0, end - cut);
        offset = start;
        assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_AGAIN);
        memcpy(segment->at, copy, segment->size);
        /* One bit is wrong. */
        segment->at[cut] = (char)(segment->at[cut] ^ 1);
        offset = start;
        status = weir_journal_read(bytes(segment), &offset, &record);
        assert_true(status == WEIR_ECORRUPT || end - cut < 8);
        segment->at[cut] = (char)(segment->at[cut] ^ 1);
    }
    test_free(copy);
    segment_drop(segment);
}

static void headers_and_offsets_are_checked(void **state) {
    (void)state;
    struct store__segment *segment = segment_make(9, 64 * 1024);
    struct weir_journal_record record;
    struct store__segment_header header;
    assert_int_equal(store__header_decode(bytes(segment), &header), WEIR_OK);
    assert_true(header.worker == 3 && header.number == 9 && header.size == 64 * 1024);
    for (size_t i = 0; i < STORE__SEGMENT_HEADER_BYTES; i++) {
        segment->at[i] = (char)(segment->at[i] ^ 0x10);
        size_t offset = 0;
        assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_ECORRUPT);
        segment->at[i] = (char)(segment->at[i] ^ 0x10);
    }
    const size_t bad[] = {1, 63, 65, segment->size + 8, SIZE_MAX - 7};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t offset = bad[i];
        assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_ECORRUPT);
    }
    size_t offset = segment->size;
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_END);
    memset(segment->at, 0, STORE__SEGMENT_HEADER_BYTES);
    offset = 0;
    assert_int_equal(weir_journal_read(bytes(segment), &offset, &record), WEIR_AGAIN);
    segment_drop(segment);
}

/* --- files --- */
static int scratch_directory(const char *scratch) {
    int directory = open(scratch, O_RDONLY | O_DIRECTORY);
    assert_true(directory >= 0);
    return directory;
}

static void segment_files(void **state) {
    (void)state;
    char scratch[SCRATCH_SIZE];
    scratch_make(scratch);
    int directory = scratch_directory(scratch);
    struct weir_error error = {.status = WEIR_OK};
    mode_t mask = umask(0);
    struct store__segment *segment = NULL;
    const struct store__journal_file file = {.instance = instance, .worker = 2, .number = 7};
    assert_int_equal(store__segment_create(directory, &file, true, &segment, &error), WEIR_OK);
    (void)umask(mask);
    assert_int_equal(store__segment_create(directory, &file, false, &segment, &error), WEIR_EIO); /* it exists */
    char name[STORE__FILE_NAME_SIZE];
    char path[PATH_SIZE];
    struct stat info;
    store__segment_name(&file, name);
    assert_string_equal(name, "01020304-0506-0708-090a-0b0c0d0e0f10-2-7.wj");
    (void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, SEGMENT);
    assert_true(info.st_blocks * 512 >= SEGMENT);
    const char *const strangers[] = {"x.wj", "01020304-0506-0708-090a-0b0c0d0e0f10-02-7.wj",
                                     "01020304-0506-0708-090a-0b0c0d0e0f10-2-0.wj",
                                     "01020304-0506-0708-090A-0b0c0d0e0f10-2-8.wj",
                                     "01020304-0506-0708-090a-0b0c0d0e0f10-2-7.wj.corrupt"};
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        int fd = openat(directory, strangers[i], O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    struct store__journal_file *files = NULL;
    size_t count = 0;
    assert_int_equal(store__journal_list(directory, &files, &count, &error), WEIR_OK);
    assert_int_equal(count, 1);
    assert_true(files[0].worker == 2 && files[0].number == 7 && !files[0].is_lock);
    weir_memory_free(files);
    store__segment_free(&segment);
    assert_int_equal(store__segment_open(directory, &file, &segment, &error), WEIR_OK);
    store__segment_free(&segment);
    store__segment_set_aside(directory, &file);
    assert_int_equal(store__segment_open(directory, &file, &segment, &error), WEIR_ENOTFOUND);
    (void)close(directory);
    scratch_remove(scratch);
}

/* The disk is full: an error in words, nothing left behind, and room again makes it work. */
static void no_room_for_a_segment(void **state) {
    (void)state;
    char scratch[SCRATCH_SIZE];
    scratch_make(scratch);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int directory = open(scratch, O_RDONLY | O_DIRECTORY);
        struct weir_error error = {.status = WEIR_OK};
        struct store__segment *segment = NULL;
        const struct store__journal_file file = {.instance = instance, .worker = 0, .number = 1};
        struct rlimit limit = {.rlim_cur = SEGMENT / 2, .rlim_max = RLIM_INFINITY};
        (void)signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(1);
        if (store__segment_create(directory, &file, false, &segment, &error) != WEIR_EFULL)
            _exit(2);
        if (error.text[0] == '\0' || segment != NULL)
            _exit(3);
        if (store__segment_open(directory, &file, &segment, &error) != WEIR_ENOTFOUND)
            _exit(4);
        limit.rlim_cur = RLIM_INFINITY;
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(5);
        if (store__segment_create(directory, &file, false, &segment, &error) != WEIR_OK)
            _exit(6);
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);
    scratch_remove(scratch);
}

static void one_process_holds_an_instance(void **state) {
    (void)state;
    char scratch[SCRATCH_SIZE];
    scratch_make(scratch);
    int directory = scratch_directory(scratch);
    struct weir_error error = {.status = WEIR_OK};
    int first = -1, second = -1;
    assert_int_equal(store__instance_lock(directory, &instance, &first, &error), WEIR_OK);
    assert_int_equal(store__instance_lock(directory, &instance, &second, &error), WEIR_EBUSY);
    store__instance_unlock(directory, &instance, &first);
    assert_int_equal(store__instance_lock(directory, &instance, &second, &error), WEIR_OK);
    store__instance_unlock(directory, &instance, &second);
    (void)close(directory);
    scratch_remove(scratch);
}

static void names_of_the_enums(void **state) {
    (void)state;
    assert_string_equal(weir_usage_source_name(WEIR_USAGE_RESERVED), "reserved");
    assert_string_equal(weir_usage_source_name(WEIR_USAGE_COUNTED), "counted");
    assert_string_equal(weir_outcome_name(WEIR_OUTCOME_ABORTED), "aborted");
    assert_string_equal(weir_outcome_name((enum weir_outcome)99), "unknown");
    assert_string_equal(weir_usage_source_name((enum weir_usage_source)99), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_come_back),
        cmocka_unit_test(empty_and_extreme_fields_come_back),
        cmocka_unit_test(long_strings_are_cut_between_characters),
        cmocka_unit_test(unbilled_records_take_no_promised_room),
        cmocka_unit_test(old_forms_are_still_read),
        cmocka_unit_test(forms_that_nobody_writes_are_refused),
        cmocka_unit_test(issued_ids_are_left_out_rather_than_cut),
        cmocka_unit_test(segments_roll_over),
        cmocka_unit_test(a_second_offer_waits),
        cmocka_unit_test(every_accepted_open_can_be_closed),
        cmocka_unit_test(torn_records),
        cmocka_unit_test(headers_and_offsets_are_checked),
        cmocka_unit_test(segment_files),
        cmocka_unit_test(no_room_for_a_segment),
        cmocka_unit_test(one_process_holds_an_instance),
        cmocka_unit_test(names_of_the_enums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
