/** Usage as a table: the same figures that a plot shows, a row each of what they are split by. */
import type { UsageRow } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { count, dollars, duration } from "../text/figures";

interface UsageTableProps {
  label: string;
  /** What the first columns are called. */
  heads: readonly string[];
  rows: readonly UsageRow[];
  /** The first columns of a row. */
  namesOf: (row: UsageRow) => readonly string[];
  total?: UsageRow | undefined;
}

export function UsageTable({ label, heads, rows, namesOf, total }: UsageTableProps) {
  return (
    <div className="relative overflow-x-auto rounded-2xl border border-line bg-raised" tabIndex={0} role="group" aria-label={label}>
      <table className="w-full text-sm tabular-nums [&_td]:px-3 [&_td]:py-1.5 [&_th]:px-3 [&_th]:py-1.5">
        <caption className="sr-only">{label}</caption>
        <thead className="text-left text-xs whitespace-nowrap text-quiet [&_th]:font-medium">
          <tr className="border-b border-line">
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
            {["Requests", "Failed", "Read", "Written", "Cost", "First word", "Whole answer"].map((head) => (
              <th key={head} scope="col" className="text-right">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            <Row key={index} names={namesOf(row)} row={row} />
          ))}
        </tbody>
        {total && rows.length > 1 && (
          <tfoot className="font-medium">
            <Row names={["All", ...heads.slice(1).map(() => "")]} row={total} />
          </tfoot>
        )}
      </table>
    </div>
  );
}

function Row({ names, row }: { names: readonly string[]; row: UsageRow }) {
  const { requestCount, failedCount, inputTokens, outputTokens, estimatedCount, unpricedCount } = row;
  const numbers = [
    count(Number(requestCount)),
    failedCount > 0n ? count(Number(failedCount)) : "–",
    // "~": Parley counted some of these itself.
    `${estimatedCount > 0n ? "~" : ""}${count(Number(inputTokens))}`,
    `${estimatedCount > 0n ? "~" : ""}${count(Number(outputTokens))}`,
    unpricedCount === requestCount ? "no price" : `${dollars(row.costUsdMicros)}${unpricedCount > 0n ? "+" : ""}`,
    times(row.timeToFirstTokenP50Ms, row.timeToFirstTokenP95Ms),
    times(row.durationP50Ms, row.durationP95Ms),
  ];
  return (
    <tr className="border-b border-line last:border-0 [tfoot_&]:border-t [tfoot_&]:border-b-0">
      {names.map((name, index) =>
        index === 0 ? (
          <th key={index} scope="row" className="max-w-64 min-w-28 text-left font-normal break-words [tfoot_&]:font-medium">
            {name}
          </th>
        ) : (
          <td key={index} className="max-w-64 min-w-24 break-words">
            {name}
          </td>
        ),
      )}
      {numbers.map((number, index) => (
        <td key={index} className="text-right whitespace-nowrap">
          {number}
        </td>
      ))}
    </tr>
  );
}

/** The median, and the 95th percentile where it is another. */
function times(median: bigint, slow: bigint): string {
  if (median === 0n && slow === 0n) return "–";
  const words = duration(Number(median));
  return slow === median ? words : `${words} (${duration(Number(slow))})`;
}
