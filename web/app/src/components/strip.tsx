import { type CSSProperties, type MouseEvent, type ReactElement, useState } from "react";
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
 * moment and its picture, a click goes there. The player's own controls do the same for the
 * keyboard, so the strip is hidden from screen readers.
 */
export function Strip({ sprite, durationMs, onSeek }: StripProps): ReactElement {
  const [at, setAt] = useState<number>();
  return (
    <div
      aria-hidden="true"
      className="relative cursor-pointer"
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
      <div className="flex overflow-hidden rounded-lg bg-well">
        {tilesOf(sprite).map((tile) => (
          <div key={tile} className="flex-1" style={tileStyle(sprite, tile)} />
        ))}
      </div>
      {at !== undefined && (
        <>
          <span className="absolute inset-y-0 w-0.5 bg-white shadow" style={{ left: `${String(at * 100)}%` }} />
          <span
            className="pointer-events-none absolute bottom-full mb-2 w-40 -translate-x-1/2 overflow-hidden rounded-lg shadow-lg ring-1 ring-black/30"
            style={{ left: `clamp(5rem, ${String(at * 100)}%, calc(100% - 5rem))` }}
          >
            <span className="block" style={tileStyle(sprite, tileAt(sprite, at))} />
            <span className="absolute inset-x-0 bottom-0 bg-black/70 text-center text-xs leading-5 text-white tabular-nums">
              {position(at * durationMs)}
            </span>
          </span>
        </>
      )}
    </div>
  );
}

/** Where the pointer is in the element, from 0 at its left to 1 at its right. */
export function shareAt(event: MouseEvent): number {
  const box = event.currentTarget.getBoundingClientRect();
  return Math.min(Math.max((event.clientX - box.left) / Math.max(box.width, 1), 0), 1);
}

/** The number of the tile that shows the moment, a share of the whole. */
export function tileAt(sprite: Sprite, share: number): number {
  return Math.min(Math.floor(share * sprite.count), sprite.count - 1);
}

/** Makes an element show one tile. */
export function tileStyle(sprite: Sprite, tile: number): CSSProperties {
  return {
    aspectRatio: `${String(sprite.width)} / ${String(sprite.height)}`,
    backgroundImage: `url("${sprite.url}")`,
    backgroundSize: `${String(sprite.columns * 100)}% ${String(sprite.rows * 100)}%`,
    backgroundPosition: `${along(tile % sprite.columns, sprite.columns)} ${along(Math.floor(tile / sprite.columns), sprite.rows)}`,
  };
}

/** The numbers of the tiles to show: all, or a dozen spread evenly. */
export function tilesOf(sprite: Sprite): number[] {
  const shown = Math.min(sprite.count, most);
  return Array.from({ length: shown }, (_, i) => Math.floor(((i + 0.5) * sprite.count) / shown));
}

/** Where the tile lies in a background that is as many times as large. */
function along(index: number, of: number): string {
  return `${String(of > 1 ? (index / (of - 1)) * 100 : 0)}%`;
}
