/* Captured contents: what was said in a request and its answer, redacted and sealed by who captured it, kept by the request's id until it expires.
 *
 * The store sees blobs alone and never a key. Contents are not in the journal: what a worker has handed over and the store's thread has not written
 * yet is lost with the process, and what does not fit is left out and counted. Neither touches the ledger or the request's record.
 */
#ifndef WEIR_STORE_CONTENTS_H
#define WEIR_STORE_CONTENTS_H

#include "base/span.h"

struct weir_content {
    int64_t number; /* grows with every content */
    struct weir_span request_id;
    struct weir_span workspace;
    int64_t created_utc_us, expires_utc_us;
    struct weir_span blob;
};

/* Of what waits for the store's thread. */
enum { WEIR_CONTENTS_WAITING = 256 };
#define WEIR_CONTENTS_WAITING_BYTES ((size_t)8 * 1024 * 1024)

#endif
