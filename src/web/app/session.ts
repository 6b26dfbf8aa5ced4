import { ApiError, type Me, readError } from "./api.ts";

const STORAGE_KEY = "petstream.key";
export type Scope = "chat" | "store:read" | "store:write" | "stats";

/** The page's own URL without query and fragment; a proxy may serve it under any path. */
export const BASE = new URL("./", location.href).href.replace(/[?#].*$/, "");

/** A signed-in key. It is kept in memory and, if the user chooses so, in the tab's session storage; nowhere else. */
export class Session {
  readonly scopes: ReadonlySet<string>;
  /** Called when the server answers 401: the key is no longer valid. */
  onUnauthorized: () => void = () => {};

  private constructor(
    /** `null` if the server requires no key. */
    readonly key: string | null,
    private readonly me: Me,
  ) {
    this.scopes = new Set(me.scopes);
  }

  /** The key's name. */
  get name(): string {
    return this.me.key;
  }

  hasScope(scope: Scope): boolean {
    return this.scopes.has(scope);
  }

  /** Signs in with `key`, or without one if the server requires none. */
  static async open(key: string | null): Promise<Session> {
    const headers = new Headers(key === null ? {} : { authorization: `Bearer ${key}` });
    const response = await fetch(new URL("api/me", BASE), { headers, cache: "no-store" });
    if (!response.ok) throw await readError(response);
    const me = (await response.json()) as Me;
    return new Session(me.auth === "none" ? null : key, me);
  }

  /** Restores the session of this tab before a reload, or opens one without a key. `null`: a key is required. */
  static async resume(): Promise<Session | null> {
    const key = storedKey();
    try {
      return await Session.open(key);
    } catch (failure) {
      if (!(failure instanceof ApiError) || failure.status !== 401) throw failure;
      forget();
      return null;
    }
  }

  /** Stores the key until this tab is closed. */
  remember(): void {
    try {
      if (this.key !== null) sessionStorage.setItem(STORAGE_KEY, this.key);
    } catch {
      // Without session storage, it is kept in memory only.
    }
  }

  /** Signs out: deletes the cookie of the event stream and the stored key. */
  async close(): Promise<void> {
    forget();
    await fetch(new URL("api/events/sessions", BASE), { method: "DELETE" }).catch(() => {});
  }

  /** Requests `path`, relative to the page, with the key. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key !== null) headers.set("authorization", `Bearer ${this.key}`);
    const response = await fetch(new URL(path, BASE), { cache: "no-store", ...init, headers });
    if (response.status === 401) this.onUnauthorized();
    return response;
  }

  /** Requests JSON; throws an `ApiError` unless the request succeeds. */
  async json<T>(path: string, init: RequestInit = {}): Promise<T> {
    const response = await this.fetch(path, init);
    if (!response.ok) throw await readError(response);
    return (await response.json()) as T;
  }

  /** Sends JSON; throws an `ApiError` unless the request succeeds. */
  send<T>(method: "POST" | "PATCH", path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
    const type = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    return this.json<T>(path, { method, body: JSON.stringify(body), headers: { "content-type": type, ...headers } });
  }
}

function storedKey(): string | null {
  try {
    return sessionStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function forget(): void {
  try {
    sessionStorage.removeItem(STORAGE_KEY);
  } catch {
    // Nothing is stored.
  }
}
