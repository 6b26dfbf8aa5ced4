import { h, toast } from "../dom.ts";
import { icon } from "../icons.ts";
import { BASE } from "../session.ts";
import type { ChatRequest } from "./stream.ts";

/** The request as a command. The key is named, never written. */
export function curl(request: ChatRequest, keyed: boolean): string {
  const body = JSON.stringify(request, null, 2).replaceAll("'", "'\\''");
  const key = keyed ? `  -H "Authorization: Bearer $PETSTREAM_KEY" \\\n` : "";
  return `curl -N ${BASE}v1/chat/completions \\\n${key}  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
}

/** The request in Python. A JSON string is one of Python's, too. */
export function python(request: ChatRequest, keyed: boolean): string {
  const key = keyed ? 'os.environ["PETSTREAM_KEY"]' : '"none"';
  const messages = request.messages.map(
    ({ role, content }) => `        {"role": ${JSON.stringify(role)}, "content": ${JSON.stringify(content)}},`,
  );
  const options = [
    `    model=${JSON.stringify(request.model)},`,
    `    messages=[\n${messages.join("\n")}\n    ],`,
    request.temperature === undefined ? "" : `    temperature=${request.temperature},`,
    request.max_tokens === undefined ? "" : `    max_tokens=${request.max_tokens},`,
    "    stream=True,",
    '    stream_options={"include_usage": True},',
  ].filter(Boolean);
  return `${keyed ? "import os\n\n" : ""}from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(`${BASE}v1`)}, api_key=${key})
stream = client.chat.completions.create(
${options.join("\n")}
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    if chunk.usage:
        print("\\n", chunk.usage)
`;
}

/** The present request, for other tools. `make` says what it is; the function that comes with the element looks again. */
export function snippets(make: () => ChatRequest, keyed: boolean): readonly [HTMLElement, () => void] {
  const part = (title: string, write: typeof curl): readonly [HTMLElement, () => void] => {
    const code = h("code");
    const copy = h(
      "button",
      { type: "button", class: "quiet small", "aria-label": `Copy ${title}` },
      icon("copy"),
      "Copy",
    );
    copy.addEventListener("click", () => void put(code));
    const draw = (): void => {
      code.textContent = write(make(), keyed);
    };
    const pre = h("pre", { tabindex: "0", "aria-label": title }, code);
    return [h("div", { class: "snippet" }, h("div", { class: "title" }, h("h3", { text: title }), copy), pre), draw];
  };
  const [[bash, drawBash], [py, drawPython]] = [part("curl", curl), part("Python", python)];
  const details = h("details", { class: "snippets" }, h("summary", { text: "The same with curl or Python" }), bash, py);
  const draw = (): void => {
    if (!details.open) return;
    drawBash();
    drawPython();
  };
  details.addEventListener("toggle", draw);
  return [details, draw];
}

async function put(code: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(code.textContent ?? "");
    toast("Copied.");
  } catch {
    // No clipboard outside of https and localhost: it can still be taken by hand.
    getSelection()?.selectAllChildren(code);
    toast("Selected: copy it with the keyboard.");
  }
}
