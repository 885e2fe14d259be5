/* The back codecs by dialect. */
#include "dialect/codec.h"

#define X(kind, name) extern const struct weir_back weir_back_##name;
#include "dialect/backs.def"
#undef X

static const struct weir_back *const backs[WEIR_DIALECT_COUNT] = {
#define X(kind, name) [kind] = &weir_back_##name,
#include "dialect/backs.def"
#undef X
};

const struct weir_back *weir_back_of(enum weir_dialect_kind dialect) {
    return backs[dialect];
}

bool weir_back_can(const struct weir_back *back, enum weir_task task) {
    switch (task) {
    case WEIR_TASK_GENERATE: return back != NULL && back->write_prompt != NULL;
    case WEIR_TASK_EMBED: return back != NULL && back->write_vectors_call != NULL;
    case WEIR_TASK_COUNT: return back != NULL && back->write_count_call != NULL;
    case WEIR_TASK_NONE: break;
    }
    return false;
}
