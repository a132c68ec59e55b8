import { EventStream, type StreamState } from "@herald/client";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { Reader, type Read } from "./reader";

/** What comes in so short a time is read at once. */
const gathering = 300;

/** A job's timeline, as far as it is read, which grows while the job runs. */
export function useTimeline(id: string): { read: Read; following: StreamState; again: () => void } {
  const [tries, setTries] = useState(0);
  // eslint-disable-next-line react-hooks/exhaustive-deps -- each try is a reading of its own
  const reader = useMemo(() => new Reader(id), [id, tries]);
  const [following, setFollowing] = useState<StreamState>("connecting");
  useEffect(() => {
    reader.more();
    return followJob(id, reader, setFollowing);
  }, [id, reader]);
  const read = useSyncExternalStore(reader.subscribe, reader.read);
  const again = () => {
    setTries((n) => n + 1);
  };
  return { read, following, again };
}

/** Has the reader read on whenever something happens to the job; the stream only says that it is time to. */
function followJob(id: string, reader: Reader, onState: (state: StreamState) => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stream = new EventStream({
    url: "/api/sse",
    topics: [`job:${id}`],
    acknowledge: false,
    whileVisible: true,
    onState,
    onEvent: (event) => {
      if (event.type.startsWith("stream.") && event.type !== "stream.open") return;
      timer ??= setTimeout(() => {
        timer = undefined;
        reader.more();
      }, gathering);
    },
  });
  return () => {
    clearTimeout(timer);
    stream.close();
    reader.stop();
  };
}
