import type { Page } from "@playwright/test";

import { Gateway } from "./support/gateway.ts";
import { READER, type Server } from "./support/server.ts";
import { badge, card, expect, expectInSync, isLive, openLive, showAll, test } from "./support/test.ts";

/** Changes of all kinds, made by another client. */
async function changeStore(server: Server, name: string): Promise<void> {
  const pet = await server.available();
  const order = await server.request<{ id: string }>("POST", "api/orders", { petId: pet.id });
  await server.add(name);
  await server.request("PATCH", `api/orders/${order.id}`, { status: "APPROVED" });
  await server.patch(await server.available(), { status: "ADOPTED" });
}

test("after the server was killed and restarted, no event is missing or shown twice", async ({ page, server }) => {
  await openLive(page, server.url);
  for (const name of ["Before", "After", "Once more"]) {
    await changeStore(server, name);
    await expect(page.locator("#events")).toContainText(`${name} is new in the store`);
    await server.kill();
    await expect(badge(page)).toHaveText(/^Reconnecting in \d+ s$/);
    await server.restart();
    // While the page is not connected yet.
    await changeStore(server, `${name}, away`);
    await isLive(page);
    await expect(page.locator("#events")).toContainText(`${name}, away is new in the store`);
    await expectInSync(page, server);
  }
});

test("a click on the badge reconnects at once", async ({ page, server }) => {
  await openLive(page, server.url);
  await server.kill();
  await expect(badge(page)).toHaveText(/^Reconnecting in [4-9] s$/);
  await server.restart();
  await badge(page).click();
  await isLive(page);
});

test("a server with a new event log makes the page load everything again", async ({ page, server }) => {
  await openLive(page, server.url);
  await changeStore(server, "Lost");
  await expect(page.locator("#events")).toContainText("Lost is new in the store");
  await server.kill();
  await server.restart(true);
  await expect(badge(page)).toHaveText("Live · reset and refetched");
  await expect(page.locator(".shown")).toHaveText(/of 56 pets$/);
  await showAll(page);
  await expect(page.locator(".pet h3", { hasText: "Lost" })).toHaveCount(0);
  await changeStore(server, "Found");
  await expect(page.locator(".pet h3", { hasText: "Found" })).toHaveCount(1);
});

test("the page shows that the network is down and catches up afterwards", async ({ page, context, server }) => {
  await openLive(page, server.url);
  await context.setOffline(true);
  await expect(badge(page)).toHaveText("Offline");
  await changeStore(server, "Unheard");
  await context.setOffline(false);
  await isLive(page);
  await expectInSync(page, server);
});

test("six tabs share one connection, which outlives the first tab", async ({ context, server }) => {
  const tabs: Page[] = [];
  for (let n = 0; n < 6; n += 1) {
    const page = await context.newPage();
    await openLive(page, server.url);
    tabs.push(page);
  }
  expect(await server.subscribers()).toBe(1);
  await changeStore(server, "For six");
  for (const page of tabs) await expectInSync(page, server);
  await tabs.shift()?.close();
  await changeStore(server, "For five");
  for (const page of tabs) {
    await expectInSync(page, server);
    await isLive(page);
  }
  expect(await server.subscribers()).toBe(1);
});

test("a tab that opens late and one that was suspended get the events they missed", async ({ context, server }) => {
  const early = await context.newPage();
  await openLive(early, server.url);
  await changeStore(server, "Early");
  const late = await context.newPage();
  await openLive(late, server.url);
  for (const page of [early, late]) await expectInSync(page, server);
  // As if the browser put the page into its back/forward cache.
  await late.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await changeStore(server, "Asleep");
  await expect(early.locator("#events")).toContainText("Asleep is new in the store");
  await expect(late.locator("#events")).not.toContainText("Asleep is new in the store");
  await late.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  for (const page of [early, late]) await expectInSync(page, server);
  expect(await server.subscribers()).toBe(1);
});

test("without a shared worker one tab is elected, and another one when it closes", async ({ context, server }) => {
  await context.addInitScript(() => Reflect.deleteProperty(window, "SharedWorker"));
  const tabs: Page[] = [];
  for (let n = 0; n < 3; n += 1) {
    const page = await context.newPage();
    await openLive(page, server.url);
    tabs.push(page);
  }
  expect(await server.subscribers()).toBe(1);
  await changeStore(server, "First");
  for (const page of tabs) await expectInSync(page, server);
  await tabs.shift()?.close();
  await changeStore(server, "Between");
  for (const page of tabs) {
    await expectInSync(page, server);
    await isLive(page);
  }
  await expect.poll(() => server.subscribers()).toBe(1);
});

test("without shared workers and broadcast channels each tab has its own connection", async ({ context, server }) => {
  await context.addInitScript(() => {
    for (const name of ["SharedWorker", "BroadcastChannel"]) Reflect.deleteProperty(window, name);
  });
  const [one, other] = [await context.newPage(), await context.newPage()];
  for (const page of [one, other]) await openLive(page, server.url);
  expect(await server.subscribers()).toBe(2);
  await changeStore(server, "Each");
  for (const page of [one, other]) await expectInSync(page, server);
});

for (const [how, path, prepare] of [
  ["if the URL asks for it", "?transport=poll", () => {}],
  ["without EventSource", "", () => Reflect.deleteProperty(window, "EventSource")],
] as const) {
  test(`the page polls with cursors ${how}`, async ({ page, server, stoppables }) => {
    const gateway = await Gateway.start(server.url, "/");
    stoppables.push(gateway);
    await page.addInitScript(prepare);
    await openLive(page, `${gateway.url}${path}`);
    await expect(badge(page)).toHaveText("Live (polling)");
    await changeStore(server, "Polled");
    await expectInSync(page, server);
    await server.kill();
    await expect(badge(page)).toHaveText(/^Reconnecting in \d+ s$/);
    await server.restart();
    await changeStore(server, "Polled again");
    await expect(badge(page)).toHaveText("Live (polling)");
    await expectInSync(page, server);
    const requests = gateway.seen.filter((line) => line.includes("/api/events?"));
    expect(requests.filter((line) => !/[?&](after|wait)=/.test(line))).toEqual([]);
    expect(requests.some((line) => line.includes("wait=25"))).toBe(true);
  });
}

test("after a broken connection the browser reconnects and the page catches up", async ({
  page,
  server,
  stoppables,
}) => {
  const gateway = await Gateway.start(server.url, "/");
  stoppables.push(gateway);
  await openLive(page, gateway.url);
  gateway.hold();
  const admit = gateway.delay();
  gateway.cut();
  await expect(badge(page)).toHaveText("Reconnecting…");
  await changeStore(server, "Missed");
  admit();
  await expect(badge(page)).toHaveText("Catching up…");
  await expect(page.locator("#events")).not.toContainText("Missed is new in the store");
  gateway.release();
  await isLive(page);
  await expectInSync(page, server);
  const requests = gateway.seen.filter((line) => line.includes("/api/events?") && !line.includes("after="));
  // The same URL again: the browser reconnected, not the page.
  expect(new Set(requests).size).toBe(1);
  expect(requests.length).toBeGreaterThan(1);
});

test("a lost event is noticed and the page loads everything again", async ({ page, server, stoppables }) => {
  const gateway = await Gateway.start(server.url, "/");
  stoppables.push(gateway);
  await openLive(page, gateway.url);
  await showAll(page);
  const pet = await server.available();
  gateway.losses = 1;
  await server.patch(pet, { name: "Unseen" });
  await expect.poll(() => gateway.losses).toBe(0);
  await expect(card(page, pet).locator("h3")).not.toHaveText("Unseen");
  await server.add("Another");
  await expect(badge(page)).toHaveText("Live · reset and refetched");
  await expect(badge(page)).toHaveAttribute("title", /an event was missing/);
  await expect(page.locator("#events")).toContainText("Everything was read anew: an event was missing");
  await expect(card(page, pet).locator("h3")).toHaveText("Unseen");
  await expect(page.locator(".pet h3", { hasText: "Another" })).toHaveCount(1);
});

test("tabs with different keys have separate connections, and both reconnect", async ({ context, server }) => {
  const [one, other] = [await context.newPage(), await context.newPage()];
  await openLive(one, server.url);
  await openLive(other, server.url, READER);
  expect(await server.subscribers()).toBe(2);
  await server.kill();
  for (const page of [one, other]) await expect(badge(page)).toHaveText(/^Reconnecting/);
  await server.restart();
  await changeStore(server, "For both");
  for (const page of [one, other]) {
    await isLive(page);
    await expectInSync(page, server);
  }
  // The key with the scope stats gets statistics, although the other key signed in last.
  await one.getByRole("link", { name: "Traffic" }).click();
  await expect(one.locator("#traffic-line")).toContainText("2 event streams");
});

test("the page works below a path that a proxy removes", async ({ page, server, stoppables }) => {
  const gateway = await Gateway.start(server.url, "/shop/");
  stoppables.push(gateway);
  await page.goto(`${gateway.url}`);
  await openLive(page, gateway.url);
  const pet = await server.available();
  await showAll(page);
  await card(page, pet).getByRole("button").click();
  await expect(page.locator("#orders")).toContainText(pet.name);
  await expectInSync(page, server);
  expect(gateway.seen.filter((line) => !/^[A-Z]+ \/shop\//.test(line) && !line.endsWith("/favicon.ico"))).toEqual([]);
});

test.describe("below a path that the server is configured with", () => {
  test.use({ configuration: { public_path: "/shop/" } });

  test("pages, cookies and streams work there", async ({ page, server, stoppables }) => {
    for (let n = 0; n < 60; n += 1) await server.add(`Many ${n}`);
    const gateway = await Gateway.start(server.url, "/shop/");
    stoppables.push(gateway);
    await openLive(page, gateway.url);
    await expect(page.locator(".shown")).toHaveText(/ of 116 pets$/);
    await expect.poll(() => gateway.streams).toBe(1);
    await changeStore(server, "Shop");
    await expectInSync(page, server);
  });
});
