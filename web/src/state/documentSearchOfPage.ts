/** The search in documents of the page: comes with the panel that shows it. */
import { parley } from "../rpc/parley";
import { documents, projects, withUser } from "./app";
import { DocumentSearch } from "./documentSearch";

export const documentSearch = new DocumentSearch(parley, () => projects.current);

// What is found may be another: a document came or went, or the page is narrowed to another project.
documents.store.subscribe((now, before) => now.documents !== before.documents && documentSearch.again());
projects.store.subscribe((now, before) => now.current !== before.current && documentSearch.again());
withUser(() => documentSearch.clear());
