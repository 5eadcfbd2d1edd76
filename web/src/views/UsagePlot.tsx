/**
 * Usage by day as a plot: stacked bars of what adds up, dots and lines of times. The days are one thing to focus, and the arrow keys go from one to
 * the next; the tables below have the same figures.
 */
import { useMemo, useState, type KeyboardEvent, type PointerEvent } from "react";
import { MEASURES, show, topOf, type Day, type Measure, type Series } from "../text/usage";

export const FILLS = ["fill-series-1", "fill-series-2", "fill-series-3", "fill-series-4", "fill-series-5", "fill-series-6"] as const;
const STROKES = ["stroke-series-1", "stroke-series-2", "stroke-series-3", "stroke-series-4", "stroke-series-5", "stroke-series-6"] as const;
const GROUNDS = ["bg-series-1", "bg-series-2", "bg-series-3", "bg-series-4", "bg-series-5", "bg-series-6"] as const;
/** The least width of a day, pixels: longer spans scroll. */
const DAY_PIXELS = 6;
const HEIGHT = 100;

interface UsagePlotProps {
  measure: Measure;
  days: readonly Day[];
  series: readonly Series[];
  /** What the plot tells of a day, beside its series. */
  total: (day: Day) => number | undefined;
}

export function UsagePlot({ measure, days, series, total }: UsagePlotProps) {
  const [chosen, setChosen] = useState<number>();
  const adds = MEASURES.some((each) => each.measure === measure && each.adds);
  const top = useMemo(() => {
    const heights = adds
      ? days.map((_, day) => series.reduce((sum, { values }) => sum + (values[day] ?? 0), 0))
      : series.flatMap(({ values }) => values.filter((value) => value !== undefined));
    return topOf(heights.reduce((most, height) => Math.max(most, height), 0));
  }, [adds, days, series]);
  const at = chosen !== undefined && chosen < days.length ? chosen : undefined;
  const day = at === undefined ? undefined : days[at];
  const move = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -7, PageUp: 7, Home: -days.length, End: days.length };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    setChosen(Math.max(0, Math.min(days.length - 1, (at ?? days.length - 1) + step)));
  };
  const point = (event: PointerEvent<HTMLDivElement>) => {
    const box = event.currentTarget.getBoundingClientRect();
    setChosen(Math.max(0, Math.min(days.length - 1, Math.floor(((event.clientX - box.left) / box.width) * days.length))));
  };
  return (
    <div>
      <p className="mb-2 flex min-h-6 flex-wrap items-baseline gap-x-2 text-sm tabular-nums" aria-hidden="true">
        <span className="font-medium">{day ? nameOf(day) : `${nameOf(days[0])} – ${nameOf(days.at(-1))}`}</span>
        {day && <span className="text-quiet">{wordsOf(measure, total(day))}</span>}
      </p>
      <div className="flex">
        <div className="relative w-14 shrink-0 text-right text-xs text-quiet tabular-nums" aria-hidden="true">
          {[top, top / 2, 0].map((tick, index) => (
            <span key={index} className={`absolute right-2 -translate-y-1/2 ${["top-0", "top-1/2", "top-full"][index]}`}>
              {show(measure, tick)}
            </span>
          ))}
        </div>
        <div className="min-w-0 flex-1 -mt-2 overflow-x-auto overflow-y-hidden pt-2">
          <div
            role="slider"
            tabIndex={0}
            aria-label={`${MEASURES.find((each) => each.measure === measure)?.long ?? ""} by day`}
            aria-valuemin={1}
            aria-valuemax={days.length}
            aria-valuenow={(at ?? days.length - 1) + 1}
            aria-valuetext={told(measure, days[at ?? days.length - 1], series, at ?? days.length - 1, total)}
            onKeyDown={move}
            onFocus={(event) => event.currentTarget.matches(":focus-visible") && setChosen(at ?? days.length - 1)}
            onBlur={() => setChosen(undefined)}
            onPointerMove={point}
            onPointerDown={point}
            onPointerLeave={() => setChosen(undefined)}
            className="h-44 touch-pan-y rounded-sm -outline-offset-2"
            style={{ minWidth: days.length * DAY_PIXELS }}
          >
            <svg viewBox={`0 0 ${days.length} ${HEIGHT}`} preserveAspectRatio="none" className="block size-full overflow-visible" aria-hidden="true">
              {at !== undefined && <rect x={at} width={1} height={HEIGHT} className="fill-hover" />}
              {[0, HEIGHT / 2, HEIGHT].map((y) => (
                <line key={y} x2={days.length} y1={y} y2={y} vectorEffect="non-scaling-stroke" className="stroke-line" />
              ))}
              {adds ? <Bars days={days.length} series={series} top={top} /> : <Lines series={series} top={top} />}
            </svg>
          </div>
        </div>
      </div>
      <div className="mt-1.5 ml-14 flex justify-between text-xs text-quiet" aria-hidden="true">
        <span>{nameOf(days[0])}</span>
        <span>{nameOf(days.at(-1))}</span>
      </div>
      {series.length > 0 && (
        <ul aria-label="Colours" className="mt-3 flex flex-wrap gap-x-4 gap-y-1 text-sm">
          {series.map(({ name, values, whole }, index) => (
            <li key={name} className="flex min-w-0 items-center gap-2">
              <span className={`size-2.5 shrink-0 rounded-[3px] ${GROUNDS[index]}`} aria-hidden="true" />
              <span className="min-w-0 break-all">{name}</span>
              <span className="text-quiet tabular-nums">{wordsOf(measure, at === undefined ? whole : values[at])}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Bars({ days, series, top }: { days: number; series: readonly Series[]; top: number }) {
  const heights = Array.from({ length: days }, () => 0);
  return series.map(({ name, values }, index) => (
    <g key={name} className={FILLS[index]}>
      {values.map((value, day) => {
        if (!value) return null;
        const height = (value / top) * HEIGHT;
        const below = heights[day] ?? 0;
        heights[day] = below + height;
        return <rect key={day} x={day + 0.12} width={0.76} y={HEIGHT - below - height} height={height} />;
      })}
    </g>
  ));
}

function Lines({ series, top }: { series: readonly Series[]; top: number }) {
  return series.map(({ name, values }, index) => {
    const points = values.flatMap((value, day) => (value === undefined ? [] : [[day + 0.5, HEIGHT - (value / top) * HEIGHT] as const]));
    return (
      <g key={name} className={`fill-none ${STROKES[index]}`}>
        <polyline points={points.map((point) => point.join(",")).join(" ")} vectorEffect="non-scaling-stroke" strokeWidth={1.5} opacity={0.55} />
        {/* A line of no length with a round cap is a dot, whatever the plot's proportions. */}
        <path d={points.map(([x, y]) => `M${x} ${y}h0.0001`).join("")} vectorEffect="non-scaling-stroke" strokeWidth={6} strokeLinecap="round" />
      </g>
    );
  });
}

function nameOf(day: Day | undefined): string {
  return day?.date.toLocaleDateString("en-US", { month: "short", day: "numeric" }) ?? "";
}

function wordsOf(measure: Measure, value: number | undefined): string {
  return value === undefined ? "nothing" : show(measure, value);
}

function told(measure: Measure, day: Day | undefined, series: readonly Series[], at: number, total: (day: Day) => number | undefined): string {
  if (!day) return "nothing";
  const parts = series.flatMap(({ name, values }) => (values[at] === undefined ? [] : [`${name} ${show(measure, values[at])}`]));
  const date = day.date.toLocaleDateString("en-US", { weekday: "long", month: "long", day: "numeric" });
  return [`${date}: ${wordsOf(measure, total(day))}`, ...(parts.length > 1 ? parts : [])].join(", ");
}
