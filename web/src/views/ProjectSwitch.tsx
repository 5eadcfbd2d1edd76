/** Which project the page is narrowed to, and the way to others. */
import { Check, ChevronsUpDown, Folder, FolderPlus, Folders, Layers, Settings2 } from "lucide-react";
import { lazy, Suspense, useState } from "react";
import { useStore } from "zustand";
import { Boundary } from "../parts/Boundary";
import { Menu, MenuChoice, MenuChoices, MenuItem, MenuLine } from "../parts/Menu";
import { navigation, projects as store } from "../state/app";

const ProjectDialog = lazy(() => import("./ProjectDialog").then((module) => ({ default: module.ProjectDialog })));
/** Stands for no project: a menu's choice needs a name. */
const EVERYTHING = "everything";

export function ProjectSwitch({ onGo = navigation.go }: { onGo?: (path: string) => void }) {
  const { projects, loaded, current } = useStore(store.store);
  const [dialog, setDialog] = useState<"new" | "edit">();
  if (!loaded) return null;
  const project = projects.find(({ projectId }) => projectId === current);
  return (
    <>
      <Menu
        align="start"
        className="max-h-[min(28rem,var(--radix-dropdown-menu-content-available-height))] w-64 overflow-y-auto"
        onCloseAutoFocus={(event) => dialog && event.preventDefault()}
        trigger={
          <button
            type="button"
            className="flex h-9 w-full items-center gap-2 rounded-lg pr-2 pl-3 text-left text-sm transition-colors hover:bg-hover data-[state=open]:bg-hover"
          >
            {project ? <Folder className="size-4 shrink-0 text-accent" aria-hidden="true" /> : <Layers className="size-4 shrink-0 text-quiet" aria-hidden="true" />}
            <span className={`min-w-0 flex-1 truncate ${project ? "font-medium text-accent" : ""}`}>
              <span className="sr-only">Project: </span>
              {project?.title ?? "Everything"}
            </span>
            <ChevronsUpDown className="size-4 shrink-0 text-quiet" aria-hidden="true" />
          </button>
        }
      >
        <MenuChoices
          value={current || EVERYTHING}
          onValueChange={(next) => {
            store.choose(next === EVERYTHING ? "" : next);
            onGo("/");
          }}
        >
          <MenuChoice value={EVERYTHING}>
            <Layers className="size-4 text-quiet" aria-hidden="true" />
            <span className="flex-1">Everything</span>
            <Check className="size-4 text-accent group-data-[state=unchecked]:invisible" aria-hidden="true" />
          </MenuChoice>
          {projects.map(({ projectId, title }) => (
            <MenuChoice key={projectId} value={projectId}>
              <Folder className="size-4 shrink-0 text-quiet" aria-hidden="true" />
              <span className="min-w-0 flex-1 truncate">{title}</span>
              <Check className="size-4 shrink-0 text-accent group-data-[state=unchecked]:invisible" aria-hidden="true" />
            </MenuChoice>
          ))}
        </MenuChoices>
        <MenuLine />
        {project && (
          <MenuItem onSelect={() => setDialog("edit")}>
            <Settings2 className="size-4" aria-hidden="true" />
            Edit this project
          </MenuItem>
        )}
        <MenuItem onSelect={() => setDialog("new")}>
          <FolderPlus className="size-4" aria-hidden="true" />
          New project
        </MenuItem>
        {projects.length > 0 && (
          <MenuItem onSelect={() => onGo("/projects")}>
            <Folders className="size-4" aria-hidden="true" />
            All projects
          </MenuItem>
        )}
      </Menu>
      {dialog && (
        <Boundary instead={null}>
          <Suspense>
            <ProjectDialog project={dialog === "edit" ? project : undefined} onClose={() => setDialog(undefined)} />
          </Suspense>
        </Boundary>
      )}
    </>
  );
}
