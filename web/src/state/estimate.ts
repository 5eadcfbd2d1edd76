/** What a message would take, asked while it is typed. Comes with the first letter of the page's first message. */
import type { ParleyClient } from "@parley/client";
import type { Route } from "@parley/protos/parley/chat/v1/message_pb";
import { UsageService, type EstimateCostResponse } from "@parley/protos/parley/usage/v1/usage_service_pb";

export interface Estimated {
  readonly message: string;
  readonly sessionId: string;
  readonly route: Route;
  readonly model: string;
}

/** The server's estimate. Undefined when it has none for now, which is no trouble worth telling. */
export async function estimate(parley: ParleyClient, of: Estimated, signal: AbortSignal): Promise<EstimateCostResponse | undefined> {
  try {
    return await parley.service(UsageService).estimateCost(of, { signal });
  } catch {
    return undefined;
  }
}
