/* Providers that speak Anthropic's Messages API, for clients that do not: the turns of a conversation. The rest of a call is in anthropic_back_call.c.
 *
 * Facts: roles alternate and the user begins; results of tools stand first in the user's turn; no text is empty; what the model is to go on with ends without spaces;
 * at most four caching marks; ids have few characters; thinking goes back with its own signature alone. A system's text between turns is told by the user, for only the
 * newest models take one there.
 */
#include "dialect/anthropic_impl.h"

#include <limits.h>

#include <openssl/evp.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))
enum { MARKS = 4, LONGEST_NAME = 64 };

/* --- names, input --- */

static bool is_plain(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '-';
}

struct weir_span dialect__anthropic_name(struct weir_arena *arena, struct weir_span wire) {
    enum { KEPT = LONGEST_NAME - 17 };
    char kept[KEPT + 1];
    size_t plain = 0, length = 0;
    uint64_t hash = 14695981039346656037U; /* FNV-1a */
    while (plain < wire.length && is_plain(wire.at[plain]))
        plain++;
    if (plain == wire.length && plain > 0 && plain <= LONGEST_NAME)
        return wire;
    for (size_t i = 0; i < wire.length; i++) {
        hash = (hash ^ (unsigned char)wire.at[i]) * 1099511628211U;
        if (length < KEPT)
            kept[length++] = is_plain(wire.at[i]) ? wire.at[i] : '_';
    }
    kept[length] = '\0';
    char *text = weir_arena_format(arena, "%s_%016llx", kept, (unsigned long long)hash);
    return text == NULL ? WEIR_UNSAID : weir_span_of_string(text);
}

void dialect__write_anthropic_input(struct weir_json_writer *writer, struct weir_span arguments) {
    struct weir_span json = weir_is_said(arguments) ? arguments : WEIR_SPAN("{}");
    while (json.length > 0 && strchr(" \t\r\n", json.at[0]) != NULL)
        json = weir_span_from(json, 1);
    weir_json_write_name(writer, "input");
    bool is_object = json.length > 0 && json.at[0] == '{';
    weir_json_write_raw(writer, is_object ? WEIR_SPAN("") : WEIR_SPAN("{\"input\":"));
    weir_json_append_compact(writer->out, json);
    if (!is_object)
        weir_buffer_append_byte(writer->out, '}');
}

/* --- what is sent at all --- */

/* The length of a wire text without the spaces at its end. */
static size_t trimmed(struct weir_span wire) {
    size_t length = wire.length;
    for (;;) {
        if (length > 0 && wire.at[length - 1] == ' ') {
            length--;
            continue;
        }
        size_t slashes = 0;
        while (length > 1 + slashes && wire.at[length - 2 - slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0 || strchr("nrt", wire.at[length - 1]) == NULL)
            return length;
        length -= 2;
    }
}

static bool is_words(const struct weir_part *part) {
    return part->kind == WEIR_PART_TEXT || part->kind == WEIR_PART_REFUSAL;
}

static bool is_own_thinking(const struct weir_part *part) {
    return part->kind == WEIR_PART_THINKING && weir_is_said(part->signature.value) &&
           part->signature.from == WEIR_DIALECT_ANTHROPIC;
}

static bool is_sent(const struct weir_part *part) {
    if (is_words(part))
        return trimmed(part->text) > 0;
    return part->kind != WEIR_PART_THINKING || is_own_thinking(part);
}

static bool sends(const struct weir_turn *turn) {
    for (const struct weir_part *part = turn->parts; part != NULL; part = part->next)
        if (is_sent(part))
            return true;
    return false;
}

static size_t count_marks(const struct weir_part *parts) {
    size_t count = 0;
    for (const struct weir_part *part = parts; part != NULL; part = part->next) {
        count += is_sent(part) && part->kind != WEIR_PART_THINKING && weir_is_said(part->cache);
        count += part->kind == WEIR_PART_TOOL_RESULT ? count_marks(part->content) : 0;
    }
    return count;
}

bool dialect__anthropic_takes_tool(const struct weir_prompt *prompt, const struct weir_tool *tool) {
    const struct weir_name *name = prompt->chosen_tools;
    if (prompt->tool_choice == WEIR_CHOICE_ONE || name == NULL)
        return true;
    while (name != NULL && !weir_span_equal(name->text, tool->name))
        name = name->next;
    return name != NULL;
}

bool dialect__anthropic_has_calls(const struct weir_prompt *prompt) {
    for (const struct weir_turn *turn = prompt->turns; turn != NULL; turn = turn->next)
        if (dialect__has_part(turn->parts, WEIR_PART_TOOL_CALL) ||
            dialect__has_part(turn->parts, WEIR_PART_TOOL_RESULT))
            return true;
    return false;
}

static enum weir_turn_role role_of(const struct weir_turn *turn) {
    return turn->role == WEIR_TURN_ASSISTANT ? WEIR_TURN_ASSISTANT : WEIR_TURN_USER;
}

void dialect__anthropic_begin(struct dialect__anthropic_writing *writing) {
    const struct weir_prompt *prompt = writing->prompt;
    const struct weir_turn *turn = prompt->turns, *last = NULL;
    size_t marks = 0, most = weir_is_said(prompt->cache) ? MARKS - 1 : MARKS;
    /* Where there is nothing else to answer, the last of them is what is asked. */
    while (turn != NULL && turn->role == WEIR_TURN_SYSTEM && turn->next != NULL)
        turn = turn->next;
    writing->first_turn = turn;
    for (turn = prompt->turns; turn != NULL; turn = turn->next) {
        marks += count_marks(turn->parts);
        last = sends(turn) ? turn : last;
    }
    for (const struct weir_tool *tool = prompt->tools; tool != NULL; tool = tool->next)
        marks += weir_is_said(tool->cache) && dialect__anthropic_takes_tool(prompt, tool);
    writing->marks = 0;
    writing->first_mark = marks > most ? marks - most : 0;
    writing->last_text = NULL;
    for (const struct weir_part *part = last != NULL && role_of(last) == WEIR_TURN_ASSISTANT ? last->parts : NULL;
         part != NULL; part = part->next)
        if (is_sent(part))
            writing->last_text = is_words(part) ? part : NULL;
}

void dialect__anthropic_write_mark(struct dialect__anthropic_writing *writing, struct weir_span cache) {
    struct weir_json_writer *writer = writing->writer;
    if (!weir_is_said(cache) || writing->marks++ < writing->first_mark)
        return;
    weir_json_write_name(writer, "cache_control");
    weir_json_write_object(writer);
    weir_json_member_text(writer, "type", "ephemeral");
    if (weir_span_equal(cache, WEIR_SPAN("5m")) || weir_span_equal(cache, WEIR_SPAN("1h")))
        dialect__member_wire(writer, "ttl", cache);
    weir_json_write_end(writer);
}

/* --- blocks --- */

static enum weir_status cannot_send(struct dialect__anthropic_writing *writing, const char *what) {
    return dialect__cannot_send(writing->problem, "messages", what, WEIR_DIALECT_ANTHROPIC);
}

static enum weir_status cannot_send_type(struct dialect__anthropic_writing *writing, const char *what,
                                         struct weir_span type) {
    char text[120];
    (void)snprintf(text, sizeof text, "%s of the type '%.*s'", what, (int)(type.length < 60 ? type.length : 60),
                   type.length > 0 ? type.at : "");
    return cannot_send(writing, text);
}

static void begin_block(struct dialect__anthropic_writing *writing, const char *type) {
    weir_json_write_object(writing->writer);
    weir_json_member_text(writing->writer, "type", type);
}

static void begin_source(struct dialect__anthropic_writing *writing, const char *type) {
    weir_json_write_name(writing->writer, "source");
    begin_block(writing, type);
}

static void write_words(struct dialect__anthropic_writing *writing, struct weir_span before, struct weir_span text,
                        struct weir_span after, struct weir_span cache) {
    struct weir_json_writer *writer = writing->writer;
    begin_block(writing, "text");
    weir_json_write_name(writer, "text");
    weir_json_write_raw(writer, WEIR_SPAN("\""));
    weir_buffer_append(writer->out, before);
    weir_buffer_append(writer->out, text);
    weir_buffer_append(writer->out, after);
    weir_buffer_append_byte(writer->out, '"');
    dialect__anthropic_write_mark(writing, cache);
    weir_json_write_end(writer);
}

/* The types in lower case, parameters aside; JPEG under both its names. */
static struct weir_span image_type(struct weir_span type) {
    static const struct weir_span known[] = {{"image/png", 9},
                                             {"image/jpeg", 10},
                                             {"image/gif", 9},
                                             {"image/webp", 10}};
    if (!weir_is_said(type) || weir_span_equal_ignore_case(type, WEIR_SPAN("image/*")))
        return known[0];
    if (weir_span_equal_ignore_case(type, WEIR_SPAN("image/jpg")))
        return known[1];
    for (size_t i = 0; i < COUNT(known); i++)
        if (weir_span_equal_ignore_case(type, known[i]))
            return known[i];
    return WEIR_UNSAID;
}

static enum weir_status write_image(struct dialect__anthropic_writing *writing, const struct weir_part *part) {
    struct weir_json_writer *writer = writing->writer;
    const struct weir_media *media = &part->media;
    bool is_inline = media->source == WEIR_MEDIA_INLINE;
    struct weir_span type = is_inline ? image_type(media->type) : WEIR_SPAN("");
    if (!is_inline && media->source != WEIR_MEDIA_URL)
        return cannot_send(writing, "an image by the id of a file");
    if (!weir_is_said(type))
        return cannot_send_type(writing, "an image", media->type);
    begin_block(writing, "image");
    begin_source(writing, is_inline ? "base64" : "url");
    if (is_inline)
        dialect__member_wire(writer, "media_type", type);
    dialect__member_wire(writer, is_inline ? "data" : "url", media->data);
    weir_json_write_end(writer);
    dialect__anthropic_write_mark(writing, part->cache);
    weir_json_write_end(writer);
    return WEIR_OK;
}

/* What can be told as text, parameters aside. */
static bool is_text_type(struct weir_span type) {
    static const struct weir_span others[] = {{"application/json", 16},
                                              {"application/xml", 15},
                                              {"application/yaml", 16}};
    for (size_t i = 0; i < COUNT(others); i++)
        if (type.length >= others[i].length &&
            weir_span_equal_ignore_case(weir_span_first(type, others[i].length), others[i]))
            return true;
    return type.length > 5 && weir_span_equal_ignore_case(weir_span_first(type, 5), WEIR_SPAN("text/"));
}

/* False: it is no base64, or there is no memory. */
static bool decode_text(struct weir_arena *arena, struct weir_span base64, struct weir_span *wire) {
    size_t padding = 0;
    while (padding < 2 && padding < base64.length && base64.at[base64.length - 1 - padding] == '=')
        padding++;
    char *text = weir_arena_alloc_raw(arena, base64.length + 1);
    if (text == NULL || base64.length % 4 != 0 || base64.length > INT_MAX)
        return false;
    int length = base64.length == 0
                     ? 0
                     : EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)base64.at, (int)base64.length);
    if (length < 0 || (size_t)length < padding)
        return false;
    *wire = weir_wire_text(arena, weir_span_of(text, (size_t)length - padding));
    return true;
}

static enum weir_status write_document(struct dialect__anthropic_writing *writing, const struct weir_part *part) {
    static const char *const sources[] = {
        [WEIR_MEDIA_INLINE] = "base64", [WEIR_MEDIA_TEXT] = "text", [WEIR_MEDIA_URL] = "url"};
    static const char *const types[] = {[WEIR_MEDIA_INLINE] = "application/pdf", [WEIR_MEDIA_TEXT] = "text/plain"};
    struct weir_json_writer *writer = writing->writer;
    const struct weir_media *media = &part->media;
    struct weir_span data = media->data;
    enum weir_media_source source = media->source;
    if (source == WEIR_MEDIA_FILE)
        return cannot_send(writing, "a document by the id of a file");
    if (source == WEIR_MEDIA_INLINE && weir_is_said(media->type) &&
        !weir_span_equal_ignore_case(media->type, WEIR_SPAN("application/pdf"))) {
        if (!is_text_type(media->type))
            return cannot_send_type(writing, "a document", media->type);
        if (!decode_text(writing->exchange->arena, media->data, &data))
            return cannot_send(writing, "a text whose base64 is damaged");
        source = WEIR_MEDIA_TEXT;
    }
    begin_block(writing, "document");
    begin_source(writing, sources[source]);
    if (source != WEIR_MEDIA_URL)
        weir_json_member_text(writer, "media_type", types[source]);
    dialect__member_wire(writer, source == WEIR_MEDIA_URL ? "url" : "data", data);
    weir_json_write_end(writer);
    if (media->filename.length > 0)
        dialect__member_wire(writer, "title", media->filename);
    dialect__anthropic_write_mark(writing, part->cache);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static void write_thinking(struct dialect__anthropic_writing *writing, const struct weir_part *part) {
    struct weir_json_writer *writer = writing->writer;
    bool is_hidden = part->signature.is_redacted;
    begin_block(writing, is_hidden ? "redacted_thinking" : "thinking");
    if (!is_hidden)
        dialect__member_wire(writer, "thinking", weir_is_said(part->text) ? part->text : WEIR_SPAN(""));
    dialect__member_wire(writer, is_hidden ? "data" : "signature", part->signature.value);
    weir_json_write_end(writer);
}

static enum weir_status write_id(struct dialect__anthropic_writing *writing, const char *name, struct weir_span id) {
    struct weir_span text = dialect__anthropic_name(writing->exchange->arena, weir_is_said(id) ? id : WEIR_SPAN(""));
    dialect__member_wire(writing->writer, name, text);
    return weir_is_said(text) ? WEIR_OK : WEIR_ENOMEM;
}

static enum weir_status write_call(struct dialect__anthropic_writing *writing, const struct weir_part *part) {
    struct weir_json_writer *writer = writing->writer;
    begin_block(writing, "tool_use");
    enum weir_status status = write_id(writing, "id", part->id);
    if (status == WEIR_OK)
        status = write_id(writing, "name", part->name);
    dialect__write_anthropic_input(writer, part->arguments);
    dialect__anthropic_write_mark(writing, part->cache);
    weir_json_write_end(writer);
    return status;
}

static enum weir_status write_part(struct dialect__anthropic_writing *writing, const struct weir_part *part);

static enum weir_status write_result(struct dialect__anthropic_writing *writing, const struct weir_part *part) {
    struct weir_json_writer *writer = writing->writer;
    bool any = false;
    begin_block(writing, "tool_result");
    enum weir_status status = write_id(writing, "tool_use_id", part->id);
    for (const struct weir_part *inner = part->content; status == WEIR_OK && inner != NULL; inner = inner->next) {
        if (!is_sent(inner))
            continue;
        if (!any) {
            weir_json_write_name(writer, "content");
            weir_json_write_array(writer);
        }
        any = true;
        status = write_part(writing, inner);
    }
    if (status != WEIR_OK)
        return status;
    if (any)
        weir_json_write_end(writer);
    if (part->is_error)
        weir_json_member_bool(writer, "is_error", true);
    dialect__anthropic_write_mark(writing, part->cache);
    weir_json_write_end(writer);
    return WEIR_OK;
}

static enum weir_status write_part(struct dialect__anthropic_writing *writing, const struct weir_part *part) {
    struct weir_span nothing = WEIR_SPAN(""), text = part->text;
    switch (part->kind) {
    case WEIR_PART_TEXT:
    case WEIR_PART_REFUSAL:
        if (part == writing->last_text)
            text = weir_span_first(text, trimmed(text));
        write_words(writing, nothing, text, nothing, part->cache);
        return WEIR_OK;
    case WEIR_PART_IMAGE: return write_image(writing, part);
    case WEIR_PART_DOCUMENT: return write_document(writing, part);
    case WEIR_PART_AUDIO: return cannot_send(writing, "sound");
    case WEIR_PART_TOOL_CALL: return write_call(writing, part);
    case WEIR_PART_TOOL_RESULT: return write_result(writing, part);
    case WEIR_PART_THINKING: write_thinking(writing, part); return WEIR_OK;
    case WEIR_PART_OTHER: return cannot_send_type(writing, "content", part->name);
    }
    return WEIR_OK;
}

/* --- turns --- */

static enum weir_status write_parts(struct dialect__anthropic_writing *writing, const struct weir_turn *turn,
                                    bool results) {
    enum weir_status status = WEIR_OK;
    for (const struct weir_part *part = turn->parts; status == WEIR_OK && part != NULL; part = part->next) {
        if (!is_sent(part) || (part->kind == WEIR_PART_TOOL_RESULT) != results)
            continue;
        if (turn->role == WEIR_TURN_SYSTEM && turn != writing->first_turn && is_words(part))
            write_words(writing, WEIR_SPAN("<system>\\n"), part->text, WEIR_SPAN("\\n</system>"), part->cache);
        else
            status = write_part(writing, part);
    }
    return status;
}

static void begin_message(struct dialect__anthropic_writing *writing, enum weir_turn_role role) {
    struct weir_json_writer *writer = writing->writer;
    weir_json_write_object(writer);
    weir_json_member_text(writer, "role", role == WEIR_TURN_ASSISTANT ? "assistant" : "user");
    weir_json_write_name(writer, "content");
    weir_json_write_array(writer);
}

static void end_message(struct dialect__anthropic_writing *writing) {
    weir_json_write_end(writing->writer);
    weir_json_write_end(writing->writer);
}

/* The turns of one role that follow each other, results of tools first. */
static enum weir_status write_run(struct dialect__anthropic_writing *writing, const struct weir_turn **turn) {
    const struct weir_turn *begin = *turn, *end = begin;
    enum weir_turn_role role = role_of(begin);
    enum weir_status status = WEIR_OK;
    while (end != NULL && (!sends(end) || role_of(end) == role))
        end = end->next;
    *turn = end;
    begin_message(writing, role);
    for (int pass = 0; pass < 2; pass++)
        for (const struct weir_turn *one = begin; status == WEIR_OK && one != end; one = one->next)
            status = write_parts(writing, one, pass == 0);
    if (status == WEIR_OK)
        end_message(writing);
    return status;
}

enum weir_status dialect__anthropic_write_messages(struct dialect__anthropic_writing *writing) {
    enum weir_status status = WEIR_OK;
    bool is_first = true;
    weir_json_write_name(writing->writer, "messages");
    weir_json_write_array(writing->writer);
    for (const struct weir_turn *turn = writing->first_turn; status == WEIR_OK && turn != NULL;) {
        if (!sends(turn)) {
            turn = turn->next;
            continue;
        }
        if (is_first && role_of(turn) == WEIR_TURN_ASSISTANT) { /* somebody has to have begun */
            begin_message(writing, WEIR_TURN_USER);
            write_words(writing, WEIR_SPAN("Continue."), WEIR_SPAN(""), WEIR_SPAN(""), WEIR_UNSAID);
            end_message(writing);
        }
        is_first = false;
        status = write_run(writing, &turn);
    }
    if (status != WEIR_OK)
        return status;
    weir_json_write_end(writing->writer);
    if (!is_first)
        return WEIR_OK;
    *writing->problem = (struct weir_call_problem){.reason = WEIR_REASON_FIELD_INVALID, .field = "messages"};
    (void)snprintf(writing->problem->text, sizeof writing->problem->text, "'messages' must have some content");
    return WEIR_EINVAL;
}

void dialect__anthropic_write_system(struct dialect__anthropic_writing *writing) {
    const struct weir_prompt *prompt = writing->prompt;
    struct weir_json_writer *writer = writing->writer;
    bool any = false, asks_json = prompt->output_form == WEIR_FORM_JSON;
    for (const struct weir_turn *turn = prompt->turns; turn != writing->first_turn; turn = turn->next)
        any = any || sends(turn);
    if (!any && !asks_json)
        return;
    weir_json_write_name(writer, "system");
    weir_json_write_array(writer);
    for (const struct weir_turn *turn = prompt->turns; turn != writing->first_turn; turn = turn->next)
        for (const struct weir_part *part = turn->parts; part != NULL; part = part->next)
            if (is_words(part) && is_sent(part))
                write_words(writing, WEIR_SPAN(""), part->text, WEIR_SPAN(""), part->cache);
    if (asks_json) /* behind what may come from a cache */
        write_words(writing, WEIR_SPAN("Answer with one valid JSON object and nothing else: no words around it."),
                    WEIR_SPAN(""), WEIR_SPAN(""), WEIR_UNSAID);
    weir_json_write_end(writer);
}
