/* Asking providers for their lists of models (models_sync.c). */
#ifndef WEIR_GATEWAY_MODELS_SYNC_H
#define WEIR_GATEWAY_MODELS_SYNC_H

#include "gateway/impl.h"

struct gateway__sync;

#endif
