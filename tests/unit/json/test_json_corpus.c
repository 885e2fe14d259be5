/* The scanner against the public JSON parsing corpus: y_ files are accepted, n_ files refused, i_ files may go either
 * way.
 *
 * The corpus is no part of this project. It is looked for in $WEIR_CORPORA, by default in the folder shared/corpora
 * beside the source root; where it is missing, the test says so in one line and is skipped.
 */
#include "json/scan.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { FILE_MAX_BYTES = 1 << 20, PATH_BYTES = 512 };

static void run_program(const char *const arguments[]) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char *copy[8] = {NULL};
        for (size_t i = 0; arguments[i] != NULL; i++)
            copy[i] = strdup(arguments[i]);
        (void)execvp(copy[0], copy);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static size_t read_file(const char *path, char *into, size_t most) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(into, 1, most, file);
    assert_true(length < most);
    (void)fclose(file);
    return length;
}

static enum weir_status scan_file(const char *path, char *memory) {
    size_t length = read_file(path, memory, FILE_MAX_BYTES);
    char *exact = malloc(length > 0 ? length : 1); /* not a byte to spare */
    assert_non_null(exact);
    memcpy(exact, memory, length);
    struct weir_json_found root;
    struct weir_json_problem problem;
    enum weir_status status = weir_json_scan(weir_span_of(exact, length), NULL, 0, NULL, &root, &problem);
    free(exact);
    return status;
}

static void scan_folder(const char *folder, size_t counts[3]) {
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    char *memory = malloc(FILE_MAX_BYTES);
    assert_non_null(memory);
    size_t wrong = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '\0' || entry->d_name[1] != '_')
            continue;
        char path[2 * PATH_BYTES];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        enum weir_status status = scan_file(path, memory);
        char expectation = entry->d_name[0];
        counts[expectation == 'y' ? 0 : expectation == 'n' ? 1 : 2]++;
        if ((expectation == 'y' && status != WEIR_OK) || (expectation == 'n' && status == WEIR_OK)) {
            (void)printf("%s: %s\n", entry->d_name, weir_status_name(status));
            wrong++;
        }
    }
    (void)closedir(directory);
    free(memory);
    assert_int_equal(wrong, 0);
}

static void agrees_with_the_corpus(void **state) {
    (void)state;
    const char *corpora = getenv("WEIR_CORPORA");
    if (corpora == NULL || corpora[0] == '\0')
        corpora = WEIR_SOURCE_ROOT "/../shared/corpora";
    char archive[PATH_BYTES];
    (void)snprintf(archive, sizeof(archive), "%s/json-parsing.tar.gz", corpora);
    if (access(archive, R_OK) != 0) {
        (void)printf("skipped: json-parsing.tar.gz is missing (github nst/JSONTestSuite, commit 1ef36fa)\n");
        skip();
    }
    char folder[] = "/tmp/weir-json-corpus-XXXXXX";
    assert_non_null(mkdtemp(folder));
    run_program((const char *const[]){"tar", "-xzf", archive, "-C", folder, NULL});
    char inside[PATH_BYTES];
    (void)snprintf(inside, sizeof(inside), "%s/test_parsing", folder);
    size_t counts[3] = {0};
    scan_folder(inside, counts);
    run_program((const char *const[]){"rm", "-r", folder, NULL});
    assert_true(counts[0] > 90 && counts[1] > 180 && counts[2] > 30);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_corpus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
