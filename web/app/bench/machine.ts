import { readdir, readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";

/** What the machine's processors have done up to a moment, in ticks of the kernel's clock, of which there are 100 a second. */
export interface Ticks {
  readonly at: number;
  /** By all there is. */
  readonly all: number;
  readonly processes: ReadonlyMap<number, { readonly parent: number; readonly ticks: number }>;
}

/** Reads what has been done so far. */
export async function ticks(): Promise<Ticks> {
  const processes = new Map<number, { parent: number; ticks: number }>();
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (Number.isNaN(pid)) continue;
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => ""); // it may have ended
    const [, parent, ...more] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    processes.set(pid, { parent: Number(parent), ticks: Number(more[9]) + Number(more[10]) });
  }
  const [line = ""] = (await readFile("/proc/stat", "utf8")).split("\n", 1);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = line.split(/\s+/).slice(1).map(Number);
  return { at: Date.now(), all: user + nice + system + irq + softirq, processes };
}

/** The share of all processors that a process and its descendants took between two moments, without those of the others. */
export function shareOf(from: Ticks, to: Ticks, root: number, without: readonly number[] = []): number {
  const isOf = (pid: number): boolean => {
    if (pid === root || without.includes(pid)) return pid === root;
    const parent = to.processes.get(pid)?.parent ?? 0;
    return parent > 1 && isOf(parent);
  };
  let sum = 0;
  for (const [pid, { ticks }] of to.processes) {
    if (isOf(pid)) sum += ticks - (from.processes.get(pid)?.ticks ?? 0);
  }
  return sum / capacity(from, to);
}

/** The share of all processors that was taken between two moments, by whomever. */
export function shareOfAll(from: Ticks, to: Ticks): number {
  return (to.all - from.all) / capacity(from, to);
}

function capacity(from: Ticks, to: Ticks): number {
  return ((to.at - from.at) / 10) * availableParallelism();
}
