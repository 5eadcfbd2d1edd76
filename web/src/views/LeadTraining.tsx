/** Trains a model: a file, which column says how each lead ended, and what the columns hold where finding it out would be wrong. */
import { FileSpreadsheet, X } from "lucide-react";
import { useMemo, useState } from "react";
import { ColumnKind, type ScoringModel } from "@parley/protos/parley/inference/v1/scoring_service_pb";
import { Button, IconButton } from "../parts/buttons";
import { FileDrop } from "../parts/FileDrop";
import { Notice } from "../parts/Notice";
import { wordsFor, wordsForField } from "../rpc/errors";
import { leads as store } from "../state/leadsOfPage";
import { count } from "../text/figures";
import { guessLabel, guessPositive, KIND_NAMES, modelName, nameFault, TRAINING_BOUNDS, valuesOf } from "../text/leads";
import { readTableFile, TableError, wordsForTable, writeTable, type Table } from "../text/table";
import { FIELD, Labelled } from "./TaskForm";

const SHOWN_ROWS = 5;
const FIELDS = ["name", "csv", "label_column", "positive_label"];

interface LeadTrainingProps {
  models: readonly ScoringModel[];
  /** Absent where there is nothing to go back to. */
  onClose?: (() => void) | undefined;
  onTrained: (model: ScoringModel) => void;
}

export function LeadTraining({ models, onClose, onTrained }: LeadTrainingProps) {
  const [file, setFile] = useState<{ name: string; table: Table }>();
  const [fault, setFault] = useState<unknown>();
  const take = (chosen: File) => {
    setFault(undefined);
    setFile(undefined);
    readTableFile(chosen, TRAINING_BOUNDS)
      .then((table) => setFile({ name: chosen.name, table }))
      .catch(setFault);
  };
  return (
    <section aria-label="Train a model" className="animate-rise rounded-2xl border border-line bg-raised p-4">
      {file ? (
        <TrainingForm
          key={file.name + file.table.rows.length}
          fileName={file.name}
          table={file.table}
          models={models}
          onAnother={() => setFile(undefined)}
          onClose={onClose}
          onTrained={onTrained}
        />
      ) : (
        <>
          <FileDrop label="Leads that have ended" accept=".csv,.tsv,.txt,text/csv" button="Choose a CSV file" onFile={take}>
            Drop a CSV file of leads that have ended here. Give only columns that were known before a lead ended.
          </FileDrop>
          {fault !== undefined && (
            <div className="mt-3">
              <Notice kind="bad" urgent>
                {fault instanceof TableError ? wordsForTable(fault) : "This file can't be read. Choose it again."}
              </Notice>
            </div>
          )}
          {onClose && (
            <div className="mt-3 flex justify-end">
              <Button onClick={onClose}>Cancel</Button>
            </div>
          )}
        </>
      )}
    </section>
  );
}

interface TrainingFormProps extends LeadTrainingProps {
  fileName: string;
  table: Table;
  onAnother: () => void;
}

function TrainingForm({ fileName, table, models, onAnother, onClose, onTrained }: TrainingFormProps) {
  const [name, setName] = useState(() => modelName(fileName));
  const [label, setLabel] = useState(() => guessLabel(table));
  const values = useMemo(() => valuesOf(table, label), [table, label]);
  const [chosen, setChosen] = useState<string>();
  const positive = chosen !== undefined && values.includes(chosen) ? chosen : guessPositive(values);
  const [kinds, setKinds] = useState<Readonly<Record<string, ColumnKind>>>({});
  const [tried, setTried] = useState(false);
  const [working, setWorking] = useState(false);
  const [error, setError] = useState<unknown>();
  const elsewhere = error !== undefined && !FIELDS.some((field) => wordsForField(error, field));
  const faultOfName = nameFault(name);
  const before = models.find((model) => model.name === name);

  const train = () => {
    setTried(true);
    if (working || faultOfName || !positive) return;
    setWorking(true);
    setError(undefined);
    store
      .train({ name, csv: writeTable(table.names, table.rows), labelColumn: label, positiveLabel: positive, columnKinds: kinds })
      .then((model) => model && onTrained(model))
      .catch(setError)
      .finally(() => setWorking(false));
  };
  return (
    <form
      aria-label="Train a model"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        train();
      }}
    >
      <div className="mb-3 flex items-center gap-3">
        <FileSpreadsheet className="size-5 shrink-0 text-quiet" aria-hidden="true" />
        <p className="min-w-0 flex-1 text-sm">
          <span className="block truncate font-medium">{fileName}</span>
          <span className="block text-xs text-quiet">
            {count(table.rows.length)} {table.rows.length === 1 ? "row" : "rows"}, {count(table.names.length)} columns
          </span>
        </p>
        <IconButton small label="Choose another file" disabled={working} onClick={onAnother}>
          <X className="size-4" />
        </IconButton>
      </div>
      <Preview table={table} label={label} />
      <div className="mt-4 grid gap-4 sm:grid-cols-3">
        <Labelled name="The model's name" error={(tried ? faultOfName : undefined) ?? wordsForField(error, "name")}>
          {(props) => <input {...props} maxLength={64} value={name} onChange={(event) => setName(event.target.value)} className={`${FIELD} w-full`} />}
        </Labelled>
        <Labelled name="The column that says how it ended" error={wordsForField(error, "label_column")}>
          {(props) => (
            <select {...props} value={label} onChange={(event) => setLabel(event.target.value)} className={`${FIELD} w-full`}>
              {table.names.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          )}
        </Labelled>
        <Labelled name="Its value for a good end" error={(tried && !positive ? "Choose which value is the good one." : undefined) ?? wordsForField(error, "positive_label")}>
          {(props) => (
            <select {...props} value={positive} onChange={(event) => setChosen(event.target.value)} className={`${FIELD} w-full`}>
              {!positive && <option value="">Choose…</option>}
              {values.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          )}
        </Labelled>
      </div>
      {before && (
        <p className="mt-2 text-xs text-quiet">There is a model of this name. This makes version {before.version + 1} of it; the one before stays.</p>
      )}
      <details className="mt-4">
        <summary className="w-fit cursor-pointer rounded-md text-sm font-medium text-quiet hover:text-ink">What the columns hold</summary>
        <div className="mt-3 grid gap-3 sm:grid-cols-3">
          {table.names
            .filter((each) => each !== label)
            .map((each) => (
              <Labelled key={each} name={each}>
                {(props) => (
                  <select
                    {...props}
                    value={kinds[each] ?? ColumnKind.UNSPECIFIED}
                    onChange={({ target: { value } }) => {
                      const { [each]: _, ...others } = kinds;
                      setKinds(Number(value) === ColumnKind.UNSPECIFIED ? others : { ...others, [each]: Number(value) });
                    }}
                    className={`${FIELD} w-full`}
                  >
                    {Object.entries(KIND_NAMES).map(([kind, words]) => (
                      <option key={kind} value={kind}>
                        {words}
                      </option>
                    ))}
                  </select>
                )}
              </Labelled>
            ))}
        </div>
      </details>
      {error !== undefined && (elsewhere || wordsForField(error, "csv")) && (
        <div className="mt-4">
          <Notice kind="bad" urgent>
            {wordsForField(error, "csv") ?? wordsFor(error)}
          </Notice>
        </div>
      )}
      <div className="mt-4 flex justify-end gap-2">
        {onClose && <Button onClick={onClose}>Cancel</Button>}
        <Button look="accent" type="submit" disabled={working}>
          {working ? "Training…" : "Train"}
        </Button>
      </div>
    </form>
  );
}

function Preview({ table, label }: { table: Table; label: string }) {
  return (
    <div className="relative overflow-x-auto rounded-xl border border-line" tabIndex={0} role="group" aria-label="The first rows">
      <table className="w-full text-xs [&_td]:max-w-48 [&_td]:truncate [&_td]:px-2.5 [&_td]:py-1 [&_th]:px-2.5 [&_th]:py-1.5">
        <caption className="sr-only">The first rows of the file</caption>
        <thead className="text-left">
          <tr className="border-b border-line bg-sunken">
            {table.names.map((name) => (
              <th key={name} scope="col" className={`font-medium whitespace-nowrap ${name === label ? "text-accent" : ""}`}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {table.rows.slice(0, SHOWN_ROWS).map((row, index) => (
            <tr key={index} className="border-b border-line last:border-0">
              {row.map((value, column) => (
                <td key={column} className={table.names[column] === label ? "bg-accent-soft font-medium" : ""}>
                  {value}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
