// Package specs owns the configuration specifications that the goldens are made of, and the comparison of two
// of them. It refuses to know about files or encodings: goldens and client do that.
package specs

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sort"

	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/zclconf/go-cty/cty"
)

// Named is one specification and the name of its golden files (NAME.bin).
type Named struct {
	Name string
	// Why says what a reader of the golden can learn from it.
	Why  string
	Spec hcldec.ObjectSpec
	// SDKOnly: assay never says this, so it has no file of ours.
	SDKOnly bool
}

func attr(name string, kind cty.Type, required bool) *hcldec.AttrSpec {
	return &hcldec.AttrSpec{Name: name, Type: kind, Required: required}
}

// All returns the specifications in the order of their names' appearance in this file. Every attribute or block
// name occurs once in its specification: the generator relies on it to find the order of map keys in the bytes.
func All() []Named {
	return []Named{
		{Name: "empty", Why: "no options at all", Spec: hcldec.ObjectSpec{}},
		{Name: "string", Why: "one optional string", Spec: hcldec.ObjectSpec{"message": attr("message", cty.String, false)}},
		{Name: "string_required", Why: "one required string", Spec: hcldec.ObjectSpec{"message": attr("message", cty.String, true)}},
		{Name: "number", Why: "one optional number", Spec: hcldec.ObjectSpec{"count": attr("count", cty.Number, false)}},
		{Name: "number_required", Why: "one required number", Spec: hcldec.ObjectSpec{"count": attr("count", cty.Number, true)}},
		{Name: "bool", Why: "one optional bool", Spec: hcldec.ObjectSpec{"force": attr("force", cty.Bool, false)}},
		{Name: "renamed", Why: "the key of the map and the attribute's name differ", Spec: hcldec.ObjectSpec{"key": attr("attribute", cty.String, false)}, SDKOnly: true},
		{Name: "list_string", Why: "a list of strings", Spec: hcldec.ObjectSpec{"regions": attr("regions", cty.List(cty.String), false)}},
		{Name: "list_number_required", Why: "a required list of numbers", Spec: hcldec.ObjectSpec{"ports": attr("ports", cty.List(cty.Number), true)}},
		{Name: "list_bool", Why: "a list of bools", Spec: hcldec.ObjectSpec{"flags": attr("flags", cty.List(cty.Bool), false)}},
		{Name: "map_string", Why: "a map of strings", Spec: hcldec.ObjectSpec{"tags": attr("tags", cty.Map(cty.String), false)}},
		{Name: "map_bool", Why: "a map of bools", Spec: hcldec.ObjectSpec{"switches": attr("switches", cty.Map(cty.Bool), false)}},
		{Name: "list_list_string", Why: "a list of lists", Spec: hcldec.ObjectSpec{"groups": attr("groups", cty.List(cty.List(cty.String)), false)}},
		{Name: "map_list_number", Why: "a map of lists", Spec: hcldec.ObjectSpec{"buckets": attr("buckets", cty.Map(cty.List(cty.Number)), false)}},
		{Name: "block", Why: "a block that may occur once", Spec: hcldec.ObjectSpec{
			"prober": &hcldec.BlockSpec{TypeName: "prober", Nested: hcldec.ObjectSpec{"address": attr("address", cty.String, false)}},
		}},
		{Name: "block_required", Why: "a block that must occur once", Spec: hcldec.ObjectSpec{
			"prober": &hcldec.BlockSpec{TypeName: "prober", Required: true, Nested: hcldec.ObjectSpec{"address": attr("address", cty.String, true)}},
		}},
		{Name: "block_list", Why: "a block that may occur many times, of two attributes", Spec: hcldec.ObjectSpec{
			"check": &hcldec.BlockListSpec{TypeName: "check", Nested: hcldec.ObjectSpec{
				"command": attr("command", cty.String, true),
				"retries": attr("retries", cty.Number, false),
			}},
		}},
		{Name: "block_list_nested", Why: "a block in a list of blocks", Spec: hcldec.ObjectSpec{
			"subnet_filter": &hcldec.BlockListSpec{TypeName: "subnet_filter", Nested: hcldec.ObjectSpec{
				"filter": &hcldec.BlockSpec{TypeName: "filter", Nested: hcldec.ObjectSpec{"name": attr("name", cty.String, false)}},
			}},
		}},
		{Name: "primitives", Why: "three attributes, one of each primitive type", Spec: hcldec.ObjectSpec{
			"count":   attr("count", cty.Number, false),
			"force":   attr("force", cty.Bool, false),
			"message": attr("message", cty.String, true),
		}},
		{Name: "mixed", Why: "attributes, a list, a map and blocks side by side", Spec: hcldec.ObjectSpec{
			"check": &hcldec.BlockListSpec{TypeName: "check", Nested: hcldec.ObjectSpec{"command": attr("command", cty.String, true)}},
			"count": attr("count", cty.Number, true),
			"paths": attr("paths", cty.List(cty.String), false),
			"tags":  attr("tags", cty.Map(cty.String), false),
		}},
	}
}

// Find returns the specification of that name, and whether there is one.
func Find(name string) (Named, bool) {
	for _, candidate := range All() {
		if candidate.Name == name {
			return candidate, true
		}
	}
	return Named{}, false
}

// Plain returns the specification with nested objects as values. The SDK's protobuf decoder makes them pointers and
// its gob decoder makes them values; Packer treats both alike, so a comparison must too.
func Plain(spec hcldec.Spec) hcldec.Spec {
	switch concrete := spec.(type) {
	case *hcldec.ObjectSpec:
		return Plain(*concrete)
	case hcldec.ObjectSpec:
		out := hcldec.ObjectSpec{}
		for name, nested := range concrete {
			out[name] = Plain(nested)
		}
		return out
	case *hcldec.BlockSpec:
		return &hcldec.BlockSpec{TypeName: concrete.TypeName, Required: concrete.Required, Nested: Plain(concrete.Nested)}
	case *hcldec.BlockListSpec:
		copied := *concrete
		copied.Nested = Plain(concrete.Nested)
		return &copied
	default:
		return spec
	}
}

// Fields describes a specification as plain values, fit for JSON and for a failed test's message. A field is
// {"attribute": TYPE, "name": …, "required": …} with cty's JSON for types ("string", ["list","string"]), or
// {"block": FIELDS, "required": …}, or {"block_list": FIELDS}.
func Fields(spec hcldec.ObjectSpec) map[string]interface{} {
	fields := map[string]interface{}{}
	for key, field := range spec {
		switch concrete := field.(type) {
		case *hcldec.AttrSpec:
			fields[key] = map[string]interface{}{"attribute": concrete.Type, "name": concrete.Name, "required": concrete.Required}
		case *hcldec.BlockSpec:
			fields[key] = map[string]interface{}{"block": nested(concrete.Nested), "required": concrete.Required}
		case *hcldec.BlockListSpec:
			fields[key] = map[string]interface{}{"block_list": nested(concrete.Nested)}
		default:
			fields[key] = fmt.Sprintf("%T, which assay never sends", field)
		}
	}
	return fields
}

func nested(spec hcldec.Spec) interface{} {
	if object, ok := Plain(spec).(hcldec.ObjectSpec); ok {
		return Fields(object)
	}
	return fmt.Sprintf("%T, which assay never sends", spec)
}

// Difference compares two specifications by what they mean; it is empty when they mean the same.
func Difference(got, wanted hcldec.Spec) string {
	if reflect.DeepEqual(Plain(got), Plain(wanted)) {
		return ""
	}
	left, _ := json.Marshal(nested(got))
	right, _ := json.Marshal(nested(wanted))
	return fmt.Sprintf("got    %s\nwanted %s", left, right)
}

// Keys returns the names of an object specification in order.
func Keys(spec hcldec.ObjectSpec) []string {
	names := make([]string, 0, len(spec))
	for name := range spec {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
