// Command packer-plugin-minisurrogate is a builder that builds nothing: it hands over an artifact with amazon-ebssurrogate's
// BuilderId and the AMI ids of its configuration. With it a post-processor meets that kind of artifact in a real build,
// over AMIs that the mini cloud already has. Its Destroy writes a file, so that a test can see whether Packer called it.
package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/plugin"
	"github.com/hashicorp/packer-plugin-sdk/version"
	"github.com/zclconf/go-cty/cty"

	"assay.test/go/internal/options"
)

// builderID is amazon-ebssurrogate's (builder/ebssurrogate/builder.go in packer-plugin-amazon).
const builderID = "mitchellh.amazon.ebssurrogate"

var identifier = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-\d:ami-[0-9a-f]{8,17}(,[a-z]{2}(-[a-z]+)+-\d:ami-[0-9a-f]{8,17})*$`)

// Config is what a template may say: the artifact's id, where Destroy leaves its mark, and the build's ssh user.
type Config struct {
	AMI           string `mapstructure:"ami"`
	DestroyMarker string `mapstructure:"destroy_marker"`
	SSHUsername   string `mapstructure:"ssh_username"`
}

type builder struct{ config Config }

func (b *builder) ConfigSpec() hcldec.ObjectSpec {
	return hcldec.ObjectSpec{
		"ami":            &hcldec.AttrSpec{Name: "ami", Type: cty.String, Required: true},
		"destroy_marker": &hcldec.AttrSpec{Name: "destroy_marker", Type: cty.String, Required: true},
		"ssh_username":   &hcldec.AttrSpec{Name: "ssh_username", Type: cty.String},
	}
}

func (b *builder) Prepare(raws ...interface{}) ([]string, []string, error) {
	b.config = Config{}
	if err := options.Decode(&b.config, raws...); err != nil {
		return nil, nil, err
	}
	if !identifier.MatchString(b.config.AMI) {
		return nil, nil, fmt.Errorf("ami %q is not region:ami-…, several joined by commas", b.config.AMI)
	}
	return nil, nil, nil
}

func (b *builder) Run(_ context.Context, ui packersdk.Ui, _ packersdk.Hook) (packersdk.Artifact, error) {
	ui.Say("handing over " + b.config.AMI)
	return &artifact{b.config}, nil
}

type artifact struct{ config Config }

func (a *artifact) BuilderId() string { return builderID }
func (a *artifact) Files() []string   { return nil }
func (a *artifact) Id() string        { return a.config.AMI }

func (a *artifact) String() string {
	return "AMIs were created:\n" + strings.ReplaceAll(a.config.AMI, ",", "\n")
}

func (a *artifact) State(name string) interface{} {
	if name != "generated_data" || a.config.SSHUsername == "" {
		return nil
	}
	return map[string]interface{}{"User": a.config.SSHUsername}
}

func (a *artifact) Destroy() error {
	return os.WriteFile(a.config.DestroyMarker, []byte(a.config.AMI+"\n"), 0o600)
}

func main() {
	set := plugin.NewSet()
	set.SetVersion(version.NewPluginVersion("0.1.0", "", ""))
	set.RegisterBuilder(plugin.DEFAULT_NAME, new(builder))
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
