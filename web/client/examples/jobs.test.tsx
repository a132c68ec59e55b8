// @vitest-environment happy-dom
import { HeraldProvider, useJobs } from "@herald/client/react";
import { FakeHerald } from "@herald/client/testing";
import { act, type ReactElement } from "react";
import { createRoot } from "react-dom/client";
import { expect, test } from "vitest";

function Jobs(): ReactElement {
  const { jobs, loading } = useJobs({ state: "active" });
  if (loading) return <p>Loading</p>;
  const lines = jobs.map((job) => <li key={job.id}>{`${job.title}, ${String(Math.round(job.progress * 100))} %`}</li>);
  return <ul>{lines}</ul>;
}

test("the list follows the jobs, also when the network breaks", async () => {
  Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });
  const herald = new FakeHerald({ user: "alice" });
  const { id } = herald.addJob({ title: "clip.mov", state: "running" });
  const page = document.createElement("div");
  const root = createRoot(page);
  await act(async () => {
    root.render(
      <HeraldProvider client={herald.client} openStream={herald.openStream}>
        <Jobs />
      </HeraldProvider>,
    );
    await Promise.resolve();
  });
  expect(page.textContent).toBe("clip.mov, 0 %");

  act(() => void herald.report(id, { progress: 0.5 }));
  expect(page.textContent).toBe("clip.mov, 50 %");

  act(() => {
    herald.cut();
    herald.report(id, { progress: 0.9 });
  });
  expect(page.textContent).toBe("clip.mov, 50 %");
  act(() => {
    herald.connect();
  });
  expect(page.textContent).toBe("clip.mov, 90 %");

  act(() => void herald.report(id, { state: "succeeded" }));
  expect(page.textContent).toBe("");
});
