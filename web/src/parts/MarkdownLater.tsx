/** Markdown, whose readers are on their way while the page begins: until they are there, the text as it was written. */
import { lazy, Suspense, type ComponentProps } from "react";
import { Boundary } from "./Boundary";
import type { Markdown } from "./Markdown";

// Asked for at once, and not waited for.
const loading = import("./Markdown");
const Loaded = lazy(() => loading.then((module) => ({ default: module.Markdown })));

export function MarkdownLater(props: ComponentProps<typeof Markdown>) {
  const plain = <div className="markdown text-[1rem] whitespace-pre-wrap">{props.text}</div>;
  return (
    <Boundary instead={plain}>
      <Suspense fallback={plain}>
        <Loaded {...props} />
      </Suspense>
    </Boundary>
  );
}
