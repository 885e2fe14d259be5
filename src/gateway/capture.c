/* Contents, for the workspaces that have them captured: the body as the client sent it and the answer as it got it, at most 64 KiB of each,
 * redacted (telemetry/redaction.h), sealed, and handed to the store when the request is over.
 *
 * It costs the requests of other workspaces one branch. Nothing here waits for anything, fails a request or touches the ledger: what cannot be kept
 * is left out and counted (weir_contents_left_out_total). Nothing leaves this file in clear. Of forms the fields are kept and no file; of answers
 * that are no text (sound, files) only how long they were.
 */
#include "gateway/impl.h"
#include "json/write.h"
#include "telemetry/redaction.h"

/* A little more is looked at than is kept: what stands across the cut is found by it. */
enum { KEPT_BYTES = 64 * 1024, LOOKED_BYTES = KEPT_BYTES + 1024, LONGEST_TYPE = 200 };
/* Each byte becomes six at most when it is written as JSON, or a whole word where it is redacted. */
enum { MOST_DOCUMENT_BYTES = 4 * 1024 * 1024 };

void gateway__capture_begin(struct weir_request *request, unsigned setting) {
    struct gateway__capture *capture = weir_arena_alloc(request->arena, sizeof *capture);
    if (capture == NULL) {
        weir_store_content_left_out(request->worker->gateway->store);
        return;
    }
    capture->setting = setting;
    capture->answer_type = WEIR_SPAN("");
    request->capture = capture;
}

void gateway__capture_type(struct weir_request *request, struct weir_span content_type) {
    if (weir_arena_dup(request->arena, content_type, &request->capture->answer_type) != WEIR_OK)
        request->capture->answer_type = WEIR_SPAN("");
}

void gateway__capture_answer(struct weir_request *request, const struct weir_span *parts, size_t count) {
    struct gateway__capture *capture = request->capture;
    if (capture->answer == NULL)
        capture->answer = weir_arena_alloc_raw(request->arena, LOOKED_BYTES);
    for (size_t i = 0; i < count; i++) {
        size_t room = LOOKED_BYTES - capture->answer_length;
        size_t taken = parts[i].length < room ? parts[i].length : room;
        if (capture->answer != NULL && taken > 0) {
            memcpy(&capture->answer[capture->answer_length], parts[i].at, taken);
            capture->answer_length += taken;
        }
        capture->answer_bytes += parts[i].length;
    }
}

/* --- one side as JSON --- */

struct side {
    struct weir_span content_type;
    uint64_t bytes; /* all in all */
    struct weir_span text;
    bool cut;
};

static bool is_text(struct weir_span type) {
    return weir_http_media_type_is(type, WEIR_SPAN("application/json")) ||
           weir_http_media_type_is(type, WEIR_SPAN("multipart/form-data")) ||
           weir_http_media_type_is(type, WEIR_SPAN("application/jsonl")) ||
           weir_http_media_type_is(type, WEIR_SPAN("application/x-ndjson")) ||
           (type.length > 5 && weir_span_equal_ignore_case(weir_span_first(type, 5), WEIR_SPAN("text/")));
}

static enum weir_redaction_form form_of(struct weir_span type) {
    if (weir_http_media_type_is(type, WEIR_SPAN("text/event-stream")))
        return WEIR_REDACT_EVENTS;
    bool json = weir_http_media_type_is(type, WEIR_SPAN("application/json")) ||
                weir_http_media_type_is(type, WEIR_SPAN("application/jsonl")) ||
                weir_http_media_type_is(type, WEIR_SPAN("application/x-ndjson"));
    return json ? WEIR_REDACT_JSON : WEIR_REDACT_TEXT;
}

/* At most KEPT_BYTES, and not in the middle of a character. */
static size_t kept_length(struct weir_span text) {
    size_t length = text.length;
    if (length <= KEPT_BYTES)
        return length;
    length = KEPT_BYTES;
    while (length > KEPT_BYTES - 3 && ((unsigned char)text.at[length] & 0xC0U) == 0x80)
        length--;
    return length;
}

static enum weir_status write_side(struct weir_json_writer *writer, const char *name, const struct side *side,
                                   unsigned wanted) {
    struct weir_buffer redacted, type;
    weir_buffer_init(&redacted, MOST_DOCUMENT_BYTES);
    weir_buffer_init(&type, WEIR_MAX_HEAD_BYTES);
    size_t shown = kept_length(side->text);
    enum weir_status status = weir_redact(&redacted, side->text, shown, form_of(side->content_type), wanted);
    if (status == WEIR_OK)
        status = weir_redact(&type, side->content_type, LONGEST_TYPE, WEIR_REDACT_TEXT, wanted);
    if (status == WEIR_OK)
        status = weir_buffer_status(&redacted);
    if (status == WEIR_OK)
        status = weir_buffer_status(&type);
    weir_json_write_name(writer, name);
    weir_json_write_object(writer);
    weir_json_member_string(writer, "content_type", weir_buffer_span(&type));
    weir_json_member_int64(writer, "bytes", (int64_t)side->bytes);
    weir_json_member_bool(writer, "cut", side->cut || shown < side->text.length);
    if (is_text(side->content_type) || side->bytes == 0)
        weir_json_member_string(writer, "text", weir_buffer_span(&redacted));
    else
        weir_json_member_text(writer, "text", NULL);
    weir_json_write_end(writer);
    weir_buffer_release(&redacted);
    weir_buffer_release(&type);
    return status;
}

/* --- the request's side --- */

/* A line a field; what is longer than what was read of it is cut. */
static enum weir_status form_text(struct weir_request *request, struct side *side) {
    const struct gateway__form *form = request->form;
    struct weir_buffer out;
    weir_buffer_init(&out, (size_t)GATEWAY_FORM_FIELDS * (WEIR_MAX_HEAD_BYTES + GATEWAY_FORM_VALUE_BYTES));
    for (size_t i = 0; i < form->form.field_count; i++) {
        struct weir_span value = form->fields[i].value;
        weir_buffer_append(&out, form->fields[i].name);
        weir_buffer_append_byte(&out, '=');
        weir_buffer_append(&out, value);
        weir_buffer_append_byte(&out, '\n');
        side->cut = side->cut || value.length == GATEWAY_FORM_VALUE_BYTES;
    }
    enum weir_status status = weir_buffer_status(&out);
    side->bytes = weir_spool_length(form->spool);
    if (status == WEIR_OK)
        status = weir_arena_dup(request->arena, weir_buffer_span(&out), &side->text);
    weir_buffer_release(&out);
    return status;
}

static enum weir_status request_side(struct weir_request *request, struct side *side) {
    const struct weir_span *type = weir_http_head_find(request->head, WEIR_SPAN("content-type"));
    *side = (struct side){.content_type = type != NULL ? *type
                                          : request->body.length > 0 || request->form != NULL
                                              ? WEIR_SPAN("application/json")
                                              : WEIR_SPAN(""),
                          .bytes = request->body.length,
                          .text = weir_buffer_span(&request->body)};
    if (request->form != NULL && request->form->spool != NULL)
        return form_text(request, side);
    if (side->text.length > LOOKED_BYTES)
        side->text.length = LOOKED_BYTES;
    side->cut = !request->body_complete &&
                (request->head->has_content_length ? request->head->content_length > request->body.length
                                                   : request->body.length > 0);
    return WEIR_OK;
}

static void answer_side(const struct weir_request *request, struct side *side) {
    const struct gateway__capture *capture = request->capture;
    const struct weir_http_head *head = request->upstream.head;
    const struct weir_span *type = head != NULL ? weir_http_head_find(head, WEIR_SPAN("content-type")) : NULL;
    *side = (struct side){.content_type = capture->answer_type,
                          .bytes = capture->answer_bytes,
                          .text = weir_span_of(capture->answer, capture->answer_length),
                          .cut = capture->answer_length < capture->answer_bytes};
    if (side->content_type.length == 0 && type != NULL)
        side->content_type = *type;
    if (!is_text(side->content_type)) {
        side->text = WEIR_SPAN("");
        side->cut = side->bytes > 0;
    }
}

/* --- the whole --- */

static enum weir_status write_document(struct weir_request *request, struct weir_buffer *out) {
    struct weir_json_writer writer;
    struct side asked, answered;
    unsigned wanted = request->capture->setting / WEIR_CAPTURE_REDACT;
    enum weir_status status = request_side(request, &asked);
    if (status != WEIR_OK)
        return status;
    answer_side(request, &answered);
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    status = write_side(&writer, "request", &asked, wanted);
    if (status == WEIR_OK)
        status = write_side(&writer, "response", &answered, wanted);
    weir_json_write_end(&writer);
    return status == WEIR_OK ? weir_buffer_status(out) : status;
}

static enum weir_status seal(const struct weir_request *request, struct weir_span document, struct weir_buffer *blob) {
    const struct weir_gateway *gateway = request->worker->gateway;
    const char *about = weir_arena_format(request->arena, "content\n%.*s\n%s",
                                          WEIR_SPAN_PRINT(gateway->key_format.environment), request->id_text);
    return about == NULL ? WEIR_ENOMEM
                         : weir_sealing_seal(gateway->sealing, weir_span_of_string(about), document, blob);
}

void gateway__capture_end(struct weir_request *request) {
    const struct weir_gateway *gateway = request->worker->gateway;
    struct weir_buffer document, blob;
    weir_buffer_init(&document, MOST_DOCUMENT_BYTES);
    weir_buffer_init(&blob, MOST_DOCUMENT_BYTES + WEIR_KIB);
    enum weir_status status = write_document(request, &document);
    if (status == WEIR_OK)
        status = seal(request, weir_buffer_span(&document), &blob);
    if (status == WEIR_OK)
        status = weir_buffer_status(&blob);
    int64_t now_us = weir_loop_utc_us(request->worker->loop);
    const struct weir_content content = {.request_id = weir_span_of(request->id_text, WEIR_UUID_TEXT_SIZE - 1),
                                         .workspace = request->key->workspace,
                                         .created_utc_us = now_us,
                                         .expires_utc_us = now_us + gateway->content_retention_us,
                                         .blob = weir_buffer_span(&blob)};
    if (status == WEIR_OK)
        weir_store_content_put(gateway->store, &content);
    else
        weir_store_content_left_out(gateway->store);
    weir_buffer_release(&document);
    weir_buffer_release(&blob);
    request->capture = NULL;
}
