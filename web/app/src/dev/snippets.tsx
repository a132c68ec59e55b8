import { type ReactElement, useState } from "react";
import { Choice } from "../components/choice";
import { type Message, type Snippet, snippet } from "./message";
import { Code, Panel } from "./parts";

const languages = ["curl", "Go", "JavaScript"] as const satisfies readonly Snippet[];

/** The message as a program that publishes it. */
export function Snippets({
  message,
  formKey,
}: {
  readonly message: Message | undefined;
  readonly formKey: string;
}): ReactElement {
  const [language, setLanguage] = useState<Snippet>("curl");
  return (
    <Panel
      title="From a program"
      action={
        <Choice
          legend="Language"
          hideLegend
          value={language}
          onChange={setLanguage}
          options={languages.map((value) => ({ value, label: value }))}
        />
      }
    >
      {message === undefined ? (
        <p className="text-sm text-soft">When the form is right, a program that does the same stands here.</p>
      ) : (
        <>
          <Code label={language} text={snippet(language, location.origin, message, formKey)} />
          <p className="mt-2 text-sm text-soft">
            TOKEN is that of a back end:{" "}
            <code className="font-mono text-[0.8125rem]">herald token --user shop --role backend</code>
          </p>
        </>
      )}
    </Panel>
  );
}
