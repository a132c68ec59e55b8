import type { Session } from "@herald/client";
import { type ReactElement, useEffect, useState, useSyncExternalStore } from "react";
import { Link } from "../components/link";
import type { DevPart } from "../router";
import { DemoLoad } from "./load";
import { firstPlan, Load } from "./load-panel";
import { Publish } from "./publish";
import { RawStream } from "./raw-stream";
import { emptyStreamForm, Stream } from "./stream";
import { Webhooks } from "./webhooks";

const parts: readonly { readonly part: DevPart; readonly label: string }[] = [
  { part: "publish", label: "Publish" },
  { part: "webhooks", label: "Webhooks" },
  { part: "stream", label: "Raw stream" },
  { part: "load", label: "Load" },
];

/** The developer's page: what a program would do, by hand. The stream and the load go on while one looks at the others. */
export default function DevPage({
  session,
  part,
}: {
  readonly session: Session;
  readonly part: DevPart;
}): ReactElement {
  const [stream] = useState(() => new RawStream());
  const [load] = useState(() => new DemoLoad());
  const [streamForm, setStreamForm] = useState(emptyStreamForm);
  const [plan, setPlan] = useState(firstPlan);
  const { clientId } = useSyncExternalStore(stream.subscribe, stream.view);
  useEffect(() => leaveWith(stream, load), [stream, load]);
  const why = session.roles.some((role) => role === "backend" || role === "admin")
    ? undefined
    : "You are signed in as a user alone.";
  return (
    <div className="space-y-5">
      <div className="flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
        <div>
          <h1 className="text-lg font-medium">For developers</h1>
          <p className="text-sm text-soft">
            What a program does with Herald, by hand. There is also{" "}
            <a href="/dev/example.html" className="text-accent underline underline-offset-2">
              a page of ten lines
            </a>
            .
          </p>
        </div>
        <Tabs current={part} />
      </div>
      {why !== undefined && <MoreRights user={session.user} />}
      {part === "publish" && <Publish user={session.user} why={why} clientId={clientId} />}
      {part === "webhooks" && <Webhooks user={session.user} why={why} />}
      {part === "stream" && <Stream stream={stream} form={streamForm} onForm={setStreamForm} />}
      {part === "load" && <Load load={load} plan={plan} onPlan={setPlan} why={why} />}
    </div>
  );
}

function Tabs({ current }: { readonly current: DevPart }): ReactElement {
  return (
    <nav aria-label="For developers" className="flex flex-wrap gap-0.5 rounded-lg bg-well p-0.5">
      {parts.map(({ part, label }) => (
        <Link
          key={part}
          to={`/dev/${part}`}
          current={part === current}
          className="flex h-7 grow items-center justify-center rounded-md px-2.5 text-sm whitespace-nowrap text-soft transition-colors hover:text-ink aria-[current]:bg-card aria-[current]:font-medium aria-[current]:text-ink aria-[current]:shadow-sm aria-[current]:ring-1 aria-[current]:ring-edge"
        >
          {label}
        </Link>
      ))}
    </nav>
  );
}

function MoreRights({ user }: { readonly user: string }): ReactElement {
  return (
    <p className="rounded-xl bg-warn-tint px-4 py-2.5 text-sm text-ink">
      <span className="font-medium text-warn">You may look, but not publish.</span> Open the developer&rsquo;s link that{" "}
      <code className="font-mono text-[0.8125rem]">herald up</code> prints when it starts, or that of{" "}
      <code className="font-mono text-[0.8125rem] break-words">
        herald token --link --user {user} --role user --role backend
      </code>
    </p>
  );
}

/** When the page is left, nothing of it goes on. */
function leaveWith(stream: RawStream, load: DemoLoad): () => void {
  const abandon = () => {
    load.abandon();
  };
  window.addEventListener("pagehide", abandon);
  return () => {
    window.removeEventListener("pagehide", abandon);
    stream.close();
    void load.remove();
  };
}
