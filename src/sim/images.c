/* POST /v1/images/generations, /edits and /variations: small pictures, whole or as events. Models named gpt-image… are billed by tokens
 * and answer with the picture itself; others answer with an address unless they are asked for it. */
#include "sim/form.h"
#include "sim/picture.h"
#include "sim/task.h"

#include <yyjson.h>

enum { MAX_PICTURES = 10, MAX_PARTIALS = 3, PICTURE_TOKENS = 194 };
#define MAX_PICTURE_BYTES ((size_t)65 * 1024 * 1024)
#define MAX_EVENT_BYTES ((size_t)100 * 1024 * 1024)

struct pictures {
    struct sim_task *task;
    const char *events; /* how its events begin */
    int64_t n, partials;
    const char *quality, *background, *output_format, *response_format;
    struct weir_span size, prompt;
    int64_t text_tokens, picture_tokens; /* of the input */
    int64_t made_tokens;                 /* of one picture that is made */
    uint64_t seed;
    bool by_tokens;
};

/* --- the request --- */

static bool check_size(struct pictures *pictures) {
    struct weir_span width;
    struct weir_span height;
    uint64_t number = 0;
    if (weir_span_equal(pictures->size, WEIR_SPAN("auto")) ||
        (weir_span_split(pictures->size, 'x', &width, &height) && weir_span_to_uint64(width, &number) == WEIR_OK &&
         number > 0 && weir_span_to_uint64(height, &number) == WEIR_OK && number > 0)) {
        return true;
    }
    sim__refuse(&pictures->task->refusal, 400, "size", "invalid_value",
                "Invalid value for 'size': supported are a width and a height (1024x1024) and 'auto'.");
    return false;
}

static bool read_options(struct pictures *pictures) {
    static const char *const qualities[] = {"auto", "low", "medium", "high", "standard", "hd", NULL};
    static const char *const backgrounds[] = {"auto", "transparent", "opaque", NULL};
    static const char *const formats[] = {"png", "jpeg", "webp", NULL};
    static const char *const ways[] = {"url", "b64_json", NULL};
    struct sim_task *task = pictures->task;
    struct sim_refusal *refusal = &task->refusal;
    yyjson_val *root = task->root;
    int64_t compression = 0;
    pictures->n = 1;
    pictures->quality = qualities[0];
    pictures->background = backgrounds[0];
    pictures->output_format = formats[0];
    pictures->response_format = ways[0];
    pictures->size = WEIR_SPAN("1024x1024");
    if (!sim__input_number(root, "n", 1, MAX_PICTURES, &pictures->n, refusal) ||
        !sim__input_string(root, "size", &pictures->size, refusal) || !check_size(pictures) ||
        !sim__input_choice(root, "quality", qualities, &pictures->quality, refusal) ||
        !sim__input_choice(root, "background", backgrounds, &pictures->background, refusal) ||
        !sim__input_choice(root, "output_format", formats, &pictures->output_format, refusal) ||
        !sim__input_number(root, "output_compression", 0, 100, &compression, refusal) ||
        !sim__input_choice(root, "response_format", ways, &pictures->response_format, refusal) ||
        !sim__input_flag(root, "stream", &task->stream, refusal) ||
        !sim__input_number(root, "partial_images", 0, MAX_PARTIALS, &pictures->partials, refusal)) {
        return false;
    }
    if (task->stream && pictures->n > 1) {
        sim__refuse(refusal, 400, "n", "invalid_value", "Only one picture can be streamed: 'n' must be 1.");
        return false;
    }
    return true;
}

static bool read_model(struct pictures *pictures, struct weir_span usual) {
    struct sim_task *task = pictures->task;
    yyjson_val *model = yyjson_obj_get(task->root, "model");
    task->model = usual;
    if (model != NULL && !yyjson_is_null(model) &&
        !sim__input_model(task->arena, task->root, &task->model, &task->refusal)) {
        return false;
    }
    pictures->by_tokens = sim__input_contains(task->model, "gpt-image");
    return true;
}

static bool read_prompt(struct pictures *pictures) {
    struct sim_task *task = pictures->task;
    if (!sim__input_string(task->root, "prompt", &pictures->prompt, &task->refusal)) {
        return false;
    }
    if (weir_span_is_empty(pictures->prompt)) {
        sim__refuse(&task->refusal, 400, "prompt", "missing_required_parameter",
                    "Missing required parameter: 'prompt'.");
        return false;
    }
    pictures->text_tokens = sim__input_tokens(pictures->prompt.length);
    return true;
}

/* What OpenAI publishes for square pictures; half as much again for others. */
static void count_tokens(struct pictures *pictures) {
    static const struct {
        const char *quality;
        int64_t tokens;
    } known[] = {{"low", 272}, {"medium", 1056}, {"high", 4160}};
    struct weir_usage *usage = &pictures->task->usage;
    bool square = weir_span_equal(pictures->size, WEIR_SPAN("1024x1024")) ||
                  weir_span_equal(pictures->size, WEIR_SPAN("auto"));
    *usage = (struct weir_usage){.units = pictures->n, .unit = WEIR_UNIT_IMAGE};
    if (!pictures->by_tokens) {
        return;
    }
    pictures->made_tokens = known[1].tokens;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(pictures->quality, known[i].quality) == 0) {
            pictures->made_tokens = known[i].tokens;
        }
    }
    pictures->made_tokens = square ? pictures->made_tokens : pictures->made_tokens * 3 / 2;
    usage->input = pictures->text_tokens + pictures->picture_tokens;
    usage->input_image = pictures->picture_tokens;
    usage->output = usage->output_image = pictures->made_tokens * pictures->n;
}

/* --- the answer --- */

static void write_picture(const struct pictures *pictures, uint64_t index, struct weir_buffer *out) {
    struct weir_buffer picture;
    size_t bytes = (size_t)pictures->task->wishes->bytes;
    if (pictures->task->huge_bytes > 0) {
        bytes = (size_t)pictures->task->huge_bytes;
    }
    weir_buffer_init(&picture, MAX_PICTURE_BYTES);
    sim__picture(sim__mix(pictures->seed + index), bytes, &picture);
    weir_buffer_append_byte(out, '"');
    sim__base64(weir_buffer_span(&picture), out);
    weir_buffer_append_byte(out, '"');
    weir_buffer_release(&picture);
}

static void write_usage(const struct pictures *pictures, bool details, struct weir_buffer *out) {
    const struct sim_task *task = pictures->task;
    int64_t input = sim__task_said(task, task->usage.input);
    int64_t output = sim__task_said(task, task->usage.output);
    int64_t total = input + output;
    weir_buffer_printf(out,
                       "{\"input_tokens\":%lld,\"input_tokens_details\":{\"text_tokens\":%lld,\"image_tokens\":%lld},"
                       "\"output_tokens\":%lld,",
                       (long long)input, (long long)sim__task_said(task, pictures->text_tokens),
                       (long long)sim__task_said(task, pictures->picture_tokens), (long long)output);
    if (details) {
        weir_buffer_printf(out, "\"output_tokens_details\":{\"image_tokens\":%lld,\"text_tokens\":0},",
                           (long long)output);
    }
    weir_buffer_printf(out, "\"total_tokens\":%lld}", (long long)total);
}

/* What is left to the provider is said as it was chosen. */
static const char *chosen(const char *asked, const char *otherwise) {
    return strcmp(asked, "auto") == 0 ? otherwise : asked;
}

static void write_facts(const struct pictures *pictures, struct weir_buffer *out) {
    bool any_size = weir_span_equal(pictures->size, WEIR_SPAN("auto"));
    weir_buffer_printf(out, ",\"background\":\"%s\",\"output_format\":\"%s\",\"quality\":\"%s\",\"size\":",
                       chosen(pictures->background, "opaque"), pictures->output_format,
                       chosen(pictures->quality, "medium"));
    weir_json_append_string(out, any_size ? WEIR_SPAN("1024x1024") : pictures->size);
}

static void write_whole(const struct pictures *pictures) {
    struct sim_task *task = pictures->task;
    struct weir_buffer *out = task->out;
    bool inside = pictures->by_tokens || strcmp(pictures->response_format, "b64_json") == 0;
    weir_buffer_printf(out, "{\"created\":%lld,\"data\":[", (long long)task->now_s);
    for (int64_t i = 0; i < pictures->n; i++) {
        weir_buffer_append(out, i > 0 ? WEIR_SPAN(",{") : WEIR_SPAN("{"));
        if (sim__input_contains(task->model, "dall-e-3")) {
            weir_buffer_append(out, WEIR_SPAN("\"revised_prompt\":"));
            weir_json_append_string(out, pictures->prompt);
            weir_buffer_append_byte(out, ',');
        }
        if (inside) {
            weir_buffer_append(out, WEIR_SPAN("\"b64_json\":"));
            write_picture(pictures, (uint64_t)i, out);
        } else {
            weir_buffer_printf(out, "\"url\":\"https://pictures.sim.invalid/%016llx.png\"",
                               (unsigned long long)sim__mix(pictures->seed + (uint64_t)i));
        }
        weir_buffer_append_byte(out, '}');
    }
    weir_buffer_append_byte(out, ']');
    if (pictures->by_tokens) {
        write_facts(pictures, out);
        if (!task->no_usage) {
            weir_buffer_append(out, WEIR_SPAN(",\"usage\":"));
            write_usage(pictures, true, out);
        }
    }
    weir_buffer_append_byte(out, '}');
    task->huge_done = inside;
    task->object = true;
}

static enum weir_status write_stream(const struct pictures *pictures) {
    struct sim_task *task = pictures->task;
    struct sim_script script;
    struct weir_buffer event;
    char *partial = weir_arena_format(task->arena, "%s.partial_image", pictures->events);
    char *completed = weir_arena_format(task->arena, "%s.completed", pictures->events);
    if (partial == NULL || completed == NULL) {
        return WEIR_ENOMEM;
    }
    sim__script_init(&script, task->arena, SIM_FRAMING_EVENTS);
    weir_buffer_init(&event, MAX_EVENT_BYTES);
    for (int64_t i = 0; i <= pictures->partials; i++) {
        bool last = i == pictures->partials;
        weir_buffer_printf(&event, "{\"type\":\"%s\",\"created_at\":%lld,\"b64_json\":", last ? completed : partial,
                           (long long)task->now_s);
        write_picture(pictures, last ? 0 : (uint64_t)i + 1000, &event);
        write_facts(pictures, &event);
        if (!last) {
            weir_buffer_printf(&event, ",\"partial_image_index\":%lld", (long long)i);
        } else if (!task->no_usage) {
            weir_buffer_append(&event, WEIR_SPAN(",\"usage\":"));
            write_usage(pictures, false, &event);
        }
        sim__script_take(&script, last ? completed : partial, &event, last ? task->usage.output : 0);
    }
    script.terminal = 1;
    task->huge_done = true;
    weir_buffer_release(&event);
    return sim__task_stream(task, &script);
}

static enum weir_status answer(struct pictures *pictures) {
    pictures->seed = sim__hash(1, pictures->prompt);
    count_tokens(pictures);
    if (pictures->task->stream) {
        return write_stream(pictures);
    }
    write_whole(pictures);
    return WEIR_OK;
}

/* --- the endpoints --- */

/* How many pictures came with the request; each counts. */
static bool read_pictures(struct pictures *pictures) {
    struct sim_task *task = pictures->task;
    const char *name = task->form != NULL ? "image" : "images";
    size_t count = task->form != NULL ? sim__form_count(task->form, name)
                                      : yyjson_arr_size(yyjson_obj_get(task->root, name));
    if (count == 0) {
        sim__refuse(&task->refusal, 400, name, "missing_required_parameter", "Missing required parameter: '%s'.", name);
        return false;
    }
    if (task->form != NULL && weir_span_is_empty(sim__form_find(task->form, name)->content)) {
        sim__refuse(&task->refusal, 400, name, "invalid_image_file", "Invalid image file: it is empty.");
        return false;
    }
    pictures->picture_tokens = (int64_t)count * PICTURE_TOKENS;
    return true;
}

enum weir_status sim__images_generations(struct sim_task *task) {
    struct pictures pictures = {.task = task, .events = "image_generation"};
    return read_model(&pictures, WEIR_SPAN("dall-e-2")) && read_prompt(&pictures) && read_options(&pictures)
               ? answer(&pictures)
               : sim__task_failed(task);
}

enum weir_status sim__images_edits(struct sim_task *task) {
    struct pictures pictures = {.task = task, .events = "image_edit"};
    struct weir_span usual = task->form != NULL ? WEIR_SPAN("dall-e-2") : WEIR_SPAN("gpt-image-1");
    return read_model(&pictures, usual) && read_pictures(&pictures) && read_prompt(&pictures) && read_options(&pictures)
               ? answer(&pictures)
               : sim__task_failed(task);
}

enum weir_status sim__images_variations(struct sim_task *task) {
    struct pictures pictures = {.task = task, .prompt = WEIR_SPAN("")};
    if (!read_model(&pictures, WEIR_SPAN("dall-e-2")) || !read_pictures(&pictures) || !read_options(&pictures)) {
        return sim__task_failed(task);
    }
    task->stream = false; /* variations are not streamed, whatever is asked */
    return answer(&pictures);
}
