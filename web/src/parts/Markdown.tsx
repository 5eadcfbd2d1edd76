/**
 * Markdown as it is read, also while it is still being written.
 *
 * Nothing in it can run or load: HTML in the text is shown as text, pictures become links, links open elsewhere and carry no referrer.
 */
import { ExternalLink, ImageOff } from "lucide-react";
import { isValidElement, memo, use, useMemo, type ReactNode } from "react";
import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";
import remend from "remend";
import { blocks } from "../text/blocks";
import { rehypeCitations } from "../text/citations";
import { formulaOf, withFormulas } from "../text/formulas";
import { Citations } from "./citationReader";
import { CodeBlock } from "./CodeBlock";
import { FormulaLater } from "./FormulaLater";

interface MarkdownProps {
  text: string;
  /** Whether more is coming. */
  writing?: boolean;
  /** The numbers that are citations, joined with commas: a text, so that equal ones are the same. */
  numbers?: string;
}

export const Markdown = memo(function Markdown({ text, writing = false, numbers = "" }: MarkdownProps) {
  const parts = useMemo(() => blocks(text), [text]);
  return (
    <div className="markdown text-[1rem]" data-writing={writing}>
      {parts.map((part, index) => (
        // Blocks are only ever added at the end, so their place names them.
        <MarkdownBlock key={index} text={part.text} numbers={numbers} writing={writing && index === parts.length - 1} />
      ))}
    </div>
  );
});

/** One block. In the one that is being written, what is half there is drawn as if it were closed: marks by `remend`, formulas by ourselves. */
export const MarkdownBlock = memo(function MarkdownBlock({ text, writing = false, numbers = "" }: MarkdownProps) {
  const markdown = useMemo(() => {
    const marked = withFormulas(text, writing);
    return writing ? remend(marked, { linkMode: "text-only", katex: false }) : marked;
  }, [text, writing]);
  const rehype = useMemo(() => [rehypeCitations(new Set(numbers ? numbers.split(",").map(Number) : []))], [numbers]);
  return (
    <ReactMarkdown remarkPlugins={REMARK} rehypePlugins={rehype} components={COMPONENTS}>
      {markdown}
    </ReactMarkdown>
  );
});

const REMARK = [remarkGfm];

const COMPONENTS: Components = {
  a: ({ href, children }) => <OutsideLink href={href}>{children}</OutsideLink>,
  img: ({ src, alt }) => (
    <OutsideLink href={typeof src === "string" ? src : undefined}>
      <ImageOff className="mr-1 inline size-4 align-[-0.2em]" aria-hidden="true" />
      {alt || "Picture"}
    </OutsideLink>
  ),
  pre: ({ children }) => {
    const code = isValidElement<{ className?: string; children?: ReactNode }>(children) ? children.props : undefined;
    const language = /language-([\w+#-]+)/.exec(code?.className ?? "")?.[1] ?? "";
    return <CodeBlock code={String(code?.children ?? "").replace(/\n$/, "")} language={language.toLowerCase()} />;
  },
  code: ({ children }) => {
    const formula = typeof children === "string" ? formulaOf(children) : undefined;
    return formula ? <FormulaLater {...formula} /> : <code>{children}</code>;
  },
  table: ({ children }) => (
    <div className="table-wrap" tabIndex={0} role="group" aria-label="Table">
      <table>{children}</table>
    </div>
  ),
  cite: ({ node }) => <CitationMark number={Number(node?.properties["dataNumber"])} />,
};

function OutsideLink({ href, children }: { href: string | undefined; children: ReactNode }) {
  if (!href || !/^(https?:|mailto:)/i.test(href)) return <span>{children}</span>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href}>
      {children}
      <ExternalLink className="ml-0.5 inline size-3 align-baseline opacity-60" aria-hidden="true" />
    </a>
  );
}

function CitationMark({ number }: { number: number }) {
  const reader = use(Citations);
  const title = reader?.title(number);
  return (
    <button
      type="button"
      aria-label={`Source ${number}${title ? `: ${title}` : ""}`}
      title={title}
      onClick={(event) => reader?.open(number, event.currentTarget)}
      className="mx-px inline-grid h-[1.35em] min-w-[1.35em] -translate-y-[0.15em] place-items-center rounded-md bg-accent-soft px-1 align-baseline text-[0.72em] leading-none font-semibold text-accent tabular-nums transition-colors hover:bg-accent hover:text-on-accent"
    >
      {number}
    </button>
  );
}
