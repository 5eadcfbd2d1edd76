/** The files that go with a message: how they stand in its text, so that every device and every model knows of them, and how far they are. */
import { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { JobFailureReason, JobState } from "@parley/protos/parley/retrieval/v1/job_pb";
import { wordsForFile, wordsForJobFailure, wordsForUpload } from "../rpc/errors";
import type { Upload } from "../state/documents";
import { bytes } from "./figures";
import { partOf, wordsForJob } from "./jobs";

const ATTACHED = /\n\n\[Attached: (“[^“”\n]+”(?:, “[^“”\n]+”)*)\]$/;

const READABLE = " Parley reads PDF, Word, Markdown, text, web pages, CSV and JSON.";

/** A message with what it names as attached. The titles are what search knows the documents by. */
export function withAttachments(text: string, titles: readonly string[]): string {
  const named = titles.map((title) => `“${title.replaceAll(/[“”\s]+/g, " ").trim() || "file"}”`);
  return named.length > 0 ? `${text}\n\n[Attached: ${named.join(", ")}]` : text;
}

/** The message as it was typed, and the titles of what is attached to it. */
export function splitAttachments(message: string): { text: string; titles: string[] } {
  const found = ATTACHED.exec(message);
  if (!found) return { text: message, titles: [] };
  return { text: message.slice(0, found.index), titles: found[1]!.slice(1, -1).split("”, “") };
}

/** The route of a message: one with files is answered by the one that searches, unless its user chose the other. */
export function routeFor(message: string, route: Route): Route {
  return route === Route.AUTOMATIC && ATTACHED.test(message) ? Route.ENHANCED : route;
}

export type AttachmentLook = "working" | "ready" | "bad";

/** How far a file is: in words, and from 0 to 1. A message can wait for what is working, rest on what is ready, and not be sent with what is bad. */
export function tellAttachment({ fault, error, job, sent, size }: Upload): { look: AttachmentLook; words: string; part: number } {
  const bad = (words: string) => ({ look: "bad" as const, words, part: 0 });
  if (fault) return bad(wordsForFile(fault));
  if (error) return bad(wordsForUpload(error));
  if (!job) {
    if (sent === undefined) return { look: "working", words: "Waiting to be sent", part: 0 };
    return { look: "working", words: sent < 1 ? `Sending ${Math.round(sent * 100)} %` : "Sent", part: sent / 2 };
  }
  switch (job.state) {
    case JobState.DONE:
      return { look: "ready", words: size > 0 ? bytes(size) : "Ready", part: 1 };
    case JobState.FAILED:
      return bad(`${wordsForJobFailure(job.failure)}${job.failure?.reason === JobFailureReason.UNSUPPORTED ? READABLE : ""}`);
    case JobState.CANCELLED:
      return bad("Cancelled");
    default:
      return { look: "working", words: wordsForJob(job), part: 0.5 + partOf(job) / 2 };
  }
}
