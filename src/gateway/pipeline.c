/* The way of a request, as a table. One small loop runs the rows; waiting, retry and fallback are that loop and nothing else. */
#include "gateway/translate.h"

#include <stdarg.h>

enum { ALWAYS = 1, RETRY_FROM = 2 };

static const struct {
    const char *name;
    enum gateway__next (*run)(struct weir_request *request);
    unsigned flags;
    enum weir_stage stage; /* what the request's record calls it */
} steps[] = {
    {"admit", gateway__step_admit, 0, WEIR_STAGE_RECEIVED}, /* may anything be served now */
    {"identify", gateway__step_identify, 0,
     WEIR_STAGE_IDENTIFIED}, /* who asks: from the head alone, before a body is taken */
    {"authorize", gateway__step_authorize, 0,
     WEIR_STAGE_AUTHORIZED}, /* may its key do this, as far as the head tells */
    {"limit", gateway__step_limit, 0,
     WEIR_STAGE_AUTHORIZED},                          /* has its caller made too many requests, or too many at once */
    {"read", gateway__step_read, 0, WEIR_STAGE_READ}, /* the body, counted as it comes */
    {"local", gateway__step_local, 0, WEIR_STAGE_UNDERSTOOD},           /* what needs no provider is answered here */
    {"understand", gateway__step_understand, 0, WEIR_STAGE_UNDERSTOOD}, /* what is asked */
    {"locate", gateway__step_locate, 0, WEIR_STAGE_ROUTED},             /* who issued the id that it names */
    {"authorize model", gateway__step_authorize_model, 0, WEIR_STAGE_ROUTED}, /* may its key use this model */
    {"route", gateway__step_route, 0, WEIR_STAGE_ROUTED},                     /* who can serve it */
    {"translate", gateway__step_translate, 0, WEIR_STAGE_ROUTED}, /* which of them can be asked in their own dialect */
    {"limit body", gateway__step_limit_body, 0,
     WEIR_STAGE_RESERVED}, /* too many streams, too many tokens, too many for its model */
    {"reserve", gateway__step_reserve, 0, WEIR_STAGE_RESERVED}, /* what it may cost at most */
    {"send", gateway__step_send, RETRY_FROM, WEIR_STAGE_SENT},  /* one attempt a turn, and the relay of its answer */
    {"settle", gateway__step_settle, ALWAYS,
     WEIR_STAGE_ANSWERED}, /* what it did cost, unless that was known before the terminal bytes */
    {"answer", gateway__step_answer, ALWAYS, WEIR_STAGE_ANSWERED}, /* tell the client, if nothing has */
    {"record", gateway__step_record, ALWAYS, WEIR_STAGE_ANSWERED}, /* metrics and the log */
};
enum { STEP_COUNT = sizeof steps / sizeof *steps };

static size_t find(size_t from, unsigned flag) {
    while (from < STEP_COUNT && (steps[from].flags & flag) == 0)
        from++;
    return from;
}

static void go(struct weir_request *request, enum gateway__next next) {
    if (next == NEXT)
        request->step++;
    else if (next == ANSWER)
        request->step = find((steps[request->step].flags & ALWAYS) != 0 ? request->step + 1 : request->step, ALWAYS);
    else if (next == RETRY)
        request->step = find(0, RETRY_FROM);
}

void gateway__run(struct weir_request *request) {
    while (request->step < STEP_COUNT) {
        request->in_step = true;
        enum gateway__next next = steps[request->step].run(request);
        request->in_step = false;
        if (next == WAIT && request->has_pending)
            next = request->pending;
        request->has_pending = false;
        if (next == WAIT)
            return;
        go(request, next);
    }
    gateway__request_free(request);
}

void gateway__resume(struct weir_request *request, enum gateway__next next) {
    gateway__unpark(request);
    if (request->in_step) { /* the row that is running waits for this already */
        request->has_pending = true;
        request->pending = next;
        return;
    }
    go(request, next);
    gateway__run(request);
}

enum gateway__next gateway__fail(struct weir_request *request, enum weir_reason reason, const char *field,
                                 const char *detail, ...) {
    if (request->reason != WEIR_REASON_NONE)
        return ANSWER;
    request->reason = reason;
    request->stage = steps[request->step].stage;
    request->field = field;
    if (detail == NULL)
        return ANSWER;
    char text[300];
    va_list arguments;
    va_start(arguments, detail);
    int length = vsnprintf(text, sizeof text, detail, arguments);
    va_end(arguments);
    size_t shown = length < 0 ? 0 : (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    if (weir_arena_dup(request->arena, weir_span_of(text, shown), &request->detail) != WEIR_OK)
        request->detail = WEIR_SPAN("");
    return ANSWER;
}
