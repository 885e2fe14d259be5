/* Every built-in maximum, in one place. Configurable limits have their defaults in option tables, bounded by these. */
#ifndef WEIR_BASE_LIMITS_H
#define WEIR_BASE_LIMITS_H

#include <stddef.h>

#define WEIR_KIB ((size_t)1024)
#define WEIR_MIB (1024 * WEIR_KIB)

#define WEIR_MAX_HEAD_BYTES (64 * WEIR_KIB)            /* request or response head, start line included */
#define WEIR_MAX_HEAD_FIELDS ((size_t)100)             /* fields in one head */
#define WEIR_MAX_URI_BYTES (16 * WEIR_KIB)             /* request target */
#define WEIR_MAX_TRAILER_BYTES (16 * WEIR_KIB)         /* trailer section */
#define WEIR_MAX_JSON_DEPTH 512U                       /* nesting that we follow */
#define WEIR_MAX_EVENT_BYTES (4 * WEIR_MIB)            /* one server-sent event */
#define WEIR_MAX_STREAM_PENDING_BYTES (256 * WEIR_KIB) /* unsent bytes to one peer before reading its source stops */
#define WEIR_READ_BUFFER_BYTES (64 * WEIR_KIB)         /* one per loop, shared by its connections */
#define WEIR_MAX_BUFFERED_ANSWER_BYTES (1 * WEIR_MIB)  /* JSON answers up to this are held to add usedCUMilli */
#define WEIR_MAX_LIST_BYTES (16 * WEIR_MIB)         /* a list of files or batches: held to leave out those of others */
#define WEIR_MAX_VECTORS_BYTES (16 * WEIR_MIB)      /* embeddings that are asked for as base64: held to be written so */
#define WEIR_MAX_REQUEST_ARENA_BYTES (8 * WEIR_MIB) /* besides the body */
#define WEIR_MAX_TRANSLATED_ANSWER_BYTES (16 * WEIR_MIB) /* an answer in another dialect: held to be written anew */
#define WEIR_MAX_TRANSLATED_BYTES (64 * WEIR_MIB)        /* a body that is written in another dialect */
#define WEIR_MAX_EXCHANGE_ARENA_BYTES (64 * WEIR_MIB)    /* what one request's body says, and what one answer does */
#define WEIR_MAX_TAGS ((size_t)10)
#define WEIR_MAX_TAG_BYTES ((size_t)64)
#define WEIR_MAX_CLIENT_REQUEST_ID_BYTES ((size_t)128)
#define WEIR_MAX_CONFIG_BYTES (4 * WEIR_MIB)
#define WEIR_MAX_KEY_BYTES ((size_t)128)       /* a whole API key */
#define WEIR_MAX_RULES_BYTES (64 * WEIR_KIB)   /* what a key may, as JSON */
#define WEIR_MAX_RULE_NAMES ((size_t)256)      /* in one list of it */
#define WEIR_MAX_RULE_NAME_BYTES ((size_t)256) /* one of them */
#define WEIR_MAX_RULE_STARS ((size_t)8)        /* in one of them */
#define WEIR_MAX_SECRET_BYTES (64 * WEIR_KIB)  /* a secret in a file */
#define WEIR_MAX_ATTEMPTS 8U                   /* of one request */

#endif
