/* What the vendors' lanes give providers to keep: files, batches, caches of contents.
 *
 * Their bodies go through as they are. What is read is what the gateway has to know: that a batch is done later, unseen by us, and which names an answer
 * gives out, for these mean something to that provider alone.
 */
#include "dialect/impl.h"

static enum weir_status read_kept(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                  struct weir_call_problem *problem) {
    struct weir_json_found found[1];
    static const struct weir_json_want wants[] = {{"model"}};
    (void)arena;
    if (dialect__scan_call(body, wants, 1, found, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->is_kept = true;
    return WEIR_OK;
}

static enum weir_status read_batch(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                   struct weir_call_problem *problem) {
    if (read_kept(arena, body, call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->background = true;
    return WEIR_OK;
}

/* Anything: a file's bytes, or what is said of it before they come. */
static enum weir_status read_upload(struct weir_arena *arena, struct weir_span body, struct weir_call *call,
                                    struct weir_call_problem *problem) {
    (void)arena;
    (void)problem;
    *call = (struct weir_call){.body = body,
                               .model = WEIR_SPAN(""),
                               .choices = 1,
                               .is_kept = true,
                               .variant = WEIR_SPAN(""),
                               .issued_id = WEIR_SPAN("")};
    return WEIR_OK;
}

static enum weir_status read_file_form(struct weir_arena *arena, const struct weir_form *form, struct weir_call *call,
                                       struct weir_call_problem *problem) {
    (void)arena;
    if (dialect__form_begin(form, "", call, problem) != WEIR_OK)
        return WEIR_EINVAL;
    call->model = WEIR_SPAN("");
    call->is_kept = true;
    return dialect__form_require_file(form, "file", problem);
}

const struct weir_format weir_format_lane_files = {.name = "lane.files",
                                                   .flags = WEIR_FORMAT_BYTES,
                                                   .dialect = WEIR_DIALECT_ANTHROPIC,
                                                   .read_form = read_file_form};
const struct weir_format weir_format_anthropic_batches = {.name = "anthropic.batches",
                                                          .dialect = WEIR_DIALECT_ANTHROPIC,
                                                          .read_call = read_batch};
const struct weir_format weir_format_lane_uploads = {.name = "lane.uploads",
                                                     .dialect = WEIR_DIALECT_GEMINI,
                                                     .read_call = read_upload};
const struct weir_format weir_format_lane_caches = {.name = "lane.caches",
                                                    .dialect = WEIR_DIALECT_GEMINI,
                                                    .read_call = read_kept};
const struct weir_format weir_format_gemini_batches = {.name = "gemini.batches",
                                                       .flags = WEIR_FORMAT_MODEL_IN_PATH,
                                                       .dialect = WEIR_DIALECT_GEMINI,
                                                       .read_call = read_batch};

size_t weir_dialect_issued_names(struct weir_span body, struct weir_span *names, size_t room) {
    static const struct weir_json_want wants[] = {{"name"},
                                                  {"file.name"},
                                                  {"response.responsesFile"},
                                                  {"metadata.output.responsesFile"}};
    struct weir_json_found found[4];
    size_t count = 0;
    if (weir_json_scan(body, wants, 4, found, NULL, NULL) != WEIR_OK)
        return 0;
    for (size_t i = 0; i < 4 && count < room; i++)
        if (found[i].kind == WEIR_JSON_STRING && weir_json_plain_string(found[i].value, &names[count]) &&
            names[count].length > 0)
            count++;
    return count;
}
