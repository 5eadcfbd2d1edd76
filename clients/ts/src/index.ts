export { ParleyClient, type ParleyOptions, type SecondaryOptions, type StreamReplyInit } from "./client.js";
export { Code, ErrorReason, ParleyError, reasonFromName, toParleyError, type FieldViolation } from "./errors.js";
export { watchEvents, type Watched, type WatchOptions } from "./events.js";
export type { FailoverEvent, FailoverOptions, Placement, SideName } from "./failover.js";
export type { FeatureName } from "./features.js";
export { newClientMessageId } from "./ids.js";
export { browserTokenStore, memoryTokenStore, type SignedInUser, type SignIn, type TokenStore } from "./tokens.js";
export { grpcWebTransport, type TransportFactory } from "./transport.js";
export { isLast, type FollowOptions, type TurnConnection } from "./turn.js";
