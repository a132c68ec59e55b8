export { fullJitter, type Backoff } from "./backoff.js";
export { HeraldClient, type ClientOptions, type JobFilter, type NewJob, type UploadOptions } from "./client.js";
export { HeraldError } from "./error.js";
export { EventStream, type EventStreamOptions, type StreamState } from "./stream.js";
export { mergeJob } from "./wire.js";
export type {
  Artifact,
  Estimate,
  Job,
  JobEvent,
  JobKind,
  JobKinds,
  JobPage,
  JobState,
  LogEvent,
  Moving,
  Problem,
  Session,
  Step,
  StreamEvent,
} from "./wire.js";
