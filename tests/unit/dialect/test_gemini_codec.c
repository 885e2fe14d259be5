/* The Gemini API through the common form: what is asked, answered and streamed arrives as the vendor's types have it. Apostrophes stand for quotes. */
#include "base/limits.h"
#include "dialect/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct weir_exchange exchange;

static int begin(void **state) {
    (void)state;
    exchange = (struct weir_exchange){.arena = weir_arena_new(0, WEIR_MIB),
                                      .scratch = weir_arena_new(0, WEIR_MIB),
                                      .seed = WEIR_SPAN("00ff"),
                                      .front_model = WEIR_SPAN("asked"),
                                      .back_model = WEIR_SPAN("gemini-3-pro"),
                                      .output_limit_member = "max_tokens"};
    return 0;
}

static int end(void **state) {
    (void)state;
    weir_arena_free(&exchange.arena);
    weir_arena_free(&exchange.scratch);
    return 0;
}

static const char *json(const char *text) {
    char *copy = weir_arena_string(exchange.arena, weir_span_of_string(text));
    assert_non_null(copy);
    for (char *at = copy; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    return copy;
}

static const struct weir_json_node *tree(const char *text) {
    struct weir_json_node *root;
    assert_int_equal(weir_json_tree_read(exchange.arena, weir_span_of_string(json(text)), &root, NULL), WEIR_OK);
    return root;
}

static void expect_text(struct weir_buffer *out, const char *expected) {
    weir_buffer_append_byte(out, '\0');
    assert_string_equal(out->at, json(expected));
    weir_buffer_release(out);
}

static void expect_prompt(const struct weir_front *front, enum weir_dialect_kind dialect, const char *asked,
                          const char *path, const char *expected) {
    struct weir_prompt prompt = {.stream = false};
    struct weir_call_problem problem = {.text = ""};
    struct weir_back_target target;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    if (front->read_prompt(&exchange, tree(asked), &prompt, &problem) != WEIR_OK ||
        weir_back_of(dialect)->write_prompt(&exchange, &prompt, &target, &out, &problem) != WEIR_OK)
        fail_msg("%s: %s", asked, problem.text);
    assert_true(weir_span_equal(target.path, weir_span_of_string(path)));
    expect_text(&out, expected);
}

#define PATH "/models/gemini-3-pro:generateContent"

static void other_clients_prompts(void **state) {
    (void)state;
    expect_prompt(
        &weir_front_chat, WEIR_DIALECT_GEMINI,
        "{'model':'m','max_completion_tokens':7,'temperature':0.5,'stop':['END'],'seed':3,'messages':["
        "{'role':'system','content':'Be brief'},{'role':'user','content':[{'type':'text','text':'look'},"
        "{'type':'image_url','image_url':{'url':'data:image/png;base64,AAAA'}}]},{'role':'user','content':'now'}]}",
        PATH,
        "{'contents':[{'role':'user','parts':[{'text':'look'},{'inlineData':{'mimeType':'image/png','data':"
        "'AAAA'}},{'text':'now'}]}],'systemInstruction':{'parts':[{'text':'Be brief'}]},'generationConfig':"
        "{'maxOutputTokens':7,'temperature':0.5,'seed':3,'stopSequences':['END']}}");
    /* Calls that come from elsewhere, and results that are no objects. */
    expect_prompt(
        &weir_front_chat, WEIR_DIALECT_GEMINI,
        "{'model':'m','messages':[{'role':'user','content':'go'},{'role':'assistant','content':null,'tool_calls':["
        "{'id':'a','type':'function','function':{'name':'f','arguments':'{}'}},"
        "{'id':'b','type':'function','function':{'name':'g','arguments':'{}'}}]},"
        "{'role':'tool','tool_call_id':'a','content':'sunny'},{'role':'tool','tool_call_id':'b','content':'{\\'x\\':1}'}],"
        "'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'object'}}}],'tool_choice':'required'}",
        PATH,
        "{'contents':[{'role':'user','parts':[{'text':'go'}]},{'role':'model','parts':[{'functionCall':{'id':'a','name':"
        "'f','args':{}},'thoughtSignature':'skip_thought_signature_validator'},{'functionCall':{'id':'b','name':'g',"
        "'args':{}}}]},{'role':'user','parts':[{'functionResponse':{'id':'a','name':'f','response':{'result':'sunny'}}},"
        "{'functionResponse':{'id':'b','name':'g','response':{'x':1}}}]}],'tools':[{'functionDeclarations':[{'name':'f',"
        "'parametersJsonSchema':{'type':'object'}}]}],'toolConfig':{'functionCallingConfig':{'mode':'ANY'}},"
        "'generationConfig':{}}");
    exchange.back_model = WEIR_SPAN("gemini-2.5-flash");
    expect_prompt(
        &weir_front_chat, WEIR_DIALECT_GEMINI,
        "{'model':'m','reasoning_effort':'low','response_format':{'type':'json_schema','json_schema':{'name':'n',"
        "'schema':{'type':'object'}}},'messages':[{'role':'system','content':'Alone'}]}",
        "/models/gemini-2.5-flash:generateContent",
        "{'contents':[{'role':'user','parts':[{'text':'Alone'}]}],'generationConfig':{'responseMimeType':"
        "'application/json','responseJsonSchema':{'type':'object'},'thinkingConfig':{'thinkingBudget':1024}}}");
}

static void googles_prompts(void **state) {
    (void)state;
    exchange.back_model = WEIR_SPAN("upstream");
    expect_prompt(
        &weir_front_gemini, WEIR_DIALECT_OPENAI,
        "{'system_instruction':{'parts':[{'text':'Be brief'}]},'contents':[{'role':'user','parts':[{'text':'look'},"
        "{'inline_data':{'mime_type':'image/png','data':'A-_A'}}]},{'role':'model','parts':[{'functionCall':{'name':'f',"
        "'args':{'a':1}}}]},{'role':'user','parts':[{'functionResponse':{'name':'f','response':{'result':'sunny'}}}]}],"
        "'tools':[{'functionDeclarations':[{'name':'f','description':'d','parameters':{'type':'OBJECT','properties':"
        "{'type':{'type':'STRING','nullable':true},'list':{'type':'ARRAY','items':{'type':'INTEGER'},'min_items':'1'}},"
        "'required':['list']}}]}],'toolConfig':{'functionCallingConfig':{'mode':'ANY','allowedFunctionNames':['f']}},"
        "'generationConfig':{'maxOutputTokens':9,'topP':0.5,'candidateCount':1,'stop_sequences':['END']}}",
        "/chat/completions",
        "{'model':'upstream','messages':[{'role':'system','content':'Be brief'},{'role':'user','content':[{'type':'text',"
        "'text':'look'},{'type':'image_url','image_url':{'url':'data:image/png;base64,A+/A'}}]},{'role':'assistant',"
        "'content':null,'tool_calls':[{'id':'call_00ff_0','type':'function','function':{'name':'f','arguments':"
        "'{\\'a\\':1}'}}]},{'role':'tool','tool_call_id':'call_00ff_0','content':'sunny'}],'tools':[{'type':'function',"
        "'function':{'name':'f','description':'d','parameters':{'type':'object','properties':{'type':{'type':['string',"
        "'null']},'list':{'type':'array','items':{'type':'integer'},'minItems':1}},'required':['list']}}}],"
        "'tool_choice':{'type':'function','function':{'name':'f'}},'max_tokens':9,'top_p':0.5,'stop':['END']}");
}

static void expect_problem(const char *asked, const char *field) {
    struct weir_prompt prompt = {.stream = false};
    struct weir_call_problem problem = {.field = ""};
    assert_int_equal(weir_front_gemini.read_prompt(&exchange, tree(asked), &prompt, &problem), WEIR_EINVAL);
    assert_string_equal(problem.field, field);
}

static void googles_mistakes(void **state) {
    (void)state;
    expect_problem("{}", "contents");
    expect_problem("{'contents':[{'role':'robot'}]}", "contents[0].role");
    expect_problem("{'contents':[{'parts':[{'text':7}]}]}", "contents[0].parts[0].text");
    expect_problem("{'contents':[{'parts':[7]}]}", "contents[0].parts[0]");
    expect_problem("{'contents':[{'parts':[{'functionCall':{}}]}]}", "contents[0].parts[0].functionCall.name");
    expect_problem("{'contents':[],'tools':[{'functionDeclarations':[{}]}]}", "tools[0].functionDeclarations[0].name");
    expect_problem("{'contents':[],'generationConfig':{'responseMimeType':'text/x.enum'}}",
                   "generationConfig.responseMimeType");
}

static void an_answer_of_googles(void **state) {
    (void)state;
    struct weir_reply reply = {.has_usage = false};
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    const struct weir_json_node *root = tree(
        "{'candidates':[{'content':{'role':'model','parts':[{'text':'hm','thought':true},{'functionCall':{'name':'f','args':"
        "{'a':1}},'thoughtSignature':'c2ln'}]},'finishReason':'STOP'}],'usageMetadata':{'promptTokenCount':9,"
        "'candidatesTokenCount':3,'thoughtsTokenCount':2,'totalTokenCount':14},'responseId':'r'}");
    assert_int_equal(weir_back_of(WEIR_DIALECT_GEMINI)->read_reply(&exchange, root, &reply), WEIR_OK);
    assert_int_equal(reply.choices->finish, WEIR_FINISH_TOOL);
    assert_int_equal(reply.usage.output, 5);
    weir_front_gemini.write_reply(&exchange, &reply, false, 77, &out);
    expect_text(
        &out,
        "{'candidates':[{'content':{'role':'model','parts':[{'text':'hm','thought':true},{'functionCall':{'id':"
        "'call_00ff_0_0','name':'f','args':{'a':1}},'thoughtSignature':'c2ln'}]},'finishReason':'STOP','index':0}],"
        "'usageMetadata':{'promptTokenCount':9,'candidatesTokenCount':3,'thoughtsTokenCount':2,'totalTokenCount':"
        "14,'usedCUMilli':77},'modelVersion':'asked','responseId':'r'}");
}

static void a_blocked_prompt_is_an_answer(void **state) {
    (void)state;
    struct weir_reply reply = {.has_usage = false};
    const struct weir_back *back = weir_back_of(WEIR_DIALECT_GEMINI);
    assert_int_equal(back->read_reply(&exchange,
                                      tree("{'promptFeedback':{'blockReason':'SAFETY','blockReasonMessage':'no'}}"),
                                      &reply),
                     WEIR_OK);
    assert_int_equal(reply.choices->finish, WEIR_FINISH_FILTER);
    assert_true(weir_span_equal(reply.choices->finish_text, WEIR_SPAN("no")));
    assert_int_equal(back->read_reply(&exchange, tree("{'modelVersion':'m'}"),
                                      &(struct weir_reply){.has_usage = false}),
                     WEIR_EPROTO);
}

/* A signature comes back to the part that it was given out with, through an id that carries it. */
static void a_signature_comes_back(void **state) {
    (void)state;
    struct weir_reply reply = {.has_usage = false};
    struct weir_buffer out;
    const struct weir_json_node *root = tree(
        "{'candidates':[{'content':{'parts':[{'functionCall':{'id':'q','name':'f','args':{}},'thoughtSignature':'c2ln'}]},"
        "'finishReason':'STOP'}]}");
    assert_int_equal(weir_back_of(WEIR_DIALECT_GEMINI)->read_reply(&exchange, root, &reply), WEIR_OK);
    weir_buffer_init(&out, WEIR_MIB);
    weir_front_chat.write_reply(&exchange, &reply, false, 0, &out);
    weir_buffer_append_byte(&out, '\0');
    const char *id = strstr(out.at, "\"id\":\"q__sig__");
    assert_non_null(id);
    id += strlen("\"id\":\"");
    const char *asked = weir_arena_format(
        exchange.arena,
        "{'model':'m','messages':[{'role':'assistant','tool_calls':[{'id':'%.*s','type':'function','function':{'name':'f',"
        "'arguments':'{}'}}]}]}",
        (int)strcspn(id, "\""), id);
    weir_buffer_release(&out);
    expect_prompt(&weir_front_chat, WEIR_DIALECT_GEMINI, asked, PATH,
                  "{'contents':[{'role':'model','parts':[{'functionCall':{'id':'q','name':'f','args':{}},"
                  "'thoughtSignature':'c2ln'}]}],'generationConfig':{}}");
}

struct relay {
    const struct weir_front *front;
    void *stream;
    struct weir_buffer out;
    bool ended;
    struct weir_usage usage;
};

static void take(void *context, const struct weir_delta *delta) {
    struct relay *relay = context;
    if (delta->kind == WEIR_DELTA_USAGE)
        relay->usage = delta->usage;
    relay->ended = relay->ended || delta->kind == WEIR_DELTA_END;
    relay->front->write_delta(relay->stream, delta, &relay->out);
}

static void expect_stream(enum weir_dialect_kind dialect, const char *const *events, size_t count,
                          const char *expected) {
    const struct weir_back *back = weir_back_of(dialect);
    struct relay relay = {.front = &weir_front_gemini};
    const struct weir_delta_sink sink = {.take = take, .context = &relay};
    weir_buffer_init(&relay.out, WEIR_MIB);
    relay.stream = relay.front->begin_stream(&exchange);
    void *stream = back->begin_stream(&exchange);
    for (size_t i = 0; i < count; i++) {
        const struct weir_sse_event event = {.data = weir_span_of_string(json(events[i])), .has_data = true};
        weir_arena_reset(exchange.scratch);
        assert_int_equal(back->read_event(stream, &event, &sink), WEIR_OK);
    }
    back->end_stream(stream, &sink);
    assert_true(relay.ended);
    relay.front->end_stream(relay.stream, &relay.usage, false, 5, &relay.out);
    expect_text(&relay.out, expected);
}

#define PIECE(parts)                                            \
    "{'candidates':[{'content':{'role':'model','parts':[" parts \
    "]},'index':0}],'modelVersion':'asked','responseId':'r'}"
#define LAST(usage)                                                                                                              \
    "{'candidates':[{'content':{'role':'model','parts':[{'text':''}]},'finishReason':'STOP','index':0}],'usageMetadata':{" usage \
    ",'usedCUMilli':5},'modelVersion':'asked','responseId':'r','usedCUMilli':5}"

static void streams(void **state) {
    (void)state;
    static const char *const google[] = {
        "{'candidates':[{'content':{'parts':[{'text':'hm','thought':true}]}}],'responseId':'r'}",
        "{'candidates':[{'content':{'parts':[{'text':'Hi'}]}}],'usageMetadata':{'promptTokenCount':3,'totalTokenCount':3}}",
        "{'candidates':[{'content':{'parts':[{'functionCall':{'id':'q','name':'f','args':{'a':'x'}},'thoughtSignature':'c2ln'}"
        "]},'finishReason':'STOP'}],'usageMetadata':{'promptTokenCount':3,'candidatesTokenCount':4,'totalTokenCount':7}}"};
#define USAGE "'promptTokenCount':3,'candidatesTokenCount':4,'totalTokenCount':7"
#define CALLED "{'functionCall':{'id':'q','name':'f','args':{'a':'x'}},'thoughtSignature':'c2ln'}"
    expect_stream(WEIR_DIALECT_GEMINI, google, 3,
                  "data: " PIECE("{'text':'hm','thought':true}") "\r\n\r\ndata: " PIECE(
                      "{'text':'Hi'}") "\r\n\r\ndata: " PIECE(CALLED) "\r\n\r\ndata: " LAST(USAGE) "\r\n\r\n");
    exchange.front_framing = WEIR_FRAMING_ARRAY;
    expect_stream(
        WEIR_DIALECT_GEMINI, google + 1, 1 + 1,
        "[{'candidates':[{'content':{'role':'model','parts':[{'text':'Hi'}]},'index':0}],'modelVersion':'asked',"
        "'responseId':'00ff'},\r\n{'candidates':[{'content':{'role':'model','parts':[" CALLED
        "]},'index':0}],'modelVersion':'asked','responseId':'00ff'},\r\n{'candidates':[{'content':{'role':'model',"
        "'parts':[{'text':''}]},'finishReason':'STOP','index':0}],'usageMetadata':{" USAGE
        ",'usedCUMilli':5},'modelVersion':'asked','responseId':'00ff','usedCUMilli':5}]");
}

/* A call whose arguments come in pieces goes out whole. */
static void calls_in_pieces(void **state) {
    (void)state;
    static const char *const chat[] = {
        "{'id':'r','choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'id':'q','function':{'name':'f','arguments':'{\\'a\\':'}}]}}]}",
        "{'id':'r','choices':[{'index':0,'delta':{'tool_calls':[{'index':0,'function':{'arguments':'1}'}}]}}]}",
        "{'id':'r','choices':[{'index':0,'delta':{},'finish_reason':'tool_calls'}]}",
        "{'id':'r','choices':[],'usage':{'prompt_tokens':3,'completion_tokens':4}}", "[DONE]"};
    expect_stream(WEIR_DIALECT_OPENAI, chat, 5,
                  "data: " PIECE("{'functionCall':{'id':'q','name':'f','args':{'a':1}}}") "\r\n\r\ndata: " LAST(
                      USAGE) "\r\n\r\n");
}

static void errors(void **state) {
    (void)state;
    struct weir_provider_error error;
    const struct weir_back *back = weir_back_of(WEIR_DIALECT_GEMINI);
    assert_true(
        back->read_error(exchange.arena,
                         tree("{'error':{'code':429,'message':'slow','status':'RESOURCE_EXHAUSTED','details':[{'@type':"
                              "'type.googleapis.com/google.rpc.RetryInfo','retryDelay':'3.5s'}]}}"),
                         &error));
    assert_int_equal(error.status, 429);
    assert_int_equal(error.retry_after_ms, 3500);
    assert_true(weir_span_equal(error.type, WEIR_SPAN("RESOURCE_EXHAUSTED")));
    assert_true(back->read_error(exchange.arena, tree("[{'error':{'status':'UNAVAILABLE','message':'m'}}]"), &error));
    assert_int_equal(error.status, 503);
    assert_false(back->read_error(exchange.arena, tree("{'candidates':[]}"), &error));
}

static void vectors_and_counts(void **state) {
    (void)state;
    struct weir_vectors_call call = {.count = 0};
    struct weir_vectors_reply reply = {.has_usage = false};
    struct weir_call_problem problem;
    struct weir_back_target target;
    struct weir_buffer out;
    const struct weir_back *back = weir_back_of(WEIR_DIALECT_GEMINI);
    int64_t tokens = 0;
    weir_buffer_init(&out, WEIR_MIB);
    assert_int_equal(weir_front_embeddings.read_vectors_call(&exchange,
                                                             tree("{'model':'m','input':['a','b'],'dimensions':8}"),
                                                             &call, &problem),
                     WEIR_OK);
    assert_int_equal(back->write_vectors_call(&exchange, &call, &target, &out, &problem), WEIR_OK);
    expect_text(
        &out,
        "{'requests':[{'model':'models/gemini-3-pro','content':{'parts':[{'text':'a'}]},'outputDimensionality':8},"
        "{'model':'models/gemini-3-pro','content':{'parts':[{'text':'b'}]},'outputDimensionality':8}]}");
    assert_int_equal(back->read_vectors(&exchange, tree("{'embeddings':[{'values':[1,2]},{'values':[3]}]}"), &reply),
                     WEIR_OK);
    call = (struct weir_vectors_call){.count = 0};
    assert_int_equal(weir_front_gemini.read_vectors_call(&exchange,
                                                         tree("{'requests':[{'content':{'parts':[{'text':'a'}]}}]}"),
                                                         &call, &problem),
                     WEIR_OK);
    reply.has_usage = true;
    weir_buffer_init(&out, WEIR_MIB);
    weir_front_gemini.write_vectors(&exchange, &call, &reply, 4, &out);
    expect_text(&out, "{'embeddings':[{'values':[1,2]},{'values':[3]}],'usageMetadata':{'promptTokenCount':0,"
                      "'candidatesTokenCount':0,'totalTokenCount':0,'usedCUMilli':4}}");
    assert_int_equal(back->read_count(&exchange, tree("{'totalTokens':31}"), &tokens), WEIR_OK);
    assert_int_equal(tokens, 31);
    assert_int_equal(back->read_count(&exchange, tree("{}"), &tokens), WEIR_EPROTO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(other_clients_prompts, begin, end),
        cmocka_unit_test_setup_teardown(googles_prompts, begin, end),
        cmocka_unit_test_setup_teardown(googles_mistakes, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_of_googles, begin, end),
        cmocka_unit_test_setup_teardown(a_blocked_prompt_is_an_answer, begin, end),
        cmocka_unit_test_setup_teardown(a_signature_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(streams, begin, end),
        cmocka_unit_test_setup_teardown(calls_in_pieces, begin, end),
        cmocka_unit_test_setup_teardown(errors, begin, end),
        cmocka_unit_test_setup_teardown(vectors_and_counts, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
