/** What the server says, in its shapes. */

export type Species = "DOG" | "CAT" | "RABBIT" | "BIRD" | "REPTILE" | "FISH" | "OTHER";
export type PetStatus = "AVAILABLE" | "PENDING" | "ADOPTED";
export type OrderStatus = "PLACED" | "APPROVED" | "SHIPPED" | "DELIVERED" | "CANCELLED";

export const SPECIES: readonly Species[] = ["DOG", "CAT", "RABBIT", "BIRD", "REPTILE", "FISH", "OTHER"];
export const PET_STATUSES: readonly PetStatus[] = ["AVAILABLE", "PENDING", "ADOPTED"];
export const SIZES = ["SMALL", "MEDIUM", "LARGE"] as const;
export const GENDERS = ["FEMALE", "MALE", "UNKNOWN"] as const;

export interface Pet {
  readonly id: string;
  readonly species: Species;
  readonly name: string;
  readonly breed: string;
  readonly ageMonths: number;
  readonly size: (typeof SIZES)[number];
  readonly color: string;
  readonly gender: (typeof GENDERS)[number];
  readonly goodWithKids: boolean;
  readonly price: string;
  readonly currency: string;
  readonly description: string;
  readonly status: PetStatus;
  readonly createdAt: string;
  readonly version: number;
}

export interface Order {
  readonly id: string;
  readonly petId: string;
  readonly status: OrderStatus;
  readonly price: string;
  readonly currency: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly version: number;
}

export interface Inventory {
  readonly total: number;
  readonly byStatus: Readonly<Record<PetStatus, number>>;
  readonly bySpecies: Readonly<Record<string, number>>;
  readonly version: number;
}

export interface Page<T> {
  readonly data: readonly T[];
  readonly next: string | null;
  readonly cursor: string;
}

export interface Me {
  readonly key: string;
  readonly scopes: readonly string[];
  readonly auth: "keys" | "none";
}

export interface FieldError {
  readonly field: string;
  readonly detail: string;
}

/** A refusal, whichever of the two formats it came in: problem details, or OpenAI's envelope. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** 0 where it came within a stream. */
    readonly status: number,
    readonly title: string,
    message: string,
    readonly errors: readonly FieldError[] = [],
    readonly code: string | null = null,
    readonly retryAfter: string | null = null,
  ) {
    super(message);
  }

  /** In one line. */
  line(): string {
    const wait = this.retryAfter === null ? "" : ` Try again in ${this.retryAfter} s.`;
    return `${this.message}${wait}`;
  }
}

interface Envelope {
  error?: { message?: unknown; type?: unknown; code?: unknown };
  title?: unknown;
  detail?: unknown;
  errors?: unknown;
}

const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);

function fieldErrors(value: unknown): FieldError[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((error: Partial<FieldError> | null) => {
    const [field, detail] = [text(error?.field), text(error?.detail)];
    return field === null ? [] : [{ field, detail: detail ?? "is not right" }];
  });
}

/** What an error's body says; `body` is JSON or anything else. */
export function said(status: number, body: string, retryAfter: string | null = null): ApiError {
  let told: Envelope = {};
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null) told = parsed;
  } catch {
    // A balancer's page, perhaps: the status says it all.
  }
  if (typeof told.error === "object" && told.error !== null) {
    const { message, type, code } = told.error;
    const title = text(type) ?? `HTTP ${status}`;
    return new ApiError(status, title, text(message) ?? title, [], text(code), retryAfter);
  }
  const title = text(told.title) ?? `HTTP ${status}`;
  return new ApiError(status, title, text(told.detail) ?? title, fieldErrors(told.errors), null, retryAfter);
}

/** The refusal that `response` is. */
export async function refusal(response: Response): Promise<ApiError> {
  const body = await response.text().catch(() => "");
  return said(response.status, body, response.headers.get("retry-after"));
}

/** A failure in one line, for people. */
export function explain(failure: unknown): string {
  if (failure instanceof ApiError) return failure.line();
  // What browsers make of a connection that failed.
  if (failure instanceof TypeError) return "The server can't be reached.";
  return failure instanceof Error ? failure.message : String(failure);
}
