// The official package for Gemini's API in the matrix.
import { GoogleGenAI } from "@google/genai";
import { material, NoEnd, numbers, orNothing, run, withObject } from "./matrix.mjs";

const make = (base, key, headers) => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base, headers, timeout: 120000 } });
const tools = (count, choice) => ({
  tools: [{ functionDeclarations: material.tools.slice(0, count).map(({ name, description, parameters }) =>
    ({ name, description, parametersJsonSchema: parameters })) }],
  ...(choice ? { toolConfig: { functionCallingConfig: choice } } : {}),
});
const json = { responseMimeType: "application/json", responseJsonSchema: material.schema };
const thinkingConfig = { includeThoughts: true, thinkingBudget: 1024 };
const user = (...parts) => ({ role: "user", parts: parts.map((part) => (typeof part === "string" ? { text: part } : part)) });

// One answer, or the chunks of a stream: parts in their order, the last usage and finish reason.
function whole(answers) {
  let text = "", reasoning = "", finish, usage, blocked;
  const calls = [];
  for (const answer of answers) {
    usage = numbers(answer.usageMetadata) ?? usage;
    blocked = answer.promptFeedback?.blockReason ?? blocked;
    for (const candidate of answer.candidates ?? []) {
      finish = candidate.finishReason ?? finish;
      for (const part of candidate.content?.parts ?? []) {
        if (part.functionCall) calls.push({ name: part.functionCall.name, arguments: part.functionCall.args ?? {} });
        else if (part.thought) reasoning += part.text ?? "";
        else text += part.text ?? "";
      }
    }
  }
  return { text: orNothing(text), reasoning: orNothing(reasoning), calls: orNothing(calls), usage, finish, blocked };
}
const asked = (ask, config = {}, contents = [user(ask.prompt)], model = ask.model) => ({ model, contents, config });
const told = async (client, ...from) => whole([await client.models.generateContent(asked(...from))]);
const stream = async (client, ...from) => {
  const chunks = [];
  for await (const chunk of await client.models.generateContentStream(asked(...from))) chunks.push(chunk);
  const got = whole(chunks);
  if (!got.finish && !got.blocked) throw new NoEnd();
  return got;
};
const loop = async (client, ask, model, config) => {
  const contents = [user(ask.prompt)];
  const turns = [];
  for (const again of config.thinkingConfig ? [null, material.again] : [null]) {
    if (again) contents.push(user(again));
    for (let step = 0; step < 2; step++) {
      const answer = await client.models.generateContent({ model, contents, config: { ...tools(1), ...config } });
      turns.push(whole([answer]));
      contents.push(answer.candidates[0].content);
      const called = answer.candidates[0].content.parts.filter((part) => part.functionCall).map((part) => part.functionCall);
      if (!called.length) break;
      contents.push(user(...called.map(({ id, name }) => ({ functionResponse: { id, name, response: { result: material.outcome } } }))));
    }
  }
  return { turns };
};
const plain = (call) => (client, ask) => call(client, ask); // no case hands on more than these two

await run({ "google-genai-node": [make, {
  chat: plain(told),
  system: (client, ask) => told(client, ask, { systemInstruction: material.system }),
  turns: (client, ask) => told(client, ask, {}, [user(ask.prompt), { role: "model", parts: [{ text: material.said }] }, user(material.again)]),
  stream: plain(stream),
  tool: (client, ask) => told(client, ask, tools(1)),
  parallel_tools: (client, ask) => told(client, ask, tools(2)),
  stream_tools: (client, ask) => stream(client, ask, tools(2)),
  tool_loop: (client, ask) => loop(client, ask, ask.model, {}),
  forced_tool: (client, ask) => told(client, ask, tools(2, { mode: "ANY", allowedFunctionNames: [material.tools[1].name] })),
  no_tool: (client, ask) => told(client, ask, tools(2, { mode: "NONE" })),
  schema: async (client, ask) => withObject(await told(client, ask, json)),
  schema_stream: async (client, ask) => withObject(await stream(client, ask, json)),
  image: (client, ask) => told(client, ask, {}, [user(ask.prompt, { inlineData: { mimeType: "image/png", data: material.pixel } })]),
  image_url: (client, ask) => told(client, ask, {}, [user(ask.prompt, { fileData: { mimeType: "image/png", fileUri: material.image_url } })]),
  document: (client, ask) => told(client, ask, {}, [user(ask.prompt, { inlineData: { mimeType: "application/pdf", data: material.pdf } })]),
  thinking: (client, ask) => loop(client, ask, ask.reasoner, { thinkingConfig }),
  thinking_stream: (client, ask) => stream(client, ask, { thinkingConfig }, undefined, ask.reasoner),
  stop: (client, ask) => told(client, ask, { stopSequences: [material.stop] }),
  max_tokens: (client, ask) => told(client, ask, { maxOutputTokens: material.few }),
  sampling: (client, ask) => told(client, ask, { temperature: 0.5, topP: 0.75, seed: 7 }),
  long: (client, ask) => told(client, ask, {}, [user(ask.long)]),
  embeddings: async (client, ask) => ({ vectors: (await client.models.embedContent({ model: ask.embedding, contents: [ask.prompt, "b"] }))
    .embeddings.map((row) => row.values.length) }),
  count: async (client, ask) => ({ count: (await client.models.countTokens({ model: ask.model, contents: ask.prompt })).totalTokens }),
  usage: (client, ask) => told(client, ask, { thinkingConfig }, undefined, ask.cached),
  usage_stream: (client, ask) => stream(client, ask, { thinkingConfig }, undefined, ask.cached),
  fails: (client, ask) => told(client, ask, {}, undefined, ask.wanted),
  fails_stream: plain(stream),
  models: async (client) => {
    const models = [];
    for await (const model of await client.models.list()) models.push(model.name);
    return { models };
  },
}] });
