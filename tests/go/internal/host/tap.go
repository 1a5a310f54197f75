package host

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Tap is Packer's end of a connection that writes down every yamux frame in both directions.
type Tap struct {
	conn  io.ReadWriteCloser
	mutex sync.Mutex
	text  strings.Builder
	// What came of a frame whose end is not there yet, by direction.
	sent, received []byte
}

// NewTap listens in on conn.
func NewTap(conn io.ReadWriteCloser) *Tap { return &Tap{conn: conn} }

// Write passes data on to the plugin.
func (t *Tap) Write(data []byte) (int, error) {
	// Written down first: so no answer can stand before its question.
	t.note('>', &t.sent, data)
	return t.conn.Write(data)
}

// Read passes data on from the plugin.
func (t *Tap) Read(data []byte) (int, error) {
	count, err := t.conn.Read(data)
	t.note('<', &t.received, data[:count])
	return count, err
}

// Close closes the connection.
func (t *Tap) Close() error { return t.conn.Close() }

// Comment adds a line that says what happens next.
func (t *Tap) Comment(text string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	fmt.Fprintf(&t.text, "# == %s\n", text)
}

// Text returns the record: per frame a comment and a line "> HEX" (Packer to plugin) or "< HEX" (plugin to Packer).
func (t *Tap) Text() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.text.String()
}

func (t *Tap) note(direction byte, pending *[]byte, data []byte) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	*pending = append(*pending, data...)
	for len(*pending) >= 12 {
		end := 12
		if (*pending)[1] == 0 {
			end += int(binary.BigEndian.Uint32((*pending)[8:12]))
		}
		if len(*pending) < end {
			return
		}
		frame := (*pending)[:end]
		fmt.Fprintf(&t.text, "# %s\n%c %s\n", explain(frame), direction, hex.EncodeToString(frame))
		*pending = append([]byte(nil), (*pending)[end:]...)
	}
}

// explain names a frame by its header (yamux 0.1.1, spec.md) and shows the printable part of its data.
func explain(frame []byte) string {
	kinds := []string{"data", "window update", "ping", "go away"}
	var flags []string
	bits := binary.BigEndian.Uint16(frame[2:4])
	for bit, name := range []string{"SYN", "ACK", "FIN", "RST"} {
		if bits&(1<<bit) != 0 {
			flags = append(flags, name)
		}
	}
	text := fmt.Sprintf("stream %d, %s %s", binary.BigEndian.Uint32(frame[4:8]), kinds[frame[1]], strings.Join(flags, "+"))
	printable := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, latin1(frame[12:]))
	return strings.TrimSpace(text + " " + printable)
}

func latin1(data []byte) string {
	runes := make([]rune, len(data))
	for index, value := range data {
		runes[index] = rune(value)
	}
	return string(runes)
}
