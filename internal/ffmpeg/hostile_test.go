package ffmpeg_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"herald/internal/ffmpeg"
)

// What names other files or addresses is refused, and neither is ever opened. The
// file that is named is a good film, so that whoever followed the name would make
// something of it.
func TestWhatNamesOtherFilesIsRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	called := make(chan struct{})
	go func() {
		defer close(called)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Errorf("somebody called from %v", conn.RemoteAddr())
			_ = conn.Close()
		}
	}()
	good := film(t, "good.ts", join(picture("64x48"), []string{"-c:v", "libx264", "-pix_fmt", "yuv420p"})...)
	film(t, "good.png", "-f", "lavfi", "-i", "color=c=teal:size=64x48", "-frames:v", "1")
	address := "http://" + listener.Addr().String() + "/good.ts"
	for name, content := range hostile() {
		for _, target := range []string{good, "/etc/passwd", address} {
			path := filepath.Join(filepath.Dir(good), name)
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(content, "TARGET", target)), 0o600); err != nil {
				t.Fatal(err)
			}
			m, err := tools(t).Probe(t.Context(), path)
			if !errors.Is(err, ffmpeg.ErrNotMedia) || strings.Contains(err.Error(), "root:") {
				t.Errorf("%s of %s: Probe() = %+v, %v, want %v", name, target, m, err, ffmpeg.ErrNotMedia)
			}
		}
		refuseToTranscode(t, filepath.Join(filepath.Dir(good), name))
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	<-called
}

// refuseToTranscode checks that a file which got past the probe gets no further.
func refuseToTranscode(t *testing.T, path string) {
	t.Helper()
	p, _ := ffmpeg.PresetByName("mp4-480p")
	w := ffmpeg.Work{Preset: p, Media: ffmpeg.Media{HasVideo: true, Width: 64, Height: 48}, Input: path}
	var said *ffmpeg.Error
	if _, err := tools(t).Transcode(t.Context(), w, t.TempDir(), func(ffmpeg.Progress) {}); !errors.As(err, &said) {
		t.Errorf("Transcode(%s) = %v, want it refused", filepath.Base(path), err)
	}
	if _, err := tools(t).Thumbnails(t.Context(), w, 0, t.TempDir()); !errors.As(err, &said) {
		t.Errorf("Thumbnails(%s) = %v, want it refused", filepath.Base(path), err)
	}
}

// hostile are files that name others, by the name that would give them away.
func hostile() map[string]string {
	return map[string]string{
		"list.m3u8":     "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nTARGET\n#EXT-X-ENDLIST\n",
		"key.m3u8":      "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI=\"TARGET\"\n#EXTINF:2,\nTARGET\n#EXT-X-ENDLIST\n",
		"list.ffconcat": "ffconcat version 1.0\nfile 'TARGET'\n",
		"list.mpd":      `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation><BaseURL>TARGET</BaseURL></Representation></AdaptationSet></Period></MPD>`,
		"list.sdp":      "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\na=control:TARGET\n",
		"image.svg":     `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="48"><image xlink:href="TARGET" width="64" height="48"/></svg>`,
		"text.ass":      "[Script Info]\nScriptType: v4.00+\n\n[Events]\nFormat: Layer, Start, End, Text\nDialogue: 0,0:00:00.00,0:00:02.00,TARGET\n",
		"text.srt":      "1\n00:00:00,000 --> 00:00:02,000\nTARGET\n",
		"text.vtt":      "WEBVTT\n\n00:00.000 --> 00:02.000\nTARGET\n",
		"text.sub":      "{0}{20}TARGET\n",
		"text.smi":      "<SAMI><BODY><SYNC Start=0><P>TARGET</BODY></SAMI>\n",
		"text.idx":      "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:00:000, filepos: 000000000\n",
		"list.pls":      "[playlist]\nFile1=TARGET\nNumberOfEntries=1\n",
		"list.asx":      `<asx version="3.0"><entry><ref href="TARGET"/></entry></asx>`,
		"list.ffmeta":   ";FFMETADATA1\ntitle=TARGET\n",
	}
}
