/** The buttons of the page. */
import { Check, Copy } from "lucide-react";
import { useEffect, useRef, useState, type ComponentProps } from "react";
import { Hint } from "./Hint";

type ButtonProps = ComponentProps<"button"> & { look?: "plain" | "accent" | "danger" };

const LOOKS = {
  plain: "border border-line bg-raised hover:bg-hover",
  accent: "bg-accent text-on-accent hover:bg-accent-hover",
  danger: "bg-bad text-raised hover:opacity-90",
};

export function Button({ look = "plain", className = "", ...props }: ButtonProps) {
  return (
    <button
      type="button"
      {...props}
      className={`inline-flex min-h-9 items-center justify-center gap-2 rounded-lg px-3.5 py-1.5 text-sm font-medium transition-colors disabled:opacity-60 ${LOOKS[look]} ${className}`}
    />
  );
}

type IconButtonProps = ComponentProps<"button"> & { label: string; small?: boolean };

/** A button that is a picture. The label is what it is called, and shows as a hint. */
export function IconButton({ label, small, className = "", ...props }: IconButtonProps) {
  return (
    <Hint text={label}>
      <button
        type="button"
        aria-label={label}
        {...props}
        className={`inline-grid shrink-0 place-items-center rounded-lg text-quiet transition-colors hover:bg-hover hover:text-ink disabled:opacity-40 disabled:hover:bg-transparent ${small ? "size-7" : "size-9"} ${className}`}
      />
    </Hint>
  );
}

/** Copies a text and says so for a moment. */
export function CopyButton({ text, label, className = "" }: { text: () => string; label: string; className?: string }) {
  const { copied, copy } = useCopy();
  return (
    <IconButton small label={copied ? "Copied" : label} className={className} onClick={() => void copy(text())}>
      {copied ? <Check className="size-4 text-good" /> : <Copy className="size-4" />}
    </IconButton>
  );
}

export function useCopy() {
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async (text: string) => {
    await writeClipboard(text);
    setCopied(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setCopied(false), 1600);
  };
  return { copied, copy };
}

async function writeClipboard(text: string): Promise<void> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // The clipboard's own interface exists in secure contexts only. Parley is also read over plain http in a local network.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr-only";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
