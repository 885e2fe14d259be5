/* Providers that speak OpenAI's older family (chat completions, embeddings), for clients that do not. */
#include "dialect/chat_codec.h"
#include "dialect/openai_vectors.h"

extern const struct weir_back weir_back_openai;
const struct weir_back weir_back_openai = {
    .dialect = WEIR_DIALECT_OPENAI,
    .framing = WEIR_FRAMING_EVENTS,
    .write_prompt = dialect__chat_write_prompt,
    .read_reply = dialect__chat_read_reply,
    .begin_stream = dialect__chat_begin_stream,
    .read_event = dialect__chat_read_event,
    .end_stream = dialect__chat_end_stream,
    .read_error = dialect__openai_read_error,
    .write_vectors_call = dialect__openai_write_vectors_call,
    .read_vectors = dialect__openai_read_vectors,
};
