/* The endpoints under /_sim/: what a test asks the simulator about itself. They need no key and are in no log. */
#include "sim/connection.h"

#include "http/url.h"
#include "json/write.h"

#define MAX_ANSWER_BYTES (256 * WEIR_MIB)

static void reply_built(struct sim_connection *connection, const char *type, struct weir_buffer *body) {
    if (weir_buffer_status(body) == WEIR_OK) {
        sim__reply(connection, 200, type, weir_buffer_span(body));
    } else {
        sim__reply(connection, 500, "application/json", WEIR_SPAN("{\"error\":{\"message\":\"no memory\"}}"));
    }
}

static void reply_problem(struct sim_connection *connection, unsigned status, const char *message) {
    struct sim_refusal refusal;
    sim__refuse(&refusal, status, NULL, NULL, "%s", message);
    sim__reply_refusal(connection, &refusal);
}

static void get_log(struct sim_connection *connection, struct weir_span body) {
    (void)body;
    struct weir_buffer out;
    weir_buffer_init(&out, MAX_ANSWER_BYTES);
    sim__calls_write(&connection->server->calls, &out);
    reply_built(connection, "application/jsonl", &out);
    weir_buffer_release(&out);
}

static void delete_log(struct sim_connection *connection, struct weir_span body) {
    (void)body;
    sim__calls_clear(&connection->server->calls);
    sim__reply(connection, 200, "application/json", WEIR_SPAN("{}"));
}

static void get_stats(struct sim_connection *connection, struct weir_span body) {
    (void)body;
    const struct sim_server *server = connection->server;
    const struct sim_totals *totals = &server->calls.totals;
    struct weir_buffer out;
    struct weir_json_writer writer;
    weir_buffer_init(&out, MAX_ANSWER_BYTES);
    weir_json_writer_init(&writer, &out);
    weir_json_write_object(&writer);
    weir_json_member_int64(&writer, "calls", (int64_t)totals->calls);
    weir_json_member_int64(&writer, "open", (int64_t)server->open_calls);
    weir_json_member_int64(&writer, "complete", (int64_t)totals->complete);
    weir_json_member_int64(&writer, "aborted", (int64_t)totals->aborted);
    weir_json_member_int64(&writer, "faults", (int64_t)totals->faults);
    weir_json_member_int64(&writer, "prompt_tokens", totals->prompt_tokens);
    weir_json_member_int64(&writer, "completion_tokens", totals->completion_tokens);
    weir_json_member_int64(&writer, "cached_tokens", totals->cached_tokens);
    weir_json_member_int64(&writer, "reasoning_tokens", totals->reasoning_tokens);
    weir_json_write_name(&writer, "by_status");
    weir_json_write_object(&writer);
    for (unsigned status = 0; status < sizeof totals->by_status / sizeof totals->by_status[0]; status++) {
        char name[16];
        if (totals->by_status[status] > 0) {
            (void)snprintf(name, sizeof name, "%u", status);
            weir_json_member_int64(&writer, name, (int64_t)totals->by_status[status]);
        }
    }
    weir_json_write_end(&writer);
    weir_json_member_int64(&writer, "connections", (int64_t)server->connection_count);
    weir_json_member_int64(&writer, "connections_accepted", (int64_t)server->accepted);
    weir_json_member_int64(&writer, "uptime_ms", (weir_loop_now_ns(server->loop) - server->started_ns) / 1000000);
    weir_json_write_end(&writer);
    reply_built(connection, "application/json", &out);
    weir_buffer_release(&out);
}

static void get_faults(struct sim_connection *connection, struct weir_span body) {
    (void)body;
    struct weir_buffer out;
    weir_buffer_init(&out, MAX_ANSWER_BYTES);
    sim__plan_write(&connection->server->plan, &out);
    reply_built(connection, "application/json", &out);
    weir_buffer_release(&out);
}

static void put_faults(struct sim_connection *connection, struct weir_span body) {
    struct weir_error error = {.status = WEIR_OK};
    if (sim__plan_set(&connection->server->plan, body, weir_loop_now_ns(connection->server->loop) / 1000000, &error) !=
        WEIR_OK) {
        reply_problem(connection, 400, error.text);
        return;
    }
    get_faults(connection, body);
}

static void delete_faults(struct sim_connection *connection, struct weir_span body) {
    sim__plan_clear(&connection->server->plan);
    get_faults(connection, body);
}

static void reply_request(struct sim_connection *connection, struct weir_span id) {
    const struct sim_kept_request *request = sim__kept_find(&connection->server->kept, id);
    if (request == NULL) {
        reply_problem(connection, 404, "no such request among the last 100");
        return;
    }
    struct weir_buffer out;
    weir_buffer_init(&out, 2 * MAX_ANSWER_BYTES);
    sim__kept_write(request, &out);
    reply_built(connection, "application/json", &out);
    weir_buffer_release(&out);
}

static void get_last_request(struct sim_connection *connection, struct weir_span body) {
    (void)body;
    reply_request(connection, WEIR_SPAN(""));
}

static void get_requests(struct sim_connection *connection, struct weir_span body) {
    (void)body;
    struct weir_span query = connection->request.query;
    char *id = weir_arena_alloc_raw(connection->arena, query.length);
    size_t length = 0;
    if (id != NULL && weir_url_query_find(query, WEIR_SPAN("id"), id, &length) == WEIR_OK && length > 0) {
        reply_request(connection, weir_span_of(id, length));
        return;
    }
    struct weir_buffer out;
    weir_buffer_init(&out, 2 * MAX_ANSWER_BYTES);
    sim__kept_write_all(&connection->server->kept, &out);
    reply_built(connection, "application/json", &out);
    weir_buffer_release(&out);
}

static const struct {
    const char *method, *path;
    void (*serve)(struct sim_connection *connection, struct weir_span body);
} endpoints[] = {
    {"GET", "/_sim/log", get_log},
    {"DELETE", "/_sim/log", delete_log},
    {"GET", "/_sim/stats", get_stats},
    {"GET", "/_sim/faults", get_faults},
    {"PUT", "/_sim/faults", put_faults},
    {"DELETE", "/_sim/faults", delete_faults},
    {"GET", "/_sim/requests/last", get_last_request},
    {"GET", "/_sim/requests", get_requests},
};

bool sim__control(struct sim_connection *connection, struct weir_span body) {
    const struct sim_request *request = &connection->request;
    if (!weir_span_starts_with(request->path, WEIR_SPAN("/_sim/"))) {
        return false;
    }
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        if (weir_span_equal(request->path, weir_span_of_string(endpoints[i].path)) &&
            weir_span_equal(request->method, weir_span_of_string(endpoints[i].method))) {
            endpoints[i].serve(connection, body);
            return true;
        }
    }
    reply_problem(connection, 404, "no such endpoint of the simulator");
    return true;
}
