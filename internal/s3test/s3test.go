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
func URL(tb testing.TB, anonymous bool) string {
	tb.Helper()
	const bucket = "herald"
	store := s3mem.New()
	if err := store.CreateBucket(bucket); err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(store).Server())
	tb.Cleanup(server.Close)
	query := url.Values{"endpoint": {server.URL}, "region": {"us-east-1"}, "use_path_style": {"true"}}
	if anonymous {
		query.Set("anonymous", "true")
	}
	return "s3://" + bucket + "?" + query.Encode()
}

// Open opens an empty bucket, which is closed when the test ends.
func Open(tb testing.TB) *blob.Bucket {
	tb.Helper()
	bucket, err := blob.OpenBucket(tb.Context(), URL(tb, true))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := bucket.Close(); err != nil {
			tb.Error(err)
		}
	})
	return bucket
}
