import type { HeraldClient, JobKind } from "@herald/client";
import { createContext, useCallback, useContext, useEffect, useState } from "react";
import { messageOf } from "../live";
import { type Preset, presetsOf } from "../presets";

/** What the server offers. */
export interface Presets {
  readonly status: "loading" | "ready" | "failed";
  readonly error: string;
  readonly presets: readonly Preset[];
  /** The kinds of job that its workers do. */
  readonly kinds: readonly JobKind[];
  readonly maxUploadBytes: number;
}

/** What is known before the server has said anything. */
export const nothingYet: Presets = { status: "loading", error: "", presets: [], kinds: [], maxUploadBytes: Infinity };

export const PresetsContext = createContext<Presets>(nothingYet);

/** Asks the server for its presets, and once more with each call of `again`. */
export function useLoadedPresets(client: HeraldClient): [Presets, () => void] {
  const [presets, setPresets] = useState(nothingYet);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let current = true;
    client.kinds().then(
      (answer) => {
        if (!current) return;
        const presets = presetsOf(answer.kinds);
        const { kinds, max_upload_bytes: maxUploadBytes } = answer;
        setPresets({ status: "ready", error: "", presets, kinds, maxUploadBytes });
      },
      (err: unknown) => {
        if (current) setPresets({ ...nothingYet, status: "failed", error: messageOf(err) });
      },
    );
    return () => {
      current = false;
    };
  }, [client, tries]);
  const again = useCallback(() => {
    setTries((n) => n + 1);
  }, []);
  return [presets, again];
}

/** A preset's title, or its name when the server does not offer it any more. */
export function usePresetTitle(name: string): string {
  return useContext(PresetsContext).presets.find((p) => p.name === name)?.title ?? name;
}

/** The title of a step of a kind of job; undefined for one that the server does not describe. */
export function useStepTitle(kind: string): (step: string) => string | undefined {
  const steps = useContext(PresetsContext).kinds.find((k) => k.name === kind)?.steps;
  return useCallback((step) => steps?.find((s) => s.name === step)?.title, [steps]);
}

const key = "herald.preset";
const usual = "mp4-720p";

/** The preset that the reader chose last, kept on this device. */
export function useChosenPreset(presets: readonly Preset[]): [string, (name: string) => void] {
  const [chosen, setChosen] = useState(() => localStorage.getItem(key) ?? usual);
  const choose = (name: string) => {
    localStorage.setItem(key, name);
    setChosen(name);
  };
  const offered = presets.some((p) => p.name === chosen);
  return [offered ? chosen : (presets[0]?.name ?? usual), choose];
}
