/** Prints a table of figures: what, how much, and the bar. */
export function show(title: string, rows: readonly (readonly [string, string, string])[]): void {
  const widths = [0, 1, 2].map((i) => Math.max(...rows.map((row) => (row[i] ?? "").length)));
  const lines = rows.map((row) => "  " + row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("  "));
  console.log(`${title}\n${lines.join("\n")}`);
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

export const ms = (value: number): string => `${value.toFixed(1)} ms`;

export const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
