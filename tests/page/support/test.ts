import { type BrowserContext, test as base, expect, type Page } from "@playwright/test";

import { KEY, type Pet, Server } from "./server.ts";

/** What a test has started and must stop. */
export type Stoppables = { stop(): Promise<void> }[];

interface Fixtures {
  /** The server's configuration besides the keys. */
  configuration: object;
  server: Server;
  /** Stopped when the test ends, successfully or not. */
  stoppables: Stoppables;
  /** Fails the test if [watchForViolations] found anything. */
  guard: undefined;
}

export const test = base.extend<Fixtures>({
  configuration: [{}, { option: true }],

  server: async ({ configuration }, use) => {
    const server = await Server.start(configuration);
    await use(server);
    await server.stop();
  },

  // biome-ignore lint/correctness/noEmptyPattern: Playwright requires it.
  stoppables: async ({}, use) => {
    const stoppables: Stoppables = [];
    await use(stoppables);
    // In reverse order, so that none loses a peer that it uses.
    for (const one of stoppables.toReversed()) await one.stop();
  },

  guard: [
    async ({ context }, use) => {
      const violations = watchForViolations(context);
      await use(undefined);
      expect(violations).toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

/** Collects requests to other hosts, violations of the content security policy, and uncaught errors. */
export function watchForViolations(context: BrowserContext): string[] {
  const violations: string[] = [];
  context.on("request", (request) => {
    const { hostname, protocol } = new URL(request.url());
    if (protocol.startsWith("http") && hostname !== "127.0.0.1") violations.push(`request to ${request.url()}`);
  });
  context.on("console", (message) => {
    const text = message.text();
    if (/content security policy|refused to/i.test(text)) violations.push(text);
  });
  context.on("weberror", (error) => violations.push(String(error.error().stack)));
  return violations;
}

/** Opens the page and signs in. */
export async function signIn(page: Page, url: string, key = KEY): Promise<void> {
  await page.goto(url);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("navigation")).toBeVisible();
}

/** Signs in and waits until the store is shown and live. */
export async function openLive(page: Page, url: string, key = KEY): Promise<void> {
  await signIn(page, url, key);
  await expect(page.locator(".pet").first()).toBeVisible();
  await isLive(page);
}

export const badge = (page: Page) => page.locator(".connection");
export const isLive = (page: Page) => expect(badge(page)).toHaveText(/^Live/);
export const card = (page: Page, { id }: { id: string }) => page.locator(`.pet[data-id="${id}"]`);

/** Shows all pets that are loaded. */
export async function showAll(page: Page): Promise<void> {
  const more = page.getByRole("button", { name: /^Show more/ });
  // Not with the mouse: Playwright would wait for frames, which a background tab does not draw.
  while (await more.isVisible()) await more.evaluate((button: HTMLElement) => button.click());
}

/** The statuses of all pets on the page, by id. */
export async function shownPets(page: Page): Promise<Record<string, string>> {
  await showAll(page);
  const entries = await page
    .locator(".pet")
    .evaluateAll((cards) => cards.map((one) => [one.dataset.id ?? "", one.dataset.status ?? ""] as const));
  expect(new Set(entries.map(([id]) => id)).size).toBe(entries.length);
  return Object.fromEntries(entries);
}

/** The ids of the events on the page, the oldest first. */
export async function shownEvents(page: Page): Promise<string[]> {
  const ids = await page.locator("#events li").evaluateAll((rows) => rows.map((row) => row.dataset.id ?? ""));
  return ids.toReversed();
}

/** Expects the page to show the server's state: every pet with its status, and every event once and in order. */
export async function expectInSync(page: Page, server: Server): Promise<void> {
  const events = (await server.events()).map(({ id }) => id);
  await expect.poll(() => shownEvents(page)).toEqual(events.slice(-60));
  const pets = Object.fromEntries((await server.pets()).map(({ id, status }: Pet) => [id, status]));
  await expect.poll(() => shownPets(page)).toEqual(pets);
}
