/** A question that has to be answered before something is lost. The browser's own dialog: it holds the focus and ends with Escape. */
import { useEffect, useRef, type ReactNode } from "react";
import { Button } from "./buttons";

interface ConfirmProps {
  title: string;
  children: ReactNode;
  yes: string;
  onYes: () => void;
  onClose: () => void;
}

export function Confirm({ title, children, yes, onYes, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="confirm-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
      className="m-auto w-[min(26rem,calc(100vw-2rem))] rounded-2xl border border-line bg-raised p-0 text-ink shadow-float open:animate-rise"
    >
      <div className="p-5">
        <h2 id="confirm-title" className="text-base font-semibold">
          {title}
        </h2>
        <div className="mt-2 text-sm text-quiet">{children}</div>
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={() => dialog.current?.close()} autoFocus>
            Cancel
          </Button>
          <Button
            look="danger"
            onClick={() => {
              onYes();
              dialog.current?.close();
            }}
          >
            {yes}
          </Button>
        </div>
      </div>
    </dialog>
  );
}
