/** Sends the lines of a batch: a browser cannot stream a request over gRPC-web, so they go to the REST door of the same rpc. */
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { ParleyError, Code } from "@parley/client";
import { CreateBatchResponseSchema, type CreateBatchResponse } from "@parley/protos/parley/chat/v1/batch_service_pb";
import { refusal, type Tokens } from "./upload";

/** What is sent beside the lines. */
export interface BatchNames {
  readonly title: string;
  /** By which the same batch is known when it is sent again. */
  readonly clientBatchId: string;
}

/** Sends a batch. A refused token is renewed, and the batch sent again, once. Throws ParleyError. */
export async function sendBatch(tokens: Tokens, lines: Blob, { title, clientBatchId }: BatchNames): Promise<CreateBatchResponse> {
  const path = `/api/v2/batches?${new URLSearchParams({ title, client_batch_id: clientBatchId }).toString()}`;
  const post = async (token: string) => {
    try {
      return await fetch(path, { method: "POST", body: lines, headers: { authorization: `Bearer ${token}`, "content-type": "application/jsonl" } });
    } catch (cause) {
      throw new ParleyError({ message: "There was no answer.", code: Code.Unavailable, connectionLost: true, cause });
    }
  };
  const token = await tokens.accessToken();
  const first = await post(token);
  const answer = first.status === 401 ? await post(await tokens.accessToken(token)) : first;
  const body = await answer.text();
  if (!answer.ok) throw refusal(answer.status, body);
  return fromJson(CreateBatchResponseSchema, JSON.parse(body) as JsonValue, { ignoreUnknownFields: true });
}
