import type { Page } from "@playwright/test";

import { Gateway } from "./support/gateway.ts";
import { READER, type Server } from "./support/server.ts";
import { agrees, badge, card, enterLive, expect, isLive, showAll, test } from "./support/test.ts";

/** Changes of all kinds, by somebody else. */
async function happenings(server: Server, name: string): Promise<void> {
  const pet = await server.available();
  const order = await server.ask<{ id: string }>("POST", "api/orders", { petId: pet.id });
  await server.add(name);
  await server.ask("PATCH", `api/orders/${order.id}`, { status: "APPROVED" });
  await server.patch(await server.available(), { status: "ADOPTED" });
}

test("killed and started again, it is back with nothing missed and nothing doubled", async ({ page, server }) => {
  await enterLive(page, server.url);
  for (const name of ["Before", "After", "Once more"]) {
    await happenings(server, name);
    await expect(page.locator("#events")).toContainText(`${name} is new in the store`);
    await server.kill();
    await expect(badge(page)).toHaveText(/^Reconnecting in \d+ s$/);
    await server.restart();
    // While nobody listens.
    await happenings(server, `${name}, away`);
    await isLive(page);
    await expect(page.locator("#events")).toContainText(`${name}, away is new in the store`);
    await agrees(page, server);
  }
});

test("who can't wait for the next attempt presses the badge", async ({ page, server }) => {
  await enterLive(page, server.url);
  await server.kill();
  await expect(badge(page)).toHaveText(/^Reconnecting in [4-9] s$/);
  await server.restart();
  await badge(page).click();
  await isLive(page);
});

test("a server with another log is told, and everything is read anew", async ({ page, server }) => {
  await enterLive(page, server.url);
  await happenings(server, "Lost");
  await expect(page.locator("#events")).toContainText("Lost is new in the store");
  await server.kill();
  await server.restart(true);
  await expect(badge(page)).toHaveText("Live · reset and refetched");
  await expect(page.locator(".shown")).toHaveText(/of 56 pets$/);
  await showAll(page);
  await expect(page.locator(".pet h3", { hasText: "Lost" })).toHaveCount(0);
  await happenings(server, "Found");
  await expect(page.locator(".pet h3", { hasText: "Found" })).toHaveCount(1);
});

test("without a network it says so, and comes back with what was missed", async ({ page, context, server }) => {
  await enterLive(page, server.url);
  await context.setOffline(true);
  await expect(badge(page)).toHaveText("Offline");
  await happenings(server, "Unheard");
  await context.setOffline(false);
  await isLive(page);
  await agrees(page, server);
});

test("six tabs share one connection, and it outlives the first of them", async ({ context, server }) => {
  const tabs: Page[] = [];
  for (let n = 0; n < 6; n += 1) {
    const page = await context.newPage();
    await enterLive(page, server.url);
    tabs.push(page);
  }
  expect(await server.subscribers()).toBe(1);
  await happenings(server, "For six");
  for (const page of tabs) await agrees(page, server);
  await tabs.shift()?.close();
  await happenings(server, "For five");
  for (const page of tabs) {
    await agrees(page, server);
    await isLive(page);
  }
  expect(await server.subscribers()).toBe(1);
});

test("a tab that comes late, and one that was asleep, are told what they missed", async ({ context, server }) => {
  const early = await context.newPage();
  await enterLive(early, server.url);
  await happenings(server, "Early");
  const late = await context.newPage();
  await enterLive(late, server.url);
  for (const page of [early, late]) await agrees(page, server);
  // As the browser would do it to a page that it keeps for the way back.
  await late.evaluate(() => dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true })));
  await happenings(server, "Asleep");
  await expect(early.locator("#events")).toContainText("Asleep is new in the store");
  await expect(late.locator("#events")).not.toContainText("Asleep is new in the store");
  await late.evaluate(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
  for (const page of [early, late]) await agrees(page, server);
  expect(await server.subscribers()).toBe(1);
});

test("without a shared worker one tab is elected, and when it goes another one", async ({ context, server }) => {
  await context.addInitScript(() => Reflect.deleteProperty(window, "SharedWorker"));
  const tabs: Page[] = [];
  for (let n = 0; n < 3; n += 1) {
    const page = await context.newPage();
    await enterLive(page, server.url);
    tabs.push(page);
  }
  expect(await server.subscribers()).toBe(1);
  await happenings(server, "First");
  for (const page of tabs) await agrees(page, server);
  await tabs.shift()?.close();
  await happenings(server, "Between");
  for (const page of tabs) {
    await agrees(page, server);
    await isLive(page);
  }
  await expect.poll(() => server.subscribers()).toBe(1);
});

test("a browser that can share nothing has a connection of its own", async ({ context, server }) => {
  await context.addInitScript(() => {
    for (const name of ["SharedWorker", "BroadcastChannel"]) Reflect.deleteProperty(window, name);
  });
  const [one, other] = [await context.newPage(), await context.newPage()];
  for (const page of [one, other]) await enterLive(page, server.url);
  expect(await server.subscribers()).toBe(2);
  await happenings(server, "Each");
  for (const page of [one, other]) await agrees(page, server);
});

for (const [how, path, prepare] of [
  ["where it is asked for", "?transport=poll", () => {}],
  ["without EventSource", "", () => Reflect.deleteProperty(window, "EventSource")],
] as const) {
  test(`it polls with the same cursors ${how}`, async ({ page, server, stops }) => {
    const gateway = await Gateway.start(server.url, "/");
    stops.push(gateway);
    await page.addInitScript(prepare);
    await enterLive(page, `${gateway.url}${path}`);
    await expect(badge(page)).toHaveText("Live (polling)");
    await happenings(server, "Polled");
    await agrees(page, server);
    await server.kill();
    await expect(badge(page)).toHaveText(/^Reconnecting in \d+ s$/);
    await server.restart();
    await happenings(server, "Polled again");
    await expect(badge(page)).toHaveText("Live (polling)");
    await agrees(page, server);
    const asked = gateway.seen.filter((line) => line.includes("/api/events?"));
    expect(asked.filter((line) => !/[?&](after|wait)=/.test(line))).toEqual([]);
    expect(asked.some((line) => line.includes("wait=25"))).toBe(true);
  });
}

test("a connection that broke is left to the browser, and what it missed is caught up with", async ({
  page,
  server,
  stops,
}) => {
  const gateway = await Gateway.start(server.url, "/");
  stops.push(gateway);
  await enterLive(page, gateway.url);
  gateway.hold();
  const admit = gateway.delay();
  gateway.cut();
  await expect(badge(page)).toHaveText("Reconnecting…");
  await happenings(server, "Missed");
  admit();
  await expect(badge(page)).toHaveText("Catching up…");
  await expect(page.locator("#events")).not.toContainText("Missed is new in the store");
  gateway.release();
  await isLive(page);
  await agrees(page, server);
  const asked = gateway.seen.filter((line) => line.includes("/api/events?") && !line.includes("after="));
  // The same address again: it was the browser.
  expect(new Set(asked).size).toBe(1);
  expect(asked.length).toBeGreaterThan(1);
});

test("an event that was lost on its way is missed, and everything is read anew", async ({ page, server, stops }) => {
  const gateway = await Gateway.start(server.url, "/");
  stops.push(gateway);
  await enterLive(page, gateway.url);
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

test("tabs with different keys have connections of their own, and both come back", async ({ context, server }) => {
  const [one, other] = [await context.newPage(), await context.newPage()];
  await enterLive(one, server.url);
  await enterLive(other, server.url, READER);
  expect(await server.subscribers()).toBe(2);
  await server.kill();
  for (const page of [one, other]) await expect(badge(page)).toHaveText(/^Reconnecting/);
  await server.restart();
  await happenings(server, "For both");
  for (const page of [one, other]) {
    await isLive(page);
    await agrees(page, server);
  }
  // The one that may sees statistics come, whoever signed in last.
  await one.getByRole("link", { name: "Traffic" }).click();
  await expect(one.locator("#traffic-line")).toContainText("2 event streams");
});

test("below a path of a proxy everything works", async ({ page, server, stops }) => {
  const gateway = await Gateway.start(server.url, "/shop/");
  stops.push(gateway);
  await page.goto(`${gateway.url}`);
  await enterLive(page, gateway.url);
  const pet = await server.available();
  await showAll(page);
  await card(page, pet).getByRole("button").click();
  await expect(page.locator("#orders")).toContainText(pet.name);
  await agrees(page, server);
  expect(gateway.seen.filter((line) => !/^[A-Z]+ \/shop\//.test(line) && !line.endsWith("/favicon.ico"))).toEqual([]);
});

test.describe("below a path that the server knows", () => {
  test.use({ configuration: { public_path: "/shop/" } });

  test("pages, cookies and streams are found there", async ({ page, server, stops }) => {
    for (let n = 0; n < 60; n += 1) await server.add(`Many ${n}`);
    const gateway = await Gateway.start(server.url, "/shop/");
    stops.push(gateway);
    await enterLive(page, gateway.url);
    await expect(page.locator(".shown")).toHaveText(/ of 116 pets$/);
    await expect.poll(() => gateway.streams).toBe(1);
    await happenings(server, "Shop");
    await agrees(page, server);
  });
});
