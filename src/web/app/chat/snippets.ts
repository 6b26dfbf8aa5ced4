import { h, toast } from "../dom.ts";
import { icon } from "../icons.ts";
import { BASE } from "../session.ts";
import type { ChatRequest } from "./stream.ts";

/** The request as a curl command. The key is an environment variable, never its value. */
export function curl(request: ChatRequest, withKey: boolean): string {
  const body = JSON.stringify(request, null, 2).replaceAll("'", "'\\''");
  const key = withKey ? `  -H "Authorization: Bearer $PETSTREAM_KEY" \\\n` : "";
  return `curl -N ${BASE}v1/chat/completions \\\n${key}  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
}

/** The request in Python. JSON strings are valid Python strings. */
export function python(request: ChatRequest, withKey: boolean): string {
  const key = withKey ? 'os.environ["PETSTREAM_KEY"]' : '"none"';
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
  return `${withKey ? "import os\n\n" : ""}from openai import OpenAI

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

/** The current request for other tools, and a function that updates the element. `makeRequest` returns the request. */
export function snippets(makeRequest: () => ChatRequest, withKey: boolean): readonly [HTMLElement, () => void] {
  const part = (title: string, write: typeof curl): readonly [HTMLElement, () => void] => {
    const code = h("code");
    const copy = h(
      "button",
      { type: "button", class: "quiet small", "aria-label": `Copy ${title}` },
      icon("copy"),
      "Copy",
    );
    copy.addEventListener("click", () => void copyText(code));
    const draw = (): void => {
      code.textContent = write(makeRequest(), withKey);
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

async function copyText(code: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(code.textContent ?? "");
    toast("Copied.");
  } catch {
    // There is no clipboard outside of https and localhost, so the text is selected for the keyboard.
    getSelection()?.selectAllChildren(code);
    toast("Selected: copy it with the keyboard.");
  }
}
