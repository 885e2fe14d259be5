/* Clients of the Messages API at providers of other dialects. Expected texts are written by hand, from the vendors' published types. */
#include "codec_test.h"

#define FRONT &weir_front_messages, WEIR_DIALECT_ANTHROPIC

static void a_conversation_arrives_whole(void **state) {
    (void)state;
    expect_call(
        FRONT, WEIR_DIALECT_OPENAI,
        "{'model':'claude','messages':[{'role':'user','content':'What is it like in Paris?'},"
        "{'role':'assistant','content':[{'type':'thinking','thinking':'Look it up.','signature':'c2ln'},"
        "{'type':'text','text':'I look.'},{'type':'tool_use','id':'toolu_1','name':'weather','input':{'city': 'Paris'}},"
        "{'type':'tool_use','id':'toolu_2','name':'time','input':{}}]},"
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_1','content':'Sunny'},"
        "{'type':'tool_result','tool_use_id':'toolu_2','content':[{'type':'text','text':'Noon'}],'is_error':false},"
        "{'type':'text','text':'And now?'}]}],"
        "'system':[{'type':'text','text':'Be \\u00e9xact','cache_control':{'type':'ephemeral','ttl':'1h'}}],"
        "'max_tokens':300,'stop_sequences':['END'],'temperature':0.5,'stream':true,'metadata':{'user_id':'u-1'},"
        "'tools':[{'name':'weather','description':'Tells it','input_schema':{'type':'object'}},"
        "{'type':'custom','name':'time','input_schema':{'type':'object'}}],"
        "'tool_choice':{'type':'any','disable_parallel_tool_use':true}}",
        "{'model':'upstream','messages':[{'role':'system','content':'Be \\u00e9xact'},"
        "{'role':'user','content':'What is it like in Paris?'},"
        "{'role':'assistant','content':'I look.','tool_calls':["
        "{'id':'toolu_1','type':'function','function':{'name':'weather','arguments':'{\\'city\\':\\'Paris\\'}'}},"
        "{'id':'toolu_2','type':'function','function':{'name':'time','arguments':'{}'}}]},"
        "{'role':'tool','tool_call_id':'toolu_1','content':'Sunny'},"
        "{'role':'tool','tool_call_id':'toolu_2','content':'Noon'},{'role':'user','content':'And now?'}],"
        "'tools':[{'type':'function','function':{'name':'weather','description':'Tells it','parameters':{'type':'object'}}},"
        "{'type':'function','function':{'name':'time','parameters':{'type':'object'}}}],"
        "'tool_choice':'required','parallel_tool_calls':false,'max_tokens':300,'temperature':0.5,'user':'u-1',"
        "'stop':['END'],'stream':true,'stream_options':{'include_usage':true}}",
        "");
}

static void pictures_documents_and_forms_arrive(void **state) {
    (void)state;
    expect_call(
        FRONT, WEIR_DIALECT_OPENAI,
        "{'model':'claude','max_tokens':9,'messages':[{'role':'user','content':["
        "{'type':'image','source':{'type':'base64','media_type':'image/jpeg','data':'AAAA'}},"
        "{'type':'image','source':{'type':'url','url':'https://example.com/a.png'}},"
        "{'type':'document','title':'a.pdf','source':{'type':'base64','media_type':'application/pdf','data':'BBBB'}},"
        "{'type':'document','context':'Old.','source':{'type':'text','media_type':'text/plain','data':'Plain'}},"
        "{'type':'document','source':{'type':'content','content':[{'type':'text','text':'One'},{'type':'text','text':'Two'}]}},"
        "{'type':'search_result','source':'https://example.com','title':'Found','content':[{'type':'text','text':'Three'}]}]}],"
        "'thinking':{'type':'enabled','budget_tokens':3000},"
        "'output_config':{'format':{'type':'json_schema','schema':{'type':'object'}}}}",
        "{'model':'upstream','messages':[{'role':'user','content':["
        "{'type':'image_url','image_url':{'url':'data:image/jpeg;base64,AAAA'}},"
        "{'type':'image_url','image_url':{'url':'https://example.com/a.png'}},"
        "{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/pdf;base64,BBBB'}},"
        "{'type':'text','text':'Old.'},{'type':'text','text':'Plain'},{'type':'text','text':'One\\nTwo'},"
        "{'type':'text','text':'https://example.com\\nThree'}]}],"
        "'max_tokens':9,'response_format':{'type':'json_schema','json_schema':{'name':'answer','schema':{'type':'object'}}},"
        "'reasoning_effort':'high'}",
        "");
}

/* What a client can say is there again when it is written for the vendor: in one form of the several that it takes. */
static void all_comes_back_as_it_was(void **state) {
    (void)state;
    static const char body[] =
        "{'model':'upstream','max_tokens':4000,"
        "'tools':[{'name':'f','description':'d','input_schema':{'type':'object','properties':{'a':{'type':'string'}}},"
        "'cache_control':{'type':'ephemeral'}}],"
        "'tool_choice':{'type':'auto'},"
        "'system':[{'type':'text','text':'One'},{'type':'text','text':'Two','cache_control':{'type':'ephemeral','ttl':'1h'}}],"
        "'messages':[{'role':'user','content':[{'type':'text','text':'\\ud83d\\ude00'},"
        "{'type':'image','source':{'type':'base64','media_type':'image/webp','data':'AAAA'}},"
        "{'type':'document','source':{'type':'text','media_type':'text/plain','data':'x'},'title':'t'},"
        "{'type':'document','source':{'type':'url','url':'https://example.com/a.pdf'}}]},"
        "{'role':'assistant','content':[{'type':'thinking','thinking':'Hm','signature':'c2ln'},"
        "{'type':'redacted_thinking','data':'ZGF0YQ=='},{'type':'text','text':'Yes'},"
        "{'type':'tool_use','id':'toolu_1','name':'f','input':{'a':1}}]},"
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'toolu_1','content':[{'type':'text','text':'no'},"
        "{'type':'image','source':{'type':'url','url':'https://example.com/b.png'}}],'is_error':true,"
        "'cache_control':{'type':'ephemeral','ttl':'5m'}}]}],"
        "'thinking':{'type':'enabled','budget_tokens':2000,'display':'omitted'},"
        "'output_config':{'effort':'xhigh','format':{'type':'json_schema','schema':{'type':'object','properties':{},"
        "'additionalProperties':false}}},"
        "'temperature':1,'top_p':0.97,'stop_sequences':['a','b'],'metadata':{'user_id':'u'},'service_tier':'standard_only',"
        "'speed':'fast','inference_geo':'us','cache_control':{'type':'ephemeral'},'stream':true}";
    expect_call(FRONT, WEIR_DIALECT_ANTHROPIC, body, body, "");
}

static void what_others_lack_is_named(void **state) {
    (void)state;
    expect_call(
        FRONT, WEIR_DIALECT_OPENAI,
        "{'model':'m','max_tokens':9,'messages':[{'role':'user','content':'x'}],'top_k':5,"
        "'context_management':{'edits':[{}]},'thinking':{'type':'disabled'},'metadata':{'trace':'t'},'novel':1,"
        "'output_config':{'effort':'low','task_budget':{}},'service_tier':'auto','speed':'standard','mcp_servers':[],"
        "'tools':[{'name':'f','input_schema':{'type':'object'},'defer_loading':true,'input_examples':null},"
        "{'name':'g','input_schema':{'type':'object'},'defer_loading':true}]}",
        "{'model':'upstream','messages':[{'role':'user','content':'x'}],"
        "'tools':[{'type':'function','function':{'name':'f','parameters':{'type':'object'}}},"
        "{'type':'function','function':{'name':'g','parameters':{'type':'object'}}}],"
        "'max_tokens':9,'reasoning_effort':'none'}",
        "top_k,context_management,metadata.trace,novel,output_config.task_budget,tools[].defer_loading");
}

static void wrong_requests_name_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        const char *body, *field;
    } rows[] = {
        {"[]", "body"},
        {"{'max_tokens':1}", "messages"},
        {"{'max_tokens':0,'messages':[]}", "max_tokens"},
        {"{'messages':{}}", "messages"},
        {"{'messages':[1]}", "messages[0].role"},
        {"{'messages':[{'role':'tool','content':''}]}", "messages[0].role"},
        {"{'messages':[{'role':'user'}]}", "messages[0].content"},
        {"{'messages':[{'role':'user','content':[{}]}]}", "messages[0].content[0].type"},
        {"{'messages':[{'role':'user','content':['x']}]}", "messages[0].content[0].type"},
        {"{'messages':[{'role':'user','content':[{'type':'text'}]}]}", "messages[0].content[0].text"},
        {"{'messages':[{'role':'user','content':[{'type':'image'}]}]}", "messages[0].content[0].source.type"},
        {"{'messages':[{'role':'user','content':[{'type':'image','source':{'type':'base64'}}]}]}",
         "messages[0].content[0].source.data"},
        {"{'messages':[{'role':'user','content':[{'type':'tool_result','content':''}]}]}",
         "messages[0].content[0].tool_use_id"},
        {"{'messages':[{'role':'user','content':[{'type':'tool_result','tool_use_id':'t','content':[{'type':'text'}]}]}]}",
         "messages[0].content[0].content[0].text"},
        {"{'messages':[{'role':'assistant','content':[{'type':'tool_use','id':'t'}]}]}", "messages[0].content[0].name"},
        {"{'messages':[],'system':5}", "system"},
        {"{'messages':[],'tools':[{}]}", "tools[0].name"},
        {"{'messages':[],'tools':[{'name':'f','input_schema':[]}]}", "tools[0].input_schema"},
        {"{'messages':[],'tool_choice':'auto'}", "tool_choice.type"},
        {"{'messages':[],'tool_choice':{'type':'tool'}}", "tool_choice.name"},
        {"{'messages':[],'thinking':{'type':'enabled'}}", "thinking.budget_tokens"},
        {"{'messages':[],'thinking':{}}", "thinking.type"},
        {"{'messages':[],'output_config':{'effort':'none'}}", "output_config.effort"},
        {"{'messages':[],'output_config':{'format':{'type':'json'}}}", "output_config.format.type"},
        {"{'messages':[],'stop_sequences':'x'}", "stop_sequences"},
        {"{'messages':[],'stop_sequences':['x',1]}", "stop_sequences[1]"},
        {"{'messages':[],'stream':'yes'}", "stream"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_prompt prompt = {.stream = false};
        struct weir_call_problem problem = {.field = "", .text = ""};
        if (weir_front_messages.read_prompt(&exchange, tree(rows[i].body), &prompt, &problem) != WEIR_EINVAL ||
            strcmp(problem.field, rows[i].field) != 0)
            fail_msg("%s names '%s': %s", rows[i].body, problem.field, problem.text);
    }
}

/* --- answers --- */

static struct weir_part *add(struct weir_choice *choice, enum weir_part_kind kind, const char *text) {
    struct weir_part *part = weir_part_add(exchange.arena, &choice->parts, kind);
    assert_non_null(part);
    if (text != NULL)
        part->text = quoted(text);
    return part;
}

static struct weir_signature signature_of(enum weir_dialect_kind from, const char *value, bool is_redacted) {
    return (struct weir_signature){.value = weir_span_of_string(value),
                                   .from = from,
                                   .is_redacted = is_redacted,
                                   .id = WEIR_UNSAID};
}

static void expect_reply(const struct weir_reply *reply, bool estimated, const char *expected) {
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    weir_front_messages.write_reply(&exchange, reply, estimated, 77, &out);
    assert_same(weir_buffer_span(&out), quoted(expected));
    weir_buffer_release(&out);
}

static void an_answer_is_a_message(void **state) {
    (void)state;
    struct weir_reply reply = {.has_usage = true,
                               .usage = {.input = 100, .cached = 60, .cache_write = 10, .output = 20, .reasoning = 5}};
    struct weir_choice *choice = weir_reply_add_choice(exchange.arena, &reply, 0);
    (void)add(choice, WEIR_PART_THINKING, "Hm\\n");
    (void)add(choice, WEIR_PART_TEXT, "");
    (void)add(choice, WEIR_PART_TEXT, "Hi \\'you\\'");
    struct weir_part *call = add(choice, WEIR_PART_TOOL_CALL, NULL);
    call->id = WEIR_SPAN("call_1");
    call->name = WEIR_SPAN("f");
    call->arguments = quoted("{'a': [1]}");
    struct weir_part *broken = add(choice, WEIR_PART_TOOL_CALL, NULL);
    broken->id = WEIR_SPAN("call_2");
    broken->name = WEIR_SPAN("g");
    broken->arguments = quoted("'{no'");
    choice->finish = WEIR_FINISH_TOOL;
    expect_reply(
        &reply, false,
        "{'id':'msg_00ff','type':'message','role':'assistant','model':'asked','content':["
        "{'type':'thinking','thinking':'Hm\\n','signature':''},{'type':'text','text':'Hi \\'you\\''},"
        "{'type':'tool_use','id':'call_1','name':'f','input':{'a':[1]}},"
        "{'type':'tool_use','id':'call_2','name':'g','input':{'input':'{no'}}],"
        "'stop_reason':'tool_use','stop_sequence':null,"
        "'usage':{'input_tokens':30,'cache_creation_input_tokens':10,'cache_read_input_tokens':60,'output_tokens':20,"
        "'output_tokens_details':{'thinking_tokens':5},'usedCUMilli':77}}");
}

static void figures_are_never_negative(void **state) {
    (void)state;
    const struct weir_reply reply = {.usage = {.input = 5, .cached = 9, .cache_write = INT64_MAX, .output = 1}};
    expect_reply(&reply, true,
                 "{'id':'msg_00ff','type':'message','role':'assistant','model':'asked','content':[],"
                 "'stop_reason':'end_turn','stop_sequence':null,"
                 "'usage':{'input_tokens':0,'cache_creation_input_tokens':0,'cache_read_input_tokens':5,"
                 "'output_tokens':1,'estimated':true,'usedCUMilli':77}}");
}

static void endings_have_the_vendors_names(void **state) {
    (void)state;
    static const struct {
        enum weir_finish finish;
        const char *ending;
    } rows[] = {
        {WEIR_FINISH_STOP, "'stop_reason':'end_turn','stop_sequence':null"},
        {WEIR_FINISH_STOP_SEQUENCE, "'stop_reason':'stop_sequence','stop_sequence':'END'"},
        {WEIR_FINISH_LENGTH, "'stop_reason':'max_tokens','stop_sequence':null"},
        {WEIR_FINISH_CONTEXT, "'stop_reason':'model_context_window_exceeded','stop_sequence':null"},
        {WEIR_FINISH_PAUSE, "'stop_reason':'pause_turn','stop_sequence':null"},
        {WEIR_FINISH_FILTER,
         "'stop_reason':'refusal','stop_sequence':null,'stop_details':{'type':'refusal','category':null,"
         "'explanation':null}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_reply reply = {.has_usage = false};
        struct weir_choice *choice = weir_reply_add_choice(exchange.arena, &reply, 0);
        choice->finish = rows[i].finish;
        choice->stop_sequence = WEIR_SPAN("END");
        expect_reply(
            &reply, false,
            weir_arena_format(exchange.arena,
                              "{'id':'msg_00ff','type':'message','role':'assistant','model':'asked','content':[],"
                              "%s,'usage':{'input_tokens':0,'cache_creation_input_tokens':0,"
                              "'cache_read_input_tokens':0,'output_tokens':0,'usedCUMilli':77}}",
                              rows[i].ending));
    }
    struct weir_reply refused = {.has_usage = false};
    struct weir_choice *choice = weir_reply_add_choice(exchange.arena, &refused, 0);
    choice->finish = WEIR_FINISH_REFUSAL;
    (void)add(choice, WEIR_PART_REFUSAL, "I cannot.");
    expect_reply(
        &refused, false,
        "{'id':'msg_00ff','type':'message','role':'assistant','model':'asked',"
        "'content':[{'type':'text','text':'I cannot.'}],'stop_reason':'refusal','stop_sequence':null,"
        "'stop_details':{'type':'refusal','category':null,'explanation':'I cannot.'},"
        "'usage':{'input_tokens':0,'cache_creation_input_tokens':0,'cache_read_input_tokens':0,'output_tokens':0,"
        "'usedCUMilli':77}}");
}

/* Given out by another, brought back by the client: it is there again, and says whose it is. */
static void signatures_survive_the_way_through_a_client(void **state) {
    (void)state;
    struct weir_reply reply = {.has_usage = false};
    struct weir_choice *choice = weir_reply_add_choice(exchange.arena, &reply, 0);
    struct weir_buffer out;
    add(choice, WEIR_PART_THINKING, "Hm")->signature = signature_of(WEIR_DIALECT_GEMINI, "gemini+/=", false);
    add(choice, WEIR_PART_THINKING, NULL)->signature = signature_of(WEIR_DIALECT_RESPONSES, "encrypted", true);
    struct weir_part *call = add(choice, WEIR_PART_TOOL_CALL, NULL);
    call->id = WEIR_SPAN("call_1");
    call->name = WEIR_SPAN("f");
    call->signature = signature_of(WEIR_DIALECT_GEMINI, "of the call", false);
    weir_buffer_init(&out, WEIR_MIB);
    weir_front_messages.write_reply(&exchange, &reply, false, 0, &out);
    struct weir_json_node *root;
    assert_int_equal(weir_json_tree_read(exchange.arena, weir_buffer_span(&out), &root, NULL), WEIR_OK);
    struct weir_span content = weir_json_get(root, "content")->text;
    char *asked = weir_arena_format(exchange.arena, "{'messages':[{'role':'assistant','content':%.*s}]}",
                                    WEIR_SPAN_PRINT(content));
    struct weir_prompt prompt = prompt_of(&weir_front_messages, asked);
    const struct weir_part *part = prompt.turns->parts;
    assert_said(part->text, "Hm");
    assert_said(part->signature.value, "gemini+/=");
    assert_int_equal(part->signature.from, WEIR_DIALECT_GEMINI);
    part = part->next;
    assert_false(weir_is_said(part->text));
    assert_said(part->signature.value, "encrypted");
    assert_int_equal(part->signature.from, WEIR_DIALECT_RESPONSES);
    assert_true(part->signature.is_redacted);
    part = part->next;
    assert_said(part->id, "call_1");
    assert_said(part->signature.value, "of the call");
    weir_buffer_release(&out);
}

static void an_unsealed_signature_is_the_vendors(void **state) {
    (void)state;
    struct weir_prompt prompt =
        prompt_of(&weir_front_messages,
                  "{'messages':[{'role':'assistant','content':[{'type':'thinking','thinking':'x','signature':'EqQ='},"
                  "{'type':'thinking','thinking':'y','signature':''}]}]}");
    assert_int_equal(prompt.turns->parts->signature.from, WEIR_DIALECT_ANTHROPIC);
    assert_said(prompt.turns->parts->signature.value, "EqQ=");
    assert_false(weir_is_said(prompt.turns->parts->next->signature.value));
}

static void a_count_is_one_number(void **state) {
    (void)state;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    weir_front_messages.write_count(&exchange, 42, 0, &out);
    assert_same(weir_buffer_span(&out), quoted("{'input_tokens':42}"));
    weir_buffer_release(&out);
}

/* --- streams --- */

static void *stream;
static struct weir_buffer told;

static void take(struct weir_delta delta) {
    weir_front_messages.write_delta(stream, &delta, &told);
}

static void begin_telling(void) {
    weir_buffer_init(&told, WEIR_MIB);
    stream = weir_front_messages.begin_stream(&exchange);
    assert_non_null(stream);
}

static void expect_told(const struct weir_usage *usage, const char *expected) {
    weir_front_messages.end_stream(stream, usage, false, 77, &told);
    assert_same(weir_buffer_span(&told), quoted(expected));
    weir_buffer_release(&told);
}

#define EVENT(type, rest) "event: " type "\ndata: {'type':'" type "'" rest "}\n\n"
#define BEGINNING                                                                                         \
    EVENT("message_start",                                                                                \
          ",'message':{'id':'msg_00ff','type':'message','role':'assistant','model':'asked','content':[]," \
          "'stop_reason':null,'stop_sequence':null,'usage':{'input_tokens':0,"                            \
          "'cache_creation_input_tokens':0,'cache_read_input_tokens':0,'output_tokens':0}}")              \
    EVENT("ping", "")
#define START(index, block) EVENT("content_block_start", ",'index':" index ",'content_block':{" block "}")
#define DELTA(index, delta) EVENT("content_block_delta", ",'index':" index ",'delta':{" delta "}")
#define STOP(index) EVENT("content_block_stop", ",'index':" index)
#define ENDING(reason)                                                                                       \
    EVENT("message_delta",                                                                                   \
          ",'delta':{'stop_reason':'" reason "','stop_sequence':null},'usage':{'input_tokens':3,"            \
          "'cache_creation_input_tokens':0,'cache_read_input_tokens':6,'output_tokens':5,'usedCUMilli':77}") \
    EVENT("message_stop", ",'usedCUMilli':77")

static const struct weir_usage used = {.input = 9, .cached = 6, .output = 5};

static void a_stream_has_the_vendors_events_in_order(void **state) {
    (void)state;
    struct weir_signature signature = signature_of(WEIR_DIALECT_ANTHROPIC, "sig", false);
    begin_telling();
    take((struct weir_delta){.kind = WEIR_DELTA_BEGIN, .id = WEIR_SPAN("x")});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN, .part_kind = WEIR_PART_THINKING});
    take((struct weir_delta){.kind = WEIR_DELTA_TEXT, .text = WEIR_SPAN("Hm")});
    take((struct weir_delta){.kind = WEIR_DELTA_SIGNATURE, .signature = signature});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_END});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN, .part = 1, .part_kind = WEIR_PART_TEXT});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_END, .part = 1}); /* nothing was said */
    take((struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN, .part = 2, .part_kind = WEIR_PART_TEXT});
    take((struct weir_delta){.kind = WEIR_DELTA_TEXT, .part = 2, .text = WEIR_SPAN("\\ud83d")});
    take((struct weir_delta){.kind = WEIR_DELTA_TEXT, .part = 2, .text = WEIR_SPAN("\\ude00")});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_END, .part = 2});
    take((struct weir_delta){.kind = WEIR_DELTA_FINISH, .finish = WEIR_FINISH_STOP});
    char *sealed = weir_arena_string(exchange.arena, weir_signature_seal(exchange.arena, &signature, false));
    expect_told(
        &used,
        weir_arena_format(
            exchange.arena, "%s%s%s%s",
            BEGINNING START("0", "'type':'thinking','thinking':'','signature':''") DELTA(
                "0",
                "'type':'thinking_delta','thinking':'Hm'") "event: content_block_delta\ndata: {'type':'content_block_delta','index':0,'delta':"
                                                           "{'type':'signature_delta','signature':'",
            sealed, "'}}\n\n" STOP("0"),
            START("1", "'type':'text','text':''") DELTA("1", "'type':'text_delta','text':'\\ud83d'")
                DELTA("1", "'type':'text_delta','text':'\\ude00'") STOP("1") ENDING("end_turn")));
}

static void calls_that_overlap_come_one_after_the_other(void **state) {
    (void)state;
    begin_telling();
    take((struct weir_delta){.kind = WEIR_DELTA_BEGIN});
    take((struct weir_delta){
        .kind = WEIR_DELTA_PART_BEGIN, .part_kind = WEIR_PART_TOOL_CALL, .id = WEIR_SPAN("a"), .name = WEIR_SPAN("f")});
    take((struct weir_delta){.kind = WEIR_DELTA_TEXT, .text = WEIR_SPAN("{\\\"x\\\":")});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN,
                             .part = 1,
                             .part_kind = WEIR_PART_TOOL_CALL,
                             .id = WEIR_SPAN("b"),
                             .name = WEIR_SPAN("g")});
    take((struct weir_delta){.kind = WEIR_DELTA_TEXT, .part = 1, .text = WEIR_SPAN("{\\\"y\\\"")});
    take((struct weir_delta){.kind = WEIR_DELTA_TEXT, .text = WEIR_SPAN("1}")});
    take((struct weir_delta){.kind = WEIR_DELTA_TEXT, .part = 1, .text = WEIR_SPAN(":2}")});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_END, .part = 1});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_END});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN,
                             .part = 2,
                             .part_kind = WEIR_PART_TOOL_CALL,
                             .id = WEIR_SPAN("c"),
                             .name = WEIR_SPAN("h")});
    take((struct weir_delta){.kind = WEIR_DELTA_FINISH, .finish = WEIR_FINISH_TOOL});
    expect_told(&used, BEGINNING START("0", "'type':'tool_use','id':'a','name':'f','input':{}")
                           DELTA("0", "'type':'input_json_delta','partial_json':'{\\'x\\':'")
                               DELTA("0", "'type':'input_json_delta','partial_json':'1}'") STOP("0")
                                   START("1", "'type':'tool_use','id':'b','name':'g','input':{}")
                                       DELTA("1", "'type':'input_json_delta','partial_json':'{\\'y\\''")
                                           DELTA("1", "'type':'input_json_delta','partial_json':':2}'") STOP("1")
                                               START("2", "'type':'tool_use','id':'c','name':'h','input':{}")
                                                   DELTA("2", "'type':'input_json_delta','partial_json':'{}'") STOP("2")
                                                       ENDING("tool_use"));
}

static void what_nobody_may_read_is_a_block_of_its_own(void **state) {
    (void)state;
    struct weir_signature signature = signature_of(WEIR_DIALECT_RESPONSES, "secret", true);
    begin_telling();
    take((struct weir_delta){.kind = WEIR_DELTA_PART_BEGIN, .part_kind = WEIR_PART_THINKING});
    take((struct weir_delta){.kind = WEIR_DELTA_SIGNATURE, .signature = signature});
    take((struct weir_delta){.kind = WEIR_DELTA_PART_END});
    char *sealed = weir_arena_string(exchange.arena, weir_signature_seal(exchange.arena, &signature, false));
    expect_told(&used,
                weir_arena_format(exchange.arena, "%s%s%s",
                                  BEGINNING "event: content_block_start\ndata: {'type':'content_block_start','index':0,"
                                            "'content_block':{'type':'redacted_thinking','data':'",
                                  sealed, "'}}\n\n" STOP("0") ENDING("end_turn")));
}

static void a_stream_of_nothing_is_a_whole_message(void **state) {
    (void)state;
    begin_telling();
    expect_told(&used, BEGINNING ENDING("end_turn"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_conversation_arrives_whole, begin, end),
        cmocka_unit_test_setup_teardown(pictures_documents_and_forms_arrive, begin, end),
        cmocka_unit_test_setup_teardown(all_comes_back_as_it_was, begin, end),
        cmocka_unit_test_setup_teardown(what_others_lack_is_named, begin, end),
        cmocka_unit_test_setup_teardown(wrong_requests_name_what_is_wrong, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_is_a_message, begin, end),
        cmocka_unit_test_setup_teardown(figures_are_never_negative, begin, end),
        cmocka_unit_test_setup_teardown(endings_have_the_vendors_names, begin, end),
        cmocka_unit_test_setup_teardown(signatures_survive_the_way_through_a_client, begin, end),
        cmocka_unit_test_setup_teardown(an_unsealed_signature_is_the_vendors, begin, end),
        cmocka_unit_test_setup_teardown(a_count_is_one_number, begin, end),
        cmocka_unit_test_setup_teardown(a_stream_has_the_vendors_events_in_order, begin, end),
        cmocka_unit_test_setup_teardown(calls_that_overlap_come_one_after_the_other, begin, end),
        cmocka_unit_test_setup_teardown(what_nobody_may_read_is_a_block_of_its_own, begin, end),
        cmocka_unit_test_setup_teardown(a_stream_of_nothing_is_a_whole_message, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
