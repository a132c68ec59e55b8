package main

import (
	"strings"
	"testing"

	"herald/internal/auth"
	"herald/internal/postgres"
	"herald/internal/postgres/pgtest"
)

// A key is printed once, listed without its secret, and revoked by what the list
// shows of it.
func TestKeys(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	at := []string{"--data-dir", t.TempDir(), "--database-url", url}
	keys := func(args ...string) (int, string, string) {
		return program(t, append(append([]string{"keys"}, args...), at...)...)
	}
	status, secret, stderr := keys("create", "--user", "shop", "--role", "backend", "--role", "worker", "--topic", "channel:orders", "--name", "the shop's", "--expires", "90d", "--by", "root")
	secret = strings.TrimSpace(secret)
	if status != 0 || !strings.HasPrefix(secret, auth.APIKeyPrefix) || strings.Contains(stderr, secret) {
		t.Fatalf("keys create: %d, %q, %q", status, secret, stderr)
	}
	db, err := postgres.Open(t.Context(), url, postgres.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if k, err := db.APIKeyByHash(t.Context(), auth.HashOf(secret)); err != nil || k.User != "shop" || len(k.Roles) != 2 || k.ExpiresAt == nil {
		t.Errorf("the key is %+v, %v", k, err)
	}
	_, list, _ := keys("list")
	for _, want := range []string{"shop", "backend,worker", "channel:orders", "by root", "never", "the shop's", secret[:8]} {
		if !strings.Contains(list, want) {
			t.Errorf("keys list has no %q:\n%s", want, list)
		}
	}
	if strings.Contains(list, secret) {
		t.Error("keys list shows the secret")
	}
	if status, _, stderr := keys("revoke", "hk_"); status != 1 || !strings.Contains(stderr, "no such API key") {
		t.Errorf("keys revoke hk_: %d, %q, want to be told that there is none", status, stderr)
	}
	if status, out, stderr := keys("revoke", secret[:8], "--by", "root"); status != 0 || !strings.Contains(out, "by root") {
		t.Errorf("keys revoke: %d, %q, %q", status, out, stderr)
	}
	if _, list, _ := keys("list"); strings.Contains(list, "shop") {
		t.Errorf("keys list has a revoked key:\n%s", list)
	}
	if _, list, _ := keys("list", "--all", "--json"); !strings.Contains(list, `"revoked_by":"root"`) {
		t.Errorf("keys list --all has no revoked key:\n%s", list)
	}
	if status, _, stderr := keys("create", "--user", "two words"); status != 1 || !strings.Contains(stderr, "name") {
		t.Errorf("keys create of a bad name: %d, %q", status, stderr)
	}
}
