import { act } from "react";
import { expect, test, vi } from "vitest";
import { deskOf, idOf, jobOf, render } from "../testing";
import { JobCard } from "./job-card";

test("a card out of sight follows by and by, and is up to date when it comes into sight", () => {
  vi.useFakeTimers();
  const watched = new Map<Element, (inSight: boolean) => void>();
  vi.stubGlobal(
    "IntersectionObserver",
    class {
      readonly #tell: IntersectionObserverCallback;
      constructor(tell: IntersectionObserverCallback) {
        this.#tell = tell;
      }
      observe(target: Element) {
        watched.set(target, (isIntersecting) => {
          this.#tell([{ target, isIntersecting } as unknown as IntersectionObserverEntry], this as never);
        });
      }
      unobserve(target: Element) {
        watched.delete(target);
      }
    },
  );
  const { desk } = deskOf();
  const [near, far] = [idOf(2), idOf(1)];
  const cards = [near, far].map((id) => <JobCard key={id} id={id} />);
  const container = render(<ul>{cards}</ul>, desk);
  let version = 5;
  const say = (message: string) => {
    version++;
    act(() => {
      for (const id of [near, far]) desk.store.put(jobOf({ id, title: id, version, message }));
    });
  };
  const card = (id: string) => container.querySelector(`[data-job="${id}"]`);
  const look = (inSight: boolean) => {
    act(() => {
      for (const [element, tell] of watched) if (element === card(far)) tell(inSight);
    });
  };
  say("first");
  look(false);
  say("second");
  expect(card(near)?.textContent).toContain("second");
  expect(card(far)?.textContent).toContain("first");
  act(() => {
    vi.advanceTimersByTime(100);
  });
  expect(card(far)?.textContent).toContain("second");
  say("third");
  look(true);
  expect(card(far)?.textContent).toContain("third");
  say("fourth");
  expect(card(far)?.textContent).toContain("fourth");
  vi.useRealTimers();
  vi.unstubAllGlobals();
});
