/** The user's projects, and the one that the page is narrowed to. */
import { toParleyError, type ParleyClient, type ParleyError } from "@parley/client";
import { ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import type { Project } from "@parley/protos/parley/workspace/v1/project_pb";
import { ProjectService } from "@parley/protos/parley/workspace/v1/project_service_pb";
import { createStore } from "zustand/vanilla";

/** What a form has of a project. */
export interface ProjectFields {
  readonly title: string;
  readonly description: string;
  readonly instructions: string;
}

export interface ProjectsState {
  /** Those that are not archived, the last changed first. */
  readonly projects: readonly Project[];
  readonly loaded: boolean;
  readonly error: ParleyError | undefined;
  /** The project that the page is narrowed to. Empty for everything. */
  readonly current: string;
}

const EMPTY: ProjectsState = { projects: [], loaded: false, error: undefined, current: "" };
const PAGE_SIZE = 100;
/** How many are read: a user with more has a list that no menu holds. */
const MOST = 300;

export class Projects {
  readonly store = createStore<ProjectsState>(() => EMPTY);
  readonly #parley: ParleyClient;
  readonly #service;
  readonly #storage: Pick<Storage, "getItem" | "setItem"> | undefined;
  readonly #onNarrowed: (projectId: string) => void;
  /** Another for another user. */
  #owner = {};

  /** `onNarrowed`: is told of the project that the page is narrowed to from now on, empty for everything. */
  constructor(parley: ParleyClient, onNarrowed: (projectId: string) => void, storage?: Pick<Storage, "getItem" | "setItem">) {
    this.#parley = parley;
    this.#service = parley.service(ProjectService);
    this.#onNarrowed = onNarrowed;
    this.#storage = storage;
  }

  get current(): string {
    return this.store.getState().current;
  }

  /** What a project is called; a label that is no project's id is its own name. Empty when there is none, or it is not known. */
  titleOf(project: string): string {
    const known = this.store.getState().projects.find(({ projectId }) => projectId === project);
    return known?.title ?? (project.startsWith("prj_") ? "" : project);
  }

  /** Takes up what this user was narrowed to in this browser. */
  restore(): void {
    this.#narrow(this.#kept());
  }

  async refresh(): Promise<void> {
    const owner = this.#owner;
    try {
      const projects: Project[] = [];
      for (let pageToken = ""; projects.length < MOST; ) {
        const page = await this.#service.listProjects({ pageSize: PAGE_SIZE, pageToken });
        projects.push(...page.projects);
        pageToken = page.nextPageToken;
        if (!pageToken) break;
      }
      if (owner !== this.#owner) return;
      this.store.setState({ projects, loaded: true, error: undefined });
      // It was deleted or put away while nobody looked.
      if (this.current && !projects.some(({ projectId }) => projectId === this.current)) this.choose("");
    } catch (thrown) {
      if (owner === this.#owner) this.store.setState({ error: toParleyError(thrown) });
    }
  }

  /** Narrows the page to a project, or to none. */
  choose(projectId: string): void {
    this.#narrow(projectId);
    try {
      this.#storage?.setItem(this.#key, projectId);
    } catch {
      // Storage is blocked: the choice lasts until the page is closed.
    }
  }

  /** Makes a project and goes into it. Throws ParleyError. */
  async add(fields: ProjectFields): Promise<void> {
    const { project } = await this.#service.createProject(fields);
    if (!project) return;
    this.#put(project);
    this.choose(project.projectId);
  }

  /** Throws ParleyError. */
  async change(projectId: string, fields: ProjectFields): Promise<void> {
    const { project } = await this.#service.updateProject({ projectId, ...fields, updateMask: { paths: ["title", "description", "instructions"] } });
    if (project) this.#put(project);
  }

  /** Deletes a project; what belongs to it stays. Throws ParleyError. */
  async remove(projectId: string): Promise<void> {
    await this.#service.deleteProject({ projectId });
    this.#drop(projectId);
  }

  /** Shows what happened, on this device or another. */
  observe({ resourceType, resourceId, resource }: Event): void {
    if (resourceType !== ResourceType.PROJECT || !this.store.getState().loaded) return;
    if (resource.case === "project" && !resource.value.archived) this.#put(resource.value);
    else this.#drop(resourceId);
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#owner = {};
    this.store.setState(EMPTY, true);
    this.#onNarrowed("");
  }

  #narrow(projectId: string): void {
    if (this.current === projectId) return;
    this.store.setState({ current: projectId });
    this.#onNarrowed(projectId);
  }

  #put(project: Project): void {
    const others = this.store.getState().projects.filter(({ projectId }) => projectId !== project.projectId);
    const before = this.store.getState().projects.find(({ projectId }) => projectId === project.projectId);
    // An event has no counts.
    const counted = before ? { ...project, sessionCount: before.sessionCount, openTaskCount: before.openTaskCount } : project;
    this.store.setState({ projects: [counted, ...others] });
  }

  #drop(projectId: string): void {
    this.store.setState({ projects: this.store.getState().projects.filter((each) => each.projectId !== projectId) });
    if (this.current === projectId) this.choose("");
  }

  #kept(): string {
    try {
      return this.#storage?.getItem(this.#key) ?? "";
    } catch {
      return "";
    }
  }

  get #key(): string {
    return `parley.project.${this.#parley.user?.userId ?? ""}`;
  }
}
