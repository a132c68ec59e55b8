// Builds the pages under /docs: the reference of the API by Stoplight Elements, and of the events by ourselves.
// Elements is taken as its authors have built it. As a dependency it would bring the 300 packages that it was built from.
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { eventsPage, referencePage } from "./pages.mjs";

const elements = {
  name: "@stoplight/elements@9.0.25",
  sha512: "rDbNsgSCNo74lyV57cBzym+8F68/R2j7UPq4r3w5qK608vX8APNJhTq+2MkbTjsM3bUhFIoRdI225tlI85KpCA==",
};
const here = fileURLToPath(new globalThis.URL(".", import.meta.url));
const to = join(here, "dist");

/** Fetches the package with npm, checks it, and returns some of its files. */
function fetchElements(names) {
  const folder = mkdtempSync(join(tmpdir(), "herald-docs-"));
  try {
    const [packed] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder, elements.name], {
        cwd: here,
        encoding: "utf8",
      }),
    );
    const archive = join(folder, packed.filename);
    const sum = createHash("sha512").update(readFileSync(archive)).digest("base64");
    if (sum !== elements.sha512) {
      throw new Error(`${elements.name} is not the one that was checked: its SHA-512 is ${sum}`);
    }
    execFileSync("tar", ["-xzf", archive, "-C", folder]);
    return names.map((name) => readFileSync(join(folder, "package", name)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Writes a file as it is sent: compressed. */
function write(name, content) {
  writeFileSync(join(to, `${name}.gz`), gzipSync(Buffer.from(content), { level: 9 }));
}

mkdirSync(to, { recursive: true });
const fetched = join(to, `elements-${elements.sha512.replace(/\W/g, "").slice(0, 12)}`);
if (!existsSync(`${fetched}.js.gz`) || !existsSync(`${fetched}.css.gz`)) {
  const [script, style] = fetchElements(["web-components.min.js", "styles.min.css"]);
  // Its sheet asks another site for a font that the page does not use.
  write(`${fetched.slice(to.length + 1)}.css`, style.toString().replace(/@import[^;]+;/g, ""));
  write(`${fetched.slice(to.length + 1)}.js`, script);
}
const name = fetched.slice(to.length + 1);
const events = JSON.parse(readFileSync(join(here, "../../internal/httpapi/asyncapi.json"), "utf8"));
write("docs.css", readFileSync(join(here, "docs.css")));
write("favicon.svg", readFileSync(join(here, "../app/src/favicon.svg")));
write("theme.js", readFileSync(join(here, "theme.js")));
write("index.html", referencePage(name));
write("events.html", eventsPage(events));
