// Package values owns the values that the goldens of data sources' answers are made of. It refuses to know about files or
// encodings.
package values

import "github.com/zclconf/go-cty/cty"

// Named is one value and the name of its golden files (NAME.bin).
type Named struct {
	Name string
	// Why says what a reader of the golden can learn from it.
	Why   string
	Value cty.Value
	// Crowded: its maps have too many entries for Go to write them in order within any reasonable number of tries, so that there is
	// no gob of the SDK's to compare with, only ours for the SDK to read.
	Crowded bool
}

func text(value string) cty.Value { return cty.StringVal(value) }

func object(attributes map[string]cty.Value) cty.Value { return cty.ObjectVal(attributes) }

// All returns the values. Every key occurs once in its value: the generator relies on it to find the order of map keys in the bytes.
func All() []Named {
	byRegion := cty.MapVal(map[string]cty.Value{
		"x86_64": cty.MapVal(map[string]cty.Value{"eu-west-1": text("ami-2"), "us-east-1": text("ami-1")}),
	})
	return []Named{
		{Name: "string", Why: "one text", Value: object(map[string]cty.Value{"id": text("ami-1")})},
		{Name: "bool", Why: "one switch that is on", Value: object(map[string]cty.Value{"gold": cty.True})},
		{Name: "bool_false", Why: "one switch that is off", Value: object(map[string]cty.Value{"gold": cty.False})},
		{Name: "null", Why: "a text that is null", Value: object(map[string]cty.Value{"id": cty.NullVal(cty.String)})},
		{Name: "list", Why: "a list of texts", Value: object(map[string]cty.Value{"regions": cty.ListVal([]cty.Value{text("us-east-1"), text("eu-west-1")})})},
		{Name: "list_empty", Why: "a list of nothing", Value: object(map[string]cty.Value{"regions": cty.ListValEmpty(cty.String)})},
		{Name: "map", Why: "a map of texts", Value: object(map[string]cty.Value{"tags": cty.MapVal(map[string]cty.Value{"Team": text("platform")})})},
		{Name: "map_empty", Why: "a map of nothing", Value: object(map[string]cty.Value{"tags": cty.MapValEmpty(cty.String)})},
		{Name: "map_map", Why: "a map of maps", Value: object(map[string]cty.Value{"amis": byRegion})},
		{Name: "map_list", Why: "a map of lists", Value: object(map[string]cty.Value{"groups": cty.MapVal(map[string]cty.Value{
			"a": cty.ListVal([]cty.Value{text("x")}),
		})})},
		{Name: "two", Why: "a map and a text, of different types", Value: object(map[string]cty.Value{
			"amis": byRegion, "id": text("ami-1"),
		})},
		{Name: "image", Why: "the shape of what assay's own data source answers", Crowded: true, Value: object(map[string]cty.Value{
			"amis": byRegion, "id": text("ami-1"), "name": text("base-20261122"), "owner": text("123456789012"),
			"promoted_at": text("2026-11-22T12:00:00Z"), "run": text("01KAQ3B6G0R8ZJ5Q2X7V9N4M1C"), "source_digest": cty.NullVal(cty.String),
		})},
	}
}

// Find returns the value of that name, and whether there is one.
func Find(name string) (Named, bool) {
	for _, candidate := range All() {
		if candidate.Name == name {
			return candidate, true
		}
	}
	return Named{}, false
}

// Keys returns all keys of a value's objects and maps in the order in which an encoder that sorts them would write them.
func Keys(value cty.Value) []string {
	var keys []string
	if value.IsNull() || !value.CanIterateElements() {
		return nil
	}
	for it := value.ElementIterator(); it.Next(); {
		key, element := it.Element()
		if key.Type() == cty.String {
			keys = append(keys, key.AsString())
		}
		keys = append(keys, Keys(element)...)
	}
	return keys
}
