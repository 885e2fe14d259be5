/* Spools: in memory, on disk, both; at their limit; and where the disk says no. */
#include "net/spool.h"

#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <setjmp.h>
#include <cmocka.h>

/* The file systems at hand all have O_TMPFILE: this stands before the C library's and plays one that has not. */
static bool refuse_unnamed_files;
static unsigned unnamed_files_refused;

int open(const char *path, int flags, ...) {
    if (refuse_unnamed_files && (flags & O_TMPFILE) == O_TMPFILE) {
        unnamed_files_refused++;
        errno = EOPNOTSUPP;
        return -1;
    }
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = va_arg(arguments, unsigned);
    va_end(arguments);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static char directory[] = "/tmp/weir-spool-XXXXXX";

static int make_directory(void **state) {
    (void)state;
    return mkdtemp(directory) != NULL ? 0 : -1;
}
static int remove_directory(void **state) {
    (void)state;
    return rmdir(directory); /* fails where anything was left */
}

static unsigned count_files(void) {
    unsigned count = 0;
    DIR *files = opendir(directory);
    assert_non_null(files);
    for (struct dirent *entry = readdir(files); entry != NULL; entry = readdir(files)) {
        count += entry->d_name[0] == '.' && (entry->d_name[1] == '\0' || entry->d_name[1] == '.') ? 0 : 1;
    }
    closedir(files);
    return count;
}

/* Byte number `at` of every body here. */
static char byte_at(uint64_t at) {
    return (char)(at * 7 + at / 251);
}

static enum weir_status append(struct weir_spool *spool, size_t count) {
    char *bytes = malloc(count);
    assert_non_null(bytes);
    uint64_t start = weir_spool_length(spool);
    for (size_t i = 0; i < count; i++) {
        bytes[i] = byte_at(start + i);
    }
    enum weir_status status = weir_spool_append(spool, weir_span_of(bytes, count));
    free(bytes);
    return status;
}

/* Reads all of it in pieces of `size` from `offset` on. */
static void check_from(struct weir_spool *spool, uint64_t offset, size_t size) {
    char *buffer = malloc(size);
    assert_non_null(buffer);
    struct weir_span data;
    for (;;) {
        assert_int_equal(weir_spool_read(spool, offset, buffer, size, &data), WEIR_OK);
        if (data.length == 0) {
            break;
        }
        assert_true(data.length <= size);
        for (size_t i = 0; i < data.length; i++) {
            assert_int_equal(data.at[i], byte_at(offset + i));
        }
        offset += data.length;
    }
    assert_int_equal(offset, weir_spool_length(spool));
    free(buffer);
}

static void test_memory_only(void **state) {
    (void)state;
    struct weir_spool *spool = weir_spool_new("/nowhere/at/all", 1000, 1000);
    assert_non_null(spool);
    char buffer[8];
    struct weir_span data;
    assert_int_equal(weir_spool_read(spool, 0, buffer, sizeof(buffer), &data), WEIR_OK);
    assert_int_equal(data.length, 0);
    assert_int_equal(append(spool, 400), WEIR_OK);
    assert_int_equal(append(spool, 0), WEIR_OK);
    assert_int_equal(append(spool, 600), WEIR_OK);
    assert_int_equal(weir_spool_length(spool), 1000);
    assert_false(weir_spool_is_on_disk(spool));
    check_from(spool, 0, 8);
    check_from(spool, 999, 8);
    check_from(spool, 1000, 8);
    /* A view, not a copy. */
    assert_int_equal(weir_spool_read(spool, 0, buffer, sizeof(buffer), &data), WEIR_OK);
    assert_ptr_not_equal(data.at, buffer);
    /* Past the end there is nothing. */
    assert_int_equal(weir_spool_read(spool, 5000, buffer, sizeof(buffer), &data), WEIR_OK);
    assert_int_equal(data.length, 0);
    weir_spool_free(&spool);
    assert_null(spool);
    weir_spool_free(&spool);
}

static void check_spill(size_t memory_bytes) {
    struct weir_spool *spool = weir_spool_new(directory, memory_bytes, 10 * WEIR_MIB);
    assert_non_null(spool);
    assert_int_equal(append(spool, 700), WEIR_OK);
    assert_int_equal(weir_spool_is_on_disk(spool), memory_bytes < 700);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(append(spool, 64 * WEIR_KIB + i), WEIR_OK);
        if (i % 10 == 0) {
            check_from(spool, 0, 4096); /* between appends */
        }
    }
    assert_true(weir_spool_is_on_disk(spool));
    assert_int_equal(weir_spool_length(spool), 700 + 20 * 64 * WEIR_KIB + 190);
    assert_int_equal(count_files(), 0);
    check_from(spool, 0, 64 * WEIR_KIB);
    check_from(spool, 0, 1021);
    check_from(spool, memory_bytes, 1021);
    check_from(spool, weir_spool_length(spool) - 1, 10);
    check_from(spool, weir_spool_length(spool), 10);
    weir_spool_free(&spool);
    assert_int_equal(count_files(), 0);
}

static void test_spill(void **state) {
    (void)state;
    check_spill(1000);
    check_spill(699);
    check_spill(700);
    check_spill(0);
}

static void test_named_file(void **state) {
    (void)state;
    refuse_unnamed_files = true;
    unnamed_files_refused = 0;
    mode_t mask = umask(0);
    check_spill(100);
    umask(mask);
    refuse_unnamed_files = false;
    assert_int_equal(unnamed_files_refused, 1);
}

static void test_limit(void **state) {
    (void)state;
    struct weir_spool *spool = weir_spool_new(directory, 100, 1000);
    assert_non_null(spool);
    assert_int_equal(append(spool, 999), WEIR_OK);
    assert_int_equal(append(spool, 1), WEIR_OK);
    assert_int_equal(append(spool, 0), WEIR_OK);
    assert_int_equal(append(spool, 1), WEIR_ELIMIT);
    assert_int_equal(weir_spool_length(spool), 1000);
    assert_int_equal(append(spool, 0), WEIR_ELIMIT);
    check_from(spool, 0, 64);
    weir_spool_free(&spool);
    /* Nothing of what would not fit is taken, and the failure stays. */
    spool = weir_spool_new(directory, 2000, 1000);
    assert_int_equal(append(spool, 1001), WEIR_ELIMIT);
    assert_int_equal(weir_spool_length(spool), 0);
    assert_int_equal(append(spool, 1), WEIR_ELIMIT);
    assert_false(weir_spool_is_on_disk(spool));
    weir_spool_free(&spool);
}

static void test_disk_full(void **state) {
    (void)state;
    enum { DISK_BYTES = 100000 };
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = DISK_BYTES, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct weir_spool *spool = weir_spool_new(directory, 500, 10 * WEIR_MIB);
    assert_non_null(spool);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum weir_status fits = append(spool, 500 + DISK_BYTES - 10);
    enum weir_status full = append(spool, 11);
    enum weir_status again = append(spool, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(fits, WEIR_OK);
    assert_int_equal(full, WEIR_EFULL);
    assert_int_equal(again, WEIR_EFULL);
    assert_int_equal(append(spool, 1), WEIR_EFULL);
    check_from(spool, 0, 4096);
    weir_spool_free(&spool);
    assert_int_equal(count_files(), 0);
}

static void test_no_directory(void **state) {
    (void)state;
    struct weir_spool *spool = weir_spool_new("/nowhere/at/all", 10, 1000);
    assert_non_null(spool);
    assert_int_equal(append(spool, 10), WEIR_OK);
    assert_int_equal(append(spool, 1), WEIR_EIO);
    assert_int_equal(append(spool, 1), WEIR_EIO);
    assert_int_equal(weir_spool_length(spool), 10);
    check_from(spool, 0, 4);
    weir_spool_free(&spool);
}

/* The file can be reached by its process alone, and is closed with the spool. */
static void test_file(void **state) {
    (void)state;
    int next = dup(0);
    assert_true(next >= 0);
    close(next);
    for (unsigned named = 0; named < 2; named++) {
        refuse_unnamed_files = named == 1;
        mode_t mask = umask(0);
        struct weir_spool *spool = weir_spool_new(directory, 0, 1000);
        assert_int_equal(append(spool, 1), WEIR_OK);
        umask(mask);
        struct stat status;
        assert_int_equal(fstat(next, &status), 0);
        assert_int_equal(status.st_nlink, 0);
        assert_int_equal(status.st_mode & 0777, 0600);
        assert_int_equal(fcntl(next, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        weir_spool_free(&spool);
        assert_int_equal(fcntl(next, F_GETFD), -1);
    }
    refuse_unnamed_files = false;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_only), cmocka_unit_test(test_spill),     cmocka_unit_test(test_named_file),
        cmocka_unit_test(test_limit),       cmocka_unit_test(test_disk_full), cmocka_unit_test(test_no_directory),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
