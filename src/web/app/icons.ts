/** Icons: line drawings of 24 by 24. */

const SVG = "http://www.w3.org/2000/svg";

const PATHS = {
  dog: "M7.5 6.5 4 7.5 3.5 13l2.5 1.5M16.5 6.5 20 7.5l.5 5.5-2.5 1.5M6.5 9c0-2.5 2.5-4 5.5-4s5.5 1.5 5.5 4v4.5c0 3.5-2.5 6-5.5 6s-5.5-2.5-5.5-6zM9.5 11v.6M14.5 11v.6M10.7 15h2.6L12 16.4zM12 16.4v1",
  cat: "M5 4l4.2 3.2h5.6L19 4v8.5c0 4-3 7-7 7s-7-3-7-7zM9.3 12v.6M14.7 12v.6M11 15.3h2M2.5 13.5l2.5.5M2.5 17l3-1M21.5 13.5l-2.5.5M21.5 17l-3-1",
  rabbit:
    "M10 10C7.8 6.5 7 2.5 8.7 2.5S11.3 6 11.5 9.5M14 10c2.2-3.5 3-7.5 1.3-7.5S12.7 6 12.5 9.5M6.5 15.5c0-3.3 2.5-6 5.5-6s5.5 2.7 5.5 6-2.5 6-5.5 6-5.5-2.7-5.5-6zM10 14.5v.6M14 14.5v.6M11.3 17.5h1.4",
  bird: "M4.5 12.5c0-4.7 3.5-8 7.5-8 3.2 0 5.3 2.2 5.5 5.2l3 1.6-3 1.7c-.3 4.5-3.8 6.5-8 6.5H4l3-2.7c-1.7-1-2.5-2.6-2.5-4.3zM14 9v.6M8.5 13.5c1.5 1.5 4 1.5 5-1",
  reptile:
    "M3.5 15.5c0-4.5 3.3-8 7.5-8s7.5 3.5 7.5 8zM18.3 13.5c1.5-2 3.2-1.5 3.2.2 0 1.6-1.5 1.9-3 1.8M6.5 15.5V18M15.5 15.5V18M8 11.5h6M11 7.5l-3 4 1.5 4M11 7.5l3 4-1.5 4",
  fish: "M3 12c3-5 9.5-6 13.5-1.2L20.5 8v8l-4-2.8C12.5 18 6 17 3 12zM7.5 11v.6M11 9.5c1 1.6 1 3.4 0 5",
  other:
    "M12 12.2c-3 0-5.3 2.8-5.3 5.2 0 1.8 1.3 2.6 2.8 2.6 1 0 1.6-.5 2.5-.5s1.5.5 2.5.5c1.5 0 2.8-.8 2.8-2.6 0-2.4-2.3-5.2-5.3-5.2zM3.7 11.6a1.5 2 0 1 0 3 0a1.5 2 0 1 0 -3 0zM7.8 6.6a1.6 2.2 0 1 0 3.2 0a1.6 2.2 0 1 0 -3.2 0zM13 6.6a1.6 2.2 0 1 0 3.2 0a1.6 2.2 0 1 0 -3.2 0zM17.3 11.6a1.5 2 0 1 0 3 0a1.5 2 0 1 0 -3 0z",
  store:
    "M4 10v9.5h16V10M3 9.5 5 4.5h14l2 5c0 1.5-1 2.5-2.3 2.5S16.5 11 16.5 9.5c0 1.5-1 2.5-2.25 2.5S12 11 12 9.5c0 1.5-1 2.5-2.25 2.5S7.5 11 7.5 9.5C7.5 11 6.6 12 5.3 12S3 11 3 9.5zM9.5 19.5v-4.5h5v4.5",
  chat: "M4.5 5.5h15v11h-8l-4.5 3.5v-3.5h-2.5zM8.5 9.5h7M8.5 12.7h4.5",
  traffic: "M3 13h4l2.5-7 4 13 3-9 1.5 3h3",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  out: "M14 4.5h5v15h-5M4.5 12h10M11 8.5l3.5 3.5-3.5 3.5",
  plus: "M12 5v14M5 12h14",
  search: "M10.5 4.5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15 15l5 5",
  kids: "M12 20s-7.5-4.3-7.5-9.5A4 4 0 0 1 12 8a4 4 0 0 1 7.5 2.5C19.5 15.7 12 20 12 20z",
  send: "M4.5 12h14M13 6.5l5.5 5.5-5.5 5.5",
  stop: "M7 7h10v10H7z",
  copy: "M8.5 8.5h11v11h-11zM15.5 8.5v-4h-11v11h4",
} as const;

export type IconName = keyof typeof PATHS;

/** A decorative icon, hidden from screen readers. */
export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** The icon of a species. */
export function speciesIcon(species: string): SVGSVGElement {
  const name = species.toLowerCase();
  return icon(name in PATHS ? (name as IconName) : "other");
}
