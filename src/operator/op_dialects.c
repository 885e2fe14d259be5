/* GET /api/v1/dialects: the table of parameters, as a program reads it. */
#include "dialect/codec.h"
#include "operator/operations_table.h"

static void write_dialect(struct weir_json_writer *writer, enum weir_dialect_kind kind) {
    const struct weir_back *back = weir_back_of(kind);
    weir_json_write_object(writer);
    weir_json_member_text(writer, "name", weir_dialect_kind_name(kind));
    weir_json_member_bool(writer, "makes_text", weir_back_can(back, WEIR_TASK_GENERATE));
    weir_json_member_bool(writer, "makes_vectors", weir_back_can(back, WEIR_TASK_EMBED));
    weir_json_member_bool(writer, "counts_tokens", weir_back_can(back, WEIR_TASK_COUNT));
    weir_json_write_end(writer);
}

/* "max_output_tokens" */
static void write_name(struct weir_json_writer *writer, const char *row_name) {
    char name[64];
    size_t length = 0;
    for (; row_name[length] != '\0' && length < sizeof name; length++) {
        bool is_capital = row_name[length] >= 'A' && row_name[length] <= 'Z';
        name[length] = (char)(is_capital ? row_name[length] - 'A' + 'a' : row_name[length]);
    }
    weir_json_member_string(writer, "parameter", weir_span_of(name, length));
}

static void write_parameter(struct weir_json_writer *writer, const struct weir_parameter_row *row) {
    weir_json_write_object(writer);
    write_name(writer, row->name);
    for (unsigned kind = 0; kind < WEIR_DIALECT_COUNT; kind++) {
        weir_json_write_name(writer, weir_dialect_kind_name((enum weir_dialect_kind)kind));
        weir_json_write_object(writer);
        weir_json_member_text(writer, "called", row->called[kind]);
        weir_json_member_text(writer, "treatment", weir_treatment_name(row->treatment[kind]));
        weir_json_write_end(writer);
    }
    weir_json_write_end(writer);
}

enum weir_status operator__dialects_list(struct weir_operation_call *call) {
    struct weir_json_writer *writer = weir_operation_writer(call);
    weir_json_write_object(writer);
    weir_json_write_name(writer, "dialects");
    weir_json_write_array(writer);
    for (unsigned kind = 0; kind < WEIR_DIALECT_COUNT; kind++)
        write_dialect(writer, (enum weir_dialect_kind)kind);
    weir_json_write_end(writer);
    weir_json_write_name(writer, "data");
    weir_json_write_array(writer);
    for (unsigned parameter = 0; parameter < WEIR_PARAMETER_COUNT; parameter++)
        write_parameter(writer, weir_parameter_row((enum weir_parameter)parameter));
    weir_json_write_end(writer);
    weir_operation_page_end(call, 0);
    return WEIR_OK;
}
