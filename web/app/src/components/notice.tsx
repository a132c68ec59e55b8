import type { ReactElement, ReactNode } from "react";
import type { Notice } from "../notices";
import { AlertIcon, BellIcon, CheckIcon } from "./icons";
import { Link } from "./link";

const looks = {
  good: "bg-tint text-accent",
  bad: "bg-bad-tint text-bad",
  plain: "bg-well text-soft",
};

interface NoticeViewProps {
  readonly notice: Notice;
  readonly aside?: ReactNode;
  readonly onFollow: () => void;
}

/** What a notice says, and the way to what it is about. */
export function NoticeView({ notice, aside, onFollow }: NoticeViewProps): ReactElement {
  const { tone, title, text, link } = notice;
  return (
    <div className="flex items-start gap-3">
      <span className={`-mt-0.5 grid size-6 shrink-0 place-items-center rounded-full ${looks[tone]}`}>
        {tone === "good" ? <CheckIcon size={14} /> : tone === "bad" ? <AlertIcon size={14} /> : <BellIcon size={14} />}
      </span>
      <div className="min-w-0 flex-1 text-sm">
        <p className="font-medium break-words">
          <Linked link={link} onFollow={onFollow}>
            {title}
          </Linked>
        </p>
        {text !== "" && <p className="mt-0.5 line-clamp-4 break-words text-soft">{text}</p>}
      </div>
      {aside}
    </div>
  );
}

interface LinkedProps {
  readonly link: string;
  readonly onFollow: () => void;
  readonly children: ReactNode;
}

/** Another site's page opens beside this one, and learns nothing of it. */
function Linked({ link, onFollow, children }: LinkedProps): ReactElement {
  if (link === "") return <>{children}</>;
  const own = link.startsWith("/jobs/");
  return (
    <span onClick={onFollow}>
      {own ? (
        <Link to={link} className="underline-offset-2 hover:underline">
          {children}
        </Link>
      ) : (
        <a href={link} target="_blank" rel="noreferrer noopener" className="underline underline-offset-2">
          {children}
        </a>
      )}
    </span>
  );
}
