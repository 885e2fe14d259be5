// The official OpenAI package for Node over every endpoint; tests/api/test_client_node.py judges what is printed.
import { readFileSync, createReadStream } from "node:fs";
import OpenAI, { toFile } from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { all, bytes, run } from "./calls.mjs";

const models = JSON.parse(process.env.MODELS);
const prompt = "Say something about rivers.";
const messages = [{ role: "user", content: prompt }];
const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const weather = { type: "function", name: "get_weather", parameters, strict: true };
const River = z.object({ name: z.string(), length: z.number() });
const sound = process.env.SOUND_FILE;
const picture = () => toFile(readFileSync(process.env.PICTURE_FILE), "a.png", { type: "image/png" });
const lines = (count) => Array.from({ length: count }, (_, number) => JSON.stringify({
  custom_id: `r${number}`, method: "POST", url: "/v1/chat/completions", body: { model: models.chat, messages } })).join("\n") + "\n";
const upload = async (client, name = "batch.jsonl", count = 2) =>
  client.files.create({ file: await toFile(Buffer.from(lines(count)), name), purpose: "batch" });
const startBatch = (client, file) =>
  client.batches.create({ input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h" });
const ask = (client, more = {}) => client.responses.create({ model: models.chat, input: prompt, ...more });
const error = (call) => call.then(() => "no error", (problem) => problem.constructor.name);

const calls = {
  chat: (client) => client.chat.completions.create({ model: models.chat, messages }),
  chat_stream: async (client) => all(await client.chat.completions.create({ model: models.chat, messages, stream: true })),
  completion: (client) => client.completions.create({ model: models.chat, prompt }),
  completion_stream: async (client) => all(await client.completions.create({ model: models.chat, prompt, stream: true })),

  embedding: (client) => client.embeddings.create({ model: models.embedding, input: prompt }),
  embedding_float: (client) => client.embeddings.create({ model: models.embedding, input: prompt, encoding_format: "float" }),
  embedding_many: (client) => client.embeddings.create({ model: models.embedding, input: ["a", "b", "c"], dimensions: 8 }),

  response: (client) => ask(client),
  response_stream: async (client) => all(await ask(client, { stream: true })),
  response_helper: async (client) => client.responses.stream({ model: models.chat, input: prompt }).finalResponse(),
  response_tools: (client) => ask(client, { tools: [weather], tool_choice: "required" }),
  response_tools_stream: async (client) => all(await ask(client, { tools: [weather], tool_choice: "required", stream: true })),
  response_parse: (client) =>
    client.responses.parse({ model: models.chat, input: prompt, text: { format: zodTextFormat(River, "river") } }),
  response_kept: async (client) => {
    const made = await ask(client, { store: true });
    const again = await client.responses.retrieve(made.id);
    const items = await all(client.responses.inputItems.list(made.id));
    const after = await ask(client, { previous_response_id: made.id });
    await client.responses.delete(made.id);
    return { made, again, items, after, gone: await error(client.responses.retrieve(made.id)) };
  },
  response_read_again: async (client) => {
    const events = await all(await ask(client, { stream: true, store: true }));
    return all(await client.responses.retrieve(events.at(-1).response.id, { stream: true }));
  },
  response_background: async (client) => {
    const made = await ask(client, { background: true, store: true });
    return (await client.responses.cancel(made.id)).status;
  },

  moderation: (client) => client.moderations.create({ model: models.moderation, input: "a text" }),
  rerank: (client) => client.post("/rerank", { body: { model: models.rerank, query: "rivers", documents: ["a lake", "a river"] } }),

  image: (client) => client.images.generate({ model: models.image, prompt: "a river" }),
  image_old: (client) => client.images.generate({ model: models.old_image, prompt: "a river", n: 2 }),
  image_stream: async (client) =>
    all(await client.images.generate({ model: models.image, prompt: "a river", stream: true, partial_images: 1 })),
  image_edit: async (client) => client.images.edit({ model: models.image, prompt: "a river", image: await picture() }),
  image_edit_several: async (client) =>
    client.images.edit({ model: models.image, prompt: "a river", image: [await picture(), await picture()] }),
  image_variation: async (client) => client.images.createVariation({ model: models.old_image, image: await picture(), n: 2 }),

  speech_old: async (client) =>
    bytes(await client.audio.speech.create({ model: models.old_speech, voice: "alloy", input: prompt })),
  speech: async (client) => bytes(await client.audio.speech.create({ model: models.speech, voice: "alloy", input: prompt })),
  transcription: (client) => client.audio.transcriptions.create({ model: models.transcription, file: createReadStream(sound) }),
  // The form's fields go out in this order: the file stands before the model.
  transcription_file_first: async (client) => client.audio.transcriptions.create({
    file: await toFile(readFileSync(sound), "a.wav"), model: models.old_transcription, response_format: "verbose_json" }),
  transcription_text: (client) => client.audio.transcriptions.create({
    model: models.old_transcription, file: createReadStream(sound), response_format: "text" }),
  transcription_stream: async (client) => all(await client.audio.transcriptions.create({
    model: models.transcription, file: createReadStream(sound), stream: true })),
  translation: (client) => client.audio.translations.create({ model: models.old_transcription, file: createReadStream(sound) }),

  file: async (client) => {
    const made = await upload(client);
    const found = await client.files.waitForProcessing(made.id, { pollInterval: 50, maxWait: 30_000 });
    const content = await (await client.files.content(made.id)).text();
    const removed = await client.files.delete(made.id);
    return { made, found, content, removed, gone: await error(client.files.retrieve(made.id)) };
  },
  files: async (client) => {
    const made = [];
    for (let number = 0; number < 3; number++) made.push((await upload(client, `${number}.jsonl`)).id);
    const listed = (await all(client.files.list({ limit: 2 }))).map((file) => file.id);
    return made.every((id) => listed.includes(id));
  },
  batch: async (client) => {
    const file = await upload(client);
    let batch = await startBatch(client, file);
    while (batch.status !== "completed" && batch.status !== "failed") {
      await new Promise((done) => setTimeout(done, 20));
      batch = await client.batches.retrieve(batch.id);
    }
    const output = await (await client.files.content(batch.output_file_id)).text();
    return { status: batch.status, ids: output.trim().split("\n").map((line) => JSON.parse(line).custom_id) };
  },
  batch_cancel: async (client) => {
    const file = await upload(client, "batch.jsonl", 500);
    const batch = await startBatch(client, file);
    const status = (await client.batches.cancel(batch.id)).status;
    return status === "cancelling" || status === "cancelled";
  },
};

// Streams that the provider cuts off: what was seen of them, and how they ended.
const cut = { headers: { "x-sim-fault": "truncate=2" } };
const broken = async (stream) => {
  const kinds = [];
  try {
    for await (const event of await stream) kinds.push(event.type ?? event.object);
  } catch (problem) {
    return { kinds, code: problem.code, error: problem.constructor.name };
  }
  return { kinds };
};
Object.assign(calls, {
  broken_chat: (client, side) => side === "weir" &&
    broken(client.chat.completions.create({ model: models.chat, messages, stream: true }, cut)),
  broken_completion: (client, side) => side === "weir" &&
    broken(client.completions.create({ model: models.chat, prompt, stream: true }, cut)),
  broken_response: (client, side) => side === "weir" &&
    broken(client.responses.create({ model: models.chat, input: prompt, stream: true }, cut)),
  broken_image: (client, side) => side === "weir" &&
    broken(client.images.generate({ model: models.image, prompt, stream: true, partial_images: 3 }, cut)),
});

// What each endpoint refuses: a missing field, a model that nobody knows, a key that is none.
const nobody = "nobody-knows";
const requests = {
  completions: ["completions", { prompt }], embeddings: ["embeddings", { input: prompt }],
  responses: ["responses", { input: prompt }],
  moderations: ["moderations", { input: "a text" }], rerank: ["rerank", { query: "rivers", documents: ["a"] }],
  images: ["images/generations", { prompt: "a river" }], speech: ["audio/speech", { input: prompt, voice: "alloy" }],
};
for (const [name, [path, body]] of Object.entries(requests)) {
  calls[`unknown_model_${name}`] = (client, side) => side === "weir" &&
    client.post(`/${path}`, { body: { ...body, model: nobody } });
  calls[`missing_field_${name}`] = (client, side) => side === "weir" &&
    client.post(`/${path}`, { body: name === "responses" ? body : { model: models.chat } });
  calls[`bad_key_${name}`] = (client, side) => side === "weir" &&
    client.withOptions({ apiKey: "weir_dev_nonsense" }).post(`/${path}`, { body: { ...body, model: models.chat } });
}

await run((side, fetch) => new OpenAI({ ...side, fetch, maxRetries: 0, timeout: 120_000 }), calls);
process.exit(0); // connections that are kept alive would hold the process for seconds
