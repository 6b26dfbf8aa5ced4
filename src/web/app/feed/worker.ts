// The worker that all tabs share: browsers allow six connections a host over HTTP/1.1, and a stream in each tab would
// use them up. It has a connection for each key that tabs are signed in with, as long as one of them is there.

import { Hosts } from "./hosts.ts";
import type { FromHost, ToHost } from "./protocol.ts";

// Typed here, since the library of workers and that of pages can't be had at once.
declare const self: typeof globalThis & { onconnect: (event: MessageEvent) => void };

const hosts = new Hosts();

self.onconnect = ({ ports: [port] }) => {
  if (port === undefined) return;
  const tab = hosts.tab((message: FromHost) => port.postMessage(message));
  port.addEventListener("message", ({ data }: MessageEvent<ToHost>) => tab(data));
  // Where browsers tell of it.
  port.addEventListener("close", () => tab({ t: "bye" }));
  port.start();
};
