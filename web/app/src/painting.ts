/** The least time from one showing to the next, in milliseconds: of most screens, that is every second frame. */
const apart = 25;
/** A hidden page has no frames, but its tab has a title: the longest wait for one, in milliseconds. */
const longest = 500;

/**
 * A way to run functions when the page is painted. What comes alone is shown with
 * the next frame. In a flood, the frames between are left to those who scroll and type.
 */
export function painting(): (show: () => void) => void {
  let shownAt = -Infinity;
  return (show) => {
    let frame: number | undefined;
    const run = () => {
      for (const timer of timers) clearTimeout(timer);
      if (frame !== undefined) cancelAnimationFrame(frame);
      shownAt = performance.now();
      show();
    };
    const whenPainted = () => {
      frame = requestAnimationFrame(run);
    };
    const timers = [setTimeout(run, longest)];
    const early = shownAt + apart - performance.now();
    if (early > 0) timers.push(setTimeout(whenPainted, early));
    else whenPainted();
  };
}
