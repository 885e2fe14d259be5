/* Every front to every back, and every back to every front: what is written is JSON, holds what was said, and ends as its format does; whatever is cut off or of another
 * kind than it should be, nothing is written that is no JSON and nothing is read where it does not stand (the sanitizers see to that). */
#include "codec_test.h"

#include "http/framing.h"
#include "json/scan.h"

static const struct asking {
    const char *name;
    const struct weir_front *front;
    enum weir_dialect_kind kind;
    const char *asked;
} askings[] = {
    {"chat", &weir_front_chat, WEIR_DIALECT_OPENAI,
     "{'model':'m','messages':[{'role':'system','content':'Be \\u0062rief.'},{'role':'user','content':[{'type':'text','text':'What is \\\"this\\\"?'},"
     "{'type':'image_url','image_url':{'url':'data:image/png;base64,iVBORw0KGgo=','detail':'low'}}]},"
     "{'role':'assistant','content':null,'reasoning_content':'Hm.','tool_calls':[{'id':'call_1','type':'function','function':{'name':'look','arguments':'{\\\"at\\\":\\\"north\\\"}'}}]},"
     "{'role':'tool','tool_call_id':'call_1','content':'A bear.'},{'role':'user','content':'Go on.'}],"
     "'tools':[{'type':'function','function':{'name':'look','description':'Looks.','parameters':{'type':'object','properties':{'at':{'type':'string'}}},'strict':false}}],"
     "'tool_choice':{'type':'function','function':{'name':'look'}},'parallel_tool_calls':false,'temperature':0.5,'stop':['END'],'max_tokens':100,"
     "'reasoning_effort':'none','response_format':{'type':'text'},'user':'u','metadata':{},'stream':true}"},
    {"responses", &weir_front_responses, WEIR_DIALECT_RESPONSES,
     "{'model':'m','instructions':'Be \\u0062rief.','input':[{'type':'message','role':'user','content':[{'type':'input_text','text':'What is \\\"this\\\"?'},"
     "{'type':'input_image','image_url':'data:image/png;base64,iVBORw0KGgo=','detail':'low'}]},"
     "{'type':'function_call','call_id':'call_1','name':'look','arguments':'{\\\"at\\\":\\\"north\\\"}'},"
     "{'type':'function_call_output','call_id':'call_1','output':'A bear.'},{'role':'user','content':'Go on.'}],"
     "'tools':[{'type':'function','name':'look','description':'Looks.','parameters':{'type':'object','properties':{'at':{'type':'string'}}},'strict':false}],"
     "'tool_choice':{'type':'function','name':'look'},'parallel_tool_calls':false,'temperature':0.5,'max_output_tokens':100,'store':false,'stream':true}"},
    {"messages", &weir_front_messages, WEIR_DIALECT_ANTHROPIC,
     "{'model':'m','system':[{'type':'text','text':'Be \\u0062rief.','cache_control':{'type':'ephemeral'}}],'messages':[{'role':'user','content':[{'type':'text','text':'What is \\\"this\\\"?'},"
     "{'type':'image','source':{'type':'base64','media_type':'image/png','data':'iVBORw0KGgo='}}]},"
     "{'role':'assistant','content':[{'type':'thinking','thinking':'Hm.','signature':'c2ln'},{'type':'tool_use','id':'call_1','name':'look','input':{'at':'north'}}]},"
     "{'role':'user','content':[{'type':'tool_result','tool_use_id':'call_1','content':[{'type':'text','text':'A bear.'}]},{'type':'text','text':'Go on.'}]}],"
     "'tools':[{'name':'look','description':'Looks.','input_schema':{'type':'object','properties':{'at':{'type':'string'}}}}],"
     "'tool_choice':{'type':'tool','name':'look','disable_parallel_tool_use':true},'temperature':0.5,'stop_sequences':['END'],'max_tokens':100,"
     "'metadata':{'user_id':'u'},'stream':true}"},
    {"ollama", &weir_front_ollama_chat, WEIR_DIALECT_OLLAMA,
     "{'model':'m','messages':[{'role':'system','content':'Be \\u0062rief.'},{'role':'user','content':'What is \\\"this\\\"?','images':['iVBORw0KGgo=']},"
     "{'role':'assistant','content':'','thinking':'Hm.','tool_calls':[{'function':{'name':'look','arguments':{'at':'north'}}}]},"
     "{'role':'tool','tool_name':'look','content':'A bear.'},{'role':'user','content':'Go on.'}],"
     "'tools':[{'type':'function','function':{'name':'look','description':'Looks.','parameters':{'type':'object','properties':{'at':{'type':'string'}}}}}],"
     "'options':{'temperature':0.5,'stop':['END'],'num_predict':100},'think':false,'stream':true}"},
};
enum { ASKINGS = sizeof askings / sizeof *askings };

/* Those that have no tools or pictures get answers all the same. */
static const struct weir_front *const fronts[] = {&weir_front_chat,        &weir_front_completions,
                                                  &weir_front_responses,   &weir_front_messages,
                                                  &weir_front_ollama_chat, &weir_front_ollama_generate};
static const char *const front_names[] = {"chat",     "completions", "responses",
                                          "messages", "ollama_chat", "ollama_generate"};
enum { FRONTS = sizeof fronts / sizeof *fronts };

static const char *const replies[WEIR_DIALECT_COUNT] = {
    [WEIR_DIALECT_OPENAI] =
        "{'id':'i','model':'up','choices':[{'index':0,'message':{'role':'assistant','reasoning_content':'Hm.','content':'It is \\\"it\\\".','refusal':null,"
        "'tool_calls':[{'id':'call_1','type':'function','function':{'name':'look','arguments':'{\\\"at\\\":\\\"north\\\"}'}}]},'logprobs':null,'finish_reason':'tool_calls'}],"
        "'usage':{'prompt_tokens':5,'completion_tokens':7,'total_tokens':12}}",
    [WEIR_DIALECT_RESPONSES] =
        "{'id':'i','object':'response','status':'completed','model':'up','output':[{'type':'reasoning','id':'rs','summary':[{'type':'summary_text','text':'Hm.'}],'encrypted_content':'c2ln'},"
        "{'type':'message','id':'ms','role':'assistant','status':'completed','content':[{'type':'output_text','text':'It is \\\"it\\\".','annotations':[]}]},"
        "{'type':'function_call','id':'fc','call_id':'call_1','name':'look','arguments':'{\\\"at\\\":\\\"north\\\"}','status':'completed'}],"
        "'usage':{'input_tokens':5,'output_tokens':7,'total_tokens':12}}",
    [WEIR_DIALECT_ANTHROPIC] =
        "{'id':'i','type':'message','role':'assistant','model':'up','content':[{'type':'thinking','thinking':'Hm.','signature':'c2ln'},{'type':'text','text':'It is \\\"it\\\".'},"
        "{'type':'tool_use','id':'call_1','name':'look','input':{'at':'north'}}],'stop_reason':'tool_use','stop_sequence':null,'usage':{'input_tokens':5,'output_tokens':7}}",
    [WEIR_DIALECT_GEMINI] =
        "{'responseId':'i','modelVersion':'up','candidates':[{'index':0,'content':{'role':'model','parts':[{'text':'Hm.','thought':true},{'text':'It is \\\"it\\\".'},"
        "{'functionCall':{'name':'look','args':{'at':'north'}},'thoughtSignature':'c2ln'}]},'finishReason':'STOP'}],"
        "'usageMetadata':{'promptTokenCount':5,'candidatesTokenCount':7,'totalTokenCount':12}}",
    [WEIR_DIALECT_OLLAMA] =
        "{'model':'up','created_at':'2026-01-01T00:00:00Z','message':{'role':'assistant','content':'It is \\\"it\\\".','thinking':'Hm.',"
        "'tool_calls':[{'function':{'name':'look','arguments':{'at':'north'}}}]},'done':true,'done_reason':'stop','prompt_eval_count':5,'eval_count':7}",
};

static const char *const streams[WEIR_DIALECT_COUNT] = {
    [WEIR_DIALECT_OPENAI] =
        "data: {'id':'i','model':'up','choices':[{'index':0,'delta':{'role':'assistant','reasoning_content':'Hm.'},'finish_reason':null}]}\n\n"
        "data: {'id':'i','model':'up','choices':[{'index':0,'delta':{'content':'It is'},'finish_reason':null}]}\n\n"
        "data: {'id':'i','model':'up','choices':[{'index':0,'delta':{'content':' \\\"it\\\".'},'logprobs':\ndata: {'content':[]},'finish_reason':null}]}\n\n"
        "data: {'id':'i','model':'up','choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'id':'call_1','type':'function','function':{'name':'look','arguments':''}}]}}]}\n\n"
        "data: {'id':'i','model':'up','choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'function':{'arguments':'{\\\"at\\\":'}}]}}]}\n\n"
        "data: {'id':'i','model':'up','choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'function':{'arguments':'\\\"north\\\"}'}}]}}]}\n\n"
        "data: {'id':'i','model':'up','choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}\n\n"
        "data: {'id':'i','model':'up','choices':[],'usage':{'prompt_tokens':5,'completion_tokens':7,'total_tokens':12}}\n\ndata: [DONE]\n\n",
    [WEIR_DIALECT_RESPONSES] =
        "event: response.created\ndata: {'type':'response.created','sequence_number':0,'response':{'id':'i','model':'up','status':'in_progress','output':[]}}\n\n"
        "event: response.output_item.added\ndata: {'type':'response.output_item.added','sequence_number':1,'output_index':0,'item':{'type':'reasoning','id':'rs','summary':[]}}\n\n"
        "event: response.reasoning_summary_part.added\ndata: {'type':'response.reasoning_summary_part.added','sequence_number':2,'item_id':'rs','output_index':0,'summary_index':0,'part':{'type':'summary_text','text':''}}\n\n"
        "event: response.reasoning_summary_text.delta\ndata: {'type':'response.reasoning_summary_text.delta','sequence_number':3,'item_id':'rs','output_index':0,'summary_index':0,'delta':'Hm.'}\n\n"
        "event: response.output_item.done\ndata: {'type':'response.output_item.done','sequence_number':4,'output_index':0,'item':{'type':'reasoning','id':'rs','summary':[{'type':'summary_text','text':'Hm.'}],'encrypted_content':'c2ln'}}\n\n"
        "event: response.output_item.added\ndata: {'type':'response.output_item.added','sequence_number':5,'output_index':1,'item':{'type':'message','id':'ms','role':'assistant','status':'in_progress','content':[]}}\n\n"
        "event: response.content_part.added\ndata: {'type':'response.content_part.added','sequence_number':6,'item_id':'ms','output_index':1,'content_index':0,'part':{'type':'output_text','text':'','annotations':[]}}\n\n"
        "event: response.output_text.delta\ndata: {'type':'response.output_text.delta','sequence_number':7,'item_id':'ms','output_index':1,'content_index':0,'delta':'It is'}\n\n"
        "event: response.output_text.delta\ndata: {'type':'response.output_text.delta','sequence_number':8,'item_id':'ms','output_index':1,'content_index':0,'delta':' \\\"it\\\".'}\n\n"
        "event: response.output_text.done\ndata: {'type':'response.output_text.done','sequence_number':9,'item_id':'ms','output_index':1,'content_index':0,'text':'It is \\\"it\\\".'}\n\n"
        "event: response.content_part.done\ndata: {'type':'response.content_part.done','sequence_number':10,'item_id':'ms','output_index':1,'content_index':0,'part':{'type':'output_text','text':'It is \\\"it\\\".','annotations':[]}}\n\n"
        "event: response.output_item.done\ndata: {'type':'response.output_item.done','sequence_number':11,'output_index':1,'item':{'type':'message','id':'ms','role':'assistant','status':'completed','content':[{'type':'output_text','text':'It is \\\"it\\\".','annotations':[]}]}}\n\n"
        "event: response.output_item.added\ndata: {'type':'response.output_item.added','sequence_number':12,'output_index':2,'item':{'type':'function_call','id':'fc','call_id':'call_1','name':'look','arguments':''}}\n\n"
        "event: response.function_call_arguments.delta\ndata: {'type':'response.function_call_arguments.delta','sequence_number':13,'item_id':'fc','output_index':2,'delta':'{\\\"at\\\":\\\"north\\\"}'}\n\n"
        "event: response.output_item.done\ndata: {'type':'response.output_item.done','sequence_number':14,'output_index':2,'item':{'type':'function_call','id':'fc','call_id':'call_1','name':'look','arguments':'{\\\"at\\\":\\\"north\\\"}'}}\n\n"
        "event: response.completed\ndata: {'type':'response.completed','sequence_number':15,'response':{'id':'i','model':'up','status':'completed','output':[],'usage':{'input_tokens':5,'output_tokens':7,'total_tokens':12}}}\n\n",
    [WEIR_DIALECT_ANTHROPIC] =
        "event: message_start\ndata: {'type':'message_start','message':{'id':'i','type':'message','role':'assistant','model':'up','content':[],'usage':{'input_tokens':5,'output_tokens':1}}}\n\n"
        "event: content_block_start\ndata: {'type':'content_block_start','index':0,'content_block':{'type':'thinking','thinking':'','signature':''}}\n\n"
        "event: content_block_delta\ndata: {'type':'content_block_delta','index':0,'delta':{'type':'thinking_delta','thinking':'Hm.'}}\n\n"
        "event: content_block_delta\ndata: {'type':'content_block_delta','index':0,'delta':{'type':'signature_delta','signature':'c2ln'}}\n\n"
        "event: content_block_stop\ndata: {'type':'content_block_stop','index':0}\n\n"
        "event: content_block_start\ndata: {'type':'content_block_start','index':1,'content_block':{'type':'text','text':''}}\n\n"
        "event: content_block_delta\ndata: {'type':'content_block_delta','index':1,'delta':{'type':'text_delta','text':'It is'}}\n\n"
        "event: ping\ndata: {'type':'ping'}\n\n"
        "event: content_block_delta\ndata: {'type':'content_block_delta','index':1,'delta':{'type':'text_delta','text':' \\\"it\\\".'}}\n\n"
        "event: content_block_delta\ndata: {'type':'content_block_delta','index':1,'delta':{'type':'citations_delta','citation':\ndata: {'type':'char_location','cited_text':'c'}}}\n\n"
        "event: content_block_stop\ndata: {'type':'content_block_stop','index':1}\n\n"
        "event: content_block_start\ndata: {'type':'content_block_start','index':2,'content_block':{'type':'tool_use','id':'call_1','name':'look','input':{}}}\n\n"
        "event: content_block_delta\ndata: {'type':'content_block_delta','index':2,'delta':{'type':'input_json_delta','partial_json':'{\\\"at\\\":\\\"north\\\"}'}}\n\n"
        "event: content_block_stop\ndata: {'type':'content_block_stop','index':2}\n\n"
        "event: message_delta\ndata: {'type':'message_delta','delta':{'stop_reason':'tool_use','stop_sequence':null},'usage':{'output_tokens':7}}\n\n"
        "event: message_stop\ndata: {'type':'message_stop'}\n\n",
    [WEIR_DIALECT_GEMINI] =
        "data: {'responseId':'i','modelVersion':'up','candidates':[{'index':0,'content':{'role':'model','parts':[{'text':'Hm.','thought':true}]}}]}\n\n"
        "data: {'responseId':'i','modelVersion':'up','candidates':[{'index':0,'content':{'role':'model','parts':[{'text':'It is'}]}}]}\n\n"
        "data: {'responseId':'i','modelVersion':'up','candidates':[{'index':0,'content':{'role':'model','parts':[{'text':' \\\"it\\\".'}]}}]}\n\n"
        "data: {'responseId':'i','modelVersion':'up','candidates':[{'index':0,'content':{'role':'model','parts':[{'functionCall':{'name':'look','args':{'at':'north'}},'thoughtSignature':'c2ln'}]},"
        "'finishReason':'STOP'}],'usageMetadata':{'promptTokenCount':5,'candidatesTokenCount':7,'totalTokenCount':12}}\n\n",
    [WEIR_DIALECT_OLLAMA] =
        "{'model':'up','created_at':'2026-01-01T00:00:00Z','message':{'role':'assistant','content':'','thinking':'Hm.'},'done':false}\n"
        "{'model':'up','created_at':'2026-01-01T00:00:00Z','message':{'role':'assistant','content':'It is'},'done':false}\n"
        "{'model':'up','created_at':'2026-01-01T00:00:00Z','message':{'role':'assistant','content':' \\\"it\\\".'},'done':false}\n"
        "{'model':'up','created_at':'2026-01-01T00:00:00Z','message':{'role':'assistant','content':'','tool_calls':[{'function':{'name':'look','arguments':{'at':'north'}}}]},'done':false}\n"
        "{'model':'up','created_at':'2026-01-01T00:00:00Z','message':{'role':'assistant','content':''},'done':true,'done_reason':'stop','prompt_eval_count':5,'eval_count':7}\n",
};

/* --- looking at what was written --- */

static void assert_json(struct weir_span text, const char *from, const char *to) {
    struct weir_json_problem problem = {.text = ""};
    if (weir_json_scan(text, NULL, 0, NULL, NULL, &problem) != WEIR_OK)
        fail_msg("%s to %s: %s at byte %zu of\n%.*s", from, to, problem.text, problem.offset, WEIR_SPAN_PRINT(text));
}

static void assert_holds(struct weir_span text, const char *part, const char *from, const char *to) {
    if (memmem(text.at, text.length, part, strlen(part)) == NULL)
        fail_msg("%s to %s: there is no %s in\n%.*s", from, to, part, WEIR_SPAN_PRINT(text));
}

static size_t count_of(struct weir_span text, const char *part) {
    size_t count = 0, length = strlen(part);
    const char *at = text.at;
    while (at != NULL && (at = memmem(at, text.length - (size_t)(at - text.at), part, length)) != NULL) {
        count++;
        at += length;
    }
    return count;
}

/* Each of a stream's pieces is JSON, but for the mark at some ends. */
static void assert_pieces(const struct weir_front *front, struct weir_span text, const char *from, const char *to) {
    struct weir_frames frames;
    struct weir_sse_event event;
    enum weir_status status;
    struct weir_span all = text;
    weir_frames_init(&frames, WEIR_MIB);
    weir_frames_begin(&frames, front->framing);
    while ((status = weir_frames_next(&frames, &text, &event)) == WEIR_OK)
        if (event.data.length > 0 && !weir_span_equal(event.data, WEIR_SPAN("[DONE]")))
            assert_json(event.data, from, to);
    if (status != WEIR_AGAIN)
        fail_msg("%s to %s: no stream\n%.*s", from, to, WEIR_SPAN_PRINT(all));
    weir_frames_release(&frames);
}

static void renew(void) {
    weir_arena_reset(exchange.arena);
    weir_arena_reset(exchange.scratch);
    exchange.front_memory = exchange.back_memory = NULL;
    exchange.ignored = exchange.last_ignored = NULL;
    exchange.front_answer_id = WEIR_SPAN("");
    exchange.front_sequence = 0;
}

/* --- calls --- */

/* What a provider of that dialect is asked. WEIR_OK, or the codecs' own "no". */
static enum weir_status call_of(const struct asking *asking, enum weir_dialect_kind back, struct weir_span asked,
                                struct weir_buffer *out, struct weir_call_problem *problem) {
    struct weir_prompt prompt = {.stream = false};
    struct weir_json_node *root;
    struct weir_back_target target;
    *problem = (struct weir_call_problem){.field = ""};
    weir_buffer_clear(out);
    enum weir_status status = weir_json_tree_read(exchange.arena, asked, &root, NULL);
    if (status == WEIR_OK)
        status = asking->front->read_prompt(&exchange, root, &prompt, problem);
    if (status == WEIR_OK)
        status = weir_check_parameters(&exchange, asking->kind, back, prompt.values, prompt.unknown, false, problem);
    if (status == WEIR_OK)
        status = weir_back_of(back)->write_prompt(&exchange, &prompt, &target, out, problem);
    if (status == WEIR_OK)
        status = weir_buffer_status(out);
    return status;
}

static void test_every_call(void **state) {
    static const char *const said[] = {"What is \\\"this\\\"?", "Go on.",   "A bear.", "look", "Looks.", "north",
                                       "iVBORw0KGgo=",          "upstream", "END"};
    (void)state;
    struct weir_buffer out;
    struct weir_call_problem problem;
    weir_buffer_init(&out, WEIR_MIB);
    for (size_t i = 0; i < ASKINGS; i++) {
        for (size_t back = 0; back < WEIR_DIALECT_COUNT; back++) {
            const char *to = weir_dialect_kind_name((enum weir_dialect_kind)back);
            renew();
            if (call_of(&askings[i], (enum weir_dialect_kind)back, quoted(askings[i].asked), &out, &problem) != WEIR_OK)
                fail_msg("%s to %s: %s %s", askings[i].name, to, problem.field, problem.text);
            struct weir_span body = weir_buffer_span(&out);
            assert_json(body, askings[i].name, to);
            for (size_t j = 0; j < sizeof said / sizeof *said; j++) {
                bool is_elsewhere = weir_span_equal(weir_span_of_string(said[j]), WEIR_SPAN("upstream")) &&
                                    back == WEIR_DIALECT_GEMINI;
                bool is_unknown = weir_span_equal(weir_span_of_string(said[j]), WEIR_SPAN("END")) &&
                                  (back == WEIR_DIALECT_RESPONSES || askings[i].kind == WEIR_DIALECT_RESPONSES);
                if (!is_elsewhere && !is_unknown)
                    assert_holds(body, said[j], askings[i].name, to);
            }
        }
    }
    weir_buffer_release(&out);
}

/* --- whole answers --- */

static enum weir_status reply_of(enum weir_dialect_kind back, struct weir_span text, struct weir_reply *reply) {
    struct weir_json_node *root;
    *reply = (struct weir_reply){.has_usage = false};
    enum weir_status status = weir_json_tree_read(exchange.scratch, text, &root, NULL);
    return status == WEIR_OK ? weir_back_of(back)->read_reply(&exchange, root, reply) : status;
}

static void test_every_answer(void **state) {
    (void)state;
    struct weir_buffer out;
    struct weir_reply reply;
    weir_buffer_init(&out, WEIR_MIB);
    for (size_t back = 0; back < WEIR_DIALECT_COUNT; back++) {
        const char *from = weir_dialect_kind_name((enum weir_dialect_kind)back);
        for (size_t i = 0; i < FRONTS; i++) {
            renew();
            weir_buffer_clear(&out);
            if (reply_of((enum weir_dialect_kind)back, quoted(replies[back]), &reply) != WEIR_OK)
                fail_msg("%s is not read", from);
            assert_true(reply.has_usage);
            assert_int_equal(reply.usage.input, 5);
            assert_int_equal(reply.usage.output, 7);
            fronts[i]->write_reply(&exchange, &reply, false, 42, &out);
            struct weir_span body = weir_buffer_span(&out);
            assert_json(body, from, front_names[i]);
            assert_holds(body, "It is \\\"it\\\".", from, front_names[i]);
            assert_holds(body, "\"usedCUMilli\":42", from, front_names[i]);
            if (fronts[i] != &weir_front_completions && fronts[i] != &weir_front_ollama_generate)
                assert_holds(body, "north", from, front_names[i]);
        }
    }
    weir_buffer_release(&out);
}

/* --- streams --- */

struct crossing {
    const struct weir_front *front;
    void *stream;
    struct weir_buffer out;
    size_t begun, ended, finished, whole, failed;
};

static void cross(void *context, const struct weir_delta *delta) {
    struct crossing *crossing = context;
    crossing->begun += delta->kind == WEIR_DELTA_PART_BEGIN;
    crossing->ended += delta->kind == WEIR_DELTA_PART_END;
    crossing->finished += delta->kind == WEIR_DELTA_FINISH;
    crossing->whole += delta->kind == WEIR_DELTA_END;
    crossing->failed += delta->kind == WEIR_DELTA_ERROR;
    if (delta->kind == WEIR_DELTA_END || delta->kind == WEIR_DELTA_ERROR || crossing->whole + crossing->failed > 0)
        return;
    crossing->front->write_delta(crossing->stream, delta, &crossing->out);
}

static void cross_stream(enum weir_dialect_kind kind, struct weir_span text, size_t piece, struct crossing *crossing) {
    static const struct weir_usage usage = {.input = 5, .output = 7};
    const struct weir_back *back = weir_back_of(kind);
    struct weir_delta_sink sink = {.take = cross, .context = crossing};
    struct weir_frames frames;
    struct weir_sse_event event;
    enum weir_status status = WEIR_OK;
    crossing->stream = crossing->front->begin_stream(&exchange);
    void *reading = back->begin_stream(&exchange);
    assert_non_null(crossing->stream);
    assert_non_null(reading);
    weir_frames_init(&frames, WEIR_MIB);
    weir_frames_begin(&frames, kind == WEIR_DIALECT_OLLAMA ? WEIR_FRAMING_LINES : WEIR_FRAMING_EVENTS);
    while (status == WEIR_OK && text.length > 0) {
        struct weir_span input = weir_span_first(text, piece < text.length ? piece : text.length);
        text = weir_span_from(text, input.length);
        while ((status = weir_frames_next(&frames, &input, &event)) == WEIR_OK) {
            weir_arena_reset(exchange.scratch);
            if ((status = back->read_event(reading, &event, &sink)) != WEIR_OK)
                break;
        }
        status = status == WEIR_AGAIN ? WEIR_OK : status;
    }
    weir_arena_reset(exchange.scratch);
    if (status == WEIR_OK) {
        back->end_stream(reading, &sink);
        crossing->front->end_stream(crossing->stream, &usage, false, 42, &crossing->out);
    }
    weir_frames_release(&frames);
}

static void test_every_stream(void **state) {
    (void)state;
    for (size_t back = 0; back < WEIR_DIALECT_COUNT; back++) {
        const char *from = weir_dialect_kind_name((enum weir_dialect_kind)back);
        for (size_t i = 0; i < FRONTS; i++) {
            renew();
            struct crossing crossing = {.front = fronts[i]};
            weir_buffer_init(&crossing.out, WEIR_MIB);
            cross_stream((enum weir_dialect_kind)back, quoted(streams[back]), 11, &crossing);
            struct weir_span text = weir_buffer_span(&crossing.out);
            if (crossing.begun != crossing.ended || crossing.whole != 1 || crossing.finished != 1 ||
                crossing.failed != 0)
                fail_msg("%s: %zu parts, %zu ends, %zu finishes, whole %zu times, failed %zu times", from,
                         crossing.begun, crossing.ended, crossing.finished, crossing.whole, crossing.failed);
            assert_pieces(fronts[i], text, from, front_names[i]);
            assert_holds(text, " \\\"it\\\".", from, front_names[i]);
            assert_holds(text, "\"usedCUMilli\":42", from, front_names[i]);
            if (fronts[i] == &weir_front_completions)
                assert_int_equal(count_of(text, "Hm.") + count_of(text, "north"), 0);
            else if (fronts[i] != &weir_front_ollama_generate)
                assert_holds(text, "north", from, front_names[i]);
            weir_buffer_release(&crossing.out);
        }
    }
}

/* A provider may answer whole where a stream was asked for. */
static void test_every_answer_as_a_stream(void **state) {
    (void)state;
    for (size_t back = 0; back < WEIR_DIALECT_COUNT; back++) {
        const char *from = weir_dialect_kind_name((enum weir_dialect_kind)back);
        for (size_t i = 0; i < FRONTS; i++) {
            static const struct weir_usage usage = {.input = 5, .output = 7};
            struct crossing crossing = {.front = fronts[i]};
            struct weir_delta_sink sink = {.take = cross, .context = &crossing};
            struct weir_reply reply;
            renew();
            weir_buffer_init(&crossing.out, WEIR_MIB);
            assert_int_equal(reply_of((enum weir_dialect_kind)back, quoted(replies[back]), &reply), WEIR_OK);
            crossing.stream = fronts[i]->begin_stream(&exchange);
            assert_int_equal(weir_reply_tell(&exchange, &reply, &sink), WEIR_OK);
            fronts[i]->end_stream(crossing.stream, &usage, false, 42, &crossing.out);
            struct weir_span text = weir_buffer_span(&crossing.out);
            assert_pieces(fronts[i], text, from, front_names[i]);
            assert_holds(text, "It is \\\"it\\\".", from, front_names[i]);
            if (fronts[i] == &weir_front_completions) /* a text is no thought and no call */
                assert_int_equal(count_of(text, "Hm.") + count_of(text, "north"), 0);
            else if (fronts[i] != &weir_front_ollama_generate)
                assert_holds(text, "north", from, front_names[i]);
            if (fronts[i] == &weir_front_chat && back == WEIR_DIALECT_GEMINI) /* the call's signature is in its id */
                assert_holds(text, "__sig__", from, front_names[i]);
            weir_buffer_release(&crossing.out);
        }
    }
}

static void test_free_text_is_told_as_itself(void **state) {
    (void)state;
    struct crossing crossing = {.front = &weir_front_chat};
    struct weir_delta_sink sink = {.take = cross, .context = &crossing};
    struct weir_reply reply = {.has_usage = false};
    struct weir_choice *choice = weir_reply_add_choice(exchange.arena, &reply, 0);
    struct weir_part *part = weir_part_add(exchange.arena, &choice->parts, WEIR_PART_TOOL_CALL);
    *part = (struct weir_part){.kind = WEIR_PART_TOOL_CALL,
                               .id = WEIR_SPAN("c"),
                               .name = WEIR_SPAN("patch"),
                               .is_custom = true,
                               .arguments = WEIR_SPAN("\"free \\\"text\\\"\"")};
    weir_buffer_init(&crossing.out, WEIR_MIB);
    crossing.stream = weir_front_chat.begin_stream(&exchange);
    assert_int_equal(weir_reply_tell(&exchange, &reply, &sink), WEIR_OK);
    assert_holds(weir_buffer_span(&crossing.out), "\"input\":\"free \\\"text\\\"\"", "a reply", "chat");
    weir_buffer_release(&crossing.out);
}

/* What anybody can make is no more than a text. */
static void test_forged_signatures(void **state) {
    static const char *const forged[] = {"wuirAwAAIg", "wuirAwAAeCIsIm4iOiI5", "wuirAwABIng",
                                         "wuirAwAAXA", "wuirAwAACg",           "wuirAwAA_w"};
    struct weir_signature signature;
    (void)state;
    for (size_t i = 0; i < sizeof forged / sizeof *forged; i++)
        assert_false(weir_signature_open(exchange.arena, weir_span_of_string(forged[i]), &signature));
    assert_true(weir_signature_open(exchange.arena, WEIR_SPAN("wuirAwAAeA"), &signature));
    assert_said(signature.value, "x");
}

/* An id that is too long for a provider is cut between its characters. */
static void test_long_ids(void **state) {
    (void)state;
    struct weir_prompt prompt = prompt_of(
        &weir_front_messages,
        "{'model':'m','max_tokens':9,'messages':[{'role':'user','content':'a'},{'role':'assistant','content':[{'type':'tool_use','id':"
        "'\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\z',"
        "'name':'n','input':{}}]}]}");
    struct weir_call_problem problem = {.field = ""};
    struct weir_back_target target;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    assert_int_equal(weir_back_of(WEIR_DIALECT_OPENAI)->write_prompt(&exchange, &prompt, &target, &out, &problem),
                     WEIR_OK);
    assert_json(weir_buffer_span(&out), "messages", "openai");
    weir_buffer_release(&out);
}

/* Work grows with what is sent, not with its square: with many parts, calls and results this would not end in an hour. */
static void test_many_parts(void **state) {
    (void)state;
    enum { MANY = 60000 };
    struct weir_arena *arena = weir_arena_new(0, 256 * WEIR_MIB);
    struct weir_prompt prompt = {.stream = false};
    struct weir_turn *calls = weir_prompt_add_turn(arena, &prompt, WEIR_TURN_ASSISTANT),
                     *results = weir_prompt_add_turn(arena, &prompt, WEIR_TURN_USER);
    for (size_t i = 0; i < MANY; i++) {
        struct weir_part *call = weir_part_add(arena, &calls->parts, WEIR_PART_TOOL_CALL),
                         *result = weir_part_add(arena, &results->parts, WEIR_PART_TOOL_RESULT);
        assert_true(call != NULL && result != NULL);
        call->id = weir_span_of_string(weir_arena_format(arena, "call_%zu", i));
        call->name = WEIR_SPAN("n");
        if (i % 3 != 0)
            result->id = weir_span_of_string(weir_arena_format(arena, "call_%zu", MANY - 1 - i / 3));
        if (i % 3 == 1)
            result->name = WEIR_SPAN("n");
    }
    assert_int_equal(weir_prompt_finish(arena, &prompt, WEIR_SPAN("00")), WEIR_OK);
    for (const struct weir_part *result = results->parts; result != NULL; result = result->next)
        assert_said(result->name, "n");
    weir_arena_free(&arena);
}

/* As many names of tools, where none are given any more: each is told once. */
static void test_many_called_tools(void **state) {
    (void)state;
    enum { MANY = 20000 };
    struct weir_prompt prompt = {.stream = false};
    struct weir_turn *turn = weir_prompt_add_turn(exchange.arena, &prompt, WEIR_TURN_USER);
    struct weir_call_problem problem = {.field = ""};
    struct weir_back_target target;
    struct weir_buffer out;
    weir_part_add(exchange.arena, &turn->parts, WEIR_PART_TEXT)->text = WEIR_SPAN("a");
    turn = weir_prompt_add_turn(exchange.arena, &prompt, WEIR_TURN_ASSISTANT);
    struct weir_arena *arena = weir_arena_new(0, 256 * WEIR_MIB);
    for (size_t i = 0; i < MANY; i++) {
        struct weir_part *call = weir_part_add(arena, &turn->parts, WEIR_PART_TOOL_CALL);
        call->id = WEIR_SPAN("c");
        call->name = weir_span_of_string(weir_arena_format(arena, "tool_%zu", i / 2));
    }
    weir_buffer_init(&out, 64 * WEIR_MIB);
    assert_int_equal(weir_back_of(WEIR_DIALECT_ANTHROPIC)->write_prompt(&exchange, &prompt, &target, &out, &problem),
                     WEIR_OK);
    assert_int_equal(count_of(weir_buffer_span(&out), "input_schema"), MANY / 2);
    weir_buffer_release(&out);
    weir_arena_free(&arena);
}

/* Free text comes as the one member of an object, which a model may write wrongly. */
static void test_wrong_free_text(void **state) {
    static const char *const pieces[] = {"\\\\\\n", "\\\\q", "\\\\u12\\\"3", "\\\\u00e9", "\\\\\\\"", "\\\\x"};
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct weir_buffer out;
        struct crossing crossing = {.front = &weir_front_chat};
        struct weir_call_problem problem;
        renew();
        weir_buffer_init(&out, WEIR_MIB);
        weir_buffer_init(&crossing.out, WEIR_MIB);
        assert_int_equal(call_of(&askings[0], WEIR_DIALECT_ANTHROPIC,
                                 quoted("{'model':'m','messages':[{'role':'user','content':'a'}],"
                                        "'tools':[{'type':'custom','custom':{'name':'patch'}}]}"),
                                 &out, &problem),
                         WEIR_OK);
        const char *text = weir_arena_format(
            exchange.arena,
            "data: {'type':'message_start','message':{'id':'i','model':'up'}}\n\n"
            "data: {'type':'content_block_start','index':0,'content_block':{'type':'tool_use','id':'c','name':'patch','input':{}}}\n\n"
            "data: {'type':'content_block_delta','index':0,'delta':{'type':'input_json_delta','partial_json':'{\\\"input\\\":\\\"%sz\\\"}'}}\n\n"
            "data: {'type':'message_delta','delta':{'stop_reason':'tool_use'},'usage':{'output_tokens':7}}\n\n"
            "data: {'type':'message_stop'}\n\n",
            pieces[i]);
        cross_stream(WEIR_DIALECT_ANTHROPIC, quoted(text), SIZE_MAX, &crossing);
        assert_int_equal(crossing.whole, 1);
        assert_pieces(&weir_front_chat, weir_buffer_span(&crossing.out), pieces[i], "chat");
        assert_holds(weir_buffer_span(&crossing.out), "\"custom\":{\"input\":\"", pieces[i], "chat");
        weir_buffer_release(&crossing.out);
        weir_buffer_release(&out);
    }
}

/* --- hostile --- */

/* The values of a body, one after another, become something else. */
static const char *const others[] = {
    "null",
    "7",
    "-1e99",
    "\"\"",
    "\"\\u0000\\\\\"",
    "[]",
    "{}",
    "[[]]",
    "{\"type\":5}",
    "true",
    "\"file\"",
    "\"url\"",
    "\"custom\"",
    "\"document\"",
    "\"input_file\"",
    "\"web_search\"",
    "\"thinking\"",
    "{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[]}",
    "[null]",
    "\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\"",
    "\"a\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\\\"\"",
    "\"éééééééééééééééééééééééééééééé\"",
    "\"aéééééééééééééééééééééééééééééé\"",
    "\"\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\\u00e9\"",
    "\"a b/cdddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\"",
    "\"a__sig__wuirAAAAIg\"",
    "\"a__sig__wuirAQAAIg\"",
    "\"a__sig__wuirAgAAIg\"",
    "\"a__sig__wuirAwAAIg\"",
    "\"a__sig__wuirBAAAIg\"",
    "\"wuirAQABInY=\"",
    "\"wuirAgAAdiI=\""};
enum { OTHERS = sizeof others / sizeof *others };

/* Where the next value begins behind `at`, and its bytes; false: there is none. */
static bool next_value(struct weir_span text, size_t *at, size_t *length) {
    for (size_t i = *at; i + 1 < text.length; i++) {
        if (text.at[i] != ':' && text.at[i] != '[' && text.at[i] != ',')
            continue;
        struct weir_span rest = weir_span_from(text, i + 1);
        struct weir_json_node *root;
        /* the shortest beginning that is a value: bodies are short */
        for (size_t n = 1; n <= rest.length; n++) {
            char last = rest.at[n - 1];
            if (n < rest.length && memchr(",]}", rest.at[n], 3) == NULL)
                continue;
            if (memchr(" :", last, 2) != NULL)
                continue;
            weir_arena_reset(exchange.scratch);
            if (weir_json_tree_read(exchange.scratch, weir_span_first(rest, n), &root, NULL) == WEIR_OK) {
                *at = i + 1;
                *length = n;
                return true;
            }
        }
    }
    return false;
}

static struct weir_span with(struct weir_span text, size_t at, size_t length, const char *other) {
    return weir_span_of_string(weir_arena_format(exchange.arena, "%.*s%s%.*s", (int)at, text.at, other,
                                                 (int)(text.length - at - length), text.at + at + length));
}

static char *kept(const char *text) {
    renew();
    struct weir_span span = quoted(text);
    char *copy = test_malloc(span.length + 1);
    memcpy(copy, span.at, span.length);
    copy[span.length] = '\0';
    return copy;
}

static void test_calls_of_other_kinds(void **state) {
    (void)state;
    struct weir_buffer out;
    struct weir_call_problem problem;
    weir_buffer_init(&out, WEIR_MIB);
    for (size_t i = 0; i < ASKINGS; i++) {
        char *text = kept(askings[i].asked);
        struct weir_span asked = weir_span_of_string(text);
        for (size_t at = 0, length = 0; next_value(asked, &at, &length); at++) {
            for (size_t other = 0; other < OTHERS; other++) {
                for (size_t back = 0; back < WEIR_DIALECT_COUNT; back++) {
                    renew();
                    struct weir_span body = with(asked, at, length, others[other]);
                    enum weir_status status = call_of(&askings[i], (enum weir_dialect_kind)back, body, &out, &problem);
                    if (status == WEIR_OK)
                        assert_json(weir_buffer_span(&out), body.at,
                                    weir_dialect_kind_name((enum weir_dialect_kind)back));
                    else if (status != WEIR_EINVAL || problem.text[0] == '\0')
                        fail_msg("%s: %d '%s'\n%s", askings[i].name, (int)status, problem.text, body.at);
                }
            }
        }
        test_free(text);
    }
    weir_buffer_release(&out);
}

static void test_answers_of_other_kinds(void **state) {
    (void)state;
    struct weir_buffer out;
    struct weir_reply reply;
    weir_buffer_init(&out, WEIR_MIB);
    for (size_t back = 0; back < WEIR_DIALECT_COUNT; back++) {
        char *text = kept(replies[back]);
        struct weir_span whole = weir_span_of_string(text);
        for (size_t at = 0, length = 0; next_value(whole, &at, &length); at++) {
            for (size_t other = 0; other < OTHERS; other++) {
                for (size_t i = 0; i < FRONTS; i++) {
                    renew();
                    weir_buffer_clear(&out);
                    struct weir_span body = with(whole, at, length, others[other]);
                    if (reply_of((enum weir_dialect_kind)back, body, &reply) != WEIR_OK)
                        continue;
                    fronts[i]->write_reply(&exchange, &reply, true, 42, &out);
                    assert_json(weir_buffer_span(&out), body.at, front_names[i]);
                }
            }
        }
        test_free(text);
    }
    weir_buffer_release(&out);
}

/* A stream whose bytes stop anywhere, and one whose values are of other kinds. */
static void test_streams_cut_and_of_other_kinds(void **state) {
    (void)state;
    struct crossing crossing;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    for (size_t back = 0; back < WEIR_DIALECT_COUNT; back++) {
        char *text = kept(streams[back]);
        struct weir_span whole = weir_span_of_string(text);
        const char *from = weir_dialect_kind_name((enum weir_dialect_kind)back);
        for (size_t length = 0; length <= whole.length; length++) {
            size_t i = length % FRONTS;
            renew();
            weir_buffer_clear(&out);
            crossing = (struct crossing){.front = fronts[i], .out = out};
            cross_stream((enum weir_dialect_kind)back, weir_span_first(whole, length), SIZE_MAX, &crossing);
            out = crossing.out;
            assert_pieces(fronts[i], weir_buffer_span(&out), from, front_names[i]);
            assert_true(crossing.whole <= 1);
            if (length < whole.length / 2)
                assert_int_equal(crossing.whole, 0);
        }
        for (size_t at = 0, length = 0; next_value(whole, &at, &length); at++) {
            for (size_t other = 0; other < OTHERS; other++) {
                size_t i = (at + other) % FRONTS;
                renew();
                weir_buffer_clear(&out);
                struct weir_span changed = with(whole, at, length, others[other]);
                crossing = (struct crossing){.front = fronts[i], .out = out};
                cross_stream((enum weir_dialect_kind)back, changed, SIZE_MAX, &crossing);
                out = crossing.out;
                assert_pieces(fronts[i], weir_buffer_span(&out), changed.at, front_names[i]);
            }
        }
        test_free(text);
    }
    weir_buffer_release(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_call, begin, end),
        cmocka_unit_test_setup_teardown(test_every_answer, begin, end),
        cmocka_unit_test_setup_teardown(test_every_stream, begin, end),
        cmocka_unit_test_setup_teardown(test_every_answer_as_a_stream, begin, end),
        cmocka_unit_test_setup_teardown(test_free_text_is_told_as_itself, begin, end),
        cmocka_unit_test_setup_teardown(test_forged_signatures, begin, end),
        cmocka_unit_test_setup_teardown(test_long_ids, begin, end),
        cmocka_unit_test_setup_teardown(test_many_parts, begin, end),
        cmocka_unit_test_setup_teardown(test_many_called_tools, begin, end),
        cmocka_unit_test_setup_teardown(test_wrong_free_text, begin, end),
        cmocka_unit_test_setup_teardown(test_calls_of_other_kinds, begin, end),
        cmocka_unit_test_setup_teardown(test_answers_of_other_kinds, begin, end),
        cmocka_unit_test_setup_teardown(test_streams_cut_and_of_other_kinds, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
