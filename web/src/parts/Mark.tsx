/** Parley's sign: a speech bubble that is a P. */
export function Mark({ className = "size-7" }: { className?: string }) {
  return (
    <svg viewBox="0 0 32 32" className={className} aria-hidden="true">
      <rect width="32" height="32" rx="9" className="fill-accent" />
      <path d="M10 25V8.5h7.2a5.8 5.8 0 0 1 0 11.6H14L10 25Z" fill="none" className="stroke-on-accent" strokeWidth="2.6" strokeLinejoin="round" />
      <circle cx="17" cy="14.3" r="1.7" className="fill-on-accent" />
    </svg>
  );
}
