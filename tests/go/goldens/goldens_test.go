package main

import (
	"bytes"
	"encoding/gob"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hcldec"
	packerrpc "github.com/hashicorp/packer-plugin-sdk/rpc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/msgpack"
	"google.golang.org/protobuf/proto"

	"assay.test/go/internal/specs"
	"assay.test/go/internal/values"
)

const folder = "../../goldens"

func TestMain(m *testing.M) {
	// The SDK's client writes a line for every call.
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(append([]string{folder}, parts...)...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func decodeGob(t *testing.T, encoded []byte) hcldec.ObjectSpec {
	t.Helper()
	spec := hcldec.ObjectSpec{}
	if err := gob.NewDecoder(bytes.NewReader(encoded)).Decode(&spec); err != nil {
		t.Fatalf("Packer cannot decode it: %v", err)
	}
	return spec
}

func decodeProtobuf(t *testing.T, encoded []byte) hcldec.Spec {
	t.Helper()
	message := new(packerrpc.Spec)
	if err := proto.Unmarshal(encoded, message); err != nil {
		t.Fatal(err)
	}
	spec, err := message.FromProto()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func mustEqual(t *testing.T, got, wanted hcldec.Spec) {
	t.Helper()
	if difference := specs.Difference(got, wanted); difference != "" {
		t.Error(difference)
	}
}

// The gob that assay's encoder wrote (its own tests compare their output with these files) means to Packer what it should.
func TestPackerReadsOurGob(t *testing.T) {
	expected := map[string]bool{}
	for _, named := range specs.All() {
		if named.SDKOnly {
			continue
		}
		expected[named.Name+".bin"] = true
		t.Run(named.Name, func(t *testing.T) {
			mustEqual(t, decodeGob(t, read(t, "gob", "ours", named.Name+".bin")), named.Spec)
		})
	}
	mustHoldOnly(t, filepath.Join(folder, "gob", "ours"), expected)
}

func mustHoldOnly(t *testing.T, path string, expected map[string]bool) {
	t.Helper()
	entries, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !expected[entry.Name()] {
			t.Errorf("%s is not in tests/go/internal/specs, so nothing checks it", filepath.Join(path, entry.Name()))
		}
	}
}

func TestTheGoldensMeanWhatTheirNamesSay(t *testing.T) {
	for _, named := range specs.All() {
		t.Run(named.Name, func(t *testing.T) {
			mustEqual(t, decodeGob(t, read(t, "gob", named.Name+".bin")), named.Spec)
			mustEqual(t, decodeProtobuf(t, read(t, "proto", named.Name+".bin")), named.Spec)
		})
	}
}

func mustBe(t *testing.T, got, wanted cty.Value) {
	t.Helper()
	if !got.RawEquals(wanted) {
		t.Errorf("got    %#v\nwanted %#v", got, wanted)
	}
}

// The gob of values, ours where Go's own cannot be had in order, means what it should; so does the msgpack.
func TestPackerReadsTheValues(t *testing.T) {
	expected := map[string]bool{}
	for _, named := range values.All() {
		parts := []string{"values", "gob", named.Name + ".bin"}
		if named.Crowded {
			expected[named.Name+".bin"] = true
			parts = []string{"values", "gob", "ours", named.Name + ".bin"}
		}
		t.Run(named.Name, func(t *testing.T) {
			decoded := cty.Value{}
			if err := gob.NewDecoder(bytes.NewReader(read(t, parts...))).Decode(&decoded); err != nil {
				t.Fatalf("Packer cannot decode it: %v", err)
			}
			mustBe(t, decoded, named.Value)
			decoded, err := msgpack.Unmarshal(read(t, "values", "msgpack", named.Name+".bin"), cty.DynamicPseudoType)
			if err != nil {
				t.Fatal(err)
			}
			mustBe(t, decoded, named.Value)
		})
	}
	mustHoldOnly(t, filepath.Join(folder, "values", "gob", "ours"), expected)
}

// Nobody edited a golden: the SDK still writes these very bytes.
func TestTheSDKStillWritesTheGoldens(t *testing.T) {
	self := filepath.Join(t.TempDir(), "goldens")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", self, ".")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for _, named := range specs.All() {
		t.Run(named.Name, func(t *testing.T) {
			byGob, err := orderedGob(self, named)
			if err != nil {
				t.Fatal(err)
			}
			byProtobuf, err := orderedProtobuf(named)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(byGob, read(t, "gob", named.Name+".bin")) || !bytes.Equal(byProtobuf, read(t, "proto", named.Name+".bin")) {
				t.Error("the golden differs from what the SDK writes: `go -C tests/go run ./goldens`, and look at the difference")
			}
		})
	}
	for _, named := range values.All() {
		t.Run("value "+named.Name, func(t *testing.T) {
			byMsgpack, err := valueMsgpack(named)
			if err != nil || !bytes.Equal(byMsgpack, read(t, "values", "msgpack", named.Name+".bin")) {
				t.Errorf("the golden differs from what the SDK writes (%v): `go -C tests/go run ./goldens`", err)
			}
			if named.Crowded {
				return
			}
			byGob, err := orderedValueGob(self, named)
			if err != nil || !bytes.Equal(byGob, read(t, "values", "gob", named.Name+".bin")) {
				t.Errorf("the golden differs from what the SDK writes (%v): `go -C tests/go run ./goldens`", err)
			}
		})
	}
	contents, err := listingOfValues(values.All())
	if err != nil || !bytes.Equal(contents, read(t, "values.json")) {
		t.Errorf("values.json is old (%v): `go -C tests/go run ./goldens`", err)
	}
	listing, err := listingOf(specs.All())
	if err != nil || !bytes.Equal(listing, read(t, "specs.json")) {
		t.Errorf("specs.json is old (%v): `go -C tests/go run ./goldens`", err)
	}
}

// Each recorded session is one that the SDK still plays, and its file has both directions.
func TestTheSessionsAreRecorded(t *testing.T) {
	for _, each := range scenes() {
		t.Run(each.name, func(t *testing.T) {
			text := string(read(t, "wire", each.name+".txt"))
			for _, wanted := range []string{"# " + each.name + ": ", "\n> 0001000100000001", "\n< 0001000200000001"} {
				if !strings.Contains(text, wanted) {
					t.Errorf("%q is not in the file", wanted)
				}
			}
			if _, err := record(each); err != nil {
				t.Error(err)
			}
		})
	}
}
