/* See command_support.h. */
#include "main/command_support.h"

#include "base/arithmetic.h"
#include "base/clock.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum weir_status main__parse_time(struct weir_span text, bool future, int64_t *utc_us) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    uint64_t count = 0;
    for (size_t i = 0; text.length > 1 && i < sizeof units / sizeof *units; i++) {
        int64_t us = 0;
        if (text.at[text.length - 1] != units[i].unit ||
            weir_span_to_uint64(weir_span_first(text, text.length - 1), &count) != WEIR_OK)
            continue;
        if (count > 100000000 || !weir_multiply_int64((int64_t)count, units[i].seconds * 1000000, &us))
            return WEIR_EINVAL;
        *utc_us = future ? weir_clock_utc_us() + us : weir_clock_utc_us() - us;
        return WEIR_OK;
    }
    return weir_clock_parse_utc(text, utc_us);
}

void main__format_time(int64_t utc_us, char out[32]) {
    char full[WEIR_TIMESTAMP_SIZE];
    if (utc_us == 0) {
        (void)snprintf(out, 32, "-");
        return;
    }
    weir_clock_format_utc(utc_us, full);
    (void)snprintf(out, 32, "%.19sZ", full);
}

void main__cell(struct weir_span text, size_t width, char out[MAIN_CELL_SIZE]) {
    size_t columns = 0, length = 0;
    for (size_t i = 0; i < text.length && length + 8 < MAIN_CELL_SIZE; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        bool continues = (byte & 0xc0) == 0x80;
        if (!continues && columns + 1 == width && i + 1 < text.length) {
            memcpy(&out[length], "…", sizeof "…" - 1);
            length += sizeof "…" - 1;
            columns++;
            break;
        }
        bool c1 = byte == 0xc2 && i + 1 < text.length && (unsigned char)text.at[i + 1] < 0xa0;
        out[length++] = byte < 0x20 || byte == 0x7f || c1 ? '?' : (char)byte;
        columns += !continues;
        i += c1;
    }
    for (; columns < width && length + 1 < MAIN_CELL_SIZE; columns++)
        out[length++] = ' ';
    out[length] = '\0';
}

void main__add_place(enum weir_status status, struct weir_error *error) {
    struct weir_error said = *error;
    if (status == WEIR_ENOTFOUND)
        (void)weir_fail(error, status, "%.300s; -c FILE names the settings file whose data_dir has it", said.text);
}

enum weir_status main__store_open(const struct main__settings *settings, bool create, struct weir_engine **engine,
                                  struct weir_error *error) {
    char path[PATH_MAX], resolved[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/weir.db", settings->data_dir);
    bool was_there = length < 0 || (size_t)length >= sizeof path || access(path, F_OK) == 0;
    enum weir_status status = weir_store_direct_open(settings->data_dir, settings->environment, create, engine, error);
    main__add_place(status, error);
    if (status == WEIR_OK && !was_there)
        fprintf(stderr, "weir: made a new database: %s (data_dir of the settings; -c FILE names a settings file)\n",
                realpath(path, resolved) != NULL ? resolved : path);
    return status;
}

bool main__read_time_flag(const char *text, const char *flag, int64_t *utc_us) {
    if (text == NULL || main__parse_time(weir_span_of_string(text), false, utc_us) == WEIR_OK)
        return true;
    fprintf(stderr, "weir: %s: expected a time like 2026-11-21T13:00:00Z, a date, or a while ago like 24h; got '%s'\n",
            flag, text);
    return false;
}
