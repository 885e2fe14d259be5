/* For the files of this folder only. */
#ifndef WEIR_DIALECT_IMPL_H
#define WEIR_DIALECT_IMPL_H

#include "dialect/dialect.h"
#include "json/write.h"

#include <stdio.h>

#define X(name) extern const struct weir_dialect dialect__##name;
#include "dialect/dialects.def"
#undef X

/* Members of an error object, from the reasons table. */
void dialect__write_code(struct weir_json_writer *writer, const struct weir_error_answer *error);
void dialect__write_message(struct weir_json_writer *writer, const char *name, const struct weir_error_answer *error);
void dialect__write_details(struct weir_json_writer *writer, const struct weir_error_answer *error);

#endif
