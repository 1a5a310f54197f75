package host

import (
	"fmt"
	"io"
	"strings"
	"sync"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// Ui is Packer's end of the Ui: it remembers every call as one line of text. The SDK's own MockUi is not safe against
// calls from several streams at once.
type Ui struct {
	mutex sync.Mutex
	lines []string
}

var _ packersdk.Ui = new(Ui)

func (u *Ui) add(kind, text string) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	u.lines = append(u.lines, kind+": "+text)
}

// Lines returns the calls so far, each as "say: …", "error: …", "message: …" or "machine: category,argument,…".
func (u *Ui) Lines() []string {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	return append([]string(nil), u.lines...)
}

// Text returns all lines as one text.
func (u *Ui) Text() string { return strings.Join(u.Lines(), "\n") }

// Ask refuses: no build has a person at hand.
func (u *Ui) Ask(query string) (string, error) {
	u.add("ask", query)
	return "", fmt.Errorf("no available tty")
}

// Askf is Ask with a format.
func (u *Ui) Askf(query string, args ...any) (string, error) {
	return u.Ask(fmt.Sprintf(query, args...))
}

// Say records a line.
func (u *Ui) Say(message string) { u.add("say", message) }

// Sayf is Say with a format.
func (u *Ui) Sayf(message string, args ...any) { u.Say(fmt.Sprintf(message, args...)) }

// Message records a line.
func (u *Ui) Message(message string) { u.add("message", message) }

// Error records a line.
func (u *Ui) Error(message string) { u.add("error", message) }

// Errorf is Error with a format.
func (u *Ui) Errorf(message string, args ...any) { u.Error(fmt.Sprintf(message, args...)) }

// Machine records a machine-readable row.
func (u *Ui) Machine(category string, args ...string) {
	u.add("machine", strings.Join(append([]string{category}, args...), ","))
}

// TrackProgress passes the stream through.
func (u *Ui) TrackProgress(_ string, _, _ int64, stream io.ReadCloser) io.ReadCloser { return stream }

// Artifact is Packer's end of an artifact.
type Artifact struct {
	Builder    string
	Identifier string
	Paths      []string
	States     map[string]interface{}

	mutex     sync.Mutex
	destroyed int
}

var _ packersdk.Artifact = new(Artifact)

// AMI is the artifact that amazon-ebs hands over: id is "region:ami-…", several joined by commas.
func AMI(id string) *Artifact {
	return &Artifact{
		Builder:    "mitchellh.amazonebs",
		Identifier: id,
		States: map[string]interface{}{"generated_data": map[string]interface{}{
			"ID": "i-0123456789abcdef0", "User": "debian", "Host": "127.0.0.1", "PackerRunUUID": "b1c2d3e4-0000-4000-8000-000000000001",
			"SourceAMI": "ami-00000000000000000",
		}},
	}
}

// BuilderId names the builder that made the artifact.
func (a *Artifact) BuilderId() string { return a.Builder }

// Files lists paths.
func (a *Artifact) Files() []string { return a.Paths }

// Id is the artifact's identity.
func (a *Artifact) Id() string { return a.Identifier }

// String is what Packer prints at a build's end.
func (a *Artifact) String() string { return "AMIs were created:\n" + a.Identifier }

// State answers what a builder tells about itself; nil when it does not know the name.
func (a *Artifact) State(name string) interface{} { return a.States[name] }

// Destroy counts.
func (a *Artifact) Destroy() error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.destroyed++
	return nil
}

// Destroyed says how often Destroy was called.
func (a *Artifact) Destroyed() int {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return a.destroyed
}
