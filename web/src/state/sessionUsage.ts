/** What one conversation took until now. Comes when somebody asks for it. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ParleyClient } from "@parley/client";
import { UsageService, type UsageRow } from "@parley/protos/parley/usage/v1/usage_service_pb";

/** The longest that the server adds up, milliseconds. */
const SPAN_MS = 399 * 86_400_000;

/** All answers of a session together, with what its title and its suggestions took. Throws ParleyError. */
export async function usageOfSession(parley: ParleyClient, sessionId: string): Promise<UsageRow | undefined> {
  const { total } = await parley.service(UsageService).getUsage({ sessionId, startTime: timestampFromMs(Date.now() - SPAN_MS) });
  return total;
}
