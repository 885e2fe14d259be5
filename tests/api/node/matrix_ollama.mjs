// The official package for Ollama's API in the matrix.
import { Ollama } from "ollama";
import { material, NoEnd, orNothing, run, withObject } from "./matrix.mjs";

const make = (base, key, headers) => new Ollama({ host: base, headers: { Authorization: `Bearer ${key}`, ...headers } });
const functions = material.tools.map((tool) => ({ type: "function", function: tool }));
const counts = ({ prompt_eval_count, eval_count }) => JSON.parse(JSON.stringify({ prompt_eval_count, eval_count }));
const callsOf = (message) => (message.tool_calls ?? []).map((call) => ({ name: call.function.name, arguments: call.function.arguments }));
const told = (answer) => ({ text: orNothing(answer.message.content), reasoning: orNothing(answer.message.thinking),
  calls: orNothing(callsOf(answer.message)), finish: answer.done_reason, usage: counts(answer) });
const asked = (ask, more) => ({ model: ask.model, messages: [{ role: "user", content: ask.prompt }], ...more });
const chat = async (client, ask, more = {}) => told(await client.chat(asked(ask, more)));
const stream = async (client, ask, more = {}) => {
  let text = "", reasoning = "", last;
  const calls = [];
  for await (const piece of await client.chat({ ...asked(ask, more), stream: true })) {
    text += piece.message.content ?? "";
    reasoning += piece.message.thinking ?? "";
    calls.push(...callsOf(piece.message));
    last = piece;
  }
  if (!last?.done) throw new NoEnd();
  return { ...told(last), text: orNothing(text), reasoning: orNothing(reasoning), calls: orNothing(calls) };
};
const loop = async (client, ask, more) => {
  const messages = [{ role: "user", content: ask.prompt }];
  const turns = [];
  for (const again of more.think ? [null, material.again] : [null]) {
    if (again) messages.push({ role: "user", content: again });
    for (let step = 0; step < 2; step++) {
      const answer = await client.chat({ messages, tools: functions.slice(0, 1), ...more });
      turns.push(told(answer));
      messages.push(answer.message);
      for (const call of answer.message.tool_calls ?? []) {
        messages.push({ role: "tool", tool_name: call.function.name, content: material.outcome });
      }
      if (!answer.message.tool_calls?.length) break;
    }
  }
  return { turns };
};
await run({ "ollama-node": [make, {
  chat,
  system: (client, ask) => chat(client, ask, { messages: [{ role: "system", content: material.system }, { role: "user", content: ask.prompt }] }),
  turns: (client, ask) => chat(client, ask, { messages: [{ role: "user", content: ask.prompt }, { role: "assistant", content: material.said },
    { role: "user", content: material.again }] }),
  generate: async (client, ask) => {
    const answer = await client.generate({ model: ask.model, prompt: ask.prompt, system: material.system });
    return { text: answer.response, finish: answer.done_reason, usage: counts(answer) };
  },
  stream,
  tool: (client, ask) => chat(client, ask, { tools: functions.slice(0, 1) }),
  parallel_tools: (client, ask) => chat(client, ask, { tools: functions }),
  stream_tools: (client, ask) => stream(client, ask, { tools: functions }),
  tool_loop: (client, ask) => loop(client, ask, { model: ask.model }),
  schema: async (client, ask) => withObject(await chat(client, ask, { format: material.schema })),
  schema_stream: async (client, ask) => withObject(await stream(client, ask, { format: material.schema })),
  image: (client, ask) => chat(client, ask, { messages: [{ role: "user", content: ask.prompt, images: [material.pixel] }] }),
  thinking: (client, ask) => loop(client, ask, { model: ask.reasoner, think: true }),
  thinking_stream: (client, ask) => stream(client, ask, { model: ask.reasoner, think: true }),
  stop: (client, ask) => chat(client, ask, { options: { stop: [material.stop] } }),
  max_tokens: (client, ask) => chat(client, ask, { options: { num_predict: material.few } }),
  sampling: (client, ask) => chat(client, ask, { options: { temperature: 0.5, top_p: 0.75, seed: 7 } }),
  long: (client, ask) => chat(client, ask, { messages: [{ role: "user", content: ask.long }] }),
  embeddings: async (client, ask) => ({ vectors: (await client.embed({ model: ask.embedding, input: [ask.prompt, "b"] }))
    .embeddings.map((row) => row.length) }),
  usage: (client, ask) => chat(client, ask, { model: ask.cached, think: true }),
  usage_stream: (client, ask) => stream(client, ask, { model: ask.cached, think: true }),
  fails: (client, ask) => chat(client, ask, { model: ask.wanted }),
  fails_stream: stream,
  models: async (client) => ({ models: (await client.list()).models.map((model) => model.model ?? model.name) }),
}] });
