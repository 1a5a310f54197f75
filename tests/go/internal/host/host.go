// Package host owns what Packer's core does to run a plugin: it starts the program with the magic cookie, reads the
// handshake line and connects. It refuses to speak the protocol itself: that is the SDK's client, or package raw.
//
// The rules (environment, argv order, the four fields of the handshake) are those of packer/plugin_client.go and
// packer/plugin_folders.go in hashicorp/packer 1.16.0.
package host

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/plugin"
)

// Patience is how long a test waits for something that should take milliseconds: it bounds a hang, it measures nothing.
const Patience = 60 * time.Second

// Plugin is one running plugin process.
type Plugin struct {
	t       testing.TB
	cmd     *exec.Cmd
	exited  chan struct{}
	stderr  *lockedBuffer
	Network string
	Address string
	// Line is the handshake as it was printed, with its end of line.
	Line string
}

// PostProcessorArgs is the command line by which Packer starts a plugin's unnamed post-processor.
func PostProcessorArgs(protobuf bool) []string {
	if protobuf {
		return []string{"start", "post-processor", "--protobuf", plugin.DEFAULT_NAME}
	}
	return []string{"start", "post-processor", plugin.DEFAULT_NAME}
}

// DataSourceArgs is the command line by which Packer starts one of a plugin's data sources.
func DataSourceArgs(name string, protobuf bool) []string {
	if protobuf {
		return []string{"start", "datasource", "--protobuf", name}
	}
	return []string{"start", "datasource", name}
}

// Environment is this process's environment without the cookie and without anything that leads to a real cloud,
// plus extra ("NAME=value").
func Environment(extra ...string) []string {
	var kept []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "AWS_") && !strings.HasPrefix(entry, plugin.MagicCookieKey+"=") {
			kept = append(kept, entry)
		}
	}
	return append(kept, extra...)
}

// Start runs the plugin as Packer does, in an empty folder, and reads its handshake. The process is killed when the test ends.
func Start(t testing.TB, binary string, args []string, extraEnv ...string) *Plugin {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = Environment(append([]string{
		plugin.MagicCookieKey + "=" + plugin.MagicCookieValue,
		"PACKER_PLUGIN_MIN_PORT=10000",
		"PACKER_PLUGIN_MAX_PORT=25000",
	}, extraEnv...)...)
	// An empty folder: what lies around in this repository must not be found by a plugin that looks for its files.
	cmd.Dir = t.TempDir()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &Plugin{t: t, cmd: cmd, exited: make(chan struct{}), stderr: &lockedBuffer{}}
	cmd.Stderr = p.stderr
	// A child of the plugin may hold its pipes; do not wait for it.
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", binary, err)
	}
	lines := make(chan string, 1)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		reader := bufio.NewReader(stdout)
		line, _ := reader.ReadString('\n')
		lines <- line
		_, _ = io.Copy(io.Discard, reader)
	}()
	go func() {
		<-drained
		_ = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("stderr of %s %s:\n%s", binary, strings.Join(args, " "), p.Stderr())
		}
	})
	select {
	case p.Line = <-lines:
	case <-time.After(Patience):
		t.Fatalf("no handshake line within %s", Patience)
	}
	p.parseHandshake()
	return p
}

func (p *Plugin) parseHandshake() {
	p.t.Helper()
	parts := strings.SplitN(strings.TrimSpace(p.Line), "|", 4)
	if len(parts) != 4 {
		p.t.Fatalf("handshake %q does not have four fields; stderr:\n%s", p.Line, p.Stderr())
	}
	if parts[0] != plugin.APIVersionMajor || parts[1] > plugin.APIVersionMinor {
		p.t.Fatalf("handshake %q: Packer accepts API %s.%s", p.Line, plugin.APIVersionMajor, plugin.APIVersionMinor)
	}
	p.Network, p.Address = parts[2], parts[3]
}

// Connect opens the one connection that a plugin accepts.
func (p *Plugin) Connect() net.Conn {
	p.t.Helper()
	conn, err := net.Dial(p.Network, p.Address)
	if err != nil {
		p.t.Fatalf("cannot connect to %s: %v", p.Address, err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// Stderr returns what the plugin has logged so far.
func (p *Plugin) Stderr() string { return p.stderr.String() }

// WaitExit waits until the process has ended by itself and fails the test if it does not.
func (p *Plugin) WaitExit(within time.Duration) {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		p.t.Fatalf("the plugin is still running %s later", within)
	}
}

// Result is what a plugin that was run to its end left behind.
type Result struct {
	Code   int
	Stdout string
	Stderr string
}

// Run runs the plugin to its end, without the cookie unless extraEnv brings it.
func Run(t testing.TB, binary string, args []string, extraEnv ...string) Result {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = Environment(extraEnv...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", binary, err)
	}
	timer := time.AfterFunc(Patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Wait()
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String()}
}

// String shows a result in a failed test's message.
func (r Result) String() string {
	return fmt.Sprintf("exit %d, stdout %q, stderr %q", r.Code, r.Stdout, r.Stderr)
}

// lockedBuffer may be read while a process still writes to it.
type lockedBuffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *lockedBuffer) Write(data []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(data)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}
