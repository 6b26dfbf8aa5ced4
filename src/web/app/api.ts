/** Types of the server's JSON, and its errors. */

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

/** An error response, in either format: problem details or OpenAI's envelope. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    /** The status code; 0 if the error came within a stream. */
    readonly status: number,
    readonly title: string,
    message: string,
    readonly errors: readonly FieldError[] = [],
    readonly code: string | null = null,
    readonly retryAfter: string | null = null,
  ) {
    super(message);
  }

  /** The message in one line, with the time to wait. */
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

/** Parses the body of an error, which may be anything. */
export function parseError(status: number, body: string, retryAfter: string | null = null): ApiError {
  let envelope: Envelope = {};
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === "object" && parsed !== null) envelope = parsed;
  } catch {
    // Not JSON, such as a load balancer's page: only the status is used.
  }
  if (typeof envelope.error === "object" && envelope.error !== null) {
    const { message, type, code } = envelope.error;
    const title = text(type) ?? `HTTP ${status}`;
    return new ApiError(status, title, text(message) ?? title, [], text(code), retryAfter);
  }
  const title = text(envelope.title) ?? `HTTP ${status}`;
  return new ApiError(status, title, text(envelope.detail) ?? title, fieldErrors(envelope.errors), null, retryAfter);
}

/** Reads the error from a response. */
export async function readError(response: Response): Promise<ApiError> {
  const body = await response.text().catch(() => "");
  return parseError(response.status, body, response.headers.get("retry-after"));
}

/** A failure in one line, for the user. */
export function explain(failure: unknown): string {
  if (failure instanceof ApiError) return failure.line();
  // `fetch` throws a TypeError if the connection fails.
  if (failure instanceof TypeError) return "The server can't be reached.";
  return failure instanceof Error ? failure.message : String(failure);
}
