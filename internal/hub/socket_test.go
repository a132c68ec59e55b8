//go:build linux

package hub_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"herald/internal/event"
	"herald/internal/hub"
)

// ended is what a stream's end was called with.
type ended struct {
	why     error
	written event.Seq
}

// attach hands the hub one end of a connection and returns the other.
func attach(t *testing.T, h *hub.Hub, stream hub.Stream, missing []*hub.Frame, after event.Seq) (client *net.TCPConn, ends <-chan ended) {
	t.Helper()
	c := make(chan ended, 2)
	stream.Ended = func(why error, written event.Seq) { c <- ended{why, written} }
	client, server := pipe(t)
	if !hub.Takes(server) {
		t.Fatalf("the hub does not take a %T", server)
	}
	h.Attach(stream, server, missing, after)
	return client, c
}

// pipe is a connection by TCP.
func pipe(t *testing.T) (client *net.TCPConn, server net.Conn) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client, err = net.DialTCP("tcp", nil, listener.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// line is a frame whose text is a line.
func line(seq event.Seq, topics ...event.Topic) *hub.Frame {
	return &hub.Frame{Seq: seq, Type: event.JobStep, Topics: topics, Bytes: fmt.Appendf(nil, "%d\n", seq)}
}

func lines(from, to event.Seq) string {
	var b strings.Builder
	for seq := from; seq <= to; seq++ {
		fmt.Fprintf(&b, "%d\n", seq)
	}
	return b.String()
}

func wantText(t *testing.T, from io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(from, got); err != nil || string(got) != want {
		t.Fatalf("read %.200q, %v, want %.200q", got, err, want)
	}
}

func wantEnded(t *testing.T, ends <-chan ended, why error, written event.Seq) {
	t.Helper()
	if e := <-ends; !errors.Is(e.why, why) || e.written != written {
		t.Errorf("ended with %v, written %d, want %v, %d", e.why, e.written, why, written)
	}
}

func TestASocketGetsWhatIsMissingThenWhatIsNew(t *testing.T) {
	t.Parallel()
	h := open(t, hub.Config{})
	client, ends := attach(t, h, follow("all"), []*hub.Frame{line(1), line(2)}, 3)
	h.Publish([]*hub.Frame{line(3, "all"), line(4, "all"), line(5, "user:a"), line(6, "all")})
	wantText(t, client, "1\n2\n4\n6\n")
	h.Publish([]*hub.Frame{line(7, "all")})
	wantText(t, client, "7\n")
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	wantEnded(t, ends, hub.ErrGone, 7)
}

// A client that stops reading gets what was written before the kernel took no
// more, and is then too slow; one beside it is not held up.
func TestAStalledSocketEndsAndHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	h := open(t, hub.Config{QueueFrames: 100, QueueBytes: 1 << 30, Shards: 1})
	stalled, ends := attach(t, h, follow("all"), nil, 0)
	reading, _ := attach(t, h, follow("all"), nil, 0)
	big := bytes.Repeat([]byte("x"), 64<<10)
	seq := event.Seq(0)
	for len(ends) == 0 {
		seq++
		h.Publish([]*hub.Frame{{Seq: seq, Type: event.JobStep, Topics: []event.Topic{"all"}, Bytes: big}})
		if _, err := io.ReadFull(reading, make([]byte, len(big))); err != nil {
			t.Fatal(err)
		}
	}
	if e := <-ends; !errors.Is(e.why, hub.ErrSlow) || e.written == 0 || e.written+100 > seq {
		t.Errorf("ended with %v after %d of %d, want %v with 100 frames behind", e.why, e.written, seq, hub.ErrSlow)
	}
	if _, err := io.Copy(io.Discard, stalled); err != nil {
		t.Errorf("what it had been sent before: %v", err)
	}
}

// A client that reads again gets what waited, once and in order.
func TestASocketThatWaitsGoesOn(t *testing.T) {
	t.Parallel()
	h := open(t, hub.Config{QueueFrames: 1 << 20, QueueBytes: 1 << 30})
	client, _ := attach(t, h, follow("all"), nil, 0)
	const frames = 200_000
	var want bytes.Buffer
	for seq := event.Seq(1); seq <= frames; seq += 1000 {
		var batch []*hub.Frame
		for i := range event.Seq(1000) {
			f := line(seq+i, "all")
			f.Bytes = fmt.Appendf(nil, "%0100d\n", seq+i)
			want.Write(f.Bytes)
			batch = append(batch, f)
		}
		h.Publish(batch)
	}
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("what came differs from what was published: %v", err)
	}
}

func TestWhatWaitsForASocketIsConflated(t *testing.T) {
	t.Parallel()
	h := open(t, hub.Config{QueueFrames: 8, QueueBytes: 1 << 30})
	client, _ := attach(t, h, follow("all"), nil, 0)
	big := bytes.Repeat([]byte("x"), 16<<20)
	h.Publish([]*hub.Frame{{Seq: 1, Type: event.JobStep, Topics: []event.Topic{"all"}, Bytes: big}})
	for seq := event.Seq(2); seq <= 1000; seq++ {
		f := line(seq, "all")
		f.Type = event.JobProgress
		h.Publish([]*hub.Frame{f})
	}
	h.Publish([]*hub.Frame{line(1001, "all")})
	got := make([]byte, len(big))
	if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, big) {
		t.Fatalf("the large frame differs: %v", err)
	}
	wantText(t, client, "1000\n1001\n")
}

func TestASocketThatTakesNothingTimesOut(t *testing.T) {
	t.Parallel()
	h := open(t, hub.Config{WriteTimeout: 100 * time.Millisecond})
	_, ends := attach(t, h, follow("all"), nil, 0)
	h.Publish([]*hub.Frame{{Seq: 1, Type: event.JobStep, Topics: []event.Topic{"all"}, Bytes: bytes.Repeat([]byte("x"), 64<<20)}})
	wantEnded(t, ends, hub.ErrWriteTimeout, 0)
}

// What a client sends is of no interest, and keeps it from nothing.
func TestAClientThatSends(t *testing.T) {
	t.Parallel()
	h, stop := start(hub.Config{Words: words()})
	client, ends := attach(t, h, follow("all"), nil, 0)
	if _, err := client.Write([]byte(strings.Repeat("hello", 10_000))); err != nil {
		t.Fatal(err)
	}
	h.Publish([]*hub.Frame{line(1, "all")})
	wantText(t, client, "1\n")
	stop()
	wantText(t, client, "closing")
	if rest, err := io.ReadAll(client); len(rest) != 0 || err != nil {
		t.Errorf("after the end came %q, %v, want the end in peace", rest, err)
	}
	wantEnded(t, ends, hub.ErrClosing, 1)
}

// A hub that stops waits for a client that is slow, so that no frame is cut.
func TestAHubThatStopsCutsNoFrame(t *testing.T) {
	t.Parallel()
	h, stop := start(hub.Config{Words: words(), Drain: time.Minute})
	client, ends := attach(t, h, follow("all"), nil, 0)
	big := bytes.Repeat([]byte("x"), 32<<20)
	h.Publish([]*hub.Frame{{Seq: 1, Type: event.JobStep, Topics: []event.Topic{"all"}, Bytes: big}})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	<-h.Closing()
	got, err := io.ReadAll(client)
	if want := append(big, "closing"...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes that end with %q, %v, want %d that end with closing", len(got), got[max(0, len(got)-9):], err, len(want))
	}
	<-stopped
	wantEnded(t, ends, hub.ErrClosing, 1)
}

func TestASocketAfterTheEnd(t *testing.T) {
	t.Parallel()
	h, stop := start(hub.Config{})
	stop()
	client, ends := attach(t, h, follow("all"), nil, 0)
	wantEnded(t, ends, hub.ErrClosing, 0)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("Read() = %v, want the end", err)
	}
}

// Thousands that come and go leave no descriptor behind, and nobody gets what
// was for another.
func TestParity_24_SocketsComeAndGo(t *testing.T) {
	t.Parallel()
	h := open(t, hub.Config{})
	before := descriptors(t)
	for seq := range event.Seq(300) {
		stream := follow("all", event.UserTopic(fmt.Sprint(seq)))
		client, ends := attach(t, h, stream, nil, 0)
		h.Publish([]*hub.Frame{line(seq+1, event.UserTopic(fmt.Sprint(seq))), line(seq+2, event.UserTopic(fmt.Sprint(seq-1)))})
		wantText(t, client, lines(seq+1, seq+1))
		if seq%2 == 0 {
			h.Disconnect(stream.ID, hub.ErrDisconnected)
			wantEnded(t, ends, hub.ErrDisconnected, seq+1)
		} else if err := client.Close(); err != nil {
			t.Fatal(err)
		} else {
			wantEnded(t, ends, hub.ErrGone, seq+1)
		}
		_ = client.Close()
	}
	if after := descriptors(t); after > before+10 { // other tests run beside this one
		t.Errorf("%d descriptors are open, %d were before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func TestAConnectionThatTheHubDoesNotTake(t *testing.T) {
	t.Parallel()
	one, other := net.Pipe()
	defer one.Close()
	if hub.Takes(other) {
		t.Error("the hub takes a pipe")
	}
	h := open(t, hub.Config{})
	ends := make(chan ended, 1)
	h.Attach(hub.Stream{ID: uuid.New(), Ended: func(why error, written event.Seq) { ends <- ended{why, written} }}, other, nil, 0)
	wantEnded(t, ends, errors.ErrUnsupported, 0)
}

// Whatever is published, and however a client stalls and goes on, it gets every
// change of state once and in order and the last progress of each job, each
// frame whole, or its connection ends.
func TestQueueRulesOfASocket(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		config := hub.Config{
			QueueFrames: rapid.SampledFrom([]int{2, 10, 1000}).Draw(rt, "frames"), QueueBytes: rapid.SampledFrom([]int{1, 100_000, 1 << 30}).Draw(rt, "bytes"),
		}
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 30, 80).Draw(rt, "steps")
		size := rapid.SampledFrom([]int{0, 5000, 20_000}).Draw(rt, "size")
		h, stop := start(config)
		defer stop()
		client, _ := attach(t, h, follow("all"), nil, 0)
		defer client.Close()
		if err := client.SetReadBuffer(32 << 10); err != nil {
			rt.Fatal(err)
		}
		var published []*hub.Frame
		publish := func(kind event.Type, job int) {
			f := frame(event.Seq(len(published)+1), kind, job, "all")
			f.Bytes = fmt.Appendf(nil, "%d %s\n", f.Seq, strings.Repeat("x", size))
			published = append(published, f)
			h.Publish([]*hub.Frame{f})
		}
		var read bytes.Buffer
		for _, step := range steps {
			switch {
			case step < 3: // the client takes some of what is there; what is wrong with the connection shows below
				_ = client.SetReadDeadline(time.Now().Add(time.Millisecond))
				_, _ = io.CopyN(&read, client, int64(1+step*step*size/2))
			case step < 6:
				publish(event.JobStep, 0)
			default:
				publish(event.JobProgress, step%2)
			}
		}
		_ = client.SetReadDeadline(time.Time{})
		publish(event.JobFailed, 0)
		whole := readLines(rt, &read, client, len(published), size)
		if n := len(whole); n > 0 && whole[n-1].Seq == event.Seq(len(published)) {
			checkComplete(t, published, whole)
		}
	})
}

// readLines reads frames until the last one published, or the end.
func readLines(t *rapid.T, before io.Reader, client io.Reader, last, size int) []*hub.Frame {
	var list []*hub.Frame
	in := bufio.NewReaderSize(io.MultiReader(before, client), 256<<10)
	for {
		text, err := in.ReadString('\n')
		if err != nil {
			return list // what is cut off at the end is not a frame
		}
		number, rest, _ := strings.Cut(text, " ")
		seq, err := strconv.Atoi(number)
		if err != nil || len(rest) != size+1 {
			t.Fatalf("a frame is broken: %.50q, %d bytes", text, len(text))
		}
		list = append(list, &hub.Frame{Seq: event.Seq(seq)})
		if seq == last {
			return list
		}
	}
}

// A client that vanishes says nothing: its connection is there, and nothing
// comes back. A heartbeat that is not acknowledged tells.
func TestParity_09_AClientThatVanishes(t *testing.T) {
	t.Parallel()
	h := open(t, hub.Config{Heartbeat: 50 * time.Millisecond, WriteTimeout: 500 * time.Millisecond, Words: words()})
	client, ends := attach(t, h, follow("all"), nil, 0)
	h.Publish([]*hub.Frame{line(1, "all")})
	wantText(t, client, "1\n")
	vanish(t, client)
	wantEnded(t, ends, hub.ErrGone, 1)
}

// vanish has the kernel drop whatever comes for the connection, before it could
// acknowledge it.
func vanish(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	})
	if err := errors.Join(controlErr, err); err != nil {
		t.Fatal(err)
	}
}
