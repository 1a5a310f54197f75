package client

import (
	"context"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	packerrpc "github.com/hashicorp/packer-plugin-sdk/rpc"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"assay.test/go/internal/host"
	"assay.test/go/internal/raw"
)

// exitPatience bounds the wait for a plugin whose Packer is gone.
const exitPatience = 15 * time.Second

// outcome is what the SDK's client returned.
type outcome struct {
	artifact interface{ Id() string }
	err      error
}

func (c connected) configure(t *testing.T, body string) {
	t.Helper()
	if err := c.processor.Configure(core(""), decode(t, c.spec(t), body)); err != nil {
		t.Fatal(err)
	}
}

// dialRaw runs the plugin with the raw client at its other end, configured.
func (p target) dialRaw(t *testing.T, body string, extraEnv ...string) *raw.Client {
	t.Helper()
	encoded := encode(t, decode(t, p.start(t, true).spec(t), body))
	process := host.Start(t, p.binary, host.PostProcessorArgs(true), p.with(extraEnv)...)
	client, err := raw.Dial(process.Connect())
	if err != nil {
		t.Fatal(err)
	}
	args := &packerrpc.PostProcessorConfigureArgs{Configs: []interface{}{core(""), encoded}}
	if err := client.Call("PostProcessor.Configure", args, new(interface{})); err != nil {
		t.Fatal(err)
	}
	return client
}

func TestAnAMIOfNobodyIsAnErrorThatKeeps(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		nothing := newCloud(t, false)
		client := p.dialRaw(t, p.failing, nothing.env()...)
		ui, artifact := new(host.Ui), host.AMI(nobodys)
		reply, err := client.PostProcess(ui, artifact)
		if err != nil {
			t.Fatalf("the error must be in the answer's body, where Packer expects it: %v", err)
		}
		if reply.Err == nil || !strings.Contains(reply.Err.Error(), nobodysAMI) {
			t.Fatalf("answer %+v does not say what is wrong with %s", reply, nobodysAMI)
		}
		if !reply.Keep || reply.StreamId != 0 {
			t.Errorf("answer %+v: Keep must be set, and no artifact offered", reply)
		}
		if artifact.Destroyed() != 0 {
			t.Error("the plugin destroyed the artifact")
		}
		if !strings.Contains(ui.Text(), "say: ") {
			t.Errorf("nothing was said:\n%s", ui.Text())
		}
		mustNotLookLikeAnArtifactRow(t, ui)
		if p.failsWhereAMIIsNobody {
			mustOnlyHaveLooked(t, nothing)
		}
	})
}

// Packer configures a second time right before PostProcess. An error there would make it destroy the AMI, so a mistake that
// shows only then is accepted, and becomes an error that keeps.
func TestAMistakeFoundLateKeepsTheAMI(t *testing.T) {
	p, nothing := assayTarget(t), newCloud(t, false)
	client := p.dialRaw(t, p.valid, nothing.env()...)
	mistaken := encode(t, decode(t, p.start(t, true).spec(t), p.mistakes))
	args := &packerrpc.PostProcessorConfigureArgs{Configs: []interface{}{core(""), mistaken}}
	if err := client.Call("PostProcessor.Configure", args, new(interface{})); err != nil {
		t.Fatalf("refused in the second Configure: Packer destroys the AMI then: %v", err)
	}
	reply, err := client.PostProcess(new(host.Ui), host.AMI(nobodys))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Err == nil || !strings.Contains(reply.Err.Error(), "on_failure") || !reply.Keep {
		t.Errorf("answer %+v must name the mistake and keep the AMI", reply)
	}
}

// encode is a value as the SDK's client sends it.
func encode(t *testing.T, value cty.Value) []byte {
	t.Helper()
	encoded, err := ctyjson.Marshal(value, cty.DynamicPseudoType)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// mustNotLookLikeAnArtifactRow protects scripts that read `artifact,0,id,…` from Packer's machine-readable output.
func mustNotLookLikeAnArtifactRow(t *testing.T, ui *host.Ui) {
	t.Helper()
	for _, line := range ui.Lines() {
		if strings.HasPrefix(line, "machine: artifact") {
			t.Errorf("%q looks like Packer's own row", line)
		}
	}
}

func mustOnlyHaveLooked(t *testing.T, nothing *cloud) {
	t.Helper()
	if len(nothing.called()) == 0 {
		t.Error("the cloud was never asked")
	}
	for _, action := range nothing.called() {
		if action == "RunInstances" || action == "DeregisterImage" || action == "CreateTags" {
			t.Errorf("%s was called for an AMI that does not exist: %q", action, nothing.called())
		}
	}
}

func TestCancelBeforePostProcess(t *testing.T) {
	// The SDK's own server answers an early Cancel and forgets it, so the reference only proves the answer.
	t.Run("reference", func(t *testing.T) {
		client := referenceTarget().dialRaw(t, referenceTarget().valid)
		if err := client.Call("PostProcessor.Cancel", nil, new(interface{})); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("wire", func(t *testing.T) { cancelsBefore(t, wireTarget(t)) })
	t.Run("assay", func(t *testing.T) { cancelsBefore(t, assayTarget(t)) })
}

// cancelsBefore: an early Cancel is remembered.
func cancelsBefore(t *testing.T, p target) {
	t.Helper()
	nothing := newCloud(t, false)
	client := p.dialRaw(t, p.waiting, nothing.env()...)
	if err := client.Call("PostProcessor.Cancel", nil, new(interface{})); err != nil {
		t.Fatal(err)
	}
	reply, err := client.PostProcess(new(host.Ui), host.AMI(nobodys))
	if err != nil {
		t.Fatal(err)
	}
	if reply.Err == nil || !strings.Contains(strings.ToLower(reply.Err.Error()), "cancel") {
		t.Errorf("answer %+v does not say that it was cancelled", reply)
	}
	for _, action := range nothing.called() {
		if action == "RunInstances" {
			t.Errorf("an instance was started after Cancel: %q", nothing.called())
		}
	}
}

func TestCancelDuringPostProcess(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		silent := newCloud(t, true)
		plugin := p.start(t, true, silent.env()...)
		plugin.configure(t, p.waiting)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ui, artifact := new(host.Ui), host.AMI(nobodys)
		done := make(chan outcome, 1)
		go func() {
			result, _, _, err := plugin.processor.PostProcess(ctx, ui, artifact)
			done <- outcome{result, err}
		}()
		waitUntilBusy(t, p, silent, ui)
		cancel()
		select {
		case got := <-done:
			if got.err == nil || !strings.Contains(strings.ToLower(got.err.Error()), "cancel") {
				t.Errorf("%+v does not say that it was cancelled", got)
			}
		case <-time.After(host.Patience):
			t.Fatalf("PostProcess goes on %s after Cancel", host.Patience)
		}
		if artifact.Destroyed() != 0 {
			t.Error("the plugin destroyed the artifact")
		}
	})
}

// waitUntilBusy waits until PostProcess is in the middle of its work: assay waits for the cloud, the reference has spoken.
func waitUntilBusy(t *testing.T, p target, silent *cloud, ui *host.Ui) {
	t.Helper()
	deadline := time.After(host.Patience)
	for {
		select {
		case <-silent.first:
			return
		case <-deadline:
			t.Fatal("PostProcess never began its work")
		case <-time.After(10 * time.Millisecond):
			if !p.failsWhereAMIIsNobody && strings.Contains(ui.Text(), "machine: ") {
				return
			}
		}
	}
}

func TestClosingTheSocketEndsTheProcess(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		process := host.Start(t, p.binary, host.PostProcessorArgs(true), p.env...)
		conn := process.Connect()
		_ = connect(t, process, conn, true).spec(t)
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		process.WaitExit(exitPatience)
	})
}

func TestASecondConnectionIsRefused(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		plugin := p.start(t, true)
		_ = plugin.spec(t)
		second, err := net.Dial(plugin.Network, plugin.Address)
		if err == nil {
			_ = second.Close()
			t.Fatal("a second connection was accepted")
		}
		// And the first one is none the worse for it.
		_ = plugin.spec(t)
	})
}

func TestAnUnknownMethodIsAnErrorAndNotTheEnd(t *testing.T) {
	forEachTarget(t, func(t *testing.T, p target) {
		client := p.dialRaw(t, p.valid)
		err := client.Call("PostProcessor.Nope", nil, new(interface{}))
		if err == nil || !strings.Contains(err.Error(), "PostProcessor.Nope") {
			t.Fatalf("error %v", err)
		}
		if err := client.Call("PostProcessor.ConfigSpec", nil, new(packerrpc.ConfigSpecResponse)); err != nil {
			t.Errorf("after an unknown method: %v", err)
		}
	})
}

// A plugin that passes without a cloud shows it; assay's own proof of the same is an integration test with the mini cloud.
func TestThePassedArtifactIsTheOneThatCameIn(t *testing.T) {
	t.Run("reference", func(t *testing.T) { passesTheArtifact(t, referenceTarget()) })
	t.Run("wire", func(t *testing.T) { passesTheArtifact(t, wireTarget(t)) })
}

func passesTheArtifact(t *testing.T, p target) {
	t.Helper()
	plugin := p.start(t, true)
	plugin.configure(t, p.valid)
	sent := host.AMI(nobodys)
	got, keep, force, err := plugin.processor.PostProcess(context.Background(), new(host.Ui), sent)
	if err != nil || !keep || !force {
		t.Fatalf("keep %v, force %v, %v", keep, force, err)
	}
	if got.Id() != sent.Id() || got.BuilderId() != sent.BuilderId() || got.String() != sent.String() {
		t.Errorf("got %s of %s", got.Id(), got.BuilderId())
	}
	data, ok := got.State("generated_data").(map[interface{}]interface{})
	if !ok || !reflect.DeepEqual(data["User"], "debian") {
		t.Errorf("generated_data %#v", got.State("generated_data"))
	}
}
