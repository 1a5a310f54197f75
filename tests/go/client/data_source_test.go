package client

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/plugin"
	packerrpc "github.com/hashicorp/packer-plugin-sdk/rpc"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"assay.test/go/internal/host"
	"assay.test/go/internal/specs"
)

// source is one data source under test and what a template would say to it.
type source struct {
	binary string
	name   string
	env    []string
	// valid is a configuration that gives output, as JSON.
	valid, output string
	// refused is one that Configure refuses; each fragment must be in the error. failing is one that Execute refuses.
	refused          string
	refusedFragments []string
	failing          string
	failingFragments []string
}

func forEachSource(t *testing.T, test func(t *testing.T, s source)) {
	t.Run("reference", func(t *testing.T) { test(t, greetingSource(referenceBinary)) })
	t.Run("wire", func(t *testing.T) { test(t, greetingSource(wireTarget(t).binary)) })
	t.Run("assay", func(t *testing.T) { test(t, assaySource(t)) })
}

func greetingSource(binary string) source {
	return source{
		binary: binary, name: "greeting",
		valid: `
			who     = "you"
			tongues = ["en", "fr"]
		`,
		output: `{
			"greeting": "hello you", "warm": true, "tongues": ["en", "fr"],
			"by_tongue": {"en": {"greeting": "hello you"}, "fr": {"greeting": "hello you"}}
		}`,
		refused: `who = "nobody"`, refusedFragments: []string{"nobody cannot be greeted"},
		failing: `who = "nothing"`, failingFragments: []string{"there is nothing\nto greet"},
	}
}

// assaySource reads the lock in tests/fixtures/gold, copied out of this repository, whose own images/ would count.
func assaySource(t *testing.T) source {
	t.Helper()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "images"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"assay.hcl", "images/base.lock.hcl"} {
		kept, err := os.ReadFile(filepath.Join("../../fixtures/gold", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), kept, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	config := "config = " + string(mustJSON(t, filepath.Join(folder, "assay.hcl"))) + "\n"
	return source{
		binary: fromEnvironment(t, "ASSAY_BIN", "target/debug/assay"), name: "image",
		env:   []string{"AWS_DEFAULT_REGION=us-east-1"},
		valid: "image = \"base\"\n" + config,
		output: `{
			"id": "ami-0aaaaaaaaaaaaaaa2", "run": "01KAQ3B6G0R8ZJ5Q2X7V9N4M1C", "name": "base-ami-0aaaaaaaaaaaaaaa2",
			"source_digest": "sha256:32381523e63197c929b67f793a8098bed0ae3a6fa902634fdbcc6fa4567f3346",
			"promoted_at": "2026-11-22T12:00:00Z", "owner": "123456789012",
			"amis": {
				"arm64": {"us-east-1": "ami-0aaaaaaaaaaaaaaa1"},
				"x86_64": {"eu-west-1": "ami-0aaaaaaaaaaaaaaa3", "us-east-1": "ami-0aaaaaaaaaaaaaaa2"}
			}
		}`,
		refused:          "image = \"Base\"\narchitecture = \"amd64\"\n" + config,
		refusedFragments: []string{"image: \"Base\"", "architecture: \"amd64\"", "x86_64 or arm64"},
		failing:          "image = \"base\"\nregion = \"us-west-2\"\n" + config,
		failingFragments: []string{"no AMI for x86_64 in us-west-2", "arm64 in us-east-1; x86_64 in eu-west-1, us-east-1"},
	}
}

func mustJSON(t *testing.T, value interface{}) []byte {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func (s source) start(t *testing.T, protobuf bool) packersdk.Datasource {
	t.Helper()
	process := host.Start(t, s.binary, host.DataSourceArgs(s.name, protobuf), s.env...)
	client, err := packerrpc.NewClient(process.Connect())
	if err != nil {
		t.Fatal(err)
	}
	client.UseProto = protobuf
	return client.Datasource()
}

// specifications asks for both. The SDK's client panics when a call fails; a test must fail instead.
func specifications(t *testing.T, data packersdk.Datasource) (hcldec.ObjectSpec, hcldec.ObjectSpec) {
	t.Helper()
	defer func() {
		if cause := recover(); cause != nil {
			t.Fatalf("a specification: %v", cause)
		}
	}()
	return data.ConfigSpec(), data.OutputSpec()
}

func inBothEncodings(t *testing.T, s source, test func(t *testing.T, data packersdk.Datasource)) {
	t.Run("protobuf", func(t *testing.T) { test(t, s.start(t, true)) })
	t.Run("gob", func(t *testing.T) { test(t, s.start(t, false)) })
}

func TestDataSourceIsDescribed(t *testing.T) {
	forEachSource(t, func(t *testing.T, s source) {
		result := host.Run(t, s.binary, []string{"describe"}, s.env...)
		var description plugin.SetDescription
		if err := json.Unmarshal([]byte(result.Stdout), &description); err != nil {
			t.Fatalf("%v in %s", err, result)
		}
		if !contains(description.Datasources, s.name) {
			t.Errorf("datasources %q lack %q", description.Datasources, s.name)
		}
	})
}

func TestDataSourceAnswersATemplate(t *testing.T) {
	forEachSource(t, func(t *testing.T, s source) {
		inBothEncodings(t, s, func(t *testing.T, data packersdk.Datasource) {
			options, output := specifications(t, data)
			if err := data.Configure(decode(t, options, s.valid)); err != nil {
				t.Fatal(err)
			}
			value, err := data.Execute()
			if err != nil {
				t.Fatal(err)
			}
			// Packer works with the output's type before it has a value, and puts values of one kind of data source into one map.
			if wanted := hcldec.ImpliedType(output); !value.Type().Equals(wanted) {
				t.Errorf("the value is of type %#v, the specification says %#v", value.Type(), wanted)
			}
			wanted, err := ctyjson.Unmarshal([]byte(s.output), value.Type())
			if err != nil {
				t.Fatal(err)
			}
			if !value.RawEquals(wanted) {
				t.Errorf("got    %#v\nwanted %#v", value, wanted)
			}
		})
	})
}

func TestDataSourceSpecificationsAreTheSameByGobAndByProtobuf(t *testing.T) {
	forEachSource(t, func(t *testing.T, s source) {
		options, output := specifications(t, s.start(t, true))
		optionsByGob, outputByGob := specifications(t, s.start(t, false))
		if difference := specs.Difference(optionsByGob, options); difference != "" {
			t.Errorf("options by gob (got) and by protobuf (wanted):\n%s", difference)
		}
		if difference := specs.Difference(outputByGob, output); difference != "" {
			t.Errorf("output by gob (got) and by protobuf (wanted):\n%s", difference)
		}
		if len(output) == 0 {
			t.Error("there is no output")
		}
	})
}

func TestDataSourceFailuresReachTheUser(t *testing.T) {
	forEachSource(t, func(t *testing.T, s source) {
		inBothEncodings(t, s, func(t *testing.T, data packersdk.Datasource) {
			options, _ := specifications(t, data)
			mustName(t, data.Configure(decode(t, options, s.refused)), s.refusedFragments)
			if err := data.Configure(decode(t, options, s.failing)); err != nil {
				t.Fatal(err)
			}
			value, err := data.Execute()
			mustName(t, err, s.failingFragments)
			if err == nil && value != cty.NilVal {
				t.Errorf("a value in spite of the failure: %#v", value)
			}
			// It ends nothing: the same process gives the output afterwards.
			if err := data.Configure(decode(t, options, s.valid)); err != nil {
				t.Fatal(err)
			}
			if _, err := data.Execute(); err != nil {
				t.Error(err)
			}
		})
	})
}

// What Packer does not know yet arrives as a placeholder, in `packer validate`.
func TestDataSourceTakesPlaceholders(t *testing.T) {
	forEachSource(t, func(t *testing.T, s source) {
		data := s.start(t, true)
		options, _ := specifications(t, data)
		values := decode(t, options, s.valid).AsValueMap()
		for name, value := range values {
			if value.Type() == cty.String && !value.IsNull() {
				values[name] = cty.StringVal("<unknown>")
			}
		}
		if err := data.Configure(cty.ObjectVal(values)); err != nil {
			t.Error(err)
		}
	})
}
