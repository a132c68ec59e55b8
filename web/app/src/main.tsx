import { HeraldClient } from "@herald/client";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { takeToken } from "./session";
import { SharedPages } from "./share/shared-pages";
import "./styles/main.css";
import { showTheme } from "./theme";

showTheme();
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    {location.pathname.startsWith("/shared/") ? (
      <SharedPages />
    ) : (
      <App client={new HeraldClient()} token={takeToken()} />
    )}
  </StrictMode>,
);
