const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => String(text).replace(/[&<>"']/g, (c) => escapes[c]);

function page(title, current, head, main) {
  const link = (to, text) => `<a href="${to}"${to === current ? ' aria-current="page"' : ""}>${text}</a>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="/docs/favicon.svg" type="image/svg+xml">
${head}<link rel="stylesheet" href="/docs/docs.css">
<script src="/docs/theme.js"></script>
</head>
<body>
<header><strong>Herald</strong><nav aria-label="Pages">${link("/docs", "Routes")}${link("/docs/events", "Events")}${link("/", "The app")}</nav></header>
${main}
</body>
</html>
`;
}

/** The page of the API's routes. */
export function referencePage(elements) {
  return page(
    "Herald: routes",
    "/docs",
    `<link rel="stylesheet" href="/docs/${elements}.css">\n<script src="/docs/${elements}.js" defer></script>\n`,
    `<main class="reference"><elements-api apiDescriptionUrl="/openapi.json" router="hash" layout="responsive" tryItCredentialsPolicy="same-origin"></elements-api></main>
<noscript><p>This page needs JavaScript. <a href="/openapi.json">The document</a> that it shows does not.</p></noscript>`,
  );
}

/** The page of what streams say, from the AsyncAPI document. */
export function eventsPage(document) {
  const { messages, schemas } = document.components;
  const names = Object.keys(messages).sort();
  const groups = [
    ["Jobs", names.filter((n) => n.startsWith("job."))],
    ["The stream itself", names.filter((n) => n.startsWith("stream."))],
    ["Notifications", names.filter((n) => n.startsWith("notification.") || n === "custom")],
  ];
  const contents = groups
    .map(
      ([title, list]) => `<li>${title}<ul>${list.map((n) => `<li><a href="#${n}">${n}</a></li>`).join("")}</ul></li>`,
    )
    .join("");
  const sections = groups.map(
    ([title, list]) => `<h2>${title}</h2>\n${list.map((n) => message(n, messages[n], schemas)).join("\n")}`,
  );
  return page(
    "Herald: events",
    "/docs/events",
    "",
    `<main class="events"><nav aria-label="Events"><ul>${contents}</ul></nav><article>
<h1>Events</h1>
<p>${escape(document.info.description)} An event of the log has its place in it, <code>seq</code>, and its <code>id</code>, <code>type</code> and <code>time</code>; the tables show its <code>data</code>. What a stream says of itself is in none of these. The same as a document: <a href="/asyncapi.json">AsyncAPI 3</a>.</p>
${sections.join("\n")}
</article></main>`,
  );
}

function message(name, { summary, payload }, schemas) {
  const data = payload.properties?.data ?? payload;
  const of = resolve(data, schemas);
  const body = of.properties === undefined ? "<p>Any JSON.</p>" : table(name, of, schemas);
  return `<section id="${name}"><h3><code>${name}</code></h3><p>${escape(summary)}</p>${body}</section>`;
}

function resolve(schema, schemas) {
  const to = schema.$ref ?? schema.oneOf?.find((s) => s.$ref)?.$ref;
  return to === undefined ? schema : schemas[to.split("/").pop()];
}

function table(name, schema, schemas) {
  const described = Object.values(schema.properties).some((of) => of.description);
  const rows = Object.keys(schema.properties)
    .sort()
    .map((field) => {
      const of = schema.properties[field];
      const says = described ? `<td>${escape(of.description ?? "")}</td>` : "";
      const needed = schema.required?.includes(field) ? "" : " <small>may be missing</small>";
      return `<tr><th scope="row"><code>${escape(field)}</code>${needed}</th><td>${escape(typeOf(of, schemas))}</td>${says}</tr>`;
    });
  const last = described ? '<th scope="col">What it says</th>' : "";
  return `<div class="table" role="region" tabindex="0" aria-label="Fields of ${name}"><table><thead><tr><th scope="col">Field</th><th scope="col">Type</th>${last}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}

/** A type in words. */
function typeOf(schema, schemas) {
  if (schema.enum) return schema.enum.join(", ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.oneOf) return schema.oneOf.map((s) => typeOf(s, schemas)).join(" or ");
  const of = resolve(schema, schemas);
  const types = [of.type ?? "any JSON"].flat();
  const words = types.map((type) => {
    if (type === "array") return `list of ${typeOf(of.items ?? {}, schemas)}`;
    if (type === "object" && of.properties) return `object: ${Object.keys(of.properties).sort().join(", ")}`;
    if (type === "string" && of.format) return of.format;
    return type;
  });
  return words.join(" or ");
}
