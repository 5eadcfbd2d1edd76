/** Numbers and times in the words of the page. */

/** 840 ms, 1.3 s, 42 s, 3 min 5 s. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** 12,480 */
export function count(value: number): string {
  return value.toLocaleString("en-US");
}

/** 840, 1.2k, 12k, 1.3M: where the exact number tells nothing more. */
export function roughly(value: number): string {
  const [scaled, unit] = value < 1_000 ? [value, ""] : value < 999_500 ? [value / 1_000, "k"] : [value / 1_000_000, "M"];
  return `${unit && scaled < 9.95 ? scaled.toFixed(1) : Math.round(scaled)}${unit}`;
}

/** 0.8, 7.5, 42, 1,280: how many a second, of what came within some milliseconds. */
export function perSecond(value: number, milliseconds: number): string {
  const rate = (value * 1000) / milliseconds;
  return rate < 10 ? rate.toFixed(1) : count(Math.round(rate));
}

/** $0, $0.000012, $0.0012, $0.25, $3.10: of less than a dollar two digits that tell something. From millionths of a US dollar. */
export function dollars(micros: bigint): string {
  if (micros === 0n) return "$0";
  const digits = Math.min(6, Math.max(2, 8 - String(micros).length));
  return `$${(Number(micros) / 1_000_000).toFixed(digits)}`;
}

/** 31 bytes, 4 kB, 3.2 MB. */
export function bytes(value: number): string {
  if (value < 1000) return `${value} bytes`;
  if (value < 1_000_000) return `${Math.round(value / 1000)} kB`;
  return `${(value / 1_000_000).toFixed(1)} MB`;
}

/** When something was, short: today 14:05, yesterday, Nov 3, Nov 3, 2025. */
export function moment(time: Date, now: Date): string {
  const near = period(time, now);
  if (near === "Today") return `today ${time.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" })}`;
  if (near === "Yesterday") return "yesterday";
  return time.toLocaleDateString("en-US", { month: "short", day: "numeric", ...(time.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) });
}

/** The heading under which a time stands in a list: Today, Yesterday, Previous 7 days, Previous 30 days, then months. */
export function period(time: Date, now: Date): string {
  const day = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
  const days = Math.round((day(now) - day(time)) / 86_400_000);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days <= 7) return "Previous 7 days";
  if (days <= 30) return "Previous 30 days";
  return time.toLocaleDateString("en-US", { month: "long", ...(time.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }) });
}
