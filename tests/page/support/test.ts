import { type BrowserContext, test as base, expect, type Page } from "@playwright/test";

import { KEY, type Pet, Server } from "./server.ts";

/** What a test has started. */
export type Stops = { stop(): Promise<void> }[];

interface Fixtures {
  /** What the server is configured with, besides keys. */
  configuration: object;
  server: Server;
  /** Stops these when the test is over, however it ends. */
  stops: Stops;
  /** Fails the test if the page did what no page of ours may do. */
  guard: undefined;
}

export const test = base.extend<Fixtures>({
  configuration: [{}, { option: true }],

  server: async ({ configuration }, use) => {
    const server = await Server.start(configuration);
    await use(server);
    await server.stop();
  },

  // biome-ignore lint/correctness/noEmptyPattern: Playwright asks for it.
  stops: async ({}, use) => {
    const stops: Stops = [];
    await use(stops);
    // The newest first, so that none loses what it talks to.
    for (const one of stops.toReversed()) await one.stop();
  },

  guard: [
    async ({ context }, use) => {
      const wrong = watch(context);
      await use(undefined);
      expect(wrong).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** Notes requests to other hosts, broken policies, and errors that nobody caught. */
export function watch(context: BrowserContext): string[] {
  const wrong: string[] = [];
  context.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && hostname !== "127.0.0.1") wrong.push(`request to ${request.url()}`);
  });
  context.on("console", (message) => {
    const text = message.text();
    if (/content security policy|refused to/i.test(text)) wrong.push(text);
  });
  context.on("weberror", (error) => wrong.push(String(error.error().stack)));
  return wrong;
}

/** Opens the page and signs in. */
export async function enter(page: Page, url: string, key = KEY): Promise<void> {
  await page.goto(url);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation")).toBeVisible();
}

/** As `enter`, until the store is there and live. */
export async function enterLive(page: Page, url: string, key = KEY): Promise<void> {
  await enter(page, url, key);
  await expect(page.locator(".pet").first()).toBeVisible();
  await isLive(page);
}

export const badge = (page: Page) => page.locator(".connection");
export const isLive = (page: Page) => expect(badge(page)).toHaveText(/^Live/);
export const card = (page: Page, { id }: { id: string }) => page.locator(`.pet[data-id="${id}"]`);

/** Shows all pets that are loaded. */
export async function showAll(page: Page): Promise<void> {
  const more = page.getByRole("button", { name: /^Show more/ });
  // Not by the mouse, which waits for frames that a tab in the background does not draw.
  while (await more.isVisible()) await more.evaluate((button: HTMLElement) => button.click());
}

/** The statuses of the pets that the page shows. */
export async function shownPets(page: Page): Promise<Record<string, string>> {
  await showAll(page);
  const entries = await page
    .locator(".pet")
    .evaluateAll((cards) => cards.map((one) => [one.dataset.id ?? "", one.dataset.status ?? ""] as const));
  expect(new Set(entries.map(([id]) => id)).size).toBe(entries.length);
  return Object.fromEntries(entries);
}

/** The ids of the events that the page lists, oldest first. */
export async function shownEvents(page: Page): Promise<string[]> {
  const ids = await page.locator("#events li").evaluateAll((rows) => rows.map((row) => row.dataset.id ?? ""));
  return ids.toReversed();
}

/** Whether the page shows what the server has: every pet as it is, and every event once, in its order. */
export async function agrees(page: Page, server: Server): Promise<void> {
  const events = (await server.events()).map(({ id }) => id);
  await expect.poll(() => shownEvents(page)).toEqual(events.slice(-60));
  const pets = Object.fromEntries((await server.pets()).map(({ id, status }: Pet) => [id, status]));
  await expect.poll(() => shownPets(page)).toEqual(pets);
}
