import { describe, expect, test } from "vitest";
import {
  boundedForText,
  countFilters,
  exportOf,
  type Filters,
  instantIn,
  localOf,
  noFilters,
  pageAddress,
  parseFilters,
  queryOf,
  searchPlace,
} from "./filters";

const now = Date.parse("2026-01-02T12:00:00Z");
const job = "019b7e5c-0000-7000-8000-00000000000a";

const everything: Filters = {
  ...noFilters,
  user: "a&b=c d",
  job,
  types: ["job.failed", "notification.*"],
  states: ["failed", "running"],
  since: "2026-01-01T00:00:00.000Z",
  until: "2026-01-02T00:00:00.000Z",
  text: "no space + %",
};

describe("filters in the address", () => {
  test.each<[string, Filters]>([
    ["none", noFilters],
    ["all that go together", everything],
    ["a preset", { ...noFilters, preset: "24h" }],
    ["problems", { ...noFilters, problems: true, user: "ann" }],
    ["one event", { ...noFilters, event: 42 }],
  ])("%s: come out as they went in", (_, filters) => {
    expect(parseFilters(queryOf(filters))).toEqual(filters);
    expect(parseFilters(`?${queryOf(filters)}`)).toEqual(filters);
  });

  test.each([
    ["?range=99y&since=yesterday&event=-3", noFilters],
    ["?event=1e99", noFilters],
    ["?type=&type=job.failed&type=job.failed", { ...noFilters, types: ["job.failed"] }],
    ["?problems=true&type=job.failed", { ...noFilters, problems: true }],
    ["?range=7d&since=2026-01-01T00:00:00Z", { ...noFilters, preset: "7d" }],
    ["?user=%20ann%20&unknown=1", { ...noFilters, user: "ann" }],
    ["?range=toString", noFilters],
  ])("%s is read as far as it makes sense", (query, want) => {
    expect(parseFilters(query)).toEqual(want);
  });

  test("a place has no question mark without filters", () => {
    expect(searchPlace({})).toBe("/support");
    expect(searchPlace({ user: "ann" })).toBe("/support?user=ann");
  });

  test("are counted", () => {
    expect(countFilters(noFilters)).toBe(0);
    expect(countFilters(everything)).toBe(7);
  });
});

describe("what the API is asked for", () => {
  test("has all that is looked for", () => {
    const asked = new URLSearchParams(pageAddress(everything, now, 100).split("?")[1]);
    expect(Object.fromEntries(asked)).toMatchObject({
      user: "a&b=c d",
      job,
      since: "2026-01-01T00:00:00.000Z",
      until: "2026-01-02T00:00:00.000Z",
      text: "no space + %",
      limit: "100",
    });
    expect(asked.getAll("type")).toEqual(["job.failed", "notification.*"]);
    expect(asked.getAll("state")).toEqual(["failed", "running"]);
  });

  test("problems are errors, and a preset is a time", () => {
    expect(pageAddress({ ...noFilters, problems: true, preset: "1h" }, now, 5)).toBe(
      "/api/events?since=2026-01-02T11%3A00%3A00.000Z&errors=true&limit=5",
    );
  });

  test("a text without a bound is looked for in the last days", () => {
    const text = { ...noFilters, text: "boom" };
    expect(boundedForText(text)).toBe(true);
    expect(pageAddress(text, now, 5)).toContain("since=2025-12-26T12%3A00%3A00.000Z");
    expect(boundedForText({ ...text, user: "ann" })).toBe(false);
    expect(pageAddress({ ...text, user: "ann" }, now, 5)).not.toContain("since");
  });
});

test("an export has the same filters", () => {
  expect(exportOf({ ...everything, problems: true, types: [] }, "ndjson", now)).toEqual({
    kind: "export",
    title: "Events problems of a&b=c d of job 019b7e5c with “no space + %”",
    args: {
      dataset: "events",
      format: "ndjson",
      params: {
        user: "a&b=c d",
        job,
        type: ["job.failed", "job.retrying", "job.stalled", "job.late_report"],
        state: ["failed", "running"],
        since: "2026-01-01T00:00:00.000Z",
        until: "2026-01-02T00:00:00.000Z",
        text: "no space + %",
      },
    },
  });
  expect(exportOf(noFilters, "csv", now)).toMatchObject({ title: "Events", args: { params: {} } });
});

test("a field of a form and an instant are the same moment", () => {
  const instant = "2026-01-02T13:05:00.000Z";
  expect(instantIn(localOf(instant))).toBe(instant);
  expect(localOf("")).toBe("");
  expect(instantIn("soon")).toBe("");
});
