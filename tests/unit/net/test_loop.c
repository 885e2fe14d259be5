/* Deferred calls and messages between threads. */
#include "support.h"

#include <pthread.h>

struct step {
    struct weir_deferred deferred;
    struct weir_loop *loop;
    struct step *next; /* deferred by this one */
    int *sequence;
    int place;
};

static void on_step(void *argument) {
    struct step *step = argument;
    step->place = ++*step->sequence;
    if (step->next != NULL) {
        weir_loop_defer(step->loop, &step->next->deferred, on_step, step->next);
    }
}

static void test_deferred_order(void **state) {
    struct fixture *fixture = *state;
    int sequence = 0;
    struct step late = {.loop = fixture->loop, .sequence = &sequence};
    struct step first = {.loop = fixture->loop, .sequence = &sequence, .next = &late};
    struct step second = {.loop = fixture->loop, .sequence = &sequence};
    weir_loop_defer(fixture->loop, &first.deferred, on_step, &first);
    weir_loop_defer(fixture->loop, &second.deferred, on_step, &second);
    assert_int_equal(sequence, 0);
    (void)weir_loop_run_once(fixture->loop);
    assert_int_equal(first.place, 1);
    assert_int_equal(second.place, 2);
    assert_int_equal(late.place, 3);
}

struct deferring {
    struct fixture *fixture;
    struct step step;
    int place_in_callback;
};

static void on_timer_that_defers(void *argument) {
    struct deferring *deferring = argument;
    weir_loop_defer(deferring->fixture->loop, &deferring->step.deferred, on_step, &deferring->step);
    deferring->place_in_callback = deferring->step.place;
    weir_loop_stop(deferring->fixture->loop);
}

/* What a callback defers runs after it, before the loop returns. */
static void test_deferred_in_turn(void **state) {
    struct fixture *fixture = *state;
    int sequence = 0;
    struct deferring deferring = {.fixture = fixture, .step = {.loop = fixture->loop, .sequence = &sequence}};
    struct weir_timer timer = {0};
    weir_timer_start(fixture->loop, &timer, 1, on_timer_that_defers, &deferring);
    weir_loop_run(fixture->loop);
    assert_int_equal(deferring.place_in_callback, 0);
    assert_int_equal(deferring.step.place, 1);
}

enum { SENDERS = 4, EACH = 5000 };

struct inbox {
    struct weir_loop *loop;
    int next[SENDERS]; /* what is to come from each */
    int total;
    bool in_order;
};

struct letter {
    struct weir_message message;
    struct inbox *inbox;
    int sender;
    int number;
};

static void on_letter(struct weir_message *message) {
    struct letter *letter = WEIR_CONTAINER_OF(message, struct letter, message);
    struct inbox *inbox = letter->inbox;
    inbox->in_order = inbox->in_order && inbox->next[letter->sender] == letter->number;
    inbox->next[letter->sender]++;
    if (++inbox->total == SENDERS * EACH) {
        weir_loop_stop(inbox->loop);
    }
    weir_memory_free(letter);
}

struct sender {
    struct inbox *inbox;
    int index;
};

static void *send_letters(void *argument) {
    struct sender *sender = argument;
    for (int i = 0; i < EACH; i++) {
        struct letter *letter = weir_memory_new(1, sizeof *letter);
        letter->message.run = on_letter;
        letter->inbox = sender->inbox;
        letter->sender = sender->index;
        letter->number = i;
        weir_loop_post(sender->inbox->loop, &letter->message);
        if (i % 1000 == 0) {
            /* Lets the receiver fall asleep, so that waking is tried too. */
            (void)poll(NULL, 0, 2);
        }
    }
    return NULL;
}

static void on_too_late(void *argument) {
    struct fixture *fixture = argument;
    fixture->expired = true;
    weir_loop_stop(fixture->loop);
}

static void test_messages(void **state) {
    struct fixture *fixture = *state;
    struct inbox inbox = {.loop = fixture->loop, .in_order = true};
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    weir_timer_start(fixture->loop, &fixture->guard, 20000, on_too_late, fixture);
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.inbox = &inbox, .index = i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, &senders[i]), 0);
    }
    weir_loop_run(fixture->loop);
    for (int i = 0; i < SENDERS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_false(fixture->expired);
    assert_true(inbox.in_order);
    assert_int_equal(inbox.total, SENDERS * EACH);
}

struct stop_message {
    struct weir_message message;
    struct weir_loop *loop;
    int runs;
};

static void on_stop_message(struct weir_message *message) {
    struct stop_message *stop = WEIR_CONTAINER_OF(message, struct stop_message, message);
    stop->runs++;
    weir_loop_stop(stop->loop);
}

/* One that was posted before the loop runs is not lost, and run_once tells that something is left. */
static void test_posted_before(void **state) {
    struct fixture *fixture = *state;
    struct stop_message stop = {.message.run = on_stop_message, .loop = fixture->loop};
    assert_false(weir_loop_run_once(fixture->loop));
    weir_loop_post(fixture->loop, &stop.message);
    weir_loop_run(fixture->loop);
    assert_int_equal(stop.runs, 1);
    weir_loop_post(fixture->loop, &stop.message);
    weir_loop_run(fixture->loop);
    assert_int_equal(stop.runs, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_deferred_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deferred_in_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_posted_before, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
