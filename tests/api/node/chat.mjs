// The official OpenAI package for Node against weir: prints one line of JSON with what it saw. Environment: BASE_URL, API_KEY.
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0, timeout: 60_000 });
const messages = [{ role: "user", content: "Say something about rivers." }];
const seen = {};

await client.chat.completions.create({ model: "sim-small", messages }); // a prompt seen before is partly cached from now on
const whole = await client.chat.completions.create({ model: "sim-small", messages });
seen.text = whole.choices[0].message.content;
seen.finish = whole.choices[0].finish_reason;
seen.used = whole.usage.usedCUMilli;

seen.streamed = "";
for await (const chunk of await client.chat.completions.create({ model: "sim-small", messages, stream: true })) {
  seen.streamed += chunk.choices[0].delta.content ?? "";
  seen.streamedUsed = chunk.usedCUMilli ?? seen.streamedUsed;
}

const usage = [];
for await (const chunk of await client.chat.completions.create(
  { model: "sim-small", messages, stream: true, stream_options: { include_usage: true } })) {
  if (chunk.usage) usage.push(chunk.usage.total_tokens);
}
seen.usage = usage;
seen.totalTokens = whole.usage.total_tokens;

const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: { city: { type: "string" } } } } }];
const called = await client.chat.completions.create({ model: "sim-small", messages, tools, tool_choice: "required" });
seen.tool = called.choices[0].message.tool_calls[0].function.name;

const many = await Promise.all(Array.from({ length: 20 }, (_, number) =>
  client.chat.completions.create({ model: "sim-small", messages: [{ role: "user", content: `number ${number}` }] })));
seen.many = many.filter((answer) => answer.choices[0].message.content.length > 0).length;

seen.models = (await client.models.list()).data.map((model) => model.id);

async function errorOf(run) {
  try {
    await run();
    return "no error";
  } catch (error) {
    return { name: error.constructor.name, status: error.status ?? null, code: error.code ?? null, requestID: error.requestID != null };
  }
}
const stranger = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "weir_dev_nonsense", maxRetries: 0 });
seen.authentication = await errorOf(() => stranger.models.list());
seen.notFound = await errorOf(() => client.chat.completions.create({ model: "nobody-knows", messages }));
seen.rateLimit = await errorOf(() => client.chat.completions.create({ model: "sim-small", messages },
  { headers: JSON.parse(process.env.FAULT_429) }));
seen.timeout = await errorOf(() => client.chat.completions.create({ model: "sim-small", messages },
  { headers: { "x-sim-ttft": "20000" }, timeout: 500 }));
seen.badRequest = await errorOf(() => client.chat.completions.create({ messages }));
seen.malformed = await errorOf(() => client.chat.completions.create({ model: "sim-small", messages: "no list" }));
seen.tooLarge = await errorOf(() => client.chat.completions.create(
  { model: "sim-small", messages: [{ role: "user", content: "x".repeat(1_200_000) }] }));
seen.noSuchPath = await errorOf(() => client.post("/nowhere", { body: {} }));
for (const status of [400, 401, 403, 404, 409, 422, 429, 500, 503])
  seen[`upstream${status}`] = await errorOf(() => client.chat.completions.create({ model: "sim-small", messages },
    { headers: { "x-sim-fault": `status=${status}` } }));
const nobody = new OpenAI({ baseURL: "http://127.0.0.1:9/v1", apiKey: "x", maxRetries: 0 });
seen.unreachable = await errorOf(() => nobody.models.list());
const early = new AbortController();
setTimeout(() => early.abort(), 300);
seen.abortedEarly = await errorOf(() => client.chat.completions.create({ model: "sim-small", messages },
  { headers: { "x-sim-ttft": "20000" }, signal: early.signal }));
seen.broken = await errorOf(async () => {
  const stream = await client.chat.completions.create({ model: "sim-small", messages, stream: true },
    { headers: JSON.parse(process.env.FAULT_TRUNCATED) });
  for await (const _ of stream) { /* read to its end */ }
});
const stopped = new AbortController();
let pieces = 0;
seen.aborted = await errorOf(async () => {
  const stream = await client.chat.completions.create({ model: "sim-small", messages, stream: true },
    { headers: { "x-sim-rate": "20", "x-sim-tokens": "2000" }, signal: stopped.signal });
  for await (const _ of stream) {
    if (++pieces === 3) stopped.abort();
  }
});
seen.piecesUntilAborted = pieces;
seen.after = (await client.chat.completions.create({ model: "sim-small", messages })).choices[0].finish_reason;

console.log(JSON.stringify(seen));
