package client

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-version"
	"github.com/hashicorp/packer-plugin-sdk/plugin"

	"assay.test/go/internal/host"
	"assay.test/go/internal/specs"
)

func TestDescribe(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		result := host.Run(t, p.binary, []string{"describe"}, p.env...)
		if result.Code != 0 {
			t.Fatal(result)
		}
		var description plugin.SetDescription
		if err := json.Unmarshal([]byte(result.Stdout), &description); err != nil {
			t.Fatalf("%v in %s", err, result)
		}
		parsed, err := version.NewSemver(description.Version)
		if err != nil {
			t.Fatalf("version %q: %v", description.Version, err)
		}
		if pre := parsed.Prerelease(); pre != "" && pre != "dev" {
			t.Errorf("version %q: `packer plugins install` refuses every pre-release but dev", description.Version)
		}
		if description.APIVersion != "x5.0" {
			t.Errorf("api_version %q", description.APIVersion)
		}
		if description.ProtocolVersion != plugin.ProtocolVersion2 {
			t.Errorf("protocol_version %q: Packer would force gob on every plugin", description.ProtocolVersion)
		}
		if !contains(description.PostProcessors, plugin.DEFAULT_NAME) {
			t.Errorf("post_processors %q lack the default name", description.PostProcessors)
		}
	})
}

func contains(list []string, wanted string) bool {
	for _, entry := range list {
		if entry == wanted {
			return true
		}
	}
	return false
}

func TestWithoutTheCookieItSaysThatPackerStartsIt(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		for _, env := range [][]string{nil, {plugin.MagicCookieKey + "=wrong"}} {
			result := host.Run(t, p.binary, host.PostProcessorArgs(true), p.with(env)...)
			if result.Code != 1 || result.Stdout != "" || !strings.Contains(result.Stderr, "Packer") {
				t.Errorf("with %q: %s", env, result)
			}
		}
	})
}

func TestHandshake(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		process := host.Start(t, p.binary, host.PostProcessorArgs(true), p.env...)
		if process.Network != "unix" || !filepath.IsAbs(process.Address) {
			t.Fatalf("handshake %q", process.Line)
		}
		if strings.Count(process.Line, "\n") != 1 || strings.ContainsAny(process.Line, "\r ") {
			t.Errorf("handshake %q is not one bare line", process.Line)
		}
		if len(process.Address) >= 104 {
			t.Errorf("%q is longer than a socket's path may be on macOS", process.Address)
		}
		if info, err := os.Stat(process.Address); err != nil || info.Mode()&os.ModeSocket == 0 {
			t.Fatalf("no socket at %s: %v %v", process.Address, info, err)
		}
		_ = connect(t, process, process.Connect(), true).spec(t)
		if _, err := os.Stat(process.Address); !os.IsNotExist(err) {
			t.Errorf("the socket is still there after the connection: %v", err)
		}
	})
}

func TestConfigSpecIsTheSameByGobAndByProtobuf(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		byProtobuf := p.start(t, true).spec(t)
		byGob := p.start(t, false).spec(t)
		if len(byGob) == 0 {
			t.Fatal("the specification is empty")
		}
		if difference := specs.Difference(byGob, byProtobuf); difference != "" {
			t.Errorf("by gob (got) and by protobuf (wanted):\n%s", difference)
		}
	})
}
