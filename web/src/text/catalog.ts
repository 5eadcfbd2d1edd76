/** Catalogs of what can be recommended: read from tables, and a first one to try. */
import { InteractionKind } from "@parley/protos/parley/retrieval/v1/recommendation_service_pb";
import { TableError, type Table } from "./table";

/** What a form has of an item. */
export interface ItemFields {
  readonly itemId: string;
  readonly title: string;
  readonly text: string;
  readonly category: string;
}

export const CATALOG_BOUNDS = { bytes: 20_000_000, rows: 20_000, columns: 100 } as const;
export const BOUNDS = { id: 100, title: 300, text: 20_000, category: 100 } as const;

/** What was done, as it is told afterwards. */
export const DONE: Partial<Record<InteractionKind, string>> = {
  [InteractionKind.VIEW]: "opened",
  [InteractionKind.LIKE]: "liked",
  [InteractionKind.DISLIKE]: "not for me",
  [InteractionKind.PURCHASE]: "bought",
};

const COLUMNS = {
  itemId: ["item_id", "id", "sku"],
  title: ["title", "name"],
  text: ["text", "description"],
  category: ["category", "kind", "type"],
} as const;

/** The items of a table, by the names of its columns. Throws TableError, with line and column. */
export function itemsOf(table: Table): ItemFields[] {
  const place = (names: readonly string[]) => table.names.findIndex((name) => names.includes(name.toLowerCase()));
  const places = { itemId: place(COLUMNS.itemId), title: place(COLUMNS.title), text: place(COLUMNS.text), category: place(COLUMNS.category) };
  for (const field of ["itemId", "title"] as const) {
    if (places[field] < 0) throw new TableError(`There is no column “${COLUMNS[field][0]}”.`, 1);
  }
  const seen = new Map<string, number>();
  return table.rows.map((row, index) => {
    const line = table.lines[index] ?? 0;
    const value = (at: number) => (at < 0 ? "" : (row[at] ?? "").trim());
    const bounded = (field: keyof ItemFields, least: number, most: number) => {
      const text = value(places[field]);
      const name = table.names[places[field]] ?? field;
      const length = Array.from(text).length;
      if (length < least) throw new TableError(`Column “${name}” is empty.`, line);
      if (length > most) throw new TableError(`The value in column “${name}” has ${length.toLocaleString("en-US")} characters; ${most.toLocaleString("en-US")} is the most.`, line);
      return text;
    };
    const item = {
      itemId: bounded("itemId", 1, BOUNDS.id),
      title: bounded("title", 1, BOUNDS.title),
      text: bounded("text", 0, BOUNDS.text),
      category: bounded("category", 0, BOUNDS.category),
    };
    const before = seen.get(item.itemId);
    if (before !== undefined) throw new TableError(`The item “${item.itemId}” stands in line ${before.toLocaleString("en-US")} already.`, line);
    seen.set(item.itemId, line);
    return item;
  });
}

/** An id for an item that was typed in: its title, and something that no other has. */
export function itemIdFor(title: string): string {
  const words = title.normalize("NFKD").toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-+|-+$/g, "").slice(0, 60);
  return `${words || "item"}-${crypto.getRandomValues(new Uint32Array(1))[0]?.toString(36)}`;
}

/** A few items to try recommendations with. */
export const SAMPLES: readonly ItemFields[] = [
  { itemId: "sample-kettle", title: "Gooseneck kettle", category: "coffee", text: "Pours slowly and exactly, for filter coffee brewed by hand." },
  { itemId: "sample-grinder", title: "Hand grinder", category: "coffee", text: "Steel burrs grind coffee beans evenly, for filter and espresso." },
  { itemId: "sample-scale", title: "Coffee scale with timer", category: "coffee", text: "Weighs beans and water while you brew, and counts the seconds." },
  { itemId: "sample-starter", title: "Sourdough starter", category: "baking", text: "A lively culture of wild yeast for bread with a crust." },
  { itemId: "sample-oven", title: "Cast iron baking pot", category: "baking", text: "Holds steam and heat, so that bread rises and gets a crust." },
  { itemId: "sample-flour", title: "Stone-milled wheat flour", category: "baking", text: "Flour for bread, milled slowly on stone." },
  { itemId: "sample-tent", title: "Two-person tent", category: "outdoors", text: "A light tent for hiking in summer, two kilograms." },
  { itemId: "sample-stove", title: "Camping stove", category: "outdoors", text: "Boils water on a hike, for coffee or soup, and folds away." },
  { itemId: "sample-lamp", title: "Head lamp", category: "outdoors", text: "Light for hiking and camping at night." },
  { itemId: "sample-notebook", title: "Dotted notebook", category: "desk", text: "Thick paper that ink does not bleed through." },
  { itemId: "sample-pen", title: "Fountain pen", category: "desk", text: "A steel nib and ink, for writing by hand." },
  { itemId: "sample-desk-lamp", title: "Desk lamp", category: "desk", text: "Warm light for reading and writing at night." },
];
