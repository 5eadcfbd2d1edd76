/** Puts items into the catalog: one from a form, or many from a CSV file. */
import { useState } from "react";
import { Button } from "../parts/buttons";
import { FileDrop } from "../parts/FileDrop";
import { Notice } from "../parts/Notice";
import { wordsFor } from "../rpc/errors";
import { tell } from "../state/app";
import { recommendations as store } from "../state/recommendationsOfPage";
import { BOUNDS, CATALOG_BOUNDS, itemIdFor, itemsOf } from "../text/catalog";
import { count } from "../text/figures";
import { readTableFile, TableError, wordsForTable } from "../text/table";
import { FIELD, Labelled } from "./TaskForm";

export function RecommendationItems({ onClose }: { onClose: () => void }) {
  const [title, setTitle] = useState("");
  const [category, setCategory] = useState("");
  const [text, setText] = useState("");
  const [error, setError] = useState<unknown>();
  const [working, setWorking] = useState(false);
  const run = (adding: () => Promise<void>) => {
    if (working) return;
    setWorking(true);
    setError(undefined);
    adding()
      .then(onClose)
      .catch(setError)
      .finally(() => setWorking(false));
  };
  return (
    <section aria-label="Add items" className="grid animate-rise grid-cols-1 gap-4 rounded-2xl border border-line bg-raised p-4 sm:grid-cols-2">
      <form
        aria-label="One item"
        className="space-y-3"
        onSubmit={(event) => {
          event.preventDefault();
          if (title.trim()) run(() => store.put([{ itemId: itemIdFor(title), title: title.trim(), category: category.trim(), text }]));
        }}
      >
        <Labelled name="Title">
          {(props) => <input {...props} autoFocus maxLength={BOUNDS.title} value={title} onChange={(event) => setTitle(event.target.value)} className={`${FIELD} w-full`} />}
        </Labelled>
        <Labelled name="Category, if you like">
          {(props) => <input {...props} maxLength={BOUNDS.category} value={category} onChange={(event) => setCategory(event.target.value)} className={`${FIELD} w-full`} />}
        </Labelled>
        <Labelled name="What it is">
          {(props) => <textarea {...props} rows={3} maxLength={BOUNDS.text} value={text} onChange={(event) => setText(event.target.value)} className={`${FIELD} block w-full resize-y`} />}
        </Labelled>
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button look="accent" type="submit" disabled={working || !title.trim()}>
            Add
          </Button>
        </div>
      </form>
      <FileDrop
        label="Items"
        accept=".csv,.tsv,.txt,text/csv"
        button="Choose a CSV file"
        onFile={(file) =>
          run(async () => {
            const items = itemsOf(await readTableFile(file, CATALOG_BOUNDS));
            await store.put(items);
            tell(items.length === 1 ? "One item is in the catalog." : `${count(items.length)} items are in the catalog.`);
          })
        }
      >
        Or drop a CSV file here, with the columns “item_id”, “title”, “text” and “category”. An id that exists is replaced. At most {count(CATALOG_BOUNDS.rows)} rows.
      </FileDrop>
      {error !== undefined && (
        <div className="sm:col-span-2">
          <Notice kind="bad" urgent>
            {error instanceof TableError ? wordsForTable(error) : wordsFor(error)}
          </Notice>
        </div>
      )}
    </section>
  );
}
