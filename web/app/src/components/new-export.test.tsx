import { type Dataset, HeraldError, type NewJob } from "@herald/client";
import { act } from "react";
import { expect, test, vi } from "vitest";
import { exportOffer } from "../exports";
import { click, deskOf, jobOf, render } from "../testing";
import { NewExport } from "./new-export";

const offer = exportOffer(
  [
    {
      name: "export",
      title: "Export",
      description: "",
      steps: [],
      schema: {
        properties: {
          params: { title: "Only some of it" },
          format: { default: "csv", oneOf: [{ const: "csv", title: "CSV" }] },
          compression: { default: "none", oneOf: [{ const: "none", title: "None" }] },
        },
      },
    },
  ],
  "UTC",
);

const orders: Dataset = {
  name: "orders",
  title: "Orders",
  description: "Orders of the shop.",
  columns: ["id"],
  params: [
    { name: "job", type: "uuid", required: false, default: null, description: "One job.", in: [], max_length: 100 },
    { name: "least", type: "integer", required: true, default: null, description: "", in: [], max_length: 100 },
    { name: "state", type: "text[]", required: false, default: null, description: "", in: ["a", "b"], max_length: 99 },
  ],
};

async function open(datasets: readonly Dataset[], startJob = vi.fn((job: NewJob) => Promise.resolve(jobOf(job)))) {
  if (offer === undefined) throw new Error("no offer");
  const answer = { datasets, formats: ["csv"], compressions: ["none"] };
  const { desk } = deskOf({ datasets: () => Promise.resolve(answer), startJob });
  const container = render(<NewExport offer={offer} />, desk);
  await act(() => Promise.resolve());
  const field = (name: string) => {
    const found = container.querySelector<HTMLInputElement>(`[name="args.params.${name}"]`);
    if (found === null) throw new Error(`no field ${name}`);
    return found;
  };
  const type = (name: string, text: string) => {
    act(() => {
      // Past the setter by which React knows what it has written itself.
      Reflect.set(HTMLInputElement.prototype, "value", text, field(name));
      field(name).dispatchEvent(new Event("input", { bubbles: true }));
    });
  };
  const submit = () =>
    act(async () => {
      container.querySelector("form")?.dispatchEvent(new Event("submit", { bubbles: true, cancelable: true }));
      await Promise.resolve();
    });
  return { container, desk, field, type, submit, startJob };
}

test("what is typed is checked at once, what is missing on the way out, and the first wrong field gets the focus", async () => {
  const t = await open([orders]);
  expect(t.container.querySelectorAll("[aria-invalid=true]")).toHaveLength(0);
  t.type("job", "123");
  expect(t.field("job").getAttribute("aria-invalid")).toBe("true");
  expect(t.field("least").getAttribute("aria-invalid")).toBe("false");
  t.type("job", "");
  await t.submit();
  expect(t.container.textContent).toContain("This is needed.");
  expect(document.activeElement).toBe(t.field("least"));
  expect(t.startJob).not.toHaveBeenCalled();
});

test("an export starts with what was chosen, and its job is on the page", async () => {
  const t = await open([orders]);
  t.type("least", "5");
  const chip = Array.from(t.container.querySelectorAll("label")).find((l) => l.textContent === "B");
  await click(chip?.querySelector("input") as HTMLElement);
  await t.submit();
  expect(t.startJob).toHaveBeenCalledWith(
    expect.objectContaining({
      kind: "export",
      title: "Orders as CSV",
      args: expect.objectContaining({ dataset: "orders", params: { least: "5", state: ["b"] } }) as unknown,
    }),
  );
  expect(t.desk.store.job(jobOf().id)?.title).toBe("Orders as CSV");
});

test("what the server refuses stands at its field until that is changed", async () => {
  const problem = {
    ...{ type: "/problems/invalid", title: "No", status: 422 },
    errors: [{ field: "args.params.least", detail: "want less" }],
  };
  const t = await open(
    [orders],
    vi.fn(() => Promise.reject(new HeraldError(problem))),
  );
  t.type("least", "5");
  await t.submit();
  expect(t.container.textContent).toContain("Want less.");
  expect(document.activeElement).toBe(t.field("least"));
  t.type("least", "4");
  expect(t.container.textContent).not.toContain("Want less.");
});

test("who may export nothing is told so", async () => {
  const t = await open([]);
  expect(t.container.textContent).toBe("There is nothing that you may export.");
});
