import { type ReactElement, useContext, useMemo, useState } from "react";
import { exportOffer } from "../exports";
import { ownZone } from "../zone";
import { Choice } from "./choice";
import { NewExport } from "./new-export";
import { NewVideo } from "./new-video";
import { PresetsContext } from "./presets";

const kinds = [
  { value: "video", label: "Video" },
  { value: "export", label: "Data export" },
] as const;
type Kind = (typeof kinds)[number]["value"];

const key = "herald.kind";

/** Where jobs begin, of the kind that was chosen last on this device. */
export function NewJob({ onPresetsAgain }: { readonly onPresetsAgain: () => void }): ReactElement {
  const { kinds: offered } = useContext(PresetsContext);
  const offer = useMemo(() => exportOffer(offered, ownZone()), [offered]);
  const [chosen, setChosen] = useState<Kind>(() => (localStorage.getItem(key) === "export" ? "export" : "video"));
  const kind = offer === undefined ? "video" : chosen;

  return (
    <section aria-label="New job" className="rounded-2xl bg-card p-4 ring-1 ring-line sm:p-5">
      {offer !== undefined && (
        <div className="mb-4 border-b border-line pb-4">
          <Choice
            legend="What to start"
            hideLegend
            options={kinds}
            value={kind}
            onChange={(value) => {
              localStorage.setItem(key, value);
              setChosen(value);
            }}
          />
        </div>
      )}
      {/* Videos may be dropped whatever is chosen, so their form stays. */}
      <div hidden={kind !== "video"}>
        <NewVideo onPresetsAgain={onPresetsAgain} />
      </div>
      {offer !== undefined && kind === "export" && <NewExport offer={offer} />}
    </section>
  );
}
