import type { Artifact, Job } from "@herald/client";
import { useEffect, useState } from "react";
import { useDesk } from "../desk";
import { exportResult } from "../export";
import { videoResult } from "../video";

const none: readonly Artifact[] = [];

/** The files to list beside a job: those in its result, or what the server has of it. An export shows its own. */
export function useMadeFiles(job: Job): readonly Artifact[] {
  const { client } = useDesk();
  const [listed, setListed] = useState(none);
  const known = videoResult(job)?.artifacts ?? (exportResult(job) === undefined ? undefined : none);
  const asked = job.state === "succeeded" && known === undefined;
  const { id } = job;
  useEffect(() => {
    if (!asked) return undefined;
    let current = true;
    client.jobArtifacts(id).then(
      ({ artifacts }) => {
        if (current) setListed(artifacts);
      },
      () => undefined, // the result says what there is
    );
    return () => {
      current = false;
    };
  }, [client, id, asked]);
  if (job.artifacts_expired_at !== undefined) return none;
  return known ?? (asked ? listed : none);
}
