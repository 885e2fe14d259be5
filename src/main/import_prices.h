/* The price file of an import: what the source charges, and the built-in rows that it does not overrule. */
#ifndef WEIR_MAIN_IMPORT_PRICES_H
#define WEIR_MAIN_IMPORT_PRICES_H

#include "base/buffer.h"

/* `map` is in the form of the public price map. What had to be rounded or left out is told in `notes`, a line each. */
WEIR_MUST enum weir_status main__import_prices(struct weir_span map, struct weir_span source, struct weir_span date,
                                               struct weir_buffer *out, struct weir_buffer *notes,
                                               struct weir_error *error);

#endif
