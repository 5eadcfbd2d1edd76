/** What a client calls the parts of the contract: a feature is a service. Which side serves it, and whether it is there, others decide. */

const FEATURES = {
  AgentService: "agents",
  BatchService: "batches",
  BudgetService: "budgets",
  CalendarService: "calendar",
  ChatService: "chat",
  ContentService: "content",
  DocumentService: "documents",
  EventService: "events",
  FlagService: "flags",
  GenerationService: "generation",
  IdentityService: "identity",
  IndexService: "index",
  IngestService: "ingestion",
  MeetingBotService: "meeting_bots",
  ProjectService: "projects",
  RecommendationService: "recommendations",
  ScoringService: "scoring",
  SearchService: "search",
  SystemService: "system",
  TaskService: "tasks",
  ToolService: "tools",
  UsageService: "usage",
  UserService: "users",
  WebhookService: "webhooks",
} as const;

/** A feature. Sessions and messages belong to `chat`. The names are those of the Python client. */
export type FeatureName = (typeof FEATURES)[keyof typeof FEATURES];

/** A service of Parley's, as its status names it. */
export type PartName = "chat" | "inference" | "retrieval";

const RETRIEVAL: ReadonlySet<string> = new Set(["documents", "index", "ingestion", "recommendations", "search"]);
const INFERENCE: ReadonlySet<string> = new Set(["agents", "content", "generation", "scoring"]);

/** The feature of a service of the contract, by its name: of `parley.chat.v1.ChatService` it is `chat`. The name itself of one that is not known. */
export function featureOf(service: string): string {
  const name = service.slice(service.lastIndexOf(".") + 1);
  return (FEATURES as Record<string, string>)[name] ?? name;
}

/** The services of Parley's that a feature cannot do without. */
export function partsOf(feature: string): readonly PartName[] {
  if (feature === "chat") return ["chat", "inference"];
  if (INFERENCE.has(feature)) return ["inference"];
  return RETRIEVAL.has(feature) ? ["retrieval"] : ["chat"];
}
