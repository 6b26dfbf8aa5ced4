import { readdir, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { AxeBuilder } from "@axe-core/playwright";
import type { Page } from "@playwright/test";

import { card, expect, openLive, showAll, test } from "./support/test.ts";

const DIST = fileURLToPath(new URL("../../src/web/dist/", import.meta.url));

/** The accessibility violations that axe finds, in short. */
async function accessibilityViolations(page: Page): Promise<string[]> {
  // During transitions, colors are those of neither state.
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finish())));
  const { violations } = await new AxeBuilder({ page }).options({ resultTypes: ["violations"] }).analyze();
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

async function expectNoHorizontalScroll(page: Page): Promise<void> {
  const { inner, wide } = await page.evaluate(() => ({
    inner: innerWidth,
    wide: document.documentElement.scrollWidth,
  }));
  expect(wide).toBeLessThanOrEqual(inner);
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const [device, viewport] of [
    ["desktop", { width: 1280, height: 800 }],
    ["phone", { width: 360, height: 740 }],
  ] as const) {
    test.describe(`${colorScheme}, ${device}`, () => {
      test.use({ colorScheme, viewport });

      test("all views are accessible and no view is wider than the screen", async ({ page, server }) => {
        const look = async (what: string): Promise<void> => {
          await expectNoHorizontalScroll(page);
          expect(await accessibilityViolations(page), what).toEqual([]);
        };
        const pet = await server.available();
        const other = (await server.pets()).find(({ id, status }) => status === "AVAILABLE" && id !== pet.id) ?? pet;
        const order = await server.request<{ id: string }>("POST", "api/orders", { petId: other.id });
        await server.request("PATCH", `api/orders/${order.id}`, { status: "APPROVED" });
        await page.goto(server.url);
        await page.getByLabel("API key").fill("sk-wrong-0123456789abcdef");
        await page.getByLabel("API key").press("Enter");
        await expect(page.getByRole("alert")).not.toBeEmpty();
        await look("sign-in");

        await openLive(page, server.url);
        await showAll(page);
        await card(page, pet).getByRole("button").click();
        await expect(card(page, pet)).toHaveAttribute("data-status", "PENDING");
        await look("store");
        if (device === "phone") {
          await page.getByRole("button", { name: "Orders" }).click();
          await expect(page.locator("#orders")).toContainText(pet.name);
          await look("orders");
          await page.getByRole("button", { name: "Events" }).click();
          await expect(page.locator("#events")).toContainText(pet.name);
          await look("events");
          await page.getByRole("button", { name: "Pets" }).click();
          await page.getByRole("button", { name: "Filters" }).click();
          await page.getByLabel("Species").selectOption("DOG");
          await look("filters");
        }
        await page.getByRole("button", { name: "Add a pet" }).click();
        await page.getByRole("button", { name: "Add the pet" }).click();
        await expect(page.getByLabel("Name")).toBeFocused();
        await look("a new pet");
        await page.keyboard.press("Escape");

        await page.getByRole("link", { name: "Chat" }).click();
        await look("chat");
        await page.getByRole("button", { name: "Which cats are available?" }).click();
        await expect(page.locator('[data-fact="finish"]')).toHaveText("stop");
        await page.getByLabel("Max tokens").fill("0");
        await page.getByLabel("Message").fill("This fails");
        await page.getByLabel("Message").press("Enter");
        await expect(page.locator(".problem")).toBeVisible();
        await page.getByText("The same with curl or Python").click();
        await expect(page.locator(".snippet code").first()).toContainText("curl");
        await look("conversation");

        await page.getByRole("link", { name: "Traffic" }).click();
        await expect(page.locator("#recent tbody tr")).not.toHaveCount(0);
        await look("traffic");
      });
    });
  }
}

test("everything is usable by keyboard", async ({ page, server }) => {
  await openLive(page, server.url);
  await expect(page.locator("main")).toBeFocused();
  await page.getByRole("link", { name: "Skip to content" }).focus();
  await expect(page.getByRole("link", { name: "Skip to content" })).toBeInViewport();
  await page.keyboard.press("Enter");
  await expect(page.locator("main")).toBeFocused();
  const pet = await server.available();
  await page.getByLabel("Search").focus();
  await page.keyboard.type(pet.name);
  await expect(page.locator(".pet")).toHaveCount(1);
  await card(page, pet).getByRole("button").focus();
  await page.keyboard.press("Enter");
  // The button is hidden, but the focus is not lost.
  await expect(page.getByLabel(`Status of ${pet.name}`)).toBeFocused();
  for (const move of ["Approve", "Ship", "Deliver"]) {
    const button = page.getByRole("button", { name: `${move} the order of ${pet.name}` });
    if (move === "Approve") await button.focus();
    await expect(button).toBeFocused();
    await page.keyboard.press("Enter");
  }
  await expect(page.locator("#orders .badge")).toHaveText("Delivered");
});

test("changes are visible without motion too", async ({ page, server }) => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  await openLive(page, server.url);
  const [pet] = (await server.pets()).slice(-1);
  if (pet === undefined) throw new Error("no pets");
  await server.patch(pet, { name: "Renamed" });
  await expect(card(page, pet)).toHaveClass(/flash/);
  const timing = await card(page, pet).evaluate((element) => getComputedStyle(element).animationTimingFunction);
  expect(timing).toMatch(/^steps|step-end/);
});

test("the page is small, and only the one-line theme script blocks the first paint", async ({ page, server }) => {
  const sizes = await Promise.all((await readdir(DIST)).map(async (name) => (await stat(`${DIST}${name}`)).size));
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(300 * 1024);
  // With the dark theme chosen on a light system, the first frame is dark.
  await page.addInitScript(() => {
    localStorage.setItem("petstream.theme", "dark");
    const seen: string[] = [];
    Object.assign(window, { seen });
    new PerformanceObserver(() => seen.push(getComputedStyle(document.documentElement).backgroundColor)).observe({
      type: "paint",
      buffered: true,
    });
  });
  await page.goto(server.url);
  await expect(page.getByLabel("API key")).toBeVisible();
  await expect
    .poll(() => page.evaluate(() => (window as unknown as { seen: string[] }).seen.length))
    .toBeGreaterThan(0);
  const seen = await page.evaluate(() => (window as unknown as { seen: string[] }).seen);
  expect(new Set(seen)).toEqual(new Set(["rgb(16, 21, 20)"]));
});
