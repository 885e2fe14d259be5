/* Timers and the loop's time. */
#include "support.h"

#include "base/clock.h"

struct note {
    struct fixture *fixture;
    struct weir_timer timer;
    int runs;
    int again; /* restarts itself that often */
    int64_t delay_ms;
    int64_t at_ns;
    int *sequence;
    int place;
    struct weir_timer *stop;
    bool done;
};

static void on_note(void *argument) {
    struct note *note = argument;
    note->runs++;
    note->at_ns = weir_clock_monotonic_ns();
    if (note->sequence != NULL) {
        note->place = ++*note->sequence;
    }
    if (note->stop != NULL) {
        weir_timer_stop(note->stop);
    }
    if (note->again > 0) {
        note->again--;
        weir_timer_start(note->fixture->loop, &note->timer, note->delay_ms, on_note, note);
    } else {
        note->done = true;
    }
}

/* Never early. How late the latest of them was, in microseconds. */
static int64_t run_some(struct fixture *fixture) {
    const int64_t delays_ms[] = {0, 1, 4, 5, 50, 255, 600, 1023, 1025, 1300};
    struct note notes[10];
    memset(notes, 0, sizeof notes);
    int64_t start_ns = weir_clock_monotonic_ns();
    for (size_t i = 0; i < 10; i++) {
        notes[i].fixture = fixture;
        weir_timer_start(fixture->loop, &notes[i].timer, delays_ms[i], on_note, &notes[i]);
    }
    int64_t latest_us = 0;
    run_until(fixture, &notes[9].done);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(notes[i].runs, 1);
        int64_t took_us = (notes[i].at_ns - start_ns) / 1000;
        assert_true(took_us >= delays_ms[i] * 1000);
        assert_false(notes[i].timer.active);
        if (took_us - delays_ms[i] * 1000 > latest_us)
            latest_us = took_us - delays_ms[i] * 1000;
    }
    return latest_us;
}

static void test_runs_in_time(void **state) {
    int64_t latest_us = INT64_MAX;
    /* Once is enough to show it: at another time the machine may be busy. */
    for (int attempt = 0; attempt < 10 && latest_us >= 50000; attempt++)
        latest_us = run_some(*state);
    assert_true(latest_us < 50000);
}

static void test_restart_and_stop(void **state) {
    struct fixture *fixture = *state;
    struct note moved = {.fixture = fixture};
    struct note stopped = {.fixture = fixture};
    int64_t start_ns = weir_clock_monotonic_ns();
    weir_timer_start(fixture->loop, &moved.timer, 5, on_note, &moved);
    weir_timer_start(fixture->loop, &stopped.timer, 5, on_note, &stopped);
    weir_timer_start(fixture->loop, &moved.timer, 60, on_note, &moved);
    weir_timer_stop(&stopped.timer);
    weir_timer_stop(&stopped.timer);
    run_until(fixture, &moved.done);
    assert_int_equal(moved.runs, 1);
    assert_int_equal(stopped.runs, 0);
    assert_true(moved.at_ns - start_ns >= 60000000);
    struct weir_timer zeroed = {0};
    weir_timer_stop(&zeroed);
}

static void test_restart_within_callback(void **state) {
    struct fixture *fixture = *state;
    struct note note = {.fixture = fixture, .again = 5, .delay_ms = 0};
    weir_timer_start(fixture->loop, &note.timer, 0, on_note, &note);
    run_until(fixture, &note.done);
    assert_int_equal(note.runs, 6);
}

static void test_stop_within_callback(void **state) {
    struct fixture *fixture = *state;
    struct note first = {.fixture = fixture};
    struct note second = {.fixture = fixture};
    first.stop = &second.timer;
    weir_timer_start(fixture->loop, &first.timer, 10, on_note, &first);
    weir_timer_start(fixture->loop, &second.timer, 10, on_note, &second);
    run_until(fixture, &first.done);
    run_for_ms(fixture, 20);
    assert_int_equal(second.runs, 0);
}

/* Due times in random order run in order of their ticks, and none is lost. */
static void test_many(void **state) {
    enum { COUNT = 5000 };
    struct fixture *fixture = *state;
    struct note *notes = test_calloc(COUNT, sizeof *notes);
    int sequence = 0;
    uint32_t seed = 12345;
    for (size_t i = 0; i < COUNT; i++) {
        seed = seed * 1664525U + 1013904223U;
        notes[i].fixture = fixture;
        notes[i].sequence = &sequence;
        notes[i].delay_ms = (seed >> 8) % 1500;
        weir_timer_start(fixture->loop, &notes[i].timer, notes[i].delay_ms, on_note, &notes[i]);
    }
    for (size_t i = 0; i < COUNT; i += 3) {
        weir_timer_stop(&notes[i].timer);
    }
    run_for_ms(fixture, 1510);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(notes[i].runs, i % 3 == 0 ? 0 : 1);
    }
    for (size_t i = 1; i < COUNT; i += 3) {
        for (size_t k = i + 3; k < i + 60 && k < COUNT; k += 3) {
            if (notes[i].delay_ms + 8 < notes[k].delay_ms) {
                assert_true(notes[i].place < notes[k].place);
            }
        }
    }
    test_free(notes);
}

/* The wheel alone, with a clock that is turned by hand: far timers come down the levels and are not early or late. */
static void test_far_away(void **state) {
    struct fixture *fixture = *state;
    const int64_t delays_ms[] = {2000, 262143, 262144, 300000, 3600000, 67108863, 90000000, 400000000};
    for (size_t i = 0; i < sizeof delays_ms / sizeof delays_ms[0]; i++) {
        struct note note = {.fixture = fixture};
        struct net_clock *clock = fixture->loop->clock;
        int64_t start_ns = weir_loop_now_ns(fixture->loop);
        weir_timer_start(fixture->loop, &note.timer, delays_ms[i], on_note, &note);
        int events = 0;
        while (note.runs == 0 && events < 100) {
            struct net_wheel *wheel = &fixture->loop->wheel;
            assert_true(wheel->armed_tick != INT64_MAX);
            int64_t wake_ns = wheel->armed_tick * NET_WHEEL_TICK_MS * 1000000;
            clock->now_ns = wake_ns > clock->now_ns ? wake_ns : clock->now_ns;
            clock->stale = false;
            wheel->timer.timer_cb(&wheel->timer);
            events++;
        }
        assert_int_equal(note.runs, 1);
        int64_t late_ms = (weir_loop_now_ns(fixture->loop) - start_ns) / 1000000 - delays_ms[i];
        assert_in_range(late_ms, 0, 10);
        assert_int_equal(fixture->loop->wheel.armed_tick, INT64_MAX);
    }
}

/* A loop that was held up, for whatever time: the only timer, which starts itself again, runs once for each time that it is due. */
static void test_late_for_any_time(void **state) {
    struct fixture *fixture = *state;
    struct net_clock *clock = fixture->loop->clock;
    struct net_wheel *wheel = &fixture->loop->wheel;
    struct note note = {.fixture = fixture, .again = 10000, .delay_ms = 1000};
    weir_timer_start(fixture->loop, &note.timer, note.delay_ms, on_note, &note);
    for (int late_ms = 0; late_ms < 3 * NET_WHEEL_SLOTS * NET_WHEEL_TICK_MS; late_ms += NET_WHEEL_TICK_MS) {
        int before = note.runs;
        clock->now_ns = (note.timer.due_ms + late_ms + NET_WHEEL_TICK_MS) * 1000000;
        clock->stale = false;
        wheel->timer.timer_cb(&wheel->timer);
        assert_int_equal(note.runs, before + 1);
        assert_true(note.timer.active);
        assert_true(wheel->armed_tick * NET_WHEEL_TICK_MS >= note.timer.due_ms);
    }
    weir_timer_stop(&note.timer);
}

/* A process without timers sleeps. */
static void test_idle_has_no_timer(void **state) {
    struct fixture *fixture = *state;
    struct weir_timer timer = {0};
    bool unused = false;
    assert_false(uv_is_active((uv_handle_t *)&fixture->loop->wheel.timer));
    weir_timer_start(fixture->loop, &timer, 1000, set_flag, &unused);
    assert_true(uv_is_active((uv_handle_t *)&fixture->loop->wheel.timer));
    assert_true(weir_loop_run_once(fixture->loop));
    weir_timer_stop(&timer);
    assert_false(uv_is_active((uv_handle_t *)&fixture->loop->wheel.timer));
    assert_false(weir_loop_run_once(fixture->loop));
}

static void test_time(void **state) {
    struct fixture *fixture = *state;
    int64_t first_ns = weir_loop_now_ns(fixture->loop);
    run_for_ms(fixture, 20);
    int64_t second_ns = weir_loop_now_ns(fixture->loop);
    assert_true(second_ns - first_ns >= 20000000);
    int64_t apart_us = weir_loop_utc_us(fixture->loop) - weir_clock_utc_us();
    assert_true(apart_us > -1000000 && apart_us < 1000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_runs_in_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_and_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_within_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stop_within_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_far_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_for_any_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle_has_no_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
