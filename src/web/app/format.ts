/** Formats values for display. */

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const integer = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A time of day. */
export function time(at: string | number | Date): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "–" : clock.format(date);
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** A day and a time of day. */
export function dateTime(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "–" : `${day.format(date)}, ${clock.format(date)}`;
}

/** A price such as `149.99` and `USD`. The digits are not converted to a number. */
export function money(price: string, currency: string): string {
  const [units = "", cents] = price.split(".");
  const grouped = units.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const amount = cents === undefined || /^0*$/.test(cents) ? grouped : `${grouped}.${cents}`;
  return currency === "USD" ? `$${amount}` : `${amount} ${currency}`;
}

/** An age. */
export function age(months: number): string {
  if (months < 24) return `${months} mo`;
  const years = Math.floor(months / 12);
  return months % 12 === 0 ? `${years} yr` : `${years} yr ${months % 12} mo`;
}

/** `IN_PROGRESS` as `In progress`. */
export function humanize(name: string): string {
  const text = name.toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A number; below 100 with one decimal. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return (Math.abs(value) < 100 ? decimal : integer).format(value);
}

/** A duration in milliseconds, from 1 s on in seconds. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  return ms < 1_000 ? `${number(ms)} ms` : `${decimal.format(ms / 1_000)} s`;
}

/** `1 pet`, `2 pets`. */
export function count(n: number, noun: string): string {
  return `${integer.format(n)} ${noun}${n === 1 ? "" : "s"}`;
}
