/** What is behind "Insights", by path, in the order of its tabs. */
export const INSIGHTS = [
  { path: "/usage", name: "Usage" },
  { path: "/leads", name: "Lead scoring" },
  { path: "/content", name: "Content" },
  { path: "/recommendations", name: "Recommendations" },
  { path: "/batches", name: "Batches" },
] as const;

export type InsightsPath = (typeof INSIGHTS)[number]["path"];
