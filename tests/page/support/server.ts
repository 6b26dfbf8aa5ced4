import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const BINARY = process.env.PETSTREAM_BIN ?? fileURLToPath(new URL("../../../target/debug/petstream", import.meta.url));
const LISTENING = "listening on ";

/** A key with all scopes. */
export const KEY = "sk-first-0123456789abcdef";
/** A key that may only read the store. */
export const READER = "sk-reader-0123456789abcdef";
/** A key with a limit of one request a minute. */
export const LIMITED = "sk-limited-0123456789abcdef";

const KEYS = [
  { name: "first", key: KEY, scopes: ["chat", "store:read", "store:write", "stats"] },
  { name: "reader", key: READER, scopes: ["store:read"] },
  { name: "limited", key: LIMITED, limits: { requests_per_minute: 1 } },
];

export interface Pet {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly species: string;
  readonly version: number;
}

export interface LoggedEvent {
  readonly id: string;
  readonly data: { readonly type: string; readonly id: string };
}

async function writeConfiguration(folder: string, configuration: object): Promise<void> {
  const settings = { keys: KEYS, events: { retry: "300ms", heartbeat: "1s" }, ...configuration };
  // JSON is valid YAML.
  await writeFile(join(folder, "petstream.yaml"), JSON.stringify(settings));
}

/** The real binary, running in its own temporary folder. */
export class Server {
  private constructor(
    private readonly folder: string,
    private process: ChildProcess,
    readonly url: string,
    readonly lines: string[],
  ) {}

  /** Starts a server with this configuration, the test keys and short intervals of events. */
  static async start(configuration: object = {}): Promise<Server> {
    const folder = await mkdtemp(join(tmpdir(), "petstream-page-"));
    await writeConfiguration(folder, configuration);
    const lines: string[] = [];
    const [process, url] = await spawnServer(folder, "127.0.0.1:0", lines);
    return new Server(folder, process, `${url}/`, lines);
  }

  /** Replaces the configuration while the server runs, whatever comes of it. */
  async reload(configuration: object): Promise<void> {
    await writeConfiguration(this.folder, configuration);
    await this.command("reload").catch(() => "");
  }

  /** Kills the process, like a power failure. */
  async kill(): Promise<void> {
    const ended = once(this.process, "close");
    this.process.kill("SIGKILL");
    await ended;
  }

  /** Starts the server again on the same port; `fresh`: without its database. */
  async restart(fresh = false): Promise<void> {
    if (fresh) {
      const files = (await readdir(this.folder)).filter((name) => name.startsWith("petstream.db"));
      await Promise.all(files.map((name) => rm(join(this.folder, name))));
    }
    [this.process] = await spawnServer(this.folder, new URL(this.url).host, this.lines);
  }

  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, "close");
      this.process.kill("SIGTERM");
      // Open streams delay the shutdown; a second signal after more than a second ends the process at once.
      const secondSignal = setTimeout(() => this.process.kill("SIGTERM"), 1_200);
      const killTimer = setTimeout(() => this.process.kill("SIGKILL"), 30_000);
      await ended;
      clearTimeout(secondSignal);
      clearTimeout(killTimer);
    }
    await rm(this.folder, { recursive: true });
    const unexpected = this.lines.filter((line) => !line.startsWith("{"));
    if (unexpected.length > 0) throw new Error(`lines that are not log records: ${unexpected.join("\n")}`);
  }

  /** Runs a subcommand of the binary on this server's database. */
  async command(...parts: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(BINARY, parts, { cwd: this.folder, env: {} });
    return stdout;
  }

  async request<T>(method: string, path: string, body?: unknown, key = KEY): Promise<T> {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
    const response = await fetch(new URL(path, this.url), init);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }

  async pets(): Promise<Pet[]> {
    const all: Pet[] = [];
    let next: string | null = "api/pets?limit=100";
    while (next !== null) {
      const page: { data: Pet[]; next: string | null } = await this.request("GET", next);
      all.push(...page.data);
      // Only the query is used, since `next` has the public path and this request bypasses the proxy.
      next = page.next === null ? null : `api/pets${new URL(page.next, this.url).search}`;
    }
    return all;
  }

  async available(species?: string): Promise<Pet> {
    const pet = (await this.pets()).find(
      (one) => one.status === "AVAILABLE" && (species ?? one.species) === one.species,
    );
    if (pet === undefined) throw new Error("no pet is available");
    return pet;
  }

  /** Changes a pet as another client. */
  async patch(pet: Pet, change: object): Promise<Pet> {
    return this.request("PATCH", `api/pets/${pet.id}`, change);
  }

  /** Adds a pet as another client. */
  async add(name: string, more: object = {}): Promise<Pet> {
    const pet = { species: "CAT", name, breed: "Tabby", ageMonths: 5, size: "SMALL", color: "grey", price: "12.50" };
    return this.request("POST", "api/pets", { ...pet, ...more });
  }

  /** All events of the log, the oldest first. */
  async events(): Promise<readonly LoggedEvent[]> {
    const { events } = await this.request<{ events: LoggedEvent[] }>(
      "GET",
      "api/events?after=earliest&wait=0&limit=1000",
    );
    return events;
  }

  /** The number of open event streams. */
  async subscribers(): Promise<number> {
    return (await this.request<{ subscribers: number }>("GET", "api/stats")).subscribers;
  }
}

async function spawnServer(folder: string, address: string, lines: string[]): Promise<[ChildProcess, string]> {
  const child = spawn(BINARY, ["--listen", address, "--log-format", "json"], {
    cwd: folder,
    env: {},
    stdio: ["ignore", "ignore", "pipe"],
  });
  const url = await new Promise<string>((resolve, reject) => {
    const failed = (): void => reject(new Error(`petstream did not start:\n${lines.join("\n")}`));
    child.once("close", failed).once("error", reject);
    createInterface({ input: child.stderr }).on("line", (line) => {
      lines.push(line);
      const message = line.startsWith("{") ? String((JSON.parse(line) as { message: unknown }).message) : "";
      if (message.startsWith(LISTENING)) resolve(message.slice(LISTENING.length));
    });
  });
  return [child, url];
}
