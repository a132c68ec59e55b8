/** Keeps files on this device, so that a page that is loaded anew has them again. */
export interface KeptFiles {
  put(id: string, file: File): Promise<void>;
  get(id: string): Promise<File | undefined>;
  remove(id: string): Promise<void>;
}

/** Larger files are not kept: to copy them would take long, and room on the device. */
export const keptSize = 200e6;

const store = "files";

/** Files in the browser's own database; one that has none keeps none. */
export class FileDatabase implements KeptFiles {
  readonly #name: string;
  #opened: Promise<IDBDatabase> | undefined;

  constructor(user: string) {
    this.#name = `herald.uploads ${user}`;
  }

  async put(id: string, file: File): Promise<void> {
    if (file.size > keptSize) return;
    await this.#do("readwrite", (files) => files.put(file, id)).catch(() => undefined);
  }

  async get(id: string): Promise<File | undefined> {
    const file: unknown = await this.#do("readonly", (files) => files.get(id)).catch(() => undefined);
    return file instanceof File ? file : undefined;
  }

  async remove(id: string): Promise<void> {
    await this.#do("readwrite", (files) => files.delete(id)).catch(() => undefined);
  }

  async #do<T>(mode: IDBTransactionMode, act: (files: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    const database = await (this.#opened ??= this.#open());
    return answerOf(act(database.transaction(store, mode).objectStore(store)));
  }

  #open(): Promise<IDBDatabase> {
    const request = indexedDB.open(this.#name, 1);
    request.addEventListener("upgradeneeded", () => request.result.createObjectStore(store));
    return answerOf(request);
  }
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.addEventListener("success", () => {
      resolve(request.result);
    });
    request.addEventListener("error", () => {
      reject(request.error ?? new Error("the browser's database does not answer"));
    });
  });
}
