/** Leads scored by a model: one from a form, or a file of them as a table. */
import { ArrowDown, ArrowUp, ChevronRight, Download } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { ColumnKind, type LeadScore, type ScoringModel } from "@parley/protos/parley/inference/v1/scoring_service_pb";
import { Button } from "../parts/buttons";
import { FileDrop } from "../parts/FileDrop";
import { Notice } from "../parts/Notice";
import { saveFile } from "../parts/saveFile";
import { Segments } from "../parts/Segments";
import { wordsFor } from "../rpc/errors";
import { leads as store } from "../state/leadsOfPage";
import { count } from "../text/figures";
import { leadOf, missingColumns, percent, SCORING_BOUNDS, signed } from "../text/leads";
import { readTableFile, TableError, wordsForTable, writeTable, type Table } from "../text/table";
import { LeadReasons } from "./LeadReasons";
import { FIELD, Labelled } from "./TaskForm";

export function LeadScoring({ model }: { model: ScoringModel }) {
  const [way, setWay] = useState<"file" | "one">("file");
  return (
    <section aria-labelledby="scoring" className="mt-8">
      <div className="mb-3 flex flex-wrap items-center gap-3">
        <h3 id="scoring" className="min-w-32 flex-1 font-medium">
          Score leads
        </h3>
        <Segments
          label="Which leads"
          options={[
            { value: "file", name: "A file of them" },
            { value: "one", name: "One lead" },
          ]}
          value={way}
          onChoose={setWay}
        />
      </div>
      {way === "file" ? <FromFile model={model} /> : <One model={model} />}
    </section>
  );
}

function One({ model }: { model: ScoringModel }) {
  const columns = model.columns.filter(({ kind }) => kind !== ColumnKind.IGNORED);
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const [score, setScore] = useState<LeadScore>();
  const [error, setError] = useState<unknown>();
  const [working, setWorking] = useState(false);
  const given = columns.some(({ name }) => values[name]?.trim());
  return (
    <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
      <form
        aria-label="One lead"
        className="space-y-3 rounded-2xl border border-line bg-raised p-4"
        onSubmit={(event) => {
          event.preventDefault();
          if (working || !given) return;
          setWorking(true);
          const names = columns.map(({ name }) => name);
          store
            .score(model, [leadOf(names, names.map((name) => values[name] ?? ""))], { contributions: 20 })
            .then(([found]) => {
              setScore(found);
              setError(undefined);
            })
            .catch(setError)
            .finally(() => setWorking(false));
        }}
      >
        {columns.map(({ name, kind }) => (
          <Labelled key={name} name={name}>
            {(props) => {
              const shared = { ...props, value: values[name] ?? "", placeholder: "not known", className: `${FIELD} block w-full` };
              const set = (value: string) => setValues({ ...values, [name]: value });
              return kind === ColumnKind.TEXT ? (
                <textarea {...shared} rows={2} maxLength={10_000} onChange={(event) => set(event.target.value)} />
              ) : (
                <input {...shared} maxLength={1000} inputMode={kind === ColumnKind.NUMERIC ? "decimal" : "text"} onChange={(event) => set(event.target.value)} />
              );
            }}
          </Labelled>
        ))}
        <div className="flex justify-end">
          <Button look="accent" type="submit" disabled={working || !given}>
            Score
          </Button>
        </div>
      </form>
      <div aria-live="polite">
        {error !== undefined && <Notice kind="bad">{wordsFor(error)}</Notice>}
        {score ? (
          <div className="rounded-2xl border border-line bg-raised p-4">
            <p className="text-xs font-medium text-quiet">Ends well with a chance of</p>
            <p className="mb-3 text-3xl font-medium tracking-tight tabular-nums">{percent(score.score)}</p>
            <LeadReasons label="Why" contributions={score.contributions} />
            <p className="mt-3 text-xs text-pretty text-quiet">Against the average lead, in log-odds. It tells what the model saw together, not what causes what.</p>
          </div>
        ) : (
          error === undefined && <p className="rounded-2xl border border-dashed border-line-strong p-6 text-sm text-pretty text-quiet">Fill in what is known of the lead. What is not known counts as missing.</p>
        )}
      </div>
    </div>
  );
}

interface Scored {
  readonly fileName: string;
  readonly table: Table;
  readonly scores: readonly LeadScore[];
}

function FromFile({ model }: { model: ScoringModel }) {
  const [scored, setScored] = useState<Scored>();
  const [done, setDone] = useState<{ rows: number; of: number }>();
  const [fault, setFault] = useState<unknown>();
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const score = async (file: File) => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setFault(undefined);
    setScored(undefined);
    try {
      const table = await readTableFile(file, SCORING_BOUNDS);
      const { missing, known } = missingColumns(model, table.names);
      if (known === 0) throw new TableError(`None of the model's columns is there: ${missing.slice(0, 5).join(", ")}${missing.length > 5 ? " and others" : ""}.`, 1);
      setDone({ rows: 0, of: table.rows.length });
      const names = model.columns.map(({ name }) => name);
      const places = names.map((name) => table.names.indexOf(name));
      const rows = table.rows.map((row) => leadOf(names, places.map((place) => row[place] ?? "")));
      const scores = await store.score(model, rows, { signal: controller.signal, onProgress: (count) => setDone({ rows: count, of: rows.length }) });
      setScored({ fileName: file.name, table, scores });
    } catch (thrown) {
      if (!controller.signal.aborted) setFault(thrown);
    } finally {
      if (running.current === controller) setDone(undefined);
    }
  };
  if (done) {
    return (
      <div className="rounded-2xl border border-line bg-raised px-4 py-3">
        <div className="mb-2 flex items-center gap-3">
          <p className="flex-1 text-sm tabular-nums" role="status">
            {count(done.rows)} of {count(done.of)} leads scored
          </p>
          <Button
            onClick={() => {
              running.current?.abort();
              setDone(undefined);
            }}
          >
            Cancel
          </Button>
        </div>
        <progress aria-label="Scoring" value={done.rows} max={done.of} className="progress block h-1.5 w-full accent-accent" />
      </div>
    );
  }
  if (scored) return <Results model={model} scored={scored} onAnother={() => setScored(undefined)} />;
  return (
    <>
      <FileDrop label="Open leads" accept=".csv,.tsv,.txt,text/csv" button="Choose a CSV file" onFile={(file) => void score(file)}>
        Drop a CSV file of open leads here, with the same columns as far as they are known. At most {count(SCORING_BOUNDS.rows)} rows.
      </FileDrop>
      {fault !== undefined && (
        <div className="mt-3">
          <Notice kind="bad" urgent>
            {fault instanceof TableError ? wordsForTable(fault) : wordsFor(fault)}
          </Notice>
        </div>
      )}
    </>
  );
}

/** How many rows are shown at first, and how many more each time. */
const SHOWN = 50;
/** Columns of the file that the table shows beside the score; all are in the download. */
const COLUMNS_SHOWN = 4;

function Results({ model, scored: { fileName, table, scores }, onAnother }: { model: ScoringModel; scored: Scored; onAnother: () => void }) {
  const [order, setOrder] = useState<{ by: number; down: boolean }>({ by: -1, down: true });
  const [shown, setShown] = useState(SHOWN);
  const [open, setOpen] = useState<number>();
  const { missing } = missingColumns(model, table.names);
  const sorted = useMemo(() => {
    const places = scores.map((_, index) => index);
    const sign = order.down ? -1 : 1;
    const compare = (one: number, other: number) =>
      order.by < 0 ? (scores[one]?.score ?? 0) - (scores[other]?.score ?? 0) : (table.rows[one]?.[order.by] ?? "").localeCompare(table.rows[other]?.[order.by] ?? "", "en", { numeric: true });
    return places.sort((one, other) => sign * compare(one, other) || one - other);
  }, [scores, table, order]);
  const columns = table.names.slice(0, COLUMNS_SHOWN);
  const head = (name: string, by: number) => {
    const current = order.by === by;
    const Arrow = order.down ? ArrowDown : ArrowUp;
    return (
      <th key={name} scope="col" aria-sort={current ? (order.down ? "descending" : "ascending") : "none"}>
        <button
          type="button"
          onClick={() => setOrder({ by, down: current ? !order.down : by < 0 })}
          className="inline-flex items-center gap-1 rounded-md font-medium whitespace-nowrap hover:text-ink"
        >
          {name}
          <Arrow className={`size-3.5 ${current ? "" : "opacity-0"}`} aria-hidden="true" />
        </button>
      </th>
    );
  };
  const save = () => {
    const reasons = (score: LeadScore) => score.contributions.map(({ words, contribution }) => `${words} (${signed(contribution)})`).join("; ");
    const rows = sorted.map((index) => [...(table.rows[index] ?? []), scores[index]?.score.toFixed(4) ?? "", scores[index] ? reasons(scores[index]) : ""]);
    saveFile(`${fileName.replace(/\.[^.]*$/, "")}-scored.csv`, "text/csv;charset=utf-8", writeTable([...table.names, "score", "reasons"], rows));
  };
  return (
    <div>
      <div className="mb-2 flex flex-wrap items-center gap-2">
        <p className="min-w-40 flex-1 text-sm text-quiet" role="status">
          {count(scores.length)} {scores.length === 1 ? "lead" : "leads"} of {fileName}
        </p>
        <Button onClick={save}>
          <Download className="size-4" aria-hidden="true" />
          Save as CSV
        </Button>
        <Button onClick={onAnother}>Another file</Button>
      </div>
      {missing.length > 0 && (
        <div className="mb-2">
          <Notice kind="warn">
            Not in the file, so they count as missing: {missing.slice(0, 8).join(", ")}
            {missing.length > 8 && ` and ${missing.length - 8} more`}.
          </Notice>
        </div>
      )}
      <div className="relative overflow-x-auto rounded-2xl border border-line bg-raised" tabIndex={0} role="group" aria-label="Scored leads">
        <table className="w-full text-sm [&_td]:px-3 [&_td]:py-1.5 [&_th]:px-3 [&_th]:py-1.5">
          <caption className="sr-only">Scored leads</caption>
          <thead className="text-left text-xs text-quiet">
            <tr className="border-b border-line">
              {head("Score", -1)}
              {columns.map((name, index) => head(name, index))}
              <th scope="col" className="font-medium">
                The strongest reason
              </th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, shown).map((index) => {
              const score = scores[index];
              if (!score) return null;
              return (
                <ResultRow key={index} score={score} line={table.lines[index] ?? 0} values={(table.rows[index] ?? []).slice(0, COLUMNS_SHOWN)} open={open === index} onOpen={() => setOpen(open === index ? undefined : index)} />
              );
            })}
          </tbody>
        </table>
      </div>
      {shown < sorted.length && (
        <Button className="mt-3 w-full border-transparent bg-transparent text-quiet" onClick={() => setShown(shown + SHOWN)}>
          Show more
        </Button>
      )}
    </div>
  );
}

interface ResultRowProps {
  score: LeadScore;
  line: number;
  values: readonly string[];
  open: boolean;
  onOpen: () => void;
}

function ResultRow({ score, line, values, open, onOpen }: ResultRowProps) {
  return (
    <>
      <tr className="border-b border-line last:border-0">
        <td className="whitespace-nowrap">
          <button type="button" aria-expanded={open} aria-label={`${percent(score.score)}, line ${line}: why`} onClick={onOpen} className="flex items-center gap-2 rounded-md">
            <ChevronRight className={`size-4 text-quiet transition-transform ${open ? "rotate-90" : ""}`} aria-hidden="true" />
            <span className="h-1.5 w-14 overflow-hidden rounded-full bg-hover" aria-hidden="true">
              <span className="block h-full bg-accent" style={{ width: `${score.score * 100}%` }} />
            </span>
            <span className="w-20 text-left font-medium tabular-nums">{percent(score.score)}</span>
          </button>
        </td>
        {values.map((value, column) => (
          <td key={column} className="max-w-44 truncate">
            {value}
          </td>
        ))}
        <td className="max-w-64 truncate text-quiet">{score.contributions[0]?.words}</td>
      </tr>
      {open && (
        <tr className="border-b border-line bg-sunken">
          <td colSpan={values.length + 2}>
            <div className="max-w-xl py-1">
              <LeadReasons label="Why" contributions={score.contributions} />
            </div>
          </td>
        </tr>
      )}
    </>
  );
}
