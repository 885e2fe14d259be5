/* links: base json */
/* The JSON scanner against an independent parser.
 *
 * What yyjson accepts strictly, the scanner accepts, and the other way round; they may differ only where the scanner
 * has rules of its own: the depth limit and duplicates of wanted members refused, surrogates without a partner
 * allowed. What the scanner finds is what the document tree has, each found span is a valid value of the same kind by
 * itself, and the walk over elements agrees with their count. The text is handed over without a byte to spare on
 * either side.
 */
#include "base/buffer.h"
#include "base/limits.h"
#include "json/scan.h"
#include "json/splice.h"
#include "json/write.h"

#include <yyjson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition)
        abort();
}

static const struct weir_json_want wants[] = {
    {"a"}, {"model"}, {"a.b"}, {"a.b.c"}, {"usage.prompt_tokens"}, {""}, {"stream"}, {"b.a"}, {"a"},
};
enum { WANTS = sizeof(wants) / sizeof(wants[0]) };

static enum weir_json_kind kind_of(const yyjson_val *tree) {
    yyjson_val *value = (yyjson_val *)(uintptr_t)tree;
    if (yyjson_is_obj(value))
        return WEIR_JSON_OBJECT;
    if (yyjson_is_arr(value))
        return WEIR_JSON_ARRAY;
    if (yyjson_is_str(value))
        return WEIR_JSON_STRING;
    if (yyjson_is_raw(value))
        return WEIR_JSON_NUMBER;
    if (yyjson_is_true(value))
        return WEIR_JSON_TRUE;
    if (yyjson_is_false(value))
        return WEIR_JSON_FALSE;
    if (yyjson_is_null(value))
        return WEIR_JSON_NULL;
    return WEIR_JSON_NONE;
}

static void check_decoded(struct weir_span token, const char *expected, size_t length) {
    char *out = malloc(token.length);
    size_t used = 0;
    require(out != NULL);
    require(weir_json_decode(token, out, token.length, &used) == WEIR_OK);
    require(used == length && memcmp(out, expected, used) == 0);
    require(weir_json_string_equals(token, weir_span_of(out, used)));
    if (used > 0) {
        size_t unused;
        require(weir_json_decode(token, out, used - 1, &unused) == WEIR_ELIMIT);
        require(!weir_json_string_equals(token, weir_span_of(expected, used - 1)));
    }
    struct weir_span content;
    if (weir_json_plain_string(token, &content))
        require(weir_span_equal(content, weir_span_of(expected, length)));
    /* Written again and decoded again it is the same. */
    struct weir_buffer written;
    weir_buffer_init(&written, 1 << 24);
    weir_json_append_string(&written, weir_span_of(expected, length));
    require(weir_buffer_status(&written) == WEIR_OK);
    require(weir_json_string_equals(weir_buffer_span(&written), weir_span_of(expected, length)));
    weir_buffer_release(&written);
    free(out);
}

static void check_children(const struct weir_json_found *found, yyjson_val *tree, unsigned depth);

static void check_value(const struct weir_json_found *found, yyjson_val *tree, unsigned depth) {
    require(found->kind == kind_of(tree));
    require(found->value.length > 0);
    struct weir_json_found again;
    require(weir_json_scan(found->value, NULL, 0, NULL, &again, NULL) == WEIR_OK);
    require(again.kind == found->kind && again.elements == found->elements);
    require(again.value.at == found->value.at && again.value.length == found->value.length);
    if (found->kind == WEIR_JSON_STRING)
        check_decoded(found->value, yyjson_get_str(tree), yyjson_get_len(tree));
    if (found->kind == WEIR_JSON_NUMBER) {
        require(weir_span_equal(found->value, weir_span_of(yyjson_get_raw(tree), yyjson_get_len(tree))));
        int64_t whole;
        if (weir_json_int64(found->value, &whole) == WEIR_OK) {
            int64_t scaled;
            bool rounded;
            require(weir_json_scaled_int64(found->value, 0, &scaled, &rounded) == WEIR_OK);
            require(scaled == whole && !rounded);
        }
    }
    if (found->kind == WEIR_JSON_OBJECT || found->kind == WEIR_JSON_ARRAY)
        check_children(found, tree, depth);
}

static void check_children(const struct weir_json_found *found, yyjson_val *tree, unsigned depth) {
    size_t cursor = 0;
    size_t count = 0;
    struct weir_span name;
    struct weir_json_found element;
    enum weir_status status;
    yyjson_val *child = unsafe_yyjson_get_first(tree);
    while ((status = weir_json_next(found->value, &cursor, &name, &element)) == WEIR_OK) {
        count++;
        require(element.value.at == found->value.at + element.value_at);
        if (found->kind == WEIR_JSON_OBJECT) {
            require(name.at == found->value.at + element.member_at);
            check_decoded(name, yyjson_get_str(child), yyjson_get_len(child));
            child++; /* in a yyjson document a member's value stands right after its name */
        } else {
            require(name.length == 0);
        }
        if (depth < 3)
            check_value(&element, child, depth + 1);
        child = unsafe_yyjson_get_next(child);
    }
    require(status == WEIR_END && count == found->elements && count == unsafe_yyjson_get_len(tree));
}

/* The value at a dotted path; NULL where there is none. *twice: a name on the way stands more than once. */
static yyjson_val *look_up(yyjson_val *tree, const char *path, bool *twice) {
    for (;;) {
        size_t length = strcspn(path, ".");
        if (!yyjson_is_obj(tree))
            return NULL;
        yyjson_val *hit = NULL;
        yyjson_obj_iter members = yyjson_obj_iter_with(tree);
        for (yyjson_val *name; (name = yyjson_obj_iter_next(&members)) != NULL;) {
            if (!yyjson_equals_strn(name, path, length))
                continue;
            if (hit != NULL)
                *twice = true;
            if (hit == NULL)
                hit = yyjson_obj_iter_get_val(name);
        }
        if (path[length] == '\0' || hit == NULL)
            return hit;
        tree = hit;
        path += length + 1;
    }
}

static void check_edit(struct weir_span text, const struct weir_json_found *found) {
    struct weir_json_splice splice = {.count = 0};
    struct weir_buffer out;
    weir_buffer_init(&out, 1 << 24);
    for (size_t i = 0; i < WANTS; i++) {
        if (found[i].kind == WEIR_JSON_NONE)
            continue;
        enum weir_status ignored = weir_json_splice_add(&splice, found[i].value_at, found[i].value.length,
                                                        WEIR_SPAN("[\"new\"]"));
        (void)ignored; /* an object and a member inside it overlap */
    }
    weir_json_splice_write(&splice, text, &out);
    require(weir_buffer_status(&out) == WEIR_OK && out.length == weir_json_splice_length(&splice, text.length));
    require(weir_json_scan(weir_buffer_span(&out), NULL, 0, NULL, NULL, NULL) == WEIR_OK);
    weir_buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = malloc(size > 0 ? size : 1);
    require(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    struct weir_span text = weir_span_of(copy, size);
    struct weir_json_found found[WANTS];
    struct weir_json_found root;
    struct weir_json_problem problem = {.text = NULL};
    enum weir_status status = weir_json_scan(text, wants, WANTS, found, &root, &problem);
    require(status == WEIR_OK || (problem.text != NULL && problem.offset <= size));

    yyjson_read_err error;
    yyjson_doc *document = size > 0 ? yyjson_read_opts(copy, size, YYJSON_READ_NUMBER_AS_RAW, NULL, &error) : NULL;
    if (document == NULL) {
        if (size > 0 && strstr(error.msg, "surrogate") == NULL)
            require(status != WEIR_OK);
        if (size == 0)
            require(status == WEIR_EINVAL);
    } else {
        bool twice = false;
        yyjson_val *values[WANTS];
        for (size_t i = 0; i < WANTS; i++)
            values[i] = look_up(yyjson_doc_get_root(document), wants[i].path, &twice);
        if (status == WEIR_OK) {
            require(!twice);
            check_value(&root, yyjson_doc_get_root(document), 0);
            for (size_t i = 0; i < WANTS; i++) {
                require((values[i] == NULL) == (found[i].kind == WEIR_JSON_NONE));
                if (values[i] == NULL)
                    continue;
                require(found[i].value.at == copy + found[i].value_at && copy[found[i].member_at] == '"');
                check_value(&found[i], values[i], 0);
            }
            check_edit(text, found);
        } else if (status == WEIR_EEXIST) {
            require(twice);
        } else {
            require(status == WEIR_ELIMIT);
        }
    }
    yyjson_doc_free(document);
    free(copy);
    return 0;
}
