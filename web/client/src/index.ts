export { fullJitter, type Backoff } from "./backoff.js";
export {
  HeraldClient,
  type ClientOptions,
  type HeraldAPI,
  type JobFilter,
  type NewJob,
  type TimelineFilter,
  type UploadOptions,
} from "./client.js";
export { HeraldError } from "./error.js";
export { SharedStream, type SharedStreamOptions } from "./share.js";
export { EventStream, type EventStreamOptions, type StreamState, type TokenSource } from "./stream.js";
export { mergeJob } from "./wire.js";
export type {
  Artifact,
  CurvePoint,
  Estimate,
  EventPage,
  Job,
  JobEvent,
  JobKind,
  JobKinds,
  JobPage,
  JobState,
  Link,
  LogEvent,
  Moving,
  Presence,
  Problem,
  Session,
  Share,
  Shared,
  Sharing,
  Step,
  StreamEvent,
  StreamOpen,
} from "./wire.js";
