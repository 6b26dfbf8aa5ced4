import type { Inventory, Order, Pet } from "../api.ts";
import { type EventEntry, type Model, RESET } from "./model.ts";

const REASONS: Readonly<Record<string, string>> = {
  "too-old": "what was missed is no longer kept",
  "other-epoch": "the server has another log now",
  "beyond-head": "the server's log has been set back",
  "unknown-cursor": "the place in the log was not known",
  gap: "an event was missing",
};

/** The reason of a reset in words. */
export function resetReason(reason: string): string {
  return REASONS[reason] ?? reason;
}

/** An event in words. */
export function headline({ data }: EventEntry, model: Model): string {
  const resource = data.resource as (Partial<Pet> & Partial<Order> & { message?: string; total?: number }) | null;
  const pet = (id: string | undefined): string => model.pets.get(id ?? "")?.name ?? "a pet";
  const words = (name: string | undefined): string => (name ?? "").toLowerCase();
  switch (data.type) {
    case "pet-status-changed":
      return `${resource?.name ?? pet(data.id)}: ${words(data.old)} → ${words(data.new)}`;
    case "pet-update":
      if (resource === null) return "A pet was removed";
      return data.version === 1 ? `${resource.name} is new in the store` : `${resource.name} was edited`;
    case "order-created":
      return `${pet(resource?.petId)} was ordered`;
    case "order-status-changed":
      return `Order of ${pet(resource?.petId)}: ${words(data.old)} → ${words(data.new)}`;
    case "inventory-changed": {
      const { total, byStatus } = (resource ?? {}) as Partial<Inventory>;
      return `${byStatus?.AVAILABLE ?? "?"} of ${total ?? "?"} available`;
    }
    case "notification":
      return resource?.message ?? "Notice";
    case RESET:
      return `Everything was read anew: ${resetReason(data.id)}`;
    default:
      return data.type;
  }
}
