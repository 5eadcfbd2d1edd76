/** A formula, whose typesetter comes with the first one: until it is there, and while the formula has no end, as it was written. */
import { lazy, Suspense } from "react";
import type { Formula as FormulaText } from "../text/formulas";
import { Boundary } from "./Boundary";

const Typeset = lazy(() => import("./Formula").then((module) => ({ default: module.Formula })));

export function FormulaLater({ tex, display, open }: FormulaText) {
  const plain = <code className={display ? "formula-plain display" : "formula-plain"}>{tex}</code>;
  if (open) return plain;
  return (
    <Boundary instead={plain}>
      <Suspense fallback={plain}>
        <Typeset tex={tex} display={display} plain={plain} />
      </Suspense>
    </Boundary>
  );
}
