package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a server process of ours.
type process struct {
	orders  io.WriteCloser
	encoder *json.Encoder
	answers chan answer // closed when there are no more
	ended   chan error  // what the process ended with, once; closed then
	kill    context.CancelFunc
	address string
}

// startProcess starts this program once more, as a server. The kernel ends it
// should we be killed.
func startProcess(ctx context.Context, s setup) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, kill := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, program, "stream-server")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	orders, err := cmd.StdinPipe()
	if err != nil {
		kill()
		return nil, err
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		kill()
		return nil, err
	}
	p := &process{
		orders: orders, encoder: json.NewEncoder(orders), answers: make(chan answer), ended: make(chan error, 1), kill: kill,
	}
	started := make(chan error, 1)
	go p.live(cmd, answers, started)
	if err := <-started; err != nil {
		kill()
		return nil, fmt.Errorf("start a server process: %w", err)
	}
	first, err := p.ask(s)
	if err != nil {
		return nil, errors.Join(err, p.stop())
	}
	p.address = first.Address
	return p, nil
}

// live starts the process, passes its answers on and waits for its end. It keeps
// to one thread, since the kernel's signal comes when the thread that started the
// process ends.
func (p *process) live(cmd *exec.Cmd, answers io.Reader, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.answers)
	defer close(p.ended)
	err := cmd.Start()
	started <- err
	if err != nil {
		return
	}
	decoder := json.NewDecoder(answers)
	for {
		var a answer
		if err := decoder.Decode(&a); err != nil {
			break
		}
		p.answers <- a
	}
	p.ended <- cmd.Wait()
}

// ask sends a line and waits for what answers it.
func (p *process) ask(line any) (answer, error) {
	if err := p.encoder.Encode(line); err != nil {
		return answer{}, fmt.Errorf("the server process takes no orders: %w", err)
	}
	select {
	case a, ok := <-p.answers:
		if !ok {
			return a, errors.New("the server process has ended")
		}
		if a.Error != "" {
			return a, errors.New(a.Error)
		}
		return a, nil
	case <-time.After(patience):
		return answer{}, fmt.Errorf("the server process did not answer for %v", patience)
	}
}

// stop ends the process when it has done what it is at, and waits for its end. It
// may be called again.
func (p *process) stop() error {
	defer p.kill()
	_ = p.orders.Close()
	for {
		select {
		case _, ok := <-p.answers:
			if !ok {
				return <-p.ended
			}
		case <-time.After(patience):
			p.kill()
		}
	}
}
