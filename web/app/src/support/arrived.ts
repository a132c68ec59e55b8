import type { Recipient } from "./api";
import type { Severity } from "./sentences";

/** Whether an event came to its user, in a word or two. */
export interface Arrived {
  readonly text: string;
  readonly severity: Severity;
}

/** What became of an event for one user, in words; see docs/history.md for the stages. */
export function arrivedOf({ stage, way, online }: Pick<Recipient, "stage" | "way" | "online">): Arrived {
  const late = way === "replay" ? ", after they came back" : "";
  switch (stage) {
    case "seen":
      return { text: `Seen${late}`, severity: "good" };
    case "acknowledged":
      return { text: `Arrived${late}`, severity: "good" };
    case "written":
      return { text: `Sent${late}, not confirmed`, severity: "info" };
    case "replaced":
      return { text: "Newer progress was sent", severity: "info" };
    case "pending":
      return { text: "Still to be sent", severity: "warning" };
    case "missed":
      return { text: "Not sent: the connection had ended", severity: "bad" };
    case "filtered":
      return { text: "Held back by their filter", severity: "info" };
    case "":
      if (way === "snapshot") return { text: "In the jobs they got when they came back", severity: "info" };
      return {
        text: online ? "Not for the stream they had open" : "Not sent: nobody was connected",
        severity: "warning",
      };
  }
}

/** Whether what became of an event is no reason to worry: it came, or what came later has it. */
export function didArrive({ stage, way }: Pick<Recipient, "stage" | "way">): boolean {
  return (
    stage === "seen" || stage === "acknowledged" || stage === "written" || stage === "replaced" || way === "snapshot"
  );
}
