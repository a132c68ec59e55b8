import { type MouseEvent, type ReactElement, useState } from "react";
import { position } from "../format";
import type { Sprite } from "../video";

interface StripProps {
  readonly sprite: Sprite;
  readonly durationMs: number;
  readonly onSeek: (ms: number) => void;
}

const most = 12;

/**
 * The video at a glance: a row of pictures from its sprite. Pointing shows the
 * moment, a click goes there. The player's own controls do the same for the
 * keyboard, so the strip is hidden from screen readers.
 */
export function Strip({ sprite, durationMs, onSeek }: StripProps): ReactElement {
  const [at, setAt] = useState<number>();
  const tiles = tilesOf(sprite, durationMs);
  const shareAt = (event: MouseEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  };
  return (
    <div
      aria-hidden="true"
      className="relative flex cursor-pointer overflow-hidden rounded-lg bg-well"
      onMouseMove={(event) => {
        setAt(shareAt(event));
      }}
      onMouseLeave={() => {
        setAt(undefined);
      }}
      onClick={(event) => {
        onSeek(shareAt(event) * durationMs);
      }}
    >
      {tiles.map((tile) => (
        <div
          key={tile}
          className="flex-1"
          style={{
            aspectRatio: `${String(sprite.width)} / ${String(sprite.height)}`,
            backgroundImage: `url("${sprite.url}")`,
            backgroundSize: `${String(sprite.columns * 100)}% ${String(sprite.rows * 100)}%`,
            backgroundPosition: `${along(tile % sprite.columns, sprite.columns)} ${along(Math.floor(tile / sprite.columns), sprite.rows)}`,
          }}
        />
      ))}
      {at !== undefined && (
        <>
          <span className="absolute inset-y-0 w-0.5 bg-white shadow" style={{ left: `${String(at * 100)}%` }} />
          <span
            className="absolute bottom-1 -translate-x-1/2 rounded bg-black/75 px-1.5 py-0.5 text-xs text-white tabular-nums"
            style={{ left: `clamp(1.5rem, ${String(at * 100)}%, calc(100% - 1.5rem))` }}
          >
            {position(at * durationMs)}
          </span>
        </>
      )}
    </div>
  );
}

/** The numbers of the tiles to show: all that are filled, or a dozen spread evenly. */
export function tilesOf(sprite: Sprite, durationMs: number): number[] {
  const filled = Math.min(sprite.columns * sprite.rows, Math.max(Math.ceil(durationMs / sprite.intervalMs), 1));
  const shown = Math.min(filled, most);
  return Array.from({ length: shown }, (_, i) => Math.floor(((i + 0.5) * filled) / shown));
}

/** Where the tile lies in a background that is as many times as large. */
function along(index: number, of: number): string {
  return `${String(of > 1 ? (index / (of - 1)) * 100 : 0)}%`;
}
