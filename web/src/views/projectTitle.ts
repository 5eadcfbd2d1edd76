/** What a project is called, for components. */
import { useStore } from "zustand";
import { projects } from "../state/app";

/** The title of a project by its id; a label that is no id is its own name. Nothing inside the project itself, where it goes without saying. */
export function useProjectTitle(project: string): string {
  return useStore(projects.store, ({ current }) => (project === "" || project === current ? "" : projects.titleOf(project)));
}
