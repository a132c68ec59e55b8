import { type ReactElement, useEffect, useEffectEvent, useState } from "react";
import { UploadIcon } from "./icons";

interface DropOverlayProps {
  /** What the files will become. */
  readonly what: string;
  readonly onFiles: (files: Iterable<File>) => void;
}

/** Takes files dropped or pasted anywhere on the page, and shows that it would while they are above it. */
export function DropOverlay({ what, onFiles }: DropOverlayProps): ReactElement | null {
  const [over, setOver] = useState(false);
  const take = useEffectEvent(onFiles);

  useEffect(() => {
    // Each element under the pointer tells of entering and leaving; the page is left when the balance is even.
    let depth = 0;
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth++;
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth = Math.max(depth - 1, 0);
      if (depth === 0) setOver(false);
    };
    const hover = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (event.dataTransfer !== null) event.dataTransfer.dropEffect = "copy";
    };
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      take(event.dataTransfer?.files ?? []);
    };
    const paste = (event: ClipboardEvent) => {
      const files = event.clipboardData?.files;
      if (files === undefined || files.length === 0) return;
      event.preventDefault();
      take(files);
    };
    window.addEventListener("paste", paste);
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", hover);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("paste", paste);
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", hover);
      window.removeEventListener("drop", drop);
    };
  }, []);

  if (!over) return null;
  return (
    <div className="pointer-events-none fixed inset-0 z-50 grid place-items-center bg-page/85 p-6">
      <div className="grid size-full place-items-center rounded-3xl border-2 border-dashed border-accent bg-tint/60">
        <p className="flex items-center gap-3 text-xl font-medium text-accent">
          <UploadIcon size={28} />
          Drop to convert{what !== "" && ` to ${what}`}
        </p>
      </div>
    </div>
  );
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}
