package app_test

import (
	"os"
	"testing"

	"herald/internal/postgres/pgtest"
)

// accessKey and secretKey are credentials for a store of objects.
const accessKey, secretKey = "AKIDHERALDTEST", "secret-of-the-blob-store"

func TestMain(m *testing.M) {
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	pgtest.Main(m)
}
