export {
  type EventSourceOptions,
  type EventSourceView,
  HeraldProvider,
  type HeraldProviderProps,
  type UsedJob,
  type UsedJobs,
  type UsedPresence,
  type UsedUpload,
  useEventSource,
  useHerald,
  useJob,
  useJobs,
  usePresence,
  useUpload,
} from "./hooks.js";
export type { JobsView, JobView } from "./jobs.js";
export type { Handler, OpenStream } from "./live.js";
