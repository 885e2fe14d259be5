/* Shared by the files that import settings: what the source's entries become, and the report while it grows.
 *
 * import_litellm.c walks through the sections of the source, import_models.c makes providers and models of its list of deployments, import_write.c writes
 * them, import_report.c has the rows. Which setting becomes what, where nothing must be done, is a table: import_litellm.def.
 */
#ifndef WEIR_CONFIG_IMPORT_IMPL_H
#define WEIR_CONFIG_IMPORT_IMPL_H

#include "config/impl.h"
#include "config/import.h"
#include "config/presets.h"

enum {
    IMPORT__MAX_ROWS = 50000,
    IMPORT__MAX_DOCUMENTS = 64,
    IMPORT__MAX_WORDS_BYTES = 600, /* of one row */
    IMPORT__MAX_NAME_BYTES = 128   /* of a provider or model of ours */
};

/* How a base URL of theirs becomes one of ours. */
enum import__url_rule { IMPORT__URL_AS_IS, IMPORT__URL_WITH_V1, IMPORT__URL_AZURE, IMPORT__URL_ROOT };

/* A provider of theirs: the word before the slash in `model`. */
struct import__vendor {
    const char *prefix;
    const char *preset; /* "": none, the base URL says it all */
    enum import__url_rule rule;
    const char *key_variable;  /* that they read where no key is set; "": none */
    const char *base_variable; /* the same for the base URL; "": there is a usual one */
};

/* What stands in weir.yaml: `raw` as it is (env:NAME, ${NAME}/v1), else a text that must be escaped. */
struct import__text {
    struct weir_span text;
    bool raw;
};

struct import__provider {
    struct import__provider *next;
    const char *preset;        /* "": none */
    struct weir_span identity; /* what makes two deployments one provider; may hold a credential */
    struct weir_span name;
    struct import__text base_url; /* empty: the preset's */
    struct weir_span variable;    /* that the credential is read from; empty: no credential */
    bool takes_all;
    struct weir_span file;
    size_t line;
};

struct import__target {
    struct import__target *next;
    const struct import__provider *provider;
    struct weir_span model;   /* empty: as it was asked for */
    int64_t weight, rpm, tpm; /* weight in thousandths; -1: not said */
    int64_t order;            /* -1: not said */
    struct weir_span file;
    size_t line;
};

struct import__model {
    struct import__model *next;
    struct weir_span name;
    struct weir_span alias_of; /* not empty: takes the targets of that one */
    struct import__target *first, *last;
    struct weir_span file;
    size_t line;
};

/* The price of one model of one provider, by the names of the public price map. */
struct import__price {
    struct import__price *next;
    struct weir_span provider, model; /* as the price file will have them */
    struct weir_span members;         /* "\"mode\": \"chat\", \"input_cost_per_token\": 1e-6" */
};

struct import__document {
    struct weir_span name;
    const struct config__node *root;
};

struct import__state {
    struct weir_arena *arena;
    const struct weir_import_source *source;
    struct weir_import *import;
    struct weir_buffer *problems;
    struct import__document documents[IMPORT__MAX_DOCUMENTS];
    size_t document_count;
    const struct import__document *document; /* that is being walked through */
    struct weir_import_row *last_row;
    size_t row_count;
    struct weir_import_variable *last_variable;
    struct import__provider *providers, *last_provider;
    struct import__model *models, *last_model;
    struct import__price *prices, *last_price;
    int64_t request_ms, first_byte_ms, max_request_bytes, retention_ms; /* -1: not said */
    bool log_debug;
    bool router_timeout; /* it counts before that of the section beside it */
    bool no_memory;
};

/* --- import_report.c --- */
/* "model_list[0].litellm_params" and a name make a path; printable whatever the name is. */
struct weir_span import__path(struct import__state *state, struct weir_span parent, struct weir_span name);
struct weir_span import__path_at(struct import__state *state, struct weir_span parent, size_t index);
void import__row(struct import__state *state, enum weir_import_outcome outcome, struct weir_span setting,
                 struct config__place place, const char *format, ...) WEIR_PRINTF(5, 6);
/* A copy of printf's text; empty where there is no memory, which the state remembers. */
struct weir_span import__text_of(struct import__state *state, const char *format, ...) WEIR_PRINTF(2, 3);
struct weir_span import__keep(struct import__state *state, const struct weir_buffer *buffer);
/* For words: a value that is no secret, cut and escaped. */
struct weir_span import__shown(struct import__state *state, struct weir_span text);
void import__variable(struct import__state *state, struct weir_span name, bool is_new);

/* --- import_litellm.c --- */
/* The members of a mapping one after the other, without merge keys and names that stand again later; the latter get a row. Start with NULL. */
const struct config__node *import__next_member(struct import__state *state, struct weir_span path,
                                               const struct config__node *mapping, const struct config__node *member);
/* The last member of that name, or NULL; one that is null counts as absent. */
const struct config__node *import__find(const struct config__node *mapping, const char *name);
/* "os.environ/NAME": the variable, with what a variable cannot have replaced. */
bool import__reference(struct import__state *state, struct weir_span text, struct weir_span *variable);
/* The number as JSON writes it; false where it is none. */
bool import__number(struct import__state *state, const struct config__node *node, struct weir_span *number);
/* Whole seconds and fractions of them, as milliseconds within our bounds. */
bool import__seconds(struct import__state *state, const struct config__node *node, int64_t *milliseconds);

/* --- import_table.c --- */
enum import__section {
    IMPORT__ROOT,
    IMPORT__ENTRY,
    IMPORT__PARAMS,
    IMPORT__INFO,
    IMPORT__ROUTER,
    IMPORT__GENERAL,
    IMPORT__LITELLM
};
/* The row of a setting that nothing must be done for; one that the table does not know is unsupported. */
void import__known(struct import__state *state, enum import__section section, struct weir_span path,
                   const struct config__node *member);
/* NULL: not known. */
const struct import__vendor *import__vendor_find(struct weir_span prefix);
/* The vendor that they infer from a model's name alone; NULL: none. */
const struct import__vendor *import__vendor_infer(struct weir_span model);
/* Why a provider of theirs cannot be one of ours; NULL: not known. */
const char *import__vendor_refusal(struct weir_span prefix);

/* --- import_models.c --- */
void import__models(struct import__state *state, struct weir_span path, const struct config__node *list);
void import__aliases(struct import__state *state, struct weir_span path, const struct config__node *aliases);
struct import__model *import__model_find(const struct import__state *state, struct weir_span name);

/* --- import_write.c --- */
void import__write(struct import__state *state);
/* The provider of its rows in the price file. */
struct weir_span import__price_name(const struct import__provider *provider);

#endif
