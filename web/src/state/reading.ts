/** Which document is open beside the conversation. */
import type { Citation } from "@parley/protos/parley/chat/v1/message_pb";
import { createStore } from "zustand/vanilla";

interface Reading {
  readonly citation: Citation | undefined;
  /** What was pressed to open it: the focus goes back there. */
  readonly opener: HTMLElement | undefined;
}

export const reading = createStore<Reading>(() => ({ citation: undefined, opener: undefined }));

export function openDocument(citation: Citation, opener: HTMLElement): void {
  reading.setState({ citation, opener });
}

export function closeDocument(): void {
  reading.setState({ citation: undefined, opener: undefined });
}
