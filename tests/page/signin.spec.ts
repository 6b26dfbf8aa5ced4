import { KEY, READER } from "./support/server.ts";
import { expect, isLive, openLive, signIn, test } from "./support/test.ts";

test("a wrong key is rejected, a valid one is accepted, and it is stored only on request", async ({ page, server }) => {
  await page.goto(server.url);
  const key = page.getByLabel("API key");
  await expect(key).toBeFocused();
  await key.fill("sk-wrong-0123456789abcdef");
  await key.press("Enter");
  await expect(page.getByRole("alert")).toHaveText("This key is not known here, or it is no longer good.");
  await expect(key).toBeFocused();
  await expect(key).toHaveAttribute("aria-invalid", "true");
  await key.fill(KEY);
  await key.press("Enter");
  await expect(page.locator(".pet").first()).toBeVisible();
  const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie]));
  expect(kept).toBe('[{},{},""]');
  await page.reload();
  await expect(page.getByLabel("API key")).toBeVisible();
});

test("a stored key survives a reload but not a sign-out", async ({ page, server, context }) => {
  await page.goto(server.url);
  await page.getByLabel("API key").fill(KEY);
  await page.getByLabel("Keep it until this tab is closed").check();
  await page.getByRole("button", { name: "Sign in" }).click();
  await isLive(page);
  expect((await context.cookies(`${server.url}api/events`)).map(({ httpOnly }) => httpOnly)).toEqual([true]);
  await page.reload();
  await isLive(page);
  await page.getByRole("button", { name: "Sign out first" }).click();
  await expect(page.getByLabel("API key")).toBeVisible();
  await expect.poll(() => context.cookies(`${server.url}api/events`)).toEqual([]);
  await expect.poll(() => server.subscribers()).toBe(0);
  await page.reload();
  await expect(page.getByLabel("API key")).toBeVisible();
});

test("a revoked key is signed out", async ({ page, server }) => {
  const made = await server.command("keys", "create", "--name", "brief");
  const key = /sk-\S+/.exec(made)?.[0] ?? "";
  await openLive(page, server.url, key);
  await server.command("keys", "revoke", "brief");
  await expect(page.getByLabel("API key")).toBeVisible();
  await expect(page.getByRole("alert").filter({ hasText: "no longer good" })).toBeVisible();
});

test("actions without a scope are hidden or explained", async ({ page, server }) => {
  await openLive(page, server.url, READER);
  await expect(page.getByRole("button", { name: "Add a pet" })).toBeHidden();
  await expect(page.getByRole("button", { name: /^Order/ })).toHaveCount(0);
  await expect(page.locator("select.status:visible")).toHaveCount(0);
  await page.getByRole("link", { name: "Chat" }).click();
  await expect(page.getByText("it lacks the scope chat")).toBeVisible();
  await page.getByRole("link", { name: "Traffic" }).click();
  await expect(page.getByText("Traffic is for keys with the scope stats")).toBeVisible();
});

test("a tab keeps its view, and the chosen theme applies everywhere", async ({ page, server }) => {
  await signIn(page, `${server.url}#/chat`);
  await expect(page).toHaveTitle("Chat · petstream");
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  await page.getByRole("button", { name: "Use the dark theme" }).click();
  expect(await background()).not.toBe(light);
  await page.reload();
  expect(await background()).not.toBe(light);
  await page.getByRole("button", { name: "Use the light theme" }).click();
  expect(await background()).toBe(light);
});

test.describe("without keys", () => {
  test.use({ configuration: { auth: "none", keys: [] } });

  test("no key is required", async ({ page, server }) => {
    await page.goto(server.url);
    await isLive(page);
    await expect(page.locator(".pet").first()).toBeVisible();
    await expect(page.getByRole("button", { name: /Sign out/ })).toHaveCount(0);
  });
});
