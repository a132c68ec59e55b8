import type { ReactElement, ReactNode } from "react";

interface IconProps {
  /** Width and height in pixels; 16 unless given. */
  readonly size?: number;
}

/** Icons stand beside words or on labelled buttons, so they are hidden from screen readers. */
function Icon({ size = 16, children }: IconProps & { readonly children: ReactNode }): ReactElement {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      className="shrink-0"
    >
      {children}
    </svg>
  );
}

export const UploadIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M8 10.5v-8M4.75 5.5 8 2.25l3.25 3.25M2.5 10v2.25c0 .7.55 1.25 1.25 1.25h8.5c.7 0 1.25-.55 1.25-1.25V10" />
  </Icon>
);

export const DownloadIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M8 2.5v8M4.75 7.5 8 10.75l3.25-3.25M2.5 13.5h11" />
  </Icon>
);

export const ShareIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M6.5 9.5a2.75 2.75 0 0 0 4 .25l2-2a2.8 2.8 0 0 0-4-4l-1 1M9.5 6.5a2.75 2.75 0 0 0-4-.25l-2 2a2.8 2.8 0 0 0 4 4l1-1" />
  </Icon>
);

export const CheckIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="m3.5 8.5 3 3 6-7" />
  </Icon>
);

export const CrossIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="m4.25 4.25 7.5 7.5m0-7.5-7.5 7.5" />
  </Icon>
);

export const DashIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M4 8h8" />
  </Icon>
);

export const AlertIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M8 4v4.75M8 11.75v.01" />
  </Icon>
);

export const RetryIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M13 8a5 5 0 1 1-1.6-3.65M13 2.25v2.6h-2.6" />
  </Icon>
);

export const TrashIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M2.75 4.25h10.5M6.25 4V2.5h3.5V4m-5.5.25.5 8.1c.04.65.58 1.15 1.25 1.15h4c.67 0 1.2-.5 1.25-1.15l.5-8.1M6.75 7v3.75M9.25 7v3.75" />
  </Icon>
);

export const ClockIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M8 4.5V8l2.25 1.5" />
  </Icon>
);

export const PlayIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M5 3.2v9.6L12.6 8z" fill="currentColor" />
  </Icon>
);

export const BackIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M9.75 3.5 5.25 8l4.5 4.5" />
  </Icon>
);

export const DownIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="m3.5 6 4.5 4.5L12.5 6" />
  </Icon>
);

export const CopyIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 5.5V4c0-.83-.67-1.5-1.5-1.5H4c-.83 0-1.5.67-1.5 1.5v5c0 .83.67 1.5 1.5 1.5h1.5" />
  </Icon>
);

export const LinkIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M6.75 9.25a2.75 2.75 0 0 0 3.9 0l2-2a2.75 2.75 0 1 0-3.9-3.9l-.75.75M9.25 6.75a2.75 2.75 0 0 0-3.9 0l-2 2a2.75 2.75 0 1 0 3.9 3.9l.75-.75" />
  </Icon>
);

export const FileIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M9 2.25H4.75c-.69 0-1.25.56-1.25 1.25v9c0 .69.56 1.25 1.25 1.25h6.5c.69 0 1.25-.56 1.25-1.25V5.75zM9 2.25v3.5h3.5" />
  </Icon>
);

export const SunIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <circle cx="8" cy="8" r="2.75" />
    <path d="M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7" />
  </Icon>
);

export const MoonIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M13.25 9.6A5.75 5.75 0 0 1 6.4 2.75a5.5 5.5 0 1 0 6.85 6.85Z" />
  </Icon>
);

export const ScreenIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <rect x="2" y="2.75" width="12" height="8.5" rx="1.25" />
    <path d="M5.5 13.75h5" />
  </Icon>
);

export const FilmIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <rect x="2" y="3" width="12" height="10" rx="1.5" />
    <path d="M5 3v10M11 3v10M2 6.3h3M2 9.7h3M11 6.3h3M11 9.7h3" />
  </Icon>
);

export const BellIcon = (p: IconProps): ReactElement => (
  <Icon {...p}>
    <path d="M8 2a4 4 0 0 0-4 4c0 3.25-1.25 4.25-1.75 5h11.5c-.5-.75-1.75-1.75-1.75-5a4 4 0 0 0-4-4ZM6.5 13.25c.3.5.85.75 1.5.75s1.2-.25 1.5-.75" />
  </Icon>
);

/** The mark of the program: a letter H whose bar is a progress bar. */
export function Mark(): ReactElement {
  return (
    <svg width="26" height="26" viewBox="0 0 32 32" aria-hidden="true" className="shrink-0">
      <rect width="32" height="32" rx="8" className="fill-accent" />
      <path
        d="M11 8.5v15M21 8.5v15M11 16h10"
        fill="none"
        className="stroke-on-accent"
        strokeWidth="3"
        strokeLinecap="round"
      />
    </svg>
  );
}
