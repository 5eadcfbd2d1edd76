/** A new conversation: a greeting, and what the reader's documents invite to ask. */
import type { ReactNode } from "react";
import { useStore } from "zustand";
import { useSignIn } from "../state/account";
import { projects } from "../state/app";
import { FirstQuestions } from "./Suggestions";

export function Welcome({ composer, onAsk }: { composer: ReactNode; onAsk: (question: string) => void }) {
  const user = useSignIn()?.user;
  const project = useStore(projects.store, ({ current }) => projects.titleOf(current));
  return (
    <div className="flex min-h-0 flex-1 flex-col overflow-y-auto">
      <div className="mx-auto my-auto w-full max-w-2xl px-4 py-8 sm:px-6">
        <h1 className="text-center font-serif text-[2.1rem] leading-tight tracking-[-0.015em] text-balance sm:text-[2.5rem]">
          {greeting(new Date().getHours())}
          {user?.displayName ? `, ${user.displayName}` : ""}
        </h1>
        <p className="mt-2 mb-8 text-center text-quiet">{project ? `In the project “${project}”.` : "Ask, and see where the answer comes from."}</p>
        {composer}
        <FirstQuestions onAsk={onAsk} />
      </div>
    </div>
  );
}

function greeting(hour: number): string {
  if (hour < 5) return "Good night";
  if (hour < 12) return "Good morning";
  return hour < 18 ? "Good afternoon" : "Good evening";
}
