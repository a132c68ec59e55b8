export { fullJitter, type Backoff } from "./backoff";
export { HeraldClient, type ClientOptions, type JobFilter, type NewJob, type UploadOptions } from "./client";
export { HeraldError } from "./error";
export { EventStream, type EventStreamOptions, type StreamState } from "./stream";
export { mergeJob } from "./wire";
export type {
  Artifact,
  Job,
  JobEvent,
  JobPage,
  JobState,
  LogEvent,
  Moving,
  Preset,
  Presets,
  Problem,
  Session,
  Step,
  StreamEvent,
} from "./wire";
