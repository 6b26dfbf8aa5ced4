import { explain, type Order, type OrderStatus, type Pet, type PetStatus } from "../api.ts";
import { announce, toast } from "../dom.ts";
import { word } from "../format.ts";
import type { Session } from "../session.ts";
import type { Model } from "./model.ts";

/** Tells this tab from others with the same key. */
const TAB = `page-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;

/** What can be done with an order in a status. */
export const MOVES: Readonly<Record<OrderStatus, readonly { readonly to: OrderStatus; readonly label: string }[]>> = {
  PLACED: [
    { to: "APPROVED", label: "Approve" },
    { to: "CANCELLED", label: "Cancel" },
  ],
  APPROVED: [
    { to: "SHIPPED", label: "Ship" },
    { to: "CANCELLED", label: "Cancel" },
  ],
  SHIPPED: [{ to: "DELIVERED", label: "Deliver" }],
  DELIVERED: [],
  CANCELLED: [],
};

/** Changes that people make. Each says what came of it. */
export class Actions {
  constructor(
    private readonly session: Session,
    private readonly model: Model,
  ) {}

  get allowed(): boolean {
    return this.session.may("store:write");
  }

  async order(pet: Pet): Promise<void> {
    // The same order, however often the button is pressed here.
    const headers = { "idempotency-key": `${TAB}-${pet.id}-${pet.version}` };
    await this.report(`${pet.name} is ordered.`, async () => {
      this.model.learn({ order: await this.session.send<Order>("POST", "api/orders", { petId: pet.id }, headers) });
    });
  }

  async move(order: Order, to: OrderStatus): Promise<void> {
    await this.report(`The order is ${word(to).toLowerCase()}.`, async () => {
      const headers = { "if-match": `"${order.version}"` };
      this.model.learn({
        order: await this.session.send<Order>("PATCH", `api/orders/${order.id}`, { status: to }, headers),
      });
    });
  }

  async status(pet: Pet, to: PetStatus): Promise<boolean> {
    return this.report(`${pet.name} is ${word(to).toLowerCase()}.`, async () => {
      const headers = { "if-match": `"${pet.version}"` };
      this.model.learn({ pet: await this.session.send<Pet>("PATCH", `api/pets/${pet.id}`, { status: to }, headers) });
    });
  }

  private async report(done: string, act: () => Promise<void>): Promise<boolean> {
    try {
      await act();
      announce(done);
      return true;
    } catch (failure) {
      toast(explain(failure), "error");
      return false;
    }
  }
}
