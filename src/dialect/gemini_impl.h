/* What the files of Google's Gemini API share. */
#ifndef WEIR_DIALECT_GEMINI_IMPL_H
#define WEIR_DIALECT_GEMINI_IMPL_H

#include "dialect/codec_impl.h"
#include "dialect/impl.h"

/* --- bounding calls (gemini_bounds.c): as dialect__bound_messages and dialect__bound_tools --- */

/* One content, or an array of them. */
void dialect__bound_gemini_contents(const struct weir_json_found *contents, struct weir_call *call);
void dialect__bound_gemini_tools(const struct weir_json_found *tools, struct weir_call *call);

/* --- usage (gemini.c) --- */

/* A usageMetadata as the inclusive count of struct weir_usage. False: it says nothing. */
bool dialect__read_gemini_usage(struct weir_span object, struct weir_usage *usage);

#endif
