package client

import "github.com/zclconf/go-cty/cty"

// plain turns a known value into what encoding/json would have made of it.
func plain(value cty.Value) interface{} {
	switch {
	case value.IsNull():
		return nil
	case value.Type() == cty.String:
		return value.AsString()
	case value.Type() == cty.Bool:
		return value.True()
	case value.Type() == cty.Number:
		number, _ := value.AsBigFloat().Float64()
		return number
	case value.Type().IsMapType() || value.Type().IsObjectType():
		entries := map[string]interface{}{}
		for name, entry := range value.AsValueMap() {
			entries[name] = plain(entry)
		}
		return entries
	default:
		entries := []interface{}{}
		for _, entry := range value.AsValueSlice() {
			entries = append(entries, plain(entry))
		}
		return entries
	}
}
