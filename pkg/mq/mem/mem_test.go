package mem_test

import (
	"testing"

	"github.com/gyr-db/gyr/pkg/mq"
	"github.com/gyr-db/gyr/pkg/mq/mem"
	"github.com/gyr-db/gyr/pkg/mq/mqtest"
)

func TestConformance(t *testing.T) {
	mqtest.Run(t, mqtest.Harness{Name: "mem", New: func(*testing.T) mqtest.Connect {
		q := mem.New()
		return func(*testing.T) mq.Queue { return q.Dial() }
	}})
}
