/* Absolute http(s) URLs, percent coding, and host names.
 *
 * Stricter than RFC 3986 where a looser reading helps nobody but an attacker: no user information, no fragment, no
 * percent-coded host, no empty or zero port, visible ASCII alone. Never looks a name up.
 */
#include "http/url.h"

#include "http/impl.h"

#include <arpa/inet.h>

enum { MAX_HOST_BYTES = 255, MAX_PORT_DIGITS = 5, MAX_PORT = 65535 };

static bool is_ipv6(struct weir_span text) {
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    return weir_span_to_string(text, copy, sizeof(copy)) == WEIR_OK && inet_pton(AF_INET6, copy, &address) == 1;
}

static bool is_host_name(struct weir_span host) {
    for (size_t i = 0; i < host.length; i++) {
        char byte = host.at[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        if (!letter && !http__is_digit(byte) && byte != '-' && byte != '.' && byte != '_' && byte != '~') {
            return false;
        }
    }
    return host.length > 0 && host.length <= MAX_HOST_BYTES;
}

static bool read_port(struct weir_span text, uint16_t *port) {
    uint64_t value = 0;
    if (text.length > MAX_PORT_DIGITS || weir_span_to_uint64(text, &value) != WEIR_OK || value == 0 ||
        value > MAX_PORT) {
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

bool http__read_authority(struct weir_span authority, struct weir_span *host, bool *is_address6, uint16_t *port) {
    struct weir_span name;
    struct weir_span rest;
    bool bracketed = authority.length > 0 && authority.at[0] == '[';
    if (bracketed) {
        size_t close = weir_span_index(authority, ']');
        if (close == authority.length) {
            return false;
        }
        name = weir_span_of(authority.at + 1, close - 1);
        rest = weir_span_from(authority, close + 1);
    } else {
        size_t colon = weir_span_index(authority, ':');
        name = weir_span_first(authority, colon);
        rest = weir_span_from(authority, colon);
    }
    uint16_t number = 0;
    if (bracketed ? !is_ipv6(name) : !is_host_name(name)) {
        return false;
    }
    if (rest.length > 0 && (rest.at[0] != ':' || !read_port(weir_span_from(rest, 1), &number))) {
        return false;
    }
    *host = name;
    *is_address6 = bracketed;
    *port = number;
    return true;
}

static bool strip_scheme(struct weir_span *text, struct weir_span scheme) {
    if (text->length < scheme.length || !weir_span_equal_ignore_case(weir_span_first(*text, scheme.length), scheme)) {
        return false;
    }
    *text = weir_span_from(*text, scheme.length);
    return true;
}

enum weir_status weir_url_parse(struct weir_span text, struct weir_url *url, struct weir_error *error) {
    for (size_t i = 0; i < text.length; i++) {
        if (!http__is_visible(text.at[i])) {
            return weir_fail(error, WEIR_EINVAL, "the URL has a space, a control byte or a byte outside ASCII");
        }
    }
    struct weir_span rest = text;
    bool tls = strip_scheme(&rest, WEIR_SPAN("https://"));
    if (!tls && !strip_scheme(&rest, WEIR_SPAN("http://"))) {
        return weir_fail(error, WEIR_EINVAL, "the URL does not begin with http:// or https://");
    }
    if (weir_span_index(rest, '#') < rest.length) {
        return weir_fail(error, WEIR_EINVAL, "the URL has a fragment (#)");
    }
    size_t length = 0;
    while (length < rest.length && rest.at[length] != '/' && rest.at[length] != '?') {
        length++;
    }
    struct weir_span authority = weir_span_first(rest, length);
    struct weir_span host;
    bool address6 = false;
    uint16_t port = 0;
    if (weir_span_index(authority, '@') < authority.length) {
        return weir_fail(error, WEIR_EINVAL, "the URL has user information (user@host)");
    }
    if (!http__read_authority(authority, &host, &address6, &port)) {
        return weir_fail(error, WEIR_EINVAL, "the URL has no well-formed host and port");
    }
    struct weir_span path;
    struct weir_span query;
    weir_span_split(weir_span_from(rest, length), '?', &path, &query);
    *url = (struct weir_url){.tls = tls,
                             .host = host,
                             .host_is_ipv6 = address6,
                             .port = port != 0 ? port : (uint16_t)(tls ? 443 : 80),
                             .port_given = port != 0,
                             .authority = authority,
                             .path = path,
                             .query = query};
    return WEIR_OK;
}

static enum weir_status decode(struct weir_span span, bool plus_is_space, char *out, size_t *length) {
    size_t written = 0;
    for (size_t i = 0; i < span.length; i++) {
        char byte = span.at[i];
        if (byte == '%') {
            unsigned high = i + 2 < span.length ? http__hex_value(span.at[i + 1]) : 16;
            unsigned low = i + 2 < span.length ? http__hex_value(span.at[i + 2]) : 16;
            if (high > 15 || low > 15 || (high | low) == 0) {
                return WEIR_EINVAL;
            }
            byte = (char)(unsigned char)(high << 4 | low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        } else if (byte == '\0') {
            return WEIR_EINVAL;
        }
        out[written++] = byte;
    }
    *length = written;
    return WEIR_OK;
}

enum weir_status weir_url_decode(struct weir_span span, char *out, size_t *length) {
    return decode(span, false, out, length);
}

enum weir_status weir_url_query_find(struct weir_span query, struct weir_span name, char *out, size_t *length) {
    while (query.length > 0) {
        struct weir_span pair;
        struct weir_span rest;
        struct weir_span key;
        struct weir_span value;
        weir_span_split(query, '&', &pair, &rest);
        weir_span_split(pair, '=', &key, &value);
        size_t key_length = 0;
        if (decode(key, true, out, &key_length) == WEIR_OK && weir_span_equal(weir_span_of(out, key_length), name)) {
            return decode(value, true, out, length);
        }
        query = rest;
    }
    return WEIR_ENOTFOUND;
}

enum weir_status weir_url_query_next(struct weir_span *rest, char *out, struct weir_span *name,
                                     struct weir_span *value) {
    struct weir_span pair = WEIR_SPAN("");
    while (pair.length == 0) {
        if (rest->length == 0)
            return WEIR_END;
        weir_span_split(*rest, '&', &pair, rest);
    }
    struct weir_span raw_name, raw_value;
    size_t name_length = 0, value_length = 0;
    weir_span_split(pair, '=', &raw_name, &raw_value);
    enum weir_status status = decode(raw_name, true, out, &name_length);
    if (status == WEIR_OK)
        status = decode(raw_value, true, out + name_length, &value_length);
    *name = weir_span_of(out, name_length);
    *value = weir_span_of(out + name_length, value_length);
    return status;
}

bool weir_url_host_is_loopback(struct weir_span host) {
    if (weir_span_equal_ignore_case(host, WEIR_SPAN("localhost"))) {
        return true;
    }
    const struct weir_span suffix = WEIR_SPAN(".localhost");
    if (host.length > suffix.length && is_host_name(host) &&
        weir_span_equal_ignore_case(weir_span_from(host, host.length - suffix.length), suffix)) {
        return true;
    }
    char text[INET6_ADDRSTRLEN];
    if (weir_span_to_string(host, text, sizeof(text)) != WEIR_OK) {
        return false;
    }
    struct in_addr address4;
    if (inet_pton(AF_INET, text, &address4) == 1) {
        return (ntohl(address4.s_addr) >> 24) == 127;
    }
    struct in6_addr address6;
    if (inet_pton(AF_INET6, text, &address6) != 1) {
        return false;
    }
    return IN6_IS_ADDR_LOOPBACK(&address6) || (IN6_IS_ADDR_V4MAPPED(&address6) && address6.s6_addr[12] == 127);
}
