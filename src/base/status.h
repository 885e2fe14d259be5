/* The one failure language of the program.
 *
 * Whatever can fail returns enum weir_status. What a client or an operator is told is a reason (reasons.h), never a
 * status. Text about a failure is written once, where the failure is known, into a caller's struct weir_error.
 */
#ifndef WEIR_BASE_STATUS_H
#define WEIR_BASE_STATUS_H

#define WEIR_MUST __attribute__((warn_unused_result))
#define WEIR_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))

enum weir_status {
    WEIR_OK = 0,
    WEIR_AGAIN,     /* not a failure: nothing to give yet, the loop calls back */
    WEIR_END,       /* not a failure: the sequence or stream is over */
    WEIR_EINVAL,    /* the input is wrong */
    WEIR_EPROTO,    /* a peer broke its protocol */
    WEIR_ELIMIT,    /* a configured or built-in maximum is reached */
    WEIR_ENOMEM,    /* no memory within the cap */
    WEIR_ENOTFOUND, /* no such thing */
    WEIR_EEXIST,    /* there is one already */
    WEIR_EBUSY,     /* somebody else holds it */
    WEIR_EFULL,     /* no space: disk, segment, queue */
    WEIR_EIO,       /* the system refused a read or write */
    WEIR_ECLOSED,   /* the peer or owner has closed it */
    WEIR_ETIMEOUT,  /* too late */
    WEIR_EDENIED,   /* not permitted */
    WEIR_ECORRUPT,  /* stored bytes fail their checksum or shape */
    WEIR_ESTALE,    /* it has changed since it was read */
    WEIR_STATUS_COUNT
};

/* What went wrong, in words for a log or a terminal. `text` is always NUL-terminated. */
struct weir_error {
    enum weir_status status;
    char text[400];
};

/* Fills *error (which may be NULL) and returns `status`, so that a failing function ends in one line. */
enum weir_status weir_fail(struct weir_error *error, enum weir_status status, const char *format, ...)
    WEIR_PRINTF(3, 4);

/* The status's name in lower case, e.g. "not_found". Static storage. */
const char *weir_status_name(enum weir_status status);

/* Aborts in every build: for our own mistakes only. No foreign byte may ever decide `condition`. */
#define weir_bug_on(condition) ((condition) ? weir_bug_at(__FILE__, __LINE__, #condition) : (void)0)
_Noreturn void weir_bug_at(const char *file, int line, const char *condition);

#endif
