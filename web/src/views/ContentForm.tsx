/** What a template asks for, with how it should sound, for whom, how long and how often. */
import { CircleStop, PenLine } from "lucide-react";
import { useId, useState } from "react";
import { useStore } from "zustand";
import { ContentFieldKind, ContentLength, type ContentField, type ContentTemplate } from "@parley/protos/parley/ai/v1/content_service_pb";
import { Button } from "../parts/buttons";
import { Notice } from "../parts/Notice";
import { Segments } from "../parts/Segments";
import { wordsFor, wordsForField } from "../rpc/errors";
import { content as store } from "../state/contentOfPage";
import { fieldName, valueFault } from "../text/content";
import { FIELD, Labelled } from "./TaskForm";

const LENGTHS = [
  { value: ContentLength.SHORT, name: "Short" },
  { value: ContentLength.MEDIUM, name: "Usual" },
  { value: ContentLength.LONG, name: "Long" },
];
const COUNTS = [1, 2, 3, 4].map((value) => ({ value, name: String(value) }));
const TONES = ["friendly", "formal", "confident", "playful", "matter-of-fact", "warm"];

export function ContentForm({ template, custom }: { template: ContentTemplate; custom: string }) {
  const writing = useStore(store.store, (state) => state.writing);
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const [tone, setTone] = useState("");
  const [audience, setAudience] = useState("");
  const [language, setLanguage] = useState("");
  const [length, setLength] = useState(ContentLength.MEDIUM);
  const [variantCount, setVariantCount] = useState(1);
  const [tried, setTried] = useState(false);
  const [error, setError] = useState<unknown>();
  const tones = useId();
  const faults = template.fields.map((field) => valueFault(field, values[field.name] ?? ""));
  const named = [...template.fields.map(({ name }) => `fields.${name}`), "tone", "audience", "language"];
  const elsewhere = error !== undefined && !named.some((field) => wordsForField(error, field));
  return (
    <form
      aria-label={template.title}
      noValidate
      className="rounded-2xl border border-line bg-raised p-4"
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (writing || faults.some(Boolean)) {
          const first = faults.findIndex(Boolean);
          const name = template.fields[first]?.name;
          if (name) (event.currentTarget.elements.namedItem(name) as HTMLElement | null)?.focus();
          return;
        }
        setError(undefined);
        const fields = Object.fromEntries(template.fields.flatMap(({ name }) => (values[name]?.trim() ? [[name, values[name]]] : [])));
        store
          .write({ template, custom, fields, tone: tone.trim(), audience: audience.trim(), language: language.trim(), length, variantCount })
          .catch(setError);
      }}
    >
      <div className="grid grid-cols-1 gap-4 sm:grid-cols-2">
        {template.fields.map((field, index) => (
          <Field
            key={field.name}
            field={field}
            value={values[field.name] ?? ""}
            fault={(tried ? faults[index] : undefined) ?? wordsForField(error, `fields.${field.name}`)}
            onChange={(value) => setValues({ ...values, [field.name]: value })}
          />
        ))}
      </div>
      <div className="mt-4 grid grid-cols-1 gap-4 border-t border-line pt-4 sm:grid-cols-3">
        <Labelled name="Tone" error={wordsForField(error, "tone")}>
          {(props) => (
            <>
              <input {...props} list={tones} maxLength={100} placeholder="as fits" value={tone} onChange={(event) => setTone(event.target.value)} className={`${FIELD} w-full`} />
              <datalist id={tones}>
                {TONES.map((each) => (
                  <option key={each} value={each} />
                ))}
              </datalist>
            </>
          )}
        </Labelled>
        <Labelled name="Readers" error={wordsForField(error, "audience")}>
          {(props) => (
            <input {...props} maxLength={200} placeholder="anybody" value={audience} onChange={(event) => setAudience(event.target.value)} className={`${FIELD} w-full`} />
          )}
        </Labelled>
        <Labelled name="Language" error={wordsForField(error, "language")}>
          {(props) => (
            <input {...props} maxLength={50} placeholder="that of what you give" value={language} onChange={(event) => setLanguage(event.target.value)} className={`${FIELD} w-full`} />
          )}
        </Labelled>
      </div>
      <div className="mt-4 flex flex-wrap items-end gap-x-5 gap-y-3">
        <div>
          <p className="mb-1.5 text-xs font-medium text-quiet" aria-hidden="true">
            Length{template.usualWords > 0 && `, usually ${template.usualWords} words`}
          </p>
          <Segments label="Length" className="w-fit" options={LENGTHS} value={length} onChoose={setLength} />
        </div>
        <div>
          <p className="mb-1.5 text-xs font-medium text-quiet" aria-hidden="true">
            Versions
          </p>
          <Segments label="Versions" className="w-fit" options={COUNTS} value={variantCount} onChoose={setVariantCount} />
        </div>
        <div className="ml-auto">
          {writing ? (
            <Button onClick={() => store.stop()}>
              <CircleStop className="size-4" aria-hidden="true" />
              Stop
            </Button>
          ) : (
            <Button look="accent" type="submit">
              <PenLine className="size-4" aria-hidden="true" />
              Write
            </Button>
          )}
        </div>
      </div>
      {elsewhere && (
        <div className="mt-4">
          <Notice kind="bad" urgent>
            {wordsFor(error)}
          </Notice>
        </div>
      )}
    </form>
  );
}

interface FieldProps {
  field: ContentField;
  value: string;
  fault: string | undefined;
  onChange: (value: string) => void;
}

function Field({ field: { name, description, kind, required, defaultValue, choices, maxLength }, value, fault, onChange }: FieldProps) {
  const long = kind === ContentFieldKind.LINES || maxLength > 1000;
  return (
    <div className={long ? "sm:col-span-2" : ""}>
      <Labelled name={`${fieldName(name)}${required ? "" : " (if you like)"}`} error={fault}>
        {(props) => {
          const shared = { ...props, name, required, title: description, value, placeholder: description, className: `${FIELD} block w-full` };
          if (kind === ContentFieldKind.CHOICE) {
            return (
              <select {...props} name={name} required={required} value={value} onChange={(event) => onChange(event.target.value)} className={`${FIELD} w-full`}>
                <option value="">{defaultValue || "as fits"}</option>
                {choices
                  .filter((choice) => choice !== defaultValue)
                  .map((choice) => (
                    <option key={choice}>{choice}</option>
                  ))}
              </select>
            );
          }
          if (long) return <textarea {...shared} rows={3} maxLength={maxLength || undefined} onChange={(event) => onChange(event.target.value)} />;
          return (
            <input
              {...shared}
              inputMode={kind === ContentFieldKind.INTEGER ? "numeric" : "text"}
              placeholder={defaultValue || description}
              maxLength={maxLength || undefined}
              onChange={(event) => onChange(event.target.value)}
            />
          );
        }}
      </Labelled>
    </div>
  );
}
