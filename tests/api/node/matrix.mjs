// What the clients' programs of the matrix share (tests/api/test_matrix.py); python_clients/matrix.py tells the settings and the words of
// the results, which are the same here.
import { readFileSync } from "node:fs";

const settings = JSON.parse(readFileSync(0, "utf8"));
export const material = settings.material;
export const pixel = Buffer.from(material.pixel, "base64");

const words = (value) => Object.fromEntries(Object.entries(value ?? {}).filter(([, inner]) => inner !== undefined && inner !== null));
// A usage as plain JSON without what is absent.
export const numbers = (value) =>
  value !== null && typeof value === "object" && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(words(value)).map(([name, inner]) => [name, numbers(inner)])) : value ?? undefined;
export const orNothing = (value) => (value === null || value === "" || (Array.isArray(value) && value.length === 0) ? undefined : value);
export const withObject = (got) => ({ ...got, object: JSON.parse(got.text) });

// A stream told that it failed, and the package leaves it to its caller to notice.
export class ErrorEvent extends Error {}
// A stream ended without what tells its end, and the package has not noticed.
export class NoEnd extends Error {}

// What one call asks for. Every call's first words name it, so that it is found among what arrived at the provider.
function asking(client, back, one) {
  const mark = `[${client}/${back.name}/${one.name}]`;
  const { plain, ...models } = back.models;
  return { model: plain, ...models, prompt: `${mark} ${material.prompt}`, long: `${mark} ${material.word.repeat(material.words)}`,
    wanted: one.name === "unknown_model" ? "unknown-model" : plain };
}

const statusOf = (error) => error.status ?? error.statusCode ?? error.status_code ?? null;

// `faces` is {name: [make(base, key, headers), {case: async (client, ask) => value}]}.
export async function run(faces) {
  for (const [face, [make, functions]] of Object.entries(faces)) {
    if (settings.clients && !settings.clients.includes(face)) continue;
    const made = new Map();
    for (const back of Array.isArray(settings.backs) ? settings.backs : settings.backs[face]) {
      for (const one of settings.cases) {
        const call = functions[one.does];
        if (!call) continue;
        const headers = one.headers ?? {};
        const key = one.key ?? settings.key;
        const which = JSON.stringify([headers, key]);
        if (!made.has(which)) made.set(which, make(settings.base, key, headers));
        const begun = performance.now();
        let result;
        try {
          result = words(await call(made.get(which), asking(face, back, one)));
        } catch (error) {
          result = { raises: error.constructor.name, status: statusOf(error), message: String(error.message).slice(0, 1000) };
        }
        console.log(JSON.stringify({ client: face, back: back.name, case: one.name, result, ms: Math.round(performance.now() - begun) }));
      }
    }
  }
  process.exit(0); // connections that are kept alive would hold the process for seconds
}
