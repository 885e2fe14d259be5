/* What the codecs of this folder share: walking members, saying what is wrong, writing wire texts. */
#ifndef WEIR_DIALECT_CODEC_IMPL_H
#define WEIR_DIALECT_CODEC_IMPL_H

#include "dialect/codec.h"
#include "dialect/impl.h"

/* --- reading what clients ask --- */

struct dialect__reading {
    struct weir_exchange *exchange;
    struct weir_prompt *prompt;
    struct weir_call_problem *problem;
};
struct dialect__member {
    const char *name;
    enum weir_parameter parameter; /* whose value it is */
    /* May be NULL. May make the value unsaid again, where it says what is meant without it. */
    enum weir_status (*read)(struct dialect__reading *reading, const struct weir_json_node *value);
};
/* Walks an object's members: nulls are passed over, values noted and read, what has no row goes to prompt->unknown as `prefix` and its name. */
enum weir_status dialect__read_members(struct dialect__reading *reading, const struct weir_json_node *object,
                                       const char *prefix, const struct dialect__member *members, size_t count);
/* "'messages[2].content' must be a string, not a number"; `path` lives in the arena or forever. WEIR_EINVAL. */
enum weir_status dialect__must_be(struct dialect__reading *reading, const char *path, const char *expected,
                                  const struct weir_json_node *value);
/* The same for paths with numbers in them; NULL (no memory) becomes the last resort "". */
const char *dialect__path(struct dialect__reading *reading, const char *format, ...) WEIR_PRINTF(2, 3);
/* A string's wire text, or unsaid where absent or null. WEIR_EINVAL for anything else. */
enum weir_status dialect__take_text(struct dialect__reading *reading, const struct weir_json_node *value,
                                    const char *path, struct weir_span *wire);
/* A whole number of at least `least` into *number (left alone where absent or null). */
enum weir_status dialect__take_count(struct dialect__reading *reading, const struct weir_json_node *value,
                                     const char *path, int64_t least, int64_t *number);
/* "data:image/png;base64,…" into type and data, anything else a URL. */
void dialect__read_data_url(struct weir_span wire, struct weir_media *media);
/* Of a name in a list of rows; `count` where there is none. */
size_t dialect__row_of(const char *const *names, size_t count, const struct weir_json_node *value);
/* `wire` without the signature that its end carries; the signature into *signature where there is one. */
struct weir_span dialect__open_id(struct weir_exchange *exchange, struct weir_span wire,
                                  struct weir_signature *signature);
/* The id of a call, with its signature where it has one that the front has no place for. */
struct weir_span dialect__seal_id(struct weir_exchange *exchange, struct weir_span id,
                                  const struct weir_signature *signature);

/* The end of an id that is longer than a format takes, `most` bytes of it or a little less: no escape and no character is cut in two. */
struct weir_span dialect__short_id(struct weir_span id, size_t most);

/* --- writing --- */

void dialect__write_wire(struct weir_json_writer *writer, struct weir_span wire);
/* These write nothing where the value is unsaid. JSON goes out compact. */
void dialect__member_wire(struct weir_json_writer *writer, const char *name, struct weir_span wire);
void dialect__member_json(struct weir_json_writer *writer, const char *name, struct weir_span json);
/* An object of arguments as a string. */
void dialect__member_arguments(struct weir_json_writer *writer, const char *name, struct weir_span json);
/* "prefix" and the exchange's seed. */
void dialect__member_id(struct weir_json_writer *writer, const char *name, const char *prefix,
                        const struct weir_exchange *exchange);
/* The texts of the parts of one kind as one wire text, `between` (a wire text) between them; unsaid: there are none. Past the arena's cap: unsaid. */
struct weir_span dialect__join_texts(struct weir_arena *arena, const struct weir_part *parts, enum weir_part_kind kind,
                                     struct weir_span between);
bool dialect__has_part(const struct weir_part *parts, enum weir_part_kind kind);
/* "a document by URL cannot be sent to a provider that speaks ollama". WEIR_EINVAL. */
enum weir_status dialect__cannot_send(struct weir_call_problem *problem, const char *field, const char *what,
                                      enum weir_dialect_kind back);
/* Notes something that write_prompt leaves out besides what parameters.def says. */
void dialect__note_ignored(struct weir_exchange *exchange, const char *name);
/* The limit that counts: the prompt's, lowered where the exchange is clamped; 0: none. */
int64_t dialect__output_limit(const struct weir_exchange *exchange, const struct weir_prompt *prompt);
/* JSON's number as an integer; `otherwise` where it is none. */
int64_t dialect__number(const struct weir_json_node *node, int64_t otherwise);

/* What a client is told of what was used: no part is more than is left of its whole, so that what it works out from them is never negative. */
struct weir_usage dialect__told_usage(const struct weir_usage *usage);
/* Input and output; saturates. */
int64_t dialect__total_tokens(const struct weir_usage *usage);

/* --- parts of a stream that is written --- */

/* What a front remembers of each part that it has begun. */
struct dialect__open_part {
    struct dialect__open_part *next;
    int64_t choice;
    size_t part;
    enum weir_part_kind kind;
    size_t place; /* in the front's own numbering */
};
struct dialect__open_part *dialect__find_part(struct dialect__open_part *parts, const struct weir_delta *delta);

#endif
