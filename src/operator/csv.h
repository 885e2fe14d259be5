/* Fields of the CSV that is given out (RFC 4180): quoted, control bytes as blanks, and what a spreadsheet would take for a formula with an apostrophe in
 * front. */
#ifndef WEIR_OPERATOR_CSV_H
#define WEIR_OPERATOR_CSV_H

#include "base/buffer.h"

void weir_csv_text(struct weir_buffer *out, struct weir_span text);

#endif
