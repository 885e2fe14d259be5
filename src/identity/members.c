/* A JSON object's members into places of a struct, by a table. */
#include "identity/impl.h"

#include "json/scan.h"

enum { MOST_MEMBERS = 24 };

static enum weir_status read_text(struct weir_arena *arena, struct weir_span token, struct weir_span *to) {
    size_t length = 0;
    char *out = weir_arena_alloc_raw(arena, token.length);
    if (out == NULL)
        return WEIR_ENOMEM;
    if (weir_json_decode(token, out, token.length, &length) != WEIR_OK)
        return WEIR_ECORRUPT;
    *to = weir_span_of(out, length);
    return WEIR_OK;
}

static enum weir_status read_one(struct weir_arena *arena, const struct weir_json_found *found,
                                 const struct identity__member *member) {
    if (found->kind == WEIR_JSON_NONE || found->kind == WEIR_JSON_NULL)
        return WEIR_OK;
    if (member->kind == IDENTITY_TEXT && found->kind == WEIR_JSON_STRING)
        return read_text(arena, found->value, member->to);
    if (member->kind == IDENTITY_NUMBER && found->kind == WEIR_JSON_NUMBER)
        return weir_json_int64(found->value, member->to) == WEIR_OK ? WEIR_OK : WEIR_ECORRUPT;
    if (member->kind == IDENTITY_FLAG && (found->kind == WEIR_JSON_TRUE || found->kind == WEIR_JSON_FALSE)) {
        bool *flag = member->to;
        *flag = found->kind == WEIR_JSON_TRUE;
        return WEIR_OK;
    }
    return WEIR_ECORRUPT;
}

enum weir_status identity__read_members(struct weir_arena *arena, struct weir_span json,
                                        const struct identity__member *members, size_t count) {
    struct weir_json_want wants[MOST_MEMBERS];
    struct weir_json_found found[MOST_MEMBERS], root;
    weir_bug_on(count > MOST_MEMBERS);
    for (size_t i = 0; i < count; i++)
        wants[i].path = members[i].name;
    if (weir_json_scan(json, wants, count, found, &root, NULL) != WEIR_OK || root.kind != WEIR_JSON_OBJECT)
        return WEIR_ECORRUPT;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        status = read_one(arena, &found[i], &members[i]);
    return status;
}
