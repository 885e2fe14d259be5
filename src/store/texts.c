/* The texts of what is kept, as lists: whoever copies a record out of the reach of its owner copies all of them. */
#include "store/texts.h"

void store__key_texts(struct weir_key_record *key, struct weir_span *texts[STORE__KEY_TEXTS]) {
    struct weir_span *const all[STORE__KEY_TEXTS] = {&key->name,   &key->workspace, &key->team, &key->user,
                                                     &key->family, &key->rules,     &key->tags, &key->replaced_by};
    memcpy(texts, all, sizeof(all));
}

void store__object_texts(struct weir_object *object, struct weir_span *texts[STORE__OBJECT_TEXTS]) {
    struct weir_span *const all[STORE__OBJECT_TEXTS] = {&object->parent, &object->id, &object->handle, &object->text};
    memcpy(texts, all, sizeof(all));
}

static enum weir_status copy(struct weir_arena *arena, struct weir_span *const *texts, size_t count) {
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < count && status == WEIR_OK; i++) {
        if (texts[i]->length > 0) {
            status = weir_arena_dup(arena, *texts[i], texts[i]);
        } else {
            *texts[i] = WEIR_SPAN("");
        }
    }
    return status;
}

enum weir_status store__key_keep(struct weir_key_record *key, struct weir_arena *arena) {
    struct weir_span *texts[STORE__KEY_TEXTS];
    store__key_texts(key, texts);
    return copy(arena, texts, STORE__KEY_TEXTS);
}

enum weir_status store__object_keep(struct weir_object *object, struct weir_arena *arena) {
    struct weir_span *texts[STORE__OBJECT_TEXTS];
    store__object_texts(object, texts);
    return copy(arena, texts, STORE__OBJECT_TEXTS);
}
