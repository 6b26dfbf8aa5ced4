import { KEY, LIMITED, Server } from "./support/server.ts";
import { enter, expect, test } from "./support/test.ts";
import { Upstream } from "./support/upstream.ts";

/** Asks, and reads all of the answer. */
async function complete(server: Server, model: string, key = KEY): Promise<void> {
  const body = JSON.stringify({
    model,
    stream: true,
    messages: [{ role: "user", content: "Which cats are available?" }],
  });
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  await (await fetch(`${server.url}v1/chat/completions`, { method: "POST", headers, body })).text();
}

const CHARTS = [
  "Requests a second",
  "Streams in flight",
  "Tokens a second",
  "Time to first token",
  "Gaps between tokens",
] as const;

for (const [how, query] of [
  ["from the stream", ""],
  ["by asking again", "?transport=poll"],
] as const) {
  test(`charts fill and tables follow, ${how}`, async ({ page, stops }) => {
    // The first answers slowly enough for gaps, the others never end.
    let served = 0;
    const upstream = await Upstream.start(async (told) => {
      served += 1;
      if (served > 1) return void told.say("on and on");
      for (let n = 0; n < 20; n += 1) {
        told.say("word ");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      told.finish(20);
    });
    stops.push(upstream);
    const server = await Server.start(upstream.models());
    stops.push(server);
    await complete(server, "m");
    await enter(page, `${server.url}${query}#/traffic`);
    // What was before this page was, is there.
    const rows = page.locator("#recent tbody tr");
    await expect(rows).toHaveCount(1);
    await expect(rows.first()).toContainText(/firstm127\.0\.0\.1:\d+\/v1#mCompleted200720/);
    await expect(page.locator("#upstreams tbody tr")).toContainText(/^m127\.0\.0\.1:\d+\/v1#mIn0/);
    await expect(page.getByText("No limit has refused anything.")).toBeVisible();

    const endless = new AbortController();
    const headers = { authorization: `Bearer ${KEY}`, "content-type": "application/json" };
    const body = JSON.stringify({ model: "m", stream: true, messages: [{ role: "user", content: "x" }] });
    const { signal } = endless;
    await fetch(`${server.url}v1/chat/completions`, { method: "POST", headers, body, signal });
    await complete(server, "petstore-ai");
    for (let n = 0; n < 2; n += 1) await complete(server, "petstore-ai", LIMITED);

    const chart = (title: string) => page.locator(".chart").filter({ hasText: title });
    await expect(chart("Streams in flight").locator("b")).toHaveText("1");
    await expect(page.locator("#upstreams tbody tr")).toContainText(/In1/);
    await expect(page.locator("#limits tbody tr")).toHaveText("RequestsA key's1");
    // Of the two that were limited one never became a completion.
    await expect(rows).toHaveCount(3);
    endless.abort();
    await expect(rows.filter({ hasText: "Client gone" })).toHaveCount(1);
    await expect(rows).toHaveCount(4);
    await expect(chart("Streams in flight").locator("b")).toHaveText("0");
    for (const title of CHARTS) {
      const plot = chart(title).getByRole("img");
      await expect(plot).toHaveAccessibleName(new RegExp(`^${title}, the last five minutes. Now: `));
      await expect.poll(() => plot.locator("canvas").evaluate(coloured), { message: title }).toBeGreaterThan(20);
    }
    // Under the pointer a chart tells of that moment.
    const { width = 0, height = 0 } = (await chart(CHARTS[0]).locator(".plot").boundingBox()) ?? {};
    await chart(CHARTS[0])
      .locator(".plot")
      .hover({ position: { x: width - 8, y: height / 2 } });
    await expect(chart(CHARTS[0]).locator(".when")).toHaveText(/^\d\d:\d\d:\d\d$/);
  });
}

/** How many pixels of a chart have one of the lines' colours, and not that of the grid. */
function coloured(canvas: Element): number {
  if (!(canvas instanceof HTMLCanvasElement)) return 0;
  const { data = [] } = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? {};
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red = 0, green = 0, blue = 0, alpha = 0] = data.slice(at, at + 4);
    if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count += 1;
  }
  return count;
}

test("a server that was away goes on where it began anew", async ({ page, server }) => {
  await complete(server, "petstore-ai");
  await enter(page, `${server.url}#/traffic`);
  const rows = page.locator("#recent tbody tr");
  await expect(rows).toHaveCount(1);
  await server.kill();
  await expect(page.locator("#traffic-line")).toHaveText("The server can't be reached.");
  await server.restart();
  await complete(server, "petstore-ai");
  await expect(rows).toHaveCount(2);
  await expect(page.locator("#traffic-line")).toContainText("running since");
});
