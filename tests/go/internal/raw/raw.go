// Package raw owns a client that speaks the plugin protocol below the SDK's client: yamux, the broker's stream ids, and
// net/rpc over msgpack. It exists for what the SDK's client hides: the Keep flag of a failed PostProcess, a Cancel that
// comes before PostProcess, and methods that do not exist. It refuses to be a second SDK: no conversion, no retries.
//
// The rules are those of rpc/mux_broker.go and rpc/client.go in packer-plugin-sdk 0.6.10.
package raw

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"sync/atomic"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	packerrpc "github.com/hashicorp/packer-plugin-sdk/rpc"
	"github.com/hashicorp/yamux"
	"github.com/ugorji/go/codec"
)

// Client is Packer's side of one plugin connection.
type Client struct {
	session *yamux.Session
	rpc     *rpc.Client
	lastID  atomic.Uint32
}

// Dial makes the client over a connection that the plugin has accepted.
func Dial(conn net.Conn) (*Client, error) {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	session, err := yamux.Client(conn, config)
	if err != nil {
		return nil, err
	}
	stream, err := session.OpenStream()
	if err != nil {
		return nil, err
	}
	if err := binary.Write(stream, binary.LittleEndian, uint32(0)); err != nil {
		return nil, err
	}
	var echo uint32
	if err := binary.Read(stream, binary.LittleEndian, &echo); err != nil {
		return nil, err
	}
	if echo != 0 {
		return nil, fmt.Errorf("the plugin echoed stream id %d instead of 0", echo)
	}
	return &Client{session: session, rpc: rpc.NewClientWithCodec(codec.GoRpc.ClientCodec(stream, handle()))}, nil
}

func handle() *codec.MsgpackHandle { return &codec.MsgpackHandle{WriteExt: true} }

// Call calls a method and waits. An argument of nil is the protocol's "no argument".
func (c *Client) Call(method string, args, reply interface{}) error {
	if args == nil {
		args = new(interface{})
	}
	return c.rpc.Call(method, args, reply)
}

// PostProcess offers artifact and ui on a stream of their own, calls the method and returns the whole answer.
func (c *Client) PostProcess(ui packersdk.Ui, artifact packersdk.Artifact) (packerrpc.PostProcessorProcessResponse, error) {
	id := c.lastID.Add(1)
	go c.serve(id, ui, artifact)
	var reply packerrpc.PostProcessorProcessResponse
	err := c.Call("PostProcessor.PostProcess", id, &reply)
	return reply, err
}

// serve accepts the one stream by which the plugin reaches artifact and ui.
func (c *Client) serve(id uint32, ui packersdk.Ui, artifact packersdk.Artifact) {
	stream, err := c.session.AcceptStream()
	if err != nil {
		return
	}
	defer func() { _ = stream.Close() }()
	var asked uint32
	if err := binary.Read(stream, binary.LittleEndian, &asked); err != nil || asked != id {
		return
	}
	if err := binary.Write(stream, binary.LittleEndian, id); err != nil {
		return
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Ui", &uiServer{ui}); err != nil {
		return
	}
	if err := server.RegisterName("Artifact", &artifactServer{artifact}); err != nil {
		return
	}
	server.ServeCodec(codec.GoRpc.ServerCodec(stream, handle()))
}

// Close ends the connection as a dying Packer does.
func (c *Client) Close() error { return c.session.Close() }

type uiServer struct{ ui packersdk.Ui }

func (s *uiServer) Ask(query string, reply *string) (err error) {
	*reply, err = s.ui.Ask(query)
	return err
}

func (s *uiServer) Say(message string, _ *interface{}) error {
	s.ui.Say(message)
	return nil
}

func (s *uiServer) Message(message string, _ *interface{}) error {
	s.ui.Message(message)
	return nil
}

func (s *uiServer) Error(message string, _ *interface{}) error {
	s.ui.Error(message)
	return nil
}

func (s *uiServer) Machine(args *packerrpc.UiMachineArgs, _ *interface{}) error {
	s.ui.Machine(args.Category, args.Args...)
	return nil
}

type artifactServer struct{ artifact packersdk.Artifact }

func (s *artifactServer) BuilderId(_ *interface{}, reply *string) error {
	*reply = s.artifact.BuilderId()
	return nil
}

func (s *artifactServer) Files(_ *interface{}, reply *[]string) error {
	*reply = s.artifact.Files()
	return nil
}

func (s *artifactServer) Id(_ *interface{}, reply *string) error {
	*reply = s.artifact.Id()
	return nil
}

func (s *artifactServer) String(_ *interface{}, reply *string) error {
	*reply = s.artifact.String()
	return nil
}

func (s *artifactServer) State(name string, reply *interface{}) error {
	*reply = s.artifact.State(name)
	return nil
}

func (s *artifactServer) Destroy(_ *interface{}, reply *interface{}) error {
	return s.artifact.Destroy()
}
