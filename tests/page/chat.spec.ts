import { execFile } from "node:child_process";
import { promisify } from "node:util";

import type { Page } from "@playwright/test";

import { KEY, LIMITED, Server } from "./support/server.ts";
import { card, expect, openLive, type Stoppables, showAll, signIn, test } from "./support/test.ts";
import { type Answer, type Script, Upstream } from "./support/upstream.ts";

const run = promisify(execFile);

/** A server with an upstream that runs this script. */
async function startWithUpstream(
  stoppables: Stoppables,
  script: Script,
): Promise<{ server: Server; upstream: Upstream }> {
  const upstream = await Upstream.start(script);
  stoppables.push(upstream);
  const server = await Server.start(upstream.models());
  stoppables.push(server);
  return { server, upstream };
}

async function open(page: Page, server: Server, model: string): Promise<void> {
  await signIn(page, `${server.url}#/chat`);
  await expect(page.getByLabel("Model").getByRole("option", { name: model })).toBeAttached();
  await page.getByLabel("Model").selectOption(model);
}

async function ask(page: Page, text: string): Promise<void> {
  await page.getByLabel("Message").fill(text);
  await page.getByLabel("Message").press("Enter");
}

const answer = (page: Page) => page.locator(".message.assistant").last();
const fact = (page: Page, name: string) => answer(page).locator(`[data-fact="${name}"]`);

test("models that do not chat are not offered", async ({ page, stoppables }) => {
  const serving = (name: string, apis: string[]) => ({
    name,
    upstreams: [{ base_url: "http://127.0.0.1:9/v1", apis }],
  });
  const server = await Server.start({ models: [serving("m", ["completions", "chat"]), serving("e", ["embeddings"])] });
  stoppables.push(server);
  await open(page, server, "m");
  await expect(page.getByLabel("Model").getByRole("option")).toHaveText(["petstore-ai", "m"]);
});

test("the local model's answer is streamed and its timing, usage and finish reason are shown", async ({
  page,
  server,
}) => {
  await open(page, server, "petstore-ai");
  await page.getByRole("button", { name: "Which cats are available?" }).click();
  await expect(fact(page, "finish")).toHaveText("stop");
  const cats = (await server.pets()).filter(({ species, status }) => species === "CAT" && status === "AVAILABLE");
  await expect(answer(page).locator("li strong")).toHaveText(cats.map(({ name }) => name));
  await expect(fact(page, "ttft")).toHaveText(/^[\d.]+ m?s$/);
  await expect(fact(page, "rate")).toHaveText(/^[\d.,]+$/);
  await expect(fact(page, "usage")).toHaveText(/^\d+ in, \d+ out$/);

  // A follow-up refers to the answer before.
  await ask(page, "Which of them is the cheapest?");
  await expect(page.locator(".message.assistant")).toHaveCount(2);
  await expect(fact(page, "finish")).toHaveText("stop");
  await page.getByLabel("Max tokens").fill("3");
  await ask(page, "Which dogs are available?");
  await expect(fact(page, "finish")).toHaveText("length");
  await expect(fact(page, "usage")).toHaveText(/, 3 out$/);
  await page.getByRole("button", { name: "New conversation" }).click();
  await expect(page.locator(".message")).toHaveCount(0);
});

test("an order in another tab is announced in the chat, and the next answer is based on it", async ({
  context,
  server,
}) => {
  const [chat, store] = [await context.newPage(), await context.newPage()];
  await openLive(store, server.url);
  await open(chat, server, "petstore-ai");
  const pet = await server.available("CAT");
  await ask(chat, "Which cats are available?");
  await expect(fact(chat, "finish")).toHaveText("stop");
  await expect(answer(chat)).toContainText(pet.name);
  await store.bringToFront();
  await showAll(store);
  await card(store, pet).getByRole("button").click();
  await expect(chat.locator(".strip")).toContainText(`${pet.name}: available → pending`);
  await ask(chat, "Which cats are available?");
  await expect(chat.locator(".message.assistant")).toHaveCount(2);
  await expect(fact(chat, "finish")).toHaveText("stop");
  await expect(answer(chat)).not.toContainText(pet.name);
});

test("tokens are shown as they arrive, and Stop cancels the upstream request", async ({ page, stoppables }) => {
  let disconnected = false;
  const { server, upstream } = await startWithUpstream(stoppables, (upstreamAnswer: Answer) => {
    upstreamAnswer.sendText("One ", "two ", "three");
    void upstreamAnswer.closed.then(() => {
      disconnected = true;
    });
  });
  await open(page, server, "m");
  await page.getByLabel("System prompt").fill("Count.");
  await page.getByLabel("Temperature").fill("0.5");
  await ask(page, "Go on");
  await expect(answer(page).locator("p").first()).toHaveText("One two three");
  await expect(fact(page, "finish")).toHaveText("streaming");
  await expect(fact(page, "usage")).toHaveText("≈ 3 out");
  expect(disconnected).toBe(false);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(fact(page, "finish")).toHaveText("stopped by you");
  await expect.poll(() => disconnected).toBe(true);
  await expect(page.getByLabel("Message")).toBeFocused();
  expect(upstream.requests[0]).toMatchObject({
    temperature: 0.5,
    stream: true,
    messages: [
      { role: "system", content: "Count." },
      { role: "user", content: "Go on" },
    ],
  });
  await expect(page.getByRole("button", { name: "Send" })).toBeVisible();
});

test("errors are shown with their status, type and code", async ({ page, stoppables }) => {
  const scripts: Script[] = [
    (upstreamAnswer) =>
      upstreamAnswer.sendError(400, { message: "No such tool.", type: "invalid_request_error", code: "bad_tool" }),
    (upstreamAnswer) => {
      upstreamAnswer.sendText("Half an ans");
      setTimeout(() => upstreamAnswer.cut(), 200);
    },
    (upstreamAnswer) => upstreamAnswer.sendText("Whole.").finish(1),
  ];
  const { server } = await startWithUpstream(stoppables, (upstreamAnswer) => scripts.shift()?.(upstreamAnswer));
  await open(page, server, "m");
  const problem = answer(page).getByRole("alert");

  await ask(page, "Refuse");
  await expect(problem).toContainText("HTTP 400 · invalid_request_error · bad_tool");
  await expect(problem).toContainText("No such tool.");
  await expect(fact(page, "finish")).toHaveText("failed");

  await ask(page, "Break");
  await expect(answer(page).locator(".markdown")).toHaveText("Half an ans");
  await expect(problem).toContainText("upstream_closed");

  await ask(page, "Be well");
  await expect(answer(page).locator(".markdown")).toHaveText("Whole.");
  await expect(fact(page, "usage")).toHaveText("7 in, 1 out");
  await expect(problem).toHaveCount(0);

  await server.kill();
  await ask(page, "Is anybody there?");
  await expect(problem).toContainText("The server can't be reached.");
  await server.restart();
});

test("an exceeded rate limit shows when to try again", async ({ page, server }) => {
  await signIn(page, `${server.url}#/chat`, LIMITED);
  // Requests to the store count too.
  await ask(page, "Which cats are available?");
  await expect(answer(page)).not.toHaveClass(/busy/);
  await ask(page, "Which dogs are available?");
  await expect(answer(page).getByRole("alert")).toContainText("HTTP 429");
  await expect(answer(page).getByRole("alert")).toContainText(/Try again in \d+ s\./);
});

const HOSTILE = `# <img src=x onerror="window.hacked=1"> title

<script>window.hacked=1</script>

A [link](javascript:window.hacked=1), [another](data:text/html,<script>window.hacked=1</script>), ![picture](http://evil.example/x.png)
and <a href="http://evil.example" onclick="window.hacked=1">html</a> with &lt;i&gt; &amp; **bold** \`<code>\`.

| a | b |
|---|---|
| <iframe src="http://evil.example"></iframe> | 2 |

\`\`\`html
<script>window.hacked=1</script>
\`\`\`

- [ ] one
- [fine](https://example.org/path)

<svg><animate onbegin=window.hacked=1></svg>
`;

test("the output of a model never becomes HTML, whole or in pieces", async ({ page, stoppables }) => {
  const { server } = await startWithUpstream(stoppables, (upstreamAnswer) => {
    for (let at = 0; at < HOSTILE.length; at += 7) upstreamAnswer.sendText(HOSTILE.slice(at, at + 7));
    upstreamAnswer.finish(9);
  });
  await open(page, server, "m");
  await ask(page, "Hack me");
  await expect(fact(page, "finish")).toHaveText("stop");
  const text = answer(page).locator(".markdown");
  await expect(text.locator("h3")).toHaveText('<img src=x onerror="window.hacked=1"> title');
  await expect(text).toContainText("with <i> & bold");
  await expect(text.locator("pre")).toHaveText("<script>window.hacked=1</script>");
  await expect(text.locator("td").first()).toHaveText('<iframe src="http://evil.example"></iframe>');
  await expect(text.locator("strong")).toHaveText("bold");
  expect(await text.locator("script, img, iframe, svg, style, object, [onclick], [onerror]").count()).toBe(0);
  // The image, which is shown as a link, and the harmless link.
  const links = await text.locator("a").evaluateAll((all) => all.map((one) => one.getAttribute("href")));
  expect(links).toEqual(["http://evil.example/x.png", "https://example.org/path"]);
  expect(await page.evaluate(() => "hacked" in window)).toBe(false);
});

test("the snippets send the same request and do not contain the key", async ({ page, server, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(page, server, "petstore-ai");
  await page.getByLabel("System prompt").fill('It\'s "quoted" \\ and new\nline');
  await page.getByLabel("Message").fill("Which cats aren't available?");
  await page.getByText("The same with curl or Python").click();
  await page.getByRole("button", { name: "Copy curl" }).click();
  const curl = await page.evaluate(() => navigator.clipboard.readText());
  await page.getByRole("button", { name: "Copy Python" }).click();
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain("from openai import OpenAI");
  const python = await page.evaluate(() => navigator.clipboard.readText());
  expect(curl + python).not.toContain(KEY);

  const { stdout } = await run("bash", ["-c", curl], { env: { PATH: process.env.PATH, PETSTREAM_KEY: KEY } });
  expect(stdout).toMatch(/data: \[DONE\]\n+$/);
  expect(stdout).toContain('"usage":{');
  // Parsed as Python does it.
  const read = `import ast, json, sys
call = next(n for n in ast.walk(ast.parse(sys.argv[1])) if isinstance(n, ast.Call) and n.func.attr == "create")
print(json.dumps({k.arg: ast.literal_eval(k.value) for k in call.keywords}))`.replace(
    "isinstance(n, ast.Call) and",
    "isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and",
  );
  const { stdout: parsed } = await run("python3", ["-c", read, python]);
  expect(JSON.parse(parsed)).toEqual({
    model: "petstore-ai",
    messages: [
      { role: "system", content: 'It\'s "quoted" \\ and new\nline' },
      { role: "user", content: "Which cats aren't available?" },
    ],
    stream: true,
    stream_options: { include_usage: true },
  });
});
