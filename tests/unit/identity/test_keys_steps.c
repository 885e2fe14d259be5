/* How many instructions a look-up takes: counted one by one in a child that is traced, so that the numbers are the same on any machine and at any
 * load. A look-up is as cheap among a million keys as among ten, and a hash that is nearly right costs exactly what one that is all wrong costs.
 */
#include "identity/keys.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* ThreadSanitizer counts along, with instructions of its own that are never twice the same. */
#if defined(__SANITIZE_THREAD__)
enum { CAN_COUNT = 0 };
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
enum { CAN_COUNT = 0 };
#else
enum { CAN_COUNT = 1 };
#endif
#else
enum { CAN_COUNT = 1 };
#endif

/* Between two stops of its own the child does the deed. */
static void trace_me(void (*deed)(const void *), const void *argument) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(1);
    (void)raise(SIGSTOP);
    deed(argument);
    (void)raise(SIGSTOP);
    _exit(0);
}

/* Instructions of the deed, and of the two calls around it; -1 where this system lets nobody count. */
static long steps_of(void (*deed)(const void *), const void *argument) {
    pid_t child = fork();
    if (child == 0)
        trace_me(deed, argument);
    int status = 0;
    long steps = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return -1;
    for (bool stopped = false; !stopped; steps++) {
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child ||
            !WIFSTOPPED(status)) {
            steps = -1;
            break;
        }
        stopped = WSTOPSIG(status) == SIGSTOP;
    }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return steps;
}

static void nothing(const void *argument) {
    (void)argument;
}

enum { LOOK_UPS = 16 };
struct look_ups {
    const struct weir_keys *keys;
    unsigned char hashes[LOOK_UPS][WEIR_KEY_HASH_SIZE];
    size_t count;
    bool found;
};

static void look_up(const void *argument) {
    const struct look_ups *all = argument;
    for (size_t i = 0; i < all->count; i++)
        if ((weir_keys_find(all->keys, all->hashes[i]) != NULL) != all->found)
            _exit(1); /* and the count is none */
}

/* Of one look-up, without what counting itself takes. */
static double each(const struct look_ups *all) {
    long empty = CAN_COUNT ? steps_of(nothing, NULL) : -1, steps = empty < 0 ? -1 : steps_of(look_up, all);
    if (empty < 0)
        skip(); /* nobody may trace here either: valgrind, a sandbox that forbids it */
    assert_true(steps > empty);
    return (double)(steps - empty) / (double)all->count;
}

/* A stand-in for SHA-256: as if at random in all bytes (splitmix64), a different one for each number. */
static void hash_of(uint64_t number, unsigned char hash[WEIR_KEY_HASH_SIZE]) {
    for (size_t i = 0; i < WEIR_KEY_HASH_SIZE; i += sizeof(number)) {
        number += UINT64_C(0x9E3779B97F4A7C15);
        uint64_t mixed = (number ^ (number >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
        mixed ^= mixed >> 31;
        memcpy(hash + i, &mixed, sizeof(mixed));
    }
}

static struct weir_keys *table_of(uint64_t count) {
    struct weir_keys *keys = NULL;
    assert_int_equal(weir_keys_new(1, &keys), WEIR_OK);
    for (uint64_t number = 0; number < count; number++) {
        struct weir_key_record record = {.name = WEIR_SPAN("n"), .workspace = WEIR_SPAN("default")};
        hash_of(number, record.hash);
        assert_int_equal(weir_keys_apply(keys, &record, NULL), WEIR_OK);
    }
    return keys;
}

static void a_look_up_among_a_million_keys_costs_as_much_as_among_ten(void **state) {
    (void)state;
    static const uint64_t counts[] = {10, 1000000};
    enum { COUNTS = sizeof(counts) / sizeof(counts[0]) };
    double known[COUNTS], unknown[COUNTS];
    for (size_t i = 0; i < COUNTS; i++) {
        struct look_ups all = {.keys = table_of(counts[i]), .count = LOOK_UPS, .found = true};
        struct weir_keys *table = (struct weir_keys *)(uintptr_t)all.keys;
        for (uint64_t n = 0; n < LOOK_UPS; n++)
            hash_of(n * counts[i] / LOOK_UPS, all.hashes[n]);
        known[i] = each(&all);
        all.found = false;
        for (uint64_t n = 0; n < LOOK_UPS; n++)
            hash_of(counts[i] + n, all.hashes[n]);
        unknown[i] = each(&all);
        weir_keys_free(&table);
        print_message("%llu keys: %.0f instructions for a known one, %.0f for an unknown one\n",
                      (unsigned long long)counts[i], known[i], unknown[i]);
    }
    /* Half of the places are taken at most, so that one look in two goes on to the next place. A search by halves would take seven times as many
     * steps among a million, a list a hundred thousand times. */
    for (size_t i = 1; i < COUNTS; i++) {
        assert_true(known[i] < 2 * known[0]);
        assert_true(unknown[i] < 3 * known[0]);
    }
}

static void a_near_miss_takes_as_long_as_a_far_one(void **state) {
    (void)state;
    struct look_ups all = {.keys = table_of(1), .count = 1};
    struct weir_keys *table = (struct weir_keys *)(uintptr_t)all.keys;
    double first = 0;
    /* All of these are led to the same place by their first bytes. One byte is wrong, ever further from the beginning; then all are. */
    static const size_t places[] = {8, 9, 20, 31, WEIR_KEY_HASH_SIZE};
    for (size_t place = 0; place < sizeof(places) / sizeof(places[0]); place++) {
        size_t at = places[place];
        hash_of(0, all.hashes[0]);
        for (size_t i = sizeof(size_t); i < WEIR_KEY_HASH_SIZE; i++)
            if (i == at || at == WEIR_KEY_HASH_SIZE)
                all.hashes[0][i] ^= 0xFF;
        double steps = each(&all);
        if (first == 0)
            first = steps;
        assert_true(steps == first);
    }
    print_message("%.0f instructions, wherever the difference is\n", first);
    weir_keys_free(&table);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_up_among_a_million_keys_costs_as_much_as_among_ten),
        cmocka_unit_test(a_near_miss_takes_as_long_as_a_far_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
