/* Backups: what the schedule has made, how it stands, and one at once. The files themselves never go through here. */
#include "base/memory.h"
#include "operator/op_objects.h"
#include "operator/operations_table.h"
#include "secrets/sealing.h"
#include "store/backup.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>

/* main/backup_schedule.c names its files so; a file gets that name only after it was verified. */
#define PREFIX "weir-"
#define SUFFIX ".backup"

struct file {
    char name[256];
    struct weir_backup_info info;
};

struct files {
    struct file *at;
    size_t count, room;
};

static int compare(const void *left, const void *right) {
    int64_t a = ((const struct file *)left)->info.created_utc_us, b = ((const struct file *)right)->info.created_utc_us;
    return a > b ? -1 : a < b;
}

/* Newest first. What is no whole backup is left out. */
static enum weir_status read_folder(const char *folder, struct files *files) {
    DIR *listing = opendir(folder);
    struct dirent *row;
    enum weir_status status = WEIR_OK;
    while (listing != NULL && status == WEIR_OK && (row = readdir(listing)) != NULL) {
        char path[PATH_MAX];
        struct weir_span name = weir_span_of_string(row->d_name);
        if (!weir_span_ends_with(name, WEIR_SPAN(SUFFIX)) ||
            snprintf(path, sizeof path, "%s/%s", folder, row->d_name) >= (int)sizeof path)
            continue;
        if (files->count == files->room) {
            size_t room = files->room == 0 ? 32 : files->room * 2;
            struct file *larger = weir_memory_resize(files->at, room, sizeof *larger);
            if (larger == NULL) {
                status = WEIR_ENOMEM;
                break;
            }
            files->at = larger;
            files->room = room;
        }
        struct file *file = &files->at[files->count];
        (void)snprintf(file->name, sizeof file->name, "%s", row->d_name);
        files->count += weir_backup_describe(path, &file->info, NULL) == WEIR_OK;
    }
    if (listing != NULL)
        (void)closedir(listing);
    if (files->count > 0)
        qsort(files->at, files->count, sizeof *files->at, compare);
    return status;
}

static void write_file(struct weir_json_writer *writer, const struct file *file) {
    char instance[WEIR_UUID_TEXT_SIZE], key[WEIR_SEALING_KEY_ID_SIZE] = "";
    const struct weir_backup_info *info = &file->info;
    weir_uuid_format(&info->instance, instance);
    if (info->sealed &&
        weir_sealing_blob_key_id(weir_span_of((const char *)info->wrapped, info->wrapped_length), key) != WEIR_OK)
        key[0] = '\0';
    weir_json_write_object(writer);
    weir_json_member_text(writer, "name", file->name);
    weir_operation_member_time(writer, "created_at", info->created_utc_us);
    weir_json_member_text(writer, "environment", info->environment);
    weir_json_member_text(writer, "instance", instance);
    weir_json_member_text(writer, "weir_version", info->version);
    weir_json_member_int64(writer, "schema_step", info->schema);
    weir_json_member_int64(writer, "bytes", (int64_t)info->file_bytes);
    weir_json_member_int64(writer, "database_bytes", (int64_t)info->database_bytes);
    weir_json_member_bool(writer, "sealed", info->sealed);
    weir_json_member_text(writer, "sealed_with", info->sealed ? key : NULL);
    weir_json_member_bool(writer, "verified",
                          weir_span_starts_with(weir_span_of_string(file->name), WEIR_SPAN(PREFIX)));
    weir_json_write_end(writer);
}

static void write_state(struct weir_json_writer *writer, const struct weir_backup_hooks *hooks) {
    struct weir_backup_state state = {.problem = ""};
    bool configured = hooks->read_state != NULL;
    if (configured)
        hooks->read_state(hooks->context, &state);
    weir_json_write_name(writer, "state");
    weir_json_write_object(writer);
    weir_json_member_bool(writer, "scheduled", configured);
    weir_json_member_text(writer, "folder", configured ? hooks->folder : NULL);
    weir_json_member_bool(writer, "running", state.running);
    weir_operation_member_time(writer, "last_at", state.last_utc_us);
    weir_operation_member_time(writer, "next_at", state.next_utc_us);
    weir_json_write_name(writer, "last_duration_ms");
    if (state.last_us > 0)
        weir_json_write_int64(writer, state.last_us / 1000);
    else
        weir_json_write_null(writer);
    weir_json_member_int64(writer, "failures", (int64_t)state.failures);
    weir_json_member_text(writer, "problem", state.problem[0] != '\0' ? state.problem : NULL);
    weir_json_write_end(writer);
}

enum weir_status operator__backups_list(struct weir_operation_call *call) {
    const struct weir_backup_hooks *hooks = &weir_operation_settings(call)->backups;
    struct files files = {.at = NULL};
    int64_t before = 0;
    size_t limit = 0, shown = 0;
    enum weir_status status = weir_operation_page(call, &before, &limit);
    if (status != WEIR_OK)
        return status;
    if (hooks->folder != NULL && read_folder(hooks->folder, &files) != WEIR_OK) {
        weir_memory_free(files.at);
        return weir_operation_store_failed(call, WEIR_ENOMEM, "the backups", NULL);
    }
    struct weir_json_writer *writer = weir_operation_writer(call);
    int64_t next = 0, last = 0;
    weir_json_write_object(writer);
    write_state(writer, hooks);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    for (size_t i = 0; i < files.count; i++) {
        int64_t at = files.at[i].info.created_utc_us;
        if (before != 0 && at >= before)
            continue;
        if (shown++ == limit) {
            next = last;
            break;
        }
        write_file(writer, &files.at[i]);
        last = at;
    }
    weir_json_write_end(writer);
    weir_operation_page_end(call, next);
    weir_memory_free(files.at);
    return WEIR_OK;
}

static void start(struct weir_operation_call *call) {
    const struct weir_backup_hooks *hooks = &weir_operation_settings(call)->backups;
    (void)(hooks->start(hooks->context) == WEIR_OK); /* another one has begun meanwhile: as good */
}

enum weir_status operator__backups_create(struct weir_operation_call *call) {
    const struct weir_backup_hooks *hooks = &weir_operation_settings(call)->backups;
    struct weir_backup_state state = {.problem = ""};
    if (hooks->start == NULL)
        return weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, NULL,
                                   "no folder for backups is configured (backup.directory)");
    hooks->read_state(hooks->context, &state);
    if (state.running)
        return weir_operation_fail(call, WEIR_REASON_STATE_CONFLICT, NULL, "a backup is being made already");
    struct weir_span folder = weir_span_of_string(hooks->folder);
    const struct weir_operation_note note = {.resource_id = folder,
                                             .resource_name = folder,
                                             .workspace = WEIR_SPAN(""),
                                             .before = WEIR_SPAN(""),
                                             .after = WEIR_SPAN("")};
    enum weir_status status = weir_operation_audit(call, &note);
    if (status != WEIR_OK)
        return status;
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_operation_set_status(call, 202);
    weir_json_write_object(writer);
    write_state(writer, hooks);
    weir_json_write_end(writer);
    weir_operation_after(call, start);
    return WEIR_OK;
}
