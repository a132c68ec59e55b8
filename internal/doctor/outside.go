package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"gocloud.dev/blob"
)

// Blobs writes a blob, reads it and removes it. A folder that is made at the first
// start is not made for that.
func Blobs(ctx context.Context, address string) Finding {
	const advice = "look at --blob-url (HERALD_BLOB_URL): the name of the bucket, the credentials, and what they allow"
	if u, err := url.Parse(address); err == nil && u.Scheme == "file" && u.Query().Has("create_dir") {
		if _, err := os.Stat(filepath.FromSlash(u.Path)); errors.Is(err, os.ErrNotExist) {
			return Folder(filepath.FromSlash(u.Path), advice)
		}
	}
	bucket, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return Wrong(advice, "%v", err)
	}
	defer bucket.Close() //nolint:errcheck // nothing is left to be written
	key, text := "doctor/"+rand.Text(), []byte("written by herald doctor")
	if err := bucket.WriteAll(ctx, key, text, nil); err != nil {
		return Wrong(advice, "write a blob: %v", err)
	}
	got, err := bucket.ReadAll(ctx, key)
	if err == nil && !bytes.Equal(got, text) {
		err = fmt.Errorf("%d bytes came back, not the %d that were written", len(got), len(text))
	}
	if removeErr := bucket.Delete(ctx, key); removeErr != nil {
		return Wrong(advice, "remove a blob: %v", removeErr)
	}
	if err != nil {
		return Wrong(advice, "read a blob: %v", err)
	}
	return Good("a blob was written, read and removed")
}

// Address finds out whether a node can serve at the address, or one serves there
// already.
func Address(ctx context.Context, scheme, addr string) Finding {
	const advice = "end the program that has it, or choose another with --addr"
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		status, err := ready(ctx, scheme, addr)
		switch {
		case err != nil:
			return Wrong(advice, "%s is taken, and no Herald answers there: %v", addr, err)
		case status != http.StatusOK:
			return Worse("see its log", "a Herald has %s, and is not ready (%d)", addr, status)
		}
		return Good("a Herald answers at %s", addr)
	}
	if err == nil {
		err = listener.Close()
	}
	return Tried(err, addr+" is free", "choose another address with --addr; a port below 1024 is for root alone")
}

// ready is what a Herald at the address answers when it is asked whether it is.
func ready(ctx context.Context, scheme, addr string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+addr+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the names are those of the outside; nothing secret is sent
	}
	res, err := transport.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	const most = 16 << 10
	body, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		return 0, err
	}
	// A Herald answers with a status of its own, or with a problem.
	var answer struct {
		Status any    `json:"status"`
		Type   string `json:"type"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Status != "ok" && answer.Type == "" {
		return 0, fmt.Errorf("/readyz has another answer (%d)", res.StatusCode)
	}
	return res.StatusCode, nil
}
