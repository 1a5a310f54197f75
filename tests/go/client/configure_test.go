package client

import (
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

func TestConfigureTakesHCL2(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		for _, protobuf := range []bool{true, false} {
			plugin := p.start(t, protobuf)
			spec := plugin.spec(t)
			// As in a build: first with placeholders, then twice with everything known.
			for _, body := range []string{p.placeholders, p.valid, p.valid} {
				if err := plugin.processor.Configure(core(""), decode(t, spec, body)); err != nil {
					t.Errorf("protobuf %v: %v refused for %s", protobuf, err, body)
				}
			}
		}
	})
}

func TestConfigureTakesJSON(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		plugin := p.start(t, false)
		values := plainValues(t, plugin.spec(t), p.valid)
		placeholders := map[string]string{"ID": "Build_ID. Please see https://", "User": "Build_User"}
		if err := plugin.processor.Configure(values, jsonCore(""), placeholders); err != nil {
			t.Error(err)
		}
	})
}

// plainValues reads a body as the plain maps that a JSON template becomes: numbers are float64, unset options are absent.
func plainValues(t *testing.T, spec hcldec.ObjectSpec, body string) map[string]interface{} {
	t.Helper()
	file, diagnostics := hclsyntax.ParseConfig([]byte(body), "template.pkr.hcl", hcl.InitialPos)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	decoded := decode(t, spec, body)
	values := map[string]interface{}{}
	for name := range file.Body.(*hclsyntax.Body).Attributes {
		values[name] = plain(decoded.GetAttr(name))
	}
	return values
}

func TestConfigureNamesAllMistakesAtOnce(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		t.Run("hcl2", func(t *testing.T) {
			plugin := p.start(t, true)
			value := decode(t, plugin.spec(t), p.mistakes)
			err := plugin.processor.Configure(core(p.mistakenBuilder), value)
			mustName(t, err, p.fragments)
			// A refusal ends nothing: the same process takes a right configuration afterwards.
			if err := plugin.processor.Configure(core(""), decode(t, plugin.spec(t), p.valid)); err != nil {
				t.Errorf("after a refusal: %v", err)
			}
		})
		t.Run("json", func(t *testing.T) {
			plugin := p.start(t, false)
			err := plugin.processor.Configure(p.jsonMistakes, jsonCore(p.mistakenBuilder), map[string]string{})
			mustName(t, err, p.jsonFragments)
		})
	})
}

func mustName(t *testing.T, err error, fragments []string) {
	t.Helper()
	if err == nil {
		t.Fatal("the mistakes were accepted")
	}
	for _, fragment := range fragments {
		if !strings.Contains(err.Error(), fragment) {
			t.Errorf("%q is not named in: %v", fragment, err)
		}
	}
}
