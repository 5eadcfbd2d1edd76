/** A place to drop a file on, or to choose one. */
import { Upload } from "lucide-react";
import { useRef, useState, type ReactNode } from "react";
import { Button } from "./buttons";

interface FileDropProps {
  /** What the file is called in the input: "Leads that have ended". */
  label: string;
  /** Which files are offered, as the attribute `accept` has them. */
  accept: string;
  button: string;
  onFile: (file: File) => void;
  children: ReactNode;
}

export function FileDrop({ label, accept, button, onFile, children }: FileDropProps) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  return (
    <div
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => !event.currentTarget.contains(event.relatedTarget as Node | null) && setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const file = event.dataTransfer.files[0];
        if (file) onFile(file);
      }}
      className={`relative grid justify-items-center rounded-2xl border border-dashed px-6 py-8 text-center transition-colors ${over ? "border-accent bg-accent-soft" : "border-line-strong"}`}
    >
      <Upload className="size-6 text-quiet" aria-hidden="true" />
      <div className="mt-2 max-w-md text-sm text-pretty text-quiet">{children}</div>
      <Button className="mt-3" onClick={() => input.current?.click()}>
        {button}
      </Button>
      <input
        ref={input}
        type="file"
        accept={accept}
        aria-label={label}
        tabIndex={-1}
        className="sr-only"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) onFile(file);
          // The same file chosen once more is a change too.
          event.target.value = "";
        }}
      />
    </div>
  );
}
