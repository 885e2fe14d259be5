/* A handful of edits to a text, kept as a list and applied without touching any other byte.
 *
 * The usual caller sends the pieces as they are (weir_json_splice_parts), so that a body of a megabyte is not copied to
 * change a name in it. The list is short, so it is kept in order by insertion. Nothing is allocated.
 */
#include "json/splice.h"

static bool overlaps(const struct weir_json_edit *a, const struct weir_json_edit *b) {
    size_t a_end = a->at + a->remove;
    size_t b_end = b->at + b->remove;
    if (a->at == b->at)
        return a->remove > 0 && b->remove > 0;
    return a->at < b_end && b->at < a_end;
}

/* Whether `a` has to stand before `b`: insertions come before what replaces the bytes at their place. */
static bool is_before(const struct weir_json_edit *a, const struct weir_json_edit *b) {
    if (a->at != b->at)
        return a->at < b->at;
    return a->remove == 0 && b->remove > 0;
}

enum weir_status weir_json_splice_add(struct weir_json_splice *splice, size_t at, size_t remove,
                                      struct weir_span with) {
    const struct weir_json_edit edit = {.at = at, .remove = remove, .with = with};
    if (splice->count == WEIR_JSON_MAX_EDITS)
        return WEIR_ELIMIT;
    if (at + remove < at)
        return WEIR_EINVAL;
    for (size_t i = 0; i < splice->count; i++)
        if (overlaps(&splice->edits[i], &edit))
            return WEIR_EINVAL;
    size_t place = splice->count++;
    for (; place > 0 && is_before(&edit, &splice->edits[place - 1]); place--)
        splice->edits[place] = splice->edits[place - 1];
    splice->edits[place] = edit;
    return WEIR_OK;
}

size_t weir_json_splice_length(const struct weir_json_splice *splice, size_t original_length) {
    size_t length = original_length;
    for (size_t i = 0; i < splice->count; i++) {
        weir_bug_on(splice->edits[i].at + splice->edits[i].remove > original_length);
        length = length + splice->edits[i].with.length - splice->edits[i].remove;
    }
    return length;
}

size_t weir_json_splice_parts(struct weir_json_splice *splice, struct weir_span text, struct weir_span *parts) {
    size_t count = 0;
    size_t done = 0;
    for (size_t i = 0; i < splice->count; i++) {
        const struct weir_json_edit *edit = &splice->edits[i];
        weir_bug_on(edit->at < done || edit->at + edit->remove > text.length);
        if (edit->at > done)
            parts[count++] = weir_span_of(text.at + done, edit->at - done);
        if (edit->with.length > 0)
            parts[count++] = edit->with;
        done = edit->at + edit->remove;
    }
    if (done < text.length)
        parts[count++] = weir_span_from(text, done);
    return count;
}

void weir_json_splice_write(struct weir_json_splice *splice, struct weir_span text, struct weir_buffer *out) {
    struct weir_span parts[2 * WEIR_JSON_MAX_EDITS + 1];
    size_t count = weir_json_splice_parts(splice, text, parts);
    for (size_t i = 0; i < count; i++)
        weir_buffer_append(out, parts[i]);
}
