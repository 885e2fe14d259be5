/* See calls.h. Lines are kept as text in blocks, and whole blocks are dropped: a ring of lines without a heap block
 * each. */
#include "sim/calls.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/memory.h"
#include "json/write.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { BLOCK_BYTES = 256 * 1024 };

struct block {
    struct weir_list link;
    size_t lines;
    size_t used;
    char text[BLOCK_BYTES];
};

void sim__calls_init(struct sim_calls *calls) {
    *calls = (struct sim_calls){.fd = -1};
    weir_list_init(&calls->blocks);
    weir_buffer_init(&calls->unwritten, 256 * WEIR_MIB);
    weir_buffer_init(&calls->line, 64 * WEIR_KIB);
}

enum weir_status sim__calls_open(struct sim_calls *calls, const char *path, struct weir_error *error) {
    calls->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (calls->fd < 0) {
        return weir_fail(error, WEIR_EIO, "cannot open the call log %s: %s", path, strerror(errno));
    }
    return WEIR_OK;
}

static void drop_oldest(struct sim_calls *calls) {
    struct block *block = WEIR_CONTAINER_OF(calls->blocks.next, struct block, link);
    calls->lines -= block->lines;
    weir_list_remove(&block->link);
    weir_memory_free(block);
}

void sim__calls_clear(struct sim_calls *calls) {
    while (!weir_list_is_empty(&calls->blocks)) {
        drop_oldest(calls);
    }
    calls->totals = (struct sim_totals){.calls = 0};
}

void sim__calls_release(struct sim_calls *calls) {
    sim__calls_clear(calls);
    weir_buffer_release(&calls->unwritten);
    weir_buffer_release(&calls->line);
    if (calls->fd >= 0) {
        (void)close(calls->fd);
        calls->fd = -1;
    }
}

static void append_number(struct weir_buffer *out, struct weir_span name, int64_t value) {
    weir_buffer_append(out, name);
    weir_buffer_append_int64(out, value);
}

static void append_text(struct weir_buffer *out, struct weir_span name, const char *text) {
    weir_buffer_append(out, name);
    if (text[0] == '\0') {
        weir_buffer_append(out, WEIR_SPAN("null"));
    } else {
        weir_json_append_string(out, weir_span_of_string(text));
    }
}

static void append_bool(struct weir_buffer *out, struct weir_span name, bool value) {
    weir_buffer_append(out, name);
    weir_buffer_append(out, value ? WEIR_SPAN("true") : WEIR_SPAN("false"));
}

static void format_line(struct weir_buffer *out, const struct sim_call *call) {
    char time_text[WEIR_TIMESTAMP_SIZE];
    weir_clock_format_utc(call->began_utc_us, time_text);
    append_number(out, WEIR_SPAN("{\"n\":"), (int64_t)call->number);
    weir_buffer_append(out, WEIR_SPAN(",\"time\":\""));
    weir_buffer_append(out, weir_span_of_string(time_text));
    append_text(out, WEIR_SPAN("\",\"method\":"), call->method != NULL ? call->method : "");
    append_text(out, WEIR_SPAN(",\"path\":"), call->path != NULL ? call->path : "");
    append_text(out, WEIR_SPAN(",\"dialect\":"), call->dialect != NULL ? call->dialect : "");
    append_text(out, WEIR_SPAN(",\"request_id\":"), call->request_id);
    append_text(out, WEIR_SPAN(",\"model\":"), call->model);
    append_bool(out, WEIR_SPAN(",\"stream\":"), call->stream);
    append_number(out, WEIR_SPAN(",\"status\":"), call->status);
    append_text(out, WEIR_SPAN(",\"fault\":"), call->fault);
    append_number(out, WEIR_SPAN(",\"prompt_tokens\":"), call->usage.input);
    append_number(out, WEIR_SPAN(",\"completion_tokens\":"), call->usage.output);
    append_number(out, WEIR_SPAN(",\"cached_tokens\":"), call->usage.cached);
    append_number(out, WEIR_SPAN(",\"cache_write_tokens\":"), call->usage.cache_write);
    append_number(out, WEIR_SPAN(",\"reasoning_tokens\":"), call->usage.reasoning);
    append_number(out, WEIR_SPAN(",\"units\":"), call->usage.units);
    append_text(out, WEIR_SPAN(",\"unit\":"), weir_unit_name(call->usage.unit));
    append_bool(out, WEIR_SPAN(",\"complete\":"), call->complete);
    append_bool(out, WEIR_SPAN(",\"aborted\":"), call->aborted);
    weir_buffer_append(out, WEIR_SPAN("}\n"));
}

static void count(struct sim_totals *totals, const struct sim_call *call) {
    totals->calls++;
    totals->complete += call->complete ? 1 : 0;
    totals->aborted += call->aborted ? 1 : 0;
    totals->faults += call->fault[0] != '\0' ? 1 : 0;
    totals->prompt_tokens += call->usage.input;
    totals->completion_tokens += call->usage.output;
    totals->cached_tokens += call->usage.cached;
    totals->reasoning_tokens += call->usage.reasoning;
    totals->by_status[call->status < 600 ? call->status : 0]++;
}

static enum weir_status keep(struct sim_calls *calls, struct weir_span line) {
    weir_bug_on(calls->blocks.previous == NULL);
    struct block *last = weir_list_is_empty(&calls->blocks)
                             ? NULL
                             : WEIR_CONTAINER_OF(calls->blocks.previous, struct block, link);
    if (last == NULL || BLOCK_BYTES - last->used < line.length) {
        last = weir_memory_new(1, sizeof *last);
        if (last == NULL) {
            return WEIR_ENOMEM;
        }
        weir_list_append(&calls->blocks, &last->link);
    }
    memcpy(last->text + last->used, line.at, line.length);
    last->used += line.length;
    last->lines++;
    calls->lines++;
    const struct block *oldest = WEIR_CONTAINER_OF(calls->blocks.next, struct block, link);
    if (calls->lines - oldest->lines >= SIM_CALLS_KEPT) {
        drop_oldest(calls);
    }
    return WEIR_OK;
}

enum weir_status sim__calls_add(struct sim_calls *calls, const struct sim_call *call) {
    weir_buffer_clear(&calls->line);
    format_line(&calls->line, call);
    enum weir_status status = weir_buffer_status(&calls->line);
    if (status == WEIR_OK) {
        status = keep(calls, weir_buffer_span(&calls->line));
    }
    if (status == WEIR_OK && calls->fd >= 0) {
        weir_buffer_append(&calls->unwritten, weir_buffer_span(&calls->line));
        status = weir_buffer_status(&calls->unwritten);
    }
    count(&calls->totals, call);
    return status;
}

enum weir_status sim__calls_flush(struct sim_calls *calls) {
    size_t written = 0;
    while (written < calls->unwritten.length) {
        ssize_t result = write(calls->fd, calls->unwritten.at + written, calls->unwritten.length - written);
        if (result < 0 && errno == EINTR) {
            continue;
        }
        if (result <= 0) {
            weir_buffer_consume(&calls->unwritten, written);
            return WEIR_EIO;
        }
        written += (size_t)result;
    }
    weir_buffer_clear(&calls->unwritten);
    return WEIR_OK;
}

void sim__calls_write(const struct sim_calls *calls, struct weir_buffer *out) {
    size_t skip = calls->lines > SIM_CALLS_KEPT ? calls->lines - SIM_CALLS_KEPT : 0;
    for (struct weir_list *link = calls->blocks.next; link != &calls->blocks; link = link->next) {
        const struct block *block = WEIR_CONTAINER_OF(link, struct block, link);
        struct weir_span text = weir_span_of(block->text, block->used);
        while (skip > 0) {
            text = weir_span_from(text, weir_span_index(text, '\n') + 1);
            skip--;
        }
        weir_buffer_append(out, text);
    }
}
