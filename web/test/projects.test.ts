/** Projects: the page is narrowed to one, what is begun in it belongs to it, and it is left when it is gone. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { createRouterTransport } from "@connectrpc/connect";
import { memoryTokenStore, ParleyClient } from "@parley/client";
import { ChatService, type StreamReplyRequest, type UpdateSessionRequest } from "@parley/protos/parley/chat/v1/chat_service_pb";
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { SessionSchema } from "@parley/protos/parley/chat/v1/session_pb";
import { Action, EventSchema, ResourceType } from "@parley/protos/parley/events/v1/event_pb";
import { ProjectSchema, type Project } from "@parley/protos/parley/workspace/v1/project_pb";
import { ProjectService } from "@parley/protos/parley/workspace/v1/project_service_pb";
import { expect, test, vi } from "vitest";
import { metadataOf } from "../src/rpc/upload";
import { Conversations } from "../src/state/conversations";
import { Projects } from "../src/state/projects";
import { Sessions } from "../src/state/sessions";

const SIGN_IN = { accessToken: "a", refreshToken: "r", renewAt: Date.now() + 1e6, user: { userId: "usr_1", email: "a@b", displayName: "Ada" } };
const project = (name: string) => create(ProjectSchema, { projectId: `prj_${name}`, title: name });
const session = (name: string, projectId = "") => create(SessionSchema, { sessionId: `ses_${name}`, title: name, projectId, updateTime: timestampFromMs(1000) });

function make() {
  const stored: Project[] = [project("garden"), project("move")];
  const sent: StreamReplyRequest[] = [];
  const moved: UpdateSessionRequest[] = [];
  const all = [session("one", "prj_garden"), session("two")];
  const parley = new ParleyClient({
    baseUrl: "http://parley.test",
    tokens: memoryTokenStore(SIGN_IN),
    transport: (interceptors) =>
      createRouterTransport(
        ({ service }) => {
          service(ProjectService, {
            listProjects: () => ({ projects: stored }),
            createProject: ({ title }) => ({ project: project(title) }),
            updateProject: ({ title, projectId }) => ({ project: { projectId, title } }),
            deleteProject: () => ({}),
          });
          service(ChatService, {
            listSessions: ({ projectId }) => ({ sessions: all.filter((each) => !projectId || each.projectId === projectId) }),
            updateSession: (request) => {
              moved.push(request);
              return { session: session("one", request.projectId) };
            },
            async *streamReply(request) {
              sent.push(request);
              yield { event: { turnId: "trn_1", sequence: 1, event: { case: "started", value: { sessionId: "ses_new", userMessageId: "msg_1", messageId: "msg_2" } } } };
              await new Promise(() => {});
            },
          });
        },
        { transport: { interceptors } },
      ),
  });
  const kept = new Map<string, string>();
  const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
  const sessions = new Sessions(parley);
  const open = () => new Projects(parley, (projectId) => sessions.narrow(projectId), storage);
  const titles = () => sessions.store.getState().sessions.map(({ title }) => title);
  return { parley, projects: open(), open, sessions, titles, sent, moved, stored };
}

test("the list shows what belongs to the project, also of what happens, and a session that is moved out is gone", async () => {
  const { projects, sessions, titles, moved } = make();
  await Promise.all([projects.refresh(), sessions.refresh()]);
  expect(titles()).toEqual(["one", "two"]);
  projects.choose("prj_garden");
  await vi.waitFor(() => expect(titles()).toEqual(["one"]));
  const told = (value: ReturnType<typeof session>) =>
    create(EventSchema, { action: Action.UPDATED, resourceType: ResourceType.SESSION, resourceId: value.sessionId, resource: { case: "session", value } });
  sessions.observe(told(session("two")));
  sessions.observe(told(session("three", "prj_garden")));
  expect(titles().toSorted()).toEqual(["one", "three"]);
  await sessions.move("ses_one", "prj_move");
  expect(moved[0]).toMatchObject({ projectId: "prj_move", updateMask: { paths: ["project_id"] } });
  expect(titles()).toEqual(["three"]);
});

test("a conversation that begins in a project belongs to it", async () => {
  const { parley, projects, sent } = make();
  await projects.refresh();
  projects.choose("prj_move");
  const conversations = new Conversations(parley, { projectId: () => projects.current });
  const conversation = conversations.get(undefined);
  conversation.send("hi", Route.AUTOMATIC);
  await vi.waitFor(() => expect(conversation.state.sessionId).toBe("ses_new"));
  conversation.send("more", Route.AUTOMATIC);
  await vi.waitFor(() => expect(sent.map(({ projectId }) => projectId)).toEqual(["prj_move", ""]));
  conversations.clear();
});

test("the choice is kept in this browser, and left when the project is gone", async () => {
  const { projects, open, stored } = make();
  await projects.refresh();
  projects.choose("prj_garden");
  const again = open();
  again.restore();
  expect(again.current).toBe("prj_garden");
  stored.shift();
  await again.refresh();
  expect(again.current).toBe("");

  await projects.add({ title: "Boat", description: "", instructions: "" });
  expect(projects.current).toBe("prj_Boat");
  projects.observe(create(EventSchema, { action: Action.DELETED, resourceType: ResourceType.PROJECT, resourceId: "prj_Boat" }));
  expect(projects.current).toBe("");
});

test("a project is renamed and deleted, and a label is its own name", async () => {
  const { projects } = make();
  await projects.refresh();
  await projects.change("prj_move", { title: "Lisbon", description: "", instructions: "" });
  expect([projects.titleOf("prj_move"), projects.titleOf("handbook"), projects.titleOf("prj_unknown"), projects.titleOf("")]).toEqual(["Lisbon", "handbook", "", ""]);
  await projects.remove("prj_move");
  expect(projects.store.getState().projects.map(({ title }) => title)).toEqual(["garden"]);
});

test("a file that is added in a project belongs to it", () => {
  expect(JSON.parse(metadataOf("a.md", "prj_garden"))).toMatchObject({ project: "prj_garden" });
});
