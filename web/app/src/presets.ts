import type { JobKind } from "@herald/client";
import { at, listOf, numberOf, textOf } from "./schema";

/** What may be asked for as a number. */
export interface NumberRange {
  readonly min: number;
  readonly max: number;
  /** What is taken when nobody asks; undefined: what the video has. */
  readonly usual: number | undefined;
}

/** A way to convert a video, as the server offers it. */
export interface Preset {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Frames a second; undefined where there are none. */
  readonly fps: NumberRange | undefined;
  /** How well the picture is kept, less is better; undefined where that cannot be chosen. */
  readonly crf: NumberRange | undefined;
}

/** The presets that the schema of a video's args lists, each with the options that the schema gives it. */
export function presetsOf(kinds: readonly JobKind[]): Preset[] {
  const schema = kinds.find((k) => k.name === "video")?.schema;
  const conditions = listOf(at(schema, "allOf"));
  return listOf(at(schema, "properties", "preset", "oneOf")).map((offered) => {
    const name = textOf(at(offered, "const"));
    const own = conditions.find((c) => at(c, "if", "properties", "preset", "const") === name);
    return {
      name,
      title: textOf(at(offered, "title")),
      description: textOf(at(offered, "description")),
      fps: rangeOf(at(own, "then", "properties", "fps")),
      crf: rangeOf(at(own, "then", "properties", "crf")),
    };
  });
}

function rangeOf(schema: unknown): NumberRange | undefined {
  const min = numberOf(at(schema, "minimum"));
  const max = numberOf(at(schema, "maximum"));
  return min === undefined || max === undefined ? undefined : { min, max, usual: numberOf(at(schema, "default")) };
}
