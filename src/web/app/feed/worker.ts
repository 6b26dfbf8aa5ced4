// The worker that all tabs share. Over HTTP/1.1, browsers allow six connections to a host, which one stream for each
// tab would use up. The worker has one connection for each key that tabs are signed in with.

import { Hosts } from "./hosts.ts";
import type { FromHost, ToHost } from "./protocol.ts";

// Declared here, since TypeScript's libraries of workers and of pages exclude each other.
declare const self: typeof globalThis & { onconnect: (event: MessageEvent) => void };

const hosts = new Hosts();

self.onconnect = ({ ports: [port] }) => {
  if (port === undefined) return;
  const tab = hosts.tab((message: FromHost) => port.postMessage(message));
  port.addEventListener("message", ({ data }: MessageEvent<ToHost>) => tab(data));
  // Only some browsers have this event; the others rely on pings.
  port.addEventListener("close", () => tab({ t: "bye" }));
  port.start();
};
