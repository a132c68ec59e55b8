package doctor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "gocloud.dev/blob/fileblob" // what the blobs are tried in

	"herald/internal/doctor"
)

func wantFinding(t *testing.T, f doctor.Finding, level doctor.Level, text string) {
	t.Helper()
	if f.Level != level || !strings.Contains(f.Found, text) {
		t.Errorf("found %s %q, want %s %q", f.Level, f.Found, level, text)
	}
}

// empty reports that nothing was left in the folder.
func empty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in %s: %v, %v", dir, left, err)
	}
}

func writeFile(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wantFinding(t, doctor.Folder(dir, "x"), doctor.OK, "can be written to")
	wantFinding(t, doctor.Folder(filepath.Join(dir, "a", "b"), "x"), doctor.OK, "can be made")
	empty(t, dir)
	file := writeFile(t, "", 0o600)
	wantFinding(t, doctor.Folder(file, "x"), doctor.Problem, "is not a folder")
	wantFinding(t, doctor.Folder(filepath.Join(file, "a"), "x"), doctor.Problem, "not a directory")
	wantFinding(t, doctor.Folder("/proc/self/fdinfo", "x"), doctor.Problem, "/proc/self/fdinfo") // closed to root too
}

func TestDisk(t *testing.T) {
	t.Parallel()
	if f := doctor.Disk(t.TempDir(), "/no/such/folder"); !strings.Contains(f.Found, "GiB are free at /") {
		t.Errorf("Disk() = %+v", f)
	}
	for free, want := range map[uint64]doctor.Level{1 << 20: doctor.Problem, 1 << 30: doctor.Warning, 1 << 40: doctor.OK} {
		if f := doctor.Room("/x", free); f.Level != want {
			t.Errorf("with %d bytes: %+v, want %s", free, f, want)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "key")
	good, open := writeFile(t, "x", 0o640), writeFile(t, "x", 0o604)
	wantFinding(t, doctor.SecretFiles(missing), doctor.OK, "is made at the first start")
	wantFinding(t, doctor.SecretFiles(good, good), doctor.OK, "nobody else reads")
	wantFinding(t, doctor.SecretFiles(open), doctor.Problem, "mode 0604")
	wantFinding(t, doctor.SecretFiles(good, open), doctor.Problem, open)
	wantFinding(t, doctor.SecretFiles(good, missing), doctor.Problem, "no such file")
}

func TestOpenFiles(t *testing.T) {
	t.Parallel()
	few := func(uint64) uint64 { return 10 }
	wantFinding(t, doctor.OpenFiles(10, few), doctor.OK, "for 10 streams")
	wantFinding(t, doctor.OpenFiles(11, few), doctor.Warning, "for 10 streams, not for --max-streams 11")
}

// certificate makes one that is good from and until then.
func certificate(t *testing.T, from, until time.Duration) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	draft := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"herald.example.org"}, NotBefore: now.Add(from), NotAfter: now.Add(until)}
	der, err := x509.CreateCertificate(rand.Reader, draft, draft, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644),
		writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), 0o600)
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, tt := range []struct {
		from, until time.Duration
		level       doctor.Level
		text        string
	}{
		{-day, 90 * day, doctor.OK, "for herald.example.org, from "},
		{-day, 3 * day, doctor.Warning, "for herald.example.org"},
		{-9 * day, -day, doctor.Problem, "expired"},
		{day, 9 * day, doctor.Problem, "not good yet"},
	} {
		wantFinding(t, doctor.Certificate(certificate(t, tt.from, tt.until)), tt.level, tt.text)
	}
	one, _ := certificate(t, -day, day)
	_, other := certificate(t, -day, day)
	wantFinding(t, doctor.Certificate(one, other), doctor.Problem, "does not match")
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address := func(dir string) string { return "file://" + dir + "?create_dir=1&no_tmp_dir=1&metadata=skip" }
	wantFinding(t, doctor.Blobs(t.Context(), address(dir+"/new")), doctor.OK, "can be made")
	empty(t, dir)
	wantFinding(t, doctor.Blobs(t.Context(), address(dir)), doctor.OK, "written, read and removed")
	if left, err := filepath.Glob(dir + "/*/*"); err != nil || len(left) != 0 {
		t.Errorf("left in the store: %v, %v", left, err)
	}
	wantFinding(t, doctor.Blobs(t.Context(), address(writeFile(t, "", 0o600))), doctor.Problem, "")
	wantFinding(t, doctor.Blobs(t.Context(), "nowhere://x"), doctor.Problem, "nowhere")
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]struct {
		level doctor.Level
		text  string
	}{
		`200{"status":"ok"}`:                        {doctor.OK, "a Herald answers"},
		`503{"type":"/docs/errors#x","status":503}`: {doctor.Warning, "is not ready (503)"},
		`200<html>`:            {doctor.Problem, "no Herald answers"},
		`404{"status":"none"}`: {doctor.Problem, "no Herald answers"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				t.Errorf("asked for %s", r.URL)
			}
			w.WriteHeader(map[byte]int{'2': 200, '5': 503, '4': 404}[answer[0]])
			_, _ = w.Write([]byte(answer[3:]))
		}))
		wantFinding(t, doctor.Address(t.Context(), "http", server.Listener.Addr().String()), want.level, want.text)
		server.Close()
	}
	wantFinding(t, doctor.Address(t.Context(), "http", "127.0.0.1:0"), doctor.OK, "is free")
	wantFinding(t, doctor.Address(t.Context(), "http", "127.0.0.1:99999"), doctor.Problem, "")
}
