/* links: base http */
/* URLs: what is accepted is the sum of its parts; percent coding of any bytes decodes to the same bytes; nothing is
 * written beyond the room that the contracts ask for.
 */
#include "base/limits.h"
#include "http/url.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check_parse(struct weir_span text) {
    struct weir_url url;
    struct weir_error error = {.text = ""};
    if (weir_url_parse(text, &url, &error) != WEIR_OK) {
        require(error.status == WEIR_EINVAL && error.text[0] != '\0');
        return;
    }
    require(url.port != 0 && url.host.length > 0);
    require(weir_span_index(text, '#') == text.length && weir_span_index(url.authority, '@') == url.authority.length);
    struct weir_buffer sum;
    weir_buffer_init(&sum, WEIR_MIB);
    weir_buffer_append(&sum, weir_span_first(text, url.tls ? 8 : 7));
    weir_buffer_append(&sum, url.authority);
    weir_buffer_append(&sum, url.path);
    if (sum.length < text.length) {
        weir_buffer_append(&sum, WEIR_SPAN("?"));
        weir_buffer_append(&sum, url.query);
    }
    require(weir_span_equal(weir_buffer_span(&sum), text));
    /* The same from its parts. */
    weir_buffer_clear(&sum);
    weir_buffer_printf(&sum, url.host_is_ipv6 ? "%s://[%.*s]:%u" : "%s://%.*s:%u", url.tls ? "https" : "http",
                       WEIR_SPAN_PRINT(url.host), (unsigned)url.port);
    struct weir_url again;
    require(weir_url_parse(weir_buffer_span(&sum), &again, NULL) == WEIR_OK);
    require(weir_span_equal(again.host, url.host) && again.port == url.port && again.host_is_ipv6 == url.host_is_ipv6);
    weir_buffer_release(&sum);
}

static void check_coding(struct weir_span text, char *out) {
    size_t length = 0;
    enum weir_status status = weir_url_decode(text, out, &length);
    require(status == WEIR_OK || status == WEIR_EINVAL);
    require(status != WEIR_OK || (length <= text.length && weir_span_index(weir_span_of(out, length), '\0') == length));
    struct weir_buffer coded;
    weir_buffer_init(&coded, 4 * WEIR_MIB);
    for (size_t i = 0; i < text.length; i++) {
        weir_buffer_printf(&coded, "%%%02x", (unsigned)(unsigned char)text.at[i]);
    }
    char *decoded = malloc(coded.length + 1);
    require(decoded != NULL);
    bool has_nul = weir_span_index(text, '\0') < text.length;
    status = weir_url_decode(weir_buffer_span(&coded), decoded, &length);
    require(status == (has_nul ? WEIR_EINVAL : WEIR_OK));
    require(has_nul || weir_span_equal(weir_span_of(decoded, length), text));
    free(decoded);
    weir_buffer_release(&coded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct weir_span text = weir_span_of((const char *)data, size);
    char *out = malloc(size);
    require(out != NULL || size == 0);
    check_parse(text);
    check_coding(text, out);
    size_t length = 0;
    if (weir_url_query_find(text, WEIR_SPAN("a"), out, &length) == WEIR_OK) {
        require(length <= size);
    }
    /* Whole and as a host in a URL: a loopback host is no long text. */
    require(!weir_url_host_is_loopback(text) || size <= 255);
    free(out);
    return 0;
}
