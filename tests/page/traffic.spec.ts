import { Redis } from "./support/redis.ts";
import { KEY, LIMITED, Server } from "./support/server.ts";
import { expect, signIn, test } from "./support/test.ts";
import { Upstream } from "./support/upstream.ts";

/** Sends a completion request and reads the whole answer. */
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
  test(`charts and tables show new requests, ${how}`, async ({ page, stoppables }) => {
    // The first answer has gaps between its tokens; the others never end.
    let served = 0;
    const upstream = await Upstream.start(async (told) => {
      served += 1;
      if (served > 1) return void told.sendText("on and on");
      for (let n = 0; n < 20; n += 1) {
        told.sendText("word ");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      told.finish(20);
    });
    stoppables.push(upstream);
    const server = await Server.start(upstream.models());
    stoppables.push(server);
    await complete(server, "m");
    await signIn(page, `${server.url}${query}#/traffic`);
    // Requests from before the page was opened are shown.
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
    // Of the two requests of the limited key, one was rejected before it became a completion.
    await expect(rows).toHaveCount(3);
    endless.abort();
    await expect(rows.filter({ hasText: "Client gone" })).toHaveCount(1);
    await expect(rows).toHaveCount(4);
    await expect(chart("Streams in flight").locator("b")).toHaveText("0");
    for (const title of CHARTS) {
      const plot = chart(title).getByRole("img");
      await expect(plot).toHaveAccessibleName(new RegExp(`^${title}, the last five minutes. Now: `));
      await expect.poll(() => plot.locator("canvas").evaluate(countLinePixels), { message: title }).toBeGreaterThan(20);
    }
    // A chart shows the values under the pointer.
    const { width = 0, height = 0 } = (await chart(CHARTS[0]).locator(".plot").boundingBox()) ?? {};
    await chart(CHARTS[0])
      .locator(".plot")
      .hover({ position: { x: width - 8, y: height / 2 } });
    await expect(chart(CHARTS[0]).locator(".when")).toHaveText(/^\d\d:\d\d:\d\d$/);
  });
}

/** The number of pixels of a chart with the color of a line, not of the grid. */
function countLinePixels(canvas: Element): number {
  if (!(canvas instanceof HTMLCanvasElement)) return 0;
  const { data = [] } = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? {};
  let count = 0;
  for (let at = 0; at < data.length; at += 4) {
    const [red = 0, green = 0, blue = 0, alpha = 0] = data.slice(at, at + 4);
    if (alpha > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count += 1;
  }
  return count;
}

test("the statistics continue after a restart of the server", async ({ page, server }) => {
  await complete(server, "petstore-ai");
  await signIn(page, `${server.url}#/traffic`);
  const rows = page.locator("#recent tbody tr");
  await expect(rows).toHaveCount(1);
  await server.kill();
  await expect(page.locator("#traffic-line")).toHaveText("The server can't be reached.");
  await server.restart();
  await complete(server, "petstore-ai");
  await expect(rows).toHaveCount(2);
  await expect(page.locator("#traffic-line")).toContainText("running since");
});

test("errors of the configuration, and settings that need a restart, are shown until they are gone", async ({
  page,
  server,
}) => {
  await signIn(page, `${server.url}#/traffic`);
  const notice = page.getByRole("region", { name: "Configuration" });
  await expect(page.locator("#traffic-line")).toContainText("running since");
  await expect(notice).toBeHidden();
  await server.reload({ page: "<b>maybe</b>", hold: "soon" });
  await expect(notice).toContainText("The configuration file has 2 errors.");
  await expect(notice.getByRole("listitem").filter({ hasText: 'found "<b>maybe</b>"' })).toHaveCount(1);
  await server.reload({ threads: 7 });
  await expect(notice).toHaveText("Changed settings need a restart: threads.");
  await server.reload({});
  await expect(notice).toBeHidden();
});

test("all replicas are shown while there are several, and what is not known without Redis", async ({
  page,
  stoppables,
}) => {
  const redis = await Redis.start();
  stoppables.push(redis);
  const configuration = { redis: { url: redis.url } };
  const server = await Server.start(configuration);
  stoppables.push(server);
  await signIn(page, `${server.url}#/traffic`);
  const line = page.locator("#traffic-line");
  const replicas = page.getByRole("region", { name: "Replicas" });
  await expect(line).toContainText("running since");
  await expect(replicas).toBeHidden();
  const other = await Server.start(configuration);
  await expect(line).toContainText(/, replica [0-9a-f]{16}, one of 2, running since/);
  await expect(replicas.locator("tbody tr")).toHaveCount(2);
  const { replica } = await other.request<{ replica: string }>("GET", "api/stats");
  await expect(replicas.locator("tbody tr").filter({ hasText: replica })).toContainText(/0\.1\.0/);
  await other.stop();
  await expect(replicas).toBeHidden();

  const third = await Server.start(configuration);
  stoppables.push(third);
  await expect(replicas.locator("tbody tr")).toHaveCount(2);
  await redis.kill();
  await expect(replicas).toContainText("Redis can't be reached.");
  await expect(line).toContainText("one of 2");
});
