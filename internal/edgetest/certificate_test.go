package edgetest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// files are a certificate and its key.
type files struct{ cert, key string }

// newFiles makes a certificate for a server on the address, and the pool that
// trusts it.
func newFiles(t *testing.T, addr string) (files, *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	f := files{cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	roots := x509.NewCertPool()
	roots.AddCert(f.write(t, addr, 1))
	return f, roots
}

// write writes another certificate into the files, the key first.
func (f files) write(t *testing.T, addr string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "herald.test"}, DNSNames: []string{"herald.test"},
		IPAddresses: []net.IP{net.ParseIP(addr)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f.put(t, f.key, "PRIVATE KEY", private)
	f.put(t, f.cert, "CERTIFICATE", encoded)
	cert, err := x509.ParseCertificate(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (files) put(t *testing.T, path, kind string, encoded []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: encoded}), 0o600); err != nil {
		t.Fatal(err)
	}
}
