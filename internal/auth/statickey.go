package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	hs256 = "HS256"
	rs256 = "RS256"
	es256 = "ES256"
	edDSA = "EdDSA"
)

// algorithms are those with which a token may be signed. There is no other, and
// none least of all.
func algorithms() []string { return []string{hs256, rs256, es256, edDSA} }

// StaticKey checks tokens of one algorithm.
type StaticKey struct {
	algorithm string
	key       jwt.VerificationKey
}

// LoadStaticKey reads a key of another issuer's, as "ALGORITHM:FILE". With HS256 the
// file holds the secret, of at least 32 bytes, to its last byte; with RS256, ES256
// or EdDSA a public key or a certificate, as PEM.
func LoadStaticKey(spec string) (StaticKey, error) {
	algorithm, file, ok := strings.Cut(spec, ":")
	if !ok || file == "" {
		return StaticKey{}, fmt.Errorf("%q: want ALGORITHM:FILE, such as RS256:/etc/herald/issuer.pem", spec)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return StaticKey{}, err
	}
	k, err := newStaticKey(algorithm, content)
	if err != nil {
		return StaticKey{}, fmt.Errorf("%s: %w", file, err)
	}
	return k, nil
}

func newStaticKey(algorithm string, content []byte) (StaticKey, error) {
	if algorithm == hs256 {
		switch {
		case len(content) < keySize:
			return StaticKey{}, fmt.Errorf("the secret has %d bytes, want at least %d", len(content), keySize)
		case strings.HasPrefix(string(content), "-----BEGIN "):
			return StaticKey{}, errors.New("it is a PEM file: such a key is no secret, so it is of no use with HS256")
		}
		return StaticKey{algorithm, content}, nil
	}
	public, err := parsePublic(content)
	if err != nil {
		return StaticKey{}, err
	}
	is, err := algorithmOf(public)
	if err != nil {
		return StaticKey{}, err
	}
	if is != algorithm {
		return StaticKey{}, fmt.Errorf("it is a key for %s, not for %q", is, algorithm)
	}
	return StaticKey{algorithm, public}, nil
}

// parsePublic reads a public key, or that of a certificate.
func parsePublic(content []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("not a PEM file")
	}
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	default:
		return nil, fmt.Errorf("it holds a %.40q, want a public key or a certificate: what checks tokens needs no private key", block.Type)
	}
}

// algorithmOf is the one algorithm that the key is good for here.
func algorithmOf(public crypto.PublicKey) (string, error) {
	const leastBits = 2048
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < leastBits {
			return "", fmt.Errorf("an RSA key of %d bits, want at least %d", k.N.BitLen(), leastBits)
		}
		return rs256, nil
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", fmt.Errorf("a key on curve %s, want P-256", k.Curve.Params().Name)
		}
		return es256, nil
	case ed25519.PublicKey:
		return edDSA, nil
	default:
		return "", fmt.Errorf("a %T, want an RSA, P-256 or Ed25519 key", public)
	}
}
