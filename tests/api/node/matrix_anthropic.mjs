// The official package for Anthropic's API in the matrix.
import Anthropic from "@anthropic-ai/sdk";
import { material, numbers, orNothing, run, withObject } from "./matrix.mjs";

const room = 4096; // max_tokens must be given
const make = (base, key, headers) => new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0, timeout: 120000, defaultHeaders: headers });
const functions = material.tools.map(({ name, description, parameters }) => ({ name, description, input_schema: parameters }));
const output_config = { format: { type: "json_schema", schema: material.schema } };
const thinking = { type: "enabled", budget_tokens: 1024 };
const told = (message) => {
  const of = (type) => message.content.filter((block) => block.type === type);
  return {
    text: orNothing(of("text").map((block) => block.text).join("")), reasoning: orNothing(of("thinking").map((block) => block.thinking).join("")),
    calls: orNothing(of("tool_use").map((block) => ({ name: block.name, arguments: block.input }))),
    finish: message.stop_reason, usage: numbers(message.usage), stop_sequence: message.stop_sequence,
  };
};
const asked = (ask, more) => ({ model: ask.model, max_tokens: room, messages: [{ role: "user", content: ask.prompt }], ...more });
const create = async (client, ask, more = {}) => told(await client.messages.create(asked(ask, more)));
const parts = (part) => (client, ask) => create(client, ask, { messages: [{ role: "user", content: [{ type: "text", text: ask.prompt }, part] }] });
const of = (type, media_type, data) => ({ type, source: { type: "base64", media_type, data } });
const stream = async (client, ask, more = {}) => {
  const message = await client.messages.stream(asked(ask, more)).finalMessage();
  const thoughts = message.content.filter((block) => block.type === "thinking");
  return { ...told(message), signed: thoughts.length ? thoughts.every((block) => block.signature) : undefined };
};
const loop = async (client, ask, more) => {
  const messages = [{ role: "user", content: ask.prompt }];
  const turns = [];
  for (const again of more.thinking ? [null, material.again] : [null]) {
    if (again) messages.push({ role: "user", content: again });
    for (let step = 0; step < 2; step++) {
      const answer = await client.messages.create({ max_tokens: room, messages, tools: functions.slice(0, 1), ...more });
      turns.push(told(answer));
      messages.push({ role: "assistant", content: answer.content });
      const results = answer.content.filter((block) => block.type === "tool_use")
        .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: material.outcome }));
      if (!results.length) break;
      messages.push({ role: "user", content: results });
    }
  }
  return { turns };
};
await run({ "anthropic-node": [make, {
  chat: create,
  system: (client, ask) => create(client, ask, { system: material.system }),
  turns: (client, ask) => create(client, ask, { messages: [{ role: "user", content: ask.prompt }, { role: "assistant", content: material.said },
    { role: "user", content: material.again }] }),
  stream,
  tool: (client, ask) => create(client, ask, { tools: functions.slice(0, 1) }),
  parallel_tools: (client, ask) => create(client, ask, { tools: functions }),
  stream_tools: (client, ask) => stream(client, ask, { tools: functions }),
  tool_loop: (client, ask) => loop(client, ask, { model: ask.model }),
  forced_tool: (client, ask) => create(client, ask, { tools: functions, tool_choice: { type: "tool", name: material.tools[1].name } }),
  no_tool: (client, ask) => create(client, ask, { tools: functions, tool_choice: { type: "none" } }),
  schema: async (client, ask) => withObject(await create(client, ask, { output_config })),
  schema_stream: async (client, ask) => withObject(await stream(client, ask, { output_config })),
  image: parts(of("image", "image/png", material.pixel)),
  image_url: parts({ type: "image", source: { type: "url", url: material.image_url } }),
  document: parts(of("document", "application/pdf", material.pdf)),
  thinking: (client, ask) => loop(client, ask, { model: ask.reasoner, thinking }),
  thinking_stream: (client, ask) => stream(client, ask, { model: ask.reasoner, thinking }),
  stop: (client, ask) => create(client, ask, { stop_sequences: [material.stop] }),
  max_tokens: (client, ask) => create(client, ask, { max_tokens: material.few }),
  long: (client, ask) => create(client, ask, { messages: [{ role: "user", content: ask.long }] }),
  count: async (client, ask) => ({ count: (await client.messages.countTokens({ model: ask.model,
    messages: [{ role: "user", content: ask.prompt }] })).input_tokens }),
  usage: (client, ask) => create(client, ask, { model: ask.cached, thinking }),
  usage_stream: (client, ask) => stream(client, ask, { model: ask.cached, thinking }),
  fails: (client, ask) => create(client, ask, { model: ask.wanted }),
  fails_stream: stream,
  models: async (client) => {
    const models = [];
    for await (const model of client.models.list()) models.push(model.id);
    return { models };
  },
}] });
