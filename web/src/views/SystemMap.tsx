/** The parts of Parley and what goes between them, as a drawing, and the same as a table. */
import type { GetStatusResponse } from "@parley/protos/parley/system/v1/system_service_pb";
import { mapRows, narrowMap, wideMap, type Box, type Drawing, type Way } from "../text/systemMap";
import type { Health } from "../text/status";
import { Section } from "./SystemPanel";

export function SystemMap({ status }: { status: GetStatusResponse }) {
  if (status.nodes.length === 0) return null;
  const replicas = status.nodes.flatMap(({ processId }) => (processId ? [processId] : []));
  return (
    <Section name="Map">
      <div className="rounded-2xl border border-line bg-ground p-3 sm:p-5">
        <Picture drawing={wideMap(status)} className="hidden w-full sm:block" />
        <Picture drawing={narrowMap(status)} className="mx-auto w-full max-w-sm sm:hidden" />
      </div>
      <details className="group mt-2 text-sm">
        <summary className="w-fit cursor-pointer rounded-md text-quiet transition-colors hover:text-ink">The figures as a table</summary>
        <div className="mt-2 overflow-x-auto rounded-2xl border border-line bg-raised" tabIndex={0} role="region" aria-label="Figures of the map">
          <table className="w-full text-left text-xs tabular-nums">
            <thead className="text-quiet">
              <tr>
                {["From", "To", "Calls", "Errors", "Running", "First token", "Breaker"].map((name) => (
                  <th key={name} scope="col" className="px-3 py-2 font-medium whitespace-nowrap">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody className="divide-y divide-line border-t border-line">
              {mapRows(status).map((row) => (
                <tr key={row.id}>
                  <td className="px-3 py-1.5 whitespace-nowrap">{row.from}</td>
                  <td className="px-3 py-1.5 whitespace-nowrap">{row.to}</td>
                  {[row.calls, row.errors, row.running, row.firstToken, row.breaker].map((cell, place) => (
                    <td key={place} className="px-3 py-1.5 whitespace-nowrap text-quiet">
                      {cell}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
      <p className="mt-2 text-xs text-pretty text-quiet">
        What all users did in the last minute, as one process of each service counted it
        {replicas.length > 0 && <span title={replicas.join(", ")}>. Where a service has several, each has figures of its own</span>}.
      </p>
    </Section>
  );
}

const DOTS: Record<Health, string> = { good: "fill-good", warn: "fill-warn", bad: "fill-bad", unknown: "fill-line-strong" };

function Picture({ drawing: { width, height, boxes, ways }, className }: { drawing: Drawing; className: string }) {
  return (
    <svg viewBox={`-2 -2 ${width + 4} ${height + 4}`} className={className} aria-hidden="true">
      {ways.map((way) => (
        <Line key={way.id} way={way} />
      ))}
      {boxes.map((box) => (
        <Part key={box.id} box={box} />
      ))}
      {ways.map(({ id, label, flow }) => label && <Label key={id} {...label} failing={flow === "failing"} />)}
    </svg>
  );
}

function Line({ way: { path, flow, breaker } }: { way: Way }) {
  const look = breaker === "open" ? "stroke-bad" : breaker === "trying" ? "stroke-warn" : { none: "stroke-line-strong", some: "stroke-accent", failing: "stroke-bad" }[flow];
  return <path d={path} fill="none" className={look} strokeWidth={flow === "none" && !breaker ? 1.25 : 2} strokeDasharray={breaker ? "5 4" : undefined} />;
}

function Part({ box: { name, words, health, x, y, width, height } }: { box: Box }) {
  const middle = y + height / 2;
  const left = health ? x + 26 : x + 12;
  return (
    <g>
      <rect x={x} y={y} width={width} height={height} rx={12} className="fill-raised stroke-line-strong" />
      {health && <circle cx={x + 15} cy={words ? middle - 8 : middle} r={4} className={DOTS[health]} />}
      <text x={left} y={words ? middle - 3 : middle + 5} className="fill-ink text-[13px] font-medium">
        {short(name, width - (left - x) - 8, 7.2)}
      </text>
      {words && (
        <text x={x + 12} y={middle + 15} className="fill-quiet text-[11.5px] tabular-nums">
          {short(words, width - 20, 5.9)}
        </text>
      )}
    </g>
  );
}

function Label({ words, x, y, failing }: { words: string; x: number; y: number; failing: boolean }) {
  const width = words.length * 6.2 + 12;
  return (
    <g>
      <rect x={x - width / 2} y={y - 10} width={width} height={20} rx={10} className="fill-ground stroke-line" />
      <text x={x} y={y + 4} textAnchor="middle" className={`text-[11.5px] tabular-nums ${failing ? "fill-bad" : "fill-ink"}`}>
        {words}
      </text>
    </g>
  );
}

/** SVG does not cut text by itself. `each`: how wide a letter is, about. */
function short(words: string, width: number, each: number): string {
  const most = Math.floor(width / each);
  return words.length > most ? `${words.slice(0, most - 1).trimEnd()}…` : words;
}
