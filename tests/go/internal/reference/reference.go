// Package reference owns a small post-processor written against the SDK: it checks its options, talks to the Ui, reads
// the artifact and passes, fails or waits as it is told. It refuses to touch anything outside its process.
package reference

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/zclconf/go-cty/cty"

	"assay.test/go/internal/options"
)

// Config is what a template may say.
type Config struct {
	Message string            `mapstructure:"message"`
	Mode    string            `mapstructure:"mode"`
	Count   int               `mapstructure:"count"`
	Force   bool              `mapstructure:"force"`
	Paths   []string          `mapstructure:"paths"`
	Tags    map[string]string `mapstructure:"tags"`
	Checks  []Check           `mapstructure:"check"`
}

// Check is one block of a list.
type Check struct {
	Command string `mapstructure:"command"`
	Retries int    `mapstructure:"retries"`
}

// PostProcessor is the component.
type PostProcessor struct{ config Config }

var _ packersdk.PostProcessor = new(PostProcessor)

// ConfigSpec declares the options: one of each shape that Packer's protocol can carry.
func (p *PostProcessor) ConfigSpec() hcldec.ObjectSpec {
	return hcldec.ObjectSpec{
		"message": &hcldec.AttrSpec{Name: "message", Type: cty.String, Required: true},
		"mode":    &hcldec.AttrSpec{Name: "mode", Type: cty.String},
		"count":   &hcldec.AttrSpec{Name: "count", Type: cty.Number},
		"force":   &hcldec.AttrSpec{Name: "force", Type: cty.Bool},
		"paths":   &hcldec.AttrSpec{Name: "paths", Type: cty.List(cty.String)},
		"tags":    &hcldec.AttrSpec{Name: "tags", Type: cty.Map(cty.String)},
		"check": &hcldec.BlockListSpec{TypeName: "check", Nested: hcldec.ObjectSpec{
			"command": &hcldec.AttrSpec{Name: "command", Type: cty.String, Required: true},
			"retries": &hcldec.AttrSpec{Name: "retries", Type: cty.Number},
		}},
	}
}

// Configure reads the options and returns all mistakes at once.
func (p *PostProcessor) Configure(raws ...interface{}) error {
	p.config = Config{}
	if err := options.Decode(&p.config, raws...); err != nil {
		return err
	}
	var mistakes []string
	switch p.config.Mode {
	case "", "pass", "fail", "wait", "<unknown>":
	default:
		mistakes = append(mistakes, fmt.Sprintf("mode %q is not one of pass, fail, wait", p.config.Mode))
	}
	if p.config.Count < 0 {
		mistakes = append(mistakes, fmt.Sprintf("count %d is negative", p.config.Count))
	}
	for name := range p.config.Tags {
		if strings.HasPrefix(name, "reference:") {
			mistakes = append(mistakes, fmt.Sprintf("tag %q is reserved", name))
		}
	}
	if len(mistakes) > 0 {
		sort.Strings(mistakes)
		return fmt.Errorf("%s", strings.Join(mistakes, "\n"))
	}
	return nil
}

// PostProcess does what mode says and returns the artifact that came in.
func (p *PostProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, artifact packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	ui.Say(fmt.Sprintf("received %s from %s", artifact.Id(), artifact.BuilderId()))
	data, _ := artifact.State("generated_data").(map[interface{}]interface{})
	ui.Message(fmt.Sprintf("built as %v", data["User"]))
	ui.Machine("reference,verdict", p.config.Mode, artifact.Id())
	switch p.config.Mode {
	case "fail":
		ui.Error("the reference was told to fail")
		return nil, true, true, fmt.Errorf("rejected %s", artifact.Id())
	case "wait":
		<-ctx.Done()
		return nil, true, true, fmt.Errorf("cancelled while waiting")
	default:
		return artifact, true, true, nil
	}
}
