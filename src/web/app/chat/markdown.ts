import { lexer, type MarkedToken, type Token, type Tokens } from "marked";

import { h } from "../dom.ts";

/**
 * Renders Markdown as elements. The output of a model is untrusted, so nothing of it is parsed as HTML: the library
 * only splits the text into tokens, and each becomes an element of a kind that is listed here, with text as its
 * content. HTML is shown as text, images are not loaded, and only links to http, https and mailto are active.
 */
export class Markdown {
  private drawn: string[] = [];

  constructor(private readonly root: HTMLElement) {}

  /** Renders `text`, usually the text before with more appended. Only blocks that have changed are rendered again. */
  draw(text: string): void {
    const blocks = lexer(text).filter(({ type }) => type !== "space" && type !== "def");
    const raw = blocks.map((block) => block.raw);
    let same = 0;
    while (same < raw.length && raw[same] === this.drawn[same]) same += 1;
    while (this.root.childNodes.length > same) this.root.lastChild?.remove();
    for (const token of blocks.slice(same)) this.root.append(block(token));
    this.drawn = raw;
  }
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };

function decode(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,5}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[String(name).toLowerCase()] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

function block(untyped: Token): Node {
  const token = untyped as MarkedToken;
  switch (token.type) {
    case "heading":
      // Two levels lower, below the page's own headings.
      return h(`h${Math.min(6, token.depth + 2)}` as "h3", {}, ...inline(token.tokens));
    case "paragraph":
      return h("p", {}, ...inline(token.tokens));
    case "code":
      // Focusable, so that wide code can be scrolled by keyboard.
      return h("pre", { tabindex: "0" }, h("code", { text: token.text }));
    case "blockquote":
      return h("blockquote", {}, ...blocks(token.tokens));
    case "hr":
      return h("hr");
    case "list":
      return list(token);
    case "table":
      return table(token);
    case "text":
      return token.tokens === undefined ? text(decode(token.text)) : h("span", {}, ...inline(token.tokens));
    default:
      return h("p", { text: untyped.raw });
  }
}

const text = (value: string): Text => document.createTextNode(value);

function blocks(tokens: readonly Token[]): Node[] {
  return tokens.filter(({ type }) => type !== "space" && type !== "def").map(block);
}

function list({ ordered, start, items }: Tokens.List): HTMLElement {
  const entries = items.map((item) => {
    const box = item.task ? [text(item.checked ? "☑ " : "☐ ")] : [];
    return h("li", {}, ...box, ...blocks(item.tokens.filter(({ type }) => type !== "checkbox")));
  });
  return ordered ? h("ol", { start: Number(start) || 1 }, ...entries) : h("ul", {}, ...entries);
}

function table({ header, rows, align }: Tokens.Table): HTMLElement {
  const cell = (tag: "th" | "td", { tokens }: Tokens.TableCell, column: number): HTMLElement =>
    h(tag, { class: align[column] === "right" ? "right" : null }, ...inline(tokens));
  const head = h("tr", {}, ...header.map((entry, column) => cell("th", entry, column)));
  const body = rows.map((row) => h("tr", {}, ...row.map((entry, column) => cell("td", entry, column))));
  return h("div", { class: "scroll", tabindex: "0" }, h("table", {}, h("thead", {}, head), h("tbody", {}, ...body)));
}

function inline(tokens: readonly Token[] | undefined): Node[] {
  return (tokens ?? []).flatMap((untyped): Node[] => {
    const token = untyped as MarkedToken;
    switch (token.type) {
      case "strong":
        return [h("strong", {}, ...inline(token.tokens))];
      case "em":
        return [h("em", {}, ...inline(token.tokens))];
      case "del":
        return [h("del", {}, ...inline(token.tokens))];
      case "codespan":
        return [h("code", { text: token.text })];
      case "br":
        return [h("br")];
      case "escape":
        return [text(token.text)];
      case "link":
        return [link(token.href, inline(token.tokens))];
      case "image":
        // Loading an image would disclose the reader's address to its host.
        return [link(token.href, [text(`[image: ${token.text || token.href}]`)])];
      case "text":
        return token.tokens === undefined ? [text(decode(token.text))] : inline(token.tokens);
      default:
        return [text(untyped.raw)];
    }
  });
}

function link(href: string, children: Node[]): Node {
  const url = URL.canParse(href) ? new URL(href) : null;
  if (url === null || !["http:", "https:", "mailto:"].includes(url.protocol)) return h("span", {}, ...children);
  return h(
    "a",
    { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", title: url.href },
    ...children,
  );
}
