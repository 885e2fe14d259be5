/* Health documents. /livez says that the loop turns; /readyz whether traffic may come, with each dependency's state; /health and
 * /healthz tell both and are 200 while the process can serve at all. */
#include "telemetry/board.h"

#include "base/clock.h"
#include "json/write.h"

bool weir_health_path_find(struct weir_span path, enum weir_health_path *kind) {
    static const struct {
        const char *path;
        enum weir_health_path kind;
    } rows[] = {{"/livez", WEIR_HEALTH_LIVE},  {"/live", WEIR_HEALTH_LIVE},  {"/readyz", WEIR_HEALTH_READY},
                {"/ready", WEIR_HEALTH_READY}, {"/health", WEIR_HEALTH_ALL}, {"/healthz", WEIR_HEALTH_ALL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (weir_span_equal(path, weir_span_of_string(rows[i].path))) {
            *kind = rows[i].kind;
            return true;
        }
    }
    return false;
}

bool weir_board_is_ready(const struct weir_board *board) {
    return board->serving && !board->draining && board->journal_available && board->provider_count > 0;
}

static void write_check(struct weir_json_writer *writer, const char *name, bool good, const char *bad_word,
                        const char *hint) {
    weir_json_write_name(writer, name);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "status", good ? "ok" : bad_word);
    if (!good && hint != NULL)
        weir_json_member_text(writer, "hint", hint);
    weir_json_write_end(writer);
}

unsigned weir_board_write_health(const struct weir_board *board, enum weir_health_path kind, struct weir_buffer *out) {
    bool ready = weir_board_is_ready(board);
    bool degraded = !board->store_available;
    struct weir_json_writer writer;
    weir_json_writer_init(&writer, out);
    weir_json_write_object(&writer);
    if (kind == WEIR_HEALTH_LIVE) {
        weir_json_member_text(&writer, "status", "ok");
        weir_json_write_end(&writer);
        return 200;
    }
    weir_json_member_text(&writer, "status",
                          !ready     ? (board->draining ? "draining" : "unready")
                          : degraded ? "degraded"
                                     : "ok");
    weir_json_member_bool(&writer, "ready", ready);
    weir_json_member_text(&writer, "version", board->version);
    weir_json_member_text(&writer, "environment", board->environment);
    weir_json_member_int64(&writer, "revision", (int64_t)board->revision);
    weir_json_member_int64(&writer, "uptime_seconds", (weir_clock_utc_us() - board->start_utc_us) / 1000000);
    weir_json_write_name(&writer, "checks");
    weir_json_write_object(&writer);
    write_check(&writer, "serving", board->serving && !board->draining, board->draining ? "draining" : "starting",
                NULL);
    write_check(&writer, "store", board->store_available, "unavailable",
                "requests go on; usage waits in the journal until the store is back");
    write_check(&writer, "journal", board->journal_available, "unavailable",
                "free disk space where the data directory is");
    write_check(&writer, "secrets", !board->secrets_read_only, "read_only",
                "name a sealing key with secrets.sealing_key; `weir secrets generate` makes one");
    if (board->has_backups)
        write_check(&writer, "backups", !board->backup_failed, "failing", "the log and GET /api/v1/backups say why");
    write_check(&writer, "operator_plane", !board->operator_plane_open, "open",
                "set operator.allow and TLS for it, and drop operator.allow_remote");
    write_check(&writer, "providers", board->provider_count > 0, "none", "configure one under `providers`");
    weir_json_write_end(&writer);
    weir_json_write_end(&writer);
    return ready || kind == WEIR_HEALTH_ALL ? 200 : 503;
}
