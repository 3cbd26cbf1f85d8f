// The server that this page came from.

export const UNAUTHORISED = 401;
const GONE = "The server does not answer. Is it still running? Your text is still here.";

/** A request that was not answered as asked; the message is for people, and empty where they have done
 * nothing yet. */
export class Failure extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

let token = "";

/** Send this bearer token with all that follows. */
export function useToken(value) {
  token = value;
}

/** The JSON at a path, relative to the page; `body` is sent as JSON, if there is one. */
export async function ask(path, body, signal) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  let response, answer;
  try {
    response = await fetch(path, { method, headers, body: JSON.stringify(body), signal, cache: "no-store" });
    answer = await response.text();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Failure(GONE);
  }
  const parsed = parse(answer);
  if (response.ok && parsed !== undefined) return parsed;
  throw new Failure(explanation(response, parsed?.error), response.status);
}

function parse(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined; // a proxy's page
  }
}

function explanation(response, error) {
  if (response.status === UNAUTHORISED) return token && "The server does not accept this token.";
  const said = typeof error === "string" ? error : `the server answered ${response.status} ${response.statusText}`;
  const seconds = Number(response.headers.get("Retry-After"));
  return seconds > 0 ? `${said} (wait ${seconds} s)` : said;
}
