// What the drivers of this folder share: every call of a table is made twice, straight to a simulator and through weir to another
// one, and printed as one line of JSON: {name, direct, weir, heads}. `heads` has what came back from weir for the call: path,
// status, and the fields that weir adds.
export const sides = {
  direct: { baseURL: process.env.DIRECT_URL, apiKey: "anything" },
  weir: { baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY },
};

// A fetch that keeps the heads of the answers in `heads`.
export function keepingFetch(heads) {
  return async (input, options) => {
    const answer = await fetch(input, options);
    const url = new URL(input.url ?? input);
    if (url.protocol === "data:") return answer; // the official package tries out what fetch can send
    heads.push({
      path: url.pathname,
      status: answer.status,
      type: answer.headers.get("content-type"),
      request_id: answer.headers.get("x-request-id"),
      used: answer.headers.get("x-weir-used-cu-milli"),
    });
    return answer;
  };
}

export function errorOf(error) {
  // The official package parses the body; the AI SDK keeps its text.
  const body = error.error ?? (error.responseBody ? JSON.parse(error.responseBody).error : undefined);
  return {
    error: error.constructor.name, status: error.status ?? error.statusCode ?? null, code: error.code ?? body?.code ?? null,
    error_code: body?.error_code ?? null, request_id: error.requestID ?? body?.request_id ?? null,
    message: String(error.message).slice(0, 300),
  };
}

// Bytes as text, so that they can be compared.
export const bytes = async (answer) => Buffer.from(await answer.arrayBuffer()).toString("hex");
export const all = async (iterable) => {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
};

// `make(side, fetch)` gives the client (whatever the calls take); `calls` is {name: async (client) => value}.
export async function run(make, calls) {
  const heads = [];
  const clients = {
    direct: make(sides.direct, fetch),
    weir: make(sides.weir, keepingFetch(heads)),
  };
  for (const [name, call] of Object.entries(calls)) {
    const row = { name };
    heads.length = 0;
    for (const side of ["direct", "weir"]) {
      try {
        row[side] = (await call(clients[side], side)) ?? null;
      } catch (error) {
        row[side] = errorOf(error);
      }
    }
    row.heads = [...heads];
    console.log(JSON.stringify(row));
  }
}
