import { useSyncExternalStore } from "react";

/** Which colours the reader asked for; "system" follows the device. */
export type Theme = "system" | "light" | "dark";

const key = "herald.theme";
const changed = "herald:theme";

/** The reader's choice, kept on this device. */
export function theme(): Theme {
  const kept = localStorage.getItem(key);
  return kept === "light" || kept === "dark" ? kept : "system";
}

/** Keeps the choice and shows it at once. */
export function setTheme(choice: Theme): void {
  if (choice === "system") localStorage.removeItem(key);
  else localStorage.setItem(key, choice);
  showTheme();
  window.dispatchEvent(new Event(changed));
}

/** Puts the choice on the document, whose style sheet does the rest. */
export function showTheme(): void {
  document.documentElement.dataset["theme"] = theme();
}

/** The reader's choice, also when another tab changes it. */
export function useTheme(): Theme {
  return useSyncExternalStore(subscribe, theme);
}

function subscribe(notify: () => void): () => void {
  const fromOtherTab = () => {
    showTheme();
    notify();
  };
  window.addEventListener(changed, notify);
  window.addEventListener("storage", fromOtherTab);
  return () => {
    window.removeEventListener(changed, notify);
    window.removeEventListener("storage", fromOtherTab);
  };
}
