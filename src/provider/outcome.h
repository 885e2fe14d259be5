/* What an upstream's answer means for the request: a reason, and whether another target may be tried. */
#ifndef WEIR_PROVIDER_OUTCOME_H
#define WEIR_PROVIDER_OUTCOME_H

#include "base/reasons.h"

struct weir_provider_outcome {
    enum weir_reason reason; /* NONE: an answer for the client as it is (also a 400: the client's own mistake) */
    bool may_fall_back;      /* another target may do better */
    bool show_body;          /* the provider's own error text may be shown; false where it may quote a credential */
    unsigned client_status;  /* the status for the client */
};

/* By the HTTP status of an answer head. */
struct weir_provider_outcome weir_provider_classify(unsigned status);
/* Whether a failure without an answer lets another target be tried: connecting failed, or no first byte in time. */
bool weir_provider_may_fall_back(enum weir_reason reason);

#endif
