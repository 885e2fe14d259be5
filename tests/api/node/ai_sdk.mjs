// The Vercel AI SDK, with both of its packages for OpenAI's formats; tests/api/test_client_ai_sdk.py judges what is printed.
import { readFileSync } from "node:fs";
import { embed, embedMany, generateImage, generateSpeech, generateText, Output, streamText, stepCountIs, tool, transcribe } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { z } from "zod";
import { all, run } from "./calls.mjs";

const models = JSON.parse(process.env.MODELS);
const prompt = "Say something about rivers.";
const weather = tool({
  description: "The weather of a city", inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `sunny in ${city}`,
});
const River = z.object({ name: z.string(), length: z.number() });
const hex = (data) => Buffer.from(data).toString("hex");
// The second answer depends on the id that the first one's call was given: its length does not.
const words = (text) => text.split(" ").length;
const common = { maxRetries: 0 };

// What both packages can do, for one model of text.
const text = (model) => ({
  generate: async (client) => {
    const { text, finishReason, usage } = await generateText({ ...common, model: model(client), prompt });
    return { text, finishReason, usage };
  },
  stream: async (client) => {
    const result = streamText({ ...common, model: model(client), prompt, onError() {} });
    const parts = await all(result.fullStream);
    return { kinds: [...new Set(parts.map((part) => part.type))], text: await result.text, finishReason: await result.finishReason,
      usage: await result.usage };
  },
  tools: async (client) => {
    const result = await generateText({ ...common, model: model(client), prompt, tools: { weather }, toolChoice: "auto",
      stopWhen: stepCountIs(2) });
    return { words: words(result.text), steps: result.steps.map((step) => step.finishReason),
      results: result.steps.flatMap((step) => step.toolResults.map(({ toolName, output }) => ({ toolName, output }))) };
  },
  streamed_tools: async (client) => {
    const result = streamText({ ...common, model: model(client), prompt, tools: { weather }, toolChoice: "auto",
      stopWhen: stepCountIs(2), onError() {} });
    return { words: words(await result.text), steps: (await result.steps).map((step) => step.finishReason) };
  },
  object: async (client) =>
    (await generateText({ ...common, model: model(client), prompt, output: Output.object({ schema: River }) })).output,
  embed: async (client) => {
    const { embedding, usage } = await embed({ ...common, model: client.embedding(models.embedding), value: prompt });
    return { embedding, usage };
  },
  embed_many: async (client) => {
    const { embeddings, usage } = await embedMany({ ...common, model: client.embedding(models.embedding), values: ["a", "b", "c"] });
    return { embeddings, usage };
  },
  image: async (client) =>
    (await generateImage({ ...common, model: client.image(models.image), prompt: "a river" })).images.map((image) => image.base64),
});
const named = (prefix, calls) => Object.fromEntries(Object.entries(calls).map(([name, call]) => [`${prefix}_${name}`, call]));
const withoutOthers = (calls) => Object.fromEntries(Object.entries(calls).filter(([name]) => !/embed|image/.test(name)));
// A stream that the provider cuts off: how the package tells of it.
const broken = (model) => async (client, side) => {
  if (side !== "weir") return null;
  const result = streamText({ ...common, model: model(client), prompt, headers: { "x-sim-fault": "truncate=2" }, onError() {} });
  const parts = await all(result.fullStream);
  return { kinds: [...new Set(parts.map((part) => part.type))], problem: JSON.stringify(parts.find((part) => part.type === "error") ?? null),
    finish: parts.findLast((part) => part.type === "finish")?.finishReason ?? null };
};
const failing = (model) => async (client) => {
  await generateText({ ...common, model: model(client, "nobody-knows"), prompt });
};

await run((side, fetch) => createOpenAI({ ...side, fetch }), {
  ...named("responses", text((client) => client(models.chat))), // what the package takes by itself
  ...withoutOthers(named("chat", text((client) => client.chat(models.chat)))),
  speech: async (client) =>
    hex((await generateSpeech({ ...common, model: client.speech(models.speech), text: prompt, voice: "alloy" })).audio.uint8Array),
  transcription: async (client) => (await transcribe({
    ...common, model: client.transcription(models.transcription), audio: readFileSync(process.env.SOUND_FILE) })).text,
  broken: broken((client) => client(models.chat)),
  broken_chat: broken((client) => client.chat(models.chat)),
  unknown_model: (client, side) => side === "weir" && failing((from, name) => from(name))(client),
  unknown_model_chat: (client, side) => side === "weir" && failing((from, name) => from.chat(name))(client),
});
await run((side, fetch) => {
  const made = createOpenAICompatible({ name: "weir", baseURL: side.baseURL, apiKey: side.apiKey, fetch, includeUsage: true,
    supportsStructuredOutputs: true });
  return { chat: (name) => made(name), completion: (name) => made.completionModel(name),
    embedding: (name) => made.embeddingModel(name), image: (name) => made.imageModel(name) };
}, {
  ...named("compatible", text((client) => client.chat(models.chat))),
  broken_compatible: broken((client) => client.chat(models.chat)),
  compatible_completion: async (client) => {
    const { text, usage } = await generateText({ ...common, model: client.completion(models.chat), prompt });
    return { text, usage };
  },
});
process.exit(0); // connections that are kept alive would hold the process for seconds
