/* One file of the time zone database: the TZif format of RFC 9636, versions 1 to 4.
 *
 * A file lists when clocks changed and to which offset; from version 2 on all of it stands there twice, and the second time, with times of 64 bits, counts.
 * Behind the last change a rule holds (zone_rule.c). Names and the marks for standard time are passed over. A file whose changes were moved by leap
 * seconds is refused: POSIX time has none, and every answer would be up to half a minute late. The bytes are not trusted.
 */
#include "base/memory.h"
#include "meter/zones_impl.h"

struct change {
    int64_t at_s;
    int32_t offset_s; /* from then on */
};
struct weir_zone {
    int32_t first_offset_s; /* before the first change */
    bool has_rule;
    struct meter__zone_rule rule; /* from the last change on */
    size_t count;
    struct change changes[]; /* rising */
};

static const struct weir_zone utc = {0};

const struct weir_zone *meter__zone_utc(void) {
    return &utc;
}

enum { HEADER_BYTES = 44, TYPE_BYTES = 6 };

/* What one of the two parts of a file holds. */
struct part {
    unsigned version; /* 1 to 4 */
    size_t time_bytes;
    size_t ut_count, standard_count, leap_count, change_count, type_count, name_bytes;
};

static uint64_t read_big_endian(const char *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

static int64_t read_time(const char *at, size_t bytes) {
    uint64_t value = read_big_endian(at, bytes);
    return bytes == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
}

/* Takes a header off the front. */
static enum weir_status take_header(struct weir_span *rest, size_t time_bytes, struct part *part) {
    if (rest->length < HEADER_BYTES || !weir_span_starts_with(*rest, WEIR_SPAN("TZif")))
        return WEIR_ECORRUPT;
    char version = rest->at[4];
    if (version != '\0' && (version < '2' || version > '4'))
        return WEIR_ECORRUPT;
    size_t counts[6];
    for (size_t i = 0; i < 6; i++)
        counts[i] = (size_t)read_big_endian(rest->at + 20 + i * 4, 4);
    *part = (struct part){
        .version = version == '\0' ? 1 : (unsigned)(version - '0'),
        .time_bytes = time_bytes,
        .ut_count = counts[0],
        .standard_count = counts[1],
        .leap_count = counts[2],
        .change_count = counts[3],
        .type_count = counts[4],
        .name_bytes = counts[5],
    };
    *rest = weir_span_from(*rest, HEADER_BYTES);
    return WEIR_OK;
}

/* Takes the data behind a header off the front. */
static enum weir_status take_data(struct weir_span *rest, const struct part *part, struct weir_span *data) {
    /* Six counts below 2^32 with factors below 16: no overflow in 64 bits. */
    uint64_t bytes = (uint64_t)part->change_count * (part->time_bytes + 1) + (uint64_t)part->type_count * TYPE_BYTES +
                     part->name_bytes + (uint64_t)part->leap_count * (part->time_bytes + 4) + part->standard_count +
                     part->ut_count;
    if (bytes > rest->length)
        return WEIR_ECORRUPT;
    *data = weir_span_first(*rest, (size_t)bytes);
    *rest = weir_span_from(*rest, (size_t)bytes);
    return WEIR_OK;
}

static enum weir_status read_changes(const struct part *part, struct weir_span data, struct weir_zone *zone) {
    const char *times = data.at;
    const char *indexes = times + part->change_count * part->time_bytes;
    const char *types = indexes + part->change_count;
    for (size_t i = 0; i < part->type_count; i++) {
        int64_t offset_s = read_time(types + i * TYPE_BYTES, 4);
        if (offset_s < -METER_MAX_ZONE_OFFSET_S || offset_s > METER_MAX_ZONE_OFFSET_S)
            return WEIR_ECORRUPT;
    }
    zone->first_offset_s = (int32_t)read_time(types, 4);
    for (size_t i = 0; i < part->change_count; i++) {
        size_t type = (unsigned char)indexes[i];
        if (type >= part->type_count)
            return WEIR_ECORRUPT;
        zone->changes[i] = (struct change){
            .at_s = read_time(times + i * part->time_bytes, part->time_bytes),
            .offset_s = (int32_t)read_time(types + type * TYPE_BYTES, 4),
        };
        if (i > 0 && zone->changes[i].at_s <= zone->changes[i - 1].at_s)
            return WEIR_ECORRUPT;
    }
    zone->count = part->change_count;
    return WEIR_OK;
}

/* "\n…\n" at the end of a file; nothing between the two: there is no rule. */
static enum weir_status read_rule(struct weir_span rest, struct weir_zone *zone) {
    if (rest.length < 2 || rest.at[0] != '\n')
        return WEIR_ECORRUPT;
    rest = weir_span_from(rest, 1);
    size_t length = weir_span_index(rest, '\n');
    if (length == rest.length)
        return WEIR_ECORRUPT;
    if (length == 0)
        return WEIR_OK;
    zone->has_rule = true;
    return meter__zone_rule_read(weir_span_first(rest, length), &zone->rule) == WEIR_OK ? WEIR_OK : WEIR_ECORRUPT;
}

enum weir_status weir_zone_read(struct weir_span bytes, struct weir_zone **zone) {
    struct weir_span rest = bytes;
    struct weir_span data;
    struct part part;
    if (bytes.length > METER_MAX_ZONE_FILE_BYTES || take_header(&rest, 4, &part) != WEIR_OK ||
        take_data(&rest, &part, &data) != WEIR_OK)
        return WEIR_ECORRUPT;
    if (part.version > 1 && (take_header(&rest, 8, &part) != WEIR_OK || take_data(&rest, &part, &data) != WEIR_OK))
        return WEIR_ECORRUPT;
    if (part.type_count == 0 || part.type_count > 256 || part.leap_count > 0)
        return WEIR_ECORRUPT;
    struct weir_zone *read = weir_memory_new(1, sizeof *read + part.change_count * sizeof read->changes[0]);
    if (read == NULL)
        return WEIR_ENOMEM;
    enum weir_status status = read_changes(&part, data, read);
    if (status == WEIR_OK && part.time_bytes == 8)
        status = read_rule(rest, read);
    if (status != WEIR_OK) {
        weir_zone_free(&read);
        return status;
    }
    *zone = read;
    return WEIR_OK;
}

void weir_zone_free(struct weir_zone **zone) {
    if (zone == NULL || *zone == NULL)
        return;
    weir_memory_free(*zone);
    *zone = NULL;
}

struct meter__zone_stretch meter__zone_stretch(const struct weir_zone *zone, int64_t utc_s) {
    if (zone == NULL)
        return (struct meter__zone_stretch){.until_s = INT64_MAX};
    size_t low = 0, high = zone->count; /* how many changes lie at or before it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->changes[middle].at_s <= utc_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == zone->count && zone->has_rule) {
        /* The calendar ends with the year 9999, and years around are looked at; no offset matters so far off. */
        const int64_t earliest_s = INT64_C(-62135596800), latest_s = INT64_C(253276070400);
        return meter__zone_rule_stretch(&zone->rule, utc_s < earliest_s ? earliest_s
                                                     : utc_s > latest_s ? latest_s
                                                                        : utc_s);
    }
    return (struct meter__zone_stretch){
        .offset_s = low == 0 ? zone->first_offset_s : zone->changes[low - 1].offset_s,
        .until_s = low < zone->count ? zone->changes[low].at_s : INT64_MAX,
    };
}

int32_t weir_zone_offset(const struct weir_zone *zone, int64_t utc_us) {
    return meter__zone_stretch(zone, meter__floor_divide(utc_us, 1000000)).offset_s;
}
