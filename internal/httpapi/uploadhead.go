package httpapi

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// tusVersion is the version of the protocol for resumable uploads, https://tus.io.
const tusVersion = "1.0.0"

var (
	errTusVersion = errors.New("uploads are resumed by tus " + tusVersion + ": say so in Tus-Resumable")
	errUploadHead = errors.New("the upload's headers")
	errPatchType  = errors.New("a piece of an upload has the Content-Type application/offset+octet-stream")
)

// uploadHead is what the headers of a new upload say.
type uploadHead struct {
	size        int64
	name        string
	contentType string
	sha256      string // in hex, or empty
}

// parseUploadHead reads the headers that begin an upload. The error is an
// errUploadHead.
func parseUploadHead(h http.Header) (uploadHead, error) {
	var head uploadHead
	if h.Get("Upload-Length") == "" {
		return head, fmt.Errorf("%w: Upload-Length says how many bytes are to come", errUploadHead)
	}
	size, err := parseBytes(h.Get("Upload-Length"))
	if err != nil {
		return head, fmt.Errorf("%w: Upload-Length: %w", errUploadHead, err)
	}
	metadata, err := parseUploadMetadata(h.Get("Upload-Metadata"))
	if err != nil {
		return head, fmt.Errorf("%w: Upload-Metadata: %w", errUploadHead, err)
	}
	head = uploadHead{size: size, name: fileName(metadata["filename"]), contentType: contentType(metadata["filetype"])}
	if sum, given := metadata["sha256"]; given {
		const length = 32
		raw, err := hex.DecodeString(sum)
		if err != nil || len(raw) != length {
			return head, fmt.Errorf("%w: Upload-Metadata: sha256 is 64 hex digits", errUploadHead)
		}
		head.sha256 = hex.EncodeToString(raw)
	}
	return head, nil
}

// parseUploadOffset reads where the piece that a request brings begins. The error
// is an errUploadHead or errPatchType.
func parseUploadOffset(h http.Header) (int64, error) {
	if kind, _, _ := strings.Cut(h.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(kind), "application/offset+octet-stream") {
		return 0, errPatchType
	}
	offset, err := parseBytes(h.Get("Upload-Offset"))
	if err != nil {
		return 0, fmt.Errorf("%w: Upload-Offset: %w", errUploadHead, err)
	}
	return offset, nil
}

// parseBytes reads a number of bytes: digits alone.
func parseBytes(text string) (int64, error) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, errors.New("want a number of bytes")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, errors.New("it is too large a number")
	}
	return n, nil
}

// parseUploadMetadata reads "key base64,key base64": a value may be missing.
func parseUploadMetadata(text string) (map[string]string, error) {
	const longest, mostKeys = 8 << 10, 32
	if len(text) > longest {
		return nil, fmt.Errorf("%d bytes, at most %d", len(text), longest)
	}
	values := map[string]string{}
	if strings.TrimSpace(text) == "" {
		return values, nil
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if key == "" {
			return nil, errors.New("want keys, each with a value in base64, and commas between")
		}
		value, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
		if err != nil {
			return nil, fmt.Errorf("the value of %.40q is not base64", key)
		}
		if _, twice := values[key]; twice || len(values) == mostKeys {
			return nil, fmt.Errorf("%.40q: want at most %d keys, each once", key, mostKeys)
		}
		values[key] = string(value)
	}
	return values, nil
}
