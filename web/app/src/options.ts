import type { Preset } from "./presets";
import type { VideoArgs } from "./video";

/** What is chosen and typed on the form, besides the preset. */
export interface VideoForm {
  readonly from: string;
  readonly to: string;
  readonly fps: string;
  readonly quality: Quality;
}

/** How well the picture is kept against how large the file gets. */
export type Quality = "smaller" | "usual" | "better";

export const untouched: VideoForm = { from: "", to: "", fps: "", quality: "usual" };

/** What is wrong with a form, and where. */
export interface Wrong {
  readonly error: string;
  readonly field: "from" | "to" | "fps";
}

/** The form as a job's args, or what is wrong with it. What the preset does not know is left out. */
export function argsOf(preset: Preset | undefined, name: string, form: VideoForm): VideoArgs | Wrong {
  const from = secondsOf(form.from);
  const to = secondsOf(form.to);
  if (Number.isNaN(from)) return { field: "from", error: "From: write a time such as 90 or 1:30." };
  if (Number.isNaN(to)) return { field: "to", error: "To: write a time such as 90 or 1:30." };
  if (to !== undefined && to <= (from ?? 0)) {
    return { field: "to", error: "To: it has to be later than the start." };
  }
  const range = preset?.fps;
  const fps = range === undefined || form.fps.trim() === "" ? undefined : Number(form.fps);
  if (fps !== undefined && range !== undefined && !(fps >= range.min && fps <= range.max)) {
    return { field: "fps", error: `Frames a second: choose ${String(range.min)} to ${String(range.max)}.` };
  }
  const crf = crfOf(preset, form.quality);
  return {
    preset: name,
    ...(from === undefined && to === undefined
      ? {}
      : { trim: { start: from ?? 0, ...(to === undefined ? {} : { end: to }) } }),
    ...(fps === undefined ? {} : { fps }),
    ...(crf === undefined ? {} : { crf }),
  };
}

/** A step of six halves or doubles the size of the file, about. */
const step = 6;

function crfOf(preset: Preset | undefined, quality: Quality): number | undefined {
  const range = preset?.crf;
  if (range?.usual === undefined || quality === "usual") return undefined;
  return Math.min(Math.max(range.usual + (quality === "smaller" ? step : -step), range.min), range.max);
}

/** The seconds that a time such as 90, 1:30 or 1:02:03.5 has: undefined of nothing, NaN of anything else. */
export function secondsOf(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  if (!/^(\d{1,6}|(\d{1,3}:)?\d{1,3}:[0-5]?\d)([.,]\d+)?$/.test(trimmed)) return NaN;
  return trimmed
    .replace(",", ".")
    .split(":")
    .reduce((sum, part) => sum * 60 + Number(part), 0);
}
