/* POST /v1/moderations: a judgement of each text. Words decide: who writes of killing is flagged for violence. It costs nothing, so that
 * no usage is counted. */
#include "sim/task.h"

#include <yyjson.h>

enum { MAX_INPUTS = 2048 };

/* The categories in the order in which OpenAI gives them, and whether pictures are looked at for them. */
static const struct {
    const char *name;
    bool pictures;
} categories[] = {
    {"harassment", false},
    {"harassment/threatening", false},
    {"hate", false},
    {"hate/threatening", false},
    {"illicit", false},
    {"illicit/violent", false},
    {"self-harm", true},
    {"self-harm/instructions", true},
    {"self-harm/intent", true},
    {"sexual", true},
    {"sexual/minors", false},
    {"violence", true},
    {"violence/graphic", true},
};
enum { CATEGORY_COUNT = sizeof categories / sizeof categories[0] };

struct judgement {
    bool text, picture; /* what it is about */
    bool violent;
    uint64_t hash;
};

static bool is_flagged(const struct judgement *judgement, size_t category) {
    return judgement->violent && strcmp(categories[category].name, "violence") == 0;
}

static void judge_text(struct judgement *judgement, struct weir_span text) {
    judgement->text = true;
    judgement->hash = sim__hash(judgement->hash, text);
    judgement->violent |= sim__input_contains(text, "kill");
}

static void write_judgement(const struct judgement *judgement, struct weir_buffer *out) {
    weir_buffer_printf(out, "{\"flagged\":%s,\"categories\":{", judgement->violent ? "true" : "false");
    for (size_t i = 0; i < CATEGORY_COUNT; i++) {
        weir_buffer_printf(out, "%s\"%s\":%s", i > 0 ? "," : "", categories[i].name,
                           is_flagged(judgement, i) ? "true" : "false");
    }
    weir_buffer_append(out, WEIR_SPAN("},\"category_scores\":{"));
    for (size_t i = 0; i < CATEGORY_COUNT; i++) {
        unsigned low = (unsigned)(sim__mix(judgement->hash + i) % 10000);
        weir_buffer_printf(out, "%s\"%s\":0.%s%04u", i > 0 ? "," : "", categories[i].name,
                           is_flagged(judgement, i) ? "9" : "000", low);
    }
    weir_buffer_append(out, WEIR_SPAN("},\"category_applied_input_types\":{"));
    for (size_t i = 0; i < CATEGORY_COUNT; i++) {
        bool picture = judgement->picture && categories[i].pictures;
        weir_buffer_printf(out, "%s\"%s\":[%s%s%s]", i > 0 ? "," : "", categories[i].name,
                           judgement->text ? "\"text\"" : "", judgement->text && picture ? "," : "",
                           picture ? "\"image\"" : "");
    }
    weir_buffer_append(out, WEIR_SPAN("}}"));
}

static bool refuse(struct sim_task *task, const char *message) {
    sim__refuse(&task->refusal, 400, "input", "invalid_type", "Invalid 'input': %s.", message);
    return false;
}

/* All parts together are judged once. */
static bool judge_parts(struct sim_task *task, yyjson_val *parts) {
    struct judgement judgement = {.hash = 1};
    size_t index;
    size_t count;
    yyjson_val *part;
    yyjson_arr_foreach(parts, index, count, part) {
        yyjson_val *type = yyjson_obj_get(part, "type");
        if (sim__input_is(type, "text")) {
            judge_text(&judgement, sim__input_text(yyjson_obj_get(part, "text")));
        } else if (sim__input_is(type, "image_url")) {
            struct weir_span url = sim__input_text(yyjson_obj_get(yyjson_obj_get(part, "image_url"), "url"));
            judgement.picture = true;
            judgement.hash = sim__hash(judgement.hash, url);
        } else {
            return refuse(task, "a part is of type text or image_url");
        }
    }
    write_judgement(&judgement, task->out);
    return true;
}

static bool judge_texts(struct sim_task *task, yyjson_val *input) {
    size_t index;
    size_t count;
    yyjson_val *one;
    if (yyjson_arr_size(input) > MAX_INPUTS) {
        return refuse(task, "at most 2048 texts are taken");
    }
    yyjson_arr_foreach(input, index, count, one) {
        struct judgement judgement = {.hash = 1};
        if (!yyjson_is_str(one)) {
            return refuse(task, "expected a string, an array of strings, or an array of parts");
        }
        judge_text(&judgement, sim__input_text(one));
        weir_buffer_append(task->out, index > 0 ? WEIR_SPAN(",") : WEIR_SPAN(""));
        write_judgement(&judgement, task->out);
    }
    return count > 0 || refuse(task, "it must not be empty");
}

static bool judge(struct sim_task *task) {
    yyjson_val *input = yyjson_obj_get(task->root, "input");
    if (input == NULL) {
        sim__refuse(&task->refusal, 400, "input", NULL, "Missing required parameter: 'input'.");
        return false;
    }
    if (yyjson_is_str(input)) {
        struct judgement judgement = {.hash = 1};
        judge_text(&judgement, sim__input_text(input));
        write_judgement(&judgement, task->out);
        return true;
    }
    return yyjson_is_obj(yyjson_arr_get_first(input)) ? judge_parts(task, input) : judge_texts(task, input);
}

enum weir_status sim__moderations(struct sim_task *task) {
    yyjson_val *model = yyjson_obj_get(task->root, "model");
    char *id = sim__task_id(task, "modr-", 28);
    task->model = WEIR_SPAN("omni-moderation-latest");
    if (id == NULL) {
        return WEIR_ENOMEM;
    }
    if (model != NULL && !yyjson_is_null(model) &&
        !sim__input_model(task->arena, task->root, &task->model, &task->refusal)) {
        return sim__task_failed(task);
    }
    weir_buffer_printf(task->out, "{\"id\":\"%s\",\"model\":", id);
    sim__task_model(task, task->out);
    weir_buffer_append(task->out, WEIR_SPAN(",\"results\":["));
    if (!judge(task)) {
        return sim__task_failed(task);
    }
    weir_buffer_append(task->out, WEIR_SPAN("]}"));
    task->object = true;
    return WEIR_OK;
}
