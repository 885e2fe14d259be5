/* Copies of records: their texts moved into memory of the copy's own. */
#ifndef WEIR_STORE_TEXTS_H
#define WEIR_STORE_TEXTS_H

#include "store/store.h"

enum { STORE__KEY_TEXTS = 8, STORE__OBJECT_TEXTS = 4 };
/* Every span of the record. */
void store__key_texts(struct weir_key_record *key, struct weir_span *texts[STORE__KEY_TEXTS]);
void store__object_texts(struct weir_object *object, struct weir_span *texts[STORE__OBJECT_TEXTS]);
/* Moves them into the arena. WEIR_ENOMEM: some are, and the record is of no use. Empty ones point to what lives always. */
WEIR_MUST enum weir_status store__key_keep(struct weir_key_record *key, struct weir_arena *arena);
WEIR_MUST enum weir_status store__object_keep(struct weir_object *object, struct weir_arena *arena);

#endif
