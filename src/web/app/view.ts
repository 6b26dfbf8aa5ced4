import type { Session } from "./session.ts";
import type { Model } from "./store/model.ts";

/** What views are given. */
export interface Context {
  readonly session: Session;
  /** None for keys that may not read the store. */
  readonly model: Model | null;
}

/** A part of the page that is shown alone. */
export interface View {
  readonly title: string;
  /** Fills `root`; what it gives is called when another view takes its place. */
  mount(root: HTMLElement, context: Context): () => void;
}

/** Runs at most once a frame, however often it is asked to; at once where no frames are drawn. */
export function everyFrame(run: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    const once = (): void => {
      if (!waiting) return;
      waiting = false;
      run();
    };
    requestAnimationFrame(once);
    // Tabs in the background draw none.
    setTimeout(once, 200);
  };
}
