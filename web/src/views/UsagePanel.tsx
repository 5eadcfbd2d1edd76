/** What the user's models took and cost: by day, and by model, route, purpose or project; and the budgets that bound it. */
import { Download } from "lucide-react";
import { useEffect, useMemo, useState } from "react";
import { useStore } from "zustand";
import { UsageDimension, type UsageRow } from "@parley/protos/parley/usage/v1/usage_service_pb";
import { Button } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { saveFile } from "../parts/saveFile";
import { Segments } from "../parts/Segments";
import { wordsFor } from "../rpc/errors";
import { projects, tell } from "../state/app";
import { LONGEST, tokens, type Span } from "../state/usage";
import { usage as store } from "../state/usageOfPage";
import { count, dollars, duration } from "../text/figures";
import { dayFrom, dayKey, daysBetween, MEASURES, partOf, seriesOf, SPLITS, valueOf, type Measure } from "../text/usage";
import { Budgets } from "./Budgets";
import { FIELD, Labelled } from "./TaskForm";
import { UsagePlot } from "./UsagePlot";
import { UsageTable } from "./UsageTable";

const SPANS = [
  { value: 7, name: "7 days" },
  { value: 30, name: "30 days" },
  { value: 90, name: "90 days" },
  { value: 0, name: "Other days" },
] as const;

export function UsagePanel() {
  const { loaded, loading, error, today, month, total, project, budgets } = useStore(store.store);
  // For the title of the project.
  useStore(projects.store);
  useEffect(() => store.watch(), []);
  return (
    <div aria-busy={loading}>
      <h1 className="font-serif text-[1.9rem] leading-tight tracking-[-0.015em]">Usage</h1>
      <p className="mt-1 mb-5 text-sm text-pretty text-quiet">
        What models read and wrote for you{project ? `, in the project “${projects.titleOf(project)}”` : ""}: answers, and texts without a conversation.
      </p>
      {error && (
        <div className="mb-4">
          <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
            {wordsFor(error)}
          </Notice>
        </div>
      )}
      {!loaded && !error && <div className="h-28 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />}
      {today && month && (
        <div className="grid gap-3 sm:grid-cols-2">
          <Total name="Today" row={today} />
          <Total name="This month" row={month} />
        </div>
      )}
      {loaded && total && <Days total={total} />}
      {loaded && <Budgets budgets={budgets} />}
    </div>
  );
}

function Total({ name, row }: { name: string; row: UsageRow }) {
  return (
    <section aria-label={name} className="rounded-2xl border border-line bg-raised px-4 py-3.5 tabular-nums">
      <h2 className="text-xs font-medium text-quiet">{name}</h2>
      <p className="mt-0.5 text-2xl font-medium tracking-tight">{dollars(row.costUsdMicros)}</p>
      <p className="text-sm text-quiet">
        {count(Number(tokens(row)))} tokens, {count(Number(row.requestCount))} {row.requestCount === 1n ? "request" : "requests"}
      </p>
      {row.unpricedCount > 0n && <p className="mt-1 text-xs text-quiet">Without {count(Number(row.unpricedCount))} of models whose price is not known</p>}
    </section>
  );
}

function Days({ total }: { total: UsageRow }) {
  const { span, split, days, byDay, parts, partsBy, partsByDay } = useStore(store.store);
  const [wanted, setWanted] = useState<Measure>();
  // Where nothing has a price, a plot of cost is empty.
  const measure = wanted ?? (total.costUsdMicros > 0n || total.requestCount === 0n ? "cost" : "tokens");
  const ofDay = useMemo(() => new Map(byDay.map((row) => [row.day, row])), [byDay]);
  const nameOf = (row: UsageRow) => partOf(partsBy, row, (projectId) => projects.titleOf(projectId));
  const series = useMemo(() => seriesOf(measure, days, partsByDay, parts, nameOf), [measure, days, partsByDay, parts, partsBy]);
  const splitName = SPLITS.find((each) => each.split === partsBy)?.name ?? "";
  return (
    <section aria-labelledby="usage-by-day" className="mt-8">
      <h2 id="usage-by-day" className="mb-3 font-medium">
        By day
      </h2>
      <div className="mb-4 flex flex-wrap items-end gap-3">
        <SpanChoice span={span} />
        <Labelled name="Split by">
          {(props) => (
            <select {...props} value={split} onChange={(event) => store.choose({ split: Number(event.target.value) })} className={`${FIELD} h-9`}>
              {SPLITS.filter((each) => each.split !== UsageDimension.PROJECT || !store.store.getState().project).map((each) => (
                <option key={each.split} value={each.split}>
                  {each.name}
                </option>
              ))}
            </select>
          )}
        </Labelled>
      </div>
      {total.requestCount === 0n ? (
        <p className="rounded-2xl border border-dashed border-line-strong px-6 py-10 text-center text-sm text-pretty text-quiet">
          No model was asked for anything on these days.
        </p>
      ) : (
        <>
          <dl className="mb-5 grid grid-cols-2 gap-x-4 gap-y-3 tabular-nums sm:grid-cols-4">
            <Figure name="Cost" value={dollars(total.costUsdMicros)} note={total.unpricedCount > 0n ? `${count(Number(total.unpricedCount))} without a price` : ""} />
            <Figure name="Tokens" value={count(Number(tokens(total)))} note={`${count(Number(total.inputTokens))} read, ${count(Number(total.outputTokens))} written`} />
            <Figure
              name="Requests"
              value={count(Number(total.requestCount))}
              note={[total.failedCount > 0n && `${count(Number(total.failedCount))} failed`, total.stoppedCount > 0n && `${count(Number(total.stoppedCount))} stopped`]
                .filter(Boolean)
                .join(", ")}
            />
            <Figure
              name="First word after"
              value={total.timeToFirstTokenP50Ms > 0n ? duration(Number(total.timeToFirstTokenP50Ms)) : "–"}
              note={total.timeToFirstTokenP95Ms > 0n ? `95 of 100 within ${duration(Number(total.timeToFirstTokenP95Ms))}` : ""}
            />
          </dl>
          <div className="rounded-2xl border border-line bg-raised p-4">
            <Segments
              label="What the plot shows"
              className="mb-4 w-fit"
              options={MEASURES.map((each) => ({ value: each.measure, name: each.name }))}
              value={measure}
              onChoose={setWanted}
            />
            <UsagePlot
              measure={measure}
              days={days}
              series={series}
              total={({ key }) => {
                const row = ofDay.get(key);
                return row && valueOf(measure, row);
              }}
            />
          </div>
          <div className="mt-6 mb-2 flex flex-wrap items-center gap-3">
            <h3 className="flex-1 text-sm font-medium">By {splitName.toLowerCase()}</h3>
            <Button
              onClick={() => {
                store
                  .table()
                  .then((data) => saveFile("usage.csv", "text/csv;charset=utf-8", data as BlobPart))
                  .catch((thrown: unknown) => tell(wordsFor(thrown)));
              }}
            >
              <Download className="size-4" aria-hidden="true" />
              Save as CSV
            </Button>
          </div>
          <UsageTable label={`Usage by ${splitName.toLowerCase()}`} heads={[splitName]} rows={parts} namesOf={(row) => [nameOf(row)]} total={total} />
          <details className="mt-4">
            <summary className="w-fit cursor-pointer rounded-md px-1 py-1 text-sm font-medium text-quiet hover:text-ink">Day by day</summary>
            <div className="mt-2">
              <UsageTable label={`Usage by day and ${splitName.toLowerCase()}`} heads={["Day", splitName]} rows={partsByDay} namesOf={(row) => [row.day, nameOf(row)]} />
            </div>
          </details>
          <p className="mt-2 text-xs text-pretty text-quiet">
            Times are the median, and in brackets what 95 of 100 stayed within. “~”: Parley counted tokens itself. “+”: requests of models without a price are not in it.
          </p>
        </>
      )}
    </section>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div className="min-w-0">
      <dt className="text-xs text-quiet">{name}</dt>
      <dd className="text-lg font-medium tracking-tight">{value}</dd>
      {note && <dd className="text-xs text-quiet">{note}</dd>}
    </div>
  );
}

function SpanChoice({ span }: { span: Span }) {
  const own = "first" in span;
  const now = new Date();
  const [first, setFirst] = useState(own ? span.first : "");
  const [last, setLast] = useState(own ? span.last : "");
  const choose = (from: string, to: string) => {
    setFirst(from);
    setLast(to);
    if (!faultOf(from, to)) store.choose({ span: { first: from, last: to } });
  };
  return (
    <>
      <div>
        <p className="mb-1.5 text-xs font-medium text-quiet" aria-hidden="true">
          Days
        </p>
        <Segments
          label="Days"
          className="w-fit"
          options={SPANS}
          value={own ? 0 : (span.last as (typeof SPANS)[number]["value"])}
          onChoose={(value) => {
            if (value > 0) return store.choose({ span: { last: value } });
            const shown = store.store.getState().days;
            choose(shown[0]?.key ?? dayKey(now), dayKey(now));
          }}
        />
      </div>
      {own && (
        <>
          <Labelled name="From" error={faultOf(first, last)}>
            {(props) => <input {...props} type="date" max={dayKey(now)} value={first} onChange={(event) => choose(event.target.value, last)} className={`${FIELD} h-9`} />}
          </Labelled>
          <Labelled name="To">
            {(props) => <input {...props} type="date" max={dayKey(now)} value={last} onChange={(event) => choose(first, event.target.value)} className={`${FIELD} h-9`} />}
          </Labelled>
        </>
      )}
    </>
  );
}

/** What is wrong with two days. Undefined when nothing is. */
function faultOf(first: string, last: string): string | undefined {
  const from = dayFrom(first);
  const to = dayFrom(last);
  if (!from || !to) return "Both days are needed.";
  if (from > to) return "This is after the last day.";
  const most = new Date(to.getFullYear(), to.getMonth(), to.getDate() - LONGEST + 1);
  // One day less than the server takes: clocks change.
  if (from <= most || daysBetween(from, to).length >= LONGEST) return `At most ${LONGEST - 1} days.`;
  return to > new Date() ? "The last day is still to come." : undefined;
}
