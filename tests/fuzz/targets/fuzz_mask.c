/* links: base json */
/* Masking: no text makes it fail or grow without bound; JSON stays JSON; a secret does not get through, whatever stands around it; masking what
 * is masked changes no name and no more than it must.
 */
#include "base/limits.h"
#include "base/mask.h"
#include "json/scan.h"
#include "json/write.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static const char canary[] = "CANARYcanaryCANARYcanaryCANARYcanary1234";

static bool shows_canary(const struct weir_buffer *out) {
    return out->length > 0 && memmem(out->at, out->length, canary, sizeof canary - 1) != NULL;
}

static void check_text(struct weir_span text) {
    struct weir_buffer out;
    weir_buffer_init(&out, 16 * WEIR_MIB);
    weir_mask_text(&out, text);
    require(weir_buffer_status(&out) == WEIR_OK && out.length <= 4 * text.length + 16);
    weir_buffer_clear(&out);
    weir_mask_value(&out, text);
    require(weir_buffer_status(&out) == WEIR_OK);
    weir_buffer_release(&out);
    (void)weir_mask_name_is_secret(text);
}

/* The input as the surroundings of a secret: in front of it a byte that ends a word. */
static void check_planted(struct weir_span around) {
    static const char *const forms[] = {" weir_prod_%s",       "\nsk-%s",    "?key=%s",
                                        "\n\"token\": \"%s\"", " Bearer %s", "://a:%s@h/"};
    struct weir_buffer text, out;
    if (around.length > 6 && memmem(around.at, around.length, "CANARY", 6) != NULL)
        return; /* what is in no shape is no secret */
    weir_buffer_init(&text, 16 * WEIR_MIB);
    weir_buffer_init(&out, 16 * WEIR_MIB);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        weir_buffer_clear(&text);
        weir_buffer_clear(&out);
        weir_buffer_append(&text, around);
        const char *at = strstr(forms[i], "%s");
        weir_buffer_append(&text, weir_span_of(forms[i], (size_t)(at - forms[i])));
        weir_buffer_append(&text, weir_span_of_string(canary));
        weir_buffer_append(&text, weir_span_of_string(at + 2));
        weir_mask_text(&out, weir_buffer_span(&text));
        require(weir_buffer_status(&out) == WEIR_OK && !shows_canary(&out));
        /* The same as a string of JSON. */
        struct weir_json_writer writer;
        struct weir_buffer json;
        weir_buffer_init(&json, 64 * WEIR_MIB);
        weir_json_writer_init(&writer, &json);
        weir_json_write_object(&writer);
        weir_json_member_string(&writer, "text", weir_buffer_span(&text));
        weir_json_write_end(&writer);
        weir_buffer_clear(&out);
        weir_mask_json(&out, weir_buffer_span(&json));
        require(weir_buffer_status(&out) == WEIR_OK && !shows_canary(&out));
        require(weir_json_scan(weir_buffer_span(&out), NULL, 0, NULL, NULL, NULL) == WEIR_OK);
        weir_buffer_release(&json);
    }
    weir_buffer_release(&text);
    weir_buffer_release(&out);
}

/* The input as JSON, alone and below a secret's name, where no string of it may be longer than a mask. */
static void check_json(struct weir_span json) {
    struct weir_buffer out;
    weir_buffer_init(&out, 64 * WEIR_MIB);
    bool good = weir_json_scan(json, NULL, 0, NULL, NULL, NULL) == WEIR_OK;
    weir_mask_json(&out, json);
    require(weir_buffer_status(&out) == WEIR_OK);
    if (good)
        require(weir_json_scan(weir_buffer_span(&out), NULL, 0, NULL, NULL, NULL) == WEIR_OK);
    weir_buffer_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct weir_span text = weir_span_of((const char *)data, size);
    check_text(text);
    check_planted(text);
    check_json(text);
    return 0;
}
