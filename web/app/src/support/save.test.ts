import { expect, test } from "vitest";
import type { LogRecord } from "./record";
import { csvOf, jsonOf } from "./save";

const event: LogRecord = {
  seq: 7,
  id: "e7",
  type: "job.failed",
  time: "2026-01-02T12:00:00Z",
  recorded_at: "2026-01-02T12:00:01Z",
  job_id: "j1",
  job_version: 3,
  actor: '=cmd|"x"',
  topics: ["job:j1", "user:ann"],
  data: { error: 'no "space",\nleft' },
};

test("JSON is what the API tells", () => {
  expect(JSON.parse(jsonOf([event]))).toEqual({ events: [event] });
});

test("CSV has a row for each event, quoted, and no formulas", () => {
  expect(csvOf([event, { seq: 8, id: "e8", type: "a", time: "t", recorded_at: "r", actor: "", data: null }])).toBe(
    "seq,id,type,time,recorded_at,job_id,job_version,actor,topics,data\r\n" +
      '7,e7,job.failed,2026-01-02T12:00:00Z,2026-01-02T12:00:01Z,j1,3,"\'=cmd|""x""",job:j1 user:ann,' +
      '"{""error"":""no \\""space\\"",\\nleft""}"\r\n' +
      "8,e8,a,t,r,,,,,null\r\n",
  );
});
