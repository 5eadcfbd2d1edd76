/** What is recommended to a person, and why; what they think of it changes what comes next. */
import { Eraser, Plus, RotateCw, Sparkles } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useStore } from "zustand";
import { Button } from "../parts/buttons";
import { Confirm } from "../parts/Confirm";
import { Notice } from "../parts/Notice";
import { PanelTitle } from "../parts/PanelTitle";
import { wordsFor, wordsForField } from "../rpc/errors";
import { tell } from "../state/app";
import { recommendations as store } from "../state/recommendationsOfPage";
import { SAMPLES } from "../text/catalog";
import { count } from "../text/figures";
import { RecommendationCard } from "./RecommendationCard";
import { RecommendationItems } from "./RecommendationItems";
import { FIELD, Labelled } from "./TaskForm";

export function Recommendations() {
  const { loaded, loading, error, items, isNew, person, done, adding } = useStore(store.store);
  const [putting, setPutting] = useState(false);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => void store.refresh(), []);
  const personError = wordsForField(error, "person_id");
  const close = () => {
    setPutting(false);
    heading.current?.focus();
  };
  return (
    <>
      <PanelTitle
        ref={heading}
        title="Recommendations"
        beside={
          !putting && (
            <Button onClick={() => setPutting(true)}>
              <Plus className="size-4" aria-hidden="true" />
              Add items
            </Button>
          )
        }
      >
        Items of your catalog for the people who use your product, with the reason for each. Look at them as one of these people, and say what you think.
      </PanelTitle>
      {putting && (
        <div className="mb-6">
          <RecommendationItems onClose={close} />
        </div>
      )}
      {adding && (
        <p className="mb-4 text-sm text-quiet tabular-nums" role="status">
          {count(adding.done)} of {count(adding.of)} items added…
        </p>
      )}
      <Choice error={personError} />
      {error && !personError && (
        <div className="mb-4">
          <Notice kind="bad" action={<Button onClick={() => void store.refresh()}>Try again</Button>}>
            {wordsFor(error)}
          </Notice>
        </div>
      )}
      {!loaded && !error && <div className="h-28 animate-breathe rounded-2xl bg-hover" role="status" aria-label="Loading" />}
      {loaded && items.length > 0 && isNew && done.size === 0 && (
        <div className="mb-4">
          <Notice>Nothing is known of “{person}” yet, so this is what is popular, and then what is new, from each category in turn.</Notice>
        </div>
      )}
      {done.size > 0 && (
        <div className="mb-4">
          <Notice
            action={
              <Button aria-disabled={loading} onClick={() => void store.refresh()}>
                <RotateCw className="size-4" aria-hidden="true" />
                Recommend anew
              </Button>
            }
          >
            {done.size === 1 ? "It is recorded, and counts" : "They are recorded, and count"} from the next list on.
          </Notice>
        </div>
      )}
      <ul aria-label="Recommended" className="grid grid-cols-1 items-start gap-3 sm:grid-cols-2" aria-busy={loading}>
        {items.map((recommendation) => recommendation.item && <RecommendationCard key={recommendation.item.itemId} recommendation={recommendation} item={recommendation.item} />)}
      </ul>
      {loaded && items.length === 0 && <Empty isNew={isNew} onAdd={() => setPutting(true)} />}
    </>
  );
}

function Choice({ error }: { error: string | undefined }) {
  const { person, seen, diversity } = useStore(store.store);
  const [typed, setTyped] = useState(person);
  const [forgetting, setForgetting] = useState(false);
  const choose = () => {
    const name = typed.trim();
    if (name && name !== person) store.choose({ person: name });
  };
  return (
    <form
      aria-label="For whom"
      className="mb-5 flex flex-wrap items-end gap-x-4 gap-y-3"
      onSubmit={(event) => {
        event.preventDefault();
        choose();
      }}
    >
      <Labelled name="For whom (your own id of them)" error={error}>
        {(props) => <input {...props} maxLength={100} value={typed} onChange={(event) => setTyped(event.target.value)} onBlur={choose} className={`${FIELD} h-9 w-56`} />}
      </Labelled>
      <Labelled name="How different">
        {(props) => (
          <select {...props} value={diversity} onChange={(event) => store.choose({ diversity: Number(event.target.value) })} className={`${FIELD} h-9`}>
            <option value={0}>The best, however alike</option>
            <option value={0.3}>Somewhat different</option>
            <option value={0.7}>Very different</option>
          </select>
        )}
      </Labelled>
      <label className="flex h-9 cursor-pointer items-center gap-2 text-sm">
        <input type="checkbox" className="size-4 accent-accent" checked={seen} onChange={(event) => store.choose({ seen: event.target.checked })} />
        Also what they know
      </label>
      <Button className="ml-auto" onClick={() => setForgetting(true)}>
        <Eraser className="size-4" aria-hidden="true" />
        Forget this person
      </Button>
      {forgetting && (
        <Confirm
          title={`Forget “${person}”?`}
          yes="Forget"
          onClose={() => setForgetting(false)}
          onYes={() => {
            store
              .forget()
              .then((deleted) => tell(deleted === 1 ? "One interaction is forgotten." : `${count(deleted)} interactions are forgotten.`))
              .catch((thrown: unknown) => tell(wordsFor(thrown)));
          }}
        >
          All that they did is gone for good, also from what it added to recommendations for others.
        </Confirm>
      )}
    </form>
  );
}

function Empty({ isNew, onAdd }: { isNew: boolean; onAdd: () => void }) {
  return (
    <div className="grid justify-items-center rounded-2xl border border-dashed border-line-strong px-6 py-12 text-center">
      <Sparkles className="size-7 text-quiet" aria-hidden="true" />
      <h2 className="mt-3 font-medium">{isNew ? "The catalog is empty" : "Nothing is left to recommend"}</h2>
      <p className="mt-1 max-w-md text-sm text-pretty text-quiet">
        {isNew
          ? "Add what can be recommended: products, articles, courses. A CSV file with ids, titles and descriptions is enough. Or try it with twelve things of a made-up shop."
          : "They know everything in the catalog. Add items, or look at what they know too."}
      </p>
      <div className="mt-4 flex flex-wrap justify-center gap-2">
        <Button look="accent" onClick={onAdd}>
          Add items
        </Button>
        {isNew && (
          <Button
            onClick={() => {
              store.put(SAMPLES).catch((thrown: unknown) => tell(wordsFor(thrown)));
            }}
          >
            Try it with samples
          </Button>
        )}
      </div>
    </div>
  );
}
