import { useCallback, useEffect, useState } from "react";
import { replaceQuery } from "../../router";
import type { Stretch } from "./history";
import { parseThen, thenQuery } from "./view";

/** How often the moment moves on while it plays, and how long it rests before it goes into the address. */
const beat = 100;
const rest = 250;

export type Speed = "1" | "10";

interface Moment {
  readonly at: number;
  readonly playing: boolean;
  readonly speed: Speed;
  readonly goTo: (at: number) => void;
  readonly play: (on: boolean) => void;
  readonly setSpeed: (speed: Speed) => void;
}

/** The moment that is looked at: moved by the reader, or by the time that passes. */
export function useMoment(period: Stretch, start: number): Moment {
  const [at, setAt] = useState(start);
  const [speed, setSpeed] = useState<Speed>("1");
  const [wanted, setWanted] = useState(false);
  const playing = wanted && at < period.to;

  useEffect(() => {
    if (!playing) return undefined;
    const timer = setInterval(() => {
      setAt((was) => Math.min(was + beat * Number(speed), period.to));
    }, beat);
    return () => {
      clearInterval(timer);
    };
  }, [playing, speed, period.to]);

  useEffect(() => {
    if (playing) return undefined;
    const timer = setTimeout(() => {
      replaceQuery(thenQuery({ ...parseThen(location.search), at: { time: at } }));
    }, rest);
    return () => {
      clearTimeout(timer);
    };
  }, [at, playing]);

  const goTo = useCallback(
    (to: number) => {
      setWanted(false);
      setAt(Math.round(Math.min(Math.max(to, period.from), period.to)));
    },
    [period.from, period.to],
  );
  return { at, playing, speed, goTo, play: setWanted, setSpeed };
}
