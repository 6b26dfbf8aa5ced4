import { card, expect, expectInSync, isLive, openLive, showAll, test } from "./support/test.ts";

test("an order placed in one tab appears in the other and passes through all its statuses", async ({
  context,
  server,
}) => {
  const [one, other] = [await context.newPage(), await context.newPage()];
  await openLive(one, server.url);
  await openLive(other, server.url);
  const pet = await server.available();
  await Promise.all([showAll(one), showAll(other)]);

  await card(one, pet)
    .getByRole("button", { name: `Order ${pet.name}` })
    .click();
  for (const page of [one, other]) {
    await expect(card(page, pet)).toHaveAttribute("data-status", "PENDING");
    await expect(card(page, pet)).toHaveClass(/flash/);
    await expect(card(page, pet).getByRole("button")).toBeHidden();
    await expect(page.locator("#orders li")).toContainText(`${pet.name}Placed`);
    await expect(page.locator("#events")).toContainText(`${pet.name} was ordered`);
    await expect(page.locator("#events")).toContainText(`${pet.name}: available → pending`);
  }
  await other.bringToFront();
  for (const [move, status] of [
    ["Approve", "Approved"],
    ["Ship", "Shipped"],
    ["Deliver", "Delivered"],
  ]) {
    await other.getByRole("button", { name: `${move} the order of ${pet.name}` }).click();
    for (const page of [one, other]) await expect(page.locator("#orders .badge")).toHaveText(status ?? "");
  }
  for (const page of [one, other]) {
    await expect(card(page, pet)).toHaveAttribute("data-status", "ADOPTED");
    await expect(page.locator("#events time").first()).toHaveText(/^\d\d:\d\d:\d\d$/);
    await expectInSync(page, server);
  }
});

test("after an order is cancelled, the pet can be ordered again", async ({ page, server }) => {
  const pet = await server.available();
  await openLive(page, server.url);
  await showAll(page);
  const order = card(page, pet).getByRole("button", { name: `Order ${pet.name}` });
  await order.click();
  await page.getByRole("button", { name: `Cancel the order of ${pet.name}` }).click();
  await expect(order).toBeVisible();
  await order.click();
  await expect(card(page, pet)).toHaveAttribute("data-status", "PENDING");
  await expect(page.locator("#orders .badge").first()).toHaveText("Placed");
  expect((await server.request<{ data: unknown[] }>("GET", "api/orders")).data).toHaveLength(2);
});

test("a status can be changed, and a rejected change is reported and undone", async ({ page, server }) => {
  const pet = await server.available();
  await openLive(page, server.url);
  await showAll(page);
  const status = page.getByLabel(`Status of ${pet.name}`);
  await status.selectOption("ADOPTED");
  await expect(card(page, pet)).toHaveAttribute("data-status", "ADOPTED");
  await expect
    .poll(async () => (await server.request<{ status: string }>("GET", `api/pets/${pet.id}`)).status)
    .toBe("ADOPTED");

  const ordered = await server.available();
  await card(page, ordered).getByRole("button").click();
  await expect(card(page, ordered)).toHaveAttribute("data-status", "PENDING");
  await page.getByLabel(`Status of ${ordered.name}`).selectOption("AVAILABLE");
  await expect(page.getByRole("alert")).toContainText(/order/i);
  await expect(page.getByLabel(`Status of ${ordered.name}`)).toHaveValue("PENDING");
});

test("a pet is added after the server's errors are shown at each field", async ({ page, server }) => {
  await openLive(page, server.url);
  await page.getByRole("button", { name: "Add a pet" }).click();
  const dialog = page.getByRole("dialog", { name: "Add a pet" });
  const add = dialog.getByRole("button", { name: "Add the pet" });
  await dialog.getByLabel("Price in USD").fill("12,50");
  await dialog.getByLabel("Age in months").fill("old");
  await add.click();
  await expect(dialog.getByLabel("Name")).toBeFocused();
  for (const [label, words] of [
    ["Name", "is required"],
    ["Breed", "is required"],
    ["Colour", "is required"],
    ["Age in months", "a whole number from 0 to 1200"],
    ["Price in USD", "a decimal in quotes"],
  ] as const) {
    const field = dialog.getByLabel(label);
    await expect(field).toHaveAttribute("aria-invalid", "true");
    await expect(field).toHaveAccessibleDescription(new RegExp(words));
  }
  await dialog.getByLabel("Name").fill("Quentin");
  await dialog.getByLabel("Species").selectOption("BIRD");
  await dialog.getByLabel("Breed").fill("Cockatiel");
  await dialog.getByLabel("Colour").fill("grey");
  await dialog.getByLabel("Age in months").fill("7");
  await dialog.getByLabel("Price in USD").fill("45.50");
  await dialog.getByLabel("Good with kids").check();
  await add.click();
  await expect(dialog).toBeHidden();
  const [first] = await page.locator(".pet").all();
  await expect(first ?? page.locator(".pet")).toContainText("QuentinCockatiel");
  const pet = (await server.pets()).find(({ name }) => name === "Quentin");
  expect(pet).toMatchObject({ species: "BIRD", ageMonths: 7, price: "45.50", goodWithKids: true, status: "AVAILABLE" });
  await expect(page.locator("#events")).toContainText("Quentin is new in the store");
});

test("filters and search select pets, and changes update the selection", async ({ page, server }) => {
  await openLive(page, server.url);
  const pets = await server.request<{ data: { name: string }[] }>(
    "GET",
    "api/pets?species=DOG&size=SMALL&maxPrice=500&goodWithKids=true&status=AVAILABLE&limit=100",
  );
  await page.getByLabel("Species").selectOption("DOG");
  await page.getByLabel("Size").selectOption("SMALL");
  await page.getByLabel("Status", { exact: true }).selectOption("AVAILABLE");
  await page.getByLabel("At most $").fill("500");
  await page.getByLabel("Good with kids").check();
  await page.getByLabel("Sort by").selectOption("name");
  const names = pets.data.map(({ name }) => name).sort();
  expect(names.length).toBeGreaterThan(1);
  await expect(page.locator(".pet h3")).toHaveText(names);
  await expect(page.locator(".shown")).toHaveText(new RegExp(`^${names.length} of \\d+ pets$`));

  const [gone = ""] = names;
  const pet = (await server.pets()).find(({ name }) => name === gone);
  if (pet === undefined) throw new Error(`${gone} is not there`);
  await server.patch(pet, { status: "ADOPTED" });
  await expect(page.locator(".pet h3")).toHaveText(names.slice(1));
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("Search").fill(`${gone.toLowerCase()} dog`);
  await expect(page.locator(".pet h3")).toHaveText([gone]);
  await expect(card(page, pet)).toHaveAttribute("data-status", "ADOPTED");
  await page.getByLabel("Search").fill("no such pet");
  await expect(page.getByText("No pet is like that.")).toBeVisible();
});

test("all pages of pets are loaded, and changes during loading are not lost", async ({ page, server }) => {
  for (let n = 0; n < 90; n += 1) await server.add(`Many ${n}`);
  const [first] = await server.pets();
  if (first === undefined) throw new Error("no pets");
  // Between the first and the second page.
  await page.route(/api\/pets\?.*after=/, async (route) => {
    await server.patch(first, { name: "Renamed" });
    await route.continue();
  });
  await openLive(page, server.url);
  await expect(page.locator(".shown")).toHaveText(/ of 146 pets$/);
  await showAll(page);
  await expect(page.locator(".pet")).toHaveCount(146);
  await expect(card(page, first).locator("h3")).toHaveText("Renamed");
});

test("markup in a pet's name is shown as text", async ({ page, server }) => {
  const name = "<img src=x onerror=window.hacked=1>";
  await openLive(page, server.url);
  const pet = await server.add(name, { description: "<script>window.hacked=1</script>", breed: "<b>bold</b>" });
  await expect(card(page, pet).locator("h3")).toHaveText(name);
  await expect(card(page, pet)).toContainText("<b>bold</b>");
  await expect(page.locator("#events")).toContainText(`${name} is new in the store`);
  await card(page, pet).getByRole("button").click();
  await expect(page.locator("#orders")).toContainText(name);
  await isLive(page);
  expect(await page.locator("#main :is(img, script, b:not(.value b))").count()).toBe(0);
  expect(await page.evaluate(() => "hacked" in window)).toBe(false);
});
