import uPlot from "uplot";

import { h, setText } from "../dom.ts";
import { duration, number, time } from "../format.ts";
import type { Sample } from "./data.ts";

/** The time span of a chart, seconds. */
const WINDOW_SECONDS = 300;
const HEIGHT = 132;

interface Line {
  readonly label: string;
  readonly color: string;
  readonly of: (sample: Sample) => number | null;
}

interface ChartSpec {
  readonly title: string;
  readonly unit: "number" | "ms";
  readonly lines: readonly Line[];
}

const percentiles = (of: (sample: Sample) => Sample["gap"]): readonly Line[] => [
  { label: "p50", color: "--chart-1", of: (sample) => of(sample).p50 },
  { label: "p99", color: "--chart-2", of: (sample) => of(sample).p99 },
];

export const CHARTS: readonly ChartSpec[] = [
  {
    title: "Requests a second",
    unit: "number",
    lines: [{ label: "", color: "--chart-1", of: ({ requests }) => requests }],
  },
  {
    title: "Streams in flight",
    unit: "number",
    lines: [{ label: "", color: "--chart-1", of: ({ streams }) => streams }],
  },
  {
    title: "Tokens a second",
    unit: "number",
    lines: [
      { label: "out", color: "--chart-1", of: ({ completionTokens }) => completionTokens },
      { label: "in", color: "--chart-2", of: ({ promptTokens }) => promptTokens },
    ],
  },
  { title: "Time to first token", unit: "ms", lines: percentiles(({ firstToken }) => firstToken) },
  { title: "Gaps between tokens", unit: "ms", lines: percentiles(({ gap }) => gap) },
];

/** A small chart. Its title shows the values under the pointer, otherwise the current ones. */
export class Chart {
  readonly element: HTMLElement;
  private readonly canvas = h("div", { class: "plot", role: "img" });
  private readonly values: readonly HTMLElement[];
  private readonly timeLabel = h("span", { class: "when" });
  private readonly probe = h("i", { class: "probe" });
  private readonly resizeObserver: ResizeObserver;
  private plot: uPlot | null = null;
  private samples: readonly Sample[] = [];
  private hovered: number | null = null;

  constructor(private readonly spec: ChartSpec) {
    this.values = spec.lines.map(() => h("b", { text: "–" }));
    const legend = spec.lines.map(({ label }, index) =>
      h(
        "span",
        { class: `value v${index + 1}` },
        label === "" ? null : h("i", { class: "dot" }),
        label === "" ? null : label,
        this.values[index],
      ),
    );
    const head = h("div", { class: "title" }, h("h2", { text: spec.title }), this.timeLabel, ...legend);
    this.element = h("figure", { class: "card chart" }, head, this.canvas, this.probe);
    this.resizeObserver = new ResizeObserver(() => this.fit());
    this.resizeObserver.observe(this.canvas);
  }

  close(): void {
    this.resizeObserver.disconnect();
    this.plot?.destroy();
  }

  /** Redraws with the colors of the current theme. */
  updateColors(): void {
    this.plot?.redraw();
  }

  draw(samples: readonly Sample[]): void {
    this.samples = samples;
    this.plot?.setData(this.data());
    this.showValues();
    const current = this.spec.lines.map(({ label }, index) =>
      `${label} ${this.values[index]?.textContent ?? ""}`.trim(),
    );
    this.canvas.setAttribute("aria-label", `${this.spec.title}, the last five minutes. Now: ${current.join(", ")}`);
  }

  private data(): uPlot.AlignedData {
    const times = this.samples.map(({ t }) => t / 1_000);
    return [times, ...this.spec.lines.map(({ of }) => this.samples.map(of))];
  }

  private showValues(): void {
    const at = this.hovered === null ? this.samples.at(-1) : this.samples[this.hovered];
    setText(this.timeLabel, this.hovered === null || at === undefined ? "" : time(at.t));
    this.spec.lines.forEach(({ of }, index) => {
      const element = this.values[index];
      if (element !== undefined) setText(element, at === undefined ? "–" : this.format(of(at)));
    });
  }

  private format(value: number | null): string {
    return this.spec.unit === "ms" ? duration(value) : number(value);
  }

  /** Creates the plot when it has a width, which a hidden view does not have; otherwise resizes it. */
  private fit(): void {
    const width = this.canvas.clientWidth;
    if (width === 0) return;
    if (this.plot === null) this.plot = new uPlot(this.options(width), this.data(), this.canvas);
    else this.plot.setSize({ width, height: HEIGHT });
  }

  /** The current value of a color of the style sheet. */
  private color(name: string): string {
    this.probe.style.color = `var(${name})`;
    return getComputedStyle(this.probe).color;
  }

  private options(width: number): uPlot.Options {
    const grid = { stroke: () => this.color("--line"), width: 1 };
    const axis = {
      stroke: () => this.color("--muted"),
      font: "11px system-ui, sans-serif",
      grid,
      ticks: { show: false },
    };
    const now = (): number => (this.samples.at(-1)?.t ?? Date.now()) / 1_000;
    const series = this.spec.lines.map(({ color, label }, index) => ({
      label,
      stroke: () => this.color(color),
      fill: this.spec.lines.length === 1 ? () => this.color("--chart-fill") : "transparent",
      width: index === 0 ? 1.75 : 1.25,
      points: { show: false },
      spanGaps: false,
    }));
    return {
      width,
      height: HEIGHT,
      padding: [6, 4, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: () => [now() - WINDOW_SECONDS, now()] },
        // Some space above the highest value.
        y: { range: (_plot, _low, high) => [0, Math.max(1, (high ?? 0) * 1.15)] },
      },
      axes: [
        {
          ...axis,
          size: 22,
          space: 70,
          values: (_plot, at) => at.map((second) => time(second * 1_000).slice(0, 5)),
          incrs: [60, 120, 300],
        },
        {
          ...axis,
          size: this.spec.unit === "ms" ? 54 : 44,
          space: 32,
          values: (_plot, at) => at.map((value) => (this.spec.unit === "ms" ? duration(value) : number(value))),
        },
      ],
      series: [{}, ...series],
      hooks: {
        setCursor: [
          (plot) => {
            this.hovered = plot.cursor.idx ?? null;
            this.showValues();
          },
        ],
      },
    };
  }
}
