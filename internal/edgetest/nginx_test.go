package edgetest_test

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"herald/internal/config"
)

const (
	// plainProxy is what the documentation calls Debian's configuration with
	// proxy_pass and nothing else.
	plainProxy = "location / { proxy_pass http://127.0.0.1:8080; }"
	httpPort   = "8080"
	httpsPort  = "8443"
)

// documentedProxy is the block that the documentation recommends.
func documentedProxy(t *testing.T) string {
	t.Helper()
	return documented(t, "docs/proxies.md", "nginx")
}

// documented is the first block of the language on the page.
func documented(t *testing.T, page, language string) string {
	t.Helper()
	_, rest, _ := strings.Cut(repositoryFile(t, page), "```"+language+"\n")
	block, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatalf("%s has no block of %s", page, language)
	}
	return block
}

// nginx is a real one, in front of a node.
type nginx struct {
	host  string
	roots *x509.CertPool
}

// readers are the two ways through it.
func (x nginx) readers() []reader {
	return []reader{
		{name: "HTTP/1.1", base: "http://" + net.JoinHostPort(x.host, httpPort), proto: 1},
		{name: "HTTP/2", base: "https://" + net.JoinHostPort(x.host, httpsPort), proto: 2, roots: x.roots},
	}
}

// startNginx starts an nginx in front of the node: Debian's own configuration,
// moved into a folder of the test's, with a site that has the location and other
// directives.
func startNginx(t *testing.T, n *node, location string, directives ...string) nginx {
	t.Helper()
	x := nginx{host: newHost()}
	var f files
	f, x.roots = newFiles(t, x.host)
	dir := openDir(t)
	site := fmt.Sprintf(`
		client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
		%s
		server {
			listen %s:%s;
			listen %s:%s ssl http2;
			ssl_certificate %s;
			ssl_certificate_key %s;
			%s
		}`, strings.Join(directives, "\n"), x.host, httpPort, x.host, httpsPort, f.cert, f.key,
		strings.ReplaceAll(location, "http://127.0.0.1:8080", n.url("")))
	write(t, filepath.Join(dir, "site"), site)
	root := debians(t, nginxProgram)
	theirs, err := os.ReadFile(root + "/etc/nginx/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.NewReplacer(
		"/run/nginx.pid", dir+"/pid", "/var/log/nginx/", dir+"/", "/etc/nginx/sites-enabled/*", dir+"/site",
		"/etc/nginx/conf.d/*.conf", dir+"/none*", "/etc/nginx/modules-enabled/*.conf", dir+"/none*", "/etc/nginx/", root+"/etc/nginx/",
	).Replace(string(theirs))
	if !strings.Contains(moved, dir+"/site") {
		t.Fatalf("nginx.conf includes no sites:\n%s", theirs)
	}
	write(t, filepath.Join(dir, "nginx.conf"), moved)
	x.run(t, root+nginxProgram, dir)
	return x
}

// nginxProgram is where Debian has it.
const nginxProgram = "/usr/sbin/nginx"

// debians is the root below which the program of Debian's is: the machine's, or a
// folder that its package was unpacked in.
func debians(t *testing.T, program string) string {
	t.Helper()
	unpacked, err := filepath.Abs("../../.tools/" + filepath.Base(program))
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"", unpacked} {
		if _, err := os.Stat(root + program); err == nil {
			return root
		}
	}
	t.Fatalf("there is no %[1]s: '.ci/packages %[1]s' gets one", filepath.Base(program))
	return ""
}

// openDir is a folder that nginx' workers, who are another user's when root
// runs the tests, can reach.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "herald-edge-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs nginx until the test ends.
func (x nginx) run(t *testing.T, program, dir string) {
	t.Helper()
	cmd := exec.Command(program, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr", "-g", "daemon off;")
	t.Cleanup(runServer(t, cmd, net.JoinHostPort(x.host, httpsPort)))
}

// runServer runs a server, and returns when it listens on the address, with what
// ends it.
func runServer(t *testing.T, cmd *exec.Cmd, addr string) (stop func()) {
	t.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	said := &logText{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	await(t, filepath.Base(cmd.Path)+" to listen", func() bool {
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", filepath.Base(cmd.Path), &said.text)
		default:
		}
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return stop
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each event is seen before there is another, and a stream that comes back
// misses nothing.
func TestNginxPassesStreamsOn(t *testing.T) {
	t.Parallel()
	for name, location := range map[string]string{"as it is": plainProxy, "as documented": documentedProxy(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			for _, r := range startNginx(t, n, location).readers() {
				client := r.client(t)
				s := r.open(t, client, n.token)
				s.opened()
				var last string
				for _, payload := range append(numbers(0, 20), strings.Repeat("x", 60_000), "small") {
					n.publish(payload)
					last = s.expect(payload)
				}
				s.close()
				n.publish(numbers(20, 40)...)
				s = r.open(t, client, n.token, "Last-Event-ID: "+last)
				s.next("stream.open")
				s.expect(numbers(20, 40)...)
				s.close()
			}
		})
	}
}

// Who lets nginx compress everything loses some time, and no event.
func TestNginxMayCompressStreams(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	x := startNginx(t, n, plainProxy, "gzip_types *;", "gzip_proxied any;", "gzip_min_length 0;")
	for _, r := range x.readers() {
		s := r.open(t, r.client(t), n.token)
		if !s.res.Uncompressed {
			t.Fatalf("%s: the stream is not compressed: %v", r.name, s.res.Header)
		}
		s.opened()
		for _, payload := range numbers(0, 20) {
			n.publish(payload)
			s.expect(payload)
		}
	}
}

// An idle stream lives longer than nginx waits for a silent server.
func TestHeartbeatsKeepAStreamAliveBehindNginx(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *config.Config) { c.Heartbeat = 200 * time.Millisecond })
	const patienceOfNginx = 4 * time.Second
	x := startNginx(t, n, plainProxy, fmt.Sprintf("proxy_read_timeout %ds;", int(patienceOfNginx.Seconds())))
	for _, r := range x.readers() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := r.open(t, r.client(t), n.token)
			s.opened()
			time.Sleep(2 * patienceOfNginx) // nothing else can show that it does not cut the stream
			n.publish(r.name)
			for {
				if e := s.next("notification.test"); strings.Contains(e.Data, r.name) {
					return
				}
			}
		})
	}
}

// Without heartbeats nginx does cut it, or the test above would show nothing.
func TestNginxCutsAStreamThatIsSilent(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *config.Config) { c.Heartbeat = 5 * time.Minute })
	r := startNginx(t, n, plainProxy, "proxy_read_timeout 1s;").readers()[0]
	s := r.open(t, r.client(t), n.token)
	s.opened()
	if e, err := s.r.Next(); err == nil {
		t.Errorf("Next() = %+v, want that nginx has cut the stream", e)
	}
}

// A client that goes away behind nginx does not stay open at the node.
func TestAClientThatLeavesBehindNginxIsNoticed(t *testing.T) {
	t.Parallel()
	n := newNode(t, func(c *config.Config) { c.Heartbeat = 200 * time.Millisecond })
	for i, r := range startNginx(t, n, plainProxy).readers() {
		s := r.open(t, r.client(t), n.token)
		s.opened()
		s.close()
		await(t, "word of the stream's end", func() bool { return n.log.count("stream ended") == i+1 })
	}
}

// A node that stops says so to those behind nginx, and the next one goes on
// where it ended.
func TestANodeThatStopsSaysSoThroughNginx(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, r := range startNginx(t, n, plainProxy).readers() {
		client := r.client(t)
		s := r.open(t, client, n.token)
		s.opened()
		n.publish("before")
		last := s.expect("before")
		n.stop()
		s.next("stream.closing")
		s.ends()
		if s.r.Retry() == 0 {
			t.Errorf("%s: the stream did not say when to come back", r.name)
		}
		n.publish("meanwhile")
		n.start()
		s = r.open(t, client, n.token, "Last-Event-ID: "+last)
		s.next("stream.open")
		s.expect("meanwhile")
		s.close()
	}
}

// The node knows the client's address, whatever the client makes up.
func TestTheClientsAddressBehindNginx(t *testing.T) {
	t.Parallel()
	var trusted config.Proxies
	if err := trusted.UnmarshalText([]byte("127.0.0.1")); err != nil { // as which nginx asks
		t.Fatal(err)
	}
	n := newNode(t, func(c *config.Config) { c.TrustedProxies = trusted })
	for _, r := range startNginx(t, n, documentedProxy(t)).readers() {
		r.from = newHost()
		s := r.open(t, r.client(t), n.token, "X-Forwarded-For: 8.8.8.8")
		s.opened()
		s.close()
		await(t, "the request's line in the log", func() bool { return n.log.count("client="+r.from) > 0 })
	}
	if n.log.count("8.8.8.8") > 0 {
		t.Error("the log has the address that the client made up")
	}
}
