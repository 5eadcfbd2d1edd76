/** A block of code: its language, a way to copy it, and colours once they are loaded. */
import { toJsxRuntime } from "hast-util-to-jsx-runtime";
import { useDeferredValue, useEffect, useMemo, useState } from "react";
import { Fragment, jsx, jsxs } from "react/jsx-runtime";
import { loadHighlighter, readyHighlighter } from "../text/highlight";
import { CopyButton } from "./buttons";

/** Longer code stays in one colour: it is data more often than code, and colouring it would be felt. */
const LONGEST = 30_000;

export function CodeBlock({ code, language }: { code: string; language: string }) {
  return (
    <div className="code overflow-hidden rounded-xl border border-line bg-sunken">
      <div className="flex h-9 items-center justify-between border-b border-line pr-1 pl-4 text-xs text-quiet">
        <span className="font-mono">{language || "text"}</span>
        <CopyButton text={() => code} label="Copy code" />
      </div>
      <pre tabIndex={0} aria-label={language ? `Code, ${language}` : "Code"}>
        <code>
          <Coloured code={code} language={language} />
        </code>
      </pre>
    </div>
  );
}

function Coloured({ code, language }: { code: string; language: string }) {
  const [highlighter, setHighlighter] = useState(readyHighlighter);
  const wanted = language !== "" && code.length < LONGEST;
  useEffect(() => {
    if (wanted && !highlighter) void loadHighlighter().then((loaded) => setHighlighter(() => loaded));
  }, [wanted, highlighter]);
  const deferred = useDeferredValue(code);
  const tree = useMemo(() => {
    if (!wanted || !highlighter?.registered(language)) return undefined;
    return toJsxRuntime(highlighter.highlight(language, deferred), { Fragment, jsx, jsxs });
  }, [wanted, highlighter, language, deferred]);
  // While code grows, what is coloured is a step behind: the rest follows it plain, so that no letter is late.
  return (
    <>
      {tree ?? deferred}
      {code.startsWith(deferred) ? code.slice(deferred.length) : ""}
    </>
  );
}
