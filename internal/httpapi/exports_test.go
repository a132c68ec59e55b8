package httpapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"herald/internal/artifact"
	"herald/internal/auth"
	"herald/internal/export"
	"herald/internal/httpapi"
	"herald/internal/job"
)

func TestDatasetsAreListedForThoseWhoMayExportThem(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) {
		d.Datasets = []export.Dataset{
			{Name: "own", Roles: []string{"user", "admin"}, Params: []export.Param{{Name: "owner", Type: export.Owner}, {Name: "since", Type: export.DateParam}, {Name: "state", Type: export.TextsParam, In: []string{"a", "b"}}}, Columns: []export.Column{{Name: "id"}, {Name: "made"}}},
			{Name: "secret", Roles: []string{"admin"}},
		}
	})
	for role, want := range map[auth.Role]string{
		auth.RoleUser: "own", auth.RoleAdmin: "own secret", auth.RoleWorker: "",
	} {
		a := s.do(t, http.MethodGet, "/api/exports/datasets", s.token(t, "demo", role), "")
		var body struct {
			Datasets []struct {
				Name   string
				Params []struct {
					Name     string
					In       []string
					MaxItems int `json:"max_items"`
				}
				Columns []string
			}
		}
		if err := json.Unmarshal([]byte(a.body), &body); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, d := range body.Datasets {
			names = append(names, d.Name)
			if d.Name != "own" {
				continue
			}
			if len(d.Params) != 2 || d.Params[0].Name != "since" || len(d.Params[0].In) != 0 || len(d.Params[1].In) != 2 || d.Params[1].MaxItems != export.MaxTexts {
				t.Errorf("the parameters are %v, want since and state with what it may be", d.Params)
			}
			if strings.Join(d.Columns, " ") != "id made" {
				t.Errorf("the columns are %v, want id and made", d.Columns)
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s sees %q, want %q", role, got, want)
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	s := setup(t)
	v, demo := s.upload(t, "a%20b.csv", "1,2"), s.token(t, "demo")
	links := "/api/artifacts/" + v.ID.String() + "/links"
	made := s.do(t, http.MethodPost, links, demo, `{"expires_in":60}`)
	var link struct {
		URL       string    `json:"url"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(made.body), &link); err != nil || made.status != http.StatusCreated {
		t.Fatalf("%d %s", made.status, made.body)
	}
	if left := time.Until(link.ExpiresAt); left > time.Minute || left < 50*time.Second {
		t.Errorf("it is good for %v, want a minute", left)
	}
	if a := s.do(t, http.MethodGet, link.URL, "", ""); a.status != http.StatusOK || a.body != "1,2" {
		t.Errorf("the link gives %d %q, want the file", a.status, a.body)
	}
	_, query, _ := strings.Cut(link.URL, "?")
	short := s.do(t, http.MethodGet, "/api/artifacts/"+v.ID.String()+"?"+query, "", "")
	if short.status != http.StatusFound || short.header.Get("Location") != link.URL {
		t.Errorf("without the name, it leads to %d %s, want %s", short.status, short.header.Get("Location"), link.URL)
	}
	other := s.upload(t, "c.csv", "3")
	for path, want := range map[string]string{
		strings.Replace(link.URL, "signature=", "signature=A", 1): "bad-link",
		strings.Replace(link.URL, "expires=", "expires=9", 1):     "bad-link",
		strings.Replace(link.URL, "expires=", "expires=x", 1):     "bad-link",
		other.URL + "?" + query:                                   "bad-link",
		v.URL:                                                     "not-signed-in",
		v.URL + "?expires=1&signature=" + s.key.SignLink(v.ID.String(), time.Unix(1, 0)): "link-expired",
	} {
		if got := s.do(t, http.MethodGet, path, "", "").problem(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	// A link to what others may not see, or not share, or for too long, is not made.
	for _, tt := range []struct {
		user string
		role auth.Role
		body string
		want string
	}{
		{"other", auth.RoleUser, `{}`, "not-found"},
		{"other", auth.RoleSupport, `{}`, "forbidden"},
		{"demo", auth.RoleUser, `{"expires_in":604801}`, "invalid"},
		{"demo", auth.RoleUser, `{"expires_in":0}`, "invalid"},
		{"other", auth.RoleAdmin, `{}`, ""},
	} {
		if got := s.do(t, http.MethodPost, links, s.token(t, tt.user, tt.role), tt.body).problem(); got != tt.want {
			t.Errorf("a link for %s %s, %s: %q, want %q", tt.role, tt.user, tt.body, got, tt.want)
		}
	}
}

func TestNoLinkLeadsToAFolder(t *testing.T) {
	t.Parallel()
	s := setup(t)
	folder := artifact.Artifact{
		ID: uuid.Must(uuid.NewV7()), Owner: "demo", Kind: artifact.HLS, Name: "index.m3u8", BlobKey: "jobs/x/", ContentType: "x/y", CreatedAt: time.Now(),
	}
	if err := s.db.SaveArtifact(t.Context(), folder); err != nil {
		t.Fatal(err)
	}
	if got := s.do(t, http.MethodPost, "/api/artifacts/"+folder.ID.String()+"/links", s.token(t, "demo"), `{}`).problem(); got != "no-link" {
		t.Errorf("a link to a folder: %q, want it refused", got)
	}
}

// Each field that is wrong is named, so that a form can say so beside it.
func TestWrongFieldsAreNamed(t *testing.T) {
	t.Parallel()
	s := setup(t, func(d *httpapi.Deps) {
		d.Prepare = func(auth.Principal, string, string, json.RawMessage) (json.RawMessage, error) {
			return nil, errors.Join(
				&job.InvalidError{Field: "args.format", Reason: "not this"},
				fmt.Errorf("prepare: %w", errors.Join(&job.InvalidError{Field: "args.params.since", Reason: "not then"})))
		}
	})
	for body, want := range map[string][]httpapi.FieldError{
		`{"kind":"export","title":"x"}`:                     {{Field: "args.format", Detail: "not this"}, {Field: "args.params.since", Detail: "not then"}},
		`{"kind":"export","title":"x","max_attempts":1000}`: {{Field: "max_attempts", Detail: "expected number <= 100"}},
	} {
		a := s.do(t, http.MethodPost, "/api/jobs", s.token(t, "demo"), body)
		var p httpapi.Problem
		if err := json.Unmarshal([]byte(a.body), &p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Errors); diff != "" || a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d: -want +got:\n%s", body, a.status, diff)
		}
	}
}
