/* The translated way of a request: for candidates that do not speak the dialect in which it was asked (docs/architecture.md, "The translated way").
 *
 * What a request needs for it is one object, which its worker keeps for the next: the common request costs nothing for any of this. The body is read once, whatever
 * the number of candidates; it is written anew for each attempt.
 */
#ifndef WEIR_GATEWAY_TRANSLATE_H
#define WEIR_GATEWAY_TRANSLATE_H

#include "dialect/codec.h"
#include "gateway/impl.h"

struct gateway__translation {
    struct weir_list link;              /* among the worker's spare ones */
    struct weir_arena *arena, *scratch; /* of the exchange */
    struct weir_exchange exchange;
    struct weir_call_problem problem; /* why the first of those was passed over that were; NONE: none was */
    enum weir_task task;
    bool is_strict; /* what would be ignored is refused */
    bool is_read;   /* the two below are filled, or `read_status` says why not */
    enum weir_status read_status;
    struct weir_call_problem read_problem;
    struct weir_prompt prompt;        /* of GENERATE and COUNT */
    struct weir_vectors_call vectors; /* of EMBED */

    /* the current attempt */
    const struct weir_back *back; /* NULL: it goes as it came */
    size_t written_for;           /* the candidate's number, from 1, for which `body` is; 0: none */
    struct weir_back_target target;
    struct weir_buffer body; /* what the provider is asked; then, of a whole answer, what the client gets */
    void *front_stream, *back_stream;
    bool has_usage;  /* of a stream: some has been told */
    bool has_ended;  /* the provider's stream is whole */
    bool has_failed; /* `error` tells of it */
    struct weir_provider_error error;
    struct weir_span provider_code; /* plain */
    unsigned retry_after_seconds;   /* that the error's body asks for; 0: not said */
};

/* --- translate.c --- */
/* Leaves the candidates that can be asked. NEXT; ANSWER where none can, or where the answer needs no provider. */
enum gateway__next gateway__step_translate(struct weir_request *request);
/* Before an attempt at `target`: writes what it is asked, where it has to be translated. NEXT; RETRY: it is passed over; ANSWER. */
enum gateway__next gateway__translate_attempt(struct weir_request *request, const struct weir_target *target);
/* Ends the request with what is wrong with its body. */
enum gateway__next gateway__fail_with_problem(struct weir_request *request, const struct weir_call_problem *problem);
/* Gives it back to the worker. */
void gateway__translation_end(struct weir_request *request);
/* At the worker's end. */
void gateway__translations_free_spare(struct weir_worker *worker);
/* x-weir-ignored-params, where something was ignored. */
void gateway__write_ignored(const struct weir_request *request, struct weir_buffer *out);
/* The same names for the request's record; empty without. */
struct weir_span gateway__ignored_names(const struct weir_request *request, struct weir_buffer *text);

/* --- translate_answer.c --- */
/* The provider's answer begins: how it will be read. */
enum weir_status gateway__translate_head(struct weir_request *request);
/* A whole one has come. */
enum gateway__next gateway__translate_whole(struct weir_request *request);
/* What the provider says went wrong becomes the request's detail. */
void gateway__translate_error(struct weir_request *request, struct weir_span body);
void gateway__note_provider_error(struct weir_request *request, const struct weir_provider_error *error);
/* The fields of a provider's error that say when to come back. */
void gateway__write_retry_fields(const struct weir_request *request, struct weir_buffer *out);
/* A count that no provider is asked for. */
enum gateway__next gateway__answer_estimated_count(struct weir_request *request);

/* --- translate_stream.c --- */
struct weir_span gateway__stream_type(const struct weir_request *request);
/* WEIR_OK; WEIR_END: it has failed, and the request knows why. *has_ended: the stream is whole. */
enum weir_status gateway__translate_event(struct weir_request *request, const struct weir_sse_event *event);
/* The body has ended: whether the stream is whole. */
bool gateway__translate_body_end(struct weir_request *request);
/* The last bytes of the front's stream, behind the settling. */
void gateway__translate_end(struct weir_request *request);
WEIR_MUST enum weir_status gateway__translate_begin_streams(struct weir_request *request);
/* A whole answer, told as the stream that was asked for. */
WEIR_MUST enum weir_status gateway__translate_tell(struct weir_request *request, const struct weir_reply *reply);

static inline bool gateway__is_translated(const struct weir_request *request) {
    return request->translation != NULL && request->translation->back != NULL;
}

#endif
