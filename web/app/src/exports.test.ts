import { type Dataset, type DatasetParam, HeraldError } from "@herald/client";
import { expect, test } from "vitest";
import { type ExportForm, exportJob, exportOffer, refusalOf } from "./exports";
import { instantIn, isZone } from "./zone";

const schema = {
  properties: {
    params: { title: "Only some of it" },
    format: {
      default: "csv",
      oneOf: [
        { const: "csv", title: "CSV", description: "A table." },
        { const: "parquet", title: "Parquet" },
      ],
    },
    compression: { default: "none", oneOf: [{ const: "none", title: "None" }] },
    csv: {
      properties: {
        header: { default: true },
        delimiter: { default: ",", oneOf: [{ const: ",", title: "Comma" }] },
        safe: { title: "Safe", default: false },
      },
    },
  },
};

const offer = exportOffer([{ name: "export", title: "", description: "", schema, steps: [] }], "Europe/Berlin");

function param(name: string, type: DatasetParam["type"], more: Partial<DatasetParam> = {}): DatasetParam {
  return { name, type, required: false, default: null, description: "", in: [], max_length: 40, ...more };
}

/** What comes of a form for a dataset with one parameter. */
function tried(p: DatasetParam, typed: string | readonly string[], change: Partial<ExportForm> = {}) {
  if (offer === undefined) throw new Error("no offer");
  const dataset: Dataset = { name: "d", title: "Orders", description: "", params: [p], columns: ["id", "made"] };
  const { job, errors } = exportJob(dataset, { ...offer.untouched, params: { [p.name]: typed }, ...change }, offer);
  return { job, errors, value: (job.args as { params: Record<string, unknown> }).params[p.name] };
}

test("what can be chosen comes from the kind's schema", () => {
  expect(offer?.formats.map((f) => f.title)).toEqual(["CSV", "Parquet"]);
  expect(offer?.title("csv", "safe")).toBe("Safe");
  expect(offer?.title("time_zone")).toBe("time_zone");
  expect(offer?.untouched).toMatchObject({ format: "csv", header: true, delimiter: ",", timeZone: "Europe/Berlin" });
  expect(exportOffer([], "UTC")).toBeUndefined();
});

test("a form becomes args with what is asked for", () => {
  expect(tried(param("x", "text"), " ann ").job).toEqual({
    kind: "export",
    title: "Orders as CSV",
    args: {
      dataset: "d",
      params: { x: "ann" },
      format: "csv",
      compression: "none",
      time_zone: "Europe/Berlin",
      csv: { header: true, delimiter: ",", safe: false },
    },
  });
  const parquet = tried(param("x", "text"), "", { format: "parquet", columns: ["made", "id"] }).job.args;
  expect(parquet).toMatchObject({ params: {}, columns: ["id", "made"] });
  expect(parquet).not.toHaveProperty("csv");
});

test("values are as their types want them", () => {
  expect(tried(param("x", "integer"), "5").value).toBe("5");
  expect(tried(param("x", "bigint"), "-9223372036854775808").value).toBe("-9223372036854775808");
  expect(tried(param("x", "boolean"), "false").value).toBe(false);
  expect(tried(param("x", "text[]"), "a, b,,").value).toEqual(["a", "b"]);
  expect(tried(param("x", "text[]", { in: ["a", "b"] }), ["b"]).value).toEqual(["b"]);
  expect(tried(param("x", "timestamptz"), "2026-03-01T12:00").value).toBe("2026-03-01T11:00:00.000Z");
});

test("what is wrong is told at its field", () => {
  const wrong: [DatasetParam["type"], string][] = [
    ["integer", "2147483648"],
    ["integer", "1.5"],
    ["bigint", "9223372036854775808"],
    ["numeric", "1e9"],
    ["date", "soon"],
    ["timestamptz", "2026-03-01"],
    ["uuid", "123"],
    ["text", "x".repeat(40)],
  ];
  for (const [type, typed] of wrong) {
    const { errors, value } = tried(param("x", type), typed);
    expect(Object.keys(errors), `${type} ${typed}`).toEqual(["args.params.x"]);
    expect(value).toBeUndefined();
  }
  expect(tried(param("x", "text[]", { max_items: 1 }), "a,b").errors).toHaveProperty(["args.params.x"]);
  expect(tried(param("x", "text", { required: true }), " ").errors).toEqual({ "args.params.x": "This is needed." });
  expect(tried(param("x", "text"), "", { timeZone: "Foo" }).errors).toHaveProperty(["args.time_zone"]);
});

test("what the server says is shown at its fields, and the rest beside", () => {
  const refused = (errors?: { field: string; detail: string }[]) =>
    refusalOf(
      new HeraldError({ type: "/problems/invalid", title: "No", status: 422, ...(errors && { errors }) }),
      new Set(["args.params.x"]),
    );
  const x = { field: "args.params.x", detail: "want less" };
  expect(refused([x])).toEqual({ at: { "args.params.x": "Want less." }, rest: "" });
  expect(refused([x, { field: "args.for", detail: "no" }])).toEqual({
    at: { "args.params.x": "Want less." },
    rest: "args.for: no",
  });
  expect(refused()).toEqual({ at: {}, rest: "No" });
});

test("a clock's time is an instant in its zone, also around the changes of the clock", () => {
  expect(instantIn("2026-07-01T00:00:30", "America/New_York")).toBe("2026-07-01T04:00:30.000Z");
  expect(instantIn("2026-03-29T03:00", "Europe/Berlin")).toBe("2026-03-29T01:00:00.000Z");
  expect(instantIn("2026-10-25T04:00", "Europe/Berlin")).toBe("2026-10-25T03:00:00.000Z");
  expect(instantIn("2026-01-01T00:00", "UTC")).toBe("2026-01-01T00:00:00.000Z");
  expect(instantIn("2026-13-01T00:00", "UTC")).toBeUndefined();
  expect(["Europe/Berlin", "UTC", "Foo", "", "+01:00", "Local"].map(isZone)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
