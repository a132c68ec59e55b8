package exectest_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"herald/internal/exectest"
)

// Many write and run at once, so that each forks while others write.
func TestScriptsRunAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var group sync.WaitGroup
	defer group.Wait()
	for i := range 200 {
		group.Go(func() {
			path := filepath.Join(dir, fmt.Sprint(i))
			if err := exectest.WriteScript(path, "exit 7"); err != nil {
				t.Error(err)
			}
			command := exec.CommandContext(t.Context(), path)
			if _ = command.Run(); command.ProcessState == nil || command.ProcessState.ExitCode() != 7 {
				t.Errorf("script %d did not run: %v", i, command.Err)
			}
		})
	}
}
