import { expect, test } from "vitest";
import { argsOf, secondsOf, untouched } from "./options";
import { presetsOf } from "./presets";

const schema = {
  properties: {
    preset: {
      oneOf: [
        { const: "mp4", title: "MP4", description: "Plays everywhere." },
        { const: "audio", title: "Audio only", description: "Sound." },
      ],
    },
  },
  allOf: [
    {
      if: { properties: { preset: { const: "mp4" } } },
      then: { properties: { fps: { minimum: 1, maximum: 60 }, crf: { minimum: 14, maximum: 26, default: 22 } } },
    },
    { if: { properties: { preset: { const: "audio" } } }, then: { properties: { fps: false, crf: false } } },
  ],
};
const [mp4, audio] = presetsOf([{ name: "video", title: "Video", description: "", schema, steps: [] }]);

test("the presets and their options are read from the schema", () => {
  expect(mp4).toEqual({
    name: "mp4",
    title: "MP4",
    description: "Plays everywhere.",
    fps: { min: 1, max: 60, usual: undefined },
    crf: { min: 14, max: 26, usual: 22 },
  });
  expect(audio?.fps).toBeUndefined();
  expect(presetsOf([{ name: "video", title: "", description: "", schema: null, steps: [] }])).toEqual([]);
});

test("a form becomes args with what is asked for, and no more", () => {
  expect(argsOf(mp4, "mp4", untouched)).toEqual({ preset: "mp4" });
  expect(argsOf(mp4, "mp4", { from: "1:30", to: "", fps: "24", quality: "better" })).toEqual({
    preset: "mp4",
    trim: { start: 90 },
    fps: 24,
    crf: 16,
  });
  expect(argsOf(mp4, "mp4", { ...untouched, to: "2.5", quality: "smaller" })).toEqual({
    preset: "mp4",
    trim: { start: 0, end: 2.5 },
    crf: 26,
  });
  expect(argsOf(audio, "audio", { ...untouched, fps: "24", quality: "better" })).toEqual({ preset: "audio" });
});

test("what makes no sense is told", () => {
  expect(argsOf(mp4, "mp4", { ...untouched, from: "soon" })).toEqual({
    field: "from",
    error: expect.stringMatching(/^From/) as string,
  });
  expect(argsOf(mp4, "mp4", { ...untouched, from: "9", to: "5" })).toEqual({
    field: "to",
    error: expect.stringMatching(/^To/) as string,
  });
  expect(argsOf(mp4, "mp4", { ...untouched, fps: "500" })).toEqual({
    field: "fps",
    error: expect.stringMatching(/1 to 60/) as string,
  });
});

test("times are read as people write them", () => {
  expect(["", " 90 ", "1:30", "1:02:03.5", "0,5"].map(secondsOf)).toEqual([undefined, 90, 90, 3723.5, 0.5]);
  expect(["x", "1:", "-1", "1:60", "1:2:3:4"].map(secondsOf)).toEqual([NaN, NaN, NaN, NaN, NaN]);
});
