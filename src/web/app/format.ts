/** What people read. */

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** A time of day. */
export function time(at: string | number | Date): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "–" : clock.format(date);
}

const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** A day and a time of day. */
export function moment(at: string): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? "–" : `${day.format(date)}, ${clock.format(date)}`;
}

/** `149.99` and `USD`: the digits stay those that were sent. */
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
export function word(name: string): string {
  const text = name.toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A number, with one decimal where it is small. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return (Math.abs(value) < 100 ? fine : whole).format(value);
}

/** Milliseconds, or seconds where there are many. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  return ms < 1_000 ? `${number(ms)} ms` : `${fine.format(ms / 1_000)} s`;
}

/** `1 pet`, `2 pets`. */
export function count(n: number, noun: string): string {
  return `${whole.format(n)} ${noun}${n === 1 ? "" : "s"}`;
}
