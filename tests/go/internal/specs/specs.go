// Package specs owns the configuration specifications that the goldens are made of, and the comparison of two
// of them. It refuses to know about files or encodings: goldens and client do that.
package specs

import (
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
}

func attr(name string, kind cty.Type, required bool) *hcldec.AttrSpec {
	return &hcldec.AttrSpec{Name: name, Type: kind, Required: required}
}

// All returns the specifications in the order of their names' appearance in this file. Every attribute or block
// name occurs once in its specification: the generator relies on it to find the order of map keys in the bytes.
func All() []Named {
	return []Named{
		{"empty", "no options at all", hcldec.ObjectSpec{}},
		{"string", "one optional string", hcldec.ObjectSpec{"message": attr("message", cty.String, false)}},
		{"string_required", "one required string", hcldec.ObjectSpec{"message": attr("message", cty.String, true)}},
		{"number", "one optional number", hcldec.ObjectSpec{"count": attr("count", cty.Number, false)}},
		{"number_required", "one required number", hcldec.ObjectSpec{"count": attr("count", cty.Number, true)}},
		{"bool", "one optional bool", hcldec.ObjectSpec{"force": attr("force", cty.Bool, false)}},
		{"renamed", "the key of the map and the attribute's name differ", hcldec.ObjectSpec{"key": attr("attribute", cty.String, false)}},
		{"list_string", "a list of strings", hcldec.ObjectSpec{"regions": attr("regions", cty.List(cty.String), false)}},
		{"list_number_required", "a required list of numbers", hcldec.ObjectSpec{"ports": attr("ports", cty.List(cty.Number), true)}},
		{"list_bool", "a list of bools", hcldec.ObjectSpec{"flags": attr("flags", cty.List(cty.Bool), false)}},
		{"map_string", "a map of strings", hcldec.ObjectSpec{"tags": attr("tags", cty.Map(cty.String), false)}},
		{"map_bool", "a map of bools", hcldec.ObjectSpec{"switches": attr("switches", cty.Map(cty.Bool), false)}},
		{"list_list_string", "a list of lists", hcldec.ObjectSpec{"groups": attr("groups", cty.List(cty.List(cty.String)), false)}},
		{"map_list_number", "a map of lists", hcldec.ObjectSpec{"buckets": attr("buckets", cty.Map(cty.List(cty.Number)), false)}},
		{"block", "a block that may occur once", hcldec.ObjectSpec{
			"prober": &hcldec.BlockSpec{TypeName: "prober", Nested: hcldec.ObjectSpec{"address": attr("address", cty.String, false)}},
		}},
		{"block_required", "a block that must occur once", hcldec.ObjectSpec{
			"prober": &hcldec.BlockSpec{TypeName: "prober", Required: true, Nested: hcldec.ObjectSpec{"address": attr("address", cty.String, true)}},
		}},
		{"block_list", "a block that may occur many times, of two attributes", hcldec.ObjectSpec{
			"check": &hcldec.BlockListSpec{TypeName: "check", Nested: hcldec.ObjectSpec{
				"command": attr("command", cty.String, true),
				"retries": attr("retries", cty.Number, false),
			}},
		}},
		{"block_list_nested", "a block in a list of blocks", hcldec.ObjectSpec{
			"subnet_filter": &hcldec.BlockListSpec{TypeName: "subnet_filter", Nested: hcldec.ObjectSpec{
				"filter": &hcldec.BlockSpec{TypeName: "filter", Nested: hcldec.ObjectSpec{"name": attr("name", cty.String, false)}},
			}},
		}},
		{"primitives", "three attributes, one of each primitive type", hcldec.ObjectSpec{
			"count":   attr("count", cty.Number, false),
			"force":   attr("force", cty.Bool, false),
			"message": attr("message", cty.String, true),
		}},
		{"mixed", "attributes, a list, a map and blocks side by side", hcldec.ObjectSpec{
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

// Keys returns the names of an object specification in order.
func Keys(spec hcldec.ObjectSpec) []string {
	names := make([]string, 0, len(spec))
	for name := range spec {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
