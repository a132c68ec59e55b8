// Elements is told whether it is to be light or dark; it does not ask.
const dark = globalThis.matchMedia("(prefers-color-scheme: dark)");
const show = () => {
  let chosen = null;
  try {
    chosen = globalThis.localStorage.getItem("herald.theme");
  } catch {
    // It is not to be had: then what the system says counts.
  }
  globalThis.document.documentElement.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
};
dark.addEventListener("change", show);
show();
