package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strings"

	"gocloud.dev/blob"

	"herald/internal/artifact"
)

// content is a file that is read from wherever it is asked for: one blob, or
// several, one behind the other. It opens a blob when it is read, and then from
// there on: a store of objects is asked once for each range, and not at all for a
// HEAD.
type content struct {
	ctx   context.Context //nolint:containedctx // that of the one request it is made for
	blobs *blob.Bucket
	parts []artifact.Part
	size  int64
	at    int64
	open  *blob.Reader // nil: nothing has been read since the last Seek, or the last part's end
	end   int64        // where the part that is open ends
}

// openContent finds out whether the blob is there. What is in parts was entered
// when all of them were.
func openContent(ctx context.Context, blobs *blob.Bucket, key string, of artifact.Artifact) (*content, error) {
	if of.InParts() {
		return &content{ctx: ctx, blobs: blobs, parts: of.Parts, size: of.Size}, nil
	}
	attributes, err := blobs.Attributes(ctx, key)
	if err != nil {
		return nil, err
	}
	return &content{ctx: ctx, blobs: blobs, parts: []artifact.Part{{Key: key, Size: attributes.Size}}, size: attributes.Size}, nil
}

// Close ends the reading.
func (c *content) Close() {
	if c.open != nil {
		_ = c.open.Close() // it was only read
		c.open = nil
	}
}

// Seek is io.Seeker's.
func (c *content) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.at
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek to %d", offset)
	}
	if offset != c.at {
		c.Close()
	}
	c.at = offset
	return offset, nil
}

// Read is io.Reader's.
func (c *content) Read(b []byte) (int, error) {
	if c.at >= c.size {
		return 0, io.EOF
	}
	if c.open == nil {
		if err := c.openPart(); err != nil {
			return 0, err
		}
	}
	n, err := c.open.Read(b)
	c.at += int64(n)
	if errors.Is(err, io.EOF) {
		switch {
		case c.at < c.end:
			err = io.ErrUnexpectedEOF
		case c.at < c.size: // the next part begins
			c.Close()
			err = nil
		}
	}
	return n, err
}

// openPart opens the part in which the next byte is, there.
func (c *content) openPart() error {
	i := sort.Search(len(c.parts), func(i int) bool { return c.parts[i].Start+c.parts[i].Size > c.at })
	if i == len(c.parts) {
		return io.ErrUnexpectedEOF
	}
	part := c.parts[i]
	open, err := c.blobs.NewRangeReader(c.ctx, part.Key, c.at-part.Start, -1, nil)
	if err != nil {
		return err
	}
	c.open, c.end = open, part.Start+part.Size
	return nil
}

// boundRanges makes the request one for all of the file when it asks for more
// parts of it than anybody needs, each of which the blob store would be asked for.
func boundRanges(r *http.Request) {
	const most = 16
	if strings.Count(r.Header.Get("Range"), ",") >= most {
		r.Header.Del("Range")
	}
}

// disposition makes a browser save what it gets under the name (RFC 6266): twice
// when not all of it is ASCII, since not all clients read the form that tells it
// as it is (RFC 8187).
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r): // some take %41 for A
			return '_'
		default:
			return r
		}
	}, name)
	header := `attachment; filename="` + plain + `"`
	if plain == name {
		return header
	}
	// Of what QueryEscape leaves as it is, RFC 8187 takes all; of what it does not, it escapes too much, and a space wrongly.
	return header + "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}
