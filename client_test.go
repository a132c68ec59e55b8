package herald_test

import (
	"testing"

	"go.uber.org/goleak"

	"herald"
	"herald/heraldtest"
	"herald/internal/clienttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParity_27_ClientWithHeraldtest(t *testing.T) {
	t.Parallel()
	clienttest.Test(t, func(*testing.T) clienttest.Target {
		s := heraldtest.New()
		return clienttest.Target{Config: func(who string) herald.Config { return s.Config(who) }, Interrupt: s.Interrupt}
	})
}
