/* Forms: read as they come, kept in a spool until they are sent.
 *
 * Clients send the file first, so the model is known only when much of the form has come; and a form has to be sent again when a provider fails. So
 * all of it is kept, in memory while it is small and in an unlinked file beyond, and goes out from there with the model's part rewritten: every other
 * byte is the client's own.
 */
#include "base/memory.h"
#include "gateway/impl.h"

enum { SPOOL_READ_BYTES = 64 * 1024 };

static enum weir_status on_part(void *owner, const struct weir_multipart_part *part) {
    struct weir_request *request = owner;
    struct gateway__form *form = request->form;
    form->in_file = part->has_file_name;
    form->in_model = weir_span_equal(part->name, WEIR_SPAN("model"));
    form->content_at = part->content_at;
    form->value_length = 0;
    if (form->in_file && form->in_model) {
        (void)gateway__fail(request, WEIR_REASON_FORM_INVALID, "model", "'model' must be a field, not a file");
        return WEIR_EINVAL;
    }
    if (form->in_file) {
        form->form.file_count++;
        return WEIR_OK;
    }
    if (form->form.field_count == GATEWAY_FORM_FIELDS) {
        (void)gateway__fail(request, WEIR_REASON_FORM_INVALID, NULL, "more than %d fields", GATEWAY_FORM_FIELDS);
        return WEIR_EINVAL;
    }
    return weir_arena_dup(request->arena, part->name, &form->fields[form->form.field_count].name);
}

static enum weir_status on_content(void *owner, struct weir_span data) {
    struct gateway__form *form = ((struct weir_request *)owner)->form;
    if (form->in_file) {
        size_t have = form->form.file_head.length, more = sizeof form->file_head - have;
        if (form->form.file_count == 1 && more > 0) {
            more = data.length < more ? data.length : more;
            memcpy(&form->file_head[have], data.at, more);
            form->form.file_head = weir_span_of(form->file_head, have + more);
        }
        form->form.file_bytes += data.length;
        return WEIR_OK;
    }
    /* What is longer is text for the model, which nobody reads here. */
    size_t room = sizeof form->value - form->value_length;
    size_t taken = data.length < room ? data.length : room;
    memcpy(&form->value[form->value_length], data.at, taken);
    form->value_length += taken;
    return WEIR_OK;
}

/* The model's value goes back into the form, often without what stood in front of it ("provider/"): nothing may be in it that a line break before
 * it would make a delimiter. */
static bool is_model_name(const struct gateway__form *form, uint64_t length) {
    if (length > form->value_length)
        return false;
    for (size_t i = 0; i < form->value_length; i++)
        if ((unsigned char)form->value[i] < 0x20 || form->value[i] == 0x7F)
            return false;
    for (size_t i = 0; i + 2 <= form->value_length; i++) {
        struct weir_span rest = weir_span_of(&form->value[i], form->value_length - i);
        if (weir_span_starts_with(rest, WEIR_SPAN("--")) &&
            weir_span_starts_with(weir_span_from(rest, 2), form->boundary))
            return false;
    }
    return true;
}

static enum weir_status on_part_end(void *owner, uint64_t content_end) {
    struct weir_request *request = owner;
    struct gateway__form *form = request->form;
    if (form->in_file)
        return WEIR_OK;
    if (form->in_model) {
        if (!is_model_name(form, content_end - form->content_at)) {
            (void)gateway__fail(request, WEIR_REASON_FORM_INVALID, "model", "'model' must be the name of a model");
            return WEIR_EINVAL;
        }
        form->model_at = form->content_at;
        form->model_end = content_end;
    }
    struct weir_form_field *field = &form->fields[form->form.field_count++];
    return weir_arena_dup(request->arena, weir_span_of(form->value, form->value_length), &field->value);
}

static const struct weir_multipart_events form_events = {.on_part = on_part,
                                                         .on_content = on_content,
                                                         .on_part_end = on_part_end};

enum weir_status gateway__form_begin(struct weir_request *request, struct weir_span content_type) {
    const struct weir_limits_settings *limits = &gateway__settings(request)->limits;
    struct weir_span boundary;
    enum weir_status status = weir_multipart_boundary(content_type, &boundary);
    if (status != WEIR_OK)
        return status;
    struct gateway__form *form = weir_memory_new(1, sizeof *form);
    if (form == NULL)
        return WEIR_ENOMEM;
    request->form = form;
    form->boundary = boundary;
    form->form.fields = form->fields;
    form->reader = weir_multipart_new(boundary, &form_events, request);
    form->spool = weir_spool_new(request->worker->gateway->spool_directory, (size_t)limits->spool_memory_bytes,
                                 (uint64_t)limits->max_upload_bytes);
    return form->reader == NULL || form->spool == NULL ? WEIR_ENOMEM : WEIR_OK;
}

void gateway__form_free(struct weir_request *request) {
    if (request->form == NULL)
        return;
    weir_multipart_free(&request->form->reader);
    weir_spool_free(&request->form->spool);
    weir_memory_free(request->form);
    request->form = NULL;
}

static enum gateway__next form_failed(struct weir_request *request, enum weir_status status) {
    struct gateway__form *form = request->form;
    if (status == WEIR_EPROTO || status == WEIR_ELIMIT)
        return gateway__fail(request, WEIR_REASON_FORM_INVALID, NULL, "%s", weir_multipart_problem(form->reader));
    return gateway__fail(request, WEIR_REASON_INTERNAL, NULL, NULL); /* unless the reason is known already */
}

enum gateway__next gateway__form_take(struct weir_request *request, struct weir_span data) {
    struct gateway__form *form = request->form;
    enum weir_status status = weir_spool_append(form->spool, data);
    if (status == WEIR_ELIMIT)
        return gateway__fail(request, WEIR_REASON_BODY_TOO_LARGE, NULL,
                             "more than %lld bytes (limits.max_upload_bytes)",
                             (long long)gateway__settings(request)->limits.max_upload_bytes);
    if (status != WEIR_OK)
        return gateway__fail(request, WEIR_REASON_SPOOL_UNAVAILABLE, NULL, NULL);
    if (data.length > 0 && weir_spool_length(form->spool) == data.length)
        form->begins_with_line_break = data.at[0] == '\r';
    status = weir_multipart_feed(form->reader, data);
    return status == WEIR_OK ? NEXT : form_failed(request, status);
}

enum gateway__next gateway__form_end(struct weir_request *request) {
    enum weir_status status = weir_multipart_finish(request->form->reader);
    return status == WEIR_OK ? NEXT : form_failed(request, status);
}

/* --- the form as it goes out: its own bytes, with one edit at most --- */

/* The target's name of the model: in place of the client's, or as a part before all others where the client named none. */
static enum weir_status edit_for_target(struct weir_request *request, struct gateway__form_edit *edit) {
    const struct gateway__form *form = request->form;
    struct weir_span model = request->target->model;
    *edit = (struct gateway__form_edit){.with = WEIR_SPAN("")};
    if (weir_span_equal(request->call.model, model))
        return WEIR_OK;
    if (request->call.names_model) {
        *edit = (struct gateway__form_edit){.at = form->model_at,
                                            .remove = form->model_end - form->model_at,
                                            .with = model};
        return WEIR_OK;
    }
    /* A form may begin with a line break: then the part's own end stands there already, and another would be of the name. */
    char *part = weir_arena_format(request->arena,
                                   "--%.*s\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%.*s%s",
                                   WEIR_SPAN_PRINT(form->boundary), WEIR_SPAN_PRINT(model),
                                   form->begins_with_line_break ? "" : "\r\n");
    edit->with = weir_span_of_string(part);
    return part != NULL ? WEIR_OK : WEIR_ENOMEM;
}

enum weir_status gateway__form_prepare(struct weir_request *request, uint64_t *length) {
    struct gateway__form_edit *edit = &request->form->edit;
    enum weir_status status = edit_for_target(request, edit);
    *length = weir_spool_length(request->form->spool) - edit->remove + edit->with.length;
    return status;
}

enum weir_status gateway__form_read(struct weir_request *request, uint64_t offset, struct weir_span *data) {
    const struct gateway__form_edit *edit = &request->form->edit;
    if (offset >= edit->at && offset < edit->at + edit->with.length) {
        *data = weir_span_from(edit->with, (size_t)(offset - edit->at));
        return WEIR_OK;
    }
    struct weir_buffer *scratch = &request->worker->scratch;
    weir_buffer_clear(scratch);
    char *buffer = weir_buffer_reserve(scratch, SPOOL_READ_BYTES);
    size_t size = SPOOL_READ_BYTES;
    if (buffer == NULL)
        return WEIR_ENOMEM;
    if (offset < edit->at && edit->at - offset < size)
        size = (size_t)(edit->at - offset);
    else if (offset >= edit->at)
        offset = offset - edit->with.length + edit->remove;
    return weir_spool_read(request->form->spool, offset, buffer, size, data);
}
