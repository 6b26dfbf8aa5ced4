import { h, setText } from "../dom.ts";
import { count, dateTime } from "../format.ts";
import { onTheme } from "../header.ts";
import { type Context, throttleToFrames, type View } from "../view.ts";
import { CHARTS, Chart } from "./charts.ts";
import { ConfigurationNotice } from "./configuration.ts";
import { Stats } from "./data.ts";
import { limits, recent, replicas, upstreams } from "./tables.ts";

/** The proxy's statistics, second by second. */
export const traffic: View = {
  title: "Traffic",

  mount(root: HTMLElement, { session, model }: Context): () => void {
    root.append(h("h1", { class: "hidden", text: "Traffic" }));
    if (!session.hasScope("stats")) {
      root.append(
        h("p", {
          class: "notice",
          text: "Traffic is for keys with the scope stats, which this one lacks. The server's first key has it; another is made with: petstream keys create --name watcher --scopes stats",
        }),
      );
      return () => {};
    }
    const charts = CHARTS.map((spec) => new Chart(spec));
    const tables = { replicas: replicas(), upstreams: upstreams(), limits: limits(), recent: recent() };
    const summary = h("p", { class: "muted", id: "traffic-line", text: "Loading…" });
    const notice = new ConfigurationNotice();
    root.append(
      summary,
      notice.element,
      h("div", { class: "charts" }, ...charts.map(({ element }) => element)),
      h("div", { class: "pair" }, tables.upstreams.element, tables.limits.element),
      tables.recent.element,
      tables.replicas.element,
    );
    const draw = (): void => {
      for (const chart of charts) chart.draw(stats.samples);
      tables.upstreams.draw(stats.current.upstreams);
      tables.limits.draw(stats.current.limits.filter(({ refused }) => refused > 0));
      tables.recent.draw(stats.recent);
      const { liveReplicas } = stats.current;
      tables.replicas.element.hidden = liveReplicas < 2;
      tables.replicas.draw(stats.replicas);
      notice.draw(stats.current.configuration);
      const { server, error, current } = stats;
      if (error !== null) setText(summary, error);
      else if (server !== null) {
        const which = liveReplicas < 2 ? "" : `, replica ${current.replica}, one of ${liveReplicas}`;
        setText(
          summary,
          `petstream ${server.version}${which}, running since ${dateTime(server.started)} · ${count(current.subscribers, "event stream")}`,
        );
      }
    };
    const isVisible = (): boolean => !root.hidden && !document.hidden;
    const stats = new Stats(
      session,
      model,
      throttleToFrames(() => draw()),
      isVisible,
    );
    const unlisten = onTheme(() => {
      for (const chart of charts) chart.updateColors();
    });
    return () => {
      stats.close();
      unlisten();
      for (const chart of charts) chart.close();
    };
  },
};
