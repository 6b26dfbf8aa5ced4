// The page: shows the sign-in form or, for a session, the views.

import { explain } from "./api.ts";
import { byId, h, toast } from "./dom.ts";
import { Session } from "./session.ts";
import { Shell } from "./shell.ts";
import { signIn } from "./signin.ts";

let shell: Shell | null = null;

function enter(session: Session): void {
  session.onUnauthorized = () => void leave(session, "The key is no longer good: it was revoked, or it has expired.");
  shell = new Shell(session, () => void leave(session, null));
}

async function leave(session: Session, reason: string | null): Promise<void> {
  if (shell === null) return;
  shell.close();
  shell = null;
  session.onUnauthorized = () => {};
  if (session.key !== null) await session.close();
  signIn(enter);
  if (reason !== null) toast(reason, "error");
}

/** Restores the session; retries every 2 s while the server can't be reached. */
async function start(): Promise<void> {
  for (let first = true; ; first = false) {
    try {
      const session = await Session.resume();
      if (session === null) signIn(enter);
      else enter(session);
      return;
    } catch (failure) {
      if (first)
        byId("main").replaceChildren(
          h("p", { class: "notice", role: "status", text: `${explain(failure)} Trying again…` }),
        );
      await new Promise((resolve) => setTimeout(resolve, 2_000));
    }
  }
}

void start();
