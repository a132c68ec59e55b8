import { expect, onTestFinished, test } from "vitest";
import { render } from "../testing";
import { SignedOutPage } from "./signed-out";

test("who is signed out is led to the provider, and back to this page, when there is one", () => {
  expect(render(<SignedOutPage why="no session" />).querySelector("a[href*=signin]")).toBeNull();
  const meta = document.createElement("meta");
  meta.name = "herald-sign-in";
  meta.content = "/api/signin";
  document.head.append(meta);
  onTestFinished(() => {
    meta.remove();
  });
  history.replaceState(null, "", "/jobs/x?a=b");
  const link = render(<SignedOutPage why="no session" />).querySelector("a[href*=signin]");
  expect(link?.getAttribute("href")).toBe("/api/signin?to=%2Fjobs%2Fx%3Fa%3Db");
});
