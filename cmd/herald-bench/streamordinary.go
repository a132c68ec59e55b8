package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"herald/internal/event"
)

// ordinaryHandler is how streams are served without further thought: a net/http
// handler with a goroutine and a channel for each connection.
type ordinaryHandler struct {
	server *http.Server
	at     string
	done   chan error // what the server ended with
	encoder

	mu      sync.RWMutex // guards byTopic
	byTopic map[event.Topic]map[chan []byte]struct{}
}

func newOrdinary() (*ordinaryHandler, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &ordinaryHandler{
		at: listener.Addr().String(), done: make(chan error, 1), encoder: encoder{text: sampleText()},
		byTopic: make(map[event.Topic]map[chan []byte]struct{}),
	}
	o.server = &http.Server{Handler: o, ReadHeaderTimeout: 10 * time.Second}
	go func() { o.done <- o.server.Serve(listener) }()
	return o, nil
}

// ServeHTTP serves one stream.
func (o *ordinaryHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	frames := make(chan []byte, 64)
	topics := r.URL.Query()["topic"]
	o.follow(topics, frames)
	defer o.leave(topics, frames)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	for frame := []byte(": open\n\n"); ; {
		if _, err := w.Write(frame); err != nil {
			return
		}
		if err := control.Flush(); err != nil {
			return
		}
		select {
		case frame = <-frames:
		case <-r.Context().Done():
			return
		}
	}
}

func (o *ordinaryHandler) follow(topics []string, frames chan []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, text := range topics {
		topic := event.Topic(text)
		if o.byTopic[topic] == nil {
			o.byTopic[topic] = make(map[chan []byte]struct{})
		}
		o.byTopic[topic][frames] = struct{}{}
	}
}

func (o *ordinaryHandler) leave(topics []string, frames chan []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, text := range topics {
		delete(o.byTopic[event.Topic(text)], frames)
	}
}

func (o *ordinaryHandler) address() string { return o.at }

func (o *ordinaryHandler) publish(topic event.Topic, events int) (event.Seq, error) {
	var last event.Seq
	for range events {
		frame, seq, err := o.frames(topic, 1)
		if err != nil {
			return 0, err
		}
		if err := o.send(topic, frame); err != nil {
			return 0, err
		}
		last = seq
	}
	return last, nil
}

func (o *ordinaryHandler) send(topic event.Topic, frame []byte) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for frames := range o.byTopic[topic] {
		select {
		case frames <- frame:
		default:
			return fmt.Errorf("a client of %s is too slow for the ordinary handler", topic)
		}
	}
	return nil
}

func (o *ordinaryHandler) close() error {
	err := o.server.Close()
	if served := <-o.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
