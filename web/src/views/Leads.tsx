/** Lead scoring: the models, how good each is, training of new ones, and scores with their reasons. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { LoaderCircle, Plus, Target } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import type { ScoringModel } from "@parley/protos/parley/inference/v1/scoring_service_pb";
import { Button } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { PanelTitle } from "../parts/PanelTitle";
import { wordsFor } from "../rpc/errors";
import { leads as store } from "../state/leadsOfPage";
import { count, duration, moment } from "../text/figures";
import { verdict } from "../text/leads";
import { LeadModel } from "./LeadModel";
import { LeadTraining } from "./LeadTraining";

export function Leads() {
  const { loaded, error, models, training } = useStore(store.store);
  const [wanted, setWanted] = useState<string>();
  const [adding, setAdding] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => void store.refresh(), []);
  const model = models.find(({ name }) => name === wanted) ?? models[0];
  return (
    <>
      <PanelTitle
        ref={heading}
        title="Lead scoring"
        beside={
          models.length > 0 &&
          !adding && (
            <Button look="accent" onClick={() => setAdding(true)}>
              <Plus className="size-4" aria-hidden="true" />
              Train a model
            </Button>
          )
        }
      >
        Parley learns from leads that have ended which of the open ones are worth the effort, and says why. Your rows are sent to no provider of models, and are not kept.
      </PanelTitle>
      {error && (
        <div className="mb-4">
          <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
            {wordsFor(error)}
          </Notice>
        </div>
      )}
      {!loaded && !error && <div className="h-28 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />}
      {training && <Training name={training.name} since={training.since} />}
      {loaded && (adding || models.length === 0) && (
        <div className="mb-8">
          {models.length === 0 && <Empty />}
          <LeadTraining
            models={models}
            onClose={
              models.length > 0
                ? () => {
                    setAdding(false);
                    heading.current?.focus();
                  }
                : undefined
            }
            onTrained={(trained) => {
              setAdding(false);
              setWanted(trained.name);
              heading.current?.focus();
            }}
          />
        </div>
      )}
      {models.length > 0 && (
        <ul aria-label="Your models" className="mb-8 grid grid-cols-1 gap-3 sm:grid-cols-2 lg:grid-cols-3">
          {models.map((each) => (
            <Card key={each.name} model={each} current={each === model} onChoose={() => setWanted(each.name)} />
          ))}
        </ul>
      )}
      {model && <LeadModel key={`${model.name}-${model.version}`} newest={model} onGone={() => heading.current?.focus()} />}
    </>
  );
}

function Card({ model, current, onChoose }: { model: ScoringModel; current: boolean; onChoose: () => void }) {
  const { name, version, rowCount, quality, createTime } = model;
  return (
    <li>
      <button
        type="button"
        aria-pressed={current}
        onClick={onChoose}
        className="block w-full rounded-2xl border border-line bg-raised px-4 py-3 text-left transition-colors hover:border-line-strong aria-pressed:border-accent aria-pressed:ring-1 aria-pressed:ring-accent"
      >
        <span className="block truncate text-sm font-medium">{name}</span>
        <span className="block text-xs text-quiet">
          {[quality && `${verdict(quality).words} (${quality.auc.toFixed(2)})`, `${count(rowCount)} rows`, `version ${version}`].filter(Boolean).join(" · ")}
        </span>
        <span className="block text-xs text-quiet">{createTime && moment(timestampDate(createTime), new Date())}</span>
      </button>
    </li>
  );
}

/** A training that runs: how long already. How far, no training can tell. */
function Training({ name, since }: { name: string; since: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  return (
    <div className="mb-6 rounded-2xl border border-line bg-raised px-4 py-3">
      <div className="flex flex-wrap items-center gap-3">
        <LoaderCircle className="size-5 animate-spin text-accent" aria-hidden="true" />
        <p className="min-w-48 flex-1 text-sm" role="status">
          <span className="font-medium">Training “{name}”</span>
          <span className="block text-quiet">The rows are learned from five times, each time with another fifth held back to measure on.</span>
        </p>
        <span className="text-sm text-quiet tabular-nums">{duration(Math.max(1000, now - since))}</span>
        <Button onClick={() => store.cancel()}>Stop training</Button>
      </div>
      <progress aria-label={`Training ${name}`} className="mt-3 block h-1.5 w-full animate-breathe overflow-hidden rounded-full bg-accent-soft [&::-webkit-progress-bar]:bg-accent-soft" />
    </div>
  );
}

function Empty() {
  return (
    <div className="mb-4 flex items-start gap-3">
      <Target className="mt-0.5 size-5 shrink-0 text-quiet" aria-hidden="true" />
      <p className="text-sm text-pretty text-quiet">
        There is no model yet. Save the leads that were won or lost from your customer database as CSV, with a line of names and a column that says how each ended. At least 20
        rows are needed, and 200 and more are better.
      </p>
    </div>
  );
}

