/** Templates of content: forms made of them, those that a user wrote, and names for what is written. */
import { ContentFieldKind, ContentFieldSchema, ContentTemplateSchema, type ContentField, type ContentTemplate } from "@parley/protos/parley/ai/v1/content_service_pb";
import { create } from "@bufbuild/protobuf";

/** A template that the user wrote: instructions with `{name}` for each value. */
export interface OwnTemplate {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

export const TEMPLATE_CHARACTERS = 10_000;
const VALUE_CHARACTERS = 20_000;
const MOST_FIELDS = 50;

/** The names of the values that a template has places for, in their order, and what is wrong with its braces. `{{` and `}}` stand for braces. */
export function placeholdersOf(text: string): { names: string[]; fault: string | undefined } {
  const names: string[] = [];
  let fault: string | undefined;
  for (const [token, name] of text.matchAll(/\{\{|\}\}|\{([a-z0-9_]{1,64})\}|[{}]/g)) {
    if (name !== undefined && !names.includes(name)) names.push(name);
    if (token === "{") fault ??= "After “{” comes a name of a–z, 0–9 and “_”, then “}”. Write “{{” for a brace itself.";
  }
  if (names.length > MOST_FIELDS) fault ??= `At most ${MOST_FIELDS} values fit into a template.`;
  return { names, fault };
}

/** A template of the user's own in the form that the others have: every value is wanted. */
export function asTemplate({ id, title, text }: OwnTemplate): ContentTemplate {
  const fields = placeholdersOf(text).names.map((name) =>
    create(ContentFieldSchema, { name, kind: ContentFieldKind.LINES, required: true, maxLength: VALUE_CHARACTERS }),
  );
  return create(ContentTemplateSchema, { templateId: id, title, description: "A template of your own.", fields });
}

/** What a field is called: `call_to_action` is "Call to action". */
export function fieldName(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What is wrong with a value, before it is sent. Undefined when nothing is. */
export function valueFault(field: ContentField, value: string): string | undefined {
  const text = value.trim();
  if (!text) return field.required ? "This is needed." : undefined;
  if (field.kind !== ContentFieldKind.INTEGER) return undefined;
  if (!/^[+-]?\d+$/.test(text)) return "This has to be a whole number.";
  const { minimum, maximum } = field;
  const number = Number(text);
  if ((minimum !== undefined && number < Number(minimum)) || (maximum !== undefined && number > Number(maximum))) {
    if (minimum !== undefined && maximum !== undefined) return `This has to be ${minimum} to ${maximum}.`;
    return minimum !== undefined ? `This has to be at least ${minimum}.` : `This has to be at most ${maximum}.`;
  }
  return undefined;
}

/** The words of a text. */
export function wordCount(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

/** A name for a file with this text: its first words. */
export function textFileName(text: string, title: string): string {
  const first = text.split("\n").find((line) => /\p{L}/u.test(line)) ?? title;
  const words = first.normalize("NFC").replaceAll(/[^\p{L}\p{N}]+/gu, "-");
  return `${Array.from(words).slice(0, 60).join("").replaceAll(/^-+|-+$/g, "") || "content"}.md`;
}
