// Command packer-plugin-reference is a post-processor made with the SDK alone. The client tests run it beside assay: what
// passes there and fails here is a wrong test, not a defect of assay. The wire goldens are recorded from it.
package main

import (
	"fmt"
	"os"

	"github.com/hashicorp/packer-plugin-sdk/plugin"
	"github.com/hashicorp/packer-plugin-sdk/version"

	"assay.test/go/internal/reference"
)

func main() {
	set := plugin.NewSet()
	set.SetVersion(version.NewPluginVersion("0.1.0", "", ""))
	set.RegisterPostProcessor(plugin.DEFAULT_NAME, new(reference.PostProcessor))
	set.RegisterDatasource("greeting", new(reference.DataSource))
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
