/* What the files of the Messages API share. */
#ifndef WEIR_DIALECT_ANTHROPIC_IMPL_H
#define WEIR_DIALECT_ANTHROPIC_IMPL_H

#include "dialect/codec_impl.h"
#include "dialect/impl.h"

/* --- bounding calls (anthropic_bounds.c): as dialect__bound_messages and dialect__bound_tools --- */

void dialect__bound_anthropic_messages(const struct weir_json_found *messages, struct weir_call *call);
void dialect__bound_anthropic_tools(const struct weir_json_found *tools, struct weir_call *call);

/* --- usage (anthropic.c) --- */

/* An exclusive count (input without what caches gave and took) as the inclusive one of struct weir_usage. False: it says nothing. */
bool dialect__read_anthropic_usage(struct weir_span object, struct weir_usage *usage);

/* --- the front (anthropic_front.c) --- */

enum weir_status dialect__anthropic_read_prompt(struct weir_exchange *exchange, const struct weir_json_node *root,
                                                struct weir_prompt *prompt, struct weir_call_problem *problem);

#endif
