package kafka

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/mqtest"
)

// broker is the address of a real broker, from GYR_TEST_KAFKA=host:port; tools/servers/kafka runs one.
func broker(t *testing.T) string {
	t.Helper()
	addr := envBroker()
	if addr == "" {
		t.Skip("GYR_TEST_KAFKA is not set")
	}
	return addr
}

func envBroker() string { return os.Getenv("GYR_TEST_KAFKA") }

func prefix() string { return fmt.Sprintf("gyr-test-%d", time.Now().UnixNano()) }

func connect(t *testing.T, cfg Config) *Queue {
	t.Helper()
	q, err := New(cfg, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	return q
}

func TestConformance(t *testing.T) {
	addr := broker(t)
	for name, partBytes := range map[string]int{"kafka": 0, "kafka/small-parts": 1000} {
		mqtest.Run(t, mqtest.Harness{Name: name, Light: partBytes == 0, New: func(*testing.T) mqtest.Connect {
			cfg := Config{Brokers: []string{addr}, Prefix: prefix(), PartBytes: partBytes}
			return func(t *testing.T) mq.Queue { return connect(t, cfg) }
		}})
	}
}
