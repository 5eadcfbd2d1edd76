/** How answers of all users did lately: the shares that failed or were made up for, and the last of them. */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { FailureSchema } from "@parley/protos/parley/chat/v1/message_pb";
import { IncidentKind, type AnswerFigures, type Incident } from "@parley/protos/parley/system/v1/system_map_pb";
import { wordsForFailure, wordsForProvider } from "../rpc/errors";
import { count, duration } from "../text/figures";
import { incidentWords, share } from "../text/status";
import { when } from "../text/tasks";
import { Section } from "./SystemPanel";

export function Incidents({ answers, incidents }: { answers: AnswerFigures; incidents: readonly Incident[] }) {
  const { endedCount: ended, failedCount: failed, switchCount: switched, withoutContextCount: without, waitCount: waited } = answers;
  const figures = [
    ["Ended", count(Number(ended))],
    ["Failed", `${count(Number(failed))}${share(failed, ended)}`],
    ["Another model went on", `${count(Number(switched))}${share(switched, ended)}`],
    ["Without documents", `${count(Number(without))}${share(without, ended)}`],
    ["Had to wait", count(Number(waited))],
  ] as const;
  return (
    <Section name="Answers of everybody">
      <dl className="grid grid-cols-2 gap-3 sm:grid-cols-5">
        {figures.map(([name, words]) => (
          <div key={name} className="flex flex-col-reverse justify-end rounded-2xl border border-line bg-raised px-3.5 py-3">
            <dt className="text-xs text-pretty text-quiet">{name}</dt>
            <dd className="text-lg font-medium tabular-nums">{words}</dd>
          </div>
        ))}
      </dl>
      <p className="mt-2 text-xs text-quiet">In the last {answers.windowSeconds >= 3600 ? "hour" : duration(answers.windowSeconds * 1000)}, as one process counted them.</p>
      {incidents.length > 0 && (
        <ul aria-label="What went wrong" className="mt-3 divide-y divide-line rounded-2xl border border-line bg-raised">
          {incidents.slice(0, 10).map((incident, place) => (
            <li key={place} className="px-4 py-2.5 text-sm">
              {incidentWords(incident)}
              <p className="text-xs text-quiet">
                {[incident.time && when(timestampDate(incident.time), new Date()), whyOf(incident)].filter(Boolean).join(" · ")}
              </p>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}

function whyOf({ kind, reason }: Incident): string {
  if (!reason) return "";
  return kind === IncidentKind.ANSWER_FAILED ? wordsForFailure(create(FailureSchema, { reason })) : wordsForProvider(reason);
}
