export { fullJitter, type Backoff } from "./backoff.js";
export {
  HeraldClient,
  type ClientOptions,
  type EventFilter,
  type HeraldAPI,
  type JobFilter,
  type NewJob,
  type TimelineFilter,
} from "./client.js";
export { HeraldError } from "./error.js";
export { SharedStream, type SharedStreamOptions } from "./share.js";
export { EventStream, type EventStreamOptions, type StreamState, type TokenSource } from "./stream.js";
export type { UploadMemory, UploadOptions } from "./upload.js";
export { mergeJob } from "./wire.js";
export type {
  Artifact,
  CurvePoint,
  Dataset,
  DatasetParam,
  Datasets,
  Estimate,
  EventPage,
  FieldProblem,
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
  UnfinishedUpload,
} from "./wire.js";
