// Package client holds the tests that drive a plugin as Packer's core does, with the SDK's own client. Each test runs
// against three programs: `reference`, made with the SDK, which proves the test; `wire`, the same plugin made with assay's
// wire room alone (crates/packer-plugin/examples/wire-plugin); and `assay` itself.
package client

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	packerrpc "github.com/hashicorp/packer-plugin-sdk/rpc"
	"github.com/zclconf/go-cty/cty"

	"assay.test/go/internal/host"
)

// referenceBinary is built by TestMain.
var referenceBinary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "assay-go-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	// The SDK's client writes a line for every call.
	log.SetOutput(io.Discard)
	referenceBinary = filepath.Join(folder, "packer-plugin-reference")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", referenceBinary, "../reference")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the reference plugin:", err)
		return 1
	}
	return m.Run()
}

// target is one plugin under test and what a template would say to it.
type target struct {
	name   string
	binary string
	// env is added to the plugin's environment.
	env []string
	// valid is a configuration without mistakes; placeholders the same with values that are not known yet.
	valid, placeholders string
	// mistakes is a configuration that fits the specification and is wrong otherwise; jsonMistakes is the same in the
	// shape of a JSON template, where options that do not exist arrive too. Each fragment must be in the one error.
	mistakes              string
	jsonMistakes          map[string]interface{}
	fragments             []string
	jsonFragments         []string
	mistakenBuilder       string
	waiting               string
	failing               string
	failsWhereAMIIsNobody bool
}

// forEachTarget runs the test against each of the three.
func forEachTarget(t *testing.T, test func(t *testing.T, plugin target)) {
	t.Run("reference", func(t *testing.T) { test(t, referenceTarget()) })
	t.Run("wire", func(t *testing.T) { test(t, wireTarget(t)) })
	t.Run("assay", func(t *testing.T) { test(t, assayTarget(t)) })
}

func referenceTarget() target {
	return target{
		name:   "reference",
		binary: referenceBinary,
		valid: `
			message = "hello"
			mode    = "pass"
			count   = 2
			paths   = ["/etc/passwd"]
			tags    = { Team = "platform" }
			check { command = "true" }
			check {
				command = "uname"
				retries = 3
			}
		`,
		placeholders: `
			message = "<unknown>"
			mode    = "<unknown>"
			count   = 0
		`,
		mistakes: `
			message = "hello"
			mode    = "explode"
			count   = -1
			tags    = { "reference:state" = "gold" }
		`,
		fragments: []string{"mode", "explode", "pass, fail, wait", "count", "-1", "reference:state"},
		jsonMistakes: map[string]interface{}{
			"message": "hello", "mode": "explode", "count": float64(-1),
			"tags": map[string]interface{}{"reference:state": "gold"},
		},
		jsonFragments: []string{"mode", "explode", "count", "reference:state"},
		waiting:       `message = "hello"` + "\n" + `mode = "wait"`,
		failing:       `message = "hello"` + "\n" + `mode = "fail"`,
	}
}

func wireTarget(t *testing.T) target {
	t.Helper()
	wire := referenceTarget()
	wire.name, wire.binary = "wire", fromEnvironment(t, "ASSAY_WIRE_PLUGIN", "target/debug/examples/wire-plugin")
	return wire
}

// fromEnvironment is the program that cargo built, by the variable that names it.
func fromEnvironment(t *testing.T, variable, usual string) string {
	t.Helper()
	binary := os.Getenv(variable)
	if binary == "" {
		t.Fatalf("%s is not set. `cargo build --bins --examples`, then `%s=$PWD/%s go -C tests/go test ./...`; `make test` does all of it.", variable, variable, usual)
	}
	if !filepath.IsAbs(binary) {
		t.Fatalf("%s=%s must be an absolute path", variable, binary)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%s: %v. Build it with `cargo build --bins --examples`.", variable, err)
	}
	return binary
}

const smokeSuite = `suite "smoke" {
  command "uname -m" {
    exit-status = 0
    stdout      = ["x86_64"]
  }
}
`

func assayTarget(t *testing.T) target {
	t.Helper()
	binary := fromEnvironment(t, "ASSAY_BIN", "target/debug/assay")
	home := t.TempDir()
	suite := filepath.Join(home, "smoke.hcl")
	if err := os.WriteFile(suite, []byte(smokeSuite), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(home, "no-such-suite.hcl")
	valid := fmt.Sprintf("image = \"base\"\nsuites = [%q]\nssh_username = \"debian\"\ntags = { Team = \"platform\" }\n", suite)
	return target{
		name:   "assay",
		binary: binary,
		env:    []string{"HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "state"), "AWS_EC2_METADATA_DISABLED=true"},
		valid:  valid,
		placeholders: fmt.Sprintf("image = \"<unknown>\"\nsuites = [%q]\nssh_username = \"<unknown>\"\n",
			suite),
		mistakes: fmt.Sprintf(`
			image      = "base"
			suites     = [%q]
			on_failure = "explode"
			tags       = { "assay:state" = "gold" }
			temporary_security_group_source_cidrs = ["300.1.2.3/99"]
		`, missing),
		fragments: []string{"no-such-suite.hcl", "on_failure", "explode", "quarantine", "assay:state", "300.1.2.3/99", "ebsvolume"},
		jsonMistakes: map[string]interface{}{
			"imagee": "base", "suites": []interface{}{missing}, "on_failure": "explode",
			"tags": map[string]interface{}{"assay:state": "gold"},
		},
		jsonFragments:         []string{"imagee", "image", "no-such-suite.hcl", "on_failure", "explode", "assay:state", "ebsvolume"},
		mistakenBuilder:       "amazon-ebsvolume",
		waiting:               valid,
		failing:               valid,
		failsWhereAMIIsNobody: true,
	}
}

// connected is a plugin with the SDK's client at its other end.
type connected struct {
	*host.Plugin
	processor packersdk.PostProcessor
}

// start runs the plugin's post-processor and connects the SDK's client to it.
func (p target) start(t *testing.T, protobuf bool, extraEnv ...string) connected {
	t.Helper()
	process := host.Start(t, p.binary, host.PostProcessorArgs(protobuf), p.with(extraEnv)...)
	return connect(t, process, process.Connect(), protobuf)
}

// with is the target's environment and more.
func (p target) with(extraEnv []string) []string {
	return append(append([]string(nil), p.env...), extraEnv...)
}

// connect puts the SDK's client at the other end of a running plugin's connection.
func connect(t *testing.T, process *host.Plugin, conn net.Conn, protobuf bool) connected {
	t.Helper()
	client, err := packerrpc.NewClient(conn)
	if err != nil {
		t.Fatal(err)
	}
	client.UseProto = protobuf
	return connected{process, client.PostProcessor()}
}

// spec asks for the specification. The SDK's client panics when the call fails; a test must fail instead.
func (c connected) spec(t *testing.T) hcldec.ObjectSpec {
	t.Helper()
	defer func() {
		if cause := recover(); cause != nil {
			t.Fatalf("ConfigSpec: %v", cause)
		}
	}()
	return c.processor.ConfigSpec()
}

// core is what Packer adds to every configuration (HCL2 templates: bools are strings).
func core(builder string) map[string]interface{} {
	if builder == "" {
		builder = "amazon-ebs"
	}
	return map[string]interface{}{
		"packer_build_name": "base", "packer_builder_type": builder, "packer_core_version": "1.16.0",
		"packer_debug": "false", "packer_force": "false", "packer_on_error": "", "packer_sensitive_variables": []interface{}{},
	}
}

// jsonCore is the same for legacy JSON templates (bools are bools, and Packer's variables come along).
func jsonCore(builder string) map[string]interface{} {
	values := core(builder)
	values["packer_debug"], values["packer_force"] = false, false
	values["packer_template_path"] = "template.json"
	values["packer_user_variables"] = map[string]interface{}{}
	return values
}

// decode turns a block's body into the value that Packer sends, by the plugin's own specification.
func decode(t *testing.T, spec hcldec.ObjectSpec, body string) cty.Value {
	t.Helper()
	file, diagnostics := hclsyntax.ParseConfig([]byte(body), "template.pkr.hcl", hcl.InitialPos)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	value, diagnostics := hcldec.Decode(file.Body, spec, nil)
	if diagnostics.HasErrors() {
		t.Fatalf("the plugin's specification refuses the configuration: %v", diagnostics)
	}
	return value
}
