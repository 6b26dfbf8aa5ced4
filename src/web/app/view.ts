import type { Session } from "./session.ts";
import type { Model } from "./store/model.ts";

/** What a view works with. */
export interface Context {
  readonly session: Session;
  /** `null` if the key lacks the scope `store:read`. */
  readonly model: Model | null;
}

/** A part of the page; one view is visible at a time. */
export interface View {
  readonly title: string;
  /** Fills `root`. Returns a function that releases the view's resources. */
  mount(root: HTMLElement, context: Context): () => void;
}

/** Wraps `run` so that it runs at most once a frame, or every 200 ms in a background tab, which draws no frames. */
export function throttleToFrames(run: () => void): () => void {
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
    setTimeout(once, 200);
  };
}
