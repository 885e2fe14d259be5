/* Clients of other dialects at providers that speak the Messages API. Expected texts are written by hand, from the vendor's published types. */
#include "codec_test.h"

#define CHAT &weir_front_chat, WEIR_DIALECT_OPENAI, WEIR_DIALECT_ANTHROPIC
#define MESSAGES &weir_front_messages, WEIR_DIALECT_ANTHROPIC, WEIR_DIALECT_ANTHROPIC
#define HELLO "'messages':[{'role':'user','content':'Hi'}]"
#define ASKED "'messages':[{'role':'user','content':[{'type':'text','text':'Hi'}]}]"

static void a_conversation_arrives_as_the_vendor_takes_it(void **state) {
    (void)state;
    expect_call(
        CHAT,
        "{'model':'m','max_tokens':300,'stream':true,'stop':'END','temperature':1.7,'user':'u','messages':["
        "{'role':'system','content':'Be brief'},{'role':'developer','content':[{'type':'text','text':'Be kind',"
        "'cache_control':{'type':'ephemeral'}}]},"
        "{'role':'user','content':[{'type':'text','text':'Look'},{'type':'image_url','image_url':{'url':"
        "'data:image/jpg;base64,AAAA'}},{'type':'image_url','image_url':{'url':'https://example.com/a.png'}},"
        "{'type':'file','file':{'filename':'a.pdf','file_data':'data:application/pdf;base64,BBBB'}}]},"
        "{'role':'assistant','content':'','tool_calls':[{'id':'call.1','type':'function','function':{'name':'f','arguments':"
        "'{\\'x\\': 1}'}},{'id':'call_2','type':'function','function':{'name':'g','arguments':''}}]},"
        "{'role':'tool','tool_call_id':'call.1','content':'one'},{'role':'tool','tool_call_id':'call_2','content':''},"
        "{'role':'user','content':' \\n'},{'role':'user','content':'Next'},{'role':'system','content':'Now in French'},"
        "{'role':'assistant','content':'Oui'},{'role':'assistant','content':'Non'},{'role':'user','content':'?'}],"
        "'tools':[{'type':'function','function':{'name':'f','description':'d','parameters':{'properties':{}}}},"
        "{'type':'function','function':{'name':'g'}}],"
        "'tool_choice':{'type':'function','function':{'name':'g'}},'parallel_tool_calls':false}",
        "{'model':'upstream','max_tokens':300,"
        "'tools':[{'name':'f','description':'d','input_schema':{'type':'object','properties':{}}},"
        "{'name':'g','input_schema':{'type':'object','properties':{}}}],"
        "'tool_choice':{'type':'tool','name':'g','disable_parallel_tool_use':true},"
        "'system':[{'type':'text','text':'Be brief'},{'type':'text','text':'Be kind','cache_control':{'type':'ephemeral'}}],"
        "'messages':[{'role':'user','content':[{'type':'text','text':'Look'},"
        "{'type':'image','source':{'type':'base64','media_type':'image/jpeg','data':'AAAA'}},"
        "{'type':'image','source':{'type':'url','url':'https://example.com/a.png'}},"
        "{'type':'document','source':{'type':'base64','media_type':'application/pdf','data':'BBBB'},'title':'a.pdf'}]},"
        "{'role':'assistant','content':[{'type':'tool_use','id':'call_1_958ca8995d7ef1bc','name':'f','input':{'x':1}},"
        "{'type':'tool_use','id':'call_2','name':'g','input':{}}]},"
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'call_1_958ca8995d7ef1bc','content':"
        "[{'type':'text','text':'one'}]},{'type':'tool_result','tool_use_id':'call_2'},"
        "{'type':'text','text':'Next'},{'type':'text','text':'<system>\\nNow in French\\n</system>'}]},"
        "{'role':'assistant','content':[{'type':'text','text':'Oui'},{'type':'text','text':'Non'}]},"
        "{'role':'user','content':[{'type':'text','text':'?'}]}],"
        "'temperature':1,'stop_sequences':['END'],'metadata':{'user_id':'u'},'stream':true}",
        "");
}

static void a_limit_is_always_said(void **state) {
    (void)state;
    static const char asked[] = "{'model':'m'," HELLO "}";
    expect_call(CHAT, asked, "{'model':'upstream','max_tokens':4096," ASKED "}", "");
    exchange.output_limit = 900;
    expect_call(CHAT, asked, "{'model':'upstream','max_tokens':900," ASKED "}", "");
    expect_call(CHAT, "{'max_tokens':700," HELLO "}", "{'model':'upstream','max_tokens':700," ASKED "}", "");
    exchange.is_clamped = true;
    expect_call(CHAT, "{'max_tokens':1000," HELLO "}", "{'model':'upstream','max_tokens':900," ASKED "}", "");
}

static void who_speaks_last_and_first_is_as_the_vendor_has_it(void **state) {
    (void)state;
    expect_call(CHAT, "{'messages':[{'role':'system','content':'Only this'}]}",
                "{'model':'upstream','max_tokens':4096,'messages':[{'role':'user','content':[{'type':'text','text':"
                "'Only this'}]}]}",
                "");
    expect_call(CHAT, "{'messages':[{'role':'assistant','content':'It is \\n '}]}",
                "{'model':'upstream','max_tokens':4096,'messages':[{'role':'user','content':[{'type':'text','text':"
                "'Continue.'}]},{'role':'assistant','content':[{'type':'text','text':'It is'}]}]}",
                "");
}

static void forms_become_what_the_vendor_can_hold_to(void **state) {
    (void)state;
    expect_call(
        CHAT, "{" HELLO ",'response_format':{'type':'json_object'}}",
        "{'model':'upstream','max_tokens':4096,'system':[{'type':'text','text':'Answer with one valid JSON object and "
        "nothing else: no words around it.'}]," ASKED "}",
        "");
    expect_call(
        CHAT,
        "{" HELLO
        ",'response_format':{'type':'json_schema','json_schema':{'name':'n','strict':true,'schema':{'type':'object',"
        "'properties':{'a':{'type':'integer','minimum':1,'maximum':9,'description':'Some'},"
        "'b':{'type':'array','minItems':1,'maxItems':3,'items':{'type':'object','additionalProperties':true,'properties':{}}},"
        "'minimum':{'oneOf':[{'type':'null'},{'type':'string','minLength':2}]}},'required':['a']}}}}",
        "{'model':'upstream','max_tokens':4096," ASKED
        ",'output_config':{'format':{'type':'json_schema','schema':{'type':'object',"
        "'properties':{'a':{'type':'integer','description':'Some\\n\\n{minimum: 1, maximum: 9}'},"
        "'b':{'type':'array','minItems':1,'items':{'type':'object','properties':{},'additionalProperties':false},"
        "'description':'{maxItems: 3}'},"
        "'minimum':{'anyOf':[{'type':'null'},{'type':'string','description':'{minLength: 2}'}]}},'required':['a'],"
        "'additionalProperties':false}}}}",
        "");
}

static void thinking_stays_where_it_can(void **state) {
    (void)state;
#define BUDGET(tokens) ",'thinking':{'type':'enabled','budget_tokens':" tokens "}"
    static const char called[] =
        "'messages':[{'role':'user','content':'x'},{'role':'assistant','content':null,'tool_calls':[{'id':'c','type':'function',"
        "'function':{'name':'f','arguments':'{}'}}]},{'role':'tool','tool_call_id':'c','content':'1'}]";
    static const char called_sent[] =
        "'messages':[{'role':'user','content':[{'type':'text','text':'x'}]},{'role':'assistant','content':[{'type':'tool_use',"
        "'id':'c','name':'f','input':{}}]},{'role':'user','content':[{'type':'tool_result','tool_use_id':'c','content':"
        "[{'type':'text','text':'1'}]}]}]";
    static const char tools[] = "'tools':[{'type':'function','function':{'name':'f'}}]";
    static const char tools_sent[] = "'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}]";
    struct weir_arena *arena = exchange.arena;
    expect_call(CHAT, "{'max_tokens':9000,'reasoning_effort':'high'," HELLO "}",
                "{'model':'upstream','max_tokens':9000," ASKED BUDGET("4096") "}", "");
    expect_call(CHAT, "{'max_tokens':4096,'reasoning_effort':'max'," HELLO "}",
                "{'model':'upstream','max_tokens':4096," ASKED BUDGET("2048") "}", "");
    expect_call(CHAT, "{'max_tokens':1500,'reasoning_effort':'max'," HELLO "}",
                "{'model':'upstream','max_tokens':1500," ASKED BUDGET("1024") "}", "");
    expect_call(CHAT, "{'max_tokens':1024,'reasoning_effort':'low'," HELLO "}",
                "{'model':'upstream','max_tokens':1024," ASKED "}", "reasoning_effort");
    expect_call(CHAT, "{'max_tokens':9000,'reasoning_effort':'none'," HELLO "}",
                "{'model':'upstream','max_tokens':9000," ASKED ",'thinking':{'type':'disabled'}}", "");
    expect_call(CHAT, "{'max_tokens':9000,'reasoning_effort':'low','temperature':0.5,'top_p':0.9," HELLO "}",
                "{'model':'upstream','max_tokens':9000," ASKED BUDGET("1024") "}", "temperature,top_p");
    expect_call(CHAT, "{'max_tokens':9000,'reasoning_effort':'low','temperature':1.0,'top_p':0.95," HELLO "}",
                "{'model':'upstream','max_tokens':9000," ASKED BUDGET("1024") ",'temperature':1.0,'top_p':0.95}", "");
    expect_call(CHAT,
                weir_arena_format(arena,
                                  "{'max_tokens':9000,'reasoning_effort':'low','tool_choice':'required',%s," HELLO "}",
                                  tools),
                weir_arena_format(arena,
                                  "{'model':'upstream','max_tokens':9000,%s,'tool_choice':{'type':'any'}," ASKED "}",
                                  tools_sent),
                "reasoning_effort");
    expect_call(CHAT, weir_arena_format(arena, "{'max_tokens':9000,'reasoning_effort':'low',%s,%s}", tools, called),
                weir_arena_format(arena, "{'model':'upstream','max_tokens':9000,%s,%s}", tools_sent, called_sent),
                "reasoning_effort");
    expect_call(
        MESSAGES,
        "{'max_tokens':9000,'thinking':{'type':'adaptive','display':'summarized'},'output_config':{'effort':'max'},'top_k':3," HELLO
        "}",
        "{'model':'upstream','max_tokens':9000," ASKED
        ",'thinking':{'type':'adaptive','display':'summarized'},'output_config':{'effort':'max'}}",
        "top_k");
#undef BUDGET
}

/* The vendor refuses calls in a conversation without tools. */
static void called_tools_are_declared(void **state) {
    (void)state;
    expect_call(
        CHAT,
        "{'messages':[{'role':'user','content':'x'},{'role':'assistant','tool_calls':[{'id':'c','type':'function',"
        "'function':{'name':'f','arguments':'{}'}},{'id':'d','type':'function','function':{'name':'f','arguments':'no'}}]},"
        "{'role':'tool','tool_call_id':'c','content':'1'},{'role':'tool','tool_call_id':'d','content':'2'}]}",
        "{'model':'upstream','max_tokens':4096,'tools':[{'name':'f','input_schema':{'type':'object','properties':{}}}],"
        "'tool_choice':{'type':'none'},'messages':[{'role':'user','content':[{'type':'text','text':'x'}]},"
        "{'role':'assistant','content':[{'type':'tool_use','id':'c','name':'f','input':{}},"
        "{'type':'tool_use','id':'d','name':'f','input':{'input':'no'}}]},"
        "{'role':'user','content':[{'type':'tool_result','tool_use_id':'c','content':[{'type':'text','text':'1'}]},"
        "{'type':'tool_result','tool_use_id':'d','content':[{'type':'text','text':'2'}]}]}]}",
        "");
}

static void the_last_four_marks_stand(void **state) {
    (void)state;
#define MARKED(text) "{'type':'text','text':'" text "','cache_control':{'type':'ephemeral'}}"
#define PLAIN(text) "{'type':'text','text':'" text "'}"
    expect_call(
        MESSAGES,
        "{'max_tokens':9,'tools':[{'name':'f','input_schema':{'type':'object'},'cache_control':{'type':'ephemeral'}}],"
        "'system':[" MARKED("a") "," MARKED("b") "],'messages':[{'role':'user','content':[" MARKED("c") "," MARKED(
            "d") "," MARKED("e") "]}]}",
        "{'model':'upstream','max_tokens':9,'tools':[{'name':'f','input_schema':{'type':'object'}}],"
        "'system':[" PLAIN("a") "," MARKED("b") "],'messages':[{'role':'user','content':[" MARKED("c") "," MARKED(
            "d") "," MARKED("e") "]}]}",
        "");
    expect_call(MESSAGES,
                "{'max_tokens':9,'cache_control':{'type':'ephemeral'},'system':[" MARKED("a") "," MARKED(
                    "b") "," MARKED("c") "," MARKED("d") "]," HELLO "}",
                "{'model':'upstream','max_tokens':9,'system':[" PLAIN("a") "," MARKED("b") "," MARKED("c") "," MARKED(
                    "d") "]," ASKED ",'cache_control':{'type':'ephemeral'}}",
                "");
#undef MARKED
#undef PLAIN
}

static void what_cannot_be_sent_says_so(void **state) {
    (void)state;
    static const struct {
        const char *content, *text;
    } rows[] = {
        {"{'type':'input_audio','input_audio':{'data':'AA','format':'wav'}}",
         "sound cannot be sent to a provider that speaks anthropic"},
        {"{'type':'file','file':{'file_id':'file-1'}}",
         "a document by the id of a file cannot be sent to a provider that speaks anthropic"},
        {"{'type':'image_url','image_url':{'url':'data:image/tiff;base64,AA'}}",
         "an image of the type 'image/tiff' cannot be sent to a provider that speaks anthropic"},
        {"{'type':'file','file':{'file_data':'data:application/zip;base64,AAAA'}}",
         "a document of the type 'application/zip' cannot be sent to a provider that speaks anthropic"},
        {"{'type':'video_url','video_url':{}}",
         "content of the type 'video_url' cannot be sent to a provider that speaks anthropic"},
        {"{'type':'text','text':''}", "'messages' must have some content"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_prompt prompt = prompt_of(&weir_front_chat,
                                              weir_arena_format(exchange.arena,
                                                                "{'messages':[{'role':'user','content':[%s]}]}",
                                                                rows[i].content));
        struct weir_call_problem problem = {.field = "", .text = ""};
        struct weir_back_target target;
        struct weir_buffer out;
        weir_buffer_init(&out, WEIR_MIB);
        assert_int_equal(
            weir_back_of(WEIR_DIALECT_ANTHROPIC)->write_prompt(&exchange, &prompt, &target, &out, &problem),
            WEIR_EINVAL);
        assert_string_equal(problem.text, rows[i].text);
        weir_buffer_release(&out);
    }
}

static void a_text_file_goes_as_text(void **state) {
    (void)state;
    expect_call(
        CHAT,
        "{'messages':[{'role':'user','content':[{'type':'file','file':{'filename':'a.csv','file_data':"
        "'data:text/csv;base64,YSwiYiIK'}}]}]}",
        "{'model':'upstream','max_tokens':4096,'messages':[{'role':'user','content':[{'type':'document','source':"
        "{'type':'text','media_type':'text/plain','data':'a,\\'b\\'\\n'},'title':'a.csv'}]}]}",
        "");
}

static void it_is_asked_where_the_vendor_listens(void **state) {
    (void)state;
    struct weir_prompt prompt = prompt_of(&weir_front_chat, "{'stream':true,'temperature':0,'stop':['x']," HELLO "}");
    struct weir_call_problem problem;
    struct weir_back_target target;
    struct weir_buffer out;
    const struct weir_back *back = weir_back_of(WEIR_DIALECT_ANTHROPIC);
    weir_buffer_init(&out, WEIR_MIB);
    assert_int_equal(back->write_prompt(&exchange, &prompt, &target, &out, &problem), WEIR_OK);
    assert_said(target.path, "/messages");
    assert_said(target.version_name, "anthropic-version");
    assert_said(target.version_value, "2023-06-01");
    weir_buffer_clear(&out);
    assert_int_equal(back->write_count_call(&exchange, &prompt, &target, &out, &problem), WEIR_OK);
    assert_said(target.path, "/messages/count_tokens");
    assert_same(weir_buffer_span(&out), quoted("{'model':'upstream'," ASKED "}"));
    weir_buffer_release(&out);
    int64_t tokens = 0;
    assert_int_equal(back->read_count(&exchange, tree("{'input_tokens':2095}"), &tokens), WEIR_OK);
    assert_int_equal(tokens, 2095);
    assert_int_equal(back->read_count(&exchange, tree("{'input_tokens':'2095'}"), &tokens), WEIR_EPROTO);
}

/* --- answers --- */

static void an_answer_is_read_whole(void **state) {
    (void)state;
    struct weir_reply reply = {.has_usage = false};
    assert_int_equal(
        weir_back_of(WEIR_DIALECT_ANTHROPIC)
            ->read_reply(
                &exchange,
                tree(
                    "{'id':'msg_1','type':'message','role':'assistant','model':'claude-x','content':["
                    "{'type':'thinking','thinking':'Hm','signature':'c2ln'},{'type':'redacted_thinking','data':'ZGF0YQ=='},"
                    "{'type':'text','text':'Hi','citations':[{'type':'char_location'}]},"
                    "{'type':'server_tool_use','id':'srvtoolu_1','name':'web_search','input':{}},"
                    "{'type':'tool_use','id':'toolu_1','name':'f','input':{'a': 1}}],"
                    "'stop_reason':'tool_use','stop_sequence':null,'usage':{'input_tokens':10,"
                    "'cache_creation_input_tokens':3,'cache_read_input_tokens':200,'output_tokens':7,"
                    "'output_tokens_details':{'thinking_tokens':4},'service_tier':'standard'}}"),
                &reply),
        WEIR_OK);
    assert_said(reply.id, "msg_1");
    assert_said(reply.model, "claude-x");
    assert_true(reply.has_usage);
    assert_int_equal(reply.usage.input, 213);
    assert_int_equal(reply.usage.cached, 200);
    assert_int_equal(reply.usage.cache_write, 3);
    assert_int_equal(reply.usage.output, 7);
    assert_int_equal(reply.usage.reasoning, 4);
    const struct weir_part *part = reply.choices->parts;
    assert_int_equal(part->kind, WEIR_PART_THINKING);
    assert_said(part->text, "Hm");
    assert_said(part->signature.value, "c2ln");
    assert_int_equal(part->signature.from, WEIR_DIALECT_ANTHROPIC);
    part = part->next;
    assert_false(weir_is_said(part->text));
    assert_true(part->signature.is_redacted);
    assert_said(part->signature.value, "ZGF0YQ==");
    part = part->next;
    assert_said(part->text, "Hi");
    assert_same(part->citations, quoted("[{'type':'char_location'}]"));
    part = part->next;
    assert_int_equal(part->kind, WEIR_PART_OTHER);
    assert_said(part->name, "server_tool_use");
    part = part->next;
    assert_said(part->id, "toolu_1");
    assert_same(part->arguments, quoted("{'a': 1}"));
    assert_int_equal(reply.choices->finish, WEIR_FINISH_TOOL);
    struct weir_reply none = {.has_usage = false};
    assert_int_equal(weir_back_of(WEIR_DIALECT_ANTHROPIC)->read_reply(&exchange, tree("{'content':'x'}"), &none),
                     WEIR_EPROTO);
}

static void endings_are_understood(void **state) {
    (void)state;
    static const struct {
        const char *reason;
        enum weir_finish finish;
    } rows[] = {{"'end_turn'", WEIR_FINISH_STOP},     {"'stop_sequence'", WEIR_FINISH_STOP_SEQUENCE},
                {"'max_tokens'", WEIR_FINISH_LENGTH}, {"'pause_turn'", WEIR_FINISH_PAUSE},
                {"'refusal'", WEIR_FINISH_REFUSAL},   {"'model_context_window_exceeded'", WEIR_FINISH_CONTEXT},
                {"'novel'", WEIR_FINISH_STOP},        {"null", WEIR_FINISH_STOP}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_reply reply = {.has_usage = false};
        char *text =
            weir_arena_format(exchange.arena,
                              "{'content':[],'stop_reason':%s,'stop_sequence':'END','stop_details':{'type':'refusal',"
                              "'explanation':'No.'}}",
                              rows[i].reason);
        assert_int_equal(weir_back_of(WEIR_DIALECT_ANTHROPIC)->read_reply(&exchange, tree(text), &reply), WEIR_OK);
        assert_int_equal(reply.choices->finish, rows[i].finish);
        assert_said(reply.choices->stop_sequence, "END");
        assert_said(reply.choices->finish_text, "No.");
        assert_false(reply.has_usage);
    }
}

static void errors_stand_for_a_status(void **state) {
    (void)state;
    static const struct {
        const char *body;
        unsigned status;
        bool is_error;
    } rows[] = {
        {"{'type':'error','error':{'type':'rate_limit_error','message':'Slow'},'request_id':'req_1'}", 429, true},
        {"{'type':'error','error':{'type':'overloaded_error','message':'Slow'}}", 529, true},
        {"{'type':'error','error':{'type':'novel_error','message':'Slow'}}", 0, true},
        {"{'error':'Slow'}", 0, false},
        {"{'message':'Slow'}", 0, false},
        {"[]", 0, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weir_provider_error error;
        assert_int_equal(weir_back_of(WEIR_DIALECT_ANTHROPIC)->read_error(exchange.arena, tree(rows[i].body), &error),
                         rows[i].is_error);
        assert_int_equal(error.status, rows[i].status);
        if (rows[i].is_error)
            assert_said(error.message, "Slow");
    }
}

/* --- tools under other names --- */

/* Free text and names that the vendor does not take: the client gets back what it knows. */
static const char custom_call[] =
    "{'messages':[{'role':'user','content':'x'}],'tools':[{'type':'custom','custom':{'name':'apply.patch','description':'d'}}]}";

static void free_text_travels_in_an_object(void **state) {
    (void)state;
    static const char sent[] =
        "{'model':'upstream','max_tokens':4096,'tools':[{'name':'apply_patch_f4dab94c7a0dd9d3','description':'d','input_schema':"
        "{'type':'object','properties':{'input':{'type':'string'}},'required':['input'],'additionalProperties':false}}],"
        "'messages':[{'role':'user','content':[{'type':'text','text':'x'}]}]}";
    struct weir_reply reply = {.has_usage = false};
    expect_call(CHAT, custom_call, sent, "");
    assert_int_equal(
        weir_back_of(WEIR_DIALECT_ANTHROPIC)
            ->read_reply(&exchange,
                         tree("{'content':[{'type':'tool_use','id':'t','name':'apply_patch_f4dab94c7a0dd9d3',"
                              "'input':{'input':'a\\'b\\n'}}]}"),
                         &reply),
        WEIR_OK);
    assert_said(reply.choices->parts->name, "apply.patch");
    assert_true(reply.choices->parts->is_custom);
    assert_same(reply.choices->parts->arguments, quoted("'a\\'b\\n'"));
}

#define DATA(json) "event: x\ndata: {" json "}\n\n"
#define STARTED                                                                                                               \
    DATA(                                                                                                                     \
        "'type':'message_start','message':{'id':'msg_1','type':'message','role':'assistant','model':'claude-x','content':[]," \
        "'stop_reason':null,'usage':{'input_tokens':25,'cache_read_input_tokens':100,'output_tokens':1}}")

static void free_text_comes_in_pieces(void **state) {
    (void)state;
    (void)state;
    struct weir_prompt prompt = prompt_of(&weir_front_chat, custom_call);
    struct weir_call_problem problem;
    struct weir_back_target target;
    struct weir_buffer out;
    weir_buffer_init(&out, WEIR_MIB);
    assert_int_equal(weir_back_of(WEIR_DIALECT_ANTHROPIC)->write_prompt(&exchange, &prompt, &target, &out, &problem),
                     WEIR_OK);
    weir_buffer_release(&out);
#define PIECE(text) \
    DATA("'type':'content_block_delta','index':0,'delta':{'type':'input_json_delta','partial_json':'" text "'}")
    expect_deltas(WEIR_DIALECT_ANTHROPIC,
                  STARTED DATA("'type':'content_block_start','index':0,'content_block':{'type':'tool_use','id':'t',"
                               "'name':'apply_patch_f4dab94c7a0dd9d3','input':{}}") PIECE("") PIECE("{ \\'inp")
                      PIECE("ut\\' : \\'a \\\\") PIECE("\\'b\\\\u00") PIECE("e9\\\\n\\u00fc") PIECE("\\\\\\\\z\\' }")
                          DATA("'type':'content_block_stop','index':0") DATA(
                              "'type':'message_delta','delta':{'stop_reason':'tool_use'},'usage':{'output_tokens':9}")
                              DATA("'type':'message_stop'"),
                  "begin msg_1 claude-x\n"
                  "part 0 custom call t apply.patch\n"
                  "text 0 [a ]\n"
                  "text 0 [\\\"b]\n"
                  "text 0 [\\u00e9\\n\\u00fc]\n"
                  "text 0 [\\\\z]\n"
                  "end 0\n"
                  "finish 5 tool_use [] []\n"
                  "usage input 125 cached 100 written 0 output 9 reasoning 0\n"
                  "whole\n");
#undef PIECE
}

/* --- streams: the shapes of the vendor's documentation --- */

static void a_stream_of_text(void **state) {
    (void)state;
    expect_deltas(
        WEIR_DIALECT_ANTHROPIC,
        STARTED DATA("'type':'content_block_start','index':0,'content_block':{'type':'text','text':''}") DATA(
            "'type':'ping'") DATA("'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':'Hello'}")
            DATA("'type':'content_block_delta','index':0,'delta':{'type':'text_delta','text':' \\ud83d'}") DATA(
                "'type':'content_block_delta','index':0,'delta':{'type':'citations_delta','citation':{'type':'x'}}")
                DATA("'type':'content_block_stop','index':0")
                    DATA("'type':'message_delta','delta':{'stop_reason':'stop_sequence','stop_sequence':'END'},"
                         "'usage':{'input_tokens':30,'cache_read_input_tokens':100,'cache_creation_input_tokens':7,"
                         "'output_tokens':15}") DATA("'type':'message_stop'"),
        "begin msg_1 claude-x\n"
        "part 0 text  \n"
        "text 0 [Hello]\n"
        "text 0 [ \\ud83d]\n"
        "citation 0 {\"type\":\"x\"}\n"
        "end 0\n"
        "finish 2 stop_sequence [END] []\n"
        "usage input 137 cached 100 written 7 output 15 reasoning 0\n"
        "whole\n");
}

static void a_stream_of_thoughts_and_calls(void **state) {
    (void)state;
    expect_deltas(
        WEIR_DIALECT_ANTHROPIC,
        STARTED DATA(
            "'type':'content_block_start','index':0,'content_block':{'type':'thinking','thinking':'','signature':''}")
            DATA("'type':'content_block_delta','index':0,'delta':{'type':'thinking_delta','thinking':'Hm'}") DATA(
                "'type':'content_block_delta','index':0,'delta':{'type':'signature_delta','signature':'c2ln'}")
                DATA("'type':'content_block_stop','index':0") DATA(
                    "'type':'content_block_start','index':1,'content_block':{'type':'redacted_thinking','data':'ZA=='}")
                    DATA("'type':'content_block_stop','index':1") DATA(
                        "'type':'content_block_start','index':2,'content_block':{'type':'server_tool_use',"
                        "'id':'s','name':'web_search','input':{}}") DATA("'type':'content_block_delta','index':2,'delta':{'type':'input_json_delta',"
                                                                         "'partial_json':'{}'}")
                        DATA("'type':'content_block_stop','index':2") DATA(
                            "'type':'content_block_start','index':3,'content_block':{'type':'tool_use','id':'toolu_1','name':'f','input':{}}")
                            DATA("'type':'content_block_delta','index':3,'delta':{'type':'input_json_delta','partial_json':''}") DATA(
                                "'type':'content_block_delta','index':3,'delta':{'type':'input_json_delta','partial_json':'{\\'a\\''}")
                                DATA(
                                    "'type':'content_block_delta','index':3,'delta':{'type':'input_json_delta','partial_json':': 1}'}")
                                    DATA("'type':'content_block_stop','index':3") DATA(
                                        "'type':'content_block_start','index':4,'content_block':{'type':'tool_use','id':'toolu_2','name':'g','input':{}}")
                                        DATA("'type':'content_block_stop','index':4") DATA(
                                            "'type':'content_block_start','index':5,'content_block':{'type':'tool_use','id':'toolu_3','name':'h','input':"
                                            "{'whole':true}}") DATA("'type':'novel_event'")
                                            DATA(
                                                "'type':'message_delta','delta':{'stop_reason':'tool_use','stop_sequence':null},'usage':{'output_tokens':89,"
                                                "'output_tokens_details':{'thinking_tokens':40}}"),
        "begin msg_1 claude-x\n"
        "part 0 thinking  \n"
        "text 0 [Hm]\n"
        "signature 0 anthropic c2ln\n"
        "end 0\n"
        "part 1 thinking  \n"
        "signature 1 anthropic redacted ZA==\n"
        "end 1\n"
        "part 2 call toolu_1 f\n"
        "text 2 [{\\\"a\\\"]\n"
        "text 2 [: 1}]\n"
        "end 2\n"
        "part 3 call toolu_2 g\n"
        "text 3 [{}]\n"
        "end 3\n"
        "part 4 call toolu_3 h\n"
        "text 4 [{\\\"whole\\\":true}]\n"
        "end 4\n"
        "finish 5 tool_use [] []\n"
        "usage input 125 cached 100 written 0 output 89 reasoning 40\n"
        "whole\n");
}

static void a_stream_that_fails_or_breaks_off_is_not_whole(void **state) {
    (void)state;
    expect_deltas(WEIR_DIALECT_ANTHROPIC,
                  STARTED DATA("'type':'error','error':{'type':'overloaded_error','message':'Overloaded'}")
                      DATA("'type':'message_stop'"),
                  "begin msg_1 claude-x\n"
                  "error 529 overloaded_error: Overloaded\n");
    expect_deltas(WEIR_DIALECT_ANTHROPIC,
                  STARTED DATA("'type':'content_block_start','index':0,'content_block':{'type':'text','text':'A'}"),
                  "begin msg_1 claude-x\n"
                  "part 0 text  \n"
                  "text 0 [A]\n");
    expect_deltas(WEIR_DIALECT_ANTHROPIC,
                  STARTED DATA(
                      "'type':'message_delta','delta':{'stop_reason':'refusal','stop_sequence':null,'stop_details':"
                      "{'type':'refusal','category':'bio','explanation':'No.'}},'usage':{'output_tokens':1}"),
                  "begin msg_1 claude-x\n"
                  "finish 6 refusal [] [No.]\n"
                  "usage input 125 cached 100 written 0 output 1 reasoning 0\n"
                  "whole\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_conversation_arrives_as_the_vendor_takes_it, begin, end),
        cmocka_unit_test_setup_teardown(a_limit_is_always_said, begin, end),
        cmocka_unit_test_setup_teardown(who_speaks_last_and_first_is_as_the_vendor_has_it, begin, end),
        cmocka_unit_test_setup_teardown(forms_become_what_the_vendor_can_hold_to, begin, end),
        cmocka_unit_test_setup_teardown(thinking_stays_where_it_can, begin, end),
        cmocka_unit_test_setup_teardown(called_tools_are_declared, begin, end),
        cmocka_unit_test_setup_teardown(the_last_four_marks_stand, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_sent_says_so, begin, end),
        cmocka_unit_test_setup_teardown(a_text_file_goes_as_text, begin, end),
        cmocka_unit_test_setup_teardown(it_is_asked_where_the_vendor_listens, begin, end),
        cmocka_unit_test_setup_teardown(an_answer_is_read_whole, begin, end),
        cmocka_unit_test_setup_teardown(endings_are_understood, begin, end),
        cmocka_unit_test_setup_teardown(errors_stand_for_a_status, begin, end),
        cmocka_unit_test_setup_teardown(free_text_travels_in_an_object, begin, end),
        cmocka_unit_test_setup_teardown(free_text_comes_in_pieces, begin, end),
        cmocka_unit_test_setup_teardown(a_stream_of_text, begin, end),
        cmocka_unit_test_setup_teardown(a_stream_of_thoughts_and_calls, begin, end),
        cmocka_unit_test_setup_teardown(a_stream_that_fails_or_breaks_off_is_not_whole, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
