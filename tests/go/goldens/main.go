// Command goldens writes the files of tests/goldens that come from Packer's SDK: specifications as gob and protobuf, and
// recorded sessions. Run it only to add one, and look at the difference: `go -C tests/go run ./goldens`.
//
// It refuses to write anything that assay made (gob/ours): the Rust tests do that.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"

	"assay.test/go/internal/specs"
	"assay.test/go/internal/values"
)

func main() {
	out := flag.String("out", "../goldens", "the folder of the goldens")
	one := flag.String("gob", "", "write one specification's gob to stdout (used by this program itself)")
	value := flag.String("value-gob", "", "write one value's gob to stdout (used by this program itself)")
	flag.Parse()
	log.SetOutput(io.Discard)
	var err error
	switch {
	case *one != "":
		err = writeGob(os.Stdout, *one)
	case *value != "":
		err = writeValueGob(os.Stdout, *value)
	default:
		err = writeAll(*out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "goldens:", err)
		os.Exit(1)
	}
}

func writeAll(out string) error {
	listing, err := listingOf(specs.All())
	if err != nil {
		return err
	}
	files := map[string][]byte{"specs.json": listing}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, named := range specs.All() {
		if files[filepath.Join("gob", named.Name+".bin")], err = orderedGob(self, named); err != nil {
			return err
		}
		if files[filepath.Join("proto", named.Name+".bin")], err = orderedProtobuf(named); err != nil {
			return err
		}
	}
	if files["values.json"], err = listingOfValues(values.All()); err != nil {
		return err
	}
	for _, named := range values.All() {
		if !named.Crowded {
			if files[filepath.Join("values", "gob", named.Name+".bin")], err = orderedValueGob(self, named); err != nil {
				return err
			}
		}
		if files[filepath.Join("values", "msgpack", named.Name+".bin")], err = valueMsgpack(named); err != nil {
			return err
		}
	}
	for _, scene := range scenes() {
		if files[filepath.Join("wire", scene.name+".txt")], err = record(scene); err != nil {
			return err
		}
	}
	for name, content := range files {
		path := filepath.Join(out, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("wrote %d files below %s\n", len(files), out)
	return nil
}
