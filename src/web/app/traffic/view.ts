import { h, setText } from "../dom.ts";
import { count, moment } from "../format.ts";
import { onTheme } from "../header.ts";
import { type Context, everyFrame, type View } from "../view.ts";
import { CHARTS, Chart } from "./charts.ts";
import { Stats } from "./data.ts";
import { limits, recent, upstreams } from "./tables.ts";

/** What the proxy does, second by second. */
export const traffic: View = {
  title: "Traffic",

  mount(root: HTMLElement, { session, model }: Context): () => void {
    root.append(h("h1", { class: "hidden", text: "Traffic" }));
    if (!session.may("stats")) {
      root.append(
        h("p", {
          class: "notice",
          text: "Traffic is for keys with the scope stats, which this one lacks. The server's first key has it; another is made with: petstream keys create --name watcher --scopes stats",
        }),
      );
      return () => {};
    }
    const charts = CHARTS.map((spec) => new Chart(spec));
    const tables = { upstreams: upstreams(), limits: limits(), recent: recent() };
    const line = h("p", { class: "muted", id: "traffic-line", text: "Loading…" });
    root.append(
      line,
      h("div", { class: "charts" }, ...charts.map(({ element }) => element)),
      h("div", { class: "pair" }, tables.upstreams.element, tables.limits.element),
      tables.recent.element,
    );
    const draw = (): void => {
      for (const chart of charts) chart.draw(stats.samples);
      tables.upstreams.draw(stats.present.upstreams);
      tables.limits.draw(stats.present.limits.filter(({ refused }) => refused > 0));
      tables.recent.draw(stats.recent);
      const { server, trouble, present } = stats;
      if (trouble !== null) setText(line, trouble);
      else if (server !== null) {
        setText(
          line,
          `petstream ${server.version}, running since ${moment(server.started)} · ${count(present.subscribers, "event stream")}`,
        );
      }
    };
    const watched = (): boolean => !root.hidden && !document.hidden;
    const stats = new Stats(
      session,
      model,
      everyFrame(() => draw()),
      watched,
    );
    const unlisten = onTheme(() => {
      for (const chart of charts) chart.recolour();
    });
    return () => {
      stats.close();
      unlisten();
      for (const chart of charts) chart.close();
    };
  },
};
