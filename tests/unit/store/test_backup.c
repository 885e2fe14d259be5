/* Backups: what is in one made under load, what a damaged or foreign one says, and that nothing is half restored. */
#include "support.h"

#include "base/clock.h"
#include "store/backup.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { MAX_REQUESTS = 20000, WRITERS = 2 };

static struct weir_store *store_open(const char *scratch) {
    const struct weir_log log = {.fd = -1};
    const struct weir_store_settings settings = {.directory = scratch,
                                                 .environment = "dev",
                                                 .workers = WRITERS,
                                                 .log = &log};
    struct weir_random random = {.left = 0};
    struct weir_store *store = NULL;
    struct weir_error error = {.text = ""};
    enum weir_status status = weir_store_new(&settings, &random, &store, &error);
    if (status != WEIR_OK)
        print_error("%s\n", error.text);
    assert_int_equal(status, WEIR_OK);
    return store;
}

/* --- load --- */

/* Writes requests one after the other, each number in steps of WRITERS; `done` are in the journal for good. */
struct writer {
    struct weir_journal *journal;
    uint64_t first;
    _Atomic uint64_t done;
    _Atomic bool stop;
    pthread_t thread;
};

static void *writer_main(void *argument) {
    struct writer *writer = argument;
    for (uint64_t i = 0; !writer->stop && i < MAX_REQUESTS / WRITERS; i++) {
        struct weir_journal_open open = sample_open(writer->first + i * WRITERS);
        struct weir_ledger_entry entry = sample_entry(writer->first + i * WRITERS);
        while (!weir_journal_ready(writer->journal))
            (void)usleep(200);
        if (weir_journal_append_open(writer->journal, &open) != WEIR_OK ||
            weir_journal_append_close(writer->journal, &entry) != WEIR_OK)
            abort();
        writer->done = i + 1;
        if (i % 16 == 0)
            (void)usleep(2000);
    }
    return NULL;
}

struct tally {
    unsigned char ok[MAX_REQUESTS];
    uint64_t crashed;
    size_t entries;
    int64_t last;
};

static enum weir_status tally_entry(void *context, const struct weir_ledger_entry *entry) {
    struct tally *tally = context;
    uint64_t number = number_of_id(&entry->request_id);
    assert_true(number < MAX_REQUESTS);
    tally->crashed += entry->outcome == WEIR_OUTCOME_CRASHED;
    tally->ok[number] = (unsigned char)(tally->ok[number] + (entry->outcome != WEIR_OUTCOME_CRASHED));
    tally->entries++;
    tally->last = entry->sequence;
    return WEIR_OK;
}

static struct tally *tally_of(const char *scratch) {
    struct weir_engine *engine = NULL;
    struct tally *tally = test_calloc(1, sizeof *tally);
    size_t before;
    assert_int_equal(weir_store_direct_open(scratch, "dev", false, &engine, NULL), WEIR_OK);
    do {
        before = tally->entries;
        const struct weir_ledger_query query = {.after_sequence = tally->last, .limit = 10000};
        assert_int_equal(weir_engine_sqlite.ledger_each(engine, &query, tally_entry, tally, NULL), WEIR_OK);
    } while (tally->entries != before);
    weir_store_direct_close(&engine);
    return tally;
}

static void path_in(const char *scratch, const char *name, char out[PATH_SIZE]) {
    (void)snprintf(out, PATH_SIZE, "%s/%s", scratch, name);
}

static void assert_status(enum weir_status status, enum weir_status expected, const struct weir_error *error) {
    if (status != expected)
        print_error("%s: %s\n", weir_status_name(status), error->text);
    assert_int_equal(status, expected);
}

static struct weir_backup_info make_backup(const char *store, const char *file,
                                           const struct weir_backup_sealer *sealer) {
    struct weir_backup_info info;
    struct weir_error error = {.text = ""};
    const struct weir_backup_order order = {.directory = store, .environment = "dev", .file = file, .sealer = sealer};
    assert_status(weir_backup_make(&order, true, &info, &error), WEIR_OK, &error);
    return info;
}

static enum weir_status restore_to(const char *file, const char *directory, const struct weir_backup_sealer *sealer,
                                   struct weir_error *error) {
    struct weir_backup_info info;
    struct weir_backup_restore restore = {.file = file, .directory = directory, .environment = "dev", .sealer = sealer};
    return weir_backup_restore(&restore, &info, error);
}

/* What was answered before a backup began is in it, once; with the database locked against the store thread, too. */
static void nothing_that_was_answered_is_missed(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], target[PATH_SIZE], name[32];
    struct writer writers[WRITERS] = {{.first = 0}, {.first = 1}};
    path_in(scratch, "live", live);
    struct weir_store *store = store_open(live);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].journal = weir_store_journal(store, i);
        assert_int_equal(pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]), 0);
    }
    for (int round = 0; round < 4; round++) {
        (void)usleep(60000);
        uint64_t answered[WRITERS] = {writers[0].done, writers[1].done};
        (void)snprintf(name, sizeof name, "%d.backup", round);
        path_in(scratch, name, file);
        struct weir_backup_info info = make_backup(live, file, NULL);
        assert_true(info.file_bytes > info.content_bytes && info.schema > 0);
        assert_string_equal(info.environment, "dev");
        (void)snprintf(name, sizeof name, "restored-%d", round);
        path_in(scratch, name, target);
        struct weir_error error = {.text = ""};
        assert_status(restore_to(file, target, NULL, &error), WEIR_OK, &error);
        struct weir_store *restored = store_open(target); /* reads the journal's rest */
        weir_store_free(&restored);
        struct tally *tally = tally_of(target);
        for (uint64_t i = 0; i < MAX_REQUESTS; i++) {
            if (i / WRITERS < answered[i % WRITERS])
                assert_int_equal(tally->ok[i], 1);
            else
                assert_true(tally->ok[i] <= 1);
        }
        assert_true(tally->crashed <= WRITERS); /* what was under way, at most one a writer */
        test_free(tally);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i].stop = true;
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    }
    weir_store_free(&store);
}

static void the_unread_journal_is_inside(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], target[PATH_SIZE], database[PATH_SIZE];
    sqlite3 *lock = NULL;
    path_in(scratch, "live", live);
    path_in(scratch, "a.backup", file);
    path_in(scratch, "target", target);
    path_in(live, "weir.db", database);
    struct weir_store *store = store_open(live);
    assert_int_equal(sqlite3_open(database, &lock), SQLITE_OK);
    assert_int_equal(sqlite3_exec(lock, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    struct writer writer = {.journal = weir_store_journal(store, 0), .first = 0};
    assert_int_equal(pthread_create(&writer.thread, NULL, writer_main, &writer), 0);
    while (writer.done < 3000)
        (void)usleep(1000);
    writer.stop = true;
    assert_int_equal(pthread_join(writer.thread, NULL), 0);
    struct weir_backup_info info = make_backup(live, file, NULL);
    assert_true(info.content_bytes - info.database_bytes > 3000 * 200); /* they are in no database */
    assert_int_equal(sqlite3_close(lock), SQLITE_OK);
    struct weir_error error = {.text = ""};
    assert_status(restore_to(file, target, NULL, &error), WEIR_OK, &error);
    struct weir_store *restored = store_open(target);
    weir_store_free(&restored);
    struct tally *tally = tally_of(target);
    for (uint64_t i = 0; i < writer.done; i++)
        assert_int_equal(tally->ok[i * WRITERS], 1);
    assert_int_equal(tally->entries, writer.done);
    test_free(tally);
    weir_store_free(&store);
}

/* --- a small one --- */

static void make_small(const char *scratch, char live[PATH_SIZE], char file[PATH_SIZE],
                       const struct weir_backup_sealer *sealer) {
    path_in(scratch, "live", live);
    path_in(scratch, "small.backup", file);
    struct weir_store *store = store_open(live);
    struct weir_journal *journal = weir_store_journal(store, 0);
    for (uint64_t i = 0; i < 20; i++) {
        struct weir_journal_open open = sample_open(i);
        struct weir_ledger_entry entry = sample_entry(i);
        assert_true(weir_journal_ready(journal));
        assert_int_equal(weir_journal_append_open(journal, &open), WEIR_OK);
        assert_int_equal(weir_journal_append_close(journal, &entry), WEIR_OK);
    }
    weir_store_free(&store);
    (void)make_backup(live, file, sealer);
}

static struct weir_span read_whole(const char *file) {
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    struct stat info;
    assert_true(fd >= 0 && fstat(fd, &info) == 0);
    char *bytes = test_malloc((size_t)info.st_size);
    assert_int_equal(read(fd, bytes, (size_t)info.st_size), info.st_size);
    (void)close(fd);
    return weir_span_of(bytes, (size_t)info.st_size);
}

static void write_whole(const char *file, struct weir_span bytes) {
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, bytes.at, bytes.length) == (ssize_t)bytes.length);
    (void)close(fd);
}

static size_t names_in(const char *directory) {
    size_t count = 0;
    DIR *listing = opendir(directory);
    struct dirent *row;
    while (listing != NULL && (row = readdir(listing)) != NULL)
        count += strcmp(row->d_name, ".") != 0 && strcmp(row->d_name, "..") != 0;
    if (listing != NULL)
        (void)closedir(listing);
    return count;
}

static void every_damage_is_found(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], target[PATH_SIZE], damaged[PATH_SIZE];
    struct weir_error error = {.text = ""};
    struct weir_backup_info info;
    make_small(scratch, live, file, NULL);
    path_in(scratch, "target", target);
    path_in(scratch, "damaged.backup", damaged);
    struct weir_span whole = read_whole(file);
    char *bytes = test_malloc(whole.length + 1);
    memcpy(bytes, whole.at, whole.length);
    assert_status(weir_backup_read(whole, WEIR_SPAN(""), &info, &error), WEIR_OK, &error);
    assert_memory_equal(info.sha256, whole.at + whole.length - 32, 32);
    for (size_t i = 0; i < whole.length; i += i < 600 || i + 60 > whole.length ? 1 : 1511) {
        bytes[i] = (char)(bytes[i] ^ (1 << (i % 8)));
        enum weir_status status = weir_backup_read(weir_span_of(bytes, whole.length), WEIR_SPAN(""), &info, &error);
        assert_status(status, WEIR_ECORRUPT, &error);
        bytes[i] = whole.at[i];
    }
    for (size_t length = 0; length < whole.length; length += length < 600 ? 7 : 4999)
        assert_status(weir_backup_read(weir_span_first(whole, length), WEIR_SPAN(""), &info, &error), WEIR_ECORRUPT,
                      &error);
    bytes[whole.length] = 0;
    assert_status(weir_backup_read(weir_span_of(bytes, whole.length + 1), WEIR_SPAN(""), &info, &error), WEIR_ECORRUPT,
                  &error);
    /* Through files: cut, longer, one byte of each chunk changed. Nothing is left where it should have gone. */
    write_whole(damaged, weir_span_first(whole, whole.length - 1));
    assert_status(restore_to(damaged, target, NULL, &error), WEIR_ECORRUPT, &error);
    assert_non_null(strstr(error.text, "cut"));
    write_whole(damaged, weir_span_of(bytes, whole.length + 1));
    assert_status(restore_to(damaged, target, NULL, &error), WEIR_ECORRUPT, &error);
    for (size_t at = 600; at < whole.length; at += 512 * 1024) {
        bytes[at] = (char)(bytes[at] ^ 1);
        write_whole(damaged, weir_span_of(bytes, whole.length));
        bytes[at] = whole.at[at];
        assert_status(restore_to(damaged, target, NULL, &error), WEIR_ECORRUPT, &error);
        assert_non_null(strstr(error.text, "chunk"));
        assert_int_equal(names_in(target), 0);
    }
    test_free(bytes);
    test_free((void *)(uintptr_t)whole.at);
}

/* --- sealed --- */

/* Not a cipher: the "sealed" key says what it is for, so that the test sees what is asked. */
struct fake_sealer {
    unsigned char mask;
    unsigned wraps, unwraps;
};

static enum weir_status fake_wrap(void *context, struct weir_span about, struct weir_span key,
                                  struct weir_buffer *wrapped) {
    struct fake_sealer *fake = context;
    fake->wraps++;
    assert_true(weir_span_starts_with(about, WEIR_SPAN("backup\ndev\n")));
    weir_buffer_append_byte(wrapped, (char)fake->mask);
    for (size_t i = 0; i < key.length; i++)
        weir_buffer_append_byte(wrapped, (char)(key.at[i] ^ fake->mask));
    return WEIR_OK;
}

static enum weir_status fake_unwrap(void *context, struct weir_span about, struct weir_span wrapped,
                                    struct weir_secret **key) {
    struct fake_sealer *fake = context;
    char bytes[WEIR_BACKUP_WRAPPED_MAX];
    fake->unwraps++;
    assert_true(weir_span_starts_with(about, WEIR_SPAN("backup\ndev\n")));
    if ((unsigned char)wrapped.at[0] != fake->mask)
        return WEIR_EDENIED;
    for (size_t i = 1; i < wrapped.length; i++)
        bytes[i - 1] = (char)(wrapped.at[i] ^ fake->mask);
    *key = weir_secret_new(weir_span_of(bytes, wrapped.length - 1));
    return *key != NULL ? WEIR_OK : WEIR_ENOMEM;
}

static void a_sealed_one_needs_its_key(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], target[PATH_SIZE];
    struct weir_error error = {.text = ""};
    struct weir_backup_info info;
    struct fake_sealer fake = {.mask = 0x5a}, other = {.mask = 0x33};
    const struct weir_backup_sealer sealer = {fake_wrap, fake_unwrap, &fake},
                                    stranger = {fake_wrap, fake_unwrap, &other};
    make_small(scratch, live, file, &sealer);
    path_in(scratch, "target", target);
    struct weir_span whole = read_whole(file);
    static const char *const canaries[] = {"gpt-4o-mini", "CREATE TABLE", "SQLite format",
                                           "req_011CSHoEeqs5C35K2UUqR7Fy"};
    for (size_t i = 0; i < 4; i++)
        assert_null(memmem(whole.at, whole.length, canaries[i], strlen(canaries[i])));
    test_free((void *)(uintptr_t)whole.at);
    assert_status(weir_backup_describe(file, &info, &error), WEIR_OK, &error);
    assert_true(info.sealed);
    assert_status(restore_to(file, target, NULL, &error), WEIR_EDENIED, &error);
    assert_status(restore_to(file, target, &stranger, &error), WEIR_EDENIED, &error);
    assert_int_equal(names_in(target), 0);
    assert_status(restore_to(file, target, &sealer, &error), WEIR_OK, &error);
    struct weir_store *restored = store_open(target);
    weir_store_free(&restored);
    struct tally *tally = tally_of(target);
    assert_int_equal(tally->entries, 20);
    test_free(tally);
    assert_true(fake.wraps == 1 && fake.unwraps == 2);
}

/* --- what is refused --- */

static void refusals_change_nothing(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], target[PATH_SIZE];
    struct weir_error error = {.text = ""};
    struct weir_backup_info info;
    make_small(scratch, live, file, NULL);
    path_in(scratch, "target", target);
    struct weir_backup_restore restore = {.file = file, .directory = target, .environment = "prod"};
    assert_status(weir_backup_restore(&restore, &info, &error), WEIR_EDENIED, &error);
    assert_non_null(strstr(error.text, "\"dev\""));
    assert_int_equal(access(target, F_OK), -1);
    restore.environment = NULL; /* any, for a look at it */
    restore.directory = scratch;
    assert_status(weir_backup_verify(&restore, &info, &error), WEIR_OK, &error);
    assert_int_equal(names_in(scratch), 2); /* the store and the backup: the copy is gone */
    /* The database is there; then a server runs on it. */
    assert_status(restore_to(file, live, NULL, &error), WEIR_EEXIST, &error);
    struct weir_store *store = store_open(live);
    restore = (struct weir_backup_restore){.file = file, .directory = live, .environment = "dev", .replace = true};
    assert_status(weir_backup_restore(&restore, &info, &error), WEIR_EBUSY, &error);
    weir_store_free(&store);
    /* Two backups of one name; a store that is not there; another environment's. */
    struct weir_backup_order order = {.directory = live, .environment = "dev", .file = file};
    assert_status(weir_backup_make(&order, false, &info, &error), WEIR_EEXIST, &error);
    order.file = target;
    order.directory = scratch;
    assert_status(weir_backup_make(&order, false, &info, &error), WEIR_ENOTFOUND, &error);
    order.directory = live;
    order.environment = "stage";
    assert_status(weir_backup_make(&order, false, &info, &error), WEIR_EDENIED, &error);
    _Atomic bool cancel = true;
    order.environment = "dev";
    order.cancel = &cancel;
    assert_status(weir_backup_make(&order, false, &info, &error), WEIR_ECLOSED, &error);
    assert_int_equal(names_in(scratch), 2);
}

static void the_replaced_database_is_kept(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], kept[PATH_SIZE], old[PATH_SIZE];
    struct weir_error error = {.text = ""};
    struct weir_backup_info info;
    make_small(scratch, live, file, NULL);
    struct weir_store *store = store_open(live);
    struct weir_journal *journal = weir_store_journal(store, 0);
    struct weir_journal_open open = sample_open(77);
    struct weir_ledger_entry entry = sample_entry(77);
    assert_true(weir_journal_ready(journal));
    assert_int_equal(weir_journal_append_open(journal, &open), WEIR_OK);
    assert_int_equal(weir_journal_append_close(journal, &entry), WEIR_OK);
    weir_store_free(&store);
    struct weir_backup_restore restore = {.file = file, .directory = live, .environment = "dev", .replace = true};
    assert_status(weir_backup_restore(&restore, &info, &error), WEIR_OK, &error);
    struct tally *tally = tally_of(live);
    assert_int_equal(tally->entries, 20);
    test_free(tally);
    assert_true(restore.replaced[0] != '\0');
    path_in(live, restore.replaced, old);
    path_in(scratch, "kept", kept);
    assert_int_equal(mkdir(kept, 0700), 0);
    path_in(scratch, "kept/weir.db", file);
    assert_int_equal(rename(old, file), 0);
    tally = tally_of(kept);
    assert_int_equal(tally->entries, 21);
    test_free(tally);
}

static void run_sql(const char *store, const char *sql) {
    char database[PATH_SIZE];
    sqlite3 *handle = NULL;
    path_in(store, "weir.db", database);
    assert_int_equal(sqlite3_open(database, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
}

/* Tables or a form that only a later program knows; a database that is no database. */
static void newer_ones_are_refused(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], target[PATH_SIZE], newer[PATH_SIZE];
    struct weir_error error = {.text = ""};
    struct weir_backup_info info;
    make_small(scratch, live, file, NULL);
    path_in(scratch, "target", target);
    path_in(scratch, "newer.backup", newer);
    struct weir_span whole = read_whole(file);
    char *bytes = test_malloc(whole.length);
    memcpy(bytes, whole.at, whole.length);
    bytes[8] = 2;
    uint32_t crc = weir_crc32c(0, weir_span_of(bytes, 508));
    memcpy(bytes + 508, &crc, sizeof crc);
    write_whole(newer, weir_span_of(bytes, whole.length));
    assert_status(restore_to(newer, target, NULL, &error), WEIR_EDENIED, &error);
    assert_non_null(strstr(error.text, "newer weir"));
    assert_int_equal(unlink(newer), 0);
    test_free(bytes);
    test_free((void *)(uintptr_t)whole.at);
    run_sql(live, "UPDATE meta SET value = 9999 WHERE name IN ('schema_version', 'schema_step')");
    const struct weir_backup_order order = {.directory = live, .environment = "dev", .file = newer};
    assert_status(weir_backup_make(&order, true, &info, &error), WEIR_EDENIED, &error);
    assert_int_equal(access(newer, F_OK), -1); /* what cannot be verified gets no name */
    assert_status(weir_backup_make(&order, false, &info, &error), WEIR_OK, &error);
    assert_int_equal(info.schema, 9999);
    assert_status(restore_to(newer, target, NULL, &error), WEIR_EDENIED, &error);
    assert_int_equal(names_in(target), 0);
}

static void copy_whole(const char *from, const char *to) {
    struct weir_span bytes = read_whole(from);
    assert_true(bytes.length > 0);
    write_whole(to, bytes);
    test_free((void *)(uintptr_t)bytes.at);
}

/* The log of a database that is gone would be read into the restored one. */
static void a_log_without_its_database_is_put_aside(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], target[PATH_SIZE], log[PATH_SIZE], old_log[PATH_SIZE];
    struct weir_error error = {.text = ""};
    sqlite3 *handle = NULL;
    make_small(scratch, live, file, NULL);
    path_in(scratch, "target", target);
    assert_int_equal(mkdir(target, 0700), 0);
    path_in(live, "weir.db", log);
    path_in(live, "weir.db-wal", old_log);
    assert_int_equal(sqlite3_open(log, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "PRAGMA wal_autocheckpoint = 0; DELETE FROM ledger", NULL, NULL, NULL),
                     SQLITE_OK);
    path_in(target, "weir.db-wal", log);
    copy_whole(old_log, log);
    assert_int_equal(sqlite3_close(handle), SQLITE_OK);
    assert_status(restore_to(file, target, NULL, &error), WEIR_OK, &error);
    struct tally *tally = tally_of(target);
    assert_int_equal(tally->entries, 20);
    test_free(tally);
}

/* Who has the database open would go on writing to the one that was put aside. */
static void a_database_in_use_is_not_replaced(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE];
    struct weir_error error = {.text = ""};
    struct weir_backup_info info;
    struct weir_engine *engine = NULL;
    make_small(scratch, live, file, NULL);
    size_t names = names_in(live);
    assert_int_equal(weir_store_direct_open(live, "dev", false, &engine, NULL), WEIR_OK);
    struct weir_backup_restore restore = {.file = file, .directory = live, .environment = "dev", .replace = true};
    assert_status(weir_backup_restore(&restore, &info, &error), WEIR_EBUSY, &error);
    assert_non_null(strstr(error.text, "another process"));
    weir_store_direct_close(&engine);
    assert_int_equal(names_in(live), names);
    assert_status(weir_backup_restore(&restore, &info, &error), WEIR_OK, &error);
}

/* Half a restore is no store: nobody opens it, and the next restore takes back what the first one has put into the journal. */
static void an_interrupted_one_is_not_used(void **state) {
    const char *scratch = *state;
    char live[PATH_SIZE], file[PATH_SIZE], note[PATH_SIZE], segment[PATH_SIZE];
    struct weir_error error = {.text = ""};
    struct weir_engine *engine = NULL;
    struct weir_store *store = NULL;
    struct weir_random random = {.left = 0};
    struct weir_store_migration migration = {.count = 0};
    struct weir_backup_info info;
    make_small(scratch, live, file, NULL);
    path_in(live, "weir.db.restoring", note);
    path_in(live, "journal/left-by-the-dead", segment);
    write_whole(note, WEIR_SPAN("left-by-the-dead\n"));
    write_whole(segment, WEIR_SPAN("x"));
    const struct weir_log log = {.fd = -1};
    const struct weir_store_settings settings = {.directory = live, .environment = "dev", .workers = 1, .log = &log};
    assert_status(weir_store_new(&settings, &random, &store, &error), WEIR_EBUSY, &error);
    assert_non_null(strstr(error.text, "restore again"));
    assert_status(weir_store_direct_open(live, "dev", false, &engine, &error), WEIR_EBUSY, &error);
    assert_status(weir_store_direct_migration(live, "dev", &migration, &error), WEIR_EBUSY, &error);
    char other[PATH_SIZE];
    path_in(scratch, "other.backup", other);
    const struct weir_backup_order order = {.directory = live, .environment = "dev", .file = other};
    assert_status(weir_backup_make(&order, false, &info, &error), WEIR_EBUSY, &error);
    struct weir_backup_restore restore = {.file = file, .directory = live, .environment = "dev", .replace = true};
    assert_status(weir_backup_restore(&restore, &info, &error), WEIR_OK, &error);
    assert_int_equal(access(note, F_OK), -1);
    assert_int_equal(access(segment, F_OK), -1);
    struct tally *tally = tally_of(live);
    assert_int_equal(tally->entries, 20);
    test_free(tally);
}

static int set_up(void **state) {
    char *scratch = test_malloc(SCRATCH_SIZE);
    scratch_make(scratch);
    *state = scratch;
    return 0;
}

static int tear_down(void **state) {
    scratch_remove(*state);
    test_free(*state);
    return 0;
}

#define IN_SCRATCH(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_SCRATCH(nothing_that_was_answered_is_missed),
        IN_SCRATCH(the_unread_journal_is_inside),
        IN_SCRATCH(every_damage_is_found),
        IN_SCRATCH(a_sealed_one_needs_its_key),
        IN_SCRATCH(refusals_change_nothing),
        IN_SCRATCH(the_replaced_database_is_kept),
        IN_SCRATCH(newer_ones_are_refused),
        IN_SCRATCH(a_log_without_its_database_is_put_aside),
        IN_SCRATCH(a_database_in_use_is_not_replaced),
        IN_SCRATCH(an_interrupted_one_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
