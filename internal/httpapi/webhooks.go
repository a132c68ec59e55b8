package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"herald/internal/webhook"
)

// received is the answer to a webhook. It is the same each time.
type received struct {
	EventIDs []uuid.UUID `json:"event_ids"` // of what it became; none when its source's rules want none of it
}

// webhook takes a webhook from outside. Its signature says who sends it.
func (a *api) webhook(w http.ResponseWriter, r *http.Request) {
	out, err := a.takeWebhook(w, r)
	if err != nil {
		if errors.Is(err, webhook.ErrMapping) { // somebody set it up
			a.Log.WarnContext(r.Context(), "webhook not understood", "source", chi.URLParam(r, "source"), "error", err, "request_id", requestID(r.Context()))
		}
		a.problems.write(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, "application/json", out)
}

func (a *api) takeWebhook(w http.ResponseWriter, r *http.Request) (received, error) {
	out := received{EventIDs: []uuid.UUID{}}
	source, err := a.Webhooks.Source(chi.URLParam(r, "source"))
	if err != nil {
		return out, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, source.MaxBody()))
	if err != nil {
		return out, fmt.Errorf("%w: %w", errCutOff, err)
	}
	p, err := source.Publication(r.Context(), r.Header, body)
	if err == nil {
		err = a.rates.takeWebhook(clientOf(r.Context()).addr, chi.URLParam(r, "source"))
	}
	if err != nil || len(p.Notices) == 0 {
		return out, err
	}
	published, err := a.Publisher.Publish(r.Context(), p)
	if err != nil {
		return out, err
	}
	out.EventIDs = published.IDs
	return out, nil
}
