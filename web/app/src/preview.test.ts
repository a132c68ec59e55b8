import { gzipSync } from "node:zlib";
import { expect, test, vi } from "vitest";
import { mostRows, parseCSV, readPreview, tableOf, type TableFormat, whyNoPreview } from "./preview";

const csv: TableFormat = { format: "csv", compression: "none", delimiter: ",", header: true };
const ndjson: TableFormat = { ...csv, format: "ndjson" };

test("CSV is read as Postgres writes it", () => {
  const text = 'id,note,empty,none\n1,"a ""b"", c\nd","",\n2,plain,x,y\n';
  expect(tableOf(text, true, csv)).toEqual({
    columns: ["id", "note", "empty", "none"],
    rows: [
      ["1", 'a "b", c\nd', "", null],
      ["2", "plain", "x", "y"],
    ],
    moreColumns: 0,
  });
  expect(parseCSV("a;b\r\nc;", ";", true, 9)).toEqual([
    ["a", "b"],
    ["c", null],
  ]);
});

test.each(["1,2\n3,4", '1,2\n3,"4', '1,2\n3,"4"', "1,2\n3"])("a record that may be cut off is left out: %j", (text) => {
  expect(parseCSV(text, ",", false, 9)).toEqual([["1", "2"]]);
});

test("without a header, the columns are numbered", () => {
  expect(tableOf("1,2\n", true, { ...csv, header: false })).toEqual({
    columns: ["Column 1", "Column 2"],
    rows: [["1", "2"]],
    moreColumns: 0,
  });
});

test("NDJSON has all the columns that come, and all the digits", () => {
  const text = '{"id":12345678901234567890,"a":{"b":[1]}}\n{"id":2,"c":null,"__proto__":"x"}\nnot json\n{"id":3';
  const table = tableOf(text, false, ndjson);
  expect(table.columns).toEqual(["id", "a", "c", "__proto__", "line"]);
  expect(table.rows[0]?.slice(1)).toEqual(['{"b":[1]}', null, null, null]);
  expect(table.rows.slice(1)).toEqual([
    ["2", null, null, "x", null],
    [null, null, null, null, "not json"],
  ]);
  // Node 20 has no access to a number's source, current browsers have.
  expect(table.rows[0]?.[0]).toMatch(/^123456789012345\d{5}$/);
});

test("rows, columns and cells are bounded", () => {
  const wide = Array.from({ length: 100 }, (_, i) => `c${String(i)}`).join(",");
  const table = tableOf(`${wide}\n${`${"x".repeat(5000)},${wide}\n`.repeat(500)}`, true, csv);
  expect(table.rows).toHaveLength(mostRows);
  expect(table.columns).toHaveLength(40);
  expect(table.moreColumns).toBe(60);
  expect(table.rows[0]?.[0]).toHaveLength(301);
});

/** Answers with a file as the server does, as far as the range asks. */
function serve(file: Buffer, ranges = true): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (_: string, { headers }: { headers: { range: string } }) => {
    asked.push(headers.range);
    const end = Number(/-(\d+)$/.exec(headers.range)?.[1]);
    const part = ranges ? file.subarray(0, end + 1) : file;
    const of = `bytes 0-${String(part.length - 1)}/${String(file.length)}`;
    const status = ranges ? 206 : 200;
    return Promise.resolve(
      new Response(new Uint8Array(part), { status, headers: ranges ? { "content-range": of } : {} }),
    );
  });
  return asked;
}

const never = new AbortController().signal;
const lines = (n: number) => Buffer.from(`id\n${Array.from({ length: n }, (_, i) => String(i)).join("\n")}\n`);

test("only the beginning of a large file is fetched", async () => {
  const asked = serve(lines(200_000));
  const table = await readPreview("/f", csv, never);
  expect(asked).toEqual(["bytes=0-262143"]);
  expect(table.rows).toHaveLength(mostRows);
  expect(table.rows[99]).toEqual(["99"]);
});

test("a small file is read to its end, however the server answers", async () => {
  for (const ranges of [true, false]) {
    serve(lines(3), ranges);
    expect((await readPreview("/f", csv, never)).rows).toEqual([["0"], ["1"], ["2"]]);
  }
});

test("a compressed file is opened as far as it was fetched", async () => {
  // Lines that do not repeat, so that the file is larger than what is fetched.
  const noise = Array.from({ length: 60_000 }, (_, i) => String(Math.sin(i) * 1e9)).join("\n");
  const file = gzipSync(Buffer.from(`id\n${noise}\n`));
  expect(file.length).toBeGreaterThan(262_144);
  serve(file);
  const table = await readPreview("/f", { ...csv, compression: "gzip" }, never);
  expect(table.rows).toHaveLength(mostRows);
  expect(table.rows[1]).toEqual([String(Math.sin(1) * 1e9)]);
});

test("a small file that unpacks to a huge one is read no further than is shown", async () => {
  serve(gzipSync(Buffer.concat([Buffer.from("id\n"), Buffer.alloc(64 << 20, "1\n")])));
  expect((await readPreview("/f", { ...csv, compression: "gzip" }, never)).rows).toHaveLength(mostRows);
});

test("what is wrong is said", async () => {
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(null, { status: 410 })));
  await expect(readPreview("/f", csv, never)).rejects.toThrow("The file is no longer kept.");
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(null, { status: 416 })));
  expect((await readPreview("/f", csv, never)).rows).toEqual([]);
  expect(whyNoPreview(csv)).toBe("");
  expect(whyNoPreview({ ...csv, compression: "gzip" })).toBe("");
  expect(whyNoPreview({ ...csv, compression: "zstd" })).toContain("zstd");
  expect(whyNoPreview({ ...csv, format: "parquet" })).toContain("Parquet");
});
