package main

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"reflect"

	"github.com/hashicorp/hcl/v2/hcldec"
	packerrpc "github.com/hashicorp/packer-plugin-sdk/rpc"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
	"github.com/zclconf/go-cty/cty/msgpack"
	"google.golang.org/protobuf/proto"

	"assay.test/go/internal/specs"
	"assay.test/go/internal/values"
)

// maxTries bounds the search for an encoding in order; the largest specification succeeds in 1 of 24 on average.
const maxTries = 2000

// writeValueGob encodes a value as the SDK's server does (rpc/datasource.go, Execute).
func writeValueGob(out io.Writer, name string) error {
	named, found := values.Find(name)
	if !found {
		return fmt.Errorf("no value is called %q", name)
	}
	return gob.NewEncoder(out).Encode(named.Value)
}

// orderedValueGob is what orderedGob is, for values. A map is written twice, once for types and once for contents.
func orderedValueGob(self string, named values.Named) ([]byte, error) {
	for try := 0; try < maxTries; try++ {
		encoded, err := exec.Command(self, "-value-gob", named.Name).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", named.Name, err)
		}
		if inOrder(encoded, valuePatterns(named.Value)) {
			return encoded, nil
		}
	}
	return nil, fmt.Errorf("%s: no try of %d had its keys in order", named.Name, maxTries)
}

// valuePatterns returns the attributes' names, as the type has them, and then all keys, each with its length before it.
func valuePatterns(value cty.Value) [][]byte {
	var names, keys [][]byte
	for it := value.ElementIterator(); it.Next(); {
		name, _ := it.Element()
		names = append(names, append([]byte{byte(len(name.AsString()))}, name.AsString()...))
	}
	for _, key := range values.Keys(value) {
		keys = append(keys, append([]byte{byte(len(key))}, key...))
	}
	return append(names, keys...)
}

// valueMsgpack is what the SDK's server writes under --protobuf.
func valueMsgpack(named values.Named) ([]byte, error) {
	return msgpack.Marshal(named.Value, cty.DynamicPseudoType)
}

// listingOfValues describes the values for readers that are not Go: by name, their types (of the attributes) and contents.
func listingOfValues(all []values.Named) ([]byte, error) {
	listing := map[string]interface{}{}
	for _, named := range all {
		content, err := ctyjson.Marshal(named.Value, named.Value.Type())
		if err != nil {
			return nil, err
		}
		types := map[string]cty.Type{}
		for name, kind := range named.Value.Type().AttributeTypes() {
			types[name] = kind
		}
		listing[named.Name] = map[string]interface{}{
			"why": named.Why, "types": types, "value": json.RawMessage(content), "crowded": named.Crowded,
		}
	}
	encoded, err := json.MarshalIndent(listing, "", "  ")
	return append(encoded, '\n'), err
}

// writeGob encodes a specification as the SDK's server does (rpc/common.go, ConfigSpec).
func writeGob(out io.Writer, name string) error {
	named, found := specs.Find(name)
	if !found {
		return fmt.Errorf("no specification is called %q", name)
	}
	return gob.NewEncoder(out).Encode(named.Spec)
}

// orderedGob returns the SDK's gob of a specification with its map keys in alphabetical order. Go's encoder walks maps at
// random and numbers types in the order in which the process meets them, so each try is a process of its own.
func orderedGob(self string, named specs.Named) ([]byte, error) {
	for try := 0; try < maxTries; try++ {
		encoded, err := exec.Command(self, "-gob", named.Name).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", named.Name, err)
		}
		if inOrder(encoded, keyPatterns(named.Spec)) {
			return encoded, nil
		}
	}
	return nil, fmt.Errorf("%s: no try of %d had its keys in order", named.Name, maxTries)
}

// keyPatterns returns, in the order wanted, what a map entry's beginning looks like: the key, then the name of its type.
func keyPatterns(spec hcldec.ObjectSpec) [][]byte {
	var patterns [][]byte
	for _, key := range specs.Keys(spec) {
		kind := reflect.TypeOf(spec[key]).String()
		pattern := append([]byte{byte(len(key))}, key...)
		pattern = append(append(pattern, byte(len(kind))), kind...)
		patterns = append(patterns, pattern)
		switch block := spec[key].(type) {
		case *hcldec.BlockSpec:
			patterns = append(patterns, keyPatterns(block.Nested.(hcldec.ObjectSpec))...)
		case *hcldec.BlockListSpec:
			patterns = append(patterns, keyPatterns(block.Nested.(hcldec.ObjectSpec))...)
		}
	}
	return patterns
}

func inOrder(encoded []byte, patterns [][]byte) bool {
	for _, pattern := range patterns {
		at := bytes.Index(encoded, pattern)
		if at < 0 {
			return false
		}
		encoded = encoded[at+len(pattern):]
	}
	return true
}

// orderedProtobuf returns the SDK's message for a specification, its map entries in order.
func orderedProtobuf(named specs.Named) ([]byte, error) {
	message, err := packerrpc.ToProto(named.Spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", named.Name, err)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(message)
}

// listingOf describes the specifications for readers that are not Go: by name, with specs.Fields.
func listingOf(all []specs.Named) ([]byte, error) {
	listing := map[string]interface{}{}
	for _, named := range all {
		listing[named.Name] = map[string]interface{}{"why": named.Why, "fields": specs.Fields(named.Spec), "sdk_only": named.SDKOnly}
	}
	encoded, err := json.MarshalIndent(listing, "", "  ")
	return append(encoded, '\n'), err
}
