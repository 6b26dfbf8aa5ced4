import { explain, type Order, type OrderStatus, type Pet, type PetStatus } from "../api.ts";
import { announce, toast } from "../dom.ts";
import { humanize } from "../format.ts";
import type { Session } from "../session.ts";
import type { Model } from "./model.ts";

/** A random id of this tab, for idempotency keys. */
const TAB_ID = `page-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`;

/** The transitions from each status of an order. */
export const TRANSITIONS: Readonly<
  Record<OrderStatus, readonly { readonly to: OrderStatus; readonly label: string }[]>
> = {
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

/** The user's changes to the store. Each reports its success or failure. */
export class Actions {
  constructor(
    private readonly session: Session,
    private readonly model: Model,
  ) {}

  get allowed(): boolean {
    return this.session.hasScope("store:write");
  }

  async order(pet: Pet): Promise<void> {
    // The same idempotency key for every press of the button in this tab.
    const headers = { "idempotency-key": `${TAB_ID}-${pet.id}-${pet.version}` };
    await this.report(`${pet.name} is ordered.`, async () => {
      this.model.update({ order: await this.session.send<Order>("POST", "api/orders", { petId: pet.id }, headers) });
    });
  }

  async transition(order: Order, to: OrderStatus): Promise<void> {
    await this.report(`The order is ${humanize(to).toLowerCase()}.`, async () => {
      const headers = { "if-match": `"${order.version}"` };
      this.model.update({
        order: await this.session.send<Order>("PATCH", `api/orders/${order.id}`, { status: to }, headers),
      });
    });
  }

  async status(pet: Pet, to: PetStatus): Promise<boolean> {
    return this.report(`${pet.name} is ${humanize(to).toLowerCase()}.`, async () => {
      const headers = { "if-match": `"${pet.version}"` };
      this.model.update({ pet: await this.session.send<Pet>("PATCH", `api/pets/${pet.id}`, { status: to }, headers) });
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
