import { HeraldError } from "@herald/client";
import type { VideoArgs } from "./video";

/** An upload that was begun on this device, and what is to become of it. */
export interface Unfinished {
  /** The server's name for it. */
  readonly id: string;
  readonly name: string;
  readonly size: number;
  readonly lastModified: number;
  readonly args: VideoArgs;
}

/** Whether the file is the one that the upload is of, as far as can be told. */
export function isOf(upload: Pick<Unfinished, "name" | "size" | "lastModified">, file: File): boolean {
  return upload.name === file.name && upload.size === file.size && upload.lastModified === file.lastModified;
}

/** The uploads of a user that were begun on this device and are not finished, for a page that is loaded anew. */
export class UnfinishedList {
  readonly #key: string;

  constructor(user: string) {
    this.#key = `herald.uploads ${user}`;
  }

  all(): Unfinished[] {
    try {
      const kept: unknown = JSON.parse(localStorage.getItem(this.#key) ?? "[]");
      return Array.isArray(kept) ? (kept as Unfinished[]) : [];
    } catch {
      return [];
    }
  }

  put(upload: Unfinished): void {
    this.#write([...this.all().filter((other) => other.id !== upload.id), upload]);
  }

  remove(id: string): void {
    this.#write(this.all().filter((other) => other.id !== id));
  }

  #write(list: readonly Unfinished[]): void {
    try {
      localStorage.setItem(this.#key, JSON.stringify(list));
    } catch {
      // It is full: the upload goes on, and only a reload would not find it again.
    }
  }
}

/** Whether all of an upload is there, and kept as a file. */
export async function hasArrived(upload: string): Promise<boolean> {
  const response = await fetch(`/api/uploads/${encodeURIComponent(upload)}`);
  if (response.status === 404) return false;
  if (!response.ok) throw await HeraldError.from(response);
  return ((await response.json()) as { artifact: unknown }).artifact !== null;
}

/**
 * Takes an upload for this tab, so that no other one sends it too; resolves to what gives it back, or undefined when
 * another tab has it. A tab that is loaded anew has to wait a moment for itself.
 */
export async function takeUpload(id: string, patience: number): Promise<(() => void) | undefined> {
  const locks = (navigator as { locks?: LockManager | null }).locks ?? undefined;
  if (locks === undefined) return () => undefined;
  return new Promise((resolve) => {
    locks
      .request(
        `herald.upload ${id}`,
        { signal: AbortSignal.timeout(patience) },
        () =>
          new Promise<void>((giveBack) => {
            resolve(giveBack);
          }),
      )
      .catch(() => {
        resolve(undefined);
      });
  });
}
