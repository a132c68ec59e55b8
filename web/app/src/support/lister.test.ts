import { expect, test } from "vitest";
import type { Connection, ConnectionPage } from "./api";
import { Lister, parseWanted, queryOfWanted } from "./lister";

test.each([
  { user: "a&b", node: "n 1", ended: false },
  { user: "", node: "", ended: true },
])("what is wanted comes out of the address as it went in: %j", (wanted) => {
  expect(parseWanted(`?${queryOfWanted(wanted)}`)).toEqual(wanted);
});

test("what has ended is no node's", () => {
  expect(queryOfWanted({ user: "", node: "n", ended: true })).toBe("ended=true");
  expect(parseWanted("?node=n&ended=true").node).toBe("");
});

test("as many pages are read as were asked for, and the numbers are those of the first", async () => {
  const asked: string[] = [];
  const statistics = { connections: 250, users: 3, nodes: {} };
  const lister = new Lister({ user: "", node: "n", ended: false }, (path) => {
    asked.push(path);
    const left = 250 - (asked.length - 1) * 100;
    const page: ConnectionPage = {
      connections: Array.from({ length: Math.min(left, 100) }, (_, i) => ({ id: String(i) }) as Connection),
      next: left > 100 ? `cursor ${String(asked.length)}` : "",
      ...(asked.length === 1 ? { statistics } : {}),
    };
    return Promise.resolve(page);
  });
  const signal = new AbortController().signal;
  expect(await lister.read(signal)).toMatchObject({ more: true, statistics, connections: { length: 100 } });
  expect(asked).toEqual(["/api/connections?limit=100&live=true&node=n"]);
  asked.length = 0;
  lister.more();
  lister.more();
  expect(await lister.read(signal)).toMatchObject({ more: false, connections: { length: 250 } });
  expect(asked[2]).toBe("/api/connections?limit=100&live=true&node=n&before=cursor+2");
});
