package callback_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"herald/internal/callback"
)

// programs make each verifier of docs/webhooks.md a program that reads a message
// and says yes or no.
func programs() map[string]struct{ file, before, after, command string } {
	return map[string]struct{ file, before, after, command string }{
		"go": {"main.go", "", `
func main() {
	var m struct {
		Secret, Body string
		Headers      map[string]string
	}
	if err := json.NewDecoder(os.Stdin).Decode(&m); err != nil {
		panic(err)
	}
	h := http.Header{}
	for name, value := range m.Headers {
		h.Set(name, value)
	}
	fmt.Println(map[bool]string{true: "yes", false: "no"}[Verify(m.Secret, h, []byte(m.Body))])
}
`, "go run main.go"},
		"python": {"main.py", "", `
import json, sys
m = json.load(sys.stdin)
print("yes" if verify(m["secret"], m["headers"], m["body"].encode()) else "no")
`, "python3 main.py"},
		"js": {"main.mjs", "import { readFileSync } from 'node:fs'\n", `
const m = JSON.parse(readFileSync(0, 'utf8'))
console.log(verify(m.secret, m.headers, Buffer.from(m.body)) ? 'yes' : 'no')
`, "node main.mjs"},
	}
}

// The verifiers of the page take what is signed, by either of two secrets, and
// nothing else.
func TestTheVerifiersOfTheDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	for language, p := range programs() {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			_, block, found := strings.Cut(string(page), "```"+language+"\n")
			block, _, _ = strings.Cut(block, "```")
			if !found {
				t.Fatal("the page has no such block")
			}
			if language == "go" {
				block = strings.NewReplacer("package receiver", "package main", "\t\"fmt\"\n", "\t\"encoding/json\"\n\t\"fmt\"\n\t\"os\"\n").Replace(block)
			}
			command := strings.Fields(p.command)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, p.file), []byte(p.before+block+p.after), 0o600); err != nil {
				t.Fatal(err)
			}
			checkVerifier(t, dir, command)
		})
	}
}

func checkVerifier(t *testing.T, dir string, command []string) {
	t.Helper()
	const body = `{"type":"job.succeeded","title":"grüße <&>"}`
	signedAt := func(at time.Time) map[string]string {
		return map[string]string{
			"webhook-id": "msg_1", "webhook-timestamp": strconv.FormatInt(at.Unix(), 10),
			"webhook-signature": callback.Sign(secrets(t, other+","+secret), "msg_1", at, []byte(body)),
		}
	}
	for _, tt := range []struct {
		name, secret, body, want string
		headers                  map[string]string
	}{
		{"the new secret", other, body, "yes", signedAt(time.Now())},
		{"the old secret", secret, body, "yes", signedAt(time.Now())},
		{"no secret of ours", "whsec_" + strings.Repeat("B", 32), body, "no", signedAt(time.Now())},
		{"another body", secret, body + " ", "no", signedAt(time.Now())},
		{"an old message", secret, body, "no", signedAt(time.Now().Add(-6 * time.Minute))},
	} {
		message, err := json.Marshal(map[string]any{"secret": tt.secret, "body": tt.body, "headers": tt.headers})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir, cmd.Stdin, cmd.Stderr = dir, strings.NewReader(string(message)), os.Stderr
		out, err := cmd.Output()
		if got := strings.TrimSpace(string(out)); got != tt.want || err != nil {
			t.Errorf("%s: %q, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}
