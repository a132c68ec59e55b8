package app_test

import (
	"testing"

	"herald/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
