/* What a request record looks like outside: to callers, in exports and on the command line it is the same.
 *
 * A summary is a row of a list. A story is all that is known of one request, with its way told stage by stage. */
#ifndef WEIR_OPERATOR_RECORD_FORM_H
#define WEIR_OPERATOR_RECORD_FORM_H

#include "json/write.h"
#include "store/records.h"

/* The words that filters take, as the command line and the operations have them. WEIR_EINVAL: *field names the one that is wrong. */
struct weir_record_words {
    struct weir_span status;  /* "429" or "4xx"; empty: any, as for the others */
    struct weir_span outcome; /* "ok", "error", "aborted", "crashed" */
    struct weir_span reason;  /* "upstream_timeout" */
};
WEIR_MUST enum weir_status weir_record_filter(const struct weir_record_words *words, struct weir_record_query *query,
                                              const char **field);

/* One JSON object. */
void weir_record_write_summary(struct weir_json_writer *writer, const struct weir_record *record);
/* The members of a story, into an object that the caller has begun and ends. `asked` is the id that it was found by. */
void weir_record_write_story(struct weir_json_writer *writer, const struct weir_record *record, struct weir_span asked);
/* One of the other requests that have the id: short. */
void weir_record_write_match(struct weir_json_writer *writer, const struct weir_record *record, struct weir_span asked);

/* RFC 4180: the line of names, and a line for a record. A field that a spreadsheet would take for a formula gets an apostrophe in front. */
void weir_record_csv_head(struct weir_buffer *out);
void weir_record_write_csv(struct weir_buffer *out, const struct weir_record *record);

/* --- stages, for people --- */
enum weir_stage_outcome { WEIR_STAGE_OK, WEIR_STAGE_FAILED, WEIR_STAGE_SKIPPED, WEIR_STAGE_NOT_REACHED };
const char *weir_stage_outcome_name(enum weir_stage_outcome outcome); /* "ok", "failed", "skipped", "not_reached" */
enum { WEIR_STAGE_WORDS = 400, WEIR_STORY_STAGES = 10 + 8 };
struct weir_story_stage {
    const char *name; /* "received", …, "attempt", "answered", "settled" */
    unsigned attempt; /* 1, 2, … of an attempt; 0 */
    enum weir_stage_outcome outcome;
    int64_t offset_us; /* after the request's beginning; -1: not known */
    unsigned reason;   /* enum weir_reason; 0: it went well */
    char words[WEIR_STAGE_WORDS];
};
/* The way of a request from its beginning to its end. Gives how many there are. */
size_t weir_record_stages(const struct weir_ledger_entry *entry, struct weir_story_stage stages[WEIR_STORY_STAGES]);

#endif
