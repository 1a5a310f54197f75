// Package options owns the step from what Packer sends to Configure and Prepare to a plugin's own struct. The SDK's
// config.Decode wants generated code beside every struct, which two small plugins do not need. It does not interpolate.
package options

import (
	"encoding/json"
	"strings"

	"github.com/mitchellh/mapstructure"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Decode merges all values (cty objects from HCL2, maps from JSON), drops Packer's own (packer_…) and the placeholders
// that JSON templates bring, and decodes the rest into target. Unknown names are an error.
func Decode(target interface{}, raws ...interface{}) error {
	merged := map[string]interface{}{}
	for _, raw := range raws {
		values, err := toMap(raw)
		if err != nil {
			return err
		}
		for name, value := range values {
			if value != nil && !strings.HasPrefix(name, "packer_") {
				merged[name] = value
			}
		}
	}
	decoder, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{Result: target, ErrorUnused: true, WeaklyTypedInput: true})
	if err != nil {
		return err
	}
	return decoder.Decode(merged)
}

func toMap(raw interface{}) (map[string]interface{}, error) {
	values := map[string]interface{}{}
	switch concrete := raw.(type) {
	case cty.Value:
		encoded, err := ctyjson.SimpleJSONValue{Value: concrete}.MarshalJSON()
		if err != nil {
			return nil, err
		}
		return values, json.Unmarshal(encoded, &values)
	case map[interface{}]interface{}:
		for name, value := range concrete {
			// The third map of a JSON template holds placeholders, whose names all begin with a capital.
			if text, ok := name.(string); ok && text != "" && text[0] >= 'a' {
				values[text] = value
			}
		}
	}
	return values, nil
}
