/** A new conversation: a greeting, and questions that have answers in Parley's own documentation. */
import type { ReactNode } from "react";
import { useSignIn } from "../state/account";

const QUESTIONS = [
  { question: "How do I add a provider?", about: "Connect a model of your own" },
  { question: "What survives a kill -9?", about: "Streams that are not lost" },
  { question: "How does a turn flow?", about: "From your message to the answer" },
  { question: "How do I call Parley with grpcurl?", about: "The same from a terminal" },
];

export function Welcome({ composer, onAsk }: { composer: ReactNode; onAsk: (question: string) => void }) {
  const user = useSignIn()?.user;
  return (
    <div className="flex min-h-0 flex-1 flex-col overflow-y-auto">
      <div className="mx-auto my-auto w-full max-w-2xl px-4 py-8 sm:px-6">
        <h1 className="text-center font-serif text-[2.1rem] leading-tight tracking-[-0.015em] text-balance sm:text-[2.5rem]">
          {greeting(new Date().getHours())}
          {user?.displayName ? `, ${user.displayName}` : ""}
        </h1>
        <p className="mt-2 mb-8 text-center text-quiet">Ask, and see where the answer comes from.</p>
        {composer}
        <ul className="mt-6 grid gap-2 sm:grid-cols-2" aria-label="First questions">
          {QUESTIONS.map(({ question, about }) => (
            <li key={question}>
              <button
                type="button"
                onClick={() => onAsk(question)}
                className="h-full w-full rounded-2xl border border-line px-4 py-3 text-left transition-colors hover:border-transparent hover:bg-hover"
              >
                <span className="block font-medium">{question}</span>
                <span className="block text-sm text-quiet">{about}</span>
              </button>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function greeting(hour: number): string {
  if (hour < 5) return "Good night";
  if (hour < 12) return "Good morning";
  return hour < 18 ? "Good afternoon" : "Good evening";
}
