package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	packerrpc "github.com/hashicorp/packer-plugin-sdk/rpc"
	sdkversion "github.com/hashicorp/packer-plugin-sdk/version"
	"github.com/zclconf/go-cty/cty"

	"assay.test/go/internal/host"
	"assay.test/go/internal/reference"
)

// scene is one session to record.
type scene struct {
	name     string
	why      string
	protobuf bool
	play     func(stage) error
}

// stage is what a scene plays on.
type stage struct {
	tap       *host.Tap
	processor packersdk.PostProcessor
	source    packersdk.Datasource
	ui        *watchedUi
}

// watchedUi tells when the plugin has sent its machine-readable row, which is the last thing before it waits.
type watchedUi struct {
	host.Ui
	once sync.Once
	row  chan struct{}
}

func (u *watchedUi) Machine(category string, args ...string) {
	u.Ui.Machine(category, args...)
	u.once.Do(func() { close(u.row) })
}

func scenes() []scene {
	return []scene{
		{"pass_protobuf", "HCL2 template, protobuf: configured twice, passes, Packer asks the returned artifact", true, playPass},
		{"fail_gob", "JSON template, gob: PostProcess answers with an error", false, playFail},
		{"refused", "HCL2 template: Configure answers with an error, and then takes a better configuration", true, playRefused},
		{"cancel", "Cancel while PostProcess is pending", true, playCancel},
		{"data_source_protobuf", "a data source: both specifications, Configure, Execute; then a refusal and a failure", true, playDataSource},
		{"data_source_gob", "the same by gob", false, playDataSource},
	}
}

func core() map[string]interface{} {
	return map[string]interface{}{
		"packer_build_name": "base", "packer_builder_type": "amazon-ebs", "packer_core_version": "1.16.0", "packer_debug": "false",
		"packer_force": "false", "packer_on_error": "", "packer_sensitive_variables": []interface{}{},
	}
}

// value is a configuration as HCL2 hands it over: every option is there, unset ones are null, absent blocks are empty.
func value(message, mode cty.Value, count cty.Value) cty.Value {
	check := cty.ObjectVal(map[string]cty.Value{"command": cty.StringVal("uname -m"), "retries": cty.NullVal(cty.Number)})
	return cty.ObjectVal(map[string]cty.Value{
		"message": message, "mode": mode, "count": count, "force": cty.NullVal(cty.Bool),
		"paths": cty.ListVal([]cty.Value{cty.StringVal("/etc/passwd")}), "tags": cty.NullVal(cty.Map(cty.String)),
		"check": cty.ListVal([]cty.Value{check}),
	})
}

func (s stage) configure(comment string, configs ...interface{}) error {
	s.tap.Comment(comment)
	return s.processor.Configure(configs...)
}

func (s stage) spec() hcldec.ObjectSpec {
	s.tap.Comment("ConfigSpec")
	return s.processor.ConfigSpec()
}

func playPass(s stage) error {
	_ = s.spec()
	unknown := cty.StringVal("<unknown>")
	if err := s.configure("Configure before the build: placeholders", core(), value(unknown, unknown, cty.NumberIntVal(0))); err != nil {
		return err
	}
	known := value(cty.StringVal("hello"), cty.StringVal("pass"), cty.NumberIntVal(2))
	if err := s.configure("Configure right before PostProcess", core(), known); err != nil {
		return err
	}
	s.tap.Comment("PostProcess; the plugin asks for the artifact and talks to the Ui")
	got, keep, force, err := s.processor.PostProcess(context.Background(), s.ui, host.AMI("us-east-1:ami-0123456789abcdef0"))
	if err != nil || !keep || !force {
		return fmt.Errorf("keep %v, force %v, %w", keep, force, err)
	}
	s.tap.Comment("Packer asks the returned artifact: String, BuilderId, Id, Files, State, Destroy")
	_, _, _, _ = got.String(), got.BuilderId(), got.Id(), got.Files()
	_ = got.State("generated_data")
	_ = got.State("no-such-state")
	return got.Destroy()
}

func playFail(s stage) error {
	config := map[string]interface{}{
		"message": "hello {{ build `ID` }}", "mode": "fail", "count": float64(2),
		"tags": map[string]interface{}{"Team": "platform"}, "check": []interface{}{map[string]interface{}{"command": "true"}},
	}
	shared := core()
	shared["packer_debug"], shared["packer_force"], shared["packer_sensitive_variables"] = false, false, nil
	shared["packer_template_path"], shared["packer_user_variables"] = "template.json", map[string]interface{}{"": ""}
	placeholders := map[string]interface{}{"ID": "Build_ID", "User": "Build_User"}
	if err := s.configure("Configure, JSON template", config, shared, placeholders); err != nil {
		return err
	}
	_ = s.spec()
	s.tap.Comment("PostProcess; the answer's body holds the error")
	if _, _, _, err := s.processor.PostProcess(context.Background(), s.ui, host.AMI("us-east-1:ami-0123456789abcdef0")); err == nil {
		return fmt.Errorf("PostProcess should have failed")
	}
	return nil
}

func playRefused(s stage) error {
	bad := value(cty.StringVal("hello"), cty.StringVal("explode"), cty.NumberIntVal(-1))
	if err := s.configure("Configure with two mistakes; the answer's header holds the error", core(), bad); err == nil {
		return fmt.Errorf("Configure should have failed")
	}
	return s.configure("Configure without", core(), value(cty.StringVal("hello"), cty.StringVal("pass"), cty.NumberIntVal(1)))
}

func playCancel(s stage) error {
	config := value(cty.StringVal("hello"), cty.StringVal("wait"), cty.NumberIntVal(1))
	if err := s.configure("Configure", core(), config); err != nil {
		return err
	}
	s.tap.Comment("PostProcess, and Cancel while it waits; both answers come, in either order")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-s.ui.row
		cancel()
	}()
	if _, _, _, err := s.processor.PostProcess(ctx, s.ui, host.AMI("us-east-1:ami-0123456789abcdef0")); err == nil {
		return fmt.Errorf("PostProcess should have been cancelled")
	}
	return nil
}

func playDataSource(s stage) error {
	s.tap.Comment("ConfigSpec, OutputSpec")
	_, _ = s.source.ConfigSpec(), s.source.OutputSpec()
	options := func(who string, tongues cty.Value) cty.Value {
		return cty.ObjectVal(map[string]cty.Value{"who": cty.StringVal(who), "tongues": tongues})
	}
	s.tap.Comment("Configure and Execute")
	if err := s.source.Configure(options("you", cty.ListVal([]cty.Value{cty.StringVal("en")}))); err != nil {
		return err
	}
	if _, err := s.source.Execute(); err != nil {
		return err
	}
	s.tap.Comment("Configure that is refused; Execute that fails: both errors stand in the header")
	if err := s.source.Configure(options("nobody", cty.NullVal(cty.List(cty.String)))); err == nil {
		return fmt.Errorf("Configure should have failed")
	}
	if err := s.source.Configure(options("nothing", cty.NullVal(cty.List(cty.String)))); err != nil {
		return err
	}
	if _, err := s.source.Execute(); err == nil {
		return fmt.Errorf("Execute should have failed")
	}
	return nil
}

const header = `# %s: a recorded session between the client and the post-processor server of packer-plugin-sdk %s.
# %s.
# Made by "go -C tests/go run ./goldens" from tests/go/internal/reference; recorded at the client's end.
# One yamux frame a line: "> HEX" from Packer to the plugin, "< HEX" from the plugin to Packer. The order of map entries
# and of what runs concurrently is random: read it, replay the ">" lines, but do not compare "<" lines byte for byte.
`

// record plays a scene between the SDK's two ends and returns the file's text.
func record(s scene) ([]byte, error) {
	packerEnd, pluginEnd := net.Pipe()
	// The server makes its session first: a pipe does not buffer what the client sends at once.
	server, err := packerrpc.NewServer(pluginEnd)
	if err != nil {
		return nil, err
	}
	server.UseProto = s.protobuf
	if err := server.RegisterPostProcessor(new(reference.PostProcessor)); err != nil {
		return nil, err
	}
	if err := server.RegisterDatasource(new(reference.DataSource)); err != nil {
		return nil, err
	}
	go server.Serve()
	tap := host.NewTap(packerEnd)
	tap.Comment("the client opens stream 0")
	client, err := packerrpc.NewClient(tap)
	if err != nil {
		return nil, err
	}
	client.UseProto = s.protobuf
	if err := s.play(stage{tap, client.PostProcessor(), client.Datasource(), &watchedUi{row: make(chan struct{})}}); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	// Window updates and the Cancel's answer may come a moment after the last call's return.
	time.Sleep(200 * time.Millisecond)
	text := strings.Builder{}
	fmt.Fprintf(&text, header, s.name, sdkversion.SDKVersion.String(), s.why)
	text.WriteString(tap.Text())
	return []byte(text.String()), client.Close()
}
