// The Vercel AI SDK in the matrix, with each of its packages that speaks one of the APIs.
import { embedMany, generateText, jsonSchema, Output, streamText, stepCountIs, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { material, NoEnd, numbers, orNothing, pixel, run } from "./matrix.mjs";

const declared = (count, execute) => Object.fromEntries(material.tools.slice(0, count).map((one) =>
  [one.name, tool({ description: one.description, inputSchema: jsonSchema(one.parameters), ...(execute ? { execute } : {}) })]));
const callsOf = (calls) => orNothing(calls.map((call) => ({ name: call.toolName, arguments: call.input })));
// Without the provider's own figures, which stand beside the SDK's.
const usageOf = ({ raw, ...usage }) => numbers(usage);
const told = (step) => ({ text: orNothing(step.text), reasoning: orNothing(step.reasoningText), calls: callsOf(step.toolCalls),
  finish: step.finishReason, usage: usageOf(step.usage) });
const asked = (client, ask, more) => ({ model: client.model(ask.model), messages: [{ role: "user", content: ask.prompt }], maxRetries: 0, ...more });
const generate = async (client, ask, more = {}) => told(await generateText(asked(client, ask, more)));
const stream = async (client, ask, more = {}) => {
  const result = streamText({ ...asked(client, ask, more), onError() {} });
  let text = "", problem, ended = false;
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") text += part.text;
    if (part.type === "error") problem = part.error;
    if (part.type === "finish") ended = part.finishReason !== undefined;
  }
  if (problem) throw problem instanceof Error ? problem : new Error(JSON.stringify(problem));
  if (!ended) throw new NoEnd();
  return { text: orNothing(text), reasoning: orNothing(await result.reasoningText), calls: callsOf(await result.toolCalls),
    finish: await result.finishReason, usage: usageOf(await result.usage) };
};
const parts = (part) => (client, ask) => generate(client, ask, {
  messages: [{ role: "user", content: [{ type: "text", text: ask.prompt }, part] }] });
const looping = { stopWhen: stepCountIs(2) };
// The package runs the tools and sends their results itself.
const loop = async (client, ask, more = {}) => {
  const tools = declared(1, async () => material.outcome);
  const first = await generateText(asked(client, ask, { tools, ...looping, ...more }));
  if (!more.thinks) return { turns: first.steps.map(told) };
  const messages = [{ role: "user", content: ask.prompt }, ...first.responseMessages, { role: "user", content: material.again }];
  const second = await generateText(asked(client, ask, { tools, ...looping, ...more, messages }));
  return { turns: [...first.steps, ...second.steps].map(told) };
};
const output = Output.object({ schema: jsonSchema(material.schema) });
const thinking = (client) => ({ ...client.thinking, thinks: true });

const cases = {
  chat: generate,
  system: (client, ask) => generate(client, ask, { system: material.system }),
  turns: (client, ask) => generate(client, ask, { messages: [{ role: "user", content: ask.prompt }, { role: "assistant", content: material.said },
    { role: "user", content: material.again }] }),
  stream,
  tool: (client, ask) => generate(client, ask, { tools: declared(1) }),
  parallel_tools: (client, ask) => generate(client, ask, { tools: declared(2) }),
  stream_tools: (client, ask) => stream(client, ask, { tools: declared(2) }),
  tool_loop: loop,
  forced_tool: (client, ask) => generate(client, ask, { tools: declared(2), toolChoice: { type: "tool", toolName: material.tools[1].name } }),
  no_tool: (client, ask) => generate(client, ask, { tools: declared(2), toolChoice: "none" }),
  schema: async (client, ask) => {
    const result = await generateText(asked(client, ask, { output, ...client.schema }));
    return { ...told(result), object: result.output };
  },
  schema_stream: async (client, ask) => {
    const result = await stream(client, ask, { output, ...client.schema });
    return { ...result, object: JSON.parse(result.text) };
  },
  image: parts({ type: "image", image: pixel, mediaType: "image/png" }),
  image_url: parts({ type: "image", image: new URL(material.image_url) }),
  document: parts({ type: "file", data: Buffer.from(material.pdf, "base64"), mediaType: "application/pdf", filename: "a.pdf" }),
  thinking: (client, ask) => loop(client, ask, { ...thinking(client), model: client.model(ask.reasoner) }),
  thinking_stream: (client, ask) => stream(client, ask, { ...client.thinking, model: client.model(ask.reasoner) }),
  max_tokens: (client, ask) => generate(client, ask, { maxOutputTokens: material.few }),
  sampling: (client, ask) => generate(client, ask, { temperature: 0.5, topP: 0.75 }),
  long: (client, ask) => generate(client, ask, { messages: [{ role: "user", content: ask.long }] }),
  usage: (client, ask) => generate(client, ask, { ...client.thinking, model: client.model(ask.cached) }),
  usage_stream: (client, ask) => stream(client, ask, { ...client.thinking, model: client.model(ask.cached) }),
  fails: (client, ask) => generate(client, ask, { model: client.model(ask.wanted) }),
  fails_stream: stream,
};
const stop = { stop: (client, ask) => generate(client, ask, { stopSequences: [material.stop] }) };
const embeddings = { embeddings: async (client, ask) => {
  const { embeddings, usage } = await embedMany({ model: client.embedding(ask.embedding), values: [ask.prompt, "b"], maxRetries: 0 });
  return { vectors: embeddings.map((row) => row.length), usage: numbers(usage) };
} };
const { sampling, ...unsampled } = cases; // Anthropic's newest API version has no such parameters
const { image_url, ...inlined } = cases; // these packages fetch pictures themselves

const openai = (chat) => (base, apiKey, headers) => {
  const made = createOpenAI({ baseURL: `${base}/v1`, apiKey, headers });
  // A model whose name the package does not know counts as one that does not reason.
  const thinks = { providerOptions: { openai: { reasoningEffort: "low", forceReasoning: true,
    ...(chat ? {} : { reasoningSummary: "auto", store: false, include: ["reasoning.encrypted_content"] }) } } };
  return { model: (name) => (chat ? made.chat(name) : made(name)), embedding: (name) => made.embedding(name), thinking: thinks };
};
await run({
  "ai-openai": [openai(false), { ...cases, ...embeddings }],
  "ai-openai-chat": [openai(true), { ...cases, ...stop }],
  "ai-compatible": [(base, apiKey, headers) => {
    const made = createOpenAICompatible({ name: "weir", baseURL: `${base}/v1`, apiKey, headers, includeUsage: true, supportsStructuredOutputs: true });
    return { model: (name) => made(name), embedding: (name) => made.embeddingModel(name), thinking: { providerOptions: { weir: { reasoningEffort: "low" } } } };
  }, { ...inlined, ...stop, ...embeddings }],
  "ai-anthropic": [(base, apiKey, headers) => {
    const made = createAnthropic({ baseURL: `${base}/v1`, apiKey, headers });
    // A model whose name the package does not know counts as one that takes no schemas.
    return { model: (name) => made(name), schema: { providerOptions: { anthropic: { structuredOutputMode: "outputFormat" } } },
      thinking: { providerOptions: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } } } };
  }, { ...unsampled, ...stop }],
  "ai-google": [(base, apiKey, headers) => {
    const made = createGoogleGenerativeAI({ baseURL: `${base}/v1beta`, apiKey, headers });
    return { model: (name) => made(name), embedding: (name) => made.embeddingModel?.(name) ?? made.textEmbeddingModel(name),
      thinking: { providerOptions: { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } } } };
  }, { ...inlined, ...stop, ...embeddings }],
});
