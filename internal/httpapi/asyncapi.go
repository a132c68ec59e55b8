package httpapi

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"herald"
	"herald/internal/event"
	"herald/internal/job"
)

// told is one type of event as it is documented.
type told struct {
	name    string
	summary string
	data    reflect.Type
	stream  bool // the stream's own word, which has no place in the log
}

// toldOfJobs are the events of a job's life.
func toldOfJobs() []told {
	whole, moving := reflect.TypeFor[job.Job](), reflect.TypeFor[job.Moving]()
	var list []told
	for _, e := range []struct {
		name    event.Type
		summary string
		data    reflect.Type
	}{
		{event.JobQueued, "A job waits for its next attempt.", whole},
		{event.JobStarted, "An attempt has begun.", whole},
		{event.JobProgress, "More is done. A newer one replaces an older one that waits.", moving},
		{event.JobStep, "A step has begun.", whole},
		{event.JobMessage, "The worker says something.", moving},
		{event.JobRetrying, "An attempt has failed, and there will be another.", whole},
		{event.JobStalled, "The worker has been silent for too long.", whole},
		{event.JobResumed, "A silent worker has spoken again.", whole},
		{event.JobCancelling, "Somebody has asked for the job's end.", whole},
		{event.JobCancelled, "The job has ended because somebody asked for it.", whole},
		{event.JobSucceeded, "The job has ended well.", whole},
		{event.JobFailed, "The job has ended, and not well.", whole},
		{event.JobLateReport, "A worker has reported on an attempt that is over.", reflect.TypeFor[job.LateReport]()},
		{event.JobDeleted, "The job is gone.", reflect.TypeFor[job.Deleted]()},
		{event.JobAbsent, "Herald tries to tell the job's owner, who was away, how it has ended.", reflect.TypeFor[job.Absence]()},
		{event.JobShared, "There is a link that shows the job.", reflect.TypeFor[job.Sharing]()},
		{event.JobShareOpened, "Somebody has come by the link for the first time.", reflect.TypeFor[job.Sharing]()},
		{event.JobShareRevoked, "The link shows nothing any more.", reflect.TypeFor[job.Sharing]()},
	} {
		list = append(list, told{name: string(e.name), summary: e.summary, data: e.data})
	}
	return list
}

// toldOfStreams are what a stream says of itself.
func toldOfStreams() []told {
	return []told{
		{streamOpen, "The stream is open: the first event.", reflect.TypeFor[openData](), true},
		{streamSnapshot, "The active jobs, when a stream does not resume.", reflect.TypeFor[snapshotData](), true},
		{streamReset, "What the client had is worth nothing; a snapshot follows.", reflect.TypeFor[resetData](), true},
		{streamExpiring, "The client's token ends soon.", reflect.TypeFor[expiringData](), true},
		{streamExpired, "The client's token has ended, and the stream ends.", reflect.TypeFor[expiredData](), true},
		{streamClosing, "The node stops: come back.", reflect.TypeFor[closingData](), true},
	}
}

// object is a JSON object of the document.
type object = map[string]any

func ref(to string) object { return object{"$ref": "#/" + to} }

// AsyncAPI returns the document of the events on streams, AsyncAPI 3 in JSON, made
// from the Go types of which they are.
func AsyncAPI() ([]byte, error) {
	messages, schemas := object{}, object{}
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	for _, e := range slices.Concat(toldOfJobs(), toldOfStreams()) {
		data := any(registry.Schema(e.data, true, e.name))
		if !e.stream {
			data = entrySchema(e.name, data)
		}
		messages[e.name] = messageObject(e.name, e.summary, data)
	}
	for _, n := range herald.Notifications() {
		name := n.EventType()
		schemas[name] = notificationSchema(reflect.TypeOf(n))
		summary := "A back end tells of " + strings.TrimPrefix(name, "notification.") + ": a " + reflect.TypeOf(n).Name() + " of the Go client."
		messages[name] = messageObject(name, summary, entrySchema(name, ref("components/schemas/"+name)))
	}
	messages["custom"] = messageObject("custom", "A back end's own event: any other type, and any data.", entrySchema("", object{}))
	mend(registry)
	for name, s := range registry.Map() {
		schemas[name] = s
	}
	names := slices.Sorted(maps.Keys(messages))
	channel, received := object{}, []object{}
	for _, name := range names {
		channel[name] = ref("components/messages/" + name)
		received = append(received, ref("channels/stream/messages/"+name))
	}
	document, err := json.MarshalIndent(object{
		"asyncapi":           "3.0.0",
		"info":               object{"title": "Herald's events", "version": "1", "description": "What a stream of server-sent events carries. The name of each message is the field event, its payload the field data."},
		"defaultContentType": "application/json",
		"channels": object{"stream": object{
			"address": "/api/sse", "title": "The stream", "description": "Server-sent events of the topics that the client follows.",
			"messages": channel, "bindings": object{"http": object{}},
		}},
		"operations": object{"receive": object{
			"action": "receive", "channel": ref("channels/stream"), "summary": "Follow topics.", "messages": received,
		}},
		"components": object{"messages": messages, "schemas": schemas},
	}, "", "  ")
	return append(document, '\n'), err
}

func messageObject(name, summary string, payload any) object {
	return object{"name": name, "summary": summary, "contentType": "application/json", "payload": payload}
}

// entrySchema describes an event of the log with the data; of any type when it has
// no name.
func entrySchema(name string, data any) object {
	kind := object{"type": "string"}
	if name != "" {
		kind["const"] = name
	}
	return object{
		"type":     "object",
		"required": []string{"seq", "id", "type", "time", "data"},
		"properties": object{
			"seq":  object{"type": "integer", "format": "int64", "description": "Its place in the log."},
			"id":   object{"type": "string", "format": "uuid"},
			"type": kind,
			"time": object{"type": "string", "format": "date-time", "description": "When it was created."},
			"data": data,
		},
	}
}
