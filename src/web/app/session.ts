import { ApiError, type Me, refusal } from "./api.ts";

const KEPT = "petstream.key";
export type Scope = "chat" | "store:read" | "store:write" | "stats";

/** Where the page is served: whatever path a proxy put in front of it. */
export const BASE = new URL("./", location.href).href.replace(/[?#].*$/, "");

/** Who is signed in. The key is here and, if they chose so, in the tab's session storage; nowhere else. */
export class Session {
  readonly scopes: ReadonlySet<string>;
  /** Called when the key is no longer good. */
  onrefused: () => void = () => {};

  private constructor(
    /** None where the server asks for none. */
    readonly key: string | null,
    private readonly me: Me,
  ) {
    this.scopes = new Set(me.scopes);
  }

  /** Whose key it is. */
  get name(): string {
    return this.me.key;
  }

  may(scope: Scope): boolean {
    return this.scopes.has(scope);
  }

  /** Signs in with `key`, or without where that is enough. */
  static async open(key: string | null): Promise<Session> {
    const headers = new Headers(key === null ? {} : { authorization: `Bearer ${key}` });
    const response = await fetch(new URL("api/me", BASE), { headers, cache: "no-store" });
    if (!response.ok) throw await refusal(response);
    const me = (await response.json()) as Me;
    return new Session(me.auth === "none" ? null : key, me);
  }

  /** The session that this tab had before it was reloaded, or the one that needs no key. */
  static async resume(): Promise<Session | null> {
    const kept = read();
    try {
      return await Session.open(kept);
    } catch (failure) {
      if (!(failure instanceof ApiError) || failure.status !== 401) throw failure;
      forget();
      return null;
    }
  }

  /** Keeps the key for this tab until it is closed. */
  keep(): void {
    try {
      if (this.key !== null) sessionStorage.setItem(KEPT, this.key);
    } catch {
      // It is kept in memory all the same.
    }
  }

  /** Takes the cookie of the events away, and forgets the key. */
  async close(): Promise<void> {
    forget();
    await fetch(new URL("api/events/sessions", BASE), { method: "DELETE" }).catch(() => {});
  }

  /** Asks the server for `path`, which is relative to the page or a path that the server gave. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key !== null) headers.set("authorization", `Bearer ${this.key}`);
    const response = await fetch(new URL(path, BASE), { cache: "no-store", ...init, headers });
    if (response.status === 401) this.onrefused();
    return response;
  }

  /** As `fetch`; what is no success is thrown. */
  async json<T>(path: string, init: RequestInit = {}): Promise<T> {
    const response = await this.fetch(path, init);
    if (!response.ok) throw await refusal(response);
    return (await response.json()) as T;
  }

  /** Sends JSON; what is no success is thrown. */
  send<T>(method: "POST" | "PATCH", path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    return this.json<T>(path, { method, body: JSON.stringify(body), headers: { "content-type": type, ...headers } });
  }
}

function read(): string | null {
  try {
    return sessionStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function forget(): void {
  try {
    sessionStorage.removeItem(KEPT);
  } catch {
    // There was nothing.
  }
}
