/* What is recorded is what is exposed: sums over workers, escaping, bounds, the two text formats, readers beside writers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/memory.h"
#include "telemetry/metrics.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>

static const struct weir_metrics_facts facts = {
    .store_available = true,
    .journal_available = true,
    .ingested_records = 12,
    .journal_backlog_bytes = 3456,
    .store_cpu_ns = 1500000000,
    .control_cpu_ns = 20000000,
    .version = "0.1.0",
    .environment = "dev",
    .revision = 7,
    .ready = true,
    .keys = 3,
    .start_utc_us = INT64_C(1790000000250000),
};

static struct weir_metrics_request request_to(const char *provider, const char *model) {
    return (struct weir_metrics_request){
        .endpoint = "chat.completions",
        .provider = weir_span_of_string(provider),
        .model = weir_span_of_string(model),
        .status = 200,
        .duration_us = 30000,
        .first_byte_us = 10000,
        .usage = {.input = 100, .cached = 40, .output = 20, .reasoning = 5},
        .cost_cu_milli = 1234,
    };
}

/* ---- a small checker of the text format ---- */

static size_t name_length(const char *line) {
    size_t length = 0;
    while (isalnum((unsigned char)line[length]) || line[length] == '_' || line[length] == ':')
        length++;
    return length;
}

/* Walks over {name="value",…}; returns what follows. */
static const char *skip_labels(const char *at) {
    if (*at != '{')
        return at;
    do {
        at++;
        size_t length = name_length(at);
        assert_true(length > 0);
        at += length;
        assert_int_equal(*at++, '=');
        assert_int_equal(*at++, '"');
        while (*at != '"') {
            assert_true(*at != '\0' && *at != '\n');
            if (*at == '\\') {
                at++;
                assert_true(*at == '\\' || *at == '"' || *at == 'n');
            }
            at++;
        }
        at++;
    } while (*at == ',');
    assert_int_equal(*at, '}');
    return at + 1;
}

static bool belongs(const char *line, size_t length, const char *family, const char *kind) {
    static const char *const suffixes[] = {"_total", "_bucket", "_sum", "_count"};
    size_t base = strlen(family);
    if (strncmp(line, family, base) != 0)
        return false;
    if (length == base)
        return strcmp(kind, "histogram") != 0;
    for (size_t i = 0; i < 4; i++) {
        if (length == base + strlen(suffixes[i]) && strncmp(line + base, suffixes[i], strlen(suffixes[i])) == 0)
            return i == 0 ? strcmp(kind, "counter") == 0 : strcmp(kind, "histogram") == 0;
    }
    return false;
}

/* The value of a sample: a number, and nothing else up to the end of its line. */
static void check_value(const char *at, const char *end) {
    char text[64], *stop = NULL;
    assert_int_equal(*at, ' ');
    assert_int_equal(weir_span_to_string(weir_span_of(at + 1, (size_t)(end - at - 1)), text, sizeof text), WEIR_OK);
    assert_true(text[0] != '\0');
    strtod(text, &stop);
    assert_int_equal(*stop, '\0');
}

/* Every sample follows its family's TYPE, no family comes twice, no sample stands twice, every value is a number.
 * (memchr and memmem, here and below: under AddressSanitizer's strict checks every strchr, strstr and strtod looks for the
 * end of the whole text, which makes a walk over megabytes of lines quadratic.) */
static size_t check_format(const char *text, bool openmetrics) {
    const char *text_end = text + strlen(text);
    char family[128] = "", kind[16] = "";
    struct weir_map *seen = weir_map_new(64);
    size_t samples = 0;
    bool ended = false;
    while (*text != '\0') {
        const char *end = memchr(text, '\n', (size_t)(text_end - text));
        assert_non_null(end);
        assert_false(ended);
        if (strncmp(text, "# EOF\n", 6) == 0) {
            ended = true;
        } else if (strncmp(text, "# HELP ", 7) == 0) {
            snprintf(family, sizeof family, "%.*s", (int)name_length(text + 7), text + 7);
            void *old = NULL;
            assert_int_equal(weir_map_put(seen, weir_span_of(text, name_length(text + 7) + 7), seen, &old), WEIR_OK);
            assert_null(old);
        } else if (strncmp(text, "# TYPE ", 7) == 0) {
            assert_int_equal(strncmp(text + 7, family, strlen(family)), 0);
            snprintf(kind, sizeof kind, "%.*s", (int)(end - text - 8 - (long)strlen(family)),
                     text + 8 + strlen(family));
        } else if (strncmp(text, "# UNIT ", 7) == 0) {
            assert_true(openmetrics);
            const char *unit = text + 8 + strlen(family);
            size_t unit_length = (size_t)(end - unit);
            assert_int_equal(strncmp(family + strlen(family) - unit_length, unit, unit_length), 0);
        } else {
            size_t length = name_length(text);
            assert_true(belongs(text, length, family, kind));
            if (openmetrics && strcmp(kind, "counter") == 0)
                assert_memory_equal(text + length - 6, "_total", 6);
            const char *value = skip_labels(text + length);
            void *old = NULL;
            assert_int_equal(weir_map_put(seen, weir_span_of(text, (size_t)(value - text)), seen, &old), WEIR_OK);
            assert_null(old);
            check_value(value, end);
            samples++;
        }
        text = end + 1;
    }
    assert_int_equal(ended, openmetrics);
    weir_map_free(&seen);
    return samples;
}

static char *expose(const struct weir_metrics *metrics, bool openmetrics) {
    struct weir_buffer out;
    weir_buffer_init(&out, 64 << 20);
    weir_metrics_write(metrics, &facts, openmetrics, &out);
    assert_int_equal(weir_buffer_status(&out), WEIR_OK);
    char *text = weir_memory_string(weir_buffer_span(&out));
    weir_buffer_release(&out);
    check_format(text, openmetrics);
    return text;
}

static void assert_line(const char *text, const char *line) {
    char with_ends[512];
    snprintf(with_ends, sizeof with_ends, "\n%s\n", line);
    if (memmem(text, strlen(text), with_ends, strlen(with_ends)) == NULL)
        fail_msg("missing: %s\nin:\n%s", line, text);
}

static void requests_are_summed_over_workers(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(3, &metrics), WEIR_OK);
    struct weir_metrics_request request = request_to("openai", "fast");
    for (unsigned worker = 0; worker < 3; worker++) {
        for (unsigned i = 0; i <= worker; i++)
            weir_metrics_record(weir_metrics_of(metrics, worker), &request);
    }
    request.status = 404;
    request.reason = WEIR_REASON_MODEL_NOT_FOUND;
    request.provider = request.model = (struct weir_span){.at = "", .length = 0};
    weir_metrics_record(weir_metrics_of(metrics, 1), &request);
    char *text = expose(metrics, false);
    assert_line(text, "weir_requests_total{endpoint=\"chat.completions\",status=\"200\",reason=\"none\"} 6");
    assert_line(text, "weir_requests_total{endpoint=\"chat.completions\",status=\"404\",reason=\"model_not_found\"} 1");
    assert_line(text, "weir_request_duration_seconds_bucket{endpoint=\"chat.completions\",le=\"0.025\"} 0");
    assert_line(text, "weir_request_duration_seconds_bucket{endpoint=\"chat.completions\",le=\"0.05\"} 7");
    assert_line(text, "weir_request_duration_seconds_bucket{endpoint=\"chat.completions\",le=\"1.0\"} 7");
    assert_line(text, "weir_request_duration_seconds_sum{endpoint=\"chat.completions\"} 0.21");
    assert_line(text, "weir_request_duration_seconds_count{endpoint=\"chat.completions\"} 7");
    assert_line(text, "weir_cost_milli_cu_total{provider=\"openai\",model=\"fast\"} 7404");
    assert_line(text, "weir_tokens_total{provider=\"openai\",model=\"fast\",type=\"input\"} 600");
    assert_line(text, "weir_tokens_total{provider=\"openai\",model=\"fast\",type=\"cached\"} 240");
    assert_line(text, "weir_tokens_total{provider=\"openai\",model=\"fast\",type=\"cache_write\"} 0");
    assert_line(text, "weir_tokens_total{provider=\"openai\",model=\"fast\",type=\"output\"} 120");
    assert_line(text, "weir_tokens_total{provider=\"openai\",model=\"fast\",type=\"reasoning\"} 30");
#define GENAI "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"openai\",gen_ai_request_model=\"fast\""
    assert_line(text, "gen_ai_client_operation_duration_seconds_bucket{" GENAI ",error_type=\"\",le=\"0.04\"} 6");
    assert_line(text, "gen_ai_client_operation_duration_seconds_bucket{" GENAI ",error_type=\"\",le=\"81.92\"} 6");
    assert_line(text, "gen_ai_client_operation_time_to_first_chunk_seconds_bucket{" GENAI ",le=\"0.01\"} 6");
    assert_line(text, "gen_ai_client_token_usage_bucket{" GENAI ",gen_ai_token_type=\"input\",le=\"64.0\"} 0");
    assert_line(text, "gen_ai_client_token_usage_bucket{" GENAI ",gen_ai_token_type=\"input\",le=\"256.0\"} 6");
    assert_line(text, "gen_ai_client_token_usage_sum{" GENAI ",gen_ai_token_type=\"output\"} 120.0");
    assert_line(text, "gen_ai_client_token_usage_bucket{" GENAI ",gen_ai_token_type=\"output\",le=\"67108864.0\"} 6");
    weir_memory_free(text);
    weir_metrics_free(&metrics);
    assert_null(metrics);
    weir_metrics_free(&metrics);
}

static void units_are_counted_by_unit(void **state) {
    (void)state;
    struct weir_metrics *metrics;
    assert_int_equal(weir_metrics_new(2, &metrics), WEIR_OK);
    struct weir_metrics_request request = request_to("openai", "painter");
    request.usage = (struct weir_usage){.unit = WEIR_UNIT_IMAGE, .units = 2};
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    request.usage.units = 3;
    weir_metrics_record(weir_metrics_of(metrics, 1), &request);
    request = request_to("openai", "speaker");
    request.usage = (struct weir_usage){.unit = WEIR_UNIT_AUDIO_MS, .units = 1500};
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    request.usage = (struct weir_usage){.unit = WEIR_UNIT_CHARACTER, .units = 11};
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    request = request_to("cohere", "ranker");
    request.usage = (struct weir_usage){.unit = WEIR_UNIT_SEARCH, .units = 1};
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    request.usage = (struct weir_usage){.unit = (enum weir_unit)77, .units = 1000};
    weir_metrics_record(weir_metrics_of(metrics, 0), &request); /* nothing that anybody knows: counted nowhere */
    request = request_to("openai", "chat");
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    char *text = expose(metrics, false);
    assert_line(text, "weir_units_total{provider=\"openai\",model=\"painter\",unit=\"image\"} 5");
    assert_line(text, "weir_units_total{provider=\"openai\",model=\"speaker\",unit=\"audio_ms\"} 1500");
    assert_line(text, "weir_units_total{provider=\"openai\",model=\"speaker\",unit=\"character\"} 11");
    assert_line(text, "weir_units_total{provider=\"cohere\",model=\"ranker\",unit=\"search\"} 1");
    assert_null(
        strstr(text, "weir_units_total{provider=\"openai\",model=\"chat\"")); /* no line for what it never has */
    assert_null(strstr(text, "model=\"painter\",unit=\"search\""));
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void failures_carry_their_reason(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(1, &metrics), WEIR_OK);
    struct weir_metrics_request request = request_to("openai", "fast");
    request.status = 504;
    request.reason = WEIR_REASON_UPSTREAM_FIRST_BYTE_TIMEOUT;
    request.first_byte_us = 0;
    request.usage = (struct weir_usage){0};
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    char *text = expose(metrics, false);
    assert_line(text, "gen_ai_client_operation_duration_seconds_count{" GENAI
                      ",error_type=\"upstream_first_byte_timeout\"} 1");
    assert_null(strstr(text, "time_to_first_chunk_seconds_count{"));
    assert_null(strstr(text, "gen_ai_client_token_usage_count{"));
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void attempts_are_counted_by_provider_and_reason(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(2, &metrics), WEIR_OK);
    struct weir_metrics_set *one = weir_metrics_of(metrics, 0), *two = weir_metrics_of(metrics, 1);
    char *text = expose(metrics, false);
    assert_null(strstr(text, "weir_attempts_total{"));
    weir_memory_free(text);
    weir_metrics_add_attempt(one, WEIR_SPAN("dead"), WEIR_REASON_UPSTREAM_CLOSED);
    weir_metrics_add_attempt(one, WEIR_SPAN("sim"), WEIR_REASON_NONE);
    weir_metrics_add_attempt(one, WEIR_SPAN("dead"), WEIR_REASON_UPSTREAM_CLOSED);
    weir_metrics_add_attempt(two, WEIR_SPAN("dead"), WEIR_REASON_UPSTREAM_CLOSED);
    weir_metrics_add_attempt(two, WEIR_SPAN("dead"), WEIR_REASON_UPSTREAM_ERROR);
    weir_metrics_add_attempt(two, WEIR_SPAN("dead"), WEIR_REASON_NONE);
    text = expose(metrics, true);
    assert_line(text, "weir_attempts_total{provider=\"dead\",reason=\"upstream_closed\"} 3");
    assert_line(text, "weir_attempts_total{provider=\"dead\",reason=\"upstream_error\"} 1");
    assert_line(text, "weir_attempts_total{provider=\"dead\",reason=\"none\"} 1");
    assert_line(text, "weir_attempts_total{provider=\"sim\",reason=\"none\"} 1");
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void too_many_providers_count_as_other(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(1, &metrics), WEIR_OK);
    for (unsigned i = 0; i < 1010; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%u", i);
        weir_metrics_add_attempt(weir_metrics_of(metrics, 0), weir_span_of_string(name), WEIR_REASON_NONE);
        weir_metrics_add_attempt(weir_metrics_of(metrics, 0), WEIR_SPAN("p7"), WEIR_REASON_NONE);
    }
    char *text = expose(metrics, false);
    assert_line(text, "weir_attempts_total{provider=\"p999\",reason=\"none\"} 1");
    assert_line(text, "weir_attempts_total{provider=\"p7\",reason=\"none\"} 1011");
    assert_line(text, "weir_attempts_total{provider=\"other\",reason=\"none\"} 10");
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void the_operator_plane_is_counted(void **state) {
    (void)state;
    static const char create[] = "plans.create", none[] = "none";
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(1, &metrics), WEIR_OK);
    weir_metrics_add_operation(metrics, create, 201);
    weir_metrics_add_operation(metrics, create, 201);
    weir_metrics_add_operation(metrics, create, 409);
    weir_metrics_add_operation(metrics, none, 404);
    weir_metrics_add_login_failed(metrics);
    weir_metrics_set_operator_queue(metrics, 7);
    char *text = expose(metrics, false);
    assert_line(text, "weir_operator_requests_total{operation=\"plans.create\",status=\"201\"} 2");
    assert_line(text, "weir_operator_requests_total{operation=\"plans.create\",status=\"409\"} 1");
    assert_line(text, "weir_operator_requests_total{operation=\"none\",status=\"404\"} 1");
    assert_line(text, "weir_operator_logins_failed_total 1");
    assert_line(text, "weir_operator_queue 7");
    weir_memory_free(text);
    for (unsigned status = 0; status < 5000; status++) /* more than is kept, and no more than is kept */
        weir_metrics_add_operation(metrics, none, status);
    text = expose(metrics, false);
    assert_line(text, "weir_operator_requests_total{operation=\"none\",status=\"404\"} 2");
    assert_null(strstr(text, "status=\"4999\""));
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void gauges_and_facts(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(2, &metrics), WEIR_OK);
    weir_metrics_add_active(weir_metrics_of(metrics, 0), 2, 1, 3);
    weir_metrics_add_active(weir_metrics_of(metrics, 1), 5, 0, 4);
    weir_metrics_add_active(weir_metrics_of(metrics, 1), -1, 0, -4);
    weir_metrics_set_cpu(weir_metrics_of(metrics, 1), 1234567890);
    char *text = expose(metrics, false);
    assert_line(text, "weir_active_requests 6");
    assert_line(text, "weir_active_streams 1");
    assert_line(text, "weir_open_connections 3");
    assert_line(text, "weir_worker_cpu_seconds_total{worker=\"0\"} 0.0");
    assert_line(text, "weir_worker_cpu_seconds_total{worker=\"1\"} 1.23456789");
    assert_line(text, "weir_store_cpu_seconds_total 1.5");
    assert_line(text, "weir_control_cpu_seconds_total 0.02");
    assert_line(text, "weir_journal_backlog_bytes 3456");
    assert_line(text, "weir_ledger_ingested_total 12");
    assert_line(text, "weir_ready 1");
    assert_line(text, "weir_keys 3");
    assert_line(text, "weir_revision 7");
    assert_line(text, "weir_build_info{version=\"0.1.0\",environment=\"dev\"} 1");
    assert_line(text, "process_start_time_seconds 1790000000.25");
    assert_line(text, "# TYPE weir_requests_total counter");
    assert_null(strstr(text, "weir_requests_total{")); /* nothing was asked yet */
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void openmetrics_names_and_units(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(1, &metrics), WEIR_OK);
    struct weir_metrics_request request = request_to("openai", "fast");
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    char *text = expose(metrics, true);
    assert_line(text, "# TYPE weir_requests counter");
    assert_line(text, "weir_requests_total{endpoint=\"chat.completions\",status=\"200\",reason=\"none\"} 1");
    assert_line(text, "# UNIT weir_cost_milli_cu milli_cu");
    assert_line(text, "# UNIT weir_request_duration_seconds seconds");
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void labels_are_escaped_and_cut(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(1, &metrics), WEIR_OK);
    struct weir_metrics_request request = request_to("a\"b\\c\nd\x01\xff\xc3\xa9", "m");
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    char longest[300];
    memset(longest, 'x', sizeof longest);
    memcpy(longest + 127, "\xc3\xa9", 2); /* a character across the cut */
    request = request_to("p", "");
    request.model = weir_span_of(longest, sizeof longest);
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    char *text = expose(metrics, false);
    assert_line(text, "weir_cost_milli_cu_total{provider=\"a\\\"b\\\\c\\nd??\xc3\xa9\",model=\"m\"} 1234");
    char line[300];
    snprintf(line, sizeof line, "weir_cost_milli_cu_total{provider=\"p\",model=\"%.127s\"} 2468", longest);
    assert_line(text, line);
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static size_t count_of(const char *text, const char *part) {
    size_t count = 0;
    const char *end = text + strlen(text);
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), part, strlen(part))) != NULL; at++)
        count++;
    return count;
}

static void label_sets_are_bounded(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(1, &metrics), WEIR_OK);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 1500; i++) {
            char model[32];
            snprintf(model, sizeof model, "model-%u", i);
            struct weir_metrics_request request = request_to("openai", model);
            weir_metrics_record(weir_metrics_of(metrics, 0), &request);
        }
    }
    char *text = expose(metrics, false);
    assert_int_equal(count_of(text, "\nweir_cost_milli_cu_total{"), 1001);
    assert_line(text, "weir_cost_milli_cu_total{provider=\"openai\",model=\"model-999\"} 2468");
    assert_line(text, "weir_cost_milli_cu_total{provider=\"other\",model=\"other\"} 1234000");
    assert_line(text, "weir_requests_total{endpoint=\"chat.completions\",status=\"200\",reason=\"none\"} 3000");
    assert_line(text, "weir_metric_labels_folded_total 1000");
    weir_memory_free(text);
    /* Statuses that do not exist, until even the folded ones are too many. */
    for (unsigned i = 0; i < 400; i++) {
        struct weir_metrics_request request = request_to("openai", "new");
        request.status = 1000 + i;
        weir_metrics_record(weir_metrics_of(metrics, 0), &request);
    }
    text = expose(metrics, false);
    assert_line(text, "weir_requests_total{endpoint=\"other\",status=\"other\",reason=\"other\"} 145");
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void too_small_a_buffer_is_a_failure(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(1, &metrics), WEIR_OK);
    struct weir_buffer out;
    weir_buffer_init(&out, 100);
    weir_metrics_write(metrics, &facts, true, &out);
    assert_int_equal(weir_buffer_status(&out), WEIR_ELIMIT);
    weir_buffer_release(&out);
    weir_metrics_free(&metrics);
}

struct writer {
    struct weir_metrics_set *set;
    atomic_bool done;
};

static void *write_many(void *argument) {
    struct writer *writer = argument;
    for (unsigned i = 0; i < 20000; i++) {
        char model[32];
        snprintf(model, sizeof model, "model-%u", i % 700);
        struct weir_metrics_request request = request_to("openai", model);
        weir_metrics_record(writer->set, &request);
        weir_metrics_add_active(writer->set, 1, 0, 0);
    }
    atomic_store(&writer->done, true);
    return NULL;
}

static void readers_beside_writers(void **state) {
    (void)state;
    struct weir_metrics *metrics = NULL;
    assert_int_equal(weir_metrics_new(2, &metrics), WEIR_OK);
    struct writer writers[2];
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        writers[i].set = weir_metrics_of(metrics, i);
        atomic_init(&writers[i].done, false);
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    do {
        char *text = expose(metrics, true);
        weir_memory_free(text);
    } while (!atomic_load(&writers[0].done) || !atomic_load(&writers[1].done));
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    char *text = expose(metrics, false);
    assert_line(text, "weir_requests_total{endpoint=\"chat.completions\",status=\"200\",reason=\"none\"} 40000");
    assert_line(text, "weir_active_requests 40000");
    weir_memory_free(text);
    weir_metrics_free(&metrics);
}

static void the_reference_names_every_metric(void **state) {
    (void)state;
    struct weir_buffer out;
    weir_buffer_init(&out, 1 << 20);
    weir_metrics_reference(&out);
    weir_buffer_append_byte(&out, '\0');
    assert_line(out.at,
                "| `weir_requests_total` | counter |  | `endpoint`, `status`, `reason` | Finished requests by the "
                "status that the client got; 499 where the client left. |");
#define X(name, exposed, ...) assert_non_null(strstr(out.at, "| `" exposed "` |"));
#include "telemetry/metrics.def"
#undef X
    weir_buffer_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_summed_over_workers),
        cmocka_unit_test(units_are_counted_by_unit),
        cmocka_unit_test(failures_carry_their_reason),
        cmocka_unit_test(attempts_are_counted_by_provider_and_reason),
        cmocka_unit_test(too_many_providers_count_as_other),
        cmocka_unit_test(the_operator_plane_is_counted),
        cmocka_unit_test(gauges_and_facts),
        cmocka_unit_test(openmetrics_names_and_units),
        cmocka_unit_test(labels_are_escaped_and_cut),
        cmocka_unit_test(label_sets_are_bounded),
        cmocka_unit_test(too_small_a_buffer_is_a_failure),
        cmocka_unit_test(readers_beside_writers),
        cmocka_unit_test(the_reference_names_every_metric),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
