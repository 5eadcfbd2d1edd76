/** Hands a text to the browser's downloads. */
export function saveFile(fileName: string, type: string, content: BlobPart): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = fileName;
  link.click();
  // Not at once: the download reads it after this task.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
