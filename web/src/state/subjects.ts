/** What the things are called that a model names by their ids. */
import type { ParleyClient } from "@parley/client";
import { CalendarService } from "@parley/protos/parley/workspace/v1/calendar_service_pb";
import { ProjectService } from "@parley/protos/parley/workspace/v1/project_service_pb";
import { TaskService } from "@parley/protos/parley/workspace/v1/task_service_pb";

/** The name of the thing that a tool's arguments are about. Empty when they name none, or it cannot be had: then the arguments have to do. */
export async function subjectOf(parley: ParleyClient, argumentsJson: string): Promise<string> {
  try {
    const { task_id: taskId, event_id: eventId, project_id: projectId, document_id: documentId } = JSON.parse(argumentsJson) as Record<string, unknown>;
    if (typeof taskId === "string") return (await parley.service(TaskService).getTask({ taskId })).task?.title ?? "";
    if (typeof eventId === "string") return (await parley.service(CalendarService).getEvent({ eventId })).event?.title ?? "";
    if (typeof projectId === "string") return (await parley.service(ProjectService).getProject({ projectId })).project?.title ?? "";
    if (typeof documentId === "string") return (await parley.documents.getDocument({ documentId })).document?.title ?? "";
  } catch {
    // No JSON, nothing of the user's, or nobody answers.
  }
  return "";
}
