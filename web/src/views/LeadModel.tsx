/** A model: how good it is, what it learned from, its versions, and leads scored by it. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { Trash2 } from "lucide-react";
import { useState } from "react";
import { ColumnKind, ScoringMethod, type CalibrationBin, type ScoringModel, type ScoringQuality } from "@parley/protos/parley/inference/v1/scoring_service_pb";
import { IconButton } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { tell } from "../state/app";
import { leads as store } from "../state/leadsOfPage";
import { count, moment } from "../text/figures";
import { aucWords, brierWords, KIND_NAMES, percent, verdict } from "../text/leads";
import { LeadScoring } from "./LeadScoring";
import { FIELD } from "./TaskForm";

const METHODS: Partial<Record<ScoringMethod, string>> = {
  [ScoringMethod.LOGISTIC_REGRESSION]: "Calibrated logistic regression",
  [ScoringMethod.BASELINE]: "A cautious baseline for few rows",
};
/** How many versions the server keeps. */
const KEPT = 10;

export function LeadModel({ newest, onGone }: { newest: ScoringModel; onGone: () => void }) {
  const [model, setModel] = useState(newest);
  const [deleting, setDeleting] = useState(false);
  const versions = Array.from({ length: Math.min(newest.version, KEPT) }, (_, index) => newest.version - index);
  const { name, quality, warnings, labelColumn, positiveLabel, rowCount, positiveCount, method, createTime } = model;
  return (
    <section aria-labelledby="lead-model">
      <div className="mb-1 flex flex-wrap items-center gap-3">
        <h2 id="lead-model" className="min-w-32 flex-1 text-lg font-medium break-all">
          {name}
        </h2>
        {versions.length > 1 && (
          <select
            aria-label="Version"
            value={model.version}
            onChange={(event) => {
              store
                .version(name, Number(event.target.value))
                .then((found) => found && setModel(found))
                .catch((error: unknown) => tell(wordsFor(error)));
            }}
            className={`${FIELD} h-9`}
          >
            {versions.map((version) => (
              <option key={version} value={version}>
                Version {version}
              </option>
            ))}
          </select>
        )}
        <IconButton label={`Delete ${name}`} onClick={() => setDeleting(true)}>
          <Trash2 className="size-4" />
        </IconButton>
      </div>
      <p className="mb-4 text-sm text-pretty text-quiet">
        {METHODS[method]}, from {count(rowCount)} rows, of which {count(positiveCount)} ended with “{labelColumn}” = “{positiveLabel}”
        {createTime && `. Trained ${moment(timestampDate(createTime), new Date())}`}.
      </p>
      {warnings.map((warning) => (
        <div key={warning} className="mb-2">
          <Notice kind="warn">{warning}</Notice>
        </div>
      ))}
      {quality && <Quality quality={quality} />}
      <Columns model={model} />
      <LeadScoring key={model.version} model={model} />
      {deleting && (
        <Confirm
          title="Delete this model?"
          yes="Delete"
          onClose={() => setDeleting(false)}
          onYes={() => {
            store
              .remove(name)
              .then(onGone)
              .catch((error: unknown) => tell(wordsFor(error)));
          }}
        >
          All versions of “{name}” will be gone for good.
        </Confirm>
      )}
    </section>
  );
}

function Quality({ quality }: { quality: ScoringQuality }) {
  const { auc, aucDeviation, brierScore, calibration, foldCount } = quality;
  const { words, good } = verdict(quality);
  return (
    <div className="grid grid-cols-1 gap-4 sm:grid-cols-[1fr_auto]">
      <div className="space-y-3 rounded-2xl border border-line bg-raised p-4">
        <div>
          <h3 className="text-xs font-medium text-quiet">Telling good leads from others</h3>
          <p className="text-2xl font-medium tracking-tight">
            <span className={good ? "" : "text-warn"}>{words}</span>
          </p>
          <p className="text-sm tabular-nums">
            AUC {auc.toFixed(3)} <span className="text-quiet">± {aucDeviation.toFixed(3)}</span>
          </p>
          <p className="mt-1 text-sm text-pretty text-quiet">{aucWords(quality)}</p>
        </div>
        <div>
          <h3 className="text-xs font-medium text-quiet">Brier score</h3>
          <p className="text-sm tabular-nums">{brierScore.toFixed(3)}</p>
          <p className="text-sm text-pretty text-quiet">{brierWords(quality)}</p>
        </div>
        <p className="text-xs text-pretty text-quiet">Measured on rows that it was not trained on, cut into {foldCount} parts.</p>
      </div>
      {calibration.length > 0 && <Calibration bins={calibration} />}
    </div>
  );
}

/** Scores against what came true: on the line, they mean what they say. */
function Calibration({ bins }: { bins: readonly CalibrationBin[] }) {
  const most = Math.max(...bins.map(({ rowCount }) => rowCount));
  const points = bins.map(({ meanScore, positiveShare, rowCount }) => ({ x: meanScore * 100, y: 100 - positiveShare * 100, radius: 1.2 + 2 * Math.sqrt(rowCount / most) }));
  return (
    <figure className="rounded-2xl border border-line bg-raised p-4 sm:w-80" aria-labelledby="calibration">
      <figcaption id="calibration" className="mb-2 text-xs font-medium text-quiet">
        Do scores come true?
      </figcaption>
      <div className="flex gap-2 text-xs text-quiet">
        <div className="flex flex-col justify-between text-right" aria-hidden="true">
          <span>100 %</span>
          <span className="[writing-mode:vertical-rl] rotate-180 self-center">ended well</span>
          <span>0 %</span>
        </div>
        <div className="min-w-0 flex-1">
          <svg viewBox="-4 -4 108 108" className="block w-full" aria-hidden="true">
            <rect width={100} height={100} className="fill-none stroke-line" vectorEffect="non-scaling-stroke" />
            <line x1={0} y1={100} x2={100} y2={0} className="stroke-line-strong" strokeDasharray="4 4" vectorEffect="non-scaling-stroke" />
            <polyline points={points.map(({ x, y }) => `${x},${y}`).join(" ")} className="fill-none stroke-accent" strokeWidth={1.5} vectorEffect="non-scaling-stroke" />
            {points.map(({ x, y, radius }, index) => (
              <circle key={index} cx={x} cy={y} r={radius} className="fill-accent" />
            ))}
          </svg>
          <div className="flex justify-between" aria-hidden="true">
            <span>0 %</span>
            <span>score</span>
            <span>100 %</span>
          </div>
        </div>
      </div>
      <details className="mt-2">
        <summary className="w-fit cursor-pointer rounded-md text-xs font-medium text-quiet hover:text-ink">As a table</summary>
        <table className="mt-2 w-full text-xs tabular-nums [&_td]:py-0.5 [&_td]:text-right [&_th]:py-0.5 [&_th]:text-right [&_th]:font-medium">
          <caption className="sr-only">Scores and what came true</caption>
          <thead className="text-quiet">
            <tr>
              <th scope="col">Score about</th>
              <th scope="col">Ended well</th>
              <th scope="col">Rows</th>
            </tr>
          </thead>
          <tbody>
            {bins.map(({ meanScore, positiveShare, rowCount }, index) => (
              <tr key={index}>
                <td>{percent(meanScore)}</td>
                <td>{Math.round(positiveShare * 100)} %</td>
                <td>{count(rowCount)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

function Columns({ model: { columns } }: { model: ScoringModel }) {
  return (
    <details className="mt-4">
      <summary className="w-fit cursor-pointer rounded-md px-1 text-sm font-medium text-quiet hover:text-ink">
        What it looks at: {count(columns.filter(({ kind }) => kind !== ColumnKind.IGNORED).length)} of {count(columns.length)} columns
      </summary>
      <ul className="mt-2 flex flex-wrap gap-2">
        {columns.map(({ name, kind, missingShare }) => (
          <li key={name} className="rounded-lg border border-line bg-raised px-2.5 py-1 text-xs">
            <span className="font-medium break-all">{name}</span>{" "}
            <span className="text-quiet">
              {KIND_NAMES[kind]?.toLowerCase()}
              {missingShare > 0 && `, missing in ${percent(missingShare)}`}
            </span>
          </li>
        ))}
      </ul>
    </details>
  );
}
