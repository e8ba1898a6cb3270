package querynode

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a query node; names are listed in docs/ops/metrics.md.
type metrics struct {
	seconds *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer, n *Node) *metrics {
	m := &metrics{seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "gyr_querynode_request_seconds", Help: "Time to answer a request, by kind.",
		Buckets: prometheus.ExponentialBuckets(0.00025, 2, 18),
	}, []string{"kind"})}
	gauge := func(name, help string, value func(s Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(n.Status()) })
	}
	if reg != nil {
		reg.MustRegister(m.seconds,
			gauge("gyr_querynode_sealed_segments", "Sealed segments in memory.", func(s Status) float64 { return float64(s.SealedSegments) }),
			gauge("gyr_querynode_sealed_bytes", "Memory of sealed segments.", func(s Status) float64 { return float64(s.SealedBytes) }),
			gauge("gyr_querynode_disk_cache_bytes", "Bytes of the disk cache.", func(s Status) float64 { return float64(s.DiskBytes) }),
			gauge("gyr_querynode_growing_rows", "Growing rows in memory.", func(s Status) float64 { return float64(s.GrowingRows) }),
			gauge("gyr_querynode_growing_bytes", "Memory of growing rows.", func(s Status) float64 { return float64(s.GrowingBytes) }),
		)
	}
	return m
}

func (m *metrics) observe(kind string, start time.Time) {
	m.seconds.WithLabelValues(kind).Observe(time.Since(start).Seconds())
}
