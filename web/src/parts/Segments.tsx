/** A choice of few, side by side: radio buttons that look like one strip. */
import { useId } from "react";

interface SegmentsProps<Value extends string | number> {
  label: string;
  options: readonly { value: Value; name: string }[];
  value: Value;
  onChoose: (value: Value) => void;
  className?: string;
}

export function Segments<Value extends string | number>({ label, options, value, onChoose, className = "" }: SegmentsProps<Value>) {
  const name = useId();
  return (
    <div role="radiogroup" aria-label={label} className={`flex max-w-full flex-wrap gap-0.5 rounded-xl border border-line bg-sunken p-0.5 ${className}`}>
      {options.map((option) => (
        <label
          key={option.value}
          className="relative flex min-h-8 cursor-pointer items-center rounded-[0.6rem] px-3 text-sm whitespace-nowrap text-quiet transition-colors hover:text-ink has-checked:bg-raised has-checked:font-medium has-checked:text-ink has-checked:shadow-low has-focus-visible:outline-2 has-focus-visible:outline-accent"
        >
          <input type="radio" name={name} className="sr-only" checked={option.value === value} onChange={() => onChoose(option.value)} />
          {option.name}
        </label>
      ))}
    </div>
  );
}
