package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
)

const (
	nobodysAMI = "ami-0badc0ffee0badc0f"
	nobodys    = "us-east-1:" + nobodysAMI
)

// cloud is an AWS endpoint for an account that has nothing: it knows the caller, no AMI, and permits nothing else. It
// is not a simulation of EC2; the integration tests have one.
type cloud struct {
	server *httptest.Server
	// first is closed when the first EC2 call has arrived.
	first   chan struct{}
	release chan struct{}
	hang    bool

	mutex   sync.Mutex
	actions []string
}

// newCloud starts the endpoint. One that hangs accepts EC2 calls and does not answer them.
func newCloud(t *testing.T, hang bool) *cloud {
	t.Helper()
	c := &cloud{first: make(chan struct{}), release: make(chan struct{}), hang: hang}
	c.server = httptest.NewServer(http.HandlerFunc(c.answer))
	t.Cleanup(func() {
		close(c.release)
		c.server.CloseClientConnections()
		c.server.Close()
	})
	return c
}

// env leads a plugin to this endpoint and to no other.
func (c *cloud) env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + c.server.URL, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
		"AWS_SECRET_ACCESS_KEY=not-a-secret", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1",
	}
}

// called returns the EC2 actions so far.
func (c *cloud) called() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return append([]string(nil), c.actions...)
}

func (c *cloud) answer(response http.ResponseWriter, request *http.Request) {
	_ = request.ParseForm()
	action := request.Form.Get("Action")
	response.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	if action == "GetCallerIdentity" {
		_, _ = fmt.Fprint(response, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>`+
			`<Arn>arn:aws:iam::111111111111:user/builder</Arn><UserId>AIDAEXAMPLE</UserId><Account>111111111111</Account>`+
			`</GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>`)
		return
	}
	c.record(action)
	if c.hang {
		select {
		case <-c.release:
		case <-request.Context().Done():
		}
		return
	}
	response.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprint(response, refusal(action, request.Form))
}

func (c *cloud) record(action string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if len(c.actions) == 0 {
		close(c.first)
	}
	c.actions = append(c.actions, action)
}

// refusal is EC2's error document: an unknown AMI where one is named, otherwise a missing permission.
func refusal(action string, form url.Values) string {
	code, message := "UnauthorizedOperation", "You are not authorized to perform "+action
	if form.Get("ImageId") != "" || form.Get("ImageId.1") != "" {
		code, message = "InvalidAMIID.NotFound", "The image id '["+nobodysAMI+"]' does not exist"
	}
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>%s</Code><Message>%s</Message>`+
		`</Error></Errors><RequestID>00000000-0000-4000-8000-000000000000</RequestID></Response>`, code, message)
}
