package reference

import (
	"fmt"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/zclconf/go-cty/cty"

	"assay.test/go/internal/options"
)

// DataSource is a data source that greets whom it is told to; "nobody" is a mistake and "nothing" a failure.
type DataSource struct {
	config struct {
		Who     string   `mapstructure:"who"`
		Tongues []string `mapstructure:"tongues"`
	}
}

var _ packersdk.Datasource = new(DataSource)

// ConfigSpec declares the options.
func (d *DataSource) ConfigSpec() hcldec.ObjectSpec {
	return hcldec.ObjectSpec{
		"who":     &hcldec.AttrSpec{Name: "who", Type: cty.String, Required: true},
		"tongues": &hcldec.AttrSpec{Name: "tongues", Type: cty.List(cty.String)},
	}
}

// OutputSpec declares what templates may read.
func (d *DataSource) OutputSpec() hcldec.ObjectSpec {
	return hcldec.ObjectSpec{
		"greeting":  &hcldec.AttrSpec{Name: "greeting", Type: cty.String},
		"warm":      &hcldec.AttrSpec{Name: "warm", Type: cty.Bool},
		"tongues":   &hcldec.AttrSpec{Name: "tongues", Type: cty.List(cty.String)},
		"by_tongue": &hcldec.AttrSpec{Name: "by_tongue", Type: cty.Map(cty.Map(cty.String))},
	}
}

// Configure reads the options.
func (d *DataSource) Configure(raws ...interface{}) error {
	if err := options.Decode(&d.config, raws...); err != nil {
		return err
	}
	if d.config.Who == "nobody" {
		return fmt.Errorf("who: nobody cannot be greeted")
	}
	return nil
}

// Execute greets.
func (d *DataSource) Execute() (cty.Value, error) {
	if d.config.Who == "nothing" {
		return cty.NullVal(cty.EmptyObject), fmt.Errorf("there is nothing\nto greet")
	}
	greeting := "hello " + d.config.Who
	tongues, byTongue := cty.ListValEmpty(cty.String), cty.MapValEmpty(cty.Map(cty.String))
	if len(d.config.Tongues) > 0 {
		var list []cty.Value
		entries := map[string]cty.Value{}
		for _, tongue := range d.config.Tongues {
			list = append(list, cty.StringVal(tongue))
			entries[tongue] = cty.MapVal(map[string]cty.Value{"greeting": cty.StringVal(greeting)})
		}
		tongues, byTongue = cty.ListVal(list), cty.MapVal(entries)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"greeting": cty.StringVal(greeting), "warm": cty.True, "tongues": tongues, "by_tongue": byTongue,
	}), nil
}
