/* Zones by name, from the system's time zone database: each file is read when its zone is first asked for, and kept.
 *
 * A name is letters, digits, '_', '+', '-' and single '/' between them: no name leads out of the folder, and the database's tables (zone.tab) have none. Files
 * are small, so they are read where they are asked for; what was read never changes, also when the database is brought up to date: a restart reads it anew.
 */
#include "base/buffer.h"
#include "base/map.h"
#include "base/memory.h"
#include "meter/zones_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const usual_places[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo",
                                           "/etc/zoneinfo"};
enum { USUAL_PLACES = sizeof usual_places / sizeof usual_places[0] };

struct kept {
    struct weir_zone *zone;
    char *name;
};
struct weir_zones {
    char *directory;       /* NULL: the usual places */
    struct weir_map *kept; /* struct kept by name */
};

enum weir_status weir_zones_new(const char *directory, struct weir_zones **zones) {
    struct weir_zones *made = weir_memory_new(1, sizeof *made);
    if (made == NULL)
        return WEIR_ENOMEM;
    made->kept = weir_map_new(0);
    if (directory != NULL)
        made->directory = weir_memory_string(weir_span_of_string(directory));
    if (made->kept == NULL || (directory != NULL && made->directory == NULL)) {
        weir_zones_free(&made);
        return WEIR_ENOMEM;
    }
    *zones = made;
    return WEIR_OK;
}

static void free_kept(struct kept *kept) {
    weir_zone_free(&kept->zone);
    weir_memory_free(kept->name);
    weir_memory_free(kept);
}

void weir_zones_free(struct weir_zones **zones) {
    if (zones == NULL || *zones == NULL)
        return;
    size_t cursor = 0;
    struct weir_span name;
    void *value;
    while ((*zones)->kept != NULL && weir_map_next((*zones)->kept, &cursor, &name, &value))
        free_kept(value);
    weir_map_free(&(*zones)->kept);
    weir_memory_free((*zones)->directory);
    weir_memory_free(*zones);
    *zones = NULL;
}

static bool is_zone_name(struct weir_span name) {
    if (name.length == 0 || name.length > METER_MAX_ZONE_NAME_BYTES)
        return false;
    char before = '/';
    for (size_t i = 0; i < name.length; i++) {
        char byte = name.at[i], lower = (char)(byte | 0x20);
        bool fits = (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' || byte == '+' ||
                    byte == '-' || (byte == '/' && before != '/');
        if (!fits)
            return false;
        before = byte;
    }
    return before != '/';
}

/* WEIR_ENOTFOUND: there is no such file, or it is a folder. */
static enum weir_status read_file(const char *path, struct weir_buffer *bytes, struct weir_error *error) {
    struct stat about;
    enum weir_status status = WEIR_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? WEIR_ENOTFOUND
                                                   : weir_fail(error, WEIR_EIO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        status = WEIR_ENOTFOUND;
        goto out;
    }
    for (;;) {
        char *room = weir_buffer_reserve(bytes, 8192);
        if (room == NULL) {
            status = weir_fail(error, weir_buffer_status(bytes) == WEIR_ELIMIT ? WEIR_ECORRUPT : WEIR_ENOMEM,
                               "%s: cannot be read whole", path);
            break;
        }
        ssize_t got = read(fd, room, 8192);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = weir_fail(error, WEIR_EIO, "%s: %s", path, strerror(errno));
        if (got <= 0)
            break;
        weir_buffer_commit(bytes, (size_t)got);
    }
out:
    close(fd);
    return status;
}

static enum weir_status read_zone(const struct weir_zones *zones, struct weir_span name, struct weir_zone **zone,
                                  struct weir_error *error) {
    size_t places = zones->directory != NULL ? 1 : USUAL_PLACES;
    bool has_place = false;
    for (size_t i = 0; i < places; i++) {
        const char *place = zones->directory != NULL ? zones->directory : usual_places[i];
        struct stat about;
        if (stat(place, &about) != 0 || !S_ISDIR(about.st_mode))
            continue;
        has_place = true;
        struct weir_buffer path, bytes;
        weir_buffer_init(&path, 8192);
        weir_buffer_init(&bytes, METER_MAX_ZONE_FILE_BYTES + 8192);
        weir_buffer_printf(&path, "%s/%.*s", place, WEIR_SPAN_PRINT(name));
        weir_buffer_append_byte(&path, '\0');
        enum weir_status status = weir_buffer_status(&path);
        if (status == WEIR_OK)
            status = read_file(path.at, &bytes, error);
        if (status == WEIR_OK) {
            status = weir_zone_read(weir_buffer_span(&bytes), zone);
            if (status != WEIR_OK)
                weir_fail(error, status, "%s: %s", path.at,
                          status == WEIR_ENOMEM ? "no memory to read it" : "not a time zone file that can be used");
        }
        weir_buffer_release(&path);
        weir_buffer_release(&bytes);
        if (status != WEIR_ENOTFOUND)
            return status;
    }
    if (has_place)
        return weir_fail(error, WEIR_ENOTFOUND, "\"%.*s\" is no time zone of this system", WEIR_SPAN_PRINT(name));
    return weir_fail(error, WEIR_ENOTFOUND,
                     "zone \"%.*s\": this system has no time zone database (%s): install tzdata; without it there is "
                     "UTC alone",
                     WEIR_SPAN_PRINT(name), zones->directory != NULL ? zones->directory : usual_places[0]);
}

enum weir_status weir_zone_find(struct weir_zones *zones, struct weir_span name, const struct weir_zone **zone,
                                struct weir_error *error) {
    if (!is_zone_name(name))
        return weir_fail(error, WEIR_EINVAL, "not the name of a time zone, as in \"Europe/Berlin\" or \"UTC\"");
    if (weir_span_equal(name, WEIR_SPAN("UTC"))) {
        *zone = meter__zone_utc();
        return WEIR_OK;
    }
    struct kept *kept = weir_map_find(zones->kept, name);
    if (kept != NULL) {
        *zone = kept->zone;
        return WEIR_OK;
    }
    struct weir_zone *read = NULL;
    enum weir_status status = read_zone(zones, name, &read, error);
    if (status != WEIR_OK)
        return status;
    kept = weir_memory_new(1, sizeof *kept);
    char *copy = weir_memory_string(name);
    if (kept != NULL && copy != NULL &&
        weir_map_put(zones->kept, weir_span_of(copy, name.length), kept, NULL) == WEIR_OK) {
        *kept = (struct kept){.zone = read, .name = copy};
        *zone = read;
        return WEIR_OK;
    }
    weir_memory_free(kept);
    weir_memory_free(copy);
    weir_zone_free(&read);
    return weir_fail(error, WEIR_ENOMEM, "no memory to keep a time zone");
}
