/** The calls of tools that wait for the user: which there are, on every device, and the user's word on them. */
import type { ParleyClient } from "@parley/client";
import { ResourceType, type Event } from "@parley/protos/parley/events/v1/event_pb";
import { ToolApprovalState, type ToolApproval } from "@parley/protos/parley/chat/v1/tool_pb";
import { ToolService } from "@parley/protos/parley/chat/v1/tool_service_pb";
import { createStore } from "zustand/vanilla";

export class Approvals {
  /** Those that wait, by the call. */
  readonly store = createStore<{ readonly waiting: ReadonlyMap<string, ToolApproval> }>(() => ({ waiting: new Map() }));
  readonly #service;
  /** Another for another user. */
  #owner = {};

  constructor(parley: ParleyClient) {
    this.#service = parley.service(ToolService);
  }

  /** Reads which calls wait. When nobody answers, those that were known are shown. */
  async refresh(): Promise<void> {
    const owner = this.#owner;
    try {
      const { approvals } = await this.#service.listToolApprovals({ pageSize: 100 });
      if (owner === this.#owner) this.store.setState({ waiting: new Map(approvals.map((approval) => [approval.toolCallId, approval])) });
    } catch {
      // Asked again when the page is opened again. A conversation that is open tells of its own calls.
    }
  }

  /** Shows what happened, on this device or another. */
  observe({ resourceType, resourceId, resource }: Event): void {
    if (resourceType !== ResourceType.TOOL_APPROVAL) return;
    const approval = resource.case === "toolApproval" ? resource.value : undefined;
    const waiting = new Map(this.store.getState().waiting);
    waiting.delete(approval?.toolCallId ?? resourceId);
    if (approval?.state === ToolApprovalState.PENDING) waiting.set(approval.toolCallId, approval);
    this.store.setState({ waiting });
  }

  /** Lets a call run; with other arguments unless these are empty. Throws ParleyError. */
  async approve(turnId: string, toolCallId: string, argumentsJson = ""): Promise<void> {
    const { approval } = await this.#service.approveToolCall({ turnId, toolCallId, argumentsJson });
    this.#decided(approval);
  }

  /** Refuses a call. Throws ParleyError. */
  async deny(turnId: string, toolCallId: string, reason: string): Promise<void> {
    const { approval } = await this.#service.denyToolCall({ turnId, toolCallId, reason });
    this.#decided(approval);
  }

  /** Forgets everything: another user may sign in. */
  clear(): void {
    this.#owner = {};
    this.store.setState({ waiting: new Map() });
  }

  #decided(approval: ToolApproval | undefined): void {
    if (!approval) return;
    const waiting = new Map(this.store.getState().waiting);
    waiting.delete(approval.toolCallId);
    this.store.setState({ waiting });
  }
}
