/* The tables of an import: settings that nothing must be computed for, and providers by their words. */
#include "config/import_impl.h"

static const struct {
    enum import__section section;
    enum weir_import_outcome outcome;
    const char *name;
    const char *words;
} known[] = {
#define X(section, name, outcome, words) {IMPORT__##section, WEIR_IMPORT_##outcome, name, words},
#include "config/import_litellm.def"
#undef X
};

/* At most two stars, which is what the table has. */
static bool fits(const char *pattern, struct weir_span name) {
    struct weir_span rest = weir_span_of_string(pattern), head, tail;
    bool starred = weir_span_split(rest, '*', &head, &rest);
    if (!starred)
        return weir_span_equal(weir_span_of_string(pattern), name);
    if (!weir_span_starts_with(name, head))
        return false;
    name = weir_span_from(name, head.length);
    if (weir_span_split(rest, '*', &head, &tail))
        return head.length <= name.length && memmem(name.at, name.length, head.at, head.length) != NULL;
    return weir_span_ends_with(name, rest);
}

void import__known(struct import__state *state, enum import__section section, struct weir_span path,
                   const struct config__node *member) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].section == section && fits(known[i].name, member->key)) {
            import__row(state, known[i].outcome, path, member->key_place, "%s", known[i].words);
            return;
        }
}

/* --- providers --- */

static const struct import__vendor vendors[] = {
    {"openai", "openai", IMPORT__URL_AS_IS, "OPENAI_API_KEY", ""},
    {"text-completion-openai", "openai", IMPORT__URL_AS_IS, "OPENAI_API_KEY", ""},
    {"azure", "azure-openai", IMPORT__URL_AZURE, "AZURE_API_KEY", "AZURE_API_BASE"},
    {"azure_text", "azure-openai", IMPORT__URL_AZURE, "AZURE_API_KEY", "AZURE_API_BASE"},
    {"anthropic", "anthropic", IMPORT__URL_WITH_V1, "ANTHROPIC_API_KEY", ""},
    {"gemini", "gemini", IMPORT__URL_AS_IS, "GEMINI_API_KEY", ""},
    {"ollama", "ollama", IMPORT__URL_ROOT, "", ""},
    {"ollama_chat", "ollama", IMPORT__URL_ROOT, "", ""},
    {"hosted_vllm", "vllm", IMPORT__URL_AS_IS, "", "HOSTED_VLLM_API_BASE"},
    {"vllm", "vllm", IMPORT__URL_AS_IS, "", "HOSTED_VLLM_API_BASE"},
    {"lm_studio", "lmstudio", IMPORT__URL_AS_IS, "", "LM_STUDIO_API_BASE"},
    {"llamafile", "llamacpp", IMPORT__URL_AS_IS, "", ""},
    {"openrouter", "openrouter", IMPORT__URL_AS_IS, "OPENROUTER_API_KEY", ""},
    {"groq", "groq", IMPORT__URL_AS_IS, "GROQ_API_KEY", ""},
    {"mistral", "mistral", IMPORT__URL_AS_IS, "MISTRAL_API_KEY", ""},
    {"together_ai", "together", IMPORT__URL_AS_IS, "TOGETHERAI_API_KEY", ""},
    {"fireworks_ai", "fireworks", IMPORT__URL_AS_IS, "FIREWORKS_AI_API_KEY", ""},
    {"deepseek", "deepseek", IMPORT__URL_AS_IS, "DEEPSEEK_API_KEY", ""},
    {"xai", "xai", IMPORT__URL_AS_IS, "XAI_API_KEY", ""},
    {"cerebras", "cerebras", IMPORT__URL_AS_IS, "CEREBRAS_API_KEY", ""},
    {"perplexity", "perplexity", IMPORT__URL_AS_IS, "PERPLEXITYAI_API_KEY", ""},
    {"nvidia_nim", "nvidia", IMPORT__URL_AS_IS, "NVIDIA_NIM_API_KEY", ""},
    {"huggingface", "huggingface", IMPORT__URL_AS_IS, "HUGGINGFACE_API_KEY", ""},
    {"sambanova", "sambanova", IMPORT__URL_AS_IS, "SAMBANOVA_API_KEY", ""},
    {"cohere", "cohere", IMPORT__URL_AS_IS, "COHERE_API_KEY", ""},
    {"cohere_chat", "cohere", IMPORT__URL_AS_IS, "COHERE_API_KEY", ""},
    {"deepinfra", "deepinfra", IMPORT__URL_AS_IS, "DEEPINFRA_API_KEY", ""},
    {"moonshot", "moonshot", IMPORT__URL_AS_IS, "MOONSHOT_API_KEY", ""},
    {"dashscope", "qwen", IMPORT__URL_AS_IS, "DASHSCOPE_API_KEY", ""},
    {"zai", "zhipu", IMPORT__URL_AS_IS, "ZAI_API_KEY", ""},
    {"minimax", "minimax", IMPORT__URL_AS_IS, "MINIMAX_API_KEY", ""},
    {"openai_like", "", IMPORT__URL_AS_IS, "", "OPENAI_LIKE_API_BASE"},
    {"custom_openai", "", IMPORT__URL_AS_IS, "", "OPENAI_API_BASE"},
    {"litellm_proxy", "", IMPORT__URL_AS_IS, "LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE"},
};

/* Words that they know without a provider before them. */
static const struct {
    const char *beginning, *prefix;
} inferred[] = {
    {"gpt-", "openai"},       {"chatgpt-", "openai"},
    {"o1", "openai"},         {"o3", "openai"},
    {"o4", "openai"},         {"text-embedding-", "openai"},
    {"dall-e-", "openai"},    {"whisper-", "openai"},
    {"tts-", "openai"},       {"omni-moderation-", "openai"},
    {"ft:", "openai"},        {"text-moderation-", "openai"},
    {"codex-", "openai"},     {"sora-", "openai"},
    {"claude-", "anthropic"}, {"command-", "cohere"},
};

static const char aws[] =
    "weir does not sign requests for AWS; write the provider by hand if a gateway of yours serves these models in one of weir's dialects";
static const char google[] =
    "weir does not renew Google Cloud's credentials; the preset gemini serves Google's models with an API key";
static const struct {
    const char *prefix, *words;
} refused[] = {
    {"bedrock", aws},
    {"bedrock_converse", aws},
    {"sagemaker", aws},
    {"sagemaker_chat", aws},
    {"vertex_ai", google},
    {"vertex_ai_beta", google},
    {"azure_ai",
     "its models lie at addresses of their own: write the provider by hand, with the base URL that the cloud's console shows"},
};

const struct import__vendor *import__vendor_find(struct weir_span prefix) {
    for (size_t i = 0; i < sizeof vendors / sizeof *vendors; i++)
        if (weir_span_equal(weir_span_of_string(vendors[i].prefix), prefix))
            return &vendors[i];
    return NULL;
}

const struct import__vendor *import__vendor_infer(struct weir_span model) {
    for (size_t i = 0; i < sizeof inferred / sizeof *inferred; i++)
        if (weir_span_starts_with(model, weir_span_of_string(inferred[i].beginning)))
            return import__vendor_find(weir_span_of_string(inferred[i].prefix));
    return NULL;
}

const char *import__vendor_refusal(struct weir_span prefix) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (weir_span_equal(weir_span_of_string(refused[i].prefix), prefix))
            return refused[i].words;
    return NULL;
}
