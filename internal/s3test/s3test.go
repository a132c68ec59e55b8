// Package s3test gives tests a store of objects that speaks S3: a server in
// memory, behind real HTTP.
package s3test

import (
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // what the URL is opened with
)

// URL starts a server that lives as long as the test, and returns the URL of an
// empty bucket on it. It takes any credentials; with anonymous, none are needed.
func URL(t testing.TB, anonymous bool) string {
	t.Helper()
	const bucket = "herald"
	store := s3mem.New()
	if err := store.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(store).Server())
	t.Cleanup(server.Close)
	query := url.Values{"endpoint": {server.URL}, "region": {"us-east-1"}, "use_path_style": {"true"}}
	if anonymous {
		query.Set("anonymous", "true")
	}
	return "s3://" + bucket + "?" + query.Encode()
}

// Open opens an empty bucket, which is closed when the test ends.
func Open(t testing.TB) *blob.Bucket {
	t.Helper()
	bucket, err := blob.OpenBucket(t.Context(), URL(t, true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bucket.Close(); err != nil {
			t.Error(err)
		}
	})
	return bucket
}
