// The official package for OpenAI's API in the matrix: chat completions, and responses.
import OpenAI from "openai";
import { ErrorEvent, material, NoEnd, numbers, orNothing, run, withObject } from "./matrix.mjs";

const make = (base, key, headers) => new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0, timeout: 120000, defaultHeaders: headers });
const image = `data:image/png;base64,${material.pixel}`;
const pdf = `data:application/pdf;base64,${material.pdf}`;
const turnsOf = (ask) => [{ role: "user", content: ask.prompt }, { role: "assistant", content: material.said },
  { role: "user", content: material.again }];

// --- chat completions ---

const functions = material.tools.map((tool) => ({ type: "function", function: tool }));
const format = { type: "json_schema", json_schema: { name: "river", schema: material.schema, strict: true } };
const told = (completion) => {
  const { message, finish_reason } = completion.choices[0];
  return { text: orNothing(message.content), reasoning: message.reasoning_content, refusal: message.refusal,
    calls: message.tool_calls?.map((call) => ({ name: call.function.name, arguments: JSON.parse(call.function.arguments) })),
    finish: finish_reason, usage: numbers(completion.usage) };
};
const create = async (client, ask, more = {}) => told(await client.chat.completions.create(
  { model: ask.model, messages: [{ role: "user", content: ask.prompt }], ...more }));
const parts = (part) => (client, ask) => create(client, ask, {
  messages: [{ role: "user", content: [{ type: "text", text: ask.prompt }, part] }] });
// The chunks joined as their documentation says: the package's own helper wants one call of a tool to end before the next begins.
const stream = async (client, ask, more = {}) => {
  let text = "", reasoning = "", finish, usage;
  const calls = [];
  const chunks = await client.chat.completions.create({ model: ask.model, messages: [{ role: "user", content: ask.prompt }], stream: true,
    stream_options: { include_usage: true }, ...more });
  for await (const chunk of chunks) {
    usage = chunk.usage ? numbers(chunk.usage) : usage;
    for (const { delta, finish_reason } of chunk.choices) {
      finish = finish_reason ?? finish;
      text += delta.content ?? "";
      reasoning += delta.reasoning_content ?? "";
      for (const call of delta.tool_calls ?? []) {
        calls[call.index] ??= { name: call.function.name, arguments: "" };
        calls[call.index].arguments += call.function.arguments ?? "";
      }
    }
  }
  if (!finish) throw new NoEnd();
  return { text: orNothing(text), reasoning: orNothing(reasoning), finish, usage,
    calls: orNothing(calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) }))) };
};
const loop = async (client, ask, more) => {
  const messages = [{ role: "user", content: ask.prompt }];
  const turns = [];
  for (const again of more.reasoning_effort ? [null, material.again] : [null]) {
    if (again) messages.push({ role: "user", content: again });
    for (let step = 0; step < 2; step++) {
      const answer = await client.chat.completions.create({ messages, tools: functions.slice(0, 1), ...more });
      turns.push(told(answer));
      const { message } = answer.choices[0];
      messages.push(message);
      for (const call of message.tool_calls ?? []) messages.push({ role: "tool", tool_call_id: call.id, content: material.outcome });
      if (!message.tool_calls?.length) break;
    }
  }
  return { turns };
};
const chat = {
  chat: create,
  system: (client, ask) => create(client, ask, { messages: [{ role: "system", content: material.system },
    { role: "user", content: ask.prompt }] }),
  turns: (client, ask) => create(client, ask, { messages: turnsOf(ask) }),
  stream,
  tool: (client, ask) => create(client, ask, { tools: functions.slice(0, 1) }),
  parallel_tools: (client, ask) => create(client, ask, { tools: functions, parallel_tool_calls: true }),
  stream_tools: (client, ask) => stream(client, ask, { tools: functions, parallel_tool_calls: true }),
  tool_loop: (client, ask) => loop(client, ask, { model: ask.model }),
  forced_tool: (client, ask) => create(client, ask, { tools: functions,
    tool_choice: { type: "function", function: { name: material.tools[1].name } } }),
  no_tool: (client, ask) => create(client, ask, { tools: functions, tool_choice: "none" }),
  schema: async (client, ask) => withObject(await create(client, ask, { response_format: format })),
  schema_stream: async (client, ask) => withObject(await stream(client, ask, { response_format: format })),
  image: parts({ type: "image_url", image_url: { url: image } }),
  image_url: parts({ type: "image_url", image_url: { url: material.image_url } }),
  document: parts({ type: "file", file: { filename: "a.pdf", file_data: pdf } }),
  thinking: (client, ask) => loop(client, ask, { model: ask.reasoner, reasoning_effort: "low" }),
  thinking_stream: (client, ask) => stream(client, ask, { model: ask.reasoner, reasoning_effort: "low" }),
  stop: (client, ask) => create(client, ask, { stop: [material.stop] }),
  max_tokens: (client, ask) => create(client, ask, { max_completion_tokens: material.few }),
  sampling: (client, ask) => create(client, ask, { temperature: 0.5, top_p: 0.75, seed: 7 }),
  long: (client, ask) => create(client, ask, { messages: [{ role: "user", content: ask.long }] }),
  embeddings: async (client, ask) => {
    const got = await client.embeddings.create({ model: ask.embedding, input: [ask.prompt, "b"] });
    return { vectors: got.data.map((row) => row.embedding.length), usage: numbers(got.usage) };
  },
  usage: (client, ask) => create(client, ask, { model: ask.cached, reasoning_effort: "low" }),
  usage_stream: (client, ask) => stream(client, ask, { model: ask.cached, reasoning_effort: "low" }),
  fails: (client, ask) => create(client, ask, { model: ask.wanted }),
  fails_stream: stream,
  models: async (client) => {
    const models = [];
    for await (const model of client.models.list()) models.push(model.id);
    return { models };
  },
};

// --- responses ---

const responseTools = material.tools.map((tool) => ({ type: "function", ...tool, strict: false }));
const text = { format: { type: "json_schema", name: "river", schema: material.schema, strict: true } };
const thinking = { reasoning: { effort: "low", summary: "auto" }, include: ["reasoning.encrypted_content"], store: false };
const responded = (response) => {
  const of = (type) => response.output.filter((item) => item.type === type);
  const finish = response.incomplete_details ? `${response.status}: ${response.incomplete_details.reason}` : response.status;
  return {
    text: orNothing(response.output_text), finish, usage: numbers(response.usage),
    calls: orNothing(of("function_call").map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) }))),
    reasoning: orNothing(of("reasoning").flatMap((item) => [...(item.summary ?? []), ...(item.content ?? [])]).map((part) => part.text).join("")),
    refusal: orNothing(of("message").flatMap((item) => item.content).filter((part) => part.type === "refusal").map((part) => part.refusal).join("")),
  };
};
const asked = (ask, more) => ({ model: ask.model, store: false, input: [{ role: "user", content: ask.prompt }], ...more });
const respond = async (client, ask, more = {}) => responded(await client.responses.create(asked(ask, more)));
const responseParts = (part) => (client, ask) => respond(client, ask, {
  input: [{ role: "user", content: [{ type: "input_text", text: ask.prompt }, part] }] });
// The package puts the response together from the deltas.
const responseStream = async (client, ask, more = {}) => {
  const response = await client.responses.stream(asked(ask, more)).finalResponse();
  if (response.status === "failed") throw new ErrorEvent(response.error?.message);
  return responded(response);
};
const responseLoop = async (client, ask, more) => {
  const input = [{ role: "user", content: ask.prompt }];
  const turns = [];
  for (const again of more.reasoning ? [null, material.again] : [null]) {
    if (again) input.push({ role: "user", content: again });
    for (let step = 0; step < 2; step++) {
      const answer = await client.responses.create({ input, tools: responseTools.slice(0, 1), ...more });
      turns.push(responded(answer));
      input.push(...answer.output);
      const called = answer.output.filter((item) => item.type === "function_call");
      for (const item of called) input.push({ type: "function_call_output", call_id: item.call_id, output: material.outcome });
      if (!called.length) break;
    }
  }
  return { turns };
};
const responses = {
  chat: respond,
  system: (client, ask) => respond(client, ask, { instructions: material.system }),
  turns: (client, ask) => respond(client, ask, { input: turnsOf(ask) }),
  stream: responseStream,
  tool: (client, ask) => respond(client, ask, { tools: responseTools.slice(0, 1) }),
  parallel_tools: (client, ask) => respond(client, ask, { tools: responseTools, parallel_tool_calls: true }),
  stream_tools: (client, ask) => responseStream(client, ask, { tools: responseTools, parallel_tool_calls: true }),
  tool_loop: (client, ask) => responseLoop(client, ask, { model: ask.model, store: false }),
  forced_tool: (client, ask) => respond(client, ask, { tools: responseTools, tool_choice: { type: "function", name: material.tools[1].name } }),
  no_tool: (client, ask) => respond(client, ask, { tools: responseTools, tool_choice: "none" }),
  schema: async (client, ask) => withObject(await respond(client, ask, { text })),
  schema_stream: async (client, ask) => withObject(await responseStream(client, ask, { text })),
  image: responseParts({ type: "input_image", detail: "auto", image_url: image }),
  image_url: responseParts({ type: "input_image", detail: "auto", image_url: material.image_url }),
  document: responseParts({ type: "input_file", filename: "a.pdf", file_data: pdf }),
  thinking: (client, ask) => responseLoop(client, ask, { model: ask.reasoner, ...thinking }),
  thinking_stream: (client, ask) => responseStream(client, ask, { model: ask.reasoner, ...thinking }),
  max_tokens: (client, ask) => respond(client, ask, { max_output_tokens: material.few }),
  sampling: (client, ask) => respond(client, ask, { temperature: 0.5, top_p: 0.75 }),
  long: (client, ask) => respond(client, ask, { input: [{ role: "user", content: ask.long }] }),
  count: async (client, ask) => ({ count: (await client.responses.inputTokens.count({ model: ask.model, input: ask.prompt })).input_tokens }),
  usage: (client, ask) => respond(client, ask, { model: ask.cached, ...thinking }),
  usage_stream: (client, ask) => responseStream(client, ask, { model: ask.cached, ...thinking }),
  fails: (client, ask) => respond(client, ask, { model: ask.wanted }),
  fails_stream: responseStream,
};
await run({ "openai-node": [make, chat], "openai-node-responses": [make, responses] });
